//! Proves execution traces: keys, chunks, and the proof of each chunk.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // r0 = 42; exit
//! let program_bytes = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let trace = bpf_tracer::execute_and_trace(&program_bytes)?;
//! // 2^10 rows a chunk; 2^17 for long runs.
//! let keys = tempfile::tempdir()?;
//! let config = prover::KeygenConfig::new(10, keys.path(), 8)
//!     .with_chunk_size(1000)
//!     .with_insecure_test_srs(); // or .with_srs(file)
//! let proofs = prover::prove_execution_chunked_parallel(&trace, &config)?;
//! let key = config.verifying_key()?;
//! verifier::verify_execution(&proofs, &prover::claim_of(&trace), &key)?;
//! # Ok(())
//! # }
//! ```
//!
//! The keys depend on the circuit's size and the parameters only. They are made on first use and kept in
//! a cache directory, whose entries are verified on every load.

mod aggregation;
mod cache;
mod chunks;
mod config;
mod create;
mod error;
mod estimate;
mod files;
mod fingerprint;
mod fit;
mod job;
mod keys;
mod memory;
mod rng;
mod run;
mod secret;
mod srs;
mod threads;
mod usage;

pub use aggregation::{
    AggregationConfig, AggregationEvent, Aggregator, LayerKind, SpanProof, aggregate,
    aggregate_observed,
};
pub use cache::{CacheEntry, CacheKind, CacheState, is_cache_file};
pub use chunks::{
    Event, Schedule, claim_of, prove_execution_chunked, prove_execution_chunked_auto,
    prove_execution_chunked_parallel, prove_execution_observed, prove_execution_resumable,
    run_info,
};
pub use config::KeygenConfig;
pub use create::Engine;
pub use error::{AggregationFailure, ChunkFailure, Error, JobError, SrsError};
pub use estimate::{Calibration, Estimate, Measured, estimate};
pub use files::{write_whole, write_whole_with};
pub use job::{Job, Restart, Writes};
pub use keys::Keys;
pub use usage::{Stopwatch, peak_rss_bytes};
