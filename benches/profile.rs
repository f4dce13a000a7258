//! Where the time of one chunk's proof goes, by halo2's own timers, on one thread.
//!
//! ```text
//! cargo bench -p zkbpf --features profile --bench profile -- 14
//! ```
//!
//! The argument is the base-2 logarithm of the circuit's rows. Keys are kept in the target directory.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints a table"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use zkbpf::{Input, KeygenConfig, LoadOptions, Program, Tracer, prove_execution_chunked};

const SHA256: &[u8] = include_bytes!("../examples/programs/sha256.o");
/// Set for the process whose output is read.
const PROVES: &str = "ZKBPF_PROFILED_K";
/// What that process prints when keys are there and nothing is left but the proof.
const READY: &str = "ready";

/// Timers that do not overlap, by a part of their names, and what they measure.
const PARTS: [(&str, &str); 10] = [
    ("Synthesize time starting from phase 0", "filling columns"),
    (
        "Synthesize time starting from phase 1",
        "filling the columns of the bus",
    ),
    ("Phase 0 inversion and MSM", "commitments of small values"),
    ("Phase 1 inversion and MSM", "commitments of the bus"),
    ("random poly", "the random polynomial"),
    ("Calculate advice polys (fft)", "interpolation"),
    ("coeff_to_extended_part", "columns on cosets"),
    ("Custom gates", "constraints on cosets"),
    (
        "h(X) commitments",
        "the quotient's commitments, evaluations",
    ),
    ("Phase 5: multiopen", "opening"),
];

fn prove(k: u32) -> Result<(), Box<dyn Error>> {
    let keys = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
    let config = KeygenConfig::new(k, keys, 8).with_insecure_test_srs();
    config.keys()?;
    let program = Program::load(SHA256, &LoadOptions::default())?;
    // As many steps as a chunk of this size holds, nearly.
    let trace = Tracer::new(&program)
        .input(Input::from_bytes(vec![7; 32]).with_region_size(32))
        .step_limit((1 << k) / 2)
        .trace()?;
    println!("{READY}");
    let start = Instant::now();
    prove_execution_chunked(&trace, &config)?;
    println!("{READY} {}", start.elapsed().as_secs_f64());
    Ok(())
}

/// The seconds at the end of "label ......12.345ms".
fn seconds(timed: &str) -> Option<f64> {
    let is_of_number = |c: char| c.is_ascii_digit() || ".nµms".contains(c);
    let tail = timed.trim_end().rsplit(|c| !is_of_number(c)).next()?;
    let tail = tail.trim_start_matches(|c: char| !c.is_ascii_digit());
    let units = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    units.iter().find_map(|(unit, factor)| {
        let number: f64 = tail.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    })
}

fn main() -> ExitCode {
    let result = match std::env::var(PROVES) {
        Ok(k) => k.parse().map_err(Box::from).and_then(prove),
        Err(_) => table(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn table() -> Result<(), Box<dyn Error>> {
    let k = std::env::args().find(|a| a.parse::<u32>().is_ok());
    let k = k.unwrap_or_else(|| "14".to_owned());
    let output = Command::new(std::env::current_exe()?)
        .env(PROVES, &k)
        .env("RAYON_NUM_THREADS", "1")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let proof = text.split_once(READY).map_or("", |(_, proof)| proof);
    let mut total = 0.0;
    let mut parts: BTreeMap<&str, f64> = BTreeMap::new();
    for line in proof.lines() {
        if let Some(rest) = line.strip_prefix(READY) {
            total = rest.trim().parse()?;
        }
        let Some((_, timed)) = line.split_once("End:") else {
            continue;
        };
        if let Some((_, part)) = PARTS.iter().find(|(label, _)| timed.contains(label)) {
            *parts.entry(part).or_default() += seconds(timed).ok_or("a timer without a time")?;
        }
    }
    println!("one chunk, k = {k}, one thread: {total:.2} s");
    for (_, part) in PARTS {
        let taken = parts.get(part).copied().unwrap_or_default();
        println!("{:5.1} %  {part}", 100.0 * taken / total);
    }
    let rest = total - parts.values().sum::<f64>();
    println!(
        "{:5.1} %  witness, verification, the rest",
        100.0 * rest / total
    );
    Ok(())
}
