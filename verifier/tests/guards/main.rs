//! The score of the verifier: each of its checks is removed in turn, in a copy of the sources, and some test must
//! then fail. What survives is in `survivors.txt`, with the reason.
//!
//! `cargo test -p verifier --test guards -- --ignored --nocapture` prints the score. It compiles the copy once: each
//! check is wrapped in a condition on an environment variable, which the tests of the copy are run with.
#![expect(clippy::print_stderr, reason = "the score is what the test shows")]

mod copy;
mod sites;

use std::collections::BTreeSet;
use std::path::Path;

use copy::{Scratch, Tests};
use sites::{Site, mutate};

/// Sources whose checks are removed, and how many there are at least: a check that is not found is not tested.
const FILES: [(&str, usize); 4] = [
    ("span.rs", 51),
    ("verify.rs", 39),
    ("aggregate.rs", 24),
    ("proof.rs", 3),
];

const TESTS: Tests = Tests {
    package: "verifier",
    target: &["--lib"],
    crates: &["bpf-tracer", "zk-circuits", "verifier"],
    filters: &["span::", "verify::", ""],
};

const SURVIVORS: &str = include_str!("survivors.txt");

/// What the sources are rewritten to, without compiling anything.
fn mutants() -> (Vec<Site>, Vec<(&'static str, String)>) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut sites, mut files) = (Vec::new(), Vec::new());
    for (file, least) in FILES {
        let text = std::fs::read_to_string(sources.join(file)).expect("a source");
        let (text, found) = mutate(file, &text, sites.len());
        assert!(found.len() >= least, "{file}: only {} checks", found.len());
        sites.extend(found);
        files.push((file, text));
    }
    (sites, files)
}

/// The checks have names of their own, and those that are listed exist.
#[test]
fn checks_are_found_and_named() {
    let (sites, _) = mutants();
    let names: BTreeSet<String> = sites.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), sites.len(), "two checks have one name");
    for line in survivors() {
        assert!(
            names.contains(&line.0),
            "the list names '{}', which is no check",
            line.0
        );
    }
}

/// The checks that no test needs, each with the reason.
fn survivors() -> Vec<(String, String)> {
    SURVIVORS
        .split("\n\n")
        .filter(|record| !record.starts_with('#'))
        .map(|record| {
            let (name, reason) = record
                .trim()
                .split_once('\n')
                .expect("a check and a reason");
            (name.to_owned(), reason.to_owned())
        })
        .collect()
}

#[test]
#[ignore = "compiles a copy of three crates, then runs its tests once for each check: some minutes"]
fn without_any_check_some_test_fails() {
    let (sites, files) = mutants();
    let scratch = Scratch::new(TESTS, &files);
    assert!(scratch.passes(None), "the copy itself passes its tests");
    let alive: BTreeSet<String> = sites
        .iter()
        .enumerate()
        .filter(|(number, site)| {
            let alive = scratch.passes(Some(*number));
            if alive {
                eprintln!("survives: {site}");
            }
            alive
        })
        .map(|(_, site)| site.to_string())
        .collect();
    eprintln!(
        "checks: {} / {} killed",
        sites.len() - alive.len(),
        sites.len()
    );
    let expected: BTreeSet<String> = survivors().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        alive, expected,
        "what survives (left) is listed with its reason (right)"
    );
}
