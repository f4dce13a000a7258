//! Proves a transfer of tokens between two accounts of Solana: accounts before, accounts after, compute units.
//!
//! ```text
//! cargo run --release --example token_transfer
//! cargo run --release --example token_transfer -- token.so [sdk]
//! ```
//!
//! Without arguments, the program is a small one that this example brings along. With one, it is the file of an SPL
//! Token program as it is deployed; `sdk` if its entrypoint is that of the Rust SDK, which notes lengths in the
//! parameters.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;

use zkbpf::solana::{Account, AccountEntry, Invocation, apply_post_state, apply_post_state_of_sdk};
use zkbpf::{
    Claim, Dialect, Environment, ExpectedOutcome, KeygenConfig, LoadOptions, Outcome, Program,
    Tracer, prove_execution_chunked, verify_execution,
};

mod token_program;

/// Compute units of one instruction if the transaction does not ask for another number.
const BUDGET: u64 = 200_000;
const MINT: [u8; 32] = [0xa1; 32];
const OWNER: [u8; 32] = [0xb2; 32];
const AMOUNT: u64 = 300;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [path] => deployed_program(path.as_ref(), false),
        [path, "sdk"] => deployed_program(path.as_ref(), true),
        _ => own_program(),
    }
}

/// The program that this example brings along.
pub(crate) fn own_program() -> Result<(), Box<dyn Error>> {
    let options = LoadOptions::default().with_dialect(Dialect::SbpfV0);
    prove(&token_program::bytecode(), &options, false, false)
}

/// An SPL Token program, as it is deployed.
pub(crate) fn deployed_program(path: &Path, is_sdk: bool) -> Result<(), Box<dyn Error>> {
    prove(&std::fs::read(path)?, &LoadOptions::default(), true, is_sdk)
}

/// An account as SPL Token has it: mint, owner, amount, and of the rest only that it is initialised.
fn spl(account: &Account) -> Account {
    let mut data = account.data.clone();
    data.resize(165, 0);
    data[108] = 1;
    account.clone().with_data(data)
}

/// A transfer as SPL Token wants it: the third instruction.
fn spl_invocation(invocation: &Invocation) -> Invocation {
    let mut data = vec![3];
    data.extend(&invocation.instruction_data);
    let mut spl_invocation = Invocation::new(invocation.program_id).with_instruction_data(data);
    for (index, account) in invocation.unique_accounts().enumerate() {
        let account = if index < 2 {
            spl(account)
        } else {
            account.clone()
        };
        spl_invocation = spl_invocation.with_account(account);
    }
    spl_invocation
}

fn prove(
    bytes: &[u8],
    options: &LoadOptions,
    is_spl: bool,
    is_sdk: bool,
) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    let program = Program::load(bytes, options)?;
    let source = token_program::account(1, MINT, OWNER, 1000);
    let destination = token_program::account(2, MINT, [0xc3; 32], 5);
    let mut invocation = token_program::transfer(source, destination, OWNER, AMOUNT);
    if is_spl {
        invocation = spl_invocation(&invocation);
    }
    let input = invocation.to_input()?;
    let environment = Environment {
        program_id: invocation.program_id,
        ..Environment::default()
    };

    // The prover runs the program, in the smallest circuit that holds it.
    let trace = Tracer::new(&program)
        .input(input.clone())
        .environment(environment.clone())
        .step_limit(BUDGET)
        .trace()?;
    let keys = tempfile::tempdir()?;
    let config = KeygenConfig::new(17, keys.path(), 8)
        .with_insecure_test_srs()
        .fitting(&trace)?;
    let proofs = prove_execution_chunked(&trace, &config)?;

    // The verifier says what the accounts are afterwards.
    let mut states = invocation.post_accounts(&input.bytes)?;
    for (state, amount) in states.iter_mut().zip([1000 - AMOUNT, 5 + AMOUNT]) {
        state.data[64..72].copy_from_slice(&amount.to_le_bytes());
    }
    let apply = if is_sdk {
        apply_post_state_of_sdk
    } else {
        apply_post_state
    };
    let claim = Claim {
        environment,
        outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 0 }),
        output: Some(apply(&input.bytes, &states)?),
        budget: BUDGET,
        ..Claim::new(program, input)
    };
    let key = config.verifying_key()?;
    let statement = verify_execution(&proofs, &claim, &key)?;
    let owner_signed = invocation.accounts.iter().any(|entry| {
        matches!(entry, AccountEntry::Account(account) if account.key == OWNER && account.is_signer)
    });
    writeln!(
        out,
        "attested: program {} moved {AMOUNT} tokens (the owner has signed: {owner_signed}) in {} compute units, k = {}",
        hex::encode(&statement.program_id[..8]),
        statement.compute_units,
        key.shape().k(),
    )?;
    Ok(())
}
