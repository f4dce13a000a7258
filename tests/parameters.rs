//! Parameters and the cache of keys from the command line: files of a secret that is not the test string's, from
//! import to a verified proof, and everything that is refused.
#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

mod asm;
#[path = "../prover/tests/common/ptau.rs"]
mod ptau;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use asm::{EXIT, bytecode};
use halo2_proofs::arithmetic::g_to_lagrange;
use halo2curves::bn256::{Fr, G1, G1Affine, G2Affine};
use halo2curves::ff::Field;
use halo2curves::group::Curve;
use halo2curves::serde::SerdeObject;
use ptau::{MODULUS, Ptau, header};
use serde_json::{Value, json};
use tempfile::TempDir;

const K: u32 = 10;
const SECRET: u64 = 0x005e_c2e7;
const OTHER_SECRET: u64 = 0x07e2;

/// Files of one secret, and a proof under it.
struct Ceremony {
    folder: TempDir,
    /// What its string is called.
    name: String,
    /// What `keygen` said, on an empty cache.
    keygen: Value,
    proved: Value,
}

impl Ceremony {
    fn new(secret: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let secret = Fr::from(secret);
        let files = [
            ("plain.ptau", Ptau::new(K, secret).bytes()),
            ("prepared.ptau", Ptau::prepared(K + 1, secret).bytes()),
            ("raw.srs", raw(secret)),
            ("small.ptau", Ptau::new(K - 1, secret).bytes()),
        ];
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).expect("writable");
        }
        let name = format!("file:{}", blake3::hash(&image(secret)));
        let mut ceremony = Self {
            folder,
            name,
            keygen: Value::Null,
            proved: Value::Null,
        };
        assert_eq!(list(&ceremony.cache())["entries"], json!([]));
        let keygen = ["keygen", "--k", "10", "--json"];
        ceremony.keygen = ceremony.run(&keygen, "plain.ptau").expect(0).json();
        let proof = ceremony.proof();
        let report = ceremony.path("run.html");
        let prove = ["prove", "-o", text(&proof), "--k", "10", "--json"];
        let prove = [&prove[..], &program(), &["--report", text(&report)]].concat();
        ceremony.proved = ceremony.run(&prove, "prepared.ptau").expect(0).json();
        ceremony
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    fn proof(&self) -> PathBuf {
        self.path("run.proof")
    }

    /// A command with one of the files, and the keys of this ceremony.
    fn run(&self, arguments: &[&str], srs: &str) -> Done {
        run_with(arguments, &self.path(srs), &self.cache())
    }

    fn verify(&self, proof: &Path, srs: &str, more: &[&str]) -> Done {
        let verify = ["verify", text(proof), "--input-size", "0"];
        self.run(&[&verify[..], &program(), more].concat(), srs)
    }
}

static CEREMONY: LazyLock<Ceremony> = LazyLock::new(|| Ceremony::new(SECRET));
static OTHER: LazyLock<Ceremony> = LazyLock::new(|| Ceremony::new(OTHER_SECRET));

fn image(secret: Fr) -> Vec<u8> {
    (G2Affine::generator() * secret).to_affine().to_raw_bytes()
}

/// halo2's raw format.
fn raw(secret: Fr) -> Vec<u8> {
    let powers = std::iter::successors(Some(Fr::ONE), |value| Some(value * secret));
    let powers: Vec<G1> = powers
        .take(1 << K)
        .map(|power| G1Affine::generator() * power)
        .collect();
    let mut affine = vec![G1Affine::default(); powers.len()];
    G1::batch_normalize(&powers, &mut affine);
    let lagrange = g_to_lagrange(powers, K);
    let points = affine.iter().chain(&lagrange);
    let mut bytes = K.to_le_bytes().to_vec();
    bytes.extend(points.flat_map(SerdeObject::to_raw_bytes));
    bytes.extend(G2Affine::generator().to_raw_bytes());
    bytes.extend(image(secret));
    bytes
}

/// `r0 = 42; exit`
fn program() -> [&'static str; 2] {
    static HEX: LazyLock<String> =
        LazyLock::new(|| hex::encode(bytecode(&[(0xb7, 0, 0, 0, 42), EXIT])));
    ["--raw-hex", HEX.as_str()]
}

/// What a command did.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Done {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    fn expect(self, code: i32) -> Self {
        let (stdout, stderr) = (&self.stdout, &self.stderr);
        assert_eq!(self.code, code, "stdout: {stdout}\nstderr: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        self
    }

    /// Fails with these words.
    fn says(self, code: i32, words: &str) {
        let done = self.expect(code);
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    }
}

fn zkbpf(arguments: &[&str]) -> Done {
    let output = Command::new(env!("CARGO_BIN_EXE_zkbpf"))
        .args(arguments)
        .env_remove("ZKBPF_LOG")
        .output();
    Done::of(output.expect("the binary runs"))
}

fn run_with(arguments: &[&str], srs: &Path, cache: &Path) -> Done {
    let common = ["--srs", text(srs), "--cache-dir", text(cache)];
    zkbpf(&[arguments, &common].concat())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn list(cache: &Path) -> Value {
    let list = ["cache", "list", "--json", "--cache-dir", text(cache)];
    zkbpf(&list).expect(0).json()
}

/// Kinds and states of what is in a cache, without locks and what chunks took, sorted.
fn contents(cache: &Path) -> Vec<(String, String)> {
    let list = list(cache);
    let entries = list["entries"].as_array().expect("a list").iter();
    let word = |value: &Value| value.as_str().expect("a string").to_owned();
    let mut contents: Vec<_> = entries
        .map(|entry| (word(&entry["kind"]), word(&entry["state"])))
        .filter(|(kind, state)| state != "lock" && kind != "calibration")
        .collect();
    contents.sort();
    contents
}

fn intact(kinds: &[&str]) -> Vec<(String, String)> {
    let of_kind = |kind: &&str| ((*kind).to_owned(), "intact".to_owned());
    kinds.iter().map(of_kind).collect()
}

/// A directory with the entry of this kind, of a cache with one of them.
fn entry(cache: &Path, kind: &str) -> PathBuf {
    let list = list(cache);
    let mut entries = list["entries"].as_array().expect("a list").iter();
    let found = entries.find(|entry| entry["kind"] == kind && entry["state"] != "lock");
    cache.join(found.expect("there")["name"].as_str().expect("a string"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for file in fs::read_dir(from).expect("there") {
        let (path, target) = {
            let file = file.expect("there");
            (file.path(), to.join(file.file_name()))
        };
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("writable");
        }
    }
}

#[test]
fn parameters_are_imported_used_and_named() {
    let ceremony = &*CEREMONY;
    let name = json!(ceremony.name);
    for said in [&ceremony.keygen, &ceremony.proved] {
        assert_eq!(said["srs"], name);
        assert_eq!(said["insecure"], false);
        assert_eq!(said["ceremony"], Value::Null, "nobody knows it");
    }
    assert_eq!(ceremony.keygen["cache"], text(&ceremony.cache()));
    let kinds = ["program", "proving-key", "srs", "verifying-key"];
    assert_eq!(contents(&ceremony.cache()), intact(&kinds));
    for entry in list(&ceremony.cache())["entries"]
        .as_array()
        .expect("a list")
    {
        let k = if entry["kind"] == "program" || entry["kind"] == "calibration" {
            Value::Null
        } else {
            json!(K)
        };
        assert_eq!(
            (&entry["k"], &entry["layer"]),
            (&k, &Value::Null),
            "{entry}"
        );
    }

    // The format makes no difference, nor does the size.
    for file in ["plain.ptau", "prepared.ptau", "raw.srs"] {
        let cache = tempfile::tempdir().expect("a temporary directory");
        let keygen = ["keygen", "--k", "10"];
        let done = run_with(&keygen, &ceremony.path(file), cache.path()).expect(0);
        let key = ceremony.keygen["key"].as_str().expect("a string");
        let directory = text(cache.path());
        for words in [key, ceremony.name.as_str(), directory] {
            assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
        }
        assert!(!done.stdout.contains("INSECURE"), "{}", done.stdout);
        assert_eq!(contents(cache.path()), intact(&kinds[1..]), "{file}");
        let json = ceremony.verify(&ceremony.proof(), file, &["--json"]);
        let json = json.expect(0).json();
        assert_eq!(json["valid"], true);
        assert_eq!((&json["srs"], &json["insecure"]), (&name, &json!(false)));
        assert_eq!(json["key"], key);
    }
    let text_of = |done: Done| done.expect(0).stdout;
    let verified = text_of(ceremony.verify(&ceremony.proof(), "raw.srs", &[]));
    let inspected = text_of(zkbpf(&["inspect", text(&ceremony.proof())]));
    for stdout in [verified, inspected] {
        assert!(stdout.contains(&ceremony.name), "{stdout}");
        assert!(!stdout.contains("INSECURE"), "{stdout}");
    }
    let proof = ceremony.proof();
    let inspect = ["inspect", text(&proof), "--json"];
    let inspected = zkbpf(&inspect).expect(0).json();
    assert_eq!(
        (&inspected["srs"], &inspected["insecure"]),
        (&name, &json!(false))
    );
}

#[test]
fn the_string_can_be_pinned() {
    let (ceremony, other) = (&*CEREMONY, &*OTHER);
    let digest = ceremony.name.strip_prefix("file:").expect("a file's");
    let verify = |digest: &str| {
        let pinned = ["--srs-digest", digest];
        ceremony.verify(&ceremony.proof(), "raw.srs", &pinned)
    };
    verify(digest).expect(0);
    verify(&ceremony.name).expect(0);
    let expected = format!("it holds the string {}, not {}", ceremony.name, other.name);
    verify(&other.name).says(3, &expected);
    verify("00").says(2, "64 hexadecimal digits");
    let keygen = ["keygen", "--k", "10", "--srs-digest", digest];
    let cache = tempfile::tempdir().expect("a temporary directory");
    run_with(&keygen, &other.path("raw.srs"), cache.path()).says(3, "it holds the string");
    assert_eq!(contents(cache.path()), []);
    let without = ["--insecure-test-srs", "--cache-dir", text(cache.path())];
    zkbpf(&[&keygen[..], &without].concat()).says(2, "--srs");
}

/// Reports name the string, and the command in them pins it.
#[test]
fn reports_name_the_string() {
    let ceremony = &*CEREMONY;
    let digest = ceremony.name.strip_prefix("file:").expect("a file's");
    let page = fs::read_to_string(ceremony.path("run.html")).expect("written");
    assert!(page.contains(&ceremony.name) && !page.contains("INSECURE"));
    let command = ceremony.proved["verify_command"].as_str().expect("text");
    assert!(page.contains(command), "{command}");
    let pinned = format!("--srs-digest {digest}");
    assert!(command.contains(&pinned), "{command}");
    assert!(!command.contains("insecure"), "{command}");
    let run = |command: &str| {
        let binary = format!("'{}' ", env!("CARGO_BIN_EXE_zkbpf"));
        let line = command.replacen("zkbpf ", &binary, 1);
        let output = Command::new("sh").args(["-c", &line]).output();
        Done::of(output.expect("there is a shell"))
    };
    run(command).expect(0);
    let other = OTHER.name.strip_prefix("file:").expect("a file's");
    run(&command.replace(digest, other)).says(3, "it holds the string");
}

#[test]
fn proofs_under_other_parameters_are_refused() {
    let (ceremony, other) = (&*CEREMONY, &*OTHER);
    assert_ne!(ceremony.name, other.name);
    assert_ne!(ceremony.keygen["key"], other.keygen["key"]);
    other
        .verify(&other.proof(), "plain.ptau", &["--json"])
        .expect(0);
    let before = list(&ceremony.cache());
    let refused = |proof: &Path, words: &str| {
        let done = ceremony.verify(proof, "plain.ptau", &["--json"]).expect(1);
        let json = done.json();
        assert_eq!(json["valid"], false);
        let reason = json["reason"].as_str().expect("a string");
        for words in ["was made with parameters", words, &ceremony.name] {
            assert!(reason.contains(words), "{words}: {reason}");
        }
        // It is no input for other verbs either, and no keys of gigabytes are made to find out.
        let output = ceremony.path("aggregate.proof");
        let aggregate = ["aggregate", text(proof), "-o", text(&output)];
        ceremony.run(&aggregate, "plain.ptau").says(3, words);
        assert!(!output.exists());
    };
    refused(&other.proof(), &other.name);

    let insecure = ceremony.path("insecure.proof");
    let keys = ceremony.path("insecure-keys");
    let common = ["--insecure-test-srs", "--cache-dir", text(&keys)];
    let prove = ["prove", "-o", text(&insecure), "--k", "10"];
    let done = zkbpf(&[&prove[..], &program(), &common].concat()).expect(0);
    assert!(done.stdout.contains("INSECURE"), "{}", done.stdout);
    assert!(done.stderr.contains("INSECURE"), "{}", done.stderr);
    refused(&insecure, "INSECURE");
    assert_eq!(list(&ceremony.cache()), before);
    let kinds = ["insecure-srs", "program", "proving-key", "verifying-key"];
    assert_eq!(contents(&keys), intact(&kinds));

    // Allowed, it is named; and real proofs are none of these.
    let verify = |proof: &Path, more: &[&str]| {
        let verify = ["verify", text(proof), "--input-size", "0"];
        zkbpf(&[&verify[..], &program(), more].concat())
    };
    let json = verify(&insecure, &[&common[..], &["--json"]].concat());
    let json = json.expect(0).json();
    assert_eq!(json["srs"], "insecure-test");
    assert_eq!(json["insecure"], true);
    let done = verify(&insecure, &common).expect(0);
    assert!(done.stdout.contains("INSECURE"), "{}", done.stdout);
    verify(&ceremony.proof(), &common).expect(1);
    verify(&insecure, &[]).says(2, "--insecure-test-srs");
}

/// The key of other parameters in this one's place, with a manifest that fits.
#[test]
fn keys_of_other_parameters_in_the_cache_are_not_used() {
    let (ceremony, other) = (&*CEREMONY, &*OTHER);
    let cache = ceremony.path("swapped-cache");
    copy(&ceremony.cache(), &cache);
    for kind in ["verifying-key", "proving-key", "srs"] {
        let own = entry(&cache, kind);
        let foreign = entry(&other.cache(), kind);
        let name = |path: &Path| path.file_name().expect("a name").to_owned();
        let manifest = fs::read_to_string(foreign.join("manifest")).expect("there");
        let manifest = manifest.replace(
            name(&foreign).to_str().expect("UTF-8"),
            name(&own).to_str().expect("UTF-8"),
        );
        fs::copy(foreign.join("data"), own.join("data")).expect("writable");
        fs::write(own.join("manifest"), manifest).expect("writable");
    }
    let kinds = ["program", "proving-key", "srs", "verifying-key"];
    assert_eq!(contents(&cache), intact(&kinds), "by their manifests");
    let verify = |proof: &Path| {
        let verify = ["verify", text(proof), "--input-size", "0", "--json"];
        let arguments = [&verify[..], &program()].concat();
        run_with(&arguments, &ceremony.path("plain.ptau"), &cache)
    };
    let done = verify(&ceremony.proof()).expect(0);
    assert!(done.stderr.contains("is damaged"), "{}", done.stderr);
    assert_eq!(done.json()["key"], ceremony.keygen["key"]);
    verify(&other.proof()).expect(1);
}

#[test]
fn unusable_files_are_refused_and_leave_nothing() {
    let ceremony = &*CEREMONY;
    let read = |name: &str| fs::read(ceremony.path(name)).expect("there");
    let (plain, raw) = (read("plain.ptau"), read("raw.srs"));
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let mut bls = MODULUS;
    bls[0] ^= 2;
    let mut other_curve = Ptau::new(K, Fr::from(SECRET));
    *other_curve.section(1) = header(32, &bls, K, K);
    // The fifth power: after the headers of the file, of section 1, and of section 2.
    let fifth_power = 12 + 12 + 44 + 12 + 5 * 64;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("bad.ptau");
    for (what, bytes, words) in [
        ("empty", Vec::new(), "incomplete"),
        ("text", b"not parameters".to_vec(), "neither a .ptau file"),
        ("half", plain[..plain.len() / 2].to_vec(), "incomplete"),
        ("short", plain[..plain.len() - 1].to_vec(), "incomplete"),
        ("long", [&plain[..], &[0]].concat(), "more than one content"),
        ("half raw", raw[..raw.len() / 2].to_vec(), "incomplete"),
        ("point", flipped(&plain, fifth_power), "point 5 of `tauG1`"),
        ("raw point", flipped(&raw, 4 + 5 * 64), "point 5 of `g`"),
        ("image", flipped(&raw, raw.len() - 1), "point 1 of `g2`"),
        ("curve", other_curve.bytes(), "another curve"),
        ("small", read("small.ptau"), "2^9 points"),
    ] {
        fs::write(&file, bytes).expect("writable");
        let cache = folder.path().join("cache");
        let output = folder.path().join("run.proof");
        let proof = ceremony.proof();
        for verb in [
            vec!["keygen", "--k", "10"],
            vec!["prove", "-o", text(&output), "--k", "10"],
            vec!["verify", text(&proof), "--input-size", "0"],
        ] {
            let arguments = match verb[0] {
                "keygen" => verb,
                _ => [&verb[..], &program()].concat(),
            };
            let done = run_with(&arguments, &file, &cache).expect(3);
            for words in [words, "bad.ptau"] {
                assert!(done.stderr.contains(words), "{what}: {}", done.stderr);
            }
        }
        assert!(!output.exists());
        assert_eq!(contents(&cache), [], "{what}");
    }
    for (place, words) in [
        (folder.path().to_owned(), "not a regular file"),
        (folder.path().join("none"), "none"),
    ] {
        let cache = folder.path().join("cache");
        run_with(&["keygen", "--k", "10"], &place, &cache).says(3, words);
    }
}

/// `prove` does without a cache; `keygen` has nothing else to do.
#[test]
fn keygen_fails_if_keys_cannot_be_kept() {
    let ceremony = &*CEREMONY;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("file");
    fs::write(&file, "mine").expect("writable");
    let below = file.join("cache");
    let keygen = ["keygen", "--k", "10", "--json"];
    let srs = ceremony.path("raw.srs");
    let done = run_with(&keygen, &srs, &below).expect(4);
    let json = done.json();
    assert_eq!(json["exit_code"], 4);
    let error = json["error"].as_str().expect("a string");
    for words in ["cannot be kept", text(&below)] {
        assert!(error.contains(words), "{error}");
    }
    let output = folder.path().join("run.proof");
    let prove = ["prove", "-o", text(&output), "--k", "10"];
    run_with(&[&prove[..], &program()].concat(), &srs, &below).expect(0);
    assert_eq!(fs::read_to_string(&file).expect("there"), "mine");

    // Writing ends in the middle of the proving key, as on a full disk.
    let cache = folder.path().join("cache");
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ\nulimit -f 512\nexec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_zkbpf"))
        .args(keygen)
        .args(["--srs", text(&srs), "--cache-dir", text(&cache)])
        .env_remove("ZKBPF_LOG")
        .output();
    let done = Done::of(output.expect("there is a shell")).expect(4);
    let error = done.json()["error"].as_str().expect("a string").to_owned();
    assert!(error.contains("pk-k10"), "{error}");
    assert_eq!(contents(&cache), intact(&["srs", "verifying-key"]));
    run_with(&keygen, &srs, &cache).expect(0);
    let kinds = ["proving-key", "srs", "verifying-key"];
    assert_eq!(contents(&cache), intact(&kinds));
    // What is there need not be written.
    let locked = |mode| fs::set_permissions(&cache, fs::Permissions::from_mode(mode));
    locked(0o500).expect("ours");
    run_with(&keygen, &srs, &cache).expect(0);
    if fs::write(cache.join("file"), "").is_ok() {
        eprintln!("SKIPPED: modes of directories mean nothing to this user");
    } else {
        let larger = ["keygen", "--k", "11"];
        let srs = ceremony.path("prepared.ptau");
        run_with(&larger, &srs, &cache).says(4, "cannot be kept");
        assert_eq!(contents(&cache), intact(&kinds));
    }
    locked(0o700).expect("ours");
}

#[test]
fn the_cache_is_listed_and_cleared_without_what_is_foreign() {
    let ceremony = &*CEREMONY;
    let cache = ceremony.path("cleared-cache");
    copy(&ceremony.cache(), &cache);
    let foreign = [
        "pk-notes.txt",
        ".writing-letters-to",
        "mine.lock",
        "srs-k10",
    ];
    for name in foreign {
        fs::write(cache.join(name), "mine").expect("writable");
    }
    let kinds = ["program", "proving-key", "srs", "verifying-key"];
    assert_eq!(contents(&cache), intact(&kinds));
    let listed = list(&cache);
    assert_eq!(listed["path"], text(&cache));
    let bytes = listed["bytes"].as_u64().expect("a number");
    assert!(bytes > 100_000, "{bytes}");

    // Damages are shown, with their reasons, and a stored program is compared with its name.
    for kind in ["proving-key", "srs"] {
        let data = entry(&cache, kind).join("data");
        let mut bytes = fs::read(&data).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&data, bytes).expect("writable");
    }
    let manifest = entry(&cache, "verifying-key").join("manifest");
    let older = fs::read_to_string(&manifest).expect("there");
    fs::write(&manifest, older.replace("cache 1", "cache 0")).expect("writable");
    fs::write(entry(&cache, "program"), "{}").expect("writable");
    let damaged: Vec<_> = kinds
        .iter()
        .map(|kind| ((*kind).to_owned(), "damaged".to_owned()))
        .collect();
    assert_eq!(contents(&cache), damaged);
    let in_text = zkbpf(&["cache", "list", "--cache-dir", text(&cache)]);
    let in_text = in_text.expect(0).stdout;
    for words in [
        "damaged: the data is not what the manifest says",
        "damaged: another version of this program wrote it",
        "damaged: it is not the program of its name",
    ] {
        assert!(in_text.contains(words), "{words}: {in_text}");
    }
    assert!(!in_text.contains("notes"), "{in_text}");

    let clear = ["cache", "clear", "--json", "--cache-dir", text(&cache)];
    let cleared = zkbpf(&clear).expect(0).json();
    let (removed, there) = (&cleared["entries"], &listed["entries"]);
    let count = |list: &Value| list.as_array().expect("a list").len();
    assert_eq!(count(removed), count(there));
    assert_eq!(cleared["in_use"], json!([]));
    assert_eq!(list(&cache)["entries"], json!([]));
    let files = fs::read_dir(&cache).expect("there");
    let mut left: Vec<_> = files
        .map(|file| {
            file.expect("there")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    left.sort();
    let mut expected = foreign.map(str::to_owned);
    expected.sort();
    assert_eq!(left, expected);
}
