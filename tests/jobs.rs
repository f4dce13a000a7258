//! Jobs of `prove` that are killed, interrupted and starved, and go on with `--resume`.
//!
//! The full number of kills: `cargo test --release --test jobs -- --ignored --nocapture`; `ZKBPF_SEED`
//! repeats one of its runs.
#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "seeds and figures")]

mod asm;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use asm::{EXIT, Fields, bytecode};
use serde_json::Value;
use tempfile::TempDir;

const CHUNKS: usize = 6;
const KEYS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");

/// `r0 = 1; r0 += 1; …; exit`: six chunks of three steps.
fn program() -> String {
    let mut slots: Vec<Fields> = vec![(0xb7, 0, 0, 0, 1)];
    slots.resize(3 * CHUNKS - 1, (0x07, 0, 0, 0, 1));
    slots.push(EXIT);
    hex::encode(bytecode(&slots))
}

/// A directory with one job, and the commands on it.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        Self { root }
    }

    fn output(&self) -> PathBuf {
        self.root.path().join("run.proof")
    }

    fn job(&self) -> PathBuf {
        self.root.path().join("run.proof.job")
    }

    fn verb(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zkbpf"));
        command
            .arg(verb)
            .args(["--raw-hex", &program(), "--insecure-test-srs", "--json"])
            .args(["--cache-dir", KEYS])
            .env_remove("ZKBPF_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn prove(&self, more: &[&str]) -> Command {
        self.prove_to(&self.output(), more)
    }

    fn prove_to(&self, output: &Path, more: &[&str]) -> Command {
        let mut command = self.verb("prove");
        command
            .args(["--k", "10", "--chunk-size", "3", "-o"])
            .arg(output)
            .args(more);
        command
    }

    /// The proof is there, valid, and nothing else is.
    fn assert_finished(&self) {
        let mut verify = self.verb("verify");
        let done = verify
            .args(["--input-hex", "", "--expect-r0", "17"])
            .arg(self.output());
        let json = succeed(done);
        assert_eq!(json["valid"], true, "{json}");
        assert_eq!(json["chunks"], CHUNKS);
        let names = fs::read_dir(self.root.path()).expect("there");
        let names: Vec<_> = names.map(|name| name.expect("there").file_name()).collect();
        assert_eq!(names, ["run.proof"]);
    }

    /// Takes up the job; gives the number of chunks that were there.
    fn resume(&self) -> u64 {
        let json = succeed(&mut self.prove(&["--resume"]));
        assert_eq!(json["chunks"], CHUNKS);
        assert_eq!(json["verified"], true);
        self.assert_finished();
        json["chunks_reused"].as_u64().expect("a number")
    }

    /// Chunks that the journal names and whose files are whole.
    fn stored(&self) -> usize {
        let journal = fs::read_to_string(self.job().join("journal")).unwrap_or_default();
        let is_there = |line: &str| {
            let mut words = line.split(' ');
            let (Some("chunk"), Some(chunk)) = (words.next(), words.next()) else {
                return false;
            };
            let hash = words.next_back().expect("a hash");
            [format!("chunk-{chunk}"), format!("chunk-{chunk}.new")]
                .iter()
                .filter_map(|name| fs::read(self.job().join(name)).ok())
                .any(|bytes| blake3::hash(&bytes).to_hex().as_str() == hash)
        };
        journal.lines().filter(|line| is_there(line)).count()
    }

    /// Waits for this many stored chunks.
    fn wait_for(&self, chunks: usize, child: &mut Child) {
        while self.stored() < chunks {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended early: {ended:?}");
            sleep(Duration::from_millis(5));
        }
    }
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("UTF-8")
}

fn succeed(command: &mut Command) -> Value {
    let done = run(command);
    let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "stdout: {stdout}\nstderr: {stderr}");
    serde_json::from_str(stdout).expect("an object")
}

/// Fails with this code; gives what it says.
fn fail(command: &mut Command, code: i32) -> String {
    let done = run(command);
    let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(
        done.status.code(),
        Some(code),
        "stdout: {stdout}\nstderr: {stderr}"
    );
    let json: Value = serde_json::from_str(stdout).expect("an object");
    assert_eq!(json["exit_code"], code);
    let text = |field: &str| json[field].as_str().expect("a string").to_owned();
    format!("{}; {}", text("error"), text("help"))
}

fn signal(name: &str, child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.expect("kill runs").success());
}

/// Every file of a directory.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("there");
    let paths = entries.map(|entry| entry.expect("there").path());
    let mut files: Vec<_> = paths
        .map(|path| (path.clone(), fs::read(path).expect("there")))
        .collect();
    files.sort();
    files
}

#[test]
fn resuming_without_a_job_starts() {
    let place = Place::new();
    assert_eq!(place.resume(), 0);
}

#[test]
fn interruptions_leave_a_job_that_goes_on() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let place = Place::new();
        let mut prove = place.prove(&["--mode", "sequential"]);
        let mut child = prove.spawn().expect("the binary runs");
        place.wait_for(2, &mut child);
        signal(name, &child);
        let done = child.wait_with_output().expect("it ends");
        let stderr = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{stderr}");
        let lines = stderr.lines().filter(|line| line.starts_with("  error: "));
        assert_eq!(lines.count(), 1, "{stderr}");
        let stored = place.stored() as u64;
        let job = place.job();
        let says = format!("{stored} chunks are stored in {}", job.display());
        assert!(
            stderr.contains(&says) && stderr.contains("--resume"),
            "{stderr}"
        );
        let json: Value = serde_json::from_str(text(&done.stdout)).expect("an object");
        assert_eq!(json["exit_code"], code);
        assert!(stored >= 2 && !place.output().exists());

        // An unfinished job is not overwritten by accident.
        let before = files(&job);
        let error = fail(&mut place.prove(&[]), 2);
        assert!(
            error.contains(job.to_str().expect("UTF-8")) && error.contains("--resume"),
            "{error}"
        );
        let other = ["--resume", "--max-steps", "1000"];
        let error = fail(&mut place.prove(&other), 2);
        assert!(error.contains("another `budget`"), "{error}");
        assert_eq!(files(&job), before);
        assert_eq!(place.resume(), stored);
    }
}

#[test]
fn one_process_works_on_a_job() {
    let place = Place::new();
    let mut child = place.prove(&[]).spawn().expect("the binary runs");
    place.wait_for(1, &mut child);
    // The first one must not finish in between.
    signal("STOP", &child);
    let error = fail(&mut place.prove(&["--resume"]), 4);
    assert!(error.contains("another process"), "{error}");
    let error = fail(&mut place.prove(&[]), 2);
    assert!(error.contains("--resume"), "{error}");
    signal("CONT", &child);
    let done = child.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", text(&done.stderr));
    place.assert_finished();
}

/// Ways in which bytes are written into texts.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(secret);
    let decimal = format!("{secret:?}");
    let inner = decimal.trim_matches(['[', ']']).to_owned();
    vec![
        secret.to_vec(),
        hex.to_uppercase().into(),
        hex.into(),
        base64(secret).trim_end_matches('=').into(),
        inner.replace(", ", ",").into(),
        inner.into(),
    ]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = String::new();
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, i| {
            word << 8 | u32::from(*group.get(i).unwrap_or(&0))
        });
        for place in 0..=group.len() {
            let digit = word >> (18 - 6 * place) & 63;
            digits.push(char::from(DIGITS[digit as usize]));
        }
    }
    digits
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_secret_is_in_its_own_file_only_and_gone_at_the_end() {
    assert_eq!(base64(b"light w"), "bGlnaHQgdw");
    let place = Place::new();
    let mut prove = place.prove(&["-vv", "--mode", "sequential"]);
    let mut child = prove.spawn().expect("the binary runs");
    place.wait_for(3, &mut child);
    signal("INT", &child);
    let first = child.wait_with_output().expect("it ends");
    assert_eq!(first.status.code(), Some(130));

    let path = place.job().join("secret");
    let secret = fs::read(&path).expect("there");
    assert_eq!(secret.len(), 32);
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mode = fs::metadata(place.job()).expect("there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);

    let mut texts: Vec<(PathBuf, Vec<u8>)> = files(&place.job());
    texts.retain(|(name, _)| *name != path);
    let mut prove = place.prove(&["-vv", "--resume"]);
    let second = run(prove.env("RUST_BACKTRACE", "full"));
    assert!(second.status.success());
    assert!(text(&second.stderr).contains("reused"), "it logs");
    texts.extend(files(place.root.path()));
    for (name, done) in [("first", first), ("second", second)] {
        texts.push((format!("{name}: stdout").into(), done.stdout));
        texts.push((format!("{name}: stderr").into(), done.stderr));
    }
    // Parts of it are as bad as the whole; eight bytes are not there by chance.
    for part in [&secret[..], &secret[..8], &secret[12..20], &secret[24..]] {
        for spelling in spellings(part) {
            assert!(contains(&[&b"a log "[..], &spelling].concat(), &spelling));
            for (name, text) in &texts {
                assert!(!contains(text, &spelling), "{}", name.display());
            }
        }
    }
    place.assert_finished();
}

/// Writes beyond a file's allowed length fail as those to a full disk do.
#[test]
fn a_full_disk_costs_nothing_that_is_stored() {
    let limited = |blocks: u32, prove: &Command| {
        // Blocks of 512 bytes; without the signal, the write fails.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, "sh"]);
        shell.arg(prove.get_program()).args(prove.get_args());
        shell.env_remove("ZKBPF_LOG");
        shell
    };
    // Keys are written before the disk is full.
    assert_eq!(Place::new().resume(), 0);

    let place = Place::new();
    let error = fail(&mut limited(8, &place.prove(&[])), 4);
    assert!(error.contains("chunk-"), "{error}");
    // Nothing was stored, so there is nothing to go on with.
    assert!(!place.job().exists() && !place.output().exists());

    // Chunks fit, the proof file does not.
    let error = fail(&mut limited(48, &place.prove(&[])), 4);
    let stored = format!("{CHUNKS} chunks are stored");
    assert!(
        error.contains("run.proof") && error.contains(&stored),
        "{error}"
    );
    assert_eq!(place.stored(), CHUNKS);
    assert!(!place.output().exists());
    let before = files(&place.job());
    fail(&mut limited(48, &place.prove(&["--resume"])), 4);
    assert_eq!(files(&place.job()), before);
    assert_eq!(place.resume(), CHUNKS as u64);
}

#[test]
fn a_place_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let nowhere = place.root.path().join("nowhere").join("run.proof");
    let error = fail(&mut place.prove_to(&nowhere, &[]), 2);
    assert!(error.contains("nowhere"), "{error}");
    if cfg!(target_os = "linux") {
        // Not even root writes there.
        let error = fail(&mut place.prove_to(Path::new("/proc/run.proof"), &[]), 4);
        assert!(error.contains("/proc/run.proof.job"), "{error}");
    }
    fs::create_dir(place.output()).expect("writable");
    let error = fail(&mut place.prove(&[]), 2);
    assert!(error.contains("is a directory"), "{error}");
    fs::remove_dir(place.output()).expect("empty");
    fs::write(place.job(), b"a file of someone's").expect("writable");
    let error = fail(&mut place.prove(&["--resume"]), 2);
    assert!(error.contains("not a job"), "{error}");
    assert_eq!(
        fs::read(place.job()).expect("there"),
        b"a file of someone's"
    );
    fs::remove_file(place.job()).expect("ours");

    let read_only = fs::Permissions::from_mode(0o500);
    fs::set_permissions(place.root.path(), read_only).expect("ours");
    if fs::write(place.output(), b"").is_ok() {
        eprintln!("skipped: root writes everywhere");
        return;
    }
    let error = fail(&mut place.prove(&[]), 4);
    assert!(error.contains("run.proof.job"), "{error}");
    let writable = fs::Permissions::from_mode(0o700);
    fs::set_permissions(place.root.path(), writable).expect("ours");
    assert_eq!(place.resume(), 0);
}

/// A small generator (splitmix64), so that a seed is enough to repeat a run.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let given = std::env::var("ZKBPF_SEED").ok();
        let seed = given.map_or_else(
            || {
                let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
                now.as_nanos() as u64
            },
            |seed| seed.parse().expect("a number"),
        );
        eprintln!("ZKBPF_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At most this long.
    fn delay(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(self.next() as f64 / u64::MAX as f64)
    }
}

/// Where a kill hit, in the order of a run.
const STAGES: [&str; 5] = [
    "before there is a journal",
    "with no chunk stored",
    "with some chunks stored",
    "with all chunks stored, before the proof file",
    "with the proof file, before the job is removed",
];

/// What kills have met.
#[derive(Debug, Default)]
struct Figures {
    kills: usize,
    stages: [usize; STAGES.len()],
    /// Chunks that were stored when a kill hit.
    stored: usize,
    reused: usize,
    proved_again: usize,
    /// Rounds whose process ended before its kill; they do not count.
    missed: usize,
}

impl Figures {
    fn print(&self) {
        eprintln!(
            "{} kills, {} missed: {} chunks were stored, {} of them reused, {} proved again",
            self.kills, self.missed, self.stored, self.reused, self.proved_again
        );
        for (stage, count) in STAGES.iter().zip(self.stages) {
            eprintln!("{count:4} {stage}");
        }
    }
}

/// Kills a process at a moment, and takes the job up.
fn kill_and_resume(figures: &mut Figures, mode: &str, moment: impl FnOnce(&Place)) {
    let place = Place::new();
    let mut prove = place.prove(&["--mode", mode]);
    let mut child = prove.spawn().expect("the binary runs");
    moment(&place);
    // The signal that cannot be caught.
    child.kill().expect("a child");
    let done = child.wait_with_output().expect("it ends");
    if done.status.signal() != Some(9) {
        assert!(done.status.success(), "{}", text(&done.stderr));
        figures.missed += 1;
        return;
    }
    let has_journal = place.job().join("journal").exists();
    let stored = place.stored();
    let stage = match (place.output().exists(), has_journal, stored) {
        (true, _, _) => 4,
        (false, false, _) => 0,
        (false, true, 0) => 1,
        (false, true, CHUNKS) => 3,
        (false, true, _) => 2,
    };
    figures.kills += 1;
    figures.stages[stage] += 1;
    if stage == 4 && !place.job().exists() {
        // Nothing is left to do but to clear away, which the next job of this place does.
        let left = place.root.path().join("run.proof.job.finished");
        let secret = left.join("secret");
        assert!(!secret.exists());
        let _ = fs::remove_dir_all(left);
        place.assert_finished();
        return;
    }
    let reused = place.resume() as usize;
    figures.stored += stored;
    figures.reused += reused;
    figures.proved_again += stored - reused;
    assert_eq!(reused, stored, "killed {}", STAGES[stage]);
}

/// How long a run takes that is left alone, with its keys in the cache.
fn usual_time() -> Duration {
    assert_eq!(Place::new().resume(), 0);
    let start = Instant::now();
    succeed(&mut Place::new().prove(&[]));
    start.elapsed()
}

fn random_kills(kills: usize) -> Figures {
    let (mut random, time) = (Random::new(), usual_time());
    let mut figures = Figures::default();
    while figures.kills < kills {
        let mode = ["sequential", "parallel"][(random.next() % 2) as usize];
        let delay = random.delay(time);
        kill_and_resume(&mut figures, mode, |_| sleep(delay));
    }
    figures.print();
    figures
}

#[test]
fn killed_jobs_go_on() {
    let figures = random_kills(3);
    assert_eq!((figures.proved_again, figures.kills), (0, 3));
}

#[test]
#[ignore = "many minutes; the command is at the top of the file"]
fn fifty_killed_jobs_go_on() {
    let figures = random_kills(50);
    assert_eq!((figures.proved_again, figures.kills), (0, 50));
}

/// Kills while a file is written.
#[test]
#[ignore = "many minutes; the command is at the top of the file"]
fn jobs_killed_in_the_act_of_writing_go_on() {
    let mut figures = Figures::default();
    usual_time();
    for name in [
        "secret.new",
        "journal.new",
        "chunk-0.new",
        "chunk-3.new",
        "chunk-5.new",
        "proof.new",
    ] {
        for _ in 0..3 {
            kill_and_resume(&mut figures, "sequential", |place| {
                let path = place.job().join(name);
                let start = Instant::now();
                while !path.exists() && !place.output().exists() {
                    assert!(start.elapsed() < Duration::from_secs(300), "{name}");
                    std::hint::spin_loop();
                }
            });
        }
    }
    figures.print();
    assert_eq!(figures.proved_again, 0);
}
