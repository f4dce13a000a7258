//! What aggregation refuses before it proves anything, and what it relies on outside of circuits.

mod common;

use std::sync::{Arc, OnceLock};

use aggregation::{Snark, SnarkError, protocol};
use common::{config, trace};
use halo2_proofs::plonk::create_proof;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::{ProverGWC, ProverSHPLONK};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use prover::{AggregationConfig, Error, KeygenConfig, aggregate, claim_of};
use rand_core::OsRng;
use verifier::{
    ChunkProof, ExecutionProof, LinkError, VerifyError, VerifyingKey, chunk_transcript,
    verify_execution,
};
use zk_circuits::{ChunkCircuit, ChunkInstance, Committed, Plan, RESERVED_ROWS};

struct Run {
    proofs: Vec<ChunkProof>,
    file: ExecutionProof,
}

fn prove(first: u64) -> Run {
    let trace = trace(25, first);
    let proofs = prover::prove_execution_chunked_parallel(&trace, config()).expect("proved");
    verify_execution(&proofs, &claim_of(&trace), &key()).expect("untouched");
    let info = prover::run_info(&trace, config()).expect("keys");
    let file = ExecutionProof::new(info, proofs.clone()).expect("one run");
    Run { proofs, file }
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| prove(5))
}

fn key() -> Arc<VerifyingKey> {
    config().verifying_key().expect("keys")
}

fn snark(chunk: &ChunkProof, key: &VerifyingKey) -> Snark {
    Snark {
        protocol: protocol(key.halo2(), ChunkInstance::LEN, false),
        instance: chunk.instance.to_fields().to_vec(),
        proof: chunk.proof.clone(),
    }
}

fn verdict(snark: &Snark, key: &VerifyingKey) -> Result<(), SnarkError> {
    snark.verify(G1Affine::generator(), &key.s_g2())
}

/// Chunks that are not a run never reach a circuit.
#[test]
fn lists_of_chunks_that_are_no_run_are_refused() {
    let [a, b, c] = [0, 1, 2].map(|i| run().proofs[i].clone());
    let with_hints_of = |mut chunk: ChunkProof, other: &ChunkProof| {
        chunk.input = Arc::clone(&other.input);
        chunk
    };
    let stranger = with_hints_of(prove(6).proofs[1].clone(), &a);
    let mut renumbered = b.clone();
    renumbered.instance.index = 0;
    let mut longer = a.clone();
    longer.instance.steps_out += 1;
    let mut spoiled = b.clone();
    *spoiled.proof.last_mut().expect("bytes") ^= 1;

    let link = |found: &Error, expected: LinkError| matches!(found, Error::SelfCheck(VerifyError::Link { reason, .. }) if *reason == expected);
    type Refusal<'a> = &'a dyn Fn(&Error) -> bool;
    let cases: [(&str, Vec<ChunkProof>, Refusal<'_>); 10] = [
        ("first dropped", vec![b.clone(), c.clone()], &|e| {
            link(e, LinkError::Index { found: 1 })
        }),
        ("middle dropped", vec![a.clone(), c.clone()], &|e| {
            link(e, LinkError::Index { found: 2 })
        }),
        ("last dropped", vec![a.clone(), b.clone()], &|e| {
            link(e, LinkError::Unfinished)
        }),
        (
            "repeated",
            vec![a.clone(), b.clone(), b.clone(), c.clone()],
            &|e| link(e, LinkError::Index { found: 1 }),
        ),
        ("reordered", vec![b.clone(), a.clone(), c.clone()], &|e| {
            link(e, LinkError::Index { found: 0 })
        }),
        (
            "more behind the end",
            vec![a.clone(), b.clone(), c.clone(), c.clone()],
            &|e| link(e, LinkError::Index { found: 2 }),
        ),
        ("renumbered", vec![renumbered, c.clone()], &|e| {
            link(e, LinkError::Index { found: 2 })
        }),
        (
            "of another input",
            vec![a.clone(), stranger, c.clone()],
            &|e| {
                matches!(
                    e,
                    Error::SelfCheck(VerifyError::Link {
                        reason: LinkError::Memory { .. },
                        ..
                    })
                )
            },
        ),
        ("another public value", vec![longer, b, c.clone()], &|e| {
            link(e, LinkError::Value { name: "steps" })
        }),
        ("an invalid proof", vec![spoiled, c], &|e| {
            link(e, LinkError::Index { found: 1 })
        }),
    ];
    for (name, chunks, refusal) in cases {
        let file = ExecutionProof::new(run().file.info().clone(), chunks).expect("same hints");
        let error = aggregate(&file, &AggregationConfig::new(config())).expect_err(name);
        assert!(refusal(&error), "{name}: {error}");
    }
}

/// What the circuits compute, computed outside of them: up to the pairing, which then decides.
#[test]
fn chunk_proofs_verify_as_circuits_verify_them() {
    let key = key();
    for chunk in &run().proofs {
        assert_eq!(verdict(&snark(chunk, &key), &key), Ok(()));
    }
    let honest = snark(&run().proofs[1], &key);
    for place in 0..ChunkInstance::LEN {
        let mut forged = honest.clone();
        forged.instance[place] += Fr::one();
        assert_eq!(
            verdict(&forged, &key),
            Err(SnarkError::Undecided),
            "{}",
            ChunkInstance::NAMES[place]
        );
    }
    for element in (0..honest.proof.len() / 32).step_by(5) {
        // Another point, or another scalar, that is well-formed.
        let mut forged = honest.clone();
        let other = if element == 0 { 1 } else { element - 1 };
        let bytes = honest.proof[32 * other..][..32].to_vec();
        forged.proof[32 * element..][..32].copy_from_slice(&bytes);
        assert!(verdict(&forged, &key).is_err(), "element {element}");
    }
    let mut forged = honest.clone();
    forged.proof.truncate(forged.proof.len() - 1);
    assert_eq!(verdict(&forged, &key), Err(SnarkError::Invalid));
}

#[test]
fn proofs_of_another_key_are_refused() {
    let (ours, chunk) = (key(), &run().proofs[0]);
    assert_eq!(verdict(&snark(chunk, &ours), &ours), Ok(()));
    // The same circuit with more rows: proofs have the same form.
    let larger = KeygenConfig::new(11, config().cache_dir(), 8).with_insecure_test_srs();
    let larger = larger.verifying_key().expect("keys");
    assert_eq!(
        verdict(&snark(chunk, &larger), &larger),
        Err(SnarkError::Undecided)
    );
    // Our key with one wrong commitment, and with another start of the transcript.
    let mut forged = snark(chunk, &ours);
    forged.protocol.preprocessed.swap(0, 1);
    assert_eq!(verdict(&forged, &ours), Err(SnarkError::Undecided));
    let mut forged = snark(chunk, &ours);
    forged.protocol.transcript_initial_state = Some(Fr::from(7));
    assert_eq!(verdict(&forged, &ours), Err(SnarkError::Undecided));
}

/// snark-verifier reads whatever bytes it is given as SHPLONK.
#[test]
fn proofs_of_the_other_opening_scheme_are_refused() {
    let keys = config().keys().expect("keys");
    let (trace, key) = (trace(8, 5), key());
    let plan = Plan::new(&trace, keys.shape(), None).expect("fits");
    let reserved = [[Fr::from(3); RESERVED_ROWS]; Committed::COUNT];
    let make = |gwc: bool| {
        let witness = plan.witness(0, &reserved).expect("fits");
        let instance = witness.instance().to_fields();
        let circuits = [ChunkCircuit::new(witness)];
        let mut transcript = chunk_transcript(Vec::new());
        let (params, pk) = (keys.params(), keys.proving_key());
        let instances: &[&[&[Fr]]] = &[&[&instance]];
        let result = if gwc {
            create_proof::<KZGCommitmentScheme<Bn256>, ProverGWC<'_, Bn256>, _, _, _, _>(
                params,
                pk,
                &circuits,
                instances,
                OsRng,
                &mut transcript,
            )
        } else {
            create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
                params,
                pk,
                &circuits,
                instances,
                OsRng,
                &mut transcript,
            )
        };
        result.expect("proved");
        Snark {
            protocol: protocol(key.halo2(), ChunkInstance::LEN, false),
            instance: instance.to_vec(),
            proof: transcript.finalize(),
        }
    };
    assert_eq!(verdict(&make(false), &key), Ok(()));
    assert!(verdict(&make(true), &key).is_err());
}

/// Memory is checked as soon as the size of a circuit is known: before its key is made.
#[test]
fn a_budget_that_is_too_small_is_refused() {
    // Leaves and nodes have 10 columns of 2^20 rows.
    let needed = (106 + 15 * 10) * (1 << 20) * 32;
    let config = AggregationConfig::new(config()).with_memory_budget(needed - 1);
    let error = aggregate(&run().file, &config).expect_err("too little");
    match error {
        Error::MemoryBudget {
            needed: found,
            budget,
        } => assert_eq!((found, budget), (needed, needed - 1)),
        other => panic!("{other}"),
    }
}
