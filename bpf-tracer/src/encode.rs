//! Numbers of the canonical operations, and the set of those that exist.

use crate::canonical::{AluOp, AtomicOp, Cond, Instruction, Op, Size, Source, Width};
use crate::syscall::Syscall;

const WIDTHS: [Width; 2] = [Width::W32, Width::W64];
const SOURCES: [Source; 2] = [Source::Reg, Source::Imm];
const SIZES: [Size; 4] = [Size::B1, Size::B2, Size::B4, Size::B8];
const ALU_OPS: [AluOp; 25] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Mod,
    AluOp::Sdiv,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
    AluOp::Mov,
    AluOp::Neg,
    AluOp::AddSx,
    AluOp::SubSx,
    AluOp::MulSx,
    AluOp::ReverseSub,
    AluOp::DivTrap,
    AluOp::ModTrap,
    AluOp::SdivTrap,
    AluOp::SmodTrap,
    AluOp::MulHigh,
    AluOp::MulHighSigned,
];
const CONDS: [Cond; 11] = [
    Cond::Eq,
    Cond::Ne,
    Cond::Set,
    Cond::Gt,
    Cond::Ge,
    Cond::Lt,
    Cond::Le,
    Cond::Sgt,
    Cond::Sge,
    Cond::Slt,
    Cond::Sle,
];
const ATOMIC_OPS: [AtomicOp; 6] = [
    AtomicOp::Add,
    AtomicOp::Or,
    AtomicOp::And,
    AtomicOp::Xor,
    AtomicOp::Xchg,
    AtomicOp::CmpXchg,
];

impl Op {
    /// The number of this operation: kind in the high byte, variant in the low one; [`Op::None`] is 0.
    ///
    /// These numbers are part of [`Program::id`](crate::Program::id): never renumber.
    #[must_use]
    pub const fn encode(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Alu(width, op, source) => {
                0x100 | (op as u16) << 2 | (width as u16) << 1 | source as u16
            }
            Self::MovSx(width, size) => 0x200 | (width as u16) << 2 | size as u16,
            Self::ZeroExtend(size) => 0x300 | size as u16,
            Self::ByteSwap(size) => 0x400 | size as u16,
            Self::Load(size, signed) => 0x500 | (size as u16) << 1 | signed as u16,
            Self::Store(size, source) => 0x600 | (size as u16) << 1 | source as u16,
            Self::Atomic(size, op, fetch) => {
                0x700 | (op as u16) << 3 | (size as u16) << 1 | fetch as u16
            }
            Self::Jump => 0x800,
            Self::Branch(width, cond, source) => {
                0x900 | (cond as u16) << 2 | (width as u16) << 1 | source as u16
            }
            Self::Call => 0xa00,
            Self::CallReg => 0xb00,
            Self::Exit => 0xc00,
            Self::HelperIdentity => 0xd00,
            Self::CallAddress => 0xe00,
            Self::Syscall(syscall) => 0xf00 | syscall as u16,
            Self::Unprovable => 0x1000,
            Self::Unresolved => 0x1100,
        }
    }

    /// The operation with this number, if lowering can produce it.
    #[must_use]
    pub fn decode(code: u16) -> Option<Self> {
        Self::all().into_iter().find(|op| op.encode() == code)
    }

    /// Every operation that lowering can produce, in order of [`Op::encode`].
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut ops = vec![Self::None];
        for op in ALU_OPS {
            for width in WIDTHS {
                let forms = SOURCES.map(|source| Self::Alu(width, op, source));
                ops.extend(forms.into_iter().filter(Self::exists));
            }
        }
        ops.extend([Size::B1, Size::B2].map(|size| Self::MovSx(Width::W32, size)));
        ops.extend([Size::B1, Size::B2, Size::B4].map(|size| Self::MovSx(Width::W64, size)));
        for of_size in [Self::ZeroExtend as fn(Size) -> Self, Self::ByteSwap] {
            ops.extend([Size::B2, Size::B4, Size::B8].map(of_size));
        }
        for size in SIZES {
            ops.push(Self::Load(size, false));
            if size != Size::B8 {
                ops.push(Self::Load(size, true));
            }
        }
        for size in SIZES {
            ops.extend(SOURCES.map(|source| Self::Store(size, source)));
        }
        for op in ATOMIC_OPS {
            for size in [Size::B4, Size::B8] {
                if !matches!(op, AtomicOp::Xchg | AtomicOp::CmpXchg) {
                    ops.push(Self::Atomic(size, op, false));
                }
                ops.push(Self::Atomic(size, op, true));
            }
        }
        ops.push(Self::Jump);
        for cond in CONDS {
            for width in WIDTHS {
                ops.extend(SOURCES.map(|source| Self::Branch(width, cond, source)));
            }
        }
        ops.extend([Self::Call, Self::CallReg, Self::Exit, Self::HelperIdentity]);
        ops.push(Self::CallAddress);
        ops.extend(Syscall::ALL.iter().copied().map(Self::Syscall));
        ops.extend([Self::Unprovable, Self::Unresolved]);
        ops
    }

    /// Whether a dialect has this form of an arithmetic operation.
    fn exists(&self) -> bool {
        let Self::Alu(width, op, source) = *self else {
            return true;
        };
        match op {
            AluOp::Neg | AluOp::ReverseSub => source == Source::Imm,
            AluOp::AddSx | AluOp::SubSx | AluOp::MulSx => width == Width::W32,
            AluOp::MulHigh | AluOp::MulHighSigned => width == Width::W64,
            AluOp::DivTrap | AluOp::ModTrap => source == Source::Reg,
            _ => true,
        }
    }
}

impl Instruction {
    /// A slot that cannot be executed: the second slot of `lddw`.
    pub const NONE: Self = Self {
        op: Op::None,
        dst: 0,
        src: 0,
        offset: 0,
        imm: 0,
        target: 0,
    };

    /// Length of [`Instruction::encode`], in bytes.
    pub const ENCODED_LEN: usize = 18;

    /// Fixed-length encoding, little-endian: op (2), dst (1), src (1), offset (2), imm (8), target (4).
    #[must_use]
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let op = self.op.encode().to_le_bytes();
        let offset = self.offset.to_le_bytes();
        let mut bytes = [0; Self::ENCODED_LEN];
        let fields = op
            .into_iter()
            .chain([self.dst, self.src])
            .chain(offset)
            .chain(self.imm.to_le_bytes())
            .chain(self.target.to_le_bytes());
        for (byte, value) in bytes.iter_mut().zip(fields) {
            *byte = value;
        }
        bytes
    }

    /// Whether this is an `lddw`: it takes two slots, and `target` is the one that follows them.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.op == Op::Alu(Width::W64, AluOp::Mov, Source::Imm) && self.target != 0
    }

    /// The slot that follows this instruction, which stands at `pc`, when it does not jump.
    #[inline]
    #[must_use]
    pub fn fall_through(&self, pc: u32) -> u32 {
        if self.is_wide() {
            self.target
        } else {
            pc.wrapping_add(1)
        }
    }

    /// The register that a step of this instruction writes. A call and a return change `r10` (a
    /// return also restores `r6` to `r9`): these belong to the frame and are not meant here.
    #[must_use]
    pub fn written_register(&self) -> Option<u8> {
        match self.op {
            Op::Alu(..) | Op::MovSx(..) | Op::ZeroExtend(_) | Op::ByteSwap(_) | Op::Load(..) => {
                Some(self.dst)
            }
            Op::Atomic(_, AtomicOp::CmpXchg, _) | Op::HelperIdentity | Op::Syscall(_) => Some(0),
            Op::Atomic(_, _, true) => Some(self.src),
            Op::None
            | Op::Store(..)
            | Op::Atomic(_, _, false)
            | Op::Jump
            | Op::Branch(..)
            | Op::Call
            | Op::CallReg
            | Op::CallAddress
            | Op::Unprovable
            | Op::Unresolved
            | Op::Exit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa;

    #[test]
    fn numbers_are_distinct_and_round_trip() {
        let all = Op::all();
        assert!(
            all.windows(2)
                .all(|pair| pair[0].encode() < pair[1].encode())
        );
        for op in all {
            assert_eq!(Op::decode(op.encode()), Some(op));
        }
        assert_eq!(Op::None.encode(), 0);
        assert_eq!(Op::decode(0x208 | 2), None);
    }

    #[test]
    fn opcode_table_and_operations_cover_each_other() {
        let all = Op::all();
        let rows = || {
            let sbpf = isa::sbpf::ROWS.iter().map(|row| row.op);
            isa::ROWS.iter().map(|row| row.op).chain(sbpf)
        };
        for op in rows() {
            assert!(all.contains(&op), "{op:?}");
        }
        for op in all {
            let by_number = matches!(op, Op::Syscall(_) | Op::Unprovable);
            let exists = op == Op::None || by_number || rows().any(|row| row == op);
            assert!(exists, "{op:?}");
        }
    }
}
