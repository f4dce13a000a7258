//! Prove that a BPF program ran correctly, with Halo2.
//!
//! A program and its input are executed into an [`ExecutionTrace`], the trace is cut into chunks, each
//! chunk is proved by one Halo2 circuit of fixed size, and the verifier accepts the chunks if together
//! they are the run that its caller expects. What that means to the letter is in `docs/statement.md`; for
//! Solana programs, whose executables are loaded as they are deployed, in `docs/solana.md`.
//!
//! ```
//! use zkbpf::{KeygenConfig, claim_of, execute_and_trace, prove_execution_chunked_parallel};
//! use zkbpf::{verify_chunk, verify_execution};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // r0 = 42; exit. Usually: std::fs::read("program.o")?
//! let bytecode = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let trace = execute_and_trace(&bytecode)?;
//! println!("{} instructions", trace.instruction_count());
//!
//! // 2^10 rows a chunk, 2^17 for long runs; keys are made once and kept in the directory.
//! let keys = tempfile::tempdir()?;
//! let config = KeygenConfig::new(10, keys.path(), 8)
//!     .with_chunk_size(1000)
//!     .with_insecure_test_srs(); // for tests; or .with_srs(file)
//! let proofs = prove_execution_chunked_parallel(&trace, &config)?;
//!
//! let key = config.verifying_key()?;
//! let statement = verify_execution(&proofs, &claim_of(&trace), &key)?;
//! println!("{:?} after {} steps", statement.outcome, statement.steps);
//! assert_eq!(statement.steps, 2);
//!
//! // One chunk in isolation proves neither program, input nor order.
//! let chunk = verify_chunk(&proofs[0], &key)?;
//! assert_eq!(chunk.instance().index, 0);
//! # Ok(())
//! # }
//! ```
//!
//! A verifier that did not trace the program itself writes down what it expects:
//!
//! ```
//! use zkbpf::{Claim, ExpectedOutcome, Input, LoadOptions, Outcome, Program};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // r0 = 42; exit
//! let bytecode = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let program = Program::load(&bytecode, &LoadOptions::default())?;
//! let claim = Claim {
//!     outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 42 }),
//!     ..Claim::new(program, Input::default())
//! };
//! # let _ = claim;
//! # Ok(())
//! # }
//! ```
//!
//! For an invocation of a Solana program, `solana` makes the input of accounts, and the expected output of
//! what they are afterwards:
//!
#![cfg_attr(feature = "solana", doc = "```")]
#![cfg_attr(not(feature = "solana"), doc = "```ignore")]
//! use zkbpf::solana::{Account, Invocation, apply_post_state};
//! use zkbpf::{Claim, Dialect, Environment, ExpectedOutcome, LoadOptions, Outcome, Program};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // r0 = 0; exit. A deployed program is loaded from its `.so`, which states the dialect.
//! let bytecode = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let options = LoadOptions::default().with_dialect(Dialect::SbpfV0);
//! let program = Program::load(&bytecode, &options)?;
//! let program_id = [7; 32];
//! let invocation = Invocation::new(program_id)
//!     .with_account(Account::new([1; 32], program_id).with_lamports(5).writable())
//!     .with_instruction_data([1, 2, 3]);
//! let input = invocation.to_input()?;
//! let after = invocation.post_accounts(&input.bytes)?; // unchanged
//! let claim = Claim {
//!     environment: Environment { program_id, ..Environment::default() },
//!     outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 0 }),
//!     output: Some(apply_post_state(&input.bytes, &after)?),
//!     compute_units: Some(2),
//!     budget: 200_000,
//!     ..Claim::new(program, input)
//! };
//! # let _ = claim;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `cli` | yes | the command line, `zkbpf` |
//! | `evm` | yes | `evm_verifier`: contracts that verify aggregates |
//! | `solana` | yes | `solana`: parameters and post-states of Solana programs |
//! | `testing` | no | `testing`: for test suites of programs |
//!
//! The crates behind this one, in the order of the pipeline: [`bpf_tracer`], [`zk_circuits`],
//! [`prover`], [`verifier`].

pub mod explorer;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "evm")]
pub use evm_verifier;
pub use {aggregation, bpf_tracer, prover, verifier, zk_circuits};

#[cfg(feature = "solana")]
pub use bpf_tracer::solana;
pub use bpf_tracer::{
    DEFAULT_COMPUTE_UNITS, DEFAULT_STEP_LIMIT, Dialect, Environment, ExecutionTrace, Input,
    LoadOptions, Outcome, Program, Step, Tracer, TrapKind, execute_and_trace,
};
pub use prover::{
    AggregationConfig, AggregationEvent, Calibration, Engine, Estimate, Event, Job, KeygenConfig,
    Keys, Restart, Schedule, Writes, aggregate, aggregate_observed, claim_of, estimate,
    prove_execution_chunked, prove_execution_chunked_auto, prove_execution_chunked_parallel,
    prove_execution_observed, prove_execution_resumable, run_info,
};
pub use verifier::{
    AggregateKey, AggregateProof, ChunkProof, ChunkStatement, Claim, ExecutionProof,
    ExecutionStatement, ExpectedOutcome, KeyId, RunInfo, SrsIdentity, VerifyError, VerifyingKey,
    verify_aggregate, verify_chunk, verify_execution,
};
pub use zk_circuits::Shape;

/// The examples of the documents, which are tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/tutorial.md")]
    struct Tutorial;
    #[doc = include_str!("../docs/testing.md")]
    struct Testing;
    #[doc = include_str!("../docs/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../docs/jobs.md")]
    struct Jobs;
    #[doc = include_str!("../docs/PARALLEL_PROVING.md")]
    struct ParallelProving;
}
