//! Keys of verifiers. Their identity is checked first, so some executions know the identity of the changed
//! bytes: what is behind that check must not panic either, nor take memory by a file's word.

mod common;

use bolero::check;
use common::aggregate::ROOT;
use common::changes::is_chosen;
use common::{KEY, RUNS};
use ff::PrimeField;
use fuzz::{Choices, Depth, Stats};
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk;
use halo2curves::bn256::G1Affine;
use std::sync::LazyLock;
use verifier::{AggregateKey, DecodeError, KeyId, VerifyingKey, verify_chunk};
use zk_circuits::{ChunkCircuit, Shape};

/// One of so many executions knows the identity of the changed bytes.
const KNOWN: u64 = 30;
/// Most changes of a key.
const MAX_CHANGES: usize = 4;
/// halo2 makes tables for so many rows as a key says; those of larger circuits take seconds, and are left out.
const MAX_K: u32 = 16;
/// The largest size that a reader lets through.
const CAP_K: u32 = 22;
/// Magic and format, which no identity covers.
const HEAD: usize = 10;
/// Where the transcript representative of halo2's key is, and halo2's key with its length before it.
const K_AT: usize = HEAD + 8;
const TRANSCRIPT_AT: usize = HEAD + 8 + 4 + 4 + 33;
const HALO2_AT: usize = TRANSCRIPT_AT + 32 + 8;
const ROOT_K_AT: usize = 32;
const ROOT_TRANSCRIPT_AT: usize = 32 + 4 * 3;
const ROOT_HALO2_AT: usize = ROOT_TRANSCRIPT_AT + 32 + 8;

/// What a key is refused for before halo2 reads its part.
const BEFORE_HALO2: [&str; 2] = [
    "it is for another version of the circuit",
    "it is for other chunks",
];

static STATS: Stats = Stats::new("keys");
static CHUNK: LazyLock<Vec<u8>> = LazyLock::new(|| KEY.to_bytes());
static AGGREGATE: LazyLock<Vec<u8>> = LazyLock::new(|| ROOT.key.to_bytes());

#[test]
fn keys() {
    // Made before time is measured, and as the offsets say.
    assert_eq!(CHUNK[HALO2_AT], 2);
    assert_eq!(AGGREGATE[ROOT_HALO2_AT], 2);
    assert!(VerifyingKey::from_bytes(&CHUNK, KEY.id()).is_ok());
    assert!(RUNS.len() > 1);
    check!().for_each(|bytes: &[u8]| STATS.count(target(bytes)));
    STATS.print();
}

/// One execution.
fn target(bytes: &[u8]) -> Depth {
    let mut choices = Choices::new(bytes);
    let known = is_chosen(bytes, KNOWN);
    if choices.byte().is_multiple_of(2) {
        chunk_key(known, &mut choices)
    } else {
        aggregate_key(known, &mut choices)
    }
}

/// The honest key is read by those that know its identity; those that do would take long for a large one.
fn is_left_out(key: &[u8], honest: &[u8], k_at: usize, known: bool) -> bool {
    if !known {
        return key == honest;
    }
    let k = key.get(k_at..k_at + 4).and_then(|k| k.try_into().ok());
    k.is_some_and(|k| (MAX_K + 1..=CAP_K).contains(&u32::from_le_bytes(k)))
}

fn chunk_key(known: bool, choices: &mut Choices<'_>) -> Depth {
    let mut key = CHUNK.clone();
    let reseal = choices.byte().is_multiple_of(2);
    for _ in 0..choices.below(MAX_CHANGES) {
        change(&mut key, HALO2_AT, choices);
    }
    if is_left_out(&key, &CHUNK, K_AT, known) {
        return Depth::Refused;
    }
    if known && reseal {
        reseal_chunk(&mut key);
    }
    let body = key.get(HEAD..).unwrap_or_default();
    let own = KeyId(blake3::derive_key("zkbpf verifying key v2", body));
    let expected = if known { own } else { KEY.id() };
    match VerifyingKey::from_bytes(&key, expected) {
        Ok(read) => {
            assert!(read.to_bytes() == key, "a key has one encoding");
            assert_eq!((read.id(), own), (expected, expected));
            use_chunk_key(&read);
            Depth::Semantic
        }
        Err(error) => depth_of(&error),
    }
}

/// A proof under a key that is not its own is refused, unless what halo2 looks at is the same.
fn use_chunk_key(read: &VerifyingKey) {
    let mut chunk = RUNS[0].file.chunks()[0].clone();
    chunk.key = read.id();
    let same = read.s_g2() == KEY.s_g2()
        && read.halo2().to_bytes(SerdeFormat::RawBytes)
            == KEY.halo2().to_bytes(SerdeFormat::RawBytes);
    let result = verify_chunk(&chunk, read);
    assert_eq!(result.is_ok(), same, "{:?}", result.err());
}

fn aggregate_key(known: bool, choices: &mut Choices<'_>) -> Depth {
    let mut key = AGGREGATE.clone();
    let reseal = choices.byte().is_multiple_of(2);
    for _ in 0..choices.below(MAX_CHANGES) {
        change(&mut key, ROOT_HALO2_AT, choices);
    }
    if is_left_out(&key, &AGGREGATE, ROOT_K_AT, known) {
        return Depth::Refused;
    }
    if known && reseal {
        reseal_root(&mut key);
    }
    let own = KeyId(blake3::derive_key("zkbpf aggregate key v1", &key));
    let expected = if known { own } else { ROOT.key.id() };
    match AggregateKey::from_bytes(&key, ROOT.key.chunk_key().clone(), expected) {
        Ok(read) => {
            assert!(read.to_bytes() == key, "a key has one encoding");
            assert_eq!((read.id(), own), (expected, expected));
            let mut proof = ROOT.proof.clone();
            proof.key = read.id();
            let result = verifier::check_aggregate(&proof, &read);
            assert_eq!(result.is_ok(), read.id() == ROOT.key.id(), "{result:?}");
            Depth::Semantic
        }
        Err(error) => depth_of(&error),
    }
}

/// Not all that halo2 refuses is told apart from what is refused before it reads: it counts as parsed.
fn depth_of(error: &DecodeError) -> Depth {
    assert!(!error.to_string().is_empty());
    match error {
        DecodeError::Magic { .. } | DecodeError::Format { .. } | DecodeError::KeyId { .. } => {
            Depth::Refused
        }
        DecodeError::Key { reason } if !BEFORE_HALO2.contains(reason) => Depth::Semantic,
        DecodeError::Value { what: "a point" } => Depth::Semantic,
        _ => Depth::Parsed,
    }
}

/// Changes bytes near the beginning, a point, the number of points, or anything.
fn change(key: &mut Vec<u8>, halo2_at: usize, choices: &mut Choices<'_>) {
    let point = |choices: &mut Choices<'_>, len: usize| {
        let count = len.saturating_sub(halo2_at + 10) / 64;
        halo2_at + 10 + 64 * choices.below(count)
    };
    let len = key.len();
    match choices.byte() % 8 {
        0 | 1 => {
            let at = choices.below(halo2_at + 10);
            let width = choices.pick(&[1, 2, 4, 8]);
            if let Some(field) = key.get_mut(at..at + width) {
                choices.change_field(field);
            }
        }
        2 => {
            let (from, to) = (point(choices, len), point(choices, len));
            if from + 64 <= len && to + 64 <= len {
                key.copy_within(from..from + 64, to);
            }
        }
        3 => {
            // One fixed column more or less, with lengths that say so.
            let at = point(choices, len);
            let more = choices.byte().is_multiple_of(2);
            if at + 64 > len {
                return;
            }
            if more {
                let bytes = key[at..at + 64].to_vec();
                key.splice(at..at, bytes);
            } else {
                drop(key.drain(at..at + 64));
            }
            let change = if more { 64 } else { -64 };
            add(key, halo2_at - 8, 8, change);
            add(key, halo2_at + 6, 4, change / 64);
        }
        4 => choices.change_bytes(key),
        5 => {
            let at = point(choices, len) + choices.below(64);
            if let Some(byte) = key.get_mut(at) {
                *byte ^= 1 << (choices.byte() % 8);
            }
        }
        6 => {
            // Size of the circuit, here and in halo2's key.
            let k = choices.value(10) as u32;
            let at = if halo2_at == HALO2_AT {
                K_AT
            } else {
                ROOT_K_AT
            };
            for at in [at, halo2_at + 1] {
                if let Some(field) = key.get_mut(at..at + 4) {
                    field.copy_from_slice(&k.to_le_bytes());
                }
            }
        }
        _ => {
            let end = choices.below(len + 1);
            key.truncate(end);
        }
    }
}

fn add(bytes: &mut [u8], at: usize, width: usize, change: i64) {
    if let Some(field) = bytes.get_mut(at..at + width) {
        let mut word = [0; 8];
        word[..width].copy_from_slice(field);
        let sum = u64::from_le_bytes(word).wrapping_add_signed(change);
        field.copy_from_slice(&sum.to_le_bytes()[..width]);
    }
}

/// The part of a key that halo2 reads, if its head is that of the honest key, so that it can be read here.
fn halo2_part<'a>(key: &'a [u8], honest: &[u8], at: usize) -> Option<&'a [u8]> {
    let length = key.get(at - 8..at)?.try_into().ok()?;
    let part = key.get(at..)?;
    let part = part.get(..usize::try_from(u64::from_le_bytes(length)).ok()?)?;
    (part.get(..10)? == &honest[at..at + 10]).then_some(part)
}

fn reseal_chunk(key: &mut [u8]) {
    let shape = Shape::new(10, 8).expect("supported");
    let read = halo2_part(key, &CHUNK, HALO2_AT).and_then(|mut part| {
        let format = SerdeFormat::RawBytes;
        plonk::VerifyingKey::<G1Affine>::read::<_, ChunkCircuit>(&mut part, format, shape).ok()
    });
    if let Some(read) = read {
        key[TRANSCRIPT_AT..TRANSCRIPT_AT + 32].copy_from_slice(&read.transcript_repr().to_repr());
    }
}

fn reseal_root(key: &mut [u8]) {
    let read = halo2_part(key, &AGGREGATE, ROOT_HALO2_AT).and_then(|mut part| {
        let format = SerdeFormat::RawBytes;
        let params = common::aggregate::params();
        plonk::VerifyingKey::<G1Affine>::read::<_, common::aggregate::Builder>(
            &mut part, format, params,
        )
        .ok()
    });
    if let Some(read) = read {
        let place = ROOT_TRANSCRIPT_AT..ROOT_TRANSCRIPT_AT + 32;
        key[place].copy_from_slice(&read.transcript_repr().to_repr());
    }
}
