//! Execution traces, and how to make one.

use std::collections::BTreeMap;

use crate::canonical::Outcome;
use crate::environment::Environment;
use crate::error::{Error, TraceError};
use crate::input::Input;
use crate::options::LoadOptions;
use crate::program::Program;
use crate::vm::{Finished, Machine};

/// One executed instruction: what it read and what it wrote.
///
/// Where it goes is the next step's `pc`. A step that traps wrote nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Slot of the instruction; the number of slots in the step of an
    /// [`ExecutionOverrun`](crate::TrapKind::ExecutionOverrun).
    pub pc: u32,
    /// Calls that have not returned yet; 0 in the outermost function.
    pub depth: u32,
    /// Value of register `dst` before.
    pub dst: u64,
    /// The second operand: the immediate in immediate forms, otherwise the value of register `src` before.
    pub operand: u64,
    /// Value of the [written register](crate::Instruction::written_register) after; `dst`'s if there is none.
    pub result: u64,
    /// Address of the memory access, 0 if there is none. Kept for an access that traps.
    pub address: u64,
    /// The accessed bytes before, as a zero-extended little-endian number.
    pub memory_before: u64,
    /// The accessed bytes after; those of a load are the same as before.
    pub memory_after: u64,
}

const _: () = assert!(
    size_of::<Step>() <= 64,
    "a trace of millions of steps must fit memory"
);

/// A whole run: the program, its input, every step and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionTrace {
    program: Program,
    input: Input,
    environment: Environment,
    step_limit: u64,
    steps: Vec<Step>,
    compute_units: u64,
    outcome: Outcome,
    output: Vec<u8>,
    return_data: Vec<u8>,
    touched_pages: Vec<u64>,
    crosses_frames: Option<usize>,
    final_registers: [u64; 11],
}

impl ExecutionTrace {
    /// The program that ran.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its input.
    #[must_use]
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// What it could ask of its surroundings.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Most compute units that it could use: one for each step, and what system calls cost.
    #[must_use]
    pub fn step_limit(&self) -> u64 {
        self.step_limit
    }

    /// Compute units that it used: one for each step, and what system calls cost.
    #[must_use]
    pub fn compute_units(&self) -> u64 {
        self.compute_units
    }

    /// What `sol_set_return_data` left.
    #[must_use]
    pub fn return_data(&self) -> &[u8] {
        &self.return_data
    }

    /// Every step, in order. A step that trapped is the last one; reaching the step limit is no step.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Number of steps.
    #[must_use]
    pub fn instruction_count(&self) -> u64 {
        self.steps.len() as u64
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The input region afterwards.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Numbers of the pages (address divided by [`PAGE_BYTES`](crate::PAGE_BYTES)) of writable
    /// regions that a successful access touched, ascending: a load or store, or a system call, which
    /// may also touch the return data at [`RETURN_DATA_BASE`](crate::canonical::layout::RETURN_DATA_BASE).
    #[must_use]
    pub fn touched_pages(&self) -> Vec<u64> {
        self.touched_pages.clone()
    }

    /// Index of the first step that accesses memory from one stack frame on into the next, over the
    /// gap that lies between them in sBPF v0. Such a run has an outcome, and no proof.
    #[must_use]
    pub fn crosses_frames(&self) -> Option<usize> {
        self.crosses_frames
    }

    /// Registers `r0` to `r10` at the end.
    #[must_use]
    pub fn final_registers(&self) -> [u64; 11] {
        self.final_registers
    }

    /// Number of steps of each mnemonic.
    #[must_use]
    pub fn opcode_histogram(&self) -> BTreeMap<&'static str, u64> {
        let mut by_slot = vec![0_u64; self.program.instructions().len()];
        for step in &self.steps {
            if let Some(count) = by_slot.get_mut(step.pc as usize) {
                *count = count.saturating_add(1);
            }
        }
        let mut histogram = BTreeMap::new();
        for (pc, count) in (0..).zip(by_slot).filter(|(_, count)| *count != 0) {
            let total: &mut u64 = histogram.entry(self.program.mnemonic(pc)).or_default();
            *total = total.saturating_add(count);
        }
        histogram
    }
}

/// A run without its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Execution {
    /// How it ended.
    pub outcome: Outcome,
    /// Number of steps.
    pub steps: u64,
    /// Compute units: one for each step, and what system calls cost.
    pub compute_units: u64,
    /// The input region afterwards.
    pub output: Vec<u8>,
    /// What `sol_set_return_data` left.
    pub return_data: Vec<u8>,
}

/// Runs a program.
#[derive(Clone, Debug)]
#[must_use]
pub struct Tracer<'a> {
    program: &'a Program,
    input: Input,
    environment: Environment,
    step_limit: u64,
}

impl<'a> Tracer<'a> {
    /// A run with empty input and the [default budget](crate::Dialect::default_budget).
    pub fn new(program: &'a Program) -> Self {
        Self {
            program,
            input: Input::default(),
            environment: Environment::default(),
            step_limit: program.dialect().default_budget(),
        }
    }

    /// Sets the input.
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Sets what the program can ask of its surroundings.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets how many compute units may be used; a step takes one, a system call more.
    pub fn step_limit(mut self, step_limit: u64) -> Self {
        self.step_limit = step_limit;
        self
    }

    /// Runs the program and records every step.
    ///
    /// # Errors
    /// If the input region is too large, or the program makes a system call that has no proof. A
    /// program that traps is a result, not an error.
    pub fn trace(self) -> Result<ExecutionTrace, TraceError> {
        let Self {
            program,
            input,
            environment,
            step_limit,
        } = self;
        let mut steps = Vec::new();
        let machine = Machine::new(program, &input, &environment)?;
        let finished = machine.run(step_limit, |step| steps.push(*step))?;
        let Finished {
            outcome,
            steps: _,
            compute_units,
            crosses_frames,
            registers,
            memory,
        } = finished;
        let touched_pages = memory.touched_pages();
        let (output, return_data) = memory.into_output();
        Ok(ExecutionTrace {
            program: program.clone(),
            input,
            environment,
            step_limit,
            compute_units,
            steps,
            outcome,
            touched_pages,
            crosses_frames: crosses_frames.map(|index| index as usize),
            return_data,
            output,
            final_registers: registers,
        })
    }

    /// Runs the program and records nothing.
    ///
    /// # Errors
    /// If the input region is too large, or the program makes a system call that has no proof. A
    /// program that traps is a result, not an error.
    pub fn run(self) -> Result<Execution, TraceError> {
        let machine = Machine::new(self.program, &self.input, &self.environment)?;
        let Finished {
            outcome,
            steps,
            compute_units,
            memory,
            ..
        } = machine.run(self.step_limit, |_| {})?;
        let (output, return_data) = memory.into_output();
        Ok(Execution {
            outcome,
            steps,
            compute_units,
            output,
            return_data,
        })
    }
}

/// Loads a program (an ELF object or raw instructions) and traces it, with every default and empty input.
///
/// # Errors
/// If the program cannot be loaded.
pub fn execute_and_trace(program_bytes: &[u8]) -> Result<ExecutionTrace, Error> {
    let program = Program::load(program_bytes, &LoadOptions::default())?;
    Ok(Tracer::new(&program).trace()?)
}
