//! Verification of proofs in a circuit, up to the pairing.

use std::mem;
use std::rc::Rc;

use halo2_base::Context;
use halo2_base::QuantumCell::{Constant, Existing};
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::{GateInstructions, RangeChip};
use halo2_ecc::bn254::FpChip;
use halo2_ecc::fields::FieldChip;
use halo2curves::bn256::{Fr, G1Affine};
use snark_verifier::loader::halo2::Halo2Loader;
use snark_verifier::pcs::AccumulationScheme;
use snark_verifier::pcs::kzg::{KzgAccumulator, KzgAsVerifyingKey};
use snark_verifier::system::halo2::transcript::halo2::{PoseidonTranscript, TranscriptObject};
use snark_verifier::verifier::SnarkVerifier;
use verifier::{FULL_ROUNDS, PARTIAL_ROUNDS, RATE, WIDTH, poseidon_spec};

use crate::msm::{AssignedPoint, EccChip};
use crate::snark::{ACCUMULATOR_LEN, LIMB_BITS, LIMBS, Shplonk, Snark, Succinct, Svk};
use crate::span::{PointElements, Value};

type Loader<'a> = Halo2Loader<G1Affine, EccChip<'a>>;
type Transcript<'a, 'b> = PoseidonTranscript<
    G1Affine,
    Rc<Loader<'a>>,
    &'b [u8],
    WIDTH,
    RATE,
    FULL_ROUNDS,
    PARTIAL_ROUNDS,
>;

/// How a circuit knows the key of a proof that it verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyAs {
    /// It is part of the circuit.
    Constant,
    /// It is given by the prover; the circuit must compare [`Verified::key`] with what it expects.
    Witness,
}

/// What a proof verified in a circuit leaves behind.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Public values.
    pub(crate) instance: Vec<Value>,
    /// The proof's points, in order.
    pub(crate) points: Vec<PointElements>,
    /// The elements that [`key_hash`](crate::key_hash) hashes, as used in the verification.
    pub(crate) key: Vec<Value>,
}

/// Verifies proofs up to the pairing. Every point in them is on the curve, not the identity, and has
/// coordinates below q. Gives the one accumulator that is left to be decided, as canonical limbs.
pub(crate) fn verify(
    builder: &mut BaseCircuitBuilder<Fr>,
    range: &RangeChip<Fr>,
    svk: &Svk,
    snarks: &[&Snark],
    key_as: KeyAs,
) -> (Vec<Verified>, [Value; ACCUMULATOR_LEN]) {
    let field = FpChip::<Fr>::new(range, LIMB_BITS, LIMBS);
    // The loader wants to own the circuit's cells; they go back below.
    let cells = mem::take(builder.pool(0));
    let loader = Loader::new(EccChip::new(&field), cells);
    let mut transcript = Transcript::from_spec(&loader, &[][..], poseidon_spec().clone());

    let mut verified = Vec::with_capacity(snarks.len());
    let mut accumulators = Vec::new();
    for snark in snarks {
        let protocol = match key_as {
            KeyAs::Constant => snark.protocol.loaded(&loader),
            KeyAs::Witness => snark
                .protocol
                .loaded_preprocessed_as_witness(&loader, false),
        };
        let instance: Vec<_> = snark
            .instance
            .iter()
            .map(|value| loader.assign_scalar(*value))
            .collect();
        let instances = [instance];
        transcript.new_stream(&snark.proof);
        let proof = Succinct::read_proof(svk, &protocol, &instances, &mut transcript)
            .expect("the proof was verified before");
        let read = mem::take(&mut transcript.loaded_stream);
        accumulators.extend(
            Succinct::verify(svk, &protocol, &instances, &proof)
                .expect("the proof was verified before"),
        );

        let chip = loader.ecc_chip();
        let mut cells = loader.ctx_mut();
        let ctx = cells.main();
        let points = read.iter().filter_map(|object| match object {
            TranscriptObject::Scalar(_) => None,
            TranscriptObject::EcPoint(point) => Some(point.assigned().clone()),
        });
        let points = points
            .collect::<Vec<_>>()
            .iter()
            .map(|point| canonical(&chip, ctx, point))
            .collect();
        let mut key = Vec::new();
        if key_as == KeyAs::Witness {
            for point in &protocol.preprocessed {
                key.extend(canonical(&chip, ctx, &point.assigned()));
            }
            let start = protocol.transcript_initial_state.as_ref();
            key.extend(start.map(|start| *start.assigned()));
        }
        let [instance] = instances;
        verified.push(Verified {
            instance: instance.iter().map(|value| *value.assigned()).collect(),
            points,
            key,
        });
    }

    let accumulator = fold(&mut transcript, &accumulators);
    let limbs: Vec<Value> = [&accumulator.lhs, &accumulator.rhs]
        .into_iter()
        .flat_map(|point| {
            let point = point.assigned();
            canonical(&loader.ecc_chip(), loader.ctx_mut().main(), &point);
            let coordinates = [point.x().limbs(), point.y().limbs()];
            coordinates.concat()
        })
        .collect();
    drop(accumulator);
    *builder.pool(0) = loader.take_ctx();
    let limbs = limbs.try_into().expect("two points of two coordinates");
    (verified, limbs)
}

/// One accumulator that holds only if all of these do, but for a negligible chance: their sum with powers
/// of a challenge that depends on all of them.
fn fold<'a>(
    transcript: &mut Transcript<'a, '_>,
    accumulators: &[KzgAccumulator<G1Affine, Rc<Loader<'a>>>],
) -> KzgAccumulator<G1Affine, Rc<Loader<'a>>> {
    if let [accumulator] = accumulators {
        return accumulator.clone();
    }
    // Without blinding there is nothing to read.
    let key = KzgAsVerifyingKey::default();
    transcript.new_stream(&[]);
    Shplonk::read_proof(&key, accumulators, transcript)
        .and_then(|proof| <Shplonk as AccumulationScheme<_, _>>::verify(&key, accumulators, &proof))
        .expect("sums have no conditions")
}

/// Requires a point to be on the curve (the identity's stand-in is not), and its coordinates to be below q:
/// points are equal then exactly if the elements returned are.
fn canonical(chip: &EccChip<'_>, ctx: &mut Context<Fr>, point: &AssignedPoint) -> PointElements {
    chip.require_on_curve(ctx, point);
    let field = chip.field();
    let [x, y] = [point.x(), point.y()].map(|coordinate| {
        field.enforce_less_than_p(ctx, coordinate.clone());
        let [low, middle, high] = [0, 1, 2].map(|limb| coordinate.limbs()[limb]);
        let shift = Constant(field.limb_bases[1]);
        let low = field
            .gate()
            .mul_add(ctx, Existing(middle), shift, Existing(low));
        [low, high]
    });
    [x[0], x[1], y[0], y[1]]
}
