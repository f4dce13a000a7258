//! Wrong results, wrong operands, wrong operations.

use super::{
    Told, Trick, around, before, behind, is, is_fetched, misread, op, other_word, row, told, upc,
    word, writes,
};
use crate::cell::Cell;
use crate::class::Class;
use crate::dev::kit::execution::{Execution, settle};
use crate::dev::kit::{FaultKind, mix};
use crate::microcode::Mode;

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::WrongResult,
        what: "the result is one more",
        applies: writes,
        tell: |e, at, _| result(e, at, |r| r.wrapping_add(1)),
    },
    Trick {
        kind: FaultKind::WrongResult,
        what: "a bit of the result is flipped",
        applies: writes,
        tell: |e, at, seed| result(e, at, |r| r ^ (1 << (seed % 64))),
    },
    Trick {
        kind: FaultKind::WrongResult,
        what: "the upper half of the result is inverted",
        applies: writes,
        tell: |e, at, _| result(e, at, |r| r ^ (0xffff_ffff << 32)),
    },
    Trick {
        kind: FaultKind::WrongResult,
        what: "the result is what was there",
        applies: |e, at| writes(e, at) && e.rows()[at][Cell::R] != e.rows()[at][Cell::Y],
        tell: |e, at, _| {
            let old = e.rows()[at][Cell::Y] as u64;
            result(e, at, |_| old)
        },
    },
    Trick {
        kind: FaultKind::WrongOperand,
        what: "the first operand has another value",
        applies: |_, _| true,
        tell: flipped,
    },
    Trick {
        kind: FaultKind::WrongOperand,
        what: "the second operand has another value",
        applies: writes,
        tell: |e, at, seed| {
            let y = word(e, at, Cell::AddrY);
            told(before(e, at, |fault| fault.words[y] ^= 1 << (seed % 64)))
        },
    },
    Trick {
        kind: FaultKind::WrongOperand,
        what: "the first operand is another word",
        applies: is_fetched,
        tell: |e, at, seed| other_operand(e, at, seed, Cell::AddrX),
    },
    Trick {
        kind: FaultKind::WrongOperand,
        what: "the second operand is another word",
        applies: is_fetched,
        tell: |e, at, seed| other_operand(e, at, seed, Cell::AddrY),
    },
    Trick {
        kind: FaultKind::WrongOperand,
        what: "the immediate is another",
        applies: is_fetched,
        tell: |e, at, seed| shifted(e, at, distance(seed), true),
    },
    Trick {
        kind: FaultKind::WrongOperand,
        what: "b is not the operand",
        applies: is_fetched,
        tell: |e, at, seed| shifted(e, at, distance(seed), false),
    },
    Trick {
        kind: FaultKind::WrongOperation,
        what: "another operation happens",
        applies: |e, at| !is(e, at, &[Class::End]),
        tell: other_operation,
    },
    Trick {
        kind: FaultKind::WrongOperation,
        what: "the same class with another modifier",
        applies: |e, at| !is(e, at, &[Class::End]),
        tell: |e, at, seed| {
            let modifier = [Cell::M1, Cell::M2, Cell::M3][(seed % 3) as usize];
            told(behind(e, at, |fault| row(fault)[modifier] ^= 1))
        },
    },
];

fn result(e: &Execution, at: usize, change: impl Fn(u64) -> u64) -> Told {
    told(behind(e, at, |fault| {
        let row = row(fault);
        row[Cell::R] = change(row[Cell::R] as u64).into();
    }))
}

/// A row whose first operand is read with a bit flipped.
pub(super) fn flipped(e: &Execution, at: usize, seed: u64) -> Told {
    let honest = e.rows()[at][Cell::X] as u64;
    told(misread(e, at, honest ^ (1 << (seed % 64))))
}

/// A small distance, up or down, never zero.
fn distance(seed: u64) -> i128 {
    let size = 1 << (seed % 20);
    if seed & 64 == 0 { size } else { -size }
}

/// A row that takes its operand from another word, and writes its result there if it is the second.
pub(super) fn other_operand(e: &Execution, at: usize, seed: u64, address: Cell) -> Told {
    let (x, y) = (word(e, at, Cell::AddrX), word(e, at, Cell::AddrY));
    let taken = word(e, at, address);
    let honest = e.rows()[at][if address == Cell::AddrX {
        Cell::X
    } else {
        Cell::Y
    }] as u64;
    // Whatever the words hold when the row is reached is what the honest run has there.
    let mut words = e.witness().entry.clone();
    for (index, row) in e.rows()[..at].iter().enumerate() {
        if writes(e, index) {
            words[row[Cell::AddrY] as usize] = row[Cell::R] as u64;
        }
    }
    let both = if taken == x { [x, y] } else { [y, x] };
    let other = other_word(&words, &both, seed).unwrap_or(taken);
    let mut witness = around(
        e,
        at,
        |fault| fault.words[taken] = words[other],
        |fault| {
            fault.words[taken] = honest;
            let row = row(fault);
            row[address] = other as i128;
            if address == Cell::AddrY {
                let written = row[Cell::R] as u64;
                fault.words[other] = written;
            }
        },
    )?;
    settle(&mut witness);
    told(Ok(witness))
}

/// A row whose `b` is `by` more than `x + imm`, as if the immediate were another, or without a reason.
pub(super) fn shifted(e: &Execution, at: usize, by: i128, in_code: bool) -> Told {
    let x = word(e, at, Cell::AddrX);
    let honest = e.rows()[at][Cell::X] as u64;
    // The operand that the row computes with must be a word.
    let moved = i128::from(honest) + by;
    let (moved, by) = match u64::try_from(moved) {
        Ok(moved) => (moved, by),
        Err(_) => (honest ^ 1, i128::from(honest ^ 1) - i128::from(honest)),
    };
    told(around(
        e,
        at,
        |fault| fault.words[x] = moved,
        |fault| {
            fault.words[x] = honest;
            let row = row(fault);
            row[Cell::X] = honest.into();
            if in_code {
                row[Cell::Imm] += by;
            }
        },
    ))
}

/// A row that claims to be its micro-operation, but does what another one says.
fn other_operation(e: &Execution, at: usize, seed: u64) -> Told {
    let here = upc(e, at);
    let pc = e.rows()[at][Cell::Pc];
    let honest = op(e, here).copied();
    let count = e.witness().microcode.ops().len() as u64;
    let other = (0..count)
        .map(|i| (mix(seed) % count + i) % count)
        .map(|address| address as usize)
        .find(|address| {
            let other = op(e, *address).copied();
            other.is_some_and(|o| {
                honest.is_some_and(|h| o.first == h.first && o != h && o.class != Class::End)
            })
        })
        .unwrap_or(here);
    let first = honest.is_some_and(|op| op.first);
    told(around(
        e,
        at,
        |fault| *fault.upc = other,
        |fault| {
            let next = *fault.upc;
            let mode = op(e, other).map(|op| op.mode);
            let row = row(fault);
            row[Cell::Upc] = here as i128;
            if first {
                row[Cell::Pc] = pc;
            }
            let taken = row[Cell::T] == 1;
            // What follows is what follows here.
            let follows = match mode {
                Some(Mode::Next) if !taken => here + 1,
                Some(Mode::Return) => pc as usize + 1,
                Some(Mode::Class) if next == other + 1 => here + 1,
                _ => next,
            };
            *fault.upc = follows;
            if first && *fault.pc == other {
                *fault.pc = pc as usize;
            }
        },
    ))
}
