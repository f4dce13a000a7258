//! What every verb prints as JSON is what docs/cli.md says.

use std::fs;

use serde_json::Value;

use crate::asm::EXIT;
use crate::documented::assert_documented;
use crate::support::{
    INPUT, PROVED, TRAPPED, clock_slot, fault, hex_of, increment, scratch, text, verify, with_keys,
    zkbpf,
};

fn json(arguments: &[&str]) -> Value {
    zkbpf(&[arguments, &["--json"]].concat()).expect(0).json()
}

#[test]
fn of_run() {
    let (halt, trap, returns) = (increment(), fault(), clock_slot());
    let halts = json(&["run", "--raw-hex", &halt, "--input-hex", INPUT, "--output"]);
    let traps = json(&["run", "--raw-hex", &trap]);
    let returns = json(&["run", "--raw-hex", &returns, "--isa", "sbpf-v0"]);
    assert_documented("### `run --json`", &[&halts, &traps, &returns]);
}

#[test]
fn of_trace() {
    let (halt, trap) = (increment(), fault());
    // In two frames.
    let unprovable = hex_of(&[(0x79, 0, 10, -4, 0), (0xb7, 0, 0, 0, 0), EXIT]);
    let (file, trapped) = (scratch("documented.json"), scratch("documented-trap.json"));
    let output = ["trace", "-o", text(&file)];
    let halts = ["--raw-hex", &halt, "--input-hex", INPUT];
    let unprovable = ["--raw-hex", &unprovable, "--isa", "sbpf-v0"];
    let unprovable = json(&[&output[..], &unprovable].concat());
    let halts = json(&[&output[..], &halts].concat());
    let traps = json(&["trace", "--raw-hex", &trap, "-o", text(&trapped)]);
    assert_eq!(unprovable["chunks"], Value::Null);
    assert_documented("### `trace --json`", &[&halts, &traps, &unprovable]);
    let read = |file| serde_json::from_slice(&fs::read(file).expect("written")).expect("JSON");
    let (halts, traps): (Value, Value) = (read(&file), read(&trapped));
    assert_documented("### The file of steps", &[&halts, &traps]);
}

#[test]
fn of_estimate_and_keygen() {
    let program = increment();
    let given = ["--raw-hex", &program, "--input-hex", INPUT, "--json"];
    let estimate = with_keys(&[&["estimate"], &given[..]].concat()).expect(0);
    assert_documented("### `estimate --json`", &[&estimate.json()]);
    let keygen = with_keys(&["keygen", "--k", "10", "--json"]).expect(0);
    assert_documented("### `keygen --json`", &[&keygen.json()]);
}

#[test]
fn of_prove_and_inspect() {
    let ((halted, proved), (trapped, proved_trap)) = (&*PROVED, &*TRAPPED);
    assert_documented("### `prove --json`", &[proved, proved_trap]);
    let (halted, trapped) = (
        json(&["inspect", text(halted)]),
        json(&["inspect", text(trapped)]),
    );
    assert_documented("### `inspect --json`", &[&halted, &trapped]);
}

#[test]
fn of_verify() {
    let ((halted, _), (trapped, _)) = (&*PROVED, &*TRAPPED);
    let (increment, fault) = (increment(), fault());
    let given = ["--raw-hex", &increment, "--input-hex", INPUT];
    let halts = verify(halted, &given).expect(0).json();
    let trap = ["--raw-hex", &fault, "--input-size", "0", "--any-outcome"];
    let traps = verify(trapped, &trap).expect(0).json();
    assert_documented("### `verify --json`, valid", &[&halts, &traps]);
    let refused = verify(halted, &[&given[..], &["--expect-r0", "1"]].concat());
    assert_documented("### `verify --json`, invalid", &[&refused.expect(1).json()]);
}

#[test]
fn of_cache() {
    let shared = with_keys(&["keygen", "--k", "10"]).expect(0);
    assert!(shared.stderr.contains("INSECURE"), "{}", shared.stderr);
    let keys = with_keys(&["cache", "list", "--json"]).expect(0).json();
    assert!(!keys["entries"].as_array().expect("a list").is_empty());
    let folder = scratch("documented-cache");
    fs::create_dir_all(&folder).expect("writable");
    let damaged = format!("program-{}.json", "0".repeat(64));
    fs::write(folder.join(damaged), "{}").expect("writable");
    let own = |verb| json(&["cache", verb, "--cache-dir", text(&folder)]);
    let (path, cleared) = (own("path"), own("clear"));
    assert!(cleared["entries"][0]["reason"].is_string(), "{cleared}");
    assert_documented("### `cache --json`", &[&keys, &path, &cleared]);
}

#[test]
fn of_completions_and_man() {
    let bash = json(&["completions", "bash"]);
    assert_documented("### `completions --json`", &[&bash]);
    let folder = scratch("documented-man");
    let (page, files) = (json(&["man"]), json(&["man", "-o", text(&folder)]));
    assert_documented("### `man --json`", &[&page, &files]);
}

/// Of every kind, those of clap included.
#[test]
fn of_errors() {
    let nowhere = scratch("nowhere");
    let program = increment();
    let below_a_file = format!("{}/x", env!("CARGO_BIN_EXE_zkbpf"));
    for (arguments, code) in [
        (vec!["--json"], 2),
        (vec!["run", "--json"], 2),
        (vec!["run", "--json", "--no-such-option"], 2),
        (vec!["prove", "--raw-hex", &program, "-o", "x", "--json"], 2),
        (vec!["run", text(&nowhere), "--json"], 3),
        (vec!["man", "-o", &below_a_file, "--json"], 4),
    ] {
        let done = zkbpf(&arguments).expect(code);
        let json = done.json();
        assert_documented("### Errors as JSON", &[&json]);
        assert_eq!(json["exit_code"], code, "{arguments:?}");
        assert!(!done.stderr.is_empty(), "{arguments:?}");
        for field in ["error", "help"] {
            let text = json[field].as_str().expect("a string");
            assert!(
                !text.is_empty() && !text.contains('\n'),
                "{arguments:?}: {text}"
            );
        }
    }
    // Behind `--` it is no option.
    let done = zkbpf(&["run", "--no-such-option", "--", "--json"]).expect(2);
    assert!(done.stdout.is_empty(), "{}", done.stdout);
}
