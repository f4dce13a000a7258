//! Files that snarkjs itself writes: what is imported is what snarkjs reads in them.
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2curves::CurveAffine;
use halo2curves::bn256::{Fq, Fq2};
use halo2curves::ff::PrimeField;
use prover::KeygenConfig;

const VERSION: &str = "0.7.5";
const POWER: u32 = 10;
const BEACON: &str = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";

/// Prints the coordinates of the powers that a string of `2^POWER` rows needs, as snarkjs's library reads them.
const READ_POINTS: &str = r#"
const { buildBn128 } = require("ffjavascript");
const { readBinFile } = require("@iden3/binfileutils");
(async () => {
    const curve = await buildBn128();
    const { fd, sections } = await readBinFile(process.argv[1], "ptau", 1);
    const read = async (group, section, count) => {
        const points = [];
        fd.pos = sections[section][0].p;
        for (let i = 0; i < count; i++) {
            const point = group.fromRprLEM(await fd.read(group.F.n8 * 2), 0);
            points.push(group.toObject(group.toAffine(point)).flat());
        }
        return points;
    };
    const text = (key, value) => (typeof value === "bigint" ? value.toString() : value);
    const g = await read(curve.G1, 2, 1 << Number(process.argv[2]));
    const g2 = await read(curve.G2, 3, 2);
    process.stdout.write(JSON.stringify({ g, g2 }, text), () => process.exit(0));
})();
"#;

/// What snarkjs made, after a contribution and a beacon.
struct Files {
    /// Before and after `prepare phase2`.
    plain: PathBuf,
    prepared: PathBuf,
    /// Where it is installed.
    folder: PathBuf,
}

fn succeeded(output: std::io::Result<Output>) -> Result<Vec<u8>, String> {
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    let text = [stdout.as_slice(), stderr].concat();
    Err(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Installs snarkjs among the build products. An error if this machine cannot.
fn install(folder: &Path) -> Result<(), String> {
    if folder.join("node_modules/snarkjs/package.json").is_file() {
        return Ok(());
    }
    fs::create_dir_all(folder).expect("writable");
    let output = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--prefix"])
        .arg(folder)
        .arg(format!("snarkjs@{VERSION}"))
        .stdin(Stdio::null())
        .output();
    succeeded(output).map(drop)
}

/// Runs a small ceremony. Nothing if snarkjs is not to be had here.
fn ceremony() -> Option<Files> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("snarkjs-{VERSION}"));
    if let Err(error) = install(&folder) {
        eprintln!("SKIPPED: no snarkjs: {error}");
        return None;
    }
    let run = |arguments: &[&str]| {
        let output = Command::new("node")
            .arg("node_modules/snarkjs/build/cli.cjs")
            .arg("powersoftau")
            .args(arguments)
            .current_dir(&folder)
            .output();
        succeeded(output).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    };
    run(&["new", "bn128", &POWER.to_string(), "new.ptau"]);
    run(&[
        "contribute",
        "new.ptau",
        "contributed.ptau",
        "-n=test",
        "-e=test",
    ]);
    run(&["beacon", "contributed.ptau", "plain.ptau", BEACON, "10"]);
    run(&["prepare", "phase2", "plain.ptau", "prepared.ptau"]);
    Some(Files {
        plain: folder.join("plain.ptau"),
        prepared: folder.join("prepared.ptau"),
        folder,
    })
}

/// The points of a file as snarkjs reads them: those of the first group, then those of the second one.
fn points(files: &Files) -> (Vec<Vec<Fq>>, Vec<Vec<Fq>>) {
    let output = Command::new("node")
        .args(["-e", READ_POINTS])
        .arg(&files.plain)
        .arg(POWER.to_string())
        .current_dir(&files.folder)
        .output();
    let json = succeeded(output).unwrap_or_else(|error| panic!("node: {error}"));
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let list = |name: &str| {
        let points = json[name].as_array().expect("a list").iter();
        let coordinates = |point: &serde_json::Value| {
            let coordinates = point.as_array().expect("a point").iter();
            coordinates
                .map(|number| match number.as_str() {
                    Some(text) => Fq::from_str_vartime(text).expect("a field element"),
                    None => Fq::from(number.as_u64().expect("a number")),
                })
                .collect()
        };
        points.map(coordinates).collect()
    };
    (list("g"), list("g2"))
}

#[test]
fn what_snarkjs_writes_is_imported() {
    let Some(files) = ceremony() else { return };
    let (g, g2) = points(&files);
    let cache = tempfile::tempdir().expect("a temporary directory");
    let keys = |name: &str, file: &Path| {
        let config = KeygenConfig::new(POWER, cache.path().join(name), 8).with_srs(file);
        config.keys().expect("an honest file")
    };
    let plain = keys("plain", &files.plain);
    let imported = plain.params().get_g();
    assert_eq!((imported.len(), g.len()), (1 << POWER, 1 << POWER));
    for (index, (point, expected)) in imported.iter().zip(&g).enumerate() {
        let point = point.coordinates().expect("not the identity");
        assert_eq!([*point.x(), *point.y()], expected[..2], "{index}");
    }
    for (point, expected) in [plain.params().g2(), plain.params().s_g2()].iter().zip(&g2) {
        let point = point.coordinates().expect("not the identity");
        let coordinate = |at| Fq2::new(expected[at], expected[at + 1]);
        assert_eq!([*point.x(), *point.y()], [coordinate(0), coordinate(2)]);
    }

    // Lagrange commitments: computed here, and snarkjs's own.
    let prepared = keys("prepared", &files.prepared);
    let bytes = |keys: &prover::Keys| {
        let mut bytes = Vec::new();
        keys.params()
            .write_custom(&mut bytes, SerdeFormat::RawBytes)
            .expect("memory");
        bytes
    };
    assert_eq!(bytes(&plain), bytes(&prepared));
    assert_eq!(plain.verifying_key().id(), prepared.verifying_key().id());
    assert!(!plain.verifying_key().srs().is_insecure());
}
