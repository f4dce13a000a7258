//! Execution without a proof.

use std::fs;

use serde_json::{Value, json};

use crate::asm::EXIT;
use crate::support::{
    INPUT, call, clock_slot, environment, fault, first_word, hex_of, increment, scratch, text,
    with_keys, zkbpf,
};

#[test]
fn run_reports_halts() {
    let program = increment();
    let done = zkbpf(&[
        "run",
        "--raw-hex",
        &program,
        "--input-hex",
        INPUT,
        "--json",
        "--output",
    ]);
    let mut json = done.expect(0).json();
    let id = json["program_id"].take();
    assert_eq!(id.as_str().expect("a string").len(), 64);
    assert_eq!(
        json,
        json!({
            "outcome": "halt",
            "r0": "0x2a",
            "trap": null,
            "steps": 4,
            "compute_units": 4,
            "opcodes": {"ldxdw": 1, "add64": 1, "stxdw": 1, "exit": 1},
            "program_id": null,
            "output": "2a00000000000000",
        })
    );
    let done = zkbpf(&["run", "--raw-hex", &program, "--input-size", "8"]).expect(0);
    assert!(done.stdout.contains("halt, r0 = 0x1"), "{}", done.stdout);
}

#[test]
fn run_reports_traps() {
    let json = zkbpf(&["run", "--raw-hex", &fault(), "--json"])
        .expect(0)
        .json();
    assert_eq!(json["outcome"], "trap");
    assert_eq!(json["r0"], Value::Null);
    assert_eq!(json["trap"], json!({"kind": "AccessViolation", "pc": 1}));
    assert_eq!(json["steps"], 2);
    assert!(json.get("output").is_none());

    let program = increment();
    let arguments = [
        "run",
        "--raw-hex",
        &program,
        "--input-size",
        "8",
        "--max-steps",
        "2",
    ];
    let json = zkbpf(&[&arguments[..], &["--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(
        json["trap"],
        json!({"kind": "ExceededMaxInstructions", "pc": 2})
    );
}

#[test]
fn run_loads_objects_and_raw_files() {
    let object = format!("{}/examples/programs/fib.o", env!("CARGO_MANIFEST_DIR"));
    let input = scratch("fib.input");
    fs::write(&input, 10_u64.to_le_bytes()).expect("writable");
    let arguments = [
        "run",
        &object,
        "--input",
        text(&input),
        "--isa",
        "ebpf",
        "--json",
    ];
    let json = zkbpf(&[&arguments[..], &["--entry", "entry"]].concat())
        .expect(0)
        .json();
    assert_eq!(json["r0"], "0x37");

    let raw = scratch("increment.bin");
    fs::write(&raw, hex::decode(increment()).expect("hex")).expect("writable");
    let arguments = ["run", text(&raw), "--raw", "--input-hex", INPUT, "--json"];
    assert_eq!(zkbpf(&arguments).expect(0).json()["r0"], "0x2a");
    let done = zkbpf(&arguments[..2]).expect(3);
    assert!(done.stderr.contains("--raw"), "{}", done.stderr);
}

#[test]
fn sbpf_programs_run_in_their_dialect() {
    let program = first_word();
    for isa in ["sbpf-v0", "sbpf-v1", "sbpf-v3"] {
        let arguments = ["run", "--raw-hex", &program, "--isa", isa, "--json"];
        let json = zkbpf(&[&arguments[..], &["--input-hex", INPUT]].concat());
        let json = json.expect(0).json();
        assert_eq!(
            (&json["r0"], &json["compute_units"]),
            (&json!("0x29"), &json!(2))
        );
    }
    // Loads have other opcodes in v2.
    let done = zkbpf(&["run", "--raw-hex", &program, "--isa", "sbpf-v2"]).expect(3);
    assert!(done.stderr.contains("sbpf-v2"), "{}", done.stderr);

    let environment = environment("run.environment", 7);
    let program = clock_slot();
    let arguments = ["run", "--raw-hex", &program, "--isa", "sbpf-v0", "--json"];
    let json = zkbpf(&arguments).expect(0).json();
    assert_eq!(json["return_data"], "0000000000000000");
    let given = ["--environment", text(&environment)];
    let json = zkbpf(&[&arguments[..], &given].concat()).expect(0).json();
    assert_eq!(
        (&json["steps"], &json["compute_units"]),
        (&json!(8), &json!(248))
    );
    assert_eq!(json["return_data"], "0700000000000000");
    let text = zkbpf(&arguments[..5]).expect(0).stdout;
    assert!(text.contains("returned    00"), "{text}");

    // What a trap is called.
    let panic = hex_of(&[(0xb7, 1, 0, 0, 0), (0xb7, 2, 0, 0, 0), call("sol_panic_")]);
    let json = zkbpf(&["run", "--raw-hex", &panic, "--isa", "sbpf-v3", "--json"]);
    let json = json.expect(0).json();
    assert_eq!(json["trap"], json!({"kind": "Panic", "pc": 2}));
}

#[test]
fn limits_are_those_of_the_dialect() {
    let forever = hex_of(&[(0x05, 0, 0, -1, 0), EXIT]);
    let used = |more: &[&str]| {
        let arguments = ["run", "--raw-hex", &forever, "--json"];
        let json = zkbpf(&[&arguments[..], more].concat()).expect(0).json();
        assert_eq!(json["trap"]["kind"], "ExceededMaxInstructions");
        json["compute_units"].as_u64().expect("a number")
    };
    assert_eq!(used(&["--isa", "sbpf-v0"]), 1_400_000);
    assert_eq!(used(&["--isa", "sbpf-v3", "--max-steps", "9"]), 9);
    assert_eq!(used(&["--isa", "ebpf"]), 10_000_000);
}

#[test]
fn accesses_over_two_frames_run_and_have_no_proof() {
    // *(u64 *)(r10 - 4) is in two frames, with a gap of addresses between them.
    let program = hex_of(&[(0x79, 0, 10, -4, 0), (0xb7, 0, 0, 0, 0), EXIT]);
    let given = ["--raw-hex", &program, "--isa", "sbpf-v0"];
    let done = zkbpf(&[&["run"], &given[..]].concat()).expect(0);
    assert!(done.stdout.contains("halt, r0 = 0x0"), "{}", done.stdout);
    assert!(done.stderr.contains("no proof"), "{}", done.stderr);
    let done = with_keys(&[&["prove", "-o", "x"], &given[..]].concat()).expect(3);
    assert!(done.stderr.contains("not provable yet"), "{}", done.stderr);
}
