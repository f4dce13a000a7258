//! Turns the proofs of a run's chunks into one proof of constant size.
//!
//! Three kinds of jobs, each a proof of a circuit of the `aggregation` crate: a leaf for each chunk, nodes
//! that join two neighbours until one is left, and the root. A job reads proofs and writes one; jobs of one
//! level do not depend on each other, so that they can run on any number of machines that make or share
//! the same keys ([`Aggregator`]).

mod jobs;
mod keys;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aggregation::AggregationShape;
use verifier::{AggregateKey, AggregateProof, ExecutionProof};

use crate::config::KeygenConfig;
use crate::error::Error;

pub use jobs::{Aggregator, SpanProof};
pub use keys::LayerKind;

/// What to aggregate with.
#[derive(Clone, Debug)]
pub struct AggregationConfig {
    chunk: KeygenConfig,
    span_k: u32,
    root_k: u32,
    memory_budget: Option<u64>,
    work_dir: Option<PathBuf>,
}

impl AggregationConfig {
    /// Default size of leaves and nodes, as the base-2 logarithm of their rows: the least work.
    pub const SPAN_K: u32 = 20;
    /// Default size of the root, which must be narrow.
    pub const ROOT_K: u32 = 21;

    /// For chunks that were proved with this configuration, whose cache and parameters are used.
    #[must_use]
    pub fn new(chunk: &KeygenConfig) -> Self {
        Self {
            chunk: chunk.clone(),
            span_k: Self::SPAN_K,
            root_k: Self::ROOT_K,
            memory_budget: None,
            work_dir: None,
        }
    }

    /// Leaves and nodes of `2^span_k` rows, a root of `2^root_k`. Part of the key: verifiers must use the
    /// same.
    #[must_use]
    pub fn with_k(mut self, span_k: u32, root_k: u32) -> Self {
        self.span_k = span_k;
        self.root_k = root_k;
        self
    }

    /// Refuses to start a job that would take more memory than this many bytes.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    /// Keeps each finished proof in this directory, and takes up those that are there.
    #[must_use]
    pub fn with_work_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.work_dir = Some(path.into());
        self
    }

    /// Refuses a job that exceeds the memory budget.
    fn admit(&self, shape: AggregationShape) -> Result<(), Error> {
        let needed = job_bytes(shape);
        match self.memory_budget {
            Some(budget) if needed > budget => Err(Error::MemoryBudget { needed, budget }),
            _ => Ok(()),
        }
    }

    /// The directory of finished proofs.
    #[must_use]
    pub fn work_dir(&self) -> Option<&Path> {
        self.work_dir.as_deref()
    }

    /// The key that verifies aggregates: from the cache, or made now, with those of all layers, which takes
    /// minutes.
    ///
    /// # Errors
    /// As [`KeygenConfig::keys`].
    pub fn key(&self) -> Result<Arc<AggregateKey>, Error> {
        if let Some(key) = keys::cached_aggregate_key(self)? {
            return Ok(Arc::new(key));
        }
        Aggregator::new(self)?.key()
    }
}

/// Field elements that a job's key and proof hold for each row, whatever the columns, and for each row and
/// advice column. Measured.
const COPIES_OF_ROWS: u64 = 106;
const COPIES_OF_CELLS: u64 = 15;

/// An estimate of the memory that a job of this shape takes, its key included.
fn job_bytes(shape: AggregationShape) -> u64 {
    let columns = (shape.advice + shape.lookup_advice) as u64;
    ((COPIES_OF_ROWS + COPIES_OF_CELLS * columns) << shape.k) * 32
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AggregationEvent {
    /// The chunks are checked; this many jobs follow.
    Ready {
        /// Number of proofs to be made.
        jobs: usize,
    },
    /// A job has begun.
    Started {
        /// Of which kind.
        layer: LayerKind,
        /// Size of its circuit.
        shape: AggregationShape,
        /// Cells of its circuit.
        cells: usize,
    },
    /// A job's proof is finished and verified.
    Finished {
        /// Of which kind.
        layer: LayerKind,
        /// Whether it was found in the work directory.
        reused: bool,
    },
}

/// Aggregates the proofs of a run.
///
/// # Errors
/// If a chunk's proof is not valid, or the chunks are not a whole run; see [`Error`].
pub fn aggregate(
    proof: &ExecutionProof,
    config: &AggregationConfig,
) -> Result<AggregateProof, Error> {
    aggregate_observed(proof, config, |_| ())
}

/// Aggregates the proofs of a run, and tells an observer what happens.
///
/// Chunks and their links are checked before anything is proved; each proof is verified as soon as it is
/// finished, the last one as a verifier does.
///
/// # Errors
/// As [`aggregate`].
pub fn aggregate_observed(
    proof: &ExecutionProof,
    config: &AggregationConfig,
    observer: impl Fn(AggregationEvent) + Sync,
) -> Result<AggregateProof, Error> {
    Aggregator::new(config)?.run(proof, &observer)
}
