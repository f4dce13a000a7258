//! `keygen`: fill the cache.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use zkbpf::KeygenConfig;

use super::args::{Common, Keygen};
use super::output::{self, SrsJson};
use super::progress::Progress;
use super::{Ending, Failure, keys, program};

#[derive(Serialize)]
struct KeygenJson {
    key: String,
    k: u32,
    #[serde(flatten)]
    srs: SrsJson,
    proof_bytes: usize,
    /// The directory that has parameters, proving key and verifying key now.
    cache: PathBuf,
    seconds: f64,
}

pub(crate) fn execute(args: &Keygen, common: &Common) -> Result<Ending, Failure> {
    let config = program::config(common, args.k)?;
    let start = Instant::now();
    let progress = Progress::new(common);
    let keys = keys::make(&config, common, &progress, KeygenConfig::kept_keys)
        .map_err(|error| Failure::proving(common, &error))?;
    progress.clear();
    let key = keys.verifying_key();
    let json = KeygenJson {
        key: key.id().to_string(),
        k: key.shape().k(),
        srs: key.srs().into(),
        proof_bytes: key.proof_bytes(),
        cache: config.cache_dir().to_owned(),
        seconds: start.elapsed().as_secs_f64(),
    };
    let mut text = format!(
        "key         {}\nk           {}\nsrs         {}\nproof       {} bytes a chunk\n\
         kept in     {}\ntook        {:.1} s",
        json.key,
        json.k,
        json.srs.text(),
        json.proof_bytes,
        json.cache.display(),
        json.seconds
    );
    json.srs.warn(&mut text);
    output::done(common, &json, &text)
}
