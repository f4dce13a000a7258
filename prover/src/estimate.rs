//! What proving a run will take, before it is proved.
//!
//! A chunk's proof takes the same work whatever its rows hold, so the number of chunks, the proof's length and
//! its memory follow from the circuit and the plan. Time also depends on the machine: a [`Calibration`] holds
//! what chunks took on it, of the sizes that were measured; other sizes are derived from the nearest.

use std::collections::BTreeMap;
use std::time::Duration;

use bpf_tracer::{ExecutionTrace, Input, LoadOptions, Program, Tracer};
use serde::{Deserialize, Serialize};
use verifier::{ExecutionProof, KeyId, SrsIdentity, SrsKind};
use zk_circuits::{ChunkInstance, CircuitSize, Plan, Shape};

use crate::chunks::{Hints, Schedule, info_of, prove_execution_chunked};
use crate::config::KeygenConfig;
use crate::create::Engine;
use crate::error::Error;
use crate::memory::{self, Footprint};
use crate::usage::Stopwatch;

/// Size of the circuit that is measured where nothing is known.
const REFERENCE_K: u32 = Shape::MIN_K;

/// Share of the threads that one proof keeps busy, where it was not measured.
const USUALLY_BUSY: f64 = 0.9;

/// What chunks of some sizes took on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Processor seconds of a chunk, by prover and by the base-2 logarithm of the circuit's rows.
    chunk_cpu_seconds: BTreeMap<Engine, BTreeMap<u32, f64>>,
    /// Share of the threads that one proof kept busy.
    busy_alone: Option<f64>,
}

/// What proving some chunks took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The prover.
    pub engine: Engine,
    /// Base-2 logarithm of the circuit's rows.
    pub k: u32,
    /// Number of chunks.
    pub chunks: usize,
    /// Chunks that were proved at once.
    pub at_once: usize,
    /// Threads that there were.
    pub threads: usize,
    /// Processor time, all threads and chunks together.
    pub cpu: Duration,
    /// Elapsed time.
    pub elapsed: Duration,
}

/// What proving a run will take.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// Base-2 logarithm of the circuit's rows.
    pub k: u32,
    /// Steps of the run.
    pub steps: u64,
    /// Rows that the steps take, of all chunks together.
    pub rows: usize,
    /// Number of chunks.
    pub chunks: usize,
    /// Chunks that are proved at once.
    pub at_once: usize,
    /// Length of the proof file, exactly.
    pub proof_bytes: usize,
    /// Greatest memory of the process, keys included.
    pub memory_bytes: u64,
    /// Processor time, without the making of keys.
    pub cpu_seconds: f64,
    /// Elapsed time, without the making of keys.
    pub seconds: f64,
}

/// Processor time of a row in a chunk of this size, as a multiple of that in the largest circuits: tables of
/// narrow operands take more columns, and small circuits have more overhead.
fn weight_of_row(k: u32) -> f64 {
    match k {
        0..=10 => 1.55,
        11 => 1.35,
        12 => 1.27,
        13 => 1.22,
        14..=16 => 1.2,
        _ => 1.0,
    }
}

impl Calibration {
    /// Whether anything is known of a prover.
    #[must_use]
    pub fn knows(&self, engine: Engine) -> bool {
        self.chunk_cpu_seconds.contains_key(&engine)
    }

    /// Adds what chunks took. Later measurements replace earlier ones.
    pub fn record(&mut self, measured: Measured) {
        let (cpu, elapsed) = (measured.cpu.as_secs_f64(), measured.elapsed.as_secs_f64());
        if measured.chunks == 0 || cpu <= 0.0 || elapsed <= 0.0 {
            return;
        }
        self.chunk_cpu_seconds
            .entry(measured.engine)
            .or_default()
            .insert(measured.k, cpu / measured.chunks as f64);
        if measured.at_once == 1 {
            let busy = cpu / elapsed / measured.threads.max(1) as f64;
            self.busy_alone = Some(busy.min(1.0));
        }
    }

    /// Proves a small chunk, and records what it took. Takes some seconds, more if its keys are to be made.
    ///
    /// # Errors
    /// As proving.
    pub fn measure(&mut self, config: &KeygenConfig) -> Result<(), Error> {
        let config = config.of_one_chunk(REFERENCE_K);
        config.keys()?;
        // r0 = 0; exit
        let bytecode = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
        let program = Program::load(&bytecode, &LoadOptions::default());
        let trace = program.map(|program| Tracer::new(&program).input(Input::default()).trace());
        let Ok(Ok(trace)) = trace else {
            return Ok(());
        };
        let watch = Stopwatch::start();
        prove_execution_chunked(&trace, &config)?;
        let elapsed = watch.elapsed();
        let cpu = watch.cpu().unwrap_or(elapsed);
        self.record(Measured {
            engine: config.engine(),
            k: REFERENCE_K,
            chunks: 1,
            at_once: 1,
            threads: config.thread_count(),
            cpu,
            elapsed,
        });
        Ok(())
    }

    /// Processor seconds of a chunk of `2^k` rows.
    fn chunk(&self, engine: Engine, k: u32) -> Option<f64> {
        let known = self.chunk_cpu_seconds.get(&engine)?.iter();
        let (known, seconds) = known.min_by_key(|(known, _)| known.abs_diff(k))?;
        let weight = |k: u32| f64::from(1_u32 << k.min(31)) * weight_of_row(k);
        Some(seconds * weight(k) / weight(*known))
    }

    /// Elapsed seconds of chunks side by side. One alone leaves threads waiting, as many as threads none.
    fn batch(&self, chunk: f64, side_by_side: usize, threads: usize) -> f64 {
        let waiting = 1.0 - self.busy_alone.unwrap_or(USUALLY_BUSY);
        let (side_by_side, threads) = (side_by_side as f64, threads.max(1) as f64);
        let unused = (1.0 - (side_by_side - 1.0) / (threads - 1.0).max(1.0)).max(0.0);
        chunk * side_by_side / (threads * (1.0 - waiting * unused))
    }
}

/// What proving a trace will take. Times are zero if nothing is known of this machine.
///
/// # Errors
/// As proving: if the run does not fit the circuit, or the memory is not enough.
pub fn estimate(
    trace: &ExecutionTrace,
    config: &KeygenConfig,
    schedule: Schedule,
    calibration: &Calibration,
) -> Result<Estimate, Error> {
    if let Some(step) = trace.crosses_frames() {
        return Err(Error::CrossesFrames { step });
    }
    let shape = config.shape()?;
    let plan = config.plan(trace)?;
    let chunks = plan.chunk_count();
    let threads = config.thread_count();
    let budget = config.memory_budget();
    let footprint = Footprint::of(shape, config.engine());
    let load = footprint.load(schedule, threads, budget)?.of_chunks(chunks);
    let at_once = load.at_once;
    let chunk = calibration
        .chunk(config.engine(), shape.k())
        .unwrap_or_default();
    let (batches, rest) = (chunks / at_once, chunks % at_once);
    let batches = batches as f64 * calibration.batch(chunk, at_once, threads);
    let last = match rest {
        0 => 0.0,
        rest => calibration.batch(chunk, rest, threads),
    };
    Ok(Estimate {
        k: shape.k(),
        steps: trace.instruction_count(),
        rows: (0..chunks).map(|chunk| plan.chunk_rows(chunk)).sum(),
        chunks,
        at_once,
        proof_bytes: proof_bytes(trace, &plan, shape),
        memory_bytes: footprint.process(load) + memory::run_bytes(trace.steps().len(), &plan),
        cpu_seconds: chunk * chunks as f64,
        seconds: batches + last,
    })
}

/// Length of the proof file of a plan: that of one whose proofs are zeros.
fn proof_bytes(trace: &ExecutionTrace, plan: &Plan, shape: Shape) -> usize {
    // Identities have one length.
    let srs = SrsIdentity {
        kind: SrsKind::File,
        digest: [0; 32],
    };
    let proof = vec![0; CircuitSize::of(shape).proof_bytes];
    let chunk = Hints::of(trace, plan).complete(KeyId([0; 32]), ChunkInstance::default(), proof);
    let chunks = vec![chunk; plan.chunk_count()];
    ExecutionProof::new(info_of(trace, shape, srs), chunks)
        .map_or(0, |proof| proof.to_bytes().len())
}
