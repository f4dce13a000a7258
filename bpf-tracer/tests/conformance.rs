//! The 313 cases of Alan-Jowett/bpf_conformance, where the corpora are at hand.

mod corpora;

use bpf_tracer::{Input, LoadOptions, Outcome, Program, Tracer};

#[test]
fn every_case_returns_what_the_suite_expects() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    let text = std::fs::read_to_string(corpora.join("bpf_conformance.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = json["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 313);

    let mut failures = Vec::new();
    for case in cases {
        let bytes = |key: &str| hex::decode(case[key].as_str().unwrap()).unwrap();
        let expected = case["expected_r0"]
            .as_str()
            .unwrap()
            .trim_start_matches("0x");
        let expected = Outcome::Halt {
            r0: u64::from_str_radix(expected, 16).unwrap(),
        };
        let options = LoadOptions::default().with_allow_test_helper(true);
        let outcome = Program::load(&bytes("bytecode"), &options)
            .map_err(|error| error.to_string())
            .map(|program| {
                Tracer::new(&program)
                    .input(Input::from_bytes(bytes("mem")))
                    .trace()
                    .unwrap()
                    .outcome()
            });
        if outcome.as_ref() != Ok(&expected) {
            failures.push(format!(
                "{}: {outcome:?}, expected {expected:?}",
                case["name"]
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
