//! sBPF bytecode to the canonical table. What is refused is what `solana-sbpf`'s `RequisiteVerifier`
//! refuses, and nothing else: fields that an operation does not use are ignored.

use std::collections::BTreeMap;

use super::{FRAME_POINTER, check_targets, decode, extend, target};
use crate::canonical::AluOp::{Arsh, Div, Lsh, Mod, Rsh, SdivTrap, SmodTrap};
use crate::canonical::{AluOp, Instruction, Op, Source, Width};
use crate::error::LoadError;
use crate::instruction::Slot;
use crate::isa::sbpf::{self, Row, Shape};
use crate::options::Dialect;
use crate::syscall::{Syscall, unprovable};

/// What `add64 r10, imm` must be a multiple of.
const FRAME_ALIGNMENT: i32 = 64;

/// Lowers raw instructions; every jump has been checked to go to an instruction, every call to stay
/// inside. `functions` says which slot a call's number means.
pub(crate) fn lower(
    bytes: &[u8],
    dialect: Dialect,
    functions: &BTreeMap<u32, u32>,
) -> Result<Vec<Instruction>, LoadError> {
    let slots = decode(bytes)?;
    let mut table: Vec<Instruction> = Vec::with_capacity(slots.len());
    while let Some(slot) = slots.get(table.len()) {
        let lowering = Lowering {
            pc: table.len() as u32,
            slots: slots.len() as u32,
            slot: *slot,
            dialect,
            functions,
        };
        let second = slots.get(table.len().wrapping_add(1));
        let row = lowering.row()?;
        table.push(lowering.lower(row, second)?);
        if row.shape == Shape::WideImm {
            table.push(Instruction::NONE);
        }
    }
    check_targets(&table, |op| matches!(op, Op::Jump | Op::Branch(..)))?;
    Ok(table)
}

/// One slot on its way into the table.
struct Lowering<'a> {
    pc: u32,
    /// Number of slots.
    slots: u32,
    slot: Slot,
    dialect: Dialect,
    functions: &'a BTreeMap<u32, u32>,
}

impl Lowering<'_> {
    fn row(&self) -> Result<&'static Row, LoadError> {
        let (pc, dialect) = (self.pc, self.dialect);
        let Slot {
            opcode,
            src,
            offset,
            imm,
            ..
        } = self.slot;
        sbpf::find(dialect, opcode, src, imm).ok_or_else(|| {
            if sbpf::has_opcode(dialect, opcode) {
                LoadError::UnknownVariant {
                    pc,
                    opcode,
                    src,
                    offset,
                    imm,
                }
            } else {
                LoadError::UnknownSbpfOpcode {
                    pc,
                    opcode,
                    dialect: dialect.name(),
                }
            }
        })
    }

    fn lower(&self, row: &Row, second: Option<&Slot>) -> Result<Instruction, LoadError> {
        self.check_immediate(row.op)?;
        let pc = self.pc;
        let Slot {
            dst,
            src,
            offset,
            imm,
            ..
        } = self.slot;
        let blank = Instruction {
            op: row.op,
            ..Instruction::NONE
        };
        let to = Instruction { dst, ..blank };
        let jump = || target(pc, offset.into());
        let out = match row.shape {
            Shape::Nothing | Shape::CallNothing => blank,
            Shape::Dst => to,
            Shape::DstSrc => Instruction { src, ..to },
            Shape::DstImm => Instruction {
                imm: extend(row.op, imm),
                ..to
            },
            Shape::DstZeroImm => Instruction {
                imm: u64::from(imm as u32),
                ..to
            },
            Shape::DstHigh => Instruction {
                imm: u64::from(imm as u32) << 32,
                ..to
            },
            Shape::WideImm => Instruction {
                imm: self.wide(second)?,
                target: target(pc, 1)?,
                ..to
            },
            Shape::Load | Shape::StoreReg => Instruction { src, offset, ..to },
            Shape::StoreImm => Instruction {
                imm: extend(row.op, imm),
                offset,
                ..to
            },
            Shape::Jump => Instruction {
                target: jump()?,
                ..blank
            },
            Shape::BranchImm => Instruction {
                imm: extend(row.op, imm),
                target: jump()?,
                ..to
            },
            Shape::BranchReg => Instruction {
                src,
                target: jump()?,
                ..to
            },
            Shape::CallHash => self.call_by_hash(blank)?,
            Shape::CallSyscall => self.syscall().unwrap_or(blank),
            Shape::CallRelative => self.call_relative(blank),
            Shape::CallImm => self.call_register(imm)?,
            Shape::CallSrc => self.call_register(src.into())?,
            Shape::CallDst => self.call_register(dst.into())?,
        };
        self.check_registers(row.op)?;
        Ok(out)
    }

    /// Both register fields are checked in every instruction, used or not.
    fn check_registers(&self, op: Op) -> Result<(), LoadError> {
        let (pc, Slot { dst, src, .. }) = (self.pc, self.slot);
        for register in [src, dst] {
            if register > FRAME_POINTER {
                return Err(LoadError::InvalidRegister {
                    pc,
                    register: register.into(),
                });
            }
        }
        let bumps_frame =
            self.dialect.has_dynamic_frames() && op == Op::Alu(Width::W64, AluOp::Add, Source::Imm);
        if dst == FRAME_POINTER && !bumps_frame && !matches!(op, Op::Store(..)) {
            return Err(LoadError::WriteToFramePointer { pc });
        }
        Ok(())
    }

    fn check_immediate(&self, op: Op) -> Result<(), LoadError> {
        let (pc, Slot { dst, imm, .. }) = (self.pc, self.slot);
        match op {
            Op::Alu(_, Div | Mod | SdivTrap | SmodTrap, Source::Imm) if imm == 0 => {
                Err(LoadError::ZeroDivisor { pc })
            }
            Op::Alu(width, Lsh | Rsh | Arsh, Source::Imm) => {
                let bits = match width {
                    Width::W32 => 32,
                    Width::W64 => 64,
                };
                if (0..bits).contains(&imm) {
                    Ok(())
                } else {
                    Err(LoadError::ShiftTooLarge { pc, shift: imm })
                }
            }
            Op::Alu(Width::W64, AluOp::Add, Source::Imm)
                if dst == FRAME_POINTER
                    && self.dialect.has_dynamic_frames()
                    && imm.checked_rem(FRAME_ALIGNMENT) != Some(0) =>
            {
                Err(LoadError::UnalignedFrame { pc, imm })
            }
            _ => Ok(()),
        }
    }

    fn wide(&self, second: Option<&Slot>) -> Result<u64, LoadError> {
        let pc = self.pc;
        let second = second.ok_or(LoadError::TruncatedWideImmediate { pc })?;
        if second.opcode != 0 {
            return Err(LoadError::IncompleteWideImmediate { pc });
        }
        Ok(u64::from(self.slot.imm as u32) | u64::from(second.imm as u32) << 32)
    }

    /// The system call that `imm` means, if it means one.
    fn syscall(&self) -> Option<Instruction> {
        let hash = self.slot.imm as u32;
        if let Some(syscall) = Syscall::from_hash(hash) {
            return Some(Instruction {
                op: Op::Syscall(syscall),
                ..Instruction::NONE
            });
        }
        unprovable(hash).map(|_| Instruction {
            op: Op::Unprovable,
            imm: hash.into(),
            ..Instruction::NONE
        })
    }

    fn call_by_hash(&self, nothing: Instruction) -> Result<Instruction, LoadError> {
        if let Some(syscall) = self.syscall() {
            return Ok(syscall);
        }
        let Some(&target) = self.functions.get(&(self.slot.imm as u32)) else {
            return Ok(nothing);
        };
        if target >= self.slots {
            return Err(LoadError::TargetOutside {
                pc: self.pc,
                target: target.into(),
            });
        }
        Ok(Instruction {
            op: Op::Call,
            target,
            ..Instruction::NONE
        })
    }

    /// A call that leaves the program is one of nothing.
    fn call_relative(&self, nothing: Instruction) -> Instruction {
        match target(self.pc, self.slot.imm.into()) {
            Ok(target) if target < self.slots => Instruction {
                op: Op::Call,
                target,
                ..Instruction::NONE
            },
            _ => nothing,
        }
    }

    fn call_register(&self, register: i32) -> Result<Instruction, LoadError> {
        let src = u8::try_from(register)
            .ok()
            .filter(|register| *register < FRAME_POINTER)
            .ok_or(LoadError::InvalidRegister {
                pc: self.pc,
                register: register as u32,
            })?;
        Ok(Instruction {
            op: Op::CallAddress,
            src,
            ..Instruction::NONE
        })
    }
}
