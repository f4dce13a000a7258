//! `aggregate`: the proofs of a run's chunks into one.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use zkbpf::prover::{Stopwatch, peak_rss_bytes};
use zkbpf::{AggregationConfig, AggregationEvent, aggregate_observed};

use super::args::{Aggregate, Common};
use super::output::{self, SrsJson};
use super::proof_file::ProofFile;
use super::{Ending, Failure, program};

#[derive(Serialize)]
struct AggregateJson {
    program_id: String,
    chunks: usize,
    /// Rows of leaves and nodes, and of the root, as base-2 logarithms.
    span_k: u32,
    root_k: u32,
    /// Keys included, if they were not in the cache.
    aggregate_seconds: f64,
    cpu_seconds: Option<f64>,
    peak_rss_bytes: Option<u64>,
    /// Size of the proof file.
    proof_bytes: usize,
    /// Size of the proof alone, as a contract takes it.
    evm_proof_bytes: usize,
    /// The prover checks the proof before it lets go of it.
    verified: bool,
    #[serde(flatten)]
    srs: SrsJson,
    key: String,
}

pub(crate) fn execute(args: &Aggregate, common: &Common) -> Result<Ending, Failure> {
    program::require_srs(common)?;
    let (proof, _) = ProofFile::read(&args.file).map_err(|error| error.failure(&args.file))?;
    let ProofFile::Chunks(proof) = proof else {
        let message = format!("{} is an aggregate already", args.file.display());
        return Err(Failure::input(message));
    };
    let failure = |error| program::failure(common, &error);
    let chunk_config = program::config(common, proof.info().k)?;
    if let Some(reason) = program::other_parameters(common, &chunk_config, proof.info().srs)? {
        return Err(Failure::input(format!("{}: {reason}", args.file.display())));
    }
    let jobs = args.work_dir.clone().unwrap_or_else(|| {
        let mut name = args.output.clone().into_os_string();
        name.push(".jobs");
        PathBuf::from(name)
    });
    let mut config = AggregationConfig::new(&chunk_config).with_work_dir(&jobs);
    if let Some(bytes) = common.memory_budget {
        config = config.with_memory_budget(bytes);
    }

    let stopwatch = Stopwatch::start();
    let bar = output::progress(common);
    bar.set_message("keys");
    bar.tick();
    let observer = |event| match event {
        AggregationEvent::Ready { jobs } => bar.set_length(jobs as u64),
        AggregationEvent::Started { layer, .. } => bar.set_message(layer.name()),
        AggregationEvent::Finished { .. } => bar.inc(1),
        _ => bar.tick(),
    };
    let aggregate = aggregate_observed(&proof, &config, observer).map_err(failure)?;
    bar.finish_and_clear();
    let bytes = aggregate.to_bytes();
    program::write_whole(&args.output, &bytes)?;
    if args.work_dir.is_none() {
        // What is left over costs space only.
        let _ = fs::remove_dir_all(&jobs);
    }
    let cpu = stopwatch.cpu();

    let info = &aggregate.info;
    let json = AggregateJson {
        program_id: hex::encode(info.program_id),
        chunks: proof.chunks().len(),
        span_k: AggregationConfig::SPAN_K,
        root_k: AggregationConfig::ROOT_K,
        aggregate_seconds: stopwatch.elapsed().as_secs_f64(),
        cpu_seconds: cpu.as_ref().map(Duration::as_secs_f64),
        peak_rss_bytes: peak_rss_bytes(),
        proof_bytes: bytes.len(),
        evm_proof_bytes: aggregate.proof.len(),
        verified: true,
        srs: info.srs.into(),
        key: aggregate.key.to_string(),
    };
    let mut text = format!(
        "aggregate   {} in one proof of {} bytes\nfile        {}, {} bytes\ntook        {:.0} s\n\
         srs         {}\nkey         {}\nprogram id  {}",
        output::chunks(json.chunks),
        json.evm_proof_bytes,
        args.output.display(),
        json.proof_bytes,
        json.aggregate_seconds,
        json.srs.text(),
        json.key,
        json.program_id
    );
    json.srs.warn(&mut text);
    output::done(common, &json, &text)
}
