//! Keys: choices, cache, and the verifying key's own encoding.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use prover::{Error, KeygenConfig};
use verifier::{DecodeError, KeyId, VerifyingKey};

fn config(directory: &Path) -> KeygenConfig {
    KeygenConfig::new(10, directory, 8).with_insecure_test_srs()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .expect("there")
        .map(|entry| entry.expect("there").path())
        .filter(|path| path.is_dir() && path.extension().is_none())
        .collect();
    entries.sort();
    entries
}

#[test]
fn parameters_must_be_chosen() {
    let config = KeygenConfig::new(10, "unused", 8);
    let error = config.keys().expect_err("no parameters");
    assert!(matches!(error, Error::MissingSrs));
    let text = error.to_string();
    for option in [
        "with_srs",
        "with_insecure_test_srs",
        "--srs",
        "--insecure-test-srs",
    ] {
        assert!(text.contains(option), "{option}");
    }
    assert!(matches!(config.verifying_key(), Err(Error::MissingSrs)));
}

#[test]
fn unusable_choices_are_errors() {
    let none = KeygenConfig::new(10, "unused", 8).with_srs("/nonexistent/file");
    assert!(matches!(none.keys(), Err(Error::Io { .. })));
    let small = KeygenConfig::new(5, "unused", 8).with_insecure_test_srs();
    assert!(matches!(small.keys(), Err(Error::Shape(_))));
}

/// One of rayon's threads that waits for a part of its work takes up other work: here, to ask for the same keys.
#[test]
fn a_thread_that_makes_keys_does_not_wait_for_itself() {
    for delay in 0..10 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        let pool = pool.expect("threads");
        // Two that know nothing of each other, but have one directory.
        let configs = [(); 2].map(|()| config(directory.path()));
        let (done, finished) = mpsc::channel();
        let ask = |number: usize| {
            let (config, done) = (configs[number % 2].clone(), done.clone());
            pool.spawn(move || {
                let _ = done.send(config.keys().expect("keys").verifying_key().id());
            });
        };
        ask(0);
        thread::sleep(Duration::from_millis(10 * delay));
        (1..6).for_each(ask);
        let ids: Result<HashSet<_>, _> = (0..6)
            .map(|_| finished.recv_timeout(Duration::from_secs(60)))
            .collect();
        assert_eq!(ids.expect("nobody waits for itself").len(), 1);
    }
}

#[test]
fn damaged_keys_are_made_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = config(directory.path()).keys().expect("keys");
    let id = keys.verifying_key().id();
    let found = entries(directory.path());
    assert_eq!(
        found.len(),
        3,
        "parameters, proving key, verifying key: {found:?}"
    );

    for entry in &found {
        for damage in 0..3 {
            let data = entry.join("data");
            let mut bytes = fs::read(&data).expect("there");
            match damage {
                0 => bytes.truncate(bytes.len() / 2),
                1 => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                }
                _ => bytes = b"something else".to_vec(),
            }
            fs::write(&data, &bytes).expect("written");
            assert_eq!(
                config(directory.path())
                    .keys()
                    .expect("keys")
                    .verifying_key()
                    .id(),
                id
            );
            assert_ne!(
                fs::read(&data).expect("there"),
                bytes,
                "the entry was written again"
            );
            assert_eq!(
                config(directory.path()).verifying_key().expect("key").id(),
                id
            );
        }
    }
}

#[test]
fn verifying_keys_are_authenticated() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = config(directory.path()).verifying_key().expect("keys");
    let bytes = key.to_bytes();
    let back = VerifyingKey::from_bytes(&bytes, key.id()).expect("its own bytes");
    assert_eq!(
        (back.id(), back.proof_bytes()),
        (key.id(), key.proof_bytes())
    );
    assert_eq!(back.to_bytes(), bytes);

    let expected = KeyId([0; 32]);
    let error = VerifyingKey::from_bytes(&bytes, expected).expect_err("another identity");
    assert_eq!(
        error,
        DecodeError::KeyId {
            found: key.id(),
            expected
        }
    );
    for at in (10..bytes.len()).step_by(997) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let error = VerifyingKey::from_bytes(&changed, key.id()).expect_err("changed");
        assert!(matches!(error, DecodeError::KeyId { .. }));
        assert!(VerifyingKey::from_bytes(&bytes[..at], key.id()).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(VerifyingKey::from_bytes(&longer, key.id()).is_err());
    assert!(VerifyingKey::from_bytes(b"zkbpf", key.id()).is_err());
}
