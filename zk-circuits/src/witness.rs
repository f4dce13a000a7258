//! The witness of one chunk: its rows, and the columns that they become.

use std::sync::Arc;

use bpf_tracer::canonical::layout::{DATA_BASE, INPUT_BASE, RETURN_DATA_BASE};
use bpf_tracer::{Input, Program};
use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::Committed;
use crate::builder::field;
use crate::cell::{Cell, LIMBS, Row};
use crate::class::Class;
use crate::instance::ChunkInstance;
use crate::machine::{OUTERMOST_RETURN, State, page_words};
use crate::microcode::Microcode;
use crate::ops::memory;
use crate::pages::PageList;
use crate::program_table::{ProgramTable, TableRow};
use crate::shape::{
    BUDGET, FIRST_ROW, FRAME_WORDS, FRAMES, PAGE_BYTES, PAGE_STRIDE, REGISTERS, RETURN_ADDRESS,
    Shape,
};
use crate::tables::{FixedColumn, kind, lookup_row, range_row, range_size, time_row};

/// Number of reserved rows of a committed column.
pub const RESERVED_ROWS: usize = FIRST_ROW;

/// Columns of cells that are filled in one pass over the rows.
const COLUMNS_AT_ONCE: usize = 8;

/// Memory before the first instruction, both lanes.
pub(crate) fn first_words(
    program: &Program,
    input: &Input,
    budget: u64,
    pages: &PageList,
) -> Vec<u64> {
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
    words[BUDGET as usize] = budget;
    fill(&mut words, pages, DATA_BASE, program.data());
    fill(&mut words, pages, INPUT_BASE, &input.bytes);
    words
}

/// Writes the bytes of a region into its mapped pages.
fn fill(words: &mut [u64], pages: &PageList, base: u64, bytes: &[u8]) {
    for page in pages.pages() {
        let Some(offset) = (page * PAGE_BYTES).checked_sub(base) else {
            continue;
        };
        let Some(bytes) = bytes.get(offset as usize..) else {
            continue;
        };
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
pub fn first_boundary(
    program: &Program,
    input: &Input,
    budget: u64,
    pages: &PageList,
) -> [Vec<Fr>; 2] {
    lanes(&first_words(program, input, budget, pages), pages.shape())
}

/// The public lane for these bytes of the input region and this return data, reserved and blinding
/// rows zero.
#[must_use]
pub fn public_words(region: &[u8], return_data: &[u8], pages: &PageList) -> Vec<Fr> {
    let shape = pages.shape();
    let mut words = vec![0; shape.word_end() as usize];
    fill(&mut words, pages, INPUT_BASE, region);
    let mut hidden = (return_data.len() as u64).to_le_bytes().to_vec();
    hidden.extend(return_data);
    fill(&mut words, pages, RETURN_DATA_BASE, &hidden);
    let [_, public] = lanes(&words, shape);
    public
}

/// The program's columns: code, immediate, target. Rows behind their end are zero.
#[must_use]
pub fn program_columns(table: &ProgramTable) -> [Vec<Fr>; 3] {
    let column = |value: fn(&TableRow) -> i128| {
        let rows = table.rows().iter();
        rows.map(|row| field(value(row))).collect()
    };
    [
        column(|row| row.code),
        column(|row| row.imm),
        column(|row| row.target),
    ]
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
    pub(crate) shape: Shape,
    pub(crate) microcode: Arc<Microcode>,
    pub(crate) table: Arc<ProgramTable>,
    pub(crate) pages: Arc<PageList>,
    pub(crate) instance: ChunkInstance,
    /// One row for each row of the machine.
    pub(crate) rows: Vec<Row>,
    pub(crate) end: State,
    pub(crate) entry: Vec<u64>,
    pub(crate) exit: Vec<u64>,
    pub(crate) last_times: Vec<u32>,
    pub(crate) reserved: [[Fr; RESERVED_ROWS]; Committed::COUNT],
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
        // A row's cells lie together: some columns at once, row by row.
        columns.par_extend(Cell::ALL.par_chunks(COLUMNS_AT_ONCE).flat_map(|cells| {
            let mut columns = vec![vec![Fr::ZERO; height]; cells.len()];
            for (place, row) in (FIRST_ROW..shape.end_row()).zip(&self.rows) {
                for (column, cell) in columns.iter_mut().zip(cells) {
                    column[place] = field(row[*cell]);
                }
            }
            columns
        }));
        // The state behind the last row.
        let pc = self.rows.last().map_or(0, |row| row[Cell::Pc]);
        for (cell, value) in [
            (Cell::Upc, self.end.upc as i128),
            (Cell::Pc, pc),
            (Cell::Frame, self.end.frame),
            (Cell::Count, self.end.count()),
        ] {
            columns[Committed::COUNT + cell as usize][shape.end_row()] = field(value);
        }
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
        columns.extend(program_columns(&self.table));
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
        counts
            .iter_mut()
            .for_each(|c: &mut Vec<u64>| c.resize(shape.end_row() + 1, 0));
        let [program, table, range, time] = &mut counts;
        // A forged value that no row receives is left for the bus to reject.
        let bump = |counts: &mut Vec<u64>, row: i128| {
            let row = usize::try_from(row).ok();
            if let Some(count) = row.and_then(|row| counts.get_mut(row)) {
                *count += 1;
            }
        };
        let bump_row = |counts: &mut Vec<u64>, row: Option<usize>| {
            if let Some(count) = row.and_then(|row| counts.get_mut(row)) {
                *count += 1;
            }
        };
        let in_range = |value: i128| (0..range_size(shape) as i128).contains(&value);
        let halves = |value: i128| (value & 0xff, value >> 8);
        for (index, row) in self.rows.iter().enumerate() {
            if row.is_active() {
                bump_row(program, self.table.op_row(row[Cell::Upc]));
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
                    bump_row(table, lookup_row(shape, kind::AND.into(), x, y));
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
            if class == Some(Class::ShiftAmount) {
                bump_row(table, lookup_row(shape, row[Cell::Imm], row[Cell::P0], 0));
            }
            if in_words {
                let offset = lookup_row(shape, kind::OFFSET.into(), row[Cell::P0], 0);
                bump_row(table, offset);
                if row[Cell::Alias] == 1 {
                    let before = |distance: usize| index.checked_sub(distance);
                    let rows =
                        [1, 2, 3].map(|d| before(d).map_or_else(Row::default, |i| self.rows[i]));
                    let address = class.map(|class| memory::word_address(class, &rows));
                    bump_row(program, address.and_then(|a| self.table.word_row(a)));
                } else if let Some(place) = self.page_row_of(row[Cell::AddrY]) {
                    bump(table, place as i128);
                }
            }
            if row[Cell::G7] == 1 {
                for address in [Cell::AddrX, Cell::AddrY] {
                    bump_row(table, self.page_row_of(row[address]));
                }
            }
            if row[Cell::G0] == 1 && row[Cell::T] == 1 {
                let interval = memory::permitted_row(row);
                let size = self.instance.input_size;
                bump_row(program, self.table.interval_row(&interval, size));
            }
            if class == Some(Class::Fault) {
                let before = index
                    .checked_sub(1)
                    .map_or_else(Row::default, |i| self.rows[i]);
                let interval = memory::violation_row(row, &before);
                let size = self.instance.input_size;
                bump_row(program, self.table.interval_row(&interval, size));
            }
        }
        for (row, value) in self.pages.column() {
            let is_entry = row % PAGE_STRIDE == 0;
            if !is_entry {
                bump(range, range_row(value as usize) as i128);
            }
        }
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

    pub(crate) fn new(
        advice: &'a [Vec<Fr>],
        fixed: &'a [impl AsRef<[Fr]>],
        instance: &'a [Fr],
        shape: Shape,
    ) -> Self {
        let mut columns: Vec<&[Fr]> = vec![&[]; Self::INSTANCE + 1];
        for (index, column) in advice.iter().enumerate() {
            columns[index] = column;
        }
        for (index, column) in fixed.iter().enumerate() {
            columns[Self::FIXED + index] = column.as_ref();
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
