//! Every system call in halo2's own prover: its success, and each way in which it ends a run.

mod fixtures;

use std::collections::BTreeSet;

use bpf_tracer::canonical::layout::INPUT_BASE;
use bpf_tracer::{Op, Outcome, Syscall, TrapKind};
use fixtures::sbpf;
use rayon::prelude::*;
use zk_circuits::{Plan, Shape, dev};

/// The call that a fixture makes last, and how the run ends.
fn kind(fixture: &fixtures::Fixture) -> Option<(Syscall, Option<TrapKind>)> {
    let trace = &fixture.trace;
    let code = trace.program().instructions();
    let mut calls = trace.steps().iter().rev().filter_map(|step| {
        match code.get(step.pc as usize).map(|at| at.op) {
            Some(Op::Syscall(call)) => Some(call),
            _ => None,
        }
    });
    let trap = match trace.outcome() {
        Outcome::Halt { .. } => None,
        Outcome::Trap { kind, .. } => Some(kind),
    };
    calls.next().map(|call| (call, trap))
}

#[test]
fn mock_prover_accepts_every_end_of_every_call() {
    let mut seen = BTreeSet::new();
    let chosen: Vec<_> = sbpf::calls()
        .into_iter()
        .filter(|fixture| kind(fixture).is_some_and(|kind| seen.insert(kind)))
        .collect();
    let succeed: BTreeSet<Syscall> = seen.iter().filter(|k| k.1.is_none()).map(|k| k.0).collect();
    let stops = BTreeSet::from([Syscall::Abort, Syscall::Panic]);
    let all: BTreeSet<Syscall> = Syscall::ALL.iter().copied().collect();
    assert_eq!(&succeed | &stops, all, "every call succeeds somewhere");
    let fail: BTreeSet<Syscall> = seen.iter().filter(|k| k.1.is_some()).map(|k| k.0).collect();
    // The allocator says 0 instead, and costs nothing.
    let allocator = BTreeSet::from([Syscall::AllocFree]);
    assert_eq!(fail, &all - &allocator, "every call fails somewhere");
    chosen.par_iter().for_each(|fixture| {
        for witness in fixture.witnesses(fixtures::small(), None) {
            let failures = dev::mock(&witness);
            assert!(failures.is_empty(), "{}: {}", fixture.name, failures[0]);
        }
    });
}

/// Calls longer than a chunk: chunks that begin and end inside one call.
#[test]
fn a_long_call_goes_on_in_the_next_chunk() {
    let fixture = sbpf::long_calls();
    let witnesses = fixture.witnesses(fixtures::small(), None);
    assert!(witnesses.len() >= 4, "{}", witnesses.len());
    let larger = Shape::new(13, 8).expect("supported");
    let plan = Plan::new(&fixture.trace, larger, None).expect("fits");
    let counted = plan.chunk_count_of(fixtures::small());
    assert_eq!(counted.expect("fits"), witnesses.len());
    let inside = witnesses.windows(2).filter(|pair| {
        let (out, entered) = (*pair[0].instance(), *pair[1].instance());
        assert_eq!(
            (out.pc_out, out.slot_out, out.steps_out, out.units_out),
            (
                entered.pc_in,
                entered.slot_in,
                entered.steps_in,
                entered.units_in
            )
        );
        entered.steps_in == entered.steps_out
    });
    assert!(inside.count() >= 2, "chunks without a step of their own");
    for witness in &witnesses {
        let failures = dev::check(witness);
        assert!(failures.is_empty(), "{}", failures[0]);
    }
    // A chunk that claims to continue another instruction.
    let honest = &witnesses[1];
    let mut instance = *honest.instance();
    instance.slot_in -= 1;
    let mut forged = dev::Forgery::of(honest);
    forged.set_instance(&instance);
    assert!(dev::names(
        &forged.check(),
        "boundary",
        "a chunk that begins inside an instruction continues it"
    ));
}

/// Where both ends are aligned, a copy or a fill takes a row a word; a run has 128 words.
#[test]
fn aligned_words_take_a_row_each() {
    for call in [Syscall::Memcpy, Syscall::Memset] {
        let rows = |bytes: u64| {
            let to = INPUT_BASE + 1600;
            let second = if call == Syscall::Memcpy {
                INPUT_BASE
            } else {
                7
            };
            let slots = sbpf::calling(call, &[to, second, bytes]);
            let fixture = sbpf::on_zeros("aligned", &slots, 2800);
            let shape = Shape::new(11, 8).expect("supported");
            let witnesses = fixture.witnesses(shape, None);
            assert_eq!(witnesses.len(), 1);
            witnesses[0].used_rows()
        };
        let words = |from: u64, to: u64| rows(8 * to) - rows(8 * from);
        assert_eq!(words(20, 120), 100, "{call:?}");
        assert!(words(20, 147) < 127 + 30, "{call:?}: a second run");
    }
}
