//! Every check of a chunk, of a chain and of a claim refuses what only it refuses.

use std::sync::{Arc, Once};

use bpf_tracer::Environment;
use zk_circuits::Selection;

use super::*;
use crate::ExpectedOutcome;
use crate::key::KeyId;
use crate::testing::{chunks, claim, input, point, program, proof, setting};

fn chunk_error(change: impl Fn(&mut ChunkProof)) -> ChunkError {
    static HONEST: Once = Once::new();
    let setting = setting();
    HONEST.call_once(|| {
        let _ = verify_chunk(proof(), &setting.key).expect("the honest proof");
    });
    let mut forged = proof().clone();
    change(&mut forged);
    match verify_chunk(&forged, &setting.key) {
        Err(VerifyError::Chunk { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_chunks_proof_is_for_this_key_and_these_values() {
    let key = &setting().key;
    let foreign = chunk_error(|chunk| chunk.key = KeyId([1; 32]));
    let expected = ChunkError::ForeignKey {
        found: KeyId([1; 32]),
        expected: key.id(),
    };
    assert_eq!(foreign, expected);
    let (found, expected) = (zk_circuits::VERSION + 1, zk_circuits::VERSION);
    let version = chunk_error(|chunk| chunk.instance.version += 1);
    assert_eq!(version, ChunkError::Version { found, expected });
    let range = chunk_error(|chunk| chunk.instance.pc_in = 1 << 32);
    assert_eq!(range, ChunkError::OutOfRange { name: "pc_in" });
    for name in 0..zk_circuits::ChunkInstance::LEN {
        // A word that is in range, whatever it means.
        let error = chunk_error(|chunk| {
            let mut words = chunk.instance.to_words();
            words[name] ^= 1;
            chunk.instance = ChunkInstance::from_words(words).expect("flags stay flags");
        });
        assert_ne!(error, ChunkError::NotCanonical { element: 0 });
    }
    let other = chunk_error(|chunk| chunk.instance.index += 1);
    assert_eq!(other, ChunkError::Invalid);
}

#[test]
fn a_chunks_proof_has_one_form() {
    let layout = setting().key.layout();
    let length = layout.bytes();
    for found in [0, length - 32, length - 1, length + 1, length + 32] {
        let error = chunk_error(|chunk| chunk.proof.resize(found, 0));
        let expected = length;
        assert_eq!(error, ChunkError::Length { found, expected });
    }
    let identity: [u8; 32] = G1Affine::identity()
        .to_bytes()
        .as_ref()
        .try_into()
        .expect("32 bytes");
    for element in 0..layout.elements() {
        let at = 32 * element..32 * (element + 1);
        let is_scalar = (layout.points..layout.points + layout.scalars).contains(&element);
        let changed =
            |new: [u8; 32]| chunk_error(|chunk| chunk.proof[at.clone()].copy_from_slice(&new));
        let not_canonical = ChunkError::NotCanonical { element };
        assert_eq!(changed([0xff; 32]), not_canonical);
        if !is_scalar {
            assert_eq!(changed(identity), not_canonical, "element {element}");
            // No point has this x.
            assert_eq!(changed([0; 32]), not_canonical, "element {element}");
            // The sign of y beside another x, and the flag of the identity.
            let mut flagged: [u8; 32] = proof().proof[at.clone()].try_into().expect("32 bytes");
            flagged[31] |= 0x80;
            assert_eq!(changed(flagged), not_canonical, "element {element}");
        } else if element % 16 == 0 {
            assert_eq!(changed([1; 32]), ChunkError::Invalid);
        }
    }
    // A scalar and r: the same number.
    let mut scalar: [u8; 32] = proof().proof[32 * layout.points..][..32]
        .try_into()
        .expect("32 bytes");
    let mut carry = 1;
    for (byte, r) in scalar.iter_mut().zip((-Fr::one()).to_repr()) {
        let sum = u16::from(*byte) + u16::from(r) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    let element = layout.points;
    let error = chunk_error(|chunk| {
        chunk.proof[32 * element..][..32].copy_from_slice(&scalar);
    });
    assert_eq!(error, ChunkError::NotCanonical { element });
}

#[test]
fn points_and_scalars_have_32_bytes() {
    let point_bytes = proof().proof[..32].to_vec();
    assert!(canonical_point(&point_bytes).is_some());
    assert!(canonical_point(&point_bytes[..31]).is_none());
    assert!(canonical_point(&[point_bytes, vec![0]].concat()).is_none());
    assert!(canonical_scalar(&[0; 32]).is_some());
    assert!(canonical_scalar(&[0; 31]).is_none());
    assert!(canonical_scalar(&[0; 33]).is_none());
    assert!(commitments_of(&proof().proof[..7 * 32]).is_err());
}

fn chain_error(change: impl Fn(&mut Vec<ChunkStatement>)) -> VerifyError {
    let setting = setting();
    let claim = claim(&setting.trace);
    let _ = verify_chain(&setting.chunks, &claim, &setting.key).expect("the honest chain");
    let mut chunks = setting.chunks.clone();
    change(&mut chunks);
    verify_chain(&chunks, &claim, &setting.key).expect_err("a forgery")
}

fn link(chunk: usize, reason: LinkError) -> VerifyError {
    VerifyError::Link { chunk, reason }
}

#[test]
fn a_chain_is_whole_and_of_one_key() {
    assert_eq!(chain_error(Vec::clear), VerifyError::Empty);
    assert!(matches!(
        verify_execution(&[], &claim(&setting().trace), &setting().key),
        Err(VerifyError::Empty)
    ));
    assert_eq!(join(&[]).err(), Some(VerifyError::Empty));
    for chunk in 0..3 {
        let error = chain_error(|chunks| chunks[chunk].key = KeyId([1; 32]));
        let reason = ClaimError::ForeignKey;
        assert_eq!(error, VerifyError::Claim { chunk, reason });
        let error = chain_error(|chunks| chunks[chunk].instance.index = 7);
        assert_eq!(error, link(chunk, LinkError::Index { found: 7 }));
        let error = chain_error(|chunks| chunks[chunk].instance.running_in = false);
        assert_eq!(error, link(chunk, LinkError::NotRunning));
    }
    let error = chain_error(|chunks| {
        chunks.pop();
    });
    assert_eq!(error, link(1, LinkError::Unfinished));
    let error = chain_error(|chunks| chunks[0].instance.steps_in = 1);
    assert_eq!(error, link(0, LinkError::NotTheStart));
    let error = chain_error(|chunks| chunks[2].instance.pc_in += 1);
    assert_eq!(error, link(1, LinkError::Value { name: "pc" }));
    for (name, change) in [
        (
            "pages",
            (|hints| hints.pages = [1].into()) as fn(&mut Hints),
        ),
        ("input", |hints| hints.input = [1].into()),
        ("selection", |hints| {
            hints.selection = Arc::new(Selection::Whole);
        }),
    ] {
        let error = chain_error(|chunks| change(&mut chunks[1].hints));
        assert_eq!(error, link(0, LinkError::Differs { name }));
    }
}

/// A chain joined by hand could be in another order than its indices.
#[test]
fn a_chunk_is_in_the_place_of_its_index() {
    let error = chain_error(|chunks| {
        for chunk in chunks {
            chunk.instance.index += 1;
        }
    });
    assert_eq!(error, link(0, LinkError::Index { found: 1 }));
}

/// The run of the setting, and the hints of its chunks.
fn whole() -> (WholeRun, Hints) {
    let setting = setting();
    let run = join(&setting.chunks).expect("neighbours").whole();
    (run.expect("a run"), setting.chunks[0].hints.clone())
}

type Change<T> = fn(&mut T);

fn compare(
    change_run: Change<WholeRun>,
    change_hints: Change<Hints>,
    change_claim: Change<Claim>,
) -> Result<Outcome, (End, ClaimError)> {
    let setting = setting();
    let (mut run, mut hints) = whole();
    let mut claim = claim(&setting.trace);
    check_claim(&run, &hints, &claim, &setting.key).expect("the honest run");
    change_run(&mut run);
    change_hints(&mut hints);
    change_claim(&mut claim);
    check_claim(&run, &hints, &claim, &setting.key)
}

fn of_run(change: Change<WholeRun>) -> (End, ClaimError) {
    compare(change, |_| {}, |_| {}).expect_err("another run")
}

fn of_claim(change: Change<Claim>) -> (End, ClaimError) {
    compare(|_| {}, |_| {}, change).expect_err("another claim")
}

#[test]
fn values_are_those_of_the_claim() {
    let entry = |reason| (End::Entry, reason);
    let exit = |reason| (End::Exit, reason);
    assert_eq!(of_run(|run| run.entry += 1), entry(ClaimError::Entry));
    let (found, expected) = (1001, 1000);
    let budget = ClaimError::Budget { found, expected };
    assert_eq!(of_run(|run| run.budget += 1), entry(budget));
    let (found, expected) = (641, 640);
    let size = ClaimError::InputSize { found, expected };
    assert_eq!(of_run(|run| run.input_size += 1), entry(size));
    let (found, expected) = (3, 4);
    let units = ClaimError::ComputeUnits { found, expected };
    assert_eq!(of_claim(|claim| claim.compute_units = Some(4)), exit(units));
    let other = of_claim(|claim| claim.outcome = ExpectedOutcome::Exactly(Outcome::Halt { r0: 8 }));
    let outcome = ClaimError::Outcome {
        found: "halt, r0 = 0x9".to_owned(),
        expected: "halt, r0 = 0x8".to_owned(),
    };
    assert_eq!(other, exit(outcome));
    assert_eq!(
        of_run(|run| (run.status, run.trap_kind) = (2, 77)),
        exit(ClaimError::NoOutcome)
    );
    // What the claim leaves open.
    let open: [Change<Claim>; 4] = [
        |claim| claim.compute_units = None,
        |claim| claim.outcome = ExpectedOutcome::Halt,
        |claim| claim.outcome = ExpectedOutcome::Any,
        |claim| claim.output = None,
    ];
    for change in open {
        assert!(compare(|_| {}, |_| {}, change).is_ok());
    }
    let trap = compare(
        |run| (run.status, run.r0, run.trap_kind) = (2, 0, 1),
        |_| {},
        |claim| claim.outcome = ExpectedOutcome::Halt,
    );
    assert!(matches!(trap, Err((End::Exit, ClaimError::Outcome { .. }))));
}

#[test]
fn a_run_stops_at_its_budget_between_two_instructions() {
    let stop: Change<WholeRun> = |run| {
        (run.stopped, run.status, run.r0) = (true, 0, 0);
        run.budget = run.units;
        run.stopped_at = 3;
    };
    let any: Change<Claim> = |claim| {
        claim.outcome = ExpectedOutcome::Any;
        claim.budget = 3;
    };
    // Behind the last slot: everything but memory, which has the budget in it, is as claimed.
    let column = "initial memory";
    let last = compare(stop, |_| {}, any);
    assert_eq!(last, Err((End::Entry, ClaimError::Commitment { column })));
    let beyond = compare(
        |run| {
            (run.stopped, run.status, run.r0) = (true, 0, 0);
            run.budget = run.units;
            run.stopped_at = 4;
        },
        |_| {},
        any,
    );
    let pc = 4;
    assert_eq!(
        beyond,
        Err((End::Exit, ClaimError::NotAnInstruction { pc }))
    );
}

#[test]
fn commitments_are_those_of_the_claim() {
    let cases: [(&str, End, Change<WholeRun>); 7] = [
        ("program", End::Entry, |run| run.program[0] = point(3)),
        ("program", End::Entry, |run| run.program[1] = point(3)),
        ("program", End::Entry, |run| run.program[2] = point(3)),
        ("list of pages", End::Entry, |run| run.pages = point(3)),
        ("initial memory", End::Entry, |run| run.memory[0] = point(3)),
        ("input", End::Entry, |run| run.memory[1] = point(3)),
        ("output", End::Exit, |run| run.output = point(3)),
    ];
    for (column, end, change) in cases {
        assert_eq!(of_run(change), (end, ClaimError::Commitment { column }));
    }
    let input_byte = of_claim(|claim| claim.input.as_mut().expect("an input").bytes[0] ^= 1);
    let column = "input";
    assert_eq!(input_byte, (End::Entry, ClaimError::Commitment { column }));
    let other = of_claim(|claim| claim.program = program(8));
    let column = "program";
    assert_eq!(other, (End::Entry, ClaimError::Commitment { column }));
    let touched = of_claim(|claim| claim.output.as_mut().expect("an output")[1] ^= 1);
    let column = "output";
    assert_eq!(touched, (End::Exit, ClaimError::Commitment { column }));
    // The environment of a program that asks for nothing is not part of its table.
    assert!(
        compare(
            |_| {},
            |_| {},
            |claim| claim.environment = Environment::empty()
        )
        .is_ok()
    );
}

#[test]
fn hints_are_lists_in_order() {
    let hints = |change| compare(|_| {}, change, |_| {}).expect_err("other hints");
    let (end, reason) = hints(|hints| hints.pages = [5, 5].into());
    assert_eq!(end, End::Entry);
    assert!(matches!(reason, ClaimError::PageForm { .. }));
    let (_, reason) = hints(|hints| hints.pages = [5].into());
    assert_eq!(
        reason,
        ClaimError::Commitment {
            column: "list of pages"
        }
    );
    let blocks = |blocks| Arc::new(Selection::Blocks(blocks));
    let (end, reason) = compare(
        |_| {},
        |hints| hints.selection = Arc::new(Selection::Blocks(vec![1, 0])),
        |_| {},
    )
    .expect_err("no selection");
    assert_eq!(end, End::Entry);
    assert!(matches!(reason, ClaimError::Selection { .. }));
    let (run, mut other) = whole();
    other.selection = blocks(vec![]);
    let setting = setting();
    let error = check_claim(&run, &other, &claim(&setting.trace), &setting.key);
    let column = "program";
    assert_eq!(error, Err((End::Entry, ClaimError::Commitment { column })));
}

#[test]
fn an_unclaimed_input_is_the_hint() {
    let any: Change<Claim> = |claim| claim.input = None;
    assert!(compare(|_| {}, |_| {}, any).is_ok());
    let longer = compare(|_| {}, |hints| hints.input = vec![0; 641].into(), any);
    assert_eq!(longer, Err((End::Entry, ClaimError::InputLength)));
    let other = compare(|_| {}, |hints| hints.input = vec![9; 600].into(), any);
    // The number of bytes given is a register.
    let column = "input";
    assert_eq!(other, Err((End::Entry, ClaimError::Commitment { column })));
    let shorter = compare(|_| {}, |hints| hints.input = vec![9; 599].into(), any);
    let column = "initial memory";
    assert_eq!(
        shorter,
        Err((End::Entry, ClaimError::Commitment { column }))
    );
}

#[test]
fn an_output_is_the_region_and_equals_the_input_where_nothing_was_touched() {
    let exit = |reason| (End::Exit, reason);
    for found in [639, 641] {
        let (run, hints) = whole();
        let mut claim = claim(&setting().trace);
        claim.output.as_mut().expect("an output").resize(found, 0);
        let found = found as u64;
        let expected = 640;
        assert_eq!(
            check_claim(&run, &hints, &claim, &setting().key),
            Err(exit(ClaimError::OutputLength { found, expected }))
        );
    }
    // In the second page, in the third, and behind the bytes that were given.
    for offset in [256, 511, 512, 599, 600, 639] {
        let (run, hints) = whole();
        let mut claim = claim(&setting().trace);
        claim.output.as_mut().expect("an output")[offset] ^= 1;
        let offset = offset as u64;
        assert_eq!(
            check_claim(&run, &hints, &claim, &setting().key),
            Err(exit(ClaimError::OutputUntouched { offset }))
        );
    }
}

#[test]
fn return_data_lies_on_mapped_pages() {
    let key = &setting().key;
    let base = RETURN_DATA_BASE / PAGE_BYTES;
    let list = |pages: &[u64]| PageList::new(pages, key.shape()).expect("in order");
    let refused = |length: usize| Err(ClaimError::ReturnData { length });
    assert_eq!(check_return_data(&[], &list(&[])), Ok(()));
    assert_eq!(check_return_data(&[1], &list(&[])), refused(1));
    assert_eq!(check_return_data(&[1], &list(&[base])), Ok(()));
    assert_eq!(check_return_data(&[1], &list(&[base + 1])), refused(1));
    // Eight bytes of length, then the data: 248 fit into the first page.
    assert_eq!(check_return_data(&[1; 248], &list(&[base])), Ok(()));
    assert_eq!(check_return_data(&[1; 249], &list(&[base])), refused(249));
    assert_eq!(
        check_return_data(&[1; 249], &list(&[base, base + 1])),
        Ok(())
    );
    let all: Vec<u64> = (base..base + 5).collect();
    assert_eq!(check_return_data(&[1; 1024], &list(&all)), Ok(()));
    assert_eq!(check_return_data(&[1; 1025], &list(&all)), refused(1025));
    let claimed = of_claim(|claim| claim.return_data = vec![1]);
    let length = 1;
    assert_eq!(claimed, (End::Exit, ClaimError::ReturnData { length }));
}

/// A claim of another run in full, so that nothing of this module's runs is the same by accident.
#[test]
fn a_statement_says_what_was_compared() {
    let setting = setting();
    let statement = verify_chain(&setting.chunks, &claim(&setting.trace), &setting.key);
    let statement = statement.expect("the honest chain");
    assert_eq!(statement.outcome, Outcome::Halt { r0: 9 });
    assert_eq!((statement.steps, statement.compute_units), (3, 3));
    assert_eq!((statement.chunks, statement.input_size), (Some(3), 640));
    assert!(statement.input_checked && statement.outcome_checked && statement.output_checked);
    assert_eq!(statement.key, setting.key.id());
    let open = Claim::new(program(9), input());
    let open = Claim {
        input: None,
        budget: 1000,
        ..open
    };
    let statement = verify_chain(&setting.chunks, &open, &setting.key).expect("an open claim");
    assert!(!statement.input_checked && !statement.outcome_checked && !statement.output_checked);
    assert_eq!(chunks(&setting.trace, &setting.key).len(), 3);
}
