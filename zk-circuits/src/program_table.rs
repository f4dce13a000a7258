//! The program table: which rows of the circuit hold the microcode, the map of memory and the read-only
//! words of a program.
//!
//! Where a row stands does not matter to the circuit, since a row names what it is: its code has the
//! micro-operation's address, or says that the row is data. So a table may leave out what a run
//! does not need. What is left out can neither be executed nor read: a run that needs it has no proof,
//! whatever its outcome. A [`Selection`] says what is there.

use std::collections::{BTreeSet, HashMap};

use bpf_tracer::Permission;
use bpf_tracer::canonical::layout::INPUT_BASE;

use crate::microcode::{CODE_ADDRESS, Microcode, permission_code, rom};
use crate::shape::{BLOCK_ROWS, INPUT_INTERVAL_ROWS, ROM_ROW, SLOT_ROW, Shape};
use crate::{ProgramError, Selection};

/// Codes of data rows are negative; those of micro-operations are above `2^46`.
const DATA: i128 = 1 << 100;
/// An interval that permits: plus 1 (to read) or 2 (to read and write), plus [`CODE_HIDDEN`].
pub(crate) const CODE_PERMITTED: i128 = -DATA;
/// Added to the code of intervals that permit what system calls do in hidden memory.
pub(crate) const CODE_HIDDEN: i128 = 4;
/// An interval outside of which, or without whose permission, an access is a violation: plus 0
/// (permits nothing), 1 or 2.
pub(crate) const CODE_VIOLATION: i128 = -2 * DATA;
/// A read-only word: immediate = address / 8, target = word.
pub(crate) const CODE_RODATA: i128 = -3 * DATA;

/// Blocks of read-only words are numbered from here.
const WORD_BLOCKS: u64 = 1 << 40;

/// One row of the program table: code, immediate, target. Unused rows are zero, which nothing can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableRow {
    /// Address and code of a micro-operation, or the kind of a data row.
    pub code: i128,
    /// Immediate, interval start, or address of a read-only word.
    pub imm: i128,
    /// Target, interval end, or read-only word.
    pub target: i128,
}

/// What a run has used of a program; see [`Selection`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Used(BTreeSet<u64>);

impl Used {
    /// The micro-operation at this address.
    pub(crate) fn op(&mut self, address: usize) {
        if let Some(index) = address.checked_sub(SLOT_ROW) {
            self.0.insert((index / BLOCK_ROWS) as u64);
        }
    }

    /// The read-only word at an address.
    pub(crate) fn read_only_word(&mut self, address: u64) {
        self.0.insert(WORD_BLOCKS + address / 8 / BLOCK_ROWS as u64);
    }

    pub(crate) fn selection(&self) -> Selection {
        Selection::Blocks(self.0.iter().copied().collect())
    }
}

/// Rows of the circuit for a program, or a part of it.
#[derive(Clone, Debug)]
pub struct ProgramTable {
    selection: Selection,
    rows: Vec<TableRow>,
    /// Row of each micro-operation, by address.
    ops: Vec<Option<u32>>,
    /// Row of each read-only word, by address / 8.
    words: HashMap<u64, usize>,
    /// Row of each interval below the input region.
    intervals: HashMap<TableRow, usize>,
}

impl ProgramTable {
    /// Places the selected part of a program.
    ///
    /// # Errors
    /// If it does not fit the shape, or if the selection is not in order or names what is not there.
    pub fn new(
        microcode: &Microcode,
        selection: &Selection,
        shape: Shape,
    ) -> Result<Self, ProgramError> {
        let mut table = Self {
            selection: selection.clone(),
            rows: vec![TableRow::default(); INPUT_INTERVAL_ROWS[0]],
            ops: vec![None; microcode.ops().len()],
            words: HashMap::new(),
            intervals: HashMap::new(),
        };
        // The input region's length enters these rows through the instance.
        table.rows.extend(Self::input_rows(0));
        for address in ROM_ROW..rom::END {
            table.push_op(microcode, address);
        }
        let hidden = microcode
            .hidden_intervals()
            .iter()
            .map(|i| (i, CODE_HIDDEN));
        for (interval, kind) in microcode.intervals().iter().map(|i| (i, 0)).chain(hidden) {
            let permission = permission_code(interval.permission);
            let mut push = |code: i128| {
                let row = TableRow {
                    code,
                    imm: interval.start as i128,
                    target: interval.end as i128,
                };
                table.intervals.insert(row, table.rows.len());
                table.rows.push(row);
            };
            if interval.permission != Permission::None {
                push(CODE_PERMITTED + permission + kind);
            }
            if kind == 0 && !interval.open_end {
                push(CODE_VIOLATION + permission);
            }
        }

        let op_blocks = (microcode.ops().len() - SLOT_ROW).div_ceil(BLOCK_ROWS) as u64;
        let words: HashMap<u64, u64> = microcode.read_only_words().collect();
        let mut word_blocks: Vec<u64> = words
            .keys()
            .map(|word| WORD_BLOCKS + word / BLOCK_ROWS as u64)
            .collect();
        word_blocks.sort_unstable();
        word_blocks.dedup();
        let blocks = match selection {
            Selection::Whole => (0..op_blocks).chain(word_blocks).collect(),
            Selection::Blocks(blocks) => {
                let in_order = blocks.windows(2).all(|pair| pair[0] < pair[1]);
                let exist = blocks
                    .iter()
                    .all(|block| *block < op_blocks || word_blocks.binary_search(block).is_ok());
                if !in_order || !exist {
                    return Err(ProgramError::Selection);
                }
                blocks.clone()
            }
        };
        for block in blocks {
            if let Some(block) = block.checked_sub(WORD_BLOCKS) {
                let first = block * BLOCK_ROWS as u64;
                for word in first..first + BLOCK_ROWS as u64 {
                    let Some(value) = words.get(&word) else {
                        continue;
                    };
                    table.words.insert(word, table.rows.len());
                    table.rows.push(TableRow {
                        code: CODE_RODATA,
                        imm: word.into(),
                        target: (*value).into(),
                    });
                }
            } else {
                let first = SLOT_ROW + block as usize * BLOCK_ROWS;
                for address in first..first + BLOCK_ROWS {
                    table.push_op(microcode, address);
                }
            }
        }
        let rows = table.rows.len() - (INPUT_INTERVAL_ROWS[2] + 1);
        if rows > shape.program_rows() {
            return Err(ProgramError::TooLarge {
                rows,
                capacity: shape.program_rows(),
                k: shape.k(),
            });
        }
        Ok(table)
    }

    fn push_op(&mut self, microcode: &Microcode, address: usize) {
        let Some(op) = microcode.op(address) else {
            return;
        };
        self.ops[address] = Some(self.rows.len() as u32);
        self.rows.push(TableRow {
            code: ((address as i128) << CODE_ADDRESS) + op.code(),
            imm: op.imm,
            target: op.target.into(),
        });
    }

    /// The rows of an input region of this size: permission and violation of the region, violation of
    /// what follows it.
    fn input_rows(size: u64) -> [TableRow; 3] {
        let base = i128::from(INPUT_BASE);
        let end = base + i128::from(size);
        let row = |code, imm, target| TableRow { code, imm, target };
        [
            row(CODE_PERMITTED + 2, base, end),
            row(CODE_VIOLATION + 2, base, end),
            row(CODE_VIOLATION, end, 1 << 64),
        ]
    }

    /// What the table holds.
    #[must_use]
    pub const fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The rows, from row 0 of the circuit; rows behind are unused.
    #[must_use]
    pub fn rows(&self) -> &[TableRow] {
        &self.rows
    }

    /// Row of the micro-operation at an address.
    pub(crate) fn op_row(&self, address: i128) -> Option<usize> {
        let row = self.ops.get(usize::try_from(address).ok()?)?;
        row.map(|row| row as usize)
    }

    /// Row of a read-only word.
    pub(crate) fn word_row(&self, address: u64) -> Option<usize> {
        self.words.get(&(address / 8)).copied()
    }

    /// Row of an interval, where the input region has this size.
    pub(crate) fn interval_row(&self, row: &TableRow, input_size: u64) -> Option<usize> {
        let inputs = INPUT_INTERVAL_ROWS
            .into_iter()
            .zip(Self::input_rows(input_size));
        self.intervals.get(row).copied().or_else(|| {
            inputs
                .into_iter()
                .find_map(|(place, input)| (input == *row).then_some(place))
        })
    }
}
