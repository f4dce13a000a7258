//! One field element for a whole run: the claim digest, the only public value of an aggregate's proof
//! besides its accumulator.
//!
//! ```text
//! point(P)  = x mod 2^176, x >> 176, y mod 2^176, y >> 176            of affine coordinates below q
//! setup     = H(key mod 2^128, key >> 128, version, entry, input_size, budget,
//!               point(private memory at the start), point(pages),
//!               point(code), point(immediate), point(target))
//! input     = H(point(public memory at the start))
//! output    = H(point(public memory at the end))
//! ending_1  = r0 + 2^64·steps + 2^128·units
//! ending_2  = stopped_at + 2^32·trap_pc + 2^64·trap_kind + 2^72·status + 2^80·stopped
//! digest    = H(setup, input, output, ending_1, ending_2)
//! ```
//!
//! `H` is [`poseidon`]; `key` is the chunk key's identity as a little-endian number. `setup` is what a
//! contract pins: with the same program, table, page list, budget and input length it is the same for
//! all runs.

use ff::{Field, PrimeField};
use halo2curves::bn256::{Fr, G1Affine};

use crate::key::KeyId;
use crate::poseidon::poseidon;
use crate::span::WholeRun;

/// Bits of the lower part of a coordinate: two limbs of 88 bits.
const LOW_BYTES: usize = 22;
/// Field elements of a point.
pub(crate) const POINT_ELEMENTS: usize = 4;

/// A point as field elements: both coordinates, each as its lower 176 bits and the rest. Injective. The
/// identity, which has no coordinates, gives zeros.
#[must_use]
pub fn point_elements(point: &G1Affine) -> [Fr; POINT_ELEMENTS] {
    let [x, y] = [point.x, point.y].map(|value| {
        let bytes = value.to_repr();
        let (low, high) = bytes.split_at(LOW_BYTES);
        [low, high].map(little_endian)
    });
    let ([x_low, x_high], [y_low, y_high]) = (x, y);
    [x_low, x_high, y_low, y_high]
}

/// A key's identity as field elements: both halves of the little-endian number.
#[must_use]
pub fn key_elements(key: KeyId) -> [Fr; 2] {
    let (low, high) = key.0.split_at(16);
    [low, high].map(little_endian)
}

/// At most 31 bytes as a number.
fn little_endian(bytes: &[u8]) -> Fr {
    let mut repr = [0; 32];
    for (to, from) in repr.iter_mut().zip(bytes).take(31) {
        *to = *from;
    }
    Option::from(Fr::from_repr(repr)).unwrap_or_default()
}

/// The parts of a claim digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimDigest {
    /// Chunk key, program, memory at the start but for the input, budget, length of the input region.
    pub setup: Fr,
    /// The input region at the start.
    pub input: Fr,
    /// The input region and return data at the end.
    pub output: Fr,
    /// `r0`, steps and compute units.
    pub ending_1: Fr,
    /// How the run ended.
    pub ending_2: Fr,
}

impl ClaimDigest {
    /// The digest of a run proved by chunks under this key.
    #[must_use]
    pub fn of(run: &WholeRun, chunk_key: KeyId) -> Self {
        let [private, public] = &run.memory;
        let mut setup = key_elements(chunk_key).to_vec();
        setup.extend([run.version, run.entry, run.input_size, run.budget].map(Fr::from));
        let points = [private, &run.pages].into_iter().chain(&run.program);
        setup.extend(points.flat_map(point_elements));

        let ending_1 = packed(&[(run.r0, 0), (run.steps, 64), (run.units, 128)]);
        let ending_2 = packed(&[
            (run.stopped_at, 0),
            (run.trap_pc, 32),
            (run.trap_kind, 64),
            (run.status, 72),
            (u64::from(run.stopped), 80),
        ]);
        Self {
            setup: poseidon(&setup),
            input: poseidon(&point_elements(public)),
            output: poseidon(&point_elements(&run.output)),
            ending_1,
            ending_2,
        }
    }

    /// The one field element.
    #[must_use]
    pub fn value(&self) -> Fr {
        poseidon(&[
            self.setup,
            self.input,
            self.output,
            self.ending_1,
            self.ending_2,
        ])
    }
}

/// `Σ value·2^shift`
#[expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of a field does not overflow"
)]
fn packed(parts: &[(u64, u64)]) -> Fr {
    parts.iter().fold(Fr::ZERO, |sum, (value, shift)| {
        sum + Fr::from(*value) * Fr::from(2).pow_vartime([*shift])
    })
}

#[cfg(test)]
mod tests {
    use group::Curve;
    use halo2curves::bn256::G1;

    use super::*;

    /// The run of docs/statement.md.
    fn run() -> WholeRun {
        let point = |number: u64| (G1::generator() * Fr::from(number)).to_affine();
        WholeRun {
            version: 2,
            entry: 3,
            input_size: 48,
            budget: 1000,
            steps: 20,
            units: 21,
            stopped: false,
            stopped_at: 0,
            status: 1,
            r0: 42,
            trap_kind: 0,
            trap_pc: 0,
            memory: [point(1), point(2)],
            output: point(3),
            pages: point(4),
            program: [point(5), point(6), point(7)],
        }
    }

    fn key() -> KeyId {
        KeyId(std::array::from_fn(|i| i as u8))
    }

    /// Big-endian, as contracts have it.
    fn hex_of(value: Fr) -> String {
        let mut bytes = value.to_repr();
        bytes.reverse();
        hex::encode(bytes)
    }

    #[test]
    fn digests_are_pinned() {
        let digest = ClaimDigest::of(&run(), key());
        let found = [
            digest.setup,
            digest.input,
            digest.output,
            digest.ending_1,
            digest.ending_2,
            digest.value(),
        ];
        let found = found.map(hex_of);
        assert_eq!(found, VECTORS);
        let text = include_str!("../../docs/statement.md");
        for vector in &found {
            assert!(text.contains(vector), "not in docs/statement.md: {vector}");
        }
    }

    #[test]
    fn points_are_split_injectively() {
        let generator = point_elements(&G1Affine::generator()).map(hex_of);
        let one = format!("{:064x}", 1);
        let two = format!("{:064x}", 2);
        let zero = format!("{:064x}", 0);
        assert_eq!(generator, [one, zero.clone(), two, zero]);
        let shift = (0..176).fold(Fr::one(), |value, _| value.double());
        for number in 2..20 {
            let point = (G1::generator() * Fr::from(number)).to_affine();
            let [x, x_high, y, y_high] = point_elements(&point);
            for (low, high, coordinate) in [(x, x_high, point.x), (y, y_high, point.y)] {
                let repr = coordinate.to_repr();
                let whole = repr.iter().rev().fold(Fr::zero(), |value, byte| {
                    value * Fr::from(256) + Fr::from(u64::from(*byte))
                });
                assert_eq!(low + high * shift, whole);
                assert!(low.to_repr()[22..].iter().all(|byte| *byte == 0));
                assert!(high.to_repr()[10..].iter().all(|byte| *byte == 0));
            }
        }
    }

    /// Each part of a run changes the digest.
    #[test]
    fn everything_is_in_the_digest() {
        type Change = fn(&mut WholeRun);
        let changes: [Change; 19] = [
            |run| run.version += 1,
            |run| run.entry += 1,
            |run| run.input_size += 1,
            |run| run.budget += 1,
            |run| run.steps += 1,
            |run| run.units += 1,
            |run| run.stopped = true,
            |run| run.stopped_at += 1,
            |run| run.status += 1,
            |run| run.r0 += 1,
            |run| run.trap_kind += 1,
            |run| run.trap_pc += 1,
            |run| run.memory[0] = -run.memory[0],
            |run| run.memory[1] = -run.memory[1],
            |run| run.output = -run.output,
            |run| run.pages = -run.pages,
            |run| run.program[0] = -run.program[0],
            |run| run.program[1] = -run.program[1],
            |run| run.program[2] = -run.program[2],
        ];
        let mut seen = vec![ClaimDigest::of(&run(), key()).value()];
        for change in changes {
            let mut changed = run();
            change(&mut changed);
            seen.push(ClaimDigest::of(&changed, key()).value());
        }
        seen.push(ClaimDigest::of(&run(), KeyId([0; 32])).value());
        for (i, digest) in seen.iter().enumerate() {
            assert!(!seen[..i].contains(digest), "change {i}");
        }
    }

    /// Setup, input, output, both endings, digest.
    const VECTORS: [&str; 6] = [
        "2a7a60618c68e592ef3394e3e2185e39725ce43e8a704de81ac5b97d354ab818",
        "22205786c16617a29c90eebce431e02e7861a8ef22164a66b5facc3361f6cd19",
        "269e96bbad9616facbcc885a55826454a370ceea0d367fa7f4a693914e66e4c1",
        "000000000000000000000000000000150000000000000014000000000000002a",
        "0000000000000000000000000000000000000000000001000000000000000000",
        "0b339415fd4a55be51f2e35c463cb49598c403c6e38e2eb69c86cd01da5e52ed",
    ];
}
