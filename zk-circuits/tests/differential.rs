//! Random programs: the microcode computes what the interpreter computes, in registers and memory,
//! and its rows satisfy the circuit.
//!
//! `ZKBPF_DIFFERENTIAL_PROGRAMS` and `ZKBPF_DIFFERENTIAL_SEED` set how many and which.
#![expect(clippy::print_stdout, reason = "seeds and figures")]

#[path = "../../bpf-tracer/tests/generator/mod.rs"]
mod generator;

use bpf_tracer::isa::{self, Shape as Fields, Variant};
use bpf_tracer::{Dialect, Input, LoadOptions, Outcome, Program, Tracer};
use std::collections::BTreeMap;

use halo2curves::bn256::Fr;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use rayon::prelude::*;
use zk_circuits::{Plan, Shape, WitnessError, dev, shape};

const EDGES: [u64; 16] = [
    0,
    1,
    2,
    u64::MAX,
    i64::MAX as u64,
    1 << 63,
    (1 << 63) | 1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0xffff_ffff_8000_0000,
    0xff,
    0x8000,
    0x1234_5678_9abc_def0,
];

fn slot(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> [u8; 8] {
    let mut bytes = [opcode, src << 4 | dst, 0, 0, 0, 0, 0, 0];
    bytes[2..4].copy_from_slice(&offset.to_le_bytes());
    bytes[4..].copy_from_slice(&imm.to_le_bytes());
    bytes
}

fn value(rng: &mut StdRng) -> u64 {
    match rng.gen_range(0..4) {
        0 => rng.r#gen(),
        1 => rng.gen_range(0..300),
        _ => *EDGES.choose(rng).expect("not empty"),
    }
}

/// One random instruction on `r0` to `r7`, or on memory through `r8` (stack) and `r9` (input).
fn instruction(rng: &mut StdRng) -> Vec<[u8; 8]> {
    let row = isa::ROWS.choose(rng).expect("not empty");
    let (dst, src) = (rng.gen_range(0..8), rng.gen_range(0..8));
    let mut imm = value(rng) as i32;
    let mut offset = 0;
    let mut source_field = None;
    match row.variant {
        Variant::Plain => {}
        Variant::Offset(value) => offset = value,
        Variant::Field(value) => imm = value,
        Variant::Source(value) => source_field = Some(value),
    }
    let (base, place) = if rng.r#gen() {
        (8, -rng.gen_range(8..300))
    } else {
        (9, rng.gen_range(0..600))
    };
    let fields = match row.shape {
        Fields::Dst => (dst, 0, offset, imm_of_variant(row.variant)),
        Fields::DstSrc => (dst, src, offset, 0),
        Fields::DstImm => (dst, 0, offset, imm),
        Fields::Load => (dst, base, place, 0),
        Fields::StoreImm => (base, 0, place, imm),
        Fields::StoreReg => (base, src, place, 0),
        Fields::Atomic => (base, src, place, imm),
        Fields::BranchImm => (dst, 0, 1, imm),
        Fields::BranchReg => (dst, src, 1, 0),
        _ => return Vec::new(),
    };
    let (dst, src, offset, imm) = fields;
    let first = slot(row.opcode, dst, source_field.unwrap_or(src), offset, imm);
    if matches!(row.shape, Fields::BranchImm | Fields::BranchReg) {
        // What a taken branch skips changes a register.
        vec![first, slot(0x07, rng.gen_range(0..8), 0, 0, 1)]
    } else {
        vec![first]
    }
}

fn imm_of_variant(variant: Variant) -> i32 {
    match variant {
        Variant::Field(value) => value,
        _ => 0,
    }
}

/// Loads random values, runs random instructions, exits.
fn program(rng: &mut StdRng, length: usize) -> Vec<u8> {
    let mut code = vec![slot(0xbf, 9, 1, 0, 0), slot(0xbf, 8, 10, 0, 0)];
    for register in 0..8 {
        let value = value(rng);
        code.push(slot(0x18, register, 0, 0, value as i32));
        code.push(slot(0, 0, 0, 0, (value >> 32) as i32));
    }
    for _ in 0..length {
        code.extend(instruction(rng));
    }
    code.push(slot(0x95, 0, 0, 0, 0));
    code.concat()
}

#[test]
fn microcode_computes_what_the_interpreter_computes() {
    let programs = setting("ZKBPF_DIFFERENTIAL_PROGRAMS", 3000);
    let seed = setting("ZKBPF_DIFFERENTIAL_SEED", 0x5eed);
    let small = Shape::new(11, 8).expect("supported");
    let checked: usize = (0..programs)
        .into_par_iter()
        .map(|index| {
            let mut rng = StdRng::seed_from_u64(seed + index);
            let code = program(&mut rng, 60);
            let program = Program::from_bytecode(&code, &LoadOptions::default())
                .unwrap_or_else(|error| panic!("seed {seed} + {index}: {error}"));
            let mut bytes = vec![0; 640];
            rng.fill(bytes.as_mut_slice());
            let trace = Tracer::new(&program)
                .input(Input::from_bytes(bytes))
                .trace()
                .expect("runs");
            assert!(
                matches!(trace.outcome(), Outcome::Halt { .. }),
                "seed {seed} + {index}"
            );
            let plan = Plan::new(&trace, small, None)
                .unwrap_or_else(|error| panic!("seed {seed} + {index}: {error}"));
            let words = dev::boundary_words(&plan, plan.chunk_count());
            let expected = trace.final_registers();
            assert_eq!(registers(words), expected, "seed {seed} + {index}");
            for (offset, expected) in (0..).step_by(8).zip(trace.output().chunks(8)) {
                let address = bpf_tracer::canonical::layout::INPUT_BASE + offset;
                if let Some(word) = plan.pages().word(address) {
                    let found = words[word as usize].to_le_bytes();
                    assert_eq!(
                        found, expected,
                        "input byte {offset}, seed {seed} + {index}"
                    );
                }
            }
            // The rows of some of them, chunk by chunk.
            if index % 50 != 0 {
                return 0;
            }
            for chunk in 0..plan.chunk_count() {
                let witness = plan.witness(chunk, &[[Fr::zero(); 8]; 8]).expect("exists");
                let failures = dev::check(&witness);
                assert!(
                    failures.is_empty(),
                    "seed {seed} + {index}: {}",
                    failures[0]
                );
            }
            1
        })
        .sum();
    assert_eq!(checked as u64, programs.div_ceil(50));
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

/// Registers `r0` to `r10` of the microcode machine, where no frame has been entered and not left.
fn registers(words: &[u64]) -> Vec<u64> {
    let frame = (shape::FRAMES + shape::FRAME_WORDS) as usize;
    [
        &words[shape::REGISTERS as usize..][..6],
        &words[frame..][..5],
    ]
    .concat()
}

/// Programs of every sBPF version, with traps, calls and accesses at the edges of regions.
#[test]
fn microcode_runs_sbpf_as_the_interpreter_does() {
    let programs = setting("ZKBPF_DIFFERENTIAL_PROGRAMS", 1500);
    let seed = setting("ZKBPF_DIFFERENTIAL_SEED", 0x5bbf);
    let shape = Shape::new(13, 8).expect("supported");
    for dialect in [
        Dialect::SbpfV0,
        Dialect::SbpfV1,
        Dialect::SbpfV2,
        Dialect::SbpfV3,
    ] {
        let generator = generator::Generator::new(dialect);
        let ends: Vec<Option<&str>> = (seed..seed + programs)
            .into_par_iter()
            .map(|seed| {
                let case = generator.case(seed);
                let options = LoadOptions::default().with_heap_size(generator::HEAP_BYTES as u64);
                let Ok(program) = Program::from_sbpf_parts(case.parts.clone(), &options) else {
                    return None;
                };
                let trace = Tracer::new(&program)
                    .input(case.input.clone())
                    .step_limit(case.limit)
                    .trace()
                    .expect("a small input");
                if trace.crosses_frames().is_some() || trace.steps().is_empty() {
                    return None;
                }
                let aligned = case.aligned_mapping;
                let name = format!("v{}, seed {seed}, aligned {aligned}", case.version());
                // That outcome, steps and units agree is checked by the plan.
                let plan = match Plan::new(&trace, shape, None) {
                    Err(WitnessError::Program(_)) => return None,
                    plan => plan.unwrap_or_else(|error| panic!("{name}: {error}")),
                };
                let words = dev::boundary_words(&plan, plan.chunk_count());
                if matches!(trace.outcome(), Outcome::Halt { .. }) {
                    assert_eq!(registers(words), trace.final_registers(), "{name}");
                }
                for (offset, expected) in (0..).step_by(8).zip(trace.output().chunks(8)) {
                    let address = bpf_tracer::canonical::layout::INPUT_BASE + offset;
                    if let Some(word) = plan.pages().word(address) {
                        let found = words[word as usize].to_le_bytes();
                        assert_eq!(found[..expected.len()], *expected, "{name}: {offset}");
                    }
                }
                if seed % 64 == 0 {
                    let witness = plan.witness(0, &[[Fr::zero(); 8]; 8]).expect("exists");
                    let failures = dev::check(&witness);
                    assert!(failures.is_empty(), "{name}: {}", failures[0]);
                }
                Some(match trace.outcome() {
                    Outcome::Halt { .. } => "halts",
                    Outcome::Trap { kind, .. } => kind.name(),
                })
            })
            .collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for end in ends.into_iter().flatten() {
            *counts.entry(end).or_default() += 1;
        }
        println!("{}: {counts:?}", dialect.name());
        assert!(counts.len() >= 6, "{counts:?}");
        assert!(counts.values().sum::<usize>() as u64 * 4 > programs * 3);
    }
}
