//! Commitments to columns and polynomials.

use ff::Field;
use group::Curve;
use halo2_proofs::plonk::Error;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;

use crate::column::fill_integers;
use crate::fft::Input;
use crate::key::{Buffers, Prepared};
use crate::msm::Bases;
use crate::packed::{Backend, Words};
use crate::raw::Raw;

fn affine(points: &[G1]) -> Vec<G1Affine> {
    let mut affine = vec![G1Affine::default(); points.len()];
    G1::batch_normalize(points, &mut affine);
    affine
}

/// The sums of many columns side by side, or of few on all threads each.
fn commit<B: Backend, T: Sync>(
    bases: &Bases,
    buffers: &Buffers<B>,
    columns: &[T],
    input: impl Fn(&T) -> Input<'_> + Sync,
) -> Vec<G1Affine> {
    let integers = |column| {
        let mut integers = buffers.integers.take();
        fill_integers::<B>(input(column), &mut integers);
        integers
    };
    let sums: Vec<_> = if columns.len() < 2 * rayon::current_num_threads() {
        let sum = |column| bases.sum_on_threads(&integers(column), &buffers.sums);
        columns.iter().map(sum).collect()
    } else {
        let sum = |column| bases.sum(&integers(column), &buffers.sums);
        columns.par_iter().map(sum).collect()
    };
    affine(&sums)
}

/// To columns by their values.
pub(crate) fn commit_values<B, C>(prepared: &Prepared<B>, columns: &[C]) -> Vec<G1Affine>
where
    B: Backend,
    C: AsRef<[Fr]> + Sync,
{
    let (bases, buffers) = (&prepared.lagrange, &prepared.buffers);
    commit(bases, buffers, columns, |column| {
        Input::Std(Fr::as_words(column.as_ref()))
    })
}

/// Replaces cells by random ones, as blinding rows are, and draws the factor that halo2 blinds commitments with:
/// the scheme does not use it.
pub(crate) fn blind(cells: &mut [Fr], rng: &mut impl RngCore) {
    for cell in cells {
        *cell = Fr::random(&mut *rng);
    }
    let _ = Fr::random(rng);
}

/// Writes commitments to a transcript.
pub(crate) fn write_points<E, T>(transcript: &mut T, points: Vec<G1Affine>) -> Result<(), Error>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptWrite<G1Affine, E>,
{
    for point in points {
        transcript.write_point(point)?;
    }
    Ok(())
}

/// To polynomials by their coefficients.
pub(crate) fn commit_coefficients<B: Backend>(
    prepared: &Prepared<B>,
    polynomials: &[Input<'_>],
) -> Vec<G1Affine> {
    let (bases, buffers) = (&prepared.monomial, &prepared.buffers);
    commit(bases, buffers, polynomials, |polynomial| *polynomial)
}

impl<B: Backend> Prepared<B> {
    /// Coefficients in work form of columns in halo2curves' form, which are freed one by one.
    pub(crate) fn coefficients(&self, columns: Vec<Vec<Fr>>) -> Vec<Vec<Words>> {
        columns
            .into_par_iter()
            .map(|column| {
                let mut words = vec![[0; 4]; column.len()];
                let input = Input::Std(Fr::as_words(&column));
                let mut scratch = self.buffers.scratches.take();
                self.inverse.transform(input, &mut words, &mut scratch);
                // The transform in the other direction, but for the order.
                words[1..].reverse();
                words
            })
            .collect()
    }
}
