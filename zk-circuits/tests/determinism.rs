//! Operands determine outputs: a search for second solutions. That it finds them is what `deletion` shows.
#![expect(clippy::print_stderr, reason = "a search says how far it went")]

mod fixtures;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use zk_circuits::dev::{self, Checker, Group};
use zk_circuits::{Cell, ChunkWitness, Class, Row, Shape, rom};

/// Groups of every kind that the fixtures have, at most this many of each.
fn kinds(most: usize) -> Vec<(String, Group)> {
    // The constraints of the wide shape: the narrow one has the same, with every limb split once more.
    let wide = Checker::shared(Shape::new(17, 8).expect("supported"));
    let all: Vec<Vec<(String, Group)>> = fixtures::all()
        .into_par_iter()
        .map(|fixture| {
            let mut witnesses = fixture.witnesses(fixtures::small(), None);
            let long = witnesses.iter().filter_map(|w| dev::long_way(w).ok());
            let long: Vec<ChunkWitness> = long.collect();
            witnesses.extend(long);
            let groups = witnesses.iter().flat_map(|witness| {
                dev::groups(witness, wide)
                    .into_iter()
                    .map(|group| (group.kind(witness), group))
            });
            let mut found: BTreeMap<String, Vec<Group>> = BTreeMap::new();
            for (kind, group) in groups {
                found.entry(kind).or_default().push(group);
            }
            let spread = found.into_iter().flat_map(|(kind, groups)| {
                spread(groups, 2 * most)
                    .into_iter()
                    .map(move |group| (kind.clone(), group))
            });
            spread.collect()
        })
        .collect();
    let mut kinds: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    for (kind, group) in all.into_iter().flatten() {
        kinds.entry(kind).or_default().push(group);
    }
    kinds
        .into_iter()
        .flat_map(|(kind, groups)| {
            spread(groups, most)
                .into_iter()
                .map(move |group| (kind.clone(), group))
        })
        .collect()
}

/// At most this many of them, evenly spread.
fn spread<T>(items: Vec<T>, most: usize) -> Vec<T> {
    let count = items.len();
    items
        .into_iter()
        .enumerate()
        .filter(|(index, _)| (index * most + most / 2) % count.max(1) < most)
        .map(|(_, item)| item)
        .take(most)
        .collect()
}

#[test]
fn outputs_are_determined_by_operands() {
    let groups = kinds(1);
    let classes: BTreeSet<Class> = groups.iter().map(|(_, group)| group.class).collect();
    assert_eq!(
        classes.len(),
        Class::ALL.len() - 8,
        "every class that begins a group"
    );
    let results: Vec<_> = groups
        .par_iter()
        .map(|(kind, group)| {
            assert!(group.is_satisfied(), "{kind}: the honest rows");
            (kind, group.search(true))
        })
        .collect();
    let ambiguous: Vec<String> = results
        .iter()
        .filter_map(|(kind, (found, _))| {
            let changes = &found.as_ref()?.changes;
            Some(format!("{kind}: {changes:?}"))
        })
        .collect();
    let total = |count: fn(&dev::Effort) -> usize| -> usize {
        results.iter().map(|(_, (_, effort))| count(effort)).sum()
    };
    eprintln!(
        "{} kinds of groups, {} starts, {} assignments, {} equivalent witnesses",
        results.len(),
        total(|e| e.starts),
        total(|e| e.assignments),
        total(|e| e.equivalent)
    );
    assert!(
        ambiguous.is_empty(),
        "{} of {}:\n{}",
        ambiguous.len(),
        groups.len(),
        ambiguous.join("\n")
    );
}

/// The first row of an access, claimed to go another way.
fn claim(
    honest: &ChunkWitness,
    index: usize,
    change: impl Fn(&mut Row),
    upc: usize,
) -> Option<ChunkWitness> {
    let claimed = dev::rerun(honest, |view| {
        if let Some(row) = view.row.filter(|_| view.index == index) {
            change(row);
            *view.upc = upc;
        }
    });
    claimed.ok()
}

/// Success and violation are disjoint, at every edge of every region: no assignment of the free cells
/// makes a permitted access a violation, or a violation permitted; nor a crossing of none, or the reverse.
#[test]
fn accesses_go_one_way_only() {
    let wide = Checker::shared(Shape::new(17, 8).expect("supported"));
    let mut fixtures = fixtures::control::fixtures();
    fixtures.push(fixtures::memory::sections());
    fixtures.extend(fixtures::sbpf::calls().into_iter().step_by(3));
    let mut tried = [0; 4];
    let mut ranges = 0;
    for fixture in fixtures {
        let witness = fixture.witness();
        let rows = dev::rows(&witness);
        let is_access = |row: &Row| {
            matches!(
                dev::class(row),
                Some(Class::Load | Class::Store | Class::Span)
            )
        };
        let accesses = (0..rows.len()).filter(|index| is_access(&rows[*index]));
        for index in accesses.step_by(2).take(40) {
            let row = rows[index];
            let is_range = dev::class(&row) == Some(Class::Span);
            let to_write = row[Cell::H1] == 1 || is_range && row[Cell::M1] == 1;
            let fault = rom::fault(is_range, to_write);
            let name = format!("{} row {index}", fixture.name);
            if row[Cell::T] == 0 {
                // The search is able to find what there is: the honest rows without their limbs.
                let mut erased = dev::Forgery::of(&witness);
                for row in &mut erased.rows()[index..index + 2] {
                    for cell in [Cell::L0, Cell::L4, Cell::L5, Cell::L8, Cell::P2, Cell::W] {
                        row[cell] = 0;
                    }
                }
                let group = dev::group_at(erased.witness(), wide, index, 3);
                assert!(
                    group.solve(&[Cell::T]).0.is_some(),
                    "{name}: the violation itself"
                );
                let permitted = claim(&witness, index, |row| row[Cell::T] = 1, fault);
                let permitted = permitted.expect("the fault follows");
                let group = dev::group_at(&permitted, wide, index, 1);
                let (found, effort) = group.solve(&[Cell::T]);
                assert!(found.is_none(), "{name}: permitted, {effort:?}");
                tried[0] += 1;
                continue;
            }
            let refused = claim(
                &witness,
                index,
                |row| {
                    row[Cell::T] = 0;
                    row[Cell::R] = row[Cell::Y];
                },
                fault,
            );
            let group = dev::group_at(&refused.expect("the trap follows"), wide, index, 3);
            assert!(group.solve(&[Cell::T]).0.is_none(), "{name}: a violation");
            tried[1] += 1;
            if is_range {
                ranges += 1;
                continue;
            }
            let size = 1 + row[Cell::M1] + 2 * row[Cell::M2] + 4 * row[Cell::M3];
            let crosses = row[Cell::C] == 1;
            if !crosses && (row[Cell::B] + size) % 8 > size {
                // The witness of a high word is not even defined.
                continue;
            }
            let words = rom::WORDS + 2 * row[Cell::D] as usize + usize::from(!crosses);
            let Some(other) = claim(&witness, index, |row| row[Cell::C] ^= 1, words) else {
                continue;
            };
            let len = if crosses { 2 } else { 3 };
            let group = dev::group_at(&other, wide, index, len);
            assert!(
                group.solve(&[Cell::T, Cell::C]).0.is_none(),
                "{name}: crossing {crosses}"
            );
            tried[2 + usize::from(crosses)] += 1;
        }
    }
    eprintln!("violations, permissions, one word as two, two as one: {tried:?}; {ranges} ranges");
    assert!(ranges > 20);
    assert!(tried.iter().all(|count| *count > 5), "{tried:?}");
}
