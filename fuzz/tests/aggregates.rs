//! Files of aggregates: decoded, and some of those that decode verified. What is accepted is the honest
//! run.

mod common;

use bolero::check;
use common::RUNS;
use common::aggregate::{ROOT, aggregated};
use common::changes::{
    change_element, change_file, change_hints, change_info, change_key, change_run, is_chosen,
};
use common::claims::{change_claim, holds};
use fuzz::{Choices, Depth, Stats};
use verifier::{AggregateError, AggregateProof, Claim, VerifyError, verify_aggregate};

/// Of the files that decode, one of so many is verified.
const VERIFIED: u64 = 40;
/// Most changes of a file.
const MAX_CHANGES: usize = 4;

static STATS: Stats = Stats::new("aggregates");

#[test]
fn aggregate_files() {
    // Made before time is measured.
    assert_eq!(ROOT.proof.key, ROOT.key.id());
    check!().for_each(|bytes: &[u8]| STATS.count(target(bytes)));
    STATS.print();
}

/// One execution.
fn target(bytes: &[u8]) -> Depth {
    let mut choices = Choices::new(bytes);
    let style = choices.byte() % 8;
    let mut claim = aggregated().claim.clone();
    if choices.byte().is_multiple_of(4) {
        change_claim(&mut claim, &mut choices);
    }
    let mut file = changed(style, &mut choices).to_bytes();
    if style < 3 {
        for _ in 0..=choices.below(MAX_CHANGES) {
            change_file(&mut file, &mut choices);
        }
    }
    let decoded = match AggregateProof::from_bytes(&file) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Depth::Refused;
        }
    };
    assert!(decoded.to_bytes() == file, "a file has one encoding");
    let _ = decoded.run.outcome();
    if is_chosen(bytes, VERIFIED) {
        verify(&decoded, &claim)
    } else {
        Depth::Parsed
    }
}

/// The file with some of its parts changed; bytes are changed later.
fn changed(style: u8, choices: &mut Choices<'_>) -> AggregateProof {
    let mut proof = ROOT.proof.clone();
    let changes = if style < 2 {
        0
    } else {
        choices.below(MAX_CHANGES)
    };
    for _ in 0..changes {
        match choices.byte() % 12 {
            0 => change_info(&mut proof.info, choices),
            1 => change_key(&mut proof.key, choices),
            2 | 3 => {
                // Hints come from a chunk.
                let mut chunks = [RUNS[choices.below(RUNS.len())].file.chunks()[0].clone()];
                change_hints(&mut chunks, choices);
                let [chunk] = &chunks;
                let (run, accumulator) = (proof.run, proof.accumulator);
                proof = AggregateProof::new(
                    proof.info,
                    proof.key,
                    run,
                    chunk,
                    accumulator,
                    proof.proof,
                );
            }
            4..8 => change_run(&mut proof.run, choices),
            8 => {
                let points = [
                    proof.accumulator[0],
                    proof.accumulator[1],
                    proof.run.output,
                    -proof.accumulator[1],
                ];
                proof.accumulator[choices.below(2)] = choices.pick(&points);
            }
            _ => change_element(&mut proof.proof, &ROOT.proof.proof, choices),
        }
    }
    proof
}

fn verify(decoded: &AggregateProof, claim: &Claim) -> Depth {
    let (honest, run) = (&ROOT.proof, aggregated());
    match verify_aggregate(decoded, claim, &ROOT.key) {
        Ok(statement) => {
            assert!(holds(claim, &run.trace), "an accepted claim holds");
            assert!(decoded.run == honest.run && decoded.proof == honest.proof);
            assert_eq!(decoded.accumulator, honest.accumulator);
            // Of a program of one block, `Whole` and that block are the same table: the selection may differ.
            assert_eq!(decoded.pages(), honest.pages());
            assert_eq!(statement.outcome, run.trace.outcome());
            assert_eq!(statement.steps, run.trace.instruction_count());
            assert_eq!(statement.compute_units, run.trace.compute_units());
            assert_eq!(statement.program_id, run.trace.program().id());
            assert_eq!((statement.key, statement.chunks), (ROOT.key.id(), None));
            Depth::Semantic
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(
                decoded != honest || !holds(claim, &run.trace),
                "the honest proof of a true claim: {error}"
            );
            let outer = matches!(
                error,
                VerifyError::Aggregate {
                    reason: AggregateError::ForeignKey { .. }
                        | AggregateError::Length { .. }
                        | AggregateError::NotCanonical { .. }
                        | AggregateError::Accumulator,
                }
            );
            if outer {
                Depth::Parsed
            } else {
                Depth::Semantic
            }
        }
    }
}
