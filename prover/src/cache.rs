//! A cache of large files. Entries are named by what they contain, immutable, and verified on every load.
//!
//! An entry is a directory with `data` and `manifest` (name, size and BLAKE3 of the data). It is written to
//! a temporary directory and renamed, by one process at a time (an advisory lock on `NAME.lock`); readers
//! take no lock. An entry that is not what its manifest says, or that cannot be parsed, is moved to
//! `NAME.damaged` and built again. This guards against accidents; whoever may write to the directory can
//! replace keys, so it is created for its owner only.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, io_error};

/// A directory of entries.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
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

    /// The entry of this name, if there is an intact one.
    pub(crate) fn load<T>(&self, name: &str, parse: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        match self.look(name, &parse) {
            Found::Entry(value) => Some(value),
            Found::Nothing | Found::Damaged(_) => None,
        }
    }

    /// The entry of this name; if there is no intact one it is built and written.
    pub(crate) fn load_or_build<T>(
        &self,
        name: &str,
        parse: impl Fn(&[u8]) -> Option<T>,
        build: impl FnOnce() -> Result<(T, Vec<u8>), Error>,
    ) -> Result<T, Error> {
        if let Found::Entry(value) = self.look(name, &parse) {
            return Ok(value);
        }
        create_private_dir(&self.root).map_err(io_error(&self.root))?;
        let lock_path = self.root.join(format!("{name}.lock"));
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io_error(&lock_path))?;
        lock.lock().map_err(io_error(&lock_path))?;
        // Another process may have built it while this one waited.
        match self.look(name, &parse) {
            Found::Entry(value) => return Ok(value),
            Found::Nothing => {}
            Found::Damaged(reason) => {
                let aside = self.set_aside(name)?;
                tracing::warn!(
                    entry = name, reason, moved_to = %aside.display(),
                    "a cache entry is damaged and is built again"
                );
            }
        }
        let (value, data) = build()?;
        self.write(name, &data)?;
        Ok(value)
    }

    fn look<T>(&self, name: &str, parse: &impl Fn(&[u8]) -> Option<T>) -> Found<T> {
        let directory = self.root.join(name);
        let manifest = match fs::read_to_string(directory.join("manifest")) {
            Ok(manifest) => manifest,
            Err(_) if !directory.exists() => return Found::Nothing,
            Err(error) => return Found::Damaged(format!("manifest: {error}")),
        };
        let data = match fs::read(directory.join("data")) {
            Ok(data) => data,
            Err(error) => return Found::Damaged(format!("data: {error}")),
        };
        if manifest != manifest_of(name, &data) {
            return Found::Damaged("the data is not what the manifest says".to_owned());
        }
        // Parsers of the proof system panic on malformed bytes.
        let parsed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| parse(&data)));
        match parsed {
            Ok(Some(value)) => Found::Entry(value),
            Ok(None) | Err(_) => Found::Damaged("the data cannot be parsed".to_owned()),
        }
    }

    fn set_aside(&self, name: &str) -> Result<PathBuf, Error> {
        let (from, to) = (
            self.root.join(name),
            self.root.join(format!("{name}.damaged")),
        );
        match fs::remove_dir_all(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(to)(error));
            }
            _ => {}
        }
        fs::rename(&from, &to).map_err(io_error(from))?;
        Ok(to)
    }

    fn write(&self, name: &str, data: &[u8]) -> Result<(), Error> {
        let temporary = tempfile::Builder::new()
            .prefix(".writing-")
            .tempdir_in(&self.root)
            .map_err(io_error(&self.root))?;
        for (file, bytes) in [
            ("data", data),
            ("manifest", manifest_of(name, data).as_bytes()),
        ] {
            let path = temporary.path().join(file);
            write_synced(&path, bytes).map_err(io_error(path))?;
        }
        let target = self.root.join(name);
        fs::rename(temporary.path(), &target).map_err(io_error(target))?;
        // The temporary directory is gone; nothing is left to remove.
        let _ = temporary.keep();
        sync_dir(&self.root).map_err(io_error(&self.root))
    }
}

fn manifest_of(name: &str, data: &[u8]) -> String {
    format!(
        "zkbpf cache 1\nname {name}\nsize {}\nblake3 {}\n",
        data.len(),
        blake3::hash(data)
    )
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes a rename last. Only Unix lets a directory be synced.
fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    type Damage = fn(&Path);

    const DATA: &[u8] = b"some key material";

    fn parse(bytes: &[u8]) -> Option<Vec<u8>> {
        assert_ne!(bytes, b"panic");
        bytes.starts_with(b"some").then(|| bytes.to_vec())
    }

    /// Loads or builds, and says whether it built.
    fn get(cache: &Cache) -> (Vec<u8>, bool) {
        let built = Cell::new(false);
        let value = cache
            .load_or_build("entry", parse, || {
                built.set(true);
                Ok((DATA.to_vec(), DATA.to_vec()))
            })
            .expect("a writable directory");
        (value, built.get())
    }

    fn cache() -> (tempfile::TempDir, Cache) {
        let root = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::new(root.path().join("cache"));
        (root, cache)
    }

    #[test]
    fn entries_are_built_once() {
        let (_root, cache) = cache();
        assert!(cache.load("entry", parse).is_none());
        assert_eq!(get(&cache), (DATA.to_vec(), true));
        assert_eq!(get(&cache), (DATA.to_vec(), false));
        let left: Vec<_> = fs::read_dir(&cache.root)
            .expect("there")
            .map(|entry| entry.expect("there").file_name())
            .collect();
        assert_eq!(left.len(), 2, "entry and lock: {left:?}");
    }

    #[test]
    fn damaged_entries_are_set_aside_and_built_again() {
        let damages: [(&str, Damage); 8] = [
            ("truncated", |entry| {
                fs::write(entry.join("data"), &DATA[..5]).expect("written");
            }),
            ("longer", |entry| {
                fs::write(entry.join("data"), [DATA, &[0]].concat()).expect("written");
            }),
            ("flipped", |entry| {
                let mut data = DATA.to_vec();
                data[3] ^= 1;
                fs::write(entry.join("data"), data).expect("written");
            }),
            ("no data", |entry| {
                fs::remove_file(entry.join("data")).expect("removed");
            }),
            ("no manifest", |entry| {
                fs::remove_file(entry.join("manifest")).expect("removed");
            }),
            ("foreign", |entry| {
                let data = b"another entry's data";
                fs::write(entry.join("data"), data).expect("written");
                fs::write(entry.join("manifest"), manifest_of("other", data)).expect("written");
            }),
            ("unparsable", |entry| {
                fs::write(entry.join("data"), b"other").expect("written");
                fs::write(entry.join("manifest"), manifest_of("entry", b"other")).expect("written");
            }),
            ("panicking", |entry| {
                fs::write(entry.join("data"), b"panic").expect("written");
                fs::write(entry.join("manifest"), manifest_of("entry", b"panic")).expect("written");
            }),
        ];
        let (_root, cache) = cache();
        get(&cache);
        for (name, damage) in damages {
            assert_eq!(get(&cache), (DATA.to_vec(), false), "before: {name}");
            damage(&cache.root.join("entry"));
            assert!(cache.load("entry", parse).is_none(), "{name}");
            assert_eq!(get(&cache), (DATA.to_vec(), true), "{name}");
            assert!(cache.root.join("entry.damaged").exists(), "{name}");
        }
    }

    #[test]
    fn a_failed_build_leaves_nothing() {
        let (_root, cache) = cache();
        let result = cache.load_or_build("entry", parse, || Err(Error::MissingSrs));
        assert!(matches!(result, Err(Error::MissingSrs)));
        assert!(!cache.root.join("entry").exists());
        assert_eq!(get(&cache), (DATA.to_vec(), true));
    }

    #[test]
    fn one_of_many_builds() {
        let (_root, cache) = cache();
        let built = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let value = cache.load_or_build("entry", parse, || {
                        built.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        Ok((DATA.to_vec(), DATA.to_vec()))
                    });
                    assert_eq!(value.expect("writable"), DATA);
                });
            }
        });
        assert_eq!(built.into_inner(), 1);
    }

    #[test]
    fn an_unusable_directory_is_an_error() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let file = root.path().join("file");
        fs::write(&file, b"").expect("written");
        let result =
            Cache::new(&file).load_or_build("entry", parse, || Ok((DATA.to_vec(), DATA.to_vec())));
        assert!(matches!(result, Err(Error::Io { .. })));
    }
}
