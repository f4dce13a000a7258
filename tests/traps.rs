//! A real proof of every way in which a program can be stopped, and of system calls that succeed. Each is
//! refused as a proof of anything else.

mod keys;

use rayon::prelude::*;
use zkbpf::bpf_tracer::canonical::layout::{INPUT_BASE, RODATA_BASE};
use zkbpf::bpf_tracer::syscall::name_hash;
use zkbpf::bpf_tracer::{Dialect, Syscall};
use zkbpf::{
    Claim, Environment, ExpectedOutcome, Input, LoadOptions, Outcome, Program, Tracer, TrapKind,
    claim_of, prove_execution_chunked, verify_execution,
};

/// Opcode, dst, src, offset, imm.
type Slot = (u8, u8, u8, i16, i32);

const EXIT: Slot = (0x95, 0, 0, 0, 0);

fn program(dialect: Dialect, slots: &[Slot]) -> Program {
    let bytes: Vec<u8> = slots
        .iter()
        .flat_map(|(opcode, dst, src, offset, imm)| {
            let [low, high] = offset.to_le_bytes();
            let [a, b, c, d] = imm.to_le_bytes();
            [*opcode, src << 4 | dst, low, high, a, b, c, d]
        })
        .collect();
    let options = LoadOptions::default().with_dialect(dialect);
    Program::from_bytecode(&bytes, &options).expect("it loads")
}

fn wide(register: u8, value: u64) -> [Slot; 2] {
    let (low, high) = (value as i32, (value >> 32) as i32);
    [(0x18, register, 0, 0, low), (0, 0, 0, 0, high)]
}

/// A v0 program that makes one call.
fn calling(syscall: Syscall, arguments: &[u64]) -> Program {
    let mut slots: Vec<Slot> = (1..)
        .zip(arguments)
        .flat_map(|(register, value)| wide(register, *value))
        .collect();
    slots.push((0x85, 0, 0, 0, name_hash(syscall.name()) as i32));
    slots.push(EXIT);
    program(Dialect::SbpfV0, &slots)
}

/// A program, and how it ends.
struct Case {
    program: Program,
    environment: Environment,
    units: u64,
    trap: Option<TrapKind>,
}

impl Case {
    fn of(program: Program, trap: impl Into<Option<TrapKind>>) -> Self {
        Self {
            program,
            environment: Environment::default(),
            units: 10_000,
            trap: trap.into(),
        }
    }

    fn with_units(self, units: u64) -> Self {
        Self { units, ..self }
    }
}

fn cases() -> Vec<Case> {
    use Syscall::{
        Abort, GetClockSysvar, GetSysvar, Log, Memcmp, Memcpy, Memset, Panic, SetReturnData,
    };
    use TrapKind as Trap;
    let v0 = |slots: &[Slot]| program(Dialect::SbpfV0, slots);
    let at = |offset: u64| INPUT_BASE + offset;
    let mut overflow: Vec<Slot> = vec![(0xb7, 2, 0, 0, 1), (0x67, 2, 0, 0, 63)];
    overflow.extend([(0xb7, 3, 0, 0, -1), (0xde, 2, 3, 0, 0), EXIT]);
    let no_clock = Case {
        environment: Environment::empty(),
        ..Case::of(calling(GetClockSysvar, &[at(64)]), Trap::UnsupportedSysvar)
    };
    vec![
        Case::of(v0(&[(0x3f, 1, 10, 0, 0), EXIT]), None),
        Case::of(v0(&[(0x3f, 1, 3, 0, 0), EXIT]), Trap::DivideByZero),
        Case::of(program(Dialect::SbpfV2, &overflow), Trap::DivideOverflow),
        Case::of(v0(&[(0x79, 0, 10, 0, 0), EXIT]), Trap::AccessViolation),
        Case::of(
            v0(&[wide(3, RODATA_BASE).as_slice(), &[(0x7a, 3, 0, 0, 1), EXIT]].concat()),
            Trap::AccessViolation,
        ),
        Case::of(
            program(Dialect::SbpfV3, &[(0x85, 0, 1, 0, -1), EXIT]),
            Trap::CallDepthExceeded,
        ),
        Case::of(
            v0(&[(0x8d, 0, 0, 0, 3), EXIT]),
            Trap::CallOutsideTextSegment,
        ),
        Case::of(
            v0(&[(0x85, 0, 0, 0, 0x1234_5678), EXIT]),
            Trap::UnsupportedInstruction,
        ),
        Case::of(v0(&[(0xb7, 0, 0, 0, 1)]), Trap::ExecutionOverrun),
        Case::of(
            v0(&[(0x05, 0, 0, -1, 0), EXIT]),
            Trap::ExceededMaxInstructions,
        )
        .with_units(100),
        Case::of(calling(Log, &[at(0), 4]), Trap::ComputationalBudgetExceeded).with_units(50),
        Case::of(calling(Abort, &[]), Trap::Abort),
        Case::of(calling(Panic, &[at(0), 4, 1, 1]), Trap::Panic),
        Case::of(calling(Log, &[at(250), 4]), Trap::InvalidString),
        Case::of(
            calling(Memcmp, &[at(0), at(8), 1 << 63, at(16)]),
            Trap::InvalidLength,
        )
        .with_units(1 << 62),
        Case::of(calling(Memcpy, &[at(0), at(8), 9]), Trap::CopyOverlapping),
        Case::of(
            calling(SetReturnData, &[at(0), 1025]),
            Trap::ReturnDataTooLarge,
        ),
        Case::of(
            calling(Memcmp, &[at(0), at(8), 2, at(17)]),
            Trap::UnalignedPointer,
        ),
        no_clock,
        Case::of(
            calling(GetSysvar, &[at(0), at(64), u64::MAX, 8]),
            Trap::ArithmeticOverflow,
        ),
        Case::of(calling(Memcpy, &[at(100), at(3), 77]), None),
        Case::of(calling(Memset, &[at(9), 0xab, 60]), None),
        Case::of(calling(SetReturnData, &[at(5), 40]), None),
    ]
}

#[test]
fn every_kind_of_trap_is_proved() {
    let cases = cases();
    for kind in TrapKind::ALL {
        assert!(cases.iter().any(|case| case.trap == Some(kind)), "{kind:?}");
    }
    let config = keys::config(10);
    let key = config.verifying_key().expect("keys");
    cases.par_iter().enumerate().for_each(|(index, case)| {
        // Text at the start, none at the end.
        let bytes: Vec<u8> = (0..=255).collect();
        let trace = Tracer::new(&case.program)
            .input(Input::from_bytes(bytes))
            .environment(case.environment.clone())
            .step_limit(case.units)
            .trace()
            .expect("it runs");
        let outcome = trace.outcome();
        let name = format!("case {index}, {outcome:?}");
        match (outcome, case.trap) {
            (Outcome::Halt { .. }, None) => {}
            (Outcome::Trap { kind, .. }, Some(expected)) if kind == expected => {}
            _ => panic!("{name}: not {:?}", case.trap),
        }
        let proofs = prove_execution_chunked(&trace, config).expect(&name);
        let claim = claim_of(&trace);
        let statement = verify_execution(&proofs, &claim, &key).expect(&name);
        assert_eq!(statement.outcome, outcome);
        assert_eq!(statement.compute_units, trace.compute_units());

        let others = [
            Outcome::Halt { r0: 0 },
            Outcome::Halt { r0: 1 },
            Outcome::Trap {
                kind: TrapKind::AccessViolation,
                pc: 3,
            },
            Outcome::Trap {
                kind: TrapKind::Abort,
                pc: 1,
            },
        ];
        for other in others.into_iter().filter(|other| *other != outcome) {
            let claim = Claim {
                outcome: ExpectedOutcome::Exactly(other),
                ..claim.clone()
            };
            assert!(
                verify_execution(&proofs, &claim, &key).is_err(),
                "{name}: {other:?}"
            );
        }
        if !trace.return_data().is_empty() {
            let mut shorter = claim.clone();
            shorter.return_data.pop();
            assert!(verify_execution(&proofs, &shorter, &key).is_err(), "{name}");
            let mut changed = claim;
            changed.return_data[7] ^= 1;
            assert!(verify_execution(&proofs, &changed, &key).is_err(), "{name}");
        }
    });
}
