//! What a terminal is shown, and what is shown elsewhere. `script` plays the terminal.
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

use std::process::{Command, Stdio};

use crate::support::{INPUT, increment, scratch, text, with_keys};

/// Everything that a terminal gets from a command line; nothing without `script`.
fn shown(arguments: &[&str], environment: &[(&str, &str)]) -> Option<String> {
    let line = [&[env!("CARGO_BIN_EXE_zkbpf")], arguments]
        .concat()
        .join(" ");
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_remove("ZKBPF_LOG")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null());
    for (name, value) in environment {
        command.env(name, value);
    }
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            eprintln!("SKIPPED: no terminal, as `script` of util-linux does not run: {error}");
            None
        }
    }
}

const RED: &str = "\u{1b}[31m";

#[test]
fn errors_are_coloured_on_terminals_that_want_it() {
    let run = ["run", "nowhere.o"];
    let Some(coloured) = shown(&run, &[]) else {
        return;
    };
    assert!(coloured.contains(RED), "{coloured:?}");
    assert!(coloured.contains("nowhere.o: "), "{coloured:?}");
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = shown(&run, &[plain]).expect("as before");
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        assert!(
            plain.contains("error: nowhere.o: ") && plain.contains("help: "),
            "{plain:?}"
        );
    }
    // Warnings and what clap says are no different.
    let keygen = ["keygen", "--k", "9", "--insecure-test-srs"];
    let usage = ["run"];
    for arguments in [&keygen[..], &usage] {
        let coloured = shown(arguments, &[]).expect("as before");
        assert!(coloured.contains('\u{1b}'), "{coloured:?}");
        let plain = shown(arguments, &[("NO_COLOR", "1")]).expect("as before");
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }
}

#[test]
fn progress_is_for_those_who_watch() {
    let (program, file) = (increment(), scratch("watched.proof"));
    let keys = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");
    let prove = [
        "prove",
        "--raw-hex",
        &program,
        "--input-hex",
        INPUT,
        "--k",
        "10",
        "--chunk-size",
        "3",
        "-o",
        text(&file),
        "--mode",
        "sequential",
        "--insecure-test-srs",
        "--cache-dir",
        keys,
    ];
    let Some(seen) = shown(&prove, &[]) else {
        return;
    };
    for words in [
        "keys [",
        "chunks ",
        "0/2 [",
        "1/2 [",
        " left",
        "halt, r0 = 0x2a",
    ] {
        assert!(seen.contains(words), "{words}: {seen:?}");
    }
    for quiet in ["--quiet", "--json", "-v"] {
        let seen = shown(&[&prove[..], &[quiet]].concat(), &[]).expect("as before");
        assert!(seen.contains("0x2a"), "{seen:?}");
        for words in ["keys [", "/2 [", " left"] {
            assert!(!seen.contains(words), "{quiet}: {seen:?}");
        }
    }
    let done = with_keys(&prove[..prove.len() - 3]).expect(0);
    assert!(!done.stderr.contains("/2 ["), "{}", done.stderr);
}
