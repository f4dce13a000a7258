//! Both provers make the same proof of a chunk.

use std::sync::Arc;

use bpf_tracer::{Input, LoadOptions, Program, Tracer};
use halo2_proofs::transcript::{Blake2bWrite, Challenge255, TranscriptWriterBuffer};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use verifier::{ColumnStream, Lane};
use zk_circuits::{Committed, Plan};

use super::*;
use crate::config::KeygenConfig;
use crate::keys::Keys;
use crate::usage::Stopwatch;

#[path = "../../../engine/tests/common/recorder.rs"]
pub(crate) mod recorder;

use recorder::Recorder;

/// Keys of one size, and the second of three chunks that are as long as they can be, nearly.
struct Case {
    keys: Arc<Keys>,
    witness: ChunkWitness,
}

impl Case {
    fn new(k: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = KeygenConfig::new(k, directory.path(), 8).with_insecure_test_srs();
        let keys = config.keys().expect("keys");
        // A loop that stores, loads and multiplies.
        let slot = |opcode: u8, registers: u8, offset: i16, imm: i32| {
            let ([o0, o1], [i0, i1, i2, i3]) = (offset.to_le_bytes(), imm.to_le_bytes());
            [opcode, registers, o0, o1, i0, i1, i2, i3]
        };
        let code = [
            slot(0xb7, 3, 0, i32::MAX),
            slot(0x27, 3, 0, 77),
            slot(0x7b, 0x3a, -8, 0),
            slot(0x79, 0xa4, -8, 0),
            slot(0x5f, 0x43, 0, 0),
            slot(0x07, 3, 0, -1),
            slot(0x05, 0, -6, 0),
        ];
        let program = Program::load(&code.concat(), &LoadOptions::default()).expect("loads");
        let steps = keys.shape().rows() / 3;
        let trace = Tracer::new(&program)
            .input(Input::default())
            .step_limit(3 * steps as u64)
            .trace()
            .expect("runs");
        let plan = Plan::new(&trace, keys.shape(), Some(steps)).expect("fits");
        let streams = Committed::ALL
            .map(|column| ColumnStream::boundary(&[7; 32], column as u64, Lane::Private));
        let reserved = streams.map(|mut stream| stream.reserved());
        let witness = plan.witness(1, &reserved).expect("a witness");
        Self { keys, witness }
    }

    /// The proof, and the processor seconds that it takes.
    fn prove<E, T>(&self, engine: Engine, mut transcript: T) -> (T, f64)
    where
        E: EncodedChallenge<G1Affine>,
        T: TranscriptWrite<G1Affine, E>,
    {
        let witness = self.witness.clone();
        let rng = ChaCha20Rng::seed_from_u64(3);
        let key = self.keys.proof_key();
        let watch = Stopwatch::start();
        key.prove_chunk(engine, witness, rng, &mut transcript)
            .expect("proved");
        (transcript, watch.cpu().unwrap_or_default().as_secs_f64())
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the figures are what the larger ones show"
)]
fn is_the_same(k: u32) {
    let case = Case::new(k);
    let (stock, stock_seconds) = case.prove(Engine::Stock, Recorder::default());
    let _ = case.keys.engine_key();
    let (fast, seconds) = case.prove(Engine::Fast, Recorder::default());
    fast.assert_same(&stock, case.keys.proving_key().get_vk().cs());
    eprintln!("k = {k}: processor seconds {stock_seconds:.2} of halo2, {seconds:.2} of the engine");
}

#[test]
fn everything_that_halo2_determines_is_the_same() {
    is_the_same(10);
}

#[test]
#[ignore = "a minute each: cargo test --release -p prover --lib larger_circuits -- --ignored --nocapture"]
fn larger_circuits_are_the_same() {
    for k in [14, 17] {
        is_the_same(k);
    }
}

/// With halo2 as `engine/same-bytes` changes it, proofs are equal to the byte.
#[test]
#[ignore = "needs a changed halo2: engine/same-bytes"]
fn bytes_are_the_same() {
    for k in [10, 14, 17] {
        let case = Case::new(k);
        let proof = |engine| {
            let transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
            case.prove(engine, transcript).0.finalize()
        };
        assert_eq!(proof(Engine::Fast), proof(Engine::Stock), "k = {k}");
    }
}
