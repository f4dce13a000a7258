//! Circuits that turn the proofs of a run's chunks into one proof of constant size.
//!
//! ```text
//! chunk 0   chunk 1   chunk 2          proofs of chunks, any number
//!    │         │         │
//!  leaf      leaf      leaf            one key for all leaves, with the chunks' key inside
//!    └── node ─┘         │             one key for all nodes; verifies leaves and nodes
//!         └──── node ────┘
//!                │
//!              root                    narrow, with a Keccak transcript: for verifiers outside
//! ```
//!
//! A leaf turns a chunk's public values and commitments into a span; a node joins two neighbouring
//! spans; the root requires a whole run and exposes its claim digest. The rules are those of
//! [`verifier::Span`] and [`verifier::ClaimDigest`], as constraints ([`SpanGadget`]). No circuit decides a
//! pairing: each folds the accumulators below into its own, and the verifier of the root decides it.

mod circuit;
mod msm;
mod recursion;
mod snark;
mod span;

/// Version of the circuits: changes with every change of their constraints.
pub const VERSION: u32 = 2;

pub use circuit::{AggregationCircuit, Cells, Layer, ROOT_VALUES, SPAN_VALUES};
pub use snark::{
    ACCUMULATOR_LEN, AggregationShape, LIMB_BITS, LIMBS, Snark, SnarkError, accumulator_points,
    decides, key_hash, protocol,
};
pub use span::{AssignedSpan, PointElements, SpanGadget, Value};
