//! Evaluations, and SHPLONK's opening of many polynomials at many points.

use ff::Field;
use halo2_proofs::arithmetic::{
    evaluate_vanishing_polynomial, kate_division, lagrange_interpolate,
};
use halo2_proofs::plonk::Error;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rayon::prelude::*;

use crate::column::to_std;
use crate::commit::{commit_coefficients, write_points};
use crate::fft::Input;
use crate::key::Prepared;
use crate::packed::{Backend, Kernel, MAX_LANES, Packed, Words};
use crate::raw::Raw;

/// A polynomial by coefficients, and a point where it is opened.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    /// Equal for the same polynomial only.
    pub(crate) id: usize,
    pub(crate) polynomial: Input<'a>,
    pub(crate) point: Fr,
    pub(crate) value: Fr,
}

/// A polynomial's value.
pub(crate) fn evaluate<B: Backend>(polynomial: Input<'_>, point: Fr) -> Fr {
    let words = polynomial.words();
    if words.len() < CHAINS * B::Fr::LANES {
        let mut padded = words.to_vec();
        padded.resize(CHAINS * MAX_LANES, [0; 4]);
        return evaluate::<B>(polynomial.with(&padded), point);
    }
    B::run(Evaluate { polynomial, point })
}

/// Sums that are computed side by side, as each multiplication waits for the one before.
const CHAINS: usize = 4;

struct Evaluate<'a> {
    polynomial: Input<'a>,
    point: Fr,
}

impl<B: Backend> Kernel<B> for Evaluate<'_> {
    type Output = Fr;

    #[inline(always)]
    fn run(self) -> Fr {
        let lanes = B::Fr::LANES;
        let block = CHAINS * lanes;
        let step = B::Fr::scalar(&self.point.pow_vartime([block as u64]));
        let mut sums = [B::Fr::zero(); CHAINS];
        for i in (0..self.polynomial.words().len() / block).rev() {
            for (chain, sum) in sums.iter_mut().enumerate() {
                let value = self.polynomial.load::<B>(i * block + chain * lanes);
                *sum = sum.mul(step).add(value);
            }
        }
        let mut result = Fr::ZERO;
        for sum in sums.iter().rev() {
            for scalar in sum.to_scalars()[..lanes].iter().rev() {
                result = result * self.point + scalar;
            }
        }
        result
    }
}

/// Polynomials times factors, summed: in work form.
pub(crate) fn combine<B: Backend>(terms: &[(Input<'_>, Fr)], n: usize) -> Vec<Words> {
    let lanes = B::Fr::LANES;
    let mut sum = vec![[0; 4]; n];
    if n < lanes {
        let padded: Vec<_> = terms
            .iter()
            .map(|(polynomial, factor)| {
                let mut words = polynomial.words().to_vec();
                words.resize(lanes, [0; 4]);
                (*polynomial, words, *factor)
            })
            .collect();
        let terms: Vec<_> = padded
            .iter()
            .map(|(polynomial, words, factor)| (polynomial.with(words), *factor))
            .collect();
        let whole = combine::<B>(&terms, lanes);
        sum.copy_from_slice(&whole[..n]);
        return sum;
    }
    let factors: Vec<_> = terms
        .iter()
        .map(|(_, factor)| B::Fr::single(factor))
        .collect();
    let rows = (n / rayon::current_num_threads())
        .next_power_of_two()
        .min(n)
        .max(lanes);
    sum.par_chunks_mut(rows)
        .enumerate()
        .for_each(|(chunk, sum)| {
            B::run(Combine::<B> {
                terms,
                factors: &factors,
                first: chunk * rows,
                sum,
            });
        });
    sum
}

struct Combine<'a, B: Backend> {
    terms: &'a [(Input<'a>, Fr)],
    factors: &'a [<B::Fr as Packed>::Single],
    first: usize,
    sum: &'a mut [Words],
}

impl<B: Backend> Kernel<B> for Combine<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let lanes = B::Fr::LANES;
        for (i, sum) in self.sum.chunks_exact_mut(lanes).enumerate() {
            let at = self.first + i * lanes;
            let mut value = B::Fr::zero();
            for (i, ((polynomial, _), factor)) in self.terms.iter().zip(self.factors).enumerate() {
                value = value.add(polynomial.load::<B>(at).mul(B::Fr::splat(factor)));
                // Each term adds 2 to the bound.
                if i % 32 == 31 {
                    value = value.reduce();
                }
            }
            value.reduce().store(sum);
        }
    }
}

/// Polynomials that are opened at the same points.
struct Set<'a> {
    points: Vec<Fr>,
    polynomials: Vec<(Input<'a>, Vec<Fr>)>,
}

/// In order of first appearance, as halo2 has them: the verifier's order.
fn sets<'a>(queries: &[Query<'a>]) -> Vec<Set<'a>> {
    // Polynomials with their points and values.
    let mut polynomials: Vec<(Input<'a>, Vec<(Fr, Fr)>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for query in queries {
        let place = *places.entry(query.id).or_insert_with(|| {
            polynomials.push((query.polynomial, Vec::new()));
            polynomials.len() - 1
        });
        let openings = &mut polynomials[place].1;
        if !openings.iter().any(|(point, _)| *point == query.point) {
            openings.push((query.point, query.value));
        }
    }
    let mut sets: Vec<Set<'a>> = Vec::new();
    for (polynomial, mut openings) in polynomials {
        openings.sort();
        let (points, values): (Vec<_>, Vec<_>) = openings.into_iter().unzip();
        match sets.iter_mut().find(|set| set.points == points) {
            Some(set) => set.polynomials.push((polynomial, values)),
            None => sets.push(Set {
                points,
                polynomials: vec![(polynomial, values)],
            }),
        }
    }
    sets
}

/// Writes an opening of all queries.
pub(crate) fn open<B, E, T>(
    prepared: &Prepared<B>,
    transcript: &mut T,
    queries: &[Query<'_>],
) -> Result<(), Error>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    T: TranscriptWrite<G1Affine, E>,
{
    let n = 1 << prepared.k;
    let y = *transcript.squeeze_challenge_scalar::<()>();
    let sets = sets(queries);
    let v = *transcript.squeeze_challenge_scalar::<()>();
    // Of each set the combination of its polynomials, and that of what interpolates their values.
    let combined: Vec<(Vec<Fr>, Vec<Fr>)> = sets
        .iter()
        .map(|set| {
            let powers: Vec<Fr> = powers(y).take(set.polynomials.len()).collect();
            let terms = set.polynomials.iter().zip(&powers);
            let terms: Vec<_> = terms
                .map(|((polynomial, _), power)| (*polynomial, *power))
                .collect();
            let values: Vec<Fr> = (0..set.points.len())
                .map(|i| {
                    let values = set.polynomials.iter().zip(&powers);
                    values.map(|((_, values), power)| values[i] * power).sum()
                })
                .collect();
            let polynomial = to_std::<B>(&combine::<B>(&terms, n));
            (polynomial, lagrange_interpolate(&set.points, &values))
        })
        .collect();

    let quotients: Vec<Vec<Fr>> = sets
        .par_iter()
        .zip(&combined)
        .map(|(set, (polynomial, low))| {
            let mut numerator = polynomial.clone();
            for (coefficient, low) in numerator.iter_mut().zip(low) {
                *coefficient -= low;
            }
            let divide = |dividend: Vec<Fr>, point: &Fr| kate_division(&dividend, *point);
            let mut quotient = set.points.iter().fold(numerator, divide);
            quotient.resize(n, Fr::ZERO);
            quotient
        })
        .collect();
    let terms = quotients.iter().zip(powers(v));
    let terms: Vec<_> = terms
        .map(|(quotient, power)| (std_input(quotient), power))
        .collect();
    let h = combine::<B>(&terms, n);
    drop(quotients);
    write_points(
        transcript,
        commit_coefficients(prepared, &[Input::Work(&h)]),
    )?;

    let u = *transcript.squeeze_challenge_scalar::<()>();
    let mut all: Vec<Fr> = sets.iter().flat_map(|set| &set.points).copied().collect();
    all.sort();
    all.dedup();
    // Of each set the value of what vanishes at the other sets' points.
    let differences: Vec<Fr> = sets
        .iter()
        .map(|set| {
            let others: Vec<Fr> = all
                .iter()
                .filter(|point| !set.points.contains(point))
                .copied()
                .collect();
            evaluate_vanishing_polynomial(&others, u)
        })
        .collect();
    let factors: Vec<Fr> = powers(v)
        .zip(&differences)
        .map(|(power, z)| power * z)
        .collect();
    let low: Fr = combined
        .iter()
        .zip(&factors)
        .map(|((_, low), factor)| halo2_proofs::arithmetic::eval_polynomial(low, u) * factor)
        .sum();
    let terms = combined.iter().zip(&factors);
    let mut terms: Vec<_> = terms
        .map(|((polynomial, _), factor)| (std_input(polynomial), *factor))
        .collect();
    terms.push((Input::Work(&h), -evaluate_vanishing_polynomial(&all, u)));
    // Divided by the first set's factor, which the verifier leaves out.
    let normalise = Option::<Fr>::from(differences[0].invert()).ok_or(Error::Opening)?;
    for (_, factor) in &mut terms {
        *factor *= normalise;
    }
    let mut linear = to_std::<B>(&combine::<B>(&terms, n));
    linear[0] -= low * normalise;
    let quotient = kate_division(&linear, u);
    write_points(
        transcript,
        commit_coefficients(prepared, &[std_input(&quotient)]),
    )
}

fn std_input(polynomial: &[Fr]) -> Input<'_> {
    Input::Std(Fr::as_words(polynomial))
}

fn powers(base: Fr) -> impl Iterator<Item = Fr> {
    std::iter::successors(Some(Fr::ONE), move |power| Some(*power * base))
}
