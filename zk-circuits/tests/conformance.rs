//! Every case of the BPF conformance suite satisfies the circuit. The suite is an optional corpus.
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

use std::path::PathBuf;

use bpf_tracer::{Input, LoadOptions, Outcome, Program, Tracer};
use halo2curves::bn256::Fr;
use rayon::prelude::*;
use zk_circuits::{Plan, Shape, dev};

fn corpora() -> Option<PathBuf> {
    let given = std::env::var_os("ZKBPF_CORPORA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    given.into_iter().chain([beside]).find(|path| path.is_dir())
}

#[test]
fn every_conformance_case_satisfies_the_circuit() {
    let Some(corpora) = corpora() else {
        eprintln!("SKIPPED: optional corpora not found");
        return;
    };
    let text = std::fs::read_to_string(corpora.join("bpf_conformance.json")).expect("readable");
    let suite: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases = suite["cases"].as_array().expect("cases");
    let shape = Shape::new(10, 8).expect("supported");
    let reserved = [[Fr::zero(); 8]; 8];
    let failed: Vec<String> = cases
        .par_iter()
        .filter_map(|case| {
            let name = case["name"].as_str().expect("name");
            let field = |key: &str| hex::decode(case[key].as_str().expect(key)).expect("hex");
            let options = LoadOptions {
                allow_test_helper: true,
                ..LoadOptions::default()
            };
            let program = Program::from_bytecode(&field("bytecode"), &options).expect(name);
            let input = Input::from_bytes(field("mem"));
            let trace = Tracer::new(&program).input(input).trace().expect(name);
            let expected = case["expected_r0"].as_str().expect("r0");
            let r0 = u64::from_str_radix(expected.trim_start_matches("0x"), 16).expect("hex");
            assert_eq!(trace.outcome(), Outcome::Halt { r0 }, "{name}");
            let witness =
                match Plan::new(&trace, shape, None).and_then(|plan| plan.witness(0, &reserved)) {
                    Ok(witness) => witness,
                    Err(error) => return Some(format!("{name}: {error}")),
                };
            // Our own evaluation says what is wrong, halo2's does not miss anything.
            let failures = [dev::check(&witness), dev::mock(&witness)].concat();
            let first = failures.first()?;
            Some(format!(
                "{name}: {} failures, first: {first}",
                failures.len()
            ))
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
    assert_eq!(cases.len(), 313);
}
