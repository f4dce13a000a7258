//! What can be wrong with a constraint system whatever it is meant to say; for any halo2 circuit.
//!
//! The circuit is synthesized into an assignment that remembers which cells were written: halo2's `MockProver`
//! takes a cell that nobody wrote for zero. A gate is *enabled* in a row if fixed columns and selectors leave
//! something of it there; flags that are advice do not count, whatever their values.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use ff::Field;
use halo2_proofs::circuit::Value;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error,
    Expression, Fixed, FloorPlanner, Instance, Selector,
};
use halo2curves::bn256::Fr;

mod chunk;
mod layout;
mod phases;

use layout::Layout;

/// Rotations that a verifier's batched opening is made for.
const WINDOW: i32 = 8;

/// Something that should not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// An enabled polynomial or a copy reads a cell that nobody wrote: any value will do.
    Unassigned {
        /// What reads it.
        reader: String,
        /// Advice column.
        column: usize,
        /// The first such row.
        row: usize,
    },
    /// Nothing reads a column.
    Unused {
        /// Which.
        column: String,
    },
    /// Enabled polynomials, lookups and copies leave an advice column alone.
    Unconstrained {
        /// Advice column.
        column: usize,
    },
    /// A polynomial is enabled in no row.
    NeverEnabled {
        /// Gate and name.
        polynomial: String,
    },
    /// A polynomial is enabled where halo2 puts random values.
    EnabledOnBlinding {
        /// Gate and name.
        polynomial: String,
        /// The first such row.
        row: usize,
    },
    /// A polynomial compresses by a challenge what was committed after it.
    Late {
        /// Gate and name, or lookup.
        polynomial: String,
    },
    /// A rotation outside of the window, or so large that it meets another one modulo the rows.
    Rotation {
        /// Kind and number of the column.
        column: String,
        /// The rotation.
        rotation: i32,
    },
    /// A polynomial has a degree above the limit.
    Degree {
        /// Gate and name, or lookup.
        polynomial: String,
        /// Its degree.
        degree: usize,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unassigned {
                reader,
                column,
                row,
            } => write!(
                f,
                "{reader} reads advice column {column} in row {row}, which nobody wrote"
            ),
            Self::Unused { column } => write!(f, "{column} is not used"),
            Self::Unconstrained { column } => {
                write!(
                    f,
                    "nothing that is enabled constrains advice column {column}"
                )
            }
            Self::NeverEnabled { polynomial } => write!(f, "{polynomial} is enabled nowhere"),
            Self::EnabledOnBlinding { polynomial, row } => {
                write!(f, "{polynomial} is enabled in row {row}, which is blinded")
            }
            Self::Late { polynomial } => {
                write!(
                    f,
                    "{polynomial} compresses by a challenge what was committed after it"
                )
            }
            Self::Rotation { column, rotation } => {
                write!(f, "{column} is read at rotation {rotation}")
            }
            Self::Degree { polynomial, degree } => write!(f, "{polynomial} has degree {degree}"),
        }
    }
}

/// What an expression reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Query {
    Advice(usize, i32),
    Instance(usize, i32),
}

/// An expression in one row, where fixed columns and selectors are known: a constant, or what it reads.
#[derive(Clone, Debug)]
enum Partial {
    Constant(Fr),
    Reads(BTreeSet<Query>),
}

impl Partial {
    fn join(self, other: Self, constant: impl Fn(Fr, Fr) -> Fr) -> Self {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(constant(a, b)),
            (Self::Reads(a), Self::Constant(_)) | (Self::Constant(_), Self::Reads(a)) => {
                Self::Reads(a)
            }
            (Self::Reads(mut a), Self::Reads(b)) => {
                a.extend(b);
                Self::Reads(a)
            }
        }
    }
}

/// What an expression is, given fixed values and selectors.
fn partial(
    expression: &Expression<Fr>,
    fixed: &impl Fn(usize, i32) -> Fr,
    selector: &impl Fn(Selector) -> bool,
) -> Partial {
    let read = |query| Partial::Reads(BTreeSet::from([query]));
    expression.evaluate(
        &Partial::Constant,
        &|s| Partial::Constant(Fr::from(u64::from(selector(s)))),
        &|q| Partial::Constant(fixed(q.column_index(), q.rotation().0)),
        &|q| read(Query::Advice(q.column_index(), q.rotation().0)),
        &|q| read(Query::Instance(q.column_index(), q.rotation().0)),
        &|_| Partial::Reads(BTreeSet::new()),
        &|a| match a {
            Partial::Constant(a) => Partial::Constant(-a),
            reads => reads,
        },
        &|a, b| a.join(b, |a, b| a + b),
        &|a, b| match (&a, &b) {
            (Partial::Constant(zero), _) | (_, Partial::Constant(zero)) if *zero == Fr::ZERO => {
                Partial::Constant(Fr::ZERO)
            }
            _ => a.join(b, |a, b| a * b),
        },
        &|a, scale| match a {
            Partial::Constant(a) => Partial::Constant(a * scale),
            _ if scale == Fr::ZERO => Partial::Constant(Fr::ZERO),
            reads => reads,
        },
    )
}

/// The polynomials of gates, and the inputs of native lookups, by name.
fn expressions(cs: &ConstraintSystem<Fr>) -> Vec<(String, bool, &Expression<Fr>)> {
    let gates = cs.gates().iter().flat_map(|gate| {
        gate.polynomials().iter().enumerate().map(|(index, poly)| {
            let name = format!("{}: {}", gate.name(), gate.constraint_name(index));
            (name, true, poly)
        })
    });
    let lookups = cs.lookups().iter().flat_map(|lookup| {
        let inputs = lookup.input_expressions().iter();
        let all = inputs.chain(lookup.table_expressions());
        all.map(|input| (format!("lookup {}", lookup.name()), false, input))
    });
    gates.chain(lookups).collect()
}

/// Everything that is wrong with a circuit of `2^k` rows, synthesized with a witness. Polynomials above
/// `max_degree` count as wrong.
///
/// # Errors
/// If synthesis fails.
pub fn lint<C: Circuit<Fr>>(
    k: u32,
    circuit: &C,
    instance: &[Vec<Fr>],
    max_degree: usize,
) -> Result<BTreeSet<Finding>, Error> {
    let mut cs = ConstraintSystem::default();
    let config = C::configure_with_params(&mut cs, circuit.params());
    let layout = Layout::of(k, &cs, circuit, &config, instance)?;
    let mut findings = statics(&cs, 1 << k, max_degree);
    findings.extend(rows(&cs, &layout));
    Ok(findings)
}

/// What a constraint system of so many rows shows without any assignment.
#[must_use]
pub fn statics(cs: &ConstraintSystem<Fr>, rows: usize, max_degree: usize) -> BTreeSet<Finding> {
    let mut findings = BTreeSet::new();
    for (name, is_gate, expression) in expressions(cs) {
        let degree = expression.degree();
        if is_gate && degree > max_degree {
            findings.insert(Finding::Degree {
                polynomial: name.clone(),
                degree,
            });
        }
        if phases::is_late(expression, is_gate) {
            findings.insert(Finding::Late { polynomial: name });
        }
    }
    let mut seen = HashSet::new();
    let advice = cs
        .advice_queries()
        .iter()
        .map(|(c, r)| ("advice", c.index(), r.0));
    let fixed = cs
        .fixed_queries()
        .iter()
        .map(|(c, r)| ("fixed", c.index(), r.0));
    let instance = cs.instance_queries().iter();
    let instance = instance.map(|(c, r)| ("instance", c.index(), r.0));
    for (kind, column, rotation) in advice.chain(fixed).chain(instance) {
        let place = rotation.rem_euclid(rows as i32);
        let far = !(-WINDOW..=WINDOW).contains(&rotation);
        // An instance column is no commitment: it is evaluated anew at each point.
        let meets = !seen.insert((kind, column, place));
        if meets || far && kind != "instance" {
            findings.insert(Finding::Rotation {
                column: format!("{kind} column {column}"),
                rotation,
            });
        }
    }
    findings.extend(unused(cs));
    findings
}

fn unused(cs: &ConstraintSystem<Fr>) -> Vec<Finding> {
    let copied: HashSet<Column<Any>> = cs.permutation().get_columns().into_iter().collect();
    let mut read: BTreeSet<String> = BTreeSet::new();
    read.extend(
        cs.advice_queries()
            .iter()
            .map(|(c, _)| format!("advice column {}", c.index())),
    );
    read.extend(
        cs.fixed_queries()
            .iter()
            .map(|(c, _)| format!("fixed column {}", c.index())),
    );
    let instance = cs.instance_queries().iter();
    read.extend(instance.map(|(c, _)| format!("instance column {}", c.index())));
    for column in &copied {
        let kind = match column.column_type() {
            Any::Advice(_) => "advice",
            Any::Fixed => "fixed",
            Any::Instance => "instance",
        };
        read.insert(format!("{kind} column {}", column.index()));
    }
    for (_, _, expression) in expressions(cs) {
        read.extend(
            selectors(expression)
                .into_iter()
                .map(|s| format!("selector {}", s.index())),
        );
    }
    let all = [
        ("advice column", cs.num_advice_columns()),
        ("fixed column", cs.num_fixed_columns()),
        ("instance column", cs.num_instance_columns()),
        ("selector", cs.num_selectors()),
    ];
    all.into_iter()
        .flat_map(|(kind, count)| (0..count).map(move |index| format!("{kind} {index}")))
        .filter(|column| !read.contains(column))
        .map(|column| Finding::Unused { column })
        .collect()
}

/// The selectors in an expression.
fn selectors(expression: &Expression<Fr>) -> Vec<Selector> {
    let join = |mut a: Vec<Selector>, b: Vec<Selector>| {
        a.extend(b);
        a
    };
    expression.evaluate(
        &|_| Vec::new(),
        &|s| vec![s],
        &|_| Vec::new(),
        &|_| Vec::new(),
        &|_| Vec::new(),
        &|_| Vec::new(),
        &|a| a,
        &join,
        &join,
        &|a, _| a,
    )
}

/// What an assignment shows, row by row. Rows with the same fixed values are one case.
fn rows(cs: &ConstraintSystem<Fr>, layout: &Layout) -> BTreeSet<Finding> {
    let mut findings = BTreeSet::new();
    let usable = layout.rows - (cs.blinding_factors() + 1);
    let mut constrained: BTreeSet<usize> = BTreeSet::new();
    for (name, is_gate, expression) in expressions(cs) {
        let cases = layout.cases(expression);
        let mut enabled = false;
        let mut unassigned: BTreeMap<usize, usize> = BTreeMap::new();
        for case in cases {
            let first = case[0];
            let fixed = |column, rotation| layout.fixed(column, first, rotation);
            let selector = |selector| layout.is_enabled(selector, first);
            let Partial::Reads(queries) = partial(expression, &fixed, &selector) else {
                continue;
            };
            let (in_use, blinded) = case.split_at(case.partition_point(|row| *row < usable));
            if let Some(row) = blinded.first().filter(|_| is_gate) {
                let polynomial = name.clone();
                findings.insert(Finding::EnabledOnBlinding {
                    polynomial,
                    row: *row,
                });
            }
            if in_use.is_empty() {
                continue;
            }
            enabled = true;
            for query in queries {
                let Query::Advice(column, rotation) = query else {
                    continue;
                };
                constrained.insert(column);
                let cell = |row: &usize| {
                    let place = (*row as i64 + i64::from(rotation)).rem_euclid(layout.rows as i64);
                    (column, place as usize)
                };
                let missing = in_use
                    .iter()
                    .map(cell)
                    .find(|cell| !layout.is_assigned(*cell));
                if let Some((_, row)) = missing {
                    unassigned.entry(column).or_insert(row);
                }
            }
        }
        if !enabled && is_gate {
            let polynomial = name.clone();
            findings.insert(Finding::NeverEnabled { polynomial });
        }
        for (column, row) in unassigned {
            let reader = name.clone();
            findings.insert(Finding::Unassigned {
                reader,
                column,
                row,
            });
        }
    }
    for (column, row) in &layout.copied {
        constrained.insert(*column);
        if !layout.is_assigned((*column, *row)) {
            findings.insert(Finding::Unassigned {
                reader: "a copy".to_owned(),
                column: *column,
                row: *row,
            });
        }
    }
    let free = (0..cs.num_advice_columns()).filter(|column| !constrained.contains(column));
    findings.extend(free.map(|column| Finding::Unconstrained { column }));
    findings
}
