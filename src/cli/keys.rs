//! Loading or making keys, with the time that it will take as far as this machine is known.

use std::fs;
use std::time::{Duration, Instant};

use zkbpf::KeygenConfig;
use zkbpf::prover::Error;

use super::args::Common;
use super::calibration;
use super::progress::Progress;

/// What `load` gives of the keys. A new proving key's time is kept for the next estimate.
pub(crate) fn make<T>(
    config: &KeygenConfig,
    common: &Common,
    progress: &Progress,
    load: impl FnOnce(&KeygenConfig) -> Result<T, Error>,
) -> Result<T, Error> {
    let k = config.shape()?.k();
    let before = count(config, k);
    let expected = match before {
        0 => calibration::keygen_seconds(common, k).map(Duration::from_secs_f64),
        // They are read.
        _ => None,
    };
    progress.begin("keys", expected);
    let start = Instant::now();
    let keys = load(config)?;
    if count(config, k) > before {
        calibration::record_keygen(common, k, start.elapsed());
    }
    Ok(keys)
}

/// Proving keys of this size in the cache, by their names.
fn count(config: &KeygenConfig, k: u32) -> usize {
    let prefix = format!("pk-k{k}-");
    let is_key = |name: &str| name.starts_with(&prefix) && !name.contains('.');
    fs::read_dir(config.cache_dir()).map_or(0, |files| {
        files
            .filter_map(Result::ok)
            .filter(|file| file.file_name().to_str().is_some_and(is_key))
            .count()
    })
}
