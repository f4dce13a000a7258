//! What a job is about and which chunks it has stored, as a text file.
//!
//! ```text
//! zkbpf job 1
//! program HASH        ┐
//! environment HASH    │
//! input HASH          │ the claim, part by part,
//! budget N            │
//! outcome HASH        │
//! k N                 │ and in which shape it is proved
//! key ID              │
//! chunks N            │
//! chunking HASH       ┘
//! secret HASH                                    the tag of the boundary secret
//! chunk I proofs N entry HASH exit HASH proof HASH
//! …
//! checksum HASH                                  of everything above
//! ```
//!
//! The file is written anew for each chunk and renamed, so that it cannot be torn. A chunk's line is there
//! before its file has its name: whatever bears the name was counted.

use std::collections::BTreeMap;
use std::fmt::Write;

use blake3::Hash;

use super::identity::Identity;

/// Its name in a job's directory.
pub(super) const JOURNAL: &str = "journal";
const HEAD: &str = "zkbpf job ";
const FORMAT: u64 = 1;
/// No journal has longer lines.
const MAX_LINE_BYTES: u64 = 320;

/// A chunk's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Proofs of it that were given out with this secret.
    pub(super) proofs: u32,
    /// Digest of the commitments of memory at its entry.
    pub(super) entry: Hash,
    /// The same at its exit.
    pub(super) exit: Hash,
    /// Digest of the last proof's file.
    pub(super) proof: Hash,
}

/// What a job is about and which chunks it has stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) identity: Identity,
    pub(super) secret: Hash,
    pub(super) entries: BTreeMap<usize, Entry>,
}

/// Why a file is no journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is one of another version.
    Format(u64),
    /// It is not what was written.
    Damaged,
}

impl Journal {
    pub(super) fn new(identity: Identity, secret: Hash) -> Self {
        Self {
            identity,
            secret,
            entries: BTreeMap::new(),
        }
    }

    /// No journal of a job of this many chunks is longer.
    pub(super) fn max_bytes(chunks: usize) -> u64 {
        MAX_LINE_BYTES.saturating_mul((chunks as u64).saturating_add(16))
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{HEAD}{FORMAT}\n");
        for (name, value) in self.identity.parts() {
            push(&mut text, format_args!("{name} {value}"));
        }
        push(&mut text, format_args!("secret {}", self.secret));
        for (chunk, entry) in &self.entries {
            let Entry {
                proofs,
                entry,
                exit,
                proof,
            } = entry;
            push(
                &mut text,
                format_args!(
                    "chunk {chunk} proofs {proofs} entry {entry} exit {exit} proof {proof}"
                ),
            );
        }
        let checksum = blake3::hash(text.as_bytes());
        push(&mut text, format_args!("checksum {checksum}"));
        text
    }

    /// The inverse of [`to_text`](Self::to_text); there is one text of each journal.
    pub(super) fn from_text(text: &str) -> Result<Self, Unusable> {
        let head = text.lines().next().and_then(|line| line.strip_prefix(HEAD));
        match head.and_then(|format| format.parse().ok()) {
            Some(FORMAT) => {}
            Some(other) => return Err(Unusable::Format(other)),
            None => return Err(Unusable::Damaged),
        }
        Self::parse(text)
            .filter(|journal| journal.to_text() == text)
            .ok_or(Unusable::Damaged)
    }

    /// Any journal that this text could be of.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let identity = Identity::parse(&mut lines)?;
        let secret = hash(lines.next()?.strip_prefix("secret ")?)?;
        let mut journal = Self::new(identity, secret);
        for line in lines.take_while(|line| line.starts_with("chunk ")) {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, chunk, _, proofs, _, entry, _, exit, _, proof] = words[..] else {
                return None;
            };
            let value = Entry {
                proofs: proofs.parse().ok()?,
                entry: hash(entry)?,
                exit: hash(exit)?,
                proof: hash(proof)?,
            };
            journal.entries.insert(chunk.parse().ok()?, value);
        }
        Some(journal)
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = writeln!(text, "{line}");
}

fn hash(text: &str) -> Option<Hash> {
    Hash::from_hex(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let mut journal = Journal::new(Identity::sample(), blake3::hash(b"tag"));
        for chunk in [0, 3, 10] {
            let hash = |part: u8| blake3::hash(&[chunk as u8, part]);
            let entry = Entry {
                proofs: 1,
                entry: hash(0),
                exit: hash(1),
                proof: hash(2),
            };
            journal.entries.insert(chunk, entry);
        }
        journal
    }

    #[test]
    fn texts_are_read_back() {
        let journal = journal();
        let text = journal.to_text();
        assert_eq!(Journal::from_text(&text), Ok(journal));
        assert!(text.len() as u64 <= Journal::max_bytes(3), "{}", text.len());
        let longest = text.lines().map(str::len).max().expect("lines");
        assert!((longest as u64) < MAX_LINE_BYTES - 40, "{longest}");
    }

    #[test]
    fn no_truncation_or_changed_byte_is_a_journal() {
        let text = journal().to_text();
        assert!(Journal::from_text(&text).is_ok());
        for end in 0..text.len() {
            assert!(Journal::from_text(&text[..end]).is_err(), "{end}");
        }
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).expect("ASCII");
                assert!(Journal::from_text(&changed).is_err(), "{at}: {changed}");
            }
        }
        assert!(Journal::from_text(&format!("{text}\n")).is_err());
    }

    #[test]
    fn other_versions_are_named() {
        let text = journal().to_text().replacen("job 1", "job 2", 1);
        assert_eq!(Journal::from_text(&text), Err(Unusable::Format(2)));
        assert_eq!(Journal::from_text(""), Err(Unusable::Damaged));
    }
}
