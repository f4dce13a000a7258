//! For any constraint or bus interaction, a witness that breaks it.

use ff::Field;
use halo2curves::bn256::Fr;

use super::poly::Poly;
use super::{Checker, Forgery};
use crate::witness::{ChunkWitness, Matrix};

/// Which constraint, or which interaction, in the checker's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A constraint.
    Constraint(usize),
    /// A bus interaction.
    Interaction(usize),
}

/// A value of a query's cell in a witness that is being changed.
struct Change<'a> {
    matrix: &'a Matrix<'a>,
    at: (usize, usize),
    value: Fr,
}

impl Change<'_> {
    fn evaluate(&self, poly: &Poly, row: usize) -> Fr {
        let mut sum = Fr::ZERO;
        for (mut product, queries) in poly.terms() {
            for (column, rotation) in queries {
                let place = row.wrapping_add_signed(rotation as isize);
                product *= if (column, place) == self.at {
                    self.value
                } else {
                    self.matrix.get(column, row, rotation)
                };
            }
            sum += product;
        }
        sum
    }
}

impl Checker {
    /// Changes one value of an honest witness so that the target is broken, in the row that is returned:
    /// a constraint is not zero, an interaction sends or receives another tuple.
    #[must_use]
    pub fn break_with_one_value(
        &self,
        witness: &ChunkWitness,
        target: Target,
    ) -> Option<(Forgery, usize)> {
        let columns = witness.columns();
        let instance = witness.instance().to_fields();
        let matrix = Matrix::new(&columns, self.fixed(), &instance, self.shape);
        let polys: Vec<&Poly> = match target {
            Target::Constraint(index) => vec![&self.constraints[index].poly],
            Target::Interaction(index) => self.interactions[index].tuple.iter().collect(),
        };
        let mut queries: Vec<_> = polys.iter().flat_map(|poly| poly.queries()).collect();
        queries
            .retain(|(column, _)| *column < Matrix::fixed_index(0) || *column == Matrix::INSTANCE);
        for row in matrix.active_rows() {
            if let Target::Interaction(index) = target
                && self.interactions[index].multiplicity.evaluate(&matrix, row) == Fr::ZERO
            {
                continue;
            }
            for (column, rotation) in &queries {
                let place = row.wrapping_add_signed(*rotation as isize);
                let before = matrix.get(*column, row, *rotation);
                for value in [before + Fr::ONE, before - Fr::ONE, Fr::ONE - before] {
                    let change = Change {
                        matrix: &matrix,
                        at: (*column, place),
                        value,
                    };
                    let broken = polys.iter().any(|poly| {
                        change.evaluate(poly, row)
                            != match target {
                                Target::Constraint(_) => Fr::ZERO,
                                Target::Interaction(_) => poly.evaluate(&matrix, row),
                            }
                    });
                    if broken {
                        let mut forgery = Forgery::of(witness);
                        if *column == Matrix::INSTANCE {
                            let mut words = witness.instance().to_words();
                            *words.get_mut(place)? = super::small_word(value)?;
                            match crate::ChunkInstance::from_words(words) {
                                Some(instance) => forgery.set_instance(&instance),
                                None => forgery.instance[place] = value,
                            }
                        } else {
                            forgery.columns()[*column][place] = value;
                        }
                        return Some((forgery, row));
                    }
                }
            }
        }
        None
    }
}
