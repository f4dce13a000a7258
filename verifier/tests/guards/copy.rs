//! A copy of the sources, compiled once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a removed check asks in the copy.
const SWITCH: &str = r#"
/// Whether the check of this number is removed.
pub(crate) fn removed(number: usize) -> bool {
    std::env::var("ZKBPF_REMOVED").is_ok_and(|removed| removed == number.to_string())
}

/// No error if the check of this number is removed.
pub(crate) fn pass<E>(number: usize, result: Result<(), E>) -> Result<(), E> {
    if removed(number) { Ok(()) } else { result }
}
"#;

/// How a program of tests ends if one of them fails.
const FAILED: i32 = 101;

/// The tests that a copy is run with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tests {
    /// The crate that the sources are part of.
    pub(crate) package: &'static str,
    /// Its tests, as arguments of `cargo test`.
    pub(crate) target: &'static [&'static str],
    /// The crates that it is built from, itself included.
    pub(crate) crates: &'static [&'static str],
    /// Parts of the tests, fast ones first: what one of them finds is found before the others run.
    pub(crate) filters: &'static [&'static str],
}

/// A copy of some crates that has been compiled.
pub(crate) struct Scratch {
    executable: PathBuf,
    tests: Tests,
}

/// Writes a file if it is not there already: what is as before is not compiled again.
fn write(to: &Path, bytes: &[u8]) {
    if fs::read(to).is_ok_and(|found| found == bytes) {
        return;
    }
    fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
    fs::write(to, bytes).expect("a copy");
}

/// Copies a file or a directory, except for these files.
fn copy(from: &Path, to: &Path, except: &[PathBuf]) {
    if from.file_name().is_some_and(|name| name == "target") || except.iter().any(|p| p == to) {
        return;
    }
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("a directory") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()), except);
        }
    } else {
        write(to, &fs::read(from).expect("a file"));
    }
}

/// The manifest of a workspace that has these members only, and no package at the root.
fn manifest(text: &str, members: &[&str]) -> String {
    let sections = text.split("\n[").map(|part| part.trim_start_matches('['));
    let kept = sections.filter(|part| part.starts_with("workspace") || part.starts_with("profile"));
    kept.map(|section| match section.split_once("members = ") {
        Some((head, rest)) => {
            let (_, rest) = rest.split_once('\n').expect("a line");
            format!("[{head}members = {members:?}\n{rest}\n")
        }
        None => format!("[{section}\n"),
    })
    .collect()
}

impl Scratch {
    /// Compiles the tests of a crate with these sources in place of its own.
    pub(crate) fn new(tests: Tests, sources: &[(&str, String)]) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("guards")
            .join(tests.package);
        let package = root.join(tests.package).join("src");
        let lib = package.join("lib.rs");
        let mut replaced: Vec<(PathBuf, String)> = sources
            .iter()
            .map(|(file, text)| (package.join(file), text.clone()))
            .collect();
        let text = fs::read_to_string(workspace.join(tests.package).join("src/lib.rs"));
        replaced.push((lib, text.expect("a source") + SWITCH));
        let text = fs::read_to_string(workspace.join("Cargo.toml")).expect("a manifest");
        replaced.push((root.join("Cargo.toml"), manifest(&text, tests.crates)));
        let except: Vec<PathBuf> = replaced.iter().map(|(file, _)| file.clone()).collect();
        // The documents have vectors that tests read.
        let others = ["docs", "Cargo.lock", "rust-toolchain.toml"];
        for part in tests.crates.iter().chain(&others) {
            copy(&workspace.join(part), &root.join(part), &except);
        }
        for (file, text) in &replaced {
            write(file, text.as_bytes());
        }

        // Everything that is needed has been downloaded: this test is built from it.
        let output = Command::new(env!("CARGO"))
            .args(["test", "--offline", "--no-run", "-p", tests.package])
            .args(tests.target)
            .arg("--message-format=json-render-diagnostics")
            .env("CARGO_TARGET_DIR", root.with_file_name("target"))
            .env("CARGO_INCREMENTAL", "0")
            .current_dir(&root)
            .output()
            .expect("cargo");
        let messages = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the copy compiles: {errors}");
        let executable = messages
            .lines()
            .filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next())
            .next_back();
        Self {
            executable: executable.expect("an executable").into(),
            tests,
        }
    }

    /// What a test that fails without a check says; nothing if all pass. Those with `first` in their name run first.
    ///
    /// # Panics
    /// If the tests end neither way, as when the machine has no memory left: that says nothing about the check.
    pub(crate) fn failure(&self, removed: Option<usize>, first: &str) -> Option<String> {
        let filters = [&first].into_iter().chain(self.tests.filters);
        filters.into_iter().find_map(|filter| {
            let mut command = Command::new(&self.executable);
            if let Some(number) = removed {
                command.env("ZKBPF_REMOVED", number.to_string());
            }
            let output = command.args(["-q", filter]).output().expect("the tests");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            match output.status.code() {
                Some(0) => None,
                Some(FAILED) => Some(said),
                _ => panic!("{removed:?}: {} behind {said}", output.status),
            }
        })
    }
}
