//! Entries, their damages, and directories that cannot be used.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::entry::{DATA, MANIFEST, manifest_of};
use super::*;

type Damage = fn(&Path);

const NAME: &str = "pk-k10-b8-0123456789abcdef0123456789abcdef";
const LOCK_NAME: &str = "pk-k10-b8-0123456789abcdef0123456789abcdef.lock";
const DAMAGED_NAME: &str = "pk-k10-b8-0123456789abcdef0123456789abcdef.damaged";
const DATA_BYTES: &[u8] = b"some key material";

fn entry() -> Entry {
    named(NAME)
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
    let kept = cached.kept();
    (cached.value, built.get(), kept)
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
    assert_eq!(names(&cache), [NAME, LOCK_NAME]);
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
            let manifest = manifest_of(NAME, DATA_BYTES);
            write(entry.join(MANIFEST), manifest.replace("cache 1", "cache 0"));
        }),
        ("of no format", |entry| {
            write(entry.join(MANIFEST), b"\xff\0\xff");
        }),
        ("with a long manifest", |entry| {
            let manifest = manifest_of(NAME, DATA_BYTES);
            write(entry.join(MANIFEST), manifest.repeat(1000));
        }),
        ("too large", |entry| {
            let data = [DATA_BYTES, &[0; 100]].concat();
            write(entry.join(MANIFEST), manifest_of(NAME, &data));
            write(entry.join(DATA), data);
        }),
        ("refused by its parser", |entry| {
            write(entry.join(DATA), b"other");
            write(entry.join(MANIFEST), manifest_of(NAME, b"other"));
        }),
        ("panicking", |entry| {
            write(entry.join(DATA), b"panic");
            write(entry.join(MANIFEST), manifest_of(NAME, b"panic"));
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
        let expected = [NAME, DAMAGED_NAME, LOCK_NAME];
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
    let entries = ["pk-k10-b8", "vk-k10-b8", "srs-k10"]
        .map(|name| named(&format!("{name}-0123456789abcdef0123456789abcdef")));
    write_foreign(&cache);
    for entry in &entries {
        let get = || cache.load_or_build(entry, parse, build).expect("built");
        assert!(get().kept());
        write(cache.path(entry, "").join(DATA), b"damaged");
        assert!(get().kept());
    }
    let damaged: Vec<_> = names(&cache)
        .into_iter()
        .filter(|name| name.ends_with(DAMAGED))
        .collect();
    assert_eq!(
        damaged,
        [
            "mine.damaged",
            "srs-k10-0123456789abcdef0123456789abcdef.damaged"
        ]
    );
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
    let (own, dead) = (
        unfinished(NAME),
        unfinished("vk-k10-dead-0123456789abcdef0123456789abcdef"),
    );
    let alive = unfinished("vk-k10-alive-0123456789abcdef0123456789abcdef");
    // Another process is a file that is open once more.
    let lock = File::create(
        cache
            .root
            .join("vk-k10-alive-0123456789abcdef0123456789abcdef.lock"),
    )
    .expect("created");
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
    assert_eq!(names(&cache), [LOCK_NAME]);
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
                assert!(cached.kept());
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
    assert_eq!(names(&cache), [LOCK_NAME]);
}

/// What there is, in which state, by the first word of each name.
fn listed(cache: &Cache) -> Vec<(CacheKind, &'static str, String)> {
    let entries = CacheEntry::list(&cache.root).expect("readable");
    let entries = entries.into_iter().map(|entry| {
        let reason = match &entry.state {
            CacheState::Damaged { reason } => reason.clone(),
            _ => String::new(),
        };
        (entry.kind, entry.state.name(), reason)
    });
    entries.collect()
}

#[test]
fn the_inventory_tells_states_and_skips_foreign_files() {
    let (_root, cache) = cache();
    assert_eq!(listed(&cache), []);
    assert_eq!(get(&cache), built());
    let foreign = ["mine.damaged", "pk-notes.txt", ".writing-letters-to"];
    for name in foreign {
        write(cache.root.join(name), b"mine");
    }
    let state =
        |state: &'static str, reason: &str| (CacheKind::ProvingKey, state, reason.to_owned());
    let intact = [state("intact", ""), state("lock", "")];
    assert_eq!(listed(&cache), intact);

    // Looking changes nothing.
    let data = cache.path(&entry(), "").join(DATA);
    let damages: [(&[u8], &str); 3] = [
        (
            &DATA_BYTES[..5],
            "data: it has 5 bytes, which is not its size",
        ),
        (
            b"some kez material",
            "the data is not what the manifest says",
        ),
        (b"", "data: it has 0 bytes, which is not its size"),
    ];
    for (bytes, reason) in damages {
        write(&data, bytes);
        for _ in 0..2 {
            assert_eq!(listed(&cache)[0], state("damaged", reason));
        }
    }
    assert_eq!(get(&cache), built());
    let unfinished = cache.root.join(format!("{WRITING}{NAME}-aBcDeF"));
    fs::create_dir(&unfinished).expect("created");
    let expected = [
        state("unfinished", ""),
        state("intact", ""),
        state("set-aside", ""),
        state("lock", ""),
    ];
    assert_eq!(listed(&cache), expected);

    // What another process is writing stays, with its lock.
    let remove_all = || -> Vec<bool> {
        let entries = CacheEntry::list(&cache.root).expect("readable");
        let removed = entries.iter().map(|entry| entry.remove(&cache.root));
        removed.map(|removed| removed.expect("removable")).collect()
    };
    let lock = File::open(cache.path(&entry(), LOCK)).expect("there");
    lock.lock().expect("free");
    assert_eq!(remove_all(), [false, true, true, false]);
    drop(lock);
    assert_eq!(remove_all(), [true, true]);
    assert_eq!(names(&cache), {
        let mut names = foreign.map(str::to_owned);
        names.sort();
        names
    });
}
