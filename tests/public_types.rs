//! Public types can be sent to and shared between threads; the compiler checks it.

use zkbpf::bpf_tracer::{Error, Execution, LoadError, Step, TraceError};
use zkbpf::evm_verifier::{Contracts, ExportError};
use zkbpf::explorer::FailedConstraint;
use zkbpf::prover::{Aggregator, CacheEntry};
use zkbpf::testing::{Check, Fixture, FixtureError, FixtureFailure, NotProvable, Provable};
use zkbpf::zk_circuits::{ChunkWitness, Microcode, Plan, WitnessError};
use zkbpf::*;

const fn shared<T: Send + Sync>() {}

const _: () = {
    shared::<Program>();
    shared::<LoadOptions>();
    shared::<Input>();
    shared::<Environment>();
    shared::<Tracer<'_>>();
    shared::<ExecutionTrace>();
    shared::<Execution>();
    shared::<Step>();
    shared::<(LoadError, TraceError, Error)>();
    shared::<(Plan, ChunkWitness, Microcode, WitnessError)>();
    shared::<(
        KeygenConfig,
        Keys,
        Job,
        Writes,
        Event,
        Estimate,
        Calibration,
    )>();
    shared::<(AggregationConfig, Aggregator, AggregationEvent, CacheEntry)>();
    shared::<prover::Error>();
    shared::<(
        Claim,
        ChunkProof,
        ExecutionProof,
        AggregateProof,
        VerifyError,
    )>();
    shared::<(
        VerifyingKey,
        AggregateKey,
        ExecutionStatement,
        ChunkStatement,
    )>();
    shared::<(Contracts, ExportError)>();
    shared::<FailedConstraint>();
    shared::<(Check<'_>, Provable, NotProvable)>();
    shared::<(Fixture, FixtureError, FixtureFailure)>();
    shared::<solana::Invocation>();
};

/// Events are told on other threads, errors are boxed.
#[test]
fn errors_are_errors() {
    const fn boxed<T: std::error::Error + Send + Sync + 'static>() {}
    boxed::<LoadError>();
    boxed::<TraceError>();
    boxed::<WitnessError>();
    boxed::<prover::Error>();
    boxed::<VerifyError>();
    boxed::<NotProvable>();
    boxed::<FixtureFailure>();
    // Examples rely on it: `?` in a function of boxed errors.
    let error: Box<dyn std::error::Error + Send + Sync> = LoadError::Empty.into();
    assert!(error.downcast_ref::<LoadError>().is_some());
}
