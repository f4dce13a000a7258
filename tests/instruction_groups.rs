//! Every group of instructions, and every trap, proved and verified for real. The expected results are
//! those of RFC 9669, worked out here and not by the interpreter.

mod asm;
mod corpora;
mod keys;

use asm::{EXIT, Fields, bytecode};
use rayon::prelude::*;
use zkbpf::bpf_tracer::canonical::layout::TEXT_BASE;
use zkbpf::{
    Claim, ExpectedOutcome, Input, LoadOptions, Outcome, Program, Tracer, TrapKind,
    prove_execution_chunked, verify_execution,
};

struct Case {
    name: String,
    program: Program,
    input: Input,
    outcome: Outcome,
}

impl Case {
    /// Executes, proves and verifies it; says what is wrong.
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let tracer = Tracer::new(&self.program).input(self.input.clone());
        let trace = tracer.trace().map_err(|error| format!("{name}: {error}"))?;
        if trace.outcome() != self.outcome {
            return Err(format!(
                "{name}: {:?}, not {:?}",
                trace.outcome(),
                self.outcome
            ));
        }
        let config = keys::config(10);
        let proofs =
            prove_execution_chunked(&trace, config).map_err(|error| format!("{name}: {error}"))?;
        let claim = Claim {
            outcome: ExpectedOutcome::Exactly(self.outcome),
            output: Some(trace.output().to_vec()),
            ..Claim::new(self.program.clone(), self.input.clone())
        };
        let key = config
            .verifying_key()
            .map_err(|error| format!("{name}: {error}"))?;
        verify_execution(&proofs, &claim, &key)
            .map(drop)
            .map_err(|error| format!("{name}: {error}"))
    }
}

/// Proves all of them side by side.
fn check(cases: &[Case]) {
    // Made once, before the cases ask for them from several threads.
    keys::config(10).keys().expect("keys");
    let failed: Vec<String> = cases
        .par_iter()
        .filter_map(|case| case.check().err())
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

const INPUT: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 0x88, 9, 10, 11, 12, 13, 14, 15, 0xff];

fn case(name: &str, slots: &[Fields], outcome: Outcome) -> Case {
    let program = Program::load(&bytecode(slots), &LoadOptions::default());
    Case {
        name: name.to_owned(),
        program: program.unwrap_or_else(|error| panic!("{name}: {error}")),
        input: Input::from_bytes(INPUT),
        outcome,
    }
}

/// The slots, then `exit` with this `r0`.
fn halts(name: &str, slots: &[Fields], r0: u64) -> Case {
    case(name, &[slots, &[EXIT]].concat(), Outcome::Halt { r0 })
}

fn traps(name: &str, slots: &[Fields], kind: TrapKind, pc: u32) -> Case {
    case(name, slots, Outcome::Trap { kind, pc })
}

/// `dst = value`
fn wide(dst: u8, value: u64) -> [Fields; 2] {
    [
        (0x18, dst, 0, 0, value as i32),
        (0, 0, 0, 0, (value >> 32) as i32),
    ]
}

/// `r0 = a; r1 = b`, then the slots.
fn pair(a: u64, b: u64, slots: &[Fields]) -> Vec<Fields> {
    [&wide(0, a), &wide(1, b), slots].concat()
}

/// Takes each branch on `(a, b)` in turn; bit `i` of `r0` says that branch `i` was taken.
fn branches(a: u64, b: u64, opcodes: &[u8]) -> Vec<Fields> {
    let mut slots = [wide(1, a), wide(2, b)].concat();
    slots.push((0xb7, 0, 0, 0, 0));
    for (i, opcode) in opcodes.iter().enumerate() {
        // if !(r1 op r2) fall into `ja +1`; else r0 |= 1 << i.
        slots.extend([
            (*opcode, 1, 2, 1, 0),
            (0x05, 0, 0, 1, 0),
            (0x47, 0, 0, 0, 1 << i),
        ]);
    }
    slots
}

/// jeq, jgt, jge, jset, jne, jsgt, jsge, jlt, jle, jslt, jsle of two registers.
const BRANCHES: [u8; 11] = [
    0x1d, 0x2d, 0x3d, 0x4d, 0x5d, 0x6d, 0x7d, 0xad, 0xbd, 0xcd, 0xdd,
];

fn conditions(a: i64, b: i64, ua: u64, ub: u64) -> u64 {
    let taken = [
        ua == ub,
        ua > ub,
        ua >= ub,
        ua & ub != 0,
        ua != ub,
        a > b,
        a >= b,
        ua < ub,
        ua <= ub,
        a < b,
        a <= b,
    ];
    (0..)
        .zip(taken)
        .map(|(i, taken)| u64::from(taken) << i)
        .sum()
}

fn cases() -> Vec<Case> {
    const A: u64 = 0x8123_4567_89ab_cdef;
    const B: u64 = 0x0000_0007_ffff_fff9;
    let (a32, b32) = (A as u32, B as u32);
    let signed = A as i64;
    let mut cases = vec![
        halts(
            "add64, sub64, neg64",
            &pair(
                A,
                B,
                &[(0x0f, 0, 1, 0, 0), (0x17, 0, 0, 0, -5), (0x87, 0, 0, 0, 0)],
            ),
            A.wrapping_add(B).wrapping_add(5).wrapping_neg(),
        ),
        halts(
            "add32, sub32, neg32",
            &pair(
                A,
                B,
                &[(0x0c, 0, 1, 0, 0), (0x14, 0, 0, 0, 7), (0x84, 0, 0, 0, 0)],
            ),
            a32.wrapping_add(b32).wrapping_sub(7).wrapping_neg().into(),
        ),
        halts(
            "mul64, mul32",
            &pair(
                A,
                B,
                &[
                    (0x2f, 0, 1, 0, 0),
                    (0xbf, 2, 0, 0, 0),
                    (0x24, 2, 0, 0, -3),
                    (0xaf, 0, 2, 0, 0),
                ],
            ),
            {
                let product = A.wrapping_mul(B);
                product ^ u64::from((product as u32).wrapping_mul(-3_i32 as u32))
            },
        ),
        halts(
            "div64, mod64",
            &pair(
                A,
                B,
                &[
                    (0xbf, 2, 0, 0, 0),
                    (0x3f, 0, 1, 0, 0),
                    (0x9f, 2, 1, 0, 0),
                    (0xaf, 0, 2, 0, 0),
                ],
            ),
            (A / B) ^ (A % B),
        ),
        halts(
            "div32, mod32 by zero",
            &pair(
                A,
                1 << 32,
                &[
                    (0xbf, 2, 0, 0, 0),
                    (0x3c, 0, 1, 0, 0),
                    (0x9c, 2, 1, 0, 0),
                    (0x0f, 0, 2, 0, 0),
                ],
            ),
            a32.into(),
        ),
        halts(
            "sdiv64, smod64",
            &pair(
                A,
                -12345_i64 as u64,
                &[
                    (0xbf, 2, 0, 0, 0),
                    (0x3f, 0, 1, 1, 0),
                    (0x9f, 2, 1, 1, 0),
                    (0xaf, 0, 2, 0, 0),
                ],
            ),
            ((signed / -12345) ^ (signed % -12345)) as u64,
        ),
        halts(
            "sdiv32, smod32 of the least number by -1",
            &pair(
                0x8000_0000,
                0,
                &[
                    (0xbf, 2, 0, 0, 0),
                    (0x34, 0, 0, 1, -1),
                    (0x94, 2, 0, 1, -1),
                    (0x0f, 0, 2, 0, 0),
                ],
            ),
            0x8000_0000,
        ),
        halts(
            "and64, or64, xor64",
            &pair(
                A,
                B,
                &[
                    (0x5f, 0, 1, 0, 0),
                    (0x47, 0, 0, 0, 0x0f0f_0f0f),
                    (0xa7, 0, 0, 0, -2),
                ],
            ),
            ((A & B) | 0x0f0f_0f0f) ^ -2_i64 as u64,
        ),
        halts(
            "and32, or32, xor32",
            &pair(
                A,
                B,
                &[
                    (0x5c, 0, 1, 0, 0),
                    (0x44, 0, 0, 0, 0x0f0f_0f0f),
                    (0xa4, 0, 0, 0, -2),
                ],
            ),
            u64::from(((a32 & b32) | 0x0f0f_0f0f) ^ -2_i32 as u32),
        ),
        halts(
            "lsh64, rsh64, arsh64",
            &pair(
                A,
                67,
                &[
                    (0xc7, 0, 0, 0, 5),
                    (0x6f, 0, 1, 0, 0),
                    (0x7f, 0, 1, 0, 0),
                    (0xbf, 2, 0, 0, 0),
                    (0xcf, 2, 1, 0, 0),
                    (0x0f, 0, 2, 0, 0),
                ],
            ),
            {
                let shifted = ((signed >> 5) as u64) << 3 >> 3;
                shifted.wrapping_add((shifted as i64 >> 3) as u64)
            },
        ),
        halts(
            "lsh32, rsh32, arsh32",
            &pair(
                A,
                36,
                &[
                    (0xc4, 0, 0, 0, 3),
                    (0xbf, 2, 0, 0, 0),
                    (0x6c, 0, 1, 0, 0),
                    (0x7c, 2, 1, 0, 0),
                    (0x0f, 0, 2, 0, 0),
                ],
            ),
            {
                let shifted = (a32 as i32 >> 3) as u32;
                u64::from(shifted << 4) + u64::from(shifted >> 4)
            },
        ),
        halts(
            "movsx, mov32",
            &pair(
                0,
                A,
                &[
                    (0xbf, 2, 1, 8, 0),
                    (0x0f, 0, 2, 0, 0),
                    (0xbf, 2, 1, 16, 0),
                    (0x0f, 0, 2, 0, 0),
                    (0xbf, 2, 1, 32, 0),
                    (0x0f, 0, 2, 0, 0),
                    (0xbc, 2, 1, 8, 0),
                    (0x0f, 0, 2, 0, 0),
                    (0xbc, 2, 1, 0, 0),
                    (0x0f, 0, 2, 0, 0),
                ],
            ),
            [
                A as i8 as u64,
                A as i16 as u64,
                A as i32 as u64,
                (A as i8 as u32).into(),
                a32.into(),
            ]
            .into_iter()
            .fold(0, u64::wrapping_add),
        ),
        halts(
            "le, be, bswap",
            &pair(
                A,
                A,
                &[
                    (0xdc, 0, 0, 0, 32),
                    (0xbf, 2, 1, 0, 0),
                    (0xd4, 2, 0, 0, 16),
                    (0x0f, 0, 2, 0, 0),
                    (0xd7, 1, 0, 0, 64),
                    (0xaf, 0, 1, 0, 0),
                ],
            ),
            (u64::from(a32.swap_bytes()) + (A & 0xffff)) ^ A.swap_bytes(),
        ),
        halts(
            "branches on 64 bits",
            &branches(A, B, &BRANCHES),
            conditions(A as i64, B as i64, A, B),
        ),
        halts(
            "branches on equal words",
            &branches(A, A, &BRANCHES),
            conditions(A as i64, A as i64, A, A),
        ),
        halts(
            "branches on 32 bits",
            &branches(A, B, &BRANCHES.map(|opcode| opcode + 1)),
            conditions(
                (a32 as i32).into(),
                (b32 as i32).into(),
                a32.into(),
                b32.into(),
            ),
        ),
        halts(
            "ja32 backwards",
            &[
                (0xb7, 0, 0, 0, 0),
                (0x06, 0, 0, 0, 1),
                (0x05, 0, 0, 2, 0),
                (0x07, 0, 0, 0, 9),
                (0x06, 0, 0, 0, -3),
            ],
            9,
        ),
    ];

    let word = u64::from_le_bytes(INPUT[..8].try_into().expect("8 bytes"));
    let crossing = u64::from_le_bytes(INPUT[3..11].try_into().expect("8 bytes"));
    cases.extend([
        halts(
            "loads",
            &[
                (0x79, 0, 1, 0, 0),
                (0x71, 2, 1, 15, 0),
                (0x0f, 0, 2, 0, 0),
                (0x69, 2, 1, 7, 0),
                (0x0f, 0, 2, 0, 0),
                (0x61, 2, 1, 6, 0),
                (0x0f, 0, 2, 0, 0),
                (0x79, 2, 1, 3, 0),
                (0x0f, 0, 2, 0, 0),
            ],
            [word, 0xff, 0x0988, 0x0a09_8807, crossing]
                .into_iter()
                .fold(0, u64::wrapping_add),
        ),
        halts(
            "sign-extending loads",
            &[
                (0x91, 0, 1, 15, 0),
                (0x89, 2, 1, 6, 0),
                (0x0f, 0, 2, 0, 0),
                (0x81, 2, 1, 4, 0),
                (0x0f, 0, 2, 0, 0),
            ],
            [
                -1_i64,
                0x8807_u16 as i16 as i64,
                0x8807_0605_u32 as i32 as i64,
            ]
            .into_iter()
            .fold(0, |sum: i64, value| sum.wrapping_add(value)) as u64,
        ),
        halts(
            "stores of registers",
            &[
                (0x79, 2, 1, 0, 0),
                (0x7b, 10, 2, -8, 0),
                (0x7b, 10, 2, -16, 0),
                (0x63, 10, 2, -11, 0),
                (0x6b, 10, 2, -3, 0),
                (0x73, 10, 2, -1, 0),
                (0x79, 0, 10, -8, 0),
                (0x79, 2, 10, -16, 0),
                (0xaf, 0, 2, 0, 0),
            ],
            {
                let mut stack = [INPUT[..8].to_vec(), INPUT[..8].to_vec()].concat();
                stack[5..9].copy_from_slice(&INPUT[..4]);
                stack[13..15].copy_from_slice(&INPUT[..2]);
                stack[15] = INPUT[0];
                let word =
                    |at: usize| u64::from_le_bytes(stack[at..at + 8].try_into().expect("8 bytes"));
                word(0) ^ word(8)
            },
        ),
        halts(
            "stores of immediates change the input",
            &[
                (0x7a, 1, 0, 8, -2),
                (0x62, 1, 0, 1, 0x1122_3344),
                (0x6a, 1, 0, 7, 0x5566),
                (0x72, 1, 0, 0, 0x77),
                (0x79, 0, 1, 0, 0),
                (0x79, 2, 1, 8, 0),
                (0xaf, 0, 2, 0, 0),
            ],
            u64::from_le_bytes([0x77, 0x44, 0x33, 0x22, 0x11, 6, 7, 0x66])
                ^ u64::from_le_bytes([0x55, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ),
        halts(
            "atomics on 64 bits",
            &[
                (0xb7, 2, 0, 0, 5),
                (0xdb, 1, 2, 0, 0x00), // [r1] += 5
                (0xdb, 1, 2, 0, 0x41), // r2 = old; [r1] |= 5
                (0xdb, 1, 2, 0, 0xa0), // [r1] ^= r2
                (0xb7, 2, 0, 0, 0x7f),
                (0xdb, 1, 2, 0, 0xe1), // r2 = old; [r1] = 0x7f
                (0xb7, 0, 0, 0, 0x7f),
                (0xdb, 1, 2, 0, 0xf1), // equal: [r1] = r2; r0 = 0x7f
                (0x79, 3, 1, 0, 0),
                (0x0f, 0, 3, 0, 0),
            ],
            {
                let sum = word.wrapping_add(5);
                ((sum | 5) ^ sum).wrapping_add(0x7f)
            },
        ),
        halts(
            "atomics on 32 bits",
            &[
                (0xb7, 2, 0, 0, -1),
                (0xc3, 1, 2, 4, 0x51), // r2 = old; [r1 + 4] &= -1
                (0xb7, 0, 0, 0, 3),
                (0xc3, 1, 2, 4, 0xf1), // differs: r0 = old
                (0x0f, 0, 2, 0, 0),
            ],
            2 * (word >> 32),
        ),
        halts(
            "calls keep r6 to r9",
            &[
                (0xb7, 6, 0, 0, 40),
                (0xb7, 1, 0, 0, 1),
                (0x85, 0, 1, 0, 2), // call the function behind `exit`
                (0x0f, 0, 6, 0, 0),
                EXIT,
                (0xb7, 6, 0, 0, 1000),
                (0x7b, 10, 6, -8, 0),
                (0xbf, 0, 1, 0, 0),
                (0x07, 0, 0, 0, 1),
            ],
            42,
        ),
        halts(
            "calls through a register",
            &[
                wide(2, TEXT_BASE + 8 * 4).as_slice(),
                &[(0x8d, 2, 0, 0, 0), EXIT, (0xb7, 0, 0, 0, 42)],
            ]
            .concat(),
            42,
        ),
        traps(
            "loads outside",
            &[(0x79, 0, 1, 9, 0), EXIT],
            TrapKind::AccessViolation,
            0,
        ),
        traps(
            "stores below the stack",
            &[(0x7a, 10, 0, -4104, 0), EXIT],
            TrapKind::AccessViolation,
            0,
        ),
        traps(
            "atomics outside",
            &[(0xdb, 1, 2, 12, 0), EXIT],
            TrapKind::AccessViolation,
            0,
        ),
        traps(
            "calls too deep",
            &[(0x85, 0, 1, 0, -1), EXIT],
            TrapKind::CallDepthExceeded,
            0,
        ),
        traps(
            "calls outside",
            &[(0xb7, 2, 0, 0, 4), (0x8d, 2, 0, 0, 0), EXIT],
            TrapKind::CallOutsideTextSegment,
            1,
        ),
        traps(
            "running past the end",
            &[(0xb7, 0, 0, 0, 4)],
            TrapKind::ExecutionOverrun,
            1,
        ),
    ]);
    cases
}

#[test]
fn every_group_is_proved() {
    let cases = cases();
    assert!(cases.len() >= 20);
    check(&cases);
}

/// Every thirteenth case of the conformance suite, which is an optional corpus.
#[test]
fn a_sample_of_the_conformance_suite_is_proved() {
    let Some(folder) = corpora::folder() else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("bpf_conformance.json")).expect("readable");
    let suite: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let all = suite["cases"].as_array().expect("cases");
    let sample = all.iter().step_by(13).map(|case| {
        let text = |key: &str| case[key].as_str().expect("a string");
        let field = |key: &str| hex::decode(text(key)).expect("hex");
        let options = LoadOptions::default().with_allow_test_helper(true);
        let r0 = text("expected_r0").trim_start_matches("0x");
        let r0 = u64::from_str_radix(r0, 16).expect("hex");
        Case {
            name: text("name").to_owned(),
            program: Program::from_bytecode(&field("bytecode"), &options).expect("a valid case"),
            input: Input::from_bytes(field("mem")),
            outcome: Outcome::Halt { r0 },
        }
    });
    let sample: Vec<Case> = sample.collect();
    assert!(sample.len() >= 20);
    check(&sample);
}
