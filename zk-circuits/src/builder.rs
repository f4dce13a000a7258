//! What a family sees while it states its constraints: cells, its class, named constraints, buses.
//!
//! The builder multiplies in the row and class selectors, refuses constraints above [`MAX_DEGREE`]
//! and remembers every name, so that a failing constraint can be reported by family and sentence.

use ff::Field;
use halo2_proofs::plonk::{Advice, Column, Expression, Fixed, Instance};
use halo2curves::bn256::Fr;

use crate::bus::{Bus, Interaction};
use crate::cell::{Cell, GROUPS, LIMBS, MEMBERS};
use crate::class::Class;
use crate::instance::InstanceCell;
use crate::shape::FIRST_ROW;

/// Polynomial in the cells of nearby rows.
pub(crate) type Expr = Expression<Fr>;

/// Highest degree of any constraint, selectors included.
pub const MAX_DEGREE: usize = 5;

/// Columns of the circuit besides the helper columns of the bus.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// The committed columns, in the order of [`crate::Committed`].
    pub(crate) committed: Vec<Column<Advice>>,
    /// One column for each [`Cell`].
    pub(crate) cells: Vec<Column<Advice>>,
    /// One column for each [`crate::tables::Auxiliary`].
    pub(crate) auxiliary: Vec<Column<Advice>>,
    /// Low halves of limbs and table operands, in narrow shapes only.
    pub(crate) halves: Vec<Column<Advice>>,
    /// One column for each [`crate::tables::FixedColumn`].
    pub(crate) fixed: Vec<Column<Fixed>>,
    /// The instance column.
    pub(crate) instance: Column<Instance>,
}

/// One polynomial that is zero on every row.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) poly: Expr,
}

/// Collects constraints and bus interactions.
#[derive(Debug)]
pub(crate) struct Builder {
    columns: Columns,
    narrow: bool,
    family: &'static str,
    selector: Expr,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) interactions: Vec<Interaction>,
}

/// A constant.
pub(crate) fn constant(value: u128) -> Expr {
    Expression::Constant(unsigned(value))
}

/// A constant that may be negative.
pub(crate) fn integer(value: i128) -> Expr {
    Expression::Constant(field(value))
}

/// `2^bits`.
pub(crate) fn two_pow(bits: u32) -> Expr {
    Expression::Constant(Fr::from(2).pow([u64::from(bits)]))
}

/// `1 / value`, for a value that is not zero.
pub(crate) fn inverse(value: u64) -> Expr {
    Expression::Constant(Fr::from(value).invert().expect("not zero"))
}

/// The field element of an unsigned integer.
fn unsigned(value: u128) -> Fr {
    Fr::from_raw([value as u64, (value >> 64) as u64, 0, 0])
}

/// The field element of a signed integer.
#[must_use]
pub(crate) fn field(value: i128) -> Fr {
    // Most cells.
    if value == 0 {
        return Fr::ZERO;
    }
    let magnitude = unsigned(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

impl Builder {
    pub(crate) fn new(columns: Columns, narrow: bool) -> Self {
        Self {
            columns,
            narrow,
            family: "",
            selector: constant(0),
            constraints: Vec::new(),
            interactions: Vec::new(),
        }
    }

    /// Whether limbs are split into two table operands.
    pub(crate) fn is_narrow(&self) -> bool {
        self.narrow
    }

    /// A cell of this row.
    pub(crate) fn cell(&self, cell: Cell) -> Expr {
        self.at(cell, 0)
    }

    /// A cell of the row `rotation` rows below.
    pub(crate) fn at(&self, cell: Cell, rotation: i32) -> Expr {
        self.columns.cells[cell as usize].rot(rotation)
    }

    /// A fixed column in this row.
    pub(crate) fn fixed(&self, column: crate::tables::FixedColumn) -> Expr {
        self.columns.fixed[column as usize].cur()
    }

    /// A fixed column in the row `rotation` rows below.
    pub(crate) fn fixed_at(&self, column: crate::tables::FixedColumn, rotation: i32) -> Expr {
        self.columns.fixed[column as usize].rot(rotation)
    }

    /// An auxiliary column in this row.
    pub(crate) fn auxiliary(&self, column: crate::tables::Auxiliary) -> Expr {
        self.columns.auxiliary[column as usize].cur()
    }

    /// A committed column in the row `rotation` rows below.
    pub(crate) fn committed(&self, column: crate::Committed, rotation: i32) -> Expr {
        self.columns.committed[column as usize].rot(rotation)
    }

    /// An instance value, on the first row of the machine, or `rows` below it.
    pub(crate) fn instance(&self, cell: InstanceCell, rows: i32) -> Expr {
        self.columns
            .instance
            .rot(cell as i32 - FIRST_ROW as i32 - rows)
    }

    /// Low half of limb `index` (0 to 8) or of table operand `index - 9`; narrow shapes only.
    pub(crate) fn half(&self, index: usize) -> Expr {
        self.columns.halves[index].cur()
    }

    /// Whether the row executes a micro-operation.
    pub(crate) fn is_active(&self) -> Expr {
        GROUPS
            .iter()
            .fold(constant(0), |sum, group| sum + self.cell(*group))
    }

    /// One on the rows of a class, zero on all other rows; degree 2.
    pub(crate) fn is(&self, class: Class) -> Expr {
        let (group, member) = class.place();
        let member = match MEMBERS.get(member) {
            Some(cell) => self.cell(*cell),
            None => MEMBERS
                .iter()
                .fold(constant(1), |rest, cell| rest - self.cell(*cell)),
        };
        self.cell(GROUPS[group]) * member
    }

    /// Limbs `range` as one integer, lowest first, `rotation` rows below.
    pub(crate) fn limbs(&self, range: std::ops::Range<usize>, rotation: i32) -> Expr {
        range.clone().fold(constant(0), |sum, index| {
            sum + self.at(LIMBS[index], rotation) * two_pow(16 * (index - range.start) as u32)
        })
    }

    /// Limbs 0 to 3: a word.
    pub(crate) fn u(&self, rotation: i32) -> Expr {
        self.limbs(0..4, rotation)
    }

    /// Limbs 4 to 7: a word.
    pub(crate) fn v(&self, rotation: i32) -> Expr {
        self.limbs(4..8, rotation)
    }

    /// The 16-bit value of both table operands, where they are bytes.
    pub(crate) fn byte_pair(&self) -> Expr {
        self.cell(Cell::P0) + self.cell(Cell::P1) * two_pow(8)
    }

    /// Names the part of the circuit that states the following constraints, on all rows.
    pub(crate) fn global(&mut self, family: &'static str) {
        self.family = family;
        self.selector = self.fixed(crate::tables::FixedColumn::Active);
    }

    /// The following constraints hold on rows of this class.
    pub(crate) fn class(&mut self, family: &'static str, class: Class) {
        self.family = family;
        self.selector = self.fixed(crate::tables::FixedColumn::Active) * self.is(class);
    }

    /// `value` is zero.
    pub(crate) fn require_zero(&mut self, name: &str, value: Expr) {
        let poly = self.selector.clone() * value;
        assert!(
            poly.degree() <= MAX_DEGREE,
            "{}: constraint '{name}' has degree {}, above {MAX_DEGREE}: give it a cell",
            self.family,
            poly.degree()
        );
        assert!(
            !self
                .constraints
                .iter()
                .any(|c| c.family == self.family && c.name == name),
            "{}: two constraints are named '{name}'",
            self.family
        );
        self.constraints.push(Constraint {
            family: self.family,
            name: name.to_owned(),
            poly,
        });
    }

    /// `left = right`.
    pub(crate) fn require_equal(&mut self, name: &str, left: Expr, right: Expr) {
        self.require_zero(name, left - right);
    }

    /// `value` is 0 or 1.
    pub(crate) fn require_bit(&mut self, name: &str, value: Expr) {
        self.require_zero(name, value.clone() * (value - constant(1)));
    }

    /// The second access leaves its word as it was.
    pub(crate) fn require_no_write(&mut self) {
        self.require_equal(
            "the destination is unchanged",
            self.cell(Cell::R),
            self.cell(Cell::Y),
        );
    }

    /// Sends `multiplicity` copies of a tuple on a bus.
    pub(crate) fn send(&mut self, bus: Bus, name: &str, multiplicity: Expr, tuple: Vec<Expr>) {
        self.interact(bus, name, multiplicity, tuple);
    }

    /// Receives `multiplicity` copies of a tuple from a bus.
    pub(crate) fn receive(&mut self, bus: Bus, name: &str, multiplicity: Expr, tuple: Vec<Expr>) {
        self.interact(bus, name, -multiplicity, tuple);
    }

    fn interact(&mut self, bus: Bus, name: &str, multiplicity: Expr, tuple: Vec<Expr>) {
        assert_eq!(
            tuple.len(),
            bus.arity(),
            "{}: '{name}' on bus {bus:?}",
            self.family
        );
        self.interactions.push(Interaction {
            bus,
            family: self.family,
            name: name.to_owned(),
            multiplicity,
            tuple,
        });
    }
}
