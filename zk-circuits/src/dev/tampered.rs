//! One altered cell in any circuit, without touching the circuit.
//!
//! [`Tampered`] synthesizes a circuit through a floor planner that changes one value on its way into the
//! constraint system. What the circuit goes on with is the value before: it does not notice. So the altered
//! cell contradicts everything that was computed from the cell. `MockProver`, key generation and
//! `create_proof` see the same circuit otherwise, in all phases.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ff::Field;
use halo2_proofs::circuit::layouter::SyncDeps;
use halo2_proofs::circuit::{Layouter, Value};
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed,
    FloorPlanner, Instance, Selector,
};

/// What becomes of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// One more.
    Increment,
    /// Zero.
    Zero,
    /// Its negative.
    Negate,
    /// Twice as much.
    Double,
    /// This number.
    Set(u64),
}

impl Alteration {
    /// Every one; the numbers are those at the edges of words.
    pub const ALL: [Self; 6] = [
        Self::Increment,
        Self::Zero,
        Self::Negate,
        Self::Double,
        Self::Set(1 << 32),
        Self::Set(u64::MAX),
    ];

    /// The altered value.
    #[must_use]
    pub fn apply<F: Field>(self, value: F) -> F {
        match self {
            Self::Increment => value + F::ONE,
            Self::Zero => F::ZERO,
            Self::Negate => -value,
            Self::Double => value.double(),
            Self::Set(number) => (0..64).rev().fold(F::ZERO, |sum, bit| {
                let sum = sum.double();
                if number >> bit & 1 == 1 {
                    sum + F::ONE
                } else {
                    sum
                }
            }),
        }
    }
}

/// Which cell, by the index of its advice column and its row, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tamper {
    /// Index of the advice column.
    pub column: usize,
    /// Row of the circuit.
    pub row: usize,
    /// What becomes of its value.
    pub alteration: Alteration,
}

/// A circuit of which one cell is altered, or none.
#[derive(Clone, Debug)]
pub struct Tampered<C> {
    circuit: C,
    tamper: Option<Tamper>,
    altered: Arc<AtomicUsize>,
}

impl<C> Tampered<C> {
    /// The circuit, with one cell altered.
    #[must_use]
    pub fn new(circuit: C, tamper: Tamper) -> Self {
        Self {
            tamper: Some(tamper),
            ..Self::untouched(circuit)
        }
    }

    /// The circuit as it is.
    #[must_use]
    pub fn untouched(circuit: C) -> Self {
        Self {
            circuit,
            tamper: None,
            altered: Arc::default(),
        }
    }

    /// How often a value was altered: 0 if nothing is assigned to the cell, or its value did not change.
    #[must_use]
    pub fn altered(&self) -> usize {
        self.altered.load(Ordering::Relaxed)
    }
}

thread_local! {
    /// What the circuit that is synthesized on this thread alters.
    static CURRENT: RefCell<Option<(Tamper, Arc<AtomicUsize>)>> = const { RefCell::new(None) };
}

/// Alters while it lives.
struct Altering(Option<(Tamper, Arc<AtomicUsize>)>);

impl Altering {
    fn begin(tamper: Option<Tamper>, altered: &Arc<AtomicUsize>) -> Self {
        let current = tamper.map(|tamper| (tamper, Arc::clone(altered)));
        Self(CURRENT.with(|c| c.replace(current)))
    }
}

impl Drop for Altering {
    fn drop(&mut self) {
        CURRENT.with(|c| c.replace(self.0.take()));
    }
}

impl<F: Field, C: Circuit<F>> Circuit<F> for Tampered<C> {
    type Config = C::Config;
    type FloorPlanner = TamperingPlanner<C::FloorPlanner>;
    type Params = C::Params;

    fn without_witnesses(&self) -> Self {
        Self::untouched(self.circuit.without_witnesses())
    }

    fn params(&self) -> C::Params {
        self.circuit.params()
    }

    fn configure(cs: &mut ConstraintSystem<F>) -> C::Config {
        C::configure(cs)
    }

    fn configure_with_params(cs: &mut ConstraintSystem<F>, params: C::Params) -> C::Config {
        C::configure_with_params(cs, params)
    }

    fn synthesize(&self, config: C::Config, layouter: impl Layouter<F>) -> Result<(), Error> {
        let _altering = Altering::begin(self.tamper, &self.altered);
        self.circuit.synthesize(config, layouter)
    }
}

/// The floor planner of a tampered circuit: another one's, over an altered assignment.
#[derive(Debug)]
pub struct TamperingPlanner<P>(PhantomData<P>);

impl<P: FloorPlanner> FloorPlanner for TamperingPlanner<P> {
    fn synthesize<F: Field, CS: Assignment<F> + SyncDeps, C: Circuit<F>>(
        cs: &mut CS,
        circuit: &C,
        config: C::Config,
        constants: Vec<Column<Fixed>>,
    ) -> Result<(), Error> {
        P::synthesize(&mut Altered(cs), circuit, config, constants)
    }
}

/// Passes everything on, but for one value.
struct Altered<'a, CS>(&'a mut CS);

impl<F: Field, CS: Assignment<F>> Assignment<F> for Altered<'_, CS> {
    fn enter_region<NR: Into<String>, N: FnOnce() -> NR>(&mut self, name: N) {
        self.0.enter_region(name);
    }

    fn annotate_column<A: FnOnce() -> AR, AR: Into<String>>(
        &mut self,
        annotation: A,
        column: Column<Any>,
    ) {
        self.0.annotate_column(annotation, column);
    }

    fn exit_region(&mut self) {
        self.0.exit_region();
    }

    fn enable_selector<A: FnOnce() -> AR, AR: Into<String>>(
        &mut self,
        annotation: A,
        selector: &Selector,
        row: usize,
    ) -> Result<(), Error> {
        self.0.enable_selector(annotation, selector, row)
    }

    fn query_instance(&self, column: Column<Instance>, row: usize) -> Result<Value<F>, Error> {
        self.0.query_instance(column, row)
    }

    fn assign_advice<'v>(
        &mut self,
        column: Column<Advice>,
        row: usize,
        to: Value<Assigned<F>>,
    ) -> Value<&'v Assigned<F>> {
        let current = CURRENT.with(|c| c.borrow().clone());
        let here = current.filter(|(t, _)| (t.column, t.row) == (column.index(), row));
        let Some((tamper, altered)) = here else {
            return self.0.assign_advice(column, row, to);
        };
        let value = to.map(|value| {
            let honest = value.evaluate();
            let other = tamper.alteration.apply(honest);
            altered.fetch_add(usize::from(other != honest), Ordering::Relaxed);
            Assigned::Trivial(other)
        });
        let _ = self.0.assign_advice(column, row, value);
        // halo2 wants a reference that outlives the assignment; it is one value for each tampering.
        to.map(|value| &*Box::leak(Box::new(value)))
    }

    fn assign_fixed(&mut self, column: Column<Fixed>, row: usize, to: Assigned<F>) {
        self.0.assign_fixed(column, row, to);
    }

    fn copy(&mut self, left: Column<Any>, left_row: usize, right: Column<Any>, right_row: usize) {
        self.0.copy(left, left_row, right, right_row);
    }

    fn fill_from_row(
        &mut self,
        column: Column<Fixed>,
        row: usize,
        to: Value<Assigned<F>>,
    ) -> Result<(), Error> {
        self.0.fill_from_row(column, row, to)
    }

    fn get_challenge(&self, challenge: Challenge) -> Value<F> {
        self.0.get_challenge(challenge)
    }

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, name: N) {
        self.0.push_namespace(name);
    }

    fn pop_namespace(&mut self, name: Option<String>) {
        self.0.pop_namespace(name);
    }

    fn next_phase(&mut self) {
        self.0.next_phase();
    }
}
