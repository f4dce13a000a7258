//! One proof for any number of chunks, at full size: leaves and nodes of 2^20 rows, a root of 2^21.
//!
//! Takes about an hour and 10 GiB; finished proofs and keys stay in the directory that
//! `ZKBPF_AGGREGATION_DIR` names (without it, in the target directory), and are taken up again.

mod asm;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use asm::{EXIT, Fields, bytecode};
use rustix::time::{ClockId, clock_gettime};
use zkbpf::verifier::{AggregateError, ClaimError, VerifyError};
use zkbpf::{
    AggregateProof, AggregationConfig, AggregationEvent, Claim, ExecutionProof, ExecutionTrace,
    ExpectedOutcome, KeygenConfig, Outcome, aggregate_observed, claim_of, execute_and_trace,
    prove_execution_chunked, run_info, verify_aggregate, verify_execution,
};

/// Steps of the run that is proved in 1, 2, 3 and 5 chunks.
const STEPS: usize = 30;

fn trace() -> ExecutionTrace {
    let mut slots: Vec<Fields> = vec![(0xb7, 0, 0, 0, 1)];
    slots.resize(STEPS - 1, (0x07, 0, 0, 0, 1));
    slots.push(EXIT);
    execute_and_trace(&bytecode(&slots)).expect("a valid program")
}

fn directory() -> PathBuf {
    std::env::var_os("ZKBPF_AGGREGATION_DIR").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("aggregation"),
        PathBuf::from,
    )
}

fn config(chunks: usize) -> KeygenConfig {
    KeygenConfig::new(10, directory().join("keys"), 8)
        .with_chunk_size(STEPS.div_ceil(chunks))
        .with_insecure_test_srs()
}

fn read<T>(path: &Path, parse: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    parse(&std::fs::read(path).ok()?)
}

/// The chunk proofs of the run: those of an earlier test run, or new ones.
fn chunk_proofs(trace: &ExecutionTrace, chunks: usize) -> ExecutionProof {
    let config = config(chunks);
    let key = config.verifying_key().expect("keys");
    let path = directory().join(format!("chunks-{chunks}.proof"));
    let stored = read(&path, |bytes| ExecutionProof::from_bytes(bytes).ok())
        .filter(|proof| verify_execution(proof.chunks(), &claim_of(trace), &key).is_ok());
    let proof = stored.unwrap_or_else(|| {
        let proofs = prove_execution_chunked(trace, &config).expect("proved");
        let info = run_info(trace, &config).expect("keys");
        let proof = ExecutionProof::new(info, proofs).expect("one run");
        std::fs::write(&path, proof.to_bytes()).expect("written");
        proof
    });
    assert_eq!(proof.chunks().len(), chunks);
    proof
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Prints a line for each job, with its time and the process's peak memory since the job before.
#[expect(clippy::print_stderr, reason = "the table is what the test shows")]
fn aggregated(trace: &ExecutionTrace, chunks: usize) -> AggregateProof {
    let proof = chunk_proofs(trace, chunks);
    let config = AggregationConfig::new(&config(chunks)).with_work_dir(directory().join("jobs"));
    let key = config.key().expect("keys");
    let path = directory().join(format!("aggregate-{chunks}.proof"));
    let stored = read(&path, |bytes| AggregateProof::from_bytes(bytes).ok())
        .filter(|proof| verify_aggregate(proof, &claim_of(trace), &key).is_ok());
    if let Some(proof) = stored {
        return proof;
    }
    let started = Mutex::new((Instant::now(), cpu()));
    let observer = |event| match event {
        AggregationEvent::Started {
            layer,
            shape,
            cells,
        } => {
            *started.lock().expect("unpoisoned") = (Instant::now(), cpu());
            reset_peak();
            eprintln!(
                "{chunks} chunks: {} with {cells} cells, {} + {} columns, k = {}",
                layer.name(),
                shape.advice,
                shape.lookup_advice,
                shape.k
            );
        }
        AggregationEvent::Finished { layer, reused } => {
            let (wall, before) = *started.lock().expect("unpoisoned");
            eprintln!(
                "{chunks} chunks: {} {}: {:.0} s, {:.0} CPU s, peak {:.1} GiB",
                layer.name(),
                if reused { "reused" } else { "proved" },
                wall.elapsed().as_secs_f64(),
                (cpu() - before).as_secs_f64(),
                peak_gib(),
            );
        }
        _ => {}
    };
    let aggregate = aggregate_observed(&proof, &config, observer).expect("aggregated");
    std::fs::write(&path, aggregate.to_bytes()).expect("written");
    aggregate
}

fn reset_peak() {
    // Linux only; elsewhere the figure is the whole process's.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_gib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.unwrap_or(0.0) / f64::from(1 << 20)
}

#[test]
#[ignore = "an hour and 10 GiB: cargo test --release --test aggregation -- --ignored --nocapture"]
#[expect(clippy::print_stderr, reason = "the table is what the test shows")]
fn one_two_three_and_five_chunks_end_as_one_proof() {
    std::fs::create_dir_all(directory()).expect("writable");
    let trace = trace();
    let claim = claim_of(&trace);
    let counts: Vec<usize> = std::env::var("ZKBPF_AGGREGATION_CHUNKS")
        .map(|list| {
            let count = |count: &str| count.parse().expect("a number of chunks");
            list.split(',').map(count).collect()
        })
        .unwrap_or_else(|_| vec![1, 2, 3, 5]);
    let key = AggregationConfig::new(&config(1)).key().expect("keys");
    let mut lengths = Vec::new();
    for chunks in counts {
        let proof = aggregated(&trace, chunks);
        let start = Instant::now();
        let statement = verify_aggregate(&proof, &claim, &key).expect("valid");
        let took = start.elapsed();
        assert_eq!(statement.outcome, trace.outcome());
        assert_eq!(statement.steps, STEPS as u64);
        eprintln!(
            "{chunks} chunks: {} bytes of proof, {} of file, verified in {:.1} ms",
            proof.proof.len(),
            proof.to_bytes().len(),
            took.as_secs_f64() * 1e3
        );
        assert_eq!(
            AggregateProof::from_bytes(&proof.to_bytes()).as_ref(),
            Ok(&proof)
        );
        lengths.push(proof.proof.len());
        refused(&proof, &claim, &key);
    }
    assert!(
        lengths
            .iter()
            .all(|length| *length == lengths[0] && *length <= 4096)
    );
}

/// Everything else than the proof and its claim is refused.
fn refused(proof: &AggregateProof, claim: &Claim, key: &zkbpf::AggregateKey) {
    let error = |proof: &AggregateProof, claim: &Claim| {
        verify_aggregate(proof, claim, key).expect_err("must be refused")
    };
    let aggregate = |reason| VerifyError::Aggregate { reason };
    let other = Claim {
        outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 7 }),
        ..claim.clone()
    };
    assert!(matches!(
        error(proof, &other),
        VerifyError::Run {
            reason: ClaimError::Outcome { .. }
        }
    ));

    // What the file says is bound by the digest.
    let mut changed = proof.clone();
    changed.run.r0 ^= 1;
    assert_eq!(error(&changed, claim), aggregate(AggregateError::Invalid));
    let mut changed = proof.clone();
    changed.run.steps += 1;
    assert_eq!(error(&changed, claim), aggregate(AggregateError::Invalid));
    // Points of another accumulator, one that holds or not.
    for accumulator in [
        [proof.accumulator[1], proof.accumulator[0]],
        [key.chunk_key().g_lagrange()[0], proof.accumulator[1]],
    ] {
        let mut changed = proof.clone();
        changed.accumulator = accumulator;
        assert_eq!(error(&changed, claim), aggregate(AggregateError::Invalid));
    }
    for at in 0..proof.proof.len() {
        let mut changed = proof.clone();
        changed.proof[at] ^= 1;
        assert!(matches!(
            error(&changed, claim),
            VerifyError::Aggregate { .. }
        ));
    }
}
