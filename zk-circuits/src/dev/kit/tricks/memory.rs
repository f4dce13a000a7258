//! Reads of what is not there any more, writes that do not last, other addresses.

use super::values::shifted;
use super::{Told, Trick, around, behind, in_group, is, other_word, row, told, word, writes};
use crate::cell::Cell;
use crate::class::Class;
use crate::dev::kit::FaultKind;
use crate::dev::kit::execution::{Execution, settle};

const ACCESSES: &[Class] = &[
    Class::Load,
    Class::Store,
    Class::Span,
    Class::LoadHidden,
    Class::StoreHidden,
];

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::StaleRead,
        what: "the first operand is from before its last write",
        applies: |e, at| e.earlier(at, 0).is_some(),
        tell: |e, at, _| stale(e, at, 0, false),
    },
    Trick {
        kind: FaultKind::StaleRead,
        what: "the first operand is from before its last write, with its time",
        applies: |e, at| e.earlier(at, 0).is_some(),
        tell: |e, at, _| stale(e, at, 0, true),
    },
    Trick {
        kind: FaultKind::StaleRead,
        what: "the second operand is from before its last write",
        applies: |e, at| e.earlier(at, 1).is_some(),
        tell: |e, at, _| stale(e, at, 1, false),
    },
    Trick {
        kind: FaultKind::StaleRead,
        what: "the second operand is from before its last write, with its time",
        applies: |e, at| e.earlier(at, 1).is_some(),
        tell: |e, at, _| stale(e, at, 1, true),
    },
    Trick {
        kind: FaultKind::DroppedWrite,
        what: "a write is forgotten",
        applies: |e, at| writes(e, at) && e.rows()[at][Cell::R] != e.rows()[at][Cell::Y],
        tell: |e, at, _| {
            let (y, old) = (word(e, at, Cell::AddrY), e.rows()[at][Cell::Y] as u64);
            told(behind(e, at, |fault| fault.words[y] = old))
        },
    },
    Trick {
        kind: FaultKind::DroppedWrite,
        what: "a word changes before it is read",
        applies: |e, at| at + 1 < e.used(),
        tell: |e, at, seed| {
            let next = word(e, at + 1, Cell::AddrX);
            told(behind(e, at, |fault| fault.words[next] ^= 1 << (seed % 64)))
        },
    },
    Trick {
        kind: FaultKind::DroppedWrite,
        what: "a word changes before it is written",
        applies: |e, at| at + 1 < e.used() && writes(e, at + 1),
        tell: |e, at, seed| {
            let next = word(e, at + 1, Cell::AddrY);
            told(behind(e, at, |fault| fault.words[next] ^= 1 << (seed % 64)))
        },
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "a value is written to another word, too",
        applies: |e, at| writes(e, at) && e.rows()[at][Cell::R] != e.rows()[at][Cell::Y],
        tell: |e, at, seed| {
            let y = word(e, at, Cell::AddrY);
            let other = other_word(&e.witness().entry, &[y], seed).unwrap_or(y);
            let written = e.rows()[at][Cell::R] as u64;
            told(behind(e, at, |fault| fault.words[other] = written))
        },
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "the next word of memory is accessed",
        applies: |e, at| in_group(e, at, Cell::G1) && writes(e, at),
        tell: |e, at, _| elsewhere(e, at, Cell::AddrY, 1),
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "the same word of another page is accessed",
        applies: |e, at| in_group(e, at, Cell::G1) && writes(e, at),
        tell: |e, at, seed| {
            let pages = if seed & 1 == 0 { 1 } else { -1 };
            elsewhere(e, at, Cell::AddrY, 32 * pages)
        },
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "another word is copied",
        applies: |e, at| in_group(e, at, Cell::G7),
        tell: |e, at, _| elsewhere(e, at, Cell::AddrX, 1),
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "a word is copied to another place",
        applies: |e, at| in_group(e, at, Cell::G7),
        tell: |e, at, _| elsewhere(e, at, Cell::AddrY, 1),
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "a read-only word has another value",
        applies: |e, at| !writes(e, at),
        tell: |e, at, seed| {
            told(behind(e, at, |fault| {
                row(fault)[Cell::Y] ^= 1 << (seed % 64);
            }))
        },
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "the access is at another address",
        applies: |e, at| is(e, at, ACCESSES),
        tell: |e, at, seed| shifted(e, at, step(seed), false),
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "the access is at another address, as if its offset were another",
        applies: |e, at| is(e, at, ACCESSES),
        tell: |e, at, seed| shifted(e, at, step(seed), true),
    },
    Trick {
        kind: FaultKind::OtherAddress,
        what: "another byte of the word is accessed",
        applies: |e, at| in_group(e, at, Cell::G1),
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                let row = row(fault);
                let up = if row[Cell::P0] % 8 == 7 { -1 } else { 1 };
                row[Cell::P0] += up;
                // The powers that belong to the byte.
                let offset = row[Cell::P0] % 8;
                row[Cell::B] = 1 << (8 * offset);
                row[Cell::P2] = 1 << (64 - 8 * offset);
            }))
        },
    },
];

/// One byte, one word, or one page, up or down.
fn step(seed: u64) -> i128 {
    let size = [1, 8, 256][(seed % 3) as usize];
    if seed & 64 == 0 { size } else { -size }
}

fn stale(e: &Execution, at: usize, access: usize, with_time: bool) -> Told {
    let (address, time, value) = [
        (Cell::AddrX, Cell::TimeX, Cell::X),
        (Cell::AddrY, Cell::TimeY, Cell::Y),
    ][access];
    let place = word(e, at, address);
    let honest = e.rows()[at][value] as u64;
    let (old, then) = e.earlier(at, access).unwrap_or((honest, 0));
    told(around(
        e,
        at,
        |fault| fault.words[place] = old,
        |fault| {
            if access == 0 {
                fault.words[place] = honest;
            }
            if with_time {
                row(fault)[time] = then.into();
            }
        },
    ))
}

/// A row whose access goes some words further, where there are words, and takes and leaves values there.
fn elsewhere(e: &Execution, at: usize, address: Cell, by: isize) -> Told {
    let place = word(e, at, address);
    let count = e.witness().entry.len();
    let first_page = (crate::shape::FIRST_PAGE * crate::shape::PAGE_WORDS) as usize;
    let within = |word: &usize| (first_page..count).contains(word);
    let other = place
        .checked_add_signed(by)
        .filter(within)
        .or_else(|| place.checked_add_signed(-by).filter(within))
        .unwrap_or(place);
    let second = address == Cell::AddrY;
    let honest = e.rows()[at][if second { Cell::Y } else { Cell::X }] as u64;
    let mut witness = around(
        e,
        at,
        |fault| {
            // The other word is what this one seems to hold.
            fault.words[place] = fault.words[other];
        },
        |fault| {
            fault.words[place] = honest;
            let row = row(fault);
            row[address] = other as i128;
            if second {
                fault.words[other] = row[Cell::R] as u64;
            }
        },
    )?;
    settle(&mut witness);
    told(Ok(witness))
}
