//! What the cache does to directories, and its locks.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

/// An advisory lock that is held until this is dropped, or the process ends in whatever way.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes a lock, and waits for it if another process has it. Nothing if the file system has no locks.
    pub(super) fn take(path: &Path, entry: &str) -> io::Result<Option<Self>> {
        let file = open(path)?;
        let taken = match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                tracing::info!(entry, "waiting for another process that makes this entry");
                wait(&file)
            }
            Err(TryLockError::Error(error)) => Err(error),
        };
        match taken {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(error) => {
                tracing::debug!(lock = %path.display(), %error, "no lock");
                Ok(None)
            }
        }
    }

    /// Whether nobody holds a lock.
    pub(super) fn is_free(path: &Path) -> bool {
        open(path).is_ok_and(|file| file.try_lock().is_ok())
    }
}

/// Removes what belongs to an entry, unless somebody holds its lock: then nothing. A lock that is not there is
/// nobody's.
pub(super) fn remove_unless_locked(path: &Path, lock: &Path) -> io::Result<bool> {
    // What cannot be opened is not locked by this program.
    let file = File::options().write(true).open(lock).ok();
    let taken = file.as_ref().map(File::try_lock);
    if let Some(Err(TryLockError::WouldBlock)) = taken {
        return Ok(false);
    }
    remove(path).map(|()| true)
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

fn wait(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Removes a file, a link, or a directory with what is in it. What is not there is removed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
