//! Parses the command line, runs one verb, and maps its end to an exit code.

mod aggregate;
mod args;
mod cache;
mod calibration;
mod environment;
mod estimate;
mod export_verifier;
mod inspect;
mod job;
mod keygen;
mod output;
mod program;
mod proof_file;
mod prove;
mod run;
mod signals;
mod trace;
mod verify;

use std::fmt;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Args, Common, Verb};

/// How a verb ends when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done, or the proof is valid.
    Done,
    /// The proof is invalid, or does not prove the claim.
    Invalid,
}

/// Why a verb could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// A file that was given cannot be used.
    Input(String),
    /// Anything else.
    Other(String),
    /// A signal asked the process to stop.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has signals"))]
    Interrupted {
        /// Its number.
        signal: u8,
        /// What to do now.
        message: String,
    },
}

impl Failure {
    /// The process's exit code. 0 is success, 1 an invalid proof.
    const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Input(_) => 3,
            Self::Other(_) => 4,
            // As shells report it.
            Self::Interrupted { signal, .. } => 128 + *signal,
        }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage(message.to_string())
    }

    pub(crate) fn input(message: impl fmt::Display) -> Self {
        Self::Input(message.to_string())
    }

    pub(crate) fn other(message: impl fmt::Display) -> Self {
        Self::Other(message.to_string())
    }

    /// With advice behind it.
    pub(crate) fn advise(mut self, advice: &str) -> Self {
        let (Self::Usage(message)
        | Self::Input(message)
        | Self::Other(message)
        | Self::Interrupted { message, .. }) = &mut self;
        message.push_str("; ");
        message.push_str(advice);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message)
        | Self::Input(message)
        | Self::Other(message)
        | Self::Interrupted { message, .. }) = self;
        f.write_str(message)
    }
}

/// The whole program.
pub(crate) fn main() -> ExitCode {
    // clap ends the process itself: 0 for help, 2 for a command line that it cannot parse.
    let args = Args::parse();
    start_logging(&args.common);
    let failure = match start_threads(&args.common).and_then(|()| execute(&args)) {
        Ok(Ending::Done) => return ExitCode::SUCCESS,
        Ok(Ending::Invalid) => return ExitCode::from(1),
        Err(failure) => failure,
    };
    output::failure(&args.common, &failure);
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
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .with_writer(std::io::stderr)
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
        .map_err(|error| Failure::other(format!("cannot start {threads} threads: {error}")))
}
