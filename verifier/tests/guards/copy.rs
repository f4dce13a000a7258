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

/// Tests of modules, fast ones first: a check that one of them needs is found before the others run.
const FILTERS: [&str; 3] = ["span::", "verify::", ""];

pub(crate) struct Scratch {
    tests: PathBuf,
}

fn copy(from: &Path, to: &Path) {
    if from.file_name().is_some_and(|name| name == "target") {
        return;
    }
    if from.is_dir() {
        fs::create_dir_all(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a directory") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).expect("a copy");
    }
}

impl Scratch {
    /// Compiles the verifier's own tests with these sources in place of its own.
    pub(crate) fn new(files: &[(&str, String)]) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guards");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).expect("a directory");
        // The documents have vectors that tests read.
        for part in [
            "bpf-tracer",
            "zk-circuits",
            "verifier",
            "docs",
            "Cargo.lock",
        ] {
            copy(&workspace.join(part), &root.join(part));
        }
        let manifest = fs::read_to_string(workspace.join("Cargo.toml")).expect("a manifest");
        // The members that are there, and no package at the root.
        let sections = manifest.split("\n[").filter(|section| {
            let section = section.trim_start_matches('[');
            section.starts_with("workspace") || section.starts_with("profile")
        });
        let manifest: String = sections
            .map(|section| match section.split_once("members = ") {
                Some((head, rest)) => {
                    let (_, rest) = rest.split_once('\n').expect("a line");
                    let members = r#"["bpf-tracer", "zk-circuits", "verifier"]"#;
                    format!("{head}members = {members}\n{rest}\n")
                }
                None => format!("[{section}\n"),
            })
            .collect();
        fs::write(root.join("Cargo.toml"), manifest).expect("a manifest");
        let sources = root.join("verifier/src");
        for (file, text) in files {
            fs::write(sources.join(file), text).expect("a source");
        }
        let lib = sources.join("lib.rs");
        let text = fs::read_to_string(&lib).expect("a source") + SWITCH;
        fs::write(lib, text).expect("a source");

        // The dependencies are there: they are those of this test.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
        let arguments =
            "test --offline -p verifier --lib --no-run --message-format=json-render-diagnostics";
        let output = Command::new(env!("CARGO"))
            .args(arguments.split(' '))
            .env("CARGO_TARGET_DIR", target)
            .current_dir(&root)
            .output()
            .expect("cargo");
        let messages = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the copy compiles: {errors}");
        let executable = messages
            .lines()
            .filter(|line| line.contains("\"test\":true"));
        let executable = executable
            .filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next())
            .next_back();
        Self {
            tests: executable.expect("an executable").into(),
        }
    }

    /// Whether all tests pass without a check.
    pub(crate) fn passes(&self, removed: Option<usize>) -> bool {
        FILTERS.iter().all(|filter| {
            let mut command = Command::new(&self.tests);
            if let Some(number) = removed {
                command.env("ZKBPF_REMOVED", number.to_string());
            }
            let output = command.args(["-q", filter]).output().expect("the tests");
            output.status.success()
        })
    }
}
