//! A transcript with fixed challenges.

use std::io;

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
