//! eBPF bytecode to the canonical table (RFC 9669 sections 3 to 5); sBPF's has its own file.

mod sbpf;

use std::collections::BTreeMap;

use crate::canonical::{AluOp, Instruction, Op, Source, Width};
use crate::error::LoadError;
use crate::instruction::{SLOT_BYTES, Slot};
use crate::isa::{self, Row, Shape, Variant};
use crate::options::Dialect;

/// Number of the conformance suite's helper that returns its first argument.
pub(crate) const TEST_HELPER: i32 = 5;
const FRAME_POINTER: u8 = 10;

/// Lowers raw instructions; every jump and call has been checked to stay inside. `functions` says
/// which slot a call's number means, where calls have numbers.
pub(crate) fn lower(
    bytes: &[u8],
    dialect: Dialect,
    functions: &BTreeMap<u32, u32>,
    allow_test_helper: bool,
) -> Result<Vec<Instruction>, LoadError> {
    match dialect {
        Dialect::Ebpf => lower_ebpf(bytes, allow_test_helper),
        Dialect::SbpfV0 | Dialect::SbpfV1 | Dialect::SbpfV2 | Dialect::SbpfV3 => {
            sbpf::lower(bytes, dialect, functions)
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<Slot>, LoadError> {
    let (chunks, rest) = bytes.as_chunks::<SLOT_BYTES>();
    if !rest.is_empty() {
        return Err(LoadError::PartialSlot { len: bytes.len() });
    }
    if chunks.is_empty() {
        return Err(LoadError::Empty);
    }
    Ok(chunks.iter().copied().map(Slot::decode).collect())
}

fn lower_ebpf(bytes: &[u8], allow_test_helper: bool) -> Result<Vec<Instruction>, LoadError> {
    let slots = decode(bytes)?;
    let mut table: Vec<Instruction> = Vec::with_capacity(slots.len());
    while let Some(slot) = slots.get(table.len()) {
        let lowering = Lowering {
            pc: table.len() as u32,
            slot: *slot,
            allow_test_helper,
        };
        let second = slots.get(table.len().wrapping_add(1));
        let row = lowering.row()?;
        table.push(lowering.lower(row, second)?);
        if row.shape == Shape::WideImm {
            table.push(Instruction::NONE);
        }
    }
    check_targets(&table, |op| {
        matches!(op, Op::Jump | Op::Branch(..) | Op::Call)
    })?;
    Ok(table)
}

/// What `jumps` picks must go to the first slot of an instruction.
fn check_targets(table: &[Instruction], jumps: impl Fn(Op) -> bool) -> Result<(), LoadError> {
    for (pc, instruction) in (0_u32..).zip(table) {
        if !jumps(instruction.op) {
            continue;
        }
        let target = instruction.target;
        match table.get(target as usize) {
            None => {
                return Err(LoadError::TargetOutside {
                    pc,
                    target: target.into(),
                });
            }
            Some(at) if at.op == Op::None => {
                return Err(LoadError::TargetInsideWideImmediate { pc, target });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// One slot on its way into the table.
struct Lowering {
    pc: u32,
    slot: Slot,
    allow_test_helper: bool,
}

impl Lowering {
    fn row(&self) -> Result<&'static Row, LoadError> {
        let (
            pc,
            Slot {
                opcode,
                src,
                offset,
                imm,
                ..
            },
        ) = (self.pc, self.slot);
        if let Some(row) = isa::find(opcode, src, offset, imm) {
            return Ok(row);
        }
        Err(match opcode {
            // Modes ABS (0x20) and IND (0x40) of class LD, sizes W, H, B.
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 => LoadError::LegacyPacketAccess { pc, opcode },
            0x18 => LoadError::PseudoWideImmediate { pc, src },
            0x85 if src == 2 => LoadError::KernelFunction { pc, id: imm },
            _ if isa::has_opcode(opcode) => LoadError::UnknownVariant {
                pc,
                opcode,
                src,
                offset,
                imm,
            },
            _ => LoadError::UnknownOpcode { pc, opcode },
        })
    }

    fn lower(&self, row: &Row, second: Option<&Slot>) -> Result<Instruction, LoadError> {
        self.check_reserved(row)?;
        let Slot {
            dst,
            src,
            offset,
            imm,
            ..
        } = self.slot;
        for register in [dst, src] {
            if register > FRAME_POINTER {
                return Err(self.invalid_register(register.into()));
            }
        }

        let mut out = Instruction {
            op: row.op,
            dst,
            ..Instruction::NONE
        };
        match row.shape {
            Shape::Nothing => {}
            Shape::Dst => {}
            Shape::DstSrc => out.src = src,
            Shape::DstImm => out.imm = extend(row.op, imm),
            Shape::WideImm => (out.imm, out.target) = (self.wide(second)?, self.target(1)?),
            Shape::Load | Shape::StoreReg | Shape::Atomic => (out.src, out.offset) = (src, offset),
            Shape::StoreImm => (out.imm, out.offset) = (extend(row.op, imm), offset),
            Shape::Jump => out.target = self.target(offset.into())?,
            Shape::JumpLong | Shape::CallLocal => out.target = self.target(imm.into())?,
            Shape::BranchReg => (out.src, out.target) = (src, self.target(offset.into())?),
            Shape::BranchImm => {
                (out.imm, out.target) = (extend(row.op, imm), self.target(offset.into())?);
            }
            Shape::CallHelper => {
                if imm != TEST_HELPER || !self.allow_test_helper {
                    let name = helper_name(imm);
                    return Err(LoadError::Helper {
                        pc: self.pc,
                        id: imm,
                        name,
                    });
                }
                // r0 = r1
                out.src = 1;
            }
            Shape::CallReg => (out.dst, out.src) = (0, self.call_register()?),
        }
        if out.written_register() == Some(FRAME_POINTER) {
            return Err(LoadError::WriteToFramePointer { pc: self.pc });
        }
        Ok(out)
    }

    /// Fields that the row does not use must be zero.
    fn check_reserved(&self, row: &Row) -> Result<(), LoadError> {
        use Shape::{
            Atomic, BranchImm, BranchReg, CallHelper, CallLocal, CallReg, Dst, DstImm, DstSrc,
            Jump, JumpLong, Load, Nothing, StoreImm, StoreReg, WideImm,
        };
        let Slot {
            opcode,
            dst,
            src,
            offset,
            imm,
        } = self.slot;
        let shape = row.shape;
        let no_dst = matches!(shape, Nothing | Jump | JumpLong | CallHelper | CallLocal);
        let uses_src = matches!(row.variant, Variant::Source(_))
            || matches!(shape, DstSrc | Load | StoreReg | Atomic | BranchReg);
        let no_offset = !matches!(row.variant, Variant::Offset(_))
            && !matches!(
                shape,
                Load | StoreImm | StoreReg | Atomic | Jump | BranchImm | BranchReg
            );
        let uses_imm = matches!(row.variant, Variant::Field(_))
            || match shape {
                DstImm | WideImm | StoreImm | JumpLong | BranchImm | CallHelper | CallLocal => true,
                // The older form has the register in `imm`.
                CallReg => dst == 0,
                Nothing | Dst | DstSrc | Load | StoreReg | Atomic | Jump | BranchReg => false,
            };
        let field = if no_dst && dst != 0 {
            "destination register"
        } else if !uses_src && src != 0 {
            "source register"
        } else if no_offset && offset != 0 {
            "offset"
        } else if !uses_imm && imm != 0 {
            "immediate"
        } else {
            return Ok(());
        };
        Err(LoadError::ReservedField {
            pc: self.pc,
            opcode,
            field,
        })
    }

    fn invalid_register(&self, register: u32) -> LoadError {
        LoadError::InvalidRegister {
            pc: self.pc,
            register,
        }
    }

    fn call_register(&self) -> Result<u8, LoadError> {
        let Slot { dst, imm, .. } = self.slot;
        if imm == 0 {
            return Ok(dst);
        }
        u8::try_from(imm)
            .ok()
            .filter(|register| *register <= FRAME_POINTER)
            .ok_or_else(|| self.invalid_register(imm as u32))
    }

    fn target(&self, distance: i64) -> Result<u32, LoadError> {
        target(self.pc, distance)
    }

    fn wide(&self, second: Option<&Slot>) -> Result<u64, LoadError> {
        let pc = self.pc;
        let second = *second.ok_or(LoadError::TruncatedWideImmediate { pc })?;
        if (second.opcode, second.dst, second.src, second.offset) != (0, 0, 0, 0) {
            let field = "second slot's opcode, register or offset";
            return Err(LoadError::ReservedField {
                pc,
                opcode: self.slot.opcode,
                field,
            });
        }
        Ok(u64::from(self.slot.imm as u32) | u64::from(second.imm as u32) << 32)
    }
}

/// The slot at a distance from the one after `pc`.
fn target(pc: u32, distance: i64) -> Result<u32, LoadError> {
    let target = i64::from(pc).wrapping_add(1).wrapping_add(distance);
    u32::try_from(target).map_err(|_| LoadError::TargetOutside { pc, target })
}

/// An immediate as [`Instruction::imm`] carries it.
fn extend(op: Op, imm: i32) -> u64 {
    use AluOp::{Arsh, Lsh, Rsh};
    match op {
        Op::Alu(Width::W32, Lsh | Rsh | Arsh, Source::Imm) => u64::from(imm as u32 & 31),
        Op::Alu(Width::W64, Lsh | Rsh | Arsh, Source::Imm) => u64::from(imm as u32 & 63),
        Op::Alu(Width::W32, ..) | Op::Branch(Width::W32, ..) => u64::from(imm as u32),
        _ => i64::from(imm) as u64,
    }
}

/// Linux's name of a helper, for messages (the first of `include/uapi/linux/bpf.h`).
fn helper_name(id: i32) -> &'static str {
    const NAMES: [&str; 15] = [
        "unspec",
        "map_lookup_elem",
        "map_update_elem",
        "map_delete_elem",
        "probe_read",
        "ktime_get_ns",
        "trace_printk",
        "get_prandom_u32",
        "get_smp_processor_id",
        "skb_store_bytes",
        "l3_csum_replace",
        "l4_csum_replace",
        "tail_call",
        "clone_redirect",
        "get_current_pid_tgid",
    ];
    usize::try_from(id)
        .ok()
        .and_then(|id| NAMES.get(id))
        .copied()
        .unwrap_or("unknown")
}
