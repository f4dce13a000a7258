//! For tests: does a witness satisfy the circuit, and if not, which constraint, where, and why?
//!
//! [`mock`] asks halo2's `MockProver`; [`check`] evaluates the same constraints itself, faster, and
//! reports an unbalanced bus by its tuples instead of by the accumulator's last row. [`Forgery`] changes a
//! witness the way a dishonest prover would: cells at will, multiplicities recomputed to match.

use std::fmt;

use ff::PrimeField;
use halo2_proofs::dev::{MockProver, VerifyFailure};
use halo2curves::bn256::Fr;

use crate::builder::field;
use crate::cell::{Cell, Row};
use crate::chunk_circuit::ChunkCircuit;
use crate::class::Class;
use crate::shape::{FIRST_ROW, SLOT_ROW};
use crate::tables::Auxiliary;
use crate::witness::ChunkWitness;
use crate::{Committed, Plan, instance::ChunkInstance};

mod checker;
mod cost;
mod deletion;
mod determinism;
mod fault;
mod group;
pub mod kit;
mod lint;
mod operations;
mod poly;
mod search;
mod tampered;
pub mod uniqueness;

pub use checker::Checker;
pub use cost::{Cost, constraint_system, cost};
pub use deletion::{
    Argument, Beginning, Part, Refusals, Rest, Script, from_row, script, transplant,
};
pub use determinism::{Ambiguity, Effort};
pub use fault::{Fault, long_way, names, rerun};
pub use group::{Group, group_at, groups};
pub use lint::{Finding, lint, statics};
pub use operations::{Operations, operations};
pub use search::Target;
pub use tampered::{Alteration, Tamper, Tampered, TamperingPlanner};

/// A constraint that a witness does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The family that states it.
    pub family: String,
    /// Its name, or the bus that is not balanced.
    pub constraint: String,
    /// Row of the circuit, where one row is to blame.
    pub row: Option<usize>,
    /// The step that the row belongs to, its slot, and the values that matter.
    pub context: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.family, self.constraint)?;
        if let Some(row) = self.row {
            write!(f, " (row {row})")?;
        }
        write!(f, " {}", self.context)
    }
}

/// A chunk's columns, to be changed and checked.
#[derive(Clone, Debug)]
pub struct Forgery {
    witness: ChunkWitness,
    columns: Option<Vec<Vec<Fr>>>,
    instance: Vec<Fr>,
}

impl Forgery {
    /// Starts from an honest witness.
    #[must_use]
    pub fn of(witness: &ChunkWitness) -> Self {
        let instance = witness.instance().to_fields().to_vec();
        Self {
            witness: witness.clone(),
            columns: None,
            instance,
        }
    }

    /// The rows; multiplicities, ranges and times are counted from them afterwards.
    pub fn rows(&mut self) -> &mut [Row] {
        &mut self.witness.rows
    }

    /// The witness with its changed rows.
    #[must_use]
    pub fn witness(&self) -> &ChunkWitness {
        &self.witness
    }

    /// The words at the chunk's entry.
    pub fn entry(&mut self) -> &mut [u64] {
        &mut self.witness.entry
    }

    /// The words at the chunk's exit.
    pub fn exit(&mut self) -> &mut [u64] {
        &mut self.witness.exit
    }

    /// Replaces the public values; the bus is computed from these, too.
    pub fn set_instance(&mut self, instance: &ChunkInstance) {
        self.witness.instance = *instance;
        self.instance = instance.to_fields().to_vec();
    }

    /// Writes a committed column's value directly.
    pub fn set_committed(&mut self, column: Committed, row: usize, value: Fr) {
        self.columns()[column as usize][row] = value;
    }

    /// A committed column's value.
    pub fn committed(&mut self, column: Committed, row: usize) -> Fr {
        self.columns()[column as usize][row]
    }

    /// Writes a cell's value directly, any field element, after everything has been counted.
    pub fn set_cell(&mut self, cell: Cell, row: usize, value: Fr) {
        self.columns()[Committed::COUNT + cell as usize][row] = value;
    }

    /// A cell's value.
    #[must_use]
    pub fn cell(&mut self, cell: Cell, row: usize) -> Fr {
        self.columns()[Committed::COUNT + cell as usize][row]
    }

    /// Writes a multiplicity or last time directly: column 0 to 4 of the auxiliary ones.
    pub fn set_auxiliary(&mut self, column: usize, row: usize, value: Fr) {
        self.columns()[Committed::COUNT + Cell::COUNT + column][row] = value;
    }

    /// Writes the low half of a limb (0 to 8) or of a table operand (9 to 11) directly; narrow shapes only.
    pub fn set_half(&mut self, half: usize, row: usize, value: Fr) {
        self.columns()[Committed::COUNT + Cell::COUNT + Auxiliary::COUNT + half][row] = value;
    }

    /// Writes a public value directly.
    pub fn set_public(&mut self, place: usize, value: Fr) {
        self.instance[place] = value;
    }

    fn columns(&mut self) -> &mut Vec<Vec<Fr>> {
        let witness = &self.witness;
        self.columns.get_or_insert_with(|| witness.columns())
    }

    /// The circuit with the forged columns.
    #[must_use]
    pub fn circuit(&self) -> ChunkCircuit {
        let columns = self
            .columns
            .clone()
            .unwrap_or_else(|| self.witness.columns());
        ChunkCircuit::with_columns(&self.witness, columns)
    }

    /// The forged public values.
    #[must_use]
    pub fn instance(&self) -> &[Fr] {
        &self.instance
    }

    /// Every failure, by own evaluation.
    #[must_use]
    pub fn check(&self) -> Vec<Failure> {
        let columns = self
            .columns
            .clone()
            .unwrap_or_else(|| self.witness.columns());
        Checker::shared(self.witness.shape()).check(&self.witness, &columns, &self.instance)
    }

    /// Every failure, by `MockProver`.
    #[must_use]
    pub fn mock(&self) -> Vec<Failure> {
        run_mock(&self.witness, &self.circuit(), &self.instance)
    }
}

/// Whether an honest witness satisfies the circuit, by own evaluation.
#[must_use]
pub fn check(witness: &ChunkWitness) -> Vec<Failure> {
    Forgery::of(witness).check()
}

/// Whether a witness satisfies the circuit, by `MockProver`.
#[must_use]
pub fn mock(witness: &ChunkWitness) -> Vec<Failure> {
    Forgery::of(witness).mock()
}

fn run_mock(witness: &ChunkWitness, circuit: &ChunkCircuit, instance: &[Fr]) -> Vec<Failure> {
    let k = witness.shape().k();
    let prover = match MockProver::run(k, circuit, vec![instance.to_vec()]) {
        Ok(prover) => prover,
        Err(error) => {
            return vec![Failure {
                family: "synthesis".into(),
                constraint: error.to_string(),
                row: None,
                context: String::new(),
            }];
        }
    };
    let Err(failures) = prover.verify() else {
        return Vec::new();
    };
    failures
        .into_iter()
        .map(|failure| match &failure {
            VerifyFailure::ConstraintNotSatisfied {
                constraint,
                location,
                ..
            } => {
                // "Constraint 3 ('name') in gate 5 ('family')"; names may have apostrophes.
                let text = constraint.to_string();
                let (name, family) = text.split_once("') in gate ").unwrap_or((&text, ""));
                let quoted = |part: &str| {
                    let start = part.find("('").map_or(0, |at| at + 2);
                    part[start..].trim_end_matches("')").to_owned()
                };
                let (name, family) = (quoted(name), quoted(family));
                let row = location
                    .to_string()
                    .rsplit(|c: char| !c.is_ascii_digit())
                    .find(|part| !part.is_empty())
                    .and_then(|part| part.parse().ok());
                let context = row.map_or_else(String::new, |row| describe(witness, row));
                Failure {
                    family,
                    constraint: name,
                    row,
                    context,
                }
            }
            other => Failure {
                family: "circuit".into(),
                constraint: other.to_string(),
                row: None,
                context: String::new(),
            },
        })
        .collect()
}

/// The limb cells, lowest first.
pub const LIMBS: [Cell; 9] = crate::cell::LIMBS;

/// The fixed columns of a shape, in the order of their declaration.
#[must_use]
pub fn fixed_columns(shape: crate::Shape) -> Vec<Vec<Fr>> {
    crate::tables::fixed_columns(shape)
}

/// The rows of a witness, padding included.
#[must_use]
pub fn rows(witness: &ChunkWitness) -> &[Row] {
    &witness.rows
}

/// The micro-operations of a program.
pub fn micro_ops(microcode: &crate::Microcode) -> impl Iterator<Item = &crate::MicroOp> {
    microcode.ops().iter().flatten()
}

/// The pages that a witness lists because its run touches them.
#[must_use]
pub fn pages(witness: &ChunkWitness) -> &[u64] {
    witness.pages.pages()
}

/// The class that a row executes; none for padding.
#[must_use]
pub fn class(row: &Row) -> Option<Class> {
    Class::from_flags(|cell| row[cell] == 1)
}

/// The values of the flags on rows of a class.
pub fn flags(class: Class) -> impl Iterator<Item = (Cell, bool)> {
    class.flags()
}

/// Words of memory at a boundary of a plan; boundary `i` lies before chunk `i`.
#[must_use]
pub fn boundary_words(plan: &Plan, boundary: usize) -> &[u64] {
    plan.words(boundary)
}

/// The step of a row, its slot and instruction, and the micro-operation.
#[must_use]
pub fn describe(witness: &ChunkWitness, row: usize) -> String {
    let Some(values) = row
        .checked_sub(FIRST_ROW)
        .and_then(|index| witness.rows.get(index))
    else {
        return String::new();
    };
    let class = Class::from_flags(|cell| values[cell] == 1).map_or("padding", Class::name);
    let pc = values[Cell::Pc] - SLOT_ROW as i128;
    let slot = usize::try_from(pc).unwrap_or(usize::MAX);
    format!(
        "[step {}, pc {pc}: {}; row {} of the program table, {class}]",
        values[Cell::Count] as u64,
        witness.microcode().disassembly(slot),
        values[Cell::Upc],
    )
}

/// The step that a row belongs to, counted from 0 over the whole run; of a row outside of the steps, the nearest one.
#[must_use]
pub fn step_of(witness: &ChunkWitness, row: usize) -> u64 {
    let instance = witness.instance();
    let first = instance.steps_in;
    let last = instance.steps_out.saturating_sub(1).max(first);
    let Some(index) = row.checked_sub(FIRST_ROW) else {
        return first;
    };
    let Some(values) = witness.rows.get(index) else {
        return last;
    };
    // Behind an instruction's first row, it has been counted.
    let begun = values[Cell::Count] as u64;
    let step = begun.saturating_sub(u64::from(values[Cell::First] != 1));
    step.clamp(first, last)
}

/// The witness of a chunk, with nothing to hide in its reserved rows.
///
/// # Errors
/// If there is no such chunk.
pub fn witness(plan: &Plan, chunk: usize) -> Result<ChunkWitness, crate::WitnessError> {
    let reserved = [[Fr::zero(); crate::RESERVED_ROWS]; Committed::COUNT];
    plan.witness(chunk, &reserved)
}

/// A field element as a signed number where it is small.
fn show(value: &Fr) -> String {
    for (sign, value) in [("", *value), ("-", -value)] {
        let bytes = value.to_repr();
        if bytes[16..].iter().all(|b| *b == 0) {
            let mut low = [0; 16];
            low.copy_from_slice(&bytes[..16]);
            return format!("{sign}{}", u128::from_le_bytes(low));
        }
    }
    format!("{value:?}")
}

/// The word that a field element is, if it is one.
fn small_word(value: Fr) -> Option<u64> {
    let bytes = value.to_repr();
    let mut low = [0; 8];
    low.copy_from_slice(&bytes[..8]);
    bytes[8..]
        .iter()
        .all(|b| *b == 0)
        .then_some(u64::from_le_bytes(low))
}

/// A small signed integer as a field element.
#[must_use]
pub fn value(integer: i128) -> Fr {
    field(integer)
}
