//! Operands determine outputs: proved, for all operands, by an SMT solver. That the proofs can fail is shown by
//! removing what they need.
#![expect(clippy::print_stderr, reason = "a proof says what it covers")]

mod fixtures;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use zk_circuits::dev::uniqueness::{self, Kind, Need, Solver, Verdict};
use zk_circuits::dev::{self, Checker};
use zk_circuits::{ChunkWitness, Class, Shape};

/// Samples of each kind that the solver finds the honest rows of.
const SAMPLES: usize = 3;

/// The solver; without one there is nothing to do but say so.
fn solver() -> Option<Solver> {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    match Solver::find(parent) {
        Ok(solver) => Some(solver),
        Err(error) => {
            eprintln!("SKIPPED, nothing is proved: {error}");
            None
        }
    }
}

fn witnesses() -> &'static [ChunkWitness] {
    static WITNESSES: OnceLock<Vec<ChunkWitness>> = OnceLock::new();
    WITNESSES.get_or_init(|| {
        let all = fixtures::all().into_par_iter();
        all.flat_map_iter(|fixture| fixture.witnesses(fixtures::small(), None))
            .collect()
    })
}

/// The kinds of groups in the witnesses, and in those that the prover might choose instead.
fn kinds() -> &'static [Kind] {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    KINDS.get_or_init(|| {
        // The constraints of the wide shape: the narrow one has the same, with every limb split once more.
        let wide = Checker::shared(Shape::new(17, 8).expect("supported"));
        let long = witnesses().par_iter().filter_map(|w| dev::long_way(w).ok());
        let long: Vec<ChunkWitness> = long.collect();
        let all = witnesses().iter().chain(&long);
        uniqueness::kinds(all, wide).expect("every constraint is translated")
    })
}

/// What was proved of a class.
#[derive(Default)]
struct Line {
    kinds: usize,
    queries: usize,
    samples: usize,
    time: Duration,
}

#[test]
fn outputs_are_functions_of_operands() {
    let Some(solver) = solver() else { return };
    let kinds = kinds();
    let classes: BTreeSet<Class> = kinds.iter().map(|kind| kind.class).collect();
    assert!(
        classes
            .iter()
            .eq(BTreeSet::from(uniqueness::CLASSES).iter())
    );
    let start = Instant::now();
    assert_eq!(uniqueness::lemmas_hold(&solver), Ok(Verdict::Proved));
    let lines: Vec<(Class, Line, Vec<String>)> = kinds
        .par_iter()
        .map(|kind| {
            let start = Instant::now();
            let mut failures = Vec::new();
            let mut line = Line {
                kinds: 1,
                ..Line::default()
            };
            let mut expect = |what: &str, verdict| {
                line.queries += 1;
                if verdict != Ok(Verdict::Proved) {
                    failures.push(format!("{kind}: {what}: {verdict:?}"));
                }
            };
            expect("outputs", kind.is_determined(&solver));
            expect("words", kind.has_words(&solver));
            if kind.rows() > 1 {
                expect("successors", kind.goes_on(kinds, &solver));
            }
            for other in kind.siblings(kinds) {
                expect(&format!("or {other}"), kind.excludes(other, &solver));
            }
            if let Some(other) = kind.other_way(kinds) {
                expect(&format!("as {other}"), kind.agrees(other, &solver));
                // That is about something: there are operands for which both are open.
                let apart = kind.excludes(other, &solver);
                if apart != Ok(Verdict::Refuted) {
                    failures.push(format!("{kind}: never as {other}: {apart:?}"));
                }
            }
            match kind.is_satisfiable(&solver, SAMPLES) {
                Ok(samples) => line.samples = samples,
                Err(error) => failures.push(error.to_string()),
            }
            line.time = start.elapsed();
            (kind.class, line, failures)
        })
        .collect();
    let mut table: BTreeMap<Class, Line> = BTreeMap::new();
    let mut failures = Vec::new();
    for (class, line, failed) in lines {
        let sum = table.entry(class).or_default();
        sum.kinds += line.kinds;
        sum.queries += line.queries;
        sum.samples += line.samples;
        sum.time += line.time;
        failures.extend(failed);
    }
    eprintln!("{}, {:.0?}", solver.version(), start.elapsed());
    eprintln!("class         kinds  proofs  honest rows found  seconds");
    for (class, line) in &table {
        eprintln!(
            "{:<12} {:>6} {:>7} {:>18} {:>8.1}",
            class.name(),
            line.kinds,
            line.queries,
            line.samples,
            line.time.as_secs_f64()
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The kinds are all that programs can have: of every micro-operation in the microcode of the fixtures.
#[test]
fn every_micro_operation_is_of_a_proved_kind() {
    let kinds = kinds();
    let mut count = 0;
    for witness in witnesses() {
        for op in dev::micro_ops(witness.microcode()) {
            if op.class == Class::Mov {
                assert!(uniqueness::has_word_operand(op), "{op:?}");
            }
            if uniqueness::CLASSES.contains(&op.class) {
                count += 1;
                assert!(uniqueness::has_immediate(op), "{op:?}");
                assert!(uniqueness::covers(kinds, op), "{op:?}");
            }
        }
    }
    eprintln!("{count} micro-operations");
    assert!(count > 1000, "{count}");
}

/// Parts that no kind needs, and why.
const NOT_NEEDED: [(&str, &str, &str); 3] = [
    (
        "byte swap",
        "b has eight bytes",
        "the result does not read the second operand",
    ),
    (
        "end",
        "padding follows",
        "it is about the row behind the group, no output",
    ),
    (
        "flags",
        "T is a bit",
        "in branches it is a polynomial of other bits, elsewhere 0; memory accesses need it",
    ),
];

/// What was found of a part: the best over the kinds that were tried.
struct Finding {
    family: &'static str,
    name: String,
    needed: bool,
    text: String,
}

/// Removes a part from kinds until one needs it.
fn need(solver: &Solver, kinds: &[&Kind], family: &'static str, name: &str) -> Finding {
    let start = Instant::now();
    let [mut tried, mut implied] = [0; 2];
    let mut needed = None;
    for kind in kinds.iter().filter(|k| k.parts().contains(&(family, name))) {
        tried += 1;
        match kind.need(family, name, solver).expect("translated") {
            Need::Needed => {
                needed = Some(kind.variant());
                break;
            }
            Need::Implied => implied += 1,
            Need::Unknown => {}
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let text = match &needed {
        Some(variant) => format!("{family}: {name}: needed by {variant} {seconds:.1} s"),
        None => format!("{family}: {name}: implied in {implied} of {tried} {seconds:.1} s"),
    };
    Finding {
        family,
        name: name.to_owned(),
        needed: needed.is_some(),
        text,
    }
}

/// Kinds, those whose variant was not there before first.
fn unlike(mut kinds: Vec<&Kind>) -> Vec<&Kind> {
    let mut seen = BTreeSet::new();
    kinds.sort_by_cached_key(|kind| !seen.insert(kind.variant()));
    kinds
}

/// Each constraint and lookup removed in turn: the proofs fail, and there is a second solution.
#[test]
fn proofs_need_the_constraints() {
    let Some(solver) = solver() else { return };
    let kinds = unlike(kinds().iter().collect());
    let parts: BTreeSet<_> = kinds.iter().flat_map(|kind| kind.parts()).collect();
    let start = Instant::now();
    let parts: Vec<_> = parts.into_iter().collect();
    let findings: Vec<Finding> = parts
        .into_par_iter()
        .map(|(family, name)| need(&solver, &kinds, family, name))
        .collect();
    for finding in &findings {
        eprintln!("{}", finding.text);
    }
    let (count, kinds) = (findings.len(), kinds.len());
    let spare: Vec<_> = findings.iter().filter(|finding| !finding.needed).collect();
    let needed = count - spare.len();
    let time = start.elapsed();
    eprintln!(
        "{kinds} proved kinds, {needed} of {count} constraints and lookups needed, {time:.0?}"
    );
    let spare: BTreeSet<_> = spare.iter().map(|f| (f.family, f.name.as_str())).collect();
    let expected: BTreeSet<_> = NOT_NEEDED.iter().map(|(f, name, _)| (*f, *name)).collect();
    assert_eq!(spare, expected);
}

/// The same for each class by itself.
#[test]
#[ignore = "the full table: many minutes"]
fn each_class_needs_the_constraints() {
    let Some(solver) = solver() else { return };
    for class in uniqueness::CLASSES {
        let kinds = unlike(kinds().iter().filter(|kind| kind.class == class).collect());
        let parts: BTreeSet<_> = kinds.iter().flat_map(|kind| kind.parts()).collect();
        let parts: Vec<_> = parts.into_iter().collect();
        let findings: Vec<Finding> = parts
            .into_par_iter()
            .map(|(family, name)| need(&solver, &kinds, family, name))
            .collect();
        let needed = findings.iter().filter(|finding| finding.needed).count();
        eprintln!(
            "{}: {needed} of {} parts needed",
            class.name(),
            findings.len()
        );
        for finding in findings.iter().filter(|finding| !finding.needed) {
            eprintln!("    {}", finding.text);
        }
    }
}
