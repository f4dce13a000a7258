//! A page that shows a run: its instructions, steps, registers, calls, memory and chunks.
//!
//! It is one HTML file that loads nothing. The trace is in it as it is, column by column; what registers hold
//! before a step is computed in the browser. Lists make elements of what is seen only, so that hundreds of thousands
//! of steps scroll.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bpf_tracer::canonical::layout::{
    DATA_BASE, INPUT_BASE, RETURN_DATA_BASE, RODATA_BASE, STACK_BASE, TEXT_BASE,
};
use bpf_tracer::{ExecutionTrace, Op, Outcome, TrapKind};
use serde::Serialize;
use zk_circuits::Plan;

const PAGE: &str = include_str!("explorer/page.html");
/// Where the data goes in the page.
const PLACE: &str = "@DATA@";

/// A constraint that the witness of a run does not satisfy: `zkbpf::testing` finds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedConstraint {
    /// The step whose rows are to blame.
    pub step: u64,
    /// The chunk.
    pub chunk: u64,
    /// The row of the chunk's circuit.
    pub row: u64,
    /// The part of the circuit that states it.
    pub family: String,
    /// Its name.
    pub constraint: String,
    /// What is on the row: micro-operation, values.
    pub context: String,
}

impl FailedConstraint {
    /// A constraint that fails in the first chunk.
    #[must_use]
    pub fn new(
        step: u64,
        row: u64,
        family: impl Into<String>,
        constraint: impl Into<String>,
    ) -> Self {
        Self {
            step,
            chunk: 0,
            row,
            family: family.into(),
            constraint: constraint.into(),
            context: String::new(),
        }
    }

    /// Sets the chunk.
    #[must_use]
    pub fn in_chunk(mut self, chunk: u64) -> Self {
        self.chunk = chunk;
        self
    }

    /// Sets what is on the row.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.context = context.into();
        self
    }
}

impl fmt::Display for FailedConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            chunk,
            row,
            family,
            constraint,
            context,
        } = self;
        write!(
            f,
            "{family}: {constraint} (chunk {chunk}, row {row}, step {step})"
        )?;
        if context.is_empty() {
            Ok(())
        } else {
            write!(f, " {context}")
        }
    }
}

/// What the page reads.
#[derive(Serialize)]
struct Run<'a> {
    program_id: String,
    dialect: &'static str,
    outcome: String,
    /// Whether the last step changed nothing, because it trapped.
    trapped: bool,
    compute_units: u64,
    k: u32,
    /// First step of each chunk.
    chunks: Vec<u64>,
    slots: Vec<SlotOf>,
    /// Rows of the circuit that each slot's steps took together; empty without a plan.
    rows: &'a [u64],
    regions: Vec<Region>,
    /// At the start, in decimal.
    registers: Vec<String>,
    frame_growth: i64,
    /// Slot of each step; these and the following are little-endian, in base 64.
    pc: String,
    result: String,
    access: Accesses,
    failures: &'a [FailedConstraint],
}

#[derive(Serialize)]
struct SlotOf {
    text: String,
    op: &'static str,
    /// The register that it writes, or -1.
    writes: i32,
    kind: &'static str,
}

#[derive(Serialize)]
struct Region {
    name: &'static str,
    start: String,
    end: String,
}

/// Steps that access memory.
#[derive(Serialize)]
struct Accesses {
    step: String,
    address: String,
    before: String,
    after: String,
}

/// The page of a run; with a plan, its chunks and rows too.
#[must_use]
pub fn page(trace: &ExecutionTrace, plan: Option<&Plan>, failures: &[FailedConstraint]) -> String {
    let program = trace.program();
    let steps = trace.steps();
    let slots = (0_u32..)
        .zip(program.instructions())
        .map(|(pc, at)| SlotOf {
            text: program.disassemble(pc),
            op: program.mnemonic(pc),
            writes: at.written_register().map_or(-1, i32::from),
            kind: kind(at.op),
        });
    let is_access = |pc: u32| {
        let at = program.instructions().get(pc as usize);
        at.is_some_and(|at| matches!(kind(at.op), "load" | "store"))
    };
    let accesses: Vec<_> = (0_u32..)
        .zip(steps)
        .filter(|(_, step)| is_access(step.pc))
        .collect();
    let words = |value: fn(&bpf_tracer::Step) -> u64| {
        base64(
            accesses
                .iter()
                .flat_map(|(_, step)| value(step).to_le_bytes()),
        )
    };
    let run = Run {
        program_id: hex::encode(program.id()),
        dialect: program.dialect().name(),
        outcome: match trace.outcome() {
            Outcome::Halt { r0 } => format!("halt, r0 = {r0:#x}"),
            Outcome::Trap { kind, pc } => format!("trap {} at slot {pc}", kind.name()),
        },
        trapped: matches!(trace.outcome(), Outcome::Trap { kind, .. }
            if kind != TrapKind::ExceededMaxInstructions),
        compute_units: trace.compute_units(),
        k: plan.map_or(0, |plan| plan.shape().k()),
        chunks: plan.map_or_else(Vec::new, chunk_starts),
        slots: slots.collect(),
        rows: plan.map_or(&[], Plan::rows_of_slots),
        regions: regions(trace),
        registers: program
            .initial_registers(trace.input())
            .iter()
            .map(u64::to_string)
            .collect(),
        frame_growth: program.dialect().frame_growth(),
        pc: base64(steps.iter().flat_map(|step| step.pc.to_le_bytes())),
        result: base64(steps.iter().flat_map(|step| step.result.to_le_bytes())),
        access: Accesses {
            step: base64(accesses.iter().flat_map(|(index, _)| index.to_le_bytes())),
            address: words(|step| step.address),
            before: words(|step| step.memory_before),
            after: words(|step| step.memory_after),
        },
        failures,
    };
    // Nothing in a script may look like its end. There are no floats and no maps in it: it has a JSON form.
    let data = serde_json::to_string(&run).unwrap_or_default();
    PAGE.replace(PLACE, &data.replace('<', "\\u003c"))
}

fn base64(bytes: impl Iterator<Item = u8>) -> String {
    STANDARD.encode(bytes.collect::<Vec<u8>>())
}

fn chunk_starts(plan: &Plan) -> Vec<u64> {
    (0..plan.chunk_count())
        .scan(0, |start, chunk| {
            let this = *start;
            *start += plan.chunk_steps(chunk);
            Some(this)
        })
        .collect()
}

const fn kind(op: Op) -> &'static str {
    match op {
        Op::Load(..) => "load",
        Op::Store(..) | Op::Atomic(..) => "store",
        Op::Call | Op::CallReg | Op::CallAddress => "call",
        Op::Exit => "exit",
        Op::Syscall(_) => "syscall",
        _ => "",
    }
}

/// The regions of memory, each up to the next.
fn regions(trace: &ExecutionTrace) -> Vec<Region> {
    let mut starts = vec![
        ("stack", STACK_BASE),
        (
            if trace.program().dialect().is_sbpf() {
                "heap"
            } else {
                "data"
            },
            DATA_BASE,
        ),
        ("input", INPUT_BASE),
        ("return data", RETURN_DATA_BASE),
    ];
    if trace.program().dialect().is_sbpf() {
        starts.insert(0, ("program", RODATA_BASE));
    } else {
        starts.insert(0, ("read-only data", RODATA_BASE));
        starts.insert(1, ("text", TEXT_BASE));
    }
    let ends = starts.iter().skip(1).map(|(_, start)| *start);
    starts
        .iter()
        .zip(ends.chain([u64::MAX]))
        .map(|((name, start), end)| Region {
            name,
            start: start.to_string(),
            end: end.to_string(),
        })
        .collect()
}
