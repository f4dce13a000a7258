//! Which size of circuit a run is proved with.

use bpf_tracer::ExecutionTrace;
use zk_circuits::{CircuitSize, Shape};

use crate::chunks::Schedule;
use crate::config::KeygenConfig;
use crate::error::Error;
use crate::memory::Footprint;

/// Rows of a small circuit that one more chunk is worth avoiding for: it is one more proof to keep, to verify and
/// to aggregate.
const ROWS_OF_A_CHUNK: u64 = 1 << 12;

impl KeygenConfig {
    /// With the size of circuit that proves a trace with the least work; the size so far is the greatest that is
    /// considered.
    ///
    /// Proving takes as many circuits as there are chunks, of which the last is seldom full: it is the size for which
    /// rows and columns of all chunks are fewest. If chunks of so many steps are asked for, it is the least that holds
    /// one, if any does. Runs that are aggregated are better off with few and great chunks: these are asked for by
    /// their size.
    ///
    /// # Errors
    /// If the trace cannot be cut into chunks.
    pub fn fitting(self, trace: &ExecutionTrace) -> Result<Self, Error> {
        if let Some(step) = trace.crosses_frames() {
            return Err(Error::CrossesFrames { step });
        }
        let steps = trace.steps().len().max(1);
        let asked_for = self
            .chunk_size()
            .map(|steps_of_one| steps.div_ceil(steps_of_one));
        // What fits a circuit fits all that are greater.
        let plan = self.plan(trace)?;
        let mut best = None;
        for k in Shape::MIN_K..=plan.shape().k() {
            let config = self.with_size(k);
            let shape = config.shape()?;
            let Ok(chunks) = plan.chunk_count_of(shape) else {
                continue;
            };
            if asked_for.is_some_and(|most| chunks <= most) {
                return Ok(config);
            }
            let fits = Footprint::of(shape, self.engine())
                .load(Schedule::Sequential, 1, self.memory_budget())
                .is_ok();
            let columns = CircuitSize::of(shape).advice_columns as u64;
            let work = chunks as u64 * columns * (shape.rows() as u64 + ROWS_OF_A_CHUNK);
            // Fewer chunks if it is the same.
            if (fits || best.is_none()) && best.as_ref().is_none_or(|(least, _)| work <= *least) {
                best = Some((work, config));
            }
            if chunks == 1 {
                // More rows are more work.
                break;
            }
        }
        // The greatest is planned, at least.
        Ok(best.map_or(self, |(_, config)| config))
    }
}
