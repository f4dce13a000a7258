//! Changes of proof files that leave the encoding intact.

use std::sync::Arc;

use bpf_tracer::{Outcome, TrapKind};
use fuzz::Choices;
use halo2curves::bn256::{Fr, G1Affine};
use verifier::{ChunkProof, KeyId, RunInfo, SrsKind, WholeRun};
use zk_circuits::{ChunkInstance, Selection};

/// Whether an execution with these bytes is one of `one_of` that goes on.
pub(crate) fn is_chosen(bytes: &[u8], one_of: u64) -> bool {
    let hash = blake3::hash(bytes);
    let (head, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
    u64::from_le_bytes(*head).is_multiple_of(one_of)
}

pub(crate) fn change_info(info: &mut RunInfo, choices: &mut Choices<'_>) {
    match choices.byte() % 8 {
        0 => info.program_id[choices.below(32)] ^= 1,
        1 => {
            let length = choices.below(80);
            info.dialect = String::from_utf8_lossy(choices.bytes(length)).into();
        }
        2 => info.k = choices.value(info.k.into()) as u32,
        3 => info.srs.digest[choices.below(32)] ^= 1,
        4 => info.srs.kind = SrsKind::File,
        5 => info.steps = choices.value(info.steps),
        6 => {
            info.outcome = Outcome::Trap {
                kind: choices.pick(&TrapKind::ALL),
                pc: choices.value(1) as u32,
            };
        }
        _ => info.budget = choices.value(info.budget),
    }
}

/// Changes one public value, if it can have another one.
pub(crate) fn change_instance(instance: &mut ChunkInstance, choices: &mut Choices<'_>) {
    let mut words = instance.to_words();
    let at = choices.below(ChunkInstance::LEN);
    words[at] = if choices.byte().is_multiple_of(4) {
        words[choices.below(ChunkInstance::LEN)]
    } else {
        choices.value(words[at])
    };
    if let Some(changed) = ChunkInstance::from_words(words) {
        *instance = changed;
    }
}

/// Changes a hint, alike in all chunks or in one.
pub(crate) fn change_hints(chunks: &mut [ChunkProof], choices: &mut Choices<'_>) {
    let Some(first) = chunks.first() else {
        return;
    };
    let (mut pages, mut input) = (first.pages.to_vec(), first.input.to_vec());
    let mut selection = Selection::clone(&first.selection);
    match choices.byte() % 3 {
        0 => change_words(&mut pages, choices),
        1 => choices.change_bytes(&mut input),
        _ => match &mut selection {
            Selection::Blocks(blocks) if !choices.byte().is_multiple_of(8) => {
                change_words(blocks, choices);
            }
            Selection::Blocks(_) => selection = Selection::Whole,
            Selection::Whole => selection = Selection::Blocks(vec![choices.u64()]),
        },
    }
    let (pages, input): (Arc<[u64]>, Arc<[u8]>) = (pages.into(), input.into());
    let selection = Arc::new(selection);
    for chunk in chunks {
        chunk.pages = Arc::clone(&pages);
        chunk.input = Arc::clone(&input);
        chunk.selection = Arc::clone(&selection);
    }
}

fn change_words(words: &mut Vec<u64>, choices: &mut Choices<'_>) {
    let at = choices.below(words.len());
    match choices.byte() % 5 {
        0 if !words.is_empty() => drop(words.remove(at)),
        1 => words.insert(
            at,
            choices.value(words.get(at).copied().unwrap_or_default()),
        ),
        2 if !words.is_empty() => {
            let other = choices.below(words.len());
            words.swap(at, other);
        }
        3 => words.extend_from_within(..),
        _ => {
            if let Some(word) = words.get_mut(at) {
                *word = choices.value(*word);
            }
        }
    }
}

/// Changes an element of 32 bytes, often to another canonical one: that of another place or proof, a
/// small number, the same one negated.
pub(crate) fn change_element(proof: &mut Vec<u8>, other: &[u8], choices: &mut Choices<'_>) {
    let count = proof.len() / 32;
    if count == 0 {
        return;
    }
    let at = 32 * choices.below(count);
    let style = choices.byte() % 10;
    let element = &mut proof[at..at + 32];
    match style {
        0 => choices.change_bytes(proof),
        1 => {
            let from = 32 * choices.below(count);
            proof.copy_within(from..from + 32, at);
        }
        2 | 3 => {
            let from = if style == 2 {
                at
            } else {
                32 * choices.below(other.len() / 32)
            };
            if let Some(bytes) = other.get(from..from + 32) {
                element.copy_from_slice(bytes);
            }
        }
        4 | 5 => {
            let scalar = Fr::from(choices.value(1));
            element.copy_from_slice(&scalar.to_bytes());
        }
        // The sign of a point's ordinate.
        6 | 7 => element[31] ^= 0x40,
        8 => element[choices.below(32)] ^= 1 << (choices.byte() % 8),
        _ => {
            let from = 32 * choices.below(count);
            for byte in 0..32 {
                proof.swap(at + byte, from + byte);
            }
        }
    }
}

pub(crate) fn change_key(key: &mut KeyId, choices: &mut Choices<'_>) {
    key.0[choices.below(32)] ^= 1 << (choices.byte() % 8);
}

/// Changes bytes of a file, often a length or what is near the beginning.
pub(crate) fn change_file(file: &mut Vec<u8>, choices: &mut Choices<'_>) {
    if choices.byte().is_multiple_of(2) {
        choices.change_bytes(file);
        return;
    }
    let at = choices.below(400);
    if let Some(field) = file.get_mut(at..at + 8) {
        choices.change_field(field);
    }
}

/// Changes one value of a run.
pub(crate) fn change_run(run: &mut WholeRun, choices: &mut Choices<'_>) {
    let points = [
        run.memory[0],
        run.memory[1],
        run.output,
        run.pages,
        run.program[0],
        run.program[1],
        run.program[2],
        G1Affine::generator(),
    ];
    let numbers = [
        &mut run.version,
        &mut run.entry,
        &mut run.input_size,
        &mut run.budget,
        &mut run.steps,
        &mut run.units,
        &mut run.stopped_at,
        &mut run.status,
        &mut run.r0,
        &mut run.trap_kind,
        &mut run.trap_pc,
    ];
    let which = choices.below(numbers.len() + points.len());
    if let Some(number) = numbers.into_iter().nth(which) {
        *number = choices.value(*number);
        return;
    }
    let others = [&mut run.output, &mut run.pages];
    let places = run.memory.iter_mut().chain(others);
    let mut places = places.chain(&mut run.program);
    match places.nth(choices.below(points.len())) {
        Some(place) => {
            let point = choices.pick(&points);
            *place = if choices.byte().is_multiple_of(2) {
                point
            } else {
                -point
            };
        }
        None => run.stopped = !run.stopped,
    }
}
