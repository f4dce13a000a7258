//! What comes next.

use super::{Trick, behind, is, op, other_slot, row, told, upc};
use crate::cell::Cell;
use crate::class::Class;
use crate::dev::kit::FaultKind;
use crate::dev::rerun;
use crate::microcode::Mode;
use crate::shape::SLOT_ROW;

const BRANCHES: &[Class] = &[Class::Equal, Class::Less, Class::Equal32, Class::Less32];

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::WrongPc,
        what: "a branch is taken the other way",
        applies: |e, at| is(e, at, BRANCHES),
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                row[Cell::T] ^= 1;
                *fault.upc = decided(row[Cell::T], row[Cell::Target], upc(e, at));
            }))
        },
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "a branch is decided one way and taken the other",
        applies: |e, at| is(e, at, BRANCHES),
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                *fault.upc = decided(1 - row[Cell::T], row[Cell::Target], upc(e, at));
            }))
        },
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "a signed branch is taken the other way",
        applies: |e, at| is(e, at, &[Class::LessSigned]),
        tell: |e, at, _| {
            told(rerun(e.witness(), |mut fault| {
                let index = fault.index;
                if fault.row.is_none() {
                    return;
                }
                if index == at {
                    let row = row(&mut fault);
                    row[Cell::T] ^= 1;
                    row[Cell::C] ^= 1;
                }
            }))
        },
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "another slot follows",
        applies: |_, _| true,
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                *fault.upc = other_slot(e, *fault.upc, seed);
            }))
        },
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "the next row of the table follows",
        applies: |e, at| op(e, upc(e, at) + 1).is_some(),
        tell: |e, at, _| told(behind(e, at, |fault| *fault.upc = upc(e, at) + 1)),
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "the slot behind the instruction follows",
        applies: |_, _| true,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.upc = *fault.pc + 1)),
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "the rest belongs to another slot",
        applies: |e, at| at + 1 < e.used() && !e.is_start(at + 1),
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                *fault.pc = other_slot(e, *fault.pc, seed);
            }))
        },
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "the program is said to go elsewhere",
        applies: |e, at| {
            op(e, upc(e, at)).is_some_and(|op| match op.mode {
                Mode::Go => true,
                Mode::Next => e.rows()[at][Cell::T] == 1,
                Mode::Return | Mode::Class => false,
            })
        },
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                let other = other_slot(e, *fault.upc, seed);
                row(fault)[Cell::Target] = other as i128;
                *fault.upc = other;
            }))
        },
    },
    Trick {
        kind: FaultKind::WrongPc,
        what: "the run begins elsewhere",
        applies: |e, at| at == 0 && e.is_start(0),
        tell: |e, at, seed| {
            let entry = SLOT_ROW + e.witness().instance.pc_in as usize;
            told(super::enter(e, at, other_slot(e, entry, seed)))
        },
    },
];

fn decided(taken: i128, target: i128, upc: usize) -> usize {
    if taken == 1 { target as usize } else { upc + 1 }
}
