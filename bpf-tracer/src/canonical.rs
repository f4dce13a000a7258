//! The canonical instruction table: one [`Instruction`] for each 8-byte slot, the same for every dialect.
//!
//! Lowering folds the dialect's meaning into the operation: what a register form, an immediate's
//! extension, a jump distance or an `lddw` pair means has been resolved here, so the interpreter and
//! the circuit know only this table. The numbers of [`Op::encode`] are part of the program's identity.

use std::fmt;

use crate::syscall::Syscall;

/// Where a program's segments live. Every region has a fixed base; only lengths vary.
pub mod layout {
    /// Read-only data (and, for `callx`, the virtual address of the program text: slot `i` is at
    /// `TEXT_BASE + 8·i`; loads from the text itself are not allowed in eBPF).
    pub const RODATA_BASE: u64 = 1 << 32;
    /// Virtual address of slot 0 as seen by function pointers and `callx`.
    pub const TEXT_BASE: u64 = (1 << 32) | (1 << 31);
    /// Lowest address of the stack.
    pub const STACK_BASE: u64 = 2 << 32;
    /// Writable program data (`.data`, `.bss`) of eBPF, the heap of sBPF.
    pub const DATA_BASE: u64 = 3 << 32;
    /// The input region.
    pub const INPUT_BASE: u64 = 4 << 32;
    /// Longest region, in bytes, of any kind.
    pub const MAX_REGION: u64 = 1 << 31;
    /// Return data, which only system calls reach: its length in bytes (8 bytes), then the data. No
    /// access of a program is permitted here.
    pub const RETURN_DATA_BASE: u64 = INPUT_BASE + MAX_REGION;
    /// Most bytes of return data.
    pub const MAX_RETURN_DATA: u64 = 1024;
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
    /// Sum of the low halves, sign-extended to 64 bits. 32 bits only (sBPF v0, v1, v3), as the next two.
    AddSx,
    /// Difference of the low halves, sign-extended.
    SubSx,
    /// Product of the low halves, sign-extended.
    MulSx,
    /// `dst = source - dst` (sBPF v2, immediates only).
    ReverseSub,
    /// [`AluOp::Div`], but a zero divisor traps. Registers only, as the next one: sBPF refuses zero immediates.
    DivTrap,
    /// [`AluOp::Mod`], but a zero divisor traps.
    ModTrap,
    /// [`AluOp::Sdiv`], but a zero divisor and `MIN / -1` trap.
    SdivTrap,
    /// [`AluOp::Smod`], but a zero divisor and `MIN % -1` trap.
    SmodTrap,
    /// High 64 bits of the unsigned product. 64 bits only, as the next one (sBPF v2).
    MulHigh,
    /// High 64 bits of the signed product.
    MulHighSigned,
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
    /// The limit was reached between two instructions.
    ExceededMaxInstructions = 8,
    /// A system call costs more than the compute units that are left.
    ComputationalBudgetExceeded = 9,
    /// The program called `abort`.
    Abort = 10,
    /// The program called `sol_panic_`.
    Panic = 11,
    /// A system call was given text that is not UTF-8.
    InvalidString = 12,
    /// A system call was given a length that is not possible.
    InvalidLength = 13,
    /// The ranges of a copy overlap.
    CopyOverlapping = 14,
    /// More return data than is possible.
    ReturnDataTooLarge = 15,
    /// A system call was given an address without the alignment that it needs.
    UnalignedPointer = 16,
    /// A system call asked for a sysvar that the environment does not have.
    UnsupportedSysvar = 17,
    /// The arguments of a system call add up to more than 64 bits.
    ArithmeticOverflow = 18,
}

impl TrapKind {
    /// Every kind, in order of its number.
    pub const ALL: [Self; 18] = [
        Self::DivideByZero,
        Self::DivideOverflow,
        Self::AccessViolation,
        Self::CallDepthExceeded,
        Self::CallOutsideTextSegment,
        Self::UnsupportedInstruction,
        Self::ExecutionOverrun,
        Self::ExceededMaxInstructions,
        Self::ComputationalBudgetExceeded,
        Self::Abort,
        Self::Panic,
        Self::InvalidString,
        Self::InvalidLength,
        Self::CopyOverlapping,
        Self::ReturnDataTooLarge,
        Self::UnalignedPointer,
        Self::UnsupportedSysvar,
        Self::ArithmeticOverflow,
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
            Self::ComputationalBudgetExceeded => "ComputationalBudgetExceeded",
            Self::Abort => "Abort",
            Self::Panic => "Panic",
            Self::InvalidString => "InvalidString",
            Self::InvalidLength => "InvalidLength",
            Self::CopyOverlapping => "CopyOverlapping",
            Self::ReturnDataTooLarge => "ReturnDataTooLarge",
            Self::UnalignedPointer => "UnalignedPointer",
            Self::UnsupportedSysvar => "UnsupportedSysvar",
            Self::ArithmeticOverflow => "ArithmeticOverflow",
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
    /// sBPF's call of the function whose address is in `src`: first the depth is checked, then the
    /// address, rounded down to a slot.
    CallAddress,
    /// A system call: `r0` = its result.
    Syscall(Syscall),
    /// A system call that exists on Solana and has no proof; [`Instruction::imm`] is the hash of its name.
    /// A run that reaches it has no outcome.
    Unprovable,
    /// A call of something that does not exist: traps with [`TrapKind::UnsupportedInstruction`].
    Unresolved,
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

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halt { r0 } => write!(f, "halt, r0 = {r0:#x}"),
            Self::Trap { kind, pc } => write!(f, "trap {} at slot {pc}", kind.name()),
        }
    }
}
