//! The opcode table of eBPF (RFC 9669, cpu v1 to v4). Lowering, mnemonics and the tests read it.
//! sBPF's is in [`sbpf`].

pub mod sbpf;

use crate::canonical::AluOp::{
    Add, And, Arsh, Div, Lsh, Mod, Mov, Mul, Neg, Or, Rsh, Sdiv, Smod, Sub, Xor,
};
use crate::canonical::AtomicOp::{self, CmpXchg, Xchg};
use crate::canonical::Cond::{Eq, Ge, Gt, Le, Lt, Ne, Set, Sge, Sgt, Sle, Slt};
use crate::canonical::Op::{
    self, Alu, Branch, ByteSwap, Call, Exit, HelperIdentity, MovSx, Store, ZeroExtend,
};
use crate::canonical::Size::{B1, B2, B4, B8};
use crate::canonical::Source::{Imm, Reg};
use crate::canonical::Width::{W32, W64};
use Shape::{
    Atomic, BranchImm, BranchReg, CallHelper, CallLocal, CallReg, Dst, DstImm, DstSrc, Jump,
    JumpLong, Load, Nothing, StoreImm, StoreReg, WideImm,
};
use Variant::{Field, Offset, Plain, Source};

/// Which field, besides the opcode byte, selects the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// None does.
    Plain,
    /// The offset field has this value.
    Offset(i16),
    /// The immediate field has this value.
    Field(i32),
    /// The source register field has this value.
    Source(u8),
}

/// The fields that an operation uses; every other field must be zero (RFC 9669 section 3).
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
    /// `dst`, and 64 bits from `imm` of two slots (`lddw`).
    WideImm,
    /// `dst`, `[src + offset]`
    Load,
    /// `[dst + offset]`, `imm`
    StoreImm,
    /// `[dst + offset]`, `src`
    StoreReg,
    /// `[dst + offset]`, `src`; `imm` selects the operation.
    Atomic,
    /// Distance in `offset`.
    Jump,
    /// Distance in `imm`.
    JumpLong,
    /// `dst`, `imm`, distance in `offset`.
    BranchImm,
    /// `dst`, `src`, distance in `offset`.
    BranchReg,
    /// Number of a helper in `imm`.
    CallHelper,
    /// Distance in `imm`.
    CallLocal,
    /// Register in `dst` (or, as older compilers write it, in `imm`).
    CallReg,
}

/// One row of the opcode table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The first byte of the instruction.
    pub opcode: u8,
    /// What else selects this row.
    pub variant: Variant,
    /// Its name; register and immediate forms share it.
    pub mnemonic: &'static str,
    /// The fields that it uses.
    pub shape: Shape,
    /// What it is lowered to.
    pub op: Op,
}

const fn row(opcode: u8, variant: Variant, mnemonic: &'static str, shape: Shape, op: Op) -> Row {
    Row {
        opcode,
        variant,
        mnemonic,
        shape,
        op,
    }
}

/// Every operation of eBPF.
#[rustfmt::skip]
pub const ROWS: [Row; 158] = [
    // Arithmetic, 32 bits (RFC 9669 section 4.1).
    row(0x04, Plain, "add32", DstImm, Alu(W32, Add, Imm)),
    row(0x0c, Plain, "add32", DstSrc, Alu(W32, Add, Reg)),
    row(0x14, Plain, "sub32", DstImm, Alu(W32, Sub, Imm)),
    row(0x1c, Plain, "sub32", DstSrc, Alu(W32, Sub, Reg)),
    row(0x24, Plain, "mul32", DstImm, Alu(W32, Mul, Imm)),
    row(0x2c, Plain, "mul32", DstSrc, Alu(W32, Mul, Reg)),
    row(0x34, Offset(0), "div32", DstImm, Alu(W32, Div, Imm)),
    row(0x3c, Offset(0), "div32", DstSrc, Alu(W32, Div, Reg)),
    row(0x34, Offset(1), "sdiv32", DstImm, Alu(W32, Sdiv, Imm)),
    row(0x3c, Offset(1), "sdiv32", DstSrc, Alu(W32, Sdiv, Reg)),
    row(0x44, Plain, "or32", DstImm, Alu(W32, Or, Imm)),
    row(0x4c, Plain, "or32", DstSrc, Alu(W32, Or, Reg)),
    row(0x54, Plain, "and32", DstImm, Alu(W32, And, Imm)),
    row(0x5c, Plain, "and32", DstSrc, Alu(W32, And, Reg)),
    row(0x64, Plain, "lsh32", DstImm, Alu(W32, Lsh, Imm)),
    row(0x6c, Plain, "lsh32", DstSrc, Alu(W32, Lsh, Reg)),
    row(0x74, Plain, "rsh32", DstImm, Alu(W32, Rsh, Imm)),
    row(0x7c, Plain, "rsh32", DstSrc, Alu(W32, Rsh, Reg)),
    row(0x84, Plain, "neg32", Dst, Alu(W32, Neg, Imm)),
    row(0x94, Offset(0), "mod32", DstImm, Alu(W32, Mod, Imm)),
    row(0x9c, Offset(0), "mod32", DstSrc, Alu(W32, Mod, Reg)),
    row(0x94, Offset(1), "smod32", DstImm, Alu(W32, Smod, Imm)),
    row(0x9c, Offset(1), "smod32", DstSrc, Alu(W32, Smod, Reg)),
    row(0xa4, Plain, "xor32", DstImm, Alu(W32, Xor, Imm)),
    row(0xac, Plain, "xor32", DstSrc, Alu(W32, Xor, Reg)),
    row(0xb4, Plain, "mov32", DstImm, Alu(W32, Mov, Imm)),
    row(0xbc, Offset(0), "mov32", DstSrc, Alu(W32, Mov, Reg)),
    row(0xbc, Offset(8), "movsx32_8", DstSrc, MovSx(W32, B1)),
    row(0xbc, Offset(16), "movsx32_16", DstSrc, MovSx(W32, B2)),
    row(0xc4, Plain, "arsh32", DstImm, Alu(W32, Arsh, Imm)),
    row(0xcc, Plain, "arsh32", DstSrc, Alu(W32, Arsh, Reg)),
    // Arithmetic, 64 bits (RFC 9669 section 4.1).
    row(0x07, Plain, "add64", DstImm, Alu(W64, Add, Imm)),
    row(0x0f, Plain, "add64", DstSrc, Alu(W64, Add, Reg)),
    row(0x17, Plain, "sub64", DstImm, Alu(W64, Sub, Imm)),
    row(0x1f, Plain, "sub64", DstSrc, Alu(W64, Sub, Reg)),
    row(0x27, Plain, "mul64", DstImm, Alu(W64, Mul, Imm)),
    row(0x2f, Plain, "mul64", DstSrc, Alu(W64, Mul, Reg)),
    row(0x37, Offset(0), "div64", DstImm, Alu(W64, Div, Imm)),
    row(0x3f, Offset(0), "div64", DstSrc, Alu(W64, Div, Reg)),
    row(0x37, Offset(1), "sdiv64", DstImm, Alu(W64, Sdiv, Imm)),
    row(0x3f, Offset(1), "sdiv64", DstSrc, Alu(W64, Sdiv, Reg)),
    row(0x47, Plain, "or64", DstImm, Alu(W64, Or, Imm)),
    row(0x4f, Plain, "or64", DstSrc, Alu(W64, Or, Reg)),
    row(0x57, Plain, "and64", DstImm, Alu(W64, And, Imm)),
    row(0x5f, Plain, "and64", DstSrc, Alu(W64, And, Reg)),
    row(0x67, Plain, "lsh64", DstImm, Alu(W64, Lsh, Imm)),
    row(0x6f, Plain, "lsh64", DstSrc, Alu(W64, Lsh, Reg)),
    row(0x77, Plain, "rsh64", DstImm, Alu(W64, Rsh, Imm)),
    row(0x7f, Plain, "rsh64", DstSrc, Alu(W64, Rsh, Reg)),
    row(0x87, Plain, "neg64", Dst, Alu(W64, Neg, Imm)),
    row(0x97, Offset(0), "mod64", DstImm, Alu(W64, Mod, Imm)),
    row(0x9f, Offset(0), "mod64", DstSrc, Alu(W64, Mod, Reg)),
    row(0x97, Offset(1), "smod64", DstImm, Alu(W64, Smod, Imm)),
    row(0x9f, Offset(1), "smod64", DstSrc, Alu(W64, Smod, Reg)),
    row(0xa7, Plain, "xor64", DstImm, Alu(W64, Xor, Imm)),
    row(0xaf, Plain, "xor64", DstSrc, Alu(W64, Xor, Reg)),
    row(0xb7, Plain, "mov64", DstImm, Alu(W64, Mov, Imm)),
    row(0xbf, Offset(0), "mov64", DstSrc, Alu(W64, Mov, Reg)),
    row(0xbf, Offset(8), "movsx64_8", DstSrc, MovSx(W64, B1)),
    row(0xbf, Offset(16), "movsx64_16", DstSrc, MovSx(W64, B2)),
    row(0xbf, Offset(32), "movsx64_32", DstSrc, MovSx(W64, B4)),
    row(0xc7, Plain, "arsh64", DstImm, Alu(W64, Arsh, Imm)),
    row(0xcf, Plain, "arsh64", DstSrc, Alu(W64, Arsh, Reg)),
    // Byte order (RFC 9669 section 4.2).
    row(0xd4, Field(16), "le16", Dst, ZeroExtend(B2)),
    row(0xd4, Field(32), "le32", Dst, ZeroExtend(B4)),
    row(0xd4, Field(64), "le64", Dst, ZeroExtend(B8)),
    row(0xdc, Field(16), "be16", Dst, ByteSwap(B2)),
    row(0xdc, Field(32), "be32", Dst, ByteSwap(B4)),
    row(0xdc, Field(64), "be64", Dst, ByteSwap(B8)),
    row(0xd7, Field(16), "bswap16", Dst, ByteSwap(B2)),
    row(0xd7, Field(32), "bswap32", Dst, ByteSwap(B4)),
    row(0xd7, Field(64), "bswap64", Dst, ByteSwap(B8)),
    // Jumps (RFC 9669 section 4.3).
    row(0x05, Plain, "ja", Jump, Op::Jump),
    row(0x06, Plain, "ja32", JumpLong, Op::Jump),
    row(0x15, Plain, "jeq", BranchImm, Branch(W64, Eq, Imm)),
    row(0x1d, Plain, "jeq", BranchReg, Branch(W64, Eq, Reg)),
    row(0x16, Plain, "jeq32", BranchImm, Branch(W32, Eq, Imm)),
    row(0x1e, Plain, "jeq32", BranchReg, Branch(W32, Eq, Reg)),
    row(0x25, Plain, "jgt", BranchImm, Branch(W64, Gt, Imm)),
    row(0x2d, Plain, "jgt", BranchReg, Branch(W64, Gt, Reg)),
    row(0x26, Plain, "jgt32", BranchImm, Branch(W32, Gt, Imm)),
    row(0x2e, Plain, "jgt32", BranchReg, Branch(W32, Gt, Reg)),
    row(0x35, Plain, "jge", BranchImm, Branch(W64, Ge, Imm)),
    row(0x3d, Plain, "jge", BranchReg, Branch(W64, Ge, Reg)),
    row(0x36, Plain, "jge32", BranchImm, Branch(W32, Ge, Imm)),
    row(0x3e, Plain, "jge32", BranchReg, Branch(W32, Ge, Reg)),
    row(0x45, Plain, "jset", BranchImm, Branch(W64, Set, Imm)),
    row(0x4d, Plain, "jset", BranchReg, Branch(W64, Set, Reg)),
    row(0x46, Plain, "jset32", BranchImm, Branch(W32, Set, Imm)),
    row(0x4e, Plain, "jset32", BranchReg, Branch(W32, Set, Reg)),
    row(0x55, Plain, "jne", BranchImm, Branch(W64, Ne, Imm)),
    row(0x5d, Plain, "jne", BranchReg, Branch(W64, Ne, Reg)),
    row(0x56, Plain, "jne32", BranchImm, Branch(W32, Ne, Imm)),
    row(0x5e, Plain, "jne32", BranchReg, Branch(W32, Ne, Reg)),
    row(0x65, Plain, "jsgt", BranchImm, Branch(W64, Sgt, Imm)),
    row(0x6d, Plain, "jsgt", BranchReg, Branch(W64, Sgt, Reg)),
    row(0x66, Plain, "jsgt32", BranchImm, Branch(W32, Sgt, Imm)),
    row(0x6e, Plain, "jsgt32", BranchReg, Branch(W32, Sgt, Reg)),
    row(0x75, Plain, "jsge", BranchImm, Branch(W64, Sge, Imm)),
    row(0x7d, Plain, "jsge", BranchReg, Branch(W64, Sge, Reg)),
    row(0x76, Plain, "jsge32", BranchImm, Branch(W32, Sge, Imm)),
    row(0x7e, Plain, "jsge32", BranchReg, Branch(W32, Sge, Reg)),
    row(0xa5, Plain, "jlt", BranchImm, Branch(W64, Lt, Imm)),
    row(0xad, Plain, "jlt", BranchReg, Branch(W64, Lt, Reg)),
    row(0xa6, Plain, "jlt32", BranchImm, Branch(W32, Lt, Imm)),
    row(0xae, Plain, "jlt32", BranchReg, Branch(W32, Lt, Reg)),
    row(0xb5, Plain, "jle", BranchImm, Branch(W64, Le, Imm)),
    row(0xbd, Plain, "jle", BranchReg, Branch(W64, Le, Reg)),
    row(0xb6, Plain, "jle32", BranchImm, Branch(W32, Le, Imm)),
    row(0xbe, Plain, "jle32", BranchReg, Branch(W32, Le, Reg)),
    row(0xc5, Plain, "jslt", BranchImm, Branch(W64, Slt, Imm)),
    row(0xcd, Plain, "jslt", BranchReg, Branch(W64, Slt, Reg)),
    row(0xc6, Plain, "jslt32", BranchImm, Branch(W32, Slt, Imm)),
    row(0xce, Plain, "jslt32", BranchReg, Branch(W32, Slt, Reg)),
    row(0xd5, Plain, "jsle", BranchImm, Branch(W64, Sle, Imm)),
    row(0xdd, Plain, "jsle", BranchReg, Branch(W64, Sle, Reg)),
    row(0xd6, Plain, "jsle32", BranchImm, Branch(W32, Sle, Imm)),
    row(0xde, Plain, "jsle32", BranchReg, Branch(W32, Sle, Reg)),
    // Calls and exit (RFC 9669 section 4.3.1).
    row(0x85, Source(0), "call_helper", CallHelper, HelperIdentity),
    row(0x85, Source(1), "call", CallLocal, Call),
    row(0x8d, Plain, "callx", CallReg, Op::CallReg),
    row(0x95, Plain, "exit", Nothing, Exit),
    // Loads and stores (RFC 9669 sections 5.1, 5.2 and 5.4).
    row(0x18, Source(0), "lddw", WideImm, Alu(W64, Mov, Imm)),
    row(0x71, Plain, "ldxb", Load, Op::Load(B1, false)),
    row(0x91, Plain, "ldxsb", Load, Op::Load(B1, true)),
    row(0x72, Plain, "stb", StoreImm, Store(B1, Imm)),
    row(0x73, Plain, "stxb", StoreReg, Store(B1, Reg)),
    row(0x69, Plain, "ldxh", Load, Op::Load(B2, false)),
    row(0x89, Plain, "ldxsh", Load, Op::Load(B2, true)),
    row(0x6a, Plain, "sth", StoreImm, Store(B2, Imm)),
    row(0x6b, Plain, "stxh", StoreReg, Store(B2, Reg)),
    row(0x61, Plain, "ldxw", Load, Op::Load(B4, false)),
    row(0x81, Plain, "ldxsw", Load, Op::Load(B4, true)),
    row(0x62, Plain, "stw", StoreImm, Store(B4, Imm)),
    row(0x63, Plain, "stxw", StoreReg, Store(B4, Reg)),
    row(0x79, Plain, "ldxdw", Load, Op::Load(B8, false)),
    row(0x7a, Plain, "stdw", StoreImm, Store(B8, Imm)),
    row(0x7b, Plain, "stxdw", StoreReg, Store(B8, Reg)),
    // Atomic operations (RFC 9669 section 5.3).
    row(0xc3, Field(0x00), "atomic_add32", Atomic, Op::Atomic(B4, AtomicOp::Add, false)),
    row(0xc3, Field(0x01), "atomic_fetch_add32", Atomic, Op::Atomic(B4, AtomicOp::Add, true)),
    row(0xc3, Field(0x40), "atomic_or32", Atomic, Op::Atomic(B4, AtomicOp::Or, false)),
    row(0xc3, Field(0x41), "atomic_fetch_or32", Atomic, Op::Atomic(B4, AtomicOp::Or, true)),
    row(0xc3, Field(0x50), "atomic_and32", Atomic, Op::Atomic(B4, AtomicOp::And, false)),
    row(0xc3, Field(0x51), "atomic_fetch_and32", Atomic, Op::Atomic(B4, AtomicOp::And, true)),
    row(0xc3, Field(0xa0), "atomic_xor32", Atomic, Op::Atomic(B4, AtomicOp::Xor, false)),
    row(0xc3, Field(0xa1), "atomic_fetch_xor32", Atomic, Op::Atomic(B4, AtomicOp::Xor, true)),
    row(0xc3, Field(0xe1), "xchg32", Atomic, Op::Atomic(B4, Xchg, true)),
    row(0xc3, Field(0xf1), "cmpxchg32", Atomic, Op::Atomic(B4, CmpXchg, true)),
    row(0xdb, Field(0x00), "atomic_add64", Atomic, Op::Atomic(B8, AtomicOp::Add, false)),
    row(0xdb, Field(0x01), "atomic_fetch_add64", Atomic, Op::Atomic(B8, AtomicOp::Add, true)),
    row(0xdb, Field(0x40), "atomic_or64", Atomic, Op::Atomic(B8, AtomicOp::Or, false)),
    row(0xdb, Field(0x41), "atomic_fetch_or64", Atomic, Op::Atomic(B8, AtomicOp::Or, true)),
    row(0xdb, Field(0x50), "atomic_and64", Atomic, Op::Atomic(B8, AtomicOp::And, false)),
    row(0xdb, Field(0x51), "atomic_fetch_and64", Atomic, Op::Atomic(B8, AtomicOp::And, true)),
    row(0xdb, Field(0xa0), "atomic_xor64", Atomic, Op::Atomic(B8, AtomicOp::Xor, false)),
    row(0xdb, Field(0xa1), "atomic_fetch_xor64", Atomic, Op::Atomic(B8, AtomicOp::Xor, true)),
    row(0xdb, Field(0xe1), "xchg64", Atomic, Op::Atomic(B8, Xchg, true)),
    row(0xdb, Field(0xf1), "cmpxchg64", Atomic, Op::Atomic(B8, CmpXchg, true)),
];

/// The row that an instruction with these fields selects.
#[must_use]
pub fn find(opcode: u8, src: u8, offset: i16, imm: i32) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        row.opcode == opcode
            && match row.variant {
                Plain => true,
                Offset(value) => value == offset,
                Field(value) => value == imm,
                Source(value) => value == src,
            }
    })
}

/// Whether any row has this opcode byte.
#[must_use]
pub fn has_opcode(opcode: u8) -> bool {
    ROWS.iter().any(|row| row.opcode == opcode)
}

/// The mnemonic of a canonical operation: that of its first row.
#[must_use]
pub fn mnemonic(op: Op) -> &'static str {
    ROWS.iter()
        .find(|row| row.op == op)
        .map_or("none", |row| row.mnemonic)
}
