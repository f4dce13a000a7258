//! Keys whose identity is known but which no circuit has: what is behind the check of the identity refuses
//! them too, without a panic.

#[expect(dead_code, reason = "a part of it is used")]
mod common;

use common::config;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, CircuitBuilderStage};
use halo2_base::gates::{GateInstructions, RangeInstructions};
use halo2_proofs::plonk::keygen_vk_custom;
use halo2curves::bn256::Fr;
use verifier::{AggregateKey, DecodeError, KeyId, RootShape, VerifyingKey};

/// Magic and format, which no identity covers.
const HEAD: usize = 10;
/// Behind them: version, size, width of operands, parameters, transcript representative, length.
const HALO2_AT: usize = HEAD + 8 + 4 + 4 + 33 + 32 + 8;
/// Of an aggregate's key: chunks' key, shape, transcript representative, length.
const ROOT_HALO2_AT: usize = 32 + 12 + 32 + 8;
/// In halo2's key: format, size, whether selectors are compressed, number of fixed columns.
const SIZE_AT: usize = 1;
const COMPRESSED_AT: usize = 5;
const COUNT_AT: usize = 6;
const POINTS_AT: usize = 10;

fn with(bytes: &[u8], changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, change) in changes {
        bytes[*at..at + change.len()].copy_from_slice(change);
    }
    bytes
}

/// One fixed column fewer, or one more, with counts that say so.
fn columns_changed(bytes: &[u8], halo2_at: usize, more: bool) -> Vec<u8> {
    let points = halo2_at + POINTS_AT;
    let mut changed = bytes.to_vec();
    if more {
        changed.splice(points..points, bytes[points..points + 64].to_vec());
    } else {
        changed.drain(points..points + 64);
    }
    let add = |bytes: &mut [u8], at: usize, change: i64| {
        let field = bytes[at..at + 8].try_into().expect("eight bytes");
        let sum = u64::from_le_bytes(field).wrapping_add_signed(change);
        bytes[at..at + 8].copy_from_slice(&sum.to_le_bytes());
    };
    let sign = if more { 1 } else { -1 };
    add(&mut changed, halo2_at - 8, 64 * sign);
    // The points that follow are no part of the count's upper half: it does not carry.
    add(&mut changed, halo2_at + COUNT_AT, sign);
    changed
}

/// Changes of a key whose halo2 part is there, and whether they keep within its size.
fn changes(bytes: &[u8], halo2_at: usize) -> Vec<Vec<u8>> {
    let at = |offset| halo2_at + offset;
    let mut changes: Vec<Vec<u8>> = [0, 9, 11, 20, 21, 28, 29, 64, 255, u32::MAX]
        .iter()
        .map(|k: &u32| with(bytes, &[(at(SIZE_AT), &k.to_le_bytes())]))
        .collect();
    for count in [0, 1, 1 << 16, u32::MAX] {
        changes.push(with(bytes, &[(at(COUNT_AT), &u32::to_le_bytes(count))]));
    }
    changes.extend([
        with(bytes, &[(at(0), &[3])]),
        with(bytes, &[(at(COMPRESSED_AT), &[1])]),
        with(bytes, &[(at(POINTS_AT), &[0xff; 32])]),
        with(bytes, &[(at(0) - 8, &(1_u64 << 40).to_le_bytes())]),
        columns_changed(bytes, halo2_at, true),
        columns_changed(bytes, halo2_at, false),
    ]);
    changes
}

fn read_chunk_key(bytes: &[u8]) -> Result<VerifyingKey, DecodeError> {
    let own = KeyId(blake3::derive_key("zkbpf verifying key v2", &bytes[HEAD..]));
    VerifyingKey::from_bytes(bytes, own)
}

#[test]
fn chunk_keys_of_no_circuit_are_refused() {
    let key = config().verifying_key().expect("keys");
    let bytes = key.to_bytes();
    assert_eq!(read_chunk_key(&bytes).expect("untouched").id(), key.id());
    let mut all = changes(&bytes, HALO2_AT);
    // A larger circuit than there are points for, said twice.
    for k in 11_u32..=20 {
        let k = k.to_le_bytes();
        all.push(with(&bytes, &[(HEAD + 8, &k), (HALO2_AT + SIZE_AT, &k)]));
    }
    for (number, changed) in all.iter().enumerate() {
        assert_ne!(*changed, bytes);
        assert!(read_chunk_key(changed).is_err(), "change {number}");
    }
}

#[test]
fn aggregate_keys_of_no_circuit_are_refused() {
    let keys = config().keys().expect("keys");
    let chunk = VerifyingKey::clone(keys.verifying_key());
    let shape = RootShape {
        k: 10,
        advice: 1,
        lookup_advice: 0,
    };
    let mut builder = BaseCircuitBuilder::<Fr>::from_stage(CircuitBuilderStage::Keygen).use_params(
        BaseCircuitParams {
            k: 10,
            num_advice_per_phase: vec![1],
            num_fixed: 1,
            num_lookup_advice_per_phase: vec![0],
            lookup_bits: Some(9),
            num_instance_columns: 1,
        },
    );
    let gate = builder.range_chip();
    let context = builder.main(0);
    let value = context.load_witness(Fr::one());
    let square = gate.gate().mul(context, value, value);
    builder.assigned_instances = vec![vec![square]];
    let root = keygen_vk_custom(keys.params(), &builder, false).expect("fits");
    let key = AggregateKey::new(root, shape, chunk.clone()).expect("a root");
    let bytes = key.to_bytes();
    let read = |bytes: &[u8]| {
        let own = KeyId(blake3::derive_key("zkbpf aggregate key v1", bytes));
        AggregateKey::from_bytes(bytes, chunk.clone(), own)
    };
    assert_eq!(read(&bytes).expect("untouched").id(), key.id());
    let mut all = changes(&bytes, ROOT_HALO2_AT);
    let shape_at = 32;
    for (k, advice, lookup_advice) in [
        (0, 1, 0),
        (1, 1, 1),
        (2, 1, 1),
        (7, 1, 1),
        (11, 1, 1),
        (26, 1, 1),
        (64, 1, 1),
        (10, u32::MAX, 0),
        (10, 0, 0),
        (10, 1, u32::MAX),
        (u32::MAX, 1, 0),
    ] {
        // halo2 makes tables of `2^k` rows; larger sizes that the cap lets through would only take longer.
        let shape: Vec<u8> = [k, advice, lookup_advice]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        let own_k = k.to_le_bytes();
        let halo2_k = ROOT_HALO2_AT + SIZE_AT;
        all.push(with(&bytes, &[(shape_at, &shape), (halo2_k, &own_k)]));
    }
    for (number, changed) in all.iter().enumerate() {
        assert_ne!(*changed, bytes);
        assert!(read(changed).is_err(), "change {number}");
    }
}
