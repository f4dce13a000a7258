//! Whole runs through the library: execute, prove in chunks, verify.

mod asm;
mod keys;

use asm::{EXIT, Fields, bytecode};
use zkbpf::verifier::{ClaimError, LinkError};
use zkbpf::{
    ChunkProof, Claim, ExecutionTrace, ExpectedOutcome, Input, KeygenConfig, LoadOptions, Outcome,
    Program, Tracer, TrapKind, VerifyError, claim_of, execute_and_trace, prove_execution_chunked,
    prove_execution_chunked_auto, prove_execution_chunked_parallel, verify_chunk, verify_execution,
};

/// `r0 = 1; r0 += 1; …; exit`: this many steps.
fn steps(count: usize) -> ExecutionTrace {
    let mut slots: Vec<Fields> = vec![(0xb7, 0, 0, 0, 1)];
    slots.resize(count - 1, (0x07, 0, 0, 0, 1));
    slots.push(EXIT);
    let trace = execute_and_trace(&bytecode(&slots)).expect("a valid program");
    assert_eq!(trace.instruction_count(), count as u64);
    trace
}

fn config(chunk_size: usize) -> KeygenConfig {
    keys::config(10).clone().with_chunk_size(chunk_size)
}

/// Verifies a run, and that its chunks follow one another.
fn verify(trace: &ExecutionTrace, proofs: &[ChunkProof], config: &KeygenConfig) {
    let key = config.verifying_key().expect("keys");
    let statement = verify_execution(proofs, &claim_of(trace), &key).expect("valid");
    assert_eq!(statement.outcome, trace.outcome());
    assert_eq!(statement.steps, trace.instruction_count());
    assert_eq!(statement.chunks, Some(proofs.len()));
    assert!(statement.input_checked && statement.outcome_checked && statement.output_checked);
    assert_eq!(statement.program_id, trace.program().id());
    for proof in proofs {
        let chunk = verify_chunk(proof, &key).expect("valid on its own");
        assert_eq!(chunk.instance(), &proof.instance);
    }
}

#[test]
fn twenty_five_steps_make_three_chunks_of_ten() {
    let trace = steps(25);
    let config = config(10);
    let proofs = prove_execution_chunked_parallel(&trace, &config).expect("proved");
    assert_eq!(proofs.len(), 3);
    let made: Vec<u64> = proofs
        .iter()
        .map(|proof| proof.instance.steps_out)
        .collect();
    assert_eq!(made, [10, 20, 25]);
    verify(&trace, &proofs, &config);

    // Continuity is the verifier's business: without the middle chunk nothing is proved.
    let key = config.verifying_key().expect("keys");
    let gap = [proofs[0].clone(), proofs[2].clone()];
    let error = verify_execution(&gap, &claim_of(&trace), &key).expect_err("a gap");
    let reason = LinkError::Index { found: 2 };
    assert_eq!(error, VerifyError::Link { chunk: 1, reason });
}

#[test]
fn both_schedules_agree_on_fifty_steps() {
    let trace = steps(50);
    let config = config(10);
    let sequential = prove_execution_chunked(&trace, &config).expect("proved");
    let parallel = prove_execution_chunked_parallel(&trace, &config).expect("proved");
    assert_eq!((sequential.len(), parallel.len()), (5, 5));
    for (one, other) in sequential.iter().zip(&parallel) {
        assert_eq!(one.instance, other.instance);
        assert_eq!(one.pages, other.pages);
        assert_eq!(one.proof.len(), other.proof.len());
        assert_ne!(one.proof, other.proof, "each has blinding of its own");
    }
    verify(&trace, &sequential, &config);
    verify(&trace, &parallel, &config);

    // Two runs hide the same memory behind different commitments: their chunks do not mix.
    let mut mixed = sequential;
    mixed[2] = parallel[2].clone();
    let key = config.verifying_key().expect("keys");
    let error = verify_execution(&mixed, &claim_of(&trace), &key).expect_err("mixed");
    assert!(
        matches!(
            error,
            VerifyError::Link {
                chunk: 1,
                reason: LinkError::Memory { .. }
            }
        ),
        "{error}"
    );
}

/// A program in this repository.
fn example(name: &str) -> Program {
    let path = format!("{}/examples/programs/{name}.o", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect("a committed object");
    Program::load(&bytes, &LoadOptions::default()).expect("a valid object")
}

fn trace(program: &Program, input: Input) -> ExecutionTrace {
    Tracer::new(program)
        .input(input)
        .trace()
        .expect("a small input")
}

/// An Ethernet frame with a TCP segment from an address to port 443.
fn frame(source: [u8; 4]) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0];
    ip.extend(source);
    ip.extend([192, 0, 2, 1]);
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00]);
    frame.extend(ip);
    frame.extend([0xc0, 0x00, 0x01, 0xbb]);
    frame.resize(54, 0);
    frame
}

#[test]
fn a_packet_filter_decides() {
    let program = example("filter");
    for (source, verdict) in [([198, 51, 100, 7], 1), ([10, 0, 0, 7], 0)] {
        let trace = trace(&program, Input::from_bytes(frame(source)));
        assert_eq!(trace.outcome(), Outcome::Halt { r0: verdict });
        let config = keys::config(10);
        let proofs = prove_execution_chunked_auto(&trace, config).expect("proved");
        verify(&trace, &proofs, config);
    }
}

#[test]
fn a_sorted_list_is_the_claimed_output() {
    let program = example("sort");
    let numbers = [5_u32, 0xffff_ffff, 0, 17, 5, 1 << 31];
    let bytes = |numbers: &[u32]| {
        numbers
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let input = Input::from_bytes(bytes(&numbers));
    let trace = trace(&program, input.clone());
    let config = keys::config(10);
    let proofs = prove_execution_chunked_parallel(&trace, config).expect("proved");

    let mut sorted = numbers;
    sorted.sort_unstable();
    let mut claim = Claim {
        outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 6 }),
        output: Some(bytes(&sorted)),
        budget: trace.step_limit(),
        ..Claim::new(program, input)
    };
    let key = config.verifying_key().expect("keys");
    let statement = verify_execution(&proofs, &claim, &key).expect("valid");
    assert!(statement.output_checked);

    sorted.swap(0, 1);
    claim.output = Some(bytes(&sorted));
    let error = verify_execution(&proofs, &claim, &key).expect_err("another output");
    let reason = ClaimError::Commitment { column: "output" };
    let chunk = proofs.len() - 1;
    assert_eq!(error, VerifyError::Claim { chunk, reason });
}

#[test]
fn example_programs_compute_what_they_say() {
    let fib = example("fib");
    let outcome = |n: u64| trace(&fib, Input::from_bytes(n.to_le_bytes())).outcome();
    assert_eq!(outcome(0), Outcome::Halt { r0: 0 });
    assert_eq!(
        outcome(90),
        Outcome::Halt {
            r0: 2_880_067_194_370_816_120
        }
    );

    let sha256 = example("sha256");
    // FIPS 180-2, appendix B.
    for (message, digest) in [
        (
            "",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ] {
        let trace = trace(&sha256, Input::from_bytes(message).with_region_size(64));
        assert_eq!(hex::encode(&trace.output()[..32]), digest);
    }
}

#[test]
fn reaching_the_step_limit_is_proved() {
    // Forever: ja -1.
    let code = bytecode(&[(0x05, 0, 0, -1, 0)]);
    let program = Program::load(&code, &LoadOptions::default()).expect("a valid program");
    let trace = Tracer::new(&program)
        .step_limit(30)
        .trace()
        .expect("no input");
    let kind = TrapKind::ExceededMaxInstructions;
    assert_eq!(trace.outcome(), Outcome::Trap { kind, pc: 0 });
    let config = config(20);
    let proofs = prove_execution_chunked_parallel(&trace, &config).expect("proved");
    assert_eq!(proofs.len(), 2);
    verify(&trace, &proofs, &config);

    // Stopping early is not reaching the limit.
    let key = config.verifying_key().expect("keys");
    let error = verify_execution(&proofs[..1], &claim_of(&trace), &key).expect_err("a prefix");
    let reason = LinkError::Unfinished;
    assert_eq!(error, VerifyError::Link { chunk: 0, reason });
}
