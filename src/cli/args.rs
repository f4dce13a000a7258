//! What can be written on the command line.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum, ValueHint, value_parser};
use clap_complete::Shell;
use zkbpf::{Dialect, Engine, Schedule, TrapKind};

/// Prove that a BPF program ran correctly, and check such proofs.
///
/// Results go to stdout, progress and logs to stderr. Exit codes: 0 done or valid; 1 the proof is
/// invalid or does not prove the claim; 2 usage; 3 a file cannot be used; 4 any other failure; 130 or
/// 143 interrupted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Common {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Threads to use, for chunks and inside them. Default: RAYON_NUM_THREADS, or all cores.
    #[arg(long, global = true, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Where keys are kept; whoever may write there can replace them. Default: the platform's cache
    /// directory.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Structured reference string from a ceremony that you trust: a .ptau file of snarkjs, such as those of
    /// the Perpetual Powers of Tau, or halo2's raw format. It is checked. See docs/keys.md.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        conflicts_with = "insecure_test_srs"
    )]
    pub(crate) srs: Option<PathBuf>,
    /// The string that the file must hold: what is printed behind `file:` as `srs`. Anything else is refused.
    #[arg(
        long,
        global = true,
        value_name = "HEX",
        requires = "srs",
        conflicts_with = "insecure_test_srs",
        value_parser = parse_digest
    )]
    pub(crate) srs_digest: Option<[u8; 32]>,
    /// INSECURE: use a structured reference string whose secret is public, so that anyone can forge
    /// proofs. For tests.
    #[arg(long, global = true)]
    pub(crate) insecure_test_srs: bool,
    /// Which prover to use; both make the same proofs.
    #[arg(long, global = true, value_enum, default_value_t = EngineName::Fast)]
    pub(crate) engine: EngineName,
    /// Memory that proving may take: fewer chunks at once if they do not fit, and nothing is started that
    /// would take more.
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) memory_budget: Option<u64>,
    /// Log more; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log errors only, and show no progress.
    #[arg(long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Execute a program, without a proof: outcome, steps, instructions.
    ///
    /// A program that ends in a trap is a result like any other.
    Run(Run),
    /// Execute a program and write its steps: a page to look at, or JSON.
    Trace(Trace),
    /// What proving a run will take: chunks, size of the proof, memory, time on this machine.
    ///
    /// Time is that of chunks proved here before; without any, a small one is proved first.
    Estimate(Estimate),
    /// Make keys and keep them in the cache, or fail.
    Keygen(Keygen),
    /// Execute a program and prove it.
    ///
    /// A program that ends in a trap is proved like any other. Each chunk's proof is kept in FILE.job until
    /// the proof file is there, so that an interrupted proof can go on with --resume.
    Prove(Prove),
    /// Check that a proof proves what you expect.
    ///
    /// Nothing that you leave out is taken from the proof: dialect, entry, stack and heap size, limit and
    /// environment have the defaults of `prove`, and an input must be given. The outcome is then a halt,
    /// of sBPF programs with r0 = 0, which is Solana's success.
    Verify(Verify),
    /// Turn the proofs of a run's chunks into one proof of constant size.
    ///
    /// Takes minutes for each chunk and about 10 GiB; the keys, made once, take minutes and 8 GB of the
    /// cache.
    Aggregate(Aggregate),
    /// Write contracts that verify an aggregate, and others of the same program, on a chain.
    ExportVerifier(ExportVerifier),
    /// Show what a proof file says about itself, without checking any of it.
    Inspect(Inspect),
    /// The cache of keys.
    #[command(subcommand)]
    Cache(Cache),
    /// Print a script that completes command lines of zkbpf in a shell.
    ///
    /// For bash: zkbpf completions bash > ~/.local/share/bash-completion/completions/zkbpf
    Completions(Completions),
    /// Print the manual page, or write those of all verbs.
    Man(Man),
}

/// A program and how to load it.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramArgs {
    /// ELF object, as `clang -target bpf -c` writes it, or shared object of a Solana program, as it is
    /// deployed; with --raw, plain instructions. `-` is stdin.
    #[arg(
        value_name = "PROGRAM",
        required_unless_present = "raw_hex",
        conflicts_with = "raw_hex"
    )]
    pub(crate) program: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// How to load a program.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// The program file holds plain instructions.
    #[arg(long)]
    pub(crate) raw: bool,
    /// The program itself: plain instructions in hexadecimal, written as for --input-hex.
    #[arg(long, value_name = "HEX")]
    pub(crate) raw_hex: Option<String>,
    /// Instruction set and conventions: ebpf, or sbpf-v0 to sbpf-v3. Default: what the ELF file says,
    /// which any other choice contradicts; eBPF for plain instructions.
    #[arg(long, value_parser = parse_dialect)]
    pub(crate) isa: Option<Dialect>,
    /// Function to start at, of an eBPF object. Default: the only global one, or `entry`, `prog` or `main`.
    #[arg(long, value_name = "SYMBOL")]
    pub(crate) entry: Option<String>,
    /// Bytes of stack of an eBPF program, a multiple of 512. Default: 4096. sBPF has 64 frames of 4096.
    #[arg(long, value_name = "BYTES")]
    pub(crate) stack_size: Option<u64>,
    /// Bytes of heap of an sBPF program, a multiple of 8. Default: 32768.
    #[arg(long, value_name = "BYTES")]
    pub(crate) heap_size: Option<u64>,
}

/// How long a run may take.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitArgs {
    /// Most steps that the run may take; of an sBPF program, most compute units: one for each step, and
    /// what system calls cost. Reaching the limit is a trap. Default: 10000000 steps, 1400000 units.
    #[arg(long, value_name = "N")]
    pub(crate) max_steps: Option<u64>,
}

/// What a run can ask of its surroundings.
#[derive(Debug, clap::Args)]
pub(crate) struct EnvironmentArgs {
    /// Surroundings of an sBPF program, as JSON: {"program_id": ADDRESS, "sysvars": {ADDRESS: HEX, …}}.
    /// Addresses are in base58, or 64 hexadecimal digits. Default, as a whole and for a key that is left
    /// out: program 0, the clock at 0 and mainnet's rent.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) environment: Option<PathBuf>,
}

/// The input of a run. Of eBPF: r1 is its address (0 if the region is empty), r2 the number of bytes
/// given. Of sBPF: the serialized parameters, r1 is their address.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Bytes for the start of the input region, as they are in the file; `-` is stdin.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Option<PathBuf>,
    /// The same, in hexadecimal: pairs of digits, with spaces and a leading 0x where you like.
    #[arg(long, value_name = "HEX", conflicts_with = "input")]
    pub(crate) input_hex: Option<String>,
    /// Length of the input region; the rest is zero. Default: the number of bytes given.
    #[arg(long, value_name = "BYTES")]
    pub(crate) input_size: Option<u64>,
}

impl InputArgs {
    /// Whether any of them is there.
    pub(crate) const fn is_given(&self) -> bool {
        self.input.is_some() || self.input_hex.is_some() || self.input_size.is_some()
    }
}

/// What is executed.
#[derive(Debug, clap::Args)]
pub(crate) struct InvocationArgs {
    #[command(flatten)]
    pub(crate) program: ProgramArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) environment: EnvironmentArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) invocation: InvocationArgs,
    /// Show the input region afterwards, in hexadecimal.
    #[arg(long)]
    pub(crate) output: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keygen {
    /// Chunk circuits have 2^K rows.
    #[arg(long, value_name = "K", default_value_t = 17)]
    pub(crate) k: u32,
}

/// How a run is cut into chunks, and in which order they are proved.
#[derive(Debug, clap::Args)]
pub(crate) struct ChunkArgs {
    /// Chunk circuits have 2^K rows. Default: the least K up to 17 at which one chunk holds the run, or
    /// --chunk-size steps of it; 17 if none does.
    #[arg(long, value_name = "K")]
    pub(crate) k: Option<u32>,
    /// Most steps in a chunk. Default: as many as fit.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) chunk_size: Option<u32>,
    /// Put the whole program into the circuit's program table, not only the blocks that the run needs:
    /// the proof then does not show which these are, and large programs need a larger K.
    #[arg(long)]
    pub(crate) whole_program: bool,
    /// Order in which chunks are proved.
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    pub(crate) mode: Mode,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) invocation: InvocationArgs,
    #[command(flatten)]
    pub(crate) chunks: ChunkArgs,
    /// The file to write: a page if its name ends in .html, the steps if it ends in .json.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Estimate {
    #[command(flatten)]
    pub(crate) invocation: InvocationArgs,
    #[command(flatten)]
    pub(crate) chunks: ChunkArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(crate) invocation: InvocationArgs,
    #[command(flatten)]
    pub(crate) chunks: ChunkArgs,
    /// The proof file to write.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Also write what was proved, and what it took, as a page: HTML if the name ends in .html, Markdown
    /// if it ends in .md.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,
    /// Go on with what an interrupted proof of the same run to the same FILE has finished. Without such a
    /// proof, start.
    #[arg(long)]
    pub(crate) resume: bool,
}

/// Order in which chunks are proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// As many chunks side by side as there are threads and fit into free memory.
    Auto,
    /// As many chunks side by side as there are threads: most memory.
    Parallel,
    /// One chunk after another, each on all threads: least memory.
    Sequential,
}

/// Which prover to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// halo2's own.
    Stock,
    /// The same proofs in a fraction of the time.
    Fast,
}

impl EngineName {
    pub(crate) const fn engine(self) -> Engine {
        match self {
            Self::Stock => Engine::Stock,
            Self::Fast => Engine::Fast,
        }
    }
}

impl Mode {
    pub(crate) const fn schedule(self) -> Schedule {
        match self {
            Self::Auto => Schedule::Auto,
            Self::Parallel => Schedule::Parallel,
            Self::Sequential => Schedule::Sequential,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The proof file; `-` is stdin.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The program that must have run.
    #[arg(
        long,
        value_name = "PROGRAM",
        group = "expected_program",
        conflicts_with = "raw_hex"
    )]
    pub(crate) program: Option<PathBuf>,
    /// The identity of the program that must have run; the program must have been proved, or verified
    /// with --program, with this cache before.
    #[arg(
        long,
        value_name = "HEX",
        group = "expected_program",
        conflicts_with_all = ["raw", "raw_hex", "isa", "entry", "stack_size", "heap_size"]
    )]
    pub(crate) program_id: Option<String>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Accept the input that the proof file brings along, whatever it is.
    #[arg(long, conflicts_with_all = ["input", "input_hex", "input_size"])]
    pub(crate) any_input: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) environment: EnvironmentArgs,
    /// The run must halt with this value of r0 (decimal, or hexadecimal after 0x).
    #[arg(long, value_name = "X", group = "expected_outcome", value_parser = parse_u64)]
    pub(crate) expect_r0: Option<u64>,
    /// The run must end with this trap, at this slot if one is given.
    #[arg(long, value_name = "KIND[@PC]", group = "expected_outcome", value_parser = parse_trap)]
    pub(crate) expect_trap: Option<ExpectedTrap>,
    /// Accept any outcome. Without an expectation: a halt, of sBPF programs with r0 = 0.
    #[arg(long, group = "expected_outcome")]
    pub(crate) any_outcome: bool,
    /// The input region must hold these bytes afterwards; all of it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) expect_output: Option<PathBuf>,
    /// The run must leave these return data. Without it, an expected output goes with none.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "expect_output")]
    pub(crate) expect_return_data: Option<PathBuf>,
    /// The run must use this many compute units; of eBPF, take this many steps.
    #[arg(long, value_name = "N")]
    pub(crate) expect_compute_units: Option<u64>,
}

/// A trap, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedTrap {
    pub(crate) kind: TrapKind,
    pub(crate) pc: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The proof file; `-` is stdin.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Aggregate {
    /// The proof file, of a run's chunks.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The proof file to write.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Where finished parts are kept, to be taken up again after an interruption. Default: beside the
    /// output, until it is there.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) work_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportVerifier {
    /// The proof file, an aggregate.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// For Ethereum and chains like it.
    #[arg(long, required = true)]
    pub(crate) evm: bool,
    /// The directory to write to.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// The program that the contract is for. Default: the one that the file names, if it was proved or
    /// verified with this cache before.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "raw_hex")]
    pub(crate) program: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) environment: EnvironmentArgs,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Cache {
    /// List what it holds, compared with its digests: reads all of it.
    List,
    /// Remove what it holds, except what another process is writing, and files of others.
    Clear,
    /// Print where it is.
    Path,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The directory to write a page for each verb to. Default: print the main page.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
}

fn parse_dialect(name: &str) -> Result<Dialect, String> {
    Dialect::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
        format!("not supported; there are: {}", names.join(", "))
    })
}

fn parse_digest(text: &str) -> Result<[u8; 32], String> {
    let digits = text.strip_prefix("file:").unwrap_or(text);
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest)
        .map_err(|error| format!("64 hexadecimal digits: {error}"))?;
    Ok(digest)
}

fn parse_u64(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| error.to_string())
}

fn parse_trap(text: &str) -> Result<ExpectedTrap, String> {
    let (name, pc) = match text.split_once('@') {
        Some((name, pc)) => (name, Some(pc)),
        None => (text, None),
    };
    let kind = TrapKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = TrapKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("no such trap; there are: {}", names.join(", "))
        })?;
    let pc = pc.map(str::parse).transpose();
    let pc = pc.map_err(|error| format!("the slot after @: {error}"))?;
    Ok(ExpectedTrap { kind, pc })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(parse_u64("42"), Ok(42));
        assert_eq!(parse_u64("0xffffffffffffffff"), Ok(u64::MAX));
        assert!(parse_u64("ff").is_err() && parse_u64("0x").is_err() && parse_u64("-1").is_err());
    }

    #[test]
    fn traps_have_a_kind_and_maybe_a_slot() {
        let kind = TrapKind::AccessViolation;
        let parsed = parse_trap("AccessViolation@7");
        assert_eq!(parsed, Ok(ExpectedTrap { kind, pc: Some(7) }));
        let parsed = parse_trap("AccessViolation");
        assert_eq!(parsed, Ok(ExpectedTrap { kind, pc: None }));
        assert!(parse_trap("accessviolation").is_err() && parse_trap("AccessViolation@").is_err());
    }
}
