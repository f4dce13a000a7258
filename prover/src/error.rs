//! Why there are no keys or no proof.

use std::io;
use std::path::PathBuf;

use verifier::{ChunkError, DecodeError, SrsIdentity, VerifyError};
use zk_circuits::{ShapeError, WitnessError};

/// Why there are no keys or no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No structured reference string was chosen.
    #[error(
        "no structured reference string was chosen: give a file from a ceremony (`with_srs`, on the \
         command line `--srs FILE`), or, for tests only, the insecure test string, under which anyone \
         can forge proofs (`with_insecure_test_srs`, `--insecure-test-srs`)"
    )]
    MissingSrs,
    /// The circuit has no such size.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The file is not a usable structured reference string.
    #[error("{}: {reason}", path.display())]
    Srs {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: SrsError,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The keys were to be kept, and the cache cannot take them.
    #[error("the keys cannot be kept in {}: {reason} (at `{entry}`)", directory.display())]
    NotKept {
        /// The cache's directory.
        directory: PathBuf,
        /// The first entry that could not be written.
        entry: String,
        /// Why.
        reason: String,
    },
    /// The keys cannot be made.
    #[error("key generation failed: {reason}")]
    Keygen {
        /// Why.
        reason: String,
    },
    /// The trace does not fit the circuit.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// An access goes from one stack frame into the next.
    #[error(
        "step {step} accesses bytes of two stack frames at once, which sBPF v0 allows and the circuit cannot prove"
    )]
    CrossesFrames {
        /// Which step, from 0.
        step: usize,
    },
    /// One chunk cannot be proved.
    #[error("chunk {chunk}: {reason}")]
    Chunk {
        /// Which.
        chunk: usize,
        /// Why.
        reason: ChunkFailure,
    },
    /// A job's directory cannot be used. Nothing in it was changed.
    #[error("{}: {reason}", path.display())]
    Job {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: JobError,
    },
    /// A job of an aggregation failed.
    #[error("{layer}: {reason}")]
    Aggregation {
        /// Of which kind.
        layer: &'static str,
        /// Why.
        reason: AggregationFailure,
    },
    /// A job needs more memory than was granted.
    #[error("proving needs about {needed} bytes of memory, more than the {budget} granted")]
    MemoryBudget {
        /// Estimated need.
        needed: u64,
        /// Granted.
        budget: u64,
    },
    /// The finished proofs were refused by the verifier, and are withheld.
    #[error("the finished proofs do not verify: {0}")]
    SelfCheck(VerifyError),
    /// The threads cannot be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// Why.
        reason: String,
    },
}

/// Why a structured reference string is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrsError {
    /// It is a directory, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It begins like neither format.
    #[error("neither a .ptau file nor halo2's raw parameters")]
    Format,
    /// It is a `.ptau` file of another version.
    #[error("a .ptau file of version {found}; only version 1 is known")]
    Version {
        /// The file's version.
        found: u32,
    },
    /// It announces more sections than such files have.
    #[error("a .ptau file with {found} sections, which cannot be")]
    TooManySections {
        /// Sections announced.
        found: u32,
    },
    /// A section is there twice.
    #[error("section {section} is there twice")]
    DuplicateSection {
        /// Which.
        section: u32,
    },
    /// A section that is needed is not there.
    #[error("section {section} is missing")]
    MissingSection {
        /// Which.
        section: u32,
    },
    /// A section has another length than the header implies.
    #[error("section {section} has {found} bytes instead of {expected}")]
    SectionLength {
        /// Which.
        section: u32,
        /// Its length.
        found: u64,
        /// What the header implies.
        expected: u64,
    },
    /// It is for another curve.
    #[error("it is for another curve than BN254 (bn128 in snarkjs)")]
    Curve,
    /// The sizes in its header are impossible.
    #[error("its header announces 2^{power} of 2^{ceremony_power} powers, which cannot be")]
    Power {
        /// Base-2 logarithm of the file's powers.
        power: u32,
        /// Base-2 logarithm of the ceremony's powers.
        ceremony_power: u32,
    },
    /// Its size does not match its headers.
    #[error(
        "the file has {found} bytes, its headers announce {expected}: it is incomplete, or has more \
         than one content"
    )]
    Length {
        /// Bytes there.
        found: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// It is for smaller circuits.
    #[error("it has 2^{found} points, the circuit needs 2^{needed}")]
    TooSmall {
        /// The file's size.
        found: u32,
        /// The circuit's size.
        needed: u32,
    },
    /// A point has a coordinate that is no field element, or is not on the curve, or not in the group, or
    /// the identity.
    #[error("point {index} of `{list}` is not in the group, or the identity")]
    Point {
        /// Which list.
        list: &'static str,
        /// Which point.
        index: usize,
    },
    /// It does not start from the generators.
    #[error("it does not start from the generators")]
    Generator,
    /// It is not a list of powers.
    #[error("its points are not the powers of one secret")]
    Powers,
    /// The two bases do not fit together.
    #[error("its Lagrange basis does not fit its powers")]
    Lagrange,
    /// It is the insecure test string, or another one whose secret is public.
    #[error(
        "its secret is public (this program's test string, or what halo2-lib's `gen_srs` makes): \
         anyone can forge proofs"
    )]
    Insecure,
    /// It is another string than the one that was asked for.
    #[error("it holds the string {found}, not {expected}")]
    Digest {
        /// Which one it holds.
        found: SrsIdentity,
        /// Which one was asked for.
        expected: SrsIdentity,
    },
    /// The file is another one than a moment ago.
    #[error("the file was replaced while it was in use")]
    Changed,
}

/// Why a chunk cannot be proved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkFailure {
    /// It has no witness.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// halo2 refused.
    #[error("proving failed: {0}")]
    Prove(String),
    /// The code panicked.
    #[error("the prover panicked: {0}")]
    Panic(String),
    /// The finished proof does not verify, and is withheld.
    #[error("the finished proof does not verify: {0}")]
    Verify(ChunkError),
}

/// Why a job's directory cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// Another process has locked it.
    #[error("another process is working on this job: let it finish, or stop it")]
    Busy,
    /// It holds something else.
    #[error("this is not a job, since it holds `{entry}`: choose another place, or move that away")]
    Foreign {
        /// The first name that no job has.
        entry: String,
    },
    /// Another version of this program began it.
    #[error(
        "the job's journal has version {found}, which this program does not know: go on with the \
         program that began it, or remove the directory to give the job up"
    )]
    Format {
        /// The journal's version.
        found: u64,
    },
    /// It is about something else than what is to be proved.
    #[error(
        "the job was begun with another `{what}`: go on with what it was begun with, or remove the \
         directory to give it up"
    )]
    Differs {
        /// The first part that differs.
        what: &'static str,
    },
    /// The proof file was not read back as it was written.
    #[error("the proof file that was written cannot be read back: {0}")]
    ReadBack(DecodeError),
}

/// Why a job of an aggregation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AggregationFailure {
    /// A proof that it reads, or the one that it made, is not valid.
    #[error(transparent)]
    Snark(aggregation::SnarkError),
    /// halo2 refused.
    #[error("proving failed: {0}")]
    Prove(String),
    /// The circuit exposes something else than what the chunks prove.
    #[error("the circuit's public values are not those of the run")]
    Statement,
}

pub(crate) fn io_error(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { path, source }
}
