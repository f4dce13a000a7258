//! The fast prover on the chunk circuit: accepted and linked.

mod common;

use common::{config, trace};
use prover::{Engine, claim_of};
use verifier::verify_execution;

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
