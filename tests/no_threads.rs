//! A process that makes the calling thread rayon's pool verifies without starting any thread.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "how a child process reports")]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use zkbpf::verifier::{
    Claim, ExecutionProof, ExpectedOutcome, KeyId, VerifyingKey, verify_execution,
};
use zkbpf::{
    Input, KeygenConfig, LoadOptions, Outcome, Program, execute_and_trace, prove_execution_chunked,
    run_info,
};

/// r0 = 42; exit
const PROGRAM: [u8; 16] = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
/// Names the folder of key and proof in the child process.
const FOLDER: &str = "ZKBPF_NO_THREADS_FOLDER";

fn threads() -> usize {
    fs::read_dir("/proc/self/task")
        .expect("this process")
        .count()
}

/// What an embedder does.
fn verify(folder: &Path) {
    let read = |name: &str| fs::read(folder.join(name)).expect(name);
    let (key, id, proof) = (read("key"), read("id"), read("proof"));
    let key = VerifyingKey::from_bytes(&key, KeyId(id.try_into().expect("32 bytes")));
    let key = key.expect("the key");
    let program = Program::load(&PROGRAM, &LoadOptions::default()).expect("a program");
    let claim = |r0| Claim {
        outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0 }),
        ..Claim::new(program.clone(), Input::default())
    };
    let proof = ExecutionProof::from_bytes(&proof).expect("a proof");
    verify_execution(proof.chunks(), &claim(42), &key).expect("valid");
    assert!(verify_execution(proof.chunks(), &claim(43), &key).is_err());
}

/// Run by the other test in a process of its own, since others in this one start threads.
#[test]
#[ignore = "the other test starts it"]
fn child() {
    let folder = env::var_os(FOLDER).expect("started by the other test");
    let folder = Path::new(&folder);
    let before = threads();
    if env::var_os("RAYON_NUM_THREADS").is_none() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .use_current_thread();
        pool.build_global().expect("no pool before");
    }
    verify(folder);
    println!("{} threads more", threads() - before);
}

#[test]
fn verifying_starts_no_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = KeygenConfig::new(10, folder.path().join("keys"), 8).with_insecure_test_srs();
    let trace = execute_and_trace(&PROGRAM).expect("a program");
    let proofs = prove_execution_chunked(&trace, &config).expect("proved");
    let proof = ExecutionProof::new(run_info(&trace, &config).expect("keys"), proofs);
    let key = config.verifying_key().expect("keys");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect(name);
    write("key", &key.to_bytes());
    write("id", &key.id().0);
    write("proof", &proof.expect("a run").to_bytes());

    let child = |pool: Option<&str>| {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args([
            "child",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        command
            .env(FOLDER, folder.path())
            .env_remove("RAYON_NUM_THREADS");
        if let Some(threads) = pool {
            command.env("RAYON_NUM_THREADS", threads);
        }
        let output = command.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        text
    };
    let text = child(None);
    assert!(text.contains("0 threads more"), "{text}");
    // The count counts: rayon's own pool has as many threads as it is told.
    let text = child(Some("3"));
    assert!(text.contains("3 threads more"), "{text}");
}
