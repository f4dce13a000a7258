//! The instruction families. One file each: what its classes mean, their constraints, how their rows
//! are filled, and how instructions are written with them. A new family is a file and a line here.

use bpf_tracer::canonical::{Instruction, Op, TrapKind};

use crate::builder::Builder;
use crate::cell::Row;
use crate::class::Class;
use crate::machine::Environment;
use crate::microcode::{Assembler, MicroOp};

pub(crate) mod add_sub;
pub(crate) mod atomic;
pub(crate) mod bitwise;
pub(crate) mod branch;
pub(crate) mod call;
pub(crate) mod charge;
pub(crate) mod copy;
pub(crate) mod div;
pub(crate) mod end;
pub(crate) mod memory;
pub(crate) mod mov;
pub(crate) mod mul;
pub(crate) mod shift;

/// What an instruction family contributes.
pub(crate) struct Family {
    /// The classes whose constraints it states.
    pub(crate) classes: &'static [Class],
    /// States the constraints of its classes.
    pub(crate) configure: fn(&mut Builder),
    /// Fills a row of one of its classes.
    pub(crate) assign: fn(Class, &mut Context<'_>),
    /// Writes an instruction as micro-operations; `None` if the instruction is another family's.
    pub(crate) expand: fn(&mut Assembler<'_>, u32, &Instruction) -> Option<MicroOp>,
}

/// Every family.
pub(crate) static FAMILIES: [Family; 13] = [
    mov::FAMILY,
    add_sub::FAMILY,
    mul::FAMILY,
    div::FAMILY,
    bitwise::FAMILY,
    shift::FAMILY,
    branch::FAMILY,
    memory::FAMILY,
    atomic::FAMILY,
    call::FAMILY,
    charge::FAMILY,
    copy::FAMILY,
    end::FAMILY,
];

/// A row while it is filled. Fetched cells, accesses and `b` are already there.
pub(crate) struct Context<'a> {
    /// The row.
    pub(crate) row: &'a mut Row,
    /// The three rows before, nearest first.
    pub(crate) before: &'a [Row; 3],
    /// The two rows after, as far as this row decides their limbs and bits.
    pub(crate) after: &'a mut [Row; 2],
    /// Successor, where the mode leaves it to the class.
    pub(crate) next: usize,
    /// Tables and memory.
    pub(crate) environment: &'a Environment<'a>,
}

impl Family {
    const fn no_expand(_: &mut Assembler<'_>, _: u32, _: &Instruction) -> Option<MicroOp> {
        None
    }
}

/// The family that states a class's constraints.
pub(crate) fn family(class: Class) -> &'static Family {
    FAMILIES
        .iter()
        .find(|family| family.classes.contains(&class))
        .unwrap_or_else(|| unreachable!("the registry test covers every class"))
}

/// Writes an instruction as micro-operations; `None` if no run that reaches it has a proof.
pub(crate) fn expand(
    assembler: &mut Assembler<'_>,
    slot: u32,
    instruction: &Instruction,
) -> Option<MicroOp> {
    match instruction.op {
        Op::Unprovable => None,
        Op::None | Op::Unresolved => Some(crate::microcode::trap(TrapKind::UnsupportedInstruction)),
        Op::Syscall(syscall) => Some(crate::syscalls::expand(assembler, syscall)),
        _ => FAMILIES
            .iter()
            .find_map(|family| (family.expand)(assembler, slot, instruction)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_belongs_to_exactly_one_family() {
        for class in Class::ALL {
            let owners = FAMILIES
                .iter()
                .filter(|f| f.classes.contains(class))
                .count();
            assert_eq!(owners, 1, "{class:?}");
        }
    }
}
