//! Poseidon over BN254's scalar field: the hash of chunk proofs' transcripts and of claims.
//!
//! Width 3, rate 2, 8 full and 57 partial rounds, `x^5`; the sponge of
//! [snark-verifier](https://docs.rs/snark-verifier): capacity `2^64`, a one behind the last element, then
//! zeros. Circuits compute it cheaply, so proofs can be verified inside of other proofs.

use std::sync::OnceLock;

use halo2_base::poseidon::hasher::spec::OptimizedPoseidonSpec;
use halo2curves::bn256::{Fr, G1Affine};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::halo2::PoseidonTranscript;
use snark_verifier::util::hash::Poseidon;

/// Elements of the state.
pub const WIDTH: usize = 3;
/// Elements absorbed by one permutation.
pub const RATE: usize = 2;
/// Rounds with an S-box on every element.
pub const FULL_ROUNDS: usize = 8;
/// Rounds with an S-box on the first element.
pub const PARTIAL_ROUNDS: usize = 57;
/// How many matrices the generator skips.
const SKIPPED_MATRICES: usize = 0;

/// Round constants and matrices.
pub type PoseidonSpec = OptimizedPoseidonSpec<Fr, WIDTH, RATE>;

/// The transcript of a chunk's proof, read from or written to `S`.
pub type ChunkTranscript<S> =
    PoseidonTranscript<G1Affine, NativeLoader, S, WIDTH, RATE, FULL_ROUNDS, PARTIAL_ROUNDS>;

/// Round constants and matrices, computed once.
pub fn poseidon_spec() -> &'static PoseidonSpec {
    static SPEC: OnceLock<PoseidonSpec> = OnceLock::new();
    SPEC.get_or_init(PoseidonSpec::new::<FULL_ROUNDS, PARTIAL_ROUNDS, SKIPPED_MATRICES>)
}

/// An empty transcript over a stream.
#[must_use]
pub fn chunk_transcript<S>(stream: S) -> ChunkTranscript<S> {
    ChunkTranscript::from_spec(stream, poseidon_spec().clone())
}

/// The hash of a list of elements. Lists of different lengths are different inputs.
#[must_use]
pub fn poseidon(elements: &[Fr]) -> Fr {
    let mut sponge =
        Poseidon::<Fr, Fr, WIDTH, RATE>::from_spec(&NativeLoader, poseidon_spec().clone());
    sponge.update(elements);
    sponge.squeeze()
}
