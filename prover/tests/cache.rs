//! Caches on disks that are full, read-only, or refuse large files.
//!
//! The tests run themselves once more: in a process of their own, with a file system of their own that goes
//! away with it.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use halo2_proofs::SerdeFormat;
use prover::{KeygenConfig, Keys};
use verifier::KeyId;

/// Where the inner process finds its file system.
const DIRECTORY: &str = "ZKBPF_CACHE_DIRECTORY";
/// What the shell says if it may not mount anything.
const NO_MOUNT: i32 = 77;

/// Runs a test of this binary after what the shell does first.
fn rerun(test: &str, directory: &Path, shell: &str) {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c"])
        .arg(format!("{shell}\nexec \"$@\""))
        .arg("sh")
        .arg(std::env::current_exe().expect("this binary"))
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: no unshare: {error}");
            return;
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NO_MOUNT) || stderr.starts_with("unshare:") {
        eprintln!("SKIPPED: no file system of our own: {stderr}");
        return;
    }
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed"), "{stdout}");
}

fn mounted(size: &str) -> String {
    format!("mount -t tmpfs -o size={size} tmpfs \"${DIRECTORY}\" || exit {NO_MOUNT}")
}

fn remount(options: &str) {
    let directory = directory().expect("an inner test");
    let done = Command::new("mount")
        .args(["-o", &format!("remount,{options}")])
        .arg(directory)
        .status();
    assert!(done.expect("mount runs").success());
}

/// The directory of an inner test; nothing if it was not started by an outer one.
fn directory() -> Option<PathBuf> {
    let directory = std::env::var_os(DIRECTORY).map(PathBuf::from);
    if directory.is_none() {
        eprintln!("SKIPPED: another test runs this one");
    }
    directory
}

fn keys(cache: &Path) -> Keys {
    let config = KeygenConfig::new(10, cache, 8).with_insecure_test_srs();
    let keys = config.keys().expect("keys, whatever the cache");
    drop(config);
    std::sync::Arc::into_inner(keys).expect("the only reference")
}

fn verifying_key_id(cache: &Path) -> KeyId {
    let config = KeygenConfig::new(10, cache, 8).with_insecure_test_srs();
    config.verifying_key().expect("a key").id()
}

/// Everything that proving uses.
fn digest(keys: &Keys) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&keys.verifying_key().to_bytes());
    hasher.update(&keys.proving_key().to_bytes(SerdeFormat::RawBytes));
    hasher.finalize()
}

/// What keys must be.
fn expected() -> (blake3::Hash, KeyId) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = keys(directory.path());
    assert!(keys.kept());
    (digest(&keys), keys.verifying_key().id())
}

fn names(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).expect("there");
    let mut names: Vec<_> = files
        .map(|file| {
            file.expect("there")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Every entry is what its manifest says, and nothing is unfinished. Returns the number of entries.
fn assert_nothing_is_torn(directory: &Path) -> usize {
    let names = names(directory);
    let entries = names.iter().filter(|name| !name.ends_with(".lock"));
    let mut count = 0;
    for name in entries {
        assert!(!name.starts_with('.'), "{name}");
        let data = fs::read(directory.join(name).join("data")).expect("there");
        let manifest = fs::read_to_string(directory.join(name).join("manifest")).expect("there");
        let (size, digest) = (data.len(), blake3::hash(&data));
        let right = format!("zkbpf cache 1\nname {name}\nsize {size}\nblake3 {digest}\n");
        assert_eq!(manifest, right);
        count += 1;
    }
    count
}

#[test]
fn a_full_disk_costs_only_the_entries() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    rerun(
        "inside_a_full_disk",
        directory.path(),
        &mounted("400k,nr_inodes=100"),
    );
}

#[test]
#[ignore = "another test runs it"]
fn inside_a_full_disk() {
    let Some(directory) = directory() else { return };
    let (expected, id) = expected();
    for _ in 0..2 {
        let keys = keys(&directory);
        assert_eq!(digest(&keys), expected);
        assert!(!keys.kept());
        // The smaller entries fit.
        assert_eq!(assert_nothing_is_torn(&directory), 2);
        assert_eq!(verifying_key_id(&directory), id);
    }
    remount("size=50m");
    assert!(keys(&directory).kept());
    assert_eq!(digest(&keys(&directory)), expected);
    assert_eq!(assert_nothing_is_torn(&directory), 3);

    // No room for a lock either.
    let fill = (0..1000).take_while(|n| fs::write(directory.join(format!("{n}")), b"").is_ok());
    assert!(fill.count() < 1000);
    let other = directory.join("other");
    let keys = keys(&other);
    assert_eq!((digest(&keys), keys.kept()), (expected, false));
    assert!(!other.exists());
}

#[test]
fn a_read_only_cache_is_read_without_locks() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    rerun("inside_a_read_only_disk", directory.path(), &mounted("50m"));
}

#[test]
#[ignore = "another test runs it"]
fn inside_a_read_only_disk() {
    let Some(directory) = directory() else { return };
    let (expected, id) = expected();
    let (full, empty) = (directory.join("full"), directory.join("empty"));
    fs::create_dir(&empty).expect("writable");
    assert!(keys(&full).kept());
    for name in names(&full) {
        if name.ends_with(".lock") {
            fs::remove_file(full.join(name)).expect("writable");
        }
    }
    remount("ro");
    fs::write(full.join("file"), b"").expect_err("read-only");
    let found = keys(&full);
    assert_eq!((digest(&found), found.kept()), (expected, true));
    assert_eq!(verifying_key_id(&full), id);
    assert_eq!(names(&full).len(), 3, "nothing was written");
    for cache in [&empty, &directory.join("none")] {
        let built = keys(cache);
        assert_eq!((digest(&built), built.kept()), (expected, false));
        assert_eq!(verifying_key_id(cache), id);
    }

    remount("rw");
    let damaged = names(&full);
    for name in &damaged {
        let data = full.join(name).join("data");
        let mut bytes = fs::read(&data).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&data, bytes).expect("writable");
    }
    remount("ro");
    let built = keys(&full);
    assert_eq!((digest(&built), built.kept()), (expected, false));
    assert_eq!(verifying_key_id(&full), id);
    assert_eq!(names(&full), damaged, "nothing was moved");
    remount("rw");
    assert!(keys(&full).kept());
    assert_eq!(digest(&keys(&full)), expected);
}

/// The same without rights to mount anything: writing fails in the middle of a file.
#[test]
fn files_that_may_not_grow_are_not_left_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ\nulimit -f 512\nexec \"$@\"")
        .arg("sh")
        .arg(std::env::current_exe().expect("this binary"))
        .args(["with_small_files", "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .output()
        .expect("there is a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let (expected, _) = expected();
    let keys = keys(directory.path());
    assert_eq!((digest(&keys), keys.kept()), (expected, true));
}

#[test]
#[ignore = "another test runs it"]
fn with_small_files() {
    let Some(directory) = directory() else { return };
    for _ in 0..2 {
        let keys = keys(&directory);
        assert!(!keys.kept());
        assert_eq!(assert_nothing_is_torn(&directory), 2);
        assert_eq!(verifying_key_id(&directory), keys.verifying_key().id());
    }
}
