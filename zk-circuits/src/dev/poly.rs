//! Constraints as sums of products, with the factors that all products share in front.

use std::collections::HashMap;
use std::hash::Hash;

use ff::Field;
use halo2curves::bn256::Fr;

use crate::builder::Expr;
use crate::witness::Matrix;

/// A column of a [`Matrix`] and a row distance.
pub(crate) type Query = (usize, i32);

/// A product of queries with a coefficient.
pub(crate) type Term = (Fr, Vec<Query>);

/// A sum of products of cells.
#[derive(Clone, Debug)]
pub(crate) struct Poly {
    /// Queries that divide every term: where one of them is zero, so is the polynomial.
    guard: Vec<Query>,
    terms: Vec<Term>,
}

impl Poly {
    /// Multiplies an expression without challenges out.
    pub(crate) fn new(expression: &Expr) -> Self {
        let query = |column, rotation| vec![(Fr::ONE, vec![(column, rotation)])];
        let terms = expression.evaluate(
            &|constant| vec![(constant, vec![])],
            &|_| unreachable!("selectors are fixed columns"),
            &|q| query(Matrix::fixed_index(q.column_index()), q.rotation().0),
            &|q| query(Matrix::advice_index(q.column_index()), q.rotation().0),
            &|q| query(Matrix::INSTANCE, q.rotation().0),
            &|_| unreachable!("no challenge outside of the bus argument"),
            &|terms: Vec<Term>| scaled(terms, -Fr::ONE),
            &|left, right| merged(left.into_iter().chain(right)),
            &|left, right| {
                merged(left.iter().flat_map(|(a, x)| {
                    right
                        .iter()
                        .map(move |(b, y)| (*a * b, [x.as_slice(), y].concat()))
                }))
            },
            &scaled,
        );
        let mut guard = Vec::new();
        let mut terms = terms;
        while let Some(query) = terms.first().and_then(|(_, first)| {
            first
                .iter()
                .copied()
                .find(|q| terms.iter().all(|(_, t)| t.contains(q)))
        }) {
            for (_, queries) in &mut terms {
                let place = queries.iter().position(|q| *q == query);
                queries.remove(place.expect("it divides every term"));
            }
            guard.push(query);
        }
        Self { guard, terms }
    }

    /// Its value on a row.
    pub(crate) fn evaluate(&self, matrix: &Matrix<'_>, row: usize) -> Fr {
        let mut scale = Fr::ONE;
        for (column, rotation) in &self.guard {
            let value = matrix.get(*column, row, *rotation);
            if value == Fr::ZERO {
                return Fr::ZERO;
            }
            if value != Fr::ONE {
                scale *= value;
            }
        }
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
        sum * scale
    }

    /// The queries that divide every term.
    pub(crate) fn guard(&self) -> &[Query] {
        &self.guard
    }

    /// Every query in it.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let mut all: Vec<_> = self.guard.clone();
        all.extend(self.terms.iter().flat_map(|(_, queries)| queries));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Its terms, multiplied out.
    pub(crate) fn terms(&self) -> impl Iterator<Item = Term> + '_ {
        self.terms
            .iter()
            .map(|(c, q)| (*c, [q.as_slice(), &self.guard].concat()))
    }
}

fn scaled(mut terms: Vec<Term>, scale: Fr) -> Vec<Term> {
    terms.iter_mut().for_each(|(c, _)| *c *= scale);
    terms
}

/// Adds terms with the same product.
pub(super) fn merged<T: Clone + Ord + Hash>(
    terms: impl Iterator<Item = (Fr, Vec<T>)>,
) -> Vec<(Fr, Vec<T>)> {
    let mut places: HashMap<Vec<T>, usize> = HashMap::new();
    let mut sums: Vec<(Fr, Vec<T>)> = Vec::new();
    for (coefficient, mut factors) in terms {
        factors.sort_unstable();
        match places.get(&factors) {
            Some(place) => sums[*place].0 += coefficient,
            None => {
                places.insert(factors.clone(), sums.len());
                sums.push((coefficient, factors));
            }
        }
    }
    sums.retain(|(c, _)| *c != Fr::ZERO);
    sums
}
