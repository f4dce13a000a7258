//! What the forgeries of this test are made with.

use zk_circuits::dev::{self, Beginning, Forgery, Script};
use zk_circuits::{Cell, ChunkInstance, ChunkWitness, Row, WitnessError};

pub(crate) use crate::fixtures::forgeries::find;
use crate::fixtures::{Fields, Fixture};

/// A lie: what it is about, and the chunk that tells it.
#[derive(Debug)]
pub(crate) struct Lie {
    pub(crate) name: String,
    pub(crate) forged: Forgery,
}

/// Lies, each beside an honest chunk that is accepted.
#[derive(Debug, Default)]
pub(crate) struct Lies(pub(crate) Vec<Lie>);

pub(crate) type Written = Result<(), WitnessError>;

impl Lies {
    pub(crate) fn push(&mut self, name: &str, honest: &ChunkWitness, forged: Forgery) {
        let baseline = dev::check(honest);
        assert!(
            baseline.is_empty(),
            "{name}: the honest chunk: {}",
            baseline[0]
        );
        self.0.push(Lie {
            name: name.to_owned(),
            forged,
        });
    }

    /// A chunk that a script writes.
    pub(crate) fn script(
        &mut self,
        name: &str,
        honest: &ChunkWitness,
        write: impl FnOnce(&mut Script<'_>) -> Written,
    ) {
        self.script_from(name, honest, |_| {}, write);
    }

    /// A chunk that a script writes on memory and pages of its own.
    pub(crate) fn script_from(
        &mut self,
        name: &str,
        honest: &ChunkWitness,
        begin: impl FnOnce(&mut Beginning<'_>),
        write: impl FnOnce(&mut Script<'_>) -> Written,
    ) {
        let forged = dev::script(honest, begin, write);
        let forged = forged.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.push(name, honest, forged);
    }

    /// The honest chunk with something changed.
    pub(crate) fn change(
        &mut self,
        name: &str,
        honest: &ChunkWitness,
        change: impl FnOnce(&mut Forgery),
    ) {
        let mut forged = Forgery::of(honest);
        change(&mut forged);
        self.push(name, honest, forged);
    }
}

pub(crate) fn program(slots: &[Fields]) -> ChunkWitness {
    Fixture::of("a program", slots).witness()
}

/// Writes a number into four limbs.
pub(crate) fn set_word(row: &mut Row, first: usize, value: i128) {
    for (index, limb) in dev::LIMBS[first..first + 4].iter().enumerate() {
        row[*limb] = value >> (16 * index) & 0xffff;
    }
}

/// Copies the cells that a row holds for the rows before it; a row of a memory word holds none.
pub(crate) fn copy_limbs(row: &mut Row, from: &Row) {
    if from[Cell::G1] == 1 {
        return;
    }
    let others = [Cell::P0, Cell::P1, Cell::P2, Cell::C, Cell::D, Cell::S];
    for cell in dev::LIMBS.into_iter().chain(others) {
        row[cell] = from[cell];
    }
}

/// Place of a public value.
pub(crate) fn place(name: &str) -> usize {
    let found = ChunkInstance::NAMES.iter().position(|n| *n == name);
    found.expect("a public value")
}
