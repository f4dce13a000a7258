//! Claims about a proof, and what a file says by itself.

use std::fs;

use serde_json::{Value, json};

use crate::asm::EXIT;
use crate::support::{INPUT, PROVED, hex_of, increment, scratch, text, verify, with_keys, zkbpf};

#[test]
fn verify_accepts_what_was_proved() {
    let (file, proved) = &*PROVED;
    let program = increment();
    let output = scratch("increment.output");
    fs::write(&output, 42_u64.to_le_bytes()).expect("writable");
    let claim = ["--raw-hex", &program, "--input-hex", INPUT];
    let json = verify(file, &claim).expect(0).json();
    assert!(json["verify_ms"].as_f64().expect("a number") > 0.0);
    for (field, value) in [
        ("valid", json!(true)),
        ("program_id", proved["program_id"].clone()),
        ("outcome", json!("halt")),
        ("r0", json!("0x2a")),
        ("trap", Value::Null),
        ("steps", json!(4)),
        ("chunks", json!(2)),
        ("input_checked", json!(true)),
        ("outcome_checked", json!(true)),
        ("output_checked", json!(false)),
        ("srs", json!("insecure-test")),
    ] {
        assert_eq!(json[field], value, "{field}");
    }
    let exact = ["--expect-r0", "42", "--expect-output", text(&output)];
    let json = verify(file, &[&claim[..], &exact].concat())
        .expect(0)
        .json();
    assert_eq!(json["output_checked"], true);

    let any = ["--raw-hex", &program, "--any-input", "--any-outcome"];
    let json = verify(file, &any).expect(0).json();
    assert_eq!(
        (&json["input_checked"], &json["outcome_checked"]),
        (&json!(false), &json!(false))
    );

    // The program is known by its identity where it was proved, and nowhere else.
    let id = proved["program_id"].as_str().expect("a string");
    verify(file, &["--program-id", id, "--input-hex", INPUT]).expect(0);
    let other = id.replace(['0', '1', '2', '3'], "4");
    let done = verify(file, &["--program-id", &other, "--input-hex", INPUT]).expect(2);
    assert!(done.stderr.contains("give --program"), "{}", done.stderr);

    let text = with_keys(&[&["verify", text(file)], &claim[..]].concat())
        .expect(0)
        .stdout;
    assert!(
        text.starts_with("VALID\n") && text.contains("INSECURE"),
        "{text}"
    );
}

#[test]
fn verify_refuses_other_claims() {
    let (file, _) = &*PROVED;
    let program = increment();
    let other_program = hex_of(&[
        (0x79, 0, 1, 0, 0),
        (0x07, 0, 0, 0, 2),
        (0x7b, 1, 0, 0, 0),
        EXIT,
    ]);
    let output = scratch("wrong.output");
    fs::write(&output, 43_u64.to_le_bytes()).expect("writable");
    let given = ["--raw-hex", program.as_str(), "--input-hex", INPUT];
    let with = |more: &[&'static str]| [&given, more].concat();
    for (arguments, reason) in [
        (with(&["--expect-r0", "0x2b"]), "ends with"),
        (
            with(&["--expect-trap", "AccessViolation"]),
            "AccessViolation",
        ),
        (with(&["--expect-trap", "AccessViolation@1"]), "ends with"),
        (with(&["--max-steps", "100"]), "budget"),
        (with(&["--stack-size", "1024"]), "another"),
        (with(&["--input-size", "16"]), "input region"),
        (
            vec!["--raw-hex", &program, "--input-hex", "2a00000000000000"],
            "another input",
        ),
        (
            vec!["--raw-hex", &other_program, "--input-hex", INPUT],
            "another program",
        ),
        (
            [&given[..], &["--expect-output", text(&output)]].concat(),
            "another output",
        ),
    ] {
        let json = verify(file, &arguments).expect(1).json();
        assert_eq!(json["valid"], false, "{arguments:?}");
        let found = json["reason"].as_str().expect("a string");
        assert!(found.contains(reason), "{arguments:?}: {found}");
    }
}

#[test]
fn verify_needs_expectations_and_parameters() {
    let (file, _) = &*PROVED;
    let program = increment();
    for (arguments, words) in [
        (vec!["--raw-hex", &program], "--any-input"),
        (vec!["--input-hex", INPUT], "--program"),
        (
            vec!["--raw-hex", &program, "--any-input", "--input-hex", INPUT],
            "--any-input",
        ),
        (
            vec![
                "--raw-hex",
                &program,
                "--any-input",
                "--any-outcome",
                "--expect-r0",
                "1",
            ],
            "--expect-r0",
        ),
        (
            vec!["--raw-hex", &program, "--any-input", "--expect-trap", "Bad"],
            "no such trap",
        ),
        (
            vec!["--raw-hex", &program, "--program-id", "00", "--any-input"],
            "--raw-hex",
        ),
    ] {
        let done = verify(file, &arguments).expect(2);
        assert!(
            done.stderr.contains(words),
            "{arguments:?}: {}",
            done.stderr
        );
    }
    // Whatever the file says, test parameters must be asked for.
    let arguments = [
        "verify",
        text(file),
        "--raw-hex",
        &program,
        "--input-hex",
        INPUT,
    ];
    let done = zkbpf(&arguments).expect(2);
    assert!(
        done.stderr.contains("--insecure-test-srs"),
        "{}",
        done.stderr
    );
    assert!(done.stdout.is_empty());
}

#[test]
fn verify_refuses_damaged_files() {
    let (file, _) = &*PROVED;
    let program = increment();
    let claim = ["--raw-hex", program.as_str(), "--input-hex", INPUT];
    let bytes = fs::read(file).expect("there");
    let damaged = scratch("damaged.proof");
    let middle = bytes.len() / 2;
    let mut flipped = bytes.clone();
    flipped[middle] ^= 1;
    let longer = [&bytes[..], &[0]].concat();
    for wrong in [
        &flipped,
        &bytes[..bytes.len() - 1],
        &bytes[..middle],
        &longer,
    ] {
        fs::write(&damaged, wrong).expect("writable");
        assert_eq!(verify(&damaged, &claim).expect(1).json()["valid"], false);
    }
    for no_proof in [&b""[..], b"something else", &bytes[1..]] {
        fs::write(&damaged, no_proof).expect("writable");
        verify(&damaged, &claim).expect(3);
        with_keys(&["inspect", text(&damaged)]).expect(3);
    }
}

#[test]
fn inspect_shows_and_does_not_verify() {
    let (file, proved) = &*PROVED;
    let json = zkbpf(&["inspect", text(file), "--json"]).expect(0).json();
    for (field, value) in [
        ("verified", json!(false)),
        ("program_id", proved["program_id"].clone()),
        ("outcome", json!("halt")),
        ("r0", json!("0x2a")),
        ("steps", json!(4)),
        ("compute_units", json!(4)),
        ("max_steps", json!(10_000_000)),
        ("whole_program", json!(false)),
        ("k", json!(10)),
        ("srs", json!("insecure-test")),
        ("insecure", json!(true)),
        ("isa", json!("ebpf")),
        ("input_size", json!(8)),
    ] {
        assert_eq!(json[field], value, "{field}");
    }
    assert_eq!(json["aggregate"], false);
    let chunks = json["chunks"].as_array().expect("a list");
    assert_eq!(chunks.len(), 2);
    assert_eq!(
        (&chunks[1]["steps_in"], &chunks[1]["steps_out"]),
        (&json!(3), &json!(4))
    );
    let text = zkbpf(&["inspect", text(file)]).expect(0).stdout;
    assert!(
        text.starts_with("NOT VERIFIED") && text.contains("INSECURE"),
        "{text}"
    );
}
