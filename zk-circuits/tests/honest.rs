//! What an honest prover does is accepted: every fixture, in one chunk and in many.

mod fixtures;

use std::collections::BTreeSet;

use bpf_tracer::{Op, TrapKind};
use fixtures::{Fixture, small};
use rayon::prelude::*;
use zk_circuits::{Class, dev};

fn assert_accepted(fixtures: &[Fixture], chunk: Option<usize>) {
    let rejected: Vec<String> = fixtures
        .par_iter()
        .flat_map_iter(|fixture| {
            fixture
                .witnesses(small(), chunk)
                .into_iter()
                .filter_map(|witness| {
                    let failures = dev::check(&witness);
                    failures
                        .first()
                        .map(|first| format!("{}: {first}", fixture.name))
                })
        })
        .collect();
    assert!(rejected.is_empty(), "{}", rejected.join("\n"));
}

#[test]
fn fixtures_execute_every_operation_class_and_trap() {
    let fixtures = fixtures::all();
    let mut ops = BTreeSet::new();
    let mut classes = BTreeSet::new();
    let mut traps = BTreeSet::new();
    for fixture in &fixtures {
        let code = fixture.trace.program().instructions();
        let executed = fixture
            .trace
            .steps()
            .iter()
            .filter_map(|step| code.get(step.pc as usize));
        ops.extend(executed.map(|instruction| instruction.op));
        traps.extend(fixture.trap());
        for witness in fixture.witnesses(small(), None) {
            classes.extend(dev::rows(&witness).iter().filter_map(dev::class));
        }
    }
    // A run that reaches `Unprovable` has no trace.
    let mut expected: BTreeSet<Op> = Op::all().into_iter().collect();
    expected.remove(&Op::Unprovable);
    assert_eq!(ops, expected);
    assert_eq!(classes, Class::ALL.iter().copied().collect());
    assert_eq!(traps, BTreeSet::from(TrapKind::ALL));
}

#[test]
fn honest_steps_are_accepted() {
    assert_accepted(&fixtures::all(), None);
}

#[test]
fn every_cut_is_accepted_and_boundaries_link() {
    let chosen = |fixture: &Fixture| {
        [
            "calls",
            "helper",
            "sections",
            "too deep",
            "alu from jumps",
            "only exit",
        ]
        .contains(&fixture.name.as_str())
            || fixture.name.starts_with("callx not")
    };
    let fixtures: Vec<_> = fixtures::all().into_iter().filter(chosen).collect();
    assert_eq!(fixtures.len(), 7);
    for chunk in [1, 2, 7] {
        // Every chunk of short runs, the first of long ones.
        let failed: Vec<String> = fixtures
            .par_iter()
            .flat_map_iter(|fixture| {
                let witnesses = fixture.witnesses(small(), Some(chunk));
                let mut failed = Vec::new();
                for pair in witnesses.windows(2) {
                    let (before, after) = (&pair[0], &pair[1]);
                    let out = *before.instance();
                    let entered = *after.instance();
                    if (out.pc_out, out.depth_out, out.steps_out, out.index + 1)
                        != (
                            entered.pc_in,
                            entered.depth_in,
                            entered.steps_in,
                            entered.index,
                        )
                        || !out.running_out
                        || dev::Forgery::of(before).exit() != dev::Forgery::of(after).entry()
                    {
                        failed.push(format!(
                            "{}: chunk {} does not link",
                            fixture.name, out.index
                        ));
                    }
                }
                for witness in witnesses.iter().take(24).chain(witnesses.last()) {
                    let failures = dev::check(witness);
                    failed.extend(failures.first().map(|f| format!("{}: {f}", fixture.name)));
                }
                failed
            })
            .collect();
        assert!(
            failed.is_empty(),
            "chunks of {chunk}: {}",
            failed.join("\n")
        );
    }
}

/// The prover chooses between two ways to prove an operation on bytes: both are accepted, and say the same.
#[test]
fn operations_on_bytes_go_either_way() {
    let witnesses: Vec<_> = fixtures::all()
        .into_par_iter()
        .flat_map_iter(|fixture| fixture.witnesses(small(), None))
        .collect();
    let longer: usize = witnesses
        .par_iter()
        .filter_map(|honest| Some((honest, dev::long_way(honest).ok()?)))
        .map(|(honest, long)| {
            assert_eq!(dev::check(&long), []);
            assert_eq!(long.instance(), honest.instance());
            let [mut one, mut other] = [&long, honest].map(dev::Forgery::of);
            assert_eq!(one.entry(), other.entry());
            assert_eq!(one.exit(), other.exit());
            let used = |w| dev::rows(w).iter().filter_map(dev::class).count();
            used(&long) - used(honest)
        })
        .sum();
    assert!(longer > 300, "{longer} rows more");
}

/// The same in the shape that production uses, on all its rows.
/// `cargo test -p zk-circuits --features dev --test honest -- --ignored`
#[test]
#[ignore = "2^17 rows for each fixture"]
fn honest_steps_are_accepted_in_the_wide_shape() {
    let wide = zk_circuits::Shape::new(17, 8).expect("supported");
    for fixture in fixtures::all().iter().step_by(5) {
        for witness in fixture.witnesses(wide, None) {
            let failures = dev::check(&witness);
            assert!(failures.is_empty(), "{}: {}", fixture.name, failures[0]);
        }
    }
}

/// Interpreter and microcode agree on which of two traps comes first: the address is looked at first.
#[test]
fn a_call_too_deep_to_a_bad_address_goes_outside() {
    let options = bpf_tracer::LoadOptions {
        stack_size: 512,
        ..bpf_tracer::LoadOptions::default()
    };
    let bytes = fixtures::bytecode(&[(0x8d, 3, 0, 0, 0), fixtures::EXIT]);
    let program = bpf_tracer::Program::from_bytecode(&bytes, &options).expect("it loads");
    let fixture = Fixture::new("too deep and bad", &program, fixtures::input());
    assert_eq!(fixture.trap(), Some(TrapKind::CallOutsideTextSegment));
    assert_accepted(&[fixture], None);
}
