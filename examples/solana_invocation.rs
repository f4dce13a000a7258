//! Proves one invocation of a Solana program, from accounts to post-state, and verifies it as someone would
//! who knows the program and the accounts before and after but did not run it.
//!
//! ```text
//! cargo run --release --example solana_invocation
//! ```

use std::error::Error;
use std::io::{Write, stdout};

use zkbpf::solana::{Account, Invocation, apply_post_state};
use zkbpf::{
    Claim, Dialect, Environment, ExpectedOutcome, KeygenConfig, LoadOptions, Outcome, Program,
    Tracer, prove_execution_chunked, verify_execution,
};

/// Adds one to the first number in the first account's data. A deployed program is a `.so` file.
const PROGRAM: [[u8; 8]; 5] = [
    [0x79, 0x12, 0x60, 0, 0, 0, 0, 0], // r2 = *(u64 *)(r1 + 96)
    [0x07, 0x02, 0, 0, 1, 0, 0, 0],    // r2 += 1
    [0x7b, 0x21, 0x60, 0, 0, 0, 0, 0], // *(u64 *)(r1 + 96) = r2
    [0xb7, 0x00, 0, 0, 0, 0, 0, 0],    // r0 = 0
    [0x95, 0x00, 0, 0, 0, 0, 0, 0],    // exit
];
const PROGRAM_ADDRESS: [u8; 32] = [7; 32];
/// What Solana's runtime gives to one instruction if the transaction does not ask for another number.
const BUDGET: u64 = 200_000;
/// One chunk of 2^10 rows.
const K: u32 = 10;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    let options = LoadOptions::default().with_dialect(Dialect::SbpfV0);
    let program = Program::load(PROGRAM.as_flattened(), &options)?;
    let counter = Account::new([1; 32], PROGRAM_ADDRESS)
        .with_lamports(1_000_000)
        .with_data(41_u64.to_le_bytes())
        .writable();
    let invocation = Invocation::new(PROGRAM_ADDRESS).with_account(counter);
    let input = invocation.to_input()?;
    let environment = Environment {
        program_id: PROGRAM_ADDRESS,
        ..Environment::default()
    };

    // The prover runs the program.
    let trace = Tracer::new(&program)
        .input(input.clone())
        .environment(environment.clone())
        .step_limit(BUDGET)
        .trace()?;
    let keys = tempfile::tempdir()?;
    let config = KeygenConfig::new(K, keys.path(), 8).with_insecure_test_srs();
    let proofs = prove_execution_chunked(&trace, &config)?;

    // The verifier says what the accounts are afterwards.
    let mut states = invocation.post_accounts(&input.bytes)?;
    states[0].data = 42_u64.to_le_bytes().to_vec();
    let claim = Claim {
        environment,
        outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 0 }),
        output: Some(apply_post_state(&input.bytes, &states)?),
        budget: BUDGET,
        ..Claim::new(program, input)
    };
    let key = config.verifying_key()?;
    let statement = verify_execution(&proofs, &claim, &key)?;
    writeln!(
        out,
        "attested: program {} counted from 41 to 42 in {} compute units",
        hex::encode(statement.program_id),
        statement.compute_units,
    )?;
    Ok(())
}
