//! How many checks some test needs, and the list of those that none does.
#![expect(clippy::print_stderr, reason = "the score is what the test shows")]

use std::collections::BTreeSet;

use crate::copy::Scratch;
use crate::sites::Site;

/// The checks that no test needs, each with the reason.
fn read(survivors: &str) -> BTreeSet<String> {
    survivors
        .split("\n\n")
        .filter(|record| !record.starts_with('#'))
        .map(|record| {
            let (name, reason) = record
                .trim()
                .split_once('\n')
                .expect("a check and a reason");
            let reasons = ["equivalent: ", "completeness: "];
            let is_known = reasons.iter().any(|start| reason.starts_with(start));
            assert!(is_known, "no reason of '{name}'");
            name.to_owned()
        })
        .collect()
}

/// The checks have names of their own, and those that are listed exist.
pub(crate) fn check_names(sites: &[Site], survivors: &str) {
    let names: BTreeSet<String> = sites.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), sites.len(), "two checks have one name");
    for name in read(survivors) {
        assert!(names.contains(&name), "'{name}' is listed, and no check");
    }
}

/// Removes each check in turn: what survives is what is listed.
pub(crate) fn check(sites: &[Site], survivors: &str, scratch: &Scratch) {
    let baseline = scratch.failure(None, "");
    assert_eq!(baseline, None, "the copy itself passes its tests");
    let alive: BTreeSet<String> = sites
        .iter()
        .enumerate()
        .filter(|(number, site)| {
            let alive = scratch.failure(Some(*number), &site.module()).is_none();
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
    assert_eq!(
        alive,
        read(survivors),
        "what survives (left) is listed with its reason (right)"
    );
}
