//! Proofs, from the program to an accepted claim.

use std::fs;

use serde_json::{Value, json};

use crate::corpora;
use crate::support::{
    INPUT, PROVED, clock_slot, environment, fault, first_word, increment, scratch, text, verify,
    with_keys, zkbpf,
};

#[test]
fn prove_reports_what_it_did() {
    let (file, json) = &*PROVED;
    for (field, value) in [
        ("outcome", json!("halt")),
        ("r0", json!("0x2a")),
        ("trap", Value::Null),
        ("steps", json!(4)),
        ("chunks", json!(2)),
        ("k", json!(10)),
        ("chunks_reused", json!(0)),
        ("chunk_size", json!(3)),
        ("verified", json!(true)),
        ("srs", json!("insecure-test")),
        (
            "proof_bytes",
            json!(fs::metadata(file).expect("there").len()),
        ),
    ] {
        assert_eq!(json[field], value, "{field}");
    }
    assert!(json["prove_seconds"].as_f64().expect("a number") > 0.0);
    if cfg!(target_os = "linux") {
        assert!(json["cpu_seconds"].as_f64().expect("a number") > 0.0);
        assert!(json["peak_rss_bytes"].as_u64().expect("a number") > 1 << 20);
    }
    let run = zkbpf(&["run", "--raw-hex", &increment(), "--json"])
        .expect(0)
        .json();
    assert_eq!(json["program_id"], run["program_id"]);
}

#[test]
fn sbpf_programs_are_proved_in_their_environment() {
    let file = scratch("clock.proof");
    let environment_7 = environment("clock7.environment", 7);
    let environment_8 = environment("clock8.environment", 8);
    let program = clock_slot();
    let given = ["--raw-hex", program.as_str(), "--isa", "sbpf-v0"];
    let prove = ["prove", "-o", text(&file), "--json", "--environment"];
    let input = ["--input-hex", INPUT];
    let arguments = [&prove[..], &[text(&environment_7)], &given, &input].concat();
    let json = with_keys(&arguments).expect(0).json();
    assert_eq!(
        (&json["chunks"], &json["k"], &json["compute_units"]),
        (&json!(1), &json!(10), &json!(248))
    );
    let id = json["program_id"].as_str().expect("a string").to_owned();

    let returned = scratch("clock.returned");
    fs::write(&returned, 7_u64.to_le_bytes()).expect("writable");
    let other = scratch("clock.other");
    fs::write(&other, 8_u64.to_le_bytes()).expect("writable");
    let output = scratch("clock.output");
    fs::write(&output, hex::decode(INPUT).expect("hex")).expect("writable");
    let here = ["--environment", text(&environment_7)];
    let claim = [&given[..], &input, &here].concat();
    let json = verify(&file, &claim).expect(0).json();
    assert_eq!(
        (&json["r0"], &json["compute_units"], &json["output_checked"]),
        (&json!("0x0"), &json!(248), &json!(false))
    );
    let exact = [
        "--expect-output",
        text(&output),
        "--expect-return-data",
        text(&returned),
        "--expect-compute-units",
        "248",
    ];
    let json = verify(&file, &[&claim[..], &exact].concat());
    assert_eq!(json.expect(0).json()["output_checked"], true);
    // The dialect is part of what is kept for --program-id.
    let kept = [&["--program-id", id.as_str()], &input[..], &here].concat();
    verify(&file, &kept).expect(0);

    let with = |more: &[&'static str]| [&claim[..], more].concat();
    let there = ["--environment", text(&environment_8)];
    for (arguments, reason) in [
        ([&given[..], &input].concat(), "another program"),
        ([&given[..], &input, &there].concat(), "another program"),
        (
            [
                &["--raw-hex", &program, "--isa", "sbpf-v3"],
                &input[..],
                &here,
            ]
            .concat(),
            "another",
        ),
        (with(&["--expect-r0", "7"]), "ends with"),
        (with(&["--expect-compute-units", "247"]), "compute units"),
        (with(&["--max-steps", "1000"]), "budget"),
        (with(&["--heap-size", "65536"]), "another program"),
        // Return data are none unless they are said.
        (
            [&claim[..], &["--expect-output", text(&output)]].concat(),
            "another output",
        ),
        (
            [
                &claim[..],
                &["--expect-output", text(&output)],
                &["--expect-return-data", text(&other)],
            ]
            .concat(),
            "another output",
        ),
    ] {
        let json = verify(&file, &arguments).expect(1).json();
        let found = json["reason"].as_str().expect("a string");
        assert!(found.contains(reason), "{arguments:?}: {found}");
    }
    let alone = [&claim[..], &["--expect-return-data", text(&returned)]].concat();
    let done = verify(&file, &alone).expect(2);
    assert!(done.stderr.contains("--expect-output"), "{}", done.stderr);
}

#[test]
fn errors_of_solana_programs_are_not_what_is_expected() {
    let file = scratch("one.proof");
    let program = first_word();
    let given = [
        "--raw-hex",
        &program,
        "--isa",
        "sbpf-v3",
        "--input-hex",
        INPUT,
    ];
    let prove = ["prove", "-o", text(&file), "--k", "10", "--json"];
    let json = with_keys(&[&prove[..], &given].concat()).expect(0).json();
    assert_eq!(json["r0"], "0x29");
    let json = verify(&file, &given).expect(1).json();
    let reason = json["reason"].as_str().expect("a string");
    assert!(reason.contains("ends with"), "{reason}");
    verify(&file, &[&given[..], &["--expect-r0", "0x29"]].concat()).expect(0);
    verify(&file, &[&given[..], &["--any-outcome"]].concat()).expect(0);
}

/// A program of Solana's mainnet, from its file and a recorded input.
#[test]
fn deployed_programs_are_proved() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    let recorded = fs::read(corpora.join("solana/ptoken_transfer.json")).expect("there");
    let recorded: Value = serde_json::from_slice(&recorded).expect("JSON");
    let hex_of = |field: &str| hex::decode(recorded[field].as_str().expect("a string"));
    let input = scratch("transfer.input");
    fs::write(&input, hex_of("input_region_hex").expect("hex")).expect("writable");
    let executable = corpora.join(recorded["elf"].as_str().expect("a file"));
    let file = scratch("transfer.proof");
    let prove = ["prove", text(&executable), "--input", text(&input)];
    let done = with_keys(&[&prove[..], &["-o", text(&file), "--json"]].concat());
    let json = done.expect(0).json();
    assert_eq!(json["compute_units"], recorded["compute_units"]);
    let claim = ["--program", text(&executable), "--input", text(&input)];
    let claim = [&claim[..], &["--isa", "sbpf-v0", "--expect-compute-units"]].concat();
    verify(&file, &[&claim[..], &["76"]].concat()).expect(0);
    verify(&file, &[&claim[..], &["77"]].concat()).expect(1);
    let done = zkbpf(&["run", text(&executable), "--entry", "entrypoint"]).expect(2);
    assert!(done.stderr.contains("entry"), "{}", done.stderr);
}

#[test]
fn proofs_of_both_engines_are_accepted() {
    let program = increment();
    let claim = ["--raw-hex", &program, "--input-hex", INPUT];
    for engine in ["fast", "stock"] {
        let file = scratch(&format!("increment-{engine}.proof"));
        let shape = ["--k", "10", "--chunk-size", "3", "--engine", engine];
        let output = ["prove", "-o", text(&file), "--json"];
        let prove = [&output, &claim[..], &shape].concat();
        assert_eq!(with_keys(&prove).expect(0).json()["chunks"], 2);
        assert_eq!(verify(&file, &claim).expect(0).json()["valid"], true);
    }
}

#[test]
fn traps_are_proved_and_expected() {
    let file = scratch("fault.proof");
    let program = fault();
    let arguments = [
        "prove",
        "--raw-hex",
        &program,
        "-o",
        text(&file),
        "--whole-program",
        "--json",
    ];
    let json = with_keys(&arguments).expect(0).json();
    assert_eq!(json["trap"], json!({"kind": "AccessViolation", "pc": 1}));
    assert_eq!((&json["chunks"], &json["k"]), (&json!(1), &json!(10)));
    let inspected = zkbpf(&["inspect", text(&file), "--json"]).expect(0).json();
    assert_eq!(inspected["whole_program"], true);

    let claim = ["--raw-hex", &program, "--input-size", "0"];
    let with = |more: &[&'static str]| verify(&file, &[&claim, more].concat());
    with(&[]).expect(1);
    with(&["--expect-r0", "0"]).expect(1);
    with(&["--expect-trap", "CallDepthExceeded"]).expect(1);
    with(&["--expect-trap", "AccessViolation@0"]).expect(1);
    let json = with(&["--expect-trap", "AccessViolation"]).expect(0).json();
    assert_eq!(
        (&json["outcome"], &json["r0"]),
        (&json!("trap"), &Value::Null)
    );
    assert_eq!(json["outcome_checked"], true);
    with(&["--expect-trap", "AccessViolation@1"]).expect(0);
}
