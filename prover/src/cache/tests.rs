//! Entries, their damages, and directories that cannot be used.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::entry::{DATA, MANIFEST, manifest_of};
use super::*;

type Damage = fn(&Path);

const DATA_BYTES: &[u8] = b"some key material";

fn entry() -> Entry {
    named("pk-entry")
}

fn named(name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        max_bytes: 100,
    }
}

fn parse(bytes: &[u8]) -> Option<Vec<u8>> {
    assert_ne!(bytes, b"panic");
    bytes.starts_with(b"some").then(|| bytes.to_vec())
}

fn build() -> Result<(Vec<u8>, Vec<u8>), Error> {
    Ok((DATA_BYTES.to_vec(), DATA_BYTES.to_vec()))
}

/// Loads or builds: the value, whether it was built, whether it is kept.
fn get(cache: &Cache) -> (Vec<u8>, bool, bool) {
    let built = Cell::new(false);
    let cached = cache
        .load_or_build(&entry(), parse, || {
            built.set(true);
            build()
        })
        .expect("building does not fail");
    (cached.value, built.get(), cached.kept)
}

fn found() -> (Vec<u8>, bool, bool) {
    (DATA_BYTES.to_vec(), false, true)
}

fn built() -> (Vec<u8>, bool, bool) {
    (DATA_BYTES.to_vec(), true, true)
}

fn built_but_not_kept() -> (Vec<u8>, bool, bool) {
    (DATA_BYTES.to_vec(), true, false)
}

fn cache() -> (tempfile::TempDir, Cache) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let cache = Cache::new(root.path().join("cache"));
    (root, cache)
}

fn names(cache: &Cache) -> Vec<String> {
    let mut names: Vec<_> = cache.names().collect();
    names.sort();
    names
}

fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).expect("written");
}

#[test]
fn entries_are_built_once() {
    let (_root, cache) = cache();
    assert!(cache.load(&entry(), parse).is_none());
    assert_eq!(get(&cache), built());
    assert_eq!(get(&cache), found());
    assert_eq!(cache.load(&entry(), parse).as_deref(), Some(DATA_BYTES));
    assert_eq!(names(&cache), ["pk-entry", "pk-entry.lock"]);
    assert!(names(&cache).iter().all(|name| is_cache_file(name)));
}

#[test]
fn damaged_entries_are_set_aside_and_built_again() {
    let damages: &[(&str, Damage)] = &[
        ("truncated", |entry| {
            write(entry.join(DATA), &DATA_BYTES[..5]);
        }),
        ("empty", |entry| write(entry.join(DATA), b"")),
        ("longer", |entry| {
            write(entry.join(DATA), [DATA_BYTES, &[0]].concat());
        }),
        ("flipped", |entry| {
            let mut data = DATA_BYTES.to_vec();
            data[3] ^= 1;
            write(entry.join(DATA), data);
        }),
        ("no data", |entry| {
            fs::remove_file(entry.join(DATA)).expect("removed");
        }),
        ("no manifest", |entry| {
            fs::remove_file(entry.join(MANIFEST)).expect("removed");
        }),
        ("foreign", |entry| {
            let data = b"some other entry's data";
            write(entry.join(DATA), data);
            write(entry.join(MANIFEST), manifest_of("pk-other", data));
        }),
        ("of another version", |entry| {
            let manifest = manifest_of("pk-entry", DATA_BYTES);
            write(entry.join(MANIFEST), manifest.replace("cache 1", "cache 0"));
        }),
        ("of no format", |entry| {
            write(entry.join(MANIFEST), b"\xff\0\xff");
        }),
        ("with a long manifest", |entry| {
            let manifest = manifest_of("pk-entry", DATA_BYTES);
            write(entry.join(MANIFEST), manifest.repeat(1000));
        }),
        ("too large", |entry| {
            let data = [DATA_BYTES, &[0; 100]].concat();
            write(entry.join(MANIFEST), manifest_of("pk-entry", &data));
            write(entry.join(DATA), data);
        }),
        ("refused by its parser", |entry| {
            write(entry.join(DATA), b"other");
            write(entry.join(MANIFEST), manifest_of("pk-entry", b"other"));
        }),
        ("panicking", |entry| {
            write(entry.join(DATA), b"panic");
            write(entry.join(MANIFEST), manifest_of("pk-entry", b"panic"));
        }),
        ("data is a directory", |entry| {
            fs::remove_file(entry.join(DATA)).expect("removed");
            fs::create_dir(entry.join(DATA)).expect("created");
        }),
        ("an empty directory", |entry| {
            fs::remove_dir_all(entry).expect("removed");
            fs::create_dir(entry).expect("created");
        }),
        ("a file", |entry| {
            fs::remove_dir_all(entry).expect("removed");
            write(entry, DATA_BYTES);
        }),
    ];
    let (_root, cache) = cache();
    get(&cache);
    let path = cache.path(&entry(), "");
    for (name, damage) in damages {
        assert_eq!(get(&cache), found(), "before: {name}");
        damage(&path);
        assert!(cache.load(&entry(), parse).is_none(), "{name}");
        assert_eq!(get(&cache), built(), "{name}");
        let expected = ["pk-entry", "pk-entry.damaged", "pk-entry.lock"];
        assert_eq!(names(&cache), expected, "{name}");
    }
}

/// A link is what it is, not what it leads to, were it intact.
#[cfg(unix)]
#[test]
fn links_and_pipes_are_not_followed() {
    use std::os::unix::fs::symlink;
    let (root, cache) = cache();
    get(&cache);
    let path = cache.path(&entry(), "");
    let elsewhere = root.path().join("elsewhere");
    fs::rename(&path, &elsewhere).expect("moved");
    symlink(&elsewhere, &path).expect("linked");
    assert_eq!(get(&cache), built());
    assert!(elsewhere.join(DATA).exists(), "what a link leads to stays");

    for file in [DATA, MANIFEST] {
        fs::remove_file(path.join(file)).expect("removed");
        symlink(elsewhere.join(file), path.join(file)).expect("linked");
        assert_eq!(get(&cache), built(), "{file}");
    }
    // Opening a pipe that nobody writes to would wait for ever.
    for file in [DATA, MANIFEST] {
        fs::remove_file(path.join(file)).expect("removed");
        let made = std::process::Command::new("mkfifo")
            .arg(path.join(file))
            .status();
        assert!(made.expect("mkfifo runs").success());
        assert_eq!(get(&cache), built(), "{file}");
    }
}

#[test]
fn a_manifest_that_ends_anywhere_is_damaged() {
    let (_root, cache) = cache();
    get(&cache);
    let path = cache.path(&entry(), MANIFEST);
    assert!(!path.exists());
    let path = cache.path(&entry(), "").join(MANIFEST);
    let manifest = fs::read(&path).expect("there");
    for length in 0..manifest.len() {
        write(&path, &manifest[..length]);
        assert!(cache.load(&entry(), parse).is_none(), "{length}");
    }
    write(&path, &manifest);
    assert!(cache.load(&entry(), parse).is_some());
}

#[test]
fn one_damaged_entry_is_kept() {
    let (_root, cache) = cache();
    let entries = ["pk-a", "vk-b", "srs-c"].map(named);
    write_foreign(&cache);
    for entry in &entries {
        let get = || cache.load_or_build(entry, parse, build).expect("built");
        assert!(get().kept);
        write(cache.path(entry, "").join(DATA), b"damaged");
        assert!(get().kept);
    }
    let damaged: Vec<_> = names(&cache)
        .into_iter()
        .filter(|name| name.ends_with(DAMAGED))
        .collect();
    assert_eq!(damaged, ["mine.damaged", "srs-c.damaged"]);
}

/// Something in the directory that is not the cache's.
fn write_foreign(cache: &Cache) {
    fs::create_dir_all(&cache.root).expect("created");
    write(cache.root.join("mine.damaged"), b"mine");
}

#[test]
fn what_killed_processes_left_is_removed_and_nothing_else() {
    let (_root, cache) = cache();
    fs::create_dir_all(&cache.root).expect("created");
    let unfinished = |name: &str| {
        let path = cache.root.join(format!("{WRITING}{name}-aBcDeF"));
        fs::create_dir(&path).expect("created");
        write(path.join(DATA), b"half");
        path
    };
    let (own, dead) = (unfinished("pk-entry"), unfinished("vk-k10-dead"));
    let alive = unfinished("vk-k10-alive");
    // Another process is a file that is open once more.
    let lock = File::create(cache.root.join("vk-k10-alive.lock")).expect("created");
    lock.lock().expect("free");
    assert_eq!(get(&cache), built());
    assert!(!own.exists() && !dead.exists());
    assert!(alive.exists());
    drop(lock);
    fs::remove_dir_all(cache.path(&entry(), "")).expect("removed");
    assert_eq!(get(&cache), built());
    assert!(!alive.exists());
}

#[test]
fn a_failed_build_leaves_nothing() {
    let (_root, cache) = cache();
    let result = cache.load_or_build(&entry(), parse, || Err(Error::MissingSrs));
    assert!(matches!(result, Err(Error::MissingSrs)));
    assert_eq!(names(&cache), ["pk-entry.lock"]);
    assert_eq!(get(&cache), built());
}

#[test]
fn one_of_many_builds() {
    let (_root, cache) = cache();
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cached = cache.load_or_build(&entry(), parse, || {
                    count.fetch_add(1, Ordering::Relaxed);
                    build()
                });
                let cached = cached.expect("building does not fail");
                assert!(cached.kept);
                assert_eq!(cached.value, DATA_BYTES);
            });
        }
    });
    assert_eq!(count.into_inner(), 1);
}

#[test]
fn whoever_waits_gets_what_was_built_meanwhile() {
    let (_root, cache) = cache();
    get(&cache);
    let path = cache.path(&entry(), "");
    let away = cache.root.join("away");
    fs::rename(&path, &away).expect("moved");
    let lock = File::open(cache.path(&entry(), LOCK)).expect("there");
    lock.lock().expect("free");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&cache));
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!waiting.is_finished());
        fs::rename(&away, &path).expect("moved back");
        drop(lock);
        assert_eq!(waiting.join().expect("no panic"), found());
    });
}

#[test]
fn what_cannot_be_kept_is_used() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let file = root.path().join("file");
    write(&file, b"mine");
    for path in [file.clone(), file.join("below")] {
        let cache = Cache::new(path);
        assert!(cache.load(&entry(), parse).is_none());
        assert_eq!(get(&cache), built_but_not_kept());
    }
    assert_eq!(fs::read(&file).expect("there"), b"mine");

    // Whatever is in the way.
    let cache = Cache::new(root.path().join("cache"));
    fs::create_dir_all(cache.path(&entry(), LOCK)).expect("created");
    assert_eq!(get(&cache), built_but_not_kept());
    assert_eq!(names(&cache), ["pk-entry.lock"]);
}
