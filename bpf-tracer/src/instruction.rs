//! The 8-byte instruction slot of RFC 9669 section 3.1.

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 8;

/// The slot that a byte offset into the code falls into.
#[must_use]
pub const fn slot_of(offset: u64) -> u64 {
    offset / 8
}

/// The fields of one slot, as they stand in the bytecode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The opcode byte.
    pub opcode: u8,
    /// Destination register field, 0 to 15.
    pub dst: u8,
    /// Source register field, 0 to 15.
    pub src: u8,
    /// Offset field.
    pub offset: i16,
    /// Immediate field.
    pub imm: i32,
}

impl Slot {
    /// Reads little-endian bytes; every byte string is a slot.
    #[must_use]
    pub const fn decode(bytes: [u8; SLOT_BYTES]) -> Self {
        let [opcode, registers, offset_low, offset_high, imm @ ..] = bytes;
        Self {
            opcode,
            dst: registers & 0x0f,
            src: registers >> 4,
            offset: i16::from_le_bytes([offset_low, offset_high]),
            imm: i32::from_le_bytes(imm),
        }
    }

    /// The inverse of [`Slot::decode`]; of `dst` and `src` the low four bits are kept.
    #[must_use]
    pub const fn encode(self) -> [u8; SLOT_BYTES] {
        let [offset_low, offset_high] = self.offset.to_le_bytes();
        let [imm0, imm1, imm2, imm3] = self.imm.to_le_bytes();
        let registers = (self.src << 4) | (self.dst & 0x0f);
        [
            self.opcode,
            registers,
            offset_low,
            offset_high,
            imm0,
            imm1,
            imm2,
            imm3,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_rfc_puts_them() {
        let bytes = [0x7b, 0x2a, 0xf8, 0xff, 0x78, 0x56, 0x34, 0x92];
        let slot = Slot {
            opcode: 0x7b,
            dst: 10,
            src: 2,
            offset: -8,
            imm: 0x9234_5678_u32 as i32,
        };
        assert_eq!(Slot::decode(bytes), slot);
        assert_eq!(slot.encode(), bytes);
    }
}
