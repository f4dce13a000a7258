//! Random sBPF programs, here and in solana-sbpf: what loads, how it ends, what it costs, memory
//! afterwards, and the registers before every step.
//!
//! `ZKBPF_DIFFERENTIAL_PROGRAMS` programs of each version are compared, of consecutive seeds from
//! `ZKBPF_DIFFERENTIAL_SEED` on; `ZKBPF_DIFFERENTIAL_DIALECTS` may name the versions, by commas.
#![expect(clippy::print_stdout, reason = "seeds and figures")]

mod generator;
mod replay;

use std::collections::BTreeMap;

use bpf_tracer::canonical::layout::{DATA_BASE, INPUT_BASE, STACK_BASE};
use bpf_tracer::instruction::Slot;
use bpf_tracer::isa::sbpf;
use bpf_tracer::{
    Dialect, ExecutionTrace, LoadOptions, Op, Outcome, Program, Step, Tracer, TrapKind,
};
use generator::{Case, HEAP_BYTES};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

/// The steps without one that trapped.
fn completed(trace: &ExecutionTrace) -> &[Step] {
    match (trace.outcome(), trace.steps()) {
        (Outcome::Trap { kind, .. }, [steps @ .., _])
            if kind != TrapKind::ExceededMaxInstructions =>
        {
            steps
        }
        (_, steps) => steps,
    }
}

/// The bytes of a writable region at the end of a run, as its stores say.
fn region_after(trace: &ExecutionTrace, base: u64, mut bytes: Vec<u8>) -> Vec<u8> {
    let gapped = base == STACK_BASE && trace.program().dialect().has_stack_gaps();
    for step in completed(trace) {
        let Op::Store(size, _) = trace.program().instructions()[step.pc as usize].op else {
            continue;
        };
        if step.address >> 32 != base >> 32 {
            continue;
        }
        let mut at = step.address as u32 as usize;
        if gapped {
            assert_eq!(at / 4096 % 2, 0, "a store into a gap");
            at = at / 8192 * 4096 + at % 4096;
        }
        let len = size.bytes() as usize;
        bytes[at..at + len].copy_from_slice(&step.memory_after.to_le_bytes()[..len]);
    }
    bytes
}

/// How the two runs ended, or in what they differ.
fn compare(case: &Case, steps: &mut u64) -> Result<&'static str, String> {
    let options = LoadOptions::default().with_heap_size(HEAP_BYTES as u64);
    let loaded = Program::from_sbpf_parts(case.parts.clone(), &options);
    let r2 = loaded
        .as_ref()
        .map_or(0, |program| program.initial_registers(&case.input)[2]);
    let expected = sbpf_oracle::run(sbpf_oracle::Case {
        version: case.version(),
        text: &case.parts.text,
        entry: case.parts.entry,
        functions: &case.parts.functions,
        input: case.input.bytes.clone(),
        heap: vec![0; HEAP_BYTES],
        r2,
        limit: case.limit,
        aligned_mapping: case.aligned_mapping,
    });
    let (program, expected) = match (loaded, expected) {
        (Err(_), Err(_)) => return Ok("refused"),
        (Ok(program), Ok(expected)) => (program, expected),
        (Err(error), Ok(_)) => return Err(format!("refused only here: {error}")),
        (Ok(_), Err(error)) => return Err(format!("refused only there: {error}")),
    };
    let trace = Tracer::new(&program)
        .input(case.input.clone())
        .step_limit(case.limit)
        .trace()
        .map_err(|error| error.to_string())?;
    let found = match trace.outcome() {
        Outcome::Halt { r0 } => Ok(r0),
        Outcome::Trap { kind, .. } => Err(kind.name()),
    };
    if found != expected.result {
        return Err(format!("{found:?}, expected {:?}", expected.result));
    }
    let (units, instructions) = (trace.compute_units(), expected.instructions);
    if units != instructions {
        return Err(format!("{units} compute units, expected {instructions}"));
    }
    *steps += trace.instruction_count();
    let mut registers = replay::registers(&trace);
    if found == Err(TrapKind::ExecutionOverrun.name()) {
        // Counted, but not recorded there.
        registers.pop();
    }
    let pairs = registers.iter().zip(&expected.registers);
    if let Some((found, expected)) = pairs.clone().find(|(found, expected)| found != expected) {
        return Err(format!("registers {found:?}, expected {expected:?}"));
    }
    if registers.len() != expected.registers.len() {
        return Err("another number of steps".to_owned());
    }
    let stack = vec![0; program.stack_size() as usize];
    let input = case.input.bytes.clone();
    let regions = [
        (
            "stack",
            region_after(&trace, STACK_BASE, stack),
            &expected.stack,
        ),
        (
            "heap",
            region_after(&trace, DATA_BASE, vec![0; HEAP_BYTES]),
            &expected.heap,
        ),
        (
            "input by its steps",
            region_after(&trace, INPUT_BASE, input),
            &expected.input,
        ),
        ("input", trace.output().to_vec(), &expected.input),
    ];
    for (name, found, expected) in regions {
        if found != *expected {
            return Err(format!("{name} differs"));
        }
    }
    check_pages(&trace)?;
    let run = Tracer::new(&program)
        .input(case.input.clone())
        .step_limit(case.limit)
        .run()
        .map_err(|error| error.to_string())?;
    let same = run.outcome == trace.outcome()
        && run.steps == trace.instruction_count()
        && run.output == trace.output();
    if !same {
        return Err("run and trace differ".to_owned());
    }
    Ok(match found {
        Ok(_) if trace.crosses_frames().is_some() => "halts, over a gap",
        Ok(_) => "halts",
        Err(kind) => kind,
    })
}

/// Every access of a writable region is in a page that the trace lists.
fn check_pages(trace: &ExecutionTrace) -> Result<(), String> {
    let pages = trace.touched_pages();
    for step in completed(trace) {
        let writable = step.address >= STACK_BASE;
        if writable && pages.binary_search(&(step.address >> 8)).is_err() {
            return Err(format!("page of {:#x} is missing", step.address));
        }
    }
    Ok(())
}

fn report(case: &Case, seed: u64, difference: &str) -> String {
    let options = LoadOptions::default().with_heap_size(HEAP_BYTES as u64);
    let mut text = format!("{:?}, seed {seed}: {difference}\n", case.parts.dialect);
    if let Ok(program) = Program::from_sbpf_parts(case.parts.clone(), &options) {
        for pc in 0..program.instructions().len() as u32 {
            text += &format!("{pc:4}  {}\n", program.disassemble(pc));
        }
    }
    text + &hex::encode(&case.parts.text)
}

#[test]
fn random_programs_run_as_they_do_in_solana_sbpf() {
    let programs = setting("ZKBPF_DIFFERENTIAL_PROGRAMS", 1500);
    let first = setting("ZKBPF_DIFFERENTIAL_SEED", 0);
    let chosen = std::env::var("ZKBPF_DIFFERENTIAL_DIALECTS").ok();
    for dialect in Dialect::ALL {
        let wanted = chosen
            .as_ref()
            .is_none_or(|names| names.split(',').any(|name| name == dialect.name()));
        if !dialect.is_sbpf() || !wanted {
            continue;
        }
        let generator = generator::Generator::new(dialect);
        let mut steps = 0;
        let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
        for seed in first..first + programs {
            let case = generator.case(seed);
            match compare(&case, &mut steps) {
                Ok(end) => *ends.entry(end).or_default() += 1,
                Err(difference) => panic!("{}", report(&case, seed, &difference)),
            }
        }
        println!(
            "{}: {programs} programs of {steps} steps agree, next seed {}: {ends:?}",
            dialect.name(),
            first + programs
        );
    }
}

/// Random programs reach rare opcodes rarely, so every byte is asked for once.
#[test]
fn each_version_knows_the_opcodes_that_solana_sbpf_knows() {
    for version in 0..4 {
        let dialect = Dialect::from_name(&format!("sbpf-v{version}")).expect("a version");
        for opcode in 0..=u8::MAX {
            // The immediate is a width for byte swaps, for others a divisor, shift or register that
            // is permitted: only the opcode can be refused.
            let imm = if matches!(opcode, 0xd4 | 0xdc) { 16 } else { 1 };
            let slot = |opcode, imm| Slot {
                opcode,
                imm,
                ..Slot::default()
            };
            let second = if opcode == 0x18 { 0 } else { 0x95 };
            let slots = [slot(opcode, imm), slot(second, 0), slot(0x95, 0)];
            let text: Vec<u8> = slots.into_iter().flat_map(Slot::encode).collect();
            let expected = sbpf_oracle::run(sbpf_oracle::Case {
                version,
                text: &text,
                entry: 0,
                functions: &BTreeMap::new(),
                input: Vec::new(),
                heap: Vec::new(),
                r2: 0,
                limit: 0,
                aligned_mapping: true,
            });
            let options = LoadOptions::default().with_dialect(dialect);
            let found = Program::from_bytecode(&text, &options);
            assert_eq!(
                found.is_ok(),
                expected.is_ok(),
                "{dialect:?} {opcode:#04x}: {found:?}, {expected:?}"
            );
            assert_eq!(
                found.is_ok(),
                sbpf::has_opcode(dialect, opcode),
                "{dialect:?} {opcode:#04x}"
            );
        }
    }
}
