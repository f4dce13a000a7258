//! The lookup argument's columns and constraints.

use ff::{BatchInvert, Field};
use halo2_proofs::plonk::{ConstraintSystem, Error, Expression, ProvingKey};
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;

use crate::column::{to_integers, to_std, to_work};
use crate::commit::{blind, commit_values, write_points};
use crate::expression::{Graph, Id, Program, Source};
use crate::fft::Input;
use crate::key::Prepared;
use crate::packed::{Backend, Words};
use crate::prover::Values;
use crate::quotient::{self, PADDING};
use crate::raw::Raw;

/// A lookup's columns.
pub(crate) struct Lookup {
    /// Expressions compressed with a challenge.
    compressed_input: Vec<Fr>,
    compressed_table: Vec<Fr>,
    pub(crate) input: Vec<Fr>,
    pub(crate) table: Vec<Fr>,
}

/// Expressions weighted with descending powers of a challenge.
fn compress(graph: &mut Graph, expressions: &[Expression<Fr>], challenges: &[Fr], theta: Fr) -> Id {
    let theta = graph.constant(theta);
    let mut sum = graph.constant(Fr::ZERO);
    for expression in expressions {
        let term = graph.expression(expression, challenges);
        sum = graph.mul(sum, theta);
        sum = graph.add(sum, term);
    }
    sum
}

/// A program's values in all rows.
fn values<B: Backend>(program: &Program, values: &Values<'_>, n: usize) -> Vec<Fr> {
    let columns: Vec<Vec<Words>> = program
        .columns
        .par_iter()
        .map(|source| {
            let column = values.column(*source);
            let mut words = to_work::<B>(Input::Std(Fr::as_words(column)));
            (0..PADDING).for_each(|row| words.push(words[row % n]));
            words
        })
        .collect();
    let columns: Vec<&[Words]> = columns.iter().map(Vec::as_slice).collect();
    to_std::<B>(&quotient::evaluate::<B>(program, &columns, n))
}

/// Commits to the permuted columns of all lookups.
pub(crate) fn commit<B, E, R, T>(
    prepared: &Prepared<B>,
    pk: &ProvingKey<G1Affine>,
    columns: &Values<'_>,
    challenges: &[Fr],
    theta: Fr,
    rng: &mut R,
    transcript: &mut T,
) -> Result<Vec<Lookup>, Error>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    let cs = pk.get_vk().cs();
    let n = 1usize << prepared.k;
    let usable = n - (cs.blinding_factors() + 1);
    let mut lookups = Vec::new();
    for lookup in cs.lookups() {
        let compressed = |expressions: &[Expression<Fr>]| {
            let mut graph = Graph::default();
            let root = compress(&mut graph, expressions, challenges, theta);
            values::<B>(&graph.compile(root), columns, n)
        };
        let compressed_input = compressed(lookup.input_expressions());
        let compressed_table = compressed(lookup.table_expressions());
        let (mut input, mut table) =
            permute::<B>(&compressed_input[..usable], &compressed_table[..usable])?;
        input.resize_with(n, || Fr::random(&mut *rng));
        table.resize_with(n, || Fr::random(&mut *rng));
        // Blinding factors that the scheme does not use.
        let _ = (Fr::random(&mut *rng), Fr::random(&mut *rng));
        lookups.push(Lookup {
            compressed_input,
            compressed_table,
            input,
            table,
        });
    }
    let permuted: Vec<&[Fr]> = lookups
        .iter()
        .flat_map(|lookup| [lookup.input.as_slice(), &lookup.table])
        .collect();
    write_points(transcript, commit_values(prepared, &permuted))?;
    Ok(lookups)
}

/// The input in ascending order, and the table so that each value's first row has it. The other rows have what is
/// left of the table, in ascending order from the last of them to the first.
fn permute<B: Backend>(input: &[Fr], table: &[Fr]) -> Result<(Vec<Fr>, Vec<Fr>), Error> {
    let sorted = |values: &[Fr]| {
        let mut integers = to_integers::<B>(Input::Std(Fr::as_words(values)));
        integers.par_sort_unstable_by(|a, b| a.iter().rev().cmp(b.iter().rev()));
        integers
    };
    let (inputs, table) = (sorted(input), sorted(table));
    let mut tables = inputs.clone();
    let mut repeated = Vec::new();
    let mut left = table.into_iter();
    let mut rest = Vec::new();
    for (row, value) in inputs.iter().enumerate() {
        if row > 0 && *value == inputs[row - 1] {
            repeated.push(row);
            continue;
        }
        let found = left.by_ref().find(|entry| {
            let found = entry == value;
            if !found {
                rest.push(*entry);
            }
            found
        });
        found.ok_or(Error::ConstraintSystemFailure)?;
    }
    rest.extend(left);
    for (row, value) in repeated.into_iter().rev().zip(rest) {
        tables[row] = value;
    }
    let elements = |integers: Vec<Words>| {
        let integers = integers.into_par_iter();
        integers.map(Fr::from_integer).collect()
    };
    Ok((elements(inputs), elements(tables)))
}

/// Commits to the running products of all lookups, and returns their values.
pub(crate) fn commit_products<B, E, R, T>(
    prepared: &Prepared<B>,
    cs: &ConstraintSystem<Fr>,
    lookups: &[Lookup],
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
    let blinding = cs.blinding_factors();
    let mut products: Vec<Vec<Fr>> = lookups
        .par_iter()
        .map(|lookup| {
            let pairs = lookup.input.iter().zip(&lookup.table);
            let mut factors: Vec<Fr> = pairs.map(|(a, s)| (beta + a) * (gamma + s)).collect();
            factors.iter_mut().batch_invert();
            let compressed = lookup.compressed_input.iter().zip(&lookup.compressed_table);
            let mut product = Fr::ONE;
            for (factor, (a, s)) in factors.iter_mut().zip(compressed) {
                let next = product * *factor * (*a + beta) * (*s + gamma);
                *factor = product;
                product = next;
            }
            factors
        })
        .collect();
    for product in &mut products {
        let first = product.len() - blinding;
        blind(&mut product[first..], rng);
    }
    write_points(transcript, commit_values(prepared, &products))?;
    Ok(products)
}

/// The argument's constraints, in halo2's order.
pub(crate) fn terms(
    graph: &mut Graph,
    cs: &ConstraintSystem<Fr>,
    challenges: &[Fr],
    [theta, beta, gamma]: [Fr; 3],
) -> Vec<Id> {
    let one = graph.constant(Fr::ONE);
    let (first, last) = (graph.cell(Source::First, 0), graph.cell(Source::Last, 0));
    let active = graph.cell(Source::Active, 0);
    let (beta, gamma) = (graph.constant(beta), graph.constant(gamma));
    let mut terms = Vec::new();
    for (i, lookup) in cs.lookups().iter().enumerate() {
        let product = graph.cell(Source::LookupProduct(i), 0);
        let next = graph.cell(Source::LookupProduct(i), 1);
        let input = graph.cell(Source::LookupInput(i), 0);
        let before = graph.cell(Source::LookupInput(i), -1);
        let table = graph.cell(Source::LookupTable(i), 0);
        let inner = graph.sub(one, product);
        terms.push(graph.mul(first, inner));
        let square = graph.mul(product, product);
        let inner = graph.sub(square, product);
        terms.push(graph.mul(last, inner));

        let a = graph.add(input, beta);
        let s = graph.add(table, gamma);
        let left = graph.mul(next, a);
        let left = graph.mul(left, s);
        let a = compress(graph, lookup.input_expressions(), challenges, theta);
        let a = graph.add(a, beta);
        let s = compress(graph, lookup.table_expressions(), challenges, theta);
        let s = graph.add(s, gamma);
        let right = graph.mul(a, s);
        let right = graph.mul(product, right);
        let inner = graph.sub(left, right);
        terms.push(graph.mul(active, inner));

        let difference = graph.sub(input, table);
        terms.push(graph.mul(first, difference));
        let step = graph.sub(input, before);
        let inner = graph.mul(difference, step);
        terms.push(graph.mul(active, inner));
    }
    terms
}
