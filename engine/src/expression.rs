//! Expressions over columns, shared where they are equal, and compiled into straight-line code.

use std::collections::HashMap;

use ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

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

/// A step; registers by number, `to` may be one of the operands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Of a column of the program, rotated.
    Load {
        to: u16,
        column: u16,
        rotation: i32,
    },
    Constant {
        to: u16,
        constant: u32,
    },
    Add {
        to: u16,
        a: u16,
        b: u16,
    },
    /// The subtrahend has bound `2^log`.
    Sub {
        to: u16,
        a: u16,
        b: u16,
        log: u8,
    },
    Mul {
        to: u16,
        a: u16,
        b: u16,
    },
    MulConstant {
        to: u16,
        a: u16,
        constant: u32,
    },
    Reduce {
        to: u16,
        a: u16,
    },
    /// Begins or continues a sum of products.
    Accumulate {
        sum: u16,
        first: bool,
        a: u16,
        b: u16,
    },
    AccumulateConstant {
        sum: u16,
        first: bool,
        a: u16,
        constant: u32,
    },
    /// The sum.
    Total {
        to: u16,
        sum: u16,
    },
}

/// Straight-line code whose result is in a register.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    pub(crate) columns: Vec<Source>,
    pub(crate) constants: Vec<Fr>,
    pub(crate) registers: usize,
    /// Sums of products at the same time.
    pub(crate) sums: usize,
    /// With bound 2.
    pub(crate) result: u16,
}

/// The largest bound of a value, and of a product of bounds.
const LARGEST: u32 = 84;

struct Compiler<'a> {
    graph: &'a Graph,
    program: Program,
    column_ids: HashMap<Source, u16>,
    /// Register and bound of nodes that have been computed and are still needed.
    places: HashMap<Id, (u16, u32)>,
    free: Vec<u16>,
    /// How often each node is still an operand.
    uses: Vec<u32>,
    /// Sums of products that are being made, with their bounds; and those that are free.
    open: Vec<(u16, u32)>,
    free_sums: Vec<u16>,
}

/// What is to be done next.
#[derive(Clone, Copy)]
enum Task {
    Visit(Id),
    Emit(Id),
    Open,
    Accumulate(Id, Id),
}

impl<'a> Compiler<'a> {
    fn new(graph: &'a Graph, root: Id) -> Self {
        let mut uses = vec![0; graph.nodes.len()];
        uses[root as usize] = 1;
        // Operands come before their nodes.
        for id in (0..=root as usize).rev() {
            if uses[id] == 0 {
                continue;
            }
            match graph.nodes[id] {
                Node::Constant(_) | Node::Cell(..) => (),
                Node::Dot(index) => {
                    for (a, b) in &graph.dots[index as usize] {
                        uses[*a as usize] += 1;
                        if graph.value(*b).is_none() {
                            uses[*b as usize] += 1;
                        }
                    }
                }
                Node::Add(a, b) | Node::Sub(a, b) | Node::Mul(a, b) => {
                    uses[a as usize] += 1;
                    uses[b as usize] += 1;
                }
            }
        }
        Self {
            graph,
            program: Program {
                steps: Vec::new(),
                columns: Vec::new(),
                constants: graph.constants.clone(),
                registers: 0,
                sums: 0,
                result: 0,
            },
            column_ids: HashMap::new(),
            places: HashMap::new(),
            free: Vec::new(),
            uses,
            open: Vec::new(),
            free_sums: Vec::new(),
        }
    }

    fn finish(mut self, root: Id) -> Program {
        // Depth first, so that values are used soon after they are made.
        let mut stack = vec![Task::Visit(root)];
        while let Some(task) = stack.pop() {
            match task {
                Task::Visit(id) if self.places.contains_key(&id) => (),
                Task::Visit(id) => {
                    stack.push(Task::Emit(id));
                    match self.graph.nodes[id as usize] {
                        Node::Constant(_) | Node::Cell(..) => (),
                        Node::Add(a, b) | Node::Sub(a, b) => {
                            stack.extend([Task::Visit(b), Task::Visit(a)]);
                        }
                        Node::Mul(a, b) => {
                            let factors = [b, a].into_iter();
                            let factors = factors.filter(|id| self.graph.value(*id).is_none());
                            stack.extend(factors.map(Task::Visit));
                        }
                        Node::Dot(index) => {
                            for (a, b) in self.graph.dots[index as usize].iter().rev() {
                                stack.push(Task::Accumulate(*a, *b));
                                stack.push(Task::Visit(*a));
                                if self.graph.value(*b).is_none() {
                                    stack.push(Task::Visit(*b));
                                }
                            }
                            stack.push(Task::Open);
                        }
                    }
                }
                Task::Emit(id) if self.places.contains_key(&id) => (),
                Task::Emit(id) => self.emit(id),
                Task::Open => {
                    let sum = self.free_sums.pop().unwrap_or_else(|| {
                        self.program.sums += 1;
                        (self.program.sums - 1) as u16
                    });
                    self.open.push((sum, 0));
                }
                Task::Accumulate(a, b) => self.accumulate(a, b),
            }
        }
        let (register, bound) = self.places[&root];
        if bound > 2 {
            self.program.steps.push(Step::Reduce {
                to: register,
                a: register,
            });
        }
        self.program.result = register;
        self.program
    }

    fn register(&mut self) -> u16 {
        self.free.pop().unwrap_or_else(|| {
            self.program.registers += 1;
            (self.program.registers - 1) as u16
        })
    }

    /// One use less; the register may be the result's.
    fn release(&mut self, id: Id) {
        self.uses[id as usize] -= 1;
        if self.uses[id as usize] == 0
            && let Some((register, _)) = self.places.remove(&id)
        {
            self.free.push(register);
        }
    }

    fn reduce(&mut self, id: Id) {
        if let Some((register, bound)) = self.places.get_mut(&id)
            && *bound > 2
        {
            *bound = 2;
            self.program.steps.push(Step::Reduce {
                to: *register,
                a: *register,
            });
        }
    }

    fn bound(&self, id: Id) -> u32 {
        self.places[&id].1
    }

    /// Adds a product to the sum that was opened last.
    fn accumulate(&mut self, a: Id, b: Id) {
        let Some((sum, bound)) = self.open.last().copied() else {
            return;
        };
        let first = bound == 0;
        // So that the bound of a sum of as many products as there may be is not too large.
        let constant = self.graph.value(b).is_some();
        let bound_of_b = if constant { 1 } else { self.bound(b) };
        if self.bound(a) * bound_of_b > LARGEST / 4 {
            self.reduce(a);
            if !constant {
                self.reduce(b);
            }
        }
        let (a_place, a_bound) = self.places[&a];
        let (step, added) = match self.graph.nodes[b as usize] {
            Node::Constant(constant) => {
                let step = Step::AccumulateConstant {
                    sum,
                    first,
                    a: a_place,
                    constant,
                };
                (step, a_bound)
            }
            _ => {
                let (b_place, b_bound) = self.places[&b];
                let step = Step::Accumulate {
                    sum,
                    first,
                    a: a_place,
                    b: b_place,
                };
                self.release(b);
                (step, a_bound * b_bound)
            }
        };
        self.program.steps.push(step);
        self.release(a);
        if let Some((_, bound)) = self.open.last_mut() {
            *bound += added;
        }
    }

    fn emit(&mut self, id: Id) {
        let (step, bound) = match self.graph.nodes[id as usize] {
            Node::Constant(constant) => {
                let to = self.register();
                self.program.steps.push(Step::Constant { to, constant });
                self.places.insert(id, (to, 1));
                return;
            }
            Node::Cell(source, rotation) => {
                let next = self.column_ids.len() as u16;
                let column = *self.column_ids.entry(source).or_insert(next);
                if column == next {
                    self.program.columns.push(source);
                }
                let to = self.register();
                self.program.steps.push(Step::Load {
                    to,
                    column,
                    rotation,
                });
                self.places.insert(id, (to, 2));
                return;
            }
            Node::Dot(_) => {
                let Some((sum, bound)) = self.open.pop() else {
                    return;
                };
                self.free_sums.push(sum);
                let to = self.register();
                (Step::Total { to, sum }, bound / LARGEST + 2)
            }
            Node::Add(a, b) => {
                if self.bound(a) + self.bound(b) > LARGEST / 2 {
                    self.reduce(a);
                    self.reduce(b);
                }
                let bound = self.bound(a) + self.bound(b);
                let (x, y) = (self.places[&a].0, self.places[&b].0);
                self.release(a);
                self.release(b);
                let to = self.register();
                (Step::Add { to, a: x, b: y }, bound)
            }
            Node::Sub(a, b) => {
                if self.bound(b) > 8 {
                    self.reduce(b);
                }
                if self.bound(a) > LARGEST / 2 - 8 {
                    self.reduce(a);
                }
                let log = self.bound(b).next_power_of_two().ilog2();
                let bound = self.bound(a) + (1 << log);
                let (x, y) = (self.places[&a].0, self.places[&b].0);
                self.release(a);
                self.release(b);
                let to = self.register();
                let step = Step::Sub {
                    to,
                    a: x,
                    b: y,
                    log: log as u8,
                };
                (step, bound)
            }
            Node::Mul(a, b) => {
                let constant = match (self.graph.nodes[a as usize], self.graph.nodes[b as usize]) {
                    (Node::Constant(constant), _) => Some((b, constant)),
                    (_, Node::Constant(constant)) => Some((a, constant)),
                    _ => None,
                };
                if let Some((operand, constant)) = constant {
                    let x = self.places[&operand].0;
                    self.release(operand);
                    let to = self.register();
                    (Step::MulConstant { to, a: x, constant }, 2)
                } else {
                    if self.bound(a) * self.bound(b) > LARGEST {
                        let larger = if self.bound(a) > self.bound(b) { a } else { b };
                        self.reduce(larger);
                    }
                    if self.bound(a) * self.bound(b) > LARGEST {
                        self.reduce(a);
                        self.reduce(b);
                    }
                    let (x, y) = (self.places[&a].0, self.places[&b].0);
                    self.release(a);
                    self.release(b);
                    let to = self.register();
                    (Step::Mul { to, a: x, b: y }, 2)
                }
            }
        };
        let to = match step {
            Step::Load { to, .. }
            | Step::Constant { to, .. }
            | Step::Add { to, .. }
            | Step::Sub { to, .. }
            | Step::Mul { to, .. }
            | Step::MulConstant { to, .. }
            | Step::Reduce { to, .. }
            | Step::Total { to, .. } => to,
            // Sums are not values of nodes.
            Step::Accumulate { .. } | Step::AccumulateConstant { .. } => return,
        };
        self.program.steps.push(step);
        self.places.insert(id, (to, bound));
    }
}
