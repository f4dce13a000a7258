//! Keys of small circuits under insecure test parameters, shared by all tests of a binary.

use std::path::PathBuf;
use std::sync::LazyLock;

use zkbpf::{KeygenConfig, Shape};

/// Where tests keep keys.
fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("keys")
}

/// Chunks of 2^k rows.
pub(crate) fn config(k: u32) -> &'static KeygenConfig {
    static CONFIGS: LazyLock<Vec<KeygenConfig>> = LazyLock::new(|| {
        let of_size = |k| KeygenConfig::new(k, directory(), 8).with_insecure_test_srs();
        (Shape::MIN_K..=Shape::MAX_K).map(of_size).collect()
    });
    &CONFIGS[(k - Shape::MIN_K) as usize]
}
