//! Checks proofs against a claim. Runs no programs, trusts nothing in a proof, never panics.
//!
//! A [`Claim`] is what the caller expects: program, input, outcome, output, step budget.
//! [`verify_execution`] accepts chunk proofs if together they prove it under a [`VerifyingKey`] that
//! the caller trusts:
//!
//! * every chunk's proof is valid, canonical to the byte, and made for this key;
//! * chunk `i` carries index `i`; state, step count and the *commitments* of memory at its end are
//!   those at the beginning of chunk `i + 1`; exactly the last chunk ends the run;
//! * the commitments of program, page list, initial memory, input and output equal those that the
//!   verifier computes itself from the claim (see [`ColumnStream`]);
//! * the outcome is the claimed one.
//!
//! [`verify_chunk`] checks one chunk in isolation, which proves neither program, input nor order.
//!
//! ```
//! use bpf_tracer::{Input, LoadOptions, Outcome, Program};
//! use verifier::{Claim, ExecutionProof, ExpectedOutcome, KeyId, VerifyingKey, verify_execution};
//!
//! /// Whether a program that is known here halts with 42, by a proof and a key that anyone may have sent.
//! fn accepts(program: &[u8], proof: &[u8], key: &[u8], id: KeyId) -> Result<bool, String> {
//!     let key = VerifyingKey::from_bytes(key, id).map_err(|error| error.to_string())?;
//!     let program = Program::load(program, &LoadOptions::default()).map_err(|e| e.to_string())?;
//!     let claim = Claim {
//!         outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 42 }),
//!         ..Claim::new(program, Input::default())
//!     };
//!     let proof = ExecutionProof::from_bytes(proof).map_err(|error| error.to_string())?;
//!     Ok(verify_execution(proof.chunks(), &claim, &key).is_ok())
//! }
//!
//! // r0 = 42; exit
//! let program = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let refused = accepts(&program, b"no proof", b"no key", KeyId([0; 32]));
//! assert!(refused.is_err(), "bytes that are something else are errors, and no panics");
//! ```
//!
//! # Features
//!
//! `parallel` (default): proofs and columns are checked side by side, on rayon's pool. Without it, on the calling
//! thread; halo2 itself uses rayon in any case (`docs/embedding.md`).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

mod aggregate;
mod codec;
mod digest;
mod error;
mod halo2_key;
mod key;
mod parallel;
mod poseidon;
mod proof;
mod public;
mod span;
mod statement;
#[cfg(test)]
mod testing;
mod verify;

pub use aggregate::{
    AggregateKey, AggregateProof, RootShape, check_aggregate, point_limbs, verify_aggregate,
};
pub use digest::{ClaimDigest, key_elements, point_elements};
pub use error::{AggregateError, ChunkError, ClaimError, DecodeError, LinkError, VerifyError};
pub use halo2_key::Halo2Key;
pub use key::{KeyId, SrsIdentity, SrsKind, VerifierParams, VerifyingKey, params_of_size};
pub use poseidon::{
    ChunkTranscript, FULL_ROUNDS, PARTIAL_ROUNDS, PoseidonSpec, RATE, WIDTH, chunk_transcript,
    poseidon, poseidon_spec,
};
pub use proof::{ChunkProof, ExecutionProof, RunInfo};
pub use public::{ColumnStream, Lane, PublicColumn, commit};
pub use span::{Span, WholeRun};
pub use statement::{ChunkStatement, Claim, Commitments, ExecutionStatement, ExpectedOutcome};
pub use verify::{verify_chain, verify_chunk, verify_execution};
