//! Flags that are no bits: a row that is read as another, and padding that does something.

use zk_circuits::{Cell, Class, dev, rom, shape};

use crate::fixtures::{EXIT, Fixture, small, wide, witness};
use crate::forgery::{Lies, find, program, set_word};

pub(crate) fn lies(lies: &mut Lies) {
    groups(lies);
    members(lies);
    modes(lies);
    places(lies);
    modifiers(lies);
    signs(lies);
    padding(lies);
}

/// Two flags of groups that cancel make padding that is of a class, and needs no fetch.
fn groups(lies: &mut Lies) {
    for negative in [Cell::G0, Cell::G4] {
        charging(lies, negative);
    }
    for negative in [Cell::G5, Cell::G6] {
        charging_at_once(lies, negative);
    }
    misplaced(lies);
    powers(lies);
    conjunctions(lies);
    translation(lies);
}

/// Behind a division, padding repeats the row of its limbs; there a `Charge` follows itself.
fn charging(lies: &mut Lies, negative: Cell) {
    let honest = program(&[
        (0xb7, 3, 0, 0, 7),
        (0xb7, 4, 0, 0, 6),
        (0x37, 3, 0, 0, 3),
        EXIT,
    ]);
    let div = find(&honest, Class::Div);
    let limbs = dev::rows(&honest)[div + 1];
    let name = format!("padding that charges, {} = -1", negative.name());
    lies.script(&name, &honest, |script| {
        script.until(div + 1)?;
        script.pad_with(|row| {
            set_word(row, 0, limbs.u());
            // The target of extra limbs behind it.
            row[Cell::T] = 1;
            row[Cell::Target] = rom::LIMBS as i128;
        });
        let four = (shape::REGISTERS + 4) as usize;
        script.pad_with(|row| {
            row[negative] = -1;
            row[Cell::D] = 1;
            set_word(row, 0, 3);
            set_word(row, 4, 3);
            row[Cell::B] = 3;
            if negative == Cell::G0 {
                // All units used are taken off: x − 3 − 3 is left, x is 6.
                row[Cell::G2] = 1;
                row[Cell::AddrX] = four as i128;
                row[Cell::X] = 6;
                row[Cell::Imm] = -3;
            } else {
                row[Cell::G0] = 1;
                row[Cell::Imm] = 3;
            }
        });
        *script.state().4 = 0;
        Ok(())
    });
}

/// The same as the second row of a chunk, where what a class reads of the rows before is anything.
fn charging_at_once(lies: &mut Lies, negative: Cell) {
    let plan = Fixture::of("a program", &[(0xb7, 3, 0, 0, 6), (0x37, 3, 0, 0, 3), EXIT]);
    let honest = witness(&plan.plan(small(), Some(1)), 1);
    let mut forged = dev::script(
        &honest,
        |_| {},
        |script| {
            // Two steps and units used, which are also 3 − 1 − 6 % 3 and 6 / 3.
            script.step_with(|row| row[Cell::W] = (1 << 64) - 2)?;
            script.pad_with(|row| {
                row[negative] = -1;
                row[Cell::G0] = 1;
                row[Cell::D] = 1;
                row[Cell::S] = 1;
                set_word(row, 0, 2);
                set_word(row, 4, 2);
                row[Cell::B] = 2;
                row[Cell::Imm] = 2;
            });
            *script.state().4 = 0;
            Ok(())
        },
    )
    .expect("a division");
    let before = dev::value(rom::LIMBS as i128 - 1);
    let first = shape::FIRST_ROW;
    if negative == Cell::G5 {
        forged.set_cell(Cell::Upc, first - 1, before);
    } else {
        forged.set_cell(Cell::Upc, first - 2, before);
        forged.set_cell(Cell::R, first - 1, dev::value(2));
    }
    let name = format!("padding that charges, {} = -1", negative.name());
    lies.push(&name, &honest, forged);
}

/// `G3 = −1`: padding takes a power of two that is none, which a shift sends.
fn powers(lies: &mut Lies) {
    let honest = program(&[
        (0xb7, 3, 0, 0, 3),
        (0xb7, 0, 0, 0, 9),
        (0x6f, 0, 3, 0, 0),
        EXIT,
    ]);
    let amount = find(&honest, Class::ShiftAmount);
    lies.script("a power that padding permits, G3 = -1", &honest, |script| {
        script.until(amount)?;
        let kind = dev::rows(&honest)[amount][Cell::Imm];
        script.step_with(|row| {
            row[Cell::P2] = 1;
            row[Cell::R] = 0;
        })?;
        script.run()?;
        script.pad_with(|row| {
            row[Cell::G3] = -1;
            row[Cell::G2] = 1;
            (row[Cell::P0], row[Cell::P1], row[Cell::P2]) = (3, 1, 1);
            row[Cell::AddrX] = i128::from(shape::REGISTERS + 3);
            row[Cell::X] = 3;
            row[Cell::Imm] = kind;
            row[Cell::B] = 3 + kind;
        });
        Ok(())
    });
}

/// `G2 = −1`: padding takes a conjunction that is none, which an operation on bytes sends.
fn conjunctions(lies: &mut Lies) {
    let honest = program(&[
        (0x71, 3, 1, 0, 0),
        (0xb7, 3, 0, 0, 3),
        (0x57, 3, 0, 0, 5),
        EXIT,
    ]);
    let and = find(&honest, Class::Bitwise);
    let page = i128::from(dev::pages(&honest)[0]);
    let word = i128::from(small().public_page()) * 32 + 3;
    lies.script(
        "a conjunction that padding permits, G2 = -1",
        &honest,
        |script| {
            script.until(and)?;
            script.step_with(|row| {
                for cell in [Cell::L2, Cell::W, Cell::R] {
                    row[cell] = 7;
                }
            })?;
            script.run()?;
            let [first, other] = [word - 3, word].map(|word| script.words()[word as usize]);
            script.pad_with(|row| {
                row[Cell::G2] = -1;
                row[Cell::G7] = 1;
                (row[Cell::L0], row[Cell::L1], row[Cell::L2]) = (3, 5, 7);
                // Both pages are in the list.
                row[Cell::AddrX] = word - 3;
                row[Cell::X] = first.into();
                row[Cell::W] = page * 256;
                row[Cell::AddrY] = word;
                row[Cell::B] = page * 256 + 24;
                row[Cell::Y] = other.into();
                row[Cell::R] = other.into();
            });
            Ok(())
        },
    );
}

/// `G7 = −1`: padding takes a page that is on no list, which an access sends.
fn translation(lies: &mut Lies) {
    let honest = program(&[(0x79, 3, 1, 0, 0), (0x79, 4, 1, 256, 0), EXIT]);
    let first = dev::pages(&honest)[0];
    let second = small().public_page() + 1;
    let [dense, page] = [i128::from(second), i128::from(first)];
    lies.script_from(
        "a page that padding lists, G7 = -1",
        &honest,
        |begin| begin.map(first, second),
        |script| {
            script.run()?;
            let word = dense as usize * 32;
            let [zero, one] = [word, word + 1].map(|word| script.words()[word]);
            script.pad_with(|row| {
                row[Cell::G7] = -1;
                row[Cell::G2] = 1;
                row[Cell::P0] = 1;
                row[Cell::AddrX] = dense * 32 + 1;
                row[Cell::X] = one.into();
                row[Cell::W] = page * 256 + 8;
                // The second is a true one.
                row[Cell::AddrY] = dense * 32;
                row[Cell::Imm] = (page + 1) * 256 - row[Cell::X];
                row[Cell::B] = (page + 1) * 256;
                row[Cell::Y] = zero.into();
                row[Cell::R] = zero.into();
            });
            Ok(())
        },
    );
}

/// `G1 = −1`: padding takes a place in a page that is none, which an access sends.
fn misplaced(lies: &mut Lies) {
    let honest = program(&[(0x71, 3, 1, 1, 0), EXIT]);
    let page = dev::pages(&honest)[0];
    let load = find(&honest, Class::Load);
    let rows = dev::rows(&honest);
    let word = rows[load + 1][Cell::AddrY];
    lies.script("a place that padding permits, G1 = -1", &honest, |script| {
        script.until(load)?;
        script.step_with(|row| {
            row[Cell::P1] = 0;
            row[Cell::P2] = 0;
            row[Cell::W] = 0;
            row[Cell::R] = 0;
        })?;
        let value = i128::from(script.words()[word as usize + 1]);
        script.step_with(|row| {
            (row[Cell::P0], row[Cell::P1], row[Cell::P2]) = (1, 1, 1);
            row[Cell::B] = 1 << 64;
            row[Cell::AddrY] = word + 1;
            row[Cell::Y] = value;
            row[Cell::R] = value;
            set_word(row, 0, 0);
            set_word(row, 4, value);
            row[Cell::W] = 0;
            row[Cell::L8] = 14;
        })?;
        script.run()?;
        script.pad_with(|row| {
            row[Cell::Imm] = i128::from(page) * 256 + 1;
            row[Cell::B] = row[Cell::Imm];
        });
        script.pad_with(|row| {
            row[Cell::G1] = -1;
            row[Cell::G2] = 1;
            (row[Cell::P0], row[Cell::P1], row[Cell::P2]) = (1, 1, 1);
            row[Cell::Imm] = 1 << 64;
            row[Cell::B] = 1 << 64;
            row[Cell::AddrY] = word + 1;
            row[Cell::Y] = value;
            row[Cell::R] = value;
        });
        Ok(())
    });
}

/// A member of −1 beside the next one: the row is of both classes, and of the group's sixth.
fn members(lies: &mut Lies) {
    // The first rows of a chunk: what they read of the rows before it is anything.
    let plan = Fixture::of("calls", &[(0x85, 0, 1, 0, 1), EXIT, EXIT]).plan(small(), Some(1));
    let honest = witness(&plan, 1);
    let frame = 6 * honest.instance().depth_in as usize;
    let back = shape::FRAMES as usize + frame + shape::RETURN_ADDRESS as usize;
    let mut forged = dev::script(
        &honest,
        |begin| begin.words()[back] = shape::SLOT_ROW as u64,
        |script| {
            script.step_with(|row| {
                row[Cell::H2] = -1;
                row[Cell::H3] = 1;
            })?;
            let end = script.rows()[0];
            script.conclude(Some(end));
            *script.state().2 = 6;
            Ok(())
        },
    )
    .expect("an exit");
    let row_5 = shape::FIRST_ROW - 3;
    forged.set_cell(Cell::Upc, row_5, dev::value(shape::SLOT_ROW as i128 - 1));
    lies.push("an exit that is an end, H2 = -1", &honest, forged);

    let mut slots = vec![(0xb7, 3, 0, 0, rom::TRAP_TEXT as i32)];
    slots.extend([(0x8d, 3, 0, 0, 0), EXIT]);
    let plan = Fixture::of("callx", &slots).plan(small(), Some(1));
    let honest = witness(&plan, 1);
    let slots = dev::rows(&honest)[1][Cell::Target];
    let past = dev::rows(&honest)[1].u() - slots;
    let mut forged = dev::script(
        &honest,
        |begin| begin.words()[shape::ZERO_SOURCE as usize] = past as u64,
        |script| {
            script.step()?;
            script.step_with(|row| {
                row[Cell::H1] = -1;
                row[Cell::H2] = 1;
            })?;
            *script.state().2 -= 6;
            Ok(())
        },
    )
    .expect("a bad target");
    let rows = dev::rows(forged.witness());
    let slot = rows[1].u();
    forged.set_cell(
        Cell::Upc,
        shape::FIRST_ROW - 2,
        dev::value(rom::TRAP_TEXT as i128 - 1),
    );
    forged.set_cell(Cell::R, shape::FIRST_ROW - 1, dev::value(slot));
    lies.push("a call target that is an exit, H1 = -1", &honest, forged);
}

/// Mode bits that hold the flag of an instruction's first row: a step that is not counted.
fn modes(lies: &mut Lies) {
    let honest = program(&[(0xb7, 0, 0, 0, 1), (0x05, 0, 0, 0, 0), EXIT]);
    for (cell, value) in [(Cell::ModeLo, 5), (Cell::ModeHi, 2)] {
        let name = format!("a jump that is no step, {} = {value}", cell.name());
        lies.script(&name, &honest, |script| {
            script.step()?;
            let before = script.rows()[0][Cell::Pc];
            script.step_with(|row| {
                row[cell] = value;
                row[Cell::First] = 0;
                row[Cell::Pc] = before;
            })?;
            let (_, pc, _, steps, units) = script.state();
            *pc = before as usize;
            *steps -= 1;
            *units -= 1;
            script.step()?;
            script.step()
        });
    }
    let honest = program(&[(0x1d, 1, 1, 1, 0), EXIT, EXIT]);
    lies.script_from(
        "a comparison of other words, First = 3",
        &honest,
        |begin| begin.instance().slot_in = 1,
        |script| {
            script.step_with(|row| {
                row[Cell::First] = 3;
                row[Cell::Alias] = 0;
                row[Cell::B] = 0;
                row[Cell::S] = 0;
                row[Cell::T] = 0;
                let distance = row[Cell::Y] - 1;
                set_word(row, 0, distance);
            })?;
            let (upc, _, _, steps, units) = script.state();
            *upc = shape::SLOT_ROW + 1;
            *steps += 2;
            *units += 2;
            Ok(())
        },
    );
}

/// Places relative to another frame.
fn places(lies: &mut Lies) {
    let frames = i128::from(shape::FRAMES);
    let honest = program(&[
        (0xb7, 6, 0, 0, 7),
        (0xb7, 0, 0, 0, 5),
        (0xbf, 0, 6, 0, 0),
        EXIT,
    ]);
    lies.script("a move of another word, Alias = 2", &honest, |script| {
        script.until(2)?;
        script.step_with(|row| {
            row[Cell::Alias] = 2;
            row[Cell::FrameX] = 0;
            row[Cell::AddrX] = frames;
            row[Cell::X] = 0;
            row[Cell::B] = 2 * row[Cell::Y];
            row[Cell::R] = row[Cell::B];
        })?;
        script.run()
    });
    let honest = program(&[(0xb7, 7, 0, 0, 7), (0xbf, 6, 7, 0, 0), EXIT]);
    lies.script("a move between frames, FrameX = 3", &honest, |script| {
        script.until(1)?;
        script.step_with(|row| {
            row[Cell::FrameX] = 3;
            row[Cell::FrameY] = 0;
            row[Cell::AddrX] = frames + 1 + 18;
            row[Cell::AddrY] = frames;
            for cell in [Cell::X, Cell::Y, Cell::B, Cell::R] {
                row[cell] = 0;
            }
        })?;
        let word = shape::FRAMES as usize;
        script.words()[word + shape::FRAME_WORDS as usize] = 0;
        script.run()
    });
    let honest = program(&[(0xb7, 6, 0, 0, 7), (0x17, 6, 0, 0, 3), EXIT]);
    lies.script("a sum in another frame, FrameY = 3", &honest, |script| {
        script.until(1)?;
        script.step_with(|row| {
            row[Cell::FrameY] = 3;
            row[Cell::M1] = 0;
            row[Cell::AddrY] = frames + 18;
            row[Cell::Y] = 0;
            row[Cell::R] = 3;
            row[Cell::C] = 0;
            set_word(row, 0, 3);
        })?;
        let word = (shape::FRAMES + shape::FRAME_WORDS) as usize;
        script.words()[word] = 7;
        script.run()
    });
}

/// Modifiers that hold the next one, or half of the one before.
fn modifiers(lies: &mut Lies) {
    let honest = program(&[(0xb7, 3, 0, 0, 5), (0xa7, 3, 0, 0, 3), EXIT]);
    let xor = find(&honest, Class::Bitwise);
    lies.script("no exclusive or, M1 = 3", &honest, |script| {
        script.until(xor)?;
        script.step_with(|row| {
            row[Cell::M1] = 3;
            row[Cell::M2] = 0;
            row[Cell::R] = 3 * (5 + 3) - 5;
        })?;
        script.run()
    });
    let mut slots = wide(3, 0x0101).to_vec();
    // movsx64_8
    slots.extend([(0xbf, 4, 3, 8, 0), EXIT]);
    let honest = program(&slots);
    let extend = find(&honest, Class::Extend);
    lies.script("another extension, M2 = 2", &honest, |script| {
        script.until(extend)?;
        script.step_with(|row| {
            row[Cell::M2] = 2;
            row[Cell::M3] = 0;
            row[Cell::R] = 1 + 512;
            row[Cell::L8] = 2 * (512 - 254);
            row[Cell::S] = 0;
            row[Cell::C] = 0;
        })?;
        script.run()
    });
    // jgt32 with an immediate.
    let honest = program(&[(0xb7, 3, 0, 0, 1), (0x26, 3, 0, 1, 5), EXIT, EXIT]);
    let less = find(&honest, Class::Less32);
    lies.script("operands that change places, M3 = 1/2", &honest, |script| {
        script.until(less)?;
        let half = dev::value(2).invert();
        script.step_with(|row| {
            row[Cell::M2] = 0;
            let bias = 1 << 30;
            set_word(row, 0, row[Cell::Y] + bias);
            set_word(row, 4, row[Cell::B] + bias);
            row[Cell::C] = 1;
            row[Cell::T] = 1;
            let distance: i128 = (1 << 32) - 4;
            row[Cell::L8] = distance & 0xffff;
            row[Cell::P0] = distance >> 16 & 0xff;
            row[Cell::P1] = distance >> 24;
            row[Cell::P2] = row[Cell::P0] & row[Cell::P1];
        })?;
        script.set(less, Cell::M3, half.expect("not zero"));
        script.go(shape::SLOT_ROW + 3);
        script.run()
    });
}

/// A carry that is a fraction makes an operand anything.
fn signs(lies: &mut Lies) {
    // jslt with an immediate.
    let honest = program(&[(0xb7, 3, 0, 0, 1), (0xc5, 3, 0, 1, 5), EXIT, EXIT]);
    let less = find(&honest, Class::LessSigned);
    lies.script("an operand of any value, S = -99/2^64", &honest, |script| {
        script.until(less)?;
        script.step_with(|row| {
            set_word(row, 0, (1 << 63) + 100);
            row[Cell::C] = 0;
            row[Cell::T] = 0;
        })?;
        let scale = dev::value(1 << 64).invert().expect("not zero");
        script.set(less, Cell::S, dev::value(-99) * scale);
        script.step_with(|row| set_word(row, 0, 95))?;
        script.go(shape::SLOT_ROW + 2);
        script.run()
    });
}

fn padding(lies: &mut Lies) {
    let honest = program(&[(0xb7, 0, 0, 0, 1), EXIT]);
    lies.script("padding that counts a step", &honest, |script| {
        script.step()?;
        script.pad_with(|row| {
            row[Cell::First] = 1;
            row[Cell::Pc] = row[Cell::Upc];
        });
        let (upc, pc, _, steps, units) = script.state();
        *pc = *upc;
        *steps += 1;
        *units += 1;
        Ok(())
    });
}

/// What `golden/survivors.txt` says about member flags that are no bits: the flags with which a row has the code of
/// another, where member `i` may be any number and the others are bits.
#[test]
fn members_are_read_in_few_ways() {
    for (member, expected) in [
        // Value of the flag, other members set, the class that the code names.
        (
            0,
            vec![
                (-1, vec![1], Some(0)),
                (-2, vec![1, 2], Some(2)),
                (-2, vec![1, 3], Some(3)),
                (-2, vec![1, 4], Some(4)),
            ],
        ),
        (
            3,
            vec![
                (-1, vec![4], Some(3)),
                (-2, vec![0, 4], Some(0)),
                (-2, vec![1, 4], Some(1)),
                (-2, vec![2, 4], Some(2)),
            ],
        ),
        (4, vec![]),
    ] {
        let mut found = Vec::new();
        for class in [None, Some(0), Some(1), Some(2), Some(3), Some(4)] {
            let code = class.map_or(0, |class: u32| 1_i64 << class);
            for set in 0..32_u32 {
                let others: Vec<u32> = (0..5).filter(|i| set >> i & 1 == 1).collect();
                if others.contains(&member) {
                    continue;
                }
                for sum in [0, 1] {
                    let value = sum - others.len() as i64;
                    let all = others.iter().map(|i| 1_i64 << i).sum::<i64>() + (value << member);
                    // What is missing is a multiple of the weight of the next flag.
                    let is_bit = value == 0 || value == 1;
                    if (all - code) % 32 == 0 && !is_bit {
                        found.push((value, others.clone(), class));
                    }
                }
            }
        }
        found.sort_by_key(|(value, others, _)| (-value, others.clone()));
        assert_eq!(found, expected, "H{member}");
    }
}
