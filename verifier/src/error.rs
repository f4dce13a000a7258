//! Why a proof, a file or a claim is refused.

/// Why a run is not accepted. Chunks are counted from 0, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There are no chunks.
    #[error("there are no chunk proofs")]
    Empty,
    /// One chunk's proof is refused, whatever the claim.
    #[error("chunk {chunk}: {reason}")]
    Chunk {
        /// Which.
        chunk: usize,
        /// Why.
        reason: ChunkError,
    },
    /// Two neighbours do not fit together, or a chunk is not where it says it is.
    #[error("chunk {chunk}: {reason}")]
    Link {
        /// The chunk, or the first of the two.
        chunk: usize,
        /// Why.
        reason: LinkError,
    },
    /// The proof of an aggregate is refused, whatever the claim.
    #[error("{reason}")]
    Aggregate {
        /// Why.
        reason: AggregateError,
    },
    /// An aggregate's run is not one, or not the claimed one.
    #[error("{reason}")]
    Run {
        /// Why.
        reason: ClaimError,
    },
    /// The chunk is about something else than the claim.
    #[error("chunk {chunk}: {reason}")]
    Claim {
        /// Which.
        chunk: usize,
        /// Why.
        reason: ClaimError,
    },
}

/// Why a chunk's proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// It was made for another verifying key.
    #[error("it was made for verifying key {found}, not {expected}")]
    ForeignKey {
        /// The proof's.
        found: crate::KeyId,
        /// The verifier's.
        expected: crate::KeyId,
    },
    /// It was made for another version of the circuit.
    #[error("it has circuit version {found}, not {expected}")]
    Version {
        /// The proof's.
        found: u64,
        /// The verifier's.
        expected: u64,
    },
    /// A public value is outside its range.
    #[error("the public value `{name}` is out of range")]
    OutOfRange {
        /// Which.
        name: &'static str,
    },
    /// The proof has the wrong number of bytes.
    #[error("the proof has {found} bytes, not {expected}")]
    Length {
        /// The proof's.
        found: usize,
        /// The circuit's.
        expected: usize,
    },
    /// A point or scalar of the proof is not in canonical form, or the identity.
    #[error("element {element} of the proof is not canonical")]
    NotCanonical {
        /// Its position; all are 32 bytes.
        element: usize,
    },
    /// The proof does not prove its public values.
    #[error("the proof is not valid")]
    Invalid,
}

/// Why the proof of an aggregate is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AggregateError {
    /// It was made for another verifying key.
    #[error("it was made for verifying key {found}, not {expected}")]
    ForeignKey {
        /// The proof's.
        found: crate::KeyId,
        /// The verifier's.
        expected: crate::KeyId,
    },
    /// The proof has the wrong number of bytes.
    #[error("the proof has {found} bytes, not {expected}")]
    Length {
        /// The proof's.
        found: usize,
        /// The circuit's.
        expected: usize,
    },
    /// A point or scalar of the proof is not in canonical form, or the identity.
    #[error("the proof is not canonical at byte {offset}")]
    NotCanonical {
        /// Where the element begins.
        offset: usize,
    },
    /// The two points of the accumulator are not points in canonical form.
    #[error("the accumulator is not canonical")]
    Accumulator,
    /// The accumulator's pairing does not hold: a chunk's proof was not valid.
    #[error("the accumulator does not hold: a proof inside is not valid")]
    Undecided,
    /// The proof does not prove what the file says.
    #[error("the proof is not valid")]
    Invalid,
}

/// Why chunks do not form one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Its index is not its place.
    #[error("its index is {found}")]
    Index {
        /// The proof's.
        found: u64,
    },
    /// A public value is outside its range.
    #[error("the public value `{name}` is out of range")]
    OutOfRange {
        /// Which.
        name: &'static str,
    },
    /// The run had already ended when it began.
    #[error("it begins after the end of the run")]
    NotRunning,
    /// The run ends here, but chunks follow.
    #[error("the run ends in it, but more chunks follow")]
    EndsEarly,
    /// It is the last chunk, but the run goes on.
    #[error("it is the last one, but the run goes on")]
    Unfinished,
    /// It is the first one, but runs do not start in its state.
    #[error("it does not begin where runs start")]
    NotTheStart,
    /// Its count of steps or of compute units decreases.
    #[error("its count of steps or of compute units decreases")]
    Decreases,
    /// It uses more compute units than the budget allows.
    #[error("it goes beyond the budget")]
    OverBudget,
    /// A public value at its end differs from the next chunk's beginning.
    #[error("`{name}` at its end is not that of the next chunk's beginning")]
    Value {
        /// Which.
        name: &'static str,
    },
    /// A public value that all chunks share differs from the next chunk's.
    #[error("`{name}` differs in the next chunk")]
    Differs {
        /// Which.
        name: &'static str,
    },
    /// Memory at its end differs from memory at the next chunk's beginning.
    #[error("memory ({lane:?} lane) at its end is not that of the next chunk's beginning")]
    Memory {
        /// Which part.
        lane: crate::Lane,
    },
}

/// Why a run is not the one that was claimed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// A run that stopped at its budget did so in the middle of an instruction.
    #[error(
        "the run stops at its budget in the middle of an instruction (row {pc} behind the first slot)"
    )]
    NotAnInstruction {
        /// Row of the program table, counted from slot 0.
        pc: u32,
    },
    /// Its public values at the end are those of no run.
    #[error("its public values at the end are those of no run")]
    NoOutcome,
    /// A statement of another verifying key was passed in.
    #[error("its statement is for another verifying key")]
    ForeignKey,
    /// The list of the program's loaded blocks is malformed, or they do not fit the circuit.
    #[error("the program's loaded blocks: {reason}")]
    Selection {
        /// Why.
        reason: String,
    },
    /// The list of pages is malformed.
    #[error("the list of pages is malformed: {reason}")]
    PageForm {
        /// Why.
        reason: String,
    },
    /// A column that the claim determines has another commitment.
    #[error("it is about another {column}")]
    Commitment {
        /// What the column holds.
        column: &'static str,
    },
    /// It does not start at the program's entry.
    #[error("it does not start at the program's entry")]
    Entry,
    /// It has another budget of compute units.
    #[error("its budget is {found} compute units, not {expected}")]
    Budget {
        /// The proof's.
        found: u64,
        /// The claim's.
        expected: u64,
    },
    /// It has another size of the input region.
    #[error("its input region has {found} bytes, not {expected}")]
    InputSize {
        /// The proof's.
        found: u64,
        /// The claim's.
        expected: u64,
    },
    /// The input given with the proof exceeds the input region.
    #[error("the input given with the proof exceeds the input region")]
    InputLength,
    /// It ends in another way.
    #[error("it ends with {found}, not with {expected}")]
    Outcome {
        /// The proof's.
        found: String,
        /// The claim's.
        expected: String,
    },
    /// The claimed output has another length than the input region.
    #[error("the expected output has {found} bytes, the input region {expected}")]
    OutputLength {
        /// The claim's.
        found: u64,
        /// The region's.
        expected: u64,
    },
    /// It uses another number of compute units.
    #[error("it uses {found} compute units, not {expected}")]
    ComputeUnits {
        /// The proof's.
        found: u64,
        /// The claim's.
        expected: u64,
    },
    /// The claimed return data is longer than any can be, or than what the run touched.
    #[error("the run cannot have left {length} bytes of return data")]
    ReturnData {
        /// The claim's.
        length: usize,
    },
    /// The claimed output differs from the input where the run touched nothing.
    #[error(
        "the expected output differs from the input at byte {offset}, which the run never touched"
    )]
    OutputUntouched {
        /// Where.
        offset: u64,
    },
}

/// Why bytes are not a proof or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin as they should.
    #[error("not a {what} of this program")]
    Magic {
        /// What was expected.
        what: &'static str,
    },
    /// They have another version of the format.
    #[error("format version {found} is not supported (this is {supported})")]
    Format {
        /// The file's.
        found: u16,
        /// Ours.
        supported: u16,
    },
    /// They end too early.
    #[error("the data ends too early")]
    Truncated,
    /// There are bytes behind the end.
    #[error("{count} bytes follow the end of the data")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A length exceeds what any proof or key can have.
    #[error("{what} is too large: {found}, at most {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The length.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A value has no meaning.
    #[error("{what} has a value without meaning")]
    Value {
        /// Which.
        what: &'static str,
    },
    /// The chunks of a file are for different keys, or their pages differ.
    #[error("chunk {chunk} does not belong to the others")]
    Mixed {
        /// Which.
        chunk: usize,
    },
    /// A key's identity is not the expected one.
    #[error("this is verifying key {found}, not {expected}")]
    KeyId {
        /// The file's.
        found: crate::KeyId,
        /// The expected one.
        expected: crate::KeyId,
    },
    /// A key does not fit this program's circuit.
    #[error("the verifying key does not fit this circuit: {reason}")]
    Key {
        /// Why.
        reason: &'static str,
    },
}
