//! Which values of which polynomials a proof shows, in halo2's two orders.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::expression::Source;

/// A value of a polynomial that a proof shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Opening {
    /// At the challenge, rotated by so many rows.
    Of(Source, i32),
    Random,
    Quotient,
}

impl Opening {
    /// The same for the same polynomial.
    pub(crate) fn polynomial(self) -> Self {
        match self {
            Self::Of(source, _) => Self::Of(source, 0),
            other => other,
        }
    }
}

/// All that a proof of one circuit shows.
pub(crate) struct Openings {
    /// In the order in which values are written. The quotient's value is not: verifiers compute it.
    pub(crate) written: Vec<Opening>,
    /// In the order of the multi-opening's queries, in which running products' last rows come after the others, last
    /// set first, and lookups' rotations after their unrotated columns.
    pub(crate) queried: Vec<Opening>,
}

impl Openings {
    /// For so many permutation polynomials, sets of permuted columns, and lookups.
    pub(crate) fn of(
        cs: &ConstraintSystem<Fr>,
        sigmas: usize,
        sets: usize,
        lookups: usize,
    ) -> Self {
        let opening = Opening::Of;
        let advice: Vec<_> = (cs.advice_queries().iter())
            .map(|(column, rotation)| opening(Source::Advice(column.index()), rotation.0))
            .collect();
        let fixed: Vec<_> = (cs.fixed_queries().iter())
            .map(|(column, rotation)| opening(Source::Fixed(column.index()), rotation.0))
            .collect();
        let sigma: Vec<_> = (0..sigmas)
            .map(|index| opening(Source::Sigma(index), 0))
            .collect();
        // Where a set's product ends and the next one's begins.
        let end = -(cs.blinding_factors() as i32 + 1);
        let linked = 0..sets.saturating_sub(1);
        let product = |set, rotation| opening(Source::Product(set), rotation);

        let mut written = [&advice[..], &fixed, &[Opening::Random], &sigma].concat();
        for set in 0..sets {
            written.extend([product(set, 0), product(set, 1)]);
            written.extend(linked.contains(&set).then(|| product(set, end)));
        }
        for lookup in 0..lookups {
            written.extend([
                opening(Source::LookupProduct(lookup), 0),
                opening(Source::LookupProduct(lookup), 1),
                opening(Source::LookupInput(lookup), 0),
                opening(Source::LookupInput(lookup), -1),
                opening(Source::LookupTable(lookup), 0),
            ]);
        }

        let mut queried = advice;
        for set in 0..sets {
            queried.extend([product(set, 0), product(set, 1)]);
        }
        queried.extend(linked.rev().map(|set| product(set, end)));
        for lookup in 0..lookups {
            queried.extend([
                opening(Source::LookupProduct(lookup), 0),
                opening(Source::LookupInput(lookup), 0),
                opening(Source::LookupTable(lookup), 0),
                opening(Source::LookupInput(lookup), -1),
                opening(Source::LookupProduct(lookup), 1),
            ]);
        }
        queried.extend(fixed);
        queried.extend(sigma);
        queried.extend([Opening::Quotient, Opening::Random]);
        Self { written, queried }
    }
}
