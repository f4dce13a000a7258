//! A group of rows as polynomials in the cells that the adversary may choose.

use std::collections::HashSet;
use std::sync::Arc;

use ff::Field;
use halo2curves::bn256::Fr;

use super::Checker;
use super::poly::{Poly, Query, merged};
use crate::Committed;
use crate::builder::field;
use crate::bus::Bus;
use crate::cell::{Cell, FREE_BITS, LIMBS};
use crate::class::Class;
use crate::program_table::CODE_VIOLATION;
use crate::shape::{FIRST_ROW, INPUT_INTERVAL_ROWS};
use crate::tables::{kind, lookup_table};
use crate::witness::{ChunkWitness, Matrix};

/// A cell of a row of a group; the row is counted from the group's first.
type Place = (Cell, usize);

/// A polynomial in the group's variables.
#[derive(Clone, Debug)]
pub(super) struct Local(pub(super) Vec<(Fr, Vec<usize>)>);

impl Local {
    pub(super) fn evaluate(&self, values: &[Fr]) -> Fr {
        let mut sum = Fr::ZERO;
        for (coefficient, variables) in &self.0 {
            let mut product = *coefficient;
            for variable in variables {
                product *= values[*variable];
            }
            sum += product;
        }
        sum
    }

    pub(super) fn variables(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.0.iter().flat_map(|(_, v)| v).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What a variable is where the polynomial is zero, if that is a constant or a multiple of another one.
    pub(super) fn copied(&self, variable: usize) -> Option<(Fr, Vec<usize>)> {
        let (own, other) = match self.0.as_slice() {
            [own, other] if own.1 == [variable] => (own, other),
            [other, own] if own.1 == [variable] => (own, other),
            _ => return None,
        };
        let inverse = Option::<Fr>::from(own.0.invert())?;
        (other.1.len() <= 1).then(|| (-other.0 * inverse, other.1.clone()))
    }

    /// The polynomial with this in the variable's place.
    pub(super) fn with(&self, variable: usize, copied: &(Fr, Vec<usize>)) -> Self {
        let terms = self.0.iter().map(|(coefficient, variables)| {
            let mut term = (*coefficient, Vec::new());
            for factor in variables {
                if *factor == variable {
                    term.0 *= copied.0;
                    term.1.extend(&copied.1);
                } else {
                    term.1.push(*factor);
                }
            }
            term
        });
        Self(merged(terms))
    }

    /// The values of a variable for which the polynomial is `target`.
    pub(super) fn roots(&self, values: &[Fr], variable: usize, target: Fr) -> Vec<Fr> {
        let mut coefficients = [-target, Fr::ZERO, Fr::ZERO];
        for (coefficient, variables) in &self.0 {
            let mut product = *coefficient;
            let mut degree = 0;
            for other in variables {
                if *other == variable {
                    degree += 1;
                } else {
                    product *= values[*other];
                }
            }
            match coefficients.get_mut(degree) {
                Some(sum) => *sum += product,
                None => return Vec::new(),
            }
        }
        let [c, b, a] = coefficients;
        if a == Fr::ZERO {
            return Option::from(b.invert())
                .map(|inverse: Fr| -c * inverse)
                .into_iter()
                .collect();
        }
        let half: Fr = Option::from((a + a).invert()).unwrap_or_default();
        let root: Option<Fr> = (b * b - Fr::from(4) * a * c).sqrt().into();
        root.map(|root| [(root - b) * half, (-root - b) * half])
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A lookup of the group.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) bus: Bus,
    pub(super) name: String,
    pub(super) multiplicity: Local,
    pub(super) tuple: Vec<Local>,
}

/// What lookups of a group may find, conjunctions and ranges aside.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) rows: HashSet<[Fr; 4]>,
    pub(super) intervals: Vec<[Fr; 4]>,
}

/// A group of rows, ready for the search.
#[derive(Clone, Debug)]
pub struct Group {
    /// The class of its first row.
    pub class: Class,
    /// The first row's index.
    pub row: usize,
    /// Number of rows.
    pub len: usize,
    pub(super) variables: Vec<Place>,
    pub(super) honest: Vec<Fr>,
    pub(super) constraints: Vec<(&'static str, String, Local)>,
    pub(super) lookups: Vec<Lookup>,
    /// Limbs 0 to 3 and 4 to 7 of each row.
    pub(super) words: Vec<[usize; 4]>,
    pub(super) bits: Vec<usize>,
    pub(super) outputs: Vec<usize>,
    /// The bit that chooses how many rows follow, and where the rows behind the first then are: no outputs, if the
    /// choice is another one.
    pub(super) choice: Option<(usize, Vec<usize>)>,
    /// In how many constraints each variable occurs: what is changed least elsewhere is tried first.
    pub(super) weight: Vec<usize>,
    pub(super) tables: Arc<Tables>,
    /// Whether any solution is looked for, or only those with other outputs.
    pub(super) any: bool,
}

/// Whether rows of this class belong to a row before.
const fn continues(class: Class) -> bool {
    matches!(
        class,
        Class::Word
            | Class::WordLow
            | Class::WordHigh
            | Class::WordRange
            | Class::BitwiseHigh
            | Class::Limbs
            | Class::DivSignedEnd
            | Class::Fault
    )
}

/// The bit `T` of these is not read by anything: it is free, and harmless.
pub(super) const fn is_idle(class: Class) -> bool {
    matches!(
        class,
        Class::Exit | Class::End | Class::DivSignedEnd | Class::WordRange
    )
}

/// Cells that a row's witness chooses.
const FREE: [Cell; 18] = [
    Cell::R,
    Cell::T,
    Cell::C,
    Cell::D,
    Cell::S,
    Cell::W,
    Cell::L0,
    Cell::L1,
    Cell::L2,
    Cell::L3,
    Cell::L4,
    Cell::L5,
    Cell::L6,
    Cell::L7,
    Cell::L8,
    Cell::P0,
    Cell::P1,
    Cell::P2,
];

const STATE: [Cell; 4] = [Cell::Upc, Cell::Pc, Cell::Frame, Cell::Count];

/// The groups of a witness.
#[must_use]
pub fn groups(witness: &ChunkWitness, wide: &Checker) -> Vec<Group> {
    let columns = witness.columns();
    let tables = tables(witness);
    spans(witness)
        .into_iter()
        .map(|(class, start, len)| Group::new(witness, wide, &columns, &tables, class, start, len))
        .collect()
}

/// Class of the first row, its index, and the number of rows of every group.
pub(super) fn spans(witness: &ChunkWitness) -> Vec<(Class, usize, usize)> {
    let rows = &witness.rows;
    let class = |index: usize| {
        rows.get(index)
            .and_then(|row| Class::from_flags(|cell| row[cell] == 1))
    };
    let mut spans = Vec::new();
    let mut start = 0;
    while let Some(first) = class(start) {
        let mut len = 1;
        // The second row of a signed division is a move that no instruction begins.
        let copies = |class| matches!(class, Class::CopyFirst | Class::CopyNext);
        while let Some(next) = class(start + len).filter(|_| !copies(first)) {
            // The row that ends a run holds limbs for the row before it.
            let before = class(start + len - 1);
            let has_limbs = matches!(before, Some(Class::Fault | Class::Div | Class::Charge));
            let ends = next == Class::End && has_limbs;
            if !(continues(next) || ends || (first == Class::DivSigned && len == 1)) {
                break;
            }
            len += 1;
        }
        spans.push((first, start, len));
        start += len;
    }
    spans
}

/// The group of `len` rows from the row of this index, whatever they are.
///
/// # Panics
/// If the row executes nothing.
#[must_use]
pub fn group_at(witness: &ChunkWitness, wide: &Checker, index: usize, len: usize) -> Group {
    let row = &witness.rows[index];
    let class = Class::from_flags(|cell| row[cell] == 1).expect("an active row");
    let columns = witness.columns();
    Group::new(witness, wide, &columns, &tables(witness), class, index, len)
}

/// Rows of the lookup table that are no conjunctions, of the page list, and of the program table.
fn tables(witness: &ChunkWitness) -> Arc<Tables> {
    let mut set = HashSet::new();
    let mut intervals = Vec::new();
    for (kind, x, y, z) in lookup_table(witness.shape) {
        if kind != kind::AND {
            set.insert([kind.into(), x.into(), y.into(), z].map(field));
        }
    }
    for (dense, page) in witness.pages.entries() {
        set.insert([kind::PAGE.into(), dense.into(), page.into(), 0].map(field));
    }
    for row in FIRST_ROW..witness.shape.end_row() {
        let table = witness.table.rows().get(row).copied().unwrap_or_default();
        let size = i128::from(witness.instance.input_size);
        let [region, same, gap] = INPUT_INTERVAL_ROWS.map(|at| if at == row { size } else { 0 });
        let tuple = [table.code, table.imm + gap, table.target + region + same, 0].map(field);
        set.insert(tuple);
        if (CODE_VIOLATION..0).contains(&table.code) {
            intervals.push(tuple);
        }
    }
    Arc::new(Tables {
        rows: set,
        intervals,
    })
}

impl Group {
    fn new(
        witness: &ChunkWitness,
        checker: &Checker,
        columns: &[Vec<Fr>],
        tables: &Arc<Tables>,
        class: Class,
        start: usize,
        len: usize,
    ) -> Self {
        let rows = &witness.rows[start..];
        let mut variables: Vec<Place> = Vec::new();
        for (index, row) in rows.iter().take(len).enumerate() {
            variables.extend(FREE.map(|cell| (cell, index)));
            if row[Cell::G1] == 1 {
                variables.push((Cell::B, index));
                // The address of a read-only word is not read by anything.
                let searched = if row[Cell::Alias] == 1 {
                    Cell::Y
                } else {
                    Cell::AddrY
                };
                variables.push((searched, index));
            }
            if row[Cell::G7] == 1 {
                variables.extend([Cell::B, Cell::AddrX, Cell::AddrY].map(|cell| (cell, index)));
            }
            if index > 0 {
                variables.push((Cell::Upc, index));
                if class == Class::Charge {
                    variables.push((Cell::Count, index));
                }
            }
        }
        // A row that begins an instruction has its own slot, whatever was before it.
        let begins = rows.get(len).is_none_or(|row| row[Cell::First] == 1);
        let state = STATE
            .into_iter()
            .filter(|cell| !(begins && *cell == Cell::Pc));
        variables.extend(state.map(|cell| (cell, len)));
        let column = |cell: Cell| Committed::COUNT + cell as usize;
        let value = |cell: Cell, index: usize| columns[column(cell)][FIRST_ROW + start + index];
        let honest: Vec<Fr> = variables
            .iter()
            .map(|(cell, index)| value(*cell, *index))
            .collect();

        let place = |cell, index| variables.iter().position(|v| *v == (cell, index));
        let reduce = |poly: &Poly, index: usize| {
            let query = |(column, rotation): Query| -> Result<usize, Fr> {
                let active = Matrix::fixed_index(crate::tables::FixedColumn::Active as usize);
                if column == active {
                    return Err(Fr::ONE);
                }
                let Some(cell) = column
                    .checked_sub(Committed::COUNT)
                    .and_then(|c| Cell::ALL.get(c))
                else {
                    return Err(Fr::ZERO);
                };
                let row = index as i32 + rotation;
                let known = usize::try_from(row).ok().and_then(|row| place(*cell, row));
                known.ok_or_else(|| {
                    let row = (FIRST_ROW + start) as i32 + row;
                    columns[column][row as usize]
                })
            };
            let mut terms: Vec<(Fr, Vec<usize>)> = Vec::new();
            for (mut coefficient, queries) in poly.terms() {
                let mut rest = Vec::new();
                for place in queries {
                    match query(place) {
                        Ok(variable) => rest.push(variable),
                        Err(value) => coefficient *= value,
                    }
                }
                rest.sort_unstable();
                match terms.iter_mut().find(|(_, v)| *v == rest) {
                    Some((sum, _)) => *sum += coefficient,
                    None => terms.push((coefficient, rest)),
                }
            }
            terms.retain(|(c, _)| *c != Fr::ZERO);
            Local(terms)
        };

        let mut constraints = Vec::new();
        let mut lookups = Vec::new();
        for index in 0..len {
            for constraint in &checker.constraints {
                let local = reduce(&constraint.poly, index);
                if !local.0.is_empty() {
                    constraints.push((constraint.family, constraint.name.clone(), local));
                }
            }
            for interaction in &checker.interactions {
                let searched = matches!(interaction.bus, Bus::Program | Bus::Table | Bus::Range);
                if !searched || interaction.name.ends_with("is read") {
                    continue;
                }
                let multiplicity = reduce(&interaction.multiplicity, index);
                if !multiplicity.0.is_empty() {
                    lookups.push(Lookup {
                        bus: interaction.bus,
                        name: interaction.name.clone(),
                        multiplicity,
                        tuple: interaction
                            .tuple
                            .iter()
                            .map(|poly| reduce(poly, index))
                            .collect(),
                    });
                }
            }
        }
        let mut weight = vec![0; variables.len()];
        for (_, _, local) in &constraints {
            let together = local.variables();
            for variable in together.iter().filter(|_| together.len() > 1) {
                weight[*variable] += 1;
            }
        }
        for lookup in lookups.iter().filter(|lookup| lookup.bus != Bus::Range) {
            let polys = lookup.tuple.iter().chain([&lookup.multiplicity]);
            for variable in polys.flat_map(Local::variables) {
                weight[variable] += 1;
            }
        }
        // A bit that nothing reads may be anything.
        constraints.retain(|(_, name, local): &(_, String, Local)| {
            !name.ends_with("is a bit") || local.variables().iter().any(|v| weight[*v] > 0)
        });
        let words = (0..len)
            .filter(|index| rows[*index][Cell::G2] == 0)
            .flat_map(|index| {
                [0, 4].map(|first| {
                    [0, 1, 2, 3].map(|i| place(LIMBS[first + i], index).expect("a variable"))
                })
            })
            .collect();
        let bits = (0..variables.len())
            .filter(|v| FREE_BITS.contains(&variables[*v].0) && weight[*v] > 0)
            .collect();
        let idle =
            |index: usize| Class::from_flags(|cell| rows[index][cell] == 1).is_some_and(is_idle);
        let outputs = (0..variables.len())
            .filter(|v| {
                let (cell, index) = variables[*v];
                let row = &rows[index];
                // Whether a range is permitted, or a copy goes on, shows in the rows behind.
                let goes_on = matches!(class, Class::Span | Class::CopyFirst | Class::CopyNext);
                if goes_on && matches!(cell, Cell::T | Cell::Upc) {
                    return false;
                }
                index == len
                    || match cell {
                        Cell::T => !idle(index),
                        // A read-only word is not written back.
                        Cell::R => row[Cell::G1] * row[Cell::Alias] == 0,
                        Cell::W => class == Class::End || row[Cell::G7] == 1,
                        Cell::B => row[Cell::G7] == 1,
                        Cell::Upc | Cell::AddrX | Cell::AddrY | Cell::Y => true,
                        _ => false,
                    }
            })
            .collect();
        let choice = class.has_short_way().then(|| {
            let bit = place(Cell::C, 0).expect("a variable");
            let upc = (0..variables.len()).filter(|v| variables[*v].0 == Cell::Upc);
            (bit, upc.collect())
        });
        Self {
            class,
            row: FIRST_ROW + start,
            len,
            variables,
            honest,
            constraints,
            lookups,
            words,
            bits,
            outputs,
            choice,
            weight,
            tables: Arc::clone(tables),
            any: false,
        }
    }

    /// What tells groups of different kinds apart: class, modifiers, aliasing and the honest bits.
    #[must_use]
    pub fn kind(&self, witness: &ChunkWitness) -> String {
        let rows = &witness.rows[self.row - FIRST_ROW..][..self.len];
        let mut kind = format!("{:?}", self.class);
        for row in rows {
            let class = Class::from_flags(|cell| row[cell] == 1).map_or("", Class::name);
            let bits = [
                Cell::M1,
                Cell::M2,
                Cell::M3,
                Cell::Alias,
                Cell::T,
                Cell::C,
                Cell::D,
                Cell::S,
            ]
            .map(|cell| row[cell].to_string())
            .concat();
            kind += &format!(" {class} {bits}");
        }
        kind
    }

    /// Family and name of the constraints in play.
    pub fn constraints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.constraints
            .iter()
            .map(|(family, name, _)| (*family, name.as_str()))
    }

    /// The lookups in play.
    pub fn lookups(&self) -> impl Iterator<Item = &str> {
        self.lookups.iter().map(|lookup| lookup.name.as_str())
    }

    /// The same group without a constraint.
    #[must_use]
    pub fn without(&self, family: &str, name: &str) -> Self {
        let mut weaker = self.clone();
        weaker
            .constraints
            .retain(|(f, n, _)| (*f, n.as_str()) != (family, name));
        weaker
    }

    /// Whether the honest values satisfy everything.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.violation(&self.honest, &HashSet::new()).is_none()
    }
}
