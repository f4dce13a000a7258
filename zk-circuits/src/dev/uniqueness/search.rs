//! Searches for one solution, exactly, next to an honest one: the operands are numbers.

use std::collections::HashMap;

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
const SECONDS: u32 = 5;

/// Cells of which nothing is known are searched below this power of two.
const OTHERWISE: Bound = Bound::Bits(130);

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

/// Looks for a solution with the honest operands; `forged`: with another output, or a result that is no word.
pub(super) fn search(
    solver: &Solver,
    formula: &Formula,
    honest: &[Fr],
    forged: bool,
) -> Result<Found, UniquenessError> {
    let mut bounds = Bounds::looked_up(formula, OTHERWISE)?;
    for (variable, (cell, _)) in formula.places.iter().enumerate() {
        if FREE_BITS.contains(cell) && bounds.0[variable] == OTHERWISE {
            bounds.0[variable] = Bound::Between(-1, 2);
        }
    }
    let behind = formula.variable((Cell::First, formula.len as i32));
    let is_known = |v: usize| formula.is_shared(v) || Some(v) == behind;
    let names: Vec<String> = (0..formula.places.len()).map(|v| format!("v{v}")).collect();
    let mut text = String::new();
    for variable in (0..names.len()).filter(|v| !is_known(*v)) {
        let (least, most) = bounds.interval(variable);
        declare(&mut text, &names[variable], &least, &most);
    }
    for (index, part) in formula.constraints.iter().enumerate() {
        let local = specialised(&part.item, honest, &is_known);
        let mut sum = vec!["0".to_owned()];
        for (coefficient, variables) in &local.0 {
            let (bits, others) = bounds.split(variables);
            let name = |v: Vec<usize>| v.into_iter().map(|v| names[v].clone()).collect();
            let (bits, others): (Vec<String>, Vec<String>) = (name(bits), name(others));
            sum.push(guarded(coefficient, &bits, &others));
        }
        match bounds.multiple(&local) {
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
    for (index, part) in formula.lookups.iter().enumerate() {
        lookup(&mut text, index, &part.item, &names);
    }
    if forged {
        let differs = |v: &usize| format!("(not (= {} {}))", names[*v], numeral(&honest[*v]));
        let outputs = formula.outputs.iter().map(differs);
        let results = formula.results.iter().map(|v| no_word(&names[*v]));
        let goal: Vec<String> = outputs.chain(results).collect();
        assert(&mut text, &format!("(or {})", goal.join(" ")));
    }
    let unknown: Vec<String> = (0..names.len())
        .filter(|v| !is_known(*v))
        .map(|v| names[v].clone())
        .collect();
    Ok(match solver.check(&text, &unknown, SECONDS)? {
        Answer::Unsatisfiable => Found::Nothing,
        Answer::Unknown(reason) => Found::Unknown(reason),
        Answer::Model(model) => {
            let values = values(&names, honest, &model);
            let differs = formula.outputs.iter().any(|v| values[*v] != honest[*v]);
            if formula.holds(&values) && (differs || !forged) {
                Found::Solution(values)
            } else {
                Found::Unknown("a model that is no solution".into())
            }
        }
    })
}

fn values(names: &[String], honest: &[Fr], model: &HashMap<String, Fr>) -> Vec<Fr> {
    let value = |(name, honest): (&String, &Fr)| model.get(name).copied().unwrap_or(*honest);
    names.iter().zip(honest).map(value).collect()
}

/// The polynomial with numbers for the variables that are known.
fn specialised(local: &Local, honest: &[Fr], is_known: &impl Fn(usize) -> bool) -> Local {
    let mut terms: Vec<(Fr, Vec<usize>)> = Vec::new();
    for (coefficient, variables) in &local.0 {
        let (known, rest): (Vec<usize>, Vec<usize>) =
            variables.iter().partition(|v| is_known(**v));
        let value = known.iter().fold(*coefficient, |c, v| c * honest[*v]);
        match terms.iter_mut().find(|(_, other)| *other == rest) {
            Some((sum, _)) => *sum += value,
            None => terms.push((value, rest)),
        }
    }
    terms.retain(|(c, _)| *c != Fr::ZERO);
    Local(terms)
}

fn lookup(text: &mut String, index: usize, lookup: &Lookup, names: &[String]) {
    let name = |local: &Local| match local.variables().first() {
        Some(variable) => names[*variable].clone(),
        None => "0".to_owned(),
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
