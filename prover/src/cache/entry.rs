//! An entry on disk: its manifest, and reading it without trusting it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::Entry;

pub(super) const DATA: &str = "data";
pub(super) const MANIFEST: &str = "manifest";
/// Of this version of the format.
const FIRST_LINE: &str = "zkbpf cache 1";
const MAX_MANIFEST_BYTES: u64 = 1024;

pub(super) fn manifest_of(name: &str, data: &[u8]) -> String {
    manifest_with(name, data.len() as u64, blake3::hash(data))
}

fn manifest_with(name: &str, size: u64, digest: blake3::Hash) -> String {
    format!("{FIRST_LINE}\nname {name}\nsize {size}\nblake3 {digest}\n")
}

/// The data of an entry, if there is one; or why it is damaged. Nothing is read into memory whose size is not
/// the expected one.
pub(super) fn read(root: &Path, entry: &Entry) -> Result<Option<Vec<u8>>, String> {
    let directory = root.join(&entry.name);
    let Some((manifest, size)) = read_manifest(&directory, entry)? else {
        return Ok(None);
    };
    let data = read_file(&directory.join(DATA), |found| found == size)
        .map_err(|reason| format!("{DATA}: {reason}"))?;
    if manifest != manifest_of(&entry.name, &data) {
        return Err("the data is not what the manifest says".to_owned());
    }
    Ok(Some(data))
}

/// Compares an entry with its manifest, without holding it in memory: whether there is one, or why it is
/// damaged.
pub(super) fn check(root: &Path, name: &str) -> Result<bool, String> {
    let entry = Entry {
        name: name.to_owned(),
        max_bytes: u64::MAX,
    };
    let directory = root.join(name);
    let Some((manifest, size)) = read_manifest(&directory, &entry)? else {
        return Ok(false);
    };
    let digest = open_file(&directory.join(DATA), |found| found == size).and_then(|(file, _)| {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_reader(file.take(size))
            .map(|hasher| hasher.finalize())
            .map_err(|error| error.to_string())
    });
    let digest = digest.map_err(|reason| format!("{DATA}: {reason}"))?;
    if manifest != manifest_with(name, size, digest) {
        return Err("the data is not what the manifest says".to_owned());
    }
    Ok(true)
}

/// The manifest in an entry's directory, if there is one, and the size that it announces.
fn read_manifest(directory: &Path, entry: &Entry) -> Result<Option<(String, u64)>, String> {
    match fs::symlink_metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err("it is not a directory".to_owned()),
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let manifest = read_file(&directory.join(MANIFEST), |size| size <= MAX_MANIFEST_BYTES)
        .map_err(|reason| format!("{MANIFEST}: {reason}"))?;
    let manifest = String::from_utf8_lossy(&manifest).into_owned();
    let size = announced_size(&manifest, entry)?;
    Ok(Some((manifest, size)))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The size in a manifest, if the manifest is for this entry.
fn announced_size(manifest: &str, entry: &Entry) -> Result<u64, String> {
    let mut lines = manifest.lines();
    match lines.next() {
        Some(FIRST_LINE) => {}
        Some(other) if other.starts_with("zkbpf cache ") => {
            return Err("another version of this program wrote it".to_owned());
        }
        _ => return Err("the manifest is none".to_owned()),
    }
    let mut field = |key| lines.next()?.strip_prefix(key);
    if field("name ") != Some(entry.name.as_str()) {
        return Err("it is the entry of another name".to_owned());
    }
    let size = field("size ").and_then(|size| size.parse().ok());
    match size {
        Some(size) if size <= entry.max_bytes => Ok(size),
        Some(size) => Err(format!(
            "it has {size} bytes, which is more than the {} that such an entry can have",
            entry.max_bytes
        )),
        None => Err("the manifest is incomplete".to_owned()),
    }
}

/// A file that is one, and of an expected size.
fn read_file(path: &Path, is_expected: impl FnOnce(u64) -> bool) -> Result<Vec<u8>, String> {
    let (file, size) = open_file(path, is_expected)?;
    let mut bytes = Vec::new();
    let length = usize::try_from(size).map_err(|_| "too large".to_owned())?;
    bytes
        .try_reserve_exact(length)
        .map_err(|error| error.to_string())?;
    // It may grow or shrink meanwhile.
    file.take(size)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err("it became shorter while it was read".to_owned())
    }
}

fn open_file(path: &Path, is_expected: impl FnOnce(u64) -> bool) -> Result<(File, u64), String> {
    let text = |error: io::Error| error.to_string();
    // Opening a pipe would wait for whoever writes to it; what a link leads to is nobody's entry.
    if !fs::symlink_metadata(path).map_err(text)?.is_file() {
        return Err("not a regular file".to_owned());
    }
    let file = File::open(path).map_err(text)?;
    let size = file.metadata().map_err(text)?.len();
    if !is_expected(size) {
        return Err(format!("it has {size} bytes, which is not its size"));
    }
    Ok((file, size))
}
