//! Operands determine outputs: a search for second solutions, and proof that the search finds them.

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
            let mut found: BTreeMap<String, Vec<Group>> = BTreeMap::new();
            for witness in fixture.witnesses(fixtures::small(), None) {
                for group in dev::groups(&witness, wide) {
                    let same = found.entry(group.kind(&witness)).or_default();
                    if same.len() < most {
                        same.push(group);
                    }
                }
            }
            found
                .into_iter()
                .flat_map(|(kind, groups)| groups.into_iter().map(move |g| (kind.clone(), g)))
                .collect()
        })
        .collect();
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    all.into_iter()
        .flatten()
        .filter(|(kind, _)| {
            let count = kept.entry(kind.clone()).or_default();
            *count += 1;
            *count <= most
        })
        .collect()
}

#[test]
fn outputs_are_determined_by_operands() {
    let groups = kinds(1);
    let classes: BTreeSet<Class> = groups.iter().map(|(_, group)| group.class).collect();
    assert_eq!(classes.len(), Class::ALL.len() - 8, "every class that begins a group");
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
    assert!(ambiguous.is_empty(), "{} of {}:\n{}", ambiguous.len(), groups.len(), ambiguous.join("\n"));
}

/// The search is worth something: without a constraint that is needed, it finds the forgery.
#[test]
fn the_search_finds_what_a_missing_constraint_allows() {
    let groups = kinds(1);
    let mut needed: BTreeMap<(String, String), Vec<&Group>> = BTreeMap::new();
    for (_, group) in &groups {
        for (family, name) in group.constraints() {
            let key = (family.to_owned(), name.to_owned());
            needed.entry(key).or_default().push(group);
        }
    }
    let results: Vec<_> = needed
        .par_iter()
        .map(|((family, name), groups)| {
            let found = groups
                .iter()
                .any(|group| group.without(family, name).search(false).0.is_some());
            (format!("{family}: {name}"), found)
        })
        .collect();
    let missed: Vec<&str> =
        results.iter().filter(|(_, found)| !found).map(|(name, _)| name.as_str()).collect();
    eprintln!("{} of {} deletions found", results.len() - missed.len(), results.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
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
    let mut tried = [0; 4];
    for fixture in fixtures {
        let witness = fixture.witness();
        let rows = dev::rows(&witness);
        let accesses = (0..rows.len()).filter(|index| rows[*index][Cell::G0] == 1);
        for index in accesses.take(40) {
            let row = rows[index];
            let name = format!("{} row {index}", fixture.name);
            if row[Cell::T] == 0 {
                // The search is able to find what there is: the honest rows without their limbs.
                let mut erased = dev::Forgery::of(&witness);
                for row in &mut erased.rows()[index..index + 2] {
                    for cell in [Cell::L0, Cell::L4, Cell::L5, Cell::L8, Cell::P2, Cell::W] {
                        row[cell] = 0;
                    }
                }
                let group = dev::group_at(erased.witness(), wide, index, 2);
                assert!(group.solve(&[Cell::T]).0.is_some(), "{name}: the violation itself");
                let permitted = claim(&witness, index, |row| row[Cell::T] = 1, rom::FAULT);
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
                rom::FAULT,
            );
            let group = dev::group_at(&refused.expect("the trap follows"), wide, index, 2);
            assert!(group.solve(&[Cell::T]).0.is_none(), "{name}: a violation");
            tried[1] += 1;
            let crosses = row[Cell::C] == 1;
            let words = rom::WORDS + 2 * row[Cell::D] as usize + usize::from(!crosses);
            let Some(other) = claim(&witness, index, |row| row[Cell::C] ^= 1, words) else {
                continue;
            };
            let len = if crosses { 2 } else { 3 };
            let group = dev::group_at(&other, wide, index, len);
            assert!(group.solve(&[Cell::T, Cell::C]).0.is_none(), "{name}: crossing {crosses}");
            tried[2 + usize::from(crosses)] += 1;
        }
    }
    eprintln!("violations, permissions, one word as two, two as one: {tried:?}");
    assert!(tried.iter().all(|count| *count > 10), "{tried:?}");
}
