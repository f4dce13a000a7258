//! Accesses to other words, at other times, without permission; copies that go astray.

use bpf_tracer::canonical::layout::{INPUT_BASE, RODATA_BASE};
use bpf_tracer::{Dialect, Syscall, Tracer};
use zk_circuits::{Cell, ChunkWitness, Class, Committed, Plan, Run, dev, rom, shape};

use crate::control::calling;
use crate::fixtures::{EXIT, Fixture, INPUT_BYTES, input, memory, sbpf, small, wide, witness};
use crate::forgery::{Lies, find, program, set_word};

pub(crate) fn lies(lies: &mut Lies) {
    times(lies);
    words(lies);
    permissions(lies);
    hidden(lies);
    copies(lies);
}

/// Accesses out of order: one that takes what is put back behind it.
fn times(lies: &mut Lies) {
    let three = (shape::REGISTERS + 3) as usize;
    for (name, middle, cell, result) in [
        ("a read of the future", (0x0f, 4, 3, 0, 0), Cell::TimeX, 2),
        ("a write to the future", (0x07, 3, 0, 0, 5), Cell::TimeY, 7),
    ] {
        let honest = program(&[(0xb7, 3, 0, 0, 1), middle, (0xb7, 3, 0, 0, 2), EXIT]);
        let mut forged = dev::script(
            &honest,
            |_| {},
            |script| {
                script.step()?;
                script.words()[three] = 2;
                script.step()?;
                script.words()[three] = 1;
                script.step()?;
                script.words()[three] = result;
                script.run()
            },
        )
        .expect("it runs");
        // Row 0 puts back 1, row 2 takes it and puts back 2, row 1 takes that.
        forged.set_cell(cell, shape::FIRST_ROW + 1, dev::value(3));
        forged.set_cell(Cell::TimeY, shape::FIRST_ROW + 2, dev::value(1));
        forged.set_auxiliary(4, three, dev::value(2));
        forged.set_committed(Committed::ExitPrivate, three, dev::value(result.into()));
        lies.push(name, &honest, forged);
    }
}

fn words(lies: &mut Lies) {
    // Eight bytes across two words, and one word of them.
    let honest = program(&[(0x79, 3, 1, 3, 0), EXIT]);
    let load = find(&honest, Class::Load);
    lies.script("half of a crossing access", &honest, |script| {
        script.until(load)?;
        let low = i128::from(script.words()[small().public_word() as usize]) >> 24;
        script.step_with(|row| {
            row[Cell::C] = 0;
            row[Cell::W] = low;
            row[Cell::R] = low;
        })?;
        script.go(rom::WORDS + 2);
        script.step_with(|row| {
            row[Cell::W] = low;
            row[Cell::R] = row[Cell::Y];
            row[Cell::L8] = 0;
        })?;
        script.run()
    });
    // Four bytes of one word, read as if they went on in the next, which is the same one.
    let honest = program(&[(0x61, 3, 1, 0, 0), EXIT]);
    let load = find(&honest, Class::Load);
    lies.script("a crossing access of one word", &honest, |script| {
        script.until(load)?;
        let word = i128::from(script.words()[small().public_word() as usize]);
        let value = word + (word & 0xffff_ffff);
        script.step_with(|row| {
            row[Cell::C] = 1;
            row[Cell::W] = value;
            row[Cell::R] = value;
        })?;
        script.go(rom::WORDS + 3);
        script.step_with(|row| row[Cell::L8] = 0)?;
        script.step_with(|row| row[Cell::W] = value)?;
        let after = dev::rows(&honest)[load][Cell::Upc] as usize + 1;
        script.go(after);
        Ok(())
    });
    // The next page in place of the first.
    let honest = program(&[(0x79, 3, 1, 0, 0), (0x79, 4, 1, 256, 0), EXIT]);
    let page = dev::pages(&honest)[0];
    with_next_page(lies, "another page", &honest, page);
}

/// The page behind this one in its place.
fn with_next_page(lies: &mut Lies, name: &str, honest: &ChunkWitness, page: u64) {
    lies.script_from(
        name,
        honest,
        |begin| {
            let dense = begin.dense(page + 1).expect("it is touched");
            begin.map(page, dense);
        },
        |script| script.run(),
    );
}

fn permissions(lies: &mut Lies) {
    let end = INPUT_BYTES as i16;
    let slots = [(0x71, 3, 1, end - 1, 0), (0x71, 3, 1, end, 0), EXIT];
    let past = program(&slots);
    let rows = dev::rows(&past);
    let load = rows
        .iter()
        .rposition(|row| dev::class(row) == Some(Class::Load))
        .expect("a load");
    lies.script("an access past the end", &past, |script| {
        script.until(load)?;
        script.step_with(|row| {
            row[Cell::T] = 1;
            row[Cell::D] = 1;
            row[Cell::W] = 0;
            row[Cell::R] = 0;
        })?;
        script.go(rom::WORDS + 2);
        script.run()
    });
    let mut slots = wide(7, RODATA_BASE).to_vec();
    slots.extend([(0x7a, 7, 0, 8, 9), EXIT]);
    let fixture = Fixture::new("rodata", &memory::object(&slots), input());
    let plan = fixture.plan(small(), None).with_whole_program();
    let honest = witness(&plan.expect("it fits"), 0);
    let store = find(&honest, Class::Store);
    lies.script(
        "a store to read-only data that is lost",
        &honest,
        |script| {
            script.until(store)?;
            script.step_with(|row| {
                row[Cell::T] = 1;
                row[Cell::D] = 0;
                set_word(row, 0, 0);
                row[Cell::L0] = 8;
                row[Cell::L2] = 304 - 16;
            })?;
            script.go(rom::WORDS);
            script.run()
        },
    );
}

/// Hidden memory, from a turn of a loop whose address is somewhere else.
fn hidden(lies: &mut Lies) {
    let at = INPUT_BASE;
    let mut slots = sbpf::calling(Syscall::SetReturnData, &[at, 8]);
    slots.pop();
    slots.extend(sbpf::calling(Syscall::GetClockSysvar, &[at + 64]));
    let plan = sbpf::limited("calls", &slots, 10_000).plan(small(), None);
    let honest = witness(&plan.with_whole_program().expect("it fits"), 0);
    let rows = dev::rows(&honest);
    let store = rows
        .iter()
        .rposition(|row| dev::class(row) == Some(Class::StoreHidden))
        .expect("a store");
    let turn = rows[..store]
        .iter()
        .rposition(|row| dev::class(row) == Some(Class::Equal) && row[Cell::First] == 0)
        .expect("a turn");
    let inside = dev::from_row(&honest, turn).expect("a row");
    let to = (shape::TEMPS + 1) as usize;
    let store = store - turn;
    lies.script_from(
        "a hidden store where programs store",
        &inside,
        |begin| begin.words()[to] = at + 8,
        |script| {
            script.until(store)?;
            script.step_with(|row| row[Cell::T] = 0)?;
            script.go(rom::WORDS + 2);
            script.step()?;
            Ok(())
        },
    );
    let constants = 6u64 << 32;
    lies.script_from(
        "a hidden store to a constant",
        &inside,
        |begin| begin.words()[to] = constants,
        |script| {
            script.until(store)?;
            script.step_with(|row| {
                row[Cell::T] = 1;
                row[Cell::D] = 0;
                set_word(row, 0, 0);
                row[Cell::L2] = 40 - 8;
            })?;
            script.go(rom::WORDS);
            script.step()?;
            Ok(())
        },
    );
}

fn copies(lies: &mut Lies) {
    let to = INPUT_BASE + 256;
    let honest = calling(Syscall::Memcpy, &[to + 64, INPUT_BASE + 512, 48]);
    for class in [Class::CopyFirst, Class::CopyNext] {
        let at = find(&honest, class);
        let after = dev::rows(&honest)[at][Cell::Target] as usize;
        lies.script(&format!("{class:?} of another word"), &honest, |script| {
            script.until(at)?;
            let from = dev::rows(&honest)[at][Cell::AddrX] as usize + 1;
            let value = script.words()[from];
            script.step_with(|row| {
                row[Cell::W] += 8;
                row[Cell::P0] += 1;
                row[Cell::P2] += 1;
                row[Cell::AddrX] += 1;
                row[Cell::X] = value.into();
                row[Cell::R] = value.into();
            })?;
            Ok(())
        });
        for (name, left) in [("said to be the last", 0), ("the last nevertheless", 1)] {
            lies.script(&format!("{class:?}, {name}"), &honest, |script| {
                script.until(at)?;
                script.step_with(|row| {
                    row[Cell::T] = 0;
                    if left == 0 {
                        set_word(row, 4, 0);
                    }
                })?;
                script.go(after);
                script.run()
            });
        }
    }
    let last = *dev::pages(&honest).last().expect("pages");
    // From the last page, which another one stands for in the list: nothing is there.
    for class in [Class::CopyFirst, Class::CopyNext] {
        for (name, mask) in [("behind a page", 31), ("behind a page of 64 words", 63)] {
            let name = format!("{class:?} from {name}");
            // The first word of a run is the only one there, or the second.
            let before = u64::from(class == Class::CopyNext);
            let from = last * 256 - 8 * before;
            let honest = calling(Syscall::Memcpy, &[to, from, 8 * (1 + before)]);
            let at = find(&honest, class);
            lies.script_from(
                &name,
                &honest,
                |begin| {
                    let dense = begin.dense(last).expect("it is touched");
                    begin.relabel(dense, last + 1);
                },
                |script| {
                    script.until(at)?;
                    script.step_with(|row| {
                        row[Cell::P0] += 32;
                        row[Cell::P1] = mask;
                        row[Cell::P2] = row[Cell::P0] & mask;
                    })
                },
            );
        }
    }
    let honest = calling(Syscall::Memcpy, &[to + 64, INPUT_BASE, 16]);
    let page = INPUT_BASE / 256;
    with_next_page(lies, "a copy from another page", &honest, page);
    // Read-only memory has no page, but a list may have one for it.
    let text = 1u64 << 32;
    let slots = sbpf::calling(Syscall::Memcpy, &[text, INPUT_BASE, 8]);
    let program = sbpf::program(Dialect::SbpfV0, &slots);
    let trace = Tracer::new(&program)
        .input(input())
        .environment(sbpf::environment())
        .step_limit(10_000)
        .trace()
        .expect("it runs");
    let mut pages = trace.touched_pages();
    pages.extend([text / 256, INPUT_BASE / 256]);
    pages.sort_unstable();
    pages.dedup();
    let run = Run {
        program: &program,
        input: trace.input(),
        environment: trace.environment(),
        pages: &pages,
        budget: trace.step_limit(),
        outcome: trace.outcome(),
    };
    let steps = trace.steps().iter().map(|step| step.pc);
    let plan = Plan::of_run(&run, steps, small(), None).expect("it fits");
    let honest: ChunkWitness = witness(&plan.with_whole_program().expect("it fits"), 0);
    let span = find(&honest, Class::Span);
    lies.script("a copy to the text", &honest, |script| {
        script.until(span)?;
        let next = dev::rows(&honest)[span][Cell::Upc] as usize + 1;
        let size = i128::from(8 * slots.len() as u64) - 8;
        script.step_with(|row| {
            row[Cell::T] = 1;
            row[Cell::D] = 0;
            set_word(row, 0, 0);
            row[Cell::L2] = size;
        })?;
        script.go(next);
        script.run()
    });
}
