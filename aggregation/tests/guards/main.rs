//! The score of the gadget that links spans: each of its constraints is removed in turn, in a copy of the sources,
//! and some test of `span.rs` must then fail. What survives is in `survivors.txt`, with the reason.
//!
//! `cargo test -p aggregation --test guards -- --ignored --nocapture` prints the score.

#[path = "../../../verifier/tests/guards/copy.rs"]
mod copy;
mod gadget;
#[path = "../../../verifier/tests/guards/score.rs"]
mod score;
#[path = "../../../verifier/tests/guards/sites.rs"]
mod sites;

use std::path::Path;

use copy::{Scratch, Tests};
use gadget::mutate;
use sites::Site;

const FILE: &str = "span.rs";

/// How many constraints there are at least: one that is not found is not tested.
const LEAST: usize = 69;

const TESTS: Tests = Tests {
    package: "aggregation",
    target: &["--test", "span"],
    crates: &["bpf-tracer", "zk-circuits", "verifier", "aggregation"],
    filters: &["counts", "elements", "another", "values", ""],
};

const SURVIVORS: &str = include_str!("survivors.txt");

/// What the source is rewritten to, without compiling anything.
fn mutants() -> (Vec<Site>, String) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(FILE);
    let text = std::fs::read_to_string(source).expect("a source");
    let (text, sites) = mutate(FILE, &text);
    assert!(sites.len() >= LEAST, "only {} constraints", sites.len());
    (sites, text)
}

/// The constraints have names of their own, and those that are listed exist.
#[test]
fn constraints_are_found_and_named() {
    score::check_names(&mutants().0, SURVIVORS);
}

#[test]
#[ignore = "compiles a copy of four crates, then runs its tests once for each constraint: some minutes"]
fn without_any_constraint_some_test_fails() {
    let (sites, text) = mutants();
    score::check(&sites, SURVIVORS, &Scratch::new(TESTS, &[(FILE, text)]));
}
