//! `golden/survivors.txt`: a part, its verdict with the reason, and the parts without which it is needed.

use zk_circuits::dev::{Checker, Part};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The circuit accepts the same public data without it.
    Equivalent,
    /// It is there so that honest chunks are accepted.
    Completeness,
}

#[derive(Debug)]
pub(crate) struct Survivor {
    pub(crate) part: Part,
    pub(crate) verdict: Verdict,
    pub(crate) with: Vec<Part>,
}

const FILE: &str = include_str!("../../golden/survivors.txt");

pub(crate) fn read(checker: &Checker) -> Vec<Survivor> {
    let parts = checker.parts();
    let part = |name: &str| {
        let found = parts.iter().find(|part| part.to_string() == name);
        found
            .unwrap_or_else(|| panic!("the list names '{name}', which is no part"))
            .clone()
    };
    let records = FILE.split("\n\n").filter(|r| !r.starts_with('#'));
    records
        .map(|record| {
            let mut lines = record.trim().lines();
            let name = lines.next().expect("a part");
            let verdict = lines.next().expect("a verdict");
            let verdict = match verdict.split_once(": ") {
                Some(("equivalent", reason)) if !reason.is_empty() => Verdict::Equivalent,
                Some(("completeness", reason)) if !reason.is_empty() => Verdict::Completeness,
                _ => panic!("{name}: '{verdict}' is no verdict with a reason"),
            };
            let with = lines
                .filter_map(|line| line.strip_prefix("with: "))
                .map(&part)
                .collect();
            Survivor {
                part: part(name),
                verdict,
                with,
            }
        })
        .collect()
}
