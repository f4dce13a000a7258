//! `prove`: execute, prove chunk by chunk, write a proof file.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use zkbpf::prover::{Measured, Stopwatch, peak_rss_bytes};
use zkbpf::{Event, ExecutionProof, Shape, claim_of, prove_execution_resumable, run_info};

use super::args::{Common, Prove};
use super::output::{self, OutcomeJson, SrsJson};
use super::program::{self, Invocation};
use super::signals::Watch;
use super::{Ending, Failure, calibration, job};

#[derive(Serialize)]
struct ProveJson {
    program_id: String,
    #[serde(flatten)]
    outcome: OutcomeJson,
    steps: u64,
    /// One for each step, and what system calls cost.
    compute_units: u64,
    chunks: usize,
    /// Chunks whose proofs were there already.
    chunks_reused: usize,
    k: u32,
    /// Steps of the longest chunk.
    chunk_size: u64,
    keygen_seconds: f64,
    prove_seconds: f64,
    cpu_seconds: Option<f64>,
    peak_rss_bytes: Option<u64>,
    /// Size of the proof file.
    proof_bytes: usize,
    /// The file's bytes were read back, parsed and verified.
    verified: bool,
    #[serde(flatten)]
    srs: SrsJson,
    key: String,
}

pub(crate) fn execute(args: &Prove, common: &Common) -> Result<Ending, Failure> {
    program::require_srs(common)?;
    if let Some(k) = args.chunks.k {
        Shape::new(k, program::LOOKUP_BITS).map_err(Failure::usage)?;
    }
    let invocation = Invocation::load(&args.invocation)?;
    let unfinished = job::unfinished(args, common)?;
    let failure = |error| program::failure(common, &error);

    let source = invocation.source.clone();
    let trace = invocation.trace()?;
    tracing::info!(steps = trace.instruction_count(), "executed");
    if let Some(error) = program::unprovable(&trace) {
        return Err(failure(error));
    }
    let config = program::config_for(&trace, &args.chunks, common)?;
    let bar = output::progress(common);
    bar.set_message("keys");
    bar.tick();
    let start = Instant::now();
    config.keys().map_err(failure)?;
    let keygen_seconds = start.elapsed().as_secs_f64();

    let key = config.verifying_key().map_err(failure)?;
    let info = run_info(&trace, &config).map_err(failure)?;
    let job = match unfinished {
        Some(job) => job,
        None => job::open(&job::directory(&args.output), common)?,
    };
    let watch = Watch::new(&job, common, &bar)?;
    let stopwatch = Stopwatch::start();
    bar.set_message("proving");
    let (reused, at_once) = (AtomicUsize::new(0), AtomicUsize::new(1));
    let observer = |event| match event {
        Event::Ready {
            chunks,
            at_once: width,
        } => {
            bar.set_length(chunks as u64);
            at_once.store(width.min(chunks), Ordering::Relaxed);
        }
        Event::JobRestarted { .. } => {
            reused.store(0, Ordering::Relaxed);
            bar.set_position(0);
        }
        Event::ChunkReused { .. } => {
            reused.fetch_add(1, Ordering::Relaxed);
            bar.inc(1);
        }
        Event::ChunkFinished { .. } => bar.inc(1),
        _ => bar.tick(),
    };
    let schedule = args.chunks.mode.schedule();
    let proofs = match prove_execution_resumable(&trace, &config, schedule, &job, observer) {
        Ok(proofs) => proofs,
        Err(error) => return Err(job::failed(job, common, &error)),
    };
    bar.finish_and_clear();
    let (elapsed, cpu) = (stopwatch.elapsed(), stopwatch.cpu());
    let prove_seconds = elapsed.as_secs_f64();

    let made = proofs.len().saturating_sub(reused.load(Ordering::Relaxed));
    if let Some(cpu) = cpu {
        calibration::record(
            common,
            Measured {
                engine: common.engine.engine(),
                k: info.k,
                chunks: made,
                at_once: at_once.into_inner(),
                threads: rayon::current_num_threads(),
                cpu,
                elapsed,
            },
        );
    }

    let proof = ExecutionProof::new(info, proofs).map_err(Failure::other)?;
    let directory = job.path().to_owned();
    let proof_bytes = job
        .finish(&proof, &claim_of(&trace), &key, &args.output)
        .map_err(|error| job::unfinishable(&directory, common, &error))?;
    drop(watch);
    program::remember(common, trace.program(), &source);

    let info = proof.info();
    let longest = proof.chunks().iter().map(|chunk| {
        let instance = &chunk.instance;
        instance.steps_out.saturating_sub(instance.steps_in)
    });
    let json = ProveJson {
        program_id: hex::encode(info.program_id),
        outcome: info.outcome.into(),
        steps: info.steps,
        compute_units: info.compute_units,
        chunks: proof.chunks().len(),
        chunks_reused: reused.into_inner(),
        k: info.k,
        chunk_size: longest.max().unwrap_or_default(),
        keygen_seconds,
        prove_seconds,
        cpu_seconds: cpu.as_ref().map(Duration::as_secs_f64),
        peak_rss_bytes: peak_rss_bytes(),
        proof_bytes,
        verified: true,
        srs: info.srs.into(),
        key: proof
            .chunks()
            .first()
            .map(|chunk| chunk.key.to_string())
            .unwrap_or_default(),
    };
    let mut text = format!(
        "outcome     {}\nsteps       {} in {}{} (k = {})\nunits       {}\nproof       {}, {} bytes\n\
         took        {prove_seconds:.1} s, and {keygen_seconds:.1} s for keys\nsrs         {}\n\
         program id  {}",
        output::outcome(info.outcome),
        json.steps,
        output::chunks(json.chunks),
        match json.chunks_reused {
            0 => String::new(),
            reused => format!(", {reused} of them taken up"),
        },
        json.k,
        json.compute_units,
        args.output.display(),
        json.proof_bytes,
        json.srs.text(),
        json.program_id
    );
    json.srs.warn(&mut text);
    output::done(common, &json, &text)
}
