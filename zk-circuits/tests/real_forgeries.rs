//! Forgeries in real proofs: the prover makes what it can, the verifier refuses it.

mod fixtures;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use fixtures::forgeries::{self, Case};
use halo2_proofs::plonk::{ProvingKey, create_proof, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{
    Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer,
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::SeedableRng;
use rand::rngs::StdRng;
use zk_circuits::dev::{self, Forgery};
use zk_circuits::{ChunkCircuit, Shape};

struct Keys {
    params: ParamsKZG<Bn256>,
    proving: ProvingKey<G1Affine>,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let shape = fixtures::small();
        let params = ParamsKZG::setup(shape.k(), StdRng::seed_from_u64(1));
        let circuit = ChunkCircuit::keygen(shape);
        let key = keygen_vk(&params, &circuit).expect("a key");
        let proving = keygen_pk(&params, key, &circuit).expect("a key");
        Keys { params, proving }
    })
}

/// A proof of the forged columns, if the prover can make one at all.
fn prove(forged: &Forgery) -> Option<Vec<u8>> {
    let keys = keys();
    let (circuit, instance) = (forged.circuit(), forged.instance().to_vec());
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            &keys.params,
            &keys.proving,
            &[circuit],
            &[&[&instance]],
            StdRng::seed_from_u64(2),
            &mut transcript,
        )
        .map(|()| transcript.finalize())
    }));
    made.ok()?.ok()
}

fn verifies(proof: &[u8], instance: &[Fr]) -> bool {
    let keys = keys();
    let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        keys.params.verifier_params(),
        keys.proving.get_vk(),
        SingleStrategy::new(&keys.params),
        &[&[instance]],
        &mut transcript,
    )
    .is_ok()
}

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
        if let Some(proof) = prove(forged) {
            proved += 1;
            assert!(!verifies(&proof, forged.instance()), "{lie}");
        }
        // The honest run of the first and of the last lie.
        if proved == 1 || lie == LIES[LIES.len() - 1] {
            let honest = Forgery::of(honest);
            let proof = prove(&honest).expect("an honest proof");
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
