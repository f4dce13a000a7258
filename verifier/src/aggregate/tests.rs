//! Every check of an aggregate, on proofs of a small circuit that exposes whatever it is given.

use std::sync::OnceLock;

use ff::Field;
use group::Curve;
use halo2_base::gates::circuit::CircuitBuilderStage;
use halo2_base::gates::flex_gate::MultiPhaseThreadBreakPoints;
use halo2_base::gates::{GateInstructions, RangeInstructions};
use halo2_proofs::plonk::{ProvingKey, create_proof, keygen_pk2, keygen_vk};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::G1;

use super::*;
use crate::ClaimError;
use crate::span::Span;
use crate::testing::{claim, point, rng, setting};

const SHAPE: RootShape = RootShape {
    k: 10,
    advice: 3,
    lookup_advice: 1,
};

struct Root {
    proving: ProvingKey<G1Affine>,
    break_points: MultiPhaseThreadBreakPoints,
    key: AggregateKey,
    run: WholeRun,
}

fn circuit(stage: CircuitBuilderStage, public: &[Fr]) -> BaseCircuitBuilder<Fr> {
    let params = SHAPE.params().expect("a shape");
    let mut builder = BaseCircuitBuilder::from_stage(stage).use_params(params);
    let range = builder.range_chip();
    let ctx = builder.main(0);
    let values: Vec<_> = public
        .iter()
        .map(|value| ctx.load_witness(*value))
        .collect();
    for number in 0..10 {
        let small = ctx.load_witness(Fr::from(number));
        range.range_check(ctx, small, 18);
    }
    let mut product = values[0];
    for _ in 0..550 {
        product = range.gate().mul(ctx, product, values[1]);
    }
    builder.assigned_instances = vec![values];
    builder
}

fn root() -> &'static Root {
    static ROOT: OnceLock<Root> = OnceLock::new();
    ROOT.get_or_init(|| {
        let setting = setting();
        let spans = setting
            .chunks
            .iter()
            .map(|chunk| Span::of_chunk(&chunk.instance, &chunk.commitments).expect("a chunk"));
        let whole = spans.reduce(|a, b| a.join(&b).expect("neighbours"));
        let run = whole.and_then(|span| span.whole().ok()).expect("a run");
        let builder = circuit(CircuitBuilderStage::Keygen, &[Fr::ONE; 13]);
        let proving = keygen_pk2(&setting.params, &builder, false).expect("it fits");
        let key = AggregateKey::new(proving.get_vk().clone(), SHAPE, setting.key.clone());
        Root {
            proving,
            break_points: builder.break_points(),
            key: key.expect("a root"),
            run,
        }
    })
}

/// An accumulator that holds: a point times the parameters' secret, and the point.
fn accumulator() -> [G1Affine; 2] {
    let powers = setting().params.get_g();
    [powers[1], powers[0]]
}

/// A valid proof of a root circuit that exposes this.
fn proved(run: &WholeRun, accumulator: [G1Affine; 2]) -> AggregateProof {
    let (root, setting) = (root(), setting());
    let outcome = setting.trace.outcome();
    let info = RunInfo {
        program_id: setting.trace.program().id(),
        dialect: setting.trace.program().dialect().name().to_owned(),
        k: 10,
        operand_bits: setting.key.shape().operand_bits(),
        srs: setting.key.srs(),
        outcome,
        steps: run.steps,
        compute_units: run.units,
        budget: run.budget,
        input_size: run.input_size,
    };
    let mut proof = AggregateProof {
        info,
        key: root.key.id(),
        run: *run,
        hints: setting.chunks[0].hints.clone(),
        accumulator,
        proof: Vec::new(),
    };
    let instance = proof.instance(setting.key.id());
    let mut builder = circuit(CircuitBuilderStage::Prover, &instance);
    builder.set_break_points(root.break_points.clone());
    let mut transcript = EvmTranscript::<G1Affine, NativeLoader, _, _>::new(Vec::new());
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        &setting.params,
        &root.proving,
        &[builder],
        &[&[&instance]],
        rng(),
        &mut transcript,
    )
    .expect("proved");
    proof.proof = transcript.finalize();
    proof
}

fn honest() -> &'static AggregateProof {
    static HONEST: OnceLock<AggregateProof> = OnceLock::new();
    HONEST.get_or_init(|| proved(&root().run, accumulator()))
}

fn refused(change: impl Fn(&mut AggregateProof)) -> VerifyError {
    let claim = claim(&setting().trace);
    let _ = verify_aggregate(honest(), &claim, &root().key).expect("the honest proof");
    let mut forged = honest().clone();
    change(&mut forged);
    verify_aggregate(&forged, &claim, &root().key).expect_err("a forgery")
}

fn aggregate(reason: AggregateError) -> VerifyError {
    VerifyError::Aggregate { reason }
}

#[test]
fn an_aggregate_is_for_this_key_and_has_one_form() {
    let key = &root().key;
    let (found, expected) = (KeyId([1; 32]), key.id());
    let foreign = AggregateError::ForeignKey { found, expected };
    assert_eq!(
        refused(|proof| proof.key = KeyId([1; 32])),
        aggregate(foreign)
    );
    let length = key.proof_bytes();
    for found in [0, length - 32, length - 1, length + 1, length + 64] {
        let error = refused(|proof| proof.proof.resize(found, 0));
        let expected = length;
        assert_eq!(error, aggregate(AggregateError::Length { found, expected }));
    }
    let scalars = key.layout.points * POINT_BYTES;
    let openings = scalars + key.layout.scalars * SCALAR_BYTES;
    let points = (0..scalars).step_by(POINT_BYTES);
    let last = (openings..length).step_by(POINT_BYTES);
    for offset in points.chain(last) {
        let not_canonical = aggregate(AggregateError::NotCanonical { offset });
        // The identity, another y, coordinates above q.
        let identity = refused(|proof| proof.proof[offset..offset + POINT_BYTES].fill(0));
        assert_eq!(identity, not_canonical);
        assert_eq!(
            refused(|proof| proof.proof[offset + 63] ^= 1),
            not_canonical
        );
        for at in [offset, offset + 32] {
            let large = refused(|proof| add(&mut proof.proof[at..at + 32], -Fq::ONE));
            assert_eq!(large, not_canonical, "at {at}");
        }
    }
    for offset in (scalars..openings).step_by(SCALAR_BYTES) {
        let large = refused(|proof| add(&mut proof.proof[offset..offset + 32], -Fr::ONE));
        let not_canonical = aggregate(AggregateError::NotCanonical { offset });
        assert_eq!(large, not_canonical, "at {offset}");
    }
    let valid = refused(|proof| proof.proof[scalars + 31] ^= 1);
    assert_eq!(valid, aggregate(AggregateError::Invalid));
}

/// Adds a number and 1 to 32 big-endian bytes: the same element, in another form.
fn add<F: PrimeField<Repr = [u8; 32]>>(bytes: &mut [u8], largest: F) {
    let mut carry = 1;
    for (byte, other) in bytes.iter_mut().rev().zip(largest.to_repr()) {
        let sum = u16::from(*byte) + u16::from(other) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "it fits into 32 bytes");
}

#[test]
fn an_accumulator_is_two_points_that_hold() {
    let [lhs, rhs] = accumulator();
    let identity = G1Affine::identity();
    for accumulator in [[identity, rhs], [lhs, identity], [identity; 2]] {
        let error = refused(|proof| proof.accumulator = accumulator);
        assert_eq!(error, aggregate(AggregateError::Accumulator));
    }
    // Another accumulator is not the one of the proof.
    let error = refused(|proof| proof.accumulator = [rhs, lhs]);
    assert_eq!(error, aggregate(AggregateError::Invalid));
    let other: G1Affine = (G1::from(lhs) + G1::from(rhs)).to_affine();
    let undecided = proved(&root().run, [other, rhs]);
    let error = refused(|proof| *proof = undecided.clone());
    assert_eq!(error, aggregate(AggregateError::Undecided));
}

#[test]
fn an_aggregates_run_is_one_and_the_claimed_one() {
    let run = |reason| VerifyError::Run { reason };
    let error = refused(|proof| proof.run.r0 += 1);
    assert_eq!(error, aggregate(AggregateError::Invalid));
    // What a root circuit would not expose.
    let changes: [fn(&mut WholeRun); 5] = [
        |run| run.version += 1,
        |run| run.trap_kind = 1,
        |run| run.stopped_at = 1,
        |run| run.input_size = 1 << 40,
        |run| run.entry = 1 << 32,
    ];
    for change in changes {
        let mut other = root().run;
        change(&mut other);
        let forged = proved(&other, accumulator());
        let error = refused(|proof| *proof = forged.clone());
        assert_eq!(error, run(ClaimError::NoOutcome));
    }
    let mut other = root().run;
    other.output = point(3);
    let forged = proved(&other, accumulator());
    let error = refused(|proof| *proof = forged.clone());
    let column = "output";
    assert_eq!(error, run(ClaimError::Commitment { column }));
}

#[test]
fn a_root_circuit_has_a_size_that_a_key_may_ask_for() {
    let largest = RootShape {
        k: 22,
        advice: 1 << 10,
        lookup_advice: 1 << 10,
    };
    assert!(largest.params().is_some());
    let (advice, lookup_advice) = (largest.advice + 1, largest.lookup_advice + 1);
    for shape in [
        RootShape { k: 23, ..largest },
        RootShape { advice, ..largest },
        RootShape {
            lookup_advice,
            ..largest
        },
    ] {
        assert!(shape.params().is_none(), "{shape:?}");
    }
}

#[test]
fn a_point_of_a_file_has_one_form_and_is_not_the_identity() {
    let read = |bytes: &[u8]| read_point(&mut Reader::new(bytes));
    let bytes = |point: G1Affine| point.to_bytes().as_ref().to_vec();
    let honest = bytes(point(3));
    assert_eq!(read(&honest), Ok(point(3)));
    let mut flagged = honest;
    // The flag of the identity, which decoding reads beside x = 0 only.
    flagged[31] |= 0x80;
    let what = "a point";
    for forged in [flagged, bytes(G1Affine::identity()), vec![0xff; 32]] {
        assert_eq!(read(&forged), Err(DecodeError::Value { what }));
    }
}

#[test]
fn a_root_key_has_the_shape_and_the_chunks_key_that_it_says() {
    let root = root();
    let vk = || root.proving.get_vk().clone();
    let wrong = |shape| {
        let key = AggregateKey::new(vk(), shape, setting().key.clone());
        assert_eq!(
            key.err(),
            Some(DecodeError::Key {
                reason: "its size differs"
            })
        );
    };
    wrong(RootShape { k: 11, ..SHAPE });
    wrong(RootShape { advice: 4, ..SHAPE });
    wrong(RootShape {
        lookup_advice: 2,
        ..SHAPE
    });
    // A second column of public values, which the verifier would not know.
    let mut builder = circuit(CircuitBuilderStage::Keygen, &[Fr::ONE; 13]);
    builder.set_instance_columns(2);
    let other = keygen_vk(&setting().params, &builder).expect("it fits");
    let key = AggregateKey::new(other, SHAPE, setting().key.clone());
    let reason = "its size differs";
    assert_eq!(key.err(), Some(DecodeError::Key { reason }));
    let bytes = root.key.to_bytes();
    let read = |bytes: &[u8], id| AggregateKey::from_bytes(bytes, setting().key.clone(), id);
    let id = |bytes: &[u8]| KeyId(blake3::derive_key(ID_DOMAIN, bytes));
    assert_eq!(
        read(&bytes, root.key.id()).expect("a key").id(),
        root.key.id()
    );
    let mut other = bytes.clone();
    other[0] ^= 1;
    let (found, expected) = (id(&other), root.key.id());
    assert_eq!(
        read(&other, expected).err(),
        Some(DecodeError::KeyId { found, expected })
    );
    let reason = "it is for other chunks";
    assert_eq!(read(&other, found).err(), Some(DecodeError::Key { reason }));
    // The transcript's representative, behind identity and shape.
    let mut other = bytes.clone();
    other[32 + 12] ^= 1;
    let reason = "it is for another circuit";
    assert_eq!(
        read(&other, id(&other)).err(),
        Some(DecodeError::Key { reason })
    );
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(
        read(&longer, id(&longer)),
        Err(DecodeError::Trailing { .. })
    ));
}

/// halo2 makes tables before it reads: at the edge, 2.4 GB for a key that is none. What is above is refused by its
/// number.
#[test]
fn roots_are_at_most_twice_as_long_as_real_ones() {
    let bytes = root().key.to_bytes();
    let read = |k: u32| {
        let mut bytes = bytes.clone();
        bytes[32..36].copy_from_slice(&k.to_le_bytes());
        let id = KeyId(blake3::derive_key(ID_DOMAIN, &bytes));
        AggregateKey::from_bytes(&bytes, setting().key.clone(), id).err()
    };
    assert_eq!(read(SHAPE.k), None);
    let refused = |what| Some(DecodeError::Value { what });
    // Here halo2's part has another size, which is seen before halo2 reads it.
    assert_eq!(read(22), refused("halo2's key"));
    assert_eq!(read(23), refused("the shape"));
}
