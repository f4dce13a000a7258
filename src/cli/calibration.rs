//! What chunks took on this machine, kept beside the keys.

use std::fs;
use std::path::PathBuf;

use zkbpf::Calibration;
use zkbpf::prover::Measured;

use super::args::Common;
use super::{Failure, program};

/// Its name in the cache directory.
pub(crate) const FILE_NAME: &str = "calibration.json";

fn path(common: &Common) -> Result<PathBuf, Failure> {
    Ok(program::cache_dir(common)?.join(FILE_NAME))
}

/// What is known; nothing if there is no file, or none that can be read.
pub(crate) fn load(common: &Common) -> Calibration {
    let text = path(common).ok().and_then(|path| fs::read(path).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// Keeps what is known. A cache that cannot be written only costs that.
pub(crate) fn store(common: &Common, calibration: &Calibration) {
    let stored = path(common).and_then(|path| {
        let bytes = serde_json::to_vec(calibration).map_err(Failure::other)?;
        program::write_whole(&path, &bytes)
    });
    if let Err(error) = stored {
        tracing::debug!("what chunks took is not kept: {error}");
    }
}

/// Adds what chunks took.
pub(crate) fn record(common: &Common, measured: Measured) {
    let mut known = load(common);
    known.record(measured);
    store(common, &known);
}
