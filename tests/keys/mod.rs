//! Keys of the smallest circuit under insecure test parameters, shared by all tests of a binary.

use std::path::PathBuf;
use std::sync::LazyLock;

use zkbpf::KeygenConfig;

/// Where tests keep keys.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("keys")
}

/// Chunks of 2^10 rows.
pub(crate) fn config() -> &'static KeygenConfig {
    static CONFIG: LazyLock<KeygenConfig> =
        LazyLock::new(|| KeygenConfig::new(10, directory(), 8).with_insecure_test_srs());
    &CONFIG
}
