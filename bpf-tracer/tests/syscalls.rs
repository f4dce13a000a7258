//! Each system call: what it does, what it costs, and each way in which it can fail.

mod asm;

use asm::{EXIT, Fields, bytecode};
use bpf_tracer::canonical::layout::{
    DATA_BASE, INPUT_BASE, RETURN_DATA_BASE, RODATA_BASE, STACK_BASE,
};
use bpf_tracer::syscall::name_hash;
use bpf_tracer::{
    Dialect, Environment, ExecutionTrace, Input, LoadOptions, Outcome, Program, SBPF_HEAP_BYTES,
    TraceError, Tracer, TrapKind,
};

/// A call: its name and arguments.
type Call = (&'static str, &'static [u64]);

const LIMIT: u64 = 1_000_000;
/// Bytes of the input region: not a multiple of anything.
const REGION: u64 = 301;
/// Steps of a call: five arguments, itself.
const STEPS: u64 = 6;
const HEAP: u64 = DATA_BASE;
/// A range of no region.
const NOWHERE: u64 = 7 << 32;
const IN: u64 = INPUT_BASE;

/// A program that makes these calls one after another, then returns the last result.
fn program(dialect: Dialect, calls: &[Call]) -> Program {
    let mut slots: Vec<Fields> = Vec::new();
    for (name, arguments) in calls {
        for register in 1..=5 {
            let value = arguments.get(register as usize - 1).copied().unwrap_or(0);
            slots.push((0x18, register, 0, 0, value as i32));
            slots.push((0, 0, 0, 0, (value >> 32) as i32));
        }
        slots.push((0x85, 0, 0, 0, name_hash(name) as i32));
    }
    slots.push(EXIT);
    let options = LoadOptions::default().with_dialect(dialect);
    Program::from_bytecode(&bytecode(&slots), &options).expect("it loads")
}

/// Counts up from 1.
fn input() -> Vec<u8> {
    (0..REGION).map(|index| (index + 1) as u8).collect()
}

/// sysvars of which no byte is another's.
fn environment() -> Environment {
    let mut environment = Environment {
        program_id: std::array::from_fn(|index| 0x40 + index as u8),
        ..Environment::default()
    };
    let bytes = |start: u8, len: usize| (start..).take(len).collect::<Vec<u8>>();
    environment
        .sysvars
        .insert(Environment::CLOCK, bytes(100, 40));
    environment
        .sysvars
        .insert(Environment::RENT, bytes(200, 17));
    environment
}

fn tracer(program: &Program) -> Tracer<'_> {
    Tracer::new(program)
        .input(Input::from_bytes(input()))
        .environment(environment())
}

fn trace_in(dialect: Dialect, calls: &[Call], limit: u64) -> ExecutionTrace {
    let program = program(dialect, calls);
    let tracer = tracer(&program).step_limit(limit);
    let trace = tracer.clone().trace().expect("a small input");
    let run = tracer.run().expect("a small input");
    assert_eq!(run.outcome, trace.outcome());
    assert_eq!(run.steps, trace.instruction_count());
    assert_eq!(run.compute_units, trace.compute_units());
    assert_eq!(run.output, trace.output());
    assert_eq!(run.return_data, trace.return_data());
    for step in trace.steps() {
        assert_eq!(
            (step.address, step.memory_before, step.memory_after),
            (0, 0, 0)
        );
    }
    trace
}

/// A run that halts: its result, what the calls cost besides the steps, and the run.
fn halts(calls: &[Call]) -> (u64, u64, ExecutionTrace) {
    let trace = trace_in(Dialect::SbpfV0, calls, LIMIT);
    let Outcome::Halt { r0 } = trace.outcome() else {
        panic!("{calls:?}: {:?}", trace.outcome());
    };
    let steps = calls.len() as u64 * STEPS + 1;
    assert_eq!(trace.instruction_count(), steps);
    let last_call = trace.steps()[steps as usize - 2];
    assert_eq!(last_call.result, r0);
    let arguments = calls.last().expect("a call").1;
    let registers = trace.final_registers();
    assert_eq!(&registers[1..=arguments.len()], arguments, "r1 to r5 stay");
    (r0, trace.compute_units() - steps, trace)
}

/// How the last of these calls traps, and what the calls cost besides the steps.
fn traps(calls: &[Call], limit: u64) -> (TrapKind, u64) {
    let trace = trace_in(Dialect::SbpfV0, calls, limit);
    let Outcome::Trap { kind, pc } = trace.outcome() else {
        panic!("{calls:?} halts");
    };
    assert_eq!(u64::from(pc), calls.len() as u64 * 11 - 1);
    let steps = calls.len() as u64 * STEPS;
    assert_eq!(trace.instruction_count(), steps);
    let last = trace.steps().last().expect("a step");
    assert_eq!(last.result, last.dst, "a trap writes nothing");
    (kind, trace.compute_units() - steps)
}

fn fails(name: &'static str, arguments: &'static [u64], kind: TrapKind, cost: u64) {
    assert_eq!(
        traps(&[(name, arguments)], u64::MAX),
        (kind, cost),
        "{name}"
    );
    let trace = trace_in(Dialect::SbpfV0, &[(name, arguments)], u64::MAX);
    assert_eq!(trace.output(), input(), "{name}: a trap writes nothing");
}

/// A call that is one unit short has used all units and traps; with just enough it does not.
fn costs(name: &'static str, arguments: &'static [u64], cost: u64) {
    let call = [(name, arguments)];
    let trace = trace_in(Dialect::SbpfV0, &call, STEPS + cost);
    assert_eq!(trace.compute_units(), STEPS + cost, "{name}");
    let limit = STEPS + cost - 1;
    let short = traps(&call, limit);
    assert_eq!(
        short,
        (TrapKind::ComputationalBudgetExceeded, cost - 1),
        "{name}"
    );
}

fn pages(trace: &ExecutionTrace) -> Vec<u64> {
    trace.touched_pages().iter().map(|page| page << 8).collect()
}

#[test]
fn abort_stops() {
    fails("abort", &[1, 2, 3, 4, 5], TrapKind::Abort, 0);
}

#[test]
fn panic_pays_by_the_byte_and_stops() {
    fails("sol_panic_", &[IN, 100, 1, 2], TrapKind::Panic, 100);
    fails("sol_panic_", &[NOWHERE, 0, 1, 2], TrapKind::Panic, 0);
    fails("sol_panic_", &[IN, 128], TrapKind::InvalidString, 128);
    fails("sol_panic_", &[NOWHERE, 9], TrapKind::AccessViolation, 9);
    fails(
        "sol_panic_",
        &[IN, 1 << 63],
        TrapKind::InvalidLength,
        1 << 63,
    );
    costs("sol_panic_", &[IN, 40], 40);
}

#[test]
fn log_takes_text() {
    let (r0, cost, trace) = halts(&[("sol_log_", &[IN, 127])]);
    assert_eq!((r0, cost), (0, 127));
    assert_eq!(pages(&trace), [IN]);
    let (_, cost, trace) = halts(&[("sol_log_", &[NOWHERE, 0])]);
    assert_eq!(cost, 100);
    assert!(pages(&trace).is_empty());
    fails("sol_log_", &[IN, 128], TrapKind::InvalidString, 128);
    fails(
        "sol_log_",
        &[IN + REGION - 4, 5],
        TrapKind::AccessViolation,
        100,
    );
    fails("sol_log_", &[u64::MAX, 2], TrapKind::AccessViolation, 100);
    fails("sol_log_", &[IN, 1 << 63], TrapKind::InvalidLength, 1 << 63);
    costs("sol_log_", &[IN, 3], 100);
    costs("sol_log_", &[IN, 101], 101);
}

#[test]
fn numbers_and_addresses_are_logged_for_a_hundred_units() {
    for (name, arguments) in [
        ("sol_log_64_", &[1, 2, 3, 4, 5][..]),
        ("sol_log_pubkey", &[IN + REGION - 32]),
        ("sol_log_compute_units_", &[]),
    ] {
        let (r0, cost, _) = halts(&[(name, arguments)]);
        assert_eq!((r0, cost), (0, 100), "{name}");
    }
    fails(
        "sol_log_pubkey",
        &[IN + REGION - 31],
        TrapKind::AccessViolation,
        100,
    );
    costs("sol_log_64_", &[], 100);
    costs("sol_log_pubkey", &[IN], 100);
    costs("sol_log_compute_units_", &[], 100);
}

#[test]
fn memcpy_copies_what_does_not_overlap() {
    let (r0, cost, trace) = halts(&[("sol_memcpy_", &[IN, IN + 250, 50])]);
    assert_eq!((r0, cost), (0, 10));
    let mut expected = input();
    expected.copy_within(250..300, 0);
    assert_eq!(trace.output(), expected);
    assert_eq!(pages(&trace), [IN, IN + 256]);
    halts(&[("sol_memcpy_", &[IN, IN + 5, 5])]);
    halts(&[("sol_memcpy_", &[IN + 5, IN, 5])]);
    halts(&[("sol_memcpy_", &[NOWHERE, NOWHERE, 0])]);
    fails(
        "sol_memcpy_",
        &[IN, IN + 4, 5],
        TrapKind::CopyOverlapping,
        10,
    );
    fails(
        "sol_memcpy_",
        &[IN + 4, IN, 5],
        TrapKind::CopyOverlapping,
        10,
    );
    // The overlap comes before the ranges.
    fails(
        "sol_memcpy_",
        &[NOWHERE, NOWHERE, 1],
        TrapKind::CopyOverlapping,
        10,
    );
    fails(
        "sol_memcpy_",
        &[NOWHERE, IN, 1],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memcpy_",
        &[IN, NOWHERE, 1],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memcpy_",
        &[RODATA_BASE, IN, 1],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memcpy_",
        &[HEAP, IN, REGION + 1],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memcpy_",
        &[RETURN_DATA_BASE, IN, 1],
        TrapKind::AccessViolation,
        10,
    );
    costs("sol_memcpy_", &[HEAP, STACK_BASE, 2749], 10);
    costs("sol_memcpy_", &[HEAP, STACK_BASE, 2750], 11);
}

#[test]
fn text_of_the_program_can_be_copied() {
    let (_, _, trace) = halts(&[("sol_memcpy_", &[IN, RODATA_BASE, 8])]);
    assert_eq!(trace.output()[..8], [0x18, 1, 0, 0, 0, 0, 0, 0]);
    let (_, cost, _) = halts(&[("sol_memcpy_", &[IN, RODATA_BASE, 96])]);
    assert_eq!(cost, 10);
    fails(
        "sol_memcpy_",
        &[IN, RODATA_BASE, 97],
        TrapKind::AccessViolation,
        10,
    );
}

#[test]
fn memmove_copies_what_overlaps() {
    for (to, from) in [(0, 7), (7, 0), (3, 3)] {
        let arguments: &'static [u64] = match to {
            0 => &[IN, IN + 7, 100],
            7 => &[IN + 7, IN, 100],
            _ => &[IN + 3, IN + 3, 100],
        };
        let (r0, cost, trace) = halts(&[("sol_memmove_", arguments)]);
        assert_eq!((r0, cost), (0, 10));
        let mut expected = input();
        expected.copy_within(from..from + 100, to);
        assert_eq!(trace.output(), expected);
    }
    // To be written comes first; both are violations.
    fails(
        "sol_memmove_",
        &[NOWHERE, NOWHERE, 1],
        TrapKind::AccessViolation,
        10,
    );
    let huge = (1 << 63) / 250;
    fails(
        "sol_memmove_",
        &[IN, IN, 1 << 63],
        TrapKind::AccessViolation,
        huge,
    );
    costs("sol_memmove_", &[HEAP, STACK_BASE, 3000], 12);
}

#[test]
fn memset_fills_with_the_low_byte() {
    let (r0, cost, trace) = halts(&[("sol_memset_", &[IN + 1, 0x1234, 299])]);
    assert_eq!((r0, cost), (0, 10));
    let mut expected = input();
    expected[1..300].fill(0x34);
    assert_eq!(trace.output(), expected);
    assert_eq!(pages(&trace), [IN, IN + 256]);
    halts(&[("sol_memset_", &[RODATA_BASE, 0, 0])]);
    fails(
        "sol_memset_",
        &[RODATA_BASE, 0, 1],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memset_",
        &[IN + REGION, 0, 1],
        TrapKind::AccessViolation,
        10,
    );
    costs(
        "sol_memset_",
        &[HEAP, 0, SBPF_HEAP_BYTES],
        SBPF_HEAP_BYTES / 250,
    );
}

#[test]
fn memcmp_writes_the_first_difference() {
    let compare = |arguments: &'static [u64]| {
        let (r0, cost, trace) = halts(&[("sol_memcmp_", arguments)]);
        assert_eq!((r0, cost), (0, 10));
        i32::from_le_bytes(*trace.output().first_chunk().expect("four bytes"))
    };
    assert_eq!(compare(&[IN + 8, IN + 18, 4, IN]), 9 - 19);
    assert_eq!(compare(&[IN + 18, IN + 8, 4, IN]), 10);
    // Bytes 0..=44 come again at 256: 1, 2, ...
    assert_eq!(compare(&[IN + 10, IN + 266, 30, IN]), 0);
    assert_eq!(compare(&[NOWHERE, NOWHERE, 0, IN]), 0);
    fails(
        "sol_memcmp_",
        &[NOWHERE, IN, 4, IN],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memcmp_",
        &[IN, NOWHERE, 4, IN],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memcmp_",
        &[IN, IN, 4, RODATA_BASE],
        TrapKind::AccessViolation,
        10,
    );
    fails(
        "sol_memcmp_",
        &[IN, IN, 4, IN + 2],
        TrapKind::UnalignedPointer,
        10,
    );
    // The range comes before the alignment.
    fails(
        "sol_memcmp_",
        &[IN, IN, 4, IN + 299],
        TrapKind::AccessViolation,
        10,
    );
    costs("sol_memcmp_", &[HEAP, HEAP, 5000, IN], 20);
}

#[test]
fn the_clock_is_forty_bytes() {
    let (r0, cost, trace) = halts(&[("sol_get_clock_sysvar", &[IN + 8])]);
    assert_eq!((r0, cost), (0, 140));
    let mut expected = input();
    for (index, byte) in expected[8..48].iter_mut().enumerate() {
        *byte = 100 + index as u8;
    }
    assert_eq!(trace.output(), expected);
    fails(
        "sol_get_clock_sysvar",
        &[IN + 4],
        TrapKind::UnalignedPointer,
        140,
    );
    fails(
        "sol_get_clock_sysvar",
        &[IN + 264],
        TrapKind::AccessViolation,
        140,
    );
    fails(
        "sol_get_clock_sysvar",
        &[RODATA_BASE],
        TrapKind::AccessViolation,
        140,
    );
    costs("sol_get_clock_sysvar", &[IN], 140);
}

#[test]
fn the_rent_is_padded() {
    let (r0, cost, trace) = halts(&[("sol_get_rent_sysvar", &[IN])]);
    assert_eq!((r0, cost), (0, 124));
    let mut expected = input();
    for (index, byte) in expected[..17].iter_mut().enumerate() {
        *byte = 200 + index as u8;
    }
    expected[17..24].fill(0);
    assert_eq!(trace.output(), expected);
    fails(
        "sol_get_rent_sysvar",
        &[IN + 1],
        TrapKind::UnalignedPointer,
        124,
    );
    fails(
        "sol_get_rent_sysvar",
        &[IN + 280],
        TrapKind::AccessViolation,
        124,
    );
    costs("sol_get_rent_sysvar", &[IN], 124);
}

#[test]
fn sysvars_may_be_missing() {
    for (name, cost) in [("sol_get_clock_sysvar", 140), ("sol_get_rent_sysvar", 124)] {
        for (address, kind) in [
            (IN, TrapKind::UnsupportedSysvar),
            (IN + 4, TrapKind::UnalignedPointer),
            (NOWHERE, TrapKind::AccessViolation),
        ] {
            let arguments: &'static [u64] = Box::leak(Box::new([address]));
            let program = program(Dialect::SbpfV0, &[(name, arguments)]);
            let trace = tracer(&program).environment(Environment::empty()).trace();
            let trace = trace.expect("a small input");
            assert_eq!(trace.outcome(), Outcome::Trap { kind, pc: 10 });
            assert_eq!(trace.compute_units(), STEPS + cost);
        }
    }
}

/// Puts a sysvar's name at the start of the heap: it is read from there.
fn named(id: [u8; 32], call: Call) -> (u64, u64, Vec<u8>) {
    let program = program(Dialect::SbpfV0, &[("sol_memcpy_", &[HEAP, IN, 32]), call]);
    let mut bytes = input();
    bytes[..32].copy_from_slice(&id);
    let trace = tracer(&program)
        .input(Input::from_bytes(bytes))
        .trace()
        .expect("a small input");
    let Outcome::Halt { r0 } = trace.outcome() else {
        panic!("{:?}", trace.outcome());
    };
    let cost = trace.compute_units() - 2 * STEPS - 1 - 10;
    (r0, cost, trace.output()[32..].to_vec())
}

#[test]
fn parts_of_sysvars_can_be_read() {
    const GET: &str = "sol_get_sysvar";
    let untouched = input()[32..].to_vec();
    let (r0, cost, output) = named(Environment::CLOCK, (GET, &[HEAP, IN + 32, 38, 2]));
    assert_eq!((r0, cost, &output[..2]), (0, 110, &[138, 139][..]));
    assert_eq!(output[2..], untouched[2..]);
    let (r0, _, output) = named(Environment::RENT, (GET, &[HEAP, IN + 33, 0, 17]));
    assert_eq!((r0, output[1], output[17]), (0, 200, 216));
    // Too long, by a byte; nothing at the end; no such sysvar.
    for (id, call, result) in [
        (Environment::CLOCK, (GET, &[HEAP, IN + 32, 38, 3][..]), 1),
        (Environment::CLOCK, (GET, &[HEAP, IN + 32, 41, 0]), 1),
        (Environment::CLOCK, (GET, &[HEAP, NOWHERE, 40, 0]), 0),
        ([9; 32], (GET, &[HEAP, IN + 32, 0, 1]), 2),
    ] {
        let (r0, cost, output) = named(id, call);
        assert_eq!((r0, cost, &output), (result, 110, &untouched));
    }
    fails(GET, &[IN, NOWHERE, 0, 1], TrapKind::AccessViolation, 110);
    fails(GET, &[NOWHERE, IN, 0, 1], TrapKind::AccessViolation, 110);
    fails(
        GET,
        &[IN, IN, u64::MAX, 1],
        TrapKind::ArithmeticOverflow,
        110,
    );
    fails(
        GET,
        &[NOWHERE, IN, u64::MAX, 1],
        TrapKind::AccessViolation,
        110,
    );
    costs(GET, &[IN, HEAP, 0, 2750], 111);
}

#[test]
fn return_data_goes_there_and_back() {
    let (r0, cost, trace) = halts(&[("sol_set_return_data", &[IN + 3, 250])]);
    assert_eq!((r0, cost), (0, 101));
    assert_eq!(trace.return_data(), &input()[3..253]);
    let hidden = [RETURN_DATA_BASE, RETURN_DATA_BASE + 256];
    assert_eq!(pages(&trace), [&[IN][..], &hidden].concat());

    // The last one counts.
    let (_, cost, trace) = halts(&[
        ("sol_set_return_data", &[IN, 7]),
        ("sol_set_return_data", &[NOWHERE, 0]),
    ]);
    assert_eq!((cost, trace.return_data()), (200, &[][..]));
    assert_eq!(pages(&trace), [IN, RETURN_DATA_BASE]);

    let (r0, cost, trace) = halts(&[
        ("sol_set_return_data", &[IN + 100, 9]),
        ("sol_get_return_data", &[IN, 5, IN + 5]),
    ]);
    assert_eq!((r0, cost), (9, 200));
    let mut expected = input();
    expected.copy_within(100..105, 0);
    expected[5..37].copy_from_slice(&environment().program_id);
    assert_eq!(trace.output(), expected);
    assert_eq!(trace.return_data(), &input()[100..109]);

    // Nothing asked for or nothing there: no address matters.
    let (r0, cost, trace) = halts(&[("sol_get_return_data", &[NOWHERE, 9, NOWHERE])]);
    assert_eq!((r0, cost), (0, 100));
    assert_eq!(pages(&trace), [RETURN_DATA_BASE]);
    let (r0, cost, _) = halts(&[
        ("sol_set_return_data", &[IN, 9]),
        ("sol_get_return_data", &[NOWHERE, 0, NOWHERE]),
    ]);
    assert_eq!((r0, cost), (9, 200));
    let (r0, cost, _) = halts(&[
        ("sol_set_return_data", &[HEAP, 1024]),
        ("sol_get_return_data", &[HEAP, 2000, IN]),
    ]);
    assert_eq!((r0, cost), (1024, 104 + 100 + (1024 + 32) / 250));
}

#[test]
fn return_data_can_fail() {
    const SET: &str = "sol_set_return_data";
    const GET: &str = "sol_get_return_data";
    fails(SET, &[HEAP, 1025], TrapKind::ReturnDataTooLarge, 104);
    fails(SET, &[NOWHERE, 1025], TrapKind::ReturnDataTooLarge, 104);
    fails(SET, &[NOWHERE, 1], TrapKind::AccessViolation, 100);
    costs(SET, &[HEAP, 500], 102);
    costs(GET, &[IN, 1, IN], 100);
    let cost = 101 + 100 + (300 + 32) / 250;
    for (arguments, kind) in [
        (&[NOWHERE, 300, IN][..], TrapKind::AccessViolation),
        (&[IN, 300, NOWHERE], TrapKind::AccessViolation),
        (&[RODATA_BASE, 300, IN], TrapKind::AccessViolation),
        (&[HEAP, 300, HEAP + 299], TrapKind::CopyOverlapping),
        (&[HEAP + 31, 300, HEAP], TrapKind::CopyOverlapping),
        // The ranges come before the overlap.
        (&[IN + 2, 300, IN + 280], TrapKind::AccessViolation),
    ] {
        assert_eq!(
            traps(&[(SET, &[IN, 300]), (GET, arguments)], LIMIT),
            (kind, cost)
        );
    }
    // The first hundred are paid for; the rest of what is left does not do.
    let limit = 2 * STEPS + 101 + 100;
    let short = traps(&[(SET, &[IN, 300]), (GET, &[HEAP, 300, IN])], limit);
    assert_eq!(short, (TrapKind::ComputationalBudgetExceeded, 201));
}

#[test]
fn heap_is_given_away_once() {
    const ALLOC: &str = "sol_alloc_free_";
    let results = |calls: &[Call]| {
        let (_, cost, trace) = halts(calls);
        assert_eq!(cost, 0);
        assert!(pages(&trace).is_empty());
        let calls = trace.steps().iter().skip(STEPS as usize - 1);
        calls
            .step_by(STEPS as usize)
            .map(|step| step.result)
            .collect::<Vec<u64>>()
    };
    assert_eq!(
        results(&[(ALLOC, &[5]), (ALLOC, &[8]), (ALLOC, &[0]), (ALLOC, &[1])]),
        [HEAP, HEAP + 8, HEAP + 16, HEAP + 16]
    );
    let size = SBPF_HEAP_BYTES;
    let all = [
        (ALLOC, &[SBPF_HEAP_BYTES][..]),
        (ALLOC, &[0]),
        (ALLOC, &[1]),
    ];
    assert_eq!(results(&all), [HEAP, HEAP + size, 0]);
    // What fails takes nothing; freeing does nothing.
    let failing = [
        (ALLOC, &[SBPF_HEAP_BYTES + 1][..]),
        (ALLOC, &[u64::MAX]),
        (ALLOC, &[(1 << 63) - 8]),
        (ALLOC, &[8, HEAP]),
        (ALLOC, &[u64::MAX, HEAP]),
        (ALLOC, &[8]),
    ];
    assert_eq!(results(&failing), [0, 0, 0, 0, 0, HEAP]);
}

#[test]
fn the_stack_height_is_one() {
    let (r0, cost, _) = halts(&[("sol_get_stack_height", &[])]);
    assert_eq!((r0, cost), (1, 100));
    costs("sol_get_stack_height", &[], 100);
}

#[test]
fn remaining_units_are_those_after_the_call() {
    let (r0, cost, _) = halts(&[("sol_remaining_compute_units", &[])]);
    assert_eq!((r0, cost), (LIMIT - STEPS - 100, 100));
    costs("sol_remaining_compute_units", &[], 100);
}

#[test]
fn ranges_run_on_over_the_gaps_of_v0() {
    let call: Call = ("sol_memset_", &[STACK_BASE + 4000, 7, 200]);
    let trace = trace_in(Dialect::SbpfV0, &[call], LIMIT);
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 0 });
    assert_eq!(trace.crosses_frames(), Some(5));
    assert_eq!(pages(&trace), [STACK_BASE + 3840, STACK_BASE + 8192]);
    // The bytes are next to each other in a copy.
    let (_, _, trace) = halts(&[call, ("sol_memcpy_", &[IN, STACK_BASE + 8192, 105])]);
    assert_eq!(trace.output()[..105], [[7; 104].as_slice(), &[0]].concat());
    // All frames at once; a byte more.
    let all = 64 * 4096;
    let (_, cost, _) = halts(&[("sol_memset_", &[STACK_BASE, 7, 64 * 4096])]);
    assert_eq!(cost, all / 250);
    let too_long = [("sol_memset_", &[STACK_BASE + 1, 7, 64 * 4096][..])];
    assert_eq!(traps(&too_long, LIMIT).0, TrapKind::AccessViolation);
    let gap = [("sol_memset_", &[STACK_BASE + 4096, 7, 1][..])];
    assert_eq!(traps(&gap, LIMIT).0, TrapKind::AccessViolation);

    let trace = trace_in(Dialect::SbpfV1, &[call], LIMIT);
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 0 });
    assert_eq!(trace.crosses_frames(), None);
    assert_eq!(pages(&trace), [STACK_BASE + 3840, STACK_BASE + 4096]);
}

#[test]
fn system_calls_are_static_in_v3() {
    let trace = trace_in(Dialect::SbpfV3, &[("sol_get_stack_height", &[])], LIMIT);
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 1 });
    let hash = name_hash("sol_get_stack_height") as i32;
    let options = LoadOptions::default().with_dialect(Dialect::SbpfV3);
    for source in [1, 2, 10] {
        let bytes = bytecode(&[(0x85, 0, source, 0, hash), EXIT]);
        let program = Program::from_bytecode(&bytes, &options).expect("it loads");
        let trace = Tracer::new(&program).trace().expect("a small input");
        let kind = TrapKind::UnsupportedInstruction;
        assert_eq!(trace.outcome(), Outcome::Trap { kind, pc: 0 });
    }
}

#[test]
fn unprovable_calls_have_no_trace() {
    let program = program(Dialect::SbpfV0, &[("sol_sha256", &[IN, 1, HEAP])]);
    let expected = TraceError::Unprovable {
        pc: 10,
        name: "sol_sha256",
    };
    assert_eq!(
        expected.to_string(),
        "slot 10: not provable yet: sol_sha256"
    );
    assert_eq!(tracer(&program).trace(), Err(expected.clone()));
    assert_eq!(tracer(&program).run(), Err(expected));
    // It must be reached.
    let trace = tracer(&program).step_limit(5).trace().expect("a trace");
    let kind = TrapKind::ExceededMaxInstructions;
    assert_eq!(trace.outcome(), Outcome::Trap { kind, pc: 10 });
    assert_eq!(program.disassemble(10), "call sol_sha256");
}
