//! Jobs that are stopped, damaged and taken up again, with real proofs on the smallest circuit.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use bpf_tracer::ExecutionTrace;
use common::{config, trace};
use prover::{
    ChunkFailure, Error, Event, Job, JobError, KeygenConfig, Restart, Schedule, claim_of,
    prove_execution_resumable, run_info,
};
use tempfile::TempDir;
use verifier::{Claim, ExecutionProof, VerifyError, verify_execution};

/// Steps of the run; ten are a chunk.
const STEPS: usize = 35;
const CHUNKS: usize = 4;

static TRACE: LazyLock<ExecutionTrace> = LazyLock::new(|| trace(STEPS, 5));

/// What a process did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work {
    reused: BTreeSet<usize>,
    proved: BTreeSet<usize>,
    retried: Vec<usize>,
    restart: Option<Restart>,
}

impl Work {
    fn add(&mut self, event: Event) {
        match event {
            Event::ChunkReused { chunk } => assert!(self.reused.insert(chunk)),
            Event::ChunkFinished { chunk } => assert!(self.proved.insert(chunk)),
            Event::ChunkRetried { chunk } => self.retried.push(chunk),
            Event::JobRestarted { reason } => {
                // What was reused was in vain.
                self.reused.clear();
                self.proved.clear();
                self.restart = Some(reason);
            }
            _ => {}
        }
    }
}

type Result<T> = std::result::Result<T, Error>;

fn work(
    trace: &ExecutionTrace,
    config: &KeygenConfig,
    schedule: Schedule,
    job: &Job,
    disturb: impl Fn(Event) + Sync,
) -> (Work, Result<Vec<verifier::ChunkProof>>) {
    let work = Mutex::new(Work::default());
    let proofs = prove_execution_resumable(trace, config, schedule, job, |event| {
        work.lock().expect("no panic").add(event);
        disturb(event);
    });
    (work.into_inner().expect("no panic"), proofs)
}

/// Proves a run's first chunks, and then the process stops.
fn stopped_after(chunks: usize, directory: &Path) {
    let job = Job::open(directory).expect("writable");
    let stop = |event| {
        if matches!(event, Event::ChunkFinished { chunk } if chunk + 1 == chunks) {
            resume_unwind(Box::new("stopped"));
        }
    };
    let stopped = catch_unwind(AssertUnwindSafe(|| {
        work(&TRACE, config(), Schedule::Sequential, &job, stop)
    }));
    stopped.expect_err("it stops in the middle");
    assert_eq!(Job::stored_chunks(job.path()), chunks);
}

/// Takes the job up and finishes it: the proof is valid.
fn finish(directory: &Path) -> Work {
    let job = Job::open(directory).expect("a job");
    let (work, proofs) = work(&TRACE, config(), Schedule::Auto, &job, |_| ());
    let proofs = proofs.expect("proved");
    let key = config().verifying_key().expect("keys");
    let claim = claim_of(&TRACE);
    let statement = verify_execution(&proofs, &claim, &key).expect("valid");
    assert_eq!(statement.outcome, TRACE.outcome());
    assert_eq!(statement.chunks, Some(CHUNKS));

    let info = run_info(&TRACE, config()).expect("keys");
    let proof = ExecutionProof::new(info, proofs).expect("one run");
    let output = directory.with_extension("proof");
    job.finish(&proof, &claim, &key, &output).expect("written");
    assert!(!directory.exists());
    let file = ExecutionProof::from_bytes(&fs::read(output).expect("there")).expect("a proof");
    verify_execution(file.chunks(), &claim, &key).expect("valid");
    assert_eq!(file, proof);
    work
}

/// A copy of a job of which the first three of four chunks are stored.
fn three_of_four() -> (TempDir, PathBuf) {
    static ORIGINAL: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let (root, directory) = empty();
        stopped_after(3, &directory);
        (root, directory)
    });
    copy_of(&ORIGINAL.1)
}

/// As [`three_of_four`], of the same run, with another secret.
fn another_three_of_four() -> (TempDir, PathBuf) {
    static ORIGINAL: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let (root, directory) = empty();
        stopped_after(3, &directory);
        (root, directory)
    });
    copy_of(&ORIGINAL.1)
}

fn empty() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let directory = root.path().join("run.job");
    (root, directory)
}

fn copy_of(original: &Path) -> (TempDir, PathBuf) {
    let (root, directory) = empty();
    drop(Job::open(&directory).expect("writable"));
    for entry in fs::read_dir(original).expect("there") {
        let name = entry.expect("there").file_name();
        fs::copy(original.join(&name), directory.join(name)).expect("copied");
    }
    (root, directory)
}

fn set<const N: usize>(chunks: [usize; N]) -> BTreeSet<usize> {
    chunks.into()
}

/// Changes the journal as a text, and makes its checksum right.
fn edit_journal(directory: &Path, edit: impl FnOnce(&str) -> String) {
    let path = directory.join("journal");
    let text = fs::read_to_string(&path).expect("there");
    let (body, _) = text.rsplit_once("checksum ").expect("a checksum");
    let edited = edit(body);
    assert_ne!(edited, body);
    let checksum = blake3::hash(edited.as_bytes());
    fs::write(&path, format!("{edited}checksum {checksum}\n")).expect("written");
}

fn job_error(error: Error) -> JobError {
    match error {
        Error::Job { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn a_stopped_job_goes_on_where_it_stopped() {
    let (_root, directory) = three_of_four();
    let work = finish(&directory);
    assert_eq!((work.reused, work.proved), (set([0, 1, 2]), set([3])));
    assert_eq!(work.restart, None);
}

#[test]
fn a_job_that_is_not_stopped_proves_every_chunk_once() {
    let (_root, directory) = empty();
    let work = finish(&directory);
    assert_eq!((work.reused, work.proved), (set([]), set([0, 1, 2, 3])));
}

#[test]
fn nothing_is_stored_while_writes_are_held() {
    let (_root, directory) = empty();
    let job = Job::open(&directory).expect("writable");
    let writes = job.writes();
    thread::scope(|scope| {
        let held = writes.hold();
        let proving = scope.spawn(|| work(&TRACE, config(), Schedule::Sequential, &job, |_| ()));
        // Much longer than a chunk takes.
        thread::sleep(Duration::from_secs(5));
        let names = fs::read_dir(&directory).expect("there");
        let names = names.map(|entry| entry.expect("there").file_name());
        let chunks = names.filter(|name| name.to_string_lossy().starts_with("chunk-"));
        assert_eq!(chunks.count(), 0);
        drop(held);
        let (_, proofs) = proving.join().expect("no panic");
        assert_eq!(proofs.expect("proved").len(), CHUNKS);
    });
    assert_eq!(Job::stored_chunks(&directory), CHUNKS);
}

#[test]
fn a_job_with_all_chunks_needs_no_secret() {
    let (_root, directory) = empty();
    stopped_after(CHUNKS, &directory);
    fs::remove_file(directory.join("secret")).expect("removed");
    let work = finish(&directory);
    assert_eq!((work.reused, work.restart), (set([0, 1, 2, 3]), None));
}

#[test]
fn damaged_chunks_alone_are_proved_again() {
    type Damage = fn(&Path, &Path);
    let damages: [(&str, Damage, BTreeSet<usize>); 9] = [
        ("nothing", |_, _| (), set([0, 1, 2])),
        (
            "truncated",
            |job, _| {
                let path = job.join("chunk-1");
                let bytes = fs::read(&path).expect("there");
                fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
            },
            set([0, 2]),
        ),
        (
            "longer",
            |job, _| {
                let path = job.join("chunk-0");
                let mut bytes = fs::read(&path).expect("there");
                bytes.resize(1 << 20, 0);
                fs::write(path, bytes).expect("written");
            },
            set([1, 2]),
        ),
        (
            "flipped",
            |job, _| {
                let path = job.join("chunk-2");
                let mut bytes = fs::read(&path).expect("there");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                fs::write(path, bytes).expect("written");
            },
            set([0, 1]),
        ),
        (
            "missing",
            |job, _| fs::remove_file(job.join("chunk-0")).expect("removed"),
            set([1, 2]),
        ),
        (
            "swapped",
            |job, _| {
                fs::rename(job.join("chunk-0"), job.join("aside")).expect("renamed");
                fs::rename(job.join("chunk-1"), job.join("chunk-0")).expect("renamed");
                fs::rename(job.join("aside"), job.join("chunk-1")).expect("renamed");
            },
            set([2]),
        ),
        (
            "of another job",
            |job, other| {
                fs::copy(other.join("chunk-1"), job.join("chunk-1")).expect("copied");
            },
            set([0, 2]),
        ),
        (
            "of another job, in the journal too",
            |job, other| {
                fs::copy(other.join("chunk-1"), job.join("chunk-1")).expect("copied");
                let journal = fs::read_to_string(other.join("journal")).expect("there");
                let line = |text: &str| {
                    let line = text.lines().find(|line| line.starts_with("chunk 1 "));
                    line.expect("a line").to_owned()
                };
                edit_journal(job, |own| own.replace(&line(own), &line(&journal)));
            },
            // It does not fit its neighbours, nor they it.
            set([]),
        ),
        (
            "not renamed yet",
            |job, _| {
                fs::rename(job.join("chunk-2"), job.join("chunk-2.new")).expect("renamed");
            },
            set([0, 1, 2]),
        ),
    ];
    let (_other_root, other) = another_three_of_four();
    for (name, damage, reused) in damages {
        let (_root, directory) = three_of_four();
        damage(&directory, &other);
        let work = finish(&directory);
        assert_eq!((work.reused, work.restart), (reused, None), "{name}");
    }
}

#[test]
fn a_job_that_lost_its_journal_or_secret_begins_anew() {
    type Damage = fn(&Path, &Path);
    let damages: [(&str, Damage, Restart); 6] = [
        (
            "torn journal",
            |job, _| {
                let path = job.join("journal");
                let text = fs::read(&path).expect("there");
                fs::write(path, &text[..text.len() - 40]).expect("written");
            },
            Restart::Journal,
        ),
        (
            "no journal",
            |job, _| fs::remove_file(job.join("journal")).expect("removed"),
            Restart::Journal,
        ),
        (
            "no secret",
            |job, _| fs::remove_file(job.join("secret")).expect("removed"),
            Restart::Secret,
        ),
        (
            "another job's secret",
            |job, other| {
                fs::copy(other.join("secret"), job.join("secret")).expect("copied");
            },
            Restart::Secret,
        ),
        (
            "another job's secret, in the journal too",
            |job, other| {
                fs::copy(other.join("secret"), job.join("secret")).expect("copied");
                let journal = fs::read_to_string(other.join("journal")).expect("there");
                let line = |text: &str| {
                    let line = text.lines().find(|line| line.starts_with("secret "));
                    line.expect("a line").to_owned()
                };
                edit_journal(job, |own| own.replace(&line(own), &line(&journal)));
            },
            Restart::Links,
        ),
        (
            "a lost proof that was the last one allowed",
            |job, _| {
                edit_journal(job, |own| {
                    own.replace("chunk 1 proofs 1", "chunk 1 proofs 2")
                });
                fs::remove_file(job.join("chunk-1")).expect("removed");
            },
            Restart::UsedUp,
        ),
    ];
    let (_other_root, other) = another_three_of_four();
    for (name, damage, restart) in damages {
        let (_root, directory) = three_of_four();
        let secret = fs::read(directory.join("secret")).expect("there");
        damage(&directory, &other);
        let job = Job::open(&directory).expect("a job");
        let look = |event| {
            if event == (Event::ChunkFinished { chunk: 3 }) {
                let other = fs::read(directory.join("secret")).expect("there");
                assert_ne!(secret, other, "{name}: the secret is another one");
            }
        };
        let (work, proofs) = work(&TRACE, config(), Schedule::Sequential, &job, look);
        let key = config().verifying_key().expect("keys");
        let proofs = proofs.expect(name);
        verify_execution(&proofs, &claim_of(&TRACE), &key).expect(name);
        assert_eq!(work.restart, Some(restart), "{name}");
        assert_eq!((work.reused, work.proved), (set([]), set([0, 1, 2, 3])));
    }
}

/// The journal counts; the third proof of a chunk has another secret.
#[test]
fn no_chunk_is_proved_more_often_than_its_blinding_allows() {
    let (_root, directory) = three_of_four();
    let secret = || fs::read(directory.join("secret")).expect("there");
    let first = secret();
    let mut seen = Vec::new();
    for _ in 0..3 {
        fs::write(directory.join("chunk-2"), b"damaged").expect("written");
        let job = Job::open(&directory).expect("a job");
        let stop = |event| {
            if event == (Event::ChunkFinished { chunk: 2 }) {
                resume_unwind(Box::new("stopped"));
            }
        };
        let stopped = catch_unwind(AssertUnwindSafe(|| {
            work(&TRACE, config(), Schedule::Sequential, &job, stop)
        }));
        stopped.expect_err("it stops");
        seen.push(secret() == first);
    }
    // Once more with the first secret; then twice with another, once anew and once more.
    assert_eq!(seen, [true, false, false]);
    let journal = fs::read_to_string(directory.join("journal")).expect("there");
    assert!(journal.contains("chunk 2 proofs 2 ") && journal.contains("chunk 1 proofs 1 "));
}

#[test]
fn a_job_about_something_else_is_refused_and_stays_as_it_is() {
    let (_root, directory) = three_of_four();
    let files = || {
        let mut files: Vec<_> = fs::read_dir(&directory)
            .expect("there")
            .map(|entry| entry.expect("there").path())
            .map(|path| (path.clone(), fs::read(path).expect("there")))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let refused = |trace: &ExecutionTrace, config: &KeygenConfig| {
        let job = Job::open(&directory).expect("a job");
        let (work, proofs) = work(trace, config, Schedule::Auto, &job, |_| ());
        assert_eq!(work, Work::default());
        job_error(proofs.expect_err("another run"))
    };
    let differs = |what| JobError::Differs { what };
    let other_budget = {
        let program = common::program((STEPS as i32 - 5) / 3, (STEPS - 5) % 3);
        let tracer = bpf_tracer::Tracer::new(&program).input(common::input(5));
        tracer.step_limit(999).trace().expect("the input fits")
    };
    let eleven = KeygenConfig::new(11, config().cache_dir(), 8)
        .with_chunk_size(10)
        .with_insecure_test_srs();
    let sized = config().clone().with_chunk_size(9);
    let same_number = config().clone().with_chunk_size(11);
    let whole = config().clone().with_whole_program();
    for (trace, config, what) in [
        (&trace(STEPS, 6), config(), "input"),
        (&trace(STEPS + 1, 5), config(), "program"),
        (&other_budget, config(), "budget"),
        (&TRACE, &eleven, "k"),
        (&TRACE, &sized, "chunking"),
        (&TRACE, &same_number, "chunking"),
        (&TRACE, &whole, "chunking"),
    ] {
        assert_eq!(refused(trace, config), differs(what));
        assert_eq!(files(), before, "{what}");
    }
    let key = config().verifying_key().expect("keys").id().to_string();
    edit_journal(&directory, |own| own.replace(&key, &"0".repeat(64)));
    assert_eq!(refused(&TRACE, config()), differs("key"));
    edit_journal(&directory, |own| own.replace("zkbpf job 1", "zkbpf job 2"));
    assert_eq!(refused(&TRACE, config()), JobError::Format { found: 2 });
}

#[test]
fn a_panic_in_one_chunk_is_its_error_and_the_others_are_kept() {
    let (_root, directory) = empty();
    let job = Job::open(&directory).expect("writable");
    let disturb = |event| {
        if event == (Event::ChunkStarted { chunk: 1 }) {
            panic!("injected");
        }
    };
    let threads = config().clone().with_threads(4);
    let (work, proofs) = work(&TRACE, &threads, Schedule::Parallel, &job, disturb);
    let error = proofs.expect_err("one chunk panics");
    let Error::Chunk { chunk: 1, reason } = error else {
        panic!("{error}");
    };
    assert!(
        matches!(&reason, ChunkFailure::Panic(text) if text == "injected"),
        "{reason}"
    );
    assert_eq!(work.retried, [1]);
    let kept = work.proved;
    assert!(!kept.is_empty() && !kept.contains(&1));
    assert_eq!(Job::stored_chunks(job.path()), kept.len());
    drop(job);
    let work = finish(&directory);
    assert_eq!(work.reused, kept);
}

#[test]
fn a_panic_that_passes_is_proved_over() {
    let (_root, directory) = empty();
    let disturbed = Mutex::new(0);
    let disturb = |event| {
        if event == (Event::ChunkStarted { chunk: 2 }) {
            let count = {
                let mut count = disturbed.lock().expect("no panic");
                *count += 1;
                *count
            };
            assert_ne!(count, 1, "injected");
        }
    };
    let job = Job::open(&directory).expect("writable");
    let (work, proofs) = work(&TRACE, config(), Schedule::Sequential, &job, disturb);
    proofs.expect("proved at the second try");
    assert_eq!((work.retried, work.proved), (vec![2], set([0, 1, 2, 3])));
    // A proof that was not given out is not counted.
    let journal = fs::read_to_string(directory.join("journal")).expect("there");
    assert!(journal.contains("chunk 2 proofs 1 "), "{journal}");

    let (_root, directory) = empty();
    let job = Job::open(&directory).expect("writable").with_retries(0);
    let panics = |event| assert_ne!(event, Event::ChunkStarted { chunk: 0 });
    let (work, proofs) = self::work(&TRACE, config(), Schedule::Sequential, &job, panics);
    assert!(matches!(proofs, Err(Error::Chunk { chunk: 0, .. })));
    assert_eq!(work, Work::default());
}

#[test]
fn a_proof_file_is_verified_before_it_has_its_name() {
    let (root, directory) = empty();
    stopped_after(CHUNKS, &directory);
    let key = config().verifying_key().expect("keys");
    let output = root.path().join("run.proof");
    fs::write(&output, b"what was there before").expect("written");
    let prove = || {
        let job = Job::open(&directory).expect("a job");
        let (work, proofs) = work(&TRACE, config(), Schedule::Auto, &job, |_| ());
        assert_eq!(work.reused.len(), CHUNKS);
        let info = run_info(&TRACE, config()).expect("keys");
        let proof = ExecutionProof::new(info, proofs.expect("stored")).expect("one run");
        (job, proof)
    };
    let claim = claim_of(&TRACE);
    let (job, proof) = prove();
    let other = Claim {
        output: Some(vec![0; 16]),
        ..claim.clone()
    };
    let error = job.finish(&proof, &other, &key, &output);
    let error = error.expect_err("another output");
    assert!(
        matches!(error, Error::SelfCheck(VerifyError::Claim { .. })),
        "{error}"
    );
    assert_eq!(fs::read(&output).expect("there"), b"what was there before");

    let (job, proof) = prove();
    let nowhere = root.path().join("missing").join("run.proof");
    let error = job.finish(&proof, &claim, &key, &nowhere);
    assert!(matches!(error, Err(Error::Io { .. })), "{error:?}");

    let (job, proof) = prove();
    job.finish(&proof, &claim, &key, &output).expect("written");
    let file = fs::read(&output).expect("there");
    assert_eq!(ExecutionProof::from_bytes(&file), Ok(proof));
    let names = fs::read_dir(root.path()).expect("there").count();
    assert_eq!(names, 1, "nothing but the proof is left");
}
