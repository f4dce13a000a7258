//! `cache`: what keys are kept, and where.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{Cache, Common};
use super::{Ending, Failure, output, program};

/// How the names of our entries begin. Nothing else in the directory is touched.
const PREFIXES: [&str; 5] = ["srs-k", "pk-k", "vk-k", "program-", ".writing-"];

#[derive(Serialize)]
struct CacheJson {
    path: PathBuf,
    entries: Vec<EntryJson>,
    bytes: u64,
}

#[derive(Serialize)]
struct EntryJson {
    name: String,
    bytes: u64,
}

pub(crate) fn execute(verb: Cache, common: &Common) -> Result<Ending, Failure> {
    let path = program::cache_dir(common)?;
    let entries = match verb {
        Cache::Path => Vec::new(),
        Cache::List | Cache::Clear => entries(&path).map_err(|error| describe(&path, &error))?,
    };
    if matches!(verb, Cache::Clear) {
        for entry in &entries {
            let path = path.join(&entry.name);
            remove(&path).map_err(|error| describe(&path, &error))?;
        }
    }
    let json = CacheJson {
        bytes: entries.iter().map(|entry| entry.bytes).sum(),
        path,
        entries,
    };
    let text = match verb {
        Cache::Path => json.path.display().to_string(),
        Cache::Clear => format!(
            "removed {} entries, {} bytes",
            json.entries.len(),
            json.bytes
        ),
        Cache::List => {
            // Locks are ours, but hold nothing.
            let entries = json
                .entries
                .iter()
                .filter(|entry| !entry.name.ends_with(".lock"));
            let mut lines: Vec<_> = entries
                .map(|entry| format!("{:>12}  {}", entry.bytes, entry.name))
                .collect();
            lines.push(format!("{:>12}  in {}", json.bytes, json.path.display()));
            lines.join("\n")
        }
    };
    output::done(common, &json, &text)
}

fn describe(path: &Path, error: &io::Error) -> Failure {
    Failure::other(format!("{}: {error}", path.display()))
}

/// Our entries, by name. A directory that does not exist is empty.
fn entries(path: &Path) -> io::Result<Vec<EntryJson>> {
    let found = match fs::read_dir(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for entry in found {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            let bytes = size(&entry.path())?;
            entries.push(EntryJson { name, bytes });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Bytes of a file, or of the files of an entry's directory.
fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut total = 0;
    for file in fs::read_dir(path)? {
        total += file?.metadata()?.len();
    }
    Ok(total)
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
