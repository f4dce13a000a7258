//! The argument that balances the buses, with the columns of its second phase.

use std::collections::BTreeSet;

use ff::Field;
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::bus::Polynomial;
use crate::chunk_circuit::ChunkConfig;
use crate::dev::{Checker, Forgery};
use crate::shape::FIRST_ROW;
use crate::witness::Matrix;

/// A forgery's columns of both phases under two challenges.
#[derive(Clone, Debug)]
pub struct Argument<'a> {
    forgery: &'a Forgery,
    columns: Vec<Vec<Fr>>,
    constraints: Vec<(String, Polynomial)>,
    helpers: usize,
}

impl Forgery {
    /// The argument as an honest prover computes it from these columns, multiplicities as they are.
    #[must_use]
    pub fn argument(&self, alpha: Fr, beta: Fr) -> Argument<'_> {
        let shape = self.witness.shape();
        let mut cs = ConstraintSystem::default();
        let config = ChunkConfig::configure(&mut cs, shape);
        let [first, _] = config.bus.challenges();
        let challenge = |c: halo2_proofs::plonk::Challenge| {
            if c.index() == first.index() {
                alpha
            } else {
                beta
            }
        };
        let bus = config.constraints.iter().filter(|c| c.family == "bus");
        let constraints = bus
            .map(|c| (c.name.clone(), Polynomial::new(&c.poly, &challenge)))
            .collect();
        let mut columns = self
            .columns
            .clone()
            .unwrap_or_else(|| self.witness.columns());
        let fixed = Checker::shared(shape).fixed();
        let matrix = Matrix::new(&columns, fixed, &self.instance, shape);
        let second = config.bus.assign(&matrix, alpha, beta);
        let helpers = second.len() - 1;
        columns.extend(second.into_iter().map(|(_, values)| values));
        Argument {
            forgery: self,
            columns,
            constraints,
            helpers,
        }
    }
}

impl Argument<'_> {
    /// The argument's constraints.
    pub fn constraints(&self) -> impl Iterator<Item = &str> {
        self.constraints.iter().map(|(name, _)| name.as_str())
    }

    /// Number of helper columns; helper `i` is that of constraint `i`.
    #[must_use]
    pub const fn helpers(&self) -> usize {
        self.helpers
    }

    /// The constraints that do not hold.
    #[must_use]
    pub fn violated(&self) -> BTreeSet<String> {
        let shape = self.forgery.witness.shape();
        let fixed = Checker::shared(shape).fixed();
        let matrix = Matrix::new(&self.columns, fixed, &self.forgery.instance, shape);
        let constraints = self.constraints.iter();
        constraints
            .filter(|(_, poly)| {
                matrix
                    .active_rows()
                    .any(|row| poly.evaluate(&matrix, row) != Fr::ZERO)
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// What the accumulator ends at.
    #[must_use]
    pub fn total(&self) -> Fr {
        let end = self.forgery.witness.shape().end_row();
        self.columns.last().map_or(Fr::ZERO, |z| z[end])
    }

    /// Adds to a helper in the first row, and to the accumulator behind it.
    pub fn add(&mut self, helper: usize, value: Fr) {
        let first = self.columns.len() - 1 - self.helpers;
        self.columns[first + helper][FIRST_ROW] += value;
        self.shift(FIRST_ROW + 1, value);
    }

    /// Adds to the accumulator from a row on.
    pub fn shift(&mut self, from: usize, value: Fr) {
        if let Some(accumulator) = self.columns.last_mut() {
            for cell in &mut accumulator[from..] {
                *cell += value;
            }
        }
    }
}
