//! Expressions over columns, shared where they are equal, and compiled into straight-line code.

mod compile;

use std::collections::HashMap;

use ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use self::compile::Compiler;
pub(crate) use self::compile::{Program, Step};
use crate::packed::MAX_PRODUCTS;

/// A column that expressions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    Fixed(usize),
    Advice(usize),
    Instance(usize),
    /// One in the first row only.
    First,
    /// One in the last usable row only.
    Last,
    /// One in usable rows.
    Active,
    /// The point itself.
    Point,
    /// A column of the permutation as the key has it.
    Sigma(usize),
    /// A running product of the permutation.
    Product(usize),
    LookupInput(usize),
    LookupTable(usize),
    LookupProduct(usize),
}

impl Source {
    /// Whether it is the same in all proofs with a key.
    pub(crate) fn is_of_key(self) -> bool {
        matches!(
            self,
            Self::Fixed(_) | Self::First | Self::Last | Self::Active | Self::Point | Self::Sigma(_)
        )
    }
}

/// A node of the graph.
pub(crate) type Id = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    /// An index into the constants.
    Constant(u32),
    Cell(Source, i32),
    Add(Id, Id),
    Sub(Id, Id),
    Mul(Id, Id),
    /// An index into the sums of products.
    Dot(u32),
}

/// Expressions as a graph in which equal ones are the same node.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    known: HashMap<Node, Id>,
    constants: Vec<Fr>,
    constant_ids: HashMap<Fr, u32>,
    /// Pairs of factors, of which the second may be a constant.
    dots: Vec<Vec<(Id, Id)>>,
}

impl Graph {
    fn node(&mut self, node: Node) -> Id {
        let next = self.nodes.len() as Id;
        let id = *self.known.entry(node).or_insert(next);
        if id == next {
            self.nodes.push(node);
        }
        id
    }

    fn value(&self, id: Id) -> Option<Fr> {
        match self.nodes[id as usize] {
            Node::Constant(index) => Some(self.constants[index as usize]),
            _ => None,
        }
    }

    pub(crate) fn constant(&mut self, value: Fr) -> Id {
        let next = self.constants.len() as u32;
        let index = *self.constant_ids.entry(value).or_insert(next);
        if index == next {
            self.constants.push(value);
        }
        self.node(Node::Constant(index))
    }

    pub(crate) fn cell(&mut self, source: Source, rotation: i32) -> Id {
        self.node(Node::Cell(source, rotation))
    }

    pub(crate) fn add(&mut self, a: Id, b: Id) -> Id {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a + b),
            (Some(Fr::ZERO), _) => b,
            (_, Some(Fr::ZERO)) => a,
            _ => self.node(Node::Add(a.min(b), a.max(b))),
        }
    }

    pub(crate) fn sub(&mut self, a: Id, b: Id) -> Id {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a - b),
            (_, Some(Fr::ZERO)) => a,
            _ if a == b => self.constant(Fr::ZERO),
            _ => self.node(Node::Sub(a, b)),
        }
    }

    pub(crate) fn mul(&mut self, a: Id, b: Id) -> Id {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a * b),
            (Some(Fr::ZERO), _) | (_, Some(Fr::ZERO)) => self.constant(Fr::ZERO),
            (Some(Fr::ONE), _) => b,
            (_, Some(Fr::ONE)) => a,
            _ => self.node(Node::Mul(a.min(b), a.max(b))),
        }
    }

    /// An expression of halo2's, with challenges as constants.
    pub(crate) fn expression(&mut self, expression: &Expression<Fr>, challenges: &[Fr]) -> Id {
        match expression {
            Expression::Constant(value) => self.constant(*value),
            // Keys are made of circuits without selectors: keygen turns them into fixed columns.
            Expression::Selector(_) => self.constant(Fr::ZERO),
            Expression::Fixed(query) => {
                self.cell(Source::Fixed(query.column_index()), query.rotation().0)
            }
            Expression::Advice(query) => {
                self.cell(Source::Advice(query.column_index()), query.rotation().0)
            }
            Expression::Instance(query) => {
                self.cell(Source::Instance(query.column_index()), query.rotation().0)
            }
            Expression::Challenge(challenge) => self.constant(challenges[challenge.index()]),
            Expression::Negated(inner) => {
                let inner = self.expression(inner, challenges);
                let zero = self.constant(Fr::ZERO);
                self.sub(zero, inner)
            }
            Expression::Sum(a, b) => {
                let a = self.expression(a, challenges);
                match b.as_ref() {
                    Expression::Negated(b) => {
                        let b = self.expression(b, challenges);
                        self.sub(a, b)
                    }
                    b => {
                        let b = self.expression(b, challenges);
                        self.add(a, b)
                    }
                }
            }
            Expression::Product(a, b) => {
                let a = self.expression(a, challenges);
                let b = self.expression(b, challenges);
                self.mul(a, b)
            }
            Expression::Scaled(a, by) => {
                let a = self.expression(a, challenges);
                let by = self.constant(*by);
                self.mul(a, by)
            }
        }
    }

    /// Terms weighted with descending powers of a challenge, the last with one.
    ///
    /// Terms with the same factor share the multiplication with it, as those of a gate with its selector.
    pub(crate) fn combine(&mut self, terms: &[Id], challenge: Fr) -> Id {
        let mut order: Vec<Option<Id>> = Vec::new();
        let mut groups: HashMap<Option<Id>, Vec<(Id, Fr)>> = HashMap::new();
        let mut power = Fr::ONE;
        for term in terms.iter().rev() {
            let (factor, rest) = self.selected(*term);
            let group = groups.entry(factor).or_default();
            if group.is_empty() {
                order.push(factor);
            }
            group.push((rest, power));
            power *= challenge;
        }
        let one = self.constant(Fr::ONE);
        let mut products = Vec::new();
        for factor in order {
            let terms = groups[&factor].iter();
            let terms = terms.map(|(rest, power)| (*rest, self.constant(*power)));
            let terms = terms.collect();
            let sum = self.dot(terms);
            products.push((sum, factor.unwrap_or(one)));
        }
        self.dot(products)
    }

    /// The sum of products.
    fn dot(&mut self, mut products: Vec<(Id, Id)>) -> Id {
        let mut total = self.constant(Fr::ZERO);
        // A product of constants, or with one, does not need the multiplication.
        let one = self.constant(Fr::ONE);
        products.retain(|(a, b)| {
            let simple = *b == one || (self.value(*a).is_some() && self.value(*b).is_some());
            if simple {
                let product = self.mul(*a, *b);
                total = self.add(total, product);
            }
            !simple
        });
        for products in products.chunks(MAX_PRODUCTS) {
            let products = products.iter().map(|(a, b)| match self.value(*a) {
                Some(_) => (*b, *a),
                None => (*a, *b),
            });
            let products = products.collect();
            let sum = self.node(Node::Dot(self.dots.len() as u32));
            self.dots.push(products);
            total = self.add(total, sum);
        }
        total
    }

    /// A fixed column among the two factors of a term, and the other factor.
    fn selected(&self, term: Id) -> (Option<Id>, Id) {
        let selects = |id: Id| match self.nodes[id as usize] {
            Node::Cell(source, _) => !matches!(source, Source::Advice(_) | Source::Instance(_)),
            _ => false,
        };
        match self.nodes[term as usize] {
            Node::Mul(a, b) if selects(a) => (Some(a), b),
            Node::Mul(a, b) if selects(b) => (Some(b), a),
            _ => (None, term),
        }
    }

    /// Code for one node's value.
    pub(crate) fn compile(&self, root: Id) -> Program {
        Compiler::new(self, root).finish(root)
    }
}

/// The terms of a constraint system's gates.
pub(crate) fn gate_terms(
    graph: &mut Graph,
    cs: &ConstraintSystem<Fr>,
    challenges: &[Fr],
) -> Vec<Id> {
    let polynomials = cs.gates().iter().flat_map(|gate| gate.polynomials());
    polynomials
        .map(|polynomial| graph.expression(polynomial, challenges))
        .collect()
}
