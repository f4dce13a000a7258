//! The proof, in halo2's order.

use std::collections::HashMap;

use ff::Field;
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Error, ProvingKey};
use halo2_proofs::poly::Rotation;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;
use tracing::span::EnteredSpan;

use crate::commit::{commit_coefficients, write_points};
use crate::expression::{Graph, Program, Source, gate_terms};
use crate::fft::Input;
use crate::key::{EngineKey, OnBackend, Prepared};
use crate::open::{Query, combine, evaluate, open};
use crate::openings::{Opening, Openings};
use crate::packed::Backend;
use crate::raw::Raw;
use crate::witness::{AdviceSource, Given, Run};
use crate::{lookup, permutation, quotient};

/// Makes a proof of a circuit: what `halo2_proofs::plonk::create_proof` does with SHPLONK, for one circuit.
///
/// Blinding is drawn from `rng` in the same order as there. So is the vanishing argument's random polynomial, which
/// halo2 draws from generators of its threads: 64 bytes for each row, so `rng` should not be slow.
///
/// # Errors
/// As there; also [`Error::Opening`] if the engine's key was made for another proving key.
pub fn create_proof<C, E, R, T>(
    key: &EngineKey,
    pk: &ProvingKey<G1Affine>,
    circuit: &C,
    instances: &[&[Fr]],
    mut rng: R,
    transcript: &mut T,
) -> Result<(), Error>
where
    C: Circuit<Fr>,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    let advice = Run(circuit);
    prove_on(key, pk, advice, instances, &mut rng, transcript)
}

/// As [`create_proof`], of a circuit whose advice columns are there already.
///
/// `columns` is called with the number of each phase, all advice columns, those of earlier phases with their blinding
/// and the others empty, and the challenges of earlier phases in order of their indices. It returns the columns of the
/// phase in order of their indices: values of the usable rows, of which the last may be left out if they are zero.
///
/// # Errors
/// As there; also what `columns` returns, and [`Error::Synthesis`] if a column is missing or too long.
pub fn create_proof_with_columns<F, E, R, T>(
    key: &EngineKey,
    pk: &ProvingKey<G1Affine>,
    columns: F,
    instances: &[&[Fr]],
    mut rng: R,
    transcript: &mut T,
) -> Result<(), Error>
where
    F: FnMut(usize, &[Vec<Fr>], &[Fr]) -> Result<Vec<Vec<Fr>>, Error>,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    let advice = Given(columns);
    prove_on(key, pk, advice, instances, &mut rng, transcript)
}

/// On the key's backend.
fn prove_on<E: EncodedChallenge<G1Affine>>(
    key: &EngineKey,
    pk: &ProvingKey<G1Affine>,
    advice: impl AdviceSource,
    instances: &[&[Fr]],
    rng: &mut impl RngCore,
    transcript: &mut impl TranscriptWrite<G1Affine, E>,
) -> Result<(), Error> {
    match &key.0 {
        #[cfg(target_arch = "x86_64")]
        OnBackend::Avx512(prepared) => prove(prepared, pk, advice, instances, rng, transcript),
        OnBackend::Portable(prepared) => prove(prepared, pk, advice, instances, rng, transcript),
    }
}

/// Columns by their values.
pub(crate) struct Values<'a> {
    fixed: Vec<&'a [Fr]>,
    advice: &'a [Vec<Fr>],
    instance: &'a [Vec<Fr>],
}

impl Values<'_> {
    /// Only columns of the circuit are asked for.
    pub(crate) fn column(&self, source: Source) -> &[Fr] {
        match source {
            Source::Fixed(index) => self.fixed[index],
            Source::Advice(index) => &self.advice[index],
            Source::Instance(index) => &self.instance[index],
            _ => &[],
        }
    }
}

fn std_input(polynomial: &[Fr]) -> Input<'_> {
    Input::Std(Fr::as_words(polynomial))
}

fn prove<B, E, R, T>(
    prepared: &Prepared<B>,
    pk: &ProvingKey<G1Affine>,
    advice: impl AdviceSource,
    instances: &[&[Fr]],
    rng: &mut R,
    transcript: &mut T,
) -> Result<(), Error>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    let vk = pk.get_vk();
    let (cs, domain) = (vk.cs(), vk.get_domain());
    let n = 1usize << prepared.k;
    if vk.transcript_repr() != prepared.id || domain.k() != prepared.k {
        return Err(Error::Opening);
    }
    if instances.len() != cs.num_instance_columns() {
        return Err(Error::InvalidInstances);
    }
    let usable = n - (cs.blinding_factors() + 1);
    if instances.iter().any(|values| values.len() > usable) {
        return Err(Error::InstanceTooLarge);
    }
    vk.hash_into(transcript)?;
    let witness = advice.commit(prepared, pk, instances, rng, transcript)?;
    let challenges = witness.challenges;
    let instance: Vec<Vec<Fr>> = instances
        .iter()
        .map(|values| {
            let mut values = values.to_vec();
            values.resize(n, Fr::ZERO);
            values
        })
        .collect();
    let values = Values {
        fixed: pk
            .fixed_values()
            .iter()
            .map(|column| column.values())
            .collect(),
        advice: &witness.advice,
        instance: &instance,
    };

    let (theta, both, lookups, products, lookup_products) = {
        let _part = part("lookups and permutations");
        let theta = *transcript.squeeze_challenge_scalar::<()>();
        let lookups = lookup::commit(prepared, pk, &values, &challenges, theta, rng, transcript)?;
        let beta = *transcript.squeeze_challenge_scalar::<()>();
        let gamma = *transcript.squeeze_challenge_scalar::<()>();
        let both = (beta, gamma);
        let products = permutation::commit(prepared, pk, &values, both, rng, transcript)?;
        let lookup_products =
            lookup::commit_products(prepared, cs, &lookups, both, rng, transcript)?;
        (theta, both, lookups, products, lookup_products)
    };
    let random: Vec<Fr> = {
        let _part = part("random polynomial");
        let random: Vec<Fr> = (0..n).map(|_| Fr::random(&mut *rng)).collect();
        // A blinding factor that the scheme does not use.
        let _ = Fr::random(&mut *rng);
        let commitment = commit_coefficients(prepared, &[std_input(&random)]);
        write_points(transcript, commitment)?;
        random
    };
    let y = *transcript.squeeze_challenge_scalar::<()>();

    // Values are not needed any more, and coefficients take their place.
    let interpolating = part("interpolation");
    let instance = prepared.coefficients(instance);
    let advice = prepared.coefficients(witness.advice);
    let (input, table): (Vec<_>, Vec<_>) = lookups.into_iter().map(|l| (l.input, l.table)).unzip();
    let input = prepared.coefficients(input);
    let table = prepared.coefficients(table);
    let products = prepared.coefficients(products);
    let lookup_products = prepared.coefficients(lookup_products);
    drop(interpolating);
    let polynomial = |source: Source| match source {
        Source::Fixed(index) => std_input(pk.fixed_polys()[index].values()),
        Source::Advice(index) => Input::Work(&advice[index]),
        Source::Instance(index) => Input::Work(&instance[index]),
        Source::First => std_input(pk.l0().values()),
        Source::Last => std_input(pk.l_last().values()),
        Source::Active => std_input(pk.l_active_row().values()),
        Source::Sigma(index) => std_input(pk.permutation().polys()[index].values()),
        Source::Product(index) => Input::Work(&products[index]),
        Source::LookupInput(index) => Input::Work(&input[index]),
        Source::LookupTable(index) => Input::Work(&table[index]),
        Source::LookupProduct(index) => Input::Work(&lookup_products[index]),
        // Not a column, and never asked for.
        Source::Point => Input::Work(&[]),
    };

    let program = program_of(cs, &challenges, theta, both, y);
    let pieces = quotient::quotient(prepared, &program, polynomial);
    for _ in &pieces {
        let _ = Fr::random(&mut *rng);
    }
    let inputs: Vec<_> = pieces.iter().map(|piece| Input::Work(piece)).collect();
    {
        let _part = part("commitments to the quotient");
        write_points(transcript, commit_coefficients(prepared, &inputs))?;
    }

    let evaluating = part("evaluations");
    let x = *transcript.squeeze_challenge_scalar::<()>();
    let powers = std::iter::successors(Some(Fr::ONE), |power| Some(*power * x.pow([n as u64])));
    let terms: Vec<_> = inputs.iter().copied().zip(powers).collect();
    let h = combine::<B>(&terms, n);
    drop(terms);
    drop(inputs);
    drop(pieces);
    let openings = Openings::of(
        cs,
        pk.permutation().polys().len(),
        products.len(),
        lookup_products.len(),
    );
    let input_of = |opening: Opening| match opening {
        Opening::Of(source, rotation) => (
            polynomial(source),
            domain.rotate_omega(x, Rotation(rotation)),
        ),
        Opening::Random => (std_input(&random), x),
        Opening::Quotient => (Input::Work(&h), x),
    };
    let value_of = |opening: &Opening| {
        let (polynomial, point) = input_of(*opening);
        evaluate::<B>(polynomial, point)
    };
    let values: Vec<Fr> = openings.written.par_iter().map(value_of).collect();
    for value in &values {
        transcript.write_scalar(*value)?;
    }
    drop(evaluating);

    let _part = part("opening");
    let known: HashMap<Opening, Fr> = openings.written.into_iter().zip(values).collect();
    let mut ids = HashMap::new();
    let queries: Vec<Query<'_>> = openings
        .queried
        .into_iter()
        .map(|opening| {
            let (polynomial, point) = input_of(opening);
            let next = ids.len();
            let id = *ids.entry(opening.polynomial()).or_insert(next);
            let value = known.get(&opening).copied();
            Query {
                id,
                polynomial,
                point,
                value: value.unwrap_or_else(|| evaluate::<B>(polynomial, point)),
            }
        })
        .collect();
    open(prepared, transcript, &queries)
}

/// All constraints, combined by powers of `y`.
fn program_of(
    cs: &ConstraintSystem<Fr>,
    challenges: &[Fr],
    theta: Fr,
    (beta, gamma): (Fr, Fr),
    y: Fr,
) -> Program {
    let mut graph = Graph::default();
    let mut terms = gate_terms(&mut graph, cs, challenges);
    terms.extend(permutation::terms(&mut graph, cs, beta, gamma));
    let of_lookups = [theta, beta, gamma];
    terms.extend(lookup::terms(&mut graph, cs, challenges, of_lookups));
    let root = graph.combine(&terms, y);
    graph.compile(root)
}

/// A part of a proof, for those who watch where time goes: benches/profile.rs of the workspace.
pub fn part(name: &'static str) -> EnteredSpan {
    tracing::trace_span!("part", name).entered()
}
