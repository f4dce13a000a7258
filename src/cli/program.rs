//! Programs, inputs, keys and the cache directory, from what the command line says.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use zkbpf::bpf_tracer::{LoadError, TraceError};
use zkbpf::prover::Error;
use zkbpf::zk_circuits::Plan;
use zkbpf::{
    Dialect, Environment, ExecutionTrace, Input, KeygenConfig, LoadOptions, Program, SrsIdentity,
    Tracer,
};

use super::args::{ChunkArgs, Common, InputArgs, InvocationArgs, LimitArgs, LoadArgs};
use super::{Failure, environment};

/// Upper bound of the circuit's table operands; it takes what its size carries.
pub(super) const LOOKUP_BITS: u32 = 8;
/// Largest circuit that is chosen for a run without being asked for.
const GREATEST_CHOSEN_K: u32 = 17;

/// Whether a name stands for stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// A file's contents, or those of stdin.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if !is_stdin(path) {
        return fs::read(path).map_err(|error| Failure::read(path, &error));
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Failure::usage(
            "`-` is there twice, but stdin can be read once",
            "put one of them into a file",
        ));
    }
    let mut bytes = Vec::new();
    match io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::read(Path::new("stdin"), &error)),
    }
}

/// Pairs of digits; a leading `0x` and white space mean nothing.
pub(crate) fn parse_hex(option: &str, text: &str) -> Result<Vec<u8>, Failure> {
    let digits: String = text.split_whitespace().collect();
    let digits = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
        .unwrap_or(&digits);
    hex::decode(digits).map_err(|error| {
        let help = if Path::new(text).is_file() {
            let file = option.strip_suffix("-hex").unwrap_or("--program");
            match file {
                "--raw" => "this is a file: give it as PROGRAM, with --raw".to_owned(),
                file => format!("this is a file: {file} {text}"),
            }
        } else {
            "write two digits for each byte, for example 0x2a00 or \"2a 00\"".to_owned()
        };
        Failure::usage(format!("{option}: {error}"), help)
    })
}

/// A program's bytes and how they are loaded: all that is needed to load it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Source {
    bytes: String,
    raw: bool,
    isa: Option<String>,
    entry: Option<String>,
    stack_size: Option<u64>,
    heap_size: Option<u64>,
}

impl Source {
    /// What the command line names, and what to call it.
    pub(crate) fn new(path: Option<&Path>, load: &LoadArgs) -> Result<(Self, String), Failure> {
        let (bytes, name) = match (path, &load.raw_hex) {
            (Some(path), _) => (read(path)?, path.display().to_string()),
            (None, Some(text)) => (parse_hex("--raw-hex", text)?, "--raw-hex".to_owned()),
            (None, None) => {
                let help = "name an object file, or give instructions with --raw-hex";
                return Err(Failure::usage("no program is given", help));
            }
        };
        let source = Self {
            bytes: hex::encode(bytes),
            raw: load.raw || load.raw_hex.is_some(),
            isa: load.isa.map(|dialect| dialect.name().to_owned()),
            entry: load.entry.clone(),
            stack_size: load.stack_size,
            heap_size: load.heap_size,
        };
        Ok((source, name))
    }

    fn load(&self) -> Result<Program, LoadError> {
        let mut options = LoadOptions::default();
        options.entry.clone_from(&self.entry);
        options.stack_size = self.stack_size.unwrap_or(options.stack_size);
        options.heap_size = self.heap_size.unwrap_or(options.heap_size);
        // Written by `new`; what was stored is compared with its identity by the caller.
        options.dialect = self.isa.as_deref().and_then(Dialect::from_name);
        let bytes = hex::decode(&self.bytes).unwrap_or_default();
        if self.raw {
            Program::from_bytecode(&bytes, &options)
        } else {
            Program::from_elf(&bytes, &options)
        }
    }
}

/// Loads a program.
pub(crate) fn load(path: Option<&Path>, args: &LoadArgs) -> Result<(Program, Source), Failure> {
    let (source, name) = Source::new(path, args)?;
    let program = source
        .load()
        .map_err(|error| load_failure(&name, &source, &error))?;
    let is_sbpf = program.dialect().is_sbpf();
    for (given, option, applies) in [
        (args.stack_size.is_some(), "--stack-size", !is_sbpf),
        (args.heap_size.is_some(), "--heap-size", is_sbpf),
    ] {
        if given && !applies {
            let dialect = program.dialect().name();
            return Err(Failure::usage(
                format!("{name}: {option} has no meaning for {dialect} programs"),
                format!("leave {option} out"),
            ));
        }
    }
    Ok((program, source))
}

/// Why a program is not loaded, and how it would be.
fn load_failure(name: &str, source: &Source, error: &LoadError) -> Failure {
    let message = format!("{name}: {error}");
    match error {
        LoadError::StackSize { .. } => Failure::usage(message, "choose another --stack-size"),
        LoadError::HeapSize { .. } => Failure::usage(message, "choose another --heap-size"),
        LoadError::DialectMismatch { .. } => {
            Failure::usage(message, "leave --isa out: the file says what it is")
        }
        LoadError::EntryInSbpf { .. } | LoadError::EntryInRawBytecode { .. } => {
            Failure::usage(message, "leave --entry out")
        }
        LoadError::AmbiguousEntry { .. } | LoadError::UnknownEntry { .. } => {
            Failure::usage(message, "say --entry SYMBOL with one of these")
        }
        LoadError::Elf { .. } if !source.raw => Failure::input(
            message,
            "give the object that `clang -O2 -target bpf -c program.c -o program.o` writes, or the .so of a \
             Solana program; if the file holds plain instructions, say --raw",
        ),
        LoadError::Machine { .. } | LoadError::BigEndian | LoadError::NotRelocatable { .. } => {
            Failure::input(
                message,
                "compile it with `clang -O2 -target bpf -c`, or with Solana's tools (`cargo build-sbf`)",
            )
        }
        _ if source.raw => Failure::input(
            message,
            "instructions have 8 bytes each, little-endian; --isa says of which dialect they are",
        ),
        _ => Failure::input(message, "docs/isa.md says what programs may contain"),
    }
}

/// The input; empty if none is given.
pub(crate) fn input(args: &InputArgs) -> Result<Input, Failure> {
    let bytes = match (&args.input, &args.input_hex) {
        (Some(path), _) => read(path)?,
        (None, Some(text)) => parse_hex("--input-hex", text)?,
        (None, None) => Vec::new(),
    };
    let given = bytes.len() as u64;
    let input = Input::from_bytes(bytes);
    match args.input_size {
        Some(size) if size < given => Err(Failure::usage(
            format!("--input-size {size} is less than the {given} bytes of input"),
            "leave --input-size out, or make it at least as large",
        )),
        Some(size) => Ok(input.with_region_size(size)),
        None => Ok(input),
    }
}

/// Most compute units (of eBPF: steps) that a run may use. Provers and verifiers must agree on it.
pub(crate) fn budget(limits: &LimitArgs, dialect: Dialect) -> u64 {
    limits.max_steps.unwrap_or(dialect.default_budget())
}

/// What is to be executed.
#[derive(Debug)]
pub(crate) struct Invocation {
    program: Program,
    pub(crate) source: Source,
    input: Input,
    environment: Environment,
    budget: u64,
}

impl Invocation {
    /// What the command line names.
    pub(crate) fn load(args: &InvocationArgs) -> Result<Self, Failure> {
        let (program, source) = load(args.program.program.as_deref(), &args.program.load)?;
        Ok(Self {
            input: input(&args.input)?,
            environment: environment::load(&args.environment, program.dialect())?,
            budget: budget(&args.limits, program.dialect()),
            program,
            source,
        })
    }

    /// Executes it.
    pub(crate) fn trace(self) -> Result<ExecutionTrace, Failure> {
        Tracer::new(&self.program)
            .input(self.input)
            .environment(self.environment)
            .step_limit(self.budget)
            .trace()
            .map_err(|error| match error {
                TraceError::Unprovable { .. } => Failure::input(
                    format!("{error}: a system call of Solana that is not proved here, so its effect is unknown"),
                    "docs/solana.md lists the system calls that are",
                ),
                _ => Failure::usage(error, "choose a smaller input or --input-size"),
            })
    }
}

/// Why a run has no proof although it has a trace.
pub(crate) fn unprovable(trace: &ExecutionTrace) -> Option<Error> {
    let step = trace.crosses_frames()?;
    Some(Error::CrossesFrames { step })
}

/// How a trace is cut, with the circuit that was asked for or the one that fits it. Nothing of this needs keys.
pub(crate) fn plan(trace: &ExecutionTrace, args: &ChunkArgs) -> Result<Plan, Error> {
    if let Some(error) = unprovable(trace) {
        return Err(error);
    }
    let k = args.k.unwrap_or(GREATEST_CHOSEN_K);
    let config = cut(KeygenConfig::new(k, PathBuf::new(), LOOKUP_BITS), args);
    fitted(config, trace, args)?.plan(trace)
}

/// With the circuit that fits a trace, if none was asked for.
fn fitted(
    config: KeygenConfig,
    trace: &ExecutionTrace,
    args: &ChunkArgs,
) -> Result<KeygenConfig, Error> {
    match args.k {
        Some(_) => Ok(config),
        None => config.fitting(trace),
    }
}

/// The same, cut as asked for.
fn cut(mut config: KeygenConfig, args: &ChunkArgs) -> KeygenConfig {
    if let Some(steps) = args.chunk_size {
        config = config.with_chunk_size(steps as usize);
    }
    if args.whole_program {
        config = config.with_whole_program();
    }
    config
}

/// Where keys are kept.
pub(crate) fn cache_dir(common: &Common) -> Result<PathBuf, Failure> {
    if let Some(path) = &common.cache_dir {
        return Ok(path.clone());
    }
    directories::ProjectDirs::from("", "", "zkbpf")
        .map(|directories| directories.cache_dir().to_owned())
        .ok_or_else(|| Failure::usage("this system has no cache directory", "give --cache-dir"))
}

/// Parameters must be chosen before anything else is done.
pub(crate) fn require_srs(common: &Common) -> Result<(), Failure> {
    if common.srs.is_some() || common.insecure_test_srs {
        return Ok(());
    }
    Err(Failure::proving(common, &Error::MissingSrs))
}

/// What to make keys with. Says so if they are worthless.
pub(crate) fn config(common: &Common, k: u32) -> Result<KeygenConfig, Failure> {
    require_srs(common)?;
    let mut config =
        KeygenConfig::new(k, cache_dir(common)?, LOOKUP_BITS).with_engine(common.engine.engine());
    if let Some(bytes) = common.memory_budget {
        config = config.with_memory_budget(bytes);
    }
    if common.insecure_test_srs {
        tracing::warn!("INSECURE test parameters: anyone can forge such proofs");
        return Ok(config.with_insecure_test_srs());
    }
    Ok(match (&common.srs, common.srs_digest) {
        (Some(path), Some(digest)) => config.with_pinned_srs(path, digest),
        (Some(path), None) => config.with_srs(path),
        (None, _) => config,
    })
}

/// What to prove a trace with: as asked for, or with the circuit that fits it.
pub(crate) fn config_for(
    trace: &ExecutionTrace,
    args: &ChunkArgs,
    common: &Common,
) -> Result<KeygenConfig, Failure> {
    let config = config(common, args.k.unwrap_or(GREATEST_CHOSEN_K))?;
    fitted(cut(config, args), trace, args).map_err(|error| Failure::proving(common, &error))
}

/// Why a proof file is not for the parameters that were chosen. Compared before keys are made, which may take
/// minutes.
pub(crate) fn other_parameters(
    common: &Common,
    config: &KeygenConfig,
    found: SrsIdentity,
) -> Result<Option<String>, Failure> {
    let expected = config
        .srs()
        .map_err(|error| Failure::proving(common, &error))?;
    if found == expected {
        return Ok(None);
    }
    let insecure = if found.is_insecure() {
        ": the INSECURE ones, under which anyone can forge proofs"
    } else {
        ""
    };
    Ok(Some(format!(
        "it was made with parameters {found}, not {expected}{insecure}"
    )))
}

/// Programs that were proved or verified here, by identity.
fn stored_path(common: &Common, id: &[u8; 32]) -> Result<PathBuf, Failure> {
    Ok(cache_dir(common)?.join(stored_name(id)))
}

fn stored_name(id: &[u8; 32]) -> String {
    format!("program-{}.json", hex::encode(id))
}

/// How the names of unfinished files of stored programs begin.
const UNFINISHED: &str = ".writing-program-";

/// What the name of a file in the cache says about a stored program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It is the program of this identity.
    Program([u8; 32]),
    /// A killed process left it.
    Unfinished,
}

/// Whether a file in the cache is, or was to be, a stored program.
pub(crate) fn stored(name: &str) -> Option<Stored> {
    if name.starts_with(UNFINISHED) {
        return Some(Stored::Unfinished);
    }
    let digits = name.strip_prefix("program-")?.strip_suffix(".json")?;
    let id = hex::decode(digits).ok()?.try_into().ok()?;
    // In lower case, as it is written.
    (stored_name(&id) == name).then_some(Stored::Program(id))
}

/// The program in a file, if it has this identity.
pub(crate) fn read_stored(path: &Path, id: [u8; 32]) -> Option<Program> {
    // A pipe would be waited for.
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let source: Source = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    source.load().ok().filter(|program| program.id() == id)
}

/// Keeps a program for `verify --program-id`. A cache that cannot be written only costs that.
pub(crate) fn remember(common: &Common, program: &Program, source: &Source) {
    let stored = stored_path(common, &program.id()).and_then(|path| {
        if read_stored(&path, program.id()).is_some() {
            return Ok(());
        }
        let bytes = serde_json::to_vec(source).map_err(Failure::defect)?;
        let digits = &hex::encode(program.id())[..8];
        let prefix = format!("{UNFINISHED}{digits}-");
        zkbpf::prover::write_whole_with(&path, &prefix, |file| file.write_all(&bytes))
            .map_err(|error| Failure::write(&path, &error))
    });
    if let Err(error) = stored {
        tracing::warn!("the program is not kept for --program-id: {error}");
    }
}

/// The program of this identity, if it is kept here and is what it says.
pub(crate) fn recall(common: &Common, id: &str) -> Result<Program, Failure> {
    let bytes = parse_hex("--program-id", id)?;
    let id = <[u8; 32]>::try_from(bytes).map_err(|_| {
        let help = "take all 64 digits that `run` or `inspect` print as program id";
        Failure::usage("--program-id: an identity has 32 bytes", help)
    })?;
    read_stored(&stored_path(common, &id)?, id).ok_or_else(|| {
        let help = "give --program FILE; it is known afterwards";
        Failure::usage("no program of this identity is known here", help)
    })
}

/// Writes a file so that it is there wholly or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    zkbpf::prover::write_whole(path, bytes).map_err(|error| Failure::write(path, &error))
}
