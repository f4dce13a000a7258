//! Keys, runs and their proofs: made once, with insecure parameters, and kept beside the test binaries.

#![expect(dead_code, reason = "every target uses a part of it")]

pub(crate) mod aggregate;
pub(crate) mod changes;
pub(crate) mod claims;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bpf_tracer::instruction::Slot;
use bpf_tracer::{ExecutionTrace, Input, LoadOptions, Program, Tracer};
use prover::KeygenConfig;
use verifier::{Claim, ExecutionProof, VerifyingKey, verify_execution};

pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The smallest circuit.
pub(crate) static CONFIG: LazyLock<KeygenConfig> = LazyLock::new(|| {
    KeygenConfig::new(10, folder().join("keys"), 8)
        .with_chunk_size(10)
        .with_insecure_test_srs()
});

pub(crate) static KEY: LazyLock<Arc<VerifyingKey>> =
    LazyLock::new(|| CONFIG.verifying_key().expect("keys"));

/// A run, what it claims, and its proofs.
pub(crate) struct Run {
    pub(crate) trace: ExecutionTrace,
    pub(crate) claim: Claim,
    pub(crate) file: ExecutionProof,
}

/// Runs that end in every way: in one chunk, in three chunks, with a trap, at the budget.
pub(crate) static RUNS: LazyLock<Vec<Run>> = LazyLock::new(|| {
    let traces = [
        trace(&sum(1), 1000),
        trace(&sum(6), 1000),
        trace(&trap(), 1000),
        trace(&sum(3), 12),
    ];
    traces.into_iter().enumerate().map(proved).collect()
});

fn slot(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> [u8; 8] {
    let slot = Slot {
        opcode,
        dst,
        src,
        offset,
        imm,
    };
    slot.encode()
}

fn load(code: &[[u8; 8]]) -> Program {
    Program::load(code.as_flattened(), &LoadOptions::default()).expect("a valid program")
}

/// Adds `count, … 2, 1` to the first input word; writes the sum to the second one and to the stack, and
/// returns it.
pub(crate) fn sum(count: i32) -> Program {
    load(&[
        slot(0x79, 0, 1, 0, 0),
        slot(0xb7, 3, 0, 0, count),
        slot(0x0f, 0, 3, 0, 0),
        slot(0x07, 3, 0, 0, -1),
        slot(0x55, 3, 0, -3, 0),
        slot(0x7b, 1, 0, 8, 0),
        slot(0x7b, 10, 0, -8, 0),
        slot(0x95, 0, 0, 0, 0),
    ])
}

/// Loads from behind the input.
fn trap() -> Program {
    load(&[
        slot(0x79, 0, 1, 8, 0),
        slot(0x79, 0, 1, 16, 0),
        slot(0x95, 0, 0, 0, 0),
    ])
}

fn trace(program: &Program, budget: u64) -> ExecutionTrace {
    let input = Input::from_bytes(5_u64.to_le_bytes()).with_region_size(16);
    let tracer = Tracer::new(program).input(input).step_limit(budget);
    tracer.trace().expect("the input fits")
}

/// Proofs are kept, so that what a fuzzer finds can be found again.
fn proved((number, trace): (usize, ExecutionTrace)) -> Run {
    let claim = prover::claim_of(&trace);
    let valid = |file: &ExecutionProof| verify_execution(file.chunks(), &claim, &KEY);
    let path = kept(&format!("run-{number}"), &KEY.id().0);
    let stored = std::fs::read(&path).ok();
    let stored = stored.and_then(|bytes| ExecutionProof::from_bytes(&bytes).ok());
    let file = stored
        .filter(|file| valid(file).is_ok())
        .unwrap_or_else(|| {
            let chunks = prover::prove_execution_chunked(&trace, &CONFIG).expect("proved");
            let info = prover::run_info(&trace, &CONFIG).expect("keys");
            let file = ExecutionProof::new(info, chunks).expect("one run");
            keep(&path, &file.to_bytes());
            file
        });
    valid(&file).expect("the honest proof");
    Run { trace, claim, file }
}

/// Where something that was made for a key is kept.
pub(crate) fn kept(name: &str, key: &[u8; 32]) -> PathBuf {
    let key: String = key[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    folder().join(format!("fuzz-{name}-{key}"))
}

pub(crate) fn keep(path: &Path, bytes: &[u8]) {
    let own = tempfile::NamedTempFile::new_in(folder()).expect("a file");
    std::fs::write(own.path(), bytes).expect("written");
    own.persist(path).expect("in its place");
}
