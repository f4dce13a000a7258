//! Frames: return addresses, saved registers, depth.

use super::{Told, Trick, around, behind, is, row, told, upc};
use crate::cell::Cell;
use crate::class::Class;
use crate::dev::kit::FaultKind;
use crate::dev::kit::execution::Execution;
use crate::microcode::rom;
use crate::shape::FRAME_WORDS;

const FRAME: i128 = FRAME_WORDS as i128;

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "the return address is another slot",
        applies: is_entered,
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                row[Cell::R] += if seed & 1 == 0 { 1 } else { -1 };
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "the return address is not saved",
        applies: is_entered,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                row[Cell::R] = row[Cell::Y];
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "no frame is entered",
        applies: is_entered,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.frame -= FRAME)),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "two frames are entered",
        applies: is_entered,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.frame += FRAME)),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "another function is entered",
        applies: is_entered,
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                *fault.pc = super::other_slot(e, *fault.pc + 1, seed) - 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a register is saved with another value",
        applies: |e, at| (rom::CALL..rom::CALL + 5).contains(&upc(e, at)),
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                row(fault)[Cell::R] ^= 1 << (seed % 64);
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a register is not saved",
        applies: |e, at| (rom::CALL..rom::CALL + 5).contains(&upc(e, at)),
        tell: |e, at, _| told(super::enter(e, at, upc(e, at) + 1)),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a function returns elsewhere",
        applies: is_exit,
        tell: |e, at, seed| {
            let honest = e.rows()[at][Cell::X] as usize;
            let other = super::other_slot(e, honest, seed) as u64;
            told(super::misread(e, at, other))
        },
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a function returns and stays in its frame",
        applies: is_exit,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.frame += FRAME)),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a function leaves two frames",
        applies: is_exit,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.frame -= FRAME)),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a saved register has changed",
        applies: is_exit,
        tell: |e, at, seed| {
            // r6 to r10 of the frame that is returned to.
            let frame = e.rows()[at][Cell::AddrX] as usize;
            let saved = (frame + 1).saturating_sub(2 * FRAME_WORDS as usize) + (seed % 5) as usize;
            told(behind(e, at, |fault| {
                fault.words[saved] ^= 1 << (seed % 64);
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "the depth grows by itself",
        applies: |_, _| true,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.frame += FRAME)),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "the depth shrinks by itself",
        applies: |_, _| true,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.frame -= FRAME)),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a row happens in the next frame",
        applies: |_, _| true,
        tell: |e, at, _| in_frame(e, at, FRAME),
    },
    Trick {
        kind: FaultKind::ForgedFrame,
        what: "a row happens in the caller's frame",
        applies: |_, _| true,
        tell: |e, at, _| in_frame(e, at, -FRAME),
    },
];

/// A row that happens some frames further, and nothing else does.
fn in_frame(e: &Execution, at: usize, by: i128) -> Told {
    told(around(
        e,
        at,
        |fault| *fault.frame += by,
        |fault| *fault.frame -= by,
    ))
}

fn is_entered(e: &Execution, at: usize) -> bool {
    is(e, at, &[Class::Call]) && e.rows()[at][Cell::W] == 1
}

fn is_exit(e: &Execution, at: usize) -> bool {
    is(e, at, &[Class::Exit])
}
