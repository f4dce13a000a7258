//! A transcript with fixed challenges.

use std::io;

use halo2_proofs::plonk::ConstraintSystem;
use halo2_proofs::transcript::{Challenge255, EncodedChallenge, Transcript, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// Records what is written; challenges do not depend on it.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) points: Vec<G1Affine>,
    pub(crate) scalars: Vec<Fr>,
    pub(crate) common: Vec<Fr>,
    challenges: u64,
}

impl Transcript<G1Affine, Challenge255<G1Affine>> for Recorder {
    fn squeeze_challenge(&mut self) -> Challenge255<G1Affine> {
        self.challenges += 1;
        let mut bytes = [0; 64];
        ChaCha20Rng::seed_from_u64(self.challenges).fill_bytes(&mut bytes);
        Challenge255::new(&bytes)
    }
    fn common_point(&mut self, _: G1Affine) -> io::Result<()> {
        Ok(())
    }
    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.common.push(scalar);
        Ok(())
    }
}

impl TranscriptWrite<G1Affine, Challenge255<G1Affine>> for Recorder {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.points.push(point);
        Ok(())
    }
    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.scalars.push(scalar);
        Ok(())
    }
}

impl Recorder {
    /// Everything that halo2 determines is the same as in its own proof. The random polynomial is not, which it draws
    /// from generators of its threads, and neither are the opening's points, which depend on it; nor a lookup's
    /// columns, whose order is a hash map's, and the quotient of them.
    pub(crate) fn assert_same(&self, stock: &Self, cs: &ConstraintSystem<Fr>) {
        let advice = cs.num_advice_columns();
        let lookups = cs.lookups().len();
        let columns = cs.permutation().get_columns().len();
        let products = columns.div_ceil(cs.degree() - 2);
        let random = advice + 3 * lookups + products;
        let random_value = cs.advice_queries().len() + cs.fixed_queries().len();
        assert_eq!(self.common, stock.common);
        assert_eq!(self.points.len(), stock.points.len());
        assert_eq!(self.scalars.len(), stock.scalars.len());
        let opening = stock.points.len() - 2;
        for (i, (ours, theirs)) in self.points.iter().zip(&stock.points).enumerate() {
            let lookup = (advice..advice + 2 * lookups).contains(&i)
                || (advice + 2 * lookups + products..random).contains(&i);
            let free = i >= random && (lookups > 0 || i == random || i >= opening);
            if !lookup && !free {
                assert_eq!(ours, theirs, "point {i}");
            }
        }
        assert_ne!(self.points[random], stock.points[random]);
        let end = stock.scalars.len() - 5 * lookups;
        let scalars = self.scalars.iter().zip(&stock.scalars);
        for (i, (ours, theirs)) in scalars.take(end).enumerate() {
            assert_eq!(ours == theirs, i != random_value, "scalar {i}");
        }
    }
}
