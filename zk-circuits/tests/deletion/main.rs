//! The score of the circuit: every constraint and every bus interaction is removed in turn, and some chunk that
//! claims what did not happen is then accepted. What survives is in `golden/survivors.txt`, with the reason.
//!
//! `cargo test -p zk-circuits --test deletion -- --nocapture` prints the score.
#![expect(clippy::print_stderr, reason = "the score is what the test shows")]

mod control;
mod data;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod flags;
mod forgery;
mod pins;
mod search;
mod survivors;

use std::collections::{BTreeMap, BTreeSet};

use forgery::Lies;
use rayon::prelude::*;
use search::Places;
use survivors::{Survivor, Verdict};
use zk_circuits::Bus;
use zk_circuits::dev::{self, Checker, Forgery, Part};

/// Lies by hand: those that show one constraint each, and those of the other tests.
fn lies() -> Vec<Forgery> {
    let mut lies = Lies::default();
    flags::lies(&mut lies);
    control::lies(&mut lies);
    data::lies(&mut lies);
    let mut lies = lies.0;
    let cases = fixtures::forgeries::all();
    lies.extend(cases.into_iter().map(|case| case.forged));
    lies
}

#[test]
fn without_any_part_some_lie_is_accepted() {
    let checker = Checker::shared(fixtures::small());
    let all = checker.parts();
    let lies = lies();
    let told: Vec<(Vec<Part>, bool)> = lies
        .par_iter()
        .map(|lie| {
            let parts = lie.refusals().single();
            let lied = !parts.is_empty() && !lie.is_true();
            (if lied { parts } else { Vec::new() }, lie.is_linkable())
        })
        .collect();
    // The parts, and whether a chunk that a run could contain shows them.
    let mut killed: BTreeMap<Part, bool> = BTreeMap::new();
    for (parts, linkable) in told {
        for part in parts {
            *killed.entry(part).or_default() |= linkable;
        }
    }
    let by_hand = killed.len();

    let places = Places::new();
    let listed = survivors::read(checker);
    let missing: Vec<&Part> = all
        .iter()
        .filter(|part| !killed.get(*part).is_some_and(|linkable| *linkable))
        .collect();
    let found: Vec<(Part, bool)> = missing
        .into_par_iter()
        .filter_map(|part| Some((part.clone(), places.find(part, &[])?.is_linkable())))
        .collect();
    for (part, linkable) in found {
        *killed.entry(part).or_default() |= linkable;
    }
    let kinds = |is: fn(&Part) -> bool| {
        let total = all.iter().filter(|part| is(part)).count();
        let killed = killed.keys().filter(|part| is(part)).count();
        (killed, total)
    };
    let (constraints, of_constraints) = kinds(|part| matches!(part, Part::Constraint(..)));
    let (interactions, of_interactions) = kinds(|part| matches!(part, Part::Interaction(..)));
    let listed_as = |verdict: Verdict| -> BTreeSet<String> {
        let listed = listed.iter().filter(|s| s.verdict == verdict);
        listed.map(|s| s.part.to_string()).collect()
    };
    let chunk_only = listed_as(Verdict::ChunkOnly);
    let (equivalent, completeness) = (
        listed_as(Verdict::Equivalent),
        listed_as(Verdict::Completeness),
    );
    eprintln!(
        "constraints: {constraints} / {of_constraints} killed, interactions: {interactions} / {of_interactions} \
         ({by_hand} by hand, {} by search; {} only by chunks that no verifier accepts); \
         survivors: {} equivalent, {} for completeness",
        killed.len() - by_hand,
        chunk_only.len(),
        equivalent.len(),
        completeness.len(),
    );

    let names = |parts: Vec<&Part>| -> BTreeSet<String> {
        parts.into_iter().map(ToString::to_string).collect()
    };
    let alive = all.iter().filter(|part| !killed.contains_key(*part));
    let expected: BTreeSet<String> = equivalent.union(&completeness).cloned().collect();
    assert_eq!(
        names(alive.collect()),
        expected,
        "what survives (left) is listed with its reason (right)"
    );
    let unlinkable = killed.iter().filter(|(_, linkable)| !**linkable);
    assert_eq!(
        names(unlinkable.map(|(part, _)| part).collect()),
        chunk_only,
        "what verifiers refuse as well (left) is listed with its reason (right)"
    );
    let unshown: Vec<String> = listed
        .par_iter()
        .filter_map(|survivor| unshown(survivor, &lies, &places))
        .collect();
    assert!(unshown.is_empty(), "{}", unshown.join("\n"));
}

/// Why a survivor is not what the list says, if so.
fn unshown(survivor: &Survivor, lies: &[Forgery], places: &Places) -> Option<String> {
    let Survivor {
        part,
        verdict,
        with,
    } = survivor;
    match verdict {
        // Without the part, honest chunks are refused.
        Verdict::Completeness => {
            let honest = fixtures::Fixture::of("a program", &[fixtures::EXIT]).witness();
            let refusals = Forgery::of(&honest).refusals();
            let baseline = refusals.accepts_without(&[]);
            let refused = !refusals.accepts_without(std::slice::from_ref(part));
            (!baseline || !refused).then(|| format!("{part}: honest chunks do not need it"))
        }
        // What it says is said by others, without which it is needed.
        Verdict::Equivalent if !with.is_empty() => {
            let together: Vec<Part> = with.iter().chain([part]).cloned().collect();
            let by_hand = lies.iter().any(|lie| {
                let refusals = lie.refusals();
                refusals.accepts_without(&together)
                    && !refusals.accepts_without(with)
                    && !lie.is_true()
            });
            let shown = by_hand || places.find(part, with).is_some();
            (!shown).then(|| format!("{part}: nothing needs it beside {with:?}"))
        }
        Verdict::Equivalent | Verdict::ChunkOnly => None,
    }
}

/// Each bus, removed as a whole, is needed.
#[test]
fn without_any_bus_some_lie_is_accepted() {
    let checker = Checker::shared(fixtures::small());
    let lies = lies();
    let mut alive: BTreeMap<Bus, Vec<Part>> = BTreeMap::new();
    for part in checker.parts() {
        if let Part::Interaction(bus, _) = part {
            alive.entry(bus).or_default().push(part);
        }
    }
    let buses = alive.len();
    for lie in &lies {
        if alive.is_empty() {
            break;
        }
        let refusals = lie.refusals();
        alive.retain(|_, parts| !refusals.accepts_without(parts) || lie.is_true());
    }
    assert!(alive.is_empty(), "{:?}", alive.keys());
    assert_eq!(buses, 7);
}

/// What `golden/survivors.txt` says about groups and members.
#[test]
fn every_row_of_the_table_has_one_class() {
    let fixture = fixtures::sbpf::long_calls();
    let plan = fixture.plan(zk_circuits::Shape::new(12, 8).expect("supported"), None);
    for op in dev::micro_ops(plan.microcode()) {
        let flags: Vec<bool> = dev::flags(op.class).map(|(_, on)| on).collect();
        let (groups, members) = flags.split_at(8);
        assert_eq!(groups.iter().filter(|on| **on).count(), 1, "{op:?}");
        assert!(members.iter().filter(|on| **on).count() <= 1, "{op:?}");
    }
}
