//! Microcode: the rows of the program table, and how a program is written as such rows.
//!
//! A row of the table is one micro-operation. The first [`SLOT_ROW`] rows are the same for all programs
//! (microcode, permission intervals), then comes one row for each slot of the program, then the
//! continuations of instructions that take several micro-operations, then read-only data.
//! Families say how their instructions expand (`ops`); equal continuations are stored once.
//!
//! [`SLOT_ROW`]: crate::shape::SLOT_ROW

use std::collections::HashMap;

use bpf_tracer::canonical::TrapKind;
use bpf_tracer::{Permission, Program};

use crate::cell::{Cell, FETCHED_BITS, Row};
use crate::class::Class;
use crate::shape::{
    FIRST_ROW, FRAMES, INPUT_INTERVAL_ROWS, INTERVAL_ROW, REGISTERS, RETURN_ADDRESS, ROM_ROW,
    SLOT_ROW, Shape, TEMPS, ZERO_SINK, ZERO_SOURCE,
};
use crate::{ProgramError, ops};

/// Where an access of a micro-operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Word address, or offset from the frame.
    pub offset: i32,
    /// Whether the address is relative to the frame.
    pub in_frame: bool,
}

impl Place {
    /// Always zero; only for the first access.
    pub const ZERO: Self = Self::word(ZERO_SOURCE);
    /// Always zero; only for the second access.
    pub const SINK: Self = Self::word(ZERO_SINK);

    const fn word(address: u32) -> Self {
        Self {
            offset: address as i32,
            in_frame: false,
        }
    }

    const fn frame(offset: i32) -> Self {
        Self {
            offset: FRAMES as i32 + offset,
            in_frame: true,
        }
    }

    /// Register `r0` to `r10`.
    #[must_use]
    pub const fn register(index: u8) -> Self {
        if index < 6 {
            Self::word(REGISTERS + index as u32)
        } else {
            Self::frame(index as i32 - 6)
        }
    }

    /// Temporary of a microprogram.
    #[must_use]
    pub const fn temp(index: u32) -> Self {
        Self::word(TEMPS + index)
    }

    /// Word of the frame at a distance of `frames` from the current one.
    #[must_use]
    pub const fn frame_word(word: u32, frames: i32) -> Self {
        Self::frame(word as i32 + 6 * frames)
    }

    /// The return address of the current function.
    pub const RETURN: Self = Self::frame_word(RETURN_ADDRESS, 0);

    /// The word address for a value of [`Cell::Frame`].
    #[must_use]
    pub const fn address(self, frame: i128) -> i128 {
        self.offset as i128 + if self.in_frame { frame } else { 0 }
    }
}

/// How a row's successor is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The next row of the table, or [`Cell::Target`] if the branch is taken.
    Next = 0,
    /// [`Cell::Target`].
    Go = 1,
    /// The slot after [`Cell::Pc`].
    Return = 2,
    /// As the class says.
    Class = 3,
}

/// One row of the program table that can be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MicroOp {
    /// Its constraints.
    pub class: Class,
    /// Its successor.
    pub mode: Mode,
    /// Whether an instruction begins here.
    pub first: bool,
    /// First access: read.
    pub x: Place,
    /// Second access: read and write.
    pub y: Place,
    /// See [`Cell::Alias`].
    pub alias: bool,
    /// Modifiers, read by the class.
    pub modifiers: [bool; 3],
    /// Immediate, at most `2^64` in absolute value.
    pub imm: i128,
    /// Target row or second constant.
    pub target: u64,
}

impl MicroOp {
    /// A micro-operation of this class that reads and writes zeros.
    #[must_use]
    pub const fn new(class: Class) -> Self {
        Self {
            class,
            mode: Mode::Next,
            first: false,
            x: Place::ZERO,
            y: Place::SINK,
            alias: false,
            modifiers: [false; 3],
            imm: 0,
            target: 0,
        }
    }

    /// First access.
    #[must_use]
    pub const fn x(mut self, place: Place) -> Self {
        self.x = place;
        self
    }

    /// Second access.
    #[must_use]
    pub const fn y(mut self, place: Place) -> Self {
        self.y = place;
        self
    }

    /// `dst op src` of two registers, which may be the same one.
    #[must_use]
    pub fn registers(mut self, dst: Place, src: Place) -> Self {
        self.y = dst;
        if dst == src {
            self.alias = true;
        } else {
            self.x = src;
        }
        self
    }

    /// Immediate.
    #[must_use]
    pub const fn imm(mut self, imm: i128) -> Self {
        self.imm = imm;
        self
    }

    /// Target row or second constant.
    #[must_use]
    pub const fn target(mut self, target: u64) -> Self {
        self.target = target;
        self
    }

    /// Modifiers.
    #[must_use]
    pub const fn modifiers(mut self, m1: bool, m2: bool, m3: bool) -> Self {
        self.modifiers = [m1, m2, m3];
        self
    }

    /// Successor mode.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Writes everything that the fetch binds, and the access addresses, into a row.
    pub(crate) fn fetch_into(&self, row: &mut Row, frame: i128) {
        for (cell, on) in self.class.flags() {
            row[cell] = on.into();
        }
        row[Cell::ModeLo] = (self.mode as i128) & 1;
        row[Cell::ModeHi] = (self.mode as i128) >> 1;
        row[Cell::First] = self.first.into();
        row[Cell::Alias] = self.alias.into();
        row[Cell::FrameX] = self.x.in_frame.into();
        row[Cell::FrameY] = self.y.in_frame.into();
        row[Cell::M1] = self.modifiers[0].into();
        row[Cell::M2] = self.modifiers[1].into();
        row[Cell::M3] = self.modifiers[2].into();
        row[Cell::Imm] = self.imm;
        row[Cell::Target] = self.target.into();
        row[Cell::AddrX] = self.x.address(frame);
        row[Cell::AddrY] = self.y.address(frame);
    }

    /// The code that the fetch compares: addresses in 24-bit digits, then the flags.
    ///
    /// On the memory bus an address is below `2^22` and the frame below `2^10`, so both digits are
    /// below `2^23` in absolute value and the code determines them and every flag.
    fn code(&self) -> i128 {
        let mut row = Row::default();
        self.fetch_into(&mut row, 0);
        let addresses = if self.class.place().0 == 1 {
            row[Cell::AddrX]
        } else {
            row[Cell::AddrX] + (row[Cell::AddrY] << 24)
        };
        let flags: i128 = FETCHED_BITS
            .iter()
            .enumerate()
            .map(|(i, cell)| row[*cell] << (CODE_FLAGS + i))
            .sum();
        addresses + flags
    }
}

/// Bit of the code where the flags begin.
pub(crate) const CODE_FLAGS: usize = 48;
/// Code of rows that are permission intervals: this, plus 0 (none), 1 (read) or 2 (read and write).
pub(crate) const CODE_INTERVAL: i128 = 1 << 100;
/// Code of rows that are read-only data: immediate = address / 8, target = word.
pub(crate) const CODE_RODATA: i128 = 1 << 101;

/// One row of the program table: code, immediate, target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableRow {
    /// [`MicroOp`] code, or the kind of a data row; 0 in unused rows, which nothing can fetch.
    pub code: i128,
    /// Immediate, interval start, or address of a read-only word.
    pub imm: i128,
    /// Target, interval end, or read-only word.
    pub target: i128,
}

/// Rows of the fixed microcode, by name.
pub mod rom {
    use super::ROM_ROW;

    /// Halt: publishes `r0`.
    pub const HALT: usize = ROM_ROW;
    /// The access of the row before is a violation; the row after ends with it.
    pub const FAULT: usize = ROM_ROW + 1;
    /// Ends with `CallDepthExceeded`.
    pub const TRAP_DEPTH: usize = ROM_ROW + 3;
    /// Ends with `CallOutsideTextSegment`.
    pub const TRAP_TEXT: usize = ROM_ROW + 4;
    /// Extra limbs.
    pub const LIMBS: usize = ROM_ROW + 5;
    /// High halves of bitwise operands.
    pub const BITWISE_HIGH: usize = ROM_ROW + 6;
    /// Second and third row of a signed division.
    pub const DIV_SIGNED: usize = ROM_ROW + 7;
    /// Memory words, by `2·writable + crossing`.
    pub const WORDS: usize = ROM_ROW + 9;
    /// Second words of crossing accesses: read-only data, memory.
    pub const WORD_HIGH: usize = ROM_ROW + 13;
    /// Range of both words of a crossing store.
    pub const WORD_RANGE: usize = ROM_ROW + 15;
    /// Registers of the called function's frame.
    pub const CALL: usize = ROM_ROW + 16;
    /// One past the last row of the fixed microcode.
    pub const END: usize = CALL + 5;
}

/// The end of a run with this trap.
pub(crate) fn trap(kind: TrapKind) -> MicroOp {
    MicroOp::new(Class::End)
        .mode(Mode::Class)
        .imm(kind as i128)
        .modifiers(true, false, false)
}

fn rom_ops() -> Vec<MicroOp> {
    let class = |class| MicroOp::new(class).mode(Mode::Class);
    let rodata = |mut op: MicroOp| {
        op.alias = true;
        op
    };
    let low = |high| {
        MicroOp::new(Class::WordLow)
            .mode(Mode::Go)
            .target(high as u64)
    };
    let mut ops = vec![
        class(Class::End).x(Place::register(0)),
        MicroOp::new(Class::Fault),
        trap(TrapKind::AccessViolation),
        trap(TrapKind::CallDepthExceeded),
        trap(TrapKind::CallOutsideTextSegment),
        class(Class::Limbs),
        class(Class::BitwiseHigh),
        MicroOp::new(Class::Mov),
        class(Class::DivSignedEnd),
        rodata(class(Class::Word)),
        rodata(low(rom::WORD_HIGH)),
        class(Class::Word),
        low(rom::WORD_HIGH + 1),
        rodata(class(Class::WordHigh)),
        class(Class::WordHigh),
        class(Class::WordRange),
    ];
    ops.extend(ops::call::frame_entry());
    debug_assert_eq!(ops.len(), rom::END - ROM_ROW);
    ops
}

/// Collects the rows of a program while its families expand its instructions.
#[derive(Debug)]
pub(crate) struct Assembler<'a> {
    program: &'a Program,
    ops: Vec<MicroOp>,
    continuations: HashMap<Vec<MicroOp>, usize>,
}

impl<'a> Assembler<'a> {
    /// Row of a slot of the program.
    pub(crate) const fn slot_row(slot: u32) -> u64 {
        SLOT_ROW as u64 + slot as u64
    }

    /// The program being assembled.
    pub(crate) const fn program(&self) -> &'a Program {
        self.program
    }

    /// An instruction that is these operations one after another, then goes to `end`: returns the first,
    /// stores the rest as a continuation.
    pub(crate) fn sequence(&mut self, mut ops: Vec<MicroOp>, end: u64) -> MicroOp {
        let first = ops.remove(0);
        if ops.is_empty() {
            return first;
        }
        match ops.last_mut() {
            // A class that chooses its own successor continues with the next row.
            Some(last) if last.mode == Mode::Next && !last.class.branches() => {
                *last = last.mode(Mode::Go).target(end);
            }
            _ => ops.push(ops::mov::go(end)),
        }
        if first.mode == Mode::Class {
            // It cannot jump itself: the instruction begins with a jump, the operations follow.
            ops.insert(0, first);
            return ops::mov::go(self.continuation(ops));
        }
        first.mode(Mode::Go).target(self.continuation(ops))
    }

    /// Stores a continuation after the program's slots, or finds an equal one; returns its first row.
    /// Targets of the given operations are rows; `relative` ones count from the continuation's first row.
    pub(crate) fn continuation(&mut self, ops: Vec<MicroOp>) -> u64 {
        let next = SLOT_ROW + self.ops.len();
        let row = *self.continuations.entry(ops).or_insert_with_key(|ops| {
            self.ops.extend(ops.iter().map(|op| MicroOp {
                target: resolve(op.target, next),
                ..*op
            }));
            next
        });
        row as u64
    }
}

/// A target inside the continuation that is being written: row `index` of it.
pub(crate) const fn local(index: u64) -> u64 {
    (1 << 63) | index
}

const fn resolve(target: u64, start: usize) -> u64 {
    if target >> 63 == 1 && target < (1 << 63) | (1 << 20) {
        start as u64 + (target & 0xf_ffff)
    } else {
        target
    }
}

/// A program as the circuit sees it: executable rows, data rows, and where they are.
#[derive(Clone, Debug)]
pub struct Microcode {
    ops: Vec<Option<MicroOp>>,
    table: Vec<TableRow>,
    intervals: Vec<(usize, u128, u128, Permission)>,
    rodata_row: usize,
    rodata: Vec<u64>,
    rodata_base: u64,
    slots: u32,
    entry: u32,
    #[cfg(feature = "dev")]
    listing: Vec<String>,
}

impl Microcode {
    /// Writes a program as microcode.
    ///
    /// # Errors
    /// If it does not fit into the program table of this shape.
    pub fn assemble(program: &Program, shape: Shape) -> Result<Self, ProgramError> {
        let instructions = program.instructions();
        let slots = instructions.len();
        let mut assembler = Assembler {
            program,
            ops: vec![MicroOp::new(Class::Mov); slots + 1],
            continuations: HashMap::new(),
        };
        for (slot, instruction) in instructions.iter().enumerate() {
            let mut op = ops::expand(&mut assembler, slot as u32, instruction);
            op.first = true;
            assembler.ops[slot] = op;
        }
        assembler.ops[slots] = MicroOp {
            first: true,
            ..trap(TrapKind::ExecutionOverrun)
        };

        let rodata: Vec<u64> = program
            .rodata()
            .chunks(8)
            .map(|bytes| {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(word)
            })
            .collect();
        let rows = assembler.ops.len() + rodata.len();
        if rows > shape.program_rows() {
            return Err(ProgramError::TooLarge {
                rows,
                capacity: shape.program_rows(),
                k: shape.k(),
            });
        }

        let rodata_row = SLOT_ROW + assembler.ops.len();
        let mut ops: Vec<Option<MicroOp>> = vec![None; rodata_row];
        for (index, op) in rom_ops().into_iter().enumerate() {
            ops[ROM_ROW + index] = Some(op);
        }
        for (index, op) in assembler.ops.into_iter().enumerate() {
            ops[SLOT_ROW + index] = Some(op);
        }
        let mut table: Vec<TableRow> = ops
            .iter()
            .map(|op| {
                op.map_or_else(TableRow::default, |op| TableRow {
                    code: op.code(),
                    imm: op.imm,
                    target: op.target.into(),
                })
            })
            .collect();

        // The input region's length enters these two rows through the instance.
        let input = bpf_tracer::canonical::layout::INPUT_BASE.into();
        table[INPUT_INTERVAL_ROWS[0]] = TableRow {
            code: CODE_INTERVAL + 2,
            imm: input,
            target: input,
        };
        table[INPUT_INTERVAL_ROWS[1]] = TableRow {
            code: CODE_INTERVAL,
            imm: input,
            target: 1 << 64,
        };
        debug_assert_eq!(INPUT_INTERVAL_ROWS[0], FIRST_ROW);
        let mut intervals = Vec::new();
        for (index, interval) in program.intervals().into_iter().enumerate() {
            let row = INTERVAL_ROW + index;
            if row >= SLOT_ROW {
                return Err(ProgramError::TooManyRegions);
            }
            table[row] = TableRow {
                code: CODE_INTERVAL + permission_code(interval.permission),
                imm: interval.start as i128,
                target: interval.end as i128,
            };
            intervals.push((row, interval.start, interval.end, interval.permission));
        }
        let rodata_base = bpf_tracer::canonical::layout::RODATA_BASE;
        table.extend(rodata.iter().enumerate().map(|(index, word)| TableRow {
            code: CODE_RODATA,
            imm: i128::from(rodata_base) / 8 + index as i128,
            target: (*word).into(),
        }));
        Ok(Self {
            ops,
            table,
            intervals,
            rodata_row,
            rodata,
            rodata_base,
            slots: slots as u32,
            entry: program.entry(),
            #[cfg(feature = "dev")]
            listing: (0..slots as u32)
                .map(|pc| program.disassemble(pc))
                .collect(),
        })
    }

    /// The rows of the program table from row 0; rows behind are unused.
    #[must_use]
    pub fn table(&self) -> &[TableRow] {
        &self.table
    }

    /// The micro-operation in this row.
    #[must_use]
    pub fn op(&self, row: usize) -> Option<&MicroOp> {
        self.ops.get(row).and_then(Option::as_ref)
    }

    /// The instruction at a slot, disassembled; empty outside the program.
    #[cfg(feature = "dev")]
    pub(crate) fn disassembly(&self, slot: usize) -> &str {
        self.listing.get(slot).map_or("", String::as_str)
    }

    /// Number of slots of the program.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// Slot where the program starts.
    #[must_use]
    pub const fn entry(&self) -> u32 {
        self.entry
    }

    /// Table row, start, end and permission of the interval that holds an address.
    pub(crate) fn interval(
        &self,
        address: u64,
        input_size: u64,
    ) -> (usize, u128, u128, Permission) {
        let address = u128::from(address);
        let input = u128::from(bpf_tracer::canonical::layout::INPUT_BASE);
        let end = input + u128::from(input_size);
        if address >= end {
            return (INPUT_INTERVAL_ROWS[1], end, 1 << 64, Permission::None);
        }
        if address >= input {
            return (INPUT_INTERVAL_ROWS[0], input, end, Permission::ReadWrite);
        }
        let index = self
            .intervals
            .partition_point(|(_, start, _, _)| *start <= address);
        self.intervals[index - 1]
    }

    /// Table row and value of the read-only word that holds an address.
    pub(crate) fn rodata_word(&self, address: u64) -> Option<(usize, u64)> {
        let index = (address.checked_sub(self.rodata_base)? / 8) as usize;
        self.rodata
            .get(index)
            .map(|word| (self.rodata_row + index, *word))
    }
}

/// 0: none, 1: read, 2: read and write.
pub(crate) const fn permission_code(permission: Permission) -> i128 {
    match permission {
        Permission::None => 0,
        Permission::Read => 1,
        Permission::ReadWrite => 2,
    }
}
