//! Every rule of spans, on public values and points that are made up.

use super::*;
use crate::testing::point;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Halt,
    Trap,
    Budget,
}

const ENDINGS: [Ending; 3] = [Ending::Halt, Ending::Trap, Ending::Budget];
const BUDGET: u64 = 100;

/// Chunk `index` of three.
fn chunk(index: u64, ending: Ending) -> (ChunkInstance, Commitments) {
    let last = index == 2;
    let ended = last && ending != Ending::Budget;
    let only = |value: u64, of: Ending| if ended && ending == of { value } else { 0 };
    let instance = ChunkInstance {
        running_in: true,
        running_out: !ended,
        pc_in: 3 + 7 * index,
        pc_out: if ended { 0 } else { 10 + 7 * index },
        slot_in: 5 * index,
        slot_out: 5 * index + 5,
        depth_in: 1 + index,
        depth_out: if ended { 0 } else { 2 + index },
        steps_in: 8 * index,
        steps_out: 8 * index + 8,
        units_in: 9 * index,
        units_out: if last && !ended {
            BUDGET
        } else {
            9 * index + 9
        },
        input_size: 48,
        status: only(STATUS_HALT, Ending::Halt) + only(STATUS_TRAP, Ending::Trap),
        r0: only(u64::MAX - 4, Ending::Halt),
        trap_kind: only(2, Ending::Trap),
        trap_pc: only(17, Ending::Trap),
        version: zk_circuits::VERSION,
        budget: BUDGET,
        index,
    };
    let boundary = |index: u64| [point(2 * index), point(2 * index + 1)];
    let commitments = Commitments {
        entry: boundary(index),
        exit: boundary(index + 1),
        pages: point(50),
        program: [point(51), point(52), point(53)],
    };
    (instance, commitments)
}

fn span(index: u64, ending: Ending) -> Span {
    let (instance, commitments) = chunk(index, ending);
    Span::of_chunk(&instance, &commitments).expect("an honest chunk")
}

fn whole(ending: Ending) -> Span {
    let [a, b, c] = [0, 1, 2].map(|index| span(index, ending));
    let joined = a.join(&b).and_then(|ab| ab.join(&c));
    let other = b.join(&c).and_then(|bc| a.join(&bc));
    assert_eq!(joined, other, "the order of joining does not matter");
    joined.expect("neighbours")
}

/// The error of a chunk with a changed value; the chunk is accepted before.
fn refused(index: u64, ending: Ending, change: impl Fn(&mut ChunkInstance)) -> Option<LinkError> {
    let (mut instance, commitments) = chunk(index, ending);
    assert!(Span::of_chunk(&instance, &commitments).is_ok());
    change(&mut instance);
    Span::of_chunk(&instance, &commitments).err()
}

type Change = fn(&mut ChunkInstance, u64);

#[test]
fn values_have_ranges() {
    const SLOT: u64 = u32::MAX as u64;
    const DEPTH: u64 = MAX_CALL_DEPTH as u64 + 1;
    let bounds: [(&str, Change, u64); 8] = [
        ("pc_in", |i, v| i.pc_in = v, SLOT),
        ("pc_out", |i, v| i.pc_out = v, SLOT),
        ("slot_in", |i, v| i.slot_in = v, SLOT),
        ("slot_out", |i, v| i.slot_out = v, SLOT),
        ("depth_in", |i, v| i.depth_in = v, DEPTH),
        ("depth_out", |i, v| i.depth_out = v, DEPTH),
        ("input_size", |i, v| i.input_size = v, MAX_REGION),
        // A flag, not a range: 1 and 2 have their meaning, and this chunk runs.
        ("status", |i, v| i.status = v, 0),
    ];
    for (name, change, most) in bounds {
        assert_eq!(
            refused(1, Ending::Halt, |i| change(i, most)),
            None,
            "{name}"
        );
        for value in [most + 1, u64::MAX] {
            let error = refused(1, Ending::Halt, |i| change(i, value));
            assert_eq!(
                error,
                Some(LinkError::OutOfRange { name }),
                "{name} = {value}"
            );
        }
    }
    let trap_pc = |value| refused(2, Ending::Trap, move |i| i.trap_pc = value);
    assert_eq!(trap_pc(SLOT), None);
    let name = "trap_pc";
    assert_eq!(trap_pc(SLOT + 1), Some(LinkError::OutOfRange { name }));
}

#[test]
fn values_are_set_only_where_they_mean_something() {
    let cases: [(&str, u64, Ending, Change); 13] = [
        ("pc_out", 2, Ending::Halt, |i, v| i.pc_out = v),
        ("pc_out", 2, Ending::Trap, |i, v| i.pc_out = v),
        ("depth_out", 2, Ending::Halt, |i, v| i.depth_out = v),
        ("depth_out", 2, Ending::Trap, |i, v| i.depth_out = v),
        ("status", 1, Ending::Halt, |i, v| i.status = v),
        ("r0", 1, Ending::Halt, |i, v| i.r0 = v),
        ("r0", 2, Ending::Trap, |i, v| i.r0 = v),
        ("r0", 2, Ending::Budget, |i, v| i.r0 = v),
        ("trap_kind", 1, Ending::Trap, |i, v| i.trap_kind = v),
        ("trap_kind", 2, Ending::Halt, |i, v| i.trap_kind = v),
        ("trap_pc", 1, Ending::Trap, |i, v| i.trap_pc = v),
        ("trap_pc", 2, Ending::Halt, |i, v| i.trap_pc = v),
        ("trap_pc", 2, Ending::Budget, |i, v| i.trap_pc = v),
    ];
    for (name, index, ending, change) in cases {
        for value in [1, 2] {
            let error = refused(index, ending, |i| change(i, value));
            let expected = Some(LinkError::OutOfRange { name });
            assert_eq!(
                error, expected,
                "{name} = {value} in chunk {index}, {ending:?}"
            );
        }
    }
    // A run that has ended has a status, and one that there is.
    for status in [STATUS_RUNNING, 3, u64::MAX] {
        for ending in [Ending::Halt, Ending::Trap] {
            let error = refused(2, ending, |i| {
                (i.status, i.r0, i.trap_kind, i.trap_pc) = (status, 0, 0, 0);
            });
            assert_eq!(error, Some(LinkError::OutOfRange { name: "status" }));
        }
    }
    for kind in 0..300 {
        let known = u8::try_from(kind).ok().and_then(TrapKind::from_code);
        let traps = known.is_some_and(|kind| kind != TrapKind::ExceededMaxInstructions);
        let error = refused(2, Ending::Trap, |i| i.trap_kind = kind);
        let name = "trap_kind";
        let expected = (!traps).then_some(LinkError::OutOfRange { name });
        assert_eq!(error, expected, "trap kind {kind}");
    }
}

#[test]
fn a_chunk_runs_and_counts_upwards_within_the_budget() {
    let of = |change: fn(&mut ChunkInstance)| refused(1, Ending::Halt, change);
    assert_eq!(of(|i| i.running_in = false), Some(LinkError::NotRunning));
    let name = "version";
    assert_eq!(of(|i| i.version += 1), Some(LinkError::OutOfRange { name }));
    assert_eq!(of(|i| i.version -= 1), Some(LinkError::OutOfRange { name }));
    assert_eq!(of(|i| i.steps_out = i.steps_in), None);
    assert_eq!(of(|i| i.units_out = i.units_in), None);
    assert_eq!(
        of(|i| i.steps_out = i.steps_in - 1),
        Some(LinkError::Decreases)
    );
    assert_eq!(
        of(|i| i.units_out = i.units_in - 1),
        Some(LinkError::Decreases)
    );
    assert_eq!(of(|i| i.budget = i.units_out), None);
    assert_eq!(
        of(|i| i.budget = i.units_out - 1),
        Some(LinkError::OverBudget)
    );
}

#[test]
fn neighbours_fit_together() {
    let value = |name| Some(LinkError::Value { name });
    let differs = |name| Some(LinkError::Differs { name });
    type Link = (Option<LinkError>, fn(&mut Span));
    let links: [Link; 18] = [
        (Some(LinkError::Index { found: 2 }), |s| {
            s.instance.index = 2;
        }),
        (Some(LinkError::Index { found: 0 }), |s| {
            s.instance.index = 0;
        }),
        (value("pc"), |s| s.instance.pc_in += 1),
        (value("slot"), |s| s.instance.slot_in += 1),
        (value("depth"), |s| s.instance.depth_in += 1),
        (value("steps"), |s| s.instance.steps_in += 1),
        (value("units"), |s| s.instance.units_in += 1),
        (differs("budget"), |s| s.instance.budget += 1),
        (differs("input_size"), |s| s.instance.input_size += 1),
        (differs("version"), |s| s.instance.version += 1),
        (differs("pages"), |s| s.commitments.pages = point(60)),
        (differs("program"), |s| s.commitments.program[0] = point(60)),
        (differs("program"), |s| s.commitments.program[1] = point(60)),
        (differs("program"), |s| s.commitments.program[2] = point(60)),
        (
            Some(LinkError::Memory {
                lane: Lane::Private,
            }),
            |s| {
                s.commitments.entry[0] = point(60);
            },
        ),
        (Some(LinkError::Memory { lane: Lane::Public }), |s| {
            s.commitments.entry[1] = point(60);
        }),
        (
            Some(LinkError::Memory {
                lane: Lane::Private,
            }),
            |s| {
                s.commitments.entry[0] = -s.commitments.entry[0];
            },
        ),
        // What leaves it is for the next one.
        (None, |s| s.commitments.exit = [point(60); 2]),
    ];
    for ending in ENDINGS {
        let [a, b] = [span(0, ending), span(1, ending)];
        assert!(a.join(&b).is_ok());
        for (place, (expected, change)) in links.iter().enumerate() {
            let mut next = b;
            change(&mut next);
            assert_eq!(a.join(&next).err(), *expected, "link {place}, {ending:?}");
        }
        let mut ended = a;
        ended.instance.running_out = false;
        assert_eq!(ended.join(&b), Err(LinkError::EndsEarly));
    }
}

#[test]
fn numbers_of_chunks_do_not_overflow() {
    let [a, mut b] = [span(0, Ending::Halt), span(1, Ending::Halt)];
    b.chunks = u64::MAX;
    assert_eq!(a.join(&b), Err(LinkError::Index { found: 1 }));
    let mut last = a;
    last.instance.index = u64::MAX;
    b.instance.index = 0;
    b.chunks = 1;
    assert_eq!(last.join(&b), Err(LinkError::Index { found: 0 }));
}

#[test]
fn a_joined_span_has_both_ends() {
    let [a, b] = [span(0, Ending::Halt), span(1, Ending::Halt)];
    let ab = a.join(&b).expect("neighbours");
    let (x, y, z) = (a.instance, b.instance, ab.instance);
    assert_eq!(ab.chunks, 2);
    let entry = |i: &ChunkInstance| {
        let state = [i.pc_in, i.slot_in, i.depth_in, i.steps_in, i.units_in];
        (i.running_in, state, i.index)
    };
    let exit = |i: &ChunkInstance| {
        let state = [i.pc_out, i.slot_out, i.depth_out, i.steps_out, i.units_out];
        (i.running_out, state, i.status, i.r0, i.trap_kind, i.trap_pc)
    };
    assert_eq!(entry(&z), entry(&x));
    assert_eq!(exit(&z), exit(&y));
    let expected = Commitments {
        entry: a.commitments.entry,
        ..b.commitments
    };
    assert_eq!(ab.commitments, expected);
}

#[test]
fn a_run_begins_at_its_start_and_reaches_an_end() {
    type Case = (LinkError, fn(&mut ChunkInstance));
    let cases: [Case; 6] = [
        (LinkError::Index { found: 1 }, |i| i.index = 1),
        (LinkError::NotTheStart, |i| i.depth_in = 2),
        (LinkError::NotTheStart, |i| i.depth_in = 0),
        (LinkError::NotTheStart, |i| i.slot_in = 1),
        (LinkError::NotTheStart, |i| i.steps_in = 1),
        (LinkError::NotTheStart, |i| i.units_in = 1),
    ];
    for ending in ENDINGS {
        let honest = whole(ending);
        let run = honest.whole().expect("a run");
        assert_eq!(run.stopped, ending == Ending::Budget);
        for (expected, change) in cases {
            let mut span = honest;
            change(&mut span.instance);
            assert_eq!(span.whole(), Err(expected));
        }
    }
    let mut unfinished = whole(Ending::Budget);
    unfinished.instance.units_out -= 1;
    assert_eq!(unfinished.whole(), Err(LinkError::Unfinished));
    assert_eq!(span(0, Ending::Halt).whole(), Err(LinkError::Unfinished));
}

#[test]
fn a_run_has_the_outcome_of_its_values() {
    let outcome = |ending, change: fn(&mut WholeRun)| {
        let mut run = whole(ending).whole().expect("a run");
        change(&mut run);
        run.outcome()
    };
    let trap = |kind, pc| Some(Outcome::Trap { kind, pc });
    let r0 = u64::MAX - 4;
    assert_eq!(outcome(Ending::Halt, |_| {}), Some(Outcome::Halt { r0 }));
    let kind = TrapKind::from_code(2).expect("a trap");
    assert_eq!(outcome(Ending::Trap, |_| {}), trap(kind, 17));
    let limit = TrapKind::ExceededMaxInstructions;
    assert_eq!(outcome(Ending::Budget, |_| {}), trap(limit, 24));
    assert_eq!(outcome(Ending::Budget, |run| run.units -= 1), None);
    assert_eq!(
        outcome(Ending::Budget, |run| run.stopped_at = 1 << 32),
        None
    );
    assert_eq!(outcome(Ending::Trap, |run| run.trap_pc = 1 << 32), None);
    assert_eq!(outcome(Ending::Trap, |run| run.trap_kind = 1 << 8), None);
    assert_eq!(outcome(Ending::Trap, |run| run.trap_kind = 0), None);
}
