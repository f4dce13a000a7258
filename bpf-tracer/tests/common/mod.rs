//! What several tests need.
#![expect(clippy::print_stderr, reason = "a test that is skipped must say so")]

use std::path::{Path, PathBuf};

use bpf_tracer::instruction::Slot;

/// The folder of test material that is not part of this repository.
pub(crate) fn corpora() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = std::env::var_os("ZKBPF_CORPORA")
        .map(PathBuf::from)
        .into_iter()
        .chain(["../../shared/corpora", "../shared/corpora"].map(|path| manifest.join(path)));
    let found = candidates
        .into_iter()
        .find(|path| path.join("bpf_conformance.json").is_file());
    if found.is_none() {
        eprintln!("SKIPPED: optional corpora not found (set ZKBPF_CORPORA to their folder)");
    }
    found
}

/// One slot, from its fields in the order of the encoding.
pub(crate) fn slot(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Slot {
    Slot {
        opcode,
        dst,
        src,
        offset,
        imm,
    }
}

/// Bytecode of these slots.
pub(crate) fn bytecode(slots: &[Slot]) -> Vec<u8> {
    slots.iter().flat_map(|slot| slot.encode()).collect()
}
