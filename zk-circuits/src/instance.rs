//! The public values of a chunk, in one place and both directions.

use halo2curves::bn256::Fr;

/// Places of the instance column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum InstanceCell {
    RunningIn = 1,
    RunningOut = 2,
    PcIn = 3,
    PcOut = 4,
    DepthIn = 5,
    DepthOut = 6,
    StepsIn = 7,
    StepsOut = 8,
    InputSize = 10,
    Status = 11,
    R0 = 12,
    TrapKind = 13,
    TrapPc = 14,
}

/// Version of the circuit and of the meaning of its instance.
pub const VERSION: u64 = 1;

/// [`ChunkInstance::status`] while the program runs.
pub const STATUS_RUNNING: u64 = 0;
/// [`ChunkInstance::status`] after the outermost `exit`.
pub const STATUS_HALT: u64 = 1;
/// [`ChunkInstance::status`] after a trap.
pub const STATUS_TRAP: u64 = 2;

/// The public values of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkInstance {
    /// [`VERSION`].
    pub version: u64,
    /// Whether the program runs when the chunk begins: always.
    pub running_in: bool,
    /// Whether the program still runs when the chunk ends.
    pub running_out: bool,
    /// Slot of the next instruction when the chunk begins.
    pub pc_in: u64,
    /// Slot of the next instruction when the chunk ends; 0 if the program has ended.
    pub pc_out: u64,
    /// Call depth when the chunk begins; the outermost function has depth 1.
    pub depth_in: u64,
    /// Call depth when the chunk ends; 0 if the program has ended.
    pub depth_out: u64,
    /// Instructions executed before the chunk.
    pub steps_in: u64,
    /// Instructions executed when the chunk ends, a trapping one included.
    pub steps_out: u64,
    /// Most instructions that the whole run may execute. Checked by the verifier.
    pub budget: u64,
    /// Length of the input region in bytes.
    pub input_size: u64,
    /// [`STATUS_RUNNING`], [`STATUS_HALT`] or [`STATUS_TRAP`].
    pub status: u64,
    /// `r0` at the outermost `exit`, otherwise 0.
    pub r0: u64,
    /// Number of the trap, otherwise 0.
    pub trap_kind: u64,
    /// Slot of the trapping instruction, otherwise 0.
    pub trap_pc: u64,
    /// Position of the chunk in the execution. Checked by the verifier.
    pub index: u64,
}

impl ChunkInstance {
    /// Number of values.
    pub const LEN: usize = 16;

    /// The instance column, exactly.
    #[must_use]
    pub fn to_words(&self) -> [u64; Self::LEN] {
        [
            self.version,
            self.running_in.into(),
            self.running_out.into(),
            self.pc_in,
            self.pc_out,
            self.depth_in,
            self.depth_out,
            self.steps_in,
            self.steps_out,
            self.budget,
            self.input_size,
            self.status,
            self.r0,
            self.trap_kind,
            self.trap_pc,
            self.index,
        ]
    }

    /// The inverse of [`ChunkInstance::to_words`]; `None` if a flag is neither 0 nor 1.
    #[must_use]
    pub fn from_words(words: [u64; Self::LEN]) -> Option<Self> {
        let flag = |word| match word {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        let [
            version,
            running_in,
            running_out,
            pc_in,
            pc_out,
            depth_in,
            depth_out,
            steps_in,
            steps_out,
            budget,
            input_size,
            status,
            r0,
            trap_kind,
            trap_pc,
            index,
        ] = words;
        Some(Self {
            version,
            running_in: flag(running_in)?,
            running_out: flag(running_out)?,
            pc_in,
            pc_out,
            depth_in,
            depth_out,
            steps_in,
            steps_out,
            budget,
            input_size,
            status,
            r0,
            trap_kind,
            trap_pc,
            index,
        })
    }

    /// The instance column as field elements.
    #[must_use]
    pub fn to_fields(&self) -> [Fr; Self::LEN] {
        self.to_words().map(Fr::from)
    }
}
