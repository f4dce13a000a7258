//! The proof, in halo2's order.

use ff::Field;
use halo2_proofs::plonk::{Circuit, Error, ProvingKey};
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;
use tracing::span::EnteredSpan;

use crate::commit::{commit_coefficients, write_points};
use crate::expression::{Graph, Source, gate_terms};
use crate::fft::Input;
use crate::key::{EngineKey, OnBackend, Prepared};
use crate::open::{Query, combine, evaluate, open};
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

    let part = self::part("lookups and permutations");
    let theta = *transcript.squeeze_challenge_scalar::<()>();
    let lookups = lookup::commit(prepared, pk, &values, &challenges, theta, rng, transcript)?;
    let beta = *transcript.squeeze_challenge_scalar::<()>();
    let gamma = *transcript.squeeze_challenge_scalar::<()>();
    let both = (beta, gamma);
    let products = permutation::commit(prepared, pk, &values, both, rng, transcript)?;
    let lookup_products = lookup::commit_products(prepared, cs, &lookups, both, rng, transcript)?;

    drop(part);

    let random_part = self::part("random polynomial");
    let random: Vec<Fr> = (0..n).map(|_| Fr::random(&mut *rng)).collect();
    // A blinding factor that the scheme does not use.
    let _ = Fr::random(&mut *rng);
    let commitment = commit_coefficients(prepared, &[std_input(&random)]);
    write_points(transcript, commitment)?;
    drop(random_part);
    let y = *transcript.squeeze_challenge_scalar::<()>();

    let part = self::part("interpolation");
    // Values are not needed any more, and coefficients take their place.
    let instance = prepared.coefficients(instance);
    let advice = prepared.coefficients(witness.advice);
    let (input, table): (Vec<_>, Vec<_>) = lookups.into_iter().map(|l| (l.input, l.table)).unzip();
    let input = prepared.coefficients(input);
    let table = prepared.coefficients(table);
    let products = prepared.coefficients(products);
    let lookup_products = prepared.coefficients(lookup_products);
    drop(part);
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

    let program = {
        let mut graph = Graph::default();
        let mut terms = gate_terms(&mut graph, cs, &challenges);
        terms.extend(permutation::terms(&mut graph, cs, beta, gamma));
        terms.extend(lookup::terms(
            &mut graph,
            cs,
            &challenges,
            [theta, beta, gamma],
        ));
        let root = graph.combine(&terms, y);
        graph.compile(root)
    };
    let pieces = quotient::quotient(prepared, &program, polynomial);
    for _ in &pieces {
        let _ = Fr::random(&mut *rng);
    }
    let part = self::part("commitments to the quotient");
    let inputs: Vec<_> = pieces.iter().map(|piece| Input::Work(piece)).collect();
    write_points(transcript, commit_coefficients(prepared, &inputs))?;
    drop(part);

    let part = self::part("evaluations");
    let x = *transcript.squeeze_challenge_scalar::<()>();
    let powers = std::iter::successors(Some(Fr::ONE), |power| Some(*power * x.pow([n as u64])));
    let terms: Vec<_> = inputs.iter().copied().zip(powers).collect();
    let h = combine::<B>(&terms, n);
    drop(terms);
    drop(inputs);
    drop(pieces);

    // What is opened, in the order in which values are written.
    let at = |rotation: i32| domain.rotate_omega(x, halo2_proofs::poly::Rotation(rotation));
    let opening = |source: Source, rotation: i32| Opening::Of(source, rotation);
    let advice_openings: Vec<_> = (cs.advice_queries().iter())
        .map(|(column, rotation)| opening(Source::Advice(column.index()), rotation.0))
        .collect();
    let fixed_openings: Vec<_> = (cs.fixed_queries().iter())
        .map(|(column, rotation)| opening(Source::Fixed(column.index()), rotation.0))
        .collect();
    let sigma_openings: Vec<_> = (0..pk.permutation().polys().len())
        .map(|index| opening(Source::Sigma(index), 0))
        .collect();
    let end = -(cs.blinding_factors() as i32 + 1);
    let sets = products.len();
    let mut product_openings = Vec::new();
    for set in 0..sets {
        product_openings.push(opening(Source::Product(set), 0));
        product_openings.push(opening(Source::Product(set), 1));
        if set + 1 < sets {
            product_openings.push(opening(Source::Product(set), end));
        }
    }
    let mut lookup_openings = Vec::new();
    for lookup in 0..lookup_products.len() {
        lookup_openings.extend([
            opening(Source::LookupProduct(lookup), 0),
            opening(Source::LookupProduct(lookup), 1),
            opening(Source::LookupInput(lookup), 0),
            opening(Source::LookupInput(lookup), -1),
            opening(Source::LookupTable(lookup), 0),
        ]);
    }
    let written: Vec<Opening> = advice_openings
        .iter()
        .chain(&fixed_openings)
        .chain(&[Opening::Random])
        .chain(&sigma_openings)
        .chain(&product_openings)
        .chain(&lookup_openings)
        .copied()
        .collect();
    let input_of = |opening: Opening| match opening {
        Opening::Of(source, rotation) => (polynomial(source), at(rotation)),
        Opening::Random => (std_input(&random), x),
        Opening::Quotient => (Input::Work(&h), x),
    };
    let values: Vec<Fr> = written
        .par_iter()
        .map(|opening| {
            let (polynomial, point) = input_of(*opening);
            evaluate::<B>(polynomial, point)
        })
        .collect();
    for value in &values {
        transcript.write_scalar(*value)?;
    }

    drop(part);

    // The order of halo2's queries, in which running products' last rows come after the others, last set
    // first, and lookups' rotations after their unrotated columns.
    let mut order: Vec<Opening> = advice_openings;
    for set in 0..sets {
        order.extend([
            opening(Source::Product(set), 0),
            opening(Source::Product(set), 1),
        ]);
    }
    order.extend(
        (0..sets.saturating_sub(1))
            .rev()
            .map(|set| opening(Source::Product(set), end)),
    );
    for lookup in 0..lookup_products.len() {
        order.extend([
            opening(Source::LookupProduct(lookup), 0),
            opening(Source::LookupInput(lookup), 0),
            opening(Source::LookupTable(lookup), 0),
            opening(Source::LookupInput(lookup), -1),
            opening(Source::LookupProduct(lookup), 1),
        ]);
    }
    order.extend(fixed_openings);
    order.extend(sigma_openings);
    order.extend([Opening::Quotient, Opening::Random]);

    let known: std::collections::HashMap<Opening, Fr> = written.into_iter().zip(values).collect();
    let mut ids = std::collections::HashMap::new();
    let queries: Vec<Query<'_>> = order
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
    let _part = self::part("opening");
    open(prepared, transcript, &queries)
}

/// A part of a proof, for those who watch where time goes: benches/profile.rs of the workspace.
pub fn part(name: &'static str) -> EnteredSpan {
    tracing::trace_span!("part", name).entered()
}

/// A value of a polynomial that a proof shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Opening {
    Of(Source, i32),
    Random,
    Quotient,
}

impl Opening {
    /// The same for the same polynomial.
    fn polynomial(self) -> Self {
        match self {
            Self::Of(source, _) => Self::Of(source, 0),
            other => other,
        }
    }
}
