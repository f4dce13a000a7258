//! Commitments to columns and polynomials.

use group::Curve;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rayon::prelude::*;

use crate::column::to_integers;
use crate::fft::Input;
use crate::key::Prepared;
use crate::packed::{Backend, Words};
use crate::raw::Raw;

fn affine(points: &[G1]) -> Vec<G1Affine> {
    let mut affine = vec![G1Affine::default(); points.len()];
    G1::batch_normalize(points, &mut affine);
    affine
}

/// To columns by their values.
pub(crate) fn commit_values<B, C>(prepared: &Prepared<B>, columns: &[C]) -> Vec<G1Affine>
where
    B: Backend,
    C: AsRef<[Fr]> + Sync,
{
    let commit = |column: &C| {
        let integers = to_integers::<B>(Input::Std(Fr::as_words(column.as_ref())));
        prepared.lagrange.sum::<B>(&integers)
    };
    affine(&columns.par_iter().map(commit).collect::<Vec<_>>())
}

/// To polynomials by their coefficients.
pub(crate) fn commit_coefficients<B: Backend>(
    prepared: &Prepared<B>,
    polynomials: &[Input<'_>],
) -> Vec<G1Affine> {
    let commit = |polynomial: &Input<'_>| {
        let integers = to_integers::<B>(*polynomial);
        prepared.monomial.sum::<B>(&integers)
    };
    affine(&polynomials.par_iter().map(commit).collect::<Vec<_>>())
}

impl<B: Backend> Prepared<B> {
    /// Coefficients in work form of columns in halo2curves' form, which are freed one by one.
    pub(crate) fn coefficients(&self, columns: Vec<Vec<Fr>>) -> Vec<Vec<Words>> {
        columns
            .into_par_iter()
            .map_init(
                || self.inverse.scratch(),
                |scratch, column| {
                    let mut words = vec![[0; 4]; column.len()];
                    let input = Input::Std(Fr::as_words(&column));
                    self.inverse.transform(input, &mut words, scratch);
                    // The transform in the other direction, but for the order.
                    words[1..].reverse();
                    words
                },
            )
            .collect()
    }
}
