//! Formulas as text for a solver of integer arithmetic.
//!
//! A variable is the integer of least absolute value that its field element stands for. A constraint
//! `P = 0` of the field is `P = k·p` over the integers; `k = 0` if the bounds of the cells show that
//! `|P| < p`, otherwise `k` is a variable with the bounds that follow. A product of cells is its own
//! variable, unless a factor is a bit: what is known of it are the bounds and [`lemmas`].

use std::fmt::Write as _;

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use super::UniquenessError;
use super::bounds::Bounds;
use super::formula::{Formula, Lookup};
use crate::dev::group::Local;

/// A product of a sum and a variable, from one constraint.
#[derive(Clone, Debug)]
struct Product {
    scale: Fr,
    sum: Vec<(Fr, usize)>,
    variable: usize,
}

/// A constraint, its products taken apart.
#[derive(Clone, Debug)]
struct Equation {
    /// A coefficient, bits, and at most one other variable.
    linear: Vec<(Fr, Vec<usize>, Option<usize>)>,
    products: Vec<Product>,
    /// Bound of `|P|/p`.
    multiple: u64,
}

/// Writes the assertions of one or two solutions of a formula.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    formula: &'a Formula,
    bounds: Bounds,
    equations: Vec<Equation>,
    /// Whether only the first row's operands are common to both solutions.
    apart: bool,
    pub(super) text: String,
}

impl<'a> Writer<'a> {
    pub(super) fn new(formula: &'a Formula, apart: bool) -> Result<Self, UniquenessError> {
        let bounds = Bounds::proven(formula)?;
        let mut equations = Vec::new();
        for part in &formula.resolved() {
            let name = || format!("{}: {}", part.family, part.name);
            if bounds.is_bit_constraint(&part.item) {
                continue;
            }
            let equation = equation(formula, &bounds, &part.item)
                .ok_or_else(|| UniquenessError::Unsupported(name()))?;
            equations.push(equation);
        }
        Ok(Self {
            formula,
            bounds,
            equations,
            apart,
            text: "(declare-fun conjunction (Int Int) Int)\n".to_owned(),
        })
    }

    /// The variable's name in a solution.
    pub(super) fn name(&self, variable: usize, copy: usize) -> String {
        let place = self.formula.places[variable];
        let name = self.formula.name(place, copy, self.apart);
        name.unwrap_or_else(|| unreachable!("a place of the formula"))
    }

    /// Declares the operands that all solutions share.
    pub(super) fn operands(&mut self) {
        for variable in 0..self.formula.places.len() {
            let row = self.formula.places[variable].1;
            if self.formula.is_shared(variable) && !(self.apart && row > 0) {
                self.declare(variable, 0);
            }
        }
    }

    /// Declares these operands.
    pub(super) fn declare_all(&mut self, variables: &[usize]) {
        variables.iter().for_each(|v| self.declare(*v, 0));
    }

    fn declare(&mut self, variable: usize, copy: usize) {
        let name = self.name(variable, copy);
        let (least, most) = self.bounds.interval(variable);
        declare(&mut self.text, &name, &least, &most);
    }

    /// Declares a solution and says that it is one.
    pub(super) fn solution(&mut self, copy: usize) {
        for variable in 0..self.formula.places.len() {
            let row = self.formula.places[variable].1;
            if !self.formula.is_shared(variable) || self.apart && row > 0 {
                self.declare(variable, copy);
            }
        }
        let equations = self.equations.clone();
        for (index, equation) in equations.iter().enumerate() {
            let mut sum = vec!["0".to_owned()];
            for (coefficient, bits, variable) in &equation.linear {
                let names: Vec<String> = bits.iter().map(|v| self.name(*v, copy)).collect();
                let factor = variable.map(|v| self.name(v, copy));
                sum.push(guarded(coefficient, &names, factor.as_slice()));
            }
            for (at, product) in equation.products.iter().enumerate() {
                let name = format!("product{index}.{at}.{copy}");
                let bound = power(self.bounds.product_bits(&product.sum, product.variable));
                declare(&mut self.text, &name, &format!("(- {bound})"), &bound);
                sum.push(format!("(* {} {name})", numeral(&product.scale)));
                let (factor, other) = (self.sum(product, copy), self.name(product.variable, copy));
                self.assert(&format!("(=> (= {factor} 0) (= {name} 0))"));
                self.assert(&format!("(=> (= {other} 0) (= {name} 0))"));
                self.assert(&format!(
                    "(=> (and (>= {factor} 0) (>= {other} 0)) (>= {name} 0))"
                ));
            }
            if equation.multiple > 0 {
                let name = format!("multiple{index}.{copy}");
                let most = equation.multiple.to_string();
                declare(&mut self.text, &name, &format!("(- {most})"), &most);
                sum.push(format!("(* {} {name})", modulus()));
            }
            self.assert(&format!("(= 0 (+ {}))", sum.join(" ")));
        }
        for part in &self.formula.lookups {
            match &part.item {
                Lookup::Range(_) => {}
                Lookup::Conjunction(locals) => {
                    let [x, y, z] = locals.each_ref().map(|l| self.local(l, copy));
                    let assertion = format!("(= {z} (conjunction {x} {y}))");
                    assert(&mut self.text, &assertion);
                    for fact in conjunction_facts([&x, &y, &z]) {
                        assert(&mut self.text, &fact);
                    }
                }
                Lookup::Rows(locals, rows) => {
                    let text = locals.each_ref().map(|l| self.local(l, copy));
                    let rows = rows.iter().map(|row| {
                        let equal = |i: usize| format!("(= {} {})", text[i], numeral(&row[i]));
                        format!("(and {} {} {})", equal(0), equal(1), equal(2))
                    });
                    let rows = rows.collect::<Vec<_>>().join(" ");
                    assert(&mut self.text, &format!("(or {rows})"));
                }
            }
        }
    }

    /// What two solutions have to do with each other: facts, nothing that is to be shown.
    pub(super) fn differences(&mut self) {
        for variable in 0..self.formula.places.len() {
            if !self.formula.is_shared(variable) {
                let names = [1, 2].map(|copy| self.name(variable, copy));
                difference(&mut self.text, &names);
            }
        }
        let equations = self.equations.clone();
        for (index, equation) in equations.iter().enumerate() {
            if equation.multiple > 0 {
                let names = [1, 2].map(|copy| format!("multiple{index}.{copy}"));
                difference(&mut self.text, &names);
            }
            for (at, product) in equation.products.iter().enumerate() {
                let names = [1, 2].map(|copy| format!("product{index}.{at}.{copy}"));
                difference(&mut self.text, &names);
                for (one, two) in [(1, 2), (2, 1)] {
                    let [x, y] = [one, two].map(|copy| self.sum(product, copy));
                    let [z, w] = [one, two].map(|copy| self.name(product.variable, copy));
                    let [xz, yw] = [one, two].map(|copy| names[copy - 1].clone());
                    for lemma in lemmas([&x, &y, &z, &w, &xz, &yw]) {
                        self.assert(&lemma);
                    }
                }
            }
        }
        // The fetch: one address, one micro-operation.
        let len = self.formula.len as i32;
        let cells = [crate::Cell::Upc, crate::Cell::First].map(|cell| (cell, len));
        if let [Some(upc), Some(first)] = cells.map(|place| self.formula.variable(place)) {
            let same = |v| format!("(= {} {})", self.name(v, 1), self.name(v, 2));
            let fetch = format!("(=> {} {})", same(upc), same(first));
            self.assert(&fetch);
        }
    }

    /// The goal: some output is another one.
    pub(super) fn some_output_differs(&mut self) {
        let outputs = self.formula.outputs.iter().map(|v| {
            let [one, two] = [1, 2].map(|copy| self.name(*v, copy));
            format!("(not (= {one} {two}))")
        });
        let outputs = outputs.collect::<Vec<_>>().join(" ");
        self.assert(&format!("(or {outputs})"));
    }

    /// The goal: some result of this solution is no word.
    pub(super) fn some_result_is_no_word(&mut self, copy: usize) {
        let results = self.formula.results.iter();
        let results = results.map(|v| no_word(&self.name(*v, copy)));
        let results = results.collect::<Vec<_>>().join(" ");
        self.assert(&format!("(or {results})"));
    }

    pub(super) fn assert(&mut self, assertion: &str) {
        assert(&mut self.text, assertion);
    }

    fn sum(&self, product: &Product, copy: usize) -> String {
        let terms = product.sum.iter();
        let terms = terms.map(|(c, v)| format!("(* {} {})", numeral(c), self.name(*v, copy)));
        format!("(+ 0 {})", terms.collect::<Vec<_>>().join(" "))
    }

    /// A sum of variables.
    fn local(&self, local: &Local, copy: usize) -> String {
        let terms = local.0.iter().map(|(c, variables)| {
            let names: Vec<String> = variables.iter().map(|v| self.name(*v, copy)).collect();
            guarded(c, &[], &names)
        });
        let terms: Vec<String> = terms.collect();
        match terms.as_slice() {
            [] => "0".to_owned(),
            [term] => term.clone(),
            _ => format!("(+ {})", terms.join(" ")),
        }
    }
}

/// True of all integers, where `xz = x·z` and `yw = y·w`.
pub(super) fn lemmas([x, y, z, w, xz, yw]: [&str; 6]) -> [String; 2] {
    [
        format!("(=> (and (= {z} {w}) (= {x} {y})) (= {xz} {yw}))"),
        format!("(=> (and (= {z} {w}) (>= {z} 0) (> {x} {y})) (>= {xz} (+ {yw} {z})))"),
    ]
}

/// True of all bytes, where `z = x & y`.
pub(super) fn conjunction_facts([x, y, z]: [&str; 3]) -> [String; 3] {
    [
        format!("(<= {z} {x})"),
        format!("(<= {z} {y})"),
        format!("(<= (- (+ {x} {y}) {z}) 255)"),
    ]
}

/// A word, it is not.
pub(super) fn no_word(name: &str) -> String {
    format!("(not (<= 0 {name} {}))", u64::MAX)
}

pub(super) fn declare(text: &mut String, name: &str, least: &str, most: &str) {
    let _ = writeln!(
        text,
        "(declare-const {name} Int)(assert (<= {least} {name} {most}))"
    );
}

pub(super) fn assert(text: &mut String, assertion: &str) {
    let _ = writeln!(text, "(assert {assertion})");
}

/// The second value as the first one and a difference. That a difference is 0, below, or above, splits the
/// search where it matters: between digits of one place.
fn difference(text: &mut String, [one, two]: &[String; 2]) {
    let name = format!("{one}.difference");
    let _ = writeln!(
        text,
        "(declare-const {name} Int)(assert (= {two} (+ {one} {name})))\n\
         (assert (or (= {name} 0) (<= {name} (- 1)) (>= {name} 1)))"
    );
}

/// `coefficient · factors`, or 0 unless all bits are set.
pub(super) fn guarded(coefficient: &Fr, bits: &[String], factors: &[String]) -> String {
    let coefficient = numeral(coefficient);
    let product = if factors.is_empty() {
        coefficient
    } else {
        format!("(* {coefficient} {})", factors.join(" "))
    };
    if bits.is_empty() {
        return product;
    }
    let set: String = bits.iter().map(|bit| format!(" (= {bit} 1)")).collect();
    format!("(ite (and{set}) {product} 0)")
}

fn equation(formula: &Formula, bounds: &Bounds, local: &Local) -> Option<Equation> {
    let mut linear = Vec::new();
    let mut pairs: Vec<(Fr, [usize; 2])> = Vec::new();
    for (coefficient, variables) in &local.0 {
        let (bits, others) = bounds.split(variables);
        match *others.as_slice() {
            [] => linear.push((*coefficient, bits, None)),
            [one] => linear.push((*coefficient, bits, Some(one))),
            [one, two] if bits.is_empty() => pairs.push((*coefficient, [one, two])),
            _ => return None,
        }
    }
    // Pairs with a common factor are one product; those of operands stay apart from those of hints.
    let mut products = Vec::new();
    while let Some((_, first)) = pairs.first() {
        let uses = |v: usize| pairs.iter().filter(|(_, pair)| pair.contains(&v)).count();
        let variable = *first.iter().max_by_key(|v| uses(**v))?;
        let other = |pair: &[usize; 2]| pair[usize::from(pair[0] == variable)];
        let shared = formula.is_shared(other(first));
        let (with, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(_, pair)| {
            pair.contains(&variable) && formula.is_shared(other(pair)) == shared
        });
        pairs = rest;
        let scale = with.iter().map(|(c, _)| *c).min_by(|a, b| {
            let size = |c: &Fr| super::bounds::magnitude(c);
            size(a).total_cmp(&size(b))
        })?;
        let inverse: Fr = Option::from(scale.invert())?;
        let sum = with.iter().map(|(c, pair)| (*c * inverse, other(pair)));
        products.push(Product {
            scale,
            sum: sum.collect(),
            variable,
        });
    }
    Some(Equation {
        linear,
        products,
        multiple: bounds.multiple(local)?,
    })
}

/// The integer of least absolute value.
pub(super) fn numeral(value: &Fr) -> String {
    let (positive, negative) = (decimal(value), decimal(&-value));
    if (positive.len(), &positive) <= (negative.len(), &negative) {
        positive
    } else {
        format!("(- {negative})")
    }
}

fn decimal(value: &Fr) -> String {
    digits(value.to_repr().as_ref())
}

/// A little-endian number in decimal digits.
fn digits(bytes: &[u8]) -> String {
    let mut digits = vec![0_u32];
    for byte in bytes.iter().rev() {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = *digit * 256 + carry;
            *digit = value % 10;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    let text = digits.iter().rev().map(u32::to_string);
    text.collect()
}

/// `2^bits`.
pub(super) fn power(bits: u32) -> String {
    let mut bytes = vec![0; bits as usize / 8 + 1];
    bytes[bits as usize / 8] = 1 << (bits % 8);
    digits(&bytes)
}

/// The field's characteristic.
pub(super) fn modulus() -> String {
    let mut bytes = (-Fr::ONE).to_repr();
    // It is odd: one less ends in a zero bit.
    bytes.as_mut()[0] += 1;
    digits(bytes.as_ref())
}

/// The largest integer of least absolute value, `(p − 1)/2`.
pub(super) fn half_modulus() -> String {
    decimal(&(Fr::TWO_INV - Fr::ONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::field;

    #[test]
    fn numerals_are_centred() {
        assert_eq!(numeral(&field(-(1 << 64))), "(- 18446744073709551616)");
        assert_eq!(numeral(&Fr::from(1600)), "1600");
        assert_eq!(numeral(&Fr::ZERO), "0");
        assert_eq!(power(64), (1_u128 << 64).to_string());
        assert!(modulus().starts_with("2188824287") && modulus().ends_with("495617"));
        assert_eq!(numeral(&(Fr::TWO_INV - Fr::ONE)), half_modulus());
        assert_eq!(numeral(&Fr::TWO_INV), format!("(- {})", half_modulus()));
    }

    #[test]
    fn facts_about_conjunctions_are_true() {
        let facts = ["(<= z x)", "(<= z y)", "(<= (- (+ x y) z) 255)"];
        assert_eq!(conjunction_facts(["x", "y", "z"]), facts);
        for x in 0..256_u32 {
            for y in 0..256 {
                let z = x & y;
                assert!(z <= x && z <= y && x + y - z <= 255);
            }
        }
    }
}
