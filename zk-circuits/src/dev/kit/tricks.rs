//! What a dishonest prover would try: for each kind of fault, how it is told about a row.

use crate::WitnessError;
use crate::cell::{Cell, Row};
use crate::class::Class;
use crate::dev::kit::execution::{Execution, forgery};
use crate::dev::kit::{FaultKind, class_at};
use crate::dev::{Fault, Forgery, rerun};
use crate::microcode::MicroOp;
use crate::shape::SLOT_ROW;
use crate::witness::ChunkWitness;

mod control;
mod endings;
mod frames;
mod memory;
mod order;
mod public;
mod system_calls;
mod values;

/// One way to lie.
#[derive(Debug)]
pub(super) struct Trick {
    /// What it is about.
    pub(super) kind: FaultKind,
    /// What it claims.
    pub(super) what: &'static str,
    /// Whether there is something to lie about at a row.
    pub(super) applies: fn(&Execution, usize) -> bool,
    /// The witness of the lie about a row; a number decides what the trick leaves open.
    pub(super) tell: fn(&Execution, usize, u64) -> Told,
}

/// A forgery, or why there is none.
pub(super) type Told = Result<Forgery, WitnessError>;

/// Every trick.
pub(super) fn all() -> impl Iterator<Item = &'static Trick> {
    [
        values::TRICKS,
        order::TRICKS,
        control::TRICKS,
        memory::TRICKS,
        frames::TRICKS,
        endings::TRICKS,
        system_calls::TRICKS,
        public::TRICKS,
    ]
    .into_iter()
    .flatten()
}

/// The row that a fault is behind.
///
/// # Panics
/// Before the row.
fn row<'a>(fault: &'a mut Fault<'_>) -> &'a mut Row {
    fault.row.as_deref_mut().expect("after the row")
}

/// Executes again, with a fault behind a row.
fn behind(
    execution: &Execution,
    at: usize,
    fault: impl Fn(&mut Fault<'_>),
) -> Result<ChunkWitness, WitnessError> {
    around(execution, at, |_| {}, fault)
}

/// Executes again, with a fault before a row and one behind it.
fn around(
    execution: &Execution,
    at: usize,
    before: impl Fn(&mut Fault<'_>),
    behind: impl Fn(&mut Fault<'_>),
) -> Result<ChunkWitness, WitnessError> {
    rerun(execution.witness(), |mut fault| {
        if fault.index == at {
            if fault.row.is_none() {
                before(&mut fault);
            } else {
                behind(&mut fault);
            }
        }
    })
}

/// Executes again, with a fault before a row.
fn before(
    execution: &Execution,
    at: usize,
    fault: impl Fn(&mut Fault<'_>),
) -> Result<ChunkWitness, WitnessError> {
    around(execution, at, fault, |_| {})
}

/// Executes again; what comes next after the row before `at` is `upc`.
fn enter(execution: &Execution, at: usize, upc: usize) -> Result<ChunkWitness, WitnessError> {
    before(execution, at, |fault| *fault.upc = upc)
}

/// Executes again; the first operand of a row is read with another value.
fn misread(execution: &Execution, at: usize, value: u64) -> Result<ChunkWitness, WitnessError> {
    let x = word(execution, at, Cell::AddrX);
    let honest = execution.rows()[at][Cell::X] as u64;
    around(
        execution,
        at,
        |fault| fault.words[x] = value,
        |fault| fault.words[x] = honest,
    )
}

fn told(witness: Result<ChunkWitness, WitnessError>) -> Told {
    Ok(forgery(witness?))
}

fn changed(mut witness: ChunkWitness, change: impl FnOnce(&mut ChunkWitness)) -> Forgery {
    change(&mut witness);
    forgery(witness)
}

/// The word of an access.
fn word(execution: &Execution, at: usize, address: Cell) -> usize {
    execution.rows()[at][address] as usize
}

/// The micro-operation that comes after a row.
fn upc(execution: &Execution, at: usize) -> usize {
    execution.rows()[at][Cell::Upc] as usize
}

fn is(execution: &Execution, at: usize, classes: &[Class]) -> bool {
    class_at(execution, at).is_some_and(|class| classes.contains(&class))
}

/// Whether a row is of a group of classes.
fn in_group(execution: &Execution, at: usize, group: Cell) -> bool {
    execution.rows()[at][group] == 1
}

/// Whether the second access of a row is one of memory, which it puts a value into.
fn writes(execution: &Execution, at: usize) -> bool {
    let row = &execution.rows()[at];
    row[Cell::G1] * row[Cell::Alias] == 0
}

/// Whether addresses and operands of a row are those of its micro-operation.
fn is_fetched(execution: &Execution, at: usize) -> bool {
    !in_group(execution, at, Cell::G1) && !in_group(execution, at, Cell::G7)
}

fn op(execution: &Execution, upc: usize) -> Option<&MicroOp> {
    execution.witness().microcode.op(upc)
}

/// A slot of the program other than `not`, as the address of its first micro-operation.
fn other_slot(execution: &Execution, not: usize, seed: u64) -> usize {
    let slots = u64::from(execution.witness().microcode.slots()) + 1;
    let slot = (0..slots)
        .map(|i| SLOT_ROW + ((seed.wrapping_add(i)) % slots) as usize)
        .find(|slot| *slot != not && op(execution, *slot).is_some());
    slot.unwrap_or(not)
}

/// A word other than these that holds something else than the first of them.
fn other_word(words: &[u64], not: &[usize], seed: u64) -> Option<usize> {
    let held = not.first().and_then(|word| words.get(*word));
    let count = words.len() as u64;
    (0..count)
        .map(|i| (seed.wrapping_add(i) % count) as usize)
        .find(|word| !not.contains(word) && words.get(*word) != held)
}
