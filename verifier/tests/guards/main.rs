//! The score of the verifier: each of its checks is removed in turn, in a copy of the sources, and some test must
//! then fail. What survives is in `survivors.txt`, with the reason.
//!
//! `cargo test -p verifier --test guards -- --ignored --nocapture` prints the score. It compiles the copy once: each
//! check is wrapped in a condition on an environment variable, which the tests of the copy are run with.

mod checks;
mod copy;
mod score;
mod sites;

use std::path::Path;

use checks::mutate;
use copy::{Scratch, Tests};
use sites::Site;

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
    filters: &[""],
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
    score::check_names(&mutants().0, SURVIVORS);
}

#[test]
#[ignore = "compiles a copy of three crates, then runs its tests once for each check: some minutes"]
fn without_any_check_some_test_fails() {
    let (sites, files) = mutants();
    score::check(&sites, SURVIVORS, &Scratch::new(TESTS, &files));
}
