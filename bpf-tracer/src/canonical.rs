//! The canonical instruction table: one [`Instruction`] for each 8-byte slot, the same for every dialect.
//!
//! Lowering folds the dialect's meaning into the operation: what a register form, an immediate's
//! extension, a jump distance or an `lddw` pair means has been resolved here, so the interpreter and
//! the circuit know only this table. The numbers of [`Op::encode`] are part of the program's identity.

/// Where a program's segments live. Every region has a fixed base; only lengths vary.
pub mod layout {
    /// Read-only data (and, for `callx`, the virtual address of the program text: slot `i` is at
    /// `TEXT_BASE + 8·i`; loads from the text itself are not allowed in eBPF).
    pub const RODATA_BASE: u64 = 1 << 32;
    /// Virtual address of slot 0 as seen by function pointers and `callx`.
    pub const TEXT_BASE: u64 = (1 << 32) | (1 << 31);
    /// Lowest address of the stack; `r10` starts at its end.
    pub const STACK_BASE: u64 = 2 << 32;
    /// Writable program data (`.data`, `.bss`).
    pub const DATA_BASE: u64 = 3 << 32;
    /// The input region.
    pub const INPUT_BASE: u64 = 4 << 32;
    /// Longest region, in bytes, of any kind.
    pub const MAX_REGION: u64 = 1 << 31;
}

/// Operand width of an arithmetic or branch operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Width {
    /// The low 32 bits; results are zero-extended.
    W32,
    /// All 64 bits.
    W64,
}

/// The second operand: a register, or [`Instruction::imm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Register [`Instruction::src`].
    Reg,
    /// The immediate, already extended to 64 bits (for 32-bit operations: its low 32 bits, zero-extended).
    Imm,
}

/// Two-operand arithmetic: `dst = dst op source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "RFC 9669 names")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    /// Unsigned; a zero divisor gives 0.
    Div,
    /// Unsigned; a zero divisor leaves the dividend.
    Mod,
    /// Signed; a zero divisor gives 0, `MIN / -1` gives `MIN`.
    Sdiv,
    /// Signed, sign of the dividend; a zero divisor leaves the dividend, `MIN % -1` gives 0.
    Smod,
    Or,
    And,
    Xor,
    /// The shift amount is taken modulo the width.
    Lsh,
    Rsh,
    Arsh,
    Mov,
    /// `dst = -dst`; has no source.
    Neg,
}

/// Bytes that a memory operation or an extension touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are their own description")]
pub enum Size {
    B1,
    B2,
    B4,
    B8,
}

impl Size {
    /// Number of bytes: 1, 2, 4 or 8.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::B1 => 1,
            Self::B2 => 2,
            Self::B4 => 4,
            Self::B8 => 8,
        }
    }
}

/// Branch conditions on `(dst, source)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "RFC 9669 names")]
pub enum Cond {
    Eq,
    Ne,
    /// `dst & source != 0`
    Set,
    Gt,
    Ge,
    Lt,
    Le,
    Sgt,
    Sge,
    Slt,
    Sle,
}

/// Atomic read-modify-write operations (RFC 9669 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "RFC 9669 names")]
pub enum AtomicOp {
    Add,
    Or,
    And,
    Xor,
    /// `src = old; memory = src`
    Xchg,
    /// `if r0 == old { memory = src }; r0 = old`; 32-bit: compares and writes the low halves, `r0` is zero-extended.
    CmpXchg,
}

/// Why a program stopped without `exit`. The names are those of `solana-sbpf`'s errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TrapKind {
    /// A division by zero, in a dialect where that traps.
    DivideByZero = 1,
    /// `MIN / -1`, in a dialect where that traps.
    DivideOverflow = 2,
    /// A load or store that is not wholly inside one region that permits it.
    AccessViolation = 3,
    /// A call deeper than the stack has frames.
    CallDepthExceeded = 4,
    /// `callx` to an address that is not the start of an instruction.
    CallOutsideTextSegment = 5,
    /// The second slot of `lddw`, or an opcode that this dialect does not have, was reached.
    UnsupportedInstruction = 6,
    /// The program counter ran past the last instruction.
    ExecutionOverrun = 7,
    /// The step limit was reached.
    ExceededMaxInstructions = 8,
}

impl TrapKind {
    /// Every kind, in order of its number.
    pub const ALL: [Self; 8] = [
        Self::DivideByZero,
        Self::DivideOverflow,
        Self::AccessViolation,
        Self::CallDepthExceeded,
        Self::CallOutsideTextSegment,
        Self::UnsupportedInstruction,
        Self::ExecutionOverrun,
        Self::ExceededMaxInstructions,
    ];

    /// The kind with this number (its `repr`), as proofs and files carry it.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// Its name, as printed and parsed by the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DivideByZero => "DivideByZero",
            Self::DivideOverflow => "DivideOverflow",
            Self::AccessViolation => "AccessViolation",
            Self::CallDepthExceeded => "CallDepthExceeded",
            Self::CallOutsideTextSegment => "CallOutsideTextSegment",
            Self::UnsupportedInstruction => "UnsupportedInstruction",
            Self::ExecutionOverrun => "ExecutionOverrun",
            Self::ExceededMaxInstructions => "ExceededMaxInstructions",
        }
    }
}

/// One canonical operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// The second slot of `lddw`: reaching it traps with [`TrapKind::UnsupportedInstruction`].
    None,
    /// `dst = dst op source` (`lddw` is `Alu(W64, Mov, Imm)`).
    Alu(Width, AluOp, Source),
    /// `dst = sign-extended low bytes of src`, to the width; 32-bit results are zero-extended to 64.
    MovSx(Width, Size),
    /// `dst = low bytes of dst`, zero-extended (`le` on this little-endian machine; `B8` changes nothing).
    ZeroExtend(Size),
    /// `dst = low bytes of dst in reverse order`, zero-extended (`be`, `bswap`).
    ByteSwap(Size),
    /// `dst = [src + offset]`, sign-extended if the flag is set.
    Load(Size, bool),
    /// `[dst + offset] = source`, low bytes.
    Store(Size, Source),
    /// `[dst + offset] op= src`; with the flag (always for `Xchg`, `CmpXchg`) the old value is fetched. Size is `B4` or `B8`.
    Atomic(Size, AtomicOp, bool),
    /// Go to [`Instruction::target`].
    Jump,
    /// If the condition holds, go to [`Instruction::target`].
    Branch(Width, Cond, Source),
    /// Call the local function at [`Instruction::target`].
    Call,
    /// Call the local function whose address is in `src`.
    CallReg,
    /// Return from a function; at the outermost level, halt with `r0`.
    Exit,
    /// Test helper 5 of the conformance suite: `r0 = r1`. Only in programs loaded with that helper allowed.
    HelperIdentity,
}

/// One slot of the canonical table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// The operation.
    pub op: Op,
    /// Destination register, 0 to 10 (the address base of stores and atomics).
    pub dst: u8,
    /// Source register, 0 to 10 (the address base of loads).
    pub src: u8,
    /// Signed address offset of memory operations, otherwise 0.
    pub offset: i16,
    /// Immediate operand, extended as [`Source::Imm`] says, otherwise 0.
    pub imm: u64,
    /// Slot that a jump, branch or call goes to; of `lddw`, the slot after its second one; otherwise 0.
    pub target: u32,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The outermost function returned.
    Halt {
        /// The value of `r0` at its `exit`.
        r0: u64,
    },
    /// The program was stopped.
    Trap {
        /// Why.
        kind: TrapKind,
        /// The slot of the instruction that trapped. For [`TrapKind::ExceededMaxInstructions`] the
        /// one that would have been next; for [`TrapKind::ExecutionOverrun`] the number of slots.
        pc: u32,
    },
}
