//! Where the time of one chunk's proof goes, on one thread: of the fast prover by its spans, and of halo2's by its own
//! timers if it has them.
//!
//! ```text
//! cargo bench -p zkbpf --bench profile -- 14
//! cargo bench -p zkbpf --features profile --bench profile -- 14     # halo2's too
//! cargo bench -p zkbpf --features profile --bench profile -- 14 quotient     # columns and constraints on cosets, many times
//! ```
//!
//! The argument is the base-2 logarithm of the circuit's rows. Keys are kept in the target directory.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints a table"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use criterion::Criterion;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use zkbpf::{Engine, Input, KeygenConfig, LoadOptions, Program, Tracer, prove_execution_chunked};

const SHA256: &[u8] = include_bytes!("../examples/programs/sha256.o");
/// Set for the process whose output is read: the prover.
const PROVES: &str = "ZKBPF_PROFILED";
/// What that process prints when keys are there and nothing is left but the proof.
const READY: &str = "ready";

/// The part that is no prover's.
const TRACING: &str = "tracing";

/// halo2's timers that do not overlap, by a part of their names, and what they measure.
const TIMERS: [(&str, &str); 11] = [
    (TRACING, TRACING),
    ("Synthesize time starting from phase 0", "filling columns"),
    (
        "Synthesize time starting from phase 1",
        "filling columns of later phases",
    ),
    ("Phase 0 inversion and MSM", "commitments of small values"),
    ("Phase 1 inversion and MSM", "commitments of the bus"),
    ("random poly", "random polynomial"),
    ("Calculate advice polys (fft)", "interpolation"),
    ("coeff_to_extended_part", "columns on cosets"),
    ("Custom gates", "constraints on cosets"),
    (
        "h(X) commitments",
        "commitments to the quotient, evaluations",
    ),
    ("Phase 5: multiopen", "opening"),
];

thread_local! {
    /// The spans that are open, and what was taken by those inside.
    static OPEN: RefCell<Vec<(Instant, Duration)>> = const { RefCell::new(Vec::new()) };
}

/// Prints what spans named "part" take, without the spans inside.
struct Parts;

/// A span's name, as its field has it.
#[derive(Default)]
struct Name(String);

impl Visit for Name {
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
    fn record_str(&mut self, _: &Field, value: &str) {
        value.clone_into(&mut self.0);
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Parts {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut name = Name::default();
        attributes.record(&mut name);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(name);
        }
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        OPEN.with_borrow_mut(|open| open.push((Instant::now(), Duration::ZERO)));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let Some((start, inside)) = OPEN.with_borrow_mut(Vec::pop) else {
            return;
        };
        let taken = start.elapsed();
        OPEN.with_borrow_mut(|open| {
            if let Some((_, inside)) = open.last_mut() {
                *inside += taken;
            }
        });
        let span = context.span(id).filter(|span| span.name() == "part");
        if let Some(span) = span {
            let seconds = (taken - inside).as_secs_f64();
            if let Some(Name(name)) = span.extensions().get() {
                println!("End: {name} {seconds}s");
            }
        }
    }
}

fn prove(engine: Engine) -> Result<(), Box<dyn Error>> {
    let k = argument().parse()?;
    let keys = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
    let config = KeygenConfig::new(k, keys, 8)
        .with_insecure_test_srs()
        .with_engine(engine);
    let _ = config.keys()?.engine_key();
    let program = Program::load(SHA256, &LoadOptions::default())?;
    println!("{READY}");
    let start = Instant::now();
    // As many steps as a chunk of this size holds, nearly.
    let trace = Tracer::new(&program)
        .input(Input::from_bytes(vec![7; 32]).with_region_size(32))
        .step_limit((1 << k) / 2)
        .trace()?;
    println!("End: {TRACING} {}s", start.elapsed().as_secs_f64());
    if engine == Engine::Fast {
        // Of all threads: the proof is made on rayon's.
        tracing::subscriber::set_global_default(Registry::default().with(Parts))?;
    }
    let proofs = prove_execution_chunked(&trace, &config)?;
    println!("{READY} {}", start.elapsed().as_secs_f64());
    assert_eq!(proofs.len(), 1);
    Ok(())
}

fn argument() -> String {
    let k = std::env::args().find(|a| a.parse::<u32>().is_ok());
    k.unwrap_or_else(|| "14".to_owned())
}

/// The seconds at the end of "label ......12.345ms".
fn seconds(timed: &str) -> Option<f64> {
    let is_of_number = |c: char| c.is_ascii_digit() || ".nµmse-".contains(c);
    let tail = timed.trim_end().rsplit(|c| !is_of_number(c)).next()?;
    let tail = tail.trim_start_matches(|c: char| !c.is_ascii_digit());
    let units = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    units.iter().find_map(|(unit, factor)| {
        let number: f64 = tail.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    })
}

fn main() -> ExitCode {
    let result = match std::env::var(PROVES).as_deref() {
        Ok("stock") => prove(Engine::Stock),
        Ok(_) => prove(Engine::Fast),
        Err(_) => {
            let engines: &[&str] = if cfg!(feature = "profile") {
                &["fast", "stock"]
            } else {
                &["fast"]
            };
            if std::env::args().any(|argument| argument == "quotient") {
                quotient(engines);
                Ok(())
            } else {
                engines.iter().try_for_each(|engine| table(engine))
            }
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What one proof takes in seconds, and what parts of it.
fn parts(engine: &str) -> Result<(f64, BTreeMap<String, f64>), Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .arg(argument())
        .env(PROVES, engine)
        .env("RAYON_NUM_THREADS", "1")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let proof = text.split_once(READY).map_or("", |(_, proof)| proof);
    let mut total = 0.0;
    let mut parts: BTreeMap<String, f64> = BTreeMap::new();
    for line in proof.lines() {
        if let Some(rest) = line.strip_prefix(READY) {
            total = rest.trim().parse()?;
        }
        let Some((_, timed)) = line.split_once("End:") else {
            continue;
        };
        let part = match engine {
            "fast" => timed.trim().rsplit_once(' ').map(|(name, _)| name),
            _ => (TIMERS.iter().find(|(label, _)| timed.contains(label))).map(|(_, part)| *part),
        };
        if let Some(part) = part {
            let taken = seconds(timed).ok_or("a timer without a time")?;
            *parts.entry(part.to_owned()).or_default() += taken;
        }
    }
    Ok((total, parts))
}

fn table(engine: &str) -> Result<(), Box<dyn Error>> {
    let (total, parts) = parts(engine)?;
    println!(
        "one chunk, k = {}, one thread, {engine}: {total:.2} s",
        argument()
    );
    let mut known: Vec<_> = parts.into_iter().collect();
    let rest = total - known.iter().map(|(_, taken)| taken).sum::<f64>();
    known.push(("the rest".to_owned(), rest));
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (part, taken) in known {
        println!("{:5.1} %  {part}", 100.0 * taken / total);
    }
    Ok(())
}

/// The quotient as criterion's other kernels are. halo2's is in no public function: its time is taken from proofs.
fn quotient(engines: &[&str]) {
    let mut criterion = Criterion::default().sample_size(10);
    let mut group = criterion.benchmark_group(format!("quotient, k = {}", argument()));
    for engine in engines {
        group.bench_function(*engine, |bencher| {
            bencher.iter_custom(|proofs| {
                let taken = |_| {
                    let (_, parts) = parts(engine).expect("a proof");
                    let of_it = parts.iter().filter(|(name, _)| name.contains("on cosets"));
                    of_it.map(|(_, seconds)| seconds).sum::<f64>()
                };
                Duration::from_secs_f64((0..proofs).map(taken).sum())
            });
        });
    }
    group.finish();
}
