//! What a circuit *is*, in a few bytes: a name for its keys that no forgotten version bump can keep.
//!
//! Covers the constraint system and everything that key generation assigns, without its commitments:
//! a twentieth of its time.

use ff::PrimeField;
use halo2_proofs::circuit::Value;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed,
    FloorPlanner, Instance, Selector,
};
use halo2curves::bn256::Fr;
use verifier::SrsIdentity;
use zk_circuits::{ChunkCircuit, Shape};

/// What wrote the keys: their encoding is the proof system's own.
pub(crate) const PROOF_SYSTEM: &str = "halo2-axiom 0.5.3";

/// The circuit of a shape, under these parameters.
pub(crate) fn fingerprint(shape: Shape, srs: SrsIdentity) -> Result<String, Error> {
    let mut cs = ConstraintSystem::<Fr>::default();
    let config = ChunkCircuit::configure_with_params(&mut cs, shape);
    let mut recorder = Recorder::new();
    let version = zk_circuits::VERSION;
    let text = format!(
        "{PROOF_SYSTEM}\n{version}\n{shape:?}\n{srs}\n{}\n{:?}",
        cs.degree(),
        cs.pinned()
    );
    recorder.record(0, 0, text.len(), text.as_bytes());
    recorder.record(0, 1, 0, &srs.digest);
    let circuit = ChunkCircuit::keygen(shape);
    let constants = cs.constants().clone();
    <ChunkCircuit as Circuit<Fr>>::FloorPlanner::synthesize(
        &mut recorder,
        &circuit,
        config,
        constants,
    )?;
    Ok(recorder.finish().to_hex().as_str()[..32].to_owned())
}

/// Hashes what key generation would store, in pieces that are worth it.
struct Recorder {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Recorder {
    fn new() -> Self {
        let hasher = blake3::Hasher::new_derive_key("zkbpf circuit fingerprint v1");
        let buffer = Vec::new();
        Self { hasher, buffer }
    }

    fn record(&mut self, kind: u64, column: usize, row: usize, value: &[u8]) {
        for number in [kind, column as u64, row as u64] {
            self.buffer.extend(number.to_le_bytes());
        }
        self.buffer.extend(value);
        if self.buffer.len() >= 1 << 16 {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    fn finish(mut self) -> blake3::Hash {
        self.hasher.update(&self.buffer);
        self.hasher.finalize()
    }
}

impl Assignment<Fr> for Recorder {
    fn enter_region<NR, N>(&mut self, _: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
    }

    fn annotate_column<A, AR>(&mut self, _: A, _: Column<Any>)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
    }

    fn exit_region(&mut self) {}

    fn enable_selector<A, AR>(&mut self, _: A, selector: &Selector, row: usize) -> Result<(), Error>
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.record(1, selector.index(), row, &[]);
        Ok(())
    }

    fn query_instance(&self, _: Column<Instance>, _: usize) -> Result<Value<Fr>, Error> {
        Ok(Value::unknown())
    }

    fn assign_advice<'v>(
        &mut self,
        _: Column<Advice>,
        _: usize,
        _: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        Value::unknown()
    }

    fn assign_fixed(&mut self, column: Column<Fixed>, row: usize, to: Assigned<Fr>) {
        // Rows that nobody assigns are zero as well.
        let value = to.evaluate();
        if value != Fr::zero() {
            self.record(2, column.index(), row, &value.to_repr());
        }
    }

    fn copy(&mut self, left: Column<Any>, left_row: usize, right: Column<Any>, right_row: usize) {
        self.record(3, left.index(), left_row, format!("{left:?}").as_bytes());
        self.record(4, right.index(), right_row, format!("{right:?}").as_bytes());
    }

    fn fill_from_row(
        &mut self,
        column: Column<Fixed>,
        row: usize,
        to: Value<Assigned<Fr>>,
    ) -> Result<(), Error> {
        self.record(5, column.index(), row, format!("{to:?}").as_bytes());
        Ok(())
    }

    fn get_challenge(&self, _: Challenge) -> Value<Fr> {
        Value::unknown()
    }

    fn push_namespace<NR, N>(&mut self, _: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
    }

    fn pop_namespace(&mut self, _: Option<String>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srs::insecure_identity;

    #[test]
    fn fingerprints_tell_circuits_apart() {
        let of = |k, bits| {
            let shape = Shape::new(k, bits).expect("supported");
            fingerprint(shape, insecure_identity()).expect("synthesis")
        };
        assert_eq!(of(10, 8), of(10, 4), "one shape");
        assert_ne!(of(10, 8), of(11, 8));
        let mut other = insecure_identity();
        other.digest[0] ^= 1;
        let shape = Shape::new(10, 8).expect("supported");
        assert_ne!(of(10, 8), fingerprint(shape, other).expect("synthesis"));
    }

    #[test]
    fn the_proof_system_is_the_one_that_is_linked() {
        let (name, version) = PROOF_SYSTEM.split_once(' ').expect("two words");
        let manifest = include_str!("../../Cargo.toml");
        let line = format!("halo2_proofs = {{ package = \"{name}\", version = \"={version}\" }}");
        assert!(manifest.contains(&line), "{line}");
    }

    #[test]
    fn assigned_values_count() {
        let digest = |row, value: u64| {
            let mut recorder = Recorder::new();
            let column = ConstraintSystem::<Fr>::default().fixed_column();
            recorder.assign_fixed(column, row, Assigned::Trivial(Fr::from(value)));
            recorder.finish()
        };
        assert_ne!(digest(1, 1), digest(2, 1));
        assert_ne!(digest(1, 1), digest(1, 2));
        assert_eq!(digest(1, 0), digest(2, 0));
    }
}
