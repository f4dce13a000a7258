//! The loader against `solana-sbpf`, on files made here, on real ones, and on what mutations make of both.
#![expect(
    clippy::print_stderr,
    reason = "what is skipped or counted must be seen"
)]
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ptr::NonNull;
use std::sync::Arc;

use proptest::prelude::*;
use solana_sbpf::elf::Executable;
use solana_sbpf::memory_region::MemoryMapping;
use solana_sbpf::program::{BuiltinFunctionDefinition, BuiltinProgram, SBPFVersion};
use solana_sbpf::verifier::RequisiteVerifier;
use solana_sbpf::vm::{Config, ContextObject};

use super::fixtures::{File, HEADER, PROGRAM_HEADER, SECTION_HEADER, slot};
use super::relocate::R_64_32;
use super::*;
use crate::options::LoadOptions;
use crate::program::Program;
use crate::syscall::{Syscall, UNPROVABLE, name_hash};

/// The folder of corpora, as the integration tests find it.
#[path = "../../tests/corpora/mod.rs"]
mod corpora;

struct Context;

impl ContextObject for Context {
    fn consume(&mut self, _: u64) {}

    fn get_remaining(&self) -> u64 {
        0
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::dangling()
    }
}

struct NoCall;

impl BuiltinFunctionDefinition<Context> for NoCall {
    type Error = Infallible;

    fn rust(_: &mut Context, _: u64, _: u64, _: u64, _: u64, _: u64) -> Result<u64, Infallible> {
        Ok(0)
    }
}

fn oracle() -> Arc<BuiltinProgram<Context>> {
    let config = Config {
        enabled_sbpf_versions: SBPFVersion::V0..=SBPFVersion::V4,
        optimize_rodata: true,
        reject_broken_elfs: false,
        enable_symbol_and_section_labels: false,
        ..Config::default()
    };
    let mut loader = BuiltinProgram::new_loader(config);
    for name in Syscall::ALL
        .iter()
        .map(|call| call.name())
        .chain(UNPROVABLE)
    {
        loader
            .register_definition::<NoCall>(name)
            .expect("names have different numbers");
    }
    Arc::new(loader)
}

/// Numbers of a fixed sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// How many files which loader took, and why only the other one did.
#[derive(Debug, Default)]
struct Verdicts {
    both: usize,
    neither: usize,
    /// Of those that both loaders took: how many can run, and cannot.
    programs: usize,
    bad_programs: usize,
    only_oracle: BTreeMap<String, usize>,
}

impl Verdicts {
    /// Loads a file with both loaders and panics where they contradict each other.
    fn compare(&mut self, oracle: &Arc<BuiltinProgram<Context>>, file: &[u8], what: &str) {
        let ours = load(file);
        let theirs = Executable::<Context>::load(file, Arc::clone(oracle));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                self.both += 1;
                assert_same(&ours, &theirs, what);
                let program = Program::from_sbpf_parts(ours, &LoadOptions::default());
                match (program, theirs.verify::<RequisiteVerifier>()) {
                    (Ok(_), Ok(())) => self.programs += 1,
                    (Err(_), Err(_)) => self.bad_programs += 1,
                    (Ok(_), Err(error)) => panic!("{what}: a bad program is accepted: {error}"),
                    (Err(error), Ok(())) => {
                        let is_known = matches!(error, LoadError::MisplacedRodata { .. });
                        assert!(is_known, "{what}: a good program is refused: {error}");
                        *self.only_oracle.entry(error.to_string()).or_default() += 1;
                    }
                }
            }
            (Err(_), Err(_)) => self.neither += 1,
            (Ok(_), Err(error)) => panic!("{what}: only this loader accepts it: {error}"),
            (Err(error), Ok(_)) => {
                let version = u32::from_le_bytes([file[48], file[49], file[50], file[51]]);
                let is_known = version == 4 || (version == 3 && file[16..18] != [3, 0]);
                assert!(is_known, "{what}: only solana-sbpf accepts it: {error}");
                *self.only_oracle.entry(error.to_string()).or_default() += 1;
            }
        }
    }
}

fn assert_same(ours: &SbpfParts, theirs: &Executable<Context>, what: &str) {
    let version = match theirs.get_sbpf_version() {
        SBPFVersion::V0 => Dialect::SbpfV0,
        SBPFVersion::V1 => Dialect::SbpfV1,
        SBPFVersion::V2 => Dialect::SbpfV2,
        SBPFVersion::V3 => Dialect::SbpfV3,
        other => panic!("{what}: version {other:?}"),
    };
    assert_eq!(ours.dialect, version, "{what}: version");
    let (text_base, text) = theirs.get_text_bytes();
    assert_eq!(ours.text_base, text_base, "{what}: address of the code");
    assert_eq!(ours.text, text, "{what}: code");
    let entry = theirs.get_entrypoint_instruction_offset();
    assert_eq!(ours.entry as usize, entry, "{what}: entry");

    let region = theirs.get_ro_region().vm_addr_range();
    assert_eq!(ours.readable_base, region.start, "{what}: readable");
    assert_eq!(ours.readable, theirs.get_ro_section(), "{what}: readable");
    assert_eq!(ours.readable.len() as u64, region.end - region.start);

    let registry = theirs.get_function_registry();
    let functions: BTreeMap<u32, u32> = registry
        .iter()
        .map(|(number, (_, slot))| (number, slot as u32))
        .collect();
    assert_eq!(ours.functions, functions, "{what}: functions");
}

fn real_files() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = corpora::folder() else {
        return Vec::new();
    };
    let mut files: Vec<_> = std::fs::read_dir(folder.join("elfs"))
        .expect("the folder of executables")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).expect("a file");
            (path.display().to_string(), bytes)
        })
        .collect()
}

#[test]
fn real_files_load_alike() {
    let oracle = oracle();
    let mut verdicts = Verdicts::default();
    let files = real_files();
    for (name, file) in &files {
        verdicts.compare(&oracle, file, name);
    }
    eprintln!("real files: {verdicts:?}");
    if !files.is_empty() {
        assert!(verdicts.both > 0);
    }
}

#[test]
fn made_files_load_alike() {
    let oracle = oracle();
    let mut verdicts = Verdicts::default();
    for (name, file) in File::variety() {
        let before = verdicts.both;
        verdicts.compare(&oracle, &file, name);
        let accepted = verdicts.both > before;
        let is_refused = ["version 4", "addresses in the image"].contains(&name);
        assert_eq!(accepted, !is_refused, "{name}: {:?}", load(&file).err());
    }
}

#[test]
fn mutated_files_load_alike() {
    let oracle = oracle();
    let mut random = Random(0x5bbf_2026);
    let mut verdicts = Verdicts::default();
    for (name, file) in File::variety() {
        for round in 0..2000 {
            let mut mutated = file.clone();
            mutate(&mut mutated, &mut random);
            let what = format!("{name}, mutation {round}");
            verdicts.compare(&oracle, &mutated, &what);
        }
    }
    for (name, file) in &real_files() {
        for round in 0..300 {
            let mut mutated = file.clone();
            mutate(&mut mutated, &mut random);
            let what = format!("{name}, mutation {round}");
            verdicts.compare(&oracle, &mutated, &what);
        }
    }
    eprintln!("mutated files: {verdicts:?}");
    assert!(verdicts.both > 1000 && verdicts.neither > 1000);
}

/// Tables of a file: start, number of entries, bytes of an entry, widths of its fields.
fn tables(file: &[u8]) -> Vec<(usize, usize, usize, &'static [usize])> {
    const HEADER_FIELDS: &[usize] = &[1; 16];
    const HEADER_WORDS: &[usize] = &[2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2];
    const SEGMENT: &[usize] = &[4, 4, 8, 8, 8, 8, 8, 8];
    const SECTION: &[usize] = &[4, 4, 8, 8, 8, 8, 4, 4, 8, 8];
    let word = |at: usize| {
        let bytes = file.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes) as usize
    };
    let half = |at: usize| word(at) & 0xffff;
    let (segments, sections) = (half(56), half(60));
    let mut tables = vec![
        (0, 1, 16, HEADER_FIELDS),
        (16, 1, 48, HEADER_WORDS),
        (HEADER, segments, PROGRAM_HEADER, SEGMENT),
        (word(40), sections, SECTION_HEADER, SECTION),
    ];
    for section in 0..sections {
        let at = word(40) + section * SECTION_HEADER;
        let (size, fields): (_, &[usize]) = match word(at + 4) as u32 {
            6 => (16, &[8, 8]),
            9 => (16, &[8, 4, 4]),
            11 => (24, &[4, 1, 1, 2, 8, 8]),
            1 => (8, &[1, 1, 2, 4]),
            3 => (1, &[1]),
            _ => continue,
        };
        tables.push((word(at + 24), word(at + 32) / size, size, fields));
    }
    if sections == 0 {
        // Of version 3; what it ends with is its code.
        tables.push((file.len() - 24, 3, 8, &[1, 1, 2, 4]));
    }
    tables
}

fn mutate(file: &mut Vec<u8>, random: &mut Random) {
    if random.below(40) == 0 {
        file.truncate(random.below(file.len()));
        return;
    }
    let tables = tables(file);
    for _ in 0..=random.below(3) {
        if random.below(8) == 0 {
            let at = random.below(file.len());
            file[at] ^= 1 << random.below(8);
            continue;
        }
        let (start, count, size, fields) = tables[random.below(tables.len())];
        let field = random.below(fields.len());
        let width = fields.get(field).copied().unwrap_or(1);
        let at = start + random.below(count) * size + fields[..field].iter().sum::<usize>();
        let Some(bytes) = file.get(at..at + width) else {
            continue;
        };
        let mut old = [0; 8];
        old[..width].copy_from_slice(bytes);
        let old = u64::from_le_bytes(old);
        let new = match random.below(10) {
            0 => 0,
            1 => random.next(),
            2 => u64::MAX - random.below(16) as u64,
            3 => (1 << 32) + random.below(64) as u64 - 32,
            4 => file.len() as u64 + random.below(32) as u64 - 16,
            5 => random.below(12) as u64,
            6 => random.below(file.len()) as u64,
            7 => (random.below(file.len()) as u64) & !7,
            8 => old.wrapping_add(8 * random.below(5) as u64),
            _ => old.wrapping_sub(random.below(9) as u64),
        };
        file[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
    }
}

#[test]
fn truncated_files_are_refused() {
    for (name, file) in File::variety() {
        for len in 0..file.len() {
            assert!(load(&file[..len]).is_err(), "{name}: {len} bytes");
        }
    }
}

#[test]
fn an_image_is_as_its_file_says() {
    let file = File::rich();
    let image = load(&file.bytes()).expect("it loads");
    let imm = |slot: usize| {
        let bytes = image.text[slot * 8 + 4..][..4].try_into();
        u32::from_le_bytes(bytes.expect("four bytes"))
    };
    assert_eq!(image.functions[&imm(0)], 8);
    assert_eq!(image.functions[&imm(1)], 9);
    assert_eq!(Syscall::from_hash(imm(2)), Some(Syscall::Log));
    assert_eq!(image.functions[&imm(3)], 0);
    assert_eq!(imm(3), name_hash("entrypoint"));
    assert_eq!(
        [imm(4), imm(5)],
        [image.text_base as u32 + 80 + 16, 1],
        "relative to a symbol"
    );
    assert_eq!([imm(6), imm(7)], [192, 1], "relative to the image");
    assert_eq!(image.readable_base, image.text_base);
    assert!(image.readable.starts_with(&image.text));
    assert_eq!(image.entry, 0);
    assert_eq!(image.functions.len(), 3);

    let image = load(&super::fixtures::segments(3, b"read-only bytes!", true)).expect("it loads");
    assert_eq!(image.dialect, Dialect::SbpfV3);
    assert_eq!(image.readable_base, 0);
    assert_eq!(image.readable, b"read-only bytes!");
    assert_eq!((image.text_base, image.entry), (1 << 32, 1));
}

#[test]
fn options_must_fit_the_file() {
    let file = File::rich().bytes();
    let load = |options: &LoadOptions| Program::load(&file, options);
    let options = LoadOptions::default();
    let program = load(&options).expect("it loads");
    assert_eq!(program.dialect(), Dialect::SbpfV0);
    assert_eq!(program.data().len() as u64, options.heap_size);
    let stated = options.clone().with_dialect(Dialect::SbpfV0);
    assert_eq!(load(&stated), Ok(program));
    for wanted in [Dialect::Ebpf, Dialect::SbpfV1] {
        assert_eq!(
            load(&options.clone().with_dialect(wanted)),
            Err(LoadError::DialectMismatch {
                found: Dialect::SbpfV0,
                wanted
            })
        );
    }
    assert_eq!(
        load(&options.with_entry("helper")),
        Err(LoadError::EntryInSbpf {
            name: "helper".to_owned()
        })
    );
}

#[test]
fn refusals_have_reasons() {
    let refused = |change: fn(&mut File)| {
        let mut file = File::rich();
        change(&mut file);
        load(&file.bytes()).err()
    };
    assert_eq!(
        refused(|file| file.version = 4),
        Some(LoadError::SbpfVersion { version: 4 })
    );
    assert_eq!(
        refused(|file| file.machine = 62),
        Some(LoadError::Machine { machine: 62 })
    );
    let target = refused(|file| file.text[..8].copy_from_slice(&slot(0x85, 0x10, 0, 10)));
    assert_eq!(target, Some(LoadError::TargetOutside { pc: 0, target: 11 }));
    assert!(matches!(
        refused(|file| file.relocations[0].2 = 2),
        Some(LoadError::Relocation { kind: 2, .. })
    ));
    assert!(matches!(
        refused(|file| file.relocations[0].1 = 5),
        Some(LoadError::Relocation { .. })
    ));
    // A symbol may name any function the entrypoint, but only one.
    assert_eq!(
        refused(|file| {
            file.symbols.push(("entrypoint", Some(80), 0x12));
            file.relocations
                .push((super::fixtures::Place::Text(24), 5, R_64_32));
            file.symbols[2].1 = Some(72);
        }),
        Some(LoadError::FunctionNumber {
            number: name_hash("entrypoint")
        })
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(
        kind in any::<prop::sample::Index>(),
        start in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let mut files = File::variety();
        let (_, mut file) = files.swap_remove(kind.index(files.len()));
        let start = start.index(file.len());
        for (byte, noise) in file[start..].iter_mut().zip(noise) {
            *byte = noise;
        }
        let _ = load(&file);
    }
}

/// The seeds of the fuzz target for ELF files. `ZKBPF_BLESS=1` writes them.
#[test]
fn fuzzing_starts_from_these_files() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/elf");
    for (name, bytes) in File::variety() {
        let name = name.replace(',', "").replace(' ', "-");
        let path = folder.join(name).with_extension("so");
        if std::env::var_os("ZKBPF_BLESS").is_some() {
            std::fs::write(&path, &bytes).expect("written");
        }
        let stored = std::fs::read(&path).expect("a seed");
        assert!(stored == bytes, "{} is of another loader", path.display());
    }
}
