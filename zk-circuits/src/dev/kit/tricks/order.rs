//! Steps that are left out, repeated, or in another order.

use super::{Told, Trick, behind, enter, told, upc};
use crate::dev::kit::FaultKind;
use crate::dev::kit::execution::Execution;
use crate::dev::rerun;

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::SkippedStep,
        what: "an instruction is left out",
        applies: is_step,
        tell: |e, at, _| told(enter(e, at, behind_step(e, at))),
    },
    Trick {
        kind: FaultKind::SkippedStep,
        what: "an instruction is left out, but counted",
        applies: |e, at| is_step(e, at) && at > 0,
        tell: |e, at, _| {
            told(behind(e, at - 1, |fault| {
                *fault.upc = behind_step(e, at);
                *fault.steps += 1;
                *fault.units += 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::SkippedStep,
        what: "a row of an instruction is left out",
        applies: is_inner,
        tell: |e, at, _| told(enter(e, at, upc(e, at + 1))),
    },
    Trick {
        kind: FaultKind::RepeatedStep,
        what: "an instruction happens twice",
        applies: is_step,
        tell: |e, at, _| {
            let last = e.next_start(at).unwrap_or(at + 1) - 1;
            told(behind(e, last, |fault| *fault.upc = upc(e, at)))
        },
    },
    Trick {
        kind: FaultKind::RepeatedStep,
        what: "an instruction happens twice, but is counted once",
        applies: is_step,
        tell: |e, at, _| {
            let last = e.next_start(at).unwrap_or(at + 1) - 1;
            told(behind(e, last, |fault| {
                *fault.upc = upc(e, at);
                *fault.steps -= 1;
                *fault.units -= 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::RepeatedStep,
        what: "a row of an instruction happens twice",
        applies: is_inner,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.upc = upc(e, at))),
    },
    Trick {
        kind: FaultKind::ReorderedSteps,
        what: "two instructions are swapped",
        applies: |e, at| is_step(e, at) && e.next_start(at).is_some_and(|next| is_step(e, next)),
        tell: swapped_steps,
    },
    Trick {
        kind: FaultKind::ReorderedSteps,
        what: "two rows of an instruction are swapped",
        applies: |e, at| is_inner(e, at) && is_inner(e, at + 1),
        tell: |e, at, _| {
            let mut order = [upc(e, at + 1), upc(e, at), upc(e, at + 2)].into_iter();
            told(rerun(e.witness(), |fault| {
                if fault.row.is_none()
                    && (at..at + 3).contains(&fault.index)
                    && let Some(next) = order.next()
                {
                    *fault.upc = next;
                }
            }))
        },
    },
];

/// Whether an instruction begins in a row, and another one behind it.
fn is_step(e: &Execution, at: usize) -> bool {
    e.is_start(at) && e.next_start(at).is_some()
}

/// Whether a row is no instruction's first, and another row is behind it.
fn is_inner(e: &Execution, at: usize) -> bool {
    at > 0 && at + 1 < e.used() && !e.is_start(at)
}

fn behind_step(e: &Execution, at: usize) -> usize {
    upc(e, e.next_start(at).unwrap_or(at))
}

fn swapped_steps(e: &Execution, at: usize, _: u64) -> Told {
    let second = e.next_start(at).unwrap_or(at);
    let third = e.next_start(second).unwrap_or(second);
    let mut order = [second, at, third].map(|start| upc(e, start)).into_iter();
    let begins = |upc: usize| e.witness().microcode.op(upc).is_some_and(|op| op.first);
    told(rerun(e.witness(), |fault| {
        if fault.row.is_none()
            && fault.index >= at
            && begins(*fault.upc)
            && let Some(next) = order.next()
        {
            *fault.upc = next;
        }
    }))
}
