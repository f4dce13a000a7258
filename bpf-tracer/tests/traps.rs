//! Every way to stop without `exit`, at its edges.

mod asm;

use asm::{EXIT, Fields, bytecode};
use bpf_tracer::canonical::layout::{DATA_BASE, INPUT_BASE, RODATA_BASE, STACK_BASE, TEXT_BASE};
use bpf_tracer::{
    ExecutionTrace, Input, LoadOptions, Outcome, Program, Step, TraceError, Tracer, TrapKind,
};

/// The region of the tests has this many bytes: not a multiple of anything.
const REGION: u64 = 21;

fn trace(slots: &[Fields]) -> ExecutionTrace {
    let program = Program::load(&bytecode(slots), &LoadOptions::default()).expect("it loads");
    let input = Input::from_bytes([1, 2, 3]).with_region_size(REGION);
    let tracer = Tracer::new(&program).input(input);
    let trace = tracer.clone().trace().expect("a small input");
    let run = tracer.run().expect("a small input");
    assert_eq!(
        (run.outcome, run.steps),
        (trace.outcome(), trace.instruction_count())
    );
    assert_eq!(run.output, trace.output());
    trace
}

fn trap(kind: TrapKind, pc: u32) -> Outcome {
    Outcome::Trap { kind, pc }
}

/// `r3 = value`
fn wide(value: u64) -> [Fields; 2] {
    [
        (0x18, 3, 0, 0, value as i32),
        (0, 0, 0, 0, (value >> 32) as i32),
    ]
}

/// Whether `access`, whose base is `r3`, is permitted at an address.
fn permits(access: Fields, address: u64) -> bool {
    let slots = [wide(address).as_slice(), &[access, EXIT]].concat();
    let trace = trace(&slots);
    let last = trace.steps()[1];
    assert_eq!(last.address, address);
    match trace.outcome() {
        Outcome::Halt { .. } => true,
        outcome => {
            assert_eq!(outcome, trap(TrapKind::AccessViolation, 2));
            assert_eq!(
                (last.result, last.memory_before, last.memory_after),
                (last.dst, 0, 0)
            );
            assert_eq!(trace.instruction_count(), 2);
            assert!(trace.touched_pages().is_empty());
            assert_eq!(
                trace.output(),
                Input::from_bytes([1, 2, 3])
                    .with_region_size(REGION)
                    .filled()
            );
            false
        }
    }
}

trait Filled {
    fn filled(&self) -> Vec<u8>;
}

impl Filled for Input {
    fn filled(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(self.region_len() as usize, 0);
        bytes
    }
}

/// Accesses based on `r3`: size in bytes, and the instruction.
const ACCESSES: [(u64, Fields); 17] = [
    (1, (0x71, 0, 3, 0, 0)),
    (2, (0x69, 0, 3, 0, 0)),
    (4, (0x61, 0, 3, 0, 0)),
    (8, (0x79, 0, 3, 0, 0)),
    (1, (0x91, 0, 3, 0, 0)),
    (2, (0x89, 0, 3, 0, 0)),
    (4, (0x81, 0, 3, 0, 0)),
    (1, (0x72, 3, 0, 0, 7)),
    (2, (0x6a, 3, 0, 0, 7)),
    (4, (0x62, 3, 0, 0, 7)),
    (8, (0x7a, 3, 0, 0, 7)),
    (1, (0x73, 3, 1, 0, 0)),
    (8, (0x7b, 3, 1, 0, 0)),
    (4, (0xc3, 3, 1, 0, 0)),
    (8, (0xdb, 3, 1, 0, 0x41)),
    (8, (0xdb, 3, 1, 0, 0xe1)),
    (4, (0xc3, 3, 1, 0, 0xf1)),
];

#[test]
fn accesses_must_lie_in_one_region() {
    for (size, access) in ACCESSES {
        for (start, len) in [(STACK_BASE, 4096), (INPUT_BASE, REGION)] {
            let end = start + len;
            for inside in [start, start + 1, end - size] {
                assert!(permits(access, inside), "{access:?} at {inside:#x}");
            }
            for outside in [start - size, start - 1, end - size + 1, end] {
                assert!(!permits(access, outside), "{access:?} at {outside:#x}");
            }
        }
        // No read-only data, no writable data, text, and the ends of the address space.
        for outside in [
            0,
            RODATA_BASE,
            TEXT_BASE,
            DATA_BASE,
            u64::MAX,
            u64::MAX - size + 1,
            5 << 32,
        ] {
            assert!(!permits(access, outside), "{access:?} at {outside:#x}");
        }
    }
}

#[test]
fn addresses_wrap() {
    let [low, high] = wide(INPUT_BASE.wrapping_sub(i16::MIN as u64));
    let halted = trace(&[low, high, (0x71, 0, 3, i16::MIN, 0), EXIT]);
    assert_eq!(halted.outcome(), Outcome::Halt { r0: 1 });
    // -4 + 8 is below every region; -4 itself is above.
    let [low, high] = wide(4_u64.wrapping_neg());
    let wrapped = trace(&[low, high, (0x71, 0, 3, 8, 0), EXIT]);
    assert_eq!(wrapped.outcome(), trap(TrapKind::AccessViolation, 2));
    assert_eq!(wrapped.steps()[1].address, 4);
}

#[test]
fn failed_comparison_needs_the_permission_and_touches_the_page() {
    // r0 = 1; cmpxchg64 [r1 + 8], r0, r2; memory is 0
    let slots = [(0xb7, 0, 0, 0, 1), (0xdb, 1, 2, 8, 0xf1), EXIT];
    let trace = trace(&slots);
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 0 });
    assert_eq!(trace.touched_pages(), [INPUT_BASE >> 8]);
}

#[test]
fn the_step_limit_is_exact() {
    let program = Program::load(
        &bytecode(&[(0xb7, 0, 0, 0, 9), EXIT]),
        &LoadOptions::default(),
    );
    let program = program.expect("it loads");
    let at_limit = |limit| {
        Tracer::new(&program)
            .step_limit(limit)
            .trace()
            .expect("no input")
    };
    for limit in 0..2 {
        let trace = at_limit(limit);
        assert_eq!(trace.instruction_count(), limit);
        let kind = TrapKind::ExceededMaxInstructions;
        assert_eq!(trace.outcome(), trap(kind, limit as u32));
    }
    assert_eq!(at_limit(2).outcome(), Outcome::Halt { r0: 9 });
    assert_eq!(at_limit(2).step_limit(), 2);
}

#[test]
fn endless_loops_stop_at_the_default_limit() {
    let program = Program::load(&bytecode(&[(0x05, 0, 0, -1, 0)]), &LoadOptions::default());
    let run = Tracer::new(&program.expect("it loads"))
        .run()
        .expect("no input");
    assert_eq!(run.outcome, trap(TrapKind::ExceededMaxInstructions, 0));
    assert_eq!(run.steps, bpf_tracer::DEFAULT_STEP_LIMIT);
}

#[test]
fn running_past_the_end_is_a_step_there() {
    for (slots, end) in [
        (vec![(0xb7, 0, 0, 0, 1)], 1),
        (wide(1).to_vec(), 2),
        (vec![(0x55, 10, 0, 0, 0), (0x15, 10, 0, -2, 0)], 2),
    ] {
        let trace = trace(&slots);
        assert_eq!(trace.outcome(), trap(TrapKind::ExecutionOverrun, end));
        assert_eq!(
            trace.steps().last(),
            Some(&Step {
                pc: end,
                ..Step::default()
            })
        );
    }
    // A return to the end.
    let trace = trace(&[(0x05, 0, 0, 1, 0), EXIT, (0x85, 0, 1, 0, -2)]);
    assert_eq!(trace.outcome(), trap(TrapKind::ExecutionOverrun, 3));
    assert_eq!(trace.instruction_count(), 4);
}

#[test]
fn calls_may_be_as_deep_as_the_stack_has_frames() {
    // f(r1): if r1 == 0 return; f(r1 - 1)
    let slots = |depth| {
        bytecode(&[
            (0xb7, 1, 0, 0, depth),
            (0x85, 0, 1, 0, 1),
            EXIT,
            (0x7b, 10, 1, -512, 0),
            (0x15, 1, 0, 2, 0),
            (0x17, 1, 0, 0, 1),
            (0x85, 0, 1, 0, -4),
            EXIT,
        ])
    };
    for frames in [1_u64, 2, 8, 64] {
        let options = LoadOptions::default().with_stack_size(frames * 512);
        let outcome = |depth| {
            let program = Program::load(&slots(depth), &options).expect("it loads");
            Tracer::new(&program).run().expect("no input").outcome
        };
        let free = frames as i32 - 1;
        if free > 0 {
            assert_eq!(outcome(free - 1), Outcome::Halt { r0: 0 });
        }
        let pc = if free == 0 { 1 } else { 6 };
        assert_eq!(outcome(free), trap(TrapKind::CallDepthExceeded, pc));
    }
}

/// A program that calls `address` through `r3`, and may end with an `lddw`.
fn call_through(address: u64) -> ExecutionTrace {
    let [low, high] = wide(address);
    trace(&[
        low,
        high,
        (0x8d, 3, 0, 0, 0),
        EXIT,
        (0xb7, 0, 0, 0, 4),
        EXIT,
        low,
        high,
        EXIT,
    ])
}

#[test]
fn calls_through_registers_stay_in_the_text() {
    assert_eq!(
        call_through(TEXT_BASE + 8 * 4).outcome(),
        Outcome::Halt { r0: 4 }
    );
    assert_eq!(
        call_through(TEXT_BASE + 8 * 8).outcome(),
        Outcome::Halt { r0: 0 }
    );
    for outside in [
        0,
        5,
        TEXT_BASE - 8,
        TEXT_BASE - 1,
        TEXT_BASE + 8 * 4 + 1,
        TEXT_BASE + 8 * 4 + 7,
        TEXT_BASE + 8 * 9,
        u64::MAX - 7,
    ] {
        let trace = call_through(outside);
        assert_eq!(
            trace.outcome(),
            trap(TrapKind::CallOutsideTextSegment, 2),
            "{outside:#x}"
        );
        assert_eq!(trace.instruction_count(), 2);
    }
    for second in [1, 7] {
        let trace = call_through(TEXT_BASE + 8 * second);
        assert_eq!(
            trace.outcome(),
            trap(TrapKind::UnsupportedInstruction, second as u32)
        );
        assert_eq!(
            trace.steps().last().map(|step| (step.pc, step.depth)),
            Some((second as u32, 1))
        );
    }
}

#[test]
fn input_regions_have_a_greatest_size() {
    let program = Program::load(&bytecode(&[EXIT]), &LoadOptions::default()).expect("it loads");
    for size in [(1 << 31) + 1, u64::MAX] {
        let input = Input::default().with_region_size(size);
        let found = Tracer::new(&program).input(input).run();
        assert_eq!(found, Err(TraceError::InputTooLarge { size }));
    }
}
