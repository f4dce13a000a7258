//! A verifier that has the crate `verifier` and nothing else: bytes in, verdict out. It starts no threads, opens no files
//! and runs no programs.
//!
//! ```text
//! cargo run --release --example embed_verifier
//! ```

use std::error::Error;
use std::io::{Write, stdout};

use zkbpf::{KeygenConfig, execute_and_trace, prove_execution_chunked, run_info};

/// r0 = 42; exit
const PROGRAM: [u8; 16] = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
/// One chunk of 2^10 rows.
const K: u32 = 10;

/// What the other side uses: in its own `Cargo.toml`, `verifier` and `bpf-tracer` with `default-features = false`.
mod embedded {
    use zkbpf::bpf_tracer::{Input, LoadOptions, Outcome, Program};
    use zkbpf::verifier::{
        Claim, ExecutionProof, ExpectedOutcome, KeyId, VerifyingKey, verify_execution,
    };

    /// Whether the program that this verifier knows halts with 42: what the proof file says about itself plays no part.
    pub(super) fn accepts(
        program: &[u8],
        key: &[u8],
        id: KeyId,
        proof: &[u8],
    ) -> Result<u64, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        // The identity is built into the verifier. The key may come from anywhere.
        let key = VerifyingKey::from_bytes(key, id).map_err(|error| text(&error))?;
        let program =
            Program::load(program, &LoadOptions::default()).map_err(|error| text(&error))?;
        let claim = Claim {
            outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 42 }),
            ..Claim::new(program, Input::default())
        };
        let proof = ExecutionProof::from_bytes(proof).map_err(|error| text(&error))?;
        let statement =
            verify_execution(proof.chunks(), &claim, &key).map_err(|error| text(&error))?;
        Ok(statement.steps)
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // Somebody makes keys and a proof.
    let keys = tempfile::tempdir()?;
    let config = KeygenConfig::new(K, keys.path(), 8).with_insecure_test_srs();
    let trace = execute_and_trace(&PROGRAM)?;
    let proofs = prove_execution_chunked(&trace, &config)?;
    let key = config.verifying_key()?;
    let proof = zkbpf::ExecutionProof::new(run_info(&trace, &config)?, proofs)?.to_bytes();
    let (key, id) = (key.to_bytes(), key.id());

    // Somebody else verifies it.
    let steps = embedded::accepts(&PROGRAM, &key, id, &proof)?;
    let mut out = stdout().lock();
    writeln!(
        out,
        "accepted: {steps} steps; a key of {} bytes, a proof of {}",
        key.len(),
        proof.len()
    )?;

    // Another program, and a proof with one bit changed.
    let mut other = PROGRAM;
    other[4] = 43;
    let mut changed = proof.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for refused in [
        embedded::accepts(&other, &key, id, &proof),
        embedded::accepts(&PROGRAM, &key, id, &changed),
    ] {
        match refused {
            Err(reason) => writeln!(out, "refused: {reason}")?,
            Ok(_) => return Err("accepted".into()),
        }
    }
    Ok(())
}
