//! Commits to advice columns phase by phase, as halo2 does: those that a circuit assigns when it is run, or
//! columns as they are.

use std::marker::PhantomData;

use ff::{BatchInvert, Field};
use halo2_proofs::circuit::Value;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed,
    FloorPlanner, Instance, ProvingKey, Selector,
};
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;

use crate::commit::{commit_values, write_points};
use crate::key::Prepared;
use crate::packed::Backend;
use crate::prover::part;
use crate::raw::Cells;

/// Advice columns with their blinding rows, and the challenges.
pub(crate) struct Witness {
    pub(crate) advice: Vec<Vec<Fr>>,
    pub(crate) challenges: Vec<Fr>,
}

/// Columns and challenges of each phase.
struct Phase {
    columns: Vec<usize>,
    challenges: Vec<usize>,
}

fn phases(cs: &ConstraintSystem<Fr>) -> Vec<Phase> {
    let (columns, challenges) = (cs.advice_column_phase(), cs.challenge_phase());
    let of = |phases: &[u8], phase: u8| -> Vec<usize> {
        (0..phases.len()).filter(|i| phases[*i] == phase).collect()
    };
    let last = columns.iter().max().copied().unwrap_or(0);
    (0..=last)
        .map(|phase| Phase {
            columns: of(&columns, phase),
            challenges: of(&challenges, phase),
        })
        .collect()
}

/// What advice columns come from.
pub(crate) trait AdviceSource {
    fn commit<B, E, R, T>(
        self,
        prepared: &Prepared<B>,
        pk: &ProvingKey<G1Affine>,
        instances: &[&[Fr]],
        rng: &mut R,
        transcript: &mut T,
    ) -> Result<Witness, Error>
    where
        B: Backend,
        E: EncodedChallenge<G1Affine>,
        R: RngCore,
        T: TranscriptWrite<G1Affine, E>;
}

/// Columns as they are: what gives those of a phase.
pub(crate) struct Given<F>(pub(crate) F);

impl<F> AdviceSource for Given<F>
where
    F: FnMut(usize, &[Vec<Fr>], &[Fr]) -> Result<Vec<Vec<Fr>>, Error>,
{
    fn commit<B, E, R, T>(
        mut self,
        prepared: &Prepared<B>,
        pk: &ProvingKey<G1Affine>,
        instances: &[&[Fr]],
        rng: &mut R,
        transcript: &mut T,
    ) -> Result<Witness, Error>
    where
        B: Backend,
        E: EncodedChallenge<G1Affine>,
        R: RngCore,
        T: TranscriptWrite<G1Affine, E>,
    {
        let mut committed =
            Committed::<'_, B, E, R, T>::new(prepared, pk, instances, rng, transcript);
        while let Some(phase) = committed.phases.get(committed.phase) {
            let count = phase.columns.len();
            let known: Vec<Fr> = committed.challenges.iter().flatten().copied().collect();
            let columns = {
                let _part = part(match committed.phase {
                    0 => "filling columns",
                    _ => "filling columns of later phases",
                });
                (self.0)(committed.phase, &committed.advice, &known)?
            };
            if columns.len() != count || columns.iter().any(|c| c.len() > committed.usable) {
                return Err(Error::Synthesis);
            }
            committed.commit(columns)?;
        }
        committed.finish()
    }
}

/// A circuit, which is run once, or once for each phase that it leaves to us.
pub(crate) struct Run<'a, C>(pub(crate) &'a C);

impl<C: Circuit<Fr>> AdviceSource for Run<'_, C> {
    fn commit<B, E, R, T>(
        self,
        prepared: &Prepared<B>,
        pk: &ProvingKey<G1Affine>,
        instances: &[&[Fr]],
        rng: &mut R,
        transcript: &mut T,
    ) -> Result<Witness, Error>
    where
        B: Backend,
        E: EncodedChallenge<G1Affine>,
        R: RngCore,
        T: TranscriptWrite<G1Affine, E>,
    {
        let circuit = self.0;
        let cs = pk.get_vk().cs();
        let mut meta = ConstraintSystem::default();
        let config = C::configure_with_params(&mut meta, circuit.params());
        let mut collection = Collection {
            committed: Committed::<'_, B, E, R, T>::new(prepared, pk, instances, rng, transcript),
            cells: Cells::new(cs.num_advice_columns(), 1 << prepared.k),
            instances,
            error: None,
        };
        while collection.committed.is_open() {
            let constants = cs.constants().clone();
            C::FloorPlanner::synthesize(&mut collection, circuit, config.clone(), constants)?;
            if collection.committed.is_open() {
                collection.next_phase();
            }
            if let Some(error) = collection.error.take() {
                return Err(error);
            }
        }
        collection.committed.finish()
    }
}

/// What has been committed to.
struct Committed<'a, B: Backend, E, R, T> {
    prepared: &'a Prepared<B>,
    usable: usize,
    phases: Vec<Phase>,
    phase: usize,
    advice: Vec<Vec<Fr>>,
    /// By index, as far as they are known.
    challenges: Vec<Option<Fr>>,
    rng: &'a mut R,
    transcript: &'a mut T,
    /// Public values that the transcript does not have yet.
    public: Vec<Fr>,
    encoding: PhantomData<E>,
}

impl<'a, B, E, R, T> Committed<'a, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    fn new(
        prepared: &'a Prepared<B>,
        pk: &ProvingKey<G1Affine>,
        instances: &[&[Fr]],
        rng: &'a mut R,
        transcript: &'a mut T,
    ) -> Self {
        let cs = pk.get_vk().cs();
        Self {
            prepared,
            usable: (1 << prepared.k) - (cs.blinding_factors() + 1),
            phases: phases(cs),
            phase: 0,
            advice: vec![Vec::new(); cs.num_advice_columns()],
            challenges: vec![None; cs.num_challenges()],
            rng,
            transcript,
            public: instances.concat(),
            encoding: PhantomData,
        }
    }

    /// Whether a phase is left.
    fn is_open(&self) -> bool {
        self.phase < self.phases.len()
    }

    /// Commits to the columns of the next phase, in order of their indices.
    fn commit(&mut self, mut columns: Vec<Vec<Fr>>) -> Result<(), Error> {
        let _part = part("commitments to columns");
        let phase = &self.phases[self.phase];
        self.phase += 1;
        for value in self.public.drain(..) {
            self.transcript.common_scalar(value)?;
        }
        for column in &mut columns {
            column.resize(1 << self.prepared.k, Fr::ZERO);
            for cell in &mut column[self.usable..] {
                *cell = Fr::random(&mut *self.rng);
            }
        }
        // The scheme's commitments are not blinded; halo2 draws a blinding factor all the same.
        for _ in &columns {
            let _ = Fr::random(&mut *self.rng);
        }
        write_points(self.transcript, commit_values(self.prepared, &columns))?;
        for (index, column) in phase.columns.iter().zip(columns) {
            self.advice[*index] = column;
        }
        for challenge in &phase.challenges {
            let value = *self.transcript.squeeze_challenge_scalar::<()>();
            self.challenges[*challenge] = Some(value);
        }
        Ok(())
    }

    fn finish(self) -> Result<Witness, Error> {
        let challenges: Option<Vec<_>> = self.challenges.into_iter().collect();
        Ok(Witness {
            challenges: challenges.ok_or(Error::Synthesis)?,
            advice: self.advice,
        })
    }
}

/// What a circuit that is run assigns to.
struct Collection<'a, B: Backend, E, R, T> {
    committed: Committed<'a, B, E, R, T>,
    cells: Cells,
    instances: &'a [&'a [Fr]],
    /// The first thing that went wrong where the interface knows no errors.
    error: Option<Error>,
}

/// A column's values, with one inversion for all fractions.
fn evaluate(cells: &[Assigned<Fr>]) -> Vec<Fr> {
    let mut denominators: Vec<Fr> = cells.iter().filter_map(Assigned::denominator).collect();
    denominators.iter_mut().batch_invert();
    let mut inverses = denominators.into_iter();
    let value = |cell: &Assigned<Fr>| match cell {
        Assigned::Zero => Fr::ZERO,
        Assigned::Trivial(value) => *value,
        Assigned::Rational(numerator, _) => inverses.next().map_or(Fr::ZERO, |i| i * numerator),
    };
    cells.iter().map(value).collect()
}

impl<B, E, R, T> Assignment<Fr> for Collection<'_, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    fn enter_region<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn exit_region(&mut self) {}

    fn enable_selector<A, AR>(&mut self, _: A, _: &Selector, _: usize) -> Result<(), Error>
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        Ok(())
    }

    fn annotate_column<A, AR>(&mut self, _: A, _: Column<Any>)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
    }

    fn query_instance(&self, column: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        if row >= self.committed.usable {
            return Err(Error::NotEnoughRowsAvailable {
                current_k: self.committed.prepared.k,
            });
        }
        let values = self.instances.get(column.index());
        let value = values.and_then(|values| values.get(row));
        value
            .map(|value| Value::known(*value))
            .ok_or(Error::BoundsFailure)
    }

    fn assign_advice<'v>(
        &mut self,
        column: Column<Advice>,
        row: usize,
        to: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        let mut assigned = None;
        let mut known = false;
        to.map(|value| {
            known = true;
            if row < self.committed.usable {
                assigned = self.cells.assign(column.index(), row, value);
            }
        });
        if let Some(cell) = assigned {
            return Value::known(cell);
        }
        let error = if known {
            Error::NotEnoughRowsAvailable {
                current_k: self.committed.prepared.k,
            }
        } else {
            Error::Synthesis
        };
        self.error.get_or_insert(error);
        Value::unknown()
    }

    fn assign_fixed(&mut self, _: Column<Fixed>, _: usize, _: Assigned<Fr>) {}

    fn copy(&mut self, _: Column<Any>, _: usize, _: Column<Any>, _: usize) {}

    fn fill_from_row(
        &mut self,
        _: Column<Fixed>,
        _: usize,
        _: Value<Assigned<Fr>>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn get_challenge(&self, challenge: Challenge) -> Value<Fr> {
        let known = self.committed.challenges.get(challenge.index());
        let known = known.copied().flatten();
        known.map_or_else(Value::unknown, Value::known)
    }

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn pop_namespace(&mut self, _: Option<String>) {}

    fn next_phase(&mut self) {
        let Some(phase) = self.committed.phases.get(self.committed.phase) else {
            return;
        };
        let columns = phase.columns.par_iter();
        let columns = columns.map(|column| evaluate(self.cells.column(*column)));
        if let Err(error) = self.committed.commit(columns.collect()) {
            self.error.get_or_insert(error);
        }
    }
}
