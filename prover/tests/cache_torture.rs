//! Processes that share a cache while they are killed and their entries are spoiled: every key that one of
//! them gets is the right one, and no entry is left half written.
#![expect(clippy::print_stderr, reason = "figures, and what was skipped")]
#![expect(clippy::print_stdout, reason = "how a child process tells its parent")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::Bn256;
use prover::{KeygenConfig, Keys};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, RngCore, SeedableRng};

const PROCESSES: usize = 4;
const LOADS: usize = 4;
/// A process that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(180);
/// How a child process is told where the cache is.
const DIRECTORY: &str = "ZKBPF_TORTURE_DIRECTORY";
const SRS: &str = "ZKBPF_TORTURE_SRS";
const SEED: &str = "ZKBPF_TORTURE_SEED";
const RESULT: &str = "got: ";

#[test]
fn keys_are_right_whatever_happens_to_the_cache() {
    torture(4).print();
}

#[test]
#[ignore = "takes minutes: cargo test -p prover --test cache_torture -- --ignored hundred"]
fn keys_are_right_whatever_happens_to_the_cache_in_a_hundred_rounds() {
    torture(100).print();
}

/// Not a test: what the processes of a torture do.
#[test]
#[ignore = "run by the torture"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        eprintln!("SKIPPED: only of use to the torture");
        return;
    };
    let srs = std::env::var_os(SRS).expect("given by the torture");
    let seed = std::env::var(SEED).expect("given by the torture");
    let mut random = ChaCha20Rng::seed_from_u64(seed.parse().expect("a number"));
    for _ in 0..LOADS {
        let choice = random.next_u32() as usize % Load::ALL.len();
        let load = Load::ALL[choice];
        let digest = load.run(Path::new(&directory), Path::new(&srs));
        println!("{RESULT}{choice} {digest}");
    }
}

/// What a process asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Load {
    TestKeys,
    TestVerifyingKey,
    FileKeys,
    FileVerifyingKey,
}

impl Load {
    const ALL: [Self; 4] = [
        Self::TestKeys,
        Self::TestVerifyingKey,
        Self::FileKeys,
        Self::FileVerifyingKey,
    ];

    /// Loads or makes the keys, and returns what they are.
    fn run(self, directory: &Path, srs: &Path) -> String {
        let config = KeygenConfig::new(10, directory, 8);
        let config = match self {
            Self::TestKeys | Self::TestVerifyingKey => config.with_insecure_test_srs(),
            Self::FileKeys | Self::FileVerifyingKey => config.with_srs(srs),
        };
        match self {
            Self::TestKeys | Self::FileKeys => digest(&config.keys().expect("keys")),
            Self::TestVerifyingKey | Self::FileVerifyingKey => {
                let key = config.verifying_key().expect("a key");
                blake3::hash(&key.to_bytes()).to_string()
            }
        }
    }
}

/// Everything that proving uses.
fn digest(keys: &Keys) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&keys.verifying_key().to_bytes());
    hasher.update(&keys.proving_key().to_bytes(SerdeFormat::RawBytes));
    let mut params = Vec::new();
    keys.params()
        .write_custom(&mut params, SerdeFormat::RawBytes)
        .expect("memory");
    hasher.update(&params).finalize().to_string()
}

/// What is done to an entry, or to two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    FlipData,
    FlipManifest,
    TruncateData,
    TruncateManifest,
    Append,
    DeleteData,
    DeleteManifest,
    DeleteEntry,
    DeleteLock,
    Swap,
    CopyOver,
    OtherVersion,
    EntryIsDirectory,
    EntryIsFile,
    EntryIsLink,
    DataIsDirectory,
    DataIsLink,
}

impl Act {
    const ALL: [Self; 17] = [
        Self::FlipData,
        Self::FlipManifest,
        Self::TruncateData,
        Self::TruncateManifest,
        Self::Append,
        Self::DeleteData,
        Self::DeleteManifest,
        Self::DeleteEntry,
        Self::DeleteLock,
        Self::Swap,
        Self::CopyOver,
        Self::OtherVersion,
        Self::EntryIsDirectory,
        Self::EntryIsFile,
        Self::EntryIsLink,
        Self::DataIsDirectory,
        Self::DataIsLink,
    ];

    /// Does it. An error is that the entry was not there, or changed meanwhile.
    fn perform(self, entry: &Path, other: &Path, random: &mut impl RngCore) -> io::Result<()> {
        let (data, manifest) = (entry.join("data"), entry.join("manifest"));
        match self {
            Self::FlipData => change(&data, |bytes| flip(bytes, random)),
            Self::FlipManifest => change(&manifest, |bytes| flip(bytes, random)),
            Self::TruncateData => change(&data, |bytes| truncate(bytes, random)),
            Self::TruncateManifest => change(&manifest, |bytes| truncate(bytes, random)),
            Self::Append => File::options().append(true).open(&data)?.write_all(b"x"),
            Self::DeleteData => fs::remove_file(data),
            Self::DeleteManifest => fs::remove_file(manifest),
            // At once, so that what is seen of the entry later is not half of it.
            Self::DeleteEntry => {
                let trash = tempfile::tempdir_in(entry.parent().expect("a cache"))?;
                fs::rename(entry, trash.path().join("entry"))
            }
            Self::DeleteLock => fs::remove_file(entry.with_extension("lock")),
            Self::Swap => {
                let aside = entry.with_extension("aside");
                fs::rename(entry, &aside)?;
                let swapped = fs::rename(other, entry);
                fs::rename(&aside, if swapped.is_ok() { other } else { entry })?;
                swapped
            }
            Self::CopyOver => {
                fs::copy(other.join("data"), data)?;
                fs::copy(other.join("manifest"), manifest).map(drop)
            }
            Self::OtherVersion => change(&manifest, |bytes| {
                if let Some(version) = bytes.get_mut("zkbpf cache ".len()) {
                    *version = b'0';
                }
            }),
            Self::EntryIsDirectory => {
                fs::remove_dir_all(entry)?;
                fs::create_dir_all(entry.join("data"))
            }
            Self::EntryIsFile => {
                fs::remove_dir_all(entry)?;
                fs::write(entry, b"no entry")
            }
            Self::EntryIsLink => {
                fs::remove_dir_all(entry)?;
                link(other, entry)
            }
            Self::DataIsDirectory => {
                fs::remove_file(&data)?;
                fs::create_dir(data)
            }
            Self::DataIsLink => {
                fs::remove_file(&data)?;
                link(&other.join("data"), &data)
            }
        }
    }
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(not(unix))]
fn link(_: &Path, at: &Path) -> io::Result<()> {
    fs::write(at, b"no link")
}

/// Changes a file where it is, as a broken disk would.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    change(&mut bytes);
    let mut file = File::options().write(true).open(path)?;
    file.write_all(&bytes)?;
    file.set_len(bytes.len() as u64)
}

fn flip(bytes: &mut [u8], random: &mut impl RngCore) {
    let bit = random.next_u64() as usize % (bytes.len() * 8).max(1);
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}

fn truncate(bytes: &mut Vec<u8>, random: &mut impl RngCore) {
    bytes.truncate(random.next_u64() as usize % bytes.len().max(1));
}

/// What happened.
#[derive(Default)]
struct Figures {
    rounds: usize,
    acts: BTreeMap<Act, usize>,
    killed: usize,
    finished: usize,
    results: BTreeMap<Load, usize>,
    intact: usize,
    rebuilt: usize,
    unfinished: usize,
}

impl Figures {
    fn print(&self) {
        let acts: usize = self.acts.values().sum();
        eprintln!(
            "{} rounds of {PROCESSES} processes: {} killed, {} finished\n\
             {} results, all right: {:?}\n\
             {acts} acts: {:?}\n\
             {} looks at untouched entries, all intact; {} spoiled entries found rebuilt; {} unfinished \
             entries seen at the ends of rounds",
            self.rounds,
            self.killed,
            self.finished,
            self.results.values().sum::<usize>(),
            self.results,
            self.acts,
            self.intact,
            self.rebuilt,
            self.unfinished,
        );
    }
}

fn torture(rounds: usize) -> Figures {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let (cache, srs) = (scratch.path().join("cache"), scratch.path().join("srs"));
    let mut bytes = Vec::new();
    ParamsKZG::<Bn256>::setup(10, OsRng)
        .write_custom(&mut bytes, SerdeFormat::RawBytes)
        .expect("memory");
    fs::write(&srs, bytes).expect("written");
    let clean = scratch.path().join("clean");
    let expected = Load::ALL.map(|load| load.run(&clean, &srs));
    assert_eq!(expected, Load::ALL.map(|load| load.run(&clean, &srs)));
    assert_ne!(expected[0], expected[2]);
    let entries = entries(&clean);
    assert_eq!(entries.len(), 6, "{entries:?}");

    let seed = std::env::var(SEED)
        .map_or_else(|_| OsRng.next_u64(), |seed| seed.parse().expect("a number"));
    eprintln!("{SEED}={seed}");
    let mut torture = Torture {
        cache,
        srs,
        expected,
        entries,
        suspects: BTreeSet::new(),
        random: ChaCha20Rng::seed_from_u64(seed),
        figures: Figures::default(),
    };
    for round in 0..rounds {
        torture.round(round);
    }
    torture.settle();
    torture.figures
}

/// Names of the entries of a cache.
fn entries(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).expect("there").map(|file| {
        let name = file.expect("there").file_name();
        name.into_string().expect("UTF-8")
    });
    let mut names: Vec<_> = names
        .filter(|name| !name.contains('.') && prover::is_cache_file(name))
        .collect();
    names.sort();
    names
}

struct Torture {
    cache: PathBuf,
    srs: PathBuf,
    expected: [String; 4],
    entries: Vec<String>,
    /// Entries that were spoiled and have not been seen intact since.
    suspects: BTreeSet<String>,
    random: ChaCha20Rng,
    figures: Figures,
}

impl Torture {
    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u64() as usize % bound
    }

    fn round(&mut self, round: usize) {
        let mut children: Vec<_> = (0..PROCESSES).map(|_| Some(self.spawn())).collect();
        if round.is_multiple_of(2) {
            self.spoil_and_kill(&mut children);
        } else {
            self.kill_writers(&mut children);
        }
        for child in children.into_iter().flatten() {
            self.finish(round, child);
        }
        self.inspect(round);
        self.figures.rounds += 1;
    }

    fn spoil_and_kill(&mut self, children: &mut [Option<Child>]) {
        for _ in 0..6 + self.below(6) {
            std::thread::sleep(Duration::from_millis(self.below(150) as u64));
            if self.below(4) == 0 {
                let victim = self.below(PROCESSES);
                self.kill(&mut children[victim]);
            } else {
                let act = Act::ALL[self.below(Act::ALL.len())];
                self.act(act);
            }
        }
    }

    /// Nothing is spoiled: entries are deleted, and once one is being written again all processes are killed,
    /// so that nobody repairs what they leave.
    fn kill_writers(&mut self, children: &mut [Option<Child>]) {
        for _ in 0..self.below(4 * self.entries.len()) {
            let act = [Act::DeleteEntry, Act::DeleteLock][self.below(2)];
            self.act(act);
        }
        let before = self.files();
        let start = Instant::now();
        while self.files() == before && start.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(self.below(5000) as u64));
        for child in children {
            self.kill(child);
        }
    }

    fn kill(&mut self, child: &mut Option<Child>) {
        let Some(mut child) = child.take() else {
            return;
        };
        child.kill().expect("a process of ours");
        let output = child.wait_with_output().expect("it ended");
        self.check_results(&String::from_utf8_lossy(&output.stdout));
        self.figures.killed += 1;
    }

    fn spawn(&mut self) -> Child {
        Command::new(std::env::current_exe().expect("this binary"))
            .args(["child", "--exact", "--ignored", "--nocapture"])
            .args(["--test-threads", "1"])
            .env(DIRECTORY, &self.cache)
            .env(SRS, &self.srs)
            .env(SEED, self.random.next_u64().to_string())
            .env("RAYON_NUM_THREADS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this binary runs")
    }

    /// Does something to a random entry, and perhaps to another one.
    fn act(&mut self, act: Act) {
        let entries = self.entries.len();
        let first = self.below(entries);
        let second = (first + 1 + self.below(entries - 1)) % entries;
        let (entry, other) = (self.entries[first].clone(), self.entries[second].clone());
        let paths = (self.cache.join(&entry), self.cache.join(&other));
        if !matches!(act, Act::DeleteEntry | Act::DeleteLock) {
            self.suspects.insert(entry);
        }
        // A link to an entry lets later acts on one spoil the other.
        if matches!(act, Act::Swap | Act::EntryIsLink | Act::DataIsLink) {
            self.suspects.insert(other);
        }
        if act.perform(&paths.0, &paths.1, &mut self.random).is_ok() {
            *self.figures.acts.entry(act).or_default() += 1;
        }
    }

    /// Waits for a process, which must get all its keys.
    fn finish(&mut self, round: usize, mut child: Child) {
        // Read while it runs: it must not wait for its parent.
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let read = |stream: Option<&mut dyn Read>| {
            let mut text = Vec::new();
            stream.expect("piped").read_to_end(&mut text).expect("read");
            String::from_utf8_lossy(&text).into_owned()
        };
        let start = Instant::now();
        let (stdout, stderr) = std::thread::scope(|scope| {
            let stdout = scope.spawn(move || read(stdout.as_mut().map(|s| s as &mut dyn Read)));
            let stderr = scope.spawn(move || read(stderr.as_mut().map(|s| s as &mut dyn Read)));
            let status = loop {
                if let Some(status) = child.try_wait().expect("a process of ours") {
                    break Some(status);
                }
                if start.elapsed() > PATIENCE {
                    child.kill().expect("a process of ours");
                    break None;
                }
                std::thread::sleep(Duration::from_millis(10));
            };
            let stderr = stderr.join().expect("no panic");
            let status = status.unwrap_or_else(|| panic!("round {round}: it hangs\n{stderr}"));
            assert!(status.success(), "round {round}: {status}\n{stderr}");
            (stdout.join().expect("no panic"), stderr)
        });
        assert_eq!(
            self.check_results(&stdout),
            LOADS,
            "round {round}\n{stderr}"
        );
        self.figures.finished += 1;
    }

    /// Compares what a process got with what it should have; returns how much that was.
    fn check_results(&mut self, stdout: &str) -> usize {
        // The line of a killed process may be incomplete.
        let whole = stdout.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let results = whole.lines().filter_map(|line| {
            // The test runner writes its own words before the first one.
            let (_, result) = line.split_once(RESULT)?;
            result.split_once(' ')
        });
        let mut count = 0;
        for (choice, digest) in results {
            let choice: usize = choice.parse().expect("a number");
            assert_eq!(digest, self.expected[choice], "{:?}", Load::ALL[choice]);
            *self.figures.results.entry(Load::ALL[choice]).or_default() += 1;
            count += 1;
        }
        count
    }

    /// Entries that nobody spoiled are intact.
    fn inspect(&mut self, round: usize) {
        for name in &self.entries {
            let intact = is_intact(&self.cache.join(name), name);
            if self.suspects.contains(name) {
                if intact {
                    self.suspects.remove(name);
                    self.figures.rebuilt += 1;
                }
            } else if self.cache.join(name).exists() {
                assert!(intact, "round {round}: {name} is torn");
                self.figures.intact += 1;
            }
        }
        let (unfinished, damaged) = self.leftovers();
        self.figures.unfinished += unfinished;
        // Each process keeps one.
        assert!(damaged <= PROCESSES, "{damaged} damaged entries");
    }

    /// Files that are there, but for locks.
    fn files(&self) -> BTreeSet<String> {
        let files = fs::read_dir(&self.cache).into_iter().flatten().flatten();
        files
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.ends_with(".lock"))
            .collect()
    }

    /// Unfinished and damaged entries.
    fn leftovers(&self) -> (usize, usize) {
        let files = self.files();
        let count = |is: &dyn Fn(&&String) -> bool| files.iter().filter(is).count();
        (
            count(&|name| name.starts_with(".writing-")),
            count(&|name| name.ends_with(".damaged")),
        )
    }

    /// Once everybody is gone, one process puts everything right and takes away what is left.
    fn settle(&mut self) {
        let vk = self.entries.iter().find(|name| name.starts_with("vk-"));
        let _ = fs::remove_dir_all(self.cache.join(vk.expect("a key")));
        for (load, expected) in Load::ALL.iter().zip(&self.expected) {
            assert_eq!(&load.run(&self.cache, &self.srs), expected, "{load:?}");
        }
        for name in &self.entries {
            assert!(is_intact(&self.cache.join(name), name), "{name}");
        }
        let (unfinished, damaged) = self.leftovers();
        assert!(
            unfinished == 0 && damaged <= PROCESSES,
            "{unfinished} {damaged}"
        );
    }
}

/// Whether an entry is what its manifest says.
fn is_intact(path: &Path, name: &str) -> bool {
    let is_link = |path: &Path| {
        path.symlink_metadata()
            .is_ok_and(|found| found.is_symlink())
    };
    let (Ok(data), Ok(manifest)) = (
        fs::read(path.join("data")),
        fs::read_to_string(path.join("manifest")),
    ) else {
        return false;
    };
    let (size, digest) = (data.len(), blake3::hash(&data));
    let expected = format!("zkbpf cache 1\nname {name}\nsize {size}\nblake3 {digest}\n");
    manifest == expected && !is_link(path) && !is_link(&path.join("data"))
}
