//! Counts, memory at both ends, tables and public values.

use bpf_tracer::canonical::layout::INPUT_BASE;
use ff::Field;
use halo2curves::bn256::Fr;

use super::endings::instance;
use super::{Told, Trick, before, behind, in_group, is, told, upc, word, writes};
use crate::Committed;
use crate::cell::Cell;
use crate::class::Class;
use crate::dev::Forgery;
use crate::dev::kit::FaultKind;
use crate::dev::kit::execution::Execution;
use crate::instance::ChunkInstance;
use crate::shape::{PAGE_WORDS, Shape};
use crate::witness::RESERVED_ROWS;

pub(super) static TRICKS: &[Trick] = &[
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "a step is not counted",
        applies: Execution::is_start,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.steps -= 1)),
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "a step too many is counted",
        applies: |_, _| true,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.steps += 1)),
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "a unit is not counted",
        applies: Execution::is_start,
        tell: |e, at, _| told(behind(e, at, |fault| *fault.units -= 1)),
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "units are counted that were not used",
        applies: |_, _| true,
        tell: |e, at, seed| told(behind(e, at, |fault| *fault.units += 1 << (seed % 40))),
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "units are counted as steps",
        applies: Execution::is_start,
        tell: |e, at, _| {
            told(behind(e, at, |fault| {
                *fault.units -= 1;
                *fault.steps += 1;
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "another number of steps is published",
        applies: first,
        tell: |e, _, seed| instance(e, |i| i.steps_out = nudged(i.steps_out, seed)),
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "another number of units is published",
        applies: first,
        tell: |e, _, seed| instance(e, |i| i.units_out = nudged(i.units_out, seed)),
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "the run is said to have begun with other counts",
        applies: first,
        tell: |e, _, seed| {
            instance(e, |i| {
                let count = if seed & 2 == 0 {
                    &mut i.steps_in
                } else {
                    &mut i.units_in
                };
                *count = nudged(*count, seed);
            })
        },
    },
    Trick {
        kind: FaultKind::ForgedCounts,
        what: "the run counts from another number",
        applies: first,
        tell: |e, at, seed| {
            told(before(e, at, |fault| {
                if seed & 2 == 0 {
                    *fault.steps += 1;
                } else {
                    *fault.units += 1;
                }
            }))
        },
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "a word that is read is another at the entry",
        applies: |_, _| true,
        tell: |e, at, seed| entry_word(e, word(e, at, Cell::AddrX), seed),
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "a word that is written is another at the entry",
        applies: writes,
        tell: |e, at, seed| entry_word(e, word(e, at, Cell::AddrY), seed),
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "a word that is written is another at the exit",
        applies: writes,
        tell: |e, at, seed| {
            let mut forged = Forgery::of(e.witness());
            forged.exit()[word(e, at, Cell::AddrY)] ^= 1 << (seed % 64);
            Ok(forged)
        },
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "any word is another at the entry",
        applies: first,
        tell: |e, _, seed| {
            let count = (e.witness().entry.len() - RESERVED_ROWS) as u64;
            entry_word(e, RESERVED_ROWS + (seed % count) as usize, seed >> 16)
        },
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "a word is used last at another time",
        applies: writes,
        tell: |e, at, _| {
            let mut witness = e.witness().clone();
            witness.last_times[word(e, at, Cell::AddrY)] -= 1;
            Ok(Forgery::of(&witness))
        },
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "a word is shown in the other lane",
        applies: |e, at| writes(e, at) && word(e, at, Cell::AddrY) < e.witness().entry.len(),
        tell: |e, at, seed| {
            let row = word(e, at, Cell::AddrY);
            let public = row >= e.witness().shape.public_word() as usize;
            let column = match (public, seed & 1) {
                (true, 0) => Committed::EntryPrivate,
                (true, _) => Committed::ExitPrivate,
                (false, 0) => Committed::EntryPublic,
                (false, _) => Committed::ExitPublic,
            };
            committed(e, column, row)
        },
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "the program has another operation here",
        applies: |e, at| table_row(e, at).is_some(),
        tell: |e, at, seed| {
            let column = [Committed::Code, Committed::Immediate, Committed::Target];
            let row = table_row(e, at).unwrap_or(0);
            committed(e, column[(seed % 3) as usize], row)
        },
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "a page lies elsewhere",
        applies: |e, at| page_row(e, at).is_some(),
        tell: |e, at, _| committed(e, Committed::Pages, page_row(e, at).unwrap_or(0)),
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "the input is longer or shorter",
        applies: |e, at| {
            let row = &e.rows()[at];
            let access = is(e, at, &[Class::Load, Class::Store, Class::Span]);
            let input = i128::from(INPUT_BASE);
            access && row[Cell::T] == 1 && row[Cell::B] - (row[Cell::S] << 64) >= input
        },
        tell: |e, _, seed| instance(e, |i| i.input_size = nudged(i.input_size, seed)),
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "a public value of the state is another",
        applies: first,
        tell: |e, _, seed| {
            let values: [fn(&mut ChunkInstance) -> &mut u64; 6] = [
                |i| &mut i.pc_in,
                |i| &mut i.pc_out,
                |i| &mut i.slot_out,
                |i| &mut i.depth_in,
                |i| &mut i.depth_out,
                |i| &mut i.status,
            ];
            instance(e, |i| {
                let value = values[(seed >> 8) as usize % values.len()](i);
                *value = nudged(*value, seed);
            })
        },
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "the run is said to have ended before",
        applies: first,
        tell: |e, _, _| instance(e, |i| i.running_in = false),
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "the chunk is said to continue another slot",
        applies: |e, at| at == 0 && !e.is_start(0),
        tell: |e, _, seed| instance(e, |i| i.slot_in = nudged(i.slot_in, seed)),
    },
    Trick {
        kind: FaultKind::ForgedBoundary,
        what: "the chunk begins inside of an instruction",
        applies: |e, at| at > 0 && !e.is_start(at) && !is(e, at, &[Class::Equal]) && e.is_start(0),
        tell: |e, at, _| {
            let (upc, pc) = (upc(e, at), e.rows()[at][Cell::Pc] as usize);
            let mut witness = before(e, 0, |fault| {
                *fault.upc = upc;
                *fault.pc = pc;
            })?;
            let slot_row = crate::shape::SLOT_ROW;
            witness.instance.pc_in = (upc as u64).wrapping_sub(slot_row as u64);
            witness.instance.slot_in = (pc as u64 + 1).wrapping_sub(slot_row as u64);
            told(Ok(witness))
        },
    },
];

fn first(_: &Execution, at: usize) -> bool {
    at == 0
}

/// One more, or one less where there is something.
fn nudged(value: u64, seed: u64) -> u64 {
    if seed & 1 == 0 || value == 0 {
        value + 1
    } else {
        value - 1
    }
}

fn entry_word(e: &Execution, word: usize, seed: u64) -> Told {
    let mut forged = Forgery::of(e.witness());
    forged.entry()[word] ^= 1 << (seed % 64);
    Ok(forged)
}

/// The honest columns, and one more in a committed one.
fn committed(e: &Execution, column: Committed, row: usize) -> Told {
    let mut forged = Forgery::of(e.witness());
    let value = forged.committed(column, row);
    forged.set_committed(column, row, value + Fr::ONE);
    Ok(forged)
}

/// The row of the program table that a row executes.
fn table_row(e: &Execution, at: usize) -> Option<usize> {
    e.witness().table.op_row(e.rows()[at][Cell::Upc])
}

/// The row of the page list that the second access of a row looks up.
fn page_row(e: &Execution, at: usize) -> Option<usize> {
    let memory = in_group(e, at, Cell::G1) && writes(e, at) || in_group(e, at, Cell::G7);
    let shape: Shape = e.witness().shape;
    let page = (e.rows()[at][Cell::AddrY] / i128::from(PAGE_WORDS)) as u32;
    memory.then(|| shape.page_row(page))
}
