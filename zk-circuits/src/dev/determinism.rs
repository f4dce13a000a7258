//! Are the outputs of a row group determined by its operands? A search for a second solution.
//!
//! A group is a row that is not a continuation, and its continuations. Operands, flags, constants and
//! the state before are fixed; every other cell is the adversary's. Whatever it changes, it repairs the
//! violated constraints one after another, by solving them for cells it has not touched yet. It knows
//! that four limbs are a word: a limb that grows too large is spread over its word.

use std::collections::HashSet;

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use super::Checker;
use super::poly::{Poly, Query};
use crate::builder::field;
use crate::bus::Bus;
use crate::cell::{Cell, FREE_BITS, LIMBS};
use crate::class::Class;
use crate::shape::{FIRST_ROW, INPUT_INTERVAL_ROWS};
use crate::tables::{kind, lookup_table};
use crate::witness::{ChunkWitness, Matrix};
use crate::Committed;

/// A cell of a row of a group; the row is counted from the group's first.
pub(crate) type Place = (Cell, usize);

/// A polynomial in the group's variables.
#[derive(Clone, Debug)]
struct Local(Vec<(Fr, Vec<usize>)>);

impl Local {
    fn evaluate(&self, values: &[Fr]) -> Fr {
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

    fn variables(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.0.iter().flat_map(|(_, v)| v).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The values of a variable for which the polynomial is `target`.
    fn roots(&self, values: &[Fr], variable: usize, target: Fr) -> Vec<Fr> {
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
            return Option::from(b.invert()).map(|inverse: Fr| -c * inverse).into_iter().collect();
        }
        let half: Fr = Option::from((a + a).invert()).unwrap_or_default();
        let root: Option<Fr> = (b * b - Fr::from(4) * a * c).sqrt().into();
        root.map(|root| [(root - b) * half, (-root - b) * half]).into_iter().flatten().collect()
    }
}

/// A lookup of the group.
#[derive(Clone, Debug)]
struct Lookup {
    bus: Bus,
    name: String,
    multiplicity: Local,
    tuple: Vec<Local>,
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
    variables: Vec<Place>,
    honest: Vec<Fr>,
    constraints: Vec<(&'static str, String, Local)>,
    lookups: Vec<Lookup>,
    /// Limbs 0 to 3 and 4 to 7 of each row.
    words: Vec<[usize; 4]>,
    bits: Vec<usize>,
    outputs: Vec<usize>,
    /// In how many constraints each variable occurs: what is changed least elsewhere is tried first.
    weight: Vec<usize>,
    tables: HashSet<[Fr; 4]>,
    intervals: Vec<[Fr; 4]>,
    /// Whether any solution is looked for, or only those with other outputs.
    any: bool,
}

/// How far a search went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// Changes that the adversary began with.
    pub starts: usize,
    /// Assignments that it looked at.
    pub assignments: usize,
    /// Other solutions with the same outputs.
    pub equivalent: usize,
}

/// A second solution with other outputs.
#[derive(Clone, Debug)]
pub struct Ambiguity {
    /// What differs from the honest witness, outputs first, with both values.
    pub changes: Vec<((Cell, usize), String, String)>,
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

/// Cells that a row's witness chooses.
const FREE: [Cell; 18] = [
    Cell::R, Cell::T, Cell::C, Cell::D, Cell::S, Cell::W, Cell::L0, Cell::L1, Cell::L2, Cell::L3,
    Cell::L4, Cell::L5, Cell::L6, Cell::L7, Cell::L8, Cell::P0, Cell::P1, Cell::P2,
];

const STATE: [Cell; 4] = [Cell::Upc, Cell::Pc, Cell::Frame, Cell::Steps];

/// The groups of a witness.
#[must_use]
pub fn groups(witness: &ChunkWitness, wide: &Checker) -> Vec<Group> {
    let rows = &witness.rows;
    let class = |index: usize| {
        rows.get(index).and_then(|row| Class::from_flags(|cell| row[cell] == 1))
    };
    let columns = witness.columns();
    let tables = tables(witness);
    let mut groups = Vec::new();
    let mut start = 0;
    while let Some(first) = class(start) {
        let mut len = 1;
        // The second row of a signed division is a move that no instruction begins.
        while class(start + len).is_some_and(continues)
            || (first == Class::DivSigned && len == 1)
        {
            len += 1;
        }
        groups.push(Group::new(witness, wide, &columns, &tables, first, start, len));
        start += len;
    }
    groups
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
fn tables(witness: &ChunkWitness) -> (HashSet<[Fr; 4]>, Vec<[Fr; 4]>) {
    let mut set = HashSet::new();
    let mut intervals = Vec::new();
    for (kind, x, y, z) in lookup_table(witness.shape) {
        if kind != kind::AND {
            set.insert([kind.into(), x.into(), y.into(), z.into()].map(field));
        }
    }
    for (dense, page) in witness.pages.entries() {
        set.insert([kind::PAGE.into(), dense.into(), page.into(), 0].map(field));
    }
    for row in FIRST_ROW..witness.shape.end_row() {
        let table = witness.microcode.table().get(row).copied().unwrap_or_default();
        let size = i128::from(witness.instance.input_size);
        let [region, gap] = INPUT_INTERVAL_ROWS.map(|at| if at == row { size } else { 0 });
        let tuple = [row as i128, table.code, table.imm + gap, table.target + region].map(field);
        set.insert(tuple);
        if table.code >> 100 == 1 {
            intervals.push(tuple);
        }
    }
    (set, intervals)
}

impl Group {
    fn new(
        witness: &ChunkWitness,
        checker: &Checker,
        columns: &[Vec<Fr>],
        (tables, intervals): &(HashSet<[Fr; 4]>, Vec<[Fr; 4]>),
        class: Class,
        start: usize,
        len: usize,
    ) -> Self {
        let rows = &witness.rows[start..];
        let mut variables: Vec<Place> = Vec::new();
        for (index, row) in rows.iter().take(len).enumerate() {
            variables.extend(FREE.map(|cell| (cell, index)));
            if row[Cell::G1] == 1 {
                variables.extend([(Cell::B, index), (Cell::AddrY, index)]);
                if row[Cell::Alias] == 1 {
                    variables.push((Cell::Y, index));
                }
            }
            if index > 0 {
                variables.push((Cell::Upc, index));
            }
        }
        // A row that begins an instruction has its own slot, whatever was before it.
        let begins = rows.get(len).is_none_or(|row| row[Cell::First] == 1);
        let state = STATE.into_iter().filter(|cell| !(begins && *cell == Cell::Pc));
        variables.extend(state.map(|cell| (cell, len)));
        let column = |cell: Cell| Committed::COUNT + cell as usize;
        let value = |cell: Cell, index: usize| columns[column(cell)][FIRST_ROW + start + index];
        let honest: Vec<Fr> = variables.iter().map(|(cell, index)| value(*cell, *index)).collect();

        let place = |cell, index| variables.iter().position(|v| *v == (cell, index));
        let reduce = |poly: &Poly, index: usize| {
            let query = |(column, rotation): Query| -> Result<usize, Fr> {
                let active = Matrix::fixed_index(crate::tables::FixedColumn::Active as usize);
                if column == active {
                    return Err(Fr::ONE);
                }
                let Some(cell) = column.checked_sub(Committed::COUNT).and_then(|c| Cell::ALL.get(c))
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
                        tuple: interaction.tuple.iter().map(|poly| reduce(poly, index)).collect(),
                    });
                }
            }
        }
        let words = (0..len)
            .filter(|index| rows[*index][Cell::G2] == 0)
            .flat_map(|index| {
                [0, 4].map(|first| {
                    [0, 1, 2, 3].map(|i| place(LIMBS[first + i], index).expect("a variable"))
                })
            })
            .collect();
        let mut weight = vec![0; variables.len()];
        for (_, _, local) in &constraints {
            let together = local.variables();
            for variable in together.iter().filter(|_| together.len() > 1) {
                weight[*variable] += 1;
            }
        }
        let bits = (0..variables.len())
            .filter(|v| FREE_BITS.contains(&variables[*v].0) && weight[*v] > 0)
            .collect();
        // The bit `T` of these is not read by anything: it is free, and harmless.
        let idle = |index: usize| {
            matches!(
                Class::from_flags(|cell| rows[index][cell] == 1),
                Some(Class::Exit | Class::End | Class::DivSignedEnd | Class::WordRange)
            )
        };
        let outputs = (0..variables.len())
            .filter(|v| {
                let (cell, index) = variables[*v];
                let row = &rows[index];
                index == len
                    || match cell {
                        Cell::T => !idle(index),
                        // A read-only word is not written back.
                        Cell::R => row[Cell::G1] * row[Cell::Alias] == 0,
                        Cell::W => class == Class::End,
                        Cell::Upc | Cell::AddrY | Cell::Y => true,
                        _ => false,
                    }
            })
            .collect();
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
            weight,
            tables: tables.clone(),
            intervals: intervals.clone(),
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
            let bits = [Cell::M1, Cell::M2, Cell::M3, Cell::Alias, Cell::T, Cell::C, Cell::D, Cell::S]
                .map(|cell| row[cell].to_string())
                .concat();
            kind += &format!(" {class} {bits}");
        }
        kind
    }

    /// Family and name of the constraints in play.
    pub fn constraints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.constraints.iter().map(|(family, name, _)| (*family, name.as_str()))
    }

    /// The lookups in play.
    pub fn lookups(&self) -> impl Iterator<Item = &str> {
        self.lookups.iter().map(|lookup| lookup.name.as_str())
    }

    /// The same group without a constraint.
    #[must_use]
    pub fn without(&self, family: &str, name: &str) -> Self {
        let mut weaker = self.clone();
        weaker.constraints.retain(|(f, n, _)| (*f, n.as_str()) != (family, name));
        weaker
    }

    /// Whether the honest values satisfy everything.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.violation(&self.honest, &HashSet::new()).is_none()
    }

    /// Searches for a second solution with other outputs; `thorough` combines all bits with all changes.
    #[must_use]
    pub fn search(&self, thorough: bool) -> (Option<Ambiguity>, Effort) {
        let mut effort = Effort::default();
        // The bits as any other cell: only their own constraints keep them from other values.
        for bit in &self.bits {
            for change in [Fr::from(2), -Fr::ONE] {
                let mut values = self.honest.clone();
                values[*bit] = change;
                if let Some(found) = self.attempt(values, [*bit].into(), 200, &mut effort) {
                    return (Some(found), effort);
                }
            }
        }
        let combinations = 1_usize << self.bits.len().min(10);
        for combination in 0..combinations {
            let mut values = self.honest.clone();
            let mut touched = HashSet::new();
            for (index, bit) in self.bits.iter().enumerate() {
                if combination >> index & 1 == 1 {
                    values[*bit] = Fr::ONE - values[*bit];
                    touched.insert(*bit);
                }
            }
            let flipped = touched.len();
            touched.extend(&self.bits);
            if let Some(found) = self.attempt(values.clone(), touched.clone(), 400, &mut effort) {
                return (Some(found), effort);
            }
            if flipped > if thorough { 2 } else { 0 } {
                continue;
            }
            for variable in 0..self.variables.len() {
                if self.bits.contains(&variable) {
                    continue;
                }
                let honest = self.honest[variable];
                let power = Fr::from(1 << 16);
                let changes = [
                    honest + Fr::ONE,
                    honest - Fr::ONE,
                    honest + power,
                    -honest,
                    honest + power.square().square(),
                    flip(honest),
                    Fr::from(0x5bd1_e995_u64 ^ variable as u64),
                ];
                let count = if thorough && flipped == 0 { changes.len() } else { 2 };
                for change in changes.into_iter().take(count).filter(|c| *c != honest) {
                    let mut values = values.clone();
                    values[variable] = change;
                    let mut touched = touched.clone();
                    touched.insert(variable);
                    if let Some(found) = self.attempt(values, touched, 60, &mut effort) {
                        return (Some(found), effort);
                    }
                }
            }
        }
        (None, effort)
    }

    /// Looks for any solution in which these cells keep their values: every other one is free.
    #[must_use]
    pub fn solve(&self, pinned: &[Cell]) -> (Option<Ambiguity>, Effort) {
        let mut effort = Effort::default();
        let search = Self {
            any: true,
            ..self.clone()
        };
        let is_pinned = |v: &usize| {
            let (cell, index) = self.variables[*v];
            index == 0 && pinned.contains(&cell)
        };
        let bits: Vec<usize> = self.bits.iter().copied().filter(|b| !is_pinned(b)).collect();
        for combination in 0..1_usize << bits.len() {
            let mut values = self.honest.clone();
            for (index, bit) in bits.iter().enumerate() {
                values[*bit] = field((combination >> index & 1) as i128);
            }
            let mut touched: HashSet<usize> = self.bits.iter().copied().collect();
            touched.extend((0..values.len()).filter(is_pinned));
            if let Some(found) = search.attempt(values, touched, 2000, &mut effort) {
                return (Some(found), effort);
            }
        }
        (None, effort)
    }

    fn attempt(
        &self,
        values: Vec<Fr>,
        touched: HashSet<usize>,
        mut budget: usize,
        effort: &mut Effort,
    ) -> Option<Ambiguity> {
        effort.starts += 1;
        self.repair(values, touched, &mut budget, effort)
    }

    /// Repairs the violated constraint that leaves the fewest choices, in every way, and goes on.
    fn repair(
        &self,
        values: Vec<Fr>,
        touched: HashSet<usize>,
        budget: &mut usize,
        effort: &mut Effort,
    ) -> Option<Ambiguity> {
        effort.assignments += 1;
        let Some(repairs) = self.violation(&values, &touched) else {
            let found = self.differences(&values);
            let found = found.or_else(|| self.any.then(|| Ambiguity { changes: Vec::new() }));
            effort.equivalent += usize::from(found.is_none() && values != self.honest);
            return found;
        };
        for (variable, value) in repairs {
            if *budget == 0 {
                return None;
            }
            *budget -= 1;
            let mut values = values.clone();
            let mut touched = touched.clone();
            values[variable] = value;
            touched.insert(variable);
            if let Some(word) = self.words.iter().find(|word| word.contains(&variable)) {
                spread(&mut values, word);
                touched.extend(word);
            }
            if let Some(found) = self.repair(values, touched, budget, effort) {
                return Some(found);
            }
        }
        None
    }

    /// None if everything holds, otherwise the ways to repair one violation.
    fn violation(&self, values: &[Fr], touched: &HashSet<usize>) -> Option<Vec<(usize, Fr)>> {
        let mut best: Option<(&Local, Vec<usize>)> = None;
        for (_, _, local) in &self.constraints {
            if local.evaluate(values) == Fr::ZERO {
                continue;
            }
            let free: Vec<usize> =
                local.variables().into_iter().filter(|v| !touched.contains(v)).collect();
            if best.as_ref().is_none_or(|(_, other)| free.len() < other.len()) {
                best = Some((local, free));
            }
        }
        if let Some((local, mut free)) = best {
            free.sort_by_key(|v| self.weight[*v]);
            return Some(
                free.into_iter()
                    .flat_map(|v| local.roots(values, v, Fr::ZERO).into_iter().map(move |r| (v, r)))
                    .collect(),
            );
        }
        let broken = self.lookups.iter().find(|lookup| {
            lookup.multiplicity.evaluate(values) != Fr::ZERO && !self.is_in_table(lookup, values)
        })?;
        Some(self.lookup_repairs(broken, values, touched))
    }

    fn tuple(lookup: &Lookup, values: &[Fr]) -> [Fr; 4] {
        let mut tuple = [Fr::ZERO; 4];
        for (value, local) in tuple.iter_mut().zip(&lookup.tuple) {
            *value = local.evaluate(values);
        }
        tuple
    }

    fn is_in_table(&self, lookup: &Lookup, values: &[Fr]) -> bool {
        let tuple = Self::tuple(lookup, values);
        let below = |value: Fr, bound: u128| small(value).filter(|v| *v < bound);
        match lookup.bus {
            Bus::Range => below(tuple[1], 1 << 16).is_some(),
            Bus::Table if tuple[0] == Fr::from(kind::AND) => {
                let [x, y, z] = [1, 2, 3].map(|i| below(tuple[i], 1 << 8));
                x.zip(y).zip(z).is_some_and(|((x, y), z)| x & y == z)
            }
            _ => self.tables.contains(&tuple),
        }
    }

    /// Conjunctions are computed; an interval is any of the program's, solved value by value.
    fn lookup_repairs(
        &self,
        lookup: &Lookup,
        values: &[Fr],
        touched: &HashSet<usize>,
    ) -> Vec<(usize, Fr)> {
        let tuple = Self::tuple(lookup, values);
        let solve = |element: usize, target: Fr| {
            let local = &lookup.tuple[element];
            let free = local.variables().into_iter().filter(|v| !touched.contains(v));
            free.flat_map(|v| local.roots(values, v, target).into_iter().map(move |r| (v, r)))
                .collect::<Vec<_>>()
        };
        match lookup.bus {
            Bus::Table if tuple[0] == Fr::from(kind::AND) => {
                match small(tuple[1]).zip(small(tuple[2])) {
                    Some((x, y)) if x.max(y) < 256 => solve(3, field((x & y) as i128)),
                    _ => Vec::new(),
                }
            }
            Bus::Program => self
                .intervals
                .iter()
                .filter(|row| row[1] == tuple[1])
                .flat_map(|row| {
                    let wrong = (0..4).find(|i| row[*i] != tuple[*i]);
                    wrong.map_or(Vec::new(), |element| solve(element, row[element]))
                })
                .collect(),
            Bus::Table => (1..4)
                .flat_map(|element| {
                    let others = (0..4).filter(|i| *i != element);
                    let fits: Vec<_> = self
                        .tables
                        .iter()
                        .filter(|row| others.clone().all(|i| row[i] == tuple[i]))
                        .collect();
                    fits.into_iter().flat_map(|row| solve(element, row[element])).collect::<Vec<_>>()
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn differences(&self, values: &[Fr]) -> Option<Ambiguity> {
        if !self.outputs.iter().any(|v| values[*v] != self.honest[*v]) {
            return None;
        }
        let mut order = self.outputs.clone();
        order.extend((0..values.len()).filter(|v| !self.outputs.contains(v)));
        let changes = order
            .into_iter()
            .filter(|v| values[*v] != self.honest[*v])
            .map(|v| (self.variables[v], super::show(&self.honest[v]), super::show(&values[v])))
            .collect();
        Some(Ambiguity { changes })
    }
}

/// The integer, if it is below `2^127`.
fn small(value: Fr) -> Option<u128> {
    let bytes = value.to_repr();
    let mut low = [0; 16];
    low.copy_from_slice(&bytes[..16]);
    let low = u128::from_le_bytes(low);
    (bytes[16..].iter().all(|b| *b == 0) && low >> 127 == 0).then_some(low)
}

fn flip(value: Fr) -> Fr {
    small(value).map_or(Fr::ZERO, |v| field((v ^ 0x80) as i128))
}

/// Writes the value of four limbs with limbs of 16 bits, if it is a word.
fn spread(values: &mut [Fr], word: &[usize; 4]) {
    let sum = word.iter().rev().fold(Fr::ZERO, |sum, v| sum * Fr::from(1 << 16) + values[*v]);
    let Some(sum) = small(sum).filter(|sum| *sum < 1 << 64) else {
        return;
    };
    for (index, limb) in word.iter().enumerate() {
        values[*limb] = field((sum >> (16 * index) & 0xffff) as i128);
    }
}
