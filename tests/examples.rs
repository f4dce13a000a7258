//! The examples that take seconds, as they are.

mod corpora;

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

/// The same example on programs of Solana's mainnet; reads optional corpora.
#[test]
fn token_transfer_of_deployed_programs_runs() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    for (name, is_sdk) in [
        ("spl_p_token-1.0.0.so", false),
        ("spl_token-3.5.0.so", true),
    ] {
        let path = corpora.join("elfs").join(name);
        token_transfer::deployed_program(&path, is_sdk).expect(name);
    }
}
