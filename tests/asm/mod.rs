//! Programs assembled by hand.

use zkbpf::bpf_tracer::instruction::Slot;

/// The fields of one slot in the order of the encoding: opcode, dst, src, offset, imm.
pub(crate) type Fields = (u8, u8, u8, i16, i32);

/// `exit`
pub(crate) const EXIT: Fields = (0x95, 0, 0, 0, 0);

/// Bytecode of these slots.
pub(crate) fn bytecode(slots: &[Fields]) -> Vec<u8> {
    let encode = |&(opcode, dst, src, offset, imm): &Fields| {
        Slot {
            opcode,
            dst,
            src,
            offset,
            imm,
        }
        .encode()
    };
    slots.iter().flat_map(encode).collect()
}
