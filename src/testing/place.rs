//! Where pages of refused runs go.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use bpf_tracer::ExecutionTrace;

/// Names the directory.
const VARIABLE: &str = "ZKBPF_PAGES";
/// What cargo puts into its target directory, and nowhere else.
const TARGET_MARK: &str = "CACHEDIR.TAG";

/// The directory that the environment names, or one below cargo's target directory: tests are built there.
pub(super) fn pages() -> PathBuf {
    if let Some(directory) = env::var_os(VARIABLE) {
        return directory.into();
    }
    let program = env::current_exe().unwrap_or_default();
    let target = program
        .ancestors()
        .skip(1)
        .find(|directory| directory.join(TARGET_MARK).exists());
    target
        .map_or_else(env::temp_dir, Path::to_path_buf)
        .join("zkbpf")
}

/// One name for each program and input, so that tests do not overwrite each other's pages.
pub(super) fn name_of(trace: &ExecutionTrace) -> String {
    let mut hasher = DefaultHasher::new();
    trace.input().bytes.hash(&mut hasher);
    trace.input().region_size.hash(&mut hasher);
    let program = hex::encode(&trace.program().id()[..6]);
    format!("refused-{program}-{:012x}.html", hasher.finish() >> 16)
}
