//! The built binary, and programs for it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use zkbpf::bpf_tracer::syscall::name_hash;

use crate::asm::{EXIT, Fields, bytecode};

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }
}

pub(crate) fn zkbpf<S: AsRef<str>>(arguments: &[S]) -> Done {
    let arguments = arguments.iter().map(|argument| argument.as_ref());
    let output = Command::new(env!("CARGO_BIN_EXE_zkbpf"))
        .args(arguments)
        .env_remove("ZKBPF_LOG")
        .output();
    Done::of(output.expect("the binary runs"))
}

/// The same, with keys that all tests share.
pub(crate) fn with_keys(arguments: &[&str]) -> Done {
    let keys = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");
    zkbpf(&[arguments, &["--insecure-test-srs", "--cache-dir", keys]].concat())
}

/// A command line that is refused with these words, and with nothing on stdout.
pub(crate) fn refused<S: AsRef<str> + std::fmt::Debug>(
    arguments: &[S],
    code: i32,
    words: &str,
) -> Done {
    let done = zkbpf(arguments);
    assert_eq!(done.code, code, "{arguments:?}: {}", done.stderr);
    assert!(
        done.stderr.contains(words),
        "{arguments:?}: {}",
        done.stderr
    );
    assert!(done.stdout.is_empty(), "{arguments:?}: {}", done.stdout);
    done
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A file of this test binary.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&folder).expect("writable");
    // What tests that were interrupted have left.
    let _ = fs::remove_dir_all(folder.join(format!("{name}.job")));
    folder.join(name)
}

pub(crate) fn hex_of(slots: &[Fields]) -> String {
    hex::encode(bytecode(slots))
}

/// Counts down from `turns`; three steps, and two for each turn.
pub(crate) fn loop_of(turns: i32) -> [Fields; 5] {
    [
        (0xb7, 1, 0, 0, turns),
        (0x07, 1, 0, 0, -1),
        (0x55, 1, 0, -2, 0),
        (0xb7, 0, 0, 0, 0),
        EXIT,
    ]
}

/// `*(u64 *)r1 += 1; r0 = *(u64 *)r1; exit`
pub(crate) fn increment() -> String {
    hex_of(&[
        (0x79, 0, 1, 0, 0),
        (0x07, 0, 0, 0, 1),
        (0x7b, 1, 0, 0, 0),
        EXIT,
    ])
}

/// `r0 = 7; r0 = *(u8 *)(r1 + 0)`, without an input.
pub(crate) fn fault() -> String {
    hex_of(&[(0xb7, 0, 0, 0, 7), (0x71, 0, 1, 0, 0), EXIT])
}

/// `call name`, a system call of sBPF.
pub(crate) fn call(name: &str) -> Fields {
    (0x85, 0, 0, 0, name_hash(name) as i32)
}

/// Returns the slot number of the clock as return data, with 0.
pub(crate) fn clock_slot() -> String {
    let buffer = [(0xbf, 1, 10, 0, 0), (0x07, 1, 0, 0, -40)];
    let get = [&buffer[..], &[call("sol_get_clock_sysvar")]].concat();
    let set = [(0xb7, 2, 0, 0, 8), call("sol_set_return_data"), EXIT];
    hex_of(&[&get[..], &buffer, &set].concat())
}

/// `r0 = *(u64 *)r1; exit`: the number of accounts, if the input is that of a Solana program.
pub(crate) fn first_word() -> String {
    hex_of(&[(0x79, 0, 1, 0, 0), EXIT])
}

/// An environment whose clock stands at this slot; its other fields are zero.
pub(crate) fn environment(name: &str, slot: u8) -> PathBuf {
    let clock = [&[slot][..], &[0; 39]].concat();
    let json = json!({
        "program_id": "11111111111111111111111111111111",
        "sysvars": {"SysvarC1ock11111111111111111111111111111111": hex::encode(clock)},
    });
    let file = scratch(name);
    fs::write(&file, json.to_string()).expect("writable");
    file
}

pub(crate) const INPUT: &str = "2900000000000000";

/// A proof of `increment`, in two chunks, and what `prove --json` said.
pub(crate) static PROVED: LazyLock<(PathBuf, Value)> = LazyLock::new(|| {
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

pub(crate) fn verify(file: &Path, arguments: &[&str]) -> Done {
    with_keys(&[&["verify", text(file), "--json"], arguments].concat())
}

/// The same with bytes on stdin.
pub(crate) fn with_stdin(arguments: &[&str], stdin: &[u8]) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zkbpf"))
        .args(arguments)
        .env_remove("ZKBPF_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // It may end without reading all of it.
    let _ = child.stdin.take().expect("piped").write_all(stdin);
    Done::of(child.wait_with_output().expect("it ends"))
}

/// Runs a line in a shell that finds the binary as `zkbpf`.
pub(crate) fn in_shell(line: &str) -> Done {
    let folder = Path::new(env!("CARGO_BIN_EXE_zkbpf")).parent();
    let mut path = folder.expect("in a directory").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", line])
        .env("PATH", path)
        .output();
    Done::of(output.expect("there is a shell"))
}

/// An object of the examples.
pub(crate) fn example(name: &str) -> String {
    format!("{}/examples/programs/{name}.o", env!("CARGO_MANIFEST_DIR"))
}

/// A proof of `fault`, with a report, and what `prove --json` said.
pub(crate) static TRAPPED: LazyLock<(PathBuf, Value)> = LazyLock::new(|| {
    let (file, report) = (scratch("trapped.proof"), scratch("trapped.md"));
    let program = fault();
    let prove = ["prove", "--raw-hex", &program, "-o", text(&file), "--json"];
    let report = ["--k", "10", "--report", text(&report)];
    let json = with_keys(&[&prove[..], &report].concat()).expect(0).json();
    (file, json)
});
