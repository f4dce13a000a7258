//! What would be published: every crate with its licences and a page about it, and nothing that only tests need.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Most bytes of a file in a package.
const LARGEST: u64 = 300_000;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// Packages that are not kept back.
fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let mut metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array_mut().map(std::mem::take);
    let mut packages = packages.expect("packages");
    packages.retain(|package| package["publish"].is_null());
    assert_eq!(
        packages.len(),
        8,
        "seven crates and the package of the command line"
    );
    packages
}

#[test]
fn packages_say_what_they_are() {
    for package in packages() {
        let name = &package["name"];
        for field in [
            "description",
            "license",
            "readme",
            "rust_version",
            "edition",
        ] {
            assert!(package[field].is_string(), "{name}: {field}");
        }
        let docs = &package["metadata"]["docs"]["rs"];
        assert_eq!(
            docs["all-features"], true,
            "{name}: all of it is documented"
        );
    }
}

#[test]
fn packages_hold_what_is_used_and_no_more() {
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let folder = manifest.parent().expect("a folder");
        let list = cargo(&["package", "--list", "--allow-dirty", "-p", name]);
        let files: Vec<&str> = list.lines().collect();
        for needed in [
            "README.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "src/lib.rs",
            "Cargo.toml",
        ] {
            assert!(files.contains(&needed), "{name}: {needed} of {files:?}");
        }
        for file in files {
            let top = file.split('/').next().unwrap_or_default();
            let is_foreign = ["tests", "benches", "fuzz", "golden", ".ci", ".cargo"].contains(&top);
            assert!(!is_foreign, "{name}: {file}");
            // What cargo writes itself is not there yet.
            if let Ok(metadata) = folder.join(file).metadata() {
                assert!(metadata.len() < LARGEST, "{name}: {file}");
            }
        }
    }
}
