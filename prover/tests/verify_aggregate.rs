//! The verifier of aggregates, on proofs of a small circuit with the root's public values: it exposes
//! whatever it is given, so that every forgery of what a root circuit would refuse reaches the verifier.

mod common;

use std::sync::OnceLock;

use bpf_tracer::{ExecutionTrace, Outcome};
use common::{config, trace};
use group::Curve;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, CircuitBuilderStage};
use halo2_base::gates::flex_gate::MultiPhaseThreadBreakPoints;
use halo2_base::gates::{GateInstructions, RangeInstructions};
use halo2_proofs::plonk::{ProvingKey, create_proof, keygen_pk2};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine};
use prover::claim_of;
use rand_core::OsRng;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use verifier::{
    AggregateError, AggregateKey, AggregateProof, Claim, ClaimError, DecodeError, ExecutionProof,
    ExpectedOutcome, KeyId, RootShape, Span, VerifyError, VerifyingKey, WholeRun, verify_aggregate,
};

const SHAPE: RootShape = RootShape {
    k: 10,
    advice: 3,
    lookup_advice: 1,
};

struct Setting {
    trace: ExecutionTrace,
    file: ExecutionProof,
    run: WholeRun,
    root: ProvingKey<G1Affine>,
    break_points: MultiPhaseThreadBreakPoints,
    key: AggregateKey,
}

/// Exposes its public values as they are, and fills its columns.
fn circuit(stage: CircuitBuilderStage, public: &[Fr]) -> BaseCircuitBuilder<Fr> {
    let mut builder = BaseCircuitBuilder::from_stage(stage).use_params(BaseCircuitParams {
        k: 10,
        num_advice_per_phase: vec![3],
        num_fixed: 1,
        num_lookup_advice_per_phase: vec![1],
        lookup_bits: Some(9),
        num_instance_columns: 1,
    });
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

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let trace = trace(25, 5);
        let proofs = prover::prove_execution_chunked_parallel(&trace, config()).expect("proved");
        let info = prover::run_info(&trace, config()).expect("keys");
        let span = |proof: &verifier::ChunkProof| {
            let commitments = proof.commitments().expect("points");
            Span::of_chunk(&proof.instance, &commitments).expect("a chunk")
        };
        let spans = proofs.iter().map(span);
        let whole = spans.reduce(|a, b| a.join(&b).expect("neighbours"));
        let run = whole.and_then(|span| span.whole().ok()).expect("a run");
        let file = ExecutionProof::new(info, proofs).expect("one run");

        let keys = config().keys().expect("keys");
        let builder = circuit(CircuitBuilderStage::Keygen, &[Fr::one(); 13]);
        let root = keygen_pk2(keys.params(), &builder, false).expect("fits");
        let chunk_key = VerifyingKey::clone(keys.verifying_key());
        let key = AggregateKey::new(root.get_vk().clone(), SHAPE, chunk_key).expect("a root");
        Setting {
            trace,
            file,
            run,
            root,
            break_points: builder.break_points(),
            key,
        }
    })
}

/// An accumulator that holds: a point times the parameters' secret, and the point.
fn accumulator() -> [G1Affine; 2] {
    let params = config().keys().expect("keys");
    let powers = params.params().get_g();
    [powers[1], powers[0]]
}

/// A valid proof of a root circuit that exposes this.
fn proved(run: &WholeRun, accumulator: [G1Affine; 2]) -> AggregateProof {
    let setting = setting();
    let (info, chunk) = (setting.file.info().clone(), &setting.file.chunks()[0]);
    let mut proof =
        AggregateProof::new(info, setting.key.id(), *run, chunk, accumulator, Vec::new());
    let instance = proof.instance(setting.key.chunk_key().id());
    let keys = config().keys().expect("keys");
    let mut builder = circuit(CircuitBuilderStage::Prover, &instance);
    builder.set_break_points(setting.break_points.clone());
    let mut transcript = EvmTranscript::<G1Affine, NativeLoader, _, _>::new(Vec::new());
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        keys.params(),
        &setting.root,
        &[builder],
        &[&[&instance]],
        OsRng,
        &mut transcript,
    )
    .expect("proved");
    proof.proof = transcript.finalize();
    proof
}

fn honest() -> &'static AggregateProof {
    static HONEST: OnceLock<AggregateProof> = OnceLock::new();
    HONEST.get_or_init(|| {
        let proof = proved(&setting().run, accumulator());
        let claim = claim_of(&setting().trace);
        verify_aggregate(&proof, &claim, &setting().key).expect("the honest proof");
        proof
    })
}

fn refused(proof: &AggregateProof, claim: &Claim) -> VerifyError {
    let _ = honest();
    verify_aggregate(proof, claim, &setting().key).expect_err("must be refused")
}

fn aggregate(reason: AggregateError) -> VerifyError {
    VerifyError::Aggregate { reason }
}

#[test]
fn the_claim_is_compared_as_that_of_chunks() {
    let (setting, proof) = (setting(), honest());
    let claim = claim_of(&setting.trace);
    let statement = verify_aggregate(proof, &claim, &setting.key).expect("valid");
    assert_eq!((statement.steps, statement.chunks), (25, None));
    assert_eq!(statement.outcome, setting.trace.outcome());
    assert_eq!(statement.key, setting.key.id());
    assert!(statement.input_checked && statement.outcome_checked && statement.output_checked);
    let any = Claim {
        input: None,
        outcome: ExpectedOutcome::Any,
        output: None,
        compute_units: None,
        ..claim.clone()
    };
    let statement = verify_aggregate(proof, &any, &setting.key).expect("valid");
    assert!(!statement.input_checked && !statement.outcome_checked && !statement.output_checked);

    let other = |change: &dyn Fn(&mut Claim)| {
        let mut other = claim.clone();
        change(&mut other);
        match refused(proof, &other) {
            VerifyError::Run { reason } => reason,
            error => panic!("{error}"),
        }
    };
    let r0 = |r0| ExpectedOutcome::Exactly(Outcome::Halt { r0 });
    assert!(matches!(
        other(&|claim| claim.outcome = r0(1)),
        ClaimError::Outcome { .. }
    ));
    assert!(matches!(
        other(&|claim| claim.budget += 1),
        ClaimError::Budget { .. }
    ));
    assert!(matches!(
        other(&|claim| claim.compute_units = Some(24)),
        ClaimError::ComputeUnits { .. }
    ));
    let column = |column| ClaimError::Commitment { column };
    assert_eq!(
        other(&|claim| claim.input = Some(common::input(6))),
        column("input")
    );
    assert_eq!(
        other(&|claim| claim.output = Some(vec![0; 16])),
        column("output")
    );
    assert_eq!(
        other(&|claim| claim.program = common::program(5, 5)),
        column("program")
    );
}

#[test]
fn what_the_file_says_is_bound_by_the_digest() {
    type Change = fn(&mut WholeRun);
    let changes: [(&str, Change); 15] = [
        ("entry", |run| run.entry += 1),
        ("input size", |run| run.input_size += 1),
        ("budget", |run| run.budget += 1),
        ("steps", |run| run.steps += 1),
        ("units", |run| run.units += 1),
        ("r0", |run| run.r0 += 1),
        ("status", |run| run.status = 2),
        ("stopped", |run| run.stopped = true),
        ("trap", |run| run.trap_kind = 2),
        ("private memory", |run| run.memory[0] = -run.memory[0]),
        ("input", |run| run.memory[1] = -run.memory[1]),
        ("output", |run| run.output = -run.output),
        ("pages", |run| run.pages = -run.pages),
        ("code", |run| run.program[0] = -run.program[0]),
        ("target", |run| run.program.swap(1, 2)),
    ];
    for (name, change) in changes {
        let mut changed = honest().clone();
        change(&mut changed.run);
        let error = refused(&changed, &claim_of(&setting().trace));
        assert_eq!(error, aggregate(AggregateError::Invalid), "{name}");
    }
}

/// Values that no span has, but that a digest could be of: the packing is injective only within ranges.
#[test]
fn values_out_of_range_are_refused() {
    type Change = fn(&mut WholeRun);
    let changes: [Change; 5] = [
        |run| run.stopped_at = 1 << 32,
        |run| run.trap_pc = 1 << 33,
        |run| run.trap_kind = 1 << 9,
        |run| run.status = 3,
        |run| run.version = 1,
    ];
    for change in changes {
        let mut run = setting().run;
        change(&mut run);
        let error = refused(&proved(&run, accumulator()), &claim_of(&setting().trace));
        let reason = ClaimError::NoOutcome;
        assert_eq!(error, VerifyError::Run { reason });
    }
}

/// The root's proof is valid; a proof somewhere below it is not.
#[test]
fn accumulators_are_decided() {
    let claim = claim_of(&setting().trace);
    let [lhs, rhs] = accumulator();
    for scalar in 2..6 {
        let times = |point: G1Affine| (G1::from(point) * Fr::from(scalar)).to_affine();
        // A multiple of both is another one that holds.
        let proof = proved(&setting().run, [times(lhs), times(rhs)]);
        verify_aggregate(&proof, &claim, &setting().key).expect("it holds");
        for forged in [
            [times(lhs), rhs],
            [lhs, times(rhs)],
            [times(rhs), times(lhs)],
        ] {
            let error = refused(&proved(&setting().run, forged), &claim);
            assert_eq!(error, aggregate(AggregateError::Undecided));
        }
    }
    let zero = G1Affine::default();
    for forged in [[zero, zero], [lhs, zero], [zero, rhs]] {
        let error = refused(&proved(&setting().run, forged), &claim);
        assert_eq!(error, aggregate(AggregateError::Accumulator));
    }
    // Another one than was exposed.
    let mut changed = honest().clone();
    changed.accumulator = [rhs, lhs];
    assert_eq!(
        refused(&changed, &claim),
        aggregate(AggregateError::Invalid)
    );
}

#[test]
fn every_bit_of_the_proof_counts() {
    let claim = claim_of(&setting().trace);
    let proof = honest();
    for bit in 0..proof.proof.len() * 8 {
        let mut changed = proof.clone();
        changed.proof[bit / 8] ^= 1 << (bit % 8);
        let error = refused(&changed, &claim);
        assert!(
            matches!(
                error,
                VerifyError::Aggregate {
                    reason: AggregateError::Invalid | AggregateError::NotCanonical { .. }
                }
            ),
            "{error}"
        );
    }
    // The same numbers, written otherwise: plus the modulus.
    let order = (-Fr::one()).to_bytes();
    let scalars_at = proof.proof.len() - 2 * 64 - 32;
    let mut changed = proof.clone();
    let mut carry = 1;
    for (byte, addend) in changed.proof[scalars_at..][..32]
        .iter_mut()
        .rev()
        .zip(order)
    {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(
        refused(&changed, &claim),
        aggregate(AggregateError::NotCanonical { offset: scalars_at })
    );
    let expected = proof.proof.len();
    for length in (0..expected).chain([expected + 1, expected + 32]) {
        let mut changed = proof.clone();
        changed.proof.resize(length, 0);
        let error = refused(&changed, &claim);
        assert!(matches!(
            error,
            VerifyError::Aggregate {
                reason: AggregateError::Length { .. }
            }
        ));
    }
}

#[test]
fn keys_are_told_apart_and_kept() {
    let (setting, claim) = (setting(), claim_of(&setting().trace));
    let mut changed = honest().clone();
    changed.key = KeyId([7; 32]);
    assert!(matches!(
        refused(&changed, &claim),
        VerifyError::Aggregate {
            reason: AggregateError::ForeignKey { .. }
        }
    ));
    let bytes = setting.key.to_bytes();
    let chunk_key = setting.key.chunk_key();
    let read = AggregateKey::from_bytes(&bytes, chunk_key.clone(), setting.key.id());
    let read = read.expect("the same key");
    verify_aggregate(honest(), &claim, &read).expect("valid");
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let error = AggregateKey::from_bytes(&changed, chunk_key.clone(), setting.key.id());
        assert!(matches!(error, Err(DecodeError::KeyId { .. })));
    }
}

#[test]
fn files_have_one_encoding() {
    let proof = honest();
    let bytes = proof.to_bytes();
    assert_eq!(AggregateProof::from_bytes(&bytes).as_ref(), Ok(proof));
    for length in 0..bytes.len() {
        assert!(AggregateProof::from_bytes(&bytes[..length]).is_err());
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(
        AggregateProof::from_bytes(&longer),
        Err(DecodeError::Trailing { count: 1 })
    );
    for at in 0..bytes.len() {
        for bit in [0, 7] {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            if let Ok(proof) = AggregateProof::from_bytes(&changed) {
                assert_eq!(proof.to_bytes(), changed);
            }
        }
    }
}
