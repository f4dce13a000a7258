//! What a cache directory holds, for people. Whatever does not have one of the cache's names is somebody else's,
//! and neither shown nor removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{DAMAGED, LOCK, WRITING, disk, entry};
use crate::aggregation::LayerKind;

/// How the names of entries begin; the first that fits counts.
const KINDS: [(&str, CacheKind); 5] = [
    ("srs-insecure-", CacheKind::InsecureSrs),
    ("srs-", CacheKind::Srs),
    ("pk-", CacheKind::ProvingKey),
    ("vk-", CacheKind::VerifyingKey),
    ("aggregate-", CacheKind::AggregateKey),
];
const LAYERS: [LayerKind; 3] = [LayerKind::Leaf, LayerKind::Node, LayerKind::Root];
/// Hexadecimal digits at the end of each name.
const DIGEST_DIGITS: usize = 32;

/// What an entry of a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheKind {
    /// Parameters that were imported.
    Srs,
    /// Parameters whose secret is public.
    InsecureSrs,
    /// A proving key.
    ProvingKey,
    /// A verifying key.
    VerifyingKey,
    /// The key of verifiers of aggregates.
    AggregateKey,
}

impl CacheKind {
    /// Its name, in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Srs => "srs",
            Self::InsecureSrs => "insecure-srs",
            Self::ProvingKey => "proving-key",
            Self::VerifyingKey => "verifying-key",
            Self::AggregateKey => "aggregate-key",
        }
    }
}

/// In which state something in a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheState {
    /// An entry whose data is what its manifest says.
    Intact,
    /// An entry that is not, and will be made again.
    Damaged {
        /// Why.
        reason: String,
    },
    /// A damaged entry that was moved out of the way.
    SetAside,
    /// An entry that is being written, or what a killed process left of one.
    Unfinished,
    /// The lock of an entry, which holds nothing.
    Lock,
}

impl CacheState {
    /// Its name, in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Damaged { .. } => "damaged",
            Self::SetAside => "set-aside",
            Self::Unfinished => "unfinished",
            Self::Lock => "lock",
        }
    }
}

/// Something in a cache directory that is the cache's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheEntry {
    /// Its file name.
    pub name: String,
    /// What it holds, or is to hold.
    pub kind: CacheKind,
    /// The circuit that it is for, if that is one of aggregation.
    pub layer: Option<LayerKind>,
    /// Base-2 logarithm of the circuit's or the parameters' rows.
    pub k: u32,
    /// In which state it is.
    pub state: CacheState,
    /// Size of its files.
    pub bytes: u64,
}

impl CacheEntry {
    /// What is in a directory, by name. Reads all of it, to compare it with its digests, and changes nothing. A
    /// directory that does not exist is empty.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(root: &Path) -> io::Result<Vec<Self>> {
        let files = match fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let mut entries = Vec::new();
        for file in files {
            // All of the cache's names are UTF-8.
            let Ok(name) = file?.file_name().into_string() else {
                continue;
            };
            entries.extend(Self::look(root, name));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// A look at a file; nothing if it is not the cache's, or has just gone.
    fn look(root: &Path, name: String) -> Option<Self> {
        let (place, description) = classify(&name)?;
        let state = match place {
            Place::Entry => match entry::check(root, &name) {
                Ok(true) => CacheState::Intact,
                Ok(false) => return None,
                Err(reason) => CacheState::Damaged { reason },
            },
            Place::SetAside => CacheState::SetAside,
            Place::Unfinished => CacheState::Unfinished,
            Place::Lock => CacheState::Lock,
        };
        let bytes = size(&root.join(&name)).ok()?;
        Some(Self {
            kind: description.kind,
            layer: description.layer,
            k: description.k,
            name,
            state,
            bytes,
        })
    }

    /// Removes it from the directory that it was found in, and says whether it did: what another process is
    /// writing, and that process's lock, stays.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, root: &Path) -> io::Result<bool> {
        let path = root.join(&self.name);
        match self.lock(root) {
            Some(lock) => disk::remove_unless_locked(&path, &lock),
            None => disk::remove(&path).map(|()| true),
        }
    }

    /// The lock that protects it.
    fn lock(&self, root: &Path) -> Option<PathBuf> {
        match self.state {
            CacheState::Lock => Some(root.join(&self.name)),
            CacheState::Unfinished => {
                let entry = unfinished(&self.name)?;
                Some(root.join(format!("{entry}{LOCK}")))
            }
            _ => None,
        }
    }
}

/// Whether a file of this name in a cache directory belongs to the cache of keys: an entry, an unfinished or
/// damaged one, or a lock.
#[must_use]
pub fn is_cache_file(name: &str) -> bool {
    classify(name).is_some()
}

/// What a name says about a file's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Entry,
    SetAside,
    Unfinished,
    Lock,
}

/// What the name of an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Description {
    kind: CacheKind,
    layer: Option<LayerKind>,
    k: u32,
}

fn classify(name: &str) -> Option<(Place, Description)> {
    let (place, entry) = if name.starts_with(WRITING) {
        (Place::Unfinished, unfinished(name)?)
    } else if let Some(entry) = name.strip_suffix(LOCK) {
        (Place::Lock, entry)
    } else if let Some(entry) = name.strip_suffix(DAMAGED) {
        (Place::SetAside, entry)
    } else {
        (Place::Entry, name)
    };
    Some((place, describe(entry)?))
}

/// The name of the entry that an unfinished one is to be.
fn unfinished(name: &str) -> Option<&str> {
    let (entry, _) = name.strip_prefix(WRITING)?.rsplit_once('-')?;
    Some(entry)
}

/// `KIND-[LAYER-]kK-[WORD-]…DIGEST`, whichever version wrote it.
fn describe(name: &str) -> Option<Description> {
    let (kind, rest) = KINDS
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, name.strip_prefix(prefix)?)))?;
    let of_layer = LAYERS.into_iter().find_map(|layer| {
        let rest = rest.strip_prefix(layer.name())?.strip_prefix('-')?;
        Some((Some(layer), rest))
    });
    let (layer, rest) = of_layer.unwrap_or((None, rest));
    let (words, digest) = rest.rsplit_once('-')?;
    let mut words = words.split('-');
    let k = words.next()?.strip_prefix('k')?.parse().ok()?;
    let is_word = |word: &str| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !word.is_empty() && word.bytes().all(is_plain)
    };
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_name =
        words.all(is_word) && digest.len() == DIGEST_DIGITS && digest.bytes().all(is_digit);
    is_name.then_some(Description { kind, layer, k })
}

/// Bytes of a file, or of the files of an entry's directory.
fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let files = fs::read_dir(path)?;
    files.map(|file| Ok(file?.metadata()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn names_say_what_is_inside() {
        let (leaf, root) = (Some(LayerKind::Leaf), Some(LayerKind::Root));
        for (name, kind, layer, k) in [
            ("srs-k10", CacheKind::Srs, None, 10),
            ("srs-insecure-k17", CacheKind::InsecureSrs, None, 17),
            ("pk-k10-b8", CacheKind::ProvingKey, None, 10),
            ("vk-k11-b8", CacheKind::VerifyingKey, None, 11),
            ("pk-leaf-k20-v2", CacheKind::ProvingKey, leaf, 20),
            ("vk-root-k21-on-k20-v2", CacheKind::VerifyingKey, root, 21),
            (
                "aggregate-root-k21-on-k20-v2",
                CacheKind::AggregateKey,
                root,
                21,
            ),
        ] {
            let entry = format!("{name}-{DIGEST}");
            let expected = Description { kind, layer, k };
            for (name, place) in [
                (entry.clone(), Place::Entry),
                (format!("{entry}.lock"), Place::Lock),
                (format!("{entry}.damaged"), Place::SetAside),
                (format!(".writing-{entry}-aBcDeF"), Place::Unfinished),
            ] {
                assert_eq!(classify(&name), Some((place, expected)), "{name}");
            }
        }
    }

    #[test]
    fn other_names_are_foreign() {
        for name in [
            "",
            "pk-notes.txt",
            "srs-backup",
            "srs-k10",
            ".writing-letters",
            ".writing-letters-to-you",
            "mine.lock",
            "mine.damaged",
            &format!("pk-{DIGEST}"),
            &format!("key-k10-{DIGEST}"),
            &format!("pk-k10-{DIGEST}.txt"),
            &format!("pk-k10-{DIGEST}0"),
            &format!("pk-k10--{DIGEST}"),
            &format!("pk-k10-B8-{DIGEST}"),
            &format!("pk-k10-b8-{}", DIGEST.to_uppercase()),
            &format!("pk-kten-b8-{DIGEST}"),
            &format!("pk-k10-../{DIGEST}"),
        ] {
            assert!(!is_cache_file(name), "{name}");
        }
    }
}
