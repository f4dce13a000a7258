//! `prove`: execute, prove chunk by chunk, write a proof file.

use std::time::Instant;

use serde::Serialize;
use zkbpf::{Event, ExecutionProof, Shape, prove_execution_observed, run_info};

use super::args::{Common, Prove};
use super::output::{self, OutcomeJson};
use super::{Ending, Failure, environment, program, usage};

#[derive(Serialize)]
struct ProveJson {
    program_id: String,
    #[serde(flatten)]
    outcome: OutcomeJson,
    steps: u64,
    /// One for each step, and what system calls cost.
    compute_units: u64,
    chunks: usize,
    k: u32,
    /// Steps of the longest chunk.
    chunk_size: u64,
    keygen_seconds: f64,
    prove_seconds: f64,
    cpu_seconds: Option<f64>,
    peak_rss_bytes: Option<u64>,
    /// Size of the proof file.
    proof_bytes: usize,
    /// The prover checks every proof, and all of them together, before it lets go of them.
    verified: bool,
    srs: String,
    key: String,
}

pub(crate) fn execute(args: &Prove, common: &Common) -> Result<Ending, Failure> {
    program::require_srs(common)?;
    if let Some(k) = args.k {
        Shape::new(k, program::LOOKUP_BITS).map_err(Failure::usage)?;
    }
    let (program, source) = program::load(args.program.program.as_deref(), &args.program.load)?;
    let input = program::input(&args.input)?;
    let environment = environment::load(&args.environment, program.dialect())?;
    let failure = |error| program::failure(common, &error);

    let trace = program::trace(&program, input, environment, &args.limits)?;
    tracing::info!(steps = trace.instruction_count(), "executed");
    if let Some(error) = program::unprovable(&trace) {
        return Err(failure(error));
    }
    let chunk_size = args.chunk_size.map(|steps| steps as usize);
    let k = match args.k {
        Some(k) => k,
        None => program::fitting_k(&trace, chunk_size, args.whole_program)
            .map_err(|error| failure(error.into()))?,
    };
    let mut config = program::config(common, k)?;
    if let Some(steps) = chunk_size {
        config = config.with_chunk_size(steps);
    }
    if args.whole_program {
        config = config.with_whole_program();
    }
    let bar = output::progress(common);
    bar.set_message("keys");
    bar.tick();
    let start = Instant::now();
    config.keys().map_err(failure)?;
    let keygen_seconds = start.elapsed().as_secs_f64();

    let (start, cpu_before) = (Instant::now(), usage::cpu_seconds());
    bar.set_message("proving");
    let observer = |event| match event {
        Event::Ready { chunks } => bar.set_length(chunks as u64),
        Event::ChunkFinished { .. } => bar.inc(1),
        _ => bar.tick(),
    };
    let proofs = prove_execution_observed(&trace, &config, args.mode.schedule(), observer)
        .map_err(failure)?;
    bar.finish_and_clear();
    let prove_seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = usage::cpu_seconds()
        .zip(cpu_before)
        .map(|(after, before)| after - before);

    let info = run_info(&trace, &config).map_err(failure)?;
    let proof = ExecutionProof::new(info, proofs).map_err(Failure::other)?;
    let bytes = proof.to_bytes();
    program::write_whole(&args.output, &bytes)?;
    program::remember(common, &program, &source);

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
        k: info.k,
        chunk_size: longest.max().unwrap_or_default(),
        keygen_seconds,
        prove_seconds,
        cpu_seconds,
        peak_rss_bytes: usage::peak_rss_bytes(),
        proof_bytes: bytes.len(),
        verified: true,
        srs: info.srs.to_string(),
        key: proof
            .chunks()
            .first()
            .map(|chunk| chunk.key.to_string())
            .unwrap_or_default(),
    };
    let text = format!(
        "outcome     {}\nsteps       {} in {} (k = {})\nunits       {}\nproof       {}, {} bytes\n\
         took        {prove_seconds:.1} s, and {keygen_seconds:.1} s for keys\nsrs         {}\n\
         program id  {}",
        output::outcome(info.outcome),
        json.steps,
        output::chunks(json.chunks),
        json.k,
        json.compute_units,
        args.output.display(),
        json.proof_bytes,
        json.srs,
        json.program_id
    );
    output::done(common, &json, &text)
}
