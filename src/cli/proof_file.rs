//! Proof files of either kind.

use std::path::Path;

use zkbpf::verifier::DecodeError;
use zkbpf::{AggregateProof, ExecutionProof, RunInfo};

use super::{Failure, program};

/// What a proof file holds.
#[derive(Debug)]
pub(crate) enum ProofFile {
    /// One proof for each chunk.
    Chunks(ExecutionProof),
    /// One proof for all.
    Aggregate(Box<AggregateProof>),
}

/// Why a file is not used.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It is no proof file.
    NotAProof(Failure),
    /// It is one, but malformed.
    Malformed(String),
}

impl ProofFile {
    /// Reads a file of either kind; also gives its size.
    pub(crate) fn read(path: &Path) -> Result<(Self, usize), Unreadable> {
        let bytes = program::read(path).map_err(Unreadable::NotAProof)?;
        let parsed = match AggregateProof::from_bytes(&bytes) {
            Err(DecodeError::Magic { .. }) => ExecutionProof::from_bytes(&bytes).map(Self::Chunks),
            aggregate => aggregate.map(|proof| Self::Aggregate(Box::new(proof))),
        };
        let name = path.display();
        match parsed {
            Ok(proof) => Ok((proof, bytes.len())),
            Err(error @ (DecodeError::Magic { .. } | DecodeError::Format { .. })) => {
                let help = match (&error, bytes.get(..4)) {
                    (DecodeError::Format { .. }, _) => {
                        "another version of zkbpf wrote it: use that one"
                    }
                    (_, Some(b"\x7fELF")) => {
                        "this is a program: `run` and `prove` take it, `verify` takes it with --program"
                    }
                    _ => "give the file that `zkbpf prove` or `zkbpf aggregate` wrote",
                };
                let reason = match error {
                    DecodeError::Magic { .. } => "not a proof file".to_owned(),
                    error => error.to_string(),
                };
                let failure = Failure::input(format!("{name}: {reason}"), help);
                Err(Unreadable::NotAProof(failure))
            }
            Err(error) => Err(Unreadable::Malformed(error.to_string())),
        }
    }

    /// What the file says about its run.
    pub(crate) fn info(&self) -> &RunInfo {
        match self {
            Self::Chunks(proof) => proof.info(),
            Self::Aggregate(proof) => &proof.info,
        }
    }
}

impl Unreadable {
    /// As a failure, for verbs that need the file.
    pub(crate) fn failure(self, path: &Path) -> Failure {
        match self {
            Self::NotAProof(failure) => failure,
            Self::Malformed(reason) => Failure::input(
                format!("{}: {reason}", path.display()),
                "the file is damaged: take it again from where it was made",
            ),
        }
    }
}
