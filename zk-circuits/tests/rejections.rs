//! No constraint and no bus interaction is without effect: each refuses some witness.

mod fixtures;

use std::collections::BTreeMap;

use fixtures::{EXIT, Fixture, control, memory, sbpf, small};
use rayon::prelude::*;
use zk_circuits::dev::{self, Checker, Forgery, Target};
use zk_circuits::{ChunkWitness, Class};

/// Few witnesses that together have rows of every class.
fn witnesses() -> Vec<ChunkWitness> {
    let mut fixtures = vec![memory::sections()];
    fixtures.extend(control::fixtures());
    fixtures.extend(memory::fixtures());
    fixtures.extend(fixtures::alu::fixtures());
    fixtures.extend(sbpf::fixtures());
    let mut missing: Vec<Class> = Class::ALL.to_vec();
    let mut chosen = Vec::new();
    for fixture in fixtures {
        for witness in fixture.witnesses(small(), None) {
            let before = missing.len();
            missing.retain(|class| {
                !dev::rows(&witness)
                    .iter()
                    .any(|r| dev::class(r) == Some(*class))
            });
            if missing.len() < before {
                chosen.push(witness);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    let running = Fixture::of("running", &[(0xb7, 0, 0, 0, 1), EXIT]);
    chosen.push(fixtures::witness(&running.plan(small(), Some(1)), 0));
    chosen
}

fn broken(
    checker: &Checker,
    witnesses: &[ChunkWitness],
    target: Target,
) -> Option<(Forgery, usize)> {
    witnesses
        .iter()
        .find_map(|witness| checker.break_with_one_value(witness, target))
}

#[test]
fn every_constraint_refuses_something() {
    let witnesses = witnesses();
    for witness in &witnesses {
        assert!(dev::check(witness).is_empty(), "the honest witnesses");
    }
    let checker = Checker::shared(small());
    let constraints: Vec<(String, String)> = checker
        .constraints()
        .map(|(f, n)| (f.to_owned(), n.to_owned()))
        .collect();
    let idle: Vec<String> = constraints
        .par_iter()
        .enumerate()
        .filter_map(|(index, (family, name))| {
            let Some((forged, row)) = broken(checker, &witnesses, Target::Constraint(index)) else {
                return Some(format!("{family}: {name}: nothing breaks it"));
            };
            let failures = forged.check();
            let named = failures
                .iter()
                .any(|f| (&f.family, &f.constraint, f.row) == (family, name, Some(row)));
            (!named).then(|| format!("{family}: {name}: not reported"))
        })
        .collect();
    assert!(
        idle.is_empty(),
        "{} of {}:\n{}",
        idle.len(),
        constraints.len(),
        idle.join("\n")
    );
}

#[test]
fn every_bus_interaction_refuses_something() {
    let witnesses = witnesses();
    let checker = Checker::shared(small());
    let interactions: Vec<(String, String)> = checker
        .interactions()
        .map(|(bus, _, name)| (format!("{bus:?}"), name.to_owned()))
        .collect();
    // These receive from fixed columns alone; how often is the next test's.
    let fixed = |name: &str| ["a range value is read", "a time difference is read"].contains(&name);
    let idle: Vec<String> = interactions
        .par_iter()
        .enumerate()
        .filter_map(|(index, (bus, name))| {
            let target = Some(Target::Interaction(index)).filter(|_| !fixed(name))?;
            let Some((forged, _)) = broken(checker, &witnesses, target) else {
                return Some(format!("{bus}: {name}: nothing changes its tuple"));
            };
            let refused = dev::names(&forged.check(), "bus", bus);
            (!refused).then(|| format!("{bus}: {name}: still balanced"))
        })
        .collect();
    assert!(
        idle.is_empty(),
        "{} of {}:\n{}",
        idle.len(),
        interactions.len(),
        idle.join("\n")
    );
}

/// Multiplicities are the prover's, but no value of them hides anything: one more or less shows.
#[test]
fn multiplicities_are_what_is_sent() {
    let witness = &witnesses()[0];
    let buses = ["Program", "Table", "Range", "Time", "Memory"];
    for (column, bus) in buses.into_iter().enumerate() {
        // A row that is read and one that is not; of the times, a word's.
        for row in [
            zk_circuits::shape::FIRST_ROW + 8,
            small().end_row() - 1,
            500,
        ] {
            for value in [dev::value(-1), dev::value(77_777)] {
                let mut forged = Forgery::of(witness);
                forged.set_auxiliary(column, row, value);
                let refused = dev::names(&forged.check(), "bus", bus);
                let no_word = bus == "Memory" && row >= small().word_end() as usize;
                assert_eq!(refused, !no_word, "{bus} at row {row}");
            }
        }
    }
}

/// The same failures by halo2's own evaluation: one constraint of each family, one interaction of each bus.
#[test]
fn mock_prover_agrees() {
    let witnesses = witnesses();
    let checker = Checker::shared(small());
    let mut targets = BTreeMap::new();
    for (index, (family, name)) in checker.constraints().enumerate() {
        targets.entry(family.to_owned()).or_insert((
            Target::Constraint(index),
            family.to_owned(),
            name.to_owned(),
        ));
    }
    for (index, (bus, ..)) in checker.interactions().enumerate() {
        let end = "the accumulator ends at zero: every bus is balanced";
        targets.entry(format!("{bus:?}")).or_insert((
            Target::Interaction(index),
            "bus".to_owned(),
            end.to_owned(),
        ));
    }
    let missed: Vec<String> = targets
        .into_values()
        .collect::<Vec<_>>()
        .par_iter()
        .filter_map(|(target, family, name)| {
            let (forged, _) = broken(checker, &witnesses, *target)?;
            let failures = forged.mock();
            (!dev::names(&failures, family, name)).then(|| format!("{family}: {name}"))
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
