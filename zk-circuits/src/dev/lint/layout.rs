//! Which cells a circuit writes.

use super::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error,
    Expression, Fixed, FloorPlanner, Fr, HashMap, HashSet, Instance, Selector, Value,
};
use ff::Field;

/// What synthesis left behind.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) rows: usize,
    fixed: Vec<Vec<Fr>>,
    advice: Vec<Vec<bool>>,
    selectors: HashMap<Selector, HashSet<usize>>,
    /// Advice cells that are equal to others.
    pub(super) copied: HashSet<(usize, usize)>,
}

impl Layout {
    /// Synthesizes a circuit, once for each phase.
    pub(super) fn of<C: Circuit<Fr>>(
        k: u32,
        cs: &ConstraintSystem<Fr>,
        circuit: &C,
        config: &C::Config,
        instance: &[Vec<Fr>],
    ) -> Result<Self, Error> {
        let rows = 1 << k;
        let mut recorder = Recorder {
            layout: Self {
                rows,
                fixed: vec![vec![Fr::ZERO; rows]; cs.num_fixed_columns()],
                advice: vec![vec![false; rows]; cs.num_advice_columns()],
                selectors: HashMap::new(),
                copied: HashSet::new(),
            },
            instance,
            phase: 0,
        };
        let phases = cs.advice_column_phase();
        for phase in 0..=phases.into_iter().max().unwrap_or(0) {
            recorder.phase = phase;
            C::FloorPlanner::synthesize(
                &mut recorder,
                circuit,
                config.clone(),
                cs.constants().clone(),
            )?;
        }
        Ok(recorder.layout)
    }

    pub(super) fn fixed(&self, column: usize, row: usize, rotation: i32) -> Fr {
        let row = (row as i64 + i64::from(rotation)).rem_euclid(self.rows as i64);
        self.fixed[column][row as usize]
    }

    pub(super) fn is_enabled(&self, selector: Selector, row: usize) -> bool {
        self.selectors
            .get(&selector)
            .is_some_and(|rows| rows.contains(&row))
    }

    pub(super) fn is_assigned(&self, (column, row): (usize, usize)) -> bool {
        self.advice[column][row]
    }

    /// The rows, ascending, by the values of the fixed columns and selectors that an expression reads.
    pub(super) fn cases(&self, expression: &Expression<Fr>) -> Vec<Vec<usize>> {
        let join = |mut a: Vec<(usize, i32)>, b: Vec<(usize, i32)>| {
            a.extend(b);
            a
        };
        let mut queries = expression.evaluate(
            &|_| Vec::new(),
            &|_| Vec::new(),
            &|q| vec![(q.column_index(), q.rotation().0)],
            &|_| Vec::new(),
            &|_| Vec::new(),
            &|_| Vec::new(),
            &|a| a,
            &join,
            &join,
            &|a, _| a,
        );
        queries.sort_unstable();
        queries.dedup();
        let selectors = super::selectors(expression);
        let mut cases: HashMap<(Vec<Fr>, Vec<bool>), Vec<usize>> = HashMap::new();
        for row in 0..self.rows {
            let fixed = queries.iter().map(|(c, r)| self.fixed(*c, row, *r));
            let on = selectors.iter().map(|s| self.is_enabled(*s, row));
            cases
                .entry((fixed.collect(), on.collect()))
                .or_default()
                .push(row);
        }
        cases.into_values().collect()
    }
}

/// An assignment that remembers where values went.
struct Recorder<'a> {
    layout: Layout,
    instance: &'a [Vec<Fr>],
    phase: u8,
}

impl Assignment<Fr> for Recorder<'_> {
    fn enter_region<NR, N>(&mut self, _: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
    }

    fn annotate_column<A, AR>(&mut self, _: A, _: Column<Any>)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
    }

    fn exit_region(&mut self) {}

    fn enable_selector<A, AR>(&mut self, _: A, selector: &Selector, row: usize) -> Result<(), Error>
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.layout
            .selectors
            .entry(*selector)
            .or_default()
            .insert(row);
        Ok(())
    }

    fn query_instance(&self, column: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        let column = self.instance.get(column.index());
        let value = column.and_then(|values| values.get(row)).copied();
        Ok(value.map_or_else(|| Value::known(Fr::ZERO), Value::known))
    }

    fn assign_advice<'v>(
        &mut self,
        column: Column<Advice>,
        row: usize,
        _: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        if column.column_type().phase() == self.phase
            && let Some(cell) = self.layout.advice[column.index()].get_mut(row)
        {
            *cell = true;
        }
        // What is written does not matter, only where.
        Value::unknown()
    }

    fn assign_fixed(&mut self, column: Column<Fixed>, row: usize, to: Assigned<Fr>) {
        if let Some(cell) = self.layout.fixed[column.index()].get_mut(row) {
            *cell = to.evaluate();
        }
    }

    fn copy(
        &mut self,
        left_column: Column<Any>,
        left_row: usize,
        right_column: Column<Any>,
        right_row: usize,
    ) {
        for (column, row) in [(left_column, left_row), (right_column, right_row)] {
            if let Any::Advice(_) = column.column_type() {
                self.layout.copied.insert((column.index(), row));
            }
        }
    }

    fn fill_from_row(
        &mut self,
        column: Column<Fixed>,
        row: usize,
        to: Value<Assigned<Fr>>,
    ) -> Result<(), Error> {
        let mut value = Fr::ZERO;
        to.map(|to| value = to.evaluate());
        for cell in self.layout.fixed[column.index()].iter_mut().skip(row) {
            *cell = value;
        }
        Ok(())
    }

    fn get_challenge(&self, challenge: Challenge) -> Value<Fr> {
        if challenge.phase() < self.phase {
            Value::known(Fr::from(0x5bd1_e995 + challenge.index() as u64))
        } else {
            Value::unknown()
        }
    }

    fn push_namespace<NR, N>(&mut self, _: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
    }

    fn pop_namespace(&mut self, _: Option<String>) {}
}
