//! What keys and chunks took on this machine, kept beside the keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zkbpf::Calibration;
use zkbpf::prover::Measured;

use super::args::Common;
use super::{Failure, program};

/// Its name in the cache directory.
pub(crate) const FILE_NAME: &str = "calibration.json";

/// What the file holds beside what chunks took.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeygenTimes {
    /// Elapsed seconds by the base-2 logarithm of the circuit's rows.
    #[serde(default)]
    keygen_seconds: BTreeMap<u32, f64>,
}

fn path(common: &Common) -> Result<PathBuf, Failure> {
    Ok(program::cache_dir(common)?.join(FILE_NAME))
}

/// A part of the file; nothing if there is no file, or none that can be read.
fn read<T: Default + for<'de> Deserialize<'de>>(common: &Common) -> T {
    let text = path(common).ok().and_then(|path| fs::read(path).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// Replaces a part of the file. A cache that cannot be written only costs that.
fn write(common: &Common, part: &impl Serialize) {
    let stored = path(common).and_then(|path| {
        let mut whole: serde_json::Map<String, Value> = read(common);
        if let Value::Object(part) = serde_json::to_value(part).map_err(Failure::defect)? {
            whole.extend(part);
        }
        let bytes = serde_json::to_vec(&whole).map_err(Failure::defect)?;
        program::write_whole(&path, &bytes)
    });
    if let Err(error) = stored {
        tracing::debug!("what was measured is not kept: {error}");
    }
}

/// What chunks took.
pub(crate) fn load(common: &Common) -> Calibration {
    read(common)
}

/// Keeps what chunks took.
pub(crate) fn store(common: &Common, calibration: &Calibration) {
    write(common, calibration);
}

/// Adds what chunks took.
pub(crate) fn record(common: &Common, measured: Measured) {
    let mut known = load(common);
    known.record(measured);
    store(common, &known);
}

/// What keys of `2^k` rows will take: by the nearest size that was measured, in proportion to rows.
pub(crate) fn keygen_seconds(common: &Common, k: u32) -> Option<f64> {
    scaled(&read::<KeygenTimes>(common).keygen_seconds, k)
}

fn scaled(known: &BTreeMap<u32, f64>, k: u32) -> Option<f64> {
    let (known, seconds) = known.iter().min_by_key(|(known, _)| known.abs_diff(k))?;
    let seconds = seconds * 2_f64.powi(k.cast_signed() - known.cast_signed());
    // The file is anybody's.
    (seconds.is_finite() && (0.0..1e6).contains(&seconds)).then_some(seconds)
}

/// Adds what keys took.
pub(crate) fn record_keygen(common: &Common, k: u32, elapsed: Duration) {
    let mut times: KeygenTimes = read(common);
    times.keygen_seconds.insert(k, elapsed.as_secs_f64());
    write(common, &times);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_keys_are_scaled_from_the_nearest_size() {
        let known = BTreeMap::from([(10, 3.0), (17, 60.0)]);
        assert_eq!(scaled(&known, 10), Some(3.0));
        assert_eq!(scaled(&known, 11), Some(6.0));
        assert_eq!(scaled(&known, 16), Some(30.0));
        assert_eq!(scaled(&BTreeMap::new(), 10), None);
        assert_eq!(scaled(&BTreeMap::from([(10, -1.0)]), 10), None);
        assert_eq!(scaled(&BTreeMap::from([(10, f64::MAX)]), 20), None);
    }

    #[test]
    fn the_parts_of_the_file_do_not_disturb_each_other() {
        let text = br#"{"chunk_cpu_seconds":{"Fast":{"10":1.5}},"busy_alone":null,"keygen_seconds":{"10":3.0}}"#;
        let times: KeygenTimes = serde_json::from_slice(text).expect("valid");
        assert_eq!(times.keygen_seconds, BTreeMap::from([(10, 3.0)]));
        let chunks: Calibration = serde_json::from_slice(text).expect("valid");
        assert_ne!(chunks, Calibration::default());
    }
}
