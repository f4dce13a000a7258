//! Command lines and files that cannot be used.

use std::fs;

use crate::asm::EXIT;
use crate::support::{INPUT, call, first_word, hex_of, increment, refused, scratch, text, zkbpf};

#[test]
fn mistakes_have_exit_codes() {
    let program = increment();
    let nowhere = scratch("nowhere");
    for (arguments, code, words) in [
        (vec![], 2, "Usage"),
        (vec!["run"], 2, "PROGRAM"),
        (vec!["run", text(&nowhere)], 3, "nowhere"),
        (vec!["run", "--raw-hex", "xx"], 2, "--raw-hex"),
        (
            vec!["run", "--raw-hex", "ff00000000000000"],
            3,
            "opcode 0xff",
        ),
        (
            vec!["run", "--raw-hex", &program, "--entry", "f"],
            2,
            "entry",
        ),
        (
            vec!["run", "--raw-hex", &program, "--isa", "sbpf-v9"],
            2,
            "ebpf",
        ),
        (
            vec!["run", "--raw-hex", &program, "--stack-size", "5"],
            2,
            "512",
        ),
        (
            vec![
                "run",
                "--raw-hex",
                &program,
                "--input-hex",
                INPUT,
                "--input-size",
                "7",
            ],
            2,
            "--input-size",
        ),
        (
            vec!["run", "--raw-hex", &program, "--threads", "0"],
            2,
            "--threads",
        ),
        (vec!["keygen", "--k", "10"], 2, "--insecure-test-srs"),
        (
            vec!["keygen", "--k", "9", "--insecure-test-srs"],
            2,
            "k = 9",
        ),
        (
            vec!["keygen", "--k", "10", "--srs", text(&nowhere)],
            3,
            "nowhere",
        ),
        (
            vec!["keygen", "--srs", text(&nowhere), "--insecure-test-srs"],
            2,
            "cannot be used with",
        ),
        (vec!["prove", "--raw-hex", &program, "-o", "x"], 2, "--srs"),
        (vec!["inspect", text(&nowhere)], 3, "nowhere"),
        (vec!["aggregate", "x", "-o", "y"], 2, "--srs"),
        (
            vec![
                "aggregate",
                text(&nowhere),
                "-o",
                "y",
                "--insecure-test-srs",
            ],
            3,
            "nowhere",
        ),
        (vec!["export-verifier", "x", "-o", "y"], 2, "--evm"),
        (vec!["export-verifier", "x", "--evm", "-o", "y"], 2, "--srs"),
        (
            vec![
                "prove",
                "--raw-hex",
                &program,
                "--insecure-test-srs",
                "-o",
                "x",
                "--k",
                "21",
            ],
            2,
            "k = 21",
        ),
        (
            vec![
                "prove",
                "--raw-hex",
                &program,
                "--insecure-test-srs",
                "-o",
                "x",
                "--max-steps",
                "0",
            ],
            2,
            "step limit",
        ),
        (vec!["cache", "burn"], 2, "burn"),
    ] {
        refused(&arguments, code, words);
    }
    let json = zkbpf(&["run", text(&nowhere), "--json"]).expect(3).json();
    assert_eq!(json["exit_code"], 3);
    assert!(
        json["error"]
            .as_str()
            .expect("a string")
            .contains("nowhere")
    );
    zkbpf(&["--help"]).expect(0);
    zkbpf(&["--version"]).expect(0);
}

#[test]
fn mistakes_about_sbpf_have_exit_codes() {
    let object = format!("{}/examples/programs/fib.o", env!("CARGO_MANIFEST_DIR"));
    let program = first_word();
    let hash = hex_of(&[call("sol_sha256"), EXIT]);
    let ebpf = ["run", "--raw-hex", &program];
    let sbpf = ["run", "--raw-hex", &program, "--isa", "sbpf-v0"];
    let with = |given: &[&'static str]| [&sbpf, given].concat();
    let bad = scratch("bad.environment");
    fs::write(&bad, r#"{"clock": 1}"#).expect("writable");
    for (arguments, code, words) in [
        (
            vec!["run", &object, "--isa", "sbpf-v0"],
            2,
            "ebpf, not sbpf-v0",
        ),
        (with(&["--entry", "f"]), 2, "entry"),
        (with(&["--stack-size", "512"]), 2, "--stack-size"),
        (with(&["--heap-size", "5"]), 2, "heap"),
        (
            [&ebpf[..], &["--heap-size", "8"]].concat(),
            2,
            "--heap-size",
        ),
        (
            [&ebpf[..], &["--environment", text(&bad)]].concat(),
            2,
            "--environment",
        ),
        (
            [&sbpf[..], &["--environment", text(&bad)]].concat(),
            3,
            "unknown field",
        ),
        (
            vec!["run", "--raw-hex", &hash, "--isa", "sbpf-v0"],
            3,
            "not provable yet: sol_sha256",
        ),
        (
            vec![
                "prove",
                "--raw-hex",
                &hash,
                "--isa",
                "sbpf-v0",
                "-o",
                "x",
                "--insecure-test-srs",
            ],
            3,
            "not provable yet: sol_sha256",
        ),
    ] {
        refused(&arguments, code, words);
    }
}
