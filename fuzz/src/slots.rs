//! Instructions that are mostly valid, of every dialect.

use bpf_tracer::Dialect;
use bpf_tracer::canonical::layout::{DATA_BASE, INPUT_BASE, RODATA_BASE, STACK_BASE, TEXT_BASE};
use bpf_tracer::instruction::Slot;
use bpf_tracer::isa::{self, Variant, sbpf};
use bpf_tracer::syscall::{Syscall, UNPROVABLE, name_hash};

use crate::Choices;

const LDDW: u8 = 0x18;
/// Bases of regions, as the upper half of an address.
const BASES: [u64; 6] = [STACK_BASE, INPUT_BASE, DATA_BASE, RODATA_BASE, TEXT_BASE, 0];

/// Which fields of an operation are used, for both tables.
#[derive(Clone, Copy)]
struct Uses {
    src: bool,
    offset: bool,
    imm: bool,
    /// A distance in `imm`.
    long: bool,
    /// A register in `imm`.
    imm_register: bool,
    no_dst: bool,
    memory_in_dst: bool,
    memory_in_src: bool,
    distance: bool,
    hash: bool,
}

impl Uses {
    const NONE: Self = Self {
        src: false,
        offset: false,
        imm: false,
        long: false,
        imm_register: false,
        no_dst: false,
        memory_in_dst: false,
        memory_in_src: false,
        distance: false,
        hash: false,
    };
    const LOAD: Self = Self {
        src: true,
        offset: true,
        memory_in_src: true,
        ..Self::NONE
    };
    const STORE_IMM: Self = Self {
        imm: true,
        offset: true,
        memory_in_dst: true,
        ..Self::NONE
    };
    const STORE_REG: Self = Self {
        src: true,
        offset: true,
        memory_in_dst: true,
        ..Self::NONE
    };
    const JUMP: Self = Self {
        distance: true,
        no_dst: true,
        ..Self::NONE
    };
    const BRANCH_IMM: Self = Self {
        distance: true,
        imm: true,
        ..Self::NONE
    };
    const BRANCH_REG: Self = Self {
        distance: true,
        src: true,
        ..Self::NONE
    };
}

/// Appends an instruction, `lddw` with both its slots.
pub fn push(slots: &mut Vec<u8>, dialect: Dialect, choices: &mut Choices<'_>) {
    let (mut slot, uses) = if dialect.is_sbpf() {
        sbpf_row(dialect, choices)
    } else {
        ebpf_row(choices)
    };
    let registers = choices.byte();
    if !uses.no_dst {
        slot.dst = (registers & 15) % 11;
    }
    if uses.src {
        slot.src = (registers >> 4) % 11;
    }
    let near = || i16::from((registers as i8) >> 4);
    if uses.memory_in_dst && registers & 1 == 0 {
        (slot.dst, slot.offset) = (10, -8 + near());
    } else if uses.memory_in_src && registers & 1 == 0 {
        (slot.src, slot.offset) = (10, -8 + near());
    } else if uses.distance {
        slot.offset = i16::from(choices.byte() as i8 >> 3);
    } else if uses.offset {
        slot.offset = i16::from(choices.byte() as i8);
    }
    if uses.hash {
        slot.imm = choices.pick(&known_calls()) as i32;
    } else if uses.long {
        slot.imm = i32::from(choices.byte() as i8 >> 3);
    } else if uses.imm_register {
        slot.imm = i32::from(choices.byte() % 11);
    } else if uses.imm {
        slot.imm = choices.value(8) as i32;
    }
    if slot.opcode == LDDW {
        let value = address(choices);
        slot.imm = value as i32;
        slots.extend(slot.encode());
        let high = Slot {
            imm: (value >> 32) as i32,
            ..Slot::default()
        };
        slots.extend(high.encode());
    } else {
        slots.extend(slot.encode());
    }
}

/// An address at one end of a region, or any value.
fn address(choices: &mut Choices<'_>) -> u64 {
    if choices.byte() < 64 {
        choices.value(0)
    } else {
        let base = choices.pick(&BASES);
        base.wrapping_add_signed(i64::from(choices.byte() as i8))
    }
}

/// Numbers of system calls, of the entry and of nothing.
fn known_calls() -> Vec<u32> {
    let names = Syscall::ALL.iter().map(|syscall| syscall.name());
    let names = names.chain(UNPROVABLE).chain(["entrypoint", "nothing"]);
    names.map(name_hash).collect()
}

fn ebpf_row(choices: &mut Choices<'_>) -> (Slot, Uses) {
    use isa::Shape::{
        Atomic, BranchImm, BranchReg, CallHelper, CallLocal, CallReg, Dst, DstImm, DstSrc, Jump,
        JumpLong, Load, Nothing, StoreImm, StoreReg, WideImm,
    };
    let row = choices.pick(&isa::ROWS);
    let mut slot = variant(row.opcode, row.variant);
    let none = Uses::NONE;
    let uses = match row.shape {
        Nothing => Uses {
            no_dst: true,
            ..none
        },
        Dst | WideImm | CallReg => none,
        DstSrc => Uses { src: true, ..none },
        DstImm => Uses { imm: true, ..none },
        Load => Uses::LOAD,
        StoreImm => Uses::STORE_IMM,
        StoreReg | Atomic => Uses::STORE_REG,
        Jump => Uses::JUMP,
        BranchImm => Uses::BRANCH_IMM,
        BranchReg => Uses::BRANCH_REG,
        JumpLong | CallLocal => Uses {
            long: true,
            no_dst: true,
            ..none
        },
        CallHelper => {
            slot.imm = 5;
            Uses {
                no_dst: true,
                ..none
            }
        }
    };
    (slot, uses)
}

fn sbpf_row(dialect: Dialect, choices: &mut Choices<'_>) -> (Slot, Uses) {
    use sbpf::Shape::{
        BranchImm, BranchReg, CallDst, CallHash, CallImm, CallNothing, CallRelative, CallSrc,
        CallSyscall, Dst, DstHigh, DstImm, DstSrc, DstZeroImm, Jump, Load, Nothing, StoreImm,
        StoreReg, WideImm,
    };
    let rows: Vec<_> = sbpf::rows(dialect).collect();
    let row = choices.pick(&rows);
    let slot = variant(row.opcode, row.variant);
    let none = Uses::NONE;
    let uses = match row.shape {
        Nothing | CallNothing => Uses {
            no_dst: true,
            ..none
        },
        Dst | WideImm | CallDst => none,
        DstSrc | CallSrc => Uses { src: true, ..none },
        DstImm | DstZeroImm | DstHigh => Uses { imm: true, ..none },
        Load => Uses::LOAD,
        StoreImm => Uses::STORE_IMM,
        StoreReg => Uses::STORE_REG,
        Jump => Uses::JUMP,
        BranchImm => Uses::BRANCH_IMM,
        BranchReg => Uses::BRANCH_REG,
        CallHash | CallSyscall => Uses {
            hash: true,
            no_dst: true,
            ..none
        },
        CallRelative => Uses {
            long: true,
            no_dst: true,
            ..none
        },
        CallImm => Uses {
            imm_register: true,
            no_dst: true,
            ..none
        },
    };
    (slot, uses)
}

fn variant(opcode: u8, variant: Variant) -> Slot {
    let mut slot = Slot {
        opcode,
        ..Slot::default()
    };
    match variant {
        Variant::Plain => {}
        Variant::Offset(value) => slot.offset = value,
        Variant::Field(value) => slot.imm = value,
        Variant::Source(value) => slot.src = value,
    }
    slot
}
