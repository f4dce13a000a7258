//! Microcode: micro-operations, and how a program is written with them.
//!
//! Every micro-operation has an address. Below [`SLOT_ROW`] are those that all programs share, then comes
//! one for each slot of the program, then the continuations of instructions that take several.
//! Families say how their instructions expand (`ops`), `syscalls` how system calls do; equal
//! continuations are stored once. `program_table` makes rows of the circuit of it.
//!
//! [`SLOT_ROW`]: crate::shape::SLOT_ROW

use std::collections::HashMap;

use bpf_tracer::canonical::layout::INPUT_BASE;
use bpf_tracer::canonical::{Op, TrapKind};
use bpf_tracer::{Interval, Permission, Program, Syscall};

use crate::cell::{Cell, FETCHED_BITS, Row};
use crate::class::Class;
use crate::shape::{
    ALLOCATED, BUDGET, FRAMES, REGISTERS, RETURN_ADDRESS, ROM_ROW, SLOT_ROW, TEMP_COUNT, TEMPS,
    ZERO_SINK, ZERO_SOURCE,
};
use crate::syscalls::HiddenMemory;
use crate::{ops, syscalls};

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
    ///
    /// # Panics
    /// If there are not that many.
    #[must_use]
    pub const fn temp(index: u32) -> Self {
        assert!(index < TEMP_COUNT);
        Self::word(TEMPS + index)
    }

    /// The compute units that the run may use; never written.
    pub const BUDGET: Self = Self::word(BUDGET);
    /// Bytes of heap given out.
    pub const ALLOCATED: Self = Self::word(ALLOCATED);

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

    /// The code that the fetch compares, without the micro-operation's address: addresses of words in
    /// 24-bit digits, then the flags.
    ///
    /// On the memory bus an address is below `2^22` and the frame below `2^10`, so both digits are
    /// below `2^23` in absolute value and the code determines them and every flag. It lies above
    /// `2^46` and below `2^70`; the micro-operation's own address counts [`CODE_ADDRESS`] bits higher, so
    /// that it is determined, too.
    pub(crate) fn code(&self) -> i128 {
        let mut row = Row::default();
        self.fetch_into(&mut row, 0);
        let addresses = match self.class.place().0 {
            1 => row[Cell::AddrX],
            7 => 0,
            _ => row[Cell::AddrX] + (row[Cell::AddrY] << 24),
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
/// Bit of the code where the micro-operation's address begins.
pub(crate) const CODE_ADDRESS: usize = 72;

/// Addresses of the fixed microcode, by name.
pub mod rom {
    use super::{ROM_ROW, TrapKind};

    /// Halt: publishes `r0`.
    pub const HALT: usize = ROM_ROW;
    /// Operations of a violation: the proof of it, the end of the run.
    pub const FAULT_ROWS: usize = 2;
    /// Violations by an access, to read or to write, then by a range.
    const FAULTS: usize = HALT + 1;
    /// Extra limbs.
    pub const LIMBS: usize = FAULTS + 4 * FAULT_ROWS;
    /// High halves of bitwise operands.
    pub const BITWISE_HIGH: usize = LIMBS + 1;
    /// Second and third row of a signed division.
    pub const DIV_SIGNED: usize = BITWISE_HIGH + 1;
    /// Memory words, by `2·writable + crossing`.
    pub const WORDS: usize = DIV_SIGNED + 2;
    /// Second words of crossing accesses: read-only data, memory.
    pub const WORD_HIGH: usize = WORDS + 4;
    /// Range of both words of a crossing store.
    pub const WORD_RANGE: usize = WORD_HIGH + 2;
    /// Registers of the called function's frame.
    pub const CALL: usize = WORD_RANGE + 1;
    /// Ends with each kind of trap, by number.
    const TRAPS: usize = CALL + 5;
    /// One past the last address of the fixed microcode.
    pub const END: usize = TRAPS + TrapKind::ALL.len() + 1;
    const _: () = assert!(END <= super::SLOT_ROW);

    /// Ends with `CallDepthExceeded`.
    pub const TRAP_DEPTH: usize = trap(TrapKind::CallDepthExceeded);
    /// Ends with `CallOutsideTextSegment`.
    pub const TRAP_TEXT: usize = trap(TrapKind::CallOutsideTextSegment);
    /// Ends with `ComputationalBudgetExceeded`.
    pub const TRAP_UNITS: usize = trap(TrapKind::ComputationalBudgetExceeded);

    /// Ends with a trap.
    #[must_use]
    pub const fn trap(kind: TrapKind) -> usize {
        TRAPS + kind as usize
    }

    /// The access, or the range, of the row before is a violation.
    #[must_use]
    pub const fn fault(is_range: bool, to_write: bool) -> usize {
        FAULTS + FAULT_ROWS * (2 * is_range as usize + to_write as usize)
    }
}

/// The end of a run with this trap.
pub(crate) fn trap(kind: TrapKind) -> MicroOp {
    MicroOp::new(Class::End)
        .mode(Mode::Class)
        .imm(kind as i128)
        .modifiers(true, false, false)
}

/// The fixed microcode. The frame entry depends on the program's dialect.
fn rom_ops(program: &Program) -> Vec<MicroOp> {
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
    let mut ops = vec![class(Class::End).x(Place::register(0))];
    for is_range in [false, true] {
        for to_write in [false, true] {
            let fault = MicroOp::new(Class::Fault).modifiers(to_write, false, false);
            ops.push(if is_range {
                // The row before has size 1, or 2 with its m1.
                let size = 1 + i128::from(to_write);
                fault.x(ops::memory::LENGTH).imm(-size)
            } else {
                fault
            });
            ops.push(trap(TrapKind::AccessViolation));
        }
    }
    ops.extend([
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
    ]);
    ops.extend(ops::call::frame_entry(program.dialect().frame_growth()));
    // Trap numbers begin at 1.
    ops.push(trap(TrapKind::UnsupportedInstruction));
    ops.extend(TrapKind::ALL.map(trap));
    debug_assert_eq!(ops.len(), rom::END - ROM_ROW);
    ops
}

/// Collects the rows of a program while its families expand its instructions.
#[derive(Debug)]
pub(crate) struct Assembler<'a> {
    program: &'a Program,
    hidden: HiddenMemory,
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

    /// Memory that only system calls reach.
    pub(crate) const fn hidden(&self) -> &HiddenMemory {
        &self.hidden
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

/// Read-only words.
#[derive(Clone, Debug)]
struct Segment {
    /// Address divided by 8.
    first: u64,
    words: Vec<u64>,
}

impl Segment {
    fn new(base: u64, bytes: &[u8]) -> Self {
        let words = bytes.chunks(8).map(|bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        });
        Self {
            first: base / 8,
            words: words.collect(),
        }
    }
}

/// A program as the circuit sees it: micro-operations, the map of memory, read-only words.
#[derive(Clone, Debug)]
pub struct Microcode {
    ops: Vec<Option<MicroOp>>,
    intervals: Vec<Interval>,
    hidden_intervals: Vec<Interval>,
    segments: Vec<Segment>,
    slots: u32,
    entry: u32,
    #[cfg(feature = "dev")]
    listing: Vec<String>,
}

impl Microcode {
    /// Writes a program, in its surroundings, as microcode.
    #[must_use]
    pub fn assemble(program: &Program, environment: &bpf_tracer::Environment) -> Self {
        let instructions = program.instructions();
        let slots = instructions.len();
        let calls: Vec<Syscall> = Syscall::ALL
            .iter()
            .copied()
            .filter(|call| instructions.iter().any(|at| at.op == Op::Syscall(*call)))
            .collect();
        let mut assembler = Assembler {
            program,
            hidden: HiddenMemory::new(&calls, environment),
            ops: vec![MicroOp::new(Class::Mov); slots + 1],
            continuations: HashMap::new(),
        };
        let mut provable = vec![true; slots + 1];
        for (slot, instruction) in instructions.iter().enumerate() {
            match ops::expand(&mut assembler, slot as u32, instruction) {
                Some(op) => assembler.ops[slot] = MicroOp { first: true, ..op },
                None => provable[slot] = false,
            }
        }
        assembler.ops[slots] = MicroOp {
            first: true,
            ..trap(TrapKind::ExecutionOverrun)
        };

        let mut ops: Vec<Option<MicroOp>> = vec![None; SLOT_ROW + assembler.ops.len()];
        for (index, op) in rom_ops(program).into_iter().enumerate() {
            ops[ROM_ROW + index] = Some(op);
        }
        for (index, op) in assembler.ops.into_iter().enumerate() {
            if provable.get(index) != Some(&false) {
                ops[SLOT_ROW + index] = Some(op);
            }
        }
        let mut segments = vec![Segment::new(program.rodata_base(), program.rodata())];
        let hidden = assembler.hidden;
        segments.push(Segment::new(syscalls::CONSTANTS_BASE, hidden.constants()));
        Self {
            ops,
            intervals: program.intervals(),
            hidden_intervals: hidden.intervals(),
            segments,
            slots: slots as u32,
            entry: program.entry(),
            #[cfg(feature = "dev")]
            listing: (0..slots as u32)
                .map(|pc| program.disassemble(pc))
                .collect(),
        }
    }

    /// The micro-operations by address; none where nothing can be executed.
    pub(crate) fn ops(&self) -> &[Option<MicroOp>] {
        &self.ops
    }

    /// The micro-operation at this address.
    #[must_use]
    pub fn op(&self, address: usize) -> Option<&MicroOp> {
        self.ops.get(address).and_then(Option::as_ref)
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

    /// The map of memory below the input region.
    pub(crate) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// What system calls may do where programs may do nothing.
    pub(crate) fn hidden_intervals(&self) -> &[Interval] {
        &self.hidden_intervals
    }

    /// The interval that holds an address.
    pub(crate) fn interval(&self, address: u64, input_size: u64) -> Interval {
        let address = u128::from(address);
        let input = u128::from(INPUT_BASE);
        let end = input + u128::from(input_size);
        let (start, end, permission) = if address >= end {
            (end, 1 << 64, Permission::None)
        } else if address >= input {
            (input, end, Permission::ReadWrite)
        } else {
            let index = self.intervals.partition_point(|i| i.start <= address);
            return self.intervals[index - 1];
        };
        Interval {
            start,
            end,
            permission,
            open_end: false,
        }
    }

    /// Address divided by 8, and value, of every read-only word.
    pub(crate) fn read_only_words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.segments
            .iter()
            .flat_map(|segment| (segment.first..).zip(segment.words.iter().copied()))
    }

    /// The read-only word that holds an address.
    pub(crate) fn read_only_word(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let index = (address / 8).checked_sub(segment.first)?;
            segment.words.get(usize::try_from(index).ok()?).copied()
        })
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
