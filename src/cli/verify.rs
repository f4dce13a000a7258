//! `verify`: a proof against what the caller expects.
//!
//! The file says which `k` it was made for. That only selects one of our own keys: every supported
//! size proves the same, and the proof is checked against the key that is made here.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use zkbpf::{
    AggregationConfig, Claim, ExecutionStatement, ExpectedOutcome, KeygenConfig, Outcome, Program,
    verify_aggregate, verify_execution,
};

use super::args::{Common, Verify};
use super::output::{self, OutcomeJson, SrsJson};
use super::progress::Progress;
use super::proof_file::{ProofFile, Unreadable};
use super::{Ending, Failure, environment, keys, program};

#[derive(Serialize)]
struct VerifyJson {
    valid: bool,
    program_id: String,
    #[serde(flatten)]
    outcome: OutcomeJson,
    steps: u64,
    /// One for each step, and what system calls cost.
    compute_units: u64,
    /// An aggregate does not tell.
    chunks: Option<usize>,
    input_checked: bool,
    outcome_checked: bool,
    output_checked: bool,
    #[serde(flatten)]
    srs: SrsJson,
    key: String,
    verify_ms: f64,
}

/// What is left to say of a proof that is refused.
#[derive(Serialize)]
struct RefusedJson {
    valid: bool,
    program_id: String,
    reason: String,
}

pub(crate) fn execute(args: &Verify, common: &Common) -> Result<Ending, Failure> {
    let (program, source) = expected_program(args, common)?;
    if !args.input.is_given() && !args.any_input {
        return Err(Failure::usage(
            "which input must the run have had?",
            "give --input, --input-hex or --input-size (0 for none), or accept any with --any-input",
        ));
    }
    let claim = claim(args, program)?;
    program::require_srs(common)?;

    let refuse = |reason: String| {
        let json = RefusedJson {
            valid: false,
            program_id: hex::encode(claim.program.id()),
            reason,
        };
        output::result(common, &json, &format!("INVALID: {}", json.reason))?;
        Ok(Ending::Invalid)
    };
    let proof = match ProofFile::read(&args.file) {
        Ok((proof, _)) => proof,
        Err(Unreadable::NotAProof(failure)) => return Err(failure),
        Err(Unreadable::Malformed(reason)) => return refuse(reason),
    };
    let config = program::config(common, proof.info().k)?;
    if let Err(error) = config.shape() {
        return refuse(error.to_string());
    }
    if let Some(reason) = program::other_parameters(common, &config, proof.info().srs)? {
        return refuse(reason);
    }
    let progress = Progress::new(common);
    let key = keys::make(&config, common, &progress, KeygenConfig::verifying_key)
        .map_err(|error| Failure::proving(common, &error))?;
    progress.clear();
    let (verified, verify_ms) = match &proof {
        ProofFile::Chunks(proof) => timed(|| verify_execution(proof.chunks(), &claim, &key)),
        ProofFile::Aggregate(proof) => {
            let config = AggregationConfig::new(&config);
            let key = config
                .key()
                .map_err(|error| Failure::proving(common, &error))?;
            timed(|| verify_aggregate(proof, &claim, &key))
        }
    };
    let statement = match verified {
        Ok(statement) => statement,
        Err(error) => return refuse(error.to_string()),
    };
    if let Some(reason) = wrong_trap(args, &statement) {
        return refuse(reason);
    }
    if let Some(source) = &source {
        program::remember(common, &claim.program, source);
    }
    accept(&statement, verify_ms, args, common)
}

/// A result, and the milliseconds that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64() * 1e3)
}

fn expected_program(
    args: &Verify,
    common: &Common,
) -> Result<(Program, Option<program::Source>), Failure> {
    if let Some(id) = &args.program_id {
        return Ok((program::recall(common, id)?, None));
    }
    if args.program.is_none() && args.load.raw_hex.is_none() {
        return Err(Failure::usage(
            "which program must have run?",
            "give --program, --raw-hex or --program-id",
        ));
    }
    let (program, source) = program::load(args.program.as_deref(), &args.load)?;
    Ok((program, Some(source)))
}

fn claim(args: &Verify, program: Program) -> Result<Claim, Failure> {
    let input = if args.any_input {
        None
    } else {
        Some(program::input(&args.input)?)
    };
    let file = |path: &Option<PathBuf>| path.as_deref().map(program::read).transpose();
    let output = file(&args.expect_output)?;
    let return_data = file(&args.expect_return_data)?.unwrap_or_default();
    let environment = environment::load(&args.environment, program.dialect())?;
    let budget = program::budget(&args.limits, program.dialect());
    let outcome = match (args.expect_r0, args.expect_trap) {
        (Some(r0), _) => ExpectedOutcome::Exactly(Outcome::Halt { r0 }),
        (None, Some(trap)) => match trap.pc {
            Some(pc) => ExpectedOutcome::Exactly(Outcome::Trap {
                kind: trap.kind,
                pc,
            }),
            // Which trap is compared afterwards, with the proved outcome.
            None => ExpectedOutcome::Any,
        },
        (None, None) if args.any_outcome => ExpectedOutcome::Any,
        // Other results of a Solana program are its errors.
        (None, None) if program.dialect().is_sbpf() => {
            ExpectedOutcome::Exactly(Outcome::Halt { r0: 0 })
        }
        (None, None) => ExpectedOutcome::Halt,
    };
    Ok(Claim {
        program,
        environment,
        input,
        outcome,
        output,
        return_data,
        compute_units: args.expect_compute_units,
        budget,
    })
}

/// Why the proved outcome is not the expected trap, wherever it happened.
fn wrong_trap(args: &Verify, statement: &ExecutionStatement) -> Option<String> {
    let expected = args.expect_trap?.kind;
    match statement.outcome {
        Outcome::Trap { kind, .. } if kind == expected => None,
        found => Some(format!(
            "it ends with {}, not with trap {}",
            found,
            expected.name()
        )),
    }
}

fn accept(
    statement: &ExecutionStatement,
    verify_ms: f64,
    args: &Verify,
    common: &Common,
) -> Result<Ending, Failure> {
    let json = VerifyJson {
        valid: true,
        program_id: hex::encode(statement.program_id),
        outcome: statement.outcome.into(),
        steps: statement.steps,
        compute_units: statement.compute_units,
        chunks: statement.chunks,
        input_checked: statement.input_checked,
        outcome_checked: !args.any_outcome,
        output_checked: statement.output_checked,
        srs: statement.srs.into(),
        key: statement.key.to_string(),
        verify_ms,
    };
    let steps = match statement.chunks {
        Some(chunks) => format!("{} in {}", statement.steps, output::chunks(chunks)),
        None => statement.steps.to_string(),
    };
    let mut text = format!(
        "VALID\noutcome     {}\nsteps       {steps}\nunits       {}\nsrs         {}\n\
         program id  {}\ntook        {verify_ms:.0} ms",
        statement.outcome,
        json.compute_units,
        json.srs.text(),
        json.program_id
    );
    for (checked, what) in [
        (json.input_checked, "input"),
        (json.outcome_checked, "outcome"),
    ] {
        if !checked {
            text.push_str(&format!("\nnot checked {what}"));
        }
    }
    json.srs.warn(&mut text);
    output::done(common, &json, &text)
}
