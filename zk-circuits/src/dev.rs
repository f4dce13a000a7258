//! For tests: does a witness satisfy the circuit, and if not, which constraint, where, and why?
//!
//! [`mock`] asks halo2's `MockProver`; [`check`] evaluates the same constraints itself, faster, and
//! reports an unbalanced bus by its tuples instead of by the accumulator's last row. [`Forgery`] changes a
//! witness the way a dishonest prover would: cells at will, multiplicities recomputed to match.

use std::collections::HashMap;
use std::fmt;

use ff::{Field, PrimeField};
use halo2_proofs::dev::{MockProver, VerifyFailure};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::builder::field;
use crate::bus::{Bus, Polynomial};
use crate::cell::{Cell, Row};
use crate::chunk_circuit::{ChunkCircuit, ChunkConfig};
use crate::class::Class;
use crate::shape::{FIRST_ROW, SLOT_ROW};
use crate::tables::fixed_columns;
use crate::witness::{ChunkWitness, Matrix};
use crate::{Committed, Plan, Shape, instance::ChunkInstance};

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

    /// The words at the chunk's entry.
    pub fn entry(&mut self) -> &mut [u64] {
        &mut self.witness.entry
    }

    /// The words at the chunk's exit.
    pub fn exit(&mut self) -> &mut [u64] {
        &mut self.witness.exit
    }

    /// Replaces the public values.
    pub fn set_instance(&mut self, instance: &ChunkInstance) {
        self.instance = instance.to_fields().to_vec();
    }

    /// Writes a committed column's value directly.
    pub fn set_committed(&mut self, column: Committed, row: usize, value: Fr) {
        self.columns()[column as usize][row] = value;
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
        Checker::new(self.witness.shape()).check(&self.witness, &columns, &self.instance)
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
                // "Constraint 3 ('name') in gate 5 ('family')"
                let text = constraint.to_string();
                let quoted: Vec<&str> = text.split('\'').collect();
                let name = quoted.get(1).copied().unwrap_or_default().to_owned();
                let family = quoted
                    .iter()
                    .rev()
                    .nth(1)
                    .copied()
                    .unwrap_or_default()
                    .to_owned();
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

/// Words of memory at a boundary of a plan; boundary `i` lies before chunk `i`.
#[must_use]
pub fn boundary_words(plan: &Plan, boundary: usize) -> &[u64] {
    plan.words(boundary)
}

/// The step, slot and micro-operation of a row.
#[must_use]
pub fn describe(witness: &ChunkWitness, row: usize) -> String {
    let Some(values) = row
        .checked_sub(FIRST_ROW)
        .and_then(|index| witness.rows.get(index))
    else {
        return String::new();
    };
    let class = Class::from_flags(|cell| values[cell] == 1).map_or("padding", Class::name);
    format!(
        "[step {}, pc {}, row {} of the program table, {class}]",
        values[Cell::Steps],
        values[Cell::Pc] - SLOT_ROW as i128,
        values[Cell::Upc],
    )
}

/// A bus and the canonical bytes of a tuple's values.
type Tuple = (Bus, Vec<[u8; 32]>);

/// The constraints of a shape, ready to be evaluated.
#[derive(Debug)]
pub struct Checker {
    shape: Shape,
    fixed: Vec<Vec<Fr>>,
    constraints: Vec<(&'static str, String, Polynomial)>,
    interactions: Vec<(Bus, &'static str, String, Polynomial, Vec<Polynomial>)>,
}

impl Checker {
    /// Compiles the constraints of a shape.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let mut cs = ConstraintSystem::default();
        let config = ChunkConfig::configure(&mut cs, shape);
        let none = |_| Fr::ZERO;
        let constraints = config
            .constraints
            .iter()
            .filter(|c| c.family != "bus")
            .map(|c| (c.family, c.name.clone(), Polynomial::new(&c.poly, &none)))
            .collect();
        let interactions = config
            .bus
            .interactions
            .iter()
            .map(|i| {
                let tuple = i.tuple.iter().map(|e| Polynomial::new(e, &none)).collect();
                (
                    i.bus,
                    i.family,
                    i.name.clone(),
                    Polynomial::new(&i.multiplicity, &none),
                    tuple,
                )
            })
            .collect();
        Self {
            shape,
            fixed: fixed_columns(shape),
            constraints,
            interactions,
        }
    }

    /// Names of all constraints, by family.
    pub fn constraints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.constraints
            .iter()
            .map(|(family, name, _)| (*family, name.as_str()))
    }

    fn check(&self, witness: &ChunkWitness, columns: &[Vec<Fr>], instance: &[Fr]) -> Vec<Failure> {
        let matrix = Matrix::new(columns, &self.fixed, instance, self.shape);
        let mut failures = Vec::new();
        // For each tuple of a bus: the sum of its multiplicities, and who used it first.
        let mut balances: HashMap<Tuple, (Fr, usize, &str)> = HashMap::new();
        for row in matrix.active_rows() {
            for (family, name, poly) in &self.constraints {
                if !bool::from(poly.evaluate(&matrix, row).is_zero()) {
                    failures.push(Failure {
                        family: (*family).into(),
                        constraint: name.clone(),
                        row: Some(row),
                        context: describe(witness, row),
                    });
                }
            }
            for (bus, _, name, multiplicity, tuple) in &self.interactions {
                let multiplicity = multiplicity.evaluate(&matrix, row);
                if bool::from(multiplicity.is_zero()) {
                    continue;
                }
                let values = tuple
                    .iter()
                    .map(|e| e.evaluate(&matrix, row).to_repr())
                    .collect();
                let entry = balances
                    .entry((*bus, values))
                    .or_insert((Fr::ZERO, row, name));
                entry.0 += multiplicity;
            }
        }
        let mut unbalanced: Vec<_> = balances
            .into_iter()
            .filter(|(_, (sum, ..))| !bool::from(sum.is_zero()))
            .collect();
        unbalanced.sort_by_key(|((bus, _), (_, row, _))| (*bus, *row));
        failures.extend(
            unbalanced
                .into_iter()
                .map(|((bus, tuple), (sum, row, name))| Failure {
                    family: "bus".into(),
                    constraint: format!("{bus:?}"),
                    row: Some(row),
                    context: format!(
                        "'{name}' ({}) is off by {} {}",
                        tuple.iter().map(show).collect::<Vec<_>>().join(", "),
                        show(&sum.to_repr()),
                        describe(witness, row)
                    ),
                }),
        );
        failures
    }
}

/// A field element as a signed number where it is small.
fn show(bytes: &[u8; 32]) -> String {
    let value = Option::<Fr>::from(Fr::from_repr(*bytes)).unwrap_or_default();
    for (sign, value) in [("", value), ("-", -value)] {
        let bytes = value.to_repr();
        if bytes[16..].iter().all(|b| *b == 0) {
            let mut low = [0; 16];
            low.copy_from_slice(&bytes[..16]);
            return format!("{sign}{}", u128::from_le_bytes(low));
        }
    }
    format!("{value:?}")
}

/// A small signed integer as a field element.
#[must_use]
pub fn value(integer: i128) -> Fr {
    field(integer)
}
