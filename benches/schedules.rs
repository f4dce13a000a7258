//! The schedules beside each other, each run a process of its own: elapsed and processor time, memory.
//!
//! ```text
//! cargo bench -p zkbpf --bench schedules -- table       # 1,000 to 100,000 steps, one and two threads
//! cargo bench -p zkbpf --bench schedules -- auto        # both schedules and the automatic one, interleaved
//! cargo bench -p zkbpf --bench schedules -- estimate    # what was expected beside what was measured
//! cargo bench -p zkbpf --bench schedules -- long        # runs of up to a million steps
//! ```
//!
//! Runs are of a loop that multiplies, adds, stores and loads. Keys are kept in the target directory.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints tables"
)]

use std::error::Error;
use std::process::{Command, ExitCode};

use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What `zkbpf prove --json` says.
struct Run {
    elapsed: f64,
    cpu: f64,
    mebibytes: f64,
    chunks: u64,
    bytes: u64,
    k: u64,
}

/// Instructions as the command line takes them, of at most so many steps: a loop of five between two others.
fn program(steps: u64) -> String {
    let slot = |opcode: u8, registers: u8, offset: i16, imm: i32| {
        let ([o0, o1], [i0, i1, i2, i3]) = (offset.to_le_bytes(), imm.to_le_bytes());
        format!("{opcode:02x}{registers:02x}{o0:02x}{o1:02x}{i0:02x}{i1:02x}{i2:02x}{i3:02x}")
    };
    let turns = ((steps - 2) / 5) as i32;
    [
        slot(0xb7, 3, 0, turns),
        slot(0x27, 0, 0, 77),
        slot(0x7b, 0x0a, -8, 0),
        slot(0x79, 0xa4, -8, 0),
        slot(0x07, 3, 0, -1),
        slot(0x55, 3, -5, 0),
        slot(0x95, 0, 0, 0),
    ]
    .concat()
}

/// What the binary prints.
fn zkbpf(verb: &str, steps: u64, arguments: &[String]) -> Result<Value> {
    let keys = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkbpf"));
    command
        .args([verb, "--raw-hex", &program(steps), "--json", "--quiet"])
        .args(["--insecure-test-srs", "--cache-dir", keys])
        .args(["--max-steps", "10000000"])
        .args(arguments);
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn prove(steps: u64, arguments: &[&str]) -> Result<Run> {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/schedules.proof");
    let arguments = arguments.iter().copied().chain(["-o", file]);
    let arguments: Vec<String> = arguments.map(str::to_owned).collect();
    let json = zkbpf("prove", steps, &arguments)?;
    let number = |name: &str| json[name].as_f64().ok_or(format!("no {name}"));
    Ok(Run {
        elapsed: number("prove_seconds")?,
        cpu: number("cpu_seconds")?,
        mebibytes: number("peak_rss_bytes")? / f64::from(1 << 20),
        chunks: number("chunks")? as u64,
        bytes: number("proof_bytes")? as u64,
        k: number("k")? as u64,
    })
}

/// Runs with these arguments in turn, so many times, and of each the run in the middle by elapsed time.
fn medians(steps: u64, variants: &[Vec<&str>], times: usize) -> Result<Vec<Run>> {
    // Keys are made, and read once.
    for variant in variants {
        prove(steps, variant)?;
    }
    let mut runs: Vec<Vec<Run>> = variants.iter().map(|_| Vec::new()).collect();
    for _ in 0..times {
        for (variant, runs) in variants.iter().zip(&mut runs) {
            runs.push(prove(steps, variant)?);
        }
    }
    let middle = |mut runs: Vec<Run>| {
        runs.sort_by(|a, b| a.elapsed.total_cmp(&b.elapsed));
        runs.swap_remove(times / 2)
    };
    Ok(runs.into_iter().map(middle).collect())
}

fn table() -> Result<()> {
    println!(
        "| steps | chunks, k | threads | schedule | elapsed | processor | over one thread | peak | a thread |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    // The example: 50 steps, five chunks.
    for (steps, size, k) in [
        (50, "10", "10"),
        (1_000, "250", "10"),
        (10_000, "2500", "12"),
        (100_000, "25000", "15"),
    ] {
        let variant = |threads, mode| {
            let [size_flag, k_flag] = ["--chunk-size", "--k"];
            vec![
                size_flag,
                size,
                k_flag,
                k,
                "--threads",
                threads,
                "--mode",
                mode,
            ]
        };
        let variants = [
            variant("1", "sequential"),
            variant("2", "sequential"),
            variant("2", "parallel"),
            variant("2", "auto"),
        ];
        let runs = medians(steps, &variants, 3)?;
        let one = runs[0].elapsed;
        for (variant, run) in variants.iter().zip(&runs) {
            let (threads, mode) = (variant[5], variant[7]);
            println!(
                "| {steps} | {}, {k} | {threads} | {mode} | {:.2} s | {:.2} s | {:.2}x | {:.0} MiB | {:.0} MiB |",
                run.chunks,
                run.elapsed,
                run.cpu,
                one / run.elapsed,
                run.mebibytes,
                run.mebibytes / threads.parse::<f64>()?,
            );
        }
    }
    Ok(())
}

fn auto() -> Result<()> {
    println!("| chunks | sequential | parallel | auto | auto over the better |");
    println!("|---|---|---|---|---|");
    for chunks in [1, 2, 5, 20] {
        let steps: u64 = 1_000 * chunks;
        let variants = ["sequential", "parallel", "auto"]
            .map(|mode| vec!["--k", "11", "--chunk-size", "1000", "--mode", mode]);
        let runs = medians(steps, &variants, 5)?;
        let [sequential, parallel, auto] = [0, 1, 2].map(|i| runs[i].elapsed);
        println!(
            "| {} | {sequential:.2} s | {parallel:.2} s | {auto:.2} s | {:+.1} % |",
            runs[0].chunks,
            100.0 * (auto / sequential.min(parallel) - 1.0)
        );
    }
    Ok(())
}

fn estimates() -> Result<()> {
    println!(
        "| steps | engine | k | chunks | bytes | processor s expected, measured | elapsed s | MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (steps, engine, k) in [
        (200, "fast", "10"),
        (3_000, "fast", "12"),
        (14_000, "fast", "14"),
        (60_000, "fast", "15"),
        (200_000, "fast", "17"),
        (200, "stock", "10"),
        (14_000, "stock", "14"),
    ] {
        let arguments = ["--k", k, "--engine", engine];
        // The first proof of a size is what the second is expected from.
        prove(steps, &arguments)?;
        let expected = zkbpf("estimate", steps, &arguments.map(str::to_owned))?;
        let run = prove(steps, &arguments)?;
        let of = |name: &str| expected[name].as_f64().ok_or(format!("no {name}"));
        if (of("chunks")?, of("proof_bytes")?) != (run.chunks as f64, run.bytes as f64) {
            return Err(format!("{steps} steps: {expected}").into());
        }
        let memory = of("memory_bytes")? / f64::from(1 << 20);
        let beside = |expected: f64, measured: f64| {
            let off = 100.0 * (expected / measured - 1.0);
            format!("{expected:.2}, {measured:.2} ({off:+.0} %)")
        };
        println!(
            "| {steps} | {engine} | {} | {} | {} | {} | {} | {} |",
            run.k,
            run.chunks,
            run.bytes,
            beside(of("cpu_seconds")?, run.cpu),
            beside(of("prove_seconds")?, run.elapsed),
            beside(memory, run.mebibytes),
        );
    }
    Ok(())
}

fn long() -> Result<()> {
    println!("| steps | chunks, k | processor | elapsed | steps a second | peak |");
    println!("|---|---|---|---|---|---|");
    for steps in [250_000, 500_000, 1_000_000] {
        let run = prove(steps, &["--k", "17", "--threads", "2"])?;
        println!(
            "| {steps} | {}, {} | {:.1} s | {:.1} s | {:.0} | {:.0} MiB |",
            run.chunks,
            run.k,
            run.cpu,
            run.elapsed,
            steps as f64 / run.elapsed,
            run.mebibytes
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    let which = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let result = match which.as_deref() {
        Some("table") => table(),
        Some("auto") => auto(),
        Some("estimate") => estimates(),
        Some("long") => long(),
        _ => {
            eprintln!("which: table, auto, estimate or long");
            return ExitCode::SUCCESS;
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
