//! Runs microcode on the words of a chunk's memory, and records the rows if asked to.

use bpf_tracer::Interval;

use crate::Shape;
use crate::WitnessError;
use crate::cell::{Cell, Row};
use crate::class::Class;
use crate::microcode::{Microcode, Mode, rom};
use crate::ops::{self, Context, memory};
use crate::pages::PageList;
use crate::program_table::Used;
use crate::shape::{FRAME_WORDS, PAGE_BYTES, SLOT_ROW, ZERO_SINK, ZERO_SOURCE};

/// What a row may look at while it is filled.
pub(crate) struct Environment<'a> {
    microcode: &'a Microcode,
    pages: &'a PageList,
    input_size: u64,
    words: &'a [u64],
}

impl Environment<'_> {
    /// The interval that holds an address.
    pub(crate) fn interval(&self, address: u64) -> Interval {
        self.microcode.interval(address, self.input_size)
    }

    /// The interval of hidden memory that holds an address; an empty one if there is none.
    pub(crate) fn hidden_interval(&self, address: u64) -> Interval {
        let here = u128::from(address);
        let nothing = Interval {
            start: here,
            end: here,
            permission: bpf_tracer::Permission::None,
            open_end: false,
        };
        let mut intervals = self.microcode.hidden_intervals().iter();
        intervals
            .find(|interval| (interval.start..interval.end).contains(&here))
            .map_or(nothing, |interval| *interval)
    }

    /// The low `size` bytes at an address that an access is permitted to read.
    pub(crate) fn read(&self, address: u64, size: u64, read_only: bool) -> u64 {
        let word = |address: u64| {
            if read_only {
                self.microcode.read_only_word(address).unwrap_or(0)
            } else {
                self.pages
                    .word(address)
                    .map_or(0, |word| self.words[word as usize])
            }
        };
        let offset = address % 8;
        let mut value = u128::from(word(address));
        if offset + size > 8 {
            value |= u128::from(word(address + size)) << 64;
        }
        let value = (value >> (8 * offset)) as u64;
        if size == 8 {
            value
        } else {
            value & ((1 << (8 * size)) - 1)
        }
    }
}

/// State between two rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Address of the next micro-operation.
    pub(crate) upc: usize,
    /// Address of the first micro-operation of the current instruction.
    pub(crate) pc: usize,
    /// Six times the call depth.
    pub(crate) frame: i128,
    /// Instructions begun.
    pub(crate) steps: u64,
    /// Compute units used.
    pub(crate) units: u64,
    /// Words of memory.
    pub(crate) words: Vec<u64>,
}

/// The microcode machine.
pub(crate) struct Machine<'a> {
    microcode: &'a Microcode,
    pages: &'a PageList,
    input_size: u64,
    pub(crate) state: State,
    /// Time of the last access to each word.
    pub(crate) times: Vec<u32>,
    /// The rows before the next one, the last one first.
    pub(crate) before: [Row; 3],
    after: [Row; 2],
    rows: u32,
    /// What was executed and read of the program.
    pub(crate) used: Used,
    /// The row that ended the run.
    pub(crate) end: Option<Row>,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(
        microcode: &'a Microcode,
        pages: &'a PageList,
        input_size: u64,
        state: State,
    ) -> Self {
        let times = vec![0; state.words.len()];
        Self {
            microcode,
            pages,
            input_size,
            state,
            times,
            before: [Row::default(); 3],
            after: [Row::default(); 2],
            rows: 0,
            used: Used::default(),
            end: None,
        }
    }

    /// Whether the next row begins an instruction.
    pub(crate) fn at_instruction(&self) -> bool {
        self.end.is_none() && self.microcode.op(self.state.upc).is_some_and(|op| op.first)
    }

    /// Whether a chunk may begin with the next row.
    pub(crate) fn may_begin_chunk(&self) -> bool {
        let op = self.microcode.op(self.state.upc);
        self.end.is_none() && op.is_some_and(|op| op.first || op.class == Class::Equal)
    }

    /// Number of rows since the machine was made.
    pub(crate) const fn rows(&self) -> usize {
        self.rows as usize
    }

    /// Executes one row.
    pub(crate) fn step(&mut self) -> Result<Row, WitnessError> {
        let upc = self.state.upc;
        let fail = |problem| WitnessError::Machine { row: upc, problem };
        let op = *self
            .microcode
            .op(upc)
            .ok_or_else(|| fail("not executable"))?;
        self.used.op(upc);
        let mut row = self.after[0];
        self.after = [self.after[1], Row::default()];
        if op.first {
            self.state.pc = upc;
        }
        row[Cell::Upc] = upc as i128;
        row[Cell::Pc] = self.state.pc as i128;
        row[Cell::Frame] = self.state.frame;
        row[Cell::Count] = self.state.count();
        op.fetch_into(&mut row, self.state.frame);

        let in_words = op.class.place().0 == 1;
        let read_only = in_words && op.alias;
        if in_words {
            let address = memory::word_address(op.class, &self.before);
            if read_only {
                let word = self
                    .microcode
                    .read_only_word(address)
                    .ok_or_else(|| fail("read-only address outside the data"))?;
                self.used.read_only_word(address);
                row[Cell::AddrY] = 0;
                row[Cell::Y] = word.into();
            } else {
                let word = self
                    .pages
                    .word(address)
                    .ok_or_else(|| fail("page is not mapped"))?;
                row[Cell::AddrY] = word.into();
            }
        }
        if op.class.place().0 == 7 {
            let [from, to, _] = ops::copy::place(op.class, &self.before);
            for (cell, address) in [(Cell::AddrX, from), (Cell::AddrY, to)] {
                let address = u64::try_from(address).map_err(|_| fail("copy of no address"))?;
                let word = self
                    .pages
                    .word(address)
                    .ok_or_else(|| fail("page is not mapped"))?;
                row[cell] = word.into();
            }
        }
        let x = self
            .access(&row, Cell::AddrX)
            .ok_or_else(|| fail("first access"))?;
        row[Cell::X] = self.state.words[x].into();
        row[Cell::TimeX] = self.times[x].into();
        let y = if read_only {
            None
        } else {
            let y = self
                .access(&row, Cell::AddrY)
                .ok_or_else(|| fail("second access"))?;
            row[Cell::Y] = self.state.words[y].into();
            row[Cell::TimeY] = self.times[y].into();
            Some(y)
        };
        if !in_words {
            row[Cell::B] = row[Cell::X] + row[Cell::Imm] + row[Cell::Alias] * row[Cell::Y];
        }

        let environment = Environment {
            microcode: self.microcode,
            pages: self.pages,
            input_size: self.input_size,
            words: &self.state.words,
        };
        let mut context = Context {
            row: &mut row,
            before: &self.before,
            after: &mut self.after,
            next: 0,
            environment: &environment,
        };
        (ops::family(op.class).assign)(op.class, &mut context);
        let chosen = context.next;

        self.rows += 1;
        self.times[x] = self.rows;
        if let Some(y) = y {
            self.state.words[y] = u64::try_from(row[Cell::R]).map_err(|_| fail("not a word"))?;
            self.times[y] = self.rows;
        }
        let taken = row[Cell::T] == 1;
        self.state.upc = match op.mode {
            Mode::Next if taken => op.target as usize,
            Mode::Next => upc + 1,
            Mode::Go => op.target as usize,
            Mode::Return => self.state.pc.wrapping_add(1),
            Mode::Class => chosen,
        };
        // Only a forged state counts so far that this wraps.
        self.state.steps = self.state.steps.wrapping_add(op.first.into());
        self.state.units = self.state.units.wrapping_add(op.first.into());
        match op.class {
            Class::Call if row[Cell::W] == 1 => {
                self.state.pc = (row[Cell::Target] + row[Cell::X] - 1) as usize;
                self.state.frame += i128::from(FRAME_WORDS);
            }
            Class::Charge => {
                let left = row[Cell::X] - row.v();
                let cost = row[Cell::W] - row[Cell::Imm];
                let charged = if row[Cell::D] == 1 { cost } else { left };
                self.state.units = self.state.units.wrapping_add(charged as u64);
            }
            Class::Exit => self.state.frame -= i128::from(FRAME_WORDS),
            Class::End => {
                self.state.frame = 0;
                self.end = Some(row);
            }
            _ => {}
        }
        self.before = [row, self.before[0], self.before[1]];
        Ok(row)
    }

    /// Later rows see this in place of the row that was executed last.
    #[cfg(feature = "dev")]
    pub(crate) fn amend(&mut self, row: Row) {
        self.before[0] = row;
    }

    /// A row behind the last step: nothing happens.
    pub(crate) fn padding(&mut self) -> Row {
        let mut row = Row::default();
        row[Cell::Upc] = self.state.upc as i128;
        row[Cell::Pc] = self.state.pc as i128;
        row[Cell::Frame] = self.state.frame;
        row[Cell::Count] = self.state.count();
        row[Cell::ModeLo] = 1;
        row[Cell::ModeHi] = 1;
        self.rows += 1;
        for (address, time, word) in [
            (Cell::AddrX, Cell::TimeX, ZERO_SOURCE),
            (Cell::AddrY, Cell::TimeY, ZERO_SINK),
        ] {
            row[address] = word.into();
            row[time] = self.times[word as usize].into();
            self.times[word as usize] = self.rows;
        }
        row
    }

    /// Fills a chunk up with padding.
    pub(crate) fn pad(&mut self, rows: &mut Vec<Row>, shape: Shape) {
        while rows.len() < shape.machine_rows() {
            rows.push(self.padding());
        }
        if let Some(last) = rows.last_mut() {
            last.set_exit_slot();
        }
    }

    fn access(&self, row: &Row, address: Cell) -> Option<usize> {
        let word = usize::try_from(row[address]).ok()?;
        (word < self.state.words.len()).then_some(word)
    }
}

impl State {
    /// The state before the first instruction, on these words.
    pub(crate) fn initial(microcode: &Microcode, words: Vec<u64>) -> Self {
        Self {
            upc: SLOT_ROW + microcode.entry() as usize,
            pc: SLOT_ROW + microcode.entry() as usize,
            frame: FRAME_WORDS.into(),
            steps: 0,
            units: 0,
            words,
        }
    }

    /// Steps and units as [`Cell::Count`] has them.
    pub(crate) fn count(&self) -> i128 {
        i128::from(self.steps) + (i128::from(self.units) << 64)
    }
}

/// Bytes of a page as words.
pub(crate) fn page_words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes[..bytes.len().min(PAGE_BYTES as usize)]
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
}

/// The row that the outermost function returns to.
pub(crate) const OUTERMOST_RETURN: u64 = rom::HALT as u64;
