//! What the key pins: entries of the fixed columns, and the constraints of the argument that balances the buses.

use std::collections::BTreeSet;

use bpf_tracer::canonical::layout::INPUT_BASE;
use rayon::prelude::*;
use zk_circuits::dev::{self, Forgery};
use zk_circuits::shape::{self, FIRST_ROW};
use zk_circuits::{Cell, ChunkInstance, ChunkWitness, Class, Committed, Row};

use crate::fixtures::{EXIT, Fixture, small, wide, witness};
use crate::forgery::{Lies, find, place, program, set_word};

// The fixed columns, by number.
const ROW: usize = 0;
const X: usize = 2;
const Y: usize = 3;
const Z: usize = 4;
const KIND: usize = 1;
const ACTIVE: usize = 5;
const FIRST: usize = 6;
const LAST: usize = 7;
const LANE: usize = 8;
const LIST: usize = 9;

/// An entry with another value, and a chunk that is then accepted.
struct Pin {
    name: String,
    change: (usize, usize, i128),
    lie: Forgery,
}

#[derive(Default)]
struct Pins(Vec<Pin>);

impl Pins {
    /// The lie that `tell` writes last is accepted where the entry has this value.
    fn push(&mut self, name: &str, change: (usize, usize, i128), tell: impl FnOnce(&mut Lies)) {
        let mut lies = Lies::default();
        tell(&mut lies);
        self.0.push(Pin {
            name: name.to_owned(),
            change,
            lie: lies.0.pop().expect("a lie"),
        });
    }
}

/// Row of the lookup table: a conjunction.
fn and(x: usize, y: usize) -> usize {
    FIRST_ROW + (x | y << 4)
}

/// Row of the lookup table: a place in a page.
fn offset(address: usize) -> usize {
    FIRST_ROW + 256 + address
}

/// Row of the lookup table: a power of two, by kind from 3.
fn power(kind: usize, amount: usize) -> usize {
    let first = [0, 64, 128, 160][kind - 3];
    FIRST_ROW + 512 + first + amount
}

#[test]
fn every_pin_of_the_fixed_columns_is_needed() {
    let mut pins = Pins::default();
    marks(&mut pins);
    rows(&mut pins);
    conjunctions(&mut pins);
    offsets(&mut pins);
    powers(&mut pins);
    pages(&mut pins);
    lanes(&mut pins);
    lists(&mut pins);
    let alive: Vec<String> = pins
        .0
        .par_iter()
        .filter_map(|pin| {
            let (column, row, value) = pin.change;
            let forged = &pin.lie;
            let refused = !forged.refusals().accepts_without(&[]);
            let changed = forged.refusals_with(&[(column, row, dev::value(value))]);
            let accepted = changed.accepts_without(&[]);
            (!refused || !accepted || forged.is_true()).then(|| {
                let why: Vec<String> = changed.all().into_iter().take(6).collect();
                format!("{}: refused {refused}, then {why:#?}", pin.name)
            })
        })
        .collect();
    eprintln!(
        "fixed pins: {} / {} killed",
        pins.0.len() - alive.len(),
        pins.0.len()
    );
    assert!(alive.is_empty(), "{}", alive.join("\n"));
}

/// Claims another `r0`: only the bus of outcomes is not balanced.
fn other_result(lies: &mut Lies) {
    let honest = program(&[(0xb7, 0, 0, 0, 1), EXIT]);
    lies.change("another result", &honest, |forged| {
        forged.set_public(place("r0"), dev::value(2));
    });
}

/// Where the argument is not enforced, or its accumulator is not pinned, no bus is.
fn marks(pins: &mut Pins) {
    let (first, end) = (FIRST_ROW, small().end_row());
    for row in [
        first,
        first + 1,
        first + 100,
        small().separator_row(),
        end - 2,
        end - 1,
    ] {
        pins.push(
            &format!("Active in row {row}"),
            (ACTIVE, row, 0),
            other_result,
        );
    }
    pins.push("First", (FIRST, first, 0), other_result);
    pins.push("Last", (LAST, end - 1, 0), other_result);
}

/// A word's row that has the address of another one: that one has two exits, and one of them is shown elsewhere.
fn rows(pins: &mut Pins) {
    let (word, other) = ((shape::REGISTERS + 3) as usize, 460);
    pins.push("Row of a word", (ROW, other, word as i128), |lies| {
        let honest = program(&[(0xb7, 3, 0, 0, 7), EXIT]);
        let index = other - FIRST_ROW;
        let mut forged = dev::script(
            &honest,
            |_| {},
            |script| {
                script.run()?;
                while script.len() < index {
                    script.pad_with(|_| {});
                }
                // The time of this row is that of the other one: only words that nothing else touches come before.
                script.pad_with(|row| {
                    row[Cell::AddrX] = other as i128 + 1;
                    row[Cell::AddrY] = other as i128 + 2;
                });
                Ok(())
            },
        )
        .expect("it runs");
        let exit = Committed::ExitPrivate;
        forged.set_committed(exit, word, dev::value(0));
        forged.set_committed(exit, other, dev::value(7));
        forged.set_auxiliary(4, word, dev::value(0));
        forged.set_auxiliary(4, other, dev::value(1));
        let now = dev::value((word - FIRST_ROW + 1) as i128);
        forged.set_auxiliary(4, other + 1, now);
        forged.set_auxiliary(4, other + 2, now);
        lies.push("a register that is shown elsewhere", &honest, forged);
    });
    // The word and the row of the same number: a step at another time, which reads what is put back later.
}

/// `3 & 5` or another conjunction that is as the table says.
fn anded(lies: &mut Lies, x: i32, y: i32, result: i128) {
    let honest = program(&[(0xb7, 3, 0, 0, x), (0x57, 3, 0, 0, y), EXIT]);
    let at = find(&honest, Class::Bitwise);
    lies.script("another conjunction", &honest, |script| {
        script.until(at)?;
        script.step_with(|row| {
            for cell in [Cell::L2, Cell::W, Cell::R] {
                row[cell] = result;
            }
        })?;
        script.run()
    });
}

fn conjunctions(pins: &mut Pins) {
    pins.push("z of a conjunction", (Z, and(3, 5), 7), |lies| {
        anded(lies, 3, 5, 7);
    });
    pins.push("x of a conjunction", (X, and(3, 5), 2), |lies| {
        anded(lies, 2, 5, 1);
    });
    pins.push("y of a conjunction", (Y, and(3, 5), 4), |lies| {
        anded(lies, 3, 4, 1);
    });
    pins.push("a range value", (X, and(13, 11), 80), |lies| {
        // 2^63 + 2^63 without a carry.
        let mut slots = wide(3, 1 << 63).to_vec();
        slots.extend(wide(4, 1 << 63));
        slots.extend([(0x0f, 3, 4, 0, 0), EXIT]);
        let honest = program(&slots);
        let at = find(&honest, Class::Add);
        lies.script("a sum that is no word", &honest, |script| {
            script.until(at)?;
            script.step_with(|row| {
                row[Cell::C] = 0;
                row[Cell::L3] = 1 << 16;
                row[Cell::R] = 1 << 64;
            })
        });
    });
    pins.push("kind of a conjunction", (KIND, and(9, 0), 3), |lies| {
        shifted(
            lies,
            0x6f,
            9,
            |row| (row[Cell::P2], row[Cell::R]) = (0, -1),
            |row| {
                row[Cell::X] = -1;
                row[Cell::B] = 0;
                row[Cell::R] = 0;
                set_word(row, 0, 0);
                set_word(row, 4, 0);
            },
        );
    });
}

/// A byte of another place: `change` sets the row of its word.
fn loaded(lies: &mut Lies, byte: impl Fn(u64, u64) -> u64, change: impl Fn(&mut Row, u64, u64)) {
    let honest = program(&[(0x71, 3, 1, 1, 0), EXIT]);
    let at = find(&honest, Class::Load);
    let word = small().public_word() as usize;
    lies.script("another byte", &honest, |script| {
        script.until(at)?;
        let [here, next] = [0, 1].map(|i| script.words()[word + i]);
        let value = i128::from(byte(here, next) & 0xff);
        script.step_with(|row| {
            row[Cell::P1] = value;
            row[Cell::P2] = row[Cell::P0] & value;
            row[Cell::W] = value;
            row[Cell::R] = value;
        })?;
        script.step_with(|row| {
            row[Cell::W] = value;
            change(row, here, next);
        })?;
        script.run()
    });
}

/// Splits a word so many bytes from its low end, as the row of a load of one byte has it.
fn split(row: &mut Row, word: u64, bytes: u32) {
    let high = u128::from(word) >> (8 * bytes);
    let low = u128::from(word) & ((1 << (8 * bytes)) - 1);
    set_word(row, 0, high as i128);
    row[Cell::L0] = (high as i128 >> 8) & 0xff;
    set_word(row, 4, (low << (64 - 8 * bytes)) as i128);
    row[Cell::B] = 1 << (8 * bytes);
    row[Cell::P2] = 1 << (64 - 8 * bytes);
    row[Cell::Y] = word.into();
    row[Cell::R] = word.into();
}

fn offsets(pins: &mut Pins) {
    let second = |lies: &mut Lies| {
        loaded(
            lies,
            |here, _| here >> 16,
            |row, here, _| split(row, here, 2),
        );
    };
    pins.push("power of a place", (Z, offset(1), 1 << 48), second);
    pins.push("place of a power", (X, offset(2), 1), second);
    pins.push("word of a place", (Y, offset(1), 1), |lies| {
        loaded(
            lies,
            |_, next| next >> 8,
            |row, _, next| {
                split(row, next, 1);
                row[Cell::P1] = 1;
                row[Cell::AddrY] += 1;
                row[Cell::L8] = 14;
            },
        );
    });
}

/// A shift with another power, by `change`, of which the next row makes what it makes.
fn shifted(
    lies: &mut Lies,
    opcode: u8,
    amount: i32,
    change: impl Fn(&mut Row),
    next: impl Fn(&mut Row),
) {
    let slots = [
        (0xb7, 3, 0, 0, amount),
        (0xb7, 4, 0, 0, 1234),
        (opcode, 4, 3, 0, 0),
        EXIT,
    ];
    let honest = program(&slots);
    let at = find(&honest, Class::ShiftAmount);
    lies.script("another power", &honest, |script| {
        script.until(at)?;
        script.step_with(change)?;
        script.step_with(next)?;
        script.run()
    });
}

fn powers(pins: &mut Pins) {
    for (kind, opcode, exponent) in [(3, 0x6f, 1), (4, 0x7f, 62), (5, 0x6c, 1), (6, 0x7c, 30)] {
        let value = 1_i128 << exponent;
        let other = |lies: &mut Lies| {
            shifted(
                lies,
                opcode,
                3,
                |row| (row[Cell::P2], row[Cell::R]) = (value, value - 1),
                |_| {},
            );
        };
        pins.push(
            &format!("power of kind {kind}"),
            (Z, power(kind, 3), value),
            other,
        );
        // The amount that has this power: 64 or 32 less it, or it itself.
        let amount = match kind {
            3 | 5 => exponent,
            6 => 32 - exponent,
            _ => 64 - exponent,
        };
        let change = (X, power(kind, amount), 3);
        pins.push(&format!("amount of kind {kind}"), change, other);
    }
}

/// The first page's words are those of the second one.
fn other_page(lies: &mut Lies) {
    let honest = program(&[(0x79, 3, 1, 0, 0), (0x79, 4, 1, 256, 0), EXIT]);
    let page = INPUT_BASE / 256;
    lies.script_from(
        "another page",
        &honest,
        |begin| begin.map(page, small().public_page() + 1),
        |script| script.until(find(&honest, Class::Word) + 1),
    );
}

fn pages(pins: &mut Pins) {
    let shape = small();
    let [first, second] = [0, 1].map(|i| shape.page_row(shape.public_page() + i));
    let dense = i128::from(shape.public_page()) + 1;
    pins.push("dense page", (X, first, dense), other_page);
    pins.push("virtual page", (Y, second, -1), other_page);
    let separator = shape.separator_row();
    let page = i128::from(INPUT_BASE / 256);
    pins.push("separator", (Y, separator, page), |lies| {
        let honest = program(&[EXIT]);
        lies.change("a separator elsewhere", &honest, |forged| {
            for row in [separator, separator - 4] {
                let value = forged.committed(Committed::Pages, row);
                forged.set_committed(Committed::Pages, row, value + dev::value(1));
            }
            for (limb, value) in [255, 255, 255, 0].into_iter().enumerate() {
                let row = separator + 4 + limb;
                forged.set_committed(Committed::Pages, row, dev::value(value));
            }
        });
    });
}

/// A word without a lane is on no bus; one of the other lane is shown there.
fn lanes(pins: &mut Pins) {
    let private = (shape::FRAMES + shape::FRAME_WORDS + shape::RETURN_ADDRESS) as usize;
    let public = small().public_word() as usize;
    let columns = [
        [Committed::EntryPrivate, Committed::EntryPublic],
        [Committed::ExitPrivate, Committed::ExitPublic],
    ];
    for (name, word, is_private) in [("private", private, true), ("public", public, false)] {
        pins.push(&format!("lane of a {name} word"), (LANE, word, 0), |lies| {
            let honest = program(&[(0xb7, 0, 0, 0, 1), EXIT, EXIT]);
            // Nothing reads the word: the run goes on.
            let plan = Fixture::of("running", &[(0xb7, 0, 0, 0, 1), EXIT]).plan(small(), Some(1));
            let running = witness(&plan, 0);
            assert!(dev::check(&honest).is_empty());
            lies.change("a word that changes by itself", &running, |forged| {
                let column = columns[1][usize::from(!is_private)];
                let value = forged.committed(column, word);
                forged.set_committed(column, word, value + dev::value(1));
            });
        });
        let other = if is_private { 2 } else { 1 };
        pins.push(
            &format!("other lane of a {name} word"),
            (LANE, word, other),
            |lies| {
                let plan =
                    Fixture::of("running", &[(0x71, 3, 1, 0, 0), EXIT]).plan(small(), Some(1));
                let running: ChunkWitness = witness(&plan, 0);
                lies.change("a word in the other lane", &running, |forged| {
                    for [private, public] in columns {
                        let (from, to) = if is_private {
                            (private, public)
                        } else {
                            (public, private)
                        };
                        let value = forged.committed(from, word);
                        forged.set_committed(from, word, dev::value(0));
                        forged.set_committed(to, word, value);
                    }
                });
            },
        );
    }
}

/// Writes an entry of the page list, and the limbs of its distance.
fn list(forged: &mut Forgery, row: usize, value: u64, before: u64) {
    forged.set_committed(Committed::Pages, row, dev::value(value.into()));
    let distance = value.wrapping_sub(before).wrapping_sub(1);
    for limb in 0..4 {
        let value = i128::from(distance >> (8 * limb) & 0xff);
        forged.set_committed(Committed::Pages, row - 4 + limb, dev::value(value));
    }
}

/// An entry that is not marked is zero, and the list begins again behind it.
fn lists(pins: &mut Pins) {
    let shape = small();
    let entry = shape.page_row(shape::FIRST_PAGE + 1);
    pins.push("an entry of the list", (LIST, entry, 0), |lies| {
        let honest = program(&[EXIT]);
        lies.change("a page twice", &honest, |forged| {
            let value = |forged: &mut Forgery, row| {
                let value = forged.committed(Committed::Pages, row);
                (0..1 << 26)
                    .find(|page| dev::value(*page) == value)
                    .expect("a page") as u64
            };
            let first = value(forged, entry - 8);
            let fourth = value(forged, entry + 16);
            forged.set_committed(Committed::Pages, entry, dev::value(0));
            list(forged, entry + 8, first, 0);
            list(forged, entry + 16, fourth, first);
        });
    });
    let separator = shape.separator_row();
    pins.push("the separator of the list", (LIST, separator, 0), |lies| {
        let honest = program(&[EXIT]);
        lies.change("a public page among private ones", &honest, |forged| {
            forged.set_committed(Committed::Pages, separator, dev::value(0));
            list(forged, separator + 8, 5, 0);
            let second = 5 * (1 << 24) + 1;
            list(forged, separator + 16, second, 5);
        });
    });
}

/// Each constraint of the argument, removed, lets another result pass: a helper, the accumulator's steps, its
/// beginning or its end can be what makes the sum zero.
#[test]
fn every_constraint_of_the_argument_is_needed() {
    let [alpha, beta] = [0x1234_5678_9abc, 0x0fed_cba9_8765].map(dev::value);
    let honest = program(&[(0xb7, 0, 0, 0, 1), EXIT]);
    let baseline = Forgery::of(&honest);
    assert!(baseline.argument(alpha, beta).violated().is_empty());
    let mut lies = Lies::default();
    other_result(&mut lies);
    let forged = &lies.0[0];
    let argument = forged.argument(alpha, beta);
    let total = argument.total();
    let names: Vec<String> = argument.constraints().map(ToOwned::to_owned).collect();
    let helpers = argument.helpers();
    let killed = names.iter().enumerate().filter(|(index, name)| {
        let mut argument = argument.clone();
        match index.checked_sub(helpers) {
            None => argument.add(*index, -total),
            // The accumulator steps by itself, begins elsewhere, ends where it ends.
            Some(0) => argument.shift(FIRST_ROW + 1, -total),
            Some(1) => argument.shift(FIRST_ROW, -total),
            _ => {}
        }
        let expected = BTreeSet::from([(*name).clone()]);
        let violated = argument.violated();
        assert_eq!(violated, expected, "the only constraint that refuses");
        true
    });
    let killed = killed.count();
    eprintln!(
        "constraints of the argument: {killed} / {} killed",
        names.len()
    );
    assert_eq!(killed, helpers + 3);
}

/// Each public value that the circuit reads, and each committed column in its place.
#[test]
fn public_values_and_columns_are_read_in_their_places() {
    // Every column is another one.
    let honest = program(&[(0xb7, 0, 0, 0, 1), (0x72, 1, 0, 0, 7), EXIT]);
    assert!(dev::check(&honest).is_empty());
    let refused = |forged: &Forgery| !forged.refusals().accepts_without(&[]);
    // The circuit reads neither version nor budget nor index, and slot_in only if a chunk begins inside an instruction,
    // for which it has a constraint of its own.
    for place in 0..ChunkInstance::LEN {
        let mut forged = Forgery::of(&honest);
        let value = forged.instance()[place];
        forged.set_public(place, value + dev::value(1));
        let name = ChunkInstance::NAMES[place];
        let is_read = !["version", "budget", "index", "slot_in"].contains(&name);
        assert_eq!(refused(&forged), is_read, "{name}");
    }
    let mut pairs = 0;
    for (index, a) in Committed::ALL.into_iter().enumerate() {
        for b in &Committed::ALL[index + 1..] {
            let mut forged = Forgery::of(&honest);
            for row in FIRST_ROW..small().end_row() {
                let [x, y] = [a, *b].map(|column| forged.committed(column, row));
                forged.set_committed(a, row, y);
                forged.set_committed(*b, row, x);
            }
            assert!(refused(&forged), "{a:?} and {b:?} in each other's place");
            pairs += 1;
        }
    }
    eprintln!("public values: 16 / 16 killed; pairs of columns: {pairs} / {pairs} killed");
}
