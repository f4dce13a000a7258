//! Whether a polynomial compresses by a challenge what was committed after the challenge was known.
//!
//! Cells that are committed later than a challenge may be what is *computed* from it: then they occur linearly, all
//! with one factor that may hold challenges (`h·(α + v)`, `(z' − z − h)·(α + v)`). Cells with different powers of a
//! challenge are compressed by it; if they come later, their values can be chosen to fit. (A recurrence as
//! `r' = β·r + v` looks the same and is reported, too: its `r` is what must be looked at.)

use std::collections::{BTreeSet, HashMap};

use ff::Field;
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

/// Column and rotation of an advice cell.
type Cell = (usize, i32);

/// Numbers that look random and are the same each time.
fn number(seed: u64, kind: u64, index: u64) -> Fr {
    let start = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (kind << 56) ^ (index + 1);
    let mut value = Fr::from(start);
    for _ in 0..5 {
        value = value.square() + Fr::from(0x5bd1_e995);
    }
    value
}

/// Its value, where late cells have the given values and everything else the numbers of two seeds: one for
/// challenges, one for the rest.
fn evaluate(expression: &Expression<Fr>, challenges: u64, late: &HashMap<Cell, Fr>) -> Fr {
    let place = |column: usize, rotation: i32| (column as u64) << 8 | (rotation + 64) as u64;
    expression.evaluate(
        &|constant| constant,
        &|s| number(1, 1, s.index() as u64),
        &|q| number(1, 2, place(q.column_index(), q.rotation().0)),
        &|q| {
            let cell = (q.column_index(), q.rotation().0);
            let early = || number(1, 3, place(cell.0, cell.1));
            late.get(&cell).copied().unwrap_or_else(early)
        },
        &|q| number(1, 4, place(q.column_index(), q.rotation().0)),
        &|c| number(challenges, 5, c.index() as u64),
        &|a: Fr| -a,
        &|a, b| a + b,
        &|a, b| a * b,
        &|a, s| a * s,
    )
}

/// The challenges and the advice cells of an expression.
fn reads(expression: &Expression<Fr>) -> (BTreeSet<u8>, BTreeSet<(usize, i32, u8)>) {
    type Found = (BTreeSet<u8>, BTreeSet<(usize, i32, u8)>);
    let join = |mut a: Found, b: Found| {
        a.0.extend(b.0);
        a.1.extend(b.1);
        a
    };
    let nothing = || (BTreeSet::new(), BTreeSet::new());
    expression.evaluate(
        &|_| nothing(),
        &|_| nothing(),
        &|_| nothing(),
        &|q| {
            let cell = (q.column_index(), q.rotation().0, q.phase());
            (BTreeSet::new(), BTreeSet::from([cell]))
        },
        &|_| nothing(),
        &|c| (BTreeSet::from([c.phase()]), BTreeSet::new()),
        &|a| a,
        &join,
        &join,
        &|a, _| a,
    )
}

/// See above. In a native lookup nothing may come after a challenge.
pub(super) fn is_late(expression: &Expression<Fr>, is_gate: bool) -> bool {
    let (challenges, cells) = reads(expression);
    let Some(first) = challenges.first() else {
        return false;
    };
    let late: Vec<Cell> = cells
        .iter()
        .filter(|(_, _, phase)| phase > first)
        .map(|(column, rotation, _)| (*column, *rotation))
        .collect();
    if late.is_empty() {
        return false;
    }
    if !is_gate {
        return true;
    }
    let at = |challenges, values: &dyn Fn(usize) -> Fr| {
        let values = late.iter().copied().zip((0..late.len()).map(values));
        evaluate(expression, challenges, &values.collect())
    };
    let factors = |challenges| -> Vec<Fr> {
        let rest = at(challenges, &|_| Fr::ZERO);
        (0..late.len())
            .map(|index| at(challenges, &|i| Fr::from(u64::from(i == index))) - rest)
            .collect()
    };
    let [some, others] = [2, 3].map(factors);
    // Linear: the value at any point is the sum of the factors times the values.
    let values: Vec<Fr> = (0..late.len())
        .map(|index| number(7, 6, index as u64))
        .collect();
    let sum = some.iter().zip(&values).map(|(a, b)| *a * b).sum::<Fr>();
    let is_linear = at(2, &|i| values[i]) == at(2, &|_| Fr::ZERO) + sum;
    // One factor: the factors of all cells have the same ratios whatever the challenges are.
    let (a, b) = (some[0], others[0]);
    let same = some.iter().zip(&others).all(|(x, y)| *x * b == *y * a);
    !is_linear || !same
}
