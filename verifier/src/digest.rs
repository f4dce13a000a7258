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

use ff::PrimeField;
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
fn packed(parts: &[(u64, u64)]) -> Fr {
    use ff::Field;
    parts.iter().fold(Fr::ZERO, |sum, (value, shift)| {
        sum + Fr::from(*value) * Fr::from(2).pow_vartime([*shift])
    })
}
