//! A chunk written row by row: what the machine executes, and what a forger puts in its place.

use std::collections::HashMap;

use halo2curves::bn256::Fr;

use crate::builder::field;
use crate::cell::{Cell, Row};
use crate::dev::{Forgery, small_word};
use crate::instance::{STATUS_HALT, STATUS_RUNNING, STATUS_TRAP};
use crate::machine::{Machine, State};
use crate::pages::PageList;
use crate::plan::slot_out;
use crate::shape::{
    FIRST_ROW, FRAME_WORDS, PAGE_BYTES, PAGE_WORDS, SLOT_ROW, ZERO_SINK, ZERO_SOURCE,
};
use crate::witness::ChunkWitness;
use crate::{Committed, WitnessError};

/// A chunk that is being written.
#[expect(missing_debug_implementations, reason = "the machine has none")]
pub struct Script<'a> {
    honest: &'a ChunkWitness,
    machine: Machine<'a>,
    rows: Vec<Row>,
    /// Values that are no small integers.
    cells: HashMap<(usize, Cell), Fr>,
}

/// Writes a chunk that begins where the honest one does, on memory and pages that `begin` may change first.
/// Rows, times, multiplicities and public values follow from what `write` does; what is left is padding.
///
/// # Errors
/// If the machine is led to a row or a word that does not exist.
pub fn script(
    honest: &ChunkWitness,
    begin: impl FnOnce(&mut Beginning<'_>),
    write: impl FnOnce(&mut Script<'_>) -> Result<(), WitnessError>,
) -> Result<Forgery, WitnessError> {
    let mut witness = honest.clone();
    let mut pages = (*honest.pages).clone();
    begin(&mut Beginning {
        witness: &mut witness,
        pages: &mut pages,
    });
    witness.pages = std::sync::Arc::new(pages.clone());
    let microcode = witness.microcode.clone();
    let entry = &witness.instance;
    let state = State {
        upc: SLOT_ROW + entry.pc_in as usize,
        pc: SLOT_ROW + (entry.slot_in as usize).saturating_sub(1),
        frame: i128::from(entry.depth_in) * i128::from(FRAME_WORDS),
        steps: entry.steps_in,
        units: entry.units_in,
        words: witness.entry.clone(),
    };
    let mut script = Script {
        honest: &witness,
        machine: Machine::new(&microcode, &pages, entry.input_size, state),
        rows: Vec::new(),
        cells: HashMap::new(),
    };
    write(&mut script)?;
    Ok(script.finish())
}

/// The chunk that begins at a row of an honest one.
///
/// # Errors
/// If the honest chunk has no such row.
pub fn from_row(honest: &ChunkWitness, index: usize) -> Result<ChunkWitness, WitnessError> {
    let mut later = None;
    script(
        honest,
        |_| {},
        |script| {
            script.until(index)?;
            later = Some(script.machine.state.clone());
            Ok(())
        },
    )?;
    let mut witness = honest.clone();
    if let Some(state) = later {
        let instance = &mut witness.instance;
        instance.pc_in = (state.upc - SLOT_ROW) as u64;
        instance.slot_in = (state.pc + 1 - SLOT_ROW) as u64;
        instance.depth_in = state.frame as u64 / u64::from(FRAME_WORDS);
        (instance.steps_in, instance.units_in) = (state.steps, state.units);
        witness.entry = state.words;
    }
    let chunk = script(&witness, |_| {}, |script| script.run())?;
    Ok(chunk.witness)
}

/// What a chunk begins with.
#[derive(Debug)]
pub struct Beginning<'a> {
    witness: &'a mut ChunkWitness,
    pages: &'a mut PageList,
}

impl Beginning<'_> {
    /// The words at the entry.
    pub fn words(&mut self) -> &mut [u64] {
        &mut self.witness.entry
    }

    /// The public values; those at the entry count.
    pub fn instance(&mut self) -> &mut crate::ChunkInstance {
        &mut self.witness.instance
    }

    /// Lets the machine find a page's words at a dense page, whatever the list says.
    pub fn map(&mut self, page: u64, dense: u32) {
        self.pages.forge(page, dense);
    }

    /// Lists another page at a dense page. Accesses still find the one that was there.
    pub fn relabel(&mut self, dense: u32, page: u64) {
        self.pages.relabel(dense, page);
    }

    /// The dense page that holds a page.
    #[must_use]
    pub fn dense(&self, page: u64) -> Option<u32> {
        let word = self.pages.word(page * PAGE_BYTES)?;
        Some(word / PAGE_WORDS)
    }
}

impl Script<'_> {
    /// The state before the next row: where it goes on, slot row, six times the depth, steps, units.
    pub fn state(&mut self) -> (&mut usize, &mut usize, &mut i128, &mut u64, &mut u64) {
        let state = &mut self.machine.state;
        (
            &mut state.upc,
            &mut state.pc,
            &mut state.frame,
            &mut state.steps,
            &mut state.units,
        )
    }

    /// Where the next row is.
    pub fn go(&mut self, upc: usize) {
        self.machine.state.upc = upc;
    }

    /// The words of memory.
    pub fn words(&mut self) -> &mut [u64] {
        &mut self.machine.state.words
    }

    /// The rows written so far.
    pub fn rows(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// Number of rows written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Executes a row.
    ///
    /// # Errors
    /// If there is none.
    pub fn step(&mut self) -> Result<(), WitnessError> {
        self.step_with(|_| {})
    }

    /// Executes a row and changes it; what it then has as `R` is what is written.
    ///
    /// # Errors
    /// If there is none.
    pub fn step_with(&mut self, change: impl FnOnce(&mut Row)) -> Result<(), WitnessError> {
        let row = self.machine.step()?;
        self.push(row, change);
        if self.machine.end.is_some() {
            self.machine.end = self.rows.last().copied();
        }
        Ok(())
    }

    /// Executes rows up to the one of this index.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn until(&mut self, index: usize) -> Result<(), WitnessError> {
        while self.rows.len() < index {
            self.step()?;
        }
        Ok(())
    }

    /// Executes until the run ends, or the honest chunk's steps are done, or the chunk is full.
    ///
    /// # Errors
    /// If a row or a word does not exist.
    pub fn run(&mut self) -> Result<(), WitnessError> {
        let last = self.honest.instance.steps_out;
        while self.machine.end.is_none()
            && self.rows.len() < self.honest.shape.machine_rows()
            && (self.machine.state.steps < last || !self.machine.at_instruction())
        {
            self.step()?;
        }
        Ok(())
    }

    /// Executes up to the next instruction.
    ///
    /// # Errors
    /// If a row or a word does not exist.
    pub fn finish_instruction(&mut self) -> Result<(), WitnessError> {
        while self.machine.end.is_none()
            && self.rows.len() < self.honest.shape.step_rows()
            && !self.machine.at_instruction()
        {
            self.step()?;
        }
        Ok(())
    }

    /// Writes a row of padding, and changes it.
    pub fn pad_with(&mut self, change: impl FnOnce(&mut Row)) {
        let row = self.padding();
        self.push(row, change);
    }

    /// A row of padding that puts back what it finds.
    fn padding(&mut self) -> Row {
        let mut row = self.machine.padding();
        let words = &self.machine.state.words;
        row[Cell::X] = words[ZERO_SOURCE as usize].into();
        row[Cell::B] = row[Cell::X];
        row[Cell::Y] = words[ZERO_SINK as usize].into();
        row[Cell::R] = row[Cell::Y];
        row
    }

    /// Lets a run go on that has ended; its outcome stays what it was.
    pub fn resume(&mut self) -> Option<Row> {
        self.machine.end.take()
    }

    /// Restores the outcome of a run that went on.
    pub fn conclude(&mut self, end: Option<Row>) {
        self.machine.end = end;
    }

    /// Writes any field element into a cell of a row, in the end.
    pub fn set(&mut self, index: usize, cell: Cell, value: Fr) {
        self.cells.insert((index, cell), value);
    }

    fn push(&mut self, mut row: Row, change: impl FnOnce(&mut Row)) {
        let written = (row[Cell::AddrY], row[Cell::R]);
        change(&mut row);
        if written != (row[Cell::AddrY], row[Cell::R])
            && let (Ok(word), Ok(value)) = (
                usize::try_from(row[Cell::AddrY]),
                u64::try_from(row[Cell::R]),
            )
            && let Some(word) = self.machine.state.words.get_mut(word)
        {
            *word = value;
        }
        self.machine.before[0] = row;
        self.rows.push(row);
    }

    fn finish(mut self) -> Forgery {
        let mut witness = self.honest.clone();
        let rows = witness.shape.machine_rows();
        if self.rows.len() < rows {
            while self.rows.len() < rows {
                let row = self.padding();
                self.rows.push(row);
            }
            self.rows[rows - 1].set_exit_slot();
        }
        // Every access comes after the one before it, wherever the forger has moved them.
        let mut times = vec![0u32; witness.entry.len()];
        let mut values: Vec<Fr> = witness.entry.iter().map(|word| Fr::from(*word)).collect();
        for (index, row) in self.rows.iter_mut().enumerate() {
            let place = |address: i128| usize::try_from(address).ok().filter(|a| *a < values.len());
            let accessed = [Cell::AddrX, Cell::AddrY].map(|cell| place(row[cell]));
            let second = row[Cell::G1] * row[Cell::Alias] != 1;
            if let [Some(x), _] = accessed {
                row[Cell::TimeX] = times[x].into();
            }
            if let [_, Some(y)] = accessed
                && second
            {
                row[Cell::TimeY] = times[y].into();
            }
            let now = index as u32 + 1;
            if let [Some(x), _] = accessed {
                times[x] = now;
            }
            if let [_, Some(y)] = accessed
                && second
            {
                times[y] = now;
                let written = self.cells.get(&(index, Cell::R)).copied();
                values[y] = written.unwrap_or_else(|| field(row[Cell::R]));
            }
        }
        let state = self.machine.state.clone();
        let instance = &mut witness.instance;
        instance.pc_out = (state.upc as u64).wrapping_sub(SLOT_ROW as u64);
        instance.depth_out = state.frame as u64 / u64::from(FRAME_WORDS);
        instance.steps_out = state.steps;
        instance.units_out = state.units;
        instance.slot_out = slot_out(&self.rows);
        instance.running_out = self.machine.end.is_none();
        (instance.status, instance.r0) = (STATUS_RUNNING, 0);
        (instance.trap_kind, instance.trap_pc) = (0, 0);
        if let Some(end) = self.machine.end {
            if end[Cell::M1] == 1 {
                instance.status = STATUS_TRAP;
                instance.trap_kind = end[Cell::Imm] as u64;
                instance.trap_pc = end[Cell::W] as u64;
            } else {
                instance.status = STATUS_HALT;
                instance.r0 = end[Cell::X] as u64;
            }
        }
        witness.exit = values.iter().map(|v| small_word(*v).unwrap_or(0)).collect();
        witness.rows = std::mem::take(&mut self.rows);
        witness.last_times = times;
        witness.end = state;
        let mut forgery = Forgery::of(&witness);
        // The instance is a column of field elements: a place before the slots is a negative one.
        forgery.instance[crate::instance::InstanceCell::PcOut as usize] =
            field(witness.end.upc as i128 - SLOT_ROW as i128);
        let public = witness.shape.public_word() as usize;
        for (word, value) in values.into_iter().enumerate() {
            let column = if word < public {
                Committed::ExitPrivate
            } else {
                Committed::ExitPublic
            };
            forgery.set_committed(column, word, value);
        }
        for ((index, cell), value) in self.cells {
            forgery.set_cell(cell, FIRST_ROW + index, value);
        }
        forgery
    }
}
