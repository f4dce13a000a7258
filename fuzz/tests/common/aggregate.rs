//! A small root circuit with the public values of a real one, its key and its proof of a run.

use std::sync::LazyLock;

use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, CircuitBuilderStage};
use halo2_base::gates::{GateInstructions, RangeInstructions};
use halo2_proofs::plonk::{ProvingKey, create_proof, keygen_pk2};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::OsRng;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use verifier::{
    AggregateKey, AggregateProof, RootShape, Span, VerifyingKey, WholeRun, verify_aggregate,
};

use super::{CONFIG, RUNS, Run, keep, kept};

const SHAPE: RootShape = RootShape {
    k: 10,
    advice: 3,
    lookup_advice: 1,
};

/// The run of [`RUNS`] that is aggregated: three chunks.
pub(crate) fn aggregated() -> &'static Run {
    &RUNS[1]
}

/// The key, and the honest proof of [`aggregated`].
pub(crate) struct Root {
    pub(crate) key: AggregateKey,
    pub(crate) proof: AggregateProof,
}

pub(crate) static ROOT: LazyLock<Root> = LazyLock::new(|| {
    let keys = CONFIG.keys().expect("keys");
    let builder = circuit(CircuitBuilderStage::Keygen, &[Fr::one(); 13]);
    let root = keygen_pk2(keys.params(), &builder, false).expect("fits");
    let chunk_key = VerifyingKey::clone(keys.verifying_key());
    let key = AggregateKey::new(root.get_vk().clone(), SHAPE, chunk_key).expect("a root");
    let claim = &aggregated().claim;
    let path = kept("aggregate", &key.id().0);
    let stored = std::fs::read(&path).ok();
    let stored = stored.and_then(|bytes| AggregateProof::from_bytes(&bytes).ok());
    let stored = stored.filter(|proof| verify_aggregate(proof, claim, &key).is_ok());
    let proof = stored.unwrap_or_else(|| {
        let proof = prove(&root, &builder, &key);
        keep(&path, &proof.to_bytes());
        proof
    });
    verify_aggregate(&proof, claim, &key).expect("the honest proof");
    Root { key, proof }
});

/// What the chunks of a run prove together.
pub(crate) fn whole(run: &Run) -> WholeRun {
    let spans = run.file.chunks().iter().map(|chunk| {
        let commitments = chunk.commitments().expect("points");
        Span::of_chunk(&chunk.instance, &commitments).expect("a chunk")
    });
    let span = spans.reduce(|span, next| span.join(&next).expect("neighbours"));
    span.and_then(|span| span.whole().ok()).expect("a run")
}

/// The root's circuit, for halo2.
pub(crate) type Builder = BaseCircuitBuilder<Fr>;

/// Of [`SHAPE`].
pub(crate) fn params() -> BaseCircuitParams {
    BaseCircuitParams {
        k: 10,
        num_advice_per_phase: vec![3],
        num_fixed: 1,
        num_lookup_advice_per_phase: vec![1],
        lookup_bits: Some(9),
        num_instance_columns: 1,
    }
}

/// Exposes its public values as they are, and fills its columns.
fn circuit(stage: CircuitBuilderStage, public: &[Fr]) -> BaseCircuitBuilder<Fr> {
    let mut builder = BaseCircuitBuilder::from_stage(stage).use_params(params());
    let range = builder.range_chip();
    let ctx = builder.main(0);
    let load = |value: &Fr| ctx.load_witness(*value);
    let values: Vec<_> = public.iter().map(load).collect();
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

fn prove(
    root: &ProvingKey<G1Affine>,
    keygen: &BaseCircuitBuilder<Fr>,
    key: &AggregateKey,
) -> AggregateProof {
    let run = aggregated();
    let (info, chunk) = (run.file.info().clone(), &run.file.chunks()[0]);
    let keys = CONFIG.keys().expect("keys");
    // A point times the parameters' secret, and the point.
    let powers = keys.params().get_g();
    let accumulator = [powers[1], powers[0]];
    let mut proof = AggregateProof::new(info, key.id(), whole(run), chunk, accumulator, Vec::new());
    let instance = proof.instance(key.chunk_key().id());
    let mut builder = circuit(CircuitBuilderStage::Prover, &instance);
    builder.set_break_points(keygen.break_points());
    let mut transcript = EvmTranscript::<G1Affine, NativeLoader, _, _>::new(Vec::new());
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        keys.params(),
        root,
        &[builder],
        &[&[&instance]],
        OsRng,
        &mut transcript,
    )
    .expect("proved");
    proof.proof = transcript.finalize();
    proof
}
