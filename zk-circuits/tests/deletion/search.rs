//! Second solutions of row groups where something is missing, each put into its whole chunk.

use std::collections::BTreeMap;

use rayon::prelude::*;
use zk_circuits::dev::{self, Checker, Forgery, Group, Part};
use zk_circuits::{Cell, ChunkWitness, Shape};

use crate::fixtures;

/// Groups of each kind and of each fixture, at most so many.
const OF_A_KIND: usize = 3;
/// Groups that are tried for one part.
const TRIED: usize = 60;

/// A group of rows, its kind, and its chunk.
#[derive(Debug)]
struct Place {
    witness: usize,
    kind: String,
    group: Group,
}

/// The groups of all fixtures.
#[derive(Debug)]
pub(crate) struct Places {
    witnesses: Vec<ChunkWitness>,
    places: Vec<Place>,
}

impl Places {
    pub(crate) fn new() -> Self {
        // The constraints of the wide shape: the narrow one has the same, with every limb split once more.
        let wide = Checker::shared(Shape::new(17, 8).expect("supported"));
        let witnesses: Vec<ChunkWitness> = fixtures::all()
            .par_iter()
            .flat_map(|fixture| fixture.witnesses(fixtures::small(), None))
            .collect();
        let places = witnesses
            .par_iter()
            .enumerate()
            .flat_map_iter(|(index, witness)| {
                let mut seen: BTreeMap<String, usize> = BTreeMap::new();
                dev::groups(witness, wide)
                    .into_iter()
                    .filter_map(move |group| {
                        let kind = group.kind(witness);
                        let count = seen.entry(kind.clone()).or_default();
                        *count += 1;
                        (*count <= OF_A_KIND).then_some(Place {
                            witness: index,
                            kind,
                            group,
                        })
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        Self { witnesses, places }
    }

    /// Looks for a chunk that is accepted without these parts, and not without the others alone.
    pub(crate) fn find(&self, part: &Part, others: &[Part]) -> Option<(String, Forgery)> {
        let parts: Vec<Part> = [part].into_iter().chain(others).cloned().collect();
        let removed: Vec<Vec<String>> = parts.iter().map(wide_names).collect();
        let concerns = |place: &&Place| {
            let group = &place.group;
            parts.iter().zip(&removed).all(|(part, names)| match part {
                Part::Constraint(family, name) => {
                    group.constraints().any(|found| found == (family, name))
                }
                Part::Interaction(..) => group
                    .lookups()
                    .any(|found| names.iter().any(|name| name == found)),
            })
        };
        let mut kinds: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
        for place in self.places.iter().filter(concerns) {
            kinds.entry(&place.kind).or_default().push(place);
        }
        // One of each kind first.
        let rounds = kinds.values().map(Vec::len).max().unwrap_or(0);
        let mut order: Vec<&Place> = Vec::new();
        for round in 0..rounds.min(4) {
            order.extend(
                kinds
                    .values()
                    .filter_map(|list| list.get(round * list.len() / 4)),
            );
        }
        order.into_iter().take(TRIED).find_map(|place| {
            let group =
                parts
                    .iter()
                    .zip(&removed)
                    .fold(place.group.clone(), |group, (part, names)| match part {
                        Part::Constraint(family, name) => group.without(family, name),
                        Part::Interaction(..) => names
                            .iter()
                            .fold(group, |group, name| group.without_lookup(name)),
                    });
            let found = group.search(false).0?;
            let honest = &self.witnesses[place.witness];
            // Behind the group the chunk goes on, or it ends.
            [true, false].into_iter().find_map(|goes_on| {
                let forged = dev::transplant(honest, &group, &found, goes_on)?;
                let forged = match part {
                    Part::Interaction(_, name) => halved(forged, &group, name),
                    Part::Constraint(..) => forged,
                };
                let refusals = forged.refusals();
                let needed = refusals.accepts_without(&parts)
                    && !refusals.accepts_without(others)
                    && !forged.is_true();
                let name = format!("{:?} at row {}", group.class, group.row);
                needed.then_some((name, forged))
            })
        })
    }
}

/// The lookups of the wide shape that an interaction of the narrow one is a part of.
fn wide_names(part: &Part) -> Vec<String> {
    let Part::Interaction(_, name) = part else {
        return Vec::new();
    };
    let mut names = vec![name.clone()];
    if let Some((_, limb)) = name.split_once(" half of ") {
        names.push(format!("{limb} has 16 bits"));
    }
    for half in ["low ", "high "] {
        names.push(name.replace(half, ""));
    }
    names
}

const SPLIT: [Cell; 12] = [
    Cell::L0,
    Cell::L1,
    Cell::L2,
    Cell::L3,
    Cell::L4,
    Cell::L5,
    Cell::L6,
    Cell::L7,
    Cell::L8,
    Cell::P0,
    Cell::P1,
    Cell::P2,
];

/// The same columns with everything in the half that is not looked up.
fn halved(mut forged: Forgery, group: &Group, name: &str) -> Forgery {
    let is_low = name.contains("low ");
    let cells = match name.split_once(':') {
        Some(("bytes 0", _)) => 0..3,
        Some(("bytes 1", _)) => 3..6,
        Some(("bytes 2", _)) => 6..9,
        Some(("table operands", _)) => 9..12,
        _ => match name.split_once(" half of L") {
            Some((_, limb)) => {
                let limb: usize = limb.parse().expect("a limb");
                limb..limb + 1
            }
            None => return forged,
        },
    };
    for row in group.row..group.row + group.len {
        for half in cells.clone() {
            let whole = forged.cell(SPLIT[half], row);
            forged.set_half(half, row, if is_low { whole } else { dev::value(0) });
        }
    }
    forged
}
