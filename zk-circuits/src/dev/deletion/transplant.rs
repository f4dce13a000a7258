//! A second solution of a group of rows, put into a whole chunk.

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use super::script::script;
use crate::WitnessError;
use crate::cell::Cell;
use crate::dev::{Ambiguity, Forgery, Group};
use crate::shape::FIRST_ROW;
use crate::witness::ChunkWitness;

/// The chunk in which a group has another solution, and either everything behind it goes on from there, or the
/// chunk ends behind it; none if nothing can follow it.
#[must_use]
pub fn transplant(
    honest: &ChunkWitness,
    group: &Group,
    found: &Ambiguity,
    goes_on: bool,
) -> Option<Forgery> {
    let start = group.row - FIRST_ROW;
    let changes: Vec<((Cell, usize), Fr)> = group
        .variables
        .iter()
        .copied()
        .zip(found.values.iter().copied())
        .collect();
    let state = |index: usize, cell: Cell| {
        changes
            .iter()
            .find(|(place, _)| *place == (cell, index))
            .map(|(_, value)| *value)
    };
    let forged = script(
        honest,
        |_| {},
        |script| {
            script.until(start)?;
            for index in 0..group.len {
                let cells = changes.iter().filter(|((_, at), _)| *at == index);
                let mut large = Vec::new();
                script.step_with(|row| {
                    for ((cell, _), value) in cells {
                        match integer(*value) {
                            Some(value) => row[*cell] = value,
                            None => large.push((*cell, *value)),
                        }
                    }
                })?;
                for (cell, value) in large {
                    script.set(start + index, cell, value);
                }
                let lost = WitnessError::Machine {
                    row: start + index,
                    problem: "the state is none",
                };
                let (upc, pc, frame, steps, units) = script.state();
                let small = |value: Fr| integer(value).ok_or(lost.clone());
                if let Some(value) = state(index + 1, Cell::Upc) {
                    *upc = usize::try_from(small(value)?).map_err(|_| lost.clone())?;
                }
                if let Some(value) = state(index + 1, Cell::Pc) {
                    *pc = usize::try_from(small(value)?).map_err(|_| lost.clone())?;
                }
                if let Some(value) = state(index + 1, Cell::Frame) {
                    *frame = small(value)?;
                }
                if let Some(value) = state(index + 1, Cell::Count) {
                    let count = small(value)?;
                    *steps = count as u64;
                    *units = u64::try_from(count >> 64).map_err(|_| lost.clone())?;
                }
            }
            if goes_on { script.run() } else { Ok(()) }
        },
    );
    forged.ok()
}

/// The integer that a field element is, if its absolute value is small.
fn integer(value: Fr) -> Option<i128> {
    [(value, 1), (-value, -1)]
        .into_iter()
        .find_map(|(value, sign)| {
            let bytes = value.to_repr();
            let mut low = [0; 16];
            low.copy_from_slice(&bytes[..16]);
            let magnitude = i128::from_le_bytes(low);
            (bytes[16..].iter().all(|b| *b == 0) && magnitude >= 0).then_some(sign * magnitude)
        })
}

impl Group {
    /// The same group without a lookup.
    #[must_use]
    pub fn without_lookup(&self, name: &str) -> Self {
        let mut weaker = self.clone();
        weaker.lookups.retain(|lookup| lookup.name != name);
        weaker
    }

    /// Whether a solution holds field elements that are no small integers.
    #[must_use]
    pub fn is_small(found: &Ambiguity) -> bool {
        found
            .values
            .iter()
            .all(|value| integer(*value).is_some() || value.is_zero().into())
    }
}
