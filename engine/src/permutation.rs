//! The permutation argument's running products and constraints.

use ff::{BatchInvert, Field, PrimeField};
use halo2_proofs::plonk::{Any, Column, ConstraintSystem, Error, ProvingKey};
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;

use crate::commit::{blind, commit_values, write_points};
use crate::expression::{Graph, Id, Source};
use crate::key::Prepared;
use crate::packed::Backend;
use crate::prover::Values;

/// Columns per running product.
pub(crate) fn chunk(cs: &ConstraintSystem<Fr>) -> usize {
    cs.degree() - 2
}

fn source(column: Column<Any>) -> Source {
    match column.column_type() {
        Any::Advice(_) => Source::Advice(column.index()),
        Any::Fixed => Source::Fixed(column.index()),
        Any::Instance => Source::Instance(column.index()),
    }
}

/// Commits to the running products and returns their values.
pub(crate) fn commit<B, E, R, T>(
    prepared: &Prepared<B>,
    pk: &ProvingKey<G1Affine>,
    values: &Values<'_>,
    (beta, gamma): (Fr, Fr),
    rng: &mut R,
    transcript: &mut T,
) -> Result<Vec<Vec<Fr>>, Error>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    let cs = pk.get_vk().cs();
    let n = 1usize << prepared.k;
    let blinding = cs.blinding_factors();
    let columns = cs.permutation().get_columns();
    let chunk = chunk(cs);
    let omegas: Vec<Fr> = successive(Fr::ONE, prepared.omega, n);
    let mut delta = Fr::ONE;
    let mut last = Fr::ONE;
    let mut products: Vec<Vec<Fr>> = Vec::new();
    let sigmas = pk.permutation().permutations();
    for (columns, sigmas) in columns.chunks(chunk).zip(sigmas.chunks(chunk)) {
        let columns: Vec<&[Fr]> = columns
            .iter()
            .map(|column| values.column(source(*column)))
            .collect();
        let deltas: Vec<Fr> = successive(delta * beta, Fr::DELTA, columns.len());
        delta *= Fr::DELTA.pow_vartime([columns.len() as u64]);
        let mut factors = vec![Fr::ONE; n];
        let rows = ROWS.min(n);
        factors
            .par_chunks_mut(rows)
            .enumerate()
            .for_each(|(part, factors)| {
                let rows = part * rows..part * rows + factors.len();
                for (column, sigma) in columns.iter().zip(sigmas) {
                    let pairs = column[rows.clone()]
                        .iter()
                        .zip(&sigma.values()[rows.clone()]);
                    for (factor, (value, sigma)) in factors.iter_mut().zip(pairs) {
                        *factor *= beta * sigma + gamma + value;
                    }
                }
                factors.iter_mut().batch_invert();
                for (column, delta) in columns.iter().zip(&deltas) {
                    let pairs = column[rows.clone()].iter().zip(&omegas[rows.clone()]);
                    for (factor, (value, omega)) in factors.iter_mut().zip(pairs) {
                        *factor *= *delta * omega + gamma + value;
                    }
                }
            });
        // From fractions to the products before each row.
        let mut product = last;
        for factor in &mut factors {
            let next = product * *factor;
            *factor = product;
            product = next;
        }
        blind(&mut factors[n - blinding..], rng);
        last = factors[n - (blinding + 1)];
        products.push(factors);
    }
    write_points(transcript, commit_values(prepared, &products))?;
    Ok(products)
}

/// Rows that share an inversion.
const ROWS: usize = 1 << 12;

fn successive(first: Fr, ratio: Fr, count: usize) -> Vec<Fr> {
    std::iter::successors(Some(first), |value| Some(*value * ratio))
        .take(count)
        .collect()
}

/// The argument's constraints, in halo2's order.
pub(crate) fn terms(graph: &mut Graph, cs: &ConstraintSystem<Fr>, beta: Fr, gamma: Fr) -> Vec<Id> {
    let columns = cs.permutation().get_columns();
    let chunk = chunk(cs);
    let sets = columns.len().div_ceil(chunk);
    if sets == 0 {
        return Vec::new();
    }
    let one = graph.constant(Fr::ONE);
    let (first, last) = (graph.cell(Source::First, 0), graph.cell(Source::Last, 0));
    let active = graph.cell(Source::Active, 0);
    let mut terms = Vec::new();

    let product = graph.cell(Source::Product(0), 0);
    let inner = graph.sub(one, product);
    terms.push(graph.mul(first, inner));
    let product = graph.cell(Source::Product(sets - 1), 0);
    let square = graph.mul(product, product);
    let inner = graph.sub(square, product);
    terms.push(graph.mul(last, inner));
    let end = -(cs.blinding_factors() as i32 + 1);
    for set in 1..sets {
        let product = graph.cell(Source::Product(set), 0);
        let before = graph.cell(Source::Product(set - 1), end);
        let inner = graph.sub(product, before);
        terms.push(graph.mul(first, inner));
    }
    let gamma = graph.constant(gamma);
    let beta_id = graph.constant(beta);
    let point = graph.cell(Source::Point, 0);
    let mut delta = beta;
    for (set, columns) in columns.chunks(chunk).enumerate() {
        let mut left = graph.cell(Source::Product(set), 1);
        let mut right = graph.cell(Source::Product(set), 0);
        for (i, column) in columns.iter().enumerate() {
            let value = graph.cell(source(*column), 0);
            let value = graph.add(value, gamma);
            let sigma = graph.cell(Source::Sigma(set * chunk + i), 0);
            let sigma = graph.mul(sigma, beta_id);
            let factor = graph.add(value, sigma);
            left = graph.mul(left, factor);
            let delta_id = graph.constant(delta);
            let identity = graph.mul(point, delta_id);
            let factor = graph.add(value, identity);
            right = graph.mul(right, factor);
            delta *= Fr::DELTA;
        }
        let inner = graph.sub(left, right);
        terms.push(graph.mul(active, inner));
    }
    terms
}
