//! Every verb of the command line, through the built binary.

mod asm;
mod corpora;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use asm::{EXIT, Fields, bytecode};
use serde_json::{Value, json};
use zkbpf::bpf_tracer::syscall::name_hash;

/// What a command did.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Done {
    fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }
}

fn zkbpf<S: AsRef<str>>(arguments: &[S]) -> Done {
    let arguments = arguments.iter().map(|argument| argument.as_ref());
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_zkbpf"))
        .args(arguments)
        .env_remove("ZKBPF_LOG")
        .output()
        .expect("the binary runs");
    Done {
        code: status.code().expect("it was not killed"),
        stdout: String::from_utf8(stdout).expect("UTF-8"),
        stderr: String::from_utf8(stderr).expect("UTF-8"),
    }
}

/// The same, with keys that all tests share.
fn with_keys(arguments: &[&str]) -> Done {
    let keys = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");
    zkbpf(&[arguments, &["--insecure-test-srs", "--cache-dir", keys]].concat())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A file of this test binary.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&folder).expect("writable");
    // What tests that were interrupted have left.
    let _ = fs::remove_dir_all(folder.join(format!("{name}.job")));
    folder.join(name)
}

fn hex_of(slots: &[Fields]) -> String {
    hex::encode(bytecode(slots))
}

/// Counts down from `turns`; three steps, and two for each turn.
fn loop_of(turns: i32) -> [Fields; 5] {
    [
        (0xb7, 1, 0, 0, turns),
        (0x07, 1, 0, 0, -1),
        (0x55, 1, 0, -2, 0),
        (0xb7, 0, 0, 0, 0),
        EXIT,
    ]
}

/// `*(u64 *)r1 += 1; r0 = *(u64 *)r1; exit`
fn increment() -> String {
    hex_of(&[
        (0x79, 0, 1, 0, 0),
        (0x07, 0, 0, 0, 1),
        (0x7b, 1, 0, 0, 0),
        EXIT,
    ])
}

/// `r0 = 7; r0 = *(u8 *)(r1 + 0)`, without an input.
fn fault() -> String {
    hex_of(&[(0xb7, 0, 0, 0, 7), (0x71, 0, 1, 0, 0), EXIT])
}

/// `call name`, a system call of sBPF.
fn call(name: &str) -> Fields {
    (0x85, 0, 0, 0, name_hash(name) as i32)
}

/// Returns the slot number of the clock as return data, with 0.
fn clock_slot() -> String {
    let buffer = [(0xbf, 1, 10, 0, 0), (0x07, 1, 0, 0, -40)];
    let get = [&buffer[..], &[call("sol_get_clock_sysvar")]].concat();
    let set = [(0xb7, 2, 0, 0, 8), call("sol_set_return_data"), EXIT];
    hex_of(&[&get[..], &buffer, &set].concat())
}

/// `r0 = *(u64 *)r1; exit`: the number of accounts, if the input is that of a Solana program.
fn first_word() -> String {
    hex_of(&[(0x79, 0, 1, 0, 0), EXIT])
}

/// An environment whose clock stands at this slot; its other fields are zero.
fn environment(name: &str, slot: u8) -> PathBuf {
    let clock = [&[slot][..], &[0; 39]].concat();
    let json = json!({
        "program_id": "11111111111111111111111111111111",
        "sysvars": {"SysvarC1ock11111111111111111111111111111111": hex::encode(clock)},
    });
    let file = scratch(name);
    fs::write(&file, json.to_string()).expect("writable");
    file
}

const INPUT: &str = "2900000000000000";

/// A proof of `increment`, in two chunks, and what `prove --json` said.
static PROVED: LazyLock<(PathBuf, Value)> = LazyLock::new(|| {
    let file = scratch("increment.proof");
    let program = increment();
    let arguments = [
        "prove",
        "--raw-hex",
        &program,
        "--input-hex",
        INPUT,
        "-o",
        text(&file),
        "--k",
        "10",
        "--chunk-size",
        "3",
        "--mode",
        "sequential",
        "--threads",
        "2",
        "--json",
    ];
    let done = with_keys(&arguments).expect(0);
    (file, done.json())
});

fn verify(file: &Path, arguments: &[&str]) -> Done {
    with_keys(&[&["verify", text(file), "--json"], arguments].concat())
}

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
        let done = zkbpf(&arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.stderr);
        assert!(
            done.stderr.contains(words),
            "{arguments:?}: {}",
            done.stderr
        );
        assert!(done.stdout.is_empty(), "{arguments:?}: {}", done.stdout);
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
        let done = zkbpf(&arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.stderr);
        assert!(
            done.stderr.contains(words),
            "{arguments:?}: {}",
            done.stderr
        );
        assert!(done.stdout.is_empty(), "{arguments:?}: {}", done.stdout);
    }
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
fn traces_are_pages_or_steps() {
    let looped = hex_of(&loop_of(3));
    let (page, steps) = (scratch("trace.html"), scratch("trace.json"));
    let run = ["trace", "--raw-hex", &looped, "--json", "-o"];
    let done = zkbpf(&[&run[..], &[text(&page)]].concat()).expect(0).json();
    for (field, value) in [("steps", 9), ("compute_units", 9), ("chunks", 1)] {
        assert_eq!(done[field], value, "{field}");
    }
    assert_eq!(
        (&done["outcome"], &done["r0"]),
        (&json!("halt"), &json!("0x0"))
    );
    let html = fs::read_to_string(&page).expect("written");
    assert_eq!(done["bytes"].as_u64(), Some(html.len() as u64));
    assert!(html.starts_with("<!doctype html>") && html.contains("r1 += -0x1"));

    zkbpf(&[&run[..], &[text(&steps)]].concat()).expect(0);
    let file: Value = serde_json::from_slice(&fs::read(&steps).expect("written")).expect("JSON");
    assert_eq!(file["program_id"], done["program_id"]);
    let slots: Vec<u64> = file["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["pc"].as_u64().expect("a slot"))
        .collect();
    assert_eq!(slots, [0, 1, 2, 1, 2, 1, 2, 3, 4]);
    assert_eq!(file["steps"][1]["op"], "add64");
    assert_eq!(file["steps"][1]["result"], "0x2");

    let other = scratch("trace.txt");
    let refused = zkbpf(&[&run[..], &[text(&other)]].concat()).expect(2);
    assert!(
        refused.stderr.contains(".html or .json"),
        "{}",
        refused.stderr
    );
}

/// An estimate is exact where it can be, and knows what it needs of memory.
#[test]
fn estimates_are_what_is_proved() {
    let looped = hex_of(&loop_of(40));
    let file = scratch("estimated.proof");
    let keys = scratch("estimated.keys");
    let keys = &["--insecure-test-srs", "--cache-dir", text(&keys)];
    let run = ["--raw-hex", &looped, "--k", "10", "--chunk-size", "60"];
    let ask = |more: &[&str]| zkbpf(&[&["estimate"], &run[..], keys, &["--json"], more].concat());
    // Nothing is known of this machine: a small chunk is proved first.
    let estimate = ask(&["--mode", "sequential"]).expect(0).json();
    assert_eq!(estimate["k"], 10);
    assert!(estimate["chunks"].as_u64() > Some(1), "{estimate}");
    assert_eq!(estimate["at_once"], 1);
    for field in ["prove_seconds", "cpu_seconds"] {
        assert!(estimate[field].as_f64() > Some(0.0), "{estimate}");
    }
    let prove = ["prove", "-o", text(&file), "--json", "--mode", "sequential"];
    let proved = zkbpf(&[&prove, &run[..], keys].concat()).expect(0).json();
    for field in ["chunks", "k", "steps", "proof_bytes", "program_id"] {
        assert_eq!(estimate[field], proved[field], "{field}");
    }

    // One after another takes less memory than all at once; a budget for one allows no more.
    let needed = estimate["memory_bytes"].as_u64().expect("a number");
    let parallel = ask(&["--mode", "parallel", "--threads", "3"])
        .expect(0)
        .json();
    assert!(
        parallel["memory_bytes"].as_u64() > Some(needed),
        "{parallel}"
    );
    assert!(parallel["at_once"].as_u64() > Some(1), "{parallel}");
    let budget = (needed + needed / 4).to_string();
    let bounded = [
        "--mode",
        "parallel",
        "--threads",
        "3",
        "--memory-budget",
        &budget,
    ];
    let bounded = ask(&bounded).expect(0).json();
    assert_eq!(bounded["at_once"], 1);
    assert_eq!(bounded["memory_bytes"], needed);
    for verb in [&["estimate"][..], &["prove", "-o", text(&file)]] {
        let small = ["--memory-budget", "1000000"];
        let refused = zkbpf(&[verb, &run[..], keys, &small].concat()).expect(4);
        assert!(
            refused.stderr.contains("bytes of memory"),
            "{}",
            refused.stderr
        );
    }
}

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

/// A contract is for aggregates. (What works with one needs keys of gigabytes: tests/aggregation.rs.)
#[test]
fn chunk_proofs_are_not_exported() {
    let (file, _) = &*PROVED;
    let folder = scratch("contracts");
    let arguments = ["export-verifier", text(file), "--evm", "-o", text(&folder)];
    let done = with_keys(&arguments).expect(3);
    assert!(done.stderr.contains("zkbpf aggregate"), "{}", done.stderr);
    assert!(!folder.exists());
}

#[test]
fn keys_are_made_listed_and_cleared() {
    let folder = scratch("own-cache");
    // Left by a run before.
    let _ = fs::remove_dir_all(&folder);
    let own = ["--cache-dir", text(&folder), "--json"];
    let cache = |verb| {
        zkbpf(&[&["cache", verb], &own[..]].concat())
            .expect(0)
            .json()
    };
    assert_eq!(cache("list")["entries"], json!([]));

    let arguments = ["keygen", "--k", "10", "--insecure-test-srs", "--quiet"];
    let json = zkbpf(&[&arguments[..], &own].concat()).expect(0).json();
    assert_eq!(
        (&json["k"], &json["srs"]),
        (&json!(10), &json!("insecure-test"))
    );
    let list = cache("list");
    assert_eq!(list["path"], text(&folder));
    assert!(list["bytes"].as_u64().expect("a number") > 100_000);

    fs::write(folder.join("mine.txt"), "kept").expect("writable");
    cache("clear");
    assert_eq!(cache("list")["entries"], json!([]));
    assert_eq!(
        fs::read_to_string(folder.join("mine.txt")).expect("there"),
        "kept"
    );
    let path = zkbpf(&["cache", "path", "--cache-dir", text(&folder)])
        .expect(0)
        .stdout;
    assert_eq!(path.trim_end(), text(&folder));
}
