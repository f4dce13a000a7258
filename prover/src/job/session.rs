//! One process's work on a job: takes up what is stored, stores what is proved.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use blake3::Hash;
use group::GroupEncoding;
use halo2curves::bn256::G1Affine;
use rayon::prelude::*;
use verifier::{ChunkProof, ChunkStatement, Commitments, VerifyingKey, verify_chunk};
use zk_circuits::Selection;

use super::journal::{Entry, JOURNAL, Journal, Unusable};
use super::{CHUNK, Identity, Job, PROOFS_PER_CHUNK, remove_ours};
use crate::chunks::Hints;
use crate::error::{Error, JobError, io_error};
use crate::files;
use crate::secret::BoundarySecret;

const BOUNDARY_DOMAIN: &str = "zkbpf job boundary v1";

/// Why a job begins anew, with another secret, although chunks were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// The journal is missing or damaged.
    Journal,
    /// The secret is missing or damaged, or others could read it.
    Secret,
    /// A chunk was proved as often as its blinding allows, and its proof is not there.
    UsedUp,
    /// The stored chunks are not the run.
    Links,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal => "its journal is missing or damaged",
            Self::Secret => "its secret is missing, damaged or readable by others",
            Self::UsedUp => {
                "the proof of a chunk is lost that was made as often as its blinding allows"
            }
            Self::Links => "its stored chunks do not fit together",
        })
    }
}

/// A chunk's proof, and what it says.
pub(crate) type Proved = (ChunkProof, ChunkStatement);

/// What all chunks of the run have in common.
pub(crate) struct Frame<'a> {
    pub(crate) identity: Identity,
    pub(crate) key: &'a VerifyingKey,
    pub(crate) hints: &'a Hints,
    pub(crate) chunks: usize,
}

/// One process's work on a job.
pub(crate) struct Session<'a> {
    job: &'a Job,
    secret: BoundarySecret,
    journal: Mutex<Journal>,
    /// Proofs that were stored before, by chunk.
    taken: BTreeMap<usize, Proved>,
}

impl<'a> Session<'a> {
    /// Takes up what the job's directory holds, and says why if that is not what was stored.
    pub(crate) fn open(job: &'a Job, frame: &Frame<'_>) -> Result<(Self, Option<Restart>), Error> {
        let anew = |restart| Ok((Self::anew(job, frame)?, Some(restart)));
        let journal = match read_journal(job, frame.chunks)? {
            Ok(journal) => journal,
            Err(Unusable::Format(found)) => return Err(refused(job, JobError::Format { found })),
            Err(Unusable::Damaged) if Job::stored_chunks(job.path()) == 0 && !has_journal(job) => {
                return Ok((Self::anew(job, frame)?, None));
            }
            Err(Unusable::Damaged) => return anew(Restart::Journal),
        };
        if let Some(what) = journal.identity.difference(&frame.identity) {
            return Err(refused(job, JobError::Differs { what }));
        }
        let taken = take_up(job.path(), frame, &journal)?;
        let missing = (0..frame.chunks).filter(|chunk| !taken.contains_key(chunk));
        let used_up = |chunk| {
            let entry = journal.entries.get(&chunk);
            entry.is_some_and(|entry| entry.proofs >= PROOFS_PER_CHUNK)
        };
        // What is there needs the secret no more.
        let is_done = taken.len() == frame.chunks;
        let secret = match BoundarySecret::read(job.path(), journal.secret) {
            Some(secret) => secret,
            None if is_done => BoundarySecret::draw(),
            None if journal.entries.is_empty() => return Ok((Self::anew(job, frame)?, None)),
            None => return anew(Restart::Secret),
        };
        if missing.into_iter().any(used_up) {
            return anew(Restart::UsedUp);
        }
        let session = Self {
            job,
            secret,
            journal: Mutex::new(journal),
            taken,
        };
        Ok((session, None))
    }

    /// Discards what is stored, and draws another secret.
    pub(crate) fn anew(job: &'a Job, frame: &Frame<'_>) -> Result<Self, Error> {
        let path = job.path();
        let failed = || io_error(path);
        BoundarySecret::erase(path).map_err(failed())?;
        remove_ours(path, |name| name.starts_with(CHUNK)).map_err(failed())?;
        let secret = BoundarySecret::draw();
        secret.write(path).map_err(failed())?;
        let session = Self {
            job,
            journal: Mutex::new(Journal::new(frame.identity.clone(), secret.tag())),
            secret,
            taken: BTreeMap::new(),
        };
        session.change_journal(|_| ())?;
        Ok(session)
    }

    pub(crate) fn secret(&self) -> &BoundarySecret {
        &self.secret
    }

    /// The proofs that were stored before.
    pub(crate) fn taken(&self) -> &BTreeMap<usize, Proved> {
        &self.taken
    }

    pub(crate) fn retries(&self) -> u32 {
        self.job.retries()
    }

    /// Stores the proof of a chunk.
    pub(crate) fn store(&self, chunk: usize, (proof, statement): &Proved) -> Result<(), Error> {
        let path = self.job.path();
        let name = name_of(chunk);
        let failed = || io_error(path.join(&name));
        let bytes = bare(proof).to_bytes();
        let _held = self.job.writes.hold();
        files::stage(path, &name, &bytes).map_err(failed())?;
        let [entry, exit] = boundaries(statement.commitments());
        self.change_journal(|journal| {
            let before = journal.entries.get(&chunk);
            let entry = Entry {
                proofs: before.map_or(0, |before| before.proofs) + 1,
                entry,
                exit,
                proof: blake3::hash(&bytes),
            };
            journal.entries.insert(chunk, entry);
        })?;
        files::commit(path, &name).map_err(failed())
    }

    /// Writes a changed journal, which is kept only if it was written.
    fn change_journal(&self, change: impl FnOnce(&mut Journal)) -> Result<(), Error> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = journal.clone();
        change(&mut changed);
        let path = self.job.path();
        files::stage(path, JOURNAL, changed.to_text().as_bytes())
            .and_then(|_| files::commit(path, JOURNAL))
            .map_err(io_error(path.join(JOURNAL)))?;
        *journal = changed;
        Ok(())
    }
}

fn refused(job: &Job, reason: JobError) -> Error {
    Error::Job {
        path: job.path().to_owned(),
        reason,
    }
}

fn name_of(chunk: usize) -> String {
    format!("{CHUNK}{chunk}")
}

/// As it is stored: without the hints, which all chunks share and the plan knows.
fn bare(proof: &ChunkProof) -> ChunkProof {
    ChunkProof {
        pages: [].into(),
        input: [].into(),
        selection: Arc::new(Selection::Whole),
        ..proof.clone()
    }
}

/// Digests of the commitments of memory at both ends of a chunk.
fn boundaries(commitments: &Commitments) -> [Hash; 2] {
    [&commitments.entry, &commitments.exit].map(|lanes: &[G1Affine; 2]| {
        let mut hasher = blake3::Hasher::new_derive_key(BOUNDARY_DOMAIN);
        for point in lanes {
            hasher.update(point.to_bytes().as_ref());
        }
        hasher.finalize()
    })
}

fn has_journal(job: &Job) -> bool {
    Job::exists(&job.path().join(JOURNAL))
}

fn read_journal(job: &Job, chunks: usize) -> Result<Result<Journal, Unusable>, Error> {
    let path = job.path().join(JOURNAL);
    let bytes = read_at_most(&path, Journal::max_bytes(chunks)).map_err(io_error(&path))?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.map_or(Err(Unusable::Damaged), |text| Journal::from_text(&text)))
}

/// A file's bytes; `None` if there is none or it is longer.
fn read_at_most(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The stored proofs that are what the journal says, are valid, and fit their neighbours. Others are set
/// aside.
fn take_up(
    directory: &Path,
    frame: &Frame<'_>,
    journal: &Journal,
) -> Result<BTreeMap<usize, Proved>, Error> {
    let found = journal
        .entries
        .par_iter()
        .filter(|(chunk, _)| **chunk < frame.chunks)
        .map(|(chunk, entry)| Ok((*chunk, load(directory, frame, *chunk, entry)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut taken: BTreeMap<usize, Proved> = BTreeMap::new();
    for (chunk, loaded) in found {
        match loaded {
            Ok(proved) => {
                taken.insert(chunk, proved);
            }
            Err(reason) => set_aside(directory, chunk, reason)?,
        }
    }
    let misfits: Vec<usize> = taken
        .keys()
        .copied()
        .filter(|chunk| {
            let next = journal.entries.get(&(chunk + 1));
            let before = chunk.checked_sub(1).and_then(|i| journal.entries.get(&i));
            let own = &journal.entries[chunk];
            next.is_some_and(|next| next.entry != own.exit)
                || before.is_some_and(|before| before.exit != own.entry)
        })
        .collect();
    for chunk in misfits {
        taken.remove(&chunk);
        set_aside(directory, chunk, "it does not fit its neighbour")?;
    }
    Ok(taken)
}

/// One stored proof, or what is wrong with it.
fn load(
    directory: &Path,
    frame: &Frame<'_>,
    chunk: usize,
    entry: &Entry,
) -> Result<Result<Proved, &'static str>, Error> {
    let name = name_of(chunk);
    let path = directory.join(&name);
    // The hints take a few bytes, the public values and lengths as many as there are of them.
    let limit = frame.key.proof_bytes() as u64 + 1024;
    let is_it = |bytes: &Vec<u8>| blake3::hash(bytes) == entry.proof;
    let mut bytes = read_at_most(&path, limit).map_err(io_error(&path))?;
    if !bytes.as_ref().is_some_and(is_it) {
        // The process may have ended between journal and name.
        let staged = directory.join(files::staged(&name));
        let other = read_at_most(&staged, limit).map_err(io_error(staged))?;
        if let Some(other) = other.filter(is_it) {
            files::commit(directory, &name).map_err(io_error(&path))?;
            bytes = Some(other);
        }
    }
    let Some(bytes) = bytes else {
        return Ok(Err("its file is missing or too long"));
    };
    if !is_it(&bytes) {
        return Ok(Err("its file is not what was stored"));
    }
    let Ok(stored) = ChunkProof::from_bytes(&bytes) else {
        return Ok(Err("its file cannot be parsed"));
    };
    let proof = frame
        .hints
        .complete(stored.key, stored.instance, stored.proof);
    let Ok(statement) = verify_chunk(&proof, frame.key) else {
        return Ok(Err("its proof is not valid"));
    };
    if proof.instance.index != chunk as u64 {
        return Ok(Err("it is another chunk"));
    }
    if boundaries(statement.commitments()) != [entry.entry, entry.exit] {
        return Ok(Err("it has other boundaries"));
    }
    Ok(Ok((proof, statement)))
}

/// Keeps a file that is no use under another name.
fn set_aside(directory: &Path, chunk: usize, reason: &str) -> Result<(), Error> {
    let from = directory.join(name_of(chunk));
    let to = directory.join(format!("{}.damaged", name_of(chunk)));
    tracing::warn!(chunk, reason, "a stored chunk is proved again");
    match fs::rename(&from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.map_err(io_error(from)),
    }
}
