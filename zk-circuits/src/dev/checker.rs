//! The constraints of a shape, evaluated without halo2.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use ff::Field;
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::poly::Poly;
use super::{Failure, describe, show};
use crate::Shape;
use crate::bus::Bus;
use crate::chunk_circuit::ChunkConfig;
use crate::tables::fixed_columns;
use crate::witness::{ChunkWitness, Matrix};

/// A compiled constraint.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) poly: Poly,
}

/// A compiled bus interaction.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) bus: Bus,
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) multiplicity: Poly,
    pub(crate) tuple: Vec<Poly>,
}

/// The constraints of a shape, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Checker {
    pub(crate) shape: Shape,
    fixed: OnceLock<Vec<Vec<Fr>>>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) interactions: Vec<Interaction>,
}

/// A bus and a tuple, filled up with zeros.
type Tuple = (Bus, [Fr; 4]);

impl Checker {
    /// Compiles the constraints of a shape.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let mut cs = ConstraintSystem::default();
        let config = ChunkConfig::configure(&mut cs, shape);
        let constraints = config
            .constraints
            .iter()
            .filter(|c| c.family != "bus")
            .map(|c| Constraint {
                family: c.family,
                name: c.name.clone(),
                poly: Poly::new(&c.poly),
            })
            .collect();
        let interactions = config
            .bus
            .interactions
            .iter()
            .map(|i| Interaction {
                bus: i.bus,
                family: i.family,
                name: i.name.clone(),
                multiplicity: Poly::new(&i.multiplicity),
                tuple: i.tuple.iter().map(Poly::new).collect(),
            })
            .collect();
        Self {
            shape,
            fixed: OnceLock::new(),
            constraints,
            interactions,
        }
    }

    /// The checker of a shape, compiled once in a process.
    ///
    /// # Panics
    /// If another thread panicked while it compiled one.
    #[must_use]
    pub fn shared(shape: Shape) -> &'static Self {
        static CHECKERS: Mutex<Option<HashMap<Shape, &'static Checker>>> = Mutex::new(None);
        let mut checkers = CHECKERS.lock().expect("compiling does not panic");
        checkers
            .get_or_insert_default()
            .entry(shape)
            .or_insert_with(|| Box::leak(Box::new(Self::new(shape))))
    }

    /// Family and name of every constraint.
    pub fn constraints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.constraints.iter().map(|c| (c.family, c.name.as_str()))
    }

    /// Bus, family and name of every interaction.
    pub fn interactions(&self) -> impl Iterator<Item = (Bus, &str, &str)> {
        self.interactions
            .iter()
            .map(|i| (i.bus, i.family, i.name.as_str()))
    }

    /// Advice column (none for fixed and instance columns) and rotation of everything that tuples and
    /// multiplicities read.
    pub fn interaction_queries(&self) -> impl Iterator<Item = (Option<usize>, i32)> {
        self.interactions
            .iter()
            .flat_map(|i| i.tuple.iter().chain([&i.multiplicity]))
            .flat_map(Poly::queries)
            .map(|(column, rotation)| {
                (
                    Some(column).filter(|c| *c < Matrix::fixed_index(0)),
                    rotation,
                )
            })
    }

    pub(crate) fn fixed(&self) -> &[Vec<Fr>] {
        self.fixed.get_or_init(|| fixed_columns(self.shape))
    }

    /// Every failure of these columns.
    pub(crate) fn check(
        &self,
        witness: &ChunkWitness,
        columns: &[Vec<Fr>],
        instance: &[Fr],
    ) -> Vec<Failure> {
        let matrix = Matrix::new(columns, self.fixed(), instance, self.shape);
        let mut failures = self.violated(witness, &matrix, matrix.active_rows());
        // For each tuple of a bus: the sum of its multiplicities, and who used it first.
        let mut balances: HashMap<Tuple, (Fr, usize, &str)> = HashMap::new();
        for row in matrix.active_rows() {
            for interaction in &self.interactions {
                let multiplicity = interaction.multiplicity.evaluate(&matrix, row);
                if multiplicity == Fr::ZERO {
                    continue;
                }
                let mut tuple = [Fr::ZERO; 4];
                for (value, poly) in tuple.iter_mut().zip(&interaction.tuple) {
                    *value = poly.evaluate(&matrix, row);
                }
                let entry = balances.entry((interaction.bus, tuple)).or_insert((
                    Fr::ZERO,
                    row,
                    &interaction.name,
                ));
                entry.0 += multiplicity;
            }
        }
        let mut unbalanced: Vec<_> = balances
            .into_iter()
            .filter(|(_, (sum, ..))| *sum != Fr::ZERO)
            .collect();
        unbalanced.sort_by_key(|((bus, tuple), (_, row, _))| (*bus, *row, *tuple));
        failures.extend(
            unbalanced
                .into_iter()
                .map(|((bus, tuple), (sum, row, name))| {
                    let values: Vec<_> = tuple[..bus.arity()].iter().map(show).collect();
                    let (values, sum) = (values.join(", "), show(&sum));
                    Failure {
                        family: "bus".into(),
                        constraint: format!("{bus:?}"),
                        row: Some(row),
                        context: format!(
                            "'{name}' ({values}) is off by {sum} {}",
                            describe(witness, row)
                        ),
                    }
                }),
        );
        failures
    }

    /// The constraints that do not hold on these rows.
    pub(crate) fn violated(
        &self,
        witness: &ChunkWitness,
        matrix: &Matrix<'_>,
        rows: std::ops::Range<usize>,
    ) -> Vec<Failure> {
        let mut failures = Vec::new();
        for row in rows {
            for constraint in &self.constraints {
                if constraint.poly.evaluate(matrix, row) != Fr::ZERO {
                    failures.push(Failure {
                        family: constraint.family.into(),
                        constraint: constraint.name.clone(),
                        row: Some(row),
                        context: describe(witness, row),
                    });
                }
            }
        }
        failures
    }
}
