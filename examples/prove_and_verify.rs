//! Proves that the digest of a message is what `programs/sha256.c` computes, in chunks in parallel, and
//! verifies it as someone would who knows the program and the message but did not run it.
//!
//! ```text
//! cargo run --release --example prove_and_verify
//! ```

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Instant;

use zkbpf::{
    Claim, ExecutionProof, ExpectedOutcome, Input, KeygenConfig, LoadOptions, Outcome, Program,
    Tracer, prove_execution_chunked_parallel, run_info, verify_execution,
};

/// Written by `clang -O2 -target bpf -mcpu=v3 -c`.
const OBJECT: &[u8] = include_bytes!("programs/sha256.o");
const MESSAGE: &[u8] = b"abc";
/// SHA-256 of the message, from FIPS 180-2.
const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// Chunks of 2^13 rows.
const K: u32 = 13;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    let program = Program::load(OBJECT, &LoadOptions::default())?;
    // The program overwrites the region's first 32 bytes with the digest.
    let input = Input::from_bytes(MESSAGE).with_region_size(32);

    // The prover runs the program.
    let start = Instant::now();
    let trace = Tracer::new(&program).input(input.clone()).trace()?;
    writeln!(
        out,
        "executed {} instructions in {:.1?}",
        trace.instruction_count(),
        start.elapsed()
    )?;

    let start = Instant::now();
    let keys = tempfile::tempdir()?;
    let config = KeygenConfig::new(K, keys.path(), 8).with_insecure_test_srs();
    config.keys()?;
    writeln!(
        out,
        "made parameters (INSECURE, for tests) and keys in {:.1?}",
        start.elapsed()
    )?;

    let start = Instant::now();
    let proofs = prove_execution_chunked_parallel(&trace, &config)?;
    let chunks = proofs.len();
    let file = ExecutionProof::new(run_info(&trace, &config)?, proofs)?.to_bytes();
    writeln!(
        out,
        "proved {chunks} chunks in {:.1?}: {} bytes",
        start.elapsed(),
        file.len()
    )?;

    // The verifier has the file, and says what it expects.
    let start = Instant::now();
    let mut output = hex::decode(DIGEST)?;
    let r0 = u64::from_be_bytes(output[..8].try_into()?);
    output.resize(input.region_len().try_into()?, 0);
    let claim = Claim {
        outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0 }),
        output: Some(output),
        ..Claim::new(program, input)
    };
    let proofs = ExecutionProof::from_bytes(&file)?.into_chunks();
    let key = config.verifying_key()?;
    let statement = verify_execution(&proofs, &claim, &key)?;
    writeln!(out, "verified in {:.1?}", start.elapsed())?;
    writeln!(
        out,
        "attested: program {} on input \"{}\" ran {} steps, halted with r0 = {r0:#x}, and left {DIGEST}",
        hex::encode(statement.program_id),
        String::from_utf8_lossy(MESSAGE),
        statement.steps,
    )?;
    Ok(())
}
