//! `trace`: the steps of a run, as a page to look at or as JSON to process.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use zkbpf::bpf_tracer::Step;
use zkbpf::prover::write_whole_with;
use zkbpf::zk_circuits::Plan;
use zkbpf::{ExecutionTrace, explorer};

use super::args::{Common, Trace};
use super::output::{self, OutcomeJson};
use super::program::{self, Invocation};
use super::{Ending, Failure};

#[derive(Serialize)]
struct TraceJson {
    program_id: String,
    #[serde(flatten)]
    outcome: OutcomeJson,
    steps: u64,
    compute_units: u64,
    /// None if the run has no proof.
    chunks: Option<usize>,
    bytes: u64,
}

/// A step in the JSON file. Words are hexadecimal, as JSON's readers round large numbers.
#[derive(Serialize)]
struct StepJson<'a> {
    pc: u32,
    op: &'a str,
    depth: u32,
    dst: String,
    operand: String,
    result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryJson>,
}

#[derive(Serialize)]
struct MemoryJson {
    address: String,
    before: String,
    after: String,
}

pub(crate) fn execute(args: &Trace, common: &Common) -> Result<Ending, Failure> {
    let is_json = match args.output.extension().and_then(|e| e.to_str()) {
        Some("json") => true,
        Some("html" | "htm") => false,
        _ => {
            return Err(Failure::usage(
                "--output: the file's name must end in .html or .json",
                "a page to look at is .html, the steps to process are .json",
            ));
        }
    };
    let trace = Invocation::load(&args.invocation)?.trace()?;
    let program = trace.program();
    let plan = match program::plan(&trace, &args.chunks) {
        Ok(plan) => Some(plan),
        Err(reason) => {
            tracing::warn!("without chunks, as this run has no proof: {reason}");
            None
        }
    };
    let bytes = if is_json {
        write_steps(&args.output, &trace).map_err(|error| Failure::write(&args.output, &error))?
    } else {
        let page = explorer::page(&trace, plan.as_ref(), &[]);
        program::write_whole(&args.output, page.as_bytes())?;
        page.len() as u64
    };
    let json = TraceJson {
        program_id: hex::encode(program.id()),
        outcome: trace.outcome().into(),
        steps: trace.instruction_count(),
        compute_units: trace.compute_units(),
        chunks: plan.as_ref().map(Plan::chunk_count),
        bytes,
    };
    let text = format!(
        "outcome     {}\nsteps       {}\ntrace       {}, {bytes} bytes",
        trace.outcome(),
        json.steps,
        args.output.display(),
    );
    output::done(common, &json, &text)
}

/// Writes one JSON object whose `steps` have a line each.
fn write_steps(path: &Path, trace: &ExecutionTrace) -> std::io::Result<u64> {
    let program = trace.program();
    write_whole_with(path, ".tmp", |writer| {
        write!(
            writer,
            "{{\"program_id\":\"{}\",\"dialect\":\"{}\",\"outcome\":",
            hex::encode(program.id()),
            program.dialect().name()
        )?;
        serde_json::to_writer(&mut *writer, &OutcomeJson::from(trace.outcome()))?;
        let units = trace.compute_units();
        write!(writer, ",\"compute_units\":{units},\"steps\":[")?;
        for (index, step) in trace.steps().iter().enumerate() {
            writer.write_all(if index == 0 {
                b"
"
            } else {
                b",
"
            })?;
            serde_json::to_writer(&mut *writer, &step_json(step, program.mnemonic(step.pc)))?;
        }
        writer.write_all(
            b"
]}
",
        )
    })?;
    Ok(fs::metadata(path)?.len())
}

fn step_json<'a>(step: &Step, op: &'a str) -> StepJson<'a> {
    let word = |value: u64| format!("{value:#x}");
    StepJson {
        pc: step.pc,
        op,
        depth: step.depth,
        dst: word(step.dst),
        operand: word(step.operand),
        result: word(step.result),
        memory: (step.address != 0).then(|| MemoryJson {
            address: word(step.address),
            before: word(step.memory_before),
            after: word(step.memory_after),
        }),
    }
}
