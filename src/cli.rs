//! Parses the command line, runs one verb, and maps its end to an exit code.

mod aggregate;
mod args;
mod cache;
mod calibration;
mod completions;
#[cfg(test)]
mod documented;
mod environment;
mod estimate;
mod export_verifier;
mod failure;
mod inspect;
mod job;
mod keygen;
mod keys;
mod man;
mod output;
mod program;
mod progress;
mod proof_file;
mod prove;
mod report;
mod run;
mod signals;
mod terminal;
mod trace;
mod usage;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Args, Common, Verb};
use failure::Failure;

/// How a verb ends when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done, or the proof is valid.
    Done,
    /// The proof is invalid, or does not prove the claim.
    Invalid,
}

/// The whole program.
pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::explain(&error),
    };
    start_logging(&args.common);
    let failure = match start_threads(&args.common).and_then(|()| execute(&args)) {
        Ok(Ending::Done) => return ExitCode::SUCCESS,
        Ok(Ending::Invalid) => return ExitCode::from(1),
        Err(failure) => failure,
    };
    output::failure(args.common.json, &failure);
    ExitCode::from(failure.code())
}

fn execute(args: &Args) -> Result<Ending, Failure> {
    let common = &args.common;
    match &args.verb {
        Verb::Run(run) => run::execute(run, common),
        Verb::Trace(trace) => trace::execute(trace, common),
        Verb::Estimate(estimate) => estimate::execute(estimate, common),
        Verb::Keygen(keygen) => keygen::execute(keygen, common),
        Verb::Prove(prove) => prove::execute(prove, common),
        Verb::Verify(verify) => verify::execute(verify, common),
        Verb::Aggregate(aggregate) => aggregate::execute(aggregate, common),
        Verb::ExportVerifier(export) => export_verifier::execute(export, common),
        Verb::Inspect(inspect) => inspect::execute(inspect, common),
        Verb::Cache(cache) => cache::execute(*cache, common),
        Verb::Completions(completions) => completions::execute(completions, common),
        Verb::Man(man) => man::execute(man, common),
    }
}

fn start_logging(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("ZKBPF_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal::colours())
        .with_target(false)
        .without_time()
        .with_writer(|| progress::LogWriter)
        .init();
}

/// One pool serves chunks and everything inside them.
fn start_threads(common: &Common) -> Result<(), Failure> {
    let Some(threads) = common.threads else {
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.into())
        .build_global()
        .map_err(|error| {
            let message = format!("cannot start {threads} threads: {error}");
            Failure::other(message, "take fewer --threads")
        })
}
