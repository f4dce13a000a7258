//! The secret behind the blinding of memory inside a run.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use crate::files;

/// Its name in a job's directory.
pub(crate) const SECRET: &str = "secret";
const BYTES: usize = 32;
const TAG_DOMAIN: &str = "zkbpf boundary secret tag v1";

/// The seed of the boundary streams of one run. It cannot be shown, and is overwritten when it is dropped.
pub(crate) struct BoundarySecret(Zeroizing<[u8; BYTES]>);

impl BoundarySecret {
    /// A new one, from the operating system.
    pub(crate) fn draw() -> Self {
        let mut secret = Zeroizing::new([0; BYTES]);
        OsRng.fill_bytes(&mut *secret);
        Self(secret)
    }

    pub(crate) fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// A name that says nothing about it: a hash of 32 random bytes.
    pub(crate) fn tag(&self) -> blake3::Hash {
        blake3::Hash::from_bytes(blake3::derive_key(TAG_DOMAIN, &*self.0))
    }

    /// Keeps it in a file that only its owner can read.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        files::stage(directory, SECRET, &*self.0)?;
        files::commit(directory, SECRET)
    }

    /// The one of this tag, unless it is missing or changed, or others could read it.
    pub(crate) fn read(directory: &Path, tag: blake3::Hash) -> Option<Self> {
        let mut file = File::open(directory.join(SECRET)).ok()?;
        if !is_private(&file) {
            return None;
        }
        let mut secret = Self(Zeroizing::new([0; BYTES]));
        file.read_exact(&mut *secret.0).ok()?;
        let is_whole = file.read(&mut [0]).ok()? == 0;
        (is_whole && secret.tag() == tag).then_some(secret)
    }

    /// Overwrites and removes the one that is kept, if any. What a file system or a disk keeps of
    /// overwritten files is beyond reach.
    pub(crate) fn erase(directory: &Path) -> io::Result<()> {
        for name in [SECRET.to_owned(), files::staged(SECRET)] {
            let path = directory.join(name);
            match File::options().write(true).open(&path) {
                Ok(mut file) => {
                    file.write_all(&[0; BYTES])?;
                    file.sync_all()?;
                    fs::remove_file(&path)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        files::sync_dir(directory)
    }
}

#[cfg(unix)]
fn is_private(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(_: &File) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_until_it_is_erased() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let secret = BoundarySecret::draw();
        secret.write(root.path()).expect("written");
        let read = BoundarySecret::read(root.path(), secret.tag()).expect("intact");
        assert_eq!(read.bytes(), secret.bytes());
        assert_ne!(BoundarySecret::draw().bytes(), secret.bytes());
        assert_ne!(secret.tag().as_bytes(), secret.bytes());

        // A hard link shows what was in the file when it lost its name.
        let link = root.path().join("link");
        fs::hard_link(root.path().join(SECRET), &link).expect("one file system");
        BoundarySecret::erase(root.path()).expect("erased");
        assert_eq!(fs::read(&link).expect("there"), [0; BYTES]);
        assert!(BoundarySecret::read(root.path(), secret.tag()).is_none());
        BoundarySecret::erase(root.path()).expect("nothing to erase");
    }

    #[test]
    fn others_are_refused() {
        type Damage = fn(&Path);
        let damages: [(&str, Damage); 4] = [
            ("missing", |path| fs::remove_file(path).expect("removed")),
            ("short", |path| fs::write(path, [1; 31]).expect("written")),
            ("long", |path| {
                let mut bytes = fs::read(path).expect("there");
                bytes.push(0);
                fs::write(path, bytes).expect("written");
            }),
            ("flipped", |path| {
                let mut bytes = fs::read(path).expect("there");
                bytes[7] ^= 1;
                fs::write(path, bytes).expect("written");
            }),
        ];
        let root = tempfile::tempdir().expect("a temporary directory");
        for (name, damage) in damages {
            let secret = BoundarySecret::draw();
            secret.write(root.path()).expect("written");
            assert!(BoundarySecret::read(root.path(), secret.tag()).is_some());
            damage(&root.path().join(SECRET));
            assert!(
                BoundarySecret::read(root.path(), secret.tag()).is_none(),
                "{name}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join(SECRET);
        let secret = BoundarySecret::draw();
        secret.write(root.path()).expect("written");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(BoundarySecret::read(root.path(), secret.tag()).is_some());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        assert!(BoundarySecret::read(root.path(), secret.tag()).is_none());
    }
}
