//! Where the test material is that this repository does not hold.
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

use std::path::{Path, PathBuf};

/// The folder of corpora: `ZKBPF_CORPORA`, or beside the repository.
pub(crate) fn folder() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = std::env::var_os("ZKBPF_CORPORA")
        .map(PathBuf::from)
        .into_iter()
        .chain([manifest.join("../shared/corpora")]);
    let found = candidates
        .into_iter()
        .find(|path| path.join("bpf_conformance.json").is_file());
    if found.is_none() {
        eprintln!("SKIPPED: optional corpora not found (set ZKBPF_CORPORA to their folder)");
    }
    found
}
