//! Honest executions: what lies are about.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bpf_tracer::canonical::AluOp;
use bpf_tracer::canonical::layout::INPUT_BASE;
use bpf_tracer::{ExecutionTrace, Op, Syscall, TrapKind};
use halo2curves::bn256::Fr;

use crate::cell::{Cell, Row};
use crate::dev::{Failure, Forgery};
use crate::plan::Run;
use crate::program_table::{ProgramTable, Used};
use crate::shape::{PAGE_BYTES, SLOT_ROW, Shape};
use crate::witness::{ChunkWitness, RESERVED_ROWS};
use crate::{Committed, Plan, Selection, WitnessError};

/// An execution cannot serve as a baseline.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// It has no witness.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The circuit does not accept it.
    #[error("the honest execution '{name}' is not accepted: {failure}")]
    Baseline {
        /// The execution.
        name: String,
        /// The first failure.
        failure: Failure,
    },
}

/// Families of instructions, and system calls by what they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `mov`, `lddw`, `ja`.
    Move,
    /// Extensions and byte swaps.
    Extend,
    /// Sums, differences, negation.
    AddSub,
    /// Products.
    Multiply,
    /// Divisions and remainders.
    Divide,
    /// Conjunction and the like.
    Bitwise,
    /// Shifts.
    Shift,
    /// Conditional branches.
    Branch,
    /// Loads.
    Load,
    /// Stores.
    Store,
    /// Atomic operations.
    Atomic,
    /// Calls of functions.
    Call,
    /// Returns.
    Exit,
    /// `abort` and `sol_panic_`.
    Stop,
    /// System calls that log.
    Log,
    /// System calls that copy, fill and compare.
    Memory,
    /// System calls about the environment.
    Sysvar,
    /// System calls about return data.
    ReturnData,
    /// `sol_alloc_free_`.
    Heap,
    /// System calls about what is left of the budget, and about depth.
    Budget,
    /// What is not an instruction: a second slot of `lddw`, a call of nothing, the end of the text.
    Nothing,
}

impl Operation {
    /// Every one.
    pub const ALL: [Self; 21] = [
        Self::Move,
        Self::Extend,
        Self::AddSub,
        Self::Multiply,
        Self::Divide,
        Self::Bitwise,
        Self::Shift,
        Self::Branch,
        Self::Load,
        Self::Store,
        Self::Atomic,
        Self::Call,
        Self::Exit,
        Self::Stop,
        Self::Log,
        Self::Memory,
        Self::Sysvar,
        Self::ReturnData,
        Self::Heap,
        Self::Budget,
        Self::Nothing,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Extend => "extend, swap",
            Self::AddSub => "add, sub",
            Self::Multiply => "multiply",
            Self::Divide => "divide",
            Self::Bitwise => "bitwise",
            Self::Shift => "shift",
            Self::Branch => "branch",
            Self::Load => "load",
            Self::Store => "store",
            Self::Atomic => "atomic",
            Self::Call => "call",
            Self::Exit => "exit",
            Self::Stop => "abort, panic",
            Self::Log => "log calls",
            Self::Memory => "memory calls",
            Self::Sysvar => "sysvar calls",
            Self::ReturnData => "return data",
            Self::Heap => "heap",
            Self::Budget => "budget calls",
            Self::Nothing => "no instruction",
        }
    }

    /// Whether it is a system call.
    #[must_use]
    pub const fn is_syscall(self) -> bool {
        matches!(
            self,
            Self::Stop
                | Self::Log
                | Self::Memory
                | Self::Sysvar
                | Self::ReturnData
                | Self::Heap
                | Self::Budget
        )
    }

    /// The family of an operation; none for what is outside of the program.
    #[must_use]
    pub const fn of(op: Option<Op>) -> Self {
        let Some(op) = op else { return Self::Nothing };
        match op {
            Op::None | Op::Unprovable | Op::Unresolved => Self::Nothing,
            Op::Alu(_, op, _) => match op {
                AluOp::Mov => Self::Move,
                AluOp::Add
                | AluOp::Sub
                | AluOp::Neg
                | AluOp::AddSx
                | AluOp::SubSx
                | AluOp::ReverseSub => Self::AddSub,
                AluOp::Mul | AluOp::MulSx | AluOp::MulHigh | AluOp::MulHighSigned => Self::Multiply,
                AluOp::Div
                | AluOp::Mod
                | AluOp::Sdiv
                | AluOp::Smod
                | AluOp::DivTrap
                | AluOp::ModTrap
                | AluOp::SdivTrap
                | AluOp::SmodTrap => Self::Divide,
                AluOp::Or | AluOp::And | AluOp::Xor => Self::Bitwise,
                AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => Self::Shift,
            },
            Op::Jump | Op::HelperIdentity => Self::Move,
            Op::MovSx(..) | Op::ZeroExtend(_) | Op::ByteSwap(_) => Self::Extend,
            Op::Load(..) => Self::Load,
            Op::Store(..) => Self::Store,
            Op::Atomic(..) => Self::Atomic,
            Op::Branch(..) => Self::Branch,
            Op::Call | Op::CallReg | Op::CallAddress => Self::Call,
            Op::Exit => Self::Exit,
            Op::Syscall(call) => match call {
                Syscall::Abort | Syscall::Panic => Self::Stop,
                Syscall::Log | Syscall::Log64 | Syscall::LogPubkey => Self::Log,
                Syscall::Memcpy | Syscall::Memmove | Syscall::Memset | Syscall::Memcmp => {
                    Self::Memory
                }
                Syscall::GetClockSysvar | Syscall::GetRentSysvar | Syscall::GetSysvar => {
                    Self::Sysvar
                }
                Syscall::SetReturnData | Syscall::GetReturnData => Self::ReturnData,
                Syscall::AllocFree => Self::Heap,
                Syscall::GetStackHeight
                | Syscall::RemainingComputeUnits
                | Syscall::LogComputeUnits => Self::Budget,
            },
        }
    }
}

/// An honest chunk that the circuit accepts.
#[derive(Clone, Debug)]
pub struct Execution {
    name: String,
    witness: ChunkWitness,
    operations: Vec<Operation>,
    /// Indices of the rows that begin instructions.
    starts: Vec<usize>,
    /// For both accesses of each row: another value that the word had before, and when.
    earlier: Vec<[Option<(u64, u32)>; 2]>,
}

impl Execution {
    /// The chunks of a trace, of at most `chunk` steps each. Beside the pages that the run touches, those of
    /// its input are mapped, for lies about addresses.
    ///
    /// # Errors
    /// If the trace has no witness, or the circuit does not accept it.
    pub fn of_trace(
        name: &str,
        trace: &ExecutionTrace,
        shape: Shape,
        chunk: Option<usize>,
    ) -> Result<Vec<Self>, KitError> {
        let plan = match plan(trace, &wider(trace), shape, chunk) {
            Ok(plan) => plan,
            // They do not fit.
            Err(_) => Plan::new(trace, shape, chunk)?,
        };
        (0..plan.chunk_count())
            .map(|index| {
                let reserved = [[Fr::zero(); RESERVED_ROWS]; Committed::COUNT];
                let witness = plan.witness(index, &reserved)?;
                let ops = trace.program().instructions().iter().map(|i| i.op);
                Self::new(name, witness, &ops.collect::<Vec<_>>())
            })
            .collect()
    }

    /// A chunk of a program with these operations, by slot.
    ///
    /// # Errors
    /// If the circuit does not accept it.
    pub fn new(name: &str, witness: ChunkWitness, ops: &[Op]) -> Result<Self, KitError> {
        if let Some(failure) = crate::dev::check(&witness).into_iter().next() {
            let name = name.to_owned();
            return Err(KitError::Baseline { name, failure });
        }
        let used = witness.used_rows();
        let rows = &witness.rows[..used];
        let starts = (0..used).filter(|i| rows[*i][Cell::First] == 1).collect();
        let mut operations = Vec::with_capacity(used);
        let mut slot = rows.first().map_or(0, |row| row[Cell::Pc]);
        for row in rows {
            if row[Cell::First] == 1 {
                slot = row[Cell::Pc];
            }
            let slot = usize::try_from(slot - SLOT_ROW as i128).ok();
            operations.push(Operation::of(slot.and_then(|s| ops.get(s).copied())));
        }
        let earlier = earlier(rows);
        Ok(Self {
            name: name.to_owned(),
            witness,
            operations,
            starts,
            earlier,
        })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its witness.
    #[must_use]
    pub const fn witness(&self) -> &ChunkWitness {
        &self.witness
    }

    /// Number of rows, without padding.
    #[must_use]
    pub fn used(&self) -> usize {
        self.operations.len()
    }

    /// The family of the instruction that a row belongs to.
    #[must_use]
    pub fn operation(&self, row: usize) -> Operation {
        self.operations[row]
    }

    /// How the chunk ends.
    #[must_use]
    pub fn ending(&self) -> &'static str {
        let instance = &self.witness.instance;
        match (instance.running_out, instance.trap_kind) {
            (true, _) => "goes on",
            (_, 0) => "halt",
            (_, kind) => TrapKind::from_code(kind as u8).map_or("", TrapKind::name),
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.witness.rows
    }

    /// The first row of the instruction behind that of a row.
    pub(super) fn next_start(&self, row: usize) -> Option<usize> {
        let place = self.starts.partition_point(|start| *start <= row);
        self.starts.get(place).copied()
    }

    pub(super) fn is_start(&self, row: usize) -> bool {
        self.starts.binary_search(&row).is_ok()
    }

    /// Whether a row is its instruction's last, and another instruction follows.
    pub(super) fn is_last(&self, row: usize) -> bool {
        self.is_start(row + 1)
    }

    /// A value that the word of an access (0 or 1) of a row had before its last write, and the time of it.
    pub(super) fn earlier(&self, row: usize, access: usize) -> Option<(u64, u32)> {
        self.earlier[row][access]
    }

    /// Whether this is what a forgery says, cell by cell.
    pub(super) fn is_told_by(&self, forgery: &Forgery) -> bool {
        let told = &forgery.witness;
        forgery.columns.is_none()
            && told.rows == self.witness.rows
            && told.end == self.witness.end
            && told.last_times == self.witness.last_times
            && self.says_the_same(forgery)
    }

    /// Whether the public values and the memory at both ends are the honest ones.
    pub(super) fn says_the_same(&self, forgery: &Forgery) -> bool {
        let told = &forgery.witness;
        let committed = forgery.columns.as_ref().is_none_or(|columns| {
            let honest = told.columns();
            columns[..Committed::COUNT] == honest[..Committed::COUNT]
        });
        committed
            && forgery.instance == self.witness.instance.to_fields()
            && words(&told.entry) == words(&self.witness.entry)
            && words(&told.exit) == words(&self.witness.exit)
    }

    /// A number for what a forgery says, the same for the same.
    pub(super) fn fingerprint(&self, forgery: &Forgery) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.name.hash(&mut hasher);
        let (told, honest) = (&forgery.witness, &self.witness);
        honest.instance.index.hash(&mut hasher);
        for (index, (row, other)) in told.rows.iter().zip(&honest.rows).enumerate() {
            if row != other {
                index.hash(&mut hasher);
                Cell::ALL.iter().for_each(|c| row[*c].hash(&mut hasher));
            }
        }
        for boundary in [&told.entry, &told.exit] {
            words(boundary).hash(&mut hasher);
        }
        told.last_times.hash(&mut hasher);
        for value in &forgery.instance {
            value.hash(&mut hasher);
        }
        for (index, column) in forgery.columns.iter().flatten().enumerate() {
            index.hash(&mut hasher);
            column.hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// The words that exist: none have the addresses of the reserved rows.
fn words(words: &[u64]) -> &[u64] {
    &words[RESERVED_ROWS..]
}

/// Pages that a run touches, and those of its input.
fn wider(trace: &ExecutionTrace) -> Vec<u64> {
    let mut pages = trace.touched_pages();
    let size = trace.input().region_len();
    pages.extend((0..size.div_ceil(PAGE_BYTES)).map(|page| INPUT_BASE / PAGE_BYTES + page));
    pages.sort_unstable();
    pages.dedup();
    pages
}

fn plan(
    trace: &ExecutionTrace,
    pages: &[u64],
    shape: Shape,
    chunk: Option<usize>,
) -> Result<Plan, WitnessError> {
    let run = Run {
        program: trace.program(),
        input: trace.input(),
        environment: trace.environment(),
        pages,
        budget: trace.step_limit(),
        outcome: trace.outcome(),
    };
    Plan::of_run(&run, trace.steps().iter().map(|step| step.pc), shape, chunk)
}

fn earlier(rows: &[Row]) -> Vec<[Option<(u64, u32)>; 2]> {
    // The last value and time of each word, and the last that was different.
    type Past = (u64, u32, Option<(u64, u32)>);
    let mut words: HashMap<i128, Past> = HashMap::new();
    let mut all = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let now = index as u32 + 1;
        let read_only = row[Cell::G1] == 1 && row[Cell::Alias] == 1;
        let accesses = [
            (Cell::AddrX, Cell::X, Cell::X),
            (Cell::AddrY, Cell::Y, Cell::R),
        ];
        let mut found = [None; 2];
        for (place, (address, before, after)) in accesses.into_iter().enumerate() {
            if place == 1 && read_only {
                continue;
            }
            let (before, after) = (row[before] as u64, row[after] as u64);
            let (value, time, different) = words
                .get(&row[address])
                .copied()
                .unwrap_or((before, 0, None));
            found[place] = different;
            let different = if after == value {
                different
            } else {
                Some((value, time))
            };
            words.insert(row[address], (after, now, different));
        }
        all.push(found);
    }
    all
}

/// Accesses in the order of rows: the times of all of them from their addresses.
pub(super) fn settle(witness: &mut ChunkWitness) {
    let mut times = vec![0; witness.last_times.len()];
    for (index, row) in witness.rows.iter_mut().enumerate() {
        let read_only = row[Cell::G1] == 1 && row[Cell::Alias] == 1;
        let accesses = [(Cell::AddrX, Cell::TimeX), (Cell::AddrY, Cell::TimeY)];
        let accesses = &accesses[..if read_only { 1 } else { 2 }];
        let word = |row: &Row, address| usize::try_from(row[address]).ok();
        for (address, time) in accesses {
            if let Some(last) = word(row, *address).and_then(|w| times.get(w)) {
                row[*time] = i128::from(*last);
            }
        }
        for (address, _) in accesses {
            if let Some(last) = word(row, *address).and_then(|w| times.get_mut(w)) {
                *last = index as u32 + 1;
            }
        }
    }
    witness.last_times = times;
}

/// A forgery whose program table holds all that it executes and reads, where that fits.
pub(super) fn forgery(mut witness: ChunkWitness) -> Forgery {
    let executed = |row: &&Row| row.is_active();
    let missing = witness.rows.iter().filter(executed).any(|row| {
        let address = row[Cell::Upc];
        let known = usize::try_from(address).is_ok_and(|a| witness.microcode.op(a).is_some());
        known && witness.table.op_row(address).is_none()
    });
    if missing {
        let mut used = Used::default();
        for row in witness.rows.iter().filter(executed) {
            if let Ok(address) = usize::try_from(row[Cell::Upc])
                && witness.microcode.op(address).is_some()
            {
                used.op(address);
            }
        }
        let mut selection = used.selection();
        if let (Selection::Blocks(blocks), Selection::Blocks(honest)) =
            (&mut selection, witness.table.selection())
        {
            blocks.extend(honest);
            blocks.sort_unstable();
            blocks.dedup();
        }
        if let Ok(table) = ProgramTable::new(&witness.microcode, &selection, witness.shape) {
            witness.table = Arc::new(table);
        }
    }
    Forgery::of(&witness)
}
