//! Are the outputs of a row group determined by its operands? A search for a second solution.
//!
//! A group is a row that is not a continuation, and its continuations. Operands, flags, constants and
//! the state before are fixed; every other cell is the adversary's. Whatever it changes, it repairs the
//! violated constraints one after another, by solving them for cells it has not touched yet. It knows
//! that four limbs are a word: a limb that grows too large is spread over its word.
use std::collections::HashSet;

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use super::group::{Group, Local, Lookup};
use crate::builder::field;
use crate::bus::Bus;
use crate::cell::Cell;
use crate::tables::kind;

/// How far a search went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// Changes that the adversary began with.
    pub starts: usize,
    /// Assignments that it looked at.
    pub assignments: usize,
    /// Other solutions with the same outputs.
    pub equivalent: usize,
}

/// A second solution with other outputs.
#[derive(Clone, Debug)]
pub struct Ambiguity {
    /// What differs from the honest witness, outputs first, with both values.
    pub changes: Vec<((Cell, usize), String, String)>,
    /// The values of all variables.
    pub(super) values: Vec<Fr>,
}

impl Group {
    /// Searches for a second solution with other outputs; `thorough` combines all bits with all changes.
    #[must_use]
    pub fn search(&self, thorough: bool) -> (Option<Ambiguity>, Effort) {
        let mut effort = Effort::default();
        // The bits as any other cell: only their own constraints keep them from other values.
        for bit in &self.bits {
            for change in [Fr::from(2), -Fr::ONE] {
                let mut values = self.honest.clone();
                values[*bit] = change;
                if let Some(found) = self.attempt(&values, &[*bit].into(), 200, &mut effort) {
                    return (Some(found), effort);
                }
            }
        }
        for variable in 0..self.variables.len() {
            let honest = self.honest[variable];
            for change in [honest + Fr::ONE, flip(honest)] {
                let mut values = self.honest.clone();
                values[variable] = change;
                if let Some(found) = self.attempt(&values, &[variable].into(), 60, &mut effort) {
                    return (Some(found), effort);
                }
            }
        }
        let combinations = 1_usize << self.bits.len().min(10);
        for combination in 0..combinations {
            let mut values = self.honest.clone();
            let mut touched = HashSet::new();
            for (index, bit) in self.bits.iter().enumerate() {
                if combination >> index & 1 == 1 {
                    values[*bit] = Fr::ONE - values[*bit];
                    touched.insert(*bit);
                }
            }
            let flipped = touched.len();
            touched.extend(&self.bits);
            if let Some(found) = self.attempt(&values, &touched, 400, &mut effort) {
                return (Some(found), effort);
            }
            for word in &self.words {
                for limb in [0, 0xffff] {
                    let mut values = values.clone();
                    let mut touched = touched.clone();
                    for variable in word {
                        values[*variable] = Fr::from(limb);
                        touched.insert(*variable);
                    }
                    if let Some(found) = self.attempt(&values, &touched, 60, &mut effort) {
                        return (Some(found), effort);
                    }
                }
            }
            if flipped > if thorough { 2 } else { 0 } {
                continue;
            }
            for variable in 0..self.variables.len() {
                if self.bits.contains(&variable) {
                    continue;
                }
                let honest = self.honest[variable];
                let power = Fr::from(1 << 16);
                let changes = [
                    honest + Fr::ONE,
                    honest - Fr::ONE,
                    honest + power,
                    -honest,
                    honest + power.square().square(),
                    flip(honest),
                    Fr::from(0x5bd1_e995_u64 ^ variable as u64),
                ];
                let count = if thorough && flipped == 0 {
                    changes.len()
                } else {
                    2
                };
                for change in changes.into_iter().take(count).filter(|c| *c != honest) {
                    let mut values = values.clone();
                    values[variable] = change;
                    let mut touched = touched.clone();
                    touched.insert(variable);
                    if let Some(found) = self.attempt(&values, &touched, 60, &mut effort) {
                        return (Some(found), effort);
                    }
                }
            }
        }
        (None, effort)
    }

    /// Looks for any solution in which these cells keep their values: every other one is free.
    #[must_use]
    pub fn solve(&self, pinned: &[Cell]) -> (Option<Ambiguity>, Effort) {
        let mut effort = Effort::default();
        let search = Self {
            any: true,
            ..self.clone()
        };
        let is_pinned = |v: &usize| {
            let (cell, index) = self.variables[*v];
            index == 0 && pinned.contains(&cell)
        };
        let bits: Vec<usize> = self
            .bits
            .iter()
            .copied()
            .filter(|b| !is_pinned(b))
            .collect();
        for combination in 0..1_usize << bits.len() {
            let mut values = self.honest.clone();
            for (index, bit) in bits.iter().enumerate() {
                values[*bit] = field((combination >> index & 1) as i128);
            }
            let mut touched: HashSet<usize> = self.bits.iter().copied().collect();
            touched.extend((0..values.len()).filter(is_pinned));
            if let Some(found) = search.attempt(&values, &touched, 2000, &mut effort) {
                return (Some(found), effort);
            }
        }
        (None, effort)
    }

    fn attempt(
        &self,
        values: &[Fr],
        touched: &HashSet<usize>,
        budget: usize,
        effort: &mut Effort,
    ) -> Option<Ambiguity> {
        effort.starts += 1;
        let Effort {
            assignments,
            equivalent,
            ..
        } = effort;
        let mut take = |values: &[Fr]| {
            let found = self.differences(values);
            let found = found.or_else(|| {
                self.any.then(|| Ambiguity {
                    changes: Vec::new(),
                    values: values.to_vec(),
                })
            });
            *equivalent += usize::from(found.is_none() && values != self.honest);
            found
        };
        // Short chains first, so that a long one that leads nowhere does not hide them.
        [3, 9].into_iter().find_map(|depth| {
            let mut budget = budget;
            self.repair(values, touched, depth, &mut budget, assignments, &mut take)
        })
    }

    /// Repairs the violated constraint that leaves the fewest choices, in every way, and goes on. Where
    /// everything holds, `take` says whether that is what was looked for.
    pub(super) fn repair<T>(
        &self,
        values: &[Fr],
        touched: &HashSet<usize>,
        depth: usize,
        budget: &mut usize,
        assignments: &mut usize,
        take: &mut impl FnMut(&[Fr]) -> Option<T>,
    ) -> Option<T> {
        *assignments += 1;
        let Some(repairs) = self.violation(values, touched) else {
            return take(values);
        };
        for (variable, value) in repairs {
            if *budget == 0 || depth == 0 {
                return None;
            }
            *budget -= 1;
            let mut values = values.to_vec();
            let mut touched = touched.clone();
            values[variable] = value;
            touched.insert(variable);
            if let Some(word) = self.words.iter().find(|word| word.contains(&variable)) {
                spread(&mut values, word);
                touched.extend(word);
            }
            let found = self.repair(&values, &touched, depth - 1, budget, assignments, take);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// None if everything holds, otherwise the ways to repair one violation.
    pub(super) fn violation(
        &self,
        values: &[Fr],
        touched: &HashSet<usize>,
    ) -> Option<Vec<(usize, Fr)>> {
        let mut best: Option<(&Local, Vec<usize>)> = None;
        for (_, _, local) in &self.constraints {
            if local.evaluate(values) == Fr::ZERO {
                continue;
            }
            let free: Vec<usize> = local
                .variables()
                .into_iter()
                .filter(|v| !touched.contains(v))
                .collect();
            if best
                .as_ref()
                .is_none_or(|(_, other)| free.len() < other.len())
            {
                best = Some((local, free));
            }
        }
        if let Some((local, mut free)) = best {
            free.sort_by_key(|v| self.weight[*v]);
            return Some(
                free.into_iter()
                    .flat_map(|v| {
                        local
                            .roots(values, v, Fr::ZERO)
                            .into_iter()
                            .map(move |r| (v, r))
                    })
                    .collect(),
            );
        }
        let broken = self.lookups.iter().find(|lookup| {
            lookup.multiplicity.evaluate(values) != Fr::ZERO && !self.is_in_table(lookup, values)
        })?;
        Some(self.lookup_repairs(broken, values, touched))
    }

    fn tuple(lookup: &Lookup, values: &[Fr]) -> [Fr; 4] {
        let mut tuple = [Fr::ZERO; 4];
        for (value, local) in tuple.iter_mut().zip(&lookup.tuple) {
            *value = local.evaluate(values);
        }
        tuple
    }

    fn is_in_table(&self, lookup: &Lookup, values: &[Fr]) -> bool {
        let tuple = Self::tuple(lookup, values);
        let below = |value: Fr, bound: u128| small(value).filter(|v| *v < bound);
        match lookup.bus {
            Bus::Range => below(tuple[1], 1 << 16).is_some(),
            Bus::Table if tuple[0] == Fr::from(kind::AND) => {
                let [x, y, z] = [1, 2, 3].map(|i| below(tuple[i], 1 << 8));
                x.zip(y).zip(z).is_some_and(|((x, y), z)| x & y == z)
            }
            _ => self.tables.rows.contains(&tuple),
        }
    }

    /// Conjunctions are computed; an interval is any of the program's, solved value by value.
    fn lookup_repairs(
        &self,
        lookup: &Lookup,
        values: &[Fr],
        touched: &HashSet<usize>,
    ) -> Vec<(usize, Fr)> {
        let tuple = Self::tuple(lookup, values);
        let solve = |element: usize, target: Fr| {
            let local = &lookup.tuple[element];
            let free = local
                .variables()
                .into_iter()
                .filter(|v| !touched.contains(v));
            free.flat_map(|v| {
                local
                    .roots(values, v, target)
                    .into_iter()
                    .map(move |r| (v, r))
            })
            .collect::<Vec<_>>()
        };
        match lookup.bus {
            Bus::Table if tuple[0] == Fr::from(kind::AND) => {
                match small(tuple[1]).zip(small(tuple[2])) {
                    Some((x, y)) if x.max(y) < 256 => solve(3, field((x & y) as i128)),
                    _ => Vec::new(),
                }
            }
            Bus::Program => self
                .tables
                .intervals
                .iter()
                .filter(|row| row[0] == tuple[0])
                .flat_map(|row| {
                    let wrong = (0..3).find(|i| row[*i] != tuple[*i]);
                    wrong.map_or(Vec::new(), |element| solve(element, row[element]))
                })
                .collect(),
            Bus::Table => (1..4)
                .flat_map(|element| {
                    let others = (0..4).filter(|i| *i != element);
                    let fits: Vec<_> = self
                        .tables
                        .rows
                        .iter()
                        .filter(|row| others.clone().all(|i| row[i] == tuple[i]))
                        .collect();
                    fits.into_iter()
                        .flat_map(|row| solve(element, row[element]))
                        .collect::<Vec<_>>()
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn differences(&self, values: &[Fr]) -> Option<Ambiguity> {
        let differs = |v: usize| values[v] != self.honest[v];
        let chosen = self.choice.as_ref().filter(|(bit, _)| differs(*bit));
        let is_where = |v| chosen.is_some_and(|(_, places)| places.contains(v));
        if !self.outputs.iter().any(|v| differs(*v) && !is_where(v)) {
            return None;
        }
        let mut order = self.outputs.clone();
        order.extend((0..values.len()).filter(|v| !self.outputs.contains(v)));
        let changes = order
            .into_iter()
            .filter(|v| differs(*v))
            .map(|v| {
                (
                    self.variables[v],
                    super::show(&self.honest[v]),
                    super::show(&values[v]),
                )
            })
            .collect();
        Some(Ambiguity {
            changes,
            values: values.to_vec(),
        })
    }
}

/// The integer, if it is below `2^127`.
fn small(value: Fr) -> Option<u128> {
    let bytes = value.to_repr();
    let mut low = [0; 16];
    low.copy_from_slice(&bytes[..16]);
    let low = u128::from_le_bytes(low);
    (bytes[16..].iter().all(|b| *b == 0) && low >> 127 == 0).then_some(low)
}

fn flip(value: Fr) -> Fr {
    small(value).map_or(Fr::ZERO, |v| field((v ^ 0x80) as i128))
}

/// Writes the value of four limbs with limbs of 16 bits, if it is a word.
fn spread(values: &mut [Fr], word: &[usize; 4]) {
    let sum = word
        .iter()
        .rev()
        .fold(Fr::ZERO, |sum, v| sum * Fr::from(1 << 16) + values[*v]);
    let Some(sum) = small(sum).filter(|sum| *sum < 1 << 64) else {
        return;
    };
    for (index, limb) in word.iter().enumerate() {
        values[*limb] = field((sum >> (16 * index) & 0xffff) as i128);
    }
}
