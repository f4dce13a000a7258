//! The proof of one chunk made an aggregate: a leaf and the root.
//!
//! ```text
//! cargo bench -p zkbpf --bench aggregate -- full-size           # ten of them: ten minutes
//! cargo bench -p zkbpf --bench aggregate -- full-size --test    # one
//! ```
//!
//! Takes 10 GiB, and some minutes more the first time: keys are kept in the target directory.

#![expect(
    clippy::print_stderr,
    reason = "says why it does nothing without arguments"
)]

use std::error::Error;
use std::path::Path;

use criterion::Criterion;
use zkbpf::{
    AggregationConfig, ExecutionProof, KeygenConfig, aggregate, claim_of, execute_and_trace,
    prove_execution_chunked, run_info, verify_aggregate,
};

/// What asks for it, and a part of its name.
const FULL_SIZE: &str = "full-size";

fn main() -> Result<(), Box<dyn Error>> {
    if !std::env::args().any(|argument| argument == FULL_SIZE) {
        eprintln!(
            "takes minutes and 10 GiB: cargo bench -p zkbpf --bench aggregate -- {FULL_SIZE}"
        );
        return Ok(());
    }
    // r0 = 0; exit
    let trace = execute_and_trace(&[0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0])?;
    let keys = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aggregation/keys");
    let config = KeygenConfig::new(10, keys, 8).with_insecure_test_srs();
    let proofs = prove_execution_chunked(&trace, &config)?;
    let proof = ExecutionProof::new(run_info(&trace, &config)?, proofs)?;
    let config = AggregationConfig::new(&config);
    let key = config.key()?;

    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    criterion.bench_function(&format!("{FULL_SIZE} aggregate of one chunk"), |bencher| {
        let mut made = None;
        bencher.iter(|| made = Some(aggregate(&proof, &config).expect("aggregated")));
        let made = made.expect("at least one");
        verify_aggregate(&made, &claim_of(&trace), &key).expect("valid");
    });
    criterion.final_summary();
    Ok(())
}
