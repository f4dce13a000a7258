//! sBPF programs: what is refused, what memory they see, how calls and stack frames go.

mod asm;

use std::collections::BTreeMap;

use asm::{EXIT, Fields, bytecode};
use bpf_tracer::canonical::layout::{DATA_BASE, INPUT_BASE, RODATA_BASE, STACK_BASE};
use bpf_tracer::syscall::name_hash;
use bpf_tracer::{
    Dialect, ExecutionTrace, Input, Interval, LoadError, LoadOptions, MAX_IMAGE_BYTES, Op, Outcome,
    Permission, Program, SbpfParts, Tracer, TrapKind,
};

use Dialect::{SbpfV0, SbpfV1, SbpfV2, SbpfV3};

const ALL: [Dialect; 4] = [SbpfV0, SbpfV1, SbpfV2, SbpfV3];

fn load(dialect: Dialect, slots: &[Fields]) -> Result<Program, LoadError> {
    let options = LoadOptions::default().with_dialect(dialect);
    Program::load(&bytecode(slots), &options)
}

fn trace(dialect: Dialect, slots: &[Fields]) -> ExecutionTrace {
    let program = load(dialect, slots).expect("it loads");
    Tracer::new(&program)
        .input(Input::from_bytes([7; 9]))
        .trace()
        .expect("a small input")
}

fn trap(kind: TrapKind, pc: u32) -> Outcome {
    Outcome::Trap { kind, pc }
}

/// `dst = value`, where `lddw` exists.
fn wide(dst: u8, value: u64) -> [Fields; 2] {
    [
        (0x18, dst, 0, 0, value as i32),
        (0, 0, 0, 0, (value >> 32) as i32),
    ]
}

/// The error of one bad instruction, which stands at slot 1.
fn error(dialect: Dialect, bad: Fields) -> LoadError {
    load(dialect, &[(0xb7, 0, 0, 0, 0), bad, EXIT]).expect_err("it must not load")
}

#[test]
fn opcodes_belong_to_versions() {
    for dialect in ALL {
        for opcode in 0..=u8::MAX {
            let known = bpf_tracer::isa::sbpf::has_opcode(dialect, opcode);
            let found = load(dialect, &[(opcode, 0, 0, 0, 16), (0, 0, 0, 0, 0), EXIT]);
            let unknown = LoadError::UnknownSbpfOpcode {
                pc: 0,
                opcode,
                dialect: dialect.name(),
            };
            assert_eq!(found == Err(unknown), !known, "{dialect:?} {opcode:#x}");
        }
    }
}

#[test]
fn immediates_that_cannot_be() {
    let pc = 1;
    for bad in [
        (0x34, 1, 0, 0, 0),
        (0x37, 1, 0, 0, 0),
        (0x94, 1, 0, 0, 0),
        (0x97, 1, 0, 0, 0),
    ] {
        for dialect in [SbpfV0, SbpfV1, SbpfV3] {
            assert_eq!(error(dialect, bad), LoadError::ZeroDivisor { pc });
        }
    }
    for opcode in [0x46, 0x56, 0x66, 0x76, 0xc6, 0xd6, 0xe6, 0xf6] {
        let bad = (opcode, 1, 0, 0, 0);
        assert_eq!(error(SbpfV2, bad), LoadError::ZeroDivisor { pc });
    }
    for dialect in ALL {
        for (opcode, bits) in [
            (0x64, 32),
            (0x74, 32),
            (0xc4, 32),
            (0x67, 64),
            (0x77, 64),
            (0xc7, 64),
        ] {
            for shift in [bits, -1, i32::MIN] {
                let expected = LoadError::ShiftTooLarge { pc, shift };
                assert_eq!(error(dialect, (opcode, 1, 0, 0, shift)), expected);
            }
            assert!(load(dialect, &[(opcode, 1, 0, 0, bits - 1), EXIT]).is_ok());
        }
        let odd = error(dialect, (0xdc, 1, 0, 0, 8));
        assert!(matches!(
            odd,
            LoadError::UnknownVariant { pc: 1, imm: 8, .. }
        ));
    }
}

#[test]
fn registers_that_cannot_be() {
    let (pc, frame_pointer) = (1, LoadError::WriteToFramePointer { pc: 1 });
    for dialect in ALL {
        // Also where the field is not used.
        for bad in [
            (0xb7, 10, 0, 0, 0),
            (0x95, 10, 0, 0, 0),
            (0x15, 10, 0, 0, 0),
            (0x1f, 10, 1, 0, 0),
        ] {
            assert_eq!(error(dialect, bad), frame_pointer);
        }
        for bad in [
            (0xb7, 11, 0, 0, 0),
            (0xb7, 0, 11, 0, 0),
            (0x95, 0, 11, 0, 0),
        ] {
            let expected = LoadError::InvalidRegister { pc, register: 11 };
            assert_eq!(error(dialect, bad), expected);
        }
    }
    // callx: r0 to r9.
    for (dialect, bad) in [
        (SbpfV0, (0x8d, 0, 0, 0, 10)),
        (SbpfV1, (0x8d, 0, 0, 0, 10)),
        (SbpfV2, (0x8d, 0, 10, 0, 0)),
        (SbpfV3, (0x8d, 10, 0, 0, 0)),
    ] {
        assert_eq!(
            error(dialect, bad),
            LoadError::InvalidRegister { pc, register: 10 }
        );
    }
    let negative = LoadError::InvalidRegister {
        pc,
        register: u32::MAX,
    };
    assert_eq!(error(SbpfV0, (0x8d, 0, 0, 0, -1)), negative);
    // add64 r10, imm
    for dialect in [SbpfV1, SbpfV2] {
        assert!(load(dialect, &[(0x07, 10, 0, 0, -128), EXIT]).is_ok());
        let expected = LoadError::UnalignedFrame { pc, imm: 32 };
        assert_eq!(error(dialect, (0x07, 10, 0, 0, 32)), expected);
    }
    for dialect in [SbpfV0, SbpfV3] {
        assert_eq!(error(dialect, (0x07, 10, 0, 0, -128)), frame_pointer);
    }
}

#[test]
fn wide_immediates_have_a_second_slot() {
    for dialect in [SbpfV0, SbpfV1, SbpfV3] {
        let lone = load(dialect, &[EXIT, (0x18, 0, 0, 0, 0)]);
        assert_eq!(lone, Err(LoadError::TruncatedWideImmediate { pc: 1 }));
        let expected = LoadError::IncompleteWideImmediate { pc: 1 };
        assert_eq!(error(dialect, (0x18, 0, 0, 0, 0)), expected);
        // What else is in the second slot does not matter.
        let slots = [(0x18, 0, 3, 9, 1), (0, 15, 15, -1, 2), EXIT];
        let expected = Outcome::Halt { r0: 2 << 32 | 1 };
        assert_eq!(trace(dialect, &slots).outcome(), expected);
        let jump = load(
            dialect,
            &[
                (0x05, 0, 0, 1, 0),
                (0x18, 0, 0, 0, 0),
                (0, 0, 0, 0, 0),
                EXIT,
            ],
        );
        let expected = LoadError::TargetInsideWideImmediate { pc: 0, target: 2 };
        assert_eq!(jump, Err(expected));
    }
    for dialect in ALL {
        let outside = LoadError::TargetOutside { pc: 1, target: 3 };
        assert_eq!(error(dialect, (0x05, 0, 0, 1, 0)), outside);
    }
}

#[test]
fn second_slots_can_be_called_and_entered() {
    let [first, second] = wide(0, 5);
    // callx
    let slots = [
        [wide(3, RODATA_BASE + 32), [first, second]].concat(),
        vec![(0x8d, 3, 3, 0, 3), EXIT],
    ]
    .concat();
    let address = RODATA_BASE + 24;
    for (address, expected) in [
        (address, trap(TrapKind::UnsupportedInstruction, 3)),
        (address + 7, trap(TrapKind::UnsupportedInstruction, 3)),
        (address + 16, Outcome::Halt { r0: 5 }),
        (RODATA_BASE + 48, trap(TrapKind::CallOutsideTextSegment, 4)),
        (RODATA_BASE - 1, trap(TrapKind::CallOutsideTextSegment, 4)),
        (0, trap(TrapKind::CallOutsideTextSegment, 4)),
    ] {
        let mut slots = slots.clone();
        slots[..2].copy_from_slice(&wide(3, address));
        for dialect in [SbpfV0, SbpfV3] {
            assert_eq!(trace(dialect, &slots).outcome(), expected, "{address:#x}");
        }
    }
    let parts = SbpfParts {
        dialect: SbpfV0,
        text: bytecode(&[first, second, EXIT]),
        text_base: RODATA_BASE + 0x120,
        entry: 1,
        ..SbpfParts::default()
    };
    let parts = SbpfParts {
        readable_base: RODATA_BASE,
        ..parts
    };
    let options = LoadOptions::default();
    let program = Program::from_sbpf_parts(parts.clone(), &options).expect("it loads");
    let trace = Tracer::new(&program).trace().expect("a trace");
    assert_eq!(trace.outcome(), trap(TrapKind::UnsupportedInstruction, 1));
    let outside = Program::from_sbpf_parts(SbpfParts { entry: 3, ..parts }, &options);
    assert!(matches!(outside, Err(LoadError::MisplacedEntry { .. })));
}

#[test]
fn calls_by_number_know_their_functions() {
    let slots = [(0x85, 0, 0, 0, 77), EXIT, (0xb7, 0, 0, 0, 3), EXIT];
    let program = |key: u32, slot| {
        let parts = SbpfParts {
            dialect: SbpfV1,
            text: bytecode(&slots),
            text_base: RODATA_BASE,
            readable_base: RODATA_BASE,
            functions: BTreeMap::from([(key, slot)]),
            ..SbpfParts::default()
        };
        Program::from_sbpf_parts(parts, &LoadOptions::default())
    };
    let run = |program: &Program| Tracer::new(program).trace().expect("a trace");
    let found = run(&program(77, 2).expect("it loads"));
    assert_eq!(found.outcome(), Outcome::Halt { r0: 3 });
    let none = run(&program(78, 2).expect("it loads"));
    assert_eq!(none.outcome(), trap(TrapKind::UnsupportedInstruction, 0));
    let expected = LoadError::TargetOutside { pc: 0, target: 4 };
    assert_eq!(program(77, 4), Err(expected));
    // Raw bytecode has one: its entry.
    let number = name_hash("entrypoint") as i32;
    let recursion = trace(SbpfV0, &[(0x85, 0, 0, 0, number), EXIT]);
    assert_eq!(recursion.outcome(), trap(TrapKind::CallDepthExceeded, 0));
    assert_eq!(recursion.instruction_count(), 64);
    let grown = STACK_BASE + 4096 + 63 * 8192;
    assert_eq!(recursion.final_registers()[10], grown);
    // A system call comes first.
    let both = program(name_hash("abort"), 2).expect("it loads");
    assert_eq!(both.instructions()[0].op, Op::Unresolved);
}

#[test]
fn depth_comes_before_the_address() {
    let slots = [
        wide(3, RODATA_BASE).to_vec(),
        vec![(0x8d, 3, 3, 0, 3), EXIT],
    ]
    .concat();
    let recursion = trace(SbpfV3, &slots);
    assert_eq!(recursion.outcome(), trap(TrapKind::CallDepthExceeded, 2));
    assert_eq!(recursion.final_registers()[10], STACK_BASE + 64 * 4096);
    // r4 counts; at the 64th call the address is wrong too.
    let slots = [
        wide(3, RODATA_BASE).to_vec(),
        vec![
            (0x07, 4, 0, 0, 1),
            (0x55, 4, 0, 1, 64),
            (0xb7, 3, 0, 0, 0),
            (0x8d, 3, 3, 0, 3),
            EXIT,
        ],
    ]
    .concat();
    assert_eq!(
        trace(SbpfV3, &slots).outcome(),
        trap(TrapKind::CallDepthExceeded, 5)
    );
}

#[test]
fn registers_start_as_the_runtime_sets_them() {
    let start = |dialect, input: Input| load(dialect, &[EXIT]).unwrap().initial_registers(&input);
    let end = STACK_BASE + 64 * 4096;
    for (dialect, r10) in [
        (SbpfV0, STACK_BASE + 4096),
        (SbpfV1, end),
        (SbpfV2, end),
        (SbpfV3, STACK_BASE + 4096),
    ] {
        let registers = start(dialect, Input::default());
        assert_eq!(registers, [0, INPUT_BASE, 0, 0, 0, 0, 0, 0, 0, 0, r10]);
    }
}

/// The parameters of a program: one account with three bytes of data, and the same again.
fn parameters(instruction_data: &[u8]) -> Vec<u8> {
    let mut bytes = 2_u64.to_le_bytes().to_vec();
    bytes.extend([0xff, 1, 1, 0, 0, 0, 0, 0]);
    bytes.extend([5; 32 + 32]);
    bytes.extend(9_u64.to_le_bytes());
    bytes.extend(3_u64.to_le_bytes());
    bytes.extend([1, 2, 3]);
    bytes.extend([0; 10240 + 5]);
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend((instruction_data.len() as u64).to_le_bytes());
    bytes.extend(instruction_data);
    bytes.extend([6; 32]);
    bytes
}

#[test]
fn r2_is_where_the_instruction_data_is() {
    let program = load(SbpfV0, &[EXIT]).unwrap();
    let at = |bytes: &[u8]| Input::from_bytes(bytes).instruction_data();
    let bytes = parameters(&[1, 2]);
    let offset = 8 + 8 + 64 + 8 + 8 + 10248 + 8 + 8 + 8;
    assert_eq!(at(&bytes), Some(offset));
    let registers = program.initial_registers(&Input::from_bytes(bytes.clone()));
    assert_eq!(registers[2], INPUT_BASE + offset);
    let ebpf = Program::load(&bytecode(&[EXIT]), &LoadOptions::default()).unwrap();
    let registers = ebpf.initial_registers(&Input::from_bytes(bytes.clone()));
    assert_eq!(registers[2], bytes.len() as u64);
    // A byte more or less is no longer parameters.
    assert_eq!(at(&bytes[..bytes.len() - 1]), None);
    assert_eq!(at(&[bytes.as_slice(), &[0]].concat()), None);
    let larger = Input::from_bytes(bytes.clone()).with_region_size(bytes.len() as u64 + 1);
    assert_eq!(larger.instruction_data(), None);
    for len in [0, 7, 8, 40, 80, 96, 10343] {
        assert_eq!(at(&bytes[..len]), None);
    }
    assert_eq!(at(&[0; 48]), Some(16));
    let mut huge = bytes;
    huge[88..96].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(at(&huge), None);
    assert_eq!(at(&[0xff; 400]), None);
}

#[test]
fn accesses_run_on_over_the_gaps_of_v0() {
    let last = STACK_BASE + 63 * 8192 + 4096;
    for (dialect, address, expected) in [
        (SbpfV0, STACK_BASE + 4092, Some(2)),
        (SbpfV0, STACK_BASE + 4095, Some(2)),
        (SbpfV0, STACK_BASE + 4088, None),
        (SbpfV0, STACK_BASE + 8192, None),
        (SbpfV1, STACK_BASE + 4092, None),
        (SbpfV3, STACK_BASE + 4092, None),
    ] {
        let [first, second] = wide(1, address);
        let slots = [
            first,
            second,
            (0xb7, 2, 0, 0, -2),
            (0x7b, 1, 2, 0, 0),
            (0x79, 0, 1, 0, 0),
            EXIT,
        ];
        let trace = trace(dialect, &slots);
        assert_eq!(trace.outcome(), Outcome::Halt { r0: -2_i64 as u64 });
        assert_eq!(trace.crosses_frames(), expected, "{dialect:?} {address:#x}");
        if expected.is_some() {
            let pages = [STACK_BASE + 3840, STACK_BASE + 8192].map(|page| page >> 8);
            assert_eq!(trace.touched_pages(), pages);
        }
    }
    for address in [
        STACK_BASE + 4096,
        STACK_BASE + 8191,
        last - 7,
        last,
        STACK_BASE - 1,
    ] {
        let [first, second] = wide(1, address);
        let trace = trace(SbpfV0, &[first, second, (0x79, 0, 1, 0, 0), EXIT]);
        assert_eq!(
            trace.outcome(),
            trap(TrapKind::AccessViolation, 2),
            "{address:#x}"
        );
        assert_eq!(trace.crosses_frames(), None);
    }
    // The intervals say the same.
    let intervals = load(SbpfV0, &[EXIT]).unwrap().intervals();
    let open: Vec<&Interval> = intervals
        .iter()
        .filter(|interval| interval.open_end)
        .collect();
    assert_eq!(open.len(), 63);
    assert!(open.iter().all(|interval| interval.end < u128::from(last)));
}

#[test]
fn read_only_data_is_readable_to_the_byte() {
    let readable: Vec<u8> = (1..=21).collect();
    for (dialect, base) in [(SbpfV0, RODATA_BASE + 0x123), (SbpfV3, 0x45)] {
        let permits = |opcode, address: u64, len: u64| {
            let [first, second] = wide(1, address);
            let parts = SbpfParts {
                dialect,
                text: bytecode(&[
                    first,
                    second,
                    (opcode, if opcode & 7 == 1 { 0 } else { 1 }, 1, 0, 0),
                    EXIT,
                ]),
                text_base: RODATA_BASE,
                readable: readable.clone(),
                readable_base: base,
                ..SbpfParts::default()
            };
            let program = Program::from_sbpf_parts(parts, &LoadOptions::default()).unwrap();
            assert_eq!(program.readable(), base..base + 21);
            assert!(program.rodata_base().is_multiple_of(8));
            assert!(program.rodata().len().is_multiple_of(8));
            let trace = Tracer::new(&program).trace().unwrap();
            match trace.outcome() {
                Outcome::Halt { r0 } => {
                    let start = (address - base) as usize;
                    let mut expected = [0; 8];
                    expected[..len as usize].copy_from_slice(&readable[start..][..len as usize]);
                    assert_eq!(r0, u64::from_le_bytes(expected));
                    true
                }
                outcome => {
                    assert_eq!(outcome, trap(TrapKind::AccessViolation, 2));
                    false
                }
            }
        };
        for (opcode, len) in [(0x71, 1), (0x69, 2), (0x61, 4), (0x79, 8)] {
            for inside in [base, base + 1, base + 21 - len] {
                assert!(permits(opcode, inside, len));
            }
            for outside in [base - 1, base + 22 - len, base + 21, base + 0x1000] {
                assert!(!permits(opcode, outside, len));
            }
        }
        for store in [0x73, 0x7b, 0x72] {
            assert!(!permits(store, base, 1));
        }
    }
}

#[test]
fn regions_are_where_they_belong() {
    let interval = |start: u64, end: u64, permission| Interval {
        start: start.into(),
        end: end.into(),
        permission,
        open_end: false,
    };
    let stack_end = STACK_BASE + 64 * 4096;
    let options = LoadOptions::default()
        .with_dialect(SbpfV3)
        .with_heap_size(64);
    let program = Program::from_bytecode(&bytecode(&[EXIT]), &options).unwrap();
    assert_eq!(program.stack_size(), 64 * 4096);
    assert_eq!(program.max_call_depth(), 64);
    assert_eq!(program.data(), [0; 64]);
    let expected = [
        interval(0, 8, Permission::Read),
        interval(8, STACK_BASE, Permission::None),
        interval(STACK_BASE, stack_end, Permission::ReadWrite),
        interval(stack_end, DATA_BASE, Permission::None),
        interval(DATA_BASE, DATA_BASE + 64, Permission::ReadWrite),
        interval(DATA_BASE + 64, INPUT_BASE, Permission::None),
    ];
    assert_eq!(program.intervals(), expected);
    for size in [4, MAX_IMAGE_BYTES + 8] {
        let options = options.clone().with_heap_size(size);
        let found = Program::from_bytecode(&bytecode(&[EXIT]), &options);
        assert_eq!(found, Err(LoadError::HeapSize { size }));
    }
    for (dialect, readable_base) in [
        (SbpfV0, 0),
        (SbpfV0, STACK_BASE - (1 << 31)),
        (SbpfV3, 1 << 31),
    ] {
        let parts = SbpfParts {
            dialect,
            text: bytecode(&[EXIT]),
            readable: vec![0],
            readable_base,
            ..SbpfParts::default()
        };
        let found = Program::from_sbpf_parts(parts, &LoadOptions::default());
        assert!(
            matches!(found, Err(LoadError::MisplacedRodata { .. })),
            "{found:?}"
        );
    }
}

#[test]
fn instructions_are_named_by_their_version() {
    let names = |dialect, slots: &[Fields]| {
        let program = load(dialect, slots).unwrap();
        (0..slots.len() as u32)
            .map(|pc| program.mnemonic(pc))
            .collect::<Vec<_>>()
    };
    let log = name_hash("sol_log_") as i32;
    assert_eq!(
        names(
            SbpfV0,
            &[
                (0x04, 1, 0, 0, 1),
                (0x2c, 1, 2, 0, 0),
                (0x85, 0, 0, 0, log),
                (0x85, 0, 0, 0, 9),
                (0x8d, 0, 0, 0, 3),
                EXIT
            ]
        ),
        ["add32", "mul32", "syscall", "call", "callx", "exit"]
    );
    assert_eq!(
        names(
            SbpfV2,
            &[
                (0x17, 1, 0, 0, 1),
                (0xbc, 1, 2, 0, 0),
                (0xe6, 1, 0, 0, 3),
                (0x2c, 1, 2, 0, 0),
                EXIT
            ]
        ),
        ["sub64", "mov32", "srem32", "ldxb", "exit"]
    );
}
