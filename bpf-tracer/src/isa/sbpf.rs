//! The opcode table of sBPF, versions 0 to 3, after `solana-sbpf` 0.26. Lowering, mnemonics,
//! `docs/isa.md` and the tests read it.
//!
//! Fields that an operation does not use are ignored: only eBPF reserves them.

use super::Variant;
use super::Variant::{Field, Plain, Source};
use crate::canonical::AluOp::{
    Add, AddSx, And, Arsh, Div, DivTrap, Lsh, Mod, ModTrap, Mov, Mul, MulHigh, MulHighSigned,
    MulSx, Neg, Or, ReverseSub, Rsh, SdivTrap, SmodTrap, Sub, SubSx, Xor,
};
use crate::canonical::Cond::{Eq, Ge, Gt, Le, Lt, Ne, Set, Sge, Sgt, Sle, Slt};
use crate::canonical::Op::{
    self, Alu, Branch, ByteSwap, CallAddress, Exit, MovSx, Store, Unresolved, ZeroExtend,
};
use crate::canonical::Size::{B1, B2, B4, B8};
use crate::canonical::Source::{Imm, Reg};
use crate::canonical::Width::{W32, W64};
use crate::options::Dialect;
use Shape::{
    BranchImm, BranchReg, CallDst, CallHash, CallImm, CallNothing, CallRelative, CallSrc,
    CallSyscall, Dst, DstHigh, DstImm, DstSrc, DstZeroImm, Jump, Load, Nothing, StoreImm, StoreReg,
    WideImm,
};
use When::{
    Always, CallxInImm, Jmp32, NewArithmetic, NewEncoding, OldArithmetic, OldCalls, OldEncoding,
    StaticCalls,
};

/// Which versions have a row. Each is one predicate of [`Dialect`], or its opposite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every version.
    Always,
    /// Not [`Dialect::has_new_arithmetic`].
    OldArithmetic,
    /// [`Dialect::has_new_arithmetic`].
    NewArithmetic,
    /// Not [`Dialect::has_new_encoding`].
    OldEncoding,
    /// [`Dialect::has_new_encoding`].
    NewEncoding,
    /// Not [`Dialect::has_static_calls`].
    OldCalls,
    /// [`Dialect::has_static_calls`].
    StaticCalls,
    /// [`Dialect::has_jmp32`].
    Jmp32,
    /// Neither [`Dialect::has_new_encoding`] nor [`Dialect::has_jmp32`], which both move `callx`'s register.
    CallxInImm,
}

impl When {
    /// Whether this dialect has the row.
    #[must_use]
    pub const fn holds(self, dialect: Dialect) -> bool {
        dialect.is_sbpf()
            && match self {
                Always => true,
                OldArithmetic => !dialect.has_new_arithmetic(),
                NewArithmetic => dialect.has_new_arithmetic(),
                OldEncoding => !dialect.has_new_encoding(),
                NewEncoding => dialect.has_new_encoding(),
                OldCalls => !dialect.has_static_calls(),
                StaticCalls => dialect.has_static_calls(),
                Jmp32 => dialect.has_jmp32(),
                CallxInImm => !dialect.has_new_encoding() && !dialect.has_jmp32(),
            }
    }
}

/// The fields that an operation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No field (`exit`).
    Nothing,
    /// `dst`
    Dst,
    /// `dst`, `src`
    DstSrc,
    /// `dst`, `imm`
    DstImm,
    /// `dst`, `imm`, zero-extended though the operation has 64 bits.
    DstZeroImm,
    /// `dst`, `imm` as the high half of 64 bits.
    DstHigh,
    /// `dst`, and 64 bits from `imm` of two slots (`lddw`).
    WideImm,
    /// `dst`, `[src + offset]`
    Load,
    /// `[dst + offset]`, `imm`
    StoreImm,
    /// `[dst + offset]`, `src`
    StoreReg,
    /// Distance in `offset`.
    Jump,
    /// `dst`, `imm`, distance in `offset`.
    BranchImm,
    /// `dst`, `src`, distance in `offset`.
    BranchReg,
    /// `imm` is the hash of a system call's name or the key of a function; system calls come first.
    CallHash,
    /// `imm` is the hash of a system call's name.
    CallSyscall,
    /// Distance in `imm`.
    CallRelative,
    /// No field: there is nothing to call.
    CallNothing,
    /// Register in `imm`.
    CallImm,
    /// Register in `src`.
    CallSrc,
    /// Register in `dst`.
    CallDst,
}

/// One row of the opcode table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The versions that have it.
    pub when: When,
    /// The first byte of the instruction.
    pub opcode: u8,
    /// What else selects this row.
    pub variant: Variant,
    /// Its name; register and immediate forms share it.
    pub mnemonic: &'static str,
    /// The fields that it uses.
    pub shape: Shape,
    /// What it is lowered to. Of calls by number: what a number that means nothing is lowered to.
    pub op: Op,
}

const fn row(
    when: When,
    opcode: u8,
    variant: Variant,
    mnemonic: &'static str,
    shape: Shape,
    op: Op,
) -> Row {
    Row {
        when,
        opcode,
        variant,
        mnemonic,
        shape,
        op,
    }
}

/// Every operation of sBPF. Where several rows fit an instruction, the first is meant.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // Arithmetic, 32 bits. Before SIMD-0174 sums, differences and products are sign-extended.
    row(OldArithmetic, 0x04, Plain, "add32", DstImm, Alu(W32, AddSx, Imm)),
    row(OldArithmetic, 0x0c, Plain, "add32", DstSrc, Alu(W32, AddSx, Reg)),
    row(NewArithmetic, 0x04, Plain, "add32", DstImm, Alu(W32, Add, Imm)),
    row(NewArithmetic, 0x0c, Plain, "add32", DstSrc, Alu(W32, Add, Reg)),
    row(OldArithmetic, 0x14, Plain, "sub32", DstImm, Alu(W32, SubSx, Imm)),
    row(OldArithmetic, 0x1c, Plain, "sub32", DstSrc, Alu(W32, SubSx, Reg)),
    row(NewArithmetic, 0x14, Plain, "sub32", DstImm, Alu(W32, ReverseSub, Imm)),
    row(NewArithmetic, 0x1c, Plain, "sub32", DstSrc, Alu(W32, Sub, Reg)),
    row(OldArithmetic, 0x24, Plain, "mul32", DstImm, Alu(W32, MulSx, Imm)),
    row(OldArithmetic, 0x2c, Plain, "mul32", DstSrc, Alu(W32, MulSx, Reg)),
    row(OldArithmetic, 0x34, Plain, "div32", DstImm, Alu(W32, Div, Imm)),
    row(OldArithmetic, 0x3c, Plain, "div32", DstSrc, Alu(W32, DivTrap, Reg)),
    row(Always, 0x44, Plain, "or32", DstImm, Alu(W32, Or, Imm)),
    row(Always, 0x4c, Plain, "or32", DstSrc, Alu(W32, Or, Reg)),
    row(Always, 0x54, Plain, "and32", DstImm, Alu(W32, And, Imm)),
    row(Always, 0x5c, Plain, "and32", DstSrc, Alu(W32, And, Reg)),
    row(Always, 0x64, Plain, "lsh32", DstImm, Alu(W32, Lsh, Imm)),
    row(Always, 0x6c, Plain, "lsh32", DstSrc, Alu(W32, Lsh, Reg)),
    row(Always, 0x74, Plain, "rsh32", DstImm, Alu(W32, Rsh, Imm)),
    row(Always, 0x7c, Plain, "rsh32", DstSrc, Alu(W32, Rsh, Reg)),
    row(OldArithmetic, 0x84, Plain, "neg32", Dst, Alu(W32, Neg, Imm)),
    row(OldArithmetic, 0x94, Plain, "mod32", DstImm, Alu(W32, Mod, Imm)),
    row(OldArithmetic, 0x9c, Plain, "mod32", DstSrc, Alu(W32, ModTrap, Reg)),
    row(Always, 0xa4, Plain, "xor32", DstImm, Alu(W32, Xor, Imm)),
    row(Always, 0xac, Plain, "xor32", DstSrc, Alu(W32, Xor, Reg)),
    row(Always, 0xb4, Plain, "mov32", DstImm, Alu(W32, Mov, Imm)),
    row(OldArithmetic, 0xbc, Plain, "mov32", DstSrc, Alu(W32, Mov, Reg)),
    row(NewArithmetic, 0xbc, Plain, "mov32", DstSrc, MovSx(W64, B4)),
    row(Always, 0xc4, Plain, "arsh32", DstImm, Alu(W32, Arsh, Imm)),
    row(Always, 0xcc, Plain, "arsh32", DstSrc, Alu(W32, Arsh, Reg)),
    // Arithmetic, 64 bits.
    row(Always, 0x07, Plain, "add64", DstImm, Alu(W64, Add, Imm)),
    row(Always, 0x0f, Plain, "add64", DstSrc, Alu(W64, Add, Reg)),
    row(OldArithmetic, 0x17, Plain, "sub64", DstImm, Alu(W64, Sub, Imm)),
    row(NewArithmetic, 0x17, Plain, "sub64", DstImm, Alu(W64, ReverseSub, Imm)),
    row(Always, 0x1f, Plain, "sub64", DstSrc, Alu(W64, Sub, Reg)),
    row(OldArithmetic, 0x27, Plain, "mul64", DstImm, Alu(W64, Mul, Imm)),
    row(OldArithmetic, 0x2f, Plain, "mul64", DstSrc, Alu(W64, Mul, Reg)),
    row(OldArithmetic, 0x37, Plain, "div64", DstImm, Alu(W64, Div, Imm)),
    row(OldArithmetic, 0x3f, Plain, "div64", DstSrc, Alu(W64, DivTrap, Reg)),
    row(Always, 0x47, Plain, "or64", DstImm, Alu(W64, Or, Imm)),
    row(Always, 0x4f, Plain, "or64", DstSrc, Alu(W64, Or, Reg)),
    row(Always, 0x57, Plain, "and64", DstImm, Alu(W64, And, Imm)),
    row(Always, 0x5f, Plain, "and64", DstSrc, Alu(W64, And, Reg)),
    row(Always, 0x67, Plain, "lsh64", DstImm, Alu(W64, Lsh, Imm)),
    row(Always, 0x6f, Plain, "lsh64", DstSrc, Alu(W64, Lsh, Reg)),
    row(Always, 0x77, Plain, "rsh64", DstImm, Alu(W64, Rsh, Imm)),
    row(Always, 0x7f, Plain, "rsh64", DstSrc, Alu(W64, Rsh, Reg)),
    row(OldArithmetic, 0x87, Plain, "neg64", Dst, Alu(W64, Neg, Imm)),
    row(OldArithmetic, 0x97, Plain, "mod64", DstImm, Alu(W64, Mod, Imm)),
    row(OldArithmetic, 0x9f, Plain, "mod64", DstSrc, Alu(W64, ModTrap, Reg)),
    row(Always, 0xa7, Plain, "xor64", DstImm, Alu(W64, Xor, Imm)),
    row(Always, 0xaf, Plain, "xor64", DstSrc, Alu(W64, Xor, Reg)),
    row(Always, 0xb7, Plain, "mov64", DstImm, Alu(W64, Mov, Imm)),
    row(Always, 0xbf, Plain, "mov64", DstSrc, Alu(W64, Mov, Reg)),
    row(Always, 0xc7, Plain, "arsh64", DstImm, Alu(W64, Arsh, Imm)),
    row(Always, 0xcf, Plain, "arsh64", DstSrc, Alu(W64, Arsh, Reg)),
    row(NewEncoding, 0xf7, Plain, "hor64", DstHigh, Alu(W64, Or, Imm)),
    // Products, quotients and remainders of SIMD-0174.
    row(NewArithmetic, 0x86, Plain, "lmul32", DstImm, Alu(W32, Mul, Imm)),
    row(NewArithmetic, 0x8e, Plain, "lmul32", DstSrc, Alu(W32, Mul, Reg)),
    row(NewArithmetic, 0x96, Plain, "lmul64", DstImm, Alu(W64, Mul, Imm)),
    row(NewArithmetic, 0x9e, Plain, "lmul64", DstSrc, Alu(W64, Mul, Reg)),
    row(NewArithmetic, 0x36, Plain, "uhmul64", DstZeroImm, Alu(W64, MulHigh, Imm)),
    row(NewArithmetic, 0x3e, Plain, "uhmul64", DstSrc, Alu(W64, MulHigh, Reg)),
    row(NewArithmetic, 0xb6, Plain, "shmul64", DstImm, Alu(W64, MulHighSigned, Imm)),
    row(NewArithmetic, 0xbe, Plain, "shmul64", DstSrc, Alu(W64, MulHighSigned, Reg)),
    row(NewArithmetic, 0x46, Plain, "udiv32", DstImm, Alu(W32, Div, Imm)),
    row(NewArithmetic, 0x4e, Plain, "udiv32", DstSrc, Alu(W32, DivTrap, Reg)),
    row(NewArithmetic, 0x56, Plain, "udiv64", DstZeroImm, Alu(W64, Div, Imm)),
    row(NewArithmetic, 0x5e, Plain, "udiv64", DstSrc, Alu(W64, DivTrap, Reg)),
    row(NewArithmetic, 0x66, Plain, "urem32", DstImm, Alu(W32, Mod, Imm)),
    row(NewArithmetic, 0x6e, Plain, "urem32", DstSrc, Alu(W32, ModTrap, Reg)),
    row(NewArithmetic, 0x76, Plain, "urem64", DstZeroImm, Alu(W64, Mod, Imm)),
    row(NewArithmetic, 0x7e, Plain, "urem64", DstSrc, Alu(W64, ModTrap, Reg)),
    row(NewArithmetic, 0xc6, Plain, "sdiv32", DstImm, Alu(W32, SdivTrap, Imm)),
    row(NewArithmetic, 0xce, Plain, "sdiv32", DstSrc, Alu(W32, SdivTrap, Reg)),
    row(NewArithmetic, 0xd6, Plain, "sdiv64", DstImm, Alu(W64, SdivTrap, Imm)),
    row(NewArithmetic, 0xde, Plain, "sdiv64", DstSrc, Alu(W64, SdivTrap, Reg)),
    row(NewArithmetic, 0xe6, Plain, "srem32", DstImm, Alu(W32, SmodTrap, Imm)),
    row(NewArithmetic, 0xee, Plain, "srem32", DstSrc, Alu(W32, SmodTrap, Reg)),
    row(NewArithmetic, 0xf6, Plain, "srem64", DstImm, Alu(W64, SmodTrap, Imm)),
    row(NewArithmetic, 0xfe, Plain, "srem64", DstSrc, Alu(W64, SmodTrap, Reg)),
    // Byte order.
    row(OldEncoding, 0xd4, Field(16), "le16", Dst, ZeroExtend(B2)),
    row(OldEncoding, 0xd4, Field(32), "le32", Dst, ZeroExtend(B4)),
    row(OldEncoding, 0xd4, Field(64), "le64", Dst, ZeroExtend(B8)),
    row(Always, 0xdc, Field(16), "be16", Dst, ByteSwap(B2)),
    row(Always, 0xdc, Field(32), "be32", Dst, ByteSwap(B4)),
    row(Always, 0xdc, Field(64), "be64", Dst, ByteSwap(B8)),
    // Jumps.
    row(Always, 0x05, Plain, "ja", Jump, Op::Jump),
    row(Always, 0x15, Plain, "jeq", BranchImm, Branch(W64, Eq, Imm)),
    row(Always, 0x1d, Plain, "jeq", BranchReg, Branch(W64, Eq, Reg)),
    row(Jmp32, 0x16, Plain, "jeq32", BranchImm, Branch(W32, Eq, Imm)),
    row(Jmp32, 0x1e, Plain, "jeq32", BranchReg, Branch(W32, Eq, Reg)),
    row(Always, 0x25, Plain, "jgt", BranchImm, Branch(W64, Gt, Imm)),
    row(Always, 0x2d, Plain, "jgt", BranchReg, Branch(W64, Gt, Reg)),
    row(Jmp32, 0x26, Plain, "jgt32", BranchImm, Branch(W32, Gt, Imm)),
    row(Jmp32, 0x2e, Plain, "jgt32", BranchReg, Branch(W32, Gt, Reg)),
    row(Always, 0x35, Plain, "jge", BranchImm, Branch(W64, Ge, Imm)),
    row(Always, 0x3d, Plain, "jge", BranchReg, Branch(W64, Ge, Reg)),
    row(Jmp32, 0x36, Plain, "jge32", BranchImm, Branch(W32, Ge, Imm)),
    row(Jmp32, 0x3e, Plain, "jge32", BranchReg, Branch(W32, Ge, Reg)),
    row(Always, 0x45, Plain, "jset", BranchImm, Branch(W64, Set, Imm)),
    row(Always, 0x4d, Plain, "jset", BranchReg, Branch(W64, Set, Reg)),
    row(Jmp32, 0x46, Plain, "jset32", BranchImm, Branch(W32, Set, Imm)),
    row(Jmp32, 0x4e, Plain, "jset32", BranchReg, Branch(W32, Set, Reg)),
    row(Always, 0x55, Plain, "jne", BranchImm, Branch(W64, Ne, Imm)),
    row(Always, 0x5d, Plain, "jne", BranchReg, Branch(W64, Ne, Reg)),
    row(Jmp32, 0x56, Plain, "jne32", BranchImm, Branch(W32, Ne, Imm)),
    row(Jmp32, 0x5e, Plain, "jne32", BranchReg, Branch(W32, Ne, Reg)),
    row(Always, 0x65, Plain, "jsgt", BranchImm, Branch(W64, Sgt, Imm)),
    row(Always, 0x6d, Plain, "jsgt", BranchReg, Branch(W64, Sgt, Reg)),
    row(Jmp32, 0x66, Plain, "jsgt32", BranchImm, Branch(W32, Sgt, Imm)),
    row(Jmp32, 0x6e, Plain, "jsgt32", BranchReg, Branch(W32, Sgt, Reg)),
    row(Always, 0x75, Plain, "jsge", BranchImm, Branch(W64, Sge, Imm)),
    row(Always, 0x7d, Plain, "jsge", BranchReg, Branch(W64, Sge, Reg)),
    row(Jmp32, 0x76, Plain, "jsge32", BranchImm, Branch(W32, Sge, Imm)),
    row(Jmp32, 0x7e, Plain, "jsge32", BranchReg, Branch(W32, Sge, Reg)),
    row(Always, 0xa5, Plain, "jlt", BranchImm, Branch(W64, Lt, Imm)),
    row(Always, 0xad, Plain, "jlt", BranchReg, Branch(W64, Lt, Reg)),
    row(Jmp32, 0xa6, Plain, "jlt32", BranchImm, Branch(W32, Lt, Imm)),
    row(Jmp32, 0xae, Plain, "jlt32", BranchReg, Branch(W32, Lt, Reg)),
    row(Always, 0xb5, Plain, "jle", BranchImm, Branch(W64, Le, Imm)),
    row(Always, 0xbd, Plain, "jle", BranchReg, Branch(W64, Le, Reg)),
    row(Jmp32, 0xb6, Plain, "jle32", BranchImm, Branch(W32, Le, Imm)),
    row(Jmp32, 0xbe, Plain, "jle32", BranchReg, Branch(W32, Le, Reg)),
    row(Always, 0xc5, Plain, "jslt", BranchImm, Branch(W64, Slt, Imm)),
    row(Always, 0xcd, Plain, "jslt", BranchReg, Branch(W64, Slt, Reg)),
    row(Jmp32, 0xc6, Plain, "jslt32", BranchImm, Branch(W32, Slt, Imm)),
    row(Jmp32, 0xce, Plain, "jslt32", BranchReg, Branch(W32, Slt, Reg)),
    row(Always, 0xd5, Plain, "jsle", BranchImm, Branch(W64, Sle, Imm)),
    row(Always, 0xdd, Plain, "jsle", BranchReg, Branch(W64, Sle, Reg)),
    row(Jmp32, 0xd6, Plain, "jsle32", BranchImm, Branch(W32, Sle, Imm)),
    row(Jmp32, 0xde, Plain, "jsle32", BranchReg, Branch(W32, Sle, Reg)),
    // Calls and exit.
    row(OldCalls, 0x85, Plain, "call", CallHash, Unresolved),
    row(StaticCalls, 0x85, Source(0), "syscall", CallSyscall, Unresolved),
    row(StaticCalls, 0x85, Source(1), "call", CallRelative, Unresolved),
    row(StaticCalls, 0x85, Plain, "call", CallNothing, Unresolved),
    row(CallxInImm, 0x8d, Plain, "callx", CallImm, CallAddress),
    row(NewEncoding, 0x8d, Plain, "callx", CallSrc, CallAddress),
    row(Jmp32, 0x8d, Plain, "callx", CallDst, CallAddress),
    row(Always, 0x95, Plain, "exit", Nothing, Exit),
    // Loads and stores.
    row(OldEncoding, 0x18, Plain, "lddw", WideImm, Alu(W64, Mov, Imm)),
    row(OldEncoding, 0x71, Plain, "ldxb", Load, Op::Load(B1, false)),
    row(NewEncoding, 0x2c, Plain, "ldxb", Load, Op::Load(B1, false)),
    row(OldEncoding, 0x69, Plain, "ldxh", Load, Op::Load(B2, false)),
    row(NewEncoding, 0x3c, Plain, "ldxh", Load, Op::Load(B2, false)),
    row(OldEncoding, 0x61, Plain, "ldxw", Load, Op::Load(B4, false)),
    row(NewEncoding, 0x8c, Plain, "ldxw", Load, Op::Load(B4, false)),
    row(OldEncoding, 0x79, Plain, "ldxdw", Load, Op::Load(B8, false)),
    row(NewEncoding, 0x9c, Plain, "ldxdw", Load, Op::Load(B8, false)),
    row(OldEncoding, 0x72, Plain, "stb", StoreImm, Store(B1, Imm)),
    row(NewEncoding, 0x27, Plain, "stb", StoreImm, Store(B1, Imm)),
    row(OldEncoding, 0x6a, Plain, "sth", StoreImm, Store(B2, Imm)),
    row(NewEncoding, 0x37, Plain, "sth", StoreImm, Store(B2, Imm)),
    row(OldEncoding, 0x62, Plain, "stw", StoreImm, Store(B4, Imm)),
    row(NewEncoding, 0x87, Plain, "stw", StoreImm, Store(B4, Imm)),
    row(OldEncoding, 0x7a, Plain, "stdw", StoreImm, Store(B8, Imm)),
    row(NewEncoding, 0x97, Plain, "stdw", StoreImm, Store(B8, Imm)),
    row(OldEncoding, 0x73, Plain, "stxb", StoreReg, Store(B1, Reg)),
    row(NewEncoding, 0x2f, Plain, "stxb", StoreReg, Store(B1, Reg)),
    row(OldEncoding, 0x6b, Plain, "stxh", StoreReg, Store(B2, Reg)),
    row(NewEncoding, 0x3f, Plain, "stxh", StoreReg, Store(B2, Reg)),
    row(OldEncoding, 0x63, Plain, "stxw", StoreReg, Store(B4, Reg)),
    row(NewEncoding, 0x8f, Plain, "stxw", StoreReg, Store(B4, Reg)),
    row(OldEncoding, 0x7b, Plain, "stxdw", StoreReg, Store(B8, Reg)),
    row(NewEncoding, 0x9f, Plain, "stxdw", StoreReg, Store(B8, Reg)),
];

/// The rows that a dialect has.
pub fn rows(dialect: Dialect) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.when.holds(dialect))
}

/// The row that an instruction with these fields selects.
#[must_use]
pub fn find(dialect: Dialect, opcode: u8, src: u8, imm: i32) -> Option<&'static Row> {
    // The opcode rules out nearly every row, so it comes first.
    ROWS.iter().find(|row| {
        row.opcode == opcode
            && row.when.holds(dialect)
            && match row.variant {
                Plain | Variant::Offset(_) => true,
                Field(value) => value == imm,
                Source(value) => value == src,
            }
    })
}

/// Whether any row of the dialect has this opcode byte.
#[must_use]
pub fn has_opcode(dialect: Dialect, opcode: u8) -> bool {
    rows(dialect).any(|row| row.opcode == opcode)
}

/// The mnemonic of a canonical operation: that of the dialect's first row.
#[must_use]
pub fn mnemonic(dialect: Dialect, op: Op) -> &'static str {
    match op {
        Op::Call | Op::Unresolved => "call",
        Op::Syscall(_) | Op::Unprovable => "syscall",
        _ => rows(dialect)
            .find(|row| row.op == op)
            .map_or("none", |row| row.mnemonic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_hides_another() {
        for dialect in Dialect::ALL {
            let all: Vec<&Row> = rows(dialect).collect();
            for (index, row) in all.iter().enumerate() {
                let hidden = all[..index].iter().any(|earlier| {
                    earlier.opcode == row.opcode
                        && (earlier.variant == row.variant || earlier.variant == Plain)
                });
                assert!(!hidden, "{dialect:?}: {row:?}");
            }
        }
        assert_eq!(rows(Dialect::Ebpf).count(), 0);
    }

    #[test]
    fn every_row_belongs_to_a_version() {
        for row in ROWS {
            assert!(
                Dialect::ALL.iter().any(|dialect| row.when.holds(*dialect)),
                "{row:?}"
            );
        }
    }
}
