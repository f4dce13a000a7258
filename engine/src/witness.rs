//! Runs a circuit, and commits to its advice columns phase by phase, as halo2 does.

use std::collections::HashMap;
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

/// Runs a circuit once, or once for each phase that it leaves to us.
pub(crate) fn witness<B, C, E, R, T>(
    prepared: &Prepared<B>,
    pk: &ProvingKey<G1Affine>,
    circuit: &C,
    instances: &[&[Fr]],
    rng: &mut R,
    transcript: &mut T,
) -> Result<Witness, Error>
where
    B: Backend,
    C: Circuit<Fr>,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    let cs = pk.get_vk().cs();
    let mut meta = ConstraintSystem::default();
    let config = C::configure_with_params(&mut meta, circuit.params());
    let n = 1 << prepared.k;
    let mut collection = Collection::<'_, B, E, R, T> {
        prepared,
        usable: n - (cs.blinding_factors() + 1),
        phases: phases(cs),
        phase: 0,
        cells: Cells::new(cs.num_advice_columns(), n),
        advice: vec![Vec::new(); cs.num_advice_columns()],
        challenges: HashMap::new(),
        instances,
        rng,
        transcript,
        error: None,
        encoding: PhantomData,
    };
    while collection.phase < collection.phases.len() {
        let constants = cs.constants().clone();
        C::FloorPlanner::synthesize(&mut collection, circuit, config.clone(), constants)?;
        if collection.phase < collection.phases.len() {
            collection.next_phase();
        }
        if let Some(error) = collection.error.take() {
            return Err(error);
        }
    }
    let challenges =
        (0..cs.num_challenges()).map(|index| collection.challenges.get(&index).copied());
    let challenges: Option<Vec<_>> = challenges.collect();
    Ok(Witness {
        challenges: challenges.ok_or(Error::Synthesis)?,
        advice: collection.advice,
    })
}

struct Collection<'a, B: Backend, E, R, T> {
    prepared: &'a Prepared<B>,
    usable: usize,
    phases: Vec<Phase>,
    phase: usize,
    cells: Cells,
    advice: Vec<Vec<Fr>>,
    challenges: HashMap<usize, Fr>,
    instances: &'a [&'a [Fr]],
    rng: &'a mut R,
    transcript: &'a mut T,
    /// The first thing that went wrong where the interface knows no errors.
    error: Option<Error>,
    encoding: PhantomData<E>,
}

impl<B, E, R, T> Collection<'_, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    fn finish_phase(&mut self) -> Result<(), Error> {
        let Some(phase) = self.phases.get(self.phase) else {
            return Ok(());
        };
        if self.phase == 0 {
            for value in self.instances.iter().flat_map(|values| values.iter()) {
                self.transcript.common_scalar(*value)?;
            }
        }
        let mut columns: Vec<Vec<Fr>> = phase
            .columns
            .par_iter()
            .map(|column| evaluate(self.cells.column(*column)))
            .collect();
        for column in &mut columns {
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
            self.challenges.insert(*challenge, value);
        }
        Ok(())
    }
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
        if row >= self.usable {
            return Err(Error::NotEnoughRowsAvailable {
                current_k: self.prepared.k,
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
            if row < self.usable {
                assigned = self.cells.assign(column.index(), row, value);
            }
        });
        if let Some(cell) = assigned {
            return Value::known(cell);
        }
        let error = if known {
            Error::NotEnoughRowsAvailable {
                current_k: self.prepared.k,
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
        let known = self.challenges.get(&challenge.index());
        known.map_or_else(Value::unknown, |value| Value::known(*value))
    }

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn pop_namespace(&mut self, _: Option<String>) {}

    fn next_phase(&mut self) {
        if let Err(error) = self.finish_phase() {
            self.error.get_or_insert(error);
        }
        self.phase += 1;
    }
}
