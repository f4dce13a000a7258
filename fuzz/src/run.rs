//! What must hold of every program that loads, and of every run.

use bpf_tracer::canonical::layout::{MAX_REGION, RODATA_BASE};
use bpf_tracer::{
    Input, Interval, MAX_IMAGE_BYTES, Op, Outcome, Permission, Program, Step, TraceError, Tracer,
};

use crate::Choices;

/// Most steps, and compute units, of a run.
const MAX_STEPS: u64 = 400;
/// Larger images are not hashed, compared or run.
const MAX_RUN_BYTES: usize = 1 << 20;

/// Checks what a loader promises of its image.
pub fn check_image(program: &Program) {
    let slots = program.instructions().len() as u32;
    let dialect = program.dialect();
    assert!(program.entry() < slots, "the entry is an instruction");
    assert!(u64::from(slots) * 8 <= MAX_IMAGE_BYTES);
    let entry = program.instructions()[program.entry() as usize];
    assert!(dialect.is_sbpf() || entry.op != Op::None);
    for instruction in program.instructions() {
        assert!(instruction.dst <= 10 && instruction.src <= 10);
        let goes = matches!(instruction.op, Op::Jump | Op::Branch(..) | Op::Call);
        assert!(
            !goes || instruction.target < slots,
            "it leads to {}",
            instruction.target
        );
    }

    let (base, readable) = (program.rodata_base(), program.readable());
    let end = base + program.rodata().len() as u64;
    assert!(base.is_multiple_of(8) && program.rodata().len().is_multiple_of(8));
    assert!(base <= readable.start && readable.start <= readable.end && readable.end <= end);
    let region = if dialect.has_low_rodata() {
        0
    } else {
        RODATA_BASE
    };
    assert!(region <= base && end <= region + MAX_REGION);
    assert!(program.data().len().is_multiple_of(8));
    assert!(program.data().len() as u64 <= MAX_IMAGE_BYTES);

    let intervals = program.intervals_with_input(64);
    let mut at = 0;
    for interval in &intervals {
        assert_eq!(
            interval.start, at,
            "intervals neither overlap nor leave gaps"
        );
        assert!(interval.start < interval.end);
        at = interval.end;
    }
    assert_eq!(at, 1 << 64, "intervals cover every address");
}

/// Runs a program on some input, twice, and checks the trace. Whether it had a step.
pub fn run(program: &Program, choices: &mut Choices<'_>) -> bool {
    if program.data().len() + program.rodata().len() > MAX_RUN_BYTES {
        return false;
    }
    let slots = program.instructions().len() as u32;
    let listed = slots.min(64);
    for pc in (0..=listed).chain([slots, u32::MAX]) {
        assert!(!program.disassemble(pc).is_empty() && !program.mnemonic(pc).is_empty());
    }
    let (count, region) = (choices.below(65), choices.below(129));
    let input = Input::from_bytes(choices.bytes(count)).with_region_size(region as u64);
    let limit = match choices.byte() {
        byte @ 1..32 => u64::from(byte) - 1,
        _ => MAX_STEPS,
    };
    let tracer = Tracer::new(program).input(input.clone()).step_limit(limit);
    let (trace, run) = match (tracer.clone().trace(), tracer.run()) {
        (Ok(trace), Ok(run)) => (trace, run),
        (Err(trace), Err(run)) => {
            assert!(
                trace == run && matches!(trace, TraceError::Unprovable { .. }),
                "{trace}"
            );
            return true;
        }
        (trace, run) => panic!("with steps {trace:?}, without {run:?}"),
    };
    assert_eq!(run.outcome, trace.outcome());
    assert_eq!(run.steps, trace.instruction_count());
    assert_eq!(run.compute_units, trace.compute_units());
    assert_eq!(
        (&run.output[..], &run.return_data[..]),
        (trace.output(), trace.return_data())
    );
    assert_eq!(run.output.len() as u64, input.region_len());
    assert!(run.compute_units <= limit && run.steps <= run.compute_units);
    if let Outcome::Trap { pc, .. } = run.outcome {
        assert!(pc <= slots);
    }
    assert!(trace.touched_pages().is_sorted_by(|one, next| one < next));
    let last = trace.steps().len().wrapping_sub(1);
    let traps = matches!(run.outcome, Outcome::Trap { .. });
    let intervals = program.intervals_with_input(input.region_len());
    for (index, step) in trace.steps().iter().enumerate() {
        assert!(step.pc < slots || index == last);
        let next = trace.steps().get(index + 1);
        check_step(program, step, next);
        if index != last || !traps {
            check_access(program, &intervals, step);
        }
    }
    check_registers(program, &trace, &input);
    !trace.steps().is_empty()
}

/// A step leads to the next one as the table says.
fn check_step(program: &Program, step: &Step, next: Option<&Step>) {
    let (Some(at), Some(next)) = (program.instructions().get(step.pc as usize), next) else {
        return;
    };
    let straight = at.fall_through(step.pc);
    let change = i64::from(next.depth) - i64::from(step.depth);
    match at.op {
        Op::Jump => assert_eq!((next.pc, change), (at.target, 0)),
        Op::Branch(..) => assert!(change == 0 && [at.target, straight].contains(&next.pc)),
        Op::Call => assert_eq!((next.pc, change), (at.target, 1)),
        Op::CallReg | Op::CallAddress => assert!(change == 1 || next.pc == straight),
        Op::Exit => assert_eq!(change, -1),
        _ => assert_eq!((next.pc, change), (straight, 0)),
    }
}

/// What was accessed lies in one interval that permits it: the circuit asks these, not the interpreter.
fn check_access(program: &Program, intervals: &[Interval], step: &Step) {
    let Some(at) = program.instructions().get(step.pc as usize) else {
        return;
    };
    let (size, writes) = match at.op {
        Op::Load(size, _) => (size, false),
        Op::Store(size, _) | Op::Atomic(size, ..) => (size, true),
        _ => return,
    };
    let start = u128::from(step.address);
    let end = start + u128::from(size.bytes());
    let interval = intervals.iter().find(|interval| start < interval.end);
    let interval = interval.expect("they cover every address");
    assert!(end <= interval.end || interval.open_end);
    match interval.permission {
        Permission::None => panic!("an access of {start:#x} went through"),
        Permission::Read => assert!(!writes),
        Permission::ReadWrite => {}
    }
}

/// Between calls and returns, what a step reads is what was written last.
fn check_registers(program: &Program, trace: &bpf_tracer::ExecutionTrace, input: &Input) {
    let mut known = program.initial_registers(input).map(Some);
    for step in trace.steps() {
        let Some(at) = program.instructions().get(step.pc as usize) else {
            return;
        };
        let reads_dst = known[usize::from(at.dst)].is_none_or(|value| value == step.dst);
        assert!(reads_dst, "slot {}: a register changed by itself", step.pc);
        match at.op {
            Op::Call | Op::CallReg | Op::CallAddress | Op::Exit => {
                // `r6` to `r10` are saved and come back; the test helper writes `r0`.
                known[0] = None;
                known[6..].fill(None);
            }
            _ => {}
        }
        if let Some(register) = at.written_register() {
            known[usize::from(register)] = Some(step.result);
        }
    }
}
