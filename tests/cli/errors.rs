//! What is said to do about mistakes that one makes, and the shapes in which programs and inputs come.

use std::fs;

use crate::support::{
    INPUT, PROVED, example, in_shell, increment, refused, scratch, text, with_keys, with_stdin,
    zkbpf,
};

#[test]
fn mistakes_have_advice() {
    let (proof, _) = &*PROVED;
    let fib = example("fib");
    let source = fib.replace(".o", ".c");
    let program = increment();
    let insecure = "--insecure-test-srs";
    for (arguments, code, advice) in [
        (vec![fib.as_str()], 2, "zkbpf run"),
        (vec!["run", "2900"], 3, "--input-hex"),
        (vec!["run", &source], 3, "clang -O2 -target bpf"),
        (vec!["run", env!("CARGO_BIN_EXE_zkbpf")], 3, "clang"),
        (vec!["run", text(proof)], 3, "the object"),
        (vec!["run", &fib, "--input", "2900"], 3, "--input-hex"),
        (vec!["run", &fib, "--input-hex", &fib], 2, "--input /"),
        (vec!["run", &fib, "--input-hex", "290"], 2, "two digits"),
        (vec!["run", "--raw-hex", &fib], 2, "with --raw"),
        (vec!["run", &fib, "--entry", "f"], 2, "--entry SYMBOL"),
        (vec!["run", &fib, "--isa", "sbpf-v0"], 2, "leave --isa out"),
        (
            vec!["run", &fib, "--heap-size", "8"],
            2,
            "leave --heap-size out",
        ),
        (vec!["inspect", &fib], 3, "--program"),
        (vec!["inspect", &source], 3, "zkbpf prove"),
        (vec!["prove", &fib, "-o", "x"], 2, "docs/keys.md"),
        (vec!["prove", &fib, insecure, "-o", "/"], 2, "-o DIRECTORY/"),
        (
            vec!["prove", &fib, insecure, "-o", "/nowhere/x"],
            2,
            "make it first",
        ),
        (
            vec!["prove", &fib, insecure, "-o", "x", "--report", "x"],
            2,
            ".html",
        ),
        (vec!["keygen", insecure, "--k", "9"], 2, "from 10 to 20"),
        (
            vec!["verify", text(proof), "--any-input", insecure],
            2,
            "--program-id",
        ),
        (
            vec![
                "verify",
                text(proof),
                "--program-id",
                "00",
                "--any-input",
                insecure,
            ],
            2,
            "64 digits",
        ),
        (
            vec![
                "run",
                "--raw-hex",
                &program,
                "--input-hex",
                INPUT,
                "--input-size",
                "1",
            ],
            2,
            "leave --input-size out",
        ),
        // clap's own.
        (vec!["prov"], 2, "'prove'"),
        (vec!["run", &fib, "--inptu", "x"], 2, "'--input'"),
        (vec!["prove", &fib], 2, "--output <FILE>"),
    ] {
        let done = refused(&arguments, code, advice);
        assert!(
            !done.stderr.contains('\u{1b}'),
            "no colours: {}",
            done.stderr
        );
    }
    assert!(!std::path::Path::new("x").exists());
}

#[test]
fn errors_have_a_line_and_their_help_another() {
    let done = zkbpf(&["run", "nowhere.o"]).expect(3);
    let lines: Vec<_> = done.stderr.lines().collect();
    let [error, help] = lines[..] else {
        panic!("{}", done.stderr);
    };
    assert!(error.starts_with("  error: nowhere.o: "), "{error}");
    assert!(help.starts_with("  help: check the name"), "{help}");
}

#[test]
fn hexadecimal_comes_in_several_shapes() {
    let program = increment();
    for input in [
        INPUT,
        "0x2900000000000000",
        " 29 00 00 00\n00 00 00 00 ",
        "0X2900 0000 0000 0000",
    ] {
        let run = ["run", "--raw-hex", &program, "--input-hex", input, "--json"];
        assert_eq!(zkbpf(&run).expect(0).json()["r0"], "0x2a", "{input}");
    }
    let spaced: Vec<_> = program
        .as_bytes()
        .chunks(16)
        .map(String::from_utf8_lossy)
        .collect();
    let spaced = spaced.join("\n");
    let run = ["run", "--raw-hex", &spaced, "--input-hex", INPUT, "--json"];
    assert_eq!(zkbpf(&run).expect(0).json()["r0"], "0x2a");
}

#[test]
fn programs_inputs_and_proofs_come_from_stdin() {
    let fib = fs::read(example("fib")).expect("there");
    let run = ["run", "-", "--input-hex", "0a00000000000000", "--json"];
    assert_eq!(with_stdin(&run, &fib).expect(0).json()["r0"], "0x37");
    let fib = example("fib");
    let run = ["run", &fib, "--input", "-", "--json"];
    let done = with_stdin(&run, &10_u64.to_le_bytes());
    assert_eq!(done.expect(0).json()["r0"], "0x37");
    let code = hex::decode(increment()).expect("hex");
    let done = with_stdin(&["run", "-", "--raw", "--input", "-"], &code).expect(2);
    assert!(
        done.stderr.contains("stdin can be read once"),
        "{}",
        done.stderr
    );

    let (proof, _) = &*PROVED;
    let keys = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");
    let program = increment();
    let verify = [
        "verify",
        "-",
        "--raw-hex",
        &program,
        "--input-hex",
        INPUT,
        "--cache-dir",
        keys,
        "--json",
        "--insecure-test-srs",
    ];
    let bytes = fs::read(proof).expect("there");
    assert_eq!(with_stdin(&verify, &bytes).expect(0).json()["valid"], true);
    assert_eq!(
        with_stdin(&verify, &bytes[..bytes.len() - 1])
            .expect(1)
            .json()["valid"],
        false
    );
    with_stdin(&verify, b"").expect(3);
}

/// What cannot be written is neither usage nor a bad input.
#[test]
fn what_cannot_be_written_has_exit_code_4() {
    let page = format!("{}/page.html", scratch("no-such-directory").display());
    let done = zkbpf(&["trace", &example("fib"), "-o", &page]).expect(4);
    assert!(
        done.stderr.contains("make the directory first"),
        "{}",
        done.stderr
    );
    let program = increment();
    let file = scratch("budgeted.proof");
    let prove = [
        "prove",
        "--raw-hex",
        &program,
        "--k",
        "10",
        "-o",
        text(&file),
    ];
    let done = with_keys(&[&prove[..], &["--memory-budget", "1000"]].concat()).expect(4);
    assert!(
        done.stderr.contains("raise --memory-budget"),
        "{}",
        done.stderr
    );
    assert!(!file.exists());
    // Who reads a part only is served.
    let done = in_shell("zkbpf completions bash | read -r line").expect(0);
    assert!(done.stderr.is_empty(), "{}", done.stderr);
    if cfg!(target_os = "linux") {
        let done = in_shell("zkbpf --help >/dev/full; zkbpf cache path --cache-dir x >/dev/full")
            .expect(4);
        assert!(done.stderr.contains("stdout"), "{}", done.stderr);
    }
}
