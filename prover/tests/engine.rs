//! The fast prover on the chunk circuit: accepted, linked, and the same as halo2's.

mod common;
#[path = "../../engine/tests/common/recorder.rs"]
mod recorder;

use common::{config, trace};
use halo2_proofs::plonk::create_proof;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::Bn256;
use prover::{Engine, claim_of};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use recorder::Recorder;
use verifier::{ColumnStream, Lane, verify_execution};
use zk_circuits::{ChunkCircuit, Committed, Plan};

#[test]
fn linked_chunks_are_proved_and_verified() {
    let trace = trace(25, 5);
    let fast = config().clone().with_engine(Engine::Fast);
    let proofs = prover::prove_execution_chunked_parallel(&trace, &fast).expect("proved");
    let key = config().verifying_key().expect("keys");
    assert_eq!(proofs.len(), 3);
    assert_eq!(proofs[0].proof.len(), key.proof_bytes());
    verify_execution(&proofs, &claim_of(&trace), &key).expect("verified");
}

/// Keys are shared by threads of a pool and others, and making what they hold needs the pool's threads: nobody
/// waits for it inside of the pool.
#[test]
fn first_uses_at_the_same_time_do_not_wait_for_each_other() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..20 {
            // Keys of its own, from the cache.
            let keys = config().clone().with_insecure_test_srs().keys();
            let keys = keys.expect("keys");
            std::thread::scope(|scope| {
                scope.spawn(|| keys.engine_key());
                rayon::broadcast(|_| {
                    let _ = keys.engine_key();
                });
            });
        }
        done.send(()).expect("somebody listens");
    });
    let limit = std::time::Duration::from_secs(120);
    finished.recv_timeout(limit).expect("nobody waits for ever");
}

#[test]
fn everything_that_halo2_determines_is_the_same() {
    let keys = config().keys().expect("keys");
    let trace = trace(25, 5);
    let plan = Plan::new(&trace, keys.shape(), Some(10)).expect("fits");
    let mut streams =
        Committed::ALL.map(|column| ColumnStream::boundary(&[7; 32], column as u64, Lane::Private));
    let reserved = streams.each_mut().map(ColumnStream::reserved);
    let witness = plan.witness(1, &reserved).expect("a witness");
    let instance = witness.instance().to_fields();
    let rng = || ChaCha20Rng::seed_from_u64(3);

    let mut stock = Recorder::default();
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        keys.params(),
        keys.proving_key(),
        &[ChunkCircuit::new(witness.clone())],
        &[&[&instance]],
        rng(),
        &mut stock,
    )
    .expect("proved");
    let mut fast = Recorder::default();
    let (key, circuit) = (keys.engine_key(), ChunkCircuit::new(witness));
    engine::create_proof(
        key,
        keys.proving_key(),
        &circuit,
        &[&instance],
        rng(),
        &mut fast,
    )
    .expect("proved");

    // The random polynomial comes from elsewhere, and the opening's points depend on it.
    let cs = keys.proving_key().get_vk().cs();
    let columns = cs.permutation().get_columns().len();
    let random = cs.num_advice_columns() + columns.div_ceil(cs.degree() - 2);
    let random_value = cs.advice_queries().len() + cs.fixed_queries().len();
    assert_eq!(cs.lookups().len(), 0);
    assert_eq!(fast.common, stock.common);
    assert_eq!(fast.points.len(), stock.points.len());
    assert_eq!(fast.scalars.len(), stock.scalars.len());
    let opening = stock.points.len() - 2;
    for (i, (fast, stock)) in fast.points.iter().zip(&stock.points).enumerate() {
        assert_eq!(fast == stock, i != random && i < opening, "point {i}");
    }
    for (i, (fast, stock)) in fast.scalars.iter().zip(&stock.scalars).enumerate() {
        assert_eq!(fast == stock, i != random_value, "value {i}");
    }
}
