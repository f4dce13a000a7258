//! Why a verb could not do its work, and what to do about it: every failure has both.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use zkbpf::Shape;
use zkbpf::prover::{Error, JobError, SrsError};
use zkbpf::zk_circuits::WitnessError;

use super::args::Common;

/// Why a verb could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    /// What to do.
    help: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The command line makes no sense.
    Usage,
    /// A file that was given cannot be used.
    Input,
    /// Anything else.
    Other,
    /// A signal, by its number, asked the process to stop.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has signals"))]
    Interrupted(u8),
}

impl Failure {
    fn new(kind: Kind, message: impl fmt::Display, help: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.to_string(),
            help: help.into(),
        }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl fmt::Display, help: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message, help)
    }

    /// A file that was given cannot be used.
    pub(crate) fn input(message: impl fmt::Display, help: impl Into<String>) -> Self {
        Self::new(Kind::Input, message, help)
    }

    /// Anything else.
    pub(crate) fn other(message: impl fmt::Display, help: impl Into<String>) -> Self {
        Self::new(Kind::Other, message, help)
    }

    /// Something that no user can have caused.
    pub(crate) fn defect(message: impl fmt::Display) -> Self {
        Self::other(
            message,
            "this should not happen: please report it, with the command line and what -vv prints",
        )
    }

    #[cfg(unix)]
    pub(crate) fn interrupted(signal: u8, help: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted(signal), "interrupted", help)
    }

    /// A file that was given cannot be read.
    pub(crate) fn read(path: &Path, error: &io::Error) -> Self {
        let name = path.display();
        let help = match error.kind() {
            ErrorKind::NotFound if looks_like_hex(path) => {
                "a file is expected here; bytes in hexadecimal go with --input-hex, instructions with --raw-hex"
                    .to_owned()
            }
            ErrorKind::NotFound => match std::env::current_dir() {
                Ok(directory) if path.is_relative() => format!(
                    "check the name; it is looked for from {} on",
                    directory.display()
                ),
                _ => "check the name".to_owned(),
            },
            ErrorKind::PermissionDenied => "make it readable for you".to_owned(),
            ErrorKind::IsADirectory => "give the file, not its directory".to_owned(),
            _ => "check the file and the disk that it is on".to_owned(),
        };
        Self::input(format!("{name}: {error}"), help)
    }

    /// A file cannot be written.
    pub(crate) fn write(path: &Path, error: &io::Error) -> Self {
        let help = match error.kind() {
            ErrorKind::NotFound => "make the directory first, or choose another place",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "choose a place that you may write to"
            }
            ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded => {
                "make room, or choose another place"
            }
            _ => "choose another place",
        };
        Self::other(format!("{}: {error}", path.display()), help)
    }

    /// The prover's errors.
    pub(crate) fn proving(common: &Common, error: &Error) -> Self {
        let k_range = || {
            let (min, max) = (Shape::MIN_K, Shape::MAX_K);
            format!(
                "choose --k from {min} to {max}; `prove` without --k takes the least that holds the run"
            )
        };
        match error {
            Error::MissingSrs => Self::usage(
                "no structured reference string was chosen",
                "give --srs FILE, a file of a ceremony that you trust (docs/keys.md lists some, with their \
                 hashes); or, for tests only, --insecure-test-srs: anyone can forge proofs under that",
            ),
            Error::Shape(_) => Self::usage(error, k_range()),
            Error::Job { path, reason } => {
                let remove = format!("to give the job up: rm -r {}", path.display());
                match reason {
                    JobError::Foreign { .. } => Self::usage(error, "choose another -o FILE"),
                    JobError::Format { .. } | JobError::Differs { .. } => {
                        Self::usage(error, remove)
                    }
                    JobError::Busy => Self::other(error, "try again when it has ended"),
                    _ => Self::other(
                        error,
                        "check the disk, and run the command again with --resume",
                    ),
                }
            }
            Error::Witness(WitnessError::Budget { .. } | WitnessError::NoSteps) => {
                Self::usage(error, "choose another --max-steps")
            }
            Error::Witness(WitnessError::Program(_)) => Self::other(
                error,
                "choose a greater --k; without --whole-program less of the program is needed",
            ),
            Error::Srs { reason, .. } => Self::input(error, srs_help(reason)),
            Error::CrossesFrames { .. } => Self::input(
                format!("not provable yet: {error}"),
                "`zkbpf trace` shows the step; keep every access within a frame of 4096 bytes",
            ),
            Error::Io { path, source } if Some(path) == common.srs.as_ref() => {
                Self::read(path, source)
            }
            Error::Io { path, source } => Self::write(path, source),
            Error::NotKept { .. } => Self::other(
                error,
                "give a --cache-dir that can be written and has room; `prove` works without one",
            ),
            Error::MemoryBudget { needed, .. } => Self::other(
                error,
                format!("raise --memory-budget to {needed}, or take a smaller --k"),
            ),
            Error::Threads { .. } => Self::other(error, "take fewer --threads"),
            Error::Chunk { .. } => Self::other(
                error,
                "look at the run with `zkbpf trace`; if nothing is wrong with it, please report this",
            ),
            Error::Aggregation { .. } => Self::other(
                error,
                "check the file with `zkbpf verify` first; finished parts are taken up again",
            ),
            _ => Self::defect(error),
        }
    }

    /// With other advice: what must be done before anything else can.
    pub(crate) fn advise(mut self, advice: &str) -> Self {
        self.help = match self.kind {
            Kind::Interrupted(_) => advice.to_owned(),
            _ => format!("{}\n{advice}", self.help),
        };
        self
    }

    /// The process's exit code. 0 is success, 1 an invalid proof.
    pub(crate) const fn code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::Input => 3,
            Kind::Other => 4,
            // As shells report it.
            Kind::Interrupted(signal) => 128 + signal,
        }
    }

    /// What to do.
    pub(crate) fn help(&self) -> &str {
        &self.help
    }
}

fn srs_help(reason: &SrsError) -> &'static str {
    match reason {
        SrsError::TooSmall { .. } => {
            "take a larger file of the same ceremony, or a smaller --k; aggregation needs 2^21"
        }
        SrsError::Insecure => {
            "take a file of a ceremony; for tests, --insecure-test-srs instead of a file"
        }
        SrsError::Digest { .. } => {
            "find out which ceremony the file is from before you trust it: docs/keys.md"
        }
        SrsError::Curve => "take a file of a ceremony for BN254: docs/keys.md",
        _ => {
            "take the file again from its source, and compare its hash: docs/keys.md lists files and hashes"
        }
    }
}

/// Whether somebody gave bytes where a file is expected.
fn looks_like_hex(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let digits = name.strip_prefix("0x").unwrap_or(&name);
    !digits.is_empty()
        && digits.len().is_multiple_of(2)
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl miette::Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }
}
