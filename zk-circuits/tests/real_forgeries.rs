//! Forgeries in real proofs: the prover makes what it can, the verifier refuses it. The lies of the kit
//! get their real proofs in `faults`.

mod fixtures;

use fixtures::forgeries::{self, Case};
use fixtures::proving::{prove, verifies};
use zk_circuits::Shape;
use zk_circuits::dev::{self, Forgery};

const LIES: [&str; 16] = [
    "stale read",
    "dropped write",
    "wrong sum",
    "skipped instruction",
    "forged return address",
    "return into the callee's frame",
    "inner exit claimed to halt",
    "r0 that was not read",
    "a second outcome",
    "violation claimed to halt",
    "good call target claimed to be past the end",
    "quotient too small",
    "store to another word",
    "another word of read-only data",
    "untouched word changed at the exit",
    "page listed twice",
];

#[test]
fn proofs_of_lies_do_not_verify() {
    let cases = forgeries::all();
    let mut proved = 0;
    for lie in LIES {
        let Case { honest, forged, .. } = cases
            .iter()
            .find(|case| case.name == lie)
            .unwrap_or_else(|| panic!("no case '{lie}'"));
        if let Some(proof) = prove(forged.circuit(), forged.instance()) {
            proved += 1;
            assert!(!verifies(&proof, forged.instance()), "{lie}");
        }
        // The honest run of the first and of the last lie.
        if proved == 1 || lie == LIES[LIES.len() - 1] {
            let honest = Forgery::of(honest);
            let proof = prove(honest.circuit(), honest.instance()).expect("an honest proof");
            assert!(verifies(&proof, honest.instance()), "{lie}: the honest run");
            assert!(!verifies(&proof, forged.instance()) || forged.instance() == honest.instance());
            let shape: Shape = fixtures::small();
            assert_eq!(
                proof.len(),
                dev::cost(shape).proof_bytes,
                "the estimated size"
            );
        }
    }
    assert!(proved >= 12, "only {proved} lies were proved at all");
}
