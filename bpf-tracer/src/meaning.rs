//! What arithmetic operations, conditions and extensions compute (RFC 9669 section 4).

use crate::canonical::{AluOp, AtomicOp, Cond, Size, TrapKind, Width};

impl AluOp {
    /// The value of `dst` after `dst = dst op source`. For [`Width::W32`] the operands' high halves
    /// are ignored and the result is zero-extended.
    #[inline]
    #[must_use]
    pub fn apply(self, width: Width, dst: u64, source: u64) -> u64 {
        let extended = match self {
            Self::AddSx => Self::Add,
            Self::SubSx => Self::Sub,
            Self::MulSx => Self::Mul,
            _ => {
                return match width {
                    Width::W32 => self.apply32(dst as u32, source as u32).into(),
                    Width::W64 => self.apply64(dst, source),
                };
            }
        };
        Size::B4.sign_extend(extended.apply32(dst as u32, source as u32).into())
    }

    /// Why the operation traps on these operands, if it does.
    #[inline]
    #[must_use]
    pub fn trap(self, width: Width, dst: u64, source: u64) -> Option<TrapKind> {
        let signed = matches!(self, Self::SdivTrap | Self::SmodTrap);
        if !signed && !matches!(self, Self::DivTrap | Self::ModTrap) {
            return None;
        }
        let overflows = match width {
            Width::W32 => (dst as i32).checked_div(source as i32).is_none(),
            Width::W64 => (dst as i64).checked_div(source as i64).is_none(),
        };
        if width.truncate(source) == 0 {
            Some(TrapKind::DivideByZero)
        } else if signed && overflows {
            Some(TrapKind::DivideOverflow)
        } else {
            None
        }
    }

    #[inline]
    fn apply32(self, dst: u32, source: u32) -> u32 {
        match self {
            Self::Add => dst.wrapping_add(source),
            Self::Sub => dst.wrapping_sub(source),
            Self::Mul => dst.wrapping_mul(source),
            Self::Div => dst.checked_div(source).unwrap_or(0),
            Self::Mod => dst.checked_rem(source).unwrap_or(dst),
            Self::Sdiv if source == 0 => 0,
            Self::Sdiv => (dst as i32)
                .checked_div(source as i32)
                .map_or(dst, |quotient| quotient as u32),
            Self::Smod if source == 0 => dst,
            Self::Smod => (dst as i32)
                .checked_rem(source as i32)
                .map_or(0, |rest| rest as u32),
            Self::Or => dst | source,
            Self::And => dst & source,
            Self::Xor => dst ^ source,
            Self::Lsh => dst.wrapping_shl(source),
            Self::Rsh => dst.wrapping_shr(source),
            Self::Arsh => (dst as i32).wrapping_shr(source) as u32,
            Self::Mov => source,
            Self::Neg => dst.wrapping_neg(),
            Self::ReverseSub => source.wrapping_sub(dst),
            Self::DivTrap => Self::Div.apply32(dst, source),
            Self::ModTrap => Self::Mod.apply32(dst, source),
            Self::SdivTrap => Self::Sdiv.apply32(dst, source),
            Self::SmodTrap => Self::Smod.apply32(dst, source),
            // Only their 64-bit forms exist; the sign-extending ones are taken care of before.
            Self::AddSx | Self::SubSx | Self::MulSx | Self::MulHigh | Self::MulHighSigned => 0,
        }
    }

    #[inline]
    fn apply64(self, dst: u64, source: u64) -> u64 {
        match self {
            Self::Add => dst.wrapping_add(source),
            Self::Sub => dst.wrapping_sub(source),
            Self::Mul => dst.wrapping_mul(source),
            Self::Div => dst.checked_div(source).unwrap_or(0),
            Self::Mod => dst.checked_rem(source).unwrap_or(dst),
            Self::Sdiv if source == 0 => 0,
            Self::Sdiv => (dst as i64)
                .checked_div(source as i64)
                .map_or(dst, |quotient| quotient as u64),
            Self::Smod if source == 0 => dst,
            Self::Smod => (dst as i64)
                .checked_rem(source as i64)
                .map_or(0, |rest| rest as u64),
            Self::Or => dst | source,
            Self::And => dst & source,
            Self::Xor => dst ^ source,
            Self::Lsh => dst.wrapping_shl(source as u32),
            Self::Rsh => dst.wrapping_shr(source as u32),
            Self::Arsh => (dst as i64).wrapping_shr(source as u32) as u64,
            Self::Mov => source,
            Self::Neg => dst.wrapping_neg(),
            Self::ReverseSub => source.wrapping_sub(dst),
            Self::DivTrap => Self::Div.apply64(dst, source),
            Self::ModTrap => Self::Mod.apply64(dst, source),
            Self::SdivTrap => Self::Sdiv.apply64(dst, source),
            Self::SmodTrap => Self::Smod.apply64(dst, source),
            Self::MulHigh => (u128::from(dst).wrapping_mul(source.into()) >> 64) as u64,
            Self::MulHighSigned => {
                let product = i128::from(dst as i64).wrapping_mul((source as i64).into());
                (product >> 64) as u64
            }
            // Only their 32-bit forms exist.
            Self::AddSx | Self::SubSx | Self::MulSx => 0,
        }
    }
}

impl Cond {
    /// Whether the condition holds on `(dst, source)`; for [`Width::W32`] on their low halves.
    #[inline]
    #[must_use]
    pub fn holds(self, width: Width, dst: u64, source: u64) -> bool {
        // A 32-bit comparison is the 64-bit one of the operands, extended as the condition's sign says.
        let unsigned = |value: u64| match width {
            Width::W32 => u64::from(value as u32),
            Width::W64 => value,
        };
        let signed = |value: u64| match width {
            Width::W32 => i64::from(value as i32),
            Width::W64 => value as i64,
        };
        match self {
            Self::Eq => unsigned(dst) == unsigned(source),
            Self::Ne => unsigned(dst) != unsigned(source),
            Self::Set => unsigned(dst & source) != 0,
            Self::Gt => unsigned(dst) > unsigned(source),
            Self::Ge => unsigned(dst) >= unsigned(source),
            Self::Lt => unsigned(dst) < unsigned(source),
            Self::Le => unsigned(dst) <= unsigned(source),
            Self::Sgt => signed(dst) > signed(source),
            Self::Sge => signed(dst) >= signed(source),
            Self::Slt => signed(dst) < signed(source),
            Self::Sle => signed(dst) <= signed(source),
        }
    }
}

impl Size {
    /// The low bytes of a value, zero-extended.
    #[inline]
    #[must_use]
    pub const fn zero_extend(self, value: u64) -> u64 {
        match self {
            Self::B1 => value as u8 as u64,
            Self::B2 => value as u16 as u64,
            Self::B4 => value as u32 as u64,
            Self::B8 => value,
        }
    }

    /// The low bytes of a value, sign-extended to 64 bits.
    #[inline]
    #[must_use]
    pub const fn sign_extend(self, value: u64) -> u64 {
        match self {
            Self::B1 => value as i8 as u64,
            Self::B2 => value as i16 as u64,
            Self::B4 => value as i32 as u64,
            Self::B8 => value,
        }
    }

    /// The low bytes of a value in reverse order, zero-extended.
    #[inline]
    #[must_use]
    pub const fn swap_bytes(self, value: u64) -> u64 {
        match self {
            Self::B1 => value as u8 as u64,
            Self::B2 => (value as u16).swap_bytes() as u64,
            Self::B4 => (value as u32).swap_bytes() as u64,
            Self::B8 => value.swap_bytes(),
        }
    }
}

impl Width {
    /// The low bits of this width, zero-extended.
    #[inline]
    #[must_use]
    pub const fn truncate(self, value: u64) -> u64 {
        match self {
            Self::W32 => value as u32 as u64,
            Self::W64 => value,
        }
    }
}

impl AtomicOp {
    /// The memory value after the operation, given the one before, `src` and `r0`: all of `size`,
    /// that is, zero-extended from its low bytes.
    #[inline]
    #[must_use]
    pub const fn apply(self, size: Size, old: u64, src: u64, r0: u64) -> u64 {
        let result = match self {
            Self::Add => old.wrapping_add(src),
            Self::Or => old | src,
            Self::And => old & src,
            Self::Xor => old ^ src,
            Self::Xchg => src,
            Self::CmpXchg if size.zero_extend(r0) == size.zero_extend(old) => src,
            Self::CmpXchg => old,
        };
        size.zero_extend(result)
    }
}
