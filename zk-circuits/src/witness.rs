//! From a trace to the witness of each chunk: a plan of the chunks, then the columns of one of them.

use std::sync::Arc;

use bpf_tracer::canonical::layout::{DATA_BASE, INPUT_BASE};
#[cfg(feature = "vm")]
use bpf_tracer::{ExecutionTrace, TrapKind};
use bpf_tracer::{Input, Outcome, Program};
use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::builder::field;
use crate::cell::{Cell, FREE_BITS, LIMBS, Row};
use crate::class::Class;
use crate::instance::{ChunkInstance, STATUS_HALT, STATUS_RUNNING, STATUS_TRAP, VERSION};
use crate::machine::{Machine, OUTERMOST_RETURN, State, page_words};
use crate::microcode::Microcode;
use crate::pages::PageList;
use crate::shape::{
    FIRST_ROW, FRAME_WORDS, FRAMES, INTERVAL_ROW, PAGE_BYTES, REGISTERS, RETURN_ADDRESS, SLOT_ROW,
    Shape, ZERO_SINK, ZERO_SOURCE,
};
use crate::tables::{Auxiliary, FixedColumn, kind, lookup_row, range_row, range_size, time_row};
use crate::{Committed, WitnessError};

/// Rows kept free at the end of a chunk: more than any instruction takes.
const LONGEST_INSTRUCTION: usize = 32;

/// Number of reserved rows of a committed column.
pub const RESERVED_ROWS: usize = FIRST_ROW;

/// The chunks of a run, and the memory at every boundary.
#[derive(Clone, Debug)]
pub struct Plan {
    shape: Shape,
    microcode: Arc<Microcode>,
    pages: Arc<PageList>,
    input_size: u64,
    budget: u64,
    outcome: Outcome,
    boundaries: Vec<State>,
}

impl Plan {
    /// Cuts a trace into chunks of at most `chunk_size` steps, or of as many as fit.
    ///
    /// # Errors
    /// If program or memory do not fit the shape, if the outcome is one that the circuit cannot prove,
    /// or if the trace is not an execution of its program.
    pub fn new(
        trace: &ExecutionTrace,
        shape: Shape,
        chunk_size: Option<usize>,
    ) -> Result<Self, WitnessError> {
        if chunk_size == Some(0) {
            return Err(WitnessError::ChunkSize);
        }
        if let Outcome::Trap { kind: kind @ TrapKind::ExceededMaxInstructions, .. } = trace.outcome() {
            return Err(WitnessError::Outcome(kind.name()));
        }
        let program = trace.program();
        let microcode = Microcode::assemble(program, shape)?;
        let pages = PageList::new(&trace.touched_pages(), shape)?;
        let words = first_words(program, trace.input(), &pages);
        let input_size = trace.input().region_len();
        let mut machine =
            Machine::new(&microcode, &pages, input_size, State::initial(&microcode, words));
        let mut boundaries = vec![machine.state.clone()];
        let (mut chunk_steps, mut chunk_row) = (0, 0);
        for (index, step) in trace.steps().iter().enumerate() {
            let full = chunk_size == Some(chunk_steps)
                || machine.rows() - chunk_row + LONGEST_INSTRUCTION > shape.step_rows();
            if full && chunk_steps > 0 {
                boundaries.push(machine.state.clone());
                (chunk_steps, chunk_row) = (0, machine.rows());
            }
            let found = machine.state.upc as u64;
            let expected = SLOT_ROW as u64 + u64::from(step.pc);
            if found != expected {
                let step = index as u64;
                let slot = |row: u64| row.wrapping_sub(SLOT_ROW as u64);
                let (expected, found) = (slot(expected), slot(found));
                return Err(WitnessError::TraceMismatch { step, expected, found });
            }
            machine.step()?;
            while machine.end.is_none() && !machine.at_instruction() {
                machine.step()?;
            }
            chunk_steps += 1;
        }
        let found = outcome_of(machine.end.as_ref());
        if found != Some(trace.outcome()) {
            return Err(WitnessError::OutcomeMismatch {
                expected: format!("{:?}", trace.outcome()),
                found: format!("{found:?}"),
            });
        }
        boundaries.push(machine.state.clone());
        Ok(Self {
            shape,
            microcode: Arc::new(microcode),
            pages: Arc::new(pages),
            input_size,
            budget: trace.step_limit(),
            outcome: trace.outcome(),
            boundaries,
        })
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.boundaries.len() - 1
    }

    /// The circuit's shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The pages that the run touches.
    #[must_use]
    pub fn pages(&self) -> &PageList {
        &self.pages
    }

    /// The program as microcode.
    #[must_use]
    pub fn microcode(&self) -> &Microcode {
        &self.microcode
    }

    /// Steps of a chunk.
    #[must_use]
    pub fn chunk_steps(&self, index: usize) -> u64 {
        self.boundaries[index + 1].steps - self.boundaries[index].steps
    }

    /// The witness of one chunk. `reserved` holds, for each committed column, what its reserved rows hide.
    ///
    /// # Errors
    /// If there is no such chunk.
    pub fn witness(
        &self,
        index: usize,
        reserved: &[[Fr; RESERVED_ROWS]; Committed::COUNT],
    ) -> Result<ChunkWitness, WitnessError> {
        let count = self.chunk_count();
        if index >= count {
            return Err(WitnessError::NoSuchChunk { index, count });
        }
        let (entry, exit) = (&self.boundaries[index], &self.boundaries[index + 1]);
        let mut machine =
            Machine::new(&self.microcode, &self.pages, self.input_size, entry.clone());
        let mut rows = Vec::with_capacity(self.shape.step_rows());
        while machine.end.is_none() && (machine.state.steps < exit.steps || !machine.at_instruction()) {
            rows.push(machine.step()?);
        }
        while rows.len() < self.shape.step_rows() {
            rows.push(machine.padding());
        }
        debug_assert_eq!(machine.state, *exit);
        let running = index + 1 < count;
        let slot = |state: &State| (state.upc - SLOT_ROW) as u64;
        let depth = |state: &State| state.frame as u64 / u64::from(FRAME_WORDS);
        let mut instance = ChunkInstance {
            version: VERSION,
            running_in: true,
            running_out: running,
            pc_in: slot(entry),
            pc_out: slot(exit),
            depth_in: depth(entry),
            depth_out: depth(exit),
            steps_in: entry.steps,
            steps_out: exit.steps,
            budget: self.budget,
            input_size: self.input_size,
            status: STATUS_RUNNING,
            index: index as u64,
            ..ChunkInstance::default()
        };
        if !running {
            match self.outcome {
                Outcome::Halt { r0 } => {
                    instance.status = STATUS_HALT;
                    instance.r0 = r0;
                }
                Outcome::Trap { kind, pc } => {
                    instance.status = STATUS_TRAP;
                    instance.trap_kind = kind as u64;
                    instance.trap_pc = pc.into();
                }
            }
        }
        Ok(ChunkWitness {
            shape: self.shape,
            microcode: Arc::clone(&self.microcode),
            pages: Arc::clone(&self.pages),
            instance,
            rows,
            end: machine.state.clone(),
            entry: entry.words.clone(),
            exit: exit.words.clone(),
            last_times: machine.times,
            reserved: *reserved,
        })
    }
}

/// The outcome that an end row publishes.
fn outcome_of(end: Option<&Row>) -> Option<Outcome> {
    let end = end?;
    if end[Cell::M1] == 0 {
        return Some(Outcome::Halt { r0: end[Cell::X] as u64 });
    }
    let kind = TrapKind::from_code(end[Cell::Imm] as u8)?;
    Some(Outcome::Trap { kind, pc: end[Cell::W] as u32 })
}

/// Memory before the first instruction, both lanes.
fn first_words(program: &Program, input: &Input, pages: &PageList) -> Vec<u64> {
    let shape = pages.shape();
    let mut words = vec![0; shape.word_end() as usize];
    let registers = program.initial_registers(input);
    for (word, value) in (REGISTERS as usize..).zip(&registers[..6]) {
        words[word] = *value;
    }
    let frame = (FRAMES + FRAME_WORDS) as usize;
    for (word, value) in (frame..).zip(&registers[6..]) {
        words[word] = *value;
    }
    words[frame + RETURN_ADDRESS as usize] = OUTERMOST_RETURN;
    fill(&mut words, pages, DATA_BASE, program.data());
    fill(&mut words, pages, INPUT_BASE, &input.bytes);
    words
}

/// Writes the bytes of a region into its mapped pages.
fn fill(words: &mut [u64], pages: &PageList, base: u64, bytes: &[u8]) {
    for page in pages.pages() {
        let Some(offset) = (page * PAGE_BYTES).checked_sub(base) else { continue };
        let Some(bytes) = bytes.get(offset as usize..) else { continue };
        if let Some(first) = pages.word(page * PAGE_BYTES) {
            for (word, value) in (first as usize..).zip(page_words(bytes)) {
                words[word] = value;
            }
        }
    }
}

fn lanes(words: &[u64], shape: Shape) -> [Vec<Fr>; 2] {
    let split = shape.public_word() as usize;
    let lane = |range: std::ops::Range<usize>| {
        let mut column = vec![Fr::ZERO; shape.rows()];
        for word in range {
            column[word] = Fr::from(words[word]);
        }
        column
    };
    [lane(0..split), lane(split..words.len())]
}

/// The columns of the first boundary: private and public lane, reserved and blinding rows zero.
#[must_use]
pub fn first_boundary(program: &Program, input: &Input, pages: &PageList) -> [Vec<Fr>; 2] {
    lanes(&first_words(program, input, pages), pages.shape())
}

/// The public lane for these bytes of the input region, reserved and blinding rows zero.
#[must_use]
pub fn public_words(region: &[u8], pages: &PageList) -> Vec<Fr> {
    let shape = pages.shape();
    let mut words = vec![0; shape.word_end() as usize];
    fill(&mut words, pages, INPUT_BASE, region);
    let [_, public] = lanes(&words, shape);
    public
}

/// The program's columns: code, immediate, target. Rows behind their end are zero.
#[must_use]
pub fn program_columns(microcode: &Microcode) -> [Vec<Fr>; 3] {
    let column = |value: fn(&crate::microcode::TableRow) -> i128| {
        microcode.table().iter().map(|row| field(value(row))).collect()
    };
    [column(|row| row.code), column(|row| row.imm), column(|row| row.target)]
}

/// The page list's column, reserved and blinding rows zero.
#[must_use]
pub fn page_column(pages: &PageList) -> Vec<Fr> {
    let mut column = vec![Fr::ZERO; pages.shape().rows()];
    for (row, value) in pages.column() {
        column[row] = Fr::from(value);
    }
    column
}

/// Everything that one chunk's proof is made from.
#[derive(Clone, Debug)]
pub struct ChunkWitness {
    shape: Shape,
    microcode: Arc<Microcode>,
    pages: Arc<PageList>,
    instance: ChunkInstance,
    /// One row for each row of the machine.
    pub(crate) rows: Vec<Row>,
    end: State,
    pub(crate) entry: Vec<u64>,
    pub(crate) exit: Vec<u64>,
    last_times: Vec<u32>,
    reserved: [[Fr; RESERVED_ROWS]; Committed::COUNT],
}

impl ChunkWitness {
    /// The chunk's public values.
    #[must_use]
    pub const fn instance(&self) -> &ChunkInstance {
        &self.instance
    }

    /// The circuit's shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The program as microcode.
    #[must_use]
    pub fn microcode(&self) -> &Microcode {
        &self.microcode
    }

    /// Rows of the machine, without padding.
    #[must_use]
    pub fn used_rows(&self) -> usize {
        self.rows.iter().take_while(|row| row.is_active()).count()
    }

    /// All first-phase columns: committed, cells, auxiliary, halves.
    pub(crate) fn columns(&self) -> Vec<Vec<Fr>> {
        let shape = self.shape;
        let mut columns = self.committed();
        let height = shape.end_row() + 1;
        columns.par_extend(Cell::ALL.par_iter().map(|cell| {
            let mut column = vec![Fr::ZERO; height];
            for (value, row) in column[FIRST_ROW..].iter_mut().zip(&self.rows) {
                *value = field(row[*cell]);
            }
            // The state behind the last row.
            column[shape.end_row()] = match cell {
                Cell::Upc => Fr::from(self.end.upc as u64),
                Cell::Pc => field(self.rows.last().map_or(0, |row| row[Cell::Pc])),
                Cell::Frame => field(self.end.frame),
                Cell::Steps => Fr::from(self.end.steps),
                _ => Fr::ZERO,
            };
            column
        }));
        columns.extend(self.multiplicities());
        let mut times = vec![Fr::ZERO; height];
        for (value, time) in times.iter_mut().zip(&self.last_times) {
            *value = Fr::from(u64::from(*time));
        }
        columns.push(times);
        if shape.is_narrow() {
            columns.extend(self.halves());
        }
        columns
    }

    fn committed(&self) -> Vec<Vec<Fr>> {
        let shape = self.shape;
        let [entry_private, entry_public] = lanes(&self.entry, shape);
        let [exit_private, exit_public] = lanes(&self.exit, shape);
        let mut columns = vec![entry_private, entry_public, exit_private, exit_public];
        columns.push(page_column(&self.pages));
        columns.extend(program_columns(&self.microcode));
        for (column, reserved) in columns.iter_mut().zip(&self.reserved) {
            column.resize(shape.rows(), Fr::ZERO);
            column[..RESERVED_ROWS].copy_from_slice(reserved);
        }
        columns
    }

    /// How often each receiving row is read, by program, lookup table, range and time.
    fn multiplicities(&self) -> [Vec<Fr>; 4] {
        let shape = self.shape;
        let mut counts = [const { Vec::new() }; 4];
        counts.iter_mut().for_each(|c: &mut Vec<u64>| c.resize(shape.end_row() + 1, 0));
        let [program, table, range, time] = &mut counts;
        let bump = |counts: &mut Vec<u64>, row: i128| {
            // A forged value that no row receives is left for the bus to reject.
            if let Some(count) = usize::try_from(row).ok().and_then(|row| counts.get_mut(row)) {
                *count += 1;
            }
        };
        let operand = 1i128 << shape.operand_bits();
        let in_range = |value: i128| (0..range_size(shape) as i128).contains(&value);
        let halves = |value: i128| (value & 0xff, value >> 8);
        for (index, row) in self.rows.iter().enumerate() {
            if row.is_active() {
                bump(program, row[Cell::Upc]);
            }
            for cell in [Cell::TimeX, Cell::TimeY] {
                let difference = index as i128 - row[cell];
                if difference >= 0 {
                    bump(time, time_row(difference as usize) as i128);
                }
            }
            let class = Class::from_flags(|cell| row[cell] == 1);
            let bytes = row[Cell::G2] == 1;
            if !bytes {
                for limb in LIMBS {
                    let (low, high) = halves(row[limb]);
                    if !shape.is_narrow() {
                        if in_range(row[limb]) {
                            bump(range, range_row(row[limb] as usize) as i128);
                        }
                    } else if in_range(high) {
                        bump(range, range_row(low as usize) as i128);
                        bump(range, range_row(high as usize) as i128);
                    }
                }
            }
            let mut conjunction = |x: i128, y: i128| {
                let pairs = if shape.is_narrow() {
                    vec![(x & 0xf, y & 0xf), (x >> 4, y >> 4)]
                } else {
                    vec![(x, y)]
                };
                for (x, y) in pairs {
                    if (0..operand).contains(&x) && (0..operand).contains(&y) {
                        let place = lookup_row(shape, kind::AND, x as u64, y as u64);
                        bump(table, place as i128);
                    }
                }
            };
            if bytes {
                for slot in 0..3 {
                    conjunction(row[LIMBS[3 * slot]], row[LIMBS[3 * slot + 1]]);
                }
            }
            let in_words = row[Cell::G1] == 1;
            if !in_words && class != Some(Class::ShiftAmount) {
                conjunction(row[Cell::P0], row[Cell::P1]);
            }
            if class == Some(Class::ShiftAmount) && (0..64).contains(&row[Cell::P0]) {
                let place = lookup_row(shape, row[Cell::Imm] as u64, row[Cell::P0] as u64, 0);
                bump(table, place as i128);
            }
            if in_words {
                if (0..256).contains(&row[Cell::P0]) {
                    let place = lookup_row(shape, kind::OFFSET, row[Cell::P0] as u64, 0);
                    bump(table, place as i128);
                }
                if row[Cell::Alias] == 1 {
                    bump(program, row[Cell::AddrY]);
                } else if let Some(place) = self.page_row_of(row[Cell::AddrY]) {
                    bump(table, place as i128);
                }
            }
            let access = row[Cell::G0] == 1 && row[Cell::T] == 1;
            if access || class == Some(Class::Fault) {
                bump(program, row[Cell::L8]);
            }
        }
        for (row, value) in self.pages.column() {
            let is_entry = row % 8 == 0;
            if !is_entry {
                bump(range, range_row(value as usize) as i128);
            }
        }
        debug_assert!(INTERVAL_ROW < SLOT_ROW);
        counts.map(|counts| counts.into_iter().map(Fr::from).collect())
    }

    fn page_row_of(&self, word: i128) -> Option<usize> {
        let page = u32::try_from(word).ok()? / crate::shape::PAGE_WORDS;
        (crate::shape::FIRST_PAGE..self.shape.page_end())
            .contains(&page)
            .then(|| self.shape.page_row(page))
    }

    /// Low halves of limbs and of table operands.
    fn halves(&self) -> Vec<Vec<Fr>> {
        let height = self.shape.end_row() + 1;
        let operands = [Cell::P0, Cell::P1, Cell::P2];
        LIMBS
            .iter()
            .chain(&operands)
            .enumerate()
            .map(|(index, cell)| {
                let mut column = vec![Fr::ZERO; height];
                for (value, row) in column[FIRST_ROW..].iter_mut().zip(&self.rows) {
                    let nibbles = row[Cell::G2] == 1 || index >= LIMBS.len();
                    let mask = if nibbles { 0xf } else { 0xff };
                    *value = field(row[*cell] & mask);
                }
                column
            })
            .collect()
    }
}

/// All columns of a chunk, for evaluating expressions on a row.
pub(crate) struct Matrix<'a> {
    columns: Vec<&'a [Fr]>,
    shape: Shape,
}

impl<'a> Matrix<'a> {
    const FIXED: usize = 128;
    /// Index of the instance column.
    pub(crate) const INSTANCE: usize = Self::FIXED + FixedColumn::COUNT;

    /// Index of an advice column.
    pub(crate) const fn advice_index(column: usize) -> usize {
        column
    }

    /// Index of a fixed column.
    pub(crate) const fn fixed_index(column: usize) -> usize {
        Self::FIXED + column
    }

    pub(crate) fn new(advice: &'a [Vec<Fr>], fixed: &'a [Vec<Fr>], instance: &'a [Fr], shape: Shape) -> Self {
        let mut columns: Vec<&[Fr]> = vec![&[]; Self::INSTANCE + 1];
        for (index, column) in advice.iter().enumerate() {
            columns[index] = column;
        }
        for (index, column) in fixed.iter().enumerate() {
            columns[Self::FIXED + index] = column;
        }
        columns[Self::INSTANCE] = instance;
        Self { columns, shape }
    }

    /// Rows on which constraints hold.
    pub(crate) fn active_rows(&self) -> std::ops::Range<usize> {
        FIRST_ROW..self.shape.end_row()
    }

    /// A value; zero outside the column.
    pub(crate) fn get(&self, column: usize, row: usize, rotation: i32) -> Fr {
        let row = row.wrapping_add_signed(rotation as isize);
        self.columns[column].get(row).copied().unwrap_or(Fr::ZERO)
    }
}

const _: () = assert!(ZERO_SOURCE != ZERO_SINK && FREE_BITS.len() == 4 && Auxiliary::COUNT == 5);
