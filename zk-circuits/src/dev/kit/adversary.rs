//! A prover that has another try: what was refused, with more cells changed so that it might pass.
//!
//! *Two cells.* A constraint that refuses the lie is solved for another cell of it: a limb, a carry, a
//! quotient, a flag, an operand. A limb that grows too large is spread over its word. The rows around are
//! evaluated, and where they hold, the whole chunk with everything counted anew.
//!
//! *All hints.* The row group of the lie is solved as a whole: the lie and the state behind it are given,
//! and every limb, table operand, bit and helper is free (see [`Group`]).

use std::collections::{BTreeMap, HashSet};

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use super::execution::forgery as rebuilt;
use super::{Execution, Verdict};
use crate::cell::{Cell, FETCHED_BITS, FREE_BITS, LIMBS};
use crate::class::Class;
use crate::dev::group::{Group, group_at};
use crate::dev::poly::Poly;
use crate::dev::{Checker, Failure, Forgery};
use crate::microcode::rom;
use crate::shape::{FIRST_ROW, Shape};
use crate::witness::Matrix;
use crate::{Committed, ShapeError};

/// Rows around a change that its constraints may look at.
const REACH: usize = 3;
/// Constraints that one lie is repaired for, cell by cell.
const MOST_CONSTRAINTS: usize = 6;
/// Combinations of bits that a search begins with.
const MOST_COMBINATIONS: usize = 64;
/// Assignments that each of them may lead to.
const BUDGET: usize = 48;

/// What a second try led to.
#[derive(Clone, Debug, Default)]
pub struct SecondChance {
    /// Forgeries with one more cell changed, in which a constraint that refused the lie holds.
    pub repaired: usize,
    /// Of these, those that no constraint near the lie refuses: only the rest of the chunk does.
    pub locally_satisfied: usize,
    /// Of these, those that undo the lie, or say the same as the honest chunk.
    pub undone: usize,
    /// Assignments of the lie's row group that the search has looked at.
    pub assignments: usize,
    /// Whether the search satisfied every constraint of the row group.
    pub solved: bool,
    /// What refuses these forgeries: family and constraint, how often.
    pub reasons: BTreeMap<(String, String), usize>,
    /// Forgeries that the circuit accepts.
    pub accepted: Vec<Forgery>,
}

impl SecondChance {
    /// Counts what refuses a forgery, each constraint once.
    fn refused_by(&mut self, failures: Vec<Failure>) {
        let names: HashSet<_> = failures
            .into_iter()
            .map(|f| (f.family, f.constraint))
            .collect();
        for name in names {
            *self.reasons.entry(name).or_default() += 1;
        }
    }
}

/// The adversary of a shape.
#[derive(Clone, Copy, Debug)]
pub struct Adversary {
    /// The constraints without halves of limbs: the same, with fewer cells.
    wide: &'static Checker,
}

impl Adversary {
    /// The adversary.
    ///
    /// # Errors
    /// If there is no wide shape.
    pub fn new() -> Result<Self, ShapeError> {
        let wide = Checker::shared(Shape::new(17, 8)?);
        Ok(Self { wide })
    }

    /// Another try with a forgery that was refused; `row` is where its lie is.
    #[must_use]
    pub fn retry(&self, execution: &Execution, forgery: &Forgery, row: usize) -> SecondChance {
        let mut chance = SecondChance::default();
        // A forgery of columns has no rows that could be counted anew.
        if forgery.columns.is_none() {
            two_cells(execution, forgery, &mut chance);
            self.all_hints(execution, forgery, row, &mut chance);
        }
        chance
    }

    fn all_hints(
        &self,
        execution: &Execution,
        forgery: &Forgery,
        row: usize,
        chance: &mut SecondChance,
    ) {
        let rows = &forgery.witness.rows;
        let Some((start, len)) = bounds(forgery, row).filter(|(s, l)| s + l < rows.len()) else {
            return;
        };
        let group = group_at(&forgery.witness, self.wide, start, len);
        // The lie is in what a row does, not in how it shows it.
        let pinned = (0..group.variables.len())
            .filter(|v| {
                let (cell, index) = group.variables[*v];
                index == len || !is_hint(cell)
            })
            .collect();
        let (solution, assignments) = solve(&group, &pinned);
        chance.assignments += assignments;
        let Some(values) = solution else { return };
        chance.solved = true;
        let mut solved = forgery.witness.clone();
        for (value, (cell, index)) in values.iter().zip(&group.variables) {
            let Some(value) = integer(*value) else { return };
            if *index < len {
                solved.rows[start + index][*cell] = value;
            }
        }
        judge(execution, rebuilt(solved), chance);
    }
}

/// Asks the circuit about another forgery.
fn judge(execution: &Execution, forgery: Forgery, chance: &mut SecondChance) {
    match execution.judge(&forgery) {
        Verdict::Rejected(failures) => chance.refused_by(failures),
        Verdict::Accepted => chance.accepted.push(forgery),
        Verdict::Equivalent | Verdict::Impossible | Verdict::Unchanged => chance.undone += 1,
    }
}

fn two_cells(execution: &Execution, forgery: &Forgery, chance: &mut SecondChance) {
    let witness = &forgery.witness;
    let checker = Checker::shared(witness.shape);
    let mut columns = witness.columns();
    let instance = forgery.instance.clone();
    let broken = {
        let matrix = Matrix::new(&columns, checker.fixed(), &instance, witness.shape);
        let mut broken = Vec::new();
        for row in matrix.active_rows() {
            for (index, constraint) in checker.constraints.iter().enumerate() {
                if constraint.poly.evaluate(&matrix, row) != Fr::ZERO {
                    broken.push((index, row));
                }
            }
        }
        broken
    };
    for (index, row) in broken.into_iter().take(MOST_CONSTRAINTS) {
        let poly = &checker.constraints[index].poly;
        for (column, rotation) in poly.queries() {
            let cell = column
                .checked_sub(Committed::COUNT)
                .and_then(|cell| Cell::ALL.get(cell).copied());
            let Some(cell) = cell.filter(|cell| is_chosen(*cell)) else {
                continue;
            };
            let place = row.wrapping_add_signed(rotation as isize);
            let index = place.checked_sub(FIRST_ROW);
            let Some(index) = index.filter(|i| *i < witness.rows.len()) else {
                continue;
            };
            let value = {
                let matrix = Matrix::new(&columns, checker.fixed(), &instance, witness.shape);
                root(poly, &matrix, row, (column, place))
            };
            let Some(value) = value else { continue };
            let mut changed = witness.clone();
            let small = integer(value);
            if let Some(small) = small {
                changed.rows[index][cell] = small;
                spread(&mut changed.rows[index], cell);
            }
            // The rows around, as they are now.
            let before: Vec<Fr> = Cell::ALL
                .iter()
                .map(|c| columns[Committed::COUNT + *c as usize][place])
                .collect();
            for c in Cell::ALL {
                columns[Committed::COUNT + *c as usize][place] =
                    crate::builder::field(changed.rows[index][*c]);
            }
            if small.is_none() {
                columns[column][place] = value;
            }
            let failures = {
                let matrix = Matrix::new(&columns, checker.fixed(), &instance, witness.shape);
                let active = matrix.active_rows();
                let around = place.saturating_sub(REACH).max(active.start)
                    ..(place + REACH + 1).min(active.end);
                checker.violated(witness, &matrix, around)
            };
            for (c, value) in Cell::ALL.iter().zip(before) {
                columns[Committed::COUNT + *c as usize][place] = value;
            }
            chance.repaired += 1;
            if !failures.is_empty() {
                chance.refused_by(failures);
                continue;
            }
            chance.locally_satisfied += 1;
            let mut other = rebuilt(changed);
            other.instance.clone_from(&instance);
            if small.is_none() {
                other.set_cell(cell, place, value);
            }
            judge(execution, other, chance);
        }
    }
}

/// Whether the witness chooses a cell; the others are fetched.
fn is_chosen(cell: Cell) -> bool {
    !FETCHED_BITS.contains(&cell) && !matches!(cell, Cell::Imm | Cell::Target)
}

/// Whether a cell only helps to show what its row does. Whether a branch is taken is part of that, if the
/// next row is given.
fn is_hint(cell: Cell) -> bool {
    let helps = [Cell::W, Cell::P0, Cell::P1, Cell::P2];
    FREE_BITS.contains(&cell) || LIMBS.contains(&cell) || helps.contains(&cell)
}

/// The value of one cell for which a polynomial is zero, if that is a linear equation.
fn root(poly: &Poly, matrix: &Matrix<'_>, row: usize, at: (usize, usize)) -> Option<Fr> {
    let [mut constant, mut slope] = [Fr::ZERO; 2];
    for (mut product, queries) in poly.terms() {
        let mut degree = 0;
        for (column, rotation) in queries {
            if (column, row.wrapping_add_signed(rotation as isize)) == at {
                degree += 1;
            } else {
                product *= matrix.get(column, row, rotation);
            }
        }
        match degree {
            _ if product == Fr::ZERO => {}
            0 => constant += product,
            1 => slope += product,
            _ => return None,
        }
    }
    let inverse: Option<Fr> = slope.invert().into();
    inverse.map(|inverse| -constant * inverse)
}

/// The small integer that a field element is, if it is one.
fn integer(value: Fr) -> Option<i128> {
    let positive = |value: Fr| {
        let bytes = value.to_repr();
        let mut low = [0; 16];
        low.copy_from_slice(&bytes[..16]);
        let low = i128::from_le_bytes(low);
        (bytes[16..].iter().all(|b| *b == 0) && (0..1 << 120).contains(&low)).then_some(low)
    };
    positive(value).or_else(|| positive(-value).map(|low| -low))
}

/// A limb that has too many bits, over the limbs of its word.
fn spread(row: &mut crate::Row, cell: Cell) {
    let place = LIMBS.iter().position(|limb| *limb == cell);
    let word = match place {
        Some(0..4) => &LIMBS[..4],
        Some(4..8) => &LIMBS[4..8],
        _ => return,
    };
    let value: i128 = word
        .iter()
        .enumerate()
        .map(|(i, limb)| row[*limb] << (16 * i))
        .sum();
    if (0..1 << 64).contains(&value) {
        row.set_limbs(word, value);
    }
}

/// The row group of a row: from the row that is no continuation to the last one that is.
fn bounds(forgery: &Forgery, row: usize) -> Option<(usize, usize)> {
    let rows = &forgery.witness.rows;
    let class = |index: usize| rows.get(index).and_then(crate::dev::class);
    let continues = |index: usize| {
        let shared = (rom::HALT + 1..rom::CALL)
            .contains(&(rows.get(index).map_or(0, |row| row[Cell::Upc]) as usize));
        // The row that ends a run holds limbs for the row before it.
        let before = index.checked_sub(1).and_then(class);
        let holds = matches!(before, Some(Class::Div | Class::Charge));
        class(index).is_some() && (shared || (class(index) == Some(Class::End) && holds))
    };
    let mut start = row;
    while start > 0 && continues(start) {
        start -= 1;
    }
    class(start)?;
    let mut len = 1;
    while continues(start + len) {
        len += 1;
    }
    Some((start, len))
}

/// Values of the free variables of a group that satisfy it, and how many assignments that took.
fn solve(group: &Group, pinned: &HashSet<usize>) -> (Option<Vec<Fr>>, usize) {
    let bits: Vec<usize> = group
        .bits
        .iter()
        .copied()
        .filter(|bit| !pinned.contains(bit))
        .collect();
    let mut combinations: Vec<usize> = (0..1 << bits.len().min(12)).collect();
    combinations.sort_by_key(|combination: &usize| combination.count_ones());
    let mut assignments = 0;
    for combination in combinations.into_iter().take(MOST_COMBINATIONS) {
        let mut values = group.honest.clone();
        let mut touched = pinned.clone();
        for (index, bit) in bits.iter().enumerate() {
            if combination >> index & 1 == 1 {
                values[*bit] = Fr::ONE - values[*bit];
            }
            touched.insert(*bit);
        }
        let mut budget = BUDGET;
        let mut take = |values: &[Fr]| Some(values.to_vec());
        let counted = &mut assignments;
        let found = group.repair(&values, &touched, 8, &mut budget, counted, &mut take);
        if found.is_some() {
            return (found, assignments);
        }
    }
    (None, assignments)
}
