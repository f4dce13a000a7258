//! Makes the proofs of a run's chunks one proof of constant size, and verifies that.
//!
//! ```text
//! cargo run --release --example aggregate -- DIRECTORY
//! ```
//!
//! **Takes about half an hour on two cores, 10 GiB of memory and 8 GB of disk**, most of it for keys and for circuits of 2^20
//! rows that verify a chunk each. Keys and finished parts stay in the directory: a second run begins where the first ended.

use std::error::Error;
use std::io::{Write, stdout};

use zkbpf::{
    AggregationConfig, AggregationEvent, ExecutionProof, KeygenConfig, aggregate_observed,
    claim_of, execute_and_trace, prove_execution_chunked, run_info, verify_aggregate,
};

/// r0 = 1; r0 += 1; r0 += 1; exit
const PROGRAM: [[u8; 8]; 4] = [
    [0xb7, 0, 0, 0, 1, 0, 0, 0],
    [0x07, 0, 0, 0, 1, 0, 0, 0],
    [0x07, 0, 0, 0, 1, 0, 0, 0],
    [0x95, 0, 0, 0, 0, 0, 0, 0],
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .ok_or("which directory is for keys and parts?")?;
    let directory = std::path::PathBuf::from(directory);
    // For long runs: k = 17, whose chunks are the cheapest to verify in a circuit.
    let config = KeygenConfig::new(10, directory.join("keys"), 8)
        .with_chunk_size(2)
        .with_insecure_test_srs();
    let trace = execute_and_trace(PROGRAM.as_flattened())?;
    let proofs = prove_execution_chunked(&trace, &config)?;
    let chunks = ExecutionProof::new(run_info(&trace, &config)?, proofs)?;
    writeln!(
        stdout(),
        "{} chunks, {} bytes",
        chunks.chunks().len(),
        chunks.to_bytes().len()
    )?;

    let aggregation = AggregationConfig::new(&config).with_work_dir(directory.join("parts"));
    let aggregate = aggregate_observed(&chunks, &aggregation, |event| {
        let line = match event {
            AggregationEvent::Ready { jobs } => format!("{jobs} proofs to make"),
            AggregationEvent::Started { layer, shape, .. } => {
                format!("{layer:?}: a circuit of 2^{} rows", shape.k)
            }
            AggregationEvent::Finished { layer, reused } => {
                format!(
                    "{layer:?}: {}",
                    if reused { "was there" } else { "finished" }
                )
            }
            other => format!("{other:?}"),
        };
        let _ = writeln!(stdout(), "{line}");
    })?;

    let key = aggregation.key()?;
    let statement = verify_aggregate(&aggregate, &claim_of(&trace), &key)?;
    writeln!(
        stdout(),
        "verified: {} steps, {:?}, {} bytes",
        statement.steps,
        statement.outcome,
        aggregate.to_bytes().len()
    )?;
    Ok(())
}
