//! Watches a proof being made: keys, chunks, what is left.
//!
//! ```text
//! cargo run --release --example watch_progress
//! ```

use std::error::Error;
use std::io::{Write, stdout};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use zkbpf::{
    Event, Input, KeygenConfig, LoadOptions, Program, Schedule, Tracer, claim_of,
    prove_execution_observed, verify_execution,
};

/// Written by `clang -O2 -target bpf -mcpu=v3 -c`.
const SORT: &[u8] = include_bytes!("programs/sort.o");
/// Chunks of 2^10 rows.
const K: u32 = 10;
/// So that there is something to watch.
const STEPS_OF_A_CHUNK: usize = 150;

/// What has happened so far.
#[derive(Default)]
struct Progress {
    chunks: usize,
    finished: usize,
    began: Option<Instant>,
}

impl Progress {
    /// The time that the remaining chunks take if they are like the finished ones.
    fn left(&self) -> Option<Duration> {
        let finished = u32::try_from(self.finished).ok().filter(|n| *n > 0)?;
        let left = u32::try_from(self.chunks - self.finished).ok()?;
        Some(self.began?.elapsed() / finished * left)
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let program = Program::load(SORT, &LoadOptions::default())?;
    // The number of numbers, and the numbers.
    let numbers = [12, 9, 3, 11, 1, 8, 10, 5, 2, 12, 7, 6, 4_u32];
    let input: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let trace = Tracer::new(&program)
        .input(Input::from_bytes(input))
        .trace()?;
    let keys = tempfile::tempdir()?;
    let config = KeygenConfig::new(K, keys.path(), 8)
        .with_chunk_size(STEPS_OF_A_CHUNK)
        .with_insecure_test_srs();

    // The observer is called from several threads.
    let progress = Mutex::new(Progress::default());
    let observer = |event: Event| {
        let Ok(mut progress) = progress.lock() else {
            return;
        };
        let line = match event {
            Event::KeysNeeded => "loading keys, or making them".to_owned(),
            Event::Ready { chunks, at_once } => {
                progress.chunks = chunks;
                progress.began = Some(Instant::now());
                format!("{chunks} chunks, {at_once} at once")
            }
            Event::ChunkStarted { chunk } => format!("chunk {chunk} begins"),
            Event::ChunkFinished { chunk } => {
                progress.finished += 1;
                let left = progress.left().unwrap_or_default();
                format!("chunk {chunk} is finished; about {left:.1?} left")
            }
            // There may be others in later versions.
            other => format!("{other:?}"),
        };
        // An observer that fails would fail the chunk.
        let _ = writeln!(stdout(), "{line}");
    };
    let proofs = prove_execution_observed(&trace, &config, Schedule::Auto, observer)?;

    let progress = progress.into_inner()?;
    if progress.finished != proofs.len() || progress.chunks < 2 {
        return Err("not every chunk was seen".into());
    }
    verify_execution(&proofs, &claim_of(&trace), &*config.verifying_key()?)?;
    writeln!(stdout(), "verified {} chunks", proofs.len())?;
    Ok(())
}
