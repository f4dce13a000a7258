//! The public values of a chunk, in one place and both directions.

use halo2curves::bn256::Fr;

/// Places of the instance column that the circuit reads; it does not read the last three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum InstanceCell {
    RunningIn = 0,
    RunningOut = 1,
    PcIn = 2,
    PcOut = 3,
    SlotIn = 4,
    SlotOut = 5,
    DepthIn = 6,
    DepthOut = 7,
    StepsIn = 8,
    StepsOut = 9,
    UnitsIn = 10,
    UnitsOut = 11,
    InputSize = 12,
    Status = 13,
    R0 = 14,
    TrapKind = 15,
    TrapPc = 16,
}

/// Version of the circuit and of the meaning of its instance.
pub const VERSION: u64 = 5;

/// [`ChunkInstance::status`] while the program runs.
pub const STATUS_RUNNING: u64 = 0;
/// [`ChunkInstance::status`] after the outermost `exit`.
pub const STATUS_HALT: u64 = 1;
/// [`ChunkInstance::status`] after a trap.
pub const STATUS_TRAP: u64 = 2;

macro_rules! instance {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        /// The public values of one chunk.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct ChunkInstance { $($(#[$doc])* pub $name: $type),* }

        impl ChunkInstance {
            /// The names of the values, in the order of the instance column.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];
            /// Number of values.
            pub const LEN: usize = Self::NAMES.len();

            /// The instance column, exactly.
            #[must_use]
            pub fn to_words(&self) -> [u64; Self::LEN] {
                [$(u64::from(self.$name)),*]
            }

            /// The inverse of [`ChunkInstance::to_words`]; `None` if a flag is neither 0 nor 1.
            #[must_use]
            pub fn from_words(words: [u64; Self::LEN]) -> Option<Self> {
                let [$($name),*] = words;
                Some(Self { $($name: Value::from_word($name)?),* })
            }

            /// The instance column as field elements.
            #[must_use]
            pub fn to_fields(&self) -> [Fr; Self::LEN] {
                self.to_words().map(Fr::from)
            }
        }
    };
}

instance! {
    /// Whether the program runs when the chunk begins: always.
    running_in: bool,
    /// Whether the program still runs when the chunk ends.
    running_out: bool,
    /// Where the chunk begins: a slot, or, inside an instruction (a system call, say), the place of a
    /// micro-operation behind the slots.
    pc_in: u64,
    /// Where the next chunk begins; 0 if the program has ended.
    pc_out: u64,
    /// One more than the slot of the last instruction before the chunk, which a chunk that begins inside a
    /// system call continues; behind a call one less than that of the called function's first. 0 in the first
    /// chunk.
    slot_in: u64,
    /// The same for the chunk's last instruction.
    slot_out: u64,
    /// Call depth when the chunk begins; the outermost function has depth 1.
    depth_in: u64,
    /// Call depth when the chunk ends; 0 if the program has ended.
    depth_out: u64,
    /// Instructions begun before the chunk.
    steps_in: u64,
    /// Instructions begun when the chunk ends, a trapping one included.
    steps_out: u64,
    /// Compute units used before the chunk.
    units_in: u64,
    /// Compute units used when the chunk ends: one for each instruction, and what system calls cost.
    units_out: u64,
    /// Length of the input region in bytes.
    input_size: u64,
    /// [`STATUS_RUNNING`], [`STATUS_HALT`] or [`STATUS_TRAP`].
    status: u64,
    /// `r0` at the outermost `exit`, otherwise 0.
    r0: u64,
    /// Number of the trap, otherwise 0.
    trap_kind: u64,
    /// Slot of the trapping instruction, otherwise 0.
    trap_pc: u64,
    /// [`VERSION`].
    version: u64,
    /// Most compute units that the whole run may use. Checked by the verifier.
    budget: u64,
    /// Position of the chunk in the execution. Checked by the verifier.
    index: u64,
}

/// What a public value can be.
trait Value: Sized {
    fn from_word(word: u64) -> Option<Self>;
}

impl Value for u64 {
    fn from_word(word: u64) -> Option<Self> {
        Some(word)
    }
}

impl Value for bool {
    fn from_word(word: u64) -> Option<Self> {
        match word {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_names() {
        for (place, name) in [
            (InstanceCell::RunningIn, "running_in"),
            (InstanceCell::SlotOut, "slot_out"),
            (InstanceCell::UnitsOut, "units_out"),
            (InstanceCell::InputSize, "input_size"),
            (InstanceCell::TrapPc, "trap_pc"),
        ] {
            assert_eq!(ChunkInstance::NAMES[place as usize], name);
        }
    }
}
