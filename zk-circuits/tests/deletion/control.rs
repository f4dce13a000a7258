//! Rows that are followed by others, runs that end twice, public values that no row has.

use bpf_tracer::canonical::layout::{INPUT_BASE, RODATA_BASE, TEXT_BASE};
use bpf_tracer::{Input, Syscall};
use zk_circuits::{Cell, ChunkWitness, Class, Committed, dev, rom, shape};

use crate::fixtures::{EXIT, Fixture, memory, sbpf, small, wide, witness};
use crate::forgery::{Lies, copy_limbs, find, place, program, set_word};

pub(crate) fn lies(lies: &mut Lies) {
    jumps(lies);
    unfinished(lies);
    calls(lies);
    faults(lies);
    charges(lies);
    ends(lies);
    boundaries(lies);
}

/// After a row, the run halts; the rows that it needs behind it are those of the halt and of padding.
fn jump(lies: &mut Lies, honest: &ChunkWitness, class: Class) {
    let at = find(honest, class);
    let name = format!("a halt behind {class:?}");
    let needed = &dev::rows(honest)[at + 1..at + 3];
    lies.script(&name, honest, |script| {
        script.until(at + 1)?;
        script.go(rom::HALT);
        script.step_with(|row| copy_limbs(row, &needed[0]))?;
        script.pad_with(|row| copy_limbs(row, &needed[1]));
        Ok(())
    });
}

pub(crate) fn calling(syscall: Syscall, values: &[u64]) -> ChunkWitness {
    let slots = sbpf::calling(syscall, values);
    sbpf::limited("a call", &slots, 10_000).witness()
}

fn jumps(lies: &mut Lies) {
    let honest = program(&[
        (0xb7, 3, 0, 0, 9),
        (0xb7, 4, 0, 0, 2),
        (0x3f, 3, 4, 0, 0),
        (0x5f, 3, 4, 0, 0),
        (0x5c, 3, 4, 0, 0),
        (0xdc, 3, 0, 0, 64),
        (0xc7, 3, 0, 0, 3),
        (0xc5, 3, 0, 0, 5),
        (0xb7, 3, 0, 0, 0),
        (0x37, 3, 0, 1, 5),
        (0x7b, 1, 4, 0, 0),
        (0xb7, 0, 0, 0, 77),
        EXIT,
    ]);
    for class in [
        Class::Div,
        Class::Bitwise,
        Class::Bitwise32,
        Class::ByteSwap,
        Class::ShiftSigned,
        Class::LessSigned,
        Class::DivSigned,
        Class::Store,
    ] {
        jump(lies, &honest, class);
    }
    let clock = calling(Syscall::GetClockSysvar, &[INPUT_BASE + 64]);
    for class in [Class::Charge, Class::Span, Class::LoadHidden] {
        jump(lies, &clock, class);
    }
    let set = calling(Syscall::SetReturnData, &[INPUT_BASE, 8]);
    jump(lies, &set, Class::StoreHidden);
    let copies = calling(Syscall::Memcpy, &[INPUT_BASE + 64, INPUT_BASE + 256, 48]);
    for class in [Class::CopyFirst, Class::CopyNext] {
        jump(lies, &copies, class);
    }
}

/// Signed divisions whose sign the third row would decide, and which are the last row of the chunk.
fn unfinished(lies: &mut Lies) {
    let honest = program(&[
        (0xb7, 3, 0, 0, 9),
        (0xb7, 4, 0, 0, 2),
        (0x3f, 3, 4, 1, 0),
        EXIT,
    ]);
    let division = find(&honest, Class::DivSigned);
    let needed = &dev::rows(&honest)[division + 1..division + 3];
    lies.script("a division without its other rows", &honest, |script| {
        script.until(division)?;
        script.step_with(|row| row[Cell::R] += 1)?;
        let result = script.rows()[division][Cell::R];
        script.pad_with(|row| {
            copy_limbs(row, &needed[0]);
            row[Cell::W] = needed[0][Cell::W];
        });
        script.pad_with(|row| {
            copy_limbs(row, &needed[1]);
            set_word(row, 4, result);
        });
        Ok(())
    });

    // The division's slot is in its limbs: a + 2^63.
    let slot = 7;
    let dividend = (1 << 63) + slot;
    let turns = (small().machine_rows() - 5) / 2;
    let mut slots = wide(3, dividend).to_vec();
    slots.extend([
        (0xb7, 2, 0, 0, -1),
        (0xb7, 4, 0, 0, 0),
        (0xb7, 5, 0, 0, turns as i32),
        (0x07, 5, 0, 0, -1),
        (0x55, 5, 0, -2, 0),
        (0x3f, 3, 2, 1, 0),
        EXIT,
    ]);
    let honest = witness(&Fixture::of("a loop", &slots).plan(small(), None), 0);
    let last = small().machine_rows() - 1;
    lies.script("a chunk that ends with a division", &honest, |script| {
        script.until(last)?;
        script.step_with(|row| {
            assert_eq!(dev::class(row), Some(Class::DivSigned));
            row[Cell::R] = 0;
        })?;
        // The second row lies behind the rows of the machine, where no limb is in range; the third is zero.
        let magnitude = u128::from(dividend.wrapping_neg());
        for limb in 0..4 {
            let value = (magnitude >> (16 * limb)) & 0xffff;
            script.set(last + 1, dev::LIMBS[limb], dev::value(value as i128));
        }
        script.set(last + 1, Cell::W, dev::value(magnitude as i128));
        Ok(())
    });
}

fn calls(lies: &mut Lies) {
    // What follows the call in the table belongs to another instruction.
    let mut slots = wide(3, TEXT_BASE + 8 * 5).to_vec();
    slots.extend([(0x8d, 3, 0, 0, 0), (0x34, 2, 0, 0, 3), EXIT, EXIT]);
    let plan = Fixture::of("callx", &slots).plan(small(), None);
    let honest = witness(&plan.with_whole_program().expect("it fits"), 0);
    let call = find(&honest, Class::Call);
    lies.script("a call that is not made", &honest, |script| {
        script.until(call)?;
        let (_, pc, frame, ..) = script.state();
        let (pc, frame) = (*pc, *frame);
        let mut address = 0;
        script.step_with(|row| {
            row[Cell::W] = 0;
            row[Cell::R] = row[Cell::Y];
            address = row[Cell::Upc] as usize;
        })?;
        let state = script.state();
        (*state.0, *state.1, *state.2) = (address + 1, pc, frame);
        script.run()
    });
    // Logical right shifts of 32 bits, by 4.
    let shift = |low: u64| {
        let mut slots = wide(3, low).to_vec();
        slots.extend([(0x74, 3, 0, 0, 4), EXIT]);
        let honest = program(&slots);
        let at = find(&honest, Class::Shift32);
        (honest, at)
    };
    let (honest, at) = shift((1 << 32) + 0x10);
    lies.script("a shift that keeps a high bit", &honest, |script| {
        script.until(at)?;
        script.step_with(|row| {
            let quotient = 1 + (1 << 28);
            row[Cell::L2] = quotient & 0xffff;
            row[Cell::L3] = quotient >> 16;
            row[Cell::L4] = 0;
            row[Cell::R] = quotient;
        })?;
        script.run()
    });
    let (honest, at) = shift(0x8000_0010);
    lies.script("a logical shift that copies a sign", &honest, |script| {
        script.until(at)?;
        script.step_with(|row| {
            // Without its highest bit.
            let quotient = 1;
            row[Cell::S] = 1;
            row[Cell::L2] = quotient;
            row[Cell::L3] = 0;
            row[Cell::L6] = 0xffff - quotient;
            row[Cell::L7] = 0x0fff;
            row[Cell::R] = quotient + 0xf800_0000;
        })?;
        script.run()
    });
}

fn faults(lies: &mut Lies) {
    let mut slots = wide(3, 0x10).to_vec();
    slots.extend([(0x71, 0, 3, 0, 0), EXIT]);
    let nowhere = program(&slots);
    let fault = find(&nowhere, Class::Fault);
    lies.script("a fault that is a branch", &nowhere, |script| {
        script.until(fault)?;
        script.step_with(|row| row[Cell::T] = 1)?;
        script.go(0);
        Ok(())
    });
    lies.script("a fault that writes", &nowhere, |script| {
        script.until(fault)?;
        script.step_with(|row| row[Cell::R] = 1)?;
        script.run()
    });
    let good = program(&[(0x79, 0, 1, 8, 0), EXIT]);
    let mut slots = wide(7, RODATA_BASE).to_vec();
    slots.extend([(0x79, 0, 7, 8, 0), EXIT]);
    let readable = Fixture::new("rodata", &memory::object(&slots), crate::fixtures::input());
    let readable = readable.witness();
    for (name, honest, readable, writable) in [
        ("an interval that permits, said not to", &good, 1, 1),
        ("an interval that is written and not read", &readable, 0, 1),
        ("an interval that is none", &good, 0, 0),
    ] {
        let load = find(honest, Class::Load);
        lies.script(name, honest, |script| {
            script.until(load)?;
            script.step_with(|row| {
                row[Cell::T] = 0;
                row[Cell::R] = row[Cell::Y];
            })?;
            script.go(rom::fault(false, false));
            script.step_with(|row| {
                row[Cell::C] = readable;
                row[Cell::D] = writable;
                row[Cell::W] = 0;
            })?;
            script.step()
        });
    }
}

/// The bit of a branch, which the row of its limbs obeys, on a charge; the permission that it asks for is that of
/// the last byte of the input region.
fn charges(lies: &mut Lies) {
    let slots = sbpf::calling(Syscall::GetStackHeight, &[]);
    let (steps, cost) = (1, 100);
    let input = Input::from_bytes(vec![0; steps + 1]);
    let units = INPUT_BASE + steps as u64 + cost;
    let honest = sbpf::with_input("a call", &slots, input, units).witness();
    let charge = find(&honest, Class::Charge);
    lies.script("a charge that is a branch", &honest, |script| {
        script.until(charge)?;
        script.step_with(|row| row[Cell::T] = 1)?;
        script.step()?;
        script.go(0);
        Ok(())
    });
}

fn ends(lies: &mut Lies) {
    let trapped = program(&[(0xb7, 0, 0, 0, 3)]);
    let end = find(&trapped, Class::End);
    lies.script("a trap at another slot", &trapped, |script| {
        script.until(end)?;
        script.step_with(|row| row[Cell::W] += 1)
    });
    lies.script("an instruction at another slot", &trapped, |script| {
        script.until(end)?;
        script.step_with(|row| {
            row[Cell::Pc] += 1;
            row[Cell::W] += 1;
        })?;
        *script.state().1 += 1;
        Ok(())
    });
    // The second time, the branch is taken, and the state is again what it is behind the end.
    let honest = program(&[(0x07, 3, 0, 0, 1), (0x15, 3, 0, -2, 2), EXIT]);
    for (name, pads) in [("steps behind the end", 0), ("steps behind padding", 1)] {
        lies.script(name, &honest, |script| {
            script.run()?;
            for _ in 0..pads {
                script.pad_with(|_| {});
            }
            let end = script.resume();
            script.step()?;
            script.step()?;
            script.conclude(end);
            Ok(())
        });
    }
    let honest = program(&[(0x07, 3, 0, 0, 1), EXIT, EXIT]);
    // Frame 0, where nothing returns to, returns to the halt: a second outcome, which −1 takes back.
    let outermost = (shape::FRAMES + shape::RETURN_ADDRESS) as usize;
    lies.script_from(
        "two ends",
        &honest,
        |begin| begin.words()[outermost] = rom::HALT as u64,
        |script| {
            script.run()?;
            let end = script.resume();
            script.step()?;
            script.step()?;
            script.step()?;
            script.conclude(end);
            Ok(())
        },
    );
    let twice = lies.0.last_mut().expect("it was written");
    twice.set_public(place("running_out"), dev::value(-1));
    lies.script("padding that goes elsewhere", &honest, |script| {
        script.step()?;
        script.pad_with(|_| {});
        script.go(shape::SLOT_ROW + 2);
        Ok(())
    });
    lies.script("padding that writes", &honest, |script| {
        script.step()?;
        let word = (shape::REGISTERS + 4) as usize;
        let value = script.words()[word];
        script.pad_with(|row| {
            row[Cell::AddrY] = word as i128;
            row[Cell::Y] = value.into();
            row[Cell::R] = 77;
        });
        Ok(())
    });
}

fn boundaries(lies: &mut Lies) {
    let honest = program(&[(0xb7, 0, 0, 0, 1), EXIT]);
    lies.script("a move that is a branch", &honest, |script| {
        script.step_with(|row| row[Cell::T] = 1)?;
        script.go(0);
        Ok(())
    });
    // `b` of a move.
    lies.script("another operand", &honest, |script| {
        script.step_with(|row| {
            row[Cell::B] += 1;
            row[Cell::R] += 1;
        })?;
        script.run()
    });
    lies.script("another micro-operation", &honest, |script| {
        script.step_with(|row| {
            row[Cell::Imm] += 1;
            row[Cell::B] += 1;
            row[Cell::R] += 1;
        })?;
        script.run()
    });
    lies.change("an exit that no row has", &honest, |forged| {
        forged.set_public(place("steps_out"), dev::value(7));
    });
    let cut = Fixture::of("a program", &[(0xb7, 0, 0, 0, 1), (0xb7, 0, 0, 0, 2), EXIT]);
    let cut = witness(&cut.plan(small(), Some(1)), 0);
    lies.change("an end that no row has", &cut, |forged| {
        forged.set_public(place("running_out"), dev::value(0));
        forged.set_public(place("status"), dev::value(1));
        forged.set_public(place("r0"), dev::value(1));
    });
    lies.change("an end that is not told", &honest, |forged| {
        forged.set_public(place("running_out"), dev::value(1));
        forged.set_public(place("status"), dev::value(0));
        forged.set_public(place("r0"), dev::value(0));
    });

    // Chunks that begin inside an instruction.
    let div = program(&[(0xb4, 2, 0, 0, 9), (0x34, 2, 0, 0, 3), EXIT]);
    let extend = find(&div, Class::Extend) + 1;
    let inside = dev::from_row(&div, extend).expect("a row");
    let forged = dev::Forgery::of(&inside);
    lies.push("a chunk that begins anywhere", &div, forged);
    let copies = calling(Syscall::Memcpy, &[INPUT_BASE + 64, INPUT_BASE + 256, 48]);
    let turns: Vec<usize> = (0..copies.used_rows())
        .filter(|index| {
            let row = &dev::rows(&copies)[*index];
            dev::class(row) == Some(Class::Equal) && row[Cell::First] == 0
        })
        .collect();
    let inside = dev::from_row(&copies, turns[0]).expect("a row");
    let rows = turns[1] - turns[0];
    let forged = dev::script(&inside, |_| {}, |script| script.until(rows));
    let mut forged = forged.expect("a turn");
    let slot = forged.instance()[place("slot_in")];
    forged.set_public(place("slot_in"), slot + dev::value(1));
    lies.push(
        "a chunk that continues another instruction",
        &inside,
        forged,
    );

    // The page list: the separator is a page of the input region, none of which is touched.
    let shape = small();
    lies.change("a separator elsewhere", &honest, |forged| {
        let separator = shape.separator_row();
        for row in [separator, separator - 4] {
            let value = forged.committed(Committed::Pages, row);
            forged.set_committed(Committed::Pages, row, value + dev::value(1));
        }
        // The next page was 2^24 + 1 pages above it.
        for (limb, value) in [255, 255, 255, 0].into_iter().enumerate() {
            forged.set_committed(Committed::Pages, separator + 4 + limb, dev::value(value));
        }
    });
    lies.change("a page twice, its distance −1", &honest, |forged| {
        let row = shape.page_row(shape::FIRST_PAGE);
        let first = forged.committed(Committed::Pages, row);
        let second = forged.committed(Committed::Pages, row + 8);
        forged.set_committed(Committed::Pages, row + 8, first);
        forged.set_committed(Committed::Pages, row + 4, dev::value(-1));
        let third = forged.committed(Committed::Pages, row + 12);
        forged.set_committed(Committed::Pages, row + 12, third + second - first);
    });
    let private = (shape::FIRST_PAGE * shape::PAGE_WORDS) as usize;
    let public = shape.public_word() as usize + 40;
    for (name, columns, word) in [
        (
            "a private word half public",
            [Committed::EntryPublic, Committed::EntryPrivate],
            private,
        ),
        (
            "a private word half public at the exit",
            [Committed::ExitPublic, Committed::ExitPrivate],
            private,
        ),
        (
            "a public word half private",
            [Committed::EntryPrivate, Committed::EntryPublic],
            public,
        ),
        (
            "a public word half private at the exit",
            [Committed::ExitPrivate, Committed::ExitPublic],
            public,
        ),
    ] {
        lies.change(name, &honest, |forged| {
            for (column, change) in columns.into_iter().zip([1, -1]) {
                let value = forged.committed(column, word);
                forged.set_committed(column, word, value + dev::value(change));
            }
        });
    }
}
