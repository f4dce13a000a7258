//! System calls: results, costs, what they read and write.

use super::{Trick, behind, changed, enter, in_group, is, row, told, upc, writes};
use crate::cell::Cell;
use crate::class::Class;
use crate::dev::kit::FaultKind;
use crate::dev::kit::execution::Execution;
use crate::microcode::rom;
use crate::shape::REGISTERS;

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "another result is returned",
        applies: |e, at| is_call(e, at) && e.rows()[at][Cell::AddrY] == i128::from(REGISTERS),
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                row(fault)[Cell::R] ^= 3;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "another byte is written",
        applies: |e, at| {
            let memory = in_group(e, at, Cell::G1) || in_group(e, at, Cell::G7);
            is_call(e, at) && memory && writes(e, at)
        },
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                row(fault)[Cell::R] ^= 0xff << (8 * (seed % 8));
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "the call costs one unit less",
        applies: is_charge,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.units -= 1)),
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "the call costs one unit more",
        applies: is_charge,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.units += 1)),
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "the call costs nothing",
        applies: is_charge,
        tell: |e, at, _| {
            let before = (e.rows()[at][Cell::Count] >> 64) as u64 + u64::from(e.is_start(at));
            told(behind(e, at, |fault| *fault.units = before))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "the call has another price",
        applies: is_charge,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                *fault.units -= 1;
                let row = row(fault);
                row[Cell::Imm] += 1;
                row[Cell::B] += 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "units that suffice are said to run out",
        applies: |e, at| is_charge(e, at) && e.rows()[at][Cell::D] == 1,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                *fault.units = e.rows()[at][Cell::X] as u64;
                *fault.upc = rom::TRAP_UNITS;
                let row = row(fault);
                row[Cell::D] = 0;
                row[Cell::R] = row[Cell::Y];
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "units that run out are said to suffice",
        applies: |e, at| is_charge(e, at) && e.rows()[at][Cell::D] == 0,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let honest = e.rows()[at];
                let cost = honest[Cell::W] - honest[Cell::Imm];
                *fault.units = (honest.v() + cost) as u64 + u64::from(e.is_start(at));
                *fault.upc = rom::LIMBS;
                row(fault)[Cell::D] = 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "more is said to be left",
        applies: |e, at| is_charge(e, at) && e.rows()[at][Cell::D] == 1,
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                row(fault)[Cell::R] += 1 << (seed % 32);
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "the call is counted, but has no effect",
        applies: |e, at| is_call(e, at) && e.is_start(at) && e.next_start(at).is_some(),
        tell: |e, at, _| {
            let next = e.next_start(at).unwrap_or(at);
            told(behind(e, at, |fault| *fault.upc = upc(e, next)))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "the call returns early",
        applies: |e, at| is_call(e, at) && at + 1 < e.used() && !e.is_last(at),
        tell: |e, at, _| told(behind(e, at, |fault| *fault.upc = *fault.pc + 1)),
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "hidden memory holds something else",
        applies: |e, at| is(e, at, &[Class::LoadHidden]),
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                row[Cell::W] ^= 1 << (seed % 64);
                row[Cell::R] = row[Cell::W];
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "something else goes into hidden memory",
        applies: |e, at| is(e, at, &[Class::StoreHidden]),
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                row(fault)[Cell::W] ^= 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "a range is said to be shorter",
        applies: |e, at| is(e, at, &[Class::Span]),
        tell: |e, at, _| {
            Ok(changed(e.witness().clone(), |witness| {
                let row = &mut witness.rows[at];
                row[Cell::Y] -= row[Cell::Y].signum();
                row[Cell::R] = row[Cell::Y];
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "a run of copied words ends early",
        applies: |e, at| in_group(e, at, Cell::G7) && e.rows()[at][Cell::T] == 1,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                row[Cell::T] = 0;
                *fault.upc = row[Cell::Target] as usize;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "a run of copied words goes on",
        applies: |e, at| in_group(e, at, Cell::G7) && e.rows()[at][Cell::T] == 0,
        tell: |e, at, _| {
            let next = upc(e, at) + usize::from(is(e, at, &[Class::CopyFirst]));
            told(crate::dev::rerun(e.witness(), |mut fault| {
                let goes_on = match fault.index.checked_sub(at) {
                    Some(0) => 1,
                    Some(1) => 0,
                    _ => return,
                };
                let follows = fault.row.as_deref_mut().map(|row| {
                    row[Cell::T] = goes_on;
                    row[Cell::Target] as usize
                });
                if let Some(target) = follows {
                    *fault.upc = if goes_on == 1 { next } else { target };
                }
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedSyscall,
        what: "another routine is entered",
        applies: |e, at| is_call(e, at) && at > 0 && !e.is_start(at) && e.is_start(at - 1),
        tell: |e, at, seed| {
            let count = e.witness().microcode.ops().len() as u64;
            let continuations =
                crate::shape::SLOT_ROW as u64 + u64::from(e.witness().microcode.slots()) + 1;
            let entered = continuations + seed % (count - continuations).max(1);
            told(enter(e, at, entered as usize))
        },
    },
];

fn is_call(e: &Execution, at: usize) -> bool {
    e.operation(at).is_syscall()
}

fn is_charge(e: &Execution, at: usize) -> bool {
    is(e, at, &[Class::Charge])
}
