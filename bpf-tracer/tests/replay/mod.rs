//! Registers before each step of a run, put together from what the steps say.

use bpf_tracer::{ExecutionTrace, Op, Outcome, TrapKind};

/// `r0` to `r10` and the slot before each step. Follows the steps, and checks that they arrive at the
/// trace's own final registers.
pub(crate) fn registers(trace: &ExecutionTrace) -> Vec<[u64; 12]> {
    let program = trace.program();
    let growth = program.dialect().frame_growth();
    let mut registers = program.initial_registers(trace.input());
    let mut frames: Vec<[u64; 5]> = Vec::new();
    let mut before = Vec::with_capacity(trace.steps().len());
    let last = trace.steps().len().saturating_sub(1);
    let trapped = matches!(trace.outcome(), Outcome::Trap { kind, .. }
        if kind != TrapKind::ExceededMaxInstructions);
    for (index, step) in trace.steps().iter().enumerate() {
        assert_eq!(step.depth as usize, frames.len());
        let mut row = [0; 12];
        row[..11].copy_from_slice(&registers);
        row[11] = step.pc.into();
        before.push(row);
        if trapped && index == last {
            break;
        }
        let at = program.instructions()[step.pc as usize];
        match at.op {
            Op::Call | Op::CallReg | Op::CallAddress => {
                frames.push(registers[6..].try_into().expect("five registers"));
                registers[10] = registers[10].wrapping_add_signed(growth);
            }
            Op::Exit => {
                if let Some(saved) = frames.pop() {
                    registers[6..].copy_from_slice(&saved);
                }
            }
            _ => {}
        }
        if let Some(register) = at.written_register() {
            registers[usize::from(register)] = step.result;
        }
    }
    assert_eq!(registers, trace.final_registers());
    before
}
