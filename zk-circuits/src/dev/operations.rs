//! Field operations on one row of the quotient, counted as halo2's evaluator makes them.
//!
//! The evaluator computes each distinct calculation once a row, in the order in which the gates state them,
//! and adds up the gates' polynomials by powers of a challenge: one multiplication and one addition each.
//! It does that on `2^k` rows of each of `degree − 1` cosets, rounded up to a power of two.

use std::collections::HashMap;
use std::fmt;
use std::ops::AddAssign;

use ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

/// Numbers of field operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Multiplications and squarings.
    pub multiplications: usize,
    /// Additions, subtractions, doublings, negations.
    pub additions: usize,
    /// Values taken from columns and challenges.
    pub loads: usize,
}

impl AddAssign for Operations {
    fn add_assign(&mut self, other: Self) {
        self.multiplications += other.multiplications;
        self.additions += other.additions;
        self.loads += other.loads;
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} multiplications, {} additions, {} loads",
            self.multiplications, self.additions, self.loads
        )
    }
}

/// A value of the evaluator: a constant, or the result of a calculation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Value {
    Constant(usize),
    Result(usize),
}

const ZERO: Value = Value::Constant(0);
const ONE: Value = Value::Constant(1);
const TWO: Value = Value::Constant(2);

/// A calculation of the evaluator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Calculation {
    Load(&'static str, usize, i32),
    Add(Value, Value),
    Subtract(Value, Value),
    Negate(Value),
    Double(Value),
    Square(Value),
    Multiply(Value, Value),
}

/// Calculations made so far.
#[derive(Debug)]
struct Evaluator {
    constants: Vec<Fr>,
    calculations: HashMap<Calculation, Value>,
    counted: Operations,
}

impl Evaluator {
    fn constant(&mut self, value: Fr) -> Value {
        let known = self.constants.iter().position(|c| *c == value);
        Value::Constant(known.unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        }))
    }

    fn result(&mut self, calculation: Calculation) -> Value {
        let next = Value::Result(self.calculations.len());
        let result = *self.calculations.entry(calculation).or_insert(next);
        if result == next {
            match calculation {
                Calculation::Load(..) => self.counted.loads += 1,
                Calculation::Square(_) | Calculation::Multiply(..) => {
                    self.counted.multiplications += 1;
                }
                _ => self.counted.additions += 1,
            }
        }
        result
    }

    fn expression(&mut self, expression: &Expression<Fr>) -> Value {
        match expression {
            Expression::Constant(value) => self.constant(*value),
            Expression::Selector(_) => unreachable!("selectors are fixed columns"),
            Expression::Fixed(q) => {
                self.result(Calculation::Load("fixed", q.column_index(), q.rotation().0))
            }
            Expression::Advice(q) => self.result(Calculation::Load(
                "advice",
                q.column_index(),
                q.rotation().0,
            )),
            Expression::Instance(q) => self.result(Calculation::Load(
                "instance",
                q.column_index(),
                q.rotation().0,
            )),
            Expression::Challenge(c) => self.result(Calculation::Load("challenge", c.index(), 0)),
            Expression::Negated(inner) => match **inner {
                Expression::Constant(value) => self.constant(-value),
                _ => match self.expression(inner) {
                    ZERO => ZERO,
                    value => self.result(Calculation::Negate(value)),
                },
            },
            Expression::Sum(a, b) => {
                let (b, negated) = match &**b {
                    Expression::Negated(b) => (b, true),
                    _ => (b, false),
                };
                match (self.expression(a), self.expression(b)) {
                    (ZERO, b) if negated => self.result(Calculation::Negate(b)),
                    (ZERO, b) => b,
                    (a, ZERO) => a,
                    (a, b) if negated => self.result(Calculation::Subtract(a, b)),
                    (a, b) => self.result(Calculation::Add(a.min(b), a.max(b))),
                }
            }
            Expression::Product(a, b) => match (self.expression(a), self.expression(b)) {
                (ZERO, _) | (_, ZERO) => ZERO,
                (ONE, other) | (other, ONE) => other,
                (TWO, other) | (other, TWO) => self.result(Calculation::Double(other)),
                (a, b) if a == b => self.result(Calculation::Square(a)),
                (a, b) => self.result(Calculation::Multiply(a.min(b), a.max(b))),
            },
            Expression::Scaled(inner, factor) if *factor == Fr::ZERO => {
                let _ = inner;
                ZERO
            }
            Expression::Scaled(inner, factor) if *factor == Fr::ONE => self.expression(inner),
            Expression::Scaled(inner, factor) => {
                let factor = self.constant(*factor);
                let inner = self.expression(inner);
                self.result(Calculation::Multiply(inner, factor))
            }
        }
    }
}

/// The operations of a constraint system's gates, by gate; what gates share counts for the first of them.
#[must_use]
pub fn operations(cs: &ConstraintSystem<Fr>) -> Vec<(String, Operations)> {
    let mut evaluator = Evaluator {
        constants: vec![Fr::ZERO, Fr::ONE, Fr::from(2)],
        calculations: HashMap::new(),
        counted: Operations::default(),
    };
    cs.gates()
        .iter()
        .map(|gate| {
            for poly in gate.polynomials() {
                evaluator.expression(poly);
                evaluator.counted.multiplications += 1;
                evaluator.counted.additions += 1;
            }
            (
                gate.name().to_owned(),
                std::mem::take(&mut evaluator.counted),
            )
        })
        .collect()
}
