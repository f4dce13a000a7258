//! What instructions do, on programs assembled by hand.

mod asm;

use asm::{EXIT, Fields, bytecode};
use bpf_tracer::canonical::layout::{INPUT_BASE, STACK_BASE};
use bpf_tracer::{ExecutionTrace, Input, LoadOptions, Outcome, Program, Tracer};

fn trace_with(slots: &[Fields], input: Input) -> ExecutionTrace {
    let program = Program::load(&bytecode(slots), &LoadOptions::default()).expect("it loads");
    Tracer::new(&program)
        .input(input)
        .trace()
        .expect("a small input")
}

fn r0(slots: &[Fields]) -> u64 {
    match trace_with(slots, Input::from_bytes([0; 64])).outcome() {
        Outcome::Halt { r0 } => r0,
        trap @ Outcome::Trap { .. } => panic!("{trap:?}"),
    }
}

/// `r0 = a; r3 = b; alu; exit`
fn alu(a: u64, b: u64, (opcode, offset): (u8, i16)) -> u64 {
    let half = |value: u64| [value as i32, (value >> 32) as i32];
    let ([a0, a1], [b0, b1]) = (half(a), half(b));
    let second = |imm| (0, 0, 0, 0, imm);
    let wide = [
        (0x18, 0, 0, 0, a0),
        second(a1),
        (0x18, 3, 0, 0, b0),
        second(b1),
    ];
    r0(&[wide.as_slice(), &[(opcode, 0, 3, offset, 0), EXIT]].concat())
}

const EDGES: [u64; 12] = [
    0,
    1,
    7,
    31,
    64,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
];

#[test]
fn arithmetic_on_edges() {
    for (a, b) in EDGES.into_iter().flat_map(|a| EDGES.map(|b| (a, b))) {
        // Computed in 128 bits, where nothing overflows.
        let (ua, ub) = (u128::from(a), u128::from(b));
        let (sa, sb) = (i128::from(a as i64), i128::from(b as i64));
        let div = |n: i128, d: i128| if d == 0 { 0 } else { n / d };
        let rem = |n: i128, d: i128| if d == 0 { n } else { n % d };
        let wide: [((u8, i16), u64); 14] = [
            ((0x0f, 0), (ua + ub) as u64),
            ((0x1f, 0), (sa - sb) as u64),
            ((0x2f, 0), ua.wrapping_mul(ub) as u64),
            ((0x3f, 0), div(ua as i128, ub as i128) as u64),
            ((0x3f, 1), div(sa, sb) as u64),
            ((0x9f, 0), rem(ua as i128, ub as i128) as u64),
            ((0x9f, 1), rem(sa, sb) as u64),
            ((0x4f, 0), a | b),
            ((0x5f, 0), a & b),
            ((0xaf, 0), a ^ b),
            ((0x6f, 0), (ua << (b % 64)) as u64),
            ((0x7f, 0), (ua >> (b % 64)) as u64),
            ((0xcf, 0), (sa >> (b % 64)) as u64),
            ((0xbf, 0), b),
        ];
        for (op, expected) in wide {
            assert_eq!(alu(a, b, op), expected, "{op:x?} {a:#x} {b:#x}");
        }
        let (ua, ub) = (u128::from(a as u32), u128::from(b as u32));
        let (sa, sb) = (i128::from(a as i32), i128::from(b as i32));
        let narrow: [((u8, i16), u32); 14] = [
            ((0x0c, 0), (ua + ub) as u32),
            ((0x1c, 0), (sa - sb) as u32),
            ((0x2c, 0), (ua * ub) as u32),
            ((0x3c, 0), div(ua as i128, ub as i128) as u32),
            ((0x3c, 1), div(sa, sb) as u32),
            ((0x9c, 0), rem(ua as i128, ub as i128) as u32),
            ((0x9c, 1), rem(sa, sb) as u32),
            ((0x4c, 0), (ua | ub) as u32),
            ((0x5c, 0), (ua & ub) as u32),
            ((0xac, 0), (ua ^ ub) as u32),
            ((0x6c, 0), (ua << (b % 32)) as u32),
            ((0x7c, 0), (ua >> (b % 32)) as u32),
            ((0xcc, 0), (sa >> (b % 32)) as u32),
            ((0xbc, 0), b as u32),
        ];
        for (op, expected) in narrow {
            assert_eq!(alu(a, b, op), expected.into(), "{op:x?} {a:#x} {b:#x}");
        }
        for (op, expected) in [
            ((0xbf, 8), b as i8 as u64),
            ((0xbf, 16), b as i16 as u64),
            ((0xbf, 32), b as i32 as u64),
            ((0xbc, 8), (b as i8 as u32).into()),
            ((0xbc, 16), (b as i16 as u32).into()),
        ] {
            assert_eq!(alu(a, b, op), expected, "{op:x?} {b:#x}");
        }
    }
}

#[test]
fn immediates_are_extended() {
    assert_eq!(r0(&[(0xb7, 0, 0, 0, -1), EXIT]), u64::MAX); // mov64
    assert_eq!(r0(&[(0xb4, 0, 0, 0, -1), EXIT]), 0xffff_ffff); // mov32
    assert_eq!(
        r0(&[(0x7a, 1, 0, 0, -2), (0x79, 0, 1, 0, 0), EXIT]),
        u64::MAX - 1
    ); // stdw
    assert_eq!(r0(&[(0xb7, 0, 0, 0, 1), (0x67, 0, 0, 0, 65), EXIT]), 2); // lsh64 by 65
    assert_eq!(r0(&[(0xb7, 0, 0, 0, 1), (0x64, 0, 0, 0, 33), EXIT]), 2); // lsh32 by 33
    // jeq -1 on all ones, jeq32 -1 on 32 ones
    let halts_with = |first, branch| r0(&[first, branch, (0xb7, 0, 0, 0, 9), EXIT]);
    assert_eq!(
        halts_with((0xb7, 0, 0, 0, -1), (0x15, 0, 0, 1, -1)),
        u64::MAX
    );
    assert_eq!(halts_with((0xb4, 0, 0, 0, -1), (0x15, 0, 0, 1, -1)), 9);
    assert_eq!(
        halts_with((0xb4, 0, 0, 0, -1), (0x16, 0, 0, 1, -1)),
        0xffff_ffff
    );
}

#[test]
fn source_and_destination_may_be_one_register() {
    for (opcode, expected) in [
        (0x0f, 14),
        (0x1f, 0),
        (0x2f, 49),
        (0x3f, 1),
        (0x9f, 0),
        (0xaf, 0),
        (0x6f, 7 << 7),
    ] {
        assert_eq!(
            r0(&[(0xb7, 0, 0, 0, 7), (opcode, 0, 0, 0, 0), EXIT]),
            expected
        );
    }
    // r1 = [r1 + 0] after storing r1 there: the input region holds its own address.
    let own = [
        (0x7b, 1, 1, 0, 0),
        (0x79, 1, 1, 0, 0),
        (0xbf, 0, 1, 0, 0),
        EXIT,
    ];
    assert_eq!(r0(&own), INPUT_BASE);
    // r1 = atomic_fetch_add64 [r1], r1
    let trace = trace_with(
        &[(0xdb, 1, 1, 0, 1), EXIT],
        Input::from_bytes([5, 0, 0, 0, 0, 0, 0, 0]),
    );
    assert_eq!(trace.final_registers()[1], 5);
    assert_eq!(trace.output(), (INPUT_BASE + 5).to_le_bytes());
}

#[test]
fn atomics_fetch_or_do_not() {
    // Memory holds all ones; r3 = 0x1_0000_0003; r0 = 0.
    let run = |opcode, operation, r0_low| {
        let mut input = [0xff; 9];
        input[8] = 0x55;
        let slots = [
            (0x18, 3, 0, 0, 3),
            (0, 0, 0, 0, 1),
            (0xb7, 0, 0, 0, r0_low),
            (opcode, 1, 3, 0, operation),
            EXIT,
        ];
        let trace = trace_with(&slots, Input::from_bytes(input));
        let word: [u8; 8] = trace.output()[..8].try_into().expect("eight bytes");
        let step = trace.steps()[2];
        assert_eq!((trace.output()[8], step.address), (0x55, INPUT_BASE));
        let registers = trace.final_registers();
        (u64::from_le_bytes(word), registers[3], registers[0])
    };
    let r3 = 0x1_0000_0003;
    let ones = u64::MAX;
    for (operation, word) in [
        (0x00, 0x1_0000_0002),
        (0x40, ones),
        (0x50, r3),
        (0xa0, ones ^ r3),
    ] {
        assert_eq!(run(0xdb, operation, 0), (word, r3, 0), "{operation:#x}");
        assert_eq!(
            run(0xdb, operation | 1, 0),
            (word, ones, 0),
            "{operation:#x}"
        );
    }
    let high = ones << 32;
    for (operation, low) in [
        (0x00, 2),
        (0x40, 0xffff_ffff),
        (0x50, 3),
        (0xa0, 0xffff_fffc),
    ] {
        assert_eq!(
            run(0xc3, operation, 0),
            (high | low, r3, 0),
            "{operation:#x}"
        );
        assert_eq!(
            run(0xc3, operation | 1, 0),
            (high | low, 0xffff_ffff, 0),
            "{operation:#x}"
        );
    }
    assert_eq!(run(0xdb, 0xe1, 0), (r3, ones, 0));
    assert_eq!(run(0xc3, 0xe1, 0), (high | 3, 0xffff_ffff, 0));
    assert_eq!(run(0xdb, 0xf1, 0), (ones, r3, ones));
    assert_eq!(run(0xdb, 0xf1, -1), (r3, r3, ones));
    assert_eq!(run(0xc3, 0xf1, 0), (ones, r3, 0xffff_ffff));
    assert_eq!(run(0xc3, 0xf1, -1), (high | 3, r3, 0xffff_ffff));
}

#[test]
fn calls_keep_callee_saved_registers_and_move_the_frame() {
    let slots = [
        (0xb7, 6, 0, 0, 66),
        (0x85, 0, 1, 0, 3), // f()
        (0xbf, 7, 10, 0, 0),
        (0x0f, 0, 6, 0, 0),
        EXIT,
        (0xbf, 0, 6, 0, 0), // f: r6 is the caller's
        (0xbf, 3, 10, 0, 0),
        (0xb7, 6, 0, 0, 1),
        EXIT,
    ];
    let trace = trace_with(&slots, Input::default());
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 132 });
    let top = STACK_BASE + 4096;
    let [_, r1, r2, r3, _, _, _, r7, ..] = trace.final_registers();
    assert_eq!((r1, r2, r3, r7), (0, 0, top - 512, top));
    let depths: Vec<u32> = trace.steps().iter().map(|step| step.depth).collect();
    assert_eq!(depths, [0, 0, 1, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn both_encodings_of_callx() {
    // r0 = TEXT_BASE + 8 · 4; callx r0, callx r3 with the register in imm
    for (register, call) in [
        (0, (0x8d, 0, 0, 0, 0)),
        (3, (0x8d, 3, 0, 0, 0)),
        (3, (0x8d, 0, 0, 0, 3)),
    ] {
        let wide = [(0x18, register, 0, 0, i32::MIN | (8 * 4)), (0, 0, 0, 0, 1)];
        let slots = [wide.as_slice(), &[call, EXIT, (0xb7, 0, 0, 0, 77), EXIT]].concat();
        assert_eq!(r0(&slots), 77, "{call:?}");
    }
}

#[test]
fn the_test_helper_is_the_identity() {
    let call = [(0xb7, 1, 0, 0, 7), (0x85, 0, 0, 0, 5), EXIT];
    let callx = [
        (0xb7, 1, 0, 0, 7),
        (0xb7, 2, 0, 0, 5),
        (0x8d, 2, 0, 0, 0),
        EXIT,
    ];
    for slots in [call.as_slice(), &callx] {
        let options = LoadOptions::default()
            .with_allow_test_helper(true)
            .with_stack_size(512);
        let program = Program::load(&bytecode(slots), &options).expect("it loads");
        let run = Tracer::new(&program).run().expect("no input");
        assert_eq!(run.outcome, Outcome::Halt { r0: 7 });
        assert_eq!(run.steps, slots.len() as u64);
    }
}

#[test]
fn steps_show_what_was_read_and_written() {
    let input = Input::from_bytes([0x80, 2, 3, 4, 5, 6, 7, 8]).with_region_size(300);
    let slots = [
        (0x91, 3, 1, 0, 0),   // r3 = *(s8 *)(r1 + 0)
        (0x6b, 1, 3, 255, 0), // *(u16 *)(r1 + 255) = r3
        (0x55, 3, 0, 0, 1),   // if r3 != 1 goto +0
        EXIT,
    ];
    let trace = trace_with(&slots, input);
    let [load, store, branch, exit] = *trace.steps() else {
        panic!("four steps")
    };
    let minus_128 = 0x80_u64 | (u64::MAX << 8);
    assert_eq!(
        (load.pc, load.operand, load.address),
        (0, INPUT_BASE, INPUT_BASE)
    );
    assert_eq!((load.dst, load.result), (0, minus_128));
    assert_eq!((load.memory_before, load.memory_after), (0x80, 0x80));
    assert_eq!((store.dst, store.operand), (INPUT_BASE, minus_128));
    assert_eq!((store.memory_before, store.memory_after), (0, 0xff80));
    assert_eq!(
        (branch.dst, branch.operand, branch.address),
        (minus_128, 1, 0)
    );
    assert_eq!((exit.pc, exit.address), (3, 0));
    // The store spans two pages.
    assert_eq!(
        trace.touched_pages(),
        [INPUT_BASE >> 8, (INPUT_BASE >> 8) + 1]
    );
    assert_eq!(trace.output().len(), 300);
    assert_eq!(trace.final_registers()[2], 8);
    let histogram = trace.opcode_histogram();
    let expected = [("exit", 1), ("jne", 1), ("ldxsb", 1), ("stxh", 1)];
    assert!(histogram.into_iter().eq(expected));
}

#[test]
fn lddw_is_one_step_of_two_slots() {
    let trace = trace_with(
        &[(0x18, 0, 0, 0, -1), (0, 0, 0, 0, 1), EXIT],
        Input::default(),
    );
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 0x1_ffff_ffff });
    assert_eq!(trace.instruction_count(), 2);
    assert_eq!(trace.opcode_histogram().get("lddw"), Some(&1));
}

#[test]
fn execute_and_trace_uses_the_defaults() {
    let trace = bpf_tracer::execute_and_trace(&bytecode(&[EXIT])).expect("it loads");
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 0 });
    assert_eq!(trace.step_limit(), bpf_tracer::DEFAULT_STEP_LIMIT);
    assert!(bpf_tracer::execute_and_trace(&[1]).is_err());
}
