//! Keys, and what needs an aggregate.

use std::fs;

use serde_json::json;

use crate::support::{PROVED, scratch, text, with_keys, zkbpf};

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
