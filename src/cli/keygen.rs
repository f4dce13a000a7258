//! `keygen`: fill the cache.

use std::time::Instant;

use serde::Serialize;

use super::args::{Common, Keygen};
use super::{Ending, Failure, output, program};

#[derive(Serialize)]
struct KeygenJson {
    key: String,
    k: u32,
    srs: String,
    proof_bytes: usize,
    seconds: f64,
}

pub(crate) fn execute(args: &Keygen, common: &Common) -> Result<Ending, Failure> {
    let config = program::config(common, args.k)?;
    let start = Instant::now();
    let keys = config
        .keys()
        .map_err(|error| program::failure(common, &error))?;
    let key = keys.verifying_key();
    let json = KeygenJson {
        key: key.id().to_string(),
        k: key.shape().k(),
        srs: key.srs().to_string(),
        proof_bytes: key.proof_bytes(),
        seconds: start.elapsed().as_secs_f64(),
    };
    let text = format!(
        "key    {}\nk      {}\nsrs    {}\nproof  {} bytes a chunk\ntook   {:.1} s",
        json.key, json.k, json.srs, json.proof_bytes, json.seconds
    );
    output::done(common, &json, &text)
}
