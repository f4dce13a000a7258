//! Real proofs on the smallest circuit, through the public interface only.

mod common;

use std::sync::Mutex;

use bpf_tracer::{Outcome, TrapKind};
use common::{config, input, trace};
use prover::{Event, Schedule, claim_of};
use verifier::{Claim, ExecutionProof, ExpectedOutcome, verify_chunk, verify_execution};

#[test]
fn twenty_five_steps_are_three_chunks_in_parallel() {
    let trace = trace(25, 5);
    let proofs = prover::prove_execution_chunked_parallel(&trace, config()).expect("proved");
    assert_eq!(proofs.len(), 3);
    let key = config().verifying_key().expect("keys");
    assert_eq!(proofs[0].proof.len(), key.proof_bytes());

    let statement = verify_execution(&proofs, &claim_of(&trace), &key).expect("verified");
    assert_eq!(statement.outcome, trace.outcome());
    assert_eq!((statement.steps, statement.chunks), (25, Some(3)));
    assert!(statement.input_checked && statement.output_checked && statement.outcome_checked);
    assert!(statement.srs.is_insecure());

    let one = verify_chunk(&proofs[1], &key).expect("verified");
    assert_eq!(
        (one.instance().steps_in, one.instance().steps_out),
        (10, 20)
    );

    // Through a file and back.
    let info = prover::run_info(&trace, config()).expect("keys");
    let file = ExecutionProof::new(info, proofs)
        .expect("one run")
        .to_bytes();
    let read = ExecutionProof::from_bytes(&file).expect("its own bytes");
    assert_eq!(read.info().program_id, trace.program().id());
    verify_execution(read.chunks(), &claim_of(&trace), &key).expect("verified");
}

#[test]
fn both_schedules_prove_fifty_steps_in_five_chunks() {
    let trace = trace(50, 7);
    let key = config().verifying_key().expect("keys");
    for schedule in [Schedule::Sequential, Schedule::Parallel] {
        let events = Mutex::new(Vec::new());
        let proofs = prover::prove_execution_observed(&trace, config(), schedule, |event| {
            events.lock().expect("no panic").push(event);
        })
        .expect("proved");
        assert_eq!(proofs.len(), 5);
        let indices: Vec<u64> = proofs.iter().map(|proof| proof.instance.index).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4]);
        verify_execution(&proofs, &claim_of(&trace), &key).expect("verified");

        let events = events.into_inner().expect("no panic");
        assert_eq!(events[0], Event::KeysNeeded);
        let threads = rayon::current_num_threads();
        let at_once = match schedule {
            Schedule::Sequential => 1,
            _ => threads,
        };
        assert_eq!(events[1], Event::Ready { chunks: 5, at_once });
        assert_eq!(events.len(), 12);
        for chunk in 0..5 {
            assert!(events.contains(&Event::ChunkFinished { chunk }));
        }
    }
}

#[test]
fn owned_and_borrowed_traces_and_thread_counts_are_alike() {
    let trace = trace(9, 1);
    let key = config().verifying_key().expect("keys");
    let threads = config().clone().with_threads(1);
    let proofs = prover::prove_execution_chunked_auto(&trace, &threads).expect("proved");
    verify_execution(&proofs, &claim_of(&trace), &key).expect("verified");
    let claim = claim_of(&trace);
    let proofs = prover::prove_execution_chunked(trace, config()).expect("proved");
    assert_eq!(
        verify_execution(&proofs, &claim, &key)
            .expect("verified")
            .chunks,
        Some(1)
    );
}

#[test]
fn parts_of_a_claim_may_be_left_open() {
    let trace = trace(11, 3);
    let key = config().verifying_key().expect("keys");
    let proofs = prover::prove_execution_chunked(&trace, config()).expect("proved");
    let claim = Claim {
        input: None,
        output: None,
        outcome: ExpectedOutcome::Any,
        ..claim_of(&trace)
    };
    let statement = verify_execution(&proofs, &claim, &key).expect("verified");
    assert_eq!(statement.outcome, trace.outcome());
    assert!(!statement.input_checked && !statement.output_checked && !statement.outcome_checked);
    let claim = Claim {
        outcome: ExpectedOutcome::Halt,
        output: None,
        ..claim_of(&trace)
    };
    verify_execution(&proofs, &claim, &key).expect("verified");
}

#[test]
fn reaching_the_step_limit_is_a_provable_outcome() {
    let program = common::program(6, 2);
    let run = |limit| {
        let tracer = bpf_tracer::Tracer::new(&program).input(input(5));
        tracer.step_limit(limit).trace().expect("the input fits")
    };
    let key = config().verifying_key().expect("keys");
    let trace = run(12);
    assert!(matches!(
        trace.outcome(),
        Outcome::Trap {
            kind: TrapKind::ExceededMaxInstructions,
            ..
        }
    ));
    let proofs = prover::prove_execution_chunked(&trace, config()).expect("proved");
    assert_eq!(proofs.len(), 2);
    let statement = verify_execution(&proofs, &claim_of(&trace), &key).expect("verified");
    assert_eq!((statement.outcome, statement.steps), (trace.outcome(), 12));
    // A run that goes on is no run that has reached a larger limit, or an earlier end.
    for limit in [11, 13, 25] {
        assert!(verify_execution(&proofs, &claim_of(&run(limit)), &key).is_err());
    }
    assert!(verify_execution(&proofs[..1], &claim_of(&run(10)), &key).is_err());
}

#[test]
fn a_trap_is_a_provable_outcome() {
    // Reads behind the input region.
    let program = common::program(1, 0);
    let short = bpf_tracer::Input::from_bytes([1, 2, 3]);
    let trace = bpf_tracer::Tracer::new(&program)
        .input(short)
        .trace()
        .expect("the input fits");
    assert_eq!(
        trace.outcome(),
        Outcome::Trap {
            kind: TrapKind::AccessViolation,
            pc: 0
        }
    );
    let proofs = prover::prove_execution_chunked(&trace, config()).expect("proved");
    let key = config().verifying_key().expect("keys");
    let statement = verify_execution(&proofs, &claim_of(&trace), &key).expect("verified");
    assert_eq!((statement.outcome, statement.steps), (trace.outcome(), 1));
    let halt = Claim {
        outcome: ExpectedOutcome::Halt,
        ..claim_of(&trace)
    };
    assert!(verify_execution(&proofs, &halt, &key).is_err());
    assert_eq!(input(1).region_len(), 16);
}
