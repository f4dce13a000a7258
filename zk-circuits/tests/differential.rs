//! Random programs: the microcode computes what the interpreter computes, in registers and memory,
//! and its rows satisfy the circuit.

use bpf_tracer::isa::{self, Shape as Fields, Variant};
use bpf_tracer::{Input, LoadOptions, Outcome, Program, Tracer};
use halo2curves::bn256::Fr;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use rayon::prelude::*;
use zk_circuits::{Plan, Shape, dev, shape};

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
    let programs = 3000;
    let seed = 0x5eed;
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
            let registers = trace.final_registers();
            let frame = (shape::FRAMES + shape::FRAME_WORDS) as usize;
            let found = [
                &words[shape::REGISTERS as usize..][..6],
                &words[frame..][..5],
            ]
            .concat();
            assert_eq!(found, registers, "registers, seed {seed} + {index}");
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
    assert_eq!(checked, 60);
}
