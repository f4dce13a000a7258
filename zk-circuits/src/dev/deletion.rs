//! What the circuit would accept without one of its parts.
//!
//! A mutant is the circuit without a constraint or a bus interaction. It is *killed* by a witness that satisfies
//! everything that is left and whose public data, the instance and the committed columns, are those of no
//! honest chunk ([`Forgery::is_true`] runs the program again to tell). A mutant that nothing kills is equivalent,
//! or its part is there so that honest chunks are accepted.

mod script;
mod transplant;
mod truth;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use ff::Field;
use halo2curves::bn256::Fr;

pub use script::{Beginning, Script, from_row, script};
pub use transplant::transplant;

use super::{Checker, Forgery};
use crate::bus::Bus;
use crate::witness::Matrix;

/// A constraint or a bus interaction, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Family and name of a constraint.
    Constraint(String, String),
    /// Bus and name of an interaction.
    Interaction(Bus, String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constraint(family, name) => write!(f, "{family}: {name}"),
            Self::Interaction(bus, name) => write!(f, "bus {bus:?}: {name}"),
        }
    }
}

/// Interactions whose multiplicity is a column of its own: the prover chooses it.
const FREE: [&str; 4] = [
    "a row of the program table is read",
    "a row of the lookup table is read",
    "a range value is read",
    "a time difference is read",
];

/// A bus and a tuple, filled up with zeros.
type Tuple = (Bus, [Fr; 4]);

/// Everything that refuses a witness, whatever its multiplicities of tables are: a row of a table that is there
/// can be read as often as it takes.
#[derive(Debug)]
pub struct Refusals<'a> {
    checker: &'a Checker,
    violated: BTreeSet<usize>,
    /// What each interaction adds to a tuple, but for those with free multiplicities.
    sums: HashMap<Tuple, Vec<(usize, Fr)>>,
    /// The interactions with free multiplicities that have this tuple in some row.
    tables: HashMap<Tuple, Vec<usize>>,
}

impl Refusals<'_> {
    /// Whether the witness satisfies everything but these parts.
    #[must_use]
    pub fn accepts_without(&self, parts: &[Part]) -> bool {
        let checker = self.checker;
        let constraint = |index: &usize| {
            let constraint = &checker.constraints[*index];
            parts.iter().any(|part| match part {
                Part::Constraint(family, name) => {
                    (constraint.family, &constraint.name) == (family, name)
                }
                Part::Interaction(..) => false,
            })
        };
        let removed: Vec<usize> = (0..checker.interactions.len())
            .filter(|index| {
                let interaction = &checker.interactions[*index];
                parts.contains(&Part::Interaction(
                    interaction.bus,
                    interaction.name.clone(),
                ))
            })
            .collect();
        self.violated.iter().all(constraint)
            && self.sums.iter().all(|(tuple, parts)| {
                let left = parts.iter().filter(|(index, _)| !removed.contains(index));
                let tables = self.tables.get(tuple).into_iter().flatten();
                left.map(|(_, sum)| sum).sum::<Fr>() == Fr::ZERO
                    || tables.into_iter().any(|index| !removed.contains(index))
            })
    }

    /// The single parts without which the witness is accepted.
    #[must_use]
    pub fn single(&self) -> Vec<Part> {
        let parts = self.checker.parts();
        let mut constraints = self.violated.iter();
        let candidates: Vec<Part> = match (constraints.next(), constraints.next()) {
            (Some(only), None) => {
                let constraint = &self.checker.constraints[*only];
                let name = constraint.name.clone();
                vec![Part::Constraint(constraint.family.to_owned(), name)]
            }
            (None, _) => parts
                .into_iter()
                .filter(|part| matches!(part, Part::Interaction(..)))
                .collect(),
            _ => Vec::new(),
        };
        candidates
            .into_iter()
            .filter(|part| self.accepts_without(std::slice::from_ref(part)))
            .collect()
    }

    /// The constraints that do not hold, and the interactions on tuples that are not balanced.
    #[must_use]
    pub fn all(&self) -> BTreeSet<String> {
        let violated = self.violated.iter().map(|index| {
            let constraint = &self.checker.constraints[*index];
            format!("{}: {}", constraint.family, constraint.name)
        });
        let unbalanced = self.sums.iter().filter(|(tuple, parts)| {
            parts.iter().map(|(_, sum)| sum).sum::<Fr>() != Fr::ZERO
                && !self.tables.contains_key(*tuple)
        });
        let unbalanced = unbalanced.flat_map(|((bus, tuple), parts)| {
            let values: Vec<_> = tuple[..bus.arity()].iter().map(super::show).collect();
            parts.iter().map(move |(index, sum)| {
                let name = &self.checker.interactions[*index].name;
                format!(
                    "bus {bus:?}: {name} ({}) × {}",
                    values.join(", "),
                    super::show(sum)
                )
            })
        });
        violated.chain(unbalanced).collect()
    }
}

impl Checker {
    /// Every constraint, and every interaction.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let constraints = self
            .constraints()
            .map(|(family, name)| Part::Constraint(family.to_owned(), name.to_owned()));
        let interactions = self
            .interactions()
            .map(|(bus, _, name)| Part::Interaction(bus, name.to_owned()));
        constraints.chain(interactions).collect()
    }

    /// What refuses these columns.
    pub(crate) fn refusals(
        &self,
        columns: &[Vec<Fr>],
        fixed: &[Vec<Fr>],
        instance: &[Fr],
    ) -> Refusals<'_> {
        let matrix = Matrix::new(columns, fixed, instance, self.shape);
        let mut violated = BTreeSet::new();
        let mut sums: HashMap<Tuple, Vec<(usize, Fr)>> = HashMap::new();
        let mut tables: HashMap<Tuple, Vec<usize>> = HashMap::new();
        for row in 0..self.shape.end_row() {
            for (index, constraint) in self.constraints.iter().enumerate() {
                if !violated.contains(&index) && constraint.poly.evaluate(&matrix, row) != Fr::ZERO
                {
                    violated.insert(index);
                }
            }
            if !matrix.active_rows().contains(&row) {
                continue;
            }
            for (index, interaction) in self.interactions.iter().enumerate() {
                let is_free = FREE.contains(&interaction.name.as_str());
                let multiplicity = interaction.multiplicity.evaluate(&matrix, row);
                if multiplicity == Fr::ZERO && !is_free {
                    continue;
                }
                let mut tuple = [Fr::ZERO; 4];
                for (value, poly) in tuple.iter_mut().zip(&interaction.tuple) {
                    *value = poly.evaluate(&matrix, row);
                }
                let key = (interaction.bus, tuple);
                if is_free {
                    let users = tables.entry(key).or_default();
                    if !users.contains(&index) {
                        users.push(index);
                    }
                    continue;
                }
                let parts = sums.entry(key).or_default();
                match parts.iter_mut().find(|(other, _)| *other == index) {
                    Some((_, sum)) => *sum += multiplicity,
                    None => parts.push((index, multiplicity)),
                }
            }
        }
        Refusals {
            checker: self,
            violated,
            sums,
            tables,
        }
    }
}

impl Forgery {
    /// What refuses this forgery, whatever its multiplicities of tables are.
    #[must_use]
    pub fn refusals(&self) -> Refusals<'static> {
        let checker = Checker::shared(self.witness.shape());
        let columns = self
            .columns
            .clone()
            .unwrap_or_else(|| self.witness.columns());
        checker.refusals(&columns, checker.fixed(), &self.instance)
    }
}
