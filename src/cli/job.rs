//! Where `prove` keeps what it has finished, and what to say when it could not go on.

use std::path::{Path, PathBuf};

use zkbpf::Job;
use zkbpf::prover::Error;

use super::Failure;
use super::args::{Common, Prove};

/// The directory of the job that makes a proof file.
pub(crate) fn directory(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".job");
    PathBuf::from(name)
}

/// The unfinished job of the proof file, if there is one and it was asked for.
pub(crate) fn unfinished(args: &Prove, common: &Common) -> Result<Option<Job>, Failure> {
    if args.output.is_dir() {
        let message = format!("{} is a directory", args.output.display());
        return Err(Failure::usage(
            message,
            "name a file in it: -o DIRECTORY/NAME.proof",
        ));
    }
    let parent = args.output.parent();
    if let Some(parent) = parent.filter(|path| !path.as_os_str().is_empty() && !path.is_dir()) {
        let message = format!("{} is no directory", parent.display());
        return Err(Failure::usage(message, "make it first, or write elsewhere"));
    }
    let path = directory(&args.output);
    if !Job::exists(&path) {
        return Ok(None);
    }
    if !args.resume {
        return Err(Failure::usage(
            format!("an unfinished job is in {}", path.display()),
            format!(
                "to go on with it: --resume; to give it up: rm -r {}",
                path.display()
            ),
        ));
    }
    open(&path, common).map(Some)
}

pub(crate) fn open(path: &Path, common: &Common) -> Result<Job, Failure> {
    Job::open(path).map_err(|error| Failure::proving(common, &error))
}

/// A failure of the job, which stays if it has stored anything.
pub(crate) fn failed(job: Job, common: &Common, error: &Error) -> Failure {
    let path = job.path().to_owned();
    // A job that is refused is another run's.
    if Job::stored_chunks(&path) == 0 && !matches!(error, Error::Job { .. }) {
        // What cannot be removed is found by the next run.
        let _ = job.remove();
    }
    with_advice(&path, Failure::proving(common, error), error)
}

/// A failure to finish the job.
pub(crate) fn unfinishable(path: &Path, common: &Common, error: &Error) -> Failure {
    with_advice(path, Failure::proving(common, error), error)
}

fn with_advice(path: &Path, failure: Failure, error: &Error) -> Failure {
    if matches!(error, Error::Job { .. }) || !Job::exists(path) {
        failure
    } else {
        failure.advise(&how_to_go_on(path))
    }
}

/// What is stored, and how to go on with it.
pub(crate) fn how_to_go_on(path: &Path) -> String {
    format!(
        "{} stored in {}: the same command with --resume goes on from there",
        match Job::stored_chunks(path) {
            0 => "no chunk is".to_owned(),
            1 => "1 chunk is".to_owned(),
            count => format!("{count} chunks are"),
        },
        path.display()
    )
}
