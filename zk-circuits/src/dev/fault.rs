//! Runs a chunk again with faults injected, so that everything after a fault is consistent with it.

use super::Failure;
use crate::WitnessError;
use crate::cell::{Cell, Row};
use crate::class::Class;
use crate::instance::{STATUS_HALT, STATUS_RUNNING, STATUS_TRAP};
use crate::machine::{Machine, State};
use crate::microcode::rom;
use crate::plan::slot_out;
use crate::shape::{FRAME_WORDS, SLOT_ROW};
use crate::witness::ChunkWitness;

/// What a fault may change, before a row is executed and after.
#[derive(Debug)]
pub struct Fault<'a> {
    /// Index of the row, from 0.
    pub index: usize,
    /// The row, after it has been executed; before, none.
    pub row: Option<&'a mut Row>,
    /// Row of the program table that comes next.
    pub upc: &'a mut usize,
    /// Slot row of the current instruction.
    pub pc: &'a mut usize,
    /// Six times the call depth.
    pub frame: &'a mut i128,
    /// Instructions begun.
    pub steps: &'a mut u64,
    /// Compute units used.
    pub units: &'a mut u64,
    /// The words of memory.
    pub words: &'a mut [u64],
}

/// Executes a chunk's entry state again. The fault is called before and after every row, and what it
/// leaves in the state is what later rows see; a changed `R` is written to its word. Public values
/// follow from the rows. A run that does not end within the steps of the honest chunk ends there, and where
/// the honest chunk is cut inside a system call, with as many rows or more.
///
/// # Errors
/// If the faulty state leads to a row or a word that does not exist.
pub fn rerun(
    honest: &ChunkWitness,
    mut fault: impl FnMut(Fault<'_>),
) -> Result<ChunkWitness, WitnessError> {
    let mut witness = honest.clone();
    let slot_row = SLOT_ROW + honest.instance.pc_in as usize;
    let state = State {
        upc: slot_row,
        pc: SLOT_ROW + (honest.instance.slot_in as usize).saturating_sub(1),
        frame: i128::from(honest.instance.depth_in) * i128::from(FRAME_WORDS),
        steps: honest.instance.steps_in,
        units: honest.instance.units_in,
        words: honest.entry.clone(),
    };
    let (microcode, pages) = (honest.microcode.clone(), honest.pages.clone());
    let mut machine = Machine::new(&microcode, &pages, honest.instance.input_size, state);
    witness.rows.clear();
    let last_step = honest.instance.steps_out;
    let capacity = honest.shape.step_rows();
    while machine.end.is_none()
        && witness.rows.len() < capacity
        && (machine.state.steps < last_step || !machine.at_instruction())
        && !(witness.rows.len() >= honest.used_rows()
            && machine.state.steps >= last_step
            && machine.state.upc == honest.end.upc)
    {
        let index = witness.rows.len();
        fault(view(index, None, &mut machine.state));
        let mut row = machine.step()?;
        let written = row[Cell::R];
        fault(view(index, Some(&mut row), &mut machine.state));
        if row[Cell::R] != written
            && let (Ok(word), Ok(value)) = (
                usize::try_from(row[Cell::AddrY]),
                u64::try_from(row[Cell::R]),
            )
            && let Some(word) = machine.state.words.get_mut(word)
        {
            *word = value;
        }
        machine.amend(row);
        witness.rows.push(row);
    }
    machine.pad(&mut witness.rows, honest.shape);
    let state = machine.state.clone();
    let instance = &mut witness.instance;
    instance.pc_out = (state.upc as u64).wrapping_sub(SLOT_ROW as u64);
    instance.depth_out = state.frame as u64 / u64::from(FRAME_WORDS);
    instance.steps_out = state.steps;
    instance.units_out = state.units;
    instance.slot_out = slot_out(&witness.rows);
    instance.running_out = machine.end.is_none();
    (instance.status, instance.r0) = (STATUS_RUNNING, 0);
    (instance.trap_kind, instance.trap_pc) = (0, 0);
    if let Some(end) = machine.end {
        if end[Cell::M1] == 1 {
            instance.status = STATUS_TRAP;
            instance.trap_kind = end[Cell::Imm] as u64;
            instance.trap_pc = end[Cell::W] as u64;
        } else {
            instance.status = STATUS_HALT;
            instance.r0 = end[Cell::X] as u64;
        }
    }
    witness.exit.clone_from(&state.words);
    witness.last_times.clone_from(&machine.times);
    witness.end = state;
    Ok(witness)
}

/// The chunk with the high row behind every operation on bytes, also where both operands are below 2^32 and a
/// prover would leave it out ([`crate::Class::Bitwise`]).
///
/// # Errors
/// If it does not fit.
pub fn long_way(honest: &ChunkWitness) -> Result<ChunkWitness, WitnessError> {
    let long = rerun(honest, |fault| {
        let Some(row) = fault.row.filter(|row| row[Cell::C] == 1) else {
            return;
        };
        if Class::from_flags(|cell| row[cell] == 1).is_some_and(Class::has_short_way) {
            row[Cell::C] = 0;
            *fault.upc = rom::BITWISE_HIGH;
        }
    })?;
    let is_whole = long.used_rows() < long.shape.step_rows();
    is_whole.then_some(long).ok_or(WitnessError::Machine {
        row: honest.used_rows(),
        problem: "no room for the high rows",
    })
}

fn view<'a>(index: usize, row: Option<&'a mut Row>, state: &'a mut State) -> Fault<'a> {
    Fault {
        index,
        row,
        upc: &mut state.upc,
        pc: &mut state.pc,
        frame: &mut state.frame,
        steps: &mut state.steps,
        units: &mut state.units,
        words: &mut state.words,
    }
}

/// Whether some failure is of this family and constraint; a bus is family `bus` with its name.
#[must_use]
pub fn names(failures: &[Failure], family: &str, constraint: &str) -> bool {
    failures
        .iter()
        .any(|failure| failure.family == family && failure.constraint == constraint)
}
