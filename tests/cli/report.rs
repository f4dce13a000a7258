//! Reports: their figures are those of `prove --json`, and the command in them verifies the proof.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::{TRAPPED, example, in_shell, scratch, text, with_keys};

/// What nobody calls a file.
const NAME: &str = "report's <b>\"fib\" | `x` & $(y).o";

/// Ten Fibonacci numbers.
const INPUT: &str = "0a00000000000000";

/// A page about a proof in two chunks, and what `prove --json` said.
static REPORT: LazyLock<(String, Value)> = LazyLock::new(|| {
    let (page, json) = prove("report.html");
    (fs::read_to_string(page).expect("written"), json)
});

fn prove(report: &str) -> (PathBuf, Value) {
    let program = scratch(NAME);
    fs::copy(example("fib"), &program).expect("writable");
    let (report, file) = (scratch(report), scratch(&format!("{report} <i>.proof")));
    let prove = [
        "prove",
        text(&program),
        "--input-hex",
        INPUT,
        "-o",
        text(&file),
    ];
    let shape = [
        "--k",
        "10",
        "--chunk-size",
        "30",
        "--json",
        "--report",
        text(&report),
    ];
    let json = with_keys(&[&prove[..], &shape].concat()).expect(0).json();
    assert_eq!(json["report"], text(&report));
    (report, json)
}

/// The text of the element with this identity.
fn cell(page: &str, id: &str) -> String {
    let start = format!(" id=\"{id}\">");
    let mut parts = page.split(&start);
    let (_, rest) = (
        parts.next(),
        parts.next().unwrap_or_else(|| panic!("no {id}")),
    );
    assert!(parts.next().is_none(), "{id} is there twice");
    let text = rest.split('<').next().expect("its end");
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[test]
fn figures_are_those_of_json() {
    let (page, json) = &*REPORT;
    let string = |field: &str| json[field].as_str().expect("a string").to_owned();
    let seconds = |field: &str| format!("{:.2} s", json[field].as_f64().expect("a number"));
    let input = blake3::hash(&hex::decode(INPUT).expect("hex"));
    for (id, expected) in [
        ("program-id", string("program_id")),
        ("outcome", format!("halt, r0 = {}", string("r0"))),
        ("steps", json["steps"].to_string()),
        (
            "units",
            format!("{} of at most 10000000", json["compute_units"]),
        ),
        ("dialect", "ebpf".to_owned()),
        ("input", format!("{input}, 8 bytes")),
        ("srs", string("srs")),
        ("key", string("key")),
        ("chunks", json["chunks"].to_string()),
        ("reused", "0".to_owned()),
        ("chunk-size", json["chunk_size"].to_string()),
        ("k", "2^10 rows (k = 10)".to_owned()),
        ("proof-bytes", format!("{} bytes", json["proof_bytes"])),
        ("verify", string("verify_command")),
        ("program", text(&scratch(NAME)).to_owned()),
    ] {
        assert_eq!(cell(page, id), expected, "{id}");
    }
    assert_eq!(json["chunks"], 2);
    if let Some(peak) = json["peak_rss_bytes"].as_u64() {
        assert_eq!(
            cell(page, "peak-rss"),
            format!("{} MiB", peak.div_ceil(1 << 20))
        );
    }
    let file = scratch("report.html <i>.proof");
    assert_eq!(
        json["proof_bytes"].as_u64(),
        Some(fs::metadata(file).expect("there").len())
    );
    // The plots have a bar for each part and chunk, with its figure.
    let count = |words: &str| page.matches(words).count();
    assert_eq!(count("<rect class=\"time\""), 4);
    assert_eq!(count("<rect class=\"chunk\""), 2);
    for part in ["execution", "keys", "proofs", "file, verified"] {
        assert!(page.contains(&format!(">{part}</text>")), "{part}");
    }
    assert!(page.contains("chunk 0: 30 steps") && page.contains("chunk 1: 28 steps"));
    for field in ["keygen_seconds", "prove_seconds"] {
        let whole: f64 = seconds(field)
            .trim_end_matches(" s")
            .parse()
            .expect("a number");
        // The part is around what JSON tells.
        let near = (0..20).map(|more| format!(">{:.2} s", whole + f64::from(more) / 100.0));
        assert!(
            near.into_iter().any(|figure| page.contains(&figure)),
            "{field} {whole}"
        );
    }
    if cfg!(target_os = "linux") {
        assert_eq!(count("<rect class=\"memory\""), 4);
    }
}

#[test]
fn pages_load_and_run_nothing() {
    let (page, _) = &*REPORT;
    assert!(page.starts_with("<!doctype html>") && page.contains("default-src 'none'"));
    for words in [
        "<script", "<b>", "<i>", "$(y)\"", "http:", "https:", "src=", "href=", "url(", "@import",
    ] {
        assert!(!page.contains(words), "{words}");
    }
    assert!(cell(page, "insecure").starts_with("INSECURE"));
}

#[test]
fn the_command_of_a_report_verifies_the_proof() {
    let (page, json) = &*REPORT;
    let command = cell(page, "verify");
    let done = in_shell(&command).expect(0);
    assert!(done.stdout.starts_with("VALID\n"), "{}", done.stdout);
    let id = json["program_id"].as_str().expect("a string");
    assert!(done.stdout.contains(id) && done.stdout.contains("r0 = 0x37"));
    in_shell(&command.replace("--expect-r0 0x37", "--expect-r0 0x38")).expect(1);
}

#[test]
fn markdown_says_the_same() {
    let (report, json) = prove("report.md");
    let page = fs::read_to_string(report).expect("written");
    assert!(page.starts_with("# Proof of ") && page.contains("> **INSECURE"));
    let row = |name: &str, value: &str| format!("\n| {name} | {value} |\n");
    let string = |field: &str| json[field].as_str().expect("a string").to_owned();
    for (name, value) in [
        ("program id", string("program_id")),
        ("steps", json["steps"].to_string()),
        ("proof file", format!("{} bytes", json["proof_bytes"])),
    ] {
        assert!(page.contains(&row(name, &value)), "{name}: {page}");
    }
    assert!(page.contains("█") && page.contains("| 1 | 28 | "), "{page}");
    // The name is neither markup nor the border of a cell.
    assert!(
        page.contains(r#"report's &lt;b\>"fib" \| \`x\` &amp; \$(y).o"#),
        "{page}"
    );
    let (_, command) = page.split_once("```sh\n").expect("a block");
    let (command, _) = command.split_once("\n```\n").expect("its end");
    assert_eq!(json["verify_command"], command);
    in_shell(command).expect(0);
}

#[test]
fn traps_are_reported_and_verified() {
    let (_, json) = &*TRAPPED;
    let page = fs::read_to_string(json["report"].as_str().expect("a file")).expect("written");
    assert!(
        page.contains("| outcome | trap AccessViolation at slot 1 |"),
        "{page}"
    );
    let command = json["verify_command"].as_str().expect("a string");
    assert!(
        command.contains("--expect-trap AccessViolation@1"),
        "{command}"
    );
    in_shell(command).expect(0);
}
