//! Claims that are changed, and whether a run is as claimed.

use bpf_tracer::{ExecutionTrace, Input, Outcome, TrapKind};
use fuzz::Choices;
use verifier::{Claim, ExpectedOutcome};

use super::{RUNS, sum};

/// Whether a run is as claimed, by the words of [`Claim`].
pub(crate) fn holds(claim: &Claim, trace: &ExecutionTrace) -> bool {
    let same_input = |input: &Input| {
        (&input.bytes, input.region_len()) == (&trace.input().bytes, trace.input().region_len())
    };
    let same_output =
        |output: &Vec<u8>| output == trace.output() && claim.return_data == trace.return_data();
    claim.program.id() == trace.program().id()
        && claim.budget == trace.step_limit()
        && claim.outcome.admits(trace.outcome())
        && claim.input.as_ref().is_none_or(same_input)
        && claim.output.as_ref().is_none_or(same_output)
        && claim
            .compute_units
            .is_none_or(|units| units == trace.compute_units())
}

/// Changes some parts of a claim.
pub(crate) fn change_claim(claim: &mut Claim, choices: &mut Choices<'_>) {
    for _ in 0..=choices.below(3) {
        match choices.byte() % 16 {
            0 => claim.input = None,
            1 => claim.outcome = ExpectedOutcome::Any,
            2 => claim.outcome = ExpectedOutcome::Halt,
            3 => claim.outcome = ExpectedOutcome::Exactly(outcome(choices)),
            4 => claim.output = None,
            5 => claim.compute_units = None,
            6 => claim.compute_units = claim.compute_units.map(|units| choices.value(units)),
            7 => claim.budget = choices.value(claim.budget),
            8 => choices.change_bytes(&mut claim.return_data),
            9 => {
                if let Some(output) = &mut claim.output {
                    choices.change_bytes(output);
                }
            }
            10 => {
                if let Some(input) = &mut claim.input {
                    choices.change_bytes(&mut input.bytes);
                }
            }
            11 => {
                if let Some(input) = &mut claim.input {
                    input.region_size = choices.value(input.region_size) & 0xfff;
                }
            }
            12 => claim.program = RUNS[choices.below(RUNS.len())].claim.program.clone(),
            13 => claim.program = sum(i32::from(choices.byte())),
            14 => {
                // Programs of this dialect cannot ask for it.
                claim.environment.program_id[0] = choices.byte();
            }
            _ => *claim = RUNS[choices.below(RUNS.len())].claim.clone(),
        }
    }
}

fn outcome(choices: &mut Choices<'_>) -> Outcome {
    match choices.byte() % 2 {
        0 => Outcome::Halt {
            r0: choices.value(6),
        },
        _ => Outcome::Trap {
            kind: choices.pick(&TrapKind::ALL),
            pc: choices.value(1) as u32,
        },
    }
}
