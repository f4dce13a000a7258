//! What a verifier expects, and what an accepted proof means.

use std::fmt;

use bpf_tracer::{Environment, Input, Outcome, Program};
use halo2curves::bn256::G1Affine;
use zk_circuits::ChunkInstance;

use crate::key::{KeyId, SrsIdentity};
use crate::proof::Hints;

/// How a run must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedOutcome {
    /// In this way.
    Exactly(Outcome),
    /// By returning from the outermost function, with any `r0`.
    Halt,
    /// In any way.
    Any,
}

impl fmt::Display for ExpectedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(outcome) => outcome.fmt(f),
            Self::Halt => f.write_str("halt"),
            Self::Any => f.write_str("anything"),
        }
    }
}

impl ExpectedOutcome {
    /// Whether an outcome is as expected.
    #[must_use]
    pub fn admits(&self, outcome: Outcome) -> bool {
        match self {
            Self::Exactly(expected) => *expected == outcome,
            Self::Halt => matches!(outcome, Outcome::Halt { .. }),
            Self::Any => true,
        }
    }
}

/// What the verifier's caller expects. Every part of it comes from the caller, none from a proof.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The program, with its dialect, entry and stack size.
    pub program: Program,
    /// What the program could ask of its surroundings: sysvars, its own address.
    pub environment: Environment,
    /// The input; `None` accepts any. A run that is accepted so started on the input that its proofs
    /// bring along ([`ChunkProof::input`](crate::ChunkProof::input)), in a region of
    /// [`ExecutionStatement::input_size`] bytes.
    pub input: Option<Input>,
    /// How it ended.
    pub outcome: ExpectedOutcome,
    /// The whole input region afterwards; `None` accepts any.
    pub output: Option<Vec<u8>>,
    /// The return data that the run leaves; looked at only if an output is expected.
    pub return_data: Vec<u8>,
    /// Compute units that the run uses; `None` accepts any number up to the budget.
    pub compute_units: Option<u64>,
    /// Most compute units that the run could use (one for each step, and what system calls cost): part of
    /// what ran, since reaching it is an outcome.
    pub budget: u64,
}

impl Claim {
    /// A program and its input, and nothing else: any outcome, any output, the default environment, and
    /// the dialect's [default budget](bpf_tracer::Dialect::default_budget). Set what else you expect.
    #[must_use]
    pub fn new(program: Program, input: Input) -> Self {
        let budget = program.dialect().default_budget();
        Self {
            program,
            environment: Environment::default(),
            input: Some(input),
            outcome: ExpectedOutcome::Any,
            output: None,
            return_data: Vec::new(),
            compute_units: None,
            budget,
        }
    }
}

/// What one valid chunk proof says: *some* program, in *some* memory, went from the state at its
/// entry to the state at its exit. It proves neither which program, nor which input, nor that the
/// state at its entry was ever reached.
#[derive(Clone, Debug)]
#[must_use = "the statement of one chunk proves neither program, input nor order"]
pub struct ChunkStatement {
    pub(crate) key: KeyId,
    pub(crate) instance: ChunkInstance,
    pub(crate) hints: Hints,
    pub(crate) commitments: Commitments,
}

impl ChunkStatement {
    /// What a chunk would state if it were proved, with commitments of the caller's choice: for tests of what
    /// comes after the proofs. Nothing is checked.
    #[cfg(feature = "dev")]
    pub fn unproved(chunk: &crate::ChunkProof, commitments: Commitments) -> Self {
        Self {
            key: chunk.key,
            instance: chunk.instance,
            hints: chunk.hints(),
            commitments,
        }
    }

    /// Public values.
    #[must_use]
    pub fn instance(&self) -> &ChunkInstance {
        &self.instance
    }

    /// The commitments of memory, pages and program.
    #[must_use]
    pub fn commitments(&self) -> &Commitments {
        &self.commitments
    }

    /// The key that it was verified with.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

/// Commitments of the columns that chunks share with their neighbours or with the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitments {
    /// Memory at the chunk's entry: private and public lane.
    pub entry: [G1Affine; 2],
    /// Memory at the chunk's exit: private and public lane.
    pub exit: [G1Affine; 2],
    /// Virtual page numbers.
    pub pages: G1Affine,
    /// Program table: code, immediate, target.
    pub program: [G1Affine; 3],
}

/// What an accepted claim means: the claimed program, started at its entry on the claimed input, runs
/// exactly [`steps`](Self::steps) steps, within the budget, and ends with [`outcome`](Self::outcome).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutionStatement {
    /// Identity of the program.
    pub program_id: [u8; 32],
    /// How the run ended.
    pub outcome: Outcome,
    /// Number of steps, a trapping one included.
    pub steps: u64,
    /// Compute units used: one for each step, and what system calls cost.
    pub compute_units: u64,
    /// Number of chunks; an aggregate does not tell.
    pub chunks: Option<usize>,
    /// Bytes of the input region.
    pub input_size: u64,
    /// Whether the input was compared with an expected one.
    pub input_checked: bool,
    /// Whether the outcome was compared.
    pub outcome_checked: bool,
    /// Whether the output and the return data were compared.
    pub output_checked: bool,
    /// The verifying key of the chunks, or of the aggregate.
    pub key: KeyId,
    /// The parameters: whether the statement is worth anything.
    pub srs: SrsIdentity,
}
