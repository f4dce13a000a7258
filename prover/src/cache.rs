//! A cache of large files. Entries are named by what they contain, immutable, and verified on every load.
//!
//! An entry is a directory with `data` and `manifest` (name, size and BLAKE3 of the data). It is written to
//! a temporary directory and renamed, by one process at a time (an advisory lock on `NAME.lock`, which the
//! system frees when its holder dies); readers take no lock and write nothing. An entry that is not what its
//! manifest says, or that is not what its name says, is moved to `NAME.damaged` and built again.
//!
//! Nobody needs the cache: where it cannot be read or written, what was to be kept there is built and used, with
//! a warning. Nothing is parsed before it has been compared with its digest. This guards against accidents;
//! whoever may write to the directory can replace keys, so it is created for its owner only.

mod disk;
mod entry;
mod inventory;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::error::Error;
use crate::files;
use disk::Lock;
use entry::{DATA, MANIFEST, manifest_of, read};

pub use inventory::{CacheEntry, CacheKind, CacheState, is_cache_file};

/// How the names of unfinished entries begin: then the entry's name, `-`, and something random.
const WRITING: &str = ".writing-";
const DAMAGED: &str = ".damaged";
const LOCK: &str = ".lock";

/// A directory of entries.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Which entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// No such entry is larger.
    pub(crate) max_bytes: u64,
}

/// What an entry holds, or what was built in its place.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    pub(crate) value: T,
    /// Why it is not in the cache now.
    pub(crate) unkept: Option<Unkept>,
}

impl<T> Cached<T> {
    /// Whether it is in the cache now.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> bool {
        self.unkept.is_none()
    }
}

/// What could not be written, and why.
#[derive(Clone, Debug)]
pub(crate) struct Unkept {
    pub(crate) entry: String,
    pub(crate) reason: String,
}

/// What a look at an entry found.
enum Found<T> {
    Entry(T),
    Nothing,
    Damaged(String),
}

impl Cache {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// What the entry holds, if there is an intact one that `parse` accepts.
    pub(crate) fn load<T>(&self, entry: &Entry, parse: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        match self.look(entry, &parse) {
            Found::Entry(value) => Some(value),
            Found::Nothing => None,
            Found::Damaged(reason) => {
                tracing::debug!(entry = entry.name, reason, "a cache entry is not used");
                None
            }
        }
    }

    /// What the entry holds; if there is no intact one that `parse` accepts, it is built and written.
    ///
    /// The only errors are those of `build`.
    pub(crate) fn load_or_build<T>(
        &self,
        entry: &Entry,
        parse: impl Fn(&[u8]) -> Option<T>,
        build: impl FnOnce() -> Result<(T, Vec<u8>), Error>,
    ) -> Result<Cached<T>, Error> {
        let found = |value| Cached {
            value,
            unkept: None,
        };
        if let Found::Entry(value) = self.look(entry, &parse) {
            return Ok(found(value));
        }
        let place = match self.reserve(entry) {
            // Another process may have built it while this one waited.
            Ok(lock) => match self.look(entry, &parse) {
                Found::Entry(value) => return Ok(found(value)),
                Found::Nothing => Ok(lock),
                Found::Damaged(reason) => self.set_aside(entry, &reason).map(|()| lock),
            },
            Err(error) => Err(error),
        };
        let (value, data) = build()?;
        let unkept = match place.and_then(|_lock| self.write(entry, &data)) {
            Ok(()) => None,
            // Without locks another process may have been faster.
            Err(_) if matches!(self.look(entry, &parse), Found::Entry(_)) => None,
            Err(error) => {
                self.warn(entry, &error);
                Some(Unkept {
                    entry: entry.name.clone(),
                    reason: error.to_string(),
                })
            }
        };
        Ok(Cached { value, unkept })
    }

    fn look<T>(&self, entry: &Entry, parse: &impl Fn(&[u8]) -> Option<T>) -> Found<T> {
        let data = match read(&self.root, entry) {
            Ok(Some(data)) => data,
            Ok(None) => return Found::Nothing,
            Err(reason) => return Found::Damaged(reason),
        };
        // Parsers of the proof system panic on malformed bytes.
        match catch_unwind(AssertUnwindSafe(|| parse(&data))) {
            Ok(Some(value)) => Found::Entry(value),
            Ok(None) | Err(_) => Found::Damaged("the data is not what the name says".to_owned()),
        }
    }

    /// Makes the directory and takes the entry's lock, and removes what killed processes left behind.
    /// A file system without locks is no error: then two processes may do the same work.
    fn reserve(&self, entry: &Entry) -> io::Result<Option<Lock>> {
        files::private_dirs().recursive(true).create(&self.root)?;
        let lock = Lock::take(&self.path(entry, LOCK), &entry.name)?;
        if lock.is_some() {
            self.remove_unfinished(entry);
        }
        Ok(lock)
    }

    /// Removes unfinished entries whose writers are gone: those of this entry, whose lock is held here, and
    /// those whose lock nobody holds.
    fn remove_unfinished(&self, own: &Entry) {
        let files = self.names().filter(|file| is_cache_file(file));
        let unfinished = files.filter_map(|file| {
            let (name, _) = file.strip_prefix(WRITING)?.rsplit_once('-')?;
            Some((self.root.join(&file), name.to_owned()))
        });
        for (path, name) in unfinished {
            let lock = (name != own.name).then(|| self.root.join(format!("{name}{LOCK}")));
            if lock.is_none_or(|lock| Lock::is_free(&lock)) && disk::remove(&path).is_ok() {
                tracing::info!(path = %path.display(), "removed what a killed process left");
            }
        }
    }

    /// Moves an entry out of the way. One damaged entry is kept, for whoever wants to know what happened.
    fn set_aside(&self, entry: &Entry, reason: &str) -> io::Result<()> {
        for file in self.names() {
            if is_cache_file(&file) && file.ends_with(DAMAGED) {
                disk::remove(&self.root.join(file))?;
            }
        }
        let aside = self.path(entry, DAMAGED);
        fs::rename(self.path(entry, ""), &aside)?;
        tracing::warn!(
            entry = entry.name, reason, moved_to = %aside.display(),
            "a cache entry is damaged and is built again"
        );
        Ok(())
    }

    fn write(&self, entry: &Entry, data: &[u8]) -> io::Result<()> {
        let temporary = tempfile::Builder::new()
            .prefix(&format!("{WRITING}{}-", entry.name))
            .tempdir_in(&self.root)?;
        let manifest = manifest_of(&entry.name, data);
        disk::write_synced(&temporary.path().join(DATA), data)?;
        disk::write_synced(&temporary.path().join(MANIFEST), manifest.as_bytes())?;
        files::sync_dir(temporary.path())?;
        fs::rename(temporary.path(), self.path(entry, ""))?;
        // The temporary directory is gone; nothing is left to remove.
        let _ = temporary.keep();
        files::sync_dir(&self.root)
    }

    fn warn(&self, entry: &Entry, error: &io::Error) {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space there",
            _ => "choose a directory that can be written",
        };
        tracing::warn!(
            entry = entry.name, directory = %self.root.display(), %error, advice,
            "the cache cannot be written: what was made is used now, and made again next time"
        );
    }

    fn path(&self, entry: &Entry, suffix: &str) -> PathBuf {
        self.root.join(format!("{}{suffix}", entry.name))
    }

    /// Names of the files in the directory; none if it cannot be read.
    fn names(&self) -> impl Iterator<Item = String> {
        let files = fs::read_dir(&self.root).into_iter().flatten().flatten();
        files.filter_map(|file| file.file_name().into_string().ok())
    }
}

#[cfg(test)]
mod tests;
