//! `cache`: what keys are kept, and where.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zkbpf::prover::{CacheEntry, CacheState};

use super::args::{Cache, Common};
use super::program::Stored;
use super::{Ending, Failure, calibration, output, program};

#[derive(Serialize)]
struct CacheJson {
    path: PathBuf,
    /// All that this program wrote there; what was removed, of `clear`.
    entries: Vec<EntryJson>,
    bytes: u64,
    /// What `clear` left, since another process is writing it.
    in_use: Vec<String>,
}

#[derive(Serialize)]
struct EntryJson {
    name: String,
    bytes: u64,
    kind: &'static str,
    /// The circuit of aggregation that it is for.
    layer: Option<&'static str>,
    k: Option<u32>,
    state: &'static str,
    /// Why it is damaged.
    reason: Option<String>,
}

/// Something that this program wrote.
struct Found {
    json: EntryJson,
    /// Not there for stored programs.
    entry: Option<CacheEntry>,
}

pub(crate) fn execute(verb: Cache, common: &Common) -> Result<Ending, Failure> {
    let path = program::cache_dir(common)?;
    let found = match verb {
        Cache::Path => Vec::new(),
        Cache::List | Cache::Clear => list(&path).map_err(|error| describe(&path, &error))?,
    };
    let (mut entries, mut in_use) = (Vec::new(), Vec::new());
    for Found { json, entry } in found {
        let file = path.join(&json.name);
        let removed = match (verb, &entry) {
            (Cache::Clear, Some(entry)) => entry.remove(&path),
            (Cache::Clear, None) => remove(&file),
            (Cache::List | Cache::Path, _) => Ok(true),
        };
        if removed.map_err(|error| describe(&file, &error))? {
            entries.push(json);
        } else {
            in_use.push(json.name);
        }
    }
    let json = CacheJson {
        bytes: entries.iter().map(|entry| entry.bytes).sum(),
        path,
        entries,
        in_use,
    };
    let text = match verb {
        Cache::Path => json.path.display().to_string(),
        Cache::Clear => cleared(&json),
        Cache::List => listed(&json),
    };
    output::done(common, &json, &text)
}

fn cleared(json: &CacheJson) -> String {
    let (count, bytes) = (json.entries.len(), json.bytes);
    let mut text = format!("removed {count} entries, {bytes} bytes");
    if !json.in_use.is_empty() {
        text.push_str(&format!(
            "\nleft what another process is writing: {}",
            json.in_use.join(", ")
        ));
    }
    text
}

fn listed(json: &CacheJson) -> String {
    // Locks are ours, but hold nothing.
    let entries = json
        .entries
        .iter()
        .filter(|entry| entry.state != CacheState::Lock.name());
    let mut lines: Vec<_> = entries
        .map(|entry| {
            let kind = match entry.layer {
                Some(layer) => format!("{layer} {}", entry.kind),
                None => entry.kind.to_owned(),
            };
            let k = entry.k.map_or(String::new(), |k| format!("k = {k}"));
            let state = match (&entry.reason, entry.state) {
                (Some(reason), state) => format!("  {state}: {reason}"),
                (None, state) if state == CacheState::Intact.name() => String::new(),
                (None, state) => format!("  {state}"),
            };
            let (bytes, name) = (entry.bytes, &entry.name);
            format!("{bytes:>12}  {kind:<18}  {k:<6}  {name}{state}")
        })
        .collect();
    lines.push(format!("{:>12}  in {}", json.bytes, json.path.display()));
    lines.join("\n")
}

fn describe(path: &Path, error: &io::Error) -> Failure {
    Failure::other(
        format!("{}: {error}", path.display()),
        "--cache-dir must name a directory of yours; `zkbpf cache path` says which one is used",
    )
}

/// What is ours, by name. A directory that does not exist is empty.
fn list(path: &Path) -> io::Result<Vec<Found>> {
    let mut found: Vec<_> = CacheEntry::list(path)?.into_iter().map(key).collect();
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        files => {
            for file in files? {
                found.extend(stored(&file?));
            }
        }
    }
    found.sort_by(|a, b| a.json.name.cmp(&b.json.name));
    Ok(found)
}

fn key(entry: CacheEntry) -> Found {
    let reason = match &entry.state {
        CacheState::Damaged { reason } => Some(reason.clone()),
        _ => None,
    };
    let json = EntryJson {
        name: entry.name.clone(),
        bytes: entry.bytes,
        kind: entry.kind.name(),
        layer: entry.layer.map(|layer| layer.name()),
        k: Some(entry.k),
        state: entry.state.name(),
        reason,
    };
    Found {
        json,
        entry: Some(entry),
    }
}

/// A program that is kept for `--program-id`, or what chunks took.
fn stored(file: &fs::DirEntry) -> Option<Found> {
    let name = file.file_name().into_string().ok()?;
    if name == calibration::FILE_NAME {
        return described(file, name, "calibration", &CacheState::Intact);
    }
    let state = match program::stored(&name)? {
        Stored::Unfinished => CacheState::Unfinished,
        Stored::Program(id) if program::read_stored(&file.path(), id).is_some() => {
            CacheState::Intact
        }
        Stored::Program(_) => CacheState::Damaged {
            reason: "it is not the program of its name".to_owned(),
        },
    };
    described(file, name, "program", &state)
}

/// A file of no entry.
fn described(
    file: &fs::DirEntry,
    name: String,
    kind: &'static str,
    state: &CacheState,
) -> Option<Found> {
    let reason = match state {
        CacheState::Damaged { reason } => Some(reason.clone()),
        _ => None,
    };
    let json = EntryJson {
        name,
        // Just gone, or there.
        bytes: file.metadata().ok()?.len(),
        kind,
        layer: None,
        k: None,
        state: state.name(),
        reason,
    };
    Some(Found { json, entry: None })
}

fn remove(path: &Path) -> io::Result<bool> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)?;
    } else {
        fs::remove_file(path)?;
    }
    Ok(true)
}
