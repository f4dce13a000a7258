//! How a run is cut into chunks, and what memory holds at every boundary.

use std::sync::Arc;

use bpf_tracer::canonical::TrapKind;
use bpf_tracer::{Environment, Input, Outcome, Program};
use halo2curves::bn256::Fr;

use crate::cell::{Cell, Row};
use crate::cut::{Cutter, Place};
use crate::instance::{ChunkInstance, STATUS_HALT, STATUS_RUNNING, STATUS_TRAP, VERSION};
use crate::machine::{Machine, State};
use crate::microcode::Microcode;
use crate::pages::PageList;
use crate::program_table::ProgramTable;
use crate::shape::{FRAME_WORDS, SLOT_ROW, Shape};
use crate::witness::{ChunkWitness, RESERVED_ROWS, first_words};
use crate::{Committed, Selection, WitnessError};

/// Most compute units that a run may use.
pub const MAX_BUDGET: u64 = 1 << 62;

/// A run: what is executed, and how it ends.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The program.
    pub program: &'a Program,
    /// Its input.
    pub input: &'a Input,
    /// What it can ask of its surroundings.
    pub environment: &'a Environment,
    /// Virtual pages of writable memory that it touches, in order.
    pub pages: &'a [u64],
    /// Most compute units that it may use.
    pub budget: u64,
    /// How it ends.
    pub outcome: Outcome,
}

/// The chunks of a run, and the memory at every boundary.
#[derive(Clone, Debug)]
pub struct Plan {
    shape: Shape,
    microcode: Arc<Microcode>,
    table: Arc<ProgramTable>,
    pages: Arc<PageList>,
    input_size: u64,
    budget: u64,
    outcome: Outcome,
    chunk_size: Option<usize>,
    places: Vec<Place>,
    boundaries: Vec<Boundary>,
    rows_of_slots: Vec<u64>,
}

/// Where one chunk ends and the next begins.
#[derive(Clone, Debug)]
struct Boundary {
    state: State,
    /// Rows of all chunks before.
    rows: usize,
}

impl Plan {
    /// Cuts a trace into chunks of at most `chunk_size` steps, or of as many as fit.
    ///
    /// # Errors
    /// If program or memory do not fit the shape, if the outcome is one that the circuit cannot prove,
    /// or if the trace is not an execution of its program.
    #[cfg(feature = "vm")]
    pub fn new(
        trace: &bpf_tracer::ExecutionTrace,
        shape: Shape,
        chunk_size: Option<usize>,
    ) -> Result<Self, WitnessError> {
        let pages = trace.touched_pages();
        let run = Run {
            program: trace.program(),
            input: trace.input(),
            environment: trace.environment(),
            pages: &pages,
            budget: trace.step_limit(),
            outcome: trace.outcome(),
        };
        let steps = trace.steps().iter().map(|step| step.pc);
        let plan = Self::of_run(&run, steps, shape, chunk_size)?;
        let (expected, found) = (trace.compute_units(), plan.compute_units());
        if expected == found {
            Ok(plan)
        } else {
            Err(WitnessError::UnitsMismatch { expected, found })
        }
    }

    /// As [`Plan::new`], for a run that is known by the slots of its steps.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of_run(
        run: &Run<'_>,
        steps: impl IntoIterator<Item = u32>,
        shape: Shape,
        chunk_size: Option<usize>,
    ) -> Result<Self, WitnessError> {
        if chunk_size == Some(0) {
            return Err(WitnessError::ChunkSize);
        }
        let program = run.program;
        if run.budget > MAX_BUDGET {
            return Err(WitnessError::Budget { budget: run.budget });
        }
        let microcode = Microcode::assemble(program, run.environment);
        let pages = PageList::new(run.pages, shape)?;
        let words = first_words(program, run.input, run.budget, &pages);
        let input_size = run.input.region_len();
        let mut machine = Machine::new(
            &microcode,
            &pages,
            input_size,
            State::initial(&microcode, words),
        );
        let boundary = |machine: &Machine<'_>| Boundary {
            state: machine.state.clone(),
            rows: machine.rows(),
        };
        let mut boundaries = vec![boundary(&machine)];
        let mut rows_of_slots = vec![0; program.instructions().len()];
        let (mut places, mut place_row) = (Vec::new(), 0);
        let mut cutter = Cutter::new(shape, chunk_size);
        let mut begins_chunk = |machine: &Machine<'_>, is_step| {
            let rows = (machine.rows() - place_row) as u32;
            let place = Place { rows, is_step };
            places.push(place);
            place_row = machine.rows();
            cutter.begins_at(place)
        };
        for (index, pc) in steps.into_iter().enumerate() {
            if begins_chunk(&machine, true) {
                boundaries.push(boundary(&machine));
            }
            let found = machine.state.upc as u64;
            let expected = SLOT_ROW as u64 + u64::from(pc);
            if found != expected {
                let step = index as u64;
                let slot = |row: u64| row.wrapping_sub(SLOT_ROW as u64);
                let (expected, found) = (slot(expected), slot(found));
                return Err(WitnessError::TraceMismatch {
                    step,
                    expected,
                    found,
                });
            }
            let rows = machine.rows();
            machine.step()?;
            while machine.end.is_none() && !machine.at_instruction() {
                if machine.may_begin_chunk() && begins_chunk(&machine, false) {
                    boundaries.push(boundary(&machine));
                }
                machine.step()?;
            }
            if let Some(taken) = rows_of_slots.get_mut(pc as usize) {
                *taken += (machine.rows() - rows) as u64;
            }
        }
        if machine.state.steps == 0 {
            return Err(WitnessError::NoSteps);
        }
        let found = outcome_of(&machine);
        if found != Some(run.outcome) {
            return Err(WitnessError::OutcomeMismatch {
                expected: format!("{:?}", run.outcome),
                found: format!("{found:?}"),
            });
        }
        boundaries.push(boundary(&machine));
        let table = ProgramTable::new(&microcode, &machine.used.selection(), shape)?;
        Ok(Self {
            shape,
            microcode: Arc::new(microcode),
            table: Arc::new(table),
            pages: Arc::new(pages),
            input_size,
            budget: run.budget,
            outcome: run.outcome,
            chunk_size,
            places,
            boundaries,
            rows_of_slots,
        })
    }

    /// The same plan on a program table that holds the whole program, so that its commitments do not
    /// depend on the run.
    ///
    /// # Errors
    /// If the program does not fit.
    pub fn with_whole_program(self) -> Result<Self, WitnessError> {
        let table = ProgramTable::new(&self.microcode, &Selection::Whole, self.shape)?;
        Ok(Self {
            table: Arc::new(table),
            ..self
        })
    }

    /// Compute units that the run uses.
    #[must_use]
    pub fn compute_units(&self) -> u64 {
        self.boundaries.last().map_or(0, |last| last.state.units)
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.boundaries.len() - 1
    }

    /// Whether what this plan puts into the program table, and the memory that the run touches, fit another shape.
    ///
    /// # Errors
    /// If they do not.
    pub fn fits(&self, shape: Shape) -> Result<(), WitnessError> {
        PageList::new(self.pages.pages(), shape)?;
        ProgramTable::new(&self.microcode, self.table.selection(), shape)?;
        Ok(())
    }

    /// Number of chunks that the same run is cut into for circuits of another shape.
    ///
    /// # Errors
    /// As [`Plan::fits`].
    pub fn chunk_count_of(&self, shape: Shape) -> Result<usize, WitnessError> {
        self.fits(shape)?;
        let mut cutter = Cutter::new(shape, self.chunk_size);
        let begin = |place: &&Place| cutter.begins_at(**place);
        Ok(1 + self.places.iter().filter(begin).count())
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

    /// The rows that hold the program, or what the run needs of it.
    #[must_use]
    pub fn program_table(&self) -> &ProgramTable {
        &self.table
    }

    /// Words of memory at a boundary.
    #[cfg(feature = "dev")]
    pub(crate) fn words(&self, boundary: usize) -> &[u64] {
        &self.boundaries[boundary].state.words
    }

    /// Steps that begin in a chunk.
    #[must_use]
    pub fn chunk_steps(&self, index: usize) -> u64 {
        self.boundaries[index + 1].state.steps - self.boundaries[index].state.steps
    }

    /// Rows that the steps at each slot take together.
    #[must_use]
    pub fn rows_of_slots(&self) -> &[u64] {
        &self.rows_of_slots
    }

    /// Rows that a chunk's steps take, of those that the circuit has.
    #[must_use]
    pub fn chunk_rows(&self, index: usize) -> usize {
        self.boundaries[index + 1].rows - self.boundaries[index].rows
    }

    /// Bytes that the words at all boundaries take, and where the boundaries could be.
    #[must_use]
    pub fn boundary_bytes(&self) -> usize {
        let words: usize = self.boundaries.iter().map(|b| b.state.words.len()).sum();
        words * size_of::<u64>() + self.places.len() * size_of::<Place>()
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
        let [
            Boundary {
                state: entry,
                rows: from,
            },
            Boundary {
                state: exit,
                rows: to,
            },
        ] = [&self.boundaries[index], &self.boundaries[index + 1]];
        let mut machine =
            Machine::new(&self.microcode, &self.pages, self.input_size, entry.clone());
        let mut rows = Vec::with_capacity(self.shape.machine_rows());
        for _ in *from..*to {
            rows.push(machine.step()?);
        }
        machine.pad(&mut rows, self.shape);
        debug_assert_eq!(machine.state, *exit);
        // A run that reaches its limit is still running behind its last chunk.
        let at_limit = matches!(
            self.outcome,
            Outcome::Trap {
                kind: TrapKind::ExceededMaxInstructions,
                ..
            }
        );
        let running = index + 1 < count || at_limit;
        let slot = |address: usize| (address - SLOT_ROW) as u64;
        let depth = |state: &State| state.frame as u64 / u64::from(FRAME_WORDS);
        let mut instance = ChunkInstance {
            version: VERSION,
            running_in: true,
            running_out: running,
            pc_in: slot(entry.upc),
            pc_out: slot(exit.upc),
            slot_in: if index == 0 { 0 } else { slot(entry.pc + 1) },
            slot_out: slot_out(&rows),
            depth_in: depth(entry),
            depth_out: depth(exit),
            steps_in: entry.steps,
            steps_out: exit.steps,
            units_in: entry.units,
            units_out: exit.units,
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
            table: Arc::clone(&self.table),
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

/// One more than the slot of the instruction that the last row belongs to.
pub(crate) fn slot_out(rows: &[Row]) -> u64 {
    rows.last().map_or(0, |row| {
        (row[Cell::Pc] as u64).wrapping_sub(SLOT_ROW as u64 - 1)
    })
}

/// The outcome that the end row publishes, or that the run stopped at an instruction, at its limit.
fn outcome_of(machine: &Machine<'_>) -> Option<Outcome> {
    let Some(end) = machine.end else {
        let pc = (machine.state.upc - SLOT_ROW) as u32;
        let kind = TrapKind::ExceededMaxInstructions;
        return machine
            .at_instruction()
            .then_some(Outcome::Trap { kind, pc });
    };
    if end[Cell::M1] == 0 {
        return Some(Outcome::Halt {
            r0: end[Cell::X] as u64,
        });
    }
    let kind = TrapKind::from_code(end[Cell::Imm] as u8)?;
    Some(Outcome::Trap {
        kind,
        pc: end[Cell::W] as u32,
    })
}
