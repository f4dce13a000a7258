//! What shells and `man` get.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{scratch, text, zkbpf};

const VERBS: [&str; 12] = [
    "run",
    "trace",
    "estimate",
    "keygen",
    "prove",
    "verify",
    "aggregate",
    "export-verifier",
    "inspect",
    "cache",
    "completions",
    "man",
];

#[test]
fn the_verbs_are_those_of_the_help() {
    let help = zkbpf(&["-h"]).expect(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").expect("a list");
    let (commands, _) = commands.split_once("\n\n").expect("its end");
    let listed: Vec<_> = commands
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert_eq!(listed, VERBS);
    for verb in VERBS {
        let help = zkbpf(&[verb, "--help"]).expect(0).stdout;
        assert!(help.contains("--json"), "{verb}: {help}");
    }
}

#[test]
fn bash_accepts_the_completion_and_completes() {
    let script = zkbpf(&["completions", "bash"]).expect(0).stdout;
    let bash = |arguments: &[&str], input: &str| {
        let mut child = Command::new("bash")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is bash");
        let stdin = child.stdin.take();
        stdin
            .expect("piped")
            .write_all(input.as_bytes())
            .expect("read");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    bash(&["-n"], &script);
    // As bash does when the tabulator is pressed.
    let complete = |words: &str, last: usize| {
        let ask = format!(
            "COMP_WORDS=({words}); COMP_CWORD={last}; _zkbpf zkbpf \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        bash(&["--norc"], &format!("{script}\n{ask}"))
    };
    assert_eq!(complete("zkbpf pro", 1), "prove\n");
    let verbs = complete("zkbpf ''", 1);
    for verb in VERBS {
        assert!(verbs.lines().any(|line| line == verb), "{verb}: {verbs}");
    }
    assert_eq!(complete("zkbpf prove --rep", 2), "--report\n");
    assert_eq!(complete("zkbpf prove --engine f", 3), "fast\n");
}

#[test]
fn other_shells_have_scripts() {
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        let script = zkbpf(&["completions", shell]).expect(0).stdout;
        for verb in VERBS {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
    }
    let done = zkbpf(&["completions", "nosh"]).expect(2);
    assert!(done.stderr.contains("bash"), "{}", done.stderr);
}

#[test]
fn manual_pages_have_every_verb() {
    let page = zkbpf(&["man"]).expect(0).stdout;
    assert!(page.contains(".TH zkbpf 1"), "{page}");
    for verb in VERBS {
        let name = format!("zkbpf\\-{}(1)", verb.replace('-', "\\-"));
        assert!(page.contains(&name), "{name}: {page}");
    }
    let folder = scratch("man");
    let listed = zkbpf(&["man", "-o", text(&folder)]).expect(0).stdout;
    let in_cache = ["cache-list", "cache-clear", "cache-path"];
    for verb in VERBS.iter().chain(&in_cache) {
        let file = folder.join(format!("zkbpf-{verb}.1"));
        assert!(listed.lines().any(|line| line == text(&file)), "{listed}");
        let page = fs::read_to_string(&file).expect("written");
        // Those of every verb are there too.
        for words in [".SH NAME", ".SH OPTIONS", "cache\\-dir"] {
            assert!(page.contains(words), "{verb}: {words}");
        }
    }
    assert!(folder.join("zkbpf.1").exists());
}
