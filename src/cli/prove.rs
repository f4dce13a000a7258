//! `prove`: execute, prove chunk by chunk, write a proof file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use zkbpf::prover::{Measured, Stopwatch};
use zkbpf::{
    Event, ExecutionProof, ExecutionTrace, KeygenConfig, Schedule, Shape, claim_of, estimate,
    prove_execution_resumable, run_info,
};

use super::args::{Common, Prove};
use super::output::{self, OutcomeJson, SrsJson};
use super::program::{self, Invocation};
use super::progress::Progress;
use super::report::parts::{ChunkClock, Parts};
use super::report::{Destination, Report, command};
use super::signals::Watch;
use super::{Ending, Failure, calibration, job, keys};

/// The longest command that is printed in the text.
const LONGEST_COMMAND: usize = 400;

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
    /// Checks the file, by someone who has the program and the input.
    verify_command: String,
    /// The page that was written.
    report: Option<PathBuf>,
}

pub(crate) fn execute(args: &Prove, common: &Common) -> Result<Ending, Failure> {
    program::require_srs(common)?;
    if let Some(k) = args.chunks.k {
        Shape::new(k, program::LOOKUP_BITS)
            .map_err(|error| Failure::proving(common, &error.into()))?;
    }
    let report = args.report.as_deref().map(Destination::new).transpose()?;
    let mut parts = Parts::new(report.is_some());
    let invocation = Invocation::load(&args.invocation)?;
    let unfinished = job::unfinished(args, common)?;
    let failure = |error| Failure::proving(common, &error);

    let source = invocation.source.clone();
    let trace = invocation.trace()?;
    tracing::info!(steps = trace.instruction_count(), "executed");
    if let Some(error) = program::unprovable(&trace) {
        return Err(failure(error));
    }
    let config = program::config_for(&trace, &args.chunks, common)?;
    parts.end("execution");
    let progress = Progress::new(common);
    let keygen = Stopwatch::start();
    keys::make(&config, common, &progress, KeygenConfig::keys).map_err(failure)?;
    let keygen_seconds = keygen.elapsed().as_secs_f64();
    parts.end("keys");

    let key = config.verifying_key().map_err(failure)?;
    let info = run_info(&trace, &config).map_err(failure)?;
    let job = match unfinished {
        Some(job) => job,
        None => job::open(&job::directory(&args.output), common)?,
    };
    let watch = Watch::new(&job, common, &progress)?;
    let schedule = args.chunks.mode.schedule();
    let expected = expected(&trace, &config, schedule, common, &progress);
    let (stopwatch, clock) = (Stopwatch::start(), ChunkClock::start());
    progress.begin("proving", None);
    let (reused, at_once) = (AtomicUsize::new(0), AtomicUsize::new(1));
    let observer = |event| match event {
        Event::Ready {
            chunks,
            at_once: width,
        } => {
            progress.begin_parts("chunks", chunks, expected);
            at_once.store(width.min(chunks), Ordering::Relaxed);
        }
        Event::JobRestarted { .. } => {
            reused.store(0, Ordering::Relaxed);
            progress.restart();
        }
        Event::ChunkReused { .. } => {
            reused.fetch_add(1, Ordering::Relaxed);
            progress.find();
        }
        Event::ChunkStarted { chunk } => clock.begin(chunk),
        Event::ChunkFinished { chunk } => {
            clock.end(chunk);
            progress.advance();
        }
        _ => {}
    };
    let proofs = match prove_execution_resumable(&trace, &config, schedule, &job, observer) {
        Ok(proofs) => proofs,
        Err(error) => return Err(job::failed(job, common, &error)),
    };
    progress.clear();
    let (elapsed, cpu) = (stopwatch.elapsed(), stopwatch.cpu());
    let prove_seconds = elapsed.as_secs_f64();
    parts.end("proofs");

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

    let proof = ExecutionProof::new(info, proofs).map_err(Failure::defect)?;
    let directory = job.path().to_owned();
    let proof_bytes = job
        .finish(&proof, &claim_of(&trace), &key, &args.output)
        .map_err(|error| job::unfinishable(&directory, common, &error))?;
    drop(watch);
    program::remember(common, trace.program(), &source);
    parts.end("file, verified");

    let info = proof.info();
    let steps = proof.chunks().iter().map(|chunk| {
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
        chunk_size: steps.clone().max().unwrap_or_default(),
        keygen_seconds,
        prove_seconds,
        cpu_seconds: cpu.as_ref().map(Duration::as_secs_f64),
        peak_rss_bytes: parts.peak_bytes(),
        proof_bytes,
        verified: true,
        srs: info.srs.into(),
        key: proof
            .chunks()
            .first()
            .map(|chunk| chunk.key.to_string())
            .unwrap_or_default(),
        verify_command: command::verify(args, common, info.outcome, info.srs),
        report: report.as_ref().map(|report| report.path().to_owned()),
    };
    if let Some(report) = &report {
        let program = args.invocation.program.program.as_deref();
        report.write(&Report {
            trace: &trace,
            program: program.map_or("--raw-hex".to_owned(), |path| path.display().to_string()),
            file: &args.output,
            k: json.k,
            proof_bytes,
            chunk_proof_bytes: proof.chunks().iter().map(|chunk| chunk.proof.len()).sum(),
            parts: parts.done(),
            chunks: &clock.times(steps),
            peak_rss_bytes: json.peak_rss_bytes,
            threads: rayon::current_num_threads(),
            srs: &json.srs,
            key: &json.key,
            verify_command: &json.verify_command,
        })?;
    }
    output::done(common, &json, &text(args, &json, &info.outcome.to_string()))
}

/// What proving will take by what chunks took before. Nothing if nobody would see it.
fn expected(
    trace: &ExecutionTrace,
    config: &KeygenConfig,
    schedule: Schedule,
    common: &Common,
    progress: &Progress,
) -> Option<Duration> {
    if !progress.is_shown() {
        return None;
    }
    let seconds = estimate(trace, config, schedule, &calibration::load(common))
        .ok()?
        .seconds;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|expected| !expected.is_zero())
}

fn text(args: &Prove, json: &ProveJson, outcome: &str) -> String {
    let mut text = format!(
        "outcome     {outcome}\nsteps       {} in {}{} (k = {})\nunits       {}\nproof       {}, {} bytes\n\
         took        {:.1} s, and {:.1} s for keys\nsrs         {}\nprogram id  {}",
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
        json.prove_seconds,
        json.keygen_seconds,
        json.srs.text(),
        json.program_id
    );
    if let Some(report) = &json.report {
        text.push_str(&format!("\nreport      {}", report.display()));
    }
    if json.verify_command.len() <= LONGEST_COMMAND {
        text.push_str(&format!("\nverify it   {}", json.verify_command));
    }
    json.srs.warn(&mut text);
    text
}
