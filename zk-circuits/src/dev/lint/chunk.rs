//! What only the chunk circuit has: flags that are advice, and buses.

use std::collections::{BTreeMap, BTreeSet};

use ff::Field;
use halo2curves::bn256::Fr;

use crate::Committed;
use crate::bus::Bus;
use crate::cell::{Cell, GROUPS, MEMBERS};
use crate::dev::poly::Poly;
use crate::dev::{Checker, Part, small_word};
use crate::witness::{ChunkWitness, Matrix};

/// Whether the flags and fixed columns that divide a polynomial are not zero on a row.
fn is_enabled(poly: &Poly, matrix: &Matrix<'_>, row: usize) -> bool {
    let is_flag = |column: usize| {
        let cell = column.checked_sub(Committed::COUNT);
        let cell = cell.and_then(|cell| Cell::ALL.get(cell));
        column >= Matrix::fixed_index(0) && column != Matrix::INSTANCE
            || cell.is_some_and(|cell| GROUPS.contains(cell) || MEMBERS.contains(cell))
    };
    let flags = poly.guard().iter().filter(|(column, _)| is_flag(*column));
    flags
        .map(|(column, rotation)| matrix.get(*column, row, *rotation))
        .all(|value| value != Fr::ZERO)
}

impl Checker {
    /// The same circuit without a part.
    #[must_use]
    pub fn without(&self, part: &Part) -> Self {
        let mut weaker = self.clone();
        match part {
            Part::Constraint(family, name) => weaker
                .constraints
                .retain(|c| (c.family, &c.name) != (family, name)),
            Part::Interaction(bus, name) => weaker
                .interactions
                .retain(|i| (i.bus, &i.name) != (*bus, name)),
        }
        weaker
    }

    /// Constraints whose flags, and interactions whose multiplicities, are zero in every row of these witnesses.
    #[must_use]
    pub fn idle(&self, witnesses: &[ChunkWitness]) -> Vec<Part> {
        let mut idle: BTreeSet<Part> = self.parts().into_iter().collect();
        self.on_rows(witnesses, |matrix, row| {
            idle.retain(|part| match part {
                Part::Constraint(family, name) => !self.constraints.iter().any(|c| {
                    (c.family, &c.name) == (family, name) && is_enabled(&c.poly, matrix, row)
                }),
                Part::Interaction(bus, name) => !self.interactions.iter().any(|i| {
                    (i.bus, &i.name) == (*bus, name)
                        && i.multiplicity.evaluate(matrix, row) != Fr::ZERO
                }),
            });
        });
        idle.into_iter().collect()
    }

    /// Buses on which these witnesses only send, or only receive.
    #[must_use]
    pub fn one_sided(&self, witnesses: &[ChunkWitness]) -> Vec<Bus> {
        let mut sides: BTreeMap<Bus, [bool; 2]> = BTreeMap::new();
        self.on_rows(witnesses, |matrix, row| {
            for interaction in &self.interactions {
                let multiplicity = interaction.multiplicity.evaluate(matrix, row);
                let sides = sides.entry(interaction.bus).or_default();
                let some = multiplicity != Fr::ZERO;
                sides[0] |= some && small_word(multiplicity).is_some();
                sides[1] |= some && small_word(-multiplicity).is_some();
            }
        });
        let one_sided = sides.into_iter().filter(|(_, sides)| *sides != [true; 2]);
        one_sided.map(|(bus, _)| bus).collect()
    }

    fn on_rows(&self, witnesses: &[ChunkWitness], mut look: impl FnMut(&Matrix<'_>, usize)) {
        for witness in witnesses {
            let columns = witness.columns();
            let instance = witness.instance().to_fields();
            let matrix = Matrix::new(&columns, self.fixed(), &instance, self.shape);
            for row in matrix.active_rows() {
                look(&matrix, row);
            }
        }
    }
}
