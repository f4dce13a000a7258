//! Searches for one solution next to an honest one. The operands are numbers, so that products are exact; a
//! solution is checked over the field.

use ff::Field;
use halo2curves::bn256::Fr;

use super::UniquenessError;
use super::bounds::{Bound, Bounds};
use super::formula::{Formula, Lookup};
use super::smt::{assert, declare, guarded, modulus, no_word, numeral};
use super::solver::{Answer, Solver};
use crate::Cell;
use crate::cell::FREE_BITS;
use crate::dev::group::Local;

/// Seconds for one search.
const SECONDS: u32 = 3;

/// Cells of which nothing is known are searched below this power of two.
const OTHERWISE: Bound = Bound::Bits(130);

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Any solution.
    Any,
    /// Another output, or a result that is no word; every cell a small integer.
    Small,
    /// Another output; cells of which nothing is known may be anywhere in the field.
    Large,
    /// The same with the honest bits: so fewer products are left.
    LargeHonestBits,
}

impl Goal {
    fn is_large(self) -> bool {
        matches!(self, Self::Large | Self::LargeHonestBits)
    }
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The values of all variables: checked, over the field.
    Solution(Vec<Fr>),
    /// There is none within the bounds of the search.
    Nothing,
    /// The solver does not know.
    Unknown(String),
}

/// A formula while variables are replaced.
struct State<'a> {
    formula: &'a Formula,
    bounds: Bounds,
    constraints: Vec<Local>,
    values: Vec<Option<Fr>>,
    /// Variables that are sums of others.
    sums: Vec<(usize, Local)>,
}

/// Looks for a solution with the honest operands.
pub(super) fn search(
    solver: &Solver,
    formula: &Formula,
    honest: &[Fr],
    goal: Goal,
) -> Result<Found, UniquenessError> {
    let mut bounds = Bounds::looked_up(formula, OTHERWISE)?;
    for (variable, (cell, _)) in formula.places.iter().enumerate() {
        if !goal.is_large() && FREE_BITS.contains(cell) && bounds.0[variable] == OTHERWISE {
            bounds.0[variable] = Bound::Between(-1, 2);
        }
    }
    let is_known = |v: usize| {
        let (cell, row) = formula.places[v];
        formula.is_shared(v)
            || cell == Cell::First && row == formula.len as i32
            || goal == Goal::LargeHonestBits && bounds.0[v] == Bound::Bit
    };
    let values = (0..honest.len()).map(|v| is_known(v).then_some(honest[v]));
    let mut state = State {
        formula,
        values: values.collect(),
        bounds,
        constraints: formula.constraints.iter().map(|c| c.item.clone()).collect(),
        sums: Vec::new(),
    };
    state.substitute();
    if goal.is_large() {
        state.eliminate();
    }
    state.solve(solver, honest, goal)
}

impl State<'_> {
    /// Puts numbers in the place of known variables; one that a constraint alone decides is known.
    fn substitute(&mut self) {
        loop {
            for local in &mut self.constraints {
                *local = specialised(local, &self.values);
            }
            self.constraints.retain(|local| !local.0.is_empty());
            let decided = self.constraints.iter().find_map(|local| {
                let [variable] = *local.variables().as_slice() else {
                    return None;
                };
                let (coefficient, rest) = isolate(local, variable)?;
                let inverse: Fr = Option::from(coefficient.invert())?;
                Some((variable, -rest.evaluate(&[]) * inverse))
            });
            let Some((variable, value)) = decided else {
                return;
            };
            self.values[variable] = Some(value);
        }
    }

    /// Removes variables of which nothing is known: a constraint says what they are.
    fn eliminate(&mut self) {
        loop {
            let free = |v: &usize| self.bounds.0[*v] == OTHERWISE && self.values[*v].is_none();
            let found = self.constraints.iter().enumerate().find_map(|(at, local)| {
                let variables = local.variables();
                variables
                    .into_iter()
                    .filter(free)
                    .find_map(|v| isolate(local, v).map(|(c, rest)| (at, v, c, rest)))
            });
            let Some((at, variable, coefficient, rest)) = found else {
                return;
            };
            let inverse: Option<Fr> = coefficient.invert().into();
            let scale = -inverse.unwrap_or(Fr::ZERO);
            let sum = Local(rest.0.into_iter().map(|(c, v)| (c * scale, v)).collect());
            self.constraints.remove(at);
            for local in &mut self.constraints {
                *local = replaced(local, variable, &sum);
            }
            self.constraints.retain(|local| !local.0.is_empty());
            self.sums.push((variable, sum));
        }
    }

    fn solve(
        mut self,
        solver: &Solver,
        honest: &[Fr],
        goal: Goal,
    ) -> Result<Found, UniquenessError> {
        let name = |v: usize| format!("v{v}");
        let value = |v: usize| self.values[v].map_or_else(|| name(v), |value| numeral(&value));
        let is_sum = |v: usize| self.sums.iter().any(|(sum, _)| *sum == v);
        let unknown: Vec<usize> = (0..honest.len())
            .filter(|v| self.values[*v].is_none() && !is_sum(*v))
            .collect();
        let mut text = String::new();
        for variable in &unknown {
            let (least, most) = self.bounds.interval(*variable);
            declare(&mut text, &name(*variable), &least, &most);
        }
        for (index, local) in self.constraints.iter().enumerate() {
            let mut sum = vec!["0".to_owned()];
            for (coefficient, variables) in &local.0 {
                let (bits, others) = self.bounds.split(variables);
                let names = |v: Vec<usize>| v.into_iter().map(name).collect::<Vec<_>>();
                sum.push(guarded(coefficient, &names(bits), &names(others)));
            }
            match self.bounds.multiple(local) {
                Some(0) => {}
                Some(most) => {
                    let name = format!("multiple{index}");
                    declare(&mut text, &name, &format!("(- {most})"), &most.to_string());
                    sum.push(format!("(* {} {name})", modulus()));
                }
                None => return Ok(Found::Unknown("the bounds are too wide".into())),
            }
            assert(&mut text, &format!("(= 0 (+ {}))", sum.join(" ")));
        }
        for (index, part) in self.formula.lookups.iter().enumerate() {
            lookup(&mut text, index, &part.item, value);
        }
        let differs = |v: &usize| format!("(not (= {} {}))", value(*v), numeral(&honest[*v]));
        let goals: Vec<String> = match goal {
            Goal::Any => vec!["true".into()],
            Goal::Small => {
                let results = self.formula.results.iter().map(|v| no_word(&value(*v)));
                let outputs = self.formula.outputs.iter().map(differs);
                outputs.chain(results).collect()
            }
            Goal::Large => {
                let outputs = self.formula.outputs.iter().filter(|v| !is_sum(**v));
                outputs.map(differs).collect()
            }
            Goal::LargeHonestBits => {
                let mut inside: Vec<usize> = self
                    .sums
                    .iter()
                    .flat_map(|(_, sum)| sum.variables())
                    .collect();
                inside.retain(|v| unknown.contains(v));
                inside.iter().map(differs).collect()
            }
        };
        assert(&mut text, &format!("(or false {})", goals.join(" ")));
        let names: Vec<String> = unknown.iter().map(|v| name(*v)).collect();
        let model = match solver.check(&text, &names, SECONDS)? {
            Answer::Unsatisfiable => return Ok(Found::Nothing),
            Answer::Unknown(reason) => return Ok(Found::Unknown(reason)),
            Answer::Model(model) => model,
        };
        for variable in unknown {
            self.values[variable] = model.get(&name(variable)).copied();
        }
        // Sums are of variables that were not replaced before.
        let mut values: Vec<Fr> = self.values.iter().map(|v| v.unwrap_or(Fr::ZERO)).collect();
        for (variable, sum) in self.sums.iter().rev() {
            values[*variable] = sum.evaluate(&values);
        }
        let differs = self
            .formula
            .outputs
            .iter()
            .any(|v| values[*v] != honest[*v]);
        if self.formula.holds(&values) && (differs || goal == Goal::Any) {
            return Ok(Found::Solution(values));
        }
        Ok(Found::Unknown("a model that is no solution".into()))
    }
}

/// Coefficient and rest, if the variable occurs in one term, by itself.
fn isolate(local: &Local, variable: usize) -> Option<(Fr, Local)> {
    let (with, rest): (Vec<_>, Vec<_>) = local
        .0
        .iter()
        .cloned()
        .partition(|(_, v)| v.contains(&variable));
    match with.as_slice() {
        [(coefficient, alone)] if alone.len() == 1 => Some((*coefficient, Local(rest))),
        _ => None,
    }
}

/// The polynomial with numbers for the variables that are known.
fn specialised(local: &Local, values: &[Option<Fr>]) -> Local {
    let terms = local.0.iter().map(|(coefficient, variables)| {
        let known = variables.iter().filter_map(|v| values[*v]);
        let rest = variables.iter().filter(|v| values[**v].is_none());
        (
            known.fold(*coefficient, |c, v| c * v),
            rest.copied().collect(),
        )
    });
    merged(terms)
}

/// The polynomial with a sum for a variable.
fn replaced(local: &Local, variable: usize, sum: &Local) -> Local {
    let mut terms = local.0.clone();
    while let Some(at) = terms.iter().position(|(_, v)| v.contains(&variable)) {
        let (coefficient, mut rest) = terms.remove(at);
        if let Some(place) = rest.iter().position(|v| *v == variable) {
            rest.remove(place);
        }
        for (c, variables) in &sum.0 {
            terms.push((coefficient * c, [rest.as_slice(), variables].concat()));
        }
    }
    merged(terms.into_iter())
}

fn merged(terms: impl Iterator<Item = (Fr, Vec<usize>)>) -> Local {
    let mut sums: Vec<(Fr, Vec<usize>)> = Vec::new();
    for (coefficient, mut variables) in terms {
        variables.sort_unstable();
        match sums.iter_mut().find(|(_, other)| *other == variables) {
            Some((sum, _)) => *sum += coefficient,
            None => sums.push((coefficient, variables)),
        }
    }
    sums.retain(|(c, _)| *c != Fr::ZERO);
    Local(sums)
}

fn lookup(text: &mut String, index: usize, lookup: &Lookup, value: impl Fn(usize) -> String) {
    let name = |local: &Local| {
        let variables = local.variables();
        variables.first().map_or_else(|| "0".into(), |v| value(*v))
    };
    match lookup {
        Lookup::Range(_) => {}
        Lookup::Conjunction(locals) => {
            let [x, y, z] = locals.each_ref().map(name);
            let bit = |value: &str, i: usize| format!("bit{index}.{value}.{i}");
            for i in 0..8 {
                for value in ["x", "y"] {
                    *text += &format!("(declare-const {} Bool)\n", bit(value, i));
                }
            }
            let sum = |condition: &dyn Fn(usize) -> String| {
                let terms = (0..8).map(|i| format!("(ite {} {} 0)", condition(i), 1 << i));
                terms.collect::<Vec<_>>().join(" ")
            };
            assert(text, &format!("(= {x} (+ {}))", sum(&|i| bit("x", i))));
            assert(text, &format!("(= {y} (+ {}))", sum(&|i| bit("y", i))));
            let both = |i| format!("(and {} {})", bit("x", i), bit("y", i));
            assert(text, &format!("(= {z} (+ {}))", sum(&both)));
        }
        Lookup::Rows(locals, rows) => {
            let values = locals.each_ref().map(name);
            let rows = rows.iter().map(|row| {
                let equal = |i: usize| format!("(= {} {})", values[i], numeral(&row[i]));
                format!("(and {} {} {})", equal(0), equal(1), equal(2))
            });
            let rows: Vec<String> = rows.collect();
            assert(text, &format!("(or {})", rows.join(" ")));
        }
    }
}
