//! What can be wrong with a shape, a program or a trace.

use crate::MAX_BUDGET;

/// A shape that the circuit does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The number of rows is not supported.
    #[error("k = {k} is not supported: choose 10 to 20 (2^k rows a chunk)")]
    K {
        /// The number asked for.
        k: u32,
    },
    /// The operand width is not supported.
    #[error("lookup_bits = {lookup_bits} is not supported: choose 4 to 16")]
    LookupBits {
        /// The number asked for.
        lookup_bits: u32,
    },
}

/// A program or its memory does not fit a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The program table is too short.
    #[error(
        "the program takes {rows} rows of the program table, k = {k} has {capacity}: use a larger k"
    )]
    TooLarge {
        /// Rows needed.
        rows: usize,
        /// Rows available.
        capacity: usize,
        /// The shape's `k`.
        k: u32,
    },
    /// A selection that is not in order or names what the program does not have.
    #[error("the list of the program's loaded blocks is malformed")]
    Selection,
    /// The run touches more memory than a chunk holds.
    #[error(
        "the run touches {needed} {lane} pages of 256 bytes, k = {k} has {capacity}: use a larger k"
    )]
    TooManyPages {
        /// Which lane.
        lane: &'static str,
        /// Pages needed.
        needed: usize,
        /// Pages available.
        capacity: usize,
        /// The shape's `k`.
        k: u32,
    },
    /// A page list that is not in order or names a page outside every region.
    #[error("the page list is malformed")]
    PageList,
}

/// A trace cannot be turned into a witness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The program or its memory does not fit.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The chunk size is zero.
    #[error("a chunk needs at least one step")]
    ChunkSize,
    /// The budget is too large.
    #[error("a budget of {budget} compute units is too large: at most {MAX_BUDGET} are possible")]
    Budget {
        /// The budget asked for.
        budget: u64,
    },
    /// The step limit is zero.
    #[error("a run without a single step has no proof: raise the step limit")]
    NoSteps,
    /// Executing the microcode gave something else than the trace says.
    #[error("step {step} of the trace says pc {expected}, the microcode is at {found}")]
    TraceMismatch {
        /// Index of the step.
        step: u64,
        /// The trace's pc.
        expected: u64,
        /// The microcode's pc.
        found: u64,
    },
    /// The microcode used another number of compute units than the trace.
    #[error("the trace uses {expected} compute units, the microcode {found}")]
    UnitsMismatch {
        /// The trace's units.
        expected: u64,
        /// The microcode's units.
        found: u64,
    },
    /// The microcode's outcome is not the trace's.
    #[error("the trace ends with {expected}, the microcode with {found}")]
    OutcomeMismatch {
        /// The trace's outcome.
        expected: String,
        /// The microcode's outcome.
        found: String,
    },
    /// No such chunk.
    #[error("chunk {index} of {count} does not exist")]
    NoSuchChunk {
        /// Index asked for.
        index: usize,
        /// Number of chunks.
        count: usize,
    },
    /// The microcode left its table or its memory: a defect of this library.
    #[error("microcode row {row}: {problem}")]
    Machine {
        /// Row of the program table.
        row: usize,
        /// What went wrong.
        problem: &'static str,
    },
}
