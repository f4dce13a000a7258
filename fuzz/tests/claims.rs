//! What comes after the proofs, on values of any kind: spans, claim digests, comparison with a claim.

mod common;

use std::sync::LazyLock;

use bolero::check;
use bpf_tracer::{Outcome, TrapKind};
use common::aggregate::{ROOT, whole};
use common::changes::{change_hints, change_instance, change_run, is_chosen};
use common::claims::change_claim;
use common::{KEY, RUNS, Run};
use ff::PrimeField;
use fuzz::{Choices, Depth, Stats};
use halo2curves::bn256::G1Affine;
use verifier::{
    AggregateProof, ChunkProof, ChunkStatement, Claim, ClaimDigest, Commitments, KeyId, LinkError,
    Span, VerifyError, WholeRun, verify_chain,
};
use zk_circuits::ChunkInstance;

/// Of the lists of statements, one of so many is compared with a claim: the commitments of its columns take
/// milliseconds.
const COMPARED: u64 = 40;
/// Most changes of the statements.
const MAX_CHANGES: usize = 4;

static STATS: Stats = Stats::new("claims");

#[test]
fn claims_and_links() {
    // Made before time is measured.
    assert_eq!(ROOT.proof.key, ROOT.key.id());
    assert_eq!(HONEST.len(), RUNS.len());
    check!().for_each(|bytes: &[u8]| STATS.count(target(bytes)));
    STATS.print();
}

/// One execution.
fn target(bytes: &[u8]) -> Depth {
    let mut choices = Choices::new(bytes);
    if choices.byte().is_multiple_of(32) {
        digests(&mut choices)
    } else {
        statements(bytes, &mut choices)
    }
}

/// A chunk's statement, before anything checks it.
type Statement = (ChunkProof, Commitments);

/// Statements of the runs' chunks, and what they prove together.
static HONEST: LazyLock<Vec<(Vec<Statement>, WholeRun)>> = LazyLock::new(|| {
    let statement = |chunk: &ChunkProof| (chunk.clone(), chunk.commitments().expect("points"));
    let of_run = |run: &Run| {
        let statements = run.file.chunks().iter().map(statement).collect();
        (statements, whole(run))
    };
    RUNS.iter().map(of_run).collect()
});

fn statements(bytes: &[u8], choices: &mut Choices<'_>) -> Depth {
    let at = choices.below(RUNS.len());
    let mut claim = RUNS[at].claim.clone();
    if choices.byte().is_multiple_of(2) {
        change_claim(&mut claim, choices);
    }
    let mut statements = HONEST[at].0.clone();
    for _ in 0..choices.below(MAX_CHANGES) {
        change_statements(&mut statements, choices);
    }
    let joined = join(&statements);
    if !is_chosen(bytes, COMPARED) {
        return if joined.is_ok() {
            Depth::Parsed
        } else {
            Depth::Refused
        };
    }
    if let Ok(whole) = &joined {
        check_digest(whole, choices);
    }
    let unproved = |(chunk, commitments): &Statement| ChunkStatement::unproved(chunk, *commitments);
    let chunks: Vec<_> = statements.iter().map(unproved).collect();
    match verify_chain(&chunks, &claim, &KEY) {
        Ok(statement) => {
            let whole = joined.expect("what is accepted is one run");
            assert_eq!(statement.outcome, whole.outcome().expect("an outcome"));
            assert_eq!(
                (statement.steps, statement.compute_units),
                (whole.steps, whole.units)
            );
            assert_eq!(statement.input_size, whole.input_size);
            check_accepted(&whole, &statements, &claim);
            Depth::Semantic
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            if matches!(error, VerifyError::Claim { .. }) {
                Depth::Semantic
            } else {
                Depth::Parsed
            }
        }
    }
}

fn change_statements(statements: &mut Vec<Statement>, choices: &mut Choices<'_>) {
    if statements.is_empty() {
        return;
    }
    let at = choices.below(statements.len());
    match choices.byte() % 12 {
        0 => drop(statements.remove(at)),
        1 => statements.insert(at, statements[at].clone()),
        2 => statements.swap(0, at),
        3 => {
            let mut chunks: Vec<_> = statements.iter().map(|(chunk, _)| chunk.clone()).collect();
            change_hints(&mut chunks, choices);
            for ((chunk, _), changed) in statements.iter_mut().zip(chunks) {
                *chunk = changed;
            }
        }
        4 => statements[at].0.key = KeyId([choices.byte(); 32]),
        5 | 6 => {
            let other = statements[choices.below(statements.len())].1;
            let point = choices.pick(&points(&other));
            let point = if choices.byte().is_multiple_of(2) {
                point
            } else {
                -point
            };
            change_point(&mut statements[at].1, point, choices);
        }
        7 => {
            // The same value everywhere, so that links still hold.
            let mut rest = choices.clone();
            for (chunk, _) in statements.iter_mut() {
                rest = choices.clone();
                change_instance(&mut chunk.instance, &mut rest);
            }
            *choices = rest;
        }
        8 => end_otherwise(statements, choices),
        _ => change_instance(&mut statements[at].0.instance, choices),
    }
}

/// Another end of the run, as one could be.
fn end_otherwise(statements: &mut [Statement], choices: &mut Choices<'_>) {
    let Some((chunk, _)) = statements.last_mut() else {
        return;
    };
    let instance = &mut chunk.instance;
    let none = ChunkInstance {
        running_out: false,
        pc_out: 0,
        slot_out: 0,
        depth_out: 0,
        status: 0,
        r0: 0,
        trap_kind: 0,
        trap_pc: 0,
        ..*instance
    };
    *instance = match choices.byte() % 3 {
        0 => ChunkInstance {
            status: zk_circuits::STATUS_HALT,
            r0: choices.value(6),
            ..none
        },
        1 => ChunkInstance {
            status: zk_circuits::STATUS_TRAP,
            trap_kind: choices.value(2),
            trap_pc: choices.value(3),
            ..none
        },
        _ => ChunkInstance {
            running_out: true,
            pc_out: choices.value(4),
            depth_out: 1,
            units_out: none.budget,
            ..none
        },
    };
}

fn points(commitments: &Commitments) -> [G1Affine; 8] {
    let Commitments {
        entry: [a, b],
        exit: [c, d],
        pages,
        program: [x, y, z],
    } = *commitments;
    [a, b, c, d, pages, x, y, z]
}

fn change_point(commitments: &mut Commitments, point: G1Affine, choices: &mut Choices<'_>) {
    let Commitments {
        entry: [a, b],
        exit: [c, d],
        pages,
        program: [x, y, z],
    } = commitments;
    let places = [a, b, c, d, pages, x, y, z];
    if let Some(place) = places.into_iter().nth(choices.below(8)) {
        *place = point;
    }
}

/// Joins statements from the left, and checks what joining promises.
fn join(statements: &[Statement]) -> Result<WholeRun, Option<LinkError>> {
    let mut spans = Vec::new();
    for (chunk, commitments) in statements {
        let span = Span::of_chunk(&chunk.instance, commitments)?;
        check_chunk(&chunk.instance);
        spans.push(span);
    }
    for trio in spans.windows(3) {
        let [a, b, c] = trio else { unreachable!() };
        let left = a.join(b).and_then(|ab| ab.join(c)).ok();
        let right = b.join(c).and_then(|bc| a.join(&bc)).ok();
        assert_eq!(left, right, "the order of joining does not matter");
    }
    let mut spans = spans.into_iter();
    let mut span = spans.next().ok_or(None)?;
    for next in spans {
        let joined = span.join(&next)?;
        assert_eq!(joined.chunks, span.chunks + next.chunks);
        assert_eq!(joined.commitments.entry, span.commitments.entry);
        assert_eq!(joined.commitments.exit, next.commitments.exit);
        assert!(span.instance.running_out && next.instance.running_in);
        span = joined;
    }
    let whole = span.whole()?;
    let first = statements.first().map(|(chunk, _)| chunk.instance);
    let first = first.expect("a chunk");
    assert_eq!((first.index, first.steps_in, first.units_in), (0, 0, 0));
    assert!(whole.units <= whole.budget);
    assert!(!whole.stopped || whole.units == whole.budget);
    assert_eq!(whole.version, zk_circuits::VERSION);
    let outcome = whole.outcome().expect("a run has an outcome");
    let stopped = matches!(
        outcome,
        Outcome::Trap {
            kind: TrapKind::ExceededMaxInstructions,
            ..
        }
    );
    assert_eq!(stopped, whole.stopped);
    Ok(whole)
}

/// What public values of a chunk are like.
fn check_chunk(instance: &ChunkInstance) {
    let slots = [
        instance.pc_in,
        instance.pc_out,
        instance.slot_in,
        instance.slot_out,
        instance.trap_pc,
    ];
    assert!(slots.iter().all(|slot| *slot < 1 << 32));
    assert!(instance.running_in && instance.units_out <= instance.budget);
    assert!(instance.steps_in <= instance.steps_out && instance.units_in <= instance.units_out);
    assert_eq!(
        instance.running_out,
        instance.status == zk_circuits::STATUS_RUNNING
    );
    assert!(instance.running_out || (instance.pc_out, instance.depth_out) == (0, 0));
    assert!(instance.status == zk_circuits::STATUS_HALT || instance.r0 == 0);
    let trap = (instance.trap_kind, instance.trap_pc);
    assert!(instance.status == zk_circuits::STATUS_TRAP || trap == (0, 0));
}

/// What a claim says of a run that it accepts, by the run's values alone.
fn check_accepted(whole: &WholeRun, statements: &[Statement], claim: &Claim) {
    let outcome = whole.outcome().expect("an outcome");
    assert!(claim.outcome.admits(outcome));
    assert_eq!(whole.budget, claim.budget);
    assert_eq!(whole.entry, u64::from(claim.program.entry()));
    assert!(claim.compute_units.is_none_or(|units| units == whole.units));
    let first = statements.first().map(|(chunk, _)| chunk);
    let first = first.expect("a chunk");
    for (run, (_, expected)) in RUNS.iter().zip(HONEST.iter()) {
        let honest = run.file.chunks().first().expect("a chunk");
        let found = whole;
        let same_program = claim.program.id() == run.claim.program.id();
        if same_program && first.selection == honest.selection {
            assert_eq!(found.program, expected.program);
        }
        if first.pages == honest.pages {
            assert_eq!(found.pages, expected.pages);
            let same = (&claim.input, claim.budget) == (&run.claim.input, run.claim.budget);
            if same && same_program {
                assert_eq!(found.memory, expected.memory);
            }
            if same && claim.output == run.claim.output && claim.output.is_some() {
                assert_eq!(found.output, expected.output);
            }
        }
    }
    if let Some(input) = &claim.input {
        assert_eq!(whole.input_size, input.region_len());
    }
}

/// Digests of runs that differ are different, in the part that differs.
fn digests(choices: &mut Choices<'_>) -> Depth {
    let one = HONEST[choices.below(RUNS.len())].1;
    check_digest(&one, choices);
    Depth::Semantic
}

fn check_digest(one: &WholeRun, choices: &mut Choices<'_>) {
    let mut other = *one;
    for _ in 0..choices.below(3) {
        change_run(&mut other, choices);
    }
    let key = ROOT.key.chunk_key().id();
    let digests = [one, &other].map(|run| ClaimDigest::of(run, key));
    let [a, b] = &digests;
    let setup = |run: &WholeRun| {
        let numbers = [run.version, run.entry, run.input_size, run.budget];
        (numbers, run.memory[0], run.pages, run.program)
    };
    assert_eq!(a.setup == b.setup, setup(one) == setup(&other));
    assert_eq!(a.input == b.input, one.memory[1] == other.memory[1]);
    assert_eq!(a.output == b.output, one.output == other.output);
    let numbers = |run: &WholeRun| (run.r0, run.steps, run.units);
    assert_eq!(a.ending_1 == b.ending_1, numbers(one) == numbers(&other));
    // The rest is packed: it is injective within the ranges that a verifier checks.
    let in_range = |run: &WholeRun| {
        run.stopped_at < 1 << 32
            && run.trap_pc < 1 << 32
            && run.trap_kind < 1 << 8
            && run.status < 1 << 8
    };
    if in_range(one) && in_range(&other) {
        let ending = |run: &WholeRun| {
            let trap = (run.trap_kind, run.trap_pc);
            (run.stopped, run.stopped_at, run.status, trap)
        };
        assert_eq!(a.ending_2 == b.ending_2, ending(one) == ending(&other));
        assert_eq!(a.value() == b.value(), *one == other);
    }
    if key.0[0] % 2 == choices.byte() % 2 {
        let mut changed = key;
        changed.0[choices.below(32)] ^= 1 << (choices.byte() % 8);
        assert_ne!(ClaimDigest::of(one, changed).setup, a.setup);
    }
    check_evm_claim(one, a);
}

/// The contract's claim has the same digest.
fn check_evm_claim(run: &WholeRun, digest: &ClaimDigest) {
    let mut proof: AggregateProof = ROOT.proof.clone();
    proof.run = *run;
    if let Some(claim) = evm_verifier::EvmClaim::of(&proof, &ROOT.key) {
        assert_eq!((claim.input, claim.output), (digest.input, digest.output));
        assert_eq!(
            claim.digest(digest.setup).to_repr(),
            digest.value().to_repr()
        );
        let calldata = evm_verifier::digest_calldata(&claim);
        assert_eq!(calldata.len(), 4 + 10 * 32);
    }
}
