//! `estimate`: what proving a run will take.

use serde::Serialize;
use zkbpf::estimate;

use super::args::{Common, Estimate};
use super::program::{self, Invocation};
use super::progress::Progress;
use super::{Ending, Failure, calibration, output};

#[derive(Serialize)]
struct EstimateJson {
    program_id: String,
    steps: u64,
    /// Rows that the steps take.
    rows: usize,
    k: u32,
    chunks: usize,
    /// Chunks that are proved at once.
    at_once: usize,
    proof_bytes: usize,
    memory_bytes: u64,
    cpu_seconds: f64,
    prove_seconds: f64,
}

pub(crate) fn execute(args: &Estimate, common: &Common) -> Result<Ending, Failure> {
    program::require_srs(common)?;
    let trace = Invocation::load(&args.invocation)?.trace()?;
    let failure = |error| Failure::proving(common, &error);
    let config = program::config_for(&trace, &args.chunks, common)?;
    let mut known = calibration::load(common);
    if !known.knows(common.engine.engine()) {
        let progress = Progress::new(common);
        progress.begin("measuring this machine", None);
        known.measure(&config).map_err(failure)?;
        progress.clear();
        calibration::store(common, &known);
    }
    let schedule = args.chunks.mode.schedule();
    let found = estimate(&trace, &config, schedule, &known).map_err(failure)?;
    let json = EstimateJson {
        program_id: hex::encode(trace.program().id()),
        steps: found.steps,
        rows: found.rows,
        k: found.k,
        chunks: found.chunks,
        at_once: found.at_once,
        proof_bytes: found.proof_bytes,
        memory_bytes: found.memory_bytes,
        cpu_seconds: found.cpu_seconds,
        prove_seconds: found.seconds,
    };
    let text = format!(
        "steps       {} in {} (k = {}), {} rows\nproof       {} bytes\nmemory      {} MiB, {} at once\n\
         time        about {:.1} s, {:.1} s of processor time, without keys",
        found.steps,
        output::chunks(found.chunks),
        found.k,
        found.rows,
        found.proof_bytes,
        found.memory_bytes >> 20,
        output::chunks(found.at_once),
        found.seconds,
        found.cpu_seconds,
    );
    output::done(common, &json, &text)
}
