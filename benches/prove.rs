//! Trace, witness, keys, chunk proofs at two sizes, both schedules, verification.
//!
//! ```text
//! cargo bench -p zkbpf
//! ```

#![expect(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use halo2curves::bn256::Fr;
use zkbpf::zk_circuits::{Plan, Shape};
use zkbpf::{
    ExecutionTrace, Input, KeygenConfig, LoadOptions, Program, Tracer, claim_of,
    prove_execution_chunked, prove_execution_chunked_parallel, verify_execution,
};

const SHA256: &[u8] = include_bytes!("../examples/programs/sha256.o");

/// SHA-256 of a message of this many bytes.
fn trace(length: usize) -> ExecutionTrace {
    let program = Program::load(SHA256, &LoadOptions::default()).expect("a valid object");
    let input = Input::from_bytes(vec![7; length]).with_region_size(32);
    Tracer::new(&program)
        .input(input)
        .trace()
        .expect("a small input")
}

fn config(k: u32) -> KeygenConfig {
    let keys = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
    KeygenConfig::new(k, keys, 8).with_insecure_test_srs()
}

fn tracing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trace");
    group.throughput(Throughput::Elements(trace(10_000).instruction_count()));
    group.bench_function("sha256", |bencher| {
        bencher.iter(|| black_box(trace(10_000)));
    });
    group.finish();
}

fn witness(criterion: &mut Criterion) {
    let trace = trace(10_000);
    let shape = Shape::new(14, 8).expect("a supported size");
    let plan = Plan::new(&trace, shape, None).expect("it fits");
    let reserved = [[Fr::zero(); 8]; 8];
    let mut group = criterion.benchmark_group("witness");
    group.throughput(Throughput::Elements(shape.rows() as u64));
    group.bench_function("k = 14", |bencher| {
        bencher.iter(|| black_box(plan.witness(0, &reserved).expect("a chunk")));
    });
    group.finish();
}

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keys");
    group.sample_size(10);
    // With the test parameters, which a real setup has already.
    group.bench_function("made, k = 10", |bencher| {
        bencher.iter_batched(
            || tempfile::tempdir().expect("a place for files"),
            |directory| {
                let config = KeygenConfig::new(10, directory.path(), 8).with_insecure_test_srs();
                config.keys().expect("keys");
                directory
            },
            BatchSize::PerIteration,
        );
    });
    for k in [14, 17] {
        config(k).keys().expect("keys");
        group.bench_function(format!("read, k = {k}"), |bencher| {
            bencher.iter(|| config(k).keys().expect("keys"));
        });
    }
    group.finish();
}

fn proofs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prove");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    // One chunk, of every step that fits.
    for (k, length) in [(11, 0), (13, 0)] {
        let config = config(k);
        let whole = trace(length);
        let shape = config.shape().expect("a supported size");
        let plan = Plan::new(&whole, shape, None).expect("it fits");
        let steps = plan.chunk_steps(0);
        let chunk = Tracer::new(whole.program())
            .input(whole.input().clone())
            .step_limit(steps)
            .trace()
            .expect("a small input");
        config.keys().expect("keys");
        group.throughput(Throughput::Elements(chunk.instruction_count()));
        group.bench_function(format!("one chunk, k = {k}"), |bencher| {
            bencher.iter(|| prove_execution_chunked(&chunk, &config).expect("proved"));
        });
    }

    // Four chunks.
    let config = config(11);
    let trace = trace(0);
    let per_chunk = trace.instruction_count().div_ceil(4);
    let steps = usize::try_from(per_chunk.min(1000)).expect("small");
    let limited = Tracer::new(trace.program())
        .input(trace.input().clone())
        .step_limit(4 * steps as u64)
        .trace()
        .expect("a small input");
    let config = config.with_chunk_size(steps);
    group.throughput(Throughput::Elements(limited.instruction_count()));
    group.bench_function("four chunks, k = 11, sequential", |bencher| {
        bencher.iter(|| prove_execution_chunked(&limited, &config).expect("proved"));
    });
    group.bench_function("four chunks, k = 11, parallel", |bencher| {
        bencher.iter(|| prove_execution_chunked_parallel(&limited, &config).expect("proved"));
    });
    group.finish();

    let proofs = prove_execution_chunked_parallel(&limited, &config).expect("proved");
    let key = config.verifying_key().expect("keys");
    let claim = claim_of(&limited);
    criterion.bench_function("verify four chunks, k = 11", |bencher| {
        bencher.iter(|| verify_execution(&proofs, &claim, &key).expect("valid"));
    });
}

criterion_group!(benches, tracing, witness, keys, proofs);
criterion_main!(benches);
