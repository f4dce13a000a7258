//! The constraints and lookups of the rows of a group, over its cells.

use std::collections::HashMap;

use ff::Field;
use halo2curves::bn256::Fr;

use super::UniquenessError;
use crate::Committed;
use crate::builder::field;
use crate::bus::Bus;
use crate::cell::{Cell, FETCHED_BITS, Row};
use crate::class::Class;
use crate::dev::checker::Checker;
use crate::dev::group::{Local, is_idle};
use crate::dev::poly::{Poly, Query};
use crate::tables::{FixedColumn, kind, lookup_table};
use crate::witness::Matrix;

/// A cell and its row, counted from the group's first; the row behind the group counts as well.
pub(super) type Place = (Cell, i32);

/// Operands: what a row reads, and what the fetch binds. Both solutions have the same.
const OPERANDS: [Cell; 8] = [
    Cell::X,
    Cell::Y,
    Cell::Imm,
    Cell::Target,
    Cell::AddrX,
    Cell::AddrY,
    Cell::TimeX,
    Cell::TimeY,
];

/// The state of the machine before a row.
pub(super) const STATE: [Cell; 4] = [Cell::Upc, Cell::Pc, Cell::Frame, Cell::Count];

/// What the row behind the group says about the state there.
const BEHIND: &str = "the first row of an instruction is its slot";

/// What a lookup asks for.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    /// A value of 16 bits.
    Range(Local),
    /// `z = x & y`, bytes.
    Conjunction([Local; 3]),
    /// One of these rows.
    Rows([Local; 3], Vec<[Fr; 3]>),
}

/// A constraint or a lookup of one row.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub(super) family: &'static str,
    pub(super) name: String,
    pub(super) row: usize,
    pub(super) item: T,
}

/// Everything that the circuit says about the cells of a group.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    pub(super) places: Vec<Place>,
    pub(super) len: usize,
    pub(super) constraints: Vec<Part<Local>>,
    pub(super) lookups: Vec<Part<Lookup>>,
    pub(super) outputs: Vec<usize>,
    pub(super) results: Vec<usize>,
}

/// The flags of a row, the immediate that chooses a table, and the bit that chooses how many rows follow.
pub(super) fn constants(row: &Row) -> Vec<(Cell, i128)> {
    let mut cells: Vec<(Cell, i128)> = FETCHED_BITS.map(|cell| (cell, row[cell])).into();
    if class(row) == Some(Class::ShiftAmount) {
        cells.push((Cell::Imm, row[Cell::Imm]));
    }
    if class(row).is_some_and(Class::has_short_way) {
        cells.push((Cell::C, row[Cell::C]));
    }
    cells
}

pub(super) fn class(row: &Row) -> Option<Class> {
    Class::from_flags(|cell| row[cell] == 1)
}

/// Why a polynomial says nothing about the group.
struct Foreign;

impl Formula {
    /// The formula of these rows; of them only flags and table kinds are read.
    pub(super) fn new(checker: &Checker, rows: &[Row]) -> Result<Self, UniquenessError> {
        let mut reduction = Reduction {
            known: HashMap::new(),
            places: Vec::new(),
        };
        for (index, row) in rows.iter().enumerate() {
            for (cell, value) in constants(row) {
                reduction.known.insert((cell, index as i32), field(value));
            }
        }
        let len = rows.len();
        let mut outputs = Vec::new();
        let mut results = Vec::new();
        for index in 0..=len {
            let row = rows.get(index);
            let at = |cell| (cell, index as i32);
            if let Some(row) = row {
                results.push(reduction.variable(at(Cell::R)));
                if class(row).is_none_or(|class| !is_idle(class)) {
                    outputs.push(reduction.variable(at(Cell::T)));
                }
                if class(row) == Some(Class::End) {
                    outputs.push(reduction.variable(at(Cell::W)));
                }
            }
            if index > 0 {
                outputs.extend(STATE.map(|cell| reduction.variable(at(cell))));
            }
        }
        outputs.extend(&results);
        reduction.variable((Cell::First, len as i32));

        let mut constraints = Vec::new();
        let mut lookups = Vec::new();
        for row in 0..=len {
            for constraint in &checker.constraints {
                if row == len && constraint.name != BEHIND {
                    continue;
                }
                let Ok(item) = reduction.reduce(&constraint.poly, row) else {
                    continue;
                };
                if !item.0.is_empty() {
                    constraints.push(Part {
                        family: constraint.family,
                        name: constraint.name.clone(),
                        row,
                        item,
                    });
                }
            }
            if row == len {
                break;
            }
            for interaction in &checker.interactions {
                let in_table = matches!(interaction.bus, Bus::Table | Bus::Range);
                let Ok(multiplicity) = reduction.reduce(&interaction.multiplicity, row) else {
                    continue;
                };
                if !in_table || multiplicity.0.is_empty() {
                    continue;
                }
                let name = || format!("{}: {}", interaction.family, interaction.name);
                if !multiplicity.variables().is_empty() {
                    return Err(UniquenessError::Unsupported(name()));
                }
                let tuple: Result<Vec<Local>, Foreign> = interaction
                    .tuple
                    .iter()
                    .map(|poly| reduction.reduce(poly, row))
                    .collect();
                let item = tuple.ok().and_then(|tuple| lookup(checker, tuple));
                lookups.push(Part {
                    family: interaction.family,
                    name: interaction.name.clone(),
                    row,
                    item: item.ok_or_else(|| UniquenessError::Unsupported(name()))?,
                });
            }
        }
        Ok(Self {
            places: reduction.places,
            len,
            constraints,
            lookups,
            outputs,
            results,
        })
    }

    /// Whether both solutions have this variable in common.
    pub(super) fn is_shared(&self, variable: usize) -> bool {
        let (cell, row) = self.places[variable];
        let inside = 0 <= row && row < self.len as i32;
        inside && OPERANDS.contains(&cell) || row == 0 && STATE.contains(&cell)
    }

    /// Family and name of every part.
    pub(super) fn parts(&self) -> Vec<(&'static str, &str)> {
        let constraints = self.constraints.iter().map(|c| (c.family, c.name.as_str()));
        let lookups = self.lookups.iter().map(|l| (l.family, l.name.as_str()));
        let mut parts: Vec<_> = constraints.chain(lookups).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// The same without a part, on all rows.
    pub(super) fn without(&self, family: &str, name: &str) -> Self {
        let mut weaker = self.clone();
        let other = |f: &str, n: &str| (f, n) != (family, name);
        weaker.constraints.retain(|c| other(c.family, &c.name));
        weaker.lookups.retain(|l| other(l.family, &l.name));
        weaker
    }

    /// Only what the rows before this one say of their own cells, and of where this one is.
    pub(super) fn before(&self, row: usize) -> Self {
        let is_before = |v: &usize| {
            let (cell, at) = self.places[*v];
            at < row as i32 || cell == Cell::Upc && at == row as i32
        };
        let mut part = self.clone();
        part.constraints
            .retain(|c| c.row < row && c.item.variables().iter().all(is_before));
        part.lookups.retain(|l| l.row < row);
        part
    }

    /// The variable of a place.
    pub(super) fn variable(&self, place: Place) -> Option<usize> {
        self.places.iter().position(|p| *p == place)
    }

    /// The name of a place in a solution; `apart` if only the first row's operands are common to both solutions.
    pub(super) fn name(&self, place: Place, copy: usize, apart: bool) -> Option<String> {
        let variable = self.variable(place)?;
        let (cell, row) = place;
        let own = !self.is_shared(variable) || apart && row > 0;
        let name = format!("{}.{row}", cell.name()).replace('-', "before");
        Some(if own { format!("{name}.{copy}") } else { name })
    }

    /// The constraints, in which a cell `w` that one of them makes a copy of another cell, or a constant, is that: its
    /// products are then seen to be those of the other.
    pub(super) fn resolved(&self) -> Vec<Part<Local>> {
        let mut constraints = self.constraints.clone();
        for (index, definition) in self.constraints.iter().enumerate() {
            let is_w = |v: &usize| self.places[*v].0 == Cell::W && !self.outputs.contains(v);
            for variable in definition.item.variables().into_iter().filter(is_w) {
                let Some(copied) = definition.item.copied(variable) else {
                    continue;
                };
                let others = constraints.iter_mut().enumerate();
                for (_, other) in others.filter(|(at, _)| *at != index) {
                    other.item = other.item.with(variable, &copied);
                }
            }
        }
        constraints
    }

    /// Whether these values satisfy everything.
    pub(super) fn holds(&self, values: &[Fr]) -> bool {
        let holds = |lookup: &Lookup| match lookup {
            Lookup::Range(local) => below(local.evaluate(values), 1 << 16).is_some(),
            Lookup::Conjunction(locals) => {
                let [x, y, z] = locals.each_ref().map(|l| below(l.evaluate(values), 256));
                x.zip(y).zip(z).is_some_and(|((x, y), z)| x & y == z)
            }
            Lookup::Rows(locals, rows) => {
                rows.contains(&locals.each_ref().map(|l| l.evaluate(values)))
            }
        };
        self.constraints
            .iter()
            .all(|c| c.item.evaluate(values) == Fr::ZERO)
            && self.lookups.iter().all(|l| holds(&l.item))
    }
}

fn below(value: Fr, bound: u64) -> Option<u64> {
    crate::dev::small_word(value).filter(|v| *v < bound)
}

/// A lookup of the wide shape; none if its kind is not known.
fn lookup(checker: &Checker, tuple: Vec<Local>) -> Option<Lookup> {
    let [(kind, nothing)] = tuple.first()?.0.as_slice() else {
        return None;
    };
    let kind = nothing.is_empty().then_some(*kind)?;
    let is_conjunction = kind == Fr::from(kind::AND);
    let mut rest = tuple.into_iter().skip(1);
    match (rest.next()?, rest.next(), rest.next()) {
        (value, None, None) if is_conjunction => Some(Lookup::Range(value)),
        (x, Some(y), Some(z)) if is_conjunction => Some(Lookup::Conjunction([x, y, z])),
        (x, Some(y), Some(z)) => {
            let rows: Vec<[Fr; 3]> = lookup_table(checker.shape)
                .into_iter()
                .filter(|row| Fr::from(row.0) == kind)
                .map(|(_, x, y, z)| [x.into(), y.into(), z].map(field))
                .collect();
            (!rows.is_empty()).then_some(Lookup::Rows([x, y, z], rows))
        }
        _ => None,
    }
}

/// Polynomials of rows to polynomials of the group's variables.
struct Reduction {
    known: HashMap<Place, Fr>,
    places: Vec<Place>,
}

impl Reduction {
    fn variable(&mut self, place: Place) -> usize {
        let known = self.places.iter().position(|p| *p == place);
        known.unwrap_or_else(|| {
            self.places.push(place);
            self.places.len() - 1
        })
    }

    /// The polynomial on a row. Rows of the group are neither the first nor the last of the machine: what
    /// the circuit says about these alone is left out. So is what reads columns that are no cells: on the same
    /// rows of the circuit, but about its tables.
    fn reduce(&mut self, poly: &Poly, row: usize) -> Result<Local, Foreign> {
        let fixed = |column: FixedColumn| Matrix::fixed_index(column as usize);
        let active = fixed(FixedColumn::Active);
        let outside = [FixedColumn::First, FixedColumn::Last].map(fixed);
        let mut sums: Vec<(Fr, Vec<Result<Place, Query>>)> = Vec::new();
        for (mut coefficient, queries) in poly.terms() {
            let mut rest = Vec::new();
            for (column, rotation) in queries {
                let cell = column
                    .checked_sub(Committed::COUNT)
                    .and_then(|c| Cell::ALL.get(c));
                if let Some(cell) = cell {
                    let place = (*cell, row as i32 + rotation);
                    match self.known.get(&place) {
                        Some(value) => coefficient *= value,
                        None => rest.push(Ok(place)),
                    }
                } else if outside.contains(&column) {
                    coefficient = Fr::ZERO;
                } else if column != active {
                    rest.push(Err((column, rotation)));
                }
            }
            if coefficient == Fr::ZERO {
                continue;
            }
            rest.sort_unstable();
            match sums.iter_mut().find(|(_, other)| *other == rest) {
                Some((sum, _)) => *sum += coefficient,
                None => sums.push((coefficient, rest)),
            }
        }
        let mut terms = Vec::new();
        for (coefficient, places) in sums.into_iter().filter(|(c, _)| *c != Fr::ZERO) {
            let places: Result<Vec<Place>, Query> = places.into_iter().collect();
            let places = places.map_err(|_| Foreign)?;
            let mut variables: Vec<usize> = places.into_iter().map(|p| self.variable(p)).collect();
            variables.sort_unstable();
            terms.push((coefficient, variables));
        }
        Ok(Local(terms))
    }
}
