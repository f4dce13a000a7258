//! The examples that take seconds, as they are.

#[path = "../examples/embed_verifier.rs"]
mod embed_verifier;
#[path = "../examples/filter_decision.rs"]
mod filter_decision;
#[path = "../examples/solana_invocation.rs"]
mod solana_invocation;
#[expect(dead_code, reason = "its arguments are not a test's")]
#[path = "../examples/token_transfer.rs"]
mod token_transfer;
#[path = "../examples/watch_progress.rs"]
mod watch_progress;

#[test]
fn filter_decision_runs() {
    filter_decision::main().expect("it runs");
}

#[test]
fn token_transfer_runs() {
    token_transfer::own_program().expect("it runs");
}

#[test]
fn solana_invocation_runs() {
    solana_invocation::main().expect("it runs");
}

#[test]
fn embed_verifier_runs() {
    embed_verifier::main().expect("it runs");
}

#[test]
fn watch_progress_runs() {
    watch_progress::main().expect("it runs");
}
