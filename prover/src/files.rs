//! Files that are there as a whole or not at all, whatever happens to the process or the machine.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a file under another name beside `path`, makes it last, and then gives it its name. Any number
/// of processes may do so at once.
///
/// # Errors
/// If the directory cannot be written; `path` is then as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, ".tmp", |file| file.write_all(bytes))
}

/// As [`write_whole`], what `write` writes; the names of files that killed processes leave begin with `prefix`.
///
/// # Errors
/// As [`write_whole`], and those of `write`.
pub fn write_whole_with(
    path: &Path,
    prefix: &str,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let directory = directory_of(path);
    let file = tempfile::Builder::new()
        .prefix(prefix)
        .tempfile_in(directory)?;
    let mut writer = BufWriter::new(file.as_file());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(directory)
}

/// Writes `NAME.new` for its owner only, and makes it last. A directory has one process that does so.
pub(crate) fn stage(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = directory.join(staged(name));
    remove(&path)?;
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // The first error says why.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(path)
}

/// Gives a staged file its name.
pub(crate) fn commit(directory: &Path, name: &str) -> io::Result<()> {
    fs::rename(directory.join(staged(name)), directory.join(name))?;
    sync_dir(directory)
}

/// What a file is called while it is written.
pub(crate) fn staged(name: &str) -> String {
    format!("{name}.new")
}

/// Removes a file that may be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes directories for their owner only.
pub(crate) fn private_dirs() -> fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// The directory that a file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename last. Only Unix lets a directory be synced.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_as_a_whole() {
        let root = tempfile::tempdir().expect("a temporary directory");
        for bytes in [&b"first"[..], b"second"] {
            stage(root.path(), "file", bytes).expect("written");
            commit(root.path(), "file").expect("renamed");
            write_whole(&root.path().join("other"), bytes).expect("written");
            for name in ["file", "other"] {
                assert_eq!(fs::read(root.path().join(name)).expect("there"), bytes);
            }
        }
        assert_eq!(fs::read_dir(root.path()).expect("there").count(), 2);
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("file");
        fs::create_dir(&path).expect("made");
        write_whole(&path, b"a directory is no file").expect_err("in the way");
        stage(root.path(), "file", b"bytes").expect("written");
        commit(root.path(), "file").expect_err("in the way");
        let missing = root.path().join("missing");
        write_whole(&missing.join("file"), b"").expect_err("no directory");
        stage(&missing, "file", b"").expect_err("no directory");
        assert!(path.is_dir() && !missing.exists());
    }
}
