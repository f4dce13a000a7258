//! `aggregate`: the proofs of a run's chunks into one.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use zkbpf::prover::{Stopwatch, peak_rss_bytes};
use zkbpf::{AggregationConfig, AggregationEvent, KeygenConfig, aggregate_observed};

use super::args::{Aggregate, Common};
use super::output::{self, SrsJson};
use super::progress::Progress;
use super::proof_file::ProofFile;
use super::{Ending, Failure, keys, program};

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
        let help = "verify it, or write its contracts with `zkbpf export-verifier`";
        return Err(Failure::input(message, help));
    };
    let failure = |error| Failure::proving(common, &error);
    let chunk_config = program::config(common, proof.info().k)?;
    if let Some(reason) = program::other_parameters(common, &chunk_config, proof.info().srs)? {
        let message = format!("{}: {reason}", args.file.display());
        let help = "choose the parameters that the proof was made with";
        return Err(Failure::input(message, help));
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
    let progress = Progress::new(common);
    keys::make(
        &chunk_config,
        common,
        &progress,
        KeygenConfig::verifying_key,
    )
    .map_err(failure)?;
    let observer = |event| match event {
        AggregationEvent::Ready { jobs } => progress.begin_parts("aggregation", jobs, None),
        AggregationEvent::Started { layer, .. } => progress.name(layer.name()),
        AggregationEvent::Finished { reused: true, .. } => progress.find(),
        AggregationEvent::Finished { .. } => progress.advance(),
        _ => {}
    };
    let aggregate = aggregate_observed(&proof, &config, observer).map_err(failure)?;
    progress.clear();
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

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use zkbpf::SrsIdentity;
    use zkbpf::verifier::SrsKind;

    use super::*;
    use crate::cli::documented::assert_documented;

    /// What an aggregation prints, which takes minutes.
    #[test]
    fn fields_are_documented() {
        let of = |measured: bool| {
            let json = AggregateJson {
                program_id: String::new(),
                chunks: 2,
                span_k: AggregationConfig::SPAN_K,
                root_k: AggregationConfig::ROOT_K,
                aggregate_seconds: 1.5,
                cpu_seconds: measured.then_some(2.5),
                peak_rss_bytes: measured.then_some(3),
                proof_bytes: 4,
                evm_proof_bytes: 5,
                verified: true,
                srs: SrsIdentity {
                    kind: SrsKind::InsecureTest,
                    digest: [0; 32],
                }
                .into(),
                key: String::new(),
            };
            serde_json::to_value(&json).expect("JSON")
        };
        let objects: [Value; 2] = [of(true), of(false)];
        assert_documented("### `aggregate --json`", &objects.each_ref());
    }
}
