//! A graph as straight-line code with as few registers as values that are needed at the same time.

use std::collections::HashMap;

use halo2curves::bn256::Fr;

use super::{Graph, Id, Node, Source};

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

pub(super) struct Compiler<'a> {
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
    pub(super) fn new(graph: &'a Graph, root: Id) -> Self {
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

    pub(super) fn finish(mut self, root: Id) -> Program {
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
