//! Bounds of the variables of a formula, as far as they follow from its lookups and constraints.

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use super::UniquenessError;
use super::formula::{Formula, Lookup};
use super::smt::{half_modulus, power};
use crate::Cell;
use crate::dev::group::Local;

/// The integers that a variable may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// 0 and 1.
    Bit,
    /// These.
    Between(i128, i128),
    /// Less than `2^bits` in absolute value.
    Bits(u32),
    /// Any element of the field.
    Field,
}

/// Sums and products of absolute values are computed with doubles. Their relative error is below `2^-40`;
/// what is compared has a larger distance.
const SLACK: f64 = 1.0 + 1e-9;

/// The bounds of all variables.
#[derive(Clone, Debug)]
pub(super) struct Bounds(pub(super) Vec<Bound>);

impl Bounds {
    /// What is assumed of the operands, and what lookups and constraints say about the other cells.
    pub(super) fn proven(formula: &Formula) -> Result<Self, UniquenessError> {
        let mut bounds = Self::looked_up(formula, Bound::Field)?;
        // A cell that a constraint sets to a small sum is that sum.
        let mut changed = true;
        while changed {
            changed = false;
            for part in &formula.constraints {
                for variable in part.item.variables() {
                    if bounds.0[variable] != Bound::Field || formula.is_shared(variable) {
                        continue;
                    }
                    if let Some(bits) = bounds.sum_of_rest(&part.item, variable) {
                        bounds.0[variable] = Bound::Bits(bits);
                        changed = true;
                    }
                }
            }
        }
        Ok(bounds)
    }

    /// Without what constraints say, bits aside; `otherwise` for cells of which nothing is known.
    pub(super) fn looked_up(formula: &Formula, otherwise: Bound) -> Result<Self, UniquenessError> {
        let word = Bound::Between(0, u64::MAX.into());
        let assumed = |variable: usize| match formula.places[variable].0 {
            Cell::X | Cell::Y if formula.is_shared(variable) => word,
            Cell::Imm if formula.is_shared(variable) => Bound::Between(-(1 << 64), 1 << 64),
            // A flag of the table, or 0.
            Cell::First => Bound::Bit,
            _ => otherwise,
        };
        let mut bounds = Self((0..formula.places.len()).map(assumed).collect());
        for part in &formula.lookups {
            let name = || UniquenessError::Unsupported(format!("{}: {}", part.family, part.name));
            match &part.item {
                Lookup::Range(local) => {
                    bounds.0[only(local).ok_or_else(name)?] = Bound::Between(0, 0xffff);
                }
                Lookup::Conjunction(locals) => {
                    for local in locals {
                        bounds.0[only(local).ok_or_else(name)?] = Bound::Between(0, 0xff);
                    }
                }
                Lookup::Rows(locals, rows) => {
                    for (index, local) in locals.iter().enumerate().filter(|(_, l)| !l.0.is_empty())
                    {
                        let most = rows.iter().map(|row| magnitude(&row[index]));
                        let most = most.fold(0.0, f64::max);
                        bounds.0[only(local).ok_or_else(name)?] = Bound::Bits(bits(most));
                    }
                }
            }
        }
        for part in &formula.constraints {
            if let Some(variable) = bit(&part.item) {
                bounds.0[variable] = Bound::Bit;
            }
        }
        Ok(bounds)
    }

    /// Least and greatest value.
    pub(super) fn interval(&self, variable: usize) -> (String, String) {
        let signed = |value: i128| {
            if value < 0 {
                format!("(- {})", value.unsigned_abs())
            } else {
                value.to_string()
            }
        };
        let symmetric = |most: String| (format!("(- {most})"), most);
        match self.0[variable] {
            Bound::Bit => ("0".into(), "1".into()),
            Bound::Between(least, most) => (signed(least), signed(most)),
            Bound::Bits(bits) => symmetric(power(bits)),
            Bound::Field => symmetric(half_modulus()),
        }
    }

    fn of(&self, variable: usize) -> f64 {
        match self.0[variable] {
            Bound::Bit => 1.0,
            Bound::Between(least, most) => least.unsigned_abs().max(most.unsigned_abs()) as f64,
            Bound::Bits(bits) => f64::from(bits).exp2(),
            Bound::Field => field_size() / 2.0,
        }
    }

    fn of_terms<'a>(&self, terms: impl Iterator<Item = &'a (Fr, Vec<usize>)>) -> f64 {
        let term = |(coefficient, variables): &(Fr, Vec<usize>)| {
            let (bits, others) = self.split(variables);
            let factors = bits.iter().chain(&others).map(|v| self.of(*v));
            magnitude(coefficient) * factors.product::<f64>()
        };
        terms.map(term).sum::<f64>() * SLACK
    }

    /// A bound of `|P|/p`; none if it is no small number.
    pub(super) fn multiple(&self, local: &Local) -> Option<u64> {
        let quotient = self.of_terms(local.0.iter()) / field_size() * SLACK;
        (quotient < 64.0).then_some(quotient as u64)
    }

    /// Bits of a product of a sum and a variable.
    pub(super) fn product_bits(&self, sum: &[(Fr, usize)], variable: usize) -> u32 {
        let terms: Vec<_> = sum.iter().map(|(c, v)| (*c, vec![*v, variable])).collect();
        bits(self.of_terms(terms.iter()))
    }

    /// If the constraint says `±variable + rest = 0` with a rest below `p/2`: the rest's bits.
    fn sum_of_rest(&self, local: &Local, variable: usize) -> Option<u32> {
        let (with, rest): (Vec<_>, Vec<_>) =
            local.0.iter().partition(|(_, v)| v.contains(&variable));
        let [(coefficient, alone)] = with.as_slice() else {
            return None;
        };
        let is_unit = *coefficient == Fr::ONE || *coefficient == -Fr::ONE;
        let size = self.of_terms(rest.into_iter());
        (is_unit && alone.len() == 1 && size * SLACK < field_size() / 4.0).then(|| bits(size))
    }

    /// The bits among these variables, once each, and the others.
    pub(super) fn split(&self, variables: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let (mut bits, others): (Vec<usize>, Vec<usize>) =
            variables.iter().partition(|v| self.0[**v] == Bound::Bit);
        bits.dedup();
        (bits, others)
    }

    /// Whether this is what makes a variable a bit.
    pub(super) fn is_bit_constraint(&self, local: &Local) -> bool {
        bit(local).is_some_and(|variable| self.0[variable] == Bound::Bit)
    }
}

/// The variable that the polynomial is.
fn only(local: &Local) -> Option<usize> {
    match local.0.as_slice() {
        [(coefficient, variables)] if *coefficient == Fr::ONE => match *variables.as_slice() {
            [variable] => Some(variable),
            _ => None,
        },
        _ => None,
    }
}

/// The variable `v`, if the polynomial is a multiple of `v·(v − 1)`: a field has no other roots.
fn bit(local: &Local) -> Option<usize> {
    let [(a, one), (b, two)] = local.0.as_slice() else {
        return None;
    };
    let (square, alone) = if one.len() == 2 {
        (one, two)
    } else {
        (two, one)
    };
    match (square.as_slice(), alone.as_slice()) {
        ([x, y], [z]) if x == y && y == z && *a == -*b => Some(*z),
        _ => None,
    }
}

/// The absolute value of the integer of least absolute value.
pub(super) fn magnitude(value: &Fr) -> f64 {
    let size = |value: &Fr| {
        let bytes = value.to_repr();
        let digits = bytes.as_ref().iter().rev();
        digits.fold(0.0, |sum, byte| sum * 256.0 + f64::from(*byte))
    };
    size(value).min(size(&-value))
}

fn field_size() -> f64 {
    2.0 * magnitude(&Fr::TWO_INV)
}

/// Bits of every number up to this one.
fn bits(most: f64) -> u32 {
    (most * SLACK).max(1.0).log2().ceil() as u32
}
