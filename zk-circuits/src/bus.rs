//! One LogUp argument for every lookup, range check, fetch and memory access.
//!
//! A family *sends* tuples on a named bus, tables *receive* them. In the second phase two challenges
//! `α`, `β` compress a tuple `(v₁, …)` on bus `b` to `D = α + b + β·v₁ + β²·v₂ + …`, and the sum of
//! `multiplicity / D` over all rows must be zero. Helper columns hold the sums of a few fractions
//! each, one accumulator adds them up:
//!
//! * `h·∏D = Σᵢ multiplicityᵢ·∏_{j≠i} D_j` on every active row (degree at most [`MAX_DEGREE`]);
//! * `z = 0` on the first row, `z(next) = z + Σ h + own fractions`, `z = 0` behind the last row.
//!
//! With at most `2^20` rows, 40 fractions a row and tuples of at most 6 values, a false equality
//! survives the choice of `α, β` with probability below `2^-225`; the number of terms stays below
//! `2^26`, far below the field's characteristic, so multiplicities cannot wrap around.

use ff::{BatchInvert, Field};
use halo2_proofs::plonk::{Advice, Challenge, Column, ConstraintSystem, Expression, SecondPhase};
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::builder::{Builder, Expr, MAX_DEGREE, constant};
use crate::tables::FixedColumn;
use crate::witness::Matrix;

/// A named set of tuples; the number is part of every compressed tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bus {
    /// Rows of the program table: (address and code, immediate, target).
    Program = 1,
    /// Words: (address, value, time).
    Memory = 2,
    /// Table operands and pages: (kind, x, y, z); see `tables.rs`.
    Table = 3,
    /// Integers below the width of a limb or half: (kind, value); see `tables.rs`.
    Range = 4,
    /// Differences of times: (value).
    Time = 5,
    /// State behind the last row: (address of the next micro-operation, slot of the last, frame, steps and units).
    Exit = 6,
    /// The end of the run: (status, trap kind, r0, trap pc).
    Outcome = 7,
}

impl Bus {
    /// Number of values in a tuple.
    #[must_use]
    pub const fn arity(self) -> usize {
        match self {
            Self::Table | Self::Exit | Self::Outcome => 4,
            Self::Program | Self::Memory => 3,
            Self::Range => 2,
            Self::Time => 1,
        }
    }
}

/// One fraction on every row.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) bus: Bus,
    #[cfg_attr(not(feature = "dev"), expect(dead_code, reason = "read by reports"))]
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) multiplicity: Expr,
    pub(crate) tuple: Vec<Expr>,
}

impl Interaction {
    fn degrees(&self) -> (usize, usize) {
        let tuple = self.tuple.iter().map(Expression::degree).max().unwrap_or(0);
        (self.multiplicity.degree(), tuple)
    }

    fn denominator(&self, alpha: &Expr, beta: &Expr) -> Expr {
        let mut value = constant(0);
        for element in self.tuple.iter().rev() {
            value = value * beta.clone() + element.clone();
        }
        value * beta.clone() + constant(self.bus as u128) + alpha.clone()
    }
}

/// The argument's columns and how its fractions are grouped.
#[derive(Clone, Debug)]
pub(crate) struct BusArgument {
    pub(crate) interactions: Vec<Interaction>,
    /// Indices into `interactions`; the last group is the accumulator's own.
    pub(crate) groups: Vec<Vec<usize>>,
    helpers: Vec<Column<Advice>>,
    accumulator: Column<Advice>,
    alpha: Challenge,
    beta: Challenge,
}

/// Degree of `selector·(h·∏D − Σ N·∏D)` for a group of fractions.
fn group_degree(group: &[usize], interactions: &[Interaction]) -> usize {
    let degrees: Vec<_> = group.iter().map(|i| interactions[*i].degrees()).collect();
    let product: usize = degrees.iter().map(|(_, tuple)| tuple).sum();
    let numerators = degrees
        .iter()
        .map(|(n, tuple)| n + product - tuple)
        .max()
        .unwrap_or(0);
    1 + numerators.max(1 + product)
}

/// Groups fractions, those of high degree first, each into the first group that can take it.
fn group(interactions: &[Interaction]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..interactions.len()).collect();
    order.sort_by_key(|i| {
        let (n, tuple) = interactions[*i].degrees();
        (std::cmp::Reverse(tuple), std::cmp::Reverse(n), *i)
    });
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for index in order {
        let fits = |group: &Vec<usize>| {
            let mut group = group.clone();
            group.push(index);
            group_degree(&group, interactions) <= MAX_DEGREE
        };
        match groups.iter().position(fits) {
            Some(place) => groups[place].push(index),
            None => {
                let single = vec![index];
                assert!(
                    group_degree(&single, interactions) <= MAX_DEGREE,
                    "interaction '{}' has too high a degree",
                    interactions[index].name
                );
                groups.push(single);
            }
        }
    }
    groups
}

impl BusArgument {
    /// Allocates the second-phase columns and states the argument's constraints.
    pub(crate) fn configure(cs: &mut ConstraintSystem<Fr>, builder: &mut Builder) -> Self {
        let interactions = std::mem::take(&mut builder.interactions);
        let groups = group(&interactions);
        let alpha = cs.challenge_usable_after(halo2_proofs::plonk::FirstPhase);
        let beta = cs.challenge_usable_after(halo2_proofs::plonk::FirstPhase);
        let helpers: Vec<_> = (1..groups.len())
            .map(|_| cs.advice_column_in(SecondPhase))
            .collect();
        let accumulator = cs.advice_column_in(SecondPhase);

        builder.global("bus");
        let fractions = |group: &[usize]| {
            let parts: Vec<_> = group
                .iter()
                .map(|i| {
                    let interaction = &interactions[*i];
                    let denominator = interaction.denominator(&alpha.expr(), &beta.expr());
                    (interaction.multiplicity.clone(), denominator)
                })
                .collect();
            let product = parts.iter().fold(constant(1), |p, (_, d)| p * d.clone());
            let numerator = (0..parts.len()).fold(constant(0), |sum, i| {
                let others = parts
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != i)
                    .fold(parts[i].0.clone(), |p, (_, (_, d))| p * d.clone());
                sum + others
            });
            (product, numerator)
        };
        for (index, (helper, group)) in helpers.iter().zip(&groups).enumerate() {
            let (product, numerator) = fractions(group);
            let names: Vec<_> = group
                .iter()
                .map(|i| interactions[*i].name.as_str())
                .collect();
            builder.require_equal(
                &format!("helper {index} is the sum of: {}", names.join("; ")),
                helper.cur::<Fr>() * product,
                numerator,
            );
        }
        let sum = helpers
            .iter()
            .fold(constant(0), |sum, helper| sum + helper.cur());
        let (product, numerator) = fractions(&groups[groups.len() - 1]);
        let growth = accumulator.next::<Fr>() - accumulator.cur() - sum;
        builder.require_equal(
            "the accumulator adds every fraction",
            growth * product,
            numerator,
        );
        builder.require_zero(
            "the accumulator starts at zero",
            builder.fixed(FixedColumn::First) * accumulator.cur(),
        );
        builder.require_zero(
            "the accumulator ends at zero: every bus is balanced",
            builder.fixed(FixedColumn::Last) * accumulator.next(),
        );
        Self {
            interactions,
            groups,
            helpers,
            accumulator,
            alpha,
            beta,
        }
    }

    /// The challenges `α`, `β`.
    pub(crate) fn challenges(&self) -> [Challenge; 2] {
        [self.alpha, self.beta]
    }

    /// Values of the helper columns, then of the accumulator, for every row of the matrix.
    pub(crate) fn assign(
        &self,
        matrix: &Matrix<'_>,
        alpha: Fr,
        beta: Fr,
    ) -> Vec<(Column<Advice>, Vec<Fr>)> {
        let challenge = |c: Challenge| {
            if c.index() == self.alpha.index() {
                alpha
            } else {
                beta
            }
        };
        let compiled: Vec<Vec<(Polynomial, Polynomial)>> = self
            .groups
            .iter()
            .map(|group| {
                group
                    .iter()
                    .map(|i| {
                        let interaction = &self.interactions[*i];
                        let denominator =
                            interaction.denominator(&self.alpha.expr(), &self.beta.expr());
                        (
                            Polynomial::new(&interaction.multiplicity, &challenge),
                            Polynomial::new(&denominator, &challenge),
                        )
                    })
                    .collect()
            })
            .collect();
        let width = self.groups.len();
        let rows = matrix.active_rows();
        let fractions: usize = self.groups.iter().map(Vec::len).sum();
        // Of each block of rows the sums of the first group, of the second, and so on.
        const ROWS: usize = 256;
        let mut sums = vec![Fr::ZERO; rows.len() * width];
        sums.par_chunks_mut(ROWS * width)
            .enumerate()
            .for_each(|(block, sums)| {
                let start = rows.start + block * ROWS;
                let count = sums.len() / width;
                // Most fractions of a row are zero, and need no denominator.
                let mut multiplicities = Vec::with_capacity(count * fractions);
                let mut inverses = Vec::with_capacity(count * fractions);
                for (multiplicity, denominator) in compiled.iter().flatten() {
                    for row in start..start + count {
                        let multiplicity = multiplicity.evaluate(matrix, row);
                        multiplicities.push(multiplicity);
                        if multiplicity != Fr::ZERO {
                            inverses.push(denominator.evaluate(matrix, row));
                        }
                    }
                }
                inverses.iter_mut().batch_invert();
                let mut inverses = inverses.iter();
                let mut multiplicities = multiplicities.chunks(count);
                for (sums, group) in sums.chunks_mut(count).zip(&compiled) {
                    for multiplicities in multiplicities.by_ref().take(group.len()) {
                        for (sum, multiplicity) in sums.iter_mut().zip(multiplicities) {
                            if *multiplicity == Fr::ZERO {
                                continue;
                            }
                            let Some(inverse) = inverses.next() else {
                                continue;
                            };
                            *sum += if *multiplicity == Fr::ONE {
                                *inverse
                            } else {
                                *multiplicity * inverse
                            };
                        }
                    }
                }
            });
        let columns: Vec<Vec<Fr>> = (0..width)
            .into_par_iter()
            .map(|group| {
                let mut values = vec![Fr::ZERO; rows.end];
                let blocks = values[rows.start..].chunks_mut(ROWS);
                for (values, sums) in blocks.zip(sums.chunks(ROWS * width)) {
                    let first = group * values.len();
                    values.copy_from_slice(&sums[first..first + values.len()]);
                }
                values
            })
            .collect();
        let mut accumulator = vec![Fr::ZERO; rows.end + 1];
        for row in rows {
            let sum: Fr = columns.iter().map(|column| column[row]).sum();
            accumulator[row + 1] = accumulator[row] + sum;
        }
        // The last group has no helper: it is in the accumulator only.
        let helpers = self.helpers.iter().copied().zip(columns);
        helpers.chain([(self.accumulator, accumulator)]).collect()
    }
}

/// A column and a row distance.
type Query = (usize, i32);

/// A sum of products of cells, ready to be evaluated on many rows.
#[derive(Clone, Debug)]
pub(crate) struct Polynomial {
    terms: Vec<(Fr, Vec<Query>)>,
}

impl Polynomial {
    /// Multiplies an expression out; `challenge` gives the value of a challenge.
    pub(crate) fn new(expression: &Expr, challenge: &impl Fn(Challenge) -> Fr) -> Self {
        let terms = expression.evaluate(
            &|constant| vec![(constant, vec![])],
            &|_| unreachable!("selectors are fixed columns"),
            &|q| {
                vec![(
                    Fr::ONE,
                    vec![(Matrix::fixed_index(q.column_index()), q.rotation().0)],
                )]
            },
            &|q| {
                vec![(
                    Fr::ONE,
                    vec![(Matrix::advice_index(q.column_index()), q.rotation().0)],
                )]
            },
            &|q| vec![(Fr::ONE, vec![(Matrix::INSTANCE, q.rotation().0)])],
            &|c| vec![(challenge(c), vec![])],
            &|mut terms: Vec<(Fr, Vec<Query>)>| {
                terms.iter_mut().for_each(|(c, _)| *c = -*c);
                terms
            },
            &|mut left, right| {
                left.extend(right);
                left
            },
            &|left, right| {
                let mut product = Vec::with_capacity(left.len() * right.len());
                for (a, x) in &left {
                    for (b, y) in &right {
                        product.push((*a * b, [x.as_slice(), y].concat()));
                    }
                }
                product
            },
            &|mut terms, scale| {
                terms.iter_mut().for_each(|(c, _)| *c *= scale);
                terms
            },
        );
        let mut merged: Vec<(Fr, Vec<Query>)> = Vec::new();
        for (coefficient, mut queries) in terms {
            queries.sort_unstable();
            match merged.iter_mut().find(|(_, q)| *q == queries) {
                Some((c, _)) => *c += coefficient,
                None => merged.push((coefficient, queries)),
            }
        }
        merged.retain(|(c, _)| !bool::from(c.is_zero()));
        Self { terms: merged }
    }

    /// Its value on a row.
    pub(crate) fn evaluate(&self, matrix: &Matrix<'_>, row: usize) -> Fr {
        let mut sum = Fr::ZERO;
        'terms: for (coefficient, queries) in &self.terms {
            let mut product = *coefficient;
            for (column, rotation) in queries {
                let value = matrix.get(*column, row, *rotation);
                if value == Fr::ZERO {
                    continue 'terms;
                }
                if value != Fr::ONE {
                    product *= value;
                }
            }
            sum += product;
        }
        sum
    }
}
