//! `run`: execute only.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::args::{Common, Run};
use super::output::{self, OutcomeJson};
use super::program::{self, Invocation};
use super::{Ending, Failure};

#[derive(Serialize)]
struct RunJson {
    #[serde(flatten)]
    outcome: OutcomeJson,
    steps: u64,
    /// One for each step, and what system calls cost.
    compute_units: u64,
    opcodes: BTreeMap<&'static str, u64>,
    program_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    return_data: String,
}

pub(crate) fn execute(args: &Run, common: &Common) -> Result<Ending, Failure> {
    let trace = Invocation::load(&args.invocation)?.trace()?;
    let program = trace.program();
    if let Some(reason) = program::unprovable(&trace) {
        tracing::warn!("this run has no proof: {reason}");
    }
    let json = RunJson {
        outcome: trace.outcome().into(),
        steps: trace.instruction_count(),
        compute_units: trace.compute_units(),
        opcodes: trace.opcode_histogram(),
        program_id: hex::encode(program.id()),
        output: args.output.then(|| hex::encode(trace.output())),
        return_data: hex::encode(trace.return_data()),
    };

    let mut text = format!(
        "outcome     {}\nsteps       {}\nunits       {}\nprogram id  {}",
        trace.outcome(),
        json.steps,
        json.compute_units,
        json.program_id
    );
    let mut opcodes: Vec<_> = json.opcodes.iter().collect();
    opcodes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in opcodes {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {count:>12}  {name}");
    }
    if let Some(bytes) = &json.output {
        let _ = write!(text, "\noutput      {bytes}");
    }
    if !json.return_data.is_empty() {
        let _ = write!(text, "\nreturned    {}", json.return_data);
    }
    output::done(common, &json, &text)
}
