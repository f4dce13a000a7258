//! Are the outputs of a row group a function of its operands? A proof, for all operands at once.
//!
//! A [`Kind`] of group is a sequence of classes with the flags that the fetch binds. Its formula is what
//! the compiled circuit says about the cells of such rows: every constraint and every lookup, as polynomials.
//! Two solutions of the formula share the operands; an SMT solver shows that they cannot differ in an
//! output, and that every result is a word again, as it must be to be an operand.
//!
//! What is not a row's own constraints is assumed: that flags, constants and addresses are those of the
//! micro-operation at `Upc` (the fetch), that lookups find rows of their tables (the bus), and that operands
//! are words that the memory argument provides. The rows lie inside of a chunk, and are followed by a row,
//! or by padding, in both solutions.

use std::collections::BTreeMap;
use std::fmt;

use halo2curves::bn256::Fr;

use super::Checker;
use super::group::spans;
use crate::builder::field;
use crate::cell::{Cell, Row};
use crate::class::Class;
use crate::microcode::{self, MicroOp};
use crate::shape::FRAME_WORDS;
use crate::witness::ChunkWitness;

mod bounds;
mod formula;
mod search;
mod smt;
mod solver;

use formula::{Formula, Place, class, constants};
use search::{Found, Goal};
use smt::{Writer, assert, lemmas};
use solver::Answer;
pub use solver::{Solver, Z3_VERSION};

/// Seconds for one proof.
const SECONDS: u32 = 60;

/// Seconds for one proof that is expected to fail.
const SHORT: u32 = 2;

/// Samples tried to show that a part is needed.
const TRIED: usize = 6;

/// Samples kept of a kind.
const SAMPLES: usize = 24;

/// The classes whose groups are proved.
pub const CLASSES: [Class; 19] = [
    Class::Add,
    Class::Add32,
    Class::Mul,
    Class::Mul32,
    Class::Shift32,
    Class::ShiftAmount,
    Class::ShiftSigned,
    Class::Mov,
    Class::Extend,
    Class::Div,
    Class::DivSigned,
    Class::Bitwise,
    Class::Bitwise32,
    Class::ByteSwap,
    Class::Equal,
    Class::Less,
    Class::Equal32,
    Class::Less32,
    Class::LessSigned,
];

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UniquenessError {
    /// This machine has no solver and cannot get one.
    #[error("no z3: {0}")]
    Unavailable(String),
    /// A constraint or a lookup has a form that is not translated.
    #[error("not translated: {0}")]
    Unsupported(String),
}

/// What a query shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds for all operands.
    Proved,
    /// The translation, in which a product is not quite a product, has a counterexample.
    Refuted,
    /// The solver does not know.
    Unknown(String),
}

/// Whether a part of the circuit is needed for a kind of group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it the proofs fail, and there is a second solution beside an honest one: checked, over the
    /// field.
    Needed,
    /// Without it the outputs are determined, and words, as well.
    Implied,
    /// Neither was shown.
    Unknown,
}

/// Groups with the same flags in all rows.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The class of the first row.
    pub class: Class,
    rows: Vec<Row>,
    formula: Formula,
    samples: Vec<Vec<Fr>>,
}

/// The kinds of groups in the witnesses, and samples of each.
///
/// # Errors
///
/// If the circuit says something about them that is not translated.
pub fn kinds<'a>(
    witnesses: impl Iterator<Item = &'a ChunkWitness>,
    wide: &Checker,
) -> Result<Vec<Kind>, UniquenessError> {
    let mut kinds: BTreeMap<Vec<Vec<(Cell, i128)>>, Kind> = BTreeMap::new();
    for witness in witnesses {
        for (class, start, len) in spans(witness) {
            if !CLASSES.contains(&class) {
                continue;
            }
            let rows = &witness.rows[start..start + len];
            let key = rows.iter().map(key).collect();
            let kind = match kinds.entry(key) {
                std::collections::btree_map::Entry::Occupied(kind) => kind.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => place.insert(Kind {
                    class,
                    rows: rows.to_vec(),
                    formula: Formula::new(wide, rows)?,
                    samples: Vec::new(),
                }),
            };
            let value = |(cell, row): &(Cell, i32)| {
                let row = start.checked_add_signed(*row as isize);
                let row = row.and_then(|row| witness.rows.get(row));
                row.map_or(0, |row| row[*cell])
            };
            let sample: Vec<Fr> = kind.formula.places.iter().map(value).map(field).collect();
            if kind.samples.len() < SAMPLES && !kind.samples.contains(&sample) {
                kind.samples.push(sample);
            }
        }
    }
    Ok(kinds.into_values().collect())
}

/// What tells rows of different kinds apart. Where addresses come from is the fetch's business.
fn key(row: &Row) -> Vec<(Cell, i128)> {
    let mut cells = constants(row);
    cells.retain(|(cell, _)| !matches!(cell, Cell::FrameX | Cell::FrameY));
    cells
}

/// Whether the kinds of a micro-operation's group are among these, of every choice that it has.
#[must_use]
pub fn covers(kinds: &[Kind], op: &MicroOp) -> bool {
    let mut row = Row::default();
    op.fetch_into(&mut row, 0);
    let has_kind = |row: &Row| kinds.iter().any(|kind| key(&kind.rows[0]) == key(row));
    let mut short = row;
    short[Cell::C] = 1;
    has_kind(&row) && (!op.class.has_short_way() || has_kind(&short))
}

/// Whether the immediate is one of those that proofs are about.
#[must_use]
pub fn has_immediate(op: &MicroOp) -> bool {
    op.imm.unsigned_abs() <= 1 << 64
}

/// Whether `b` is a word, whatever words `x` and `y` are; the word that is always zero is one. On entry into a
/// function the frame pointer moves by a constant: within the stack, which the depth of calls bounds.
#[must_use]
pub fn has_word_operand(op: &MicroOp) -> bool {
    let no_x = op.x == microcode::Place::ZERO;
    let is_word = (0..1 << 64).contains(&op.imm);
    let frame_pointer = microcode::Place::register(10);
    let enters = op.y == frame_pointer && op.x.offset == frame_pointer.offset - FRAME_WORDS as i32;
    enters || is_word && (op.imm == 0 || no_x && !op.alias) && (no_x || !op.alias)
}

/// Whether the facts about products that proofs use are true of all integers.
///
/// # Errors
///
/// [`UniquenessError::Unavailable`] if the solver does not run.
pub fn lemmas_hold(solver: &Solver) -> Result<Verdict, UniquenessError> {
    let mut text = String::new();
    for name in ["x", "y", "z", "w"] {
        text += &format!("(declare-const {name} Int)\n");
    }
    let facts = lemmas(["x", "y", "z", "w", "(* x z)", "(* y w)"]);
    assert(&mut text, &format!("(not (and {}))", facts.join(" ")));
    verdict(solver, &text, SECONDS)
}

fn verdict(solver: &Solver, text: &str, seconds: u32) -> Result<Verdict, UniquenessError> {
    Ok(match solver.check(text, &[], seconds)? {
        Answer::Unsatisfiable => Verdict::Proved,
        Answer::Model(_) => Verdict::Refuted,
        Answer::Unknown(reason) => Verdict::Unknown(reason),
    })
}

impl Kind {
    /// Classes and modifiers of its rows: kinds that have these in common differ in the mode, in where operands
    /// come from, and in whether an instruction begins.
    #[must_use]
    pub fn variant(&self) -> String {
        let row = |row: &Row| {
            let name = class(row).map_or("", Class::name);
            let table = i128::from(class(row) == Some(Class::ShiftAmount)) * row[Cell::Imm];
            let [m1, m2, m3] = [Cell::M1, Cell::M2, Cell::M3].map(|cell| row[cell]);
            format!("{name} {m1}{m2}{m3} {table};")
        };
        self.rows.iter().map(row).collect()
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Two solutions with the same operands have the same outputs.
    ///
    /// # Errors
    ///
    /// If the solver does not run, or a constraint is not translated.
    pub fn is_determined(&self, solver: &Solver) -> Result<Verdict, UniquenessError> {
        determined(solver, &self.formula, SECONDS)
    }

    /// Results are below `2^64`, where the operand of a move is.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn has_words(&self, solver: &Solver) -> Result<Verdict, UniquenessError> {
        self.words(solver, &self.formula, SECONDS)
    }

    fn words(
        &self,
        solver: &Solver,
        formula: &Formula,
        seconds: u32,
    ) -> Result<Verdict, UniquenessError> {
        let mut writer = Writer::new(formula, false)?;
        writer.operands();
        writer.solution(1);
        for (index, row) in self.rows.iter().enumerate() {
            let b = formula.variable((Cell::B, index as i32));
            if let Some(b) = b.filter(|_| class(row) == Some(Class::Mov)) {
                let assumption = format!("(<= 0 {} {})", writer.name(b, 1), u64::MAX);
                writer.assert(&assumption);
            }
        }
        writer.some_result_is_no_word(1);
        verdict(solver, &writer.text, seconds)
    }

    /// The rows of the group follow one another, or those of another kind do that begins with the
    /// same row.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn goes_on(&self, kinds: &[Self], solver: &Solver) -> Result<Verdict, UniquenessError> {
        for index in 1..self.rows.len() {
            let before = self.formula.before(index);
            let mut writer = Writer::new(&before, false)?;
            writer.operands();
            writer.solution(1);
            let upc = |row: usize| before.variable((Cell::Upc, row as i32));
            let is_at = |writer: &Writer<'_>, row: usize, upc: i128| {
                let name = before.variable((Cell::Upc, row as i32));
                name.map(|v| format!("(= {} {upc})", writer.name(v, 1)))
            };
            for row in (1..index).filter(|row| upc(*row).is_some()) {
                let place = is_at(&writer, row, self.rows[row][Cell::Upc]);
                place.into_iter().for_each(|place| writer.assert(&place));
            }
            let same = |kind: &&Self| {
                let begins = kind.rows.iter().take(index).map(key);
                kind.rows.len() > index && begins.eq(self.rows.iter().take(index).map(key))
            };
            for kind in kinds.iter().filter(same) {
                if let Some(place) = is_at(&writer, index, kind.rows[index][Cell::Upc]) {
                    writer.assert(&format!("(not {place})"));
                }
            }
            let verdict = verdict(solver, &writer.text, SECONDS)?;
            if verdict != Verdict::Proved {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Proved)
    }

    /// The kinds that begin with the same row.
    pub fn siblings<'a>(&self, kinds: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        let (first, rows) = (key(&self.rows[0]), self.rows.iter().map(key));
        let rows: Vec<_> = rows.collect();
        kinds.iter().filter(move |kind| {
            key(&kind.rows[0]) == first && !kind.rows.iter().map(key).eq(rows.iter().cloned())
        })
    }

    /// No operands have a solution of this kind and one of the other, which begins with the same row.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn excludes(&self, other: &Self, solver: &Solver) -> Result<Verdict, UniquenessError> {
        verdict(solver, &self.beside(other)?.text, SECONDS)
    }

    /// One solution of this kind and one of the other, of the same operands of the row that both begin with.
    fn beside<'a>(&self, other: &'a Self) -> Result<Writer<'a>, UniquenessError> {
        let mut one = Writer::new(&self.formula, true)?;
        let mut two = Writer::new(&other.formula, true)?;
        one.operands();
        one.solution(1);
        // What is common to both is declared; the rest goes by other names.
        let common = other
            .formula
            .places
            .iter()
            .enumerate()
            .filter(|(v, place)| {
                other.formula.is_shared(*v)
                    && place.1 <= 0
                    && self.formula.variable(**place).is_none()
            });
        let common: Vec<usize> = common.map(|(v, _)| v).collect();
        two.text = std::mem::take(&mut one.text);
        two.declare_all(&common);
        two.solution(2);
        // The fetch: these rows are where they are.
        for (kind, copy) in [(self, 1), (other, 2)] {
            for (index, row) in kind.rows.iter().enumerate().skip(1) {
                if let Some(name) = kind.formula.name((Cell::Upc, index as i32), copy, true) {
                    two.assert(&format!("(= {name} {})", row[Cell::Upc]));
                }
            }
        }
        Ok(two)
    }

    /// The kind that begins with the same row, where its bit `c` chooses that other rows follow, or none.
    pub fn other_way<'a>(&self, kinds: &'a [Self]) -> Option<&'a Self> {
        let mut first = self.rows[0];
        first[Cell::C] = 1 - first[Cell::C];
        let has_way = self.class.has_short_way();
        let mut others = kinds.iter().filter(|_| has_way);
        others.find(|kind| key(&kind.rows[0]) == key(&first))
    }

    /// Whatever operands have a solution of this kind and one of the other, which begins with the same row: both have
    /// one result, and one state behind their rows.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn agrees(&self, other: &Self, solver: &Solver) -> Result<Verdict, UniquenessError> {
        let mut pair = self.beside(other)?;
        let equal = |here: Place, there: Place| {
            let one = self.formula.name(here, 1, true)?;
            let two = other.formula.name(there, 2, true)?;
            Some(format!("(= {one} {two})"))
        };
        let behind = |cell| {
            equal(
                (cell, self.formula.len as i32),
                (cell, other.formula.len as i32),
            )
        };
        let first = |cell| equal((cell, 0), (cell, 0));
        // One address, one micro-operation.
        let same = [Cell::Upc, Cell::First].map(|cell| behind(cell).expect("a variable"));
        pair.assert(&format!("(=> {} {})", same[0], same[1]));
        let outputs = formula::STATE
            .map(behind)
            .into_iter()
            .chain([first(Cell::R)]);
        let outputs: Vec<String> = outputs.map(|equal| equal.expect("a variable")).collect();
        pair.assert(&format!("(not (and {}))", outputs.join(" ")));
        verdict(solver, &pair.text, SECONDS)
    }

    /// Whether a solver finds rows for the operands of every sample, and if they are the honest ones, as far
    /// as outputs go. Says how many samples there were.
    ///
    /// # Errors
    ///
    /// As above; [`UniquenessError::Unsupported`] if it does not.
    pub fn is_satisfiable(&self, solver: &Solver, most: usize) -> Result<usize, UniquenessError> {
        let samples = self.samples.iter().take(most);
        for sample in samples.clone() {
            let fail = |what: &str| Err(UniquenessError::Unsupported(format!("{self}: {what}")));
            if !self.formula.holds(sample) {
                return fail("the honest rows");
            }
            let Found::Solution(values) = search::search(solver, &self.formula, sample, Goal::Any)?
            else {
                return fail("no solution for honest operands");
            };
            if self
                .formula
                .outputs
                .iter()
                .any(|v| values[*v] != sample[*v])
            {
                return fail("another solution for honest operands");
            }
        }
        Ok(samples.count())
    }

    /// Family and name of what the formula consists of.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, &str)> {
        self.formula.parts()
    }

    /// Whether a part is needed.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn need(&self, family: &str, name: &str, solver: &Solver) -> Result<Need, UniquenessError> {
        let weaker = self.formula.without(family, name);
        let holds = |verdict| verdict == Ok(Verdict::Proved);
        if holds(determined(solver, &weaker, SHORT)) && holds(self.words(solver, &weaker, SHORT)) {
            return Ok(Need::Implied);
        }
        // Evenly spread: neighbours are often alike.
        let step = self.samples.len().div_ceil(TRIED).max(1);
        for goal in [Goal::Small, Goal::LargeHonestBits, Goal::Large] {
            for sample in self.samples.iter().step_by(step) {
                if let Found::Solution(_) = search::search(solver, &weaker, sample, goal)? {
                    return Ok(Need::Needed);
                }
            }
        }
        Ok(Need::Unknown)
    }
}

fn determined(
    solver: &Solver,
    formula: &Formula,
    seconds: u32,
) -> Result<Verdict, UniquenessError> {
    let mut writer = Writer::new(formula, false)?;
    writer.operands();
    writer.solution(1);
    writer.solution(2);
    writer.differences();
    writer.some_output_differs();
    verdict(solver, &writer.text, seconds)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, row) in self.rows.iter().enumerate() {
            let name = class(row).map_or("padding", Class::name);
            let [m1, m2, m3, alias, low, high, first] = [
                Cell::M1,
                Cell::M2,
                Cell::M3,
                Cell::Alias,
                Cell::ModeLo,
                Cell::ModeHi,
                Cell::First,
            ]
            .map(|cell| row[cell]);
            let gap = if index == 0 { "" } else { ", " };
            write!(f, "{gap}{name} m{m1}{m2}{m3} a{alias} {}", low + 2 * high)?;
            if first == 1 {
                write!(f, " first")?;
            }
            if class(row) == Some(Class::ShiftAmount) {
                write!(f, " table {}", row[Cell::Imm])?;
            }
            if row[Cell::C] == 1 && class(row).is_some_and(Class::has_short_way) {
                write!(f, " short")?;
            }
        }
        Ok(())
    }
}
