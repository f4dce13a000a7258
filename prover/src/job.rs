//! Jobs: a directory that keeps what a run has proved so far, to be taken up after an interruption.
//!
//! ```text
//! lock       locked while a process works on the job
//! journal    what the job is about, and what is stored
//! secret     what blinds memory at the boundaries; until the job is finished
//! chunk-N    the proof of chunk N
//! ```
//!
//! A file is written as `NAME.new`, made to last and renamed; a file that is found damaged is kept as
//! `NAME.damaged`. At any point the process may end: what bears its name is whole.
//!
//! A chunk's proof is written to `chunk-N.new`, then the journal gets its line, then the file its name. So
//! the journal counts every proof that can be found in the directory, and one that was counted and has not
//! got its name yet is still taken up.

mod identity;
mod journal;
mod session;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use verifier::{Claim, ExecutionProof, VerifyingKey, verify_execution};
use zk_circuits::RESERVED_ROWS;

use crate::error::{Error, JobError, io_error};
use crate::files;
use crate::secret::{BoundarySecret, SECRET};

pub(crate) use identity::Identity;
pub use session::Restart;
pub(crate) use session::{Frame, Proved, Session};

use journal::JOURNAL;

const LOCK: &str = "lock";
const CHUNK: &str = "chunk-";
/// The proof file, before it is moved to its place.
const PROOF: &str = "proof";
/// Behind the name of a job's directory while it is removed.
const FINISHED: &str = ".finished";

/// Times that a proof opens the polynomial of a boundary column: once at the challenge, since no constraint
/// reads these columns in another row, and once in the multi-point opening.
pub(crate) const OPENINGS: usize = 2;

/// Proofs of one chunk that may be given out under one boundary secret.
///
/// A boundary column is in the proofs of two chunks. With [`OPENINGS`] in each proof, `p` proofs of both
/// chunks tell `2·2·p` values of its polynomial, and the 8 reserved rows, random and on no bus, leave
/// those values independent of memory as long as `4·p ≤ 8`. (The commitment, the same in all of these proofs,
/// is one more linear form; the blinding rows at the end, at least 6, are there for it.) A proof counts
/// when its file gets a name; what never left the memory of a process opened nothing to anyone.
pub(crate) const PROOFS_PER_CHUNK: u32 = (RESERVED_ROWS / (2 * OPENINGS)) as u32;

/// A directory that keeps what a run has proved so far, locked for this process.
///
/// Whoever can read the directory can read the secret that hides memory at chunk boundaries, so it is made
/// for its owner only. A copy of it must not be worked on: the copies would not count each other's
/// proofs.
#[derive(Debug)]
pub struct Job {
    path: PathBuf,
    retries: u32,
    writes: Writes,
    _lock: File,
}

/// What a job's process stores, held up at will: before it ends itself, for instance, so that what it says
/// of the job stays true.
#[derive(Clone, Debug, Default)]
pub struct Writes(Arc<Mutex<()>>);

impl Writes {
    /// Waits for a chunk that is being stored; no other is until the guard is dropped.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// How often a chunk that fails is proved again, unless [`with_retries`](Self::with_retries) says
    /// otherwise.
    pub const RETRIES: u32 = 1;

    /// Takes up the job in this directory, or makes the directory; its parent must exist.
    ///
    /// # Errors
    /// If another process works on it, if it is no job's directory, or if it cannot be written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        loop {
            match files::private_dirs().create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    refuse_foreign(&path)?;
                }
                made => made.map_err(io_error(&path))?,
            }
            if let Some(lock) = lock(&path)? {
                // Another job of this place was finished, and its process killed before all was removed.
                remove_all(&finished(&path)).map_err(io_error(finished(&path)))?;
                return Ok(Self {
                    path,
                    retries: Self::RETRIES,
                    writes: Writes::default(),
                    _lock: lock,
                });
            }
        }
    }

    /// Whether there is anything at this place.
    #[must_use]
    pub fn exists(path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    /// Proves a chunk that fails, by a panic too, this many times again. A chunk that has no witness
    /// fails at once.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// To hold up what is stored.
    #[must_use]
    pub fn writes(&self) -> Writes {
        self.writes.clone()
    }

    /// Number of chunks whose proofs are in a job's directory, as far as their names tell.
    #[must_use]
    pub fn stored_chunks(path: &Path) -> usize {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries
            .filter(|entry| is_chunk(&entry.file_name().to_string_lossy()))
            .count()
    }

    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// Writes the proof file, and finishes the job. Gives the file's length.
    ///
    /// The file gets its name after its bytes were read back, parsed and verified against the claim. Then
    /// the secret is overwritten and the directory removed. The file's directory and the job's should
    /// be on one file system.
    ///
    /// # Errors
    /// If the file cannot be written, or what was written does not verify. There is no file then, or the one
    /// that was there before, and the job can be taken up again. A directory that cannot be removed is a
    /// warning.
    pub fn finish(
        self,
        proof: &ExecutionProof,
        claim: &Claim,
        key: &VerifyingKey,
        output: &Path,
    ) -> Result<usize, Error> {
        let staged =
            files::stage(&self.path, PROOF, &proof.to_bytes()).map_err(io_error(output))?;
        let bytes = fs::read(&staged).map_err(io_error(&staged))?;
        let read = ExecutionProof::from_bytes(&bytes).map_err(|error| Error::Job {
            path: self.path.clone(),
            reason: JobError::ReadBack(error),
        })?;
        verify_execution(read.chunks(), claim, key).map_err(Error::SelfCheck)?;
        match fs::rename(&staged, output) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                files::write_whole(output, &bytes).map_err(io_error(output))?;
            }
            renamed => {
                renamed.map_err(io_error(output))?;
                let parent = files::directory_of(output);
                files::sync_dir(parent).map_err(io_error(parent))?;
            }
        }
        let path = self.path.clone();
        if let Err(error) = self.remove() {
            tracing::warn!(%error, directory = %path.display(), "the finished job cannot be removed");
        }
        Ok(bytes.len())
    }

    /// Gives the job up: overwrites the secret, and removes the directory.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn remove(self) -> Result<(), Error> {
        BoundarySecret::erase(&self.path).map_err(io_error(&self.path))?;
        // One step from a whole job to none.
        let finished = finished(&self.path);
        fs::rename(&self.path, &finished).map_err(io_error(&self.path))?;
        remove_all(&finished).map_err(io_error(&finished))
    }
}

/// Locks a job's directory; `None` if it was removed in the meantime.
fn lock(path: &Path) -> Result<Option<File>, Error> {
    let name = path.join(LOCK);
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name);
    let lock = match opened {
        // A job that was finished just now takes its directory with it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !Job::exists(path) => {
            return Ok(None);
        }
        opened => opened.map_err(io_error(&name))?,
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::Job {
                path: path.to_owned(),
                reason: JobError::Busy,
            });
        }
        Err(TryLockError::Error(error)) => return Err(io_error(name)(error)),
    }
    Ok(is_at(&lock, &name).then_some(lock))
}

/// Whether the file still has this name.
#[cfg(unix)]
fn is_at(file: &File, name: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(name)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, name: &Path) -> bool {
    name.exists()
}

/// Leaves a directory alone that is not a job's.
fn refuse_foreign(path: &Path) -> Result<(), Error> {
    let foreign = |entry: String| Error::Job {
        path: path.to_owned(),
        reason: JobError::Foreign { entry },
    };
    if path.join(JOURNAL).is_file() {
        return Ok(());
    }
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let name = path.file_name().unwrap_or_default();
            return Err(foreign(name.to_string_lossy().into_owned()));
        }
        // It was removed just now, and is made again.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io_error(path))?,
    };
    for entry in entries {
        let name = entry.map_err(io_error(path))?.file_name();
        let name = name.to_string_lossy();
        if !is_ours(&name) {
            return Err(foreign(name.into_owned()));
        }
    }
    Ok(())
}

/// Whether a job makes files of this name.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    let name = name.strip_suffix(".damaged").unwrap_or(name);
    [LOCK, JOURNAL, SECRET, PROOF].contains(&name) || is_chunk(name)
}

fn is_chunk(name: &str) -> bool {
    let number = name.strip_prefix(CHUNK);
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}

fn finished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(FINISHED);
    PathBuf::from(name)
}

/// Removes a finished job's files, and the directory if nothing else is in it.
fn remove_all(directory: &Path) -> io::Result<()> {
    if !Job::exists(directory) {
        return Ok(());
    }
    BoundarySecret::erase(directory)?;
    remove_ours(directory, |_| true)?;
    fs::remove_dir(directory)
}

/// Removes those of a job's files whose names are wanted.
fn remove_ours(directory: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if is_ours(&name) && wanted(&name) {
            files::remove(&directory.join(&*name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(error: Error) -> JobError {
        match error {
            Error::Job { reason, .. } => reason,
            other => panic!("{other}"),
        }
    }

    /// The arithmetic of [`PROOFS_PER_CHUNK`] holds for the circuit as it is.
    #[test]
    fn blinding_outlasts_the_proofs_of_both_neighbours() {
        use halo2_proofs::plonk::{Circuit, ConstraintSystem};
        for k in [zk_circuits::Shape::MIN_K, 17] {
            let shape = zk_circuits::Shape::new(k, 8).expect("supported");
            let mut cs = ConstraintSystem::default();
            let _ = zk_circuits::ChunkCircuit::configure_with_params(&mut cs, shape);
            for column in 0..4 {
                let openings = cs.num_advice_queries()[column] + 1;
                assert_eq!(openings, OPENINGS, "column {column}");
            }
            let told = 2 * OPENINGS * PROOFS_PER_CHUNK as usize;
            assert!(told <= RESERVED_ROWS && cs.blinding_factors() + 1 >= 6);
        }
    }

    #[test]
    fn one_process_works_on_a_job() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("a.job");
        assert!(!Job::exists(&path));
        let job = Job::open(&path).expect("made");
        assert_eq!(
            reason(Job::open(&path).expect_err("locked")),
            JobError::Busy
        );
        drop(job);
        let job = Job::open(&path).expect("unlocked");
        assert!(Job::exists(&path));
        job.remove().expect("ours");
        assert_eq!(fs::read_dir(root.path()).expect("there").count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn its_directory_is_its_owners() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("a.job");
        let _job = Job::open(&path).expect("made");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn other_directories_are_left_alone() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("a.job");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("chunk-1.new"), b"").expect("written");
        drop(Job::open(&path).expect("a job that was killed early"));
        fs::write(path.join("diary"), b"").expect("written");
        let entry = "diary".to_owned();
        assert_eq!(
            reason(Job::open(&path).expect_err("no job")),
            JobError::Foreign { entry }
        );
        let file = root.path().join("b.job");
        fs::write(&file, b"").expect("written");
        let entry = "b.job".to_owned();
        assert_eq!(
            reason(Job::open(&file).expect_err("no directory")),
            JobError::Foreign { entry }
        );
        let missing = root.path().join("missing").join("a.job");
        let error = Job::open(missing).expect_err("no parent");
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }

    #[test]
    fn what_a_killed_removal_left_goes_with_the_next_job() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("a.job");
        let left = finished(&path);
        fs::create_dir(&left).expect("made");
        for name in ["chunk-0", "journal", "lock", SECRET] {
            fs::write(left.join(name), b"left over").expect("written");
        }
        let job = Job::open(&path).expect("made");
        assert!(!left.exists());
        job.remove().expect("ours");
        assert_eq!(fs::read_dir(root.path()).expect("there").count(), 0);
    }
}
