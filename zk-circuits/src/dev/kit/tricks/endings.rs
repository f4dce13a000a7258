//! Ends that do not happen, that are denied, or that are others.

use bpf_tracer::TrapKind;

use super::values::{flipped, other_operand};
use super::{Told, Trick, before, behind, changed, enter, is, row, told, upc};
use crate::cell::Cell;
use crate::class::Class;
use crate::dev::kit::FaultKind;
use crate::dev::kit::execution::{Execution, forgery, settle};
use crate::dev::{Forgery, rerun};
use crate::instance::{ChunkInstance, STATUS_HALT, STATUS_RUNNING, STATUS_TRAP};
use crate::microcode::rom;
use crate::shape::FRAME_WORDS;
use crate::witness::RESERVED_ROWS;

const FRAME: i128 = FRAME_WORDS as i128;

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::ForgedExit,
        what: "the run halts behind an instruction",
        applies: Execution::is_last,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.upc = rom::HALT)),
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "the run halts inside an instruction",
        applies: |e, at| !is_end(e, at) && !e.is_last(at),
        tell: |e, at, _| told(behind(e, at, |fault| *fault.upc = rom::HALT)),
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "r0 is read with another value",
        applies: is_halt,
        tell: flipped,
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "r0 is read from another word",
        applies: is_halt,
        tell: |e, at, seed| other_operand(e, at, seed, Cell::AddrX),
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "r0 is published with another value",
        applies: is_halt,
        tell: |e, _, seed| instance(e, |i| i.r0 ^= 1 << (seed % 64)),
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "a run that ends is said to go on",
        applies: is_end,
        tell: |e, _, _| {
            instance(e, |i| {
                i.running_out = true;
                (i.status, i.r0, i.trap_kind, i.trap_pc) = (STATUS_RUNNING, 0, 0, 0);
            })
        },
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "a run that goes on is said to halt",
        applies: |e, at| at == 0 && e.witness().instance.running_out,
        tell: |e, _, _| {
            instance(e, |i| {
                i.running_out = false;
                i.status = STATUS_HALT;
            })
        },
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "a status without an end",
        applies: |e, at| at == 0 && e.witness().instance.running_out,
        tell: |e, _, seed| {
            instance(e, |i| match seed % 4 {
                0 => i.status = 1 + seed / 4 % 2,
                1 => i.r0 = seed | 1,
                2 => i.trap_kind = 3,
                _ => i.trap_pc = 1,
            })
        },
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "the run ends twice",
        applies: |e, at| is_end(e, at) && at + 1 < e.rows().len(),
        tell: |e, at, _| behind_end(e, at, at),
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "a step behind the end",
        applies: |e, at| is_end(e, at) && at + 1 < e.rows().len(),
        tell: |e, at, _| behind_end(e, at, 0),
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "a word of the output is another",
        applies: is_end,
        tell: |e, _, seed| {
            let first = e.witness().shape.public_word() as usize;
            exit_word(e, first, e.witness().exit.len() - first, seed)
        },
    },
    Trick {
        kind: FaultKind::ForgedExit,
        what: "a private word is another at the end",
        applies: is_end,
        tell: |e, _, seed| {
            let count = e.witness().shape.public_word() as usize - RESERVED_ROWS;
            exit_word(e, RESERVED_ROWS, count, seed)
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "an instruction is followed by a trap",
        applies: Execution::is_last,
        tell: |e, at, seed| told(behind(e, at, |fault| *fault.upc = rom::trap(kind(seed)))),
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a row of an instruction is followed by a trap",
        applies: |e, at| !is_end(e, at) && !e.is_last(at) && !is_trap(e, at + 1),
        tell: |e, at, seed| told(behind(e, at, |fault| *fault.upc = rom::trap(kind(seed)))),
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "an instruction traps in place of being executed",
        applies: Execution::is_start,
        tell: |e, at, seed| told(enter(e, at, rom::trap(kind(seed)))),
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a permitted access is said to be a violation",
        applies: |e, at| is_access(e, at) && e.rows()[at][Cell::T] == 1,
        tell: |e, at, _| {
            let is_range = is(e, at, &[Class::Span]);
            let row = &e.rows()[at];
            let to_write = row[Cell::H1] == 1 || is_range && row[Cell::M1] == 1;
            told(behind(e, at, |fault| {
                *fault.upc = rom::fault(is_range, to_write);
                let row = super::row(fault);
                row[Cell::T] = 0;
                row[Cell::R] = row[Cell::Y];
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a violation is said to be permitted",
        applies: |e, at| is_access(e, at) && e.rows()[at][Cell::T] == 0,
        tell: |e, at, _| {
            let is_range = is(e, at, &[Class::Span]);
            told(behind(e, at, |fault| {
                let here = upc(e, at);
                let row = row(fault);
                row[Cell::T] = 1;
                let words = 2 * row[Cell::D] + row[Cell::C];
                *fault.upc = if is_range {
                    here + 1
                } else {
                    rom::WORDS + words as usize
                };
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a violation is said to be permitted, and nothing is accessed",
        applies: |e, at| is_access(e, at) && e.rows()[at][Cell::T] == 0,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                row(fault)[Cell::T] = 1;
                *fault.upc = upc(e, at) + 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a call is said to be too deep",
        applies: |e, at| is(e, at, &[Class::Call]) && e.rows()[at][Cell::T] == 1,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let honest = e.rows()[at];
                if honest[Cell::W] == 1 {
                    *fault.frame -= FRAME;
                    *fault.pc = honest[Cell::Pc] as usize;
                }
                *fault.upc = rom::TRAP_DEPTH;
                let row = row(fault);
                (row[Cell::T], row[Cell::W]) = (0, 0);
                row[Cell::R] = row[Cell::Y];
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a call that is too deep is said to be possible",
        applies: |e, at| is(e, at, &[Class::Call]) && e.rows()[at][Cell::T] == 0,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let honest = e.rows()[at];
                row(fault)[Cell::T] = 1;
                if honest[Cell::M1] == 1 {
                    *fault.upc = upc(e, at) + 1;
                    return;
                }
                *fault.upc = rom::CALL;
                *fault.frame += FRAME;
                *fault.pc = (honest[Cell::Target] + honest[Cell::X] - 1) as usize;
                let row = row(fault);
                row[Cell::W] = 1;
                row[Cell::R] = row[Cell::Pc] + 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a good target of a call is said to be none",
        applies: |e, at| is(e, at, &[Class::CallTarget]) && e.rows()[at][Cell::T] == 1,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                row[Cell::T] = 0;
                row[Cell::R] = row[Cell::Y];
                *fault.upc = rom::TRAP_TEXT;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a bad target of a call is said to be a slot",
        applies: |e, at| is(e, at, &[Class::CallTarget]) && e.rows()[at][Cell::T] == 0,
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                let slot = super::other_slot(e, 0, seed);
                let row = row(fault);
                row[Cell::T] = 1;
                row[Cell::R] = slot as i128;
                *fault.upc = row[Cell::Upc] as usize + 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a trap is replaced by a halt",
        applies: |e, at| is_trap(e, at) && at > 0,
        tell: |e, at, _| told(enter(e, at, rom::HALT)),
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a trap is passed over",
        applies: |e, at| is_trap(e, at) && at > 0,
        tell: |e, at, _| {
            let slot = e.rows()[at][Cell::Pc] as usize;
            told(enter(e, at, slot + 1))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a trap is replaced by one of another kind",
        applies: is_trap,
        tell: |e, at, seed| told(enter(e, at, rom::trap(kind(seed)))),
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a trap happens at another slot",
        applies: |e, at| is_trap(e, at) && !e.is_start(at),
        tell: |e, at, seed| {
            told(before(e, at, |fault| {
                *fault.pc = super::other_slot(e, *fault.pc, seed);
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a trap says another slot",
        applies: is_trap,
        tell: |e, at, seed| {
            let mut witness = behind(e, at, |fault| {
                row(fault)[Cell::W] += 1 + i128::from(seed % 8);
            })?;
            witness.instance.trap_pc = witness.rows[at][Cell::W] as u64;
            told(Ok(witness))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "another kind is published",
        applies: is_trap,
        tell: |e, _, seed| {
            let honest = e.witness().instance.trap_kind;
            let other = (0..).map(|i| kind(seed.wrapping_add(i)) as u64);
            let other = other.clone().find(|kind| *kind != honest);
            instance(e, |i| i.trap_kind = other.unwrap_or(honest))
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "another slot is published",
        applies: is_trap,
        tell: |e, _, seed| instance(e, |i| i.trap_pc ^= 1 << (seed % 8)),
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a trap is published as a halt",
        applies: is_trap,
        tell: |e, _, _| {
            instance(e, |i| {
                (i.status, i.trap_kind, i.trap_pc) = (STATUS_HALT, 0, 0);
            })
        },
    },
    Trick {
        kind: FaultKind::ForgedTrap,
        what: "a halt is published as a trap",
        applies: is_halt,
        tell: |e, _, seed| {
            instance(e, |i| {
                (i.status, i.r0) = (STATUS_TRAP, 0);
                i.trap_kind = kind(seed) as u64;
            })
        },
    },
];

fn is_end(e: &Execution, at: usize) -> bool {
    is(e, at, &[Class::End])
}

fn is_halt(e: &Execution, at: usize) -> bool {
    is_end(e, at) && e.rows()[at][Cell::M1] == 0
}

fn is_trap(e: &Execution, at: usize) -> bool {
    at < e.used() && is_end(e, at) && e.rows()[at][Cell::M1] == 1
}

fn is_access(e: &Execution, at: usize) -> bool {
    is(e, at, &[Class::Load, Class::Store, Class::Span])
}

fn kind(seed: u64) -> TrapKind {
    TrapKind::ALL[(seed % TrapKind::ALL.len() as u64) as usize]
}

/// The honest rows with other public values.
pub(super) fn instance(e: &Execution, change: impl FnOnce(&mut ChunkInstance)) -> Told {
    Ok(changed(e.witness().clone(), |witness| {
        change(&mut witness.instance);
    }))
}

/// The honest rows, and behind the last one a copy of a row.
fn behind_end(e: &Execution, at: usize, copied: usize) -> Told {
    let mut witness = rerun(e.witness(), |_| {})?;
    witness.rows[at + 1] = witness.rows[copied];
    settle(&mut witness);
    Ok(forgery(witness))
}

/// The honest rows, and another value of a word at the exit.
fn exit_word(e: &Execution, first: usize, count: usize, seed: u64) -> Told {
    let mut forged = Forgery::of(e.witness());
    forged.exit()[first + (seed % count as u64) as usize] ^= 1 << (seed >> 32 & 63);
    Ok(forged)
}
