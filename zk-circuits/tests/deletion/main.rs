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
mod search;
mod survivors;

use std::collections::{BTreeMap, BTreeSet};

use forgery::{Lie, Lies};
use rayon::prelude::*;
use search::Places;
use survivors::{Survivor, Verdict};
use zk_circuits::Bus;
use zk_circuits::dev::{self, Checker, Part};

/// Lies by hand: those that show one constraint each, and those of the other tests.
fn lies() -> Vec<Lie> {
    let mut lies = Lies::default();
    flags::lies(&mut lies);
    control::lies(&mut lies);
    data::lies(&mut lies);
    let mut lies = lies.0;
    lies.extend(fixtures::forgeries::all().into_iter().map(|case| Lie {
        name: case.name.to_owned(),
        forged: case.forged,
    }));
    lies
}

#[test]
fn without_any_part_some_lie_is_accepted() {
    let checker = Checker::shared(fixtures::small());
    let all = checker.parts();
    let lies = lies();
    let told: Vec<(usize, Vec<Part>)> = lies
        .par_iter()
        .enumerate()
        .map(|(index, lie)| {
            let parts = lie.forged.refusals().single();
            let lied = !parts.is_empty() && !lie.forged.is_true();
            (index, if lied { parts } else { Vec::new() })
        })
        .collect();
    let mut killed: BTreeMap<Part, String> = BTreeMap::new();
    for (index, parts) in told {
        for part in parts {
            killed.entry(part).or_insert(lies[index].name.clone());
        }
    }
    let by_hand = killed.len();

    let places = Places::new();
    let listed = survivors::read(checker);
    let missing: Vec<&Part> = all
        .iter()
        .filter(|part| !killed.contains_key(*part))
        .collect();
    let found: Vec<(Part, String)> = missing
        .into_par_iter()
        .filter_map(|part| Some((part.clone(), places.find(part, &[])?.0)))
        .collect();
    killed.extend(found);

    let kinds = |is: fn(&Part) -> bool| {
        let total = all.iter().filter(|part| is(part)).count();
        let killed = killed.keys().filter(|part| is(part)).count();
        (killed, total)
    };
    let (constraints, of_constraints) = kinds(|part| matches!(part, Part::Constraint(..)));
    let (interactions, of_interactions) = kinds(|part| matches!(part, Part::Interaction(..)));
    let count = |verdict: Verdict| listed.iter().filter(|s| s.verdict == verdict).count();
    eprintln!(
        "constraints: {constraints} / {of_constraints} killed, interactions: {interactions} / {of_interactions}; \
         {by_hand} by hand, {} by search; {} equivalent, {} for completeness",
        killed.len() - by_hand,
        count(Verdict::Equivalent),
        count(Verdict::Completeness),
    );

    let alive: BTreeSet<String> = all
        .iter()
        .filter(|part| !killed.contains_key(*part))
        .map(ToString::to_string)
        .collect();
    let expected: BTreeSet<String> = listed.iter().map(|s| s.part.to_string()).collect();
    assert_eq!(
        alive, expected,
        "what survives (left) is listed with its reason (right)"
    );
    let unshown: Vec<String> = listed
        .par_iter()
        .filter_map(|survivor| unshown(survivor, &lies, &places))
        .collect();
    assert!(unshown.is_empty(), "{}", unshown.join("\n"));
}

/// Why a survivor is not what the list says, if so.
fn unshown(survivor: &Survivor, lies: &[Lie], places: &Places) -> Option<String> {
    let Survivor {
        part,
        verdict,
        with,
    } = survivor;
    match verdict {
        // Without the part, honest chunks are refused.
        Verdict::Completeness => {
            let honest = fixtures::Fixture::of("a program", &[fixtures::EXIT]).witness();
            let refusals = zk_circuits::dev::Forgery::of(&honest).refusals();
            let baseline = refusals.accepts_without(&[]);
            let refused = !refusals.accepts_without(std::slice::from_ref(part));
            (!baseline || !refused).then(|| format!("{part}: honest chunks do not need it"))
        }
        // What it says is said by others, without which it is needed.
        Verdict::Equivalent if !with.is_empty() => {
            let together: Vec<Part> = with.iter().chain([part]).cloned().collect();
            let by_hand = lies.iter().any(|lie| {
                let refusals = lie.forged.refusals();
                refusals.accepts_without(&together)
                    && !refusals.accepts_without(with)
                    && !lie.forged.is_true()
            });
            let shown = by_hand || places.find(part, with).is_some();
            (!shown).then(|| format!("{part}: nothing needs it beside {with:?}"))
        }
        Verdict::Equivalent => None,
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
        let refusals = lie.forged.refusals();
        alive.retain(|_, parts| !refusals.accepts_without(parts) || lie.forged.is_true());
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
