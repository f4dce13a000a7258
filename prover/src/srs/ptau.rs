//! The `.ptau` files of snarkjs, in which the results of the Perpetual Powers of Tau are published.
//!
//! ```text
//! "ptau"  version: u32  number of sections: u32
//! section:     number: u32  length: u64  content        (little-endian, in any order)
//!   1 header:  32: u32  modulus of the base field: 32 bytes  power: u32  power of the ceremony: u32
//!   2 tauG1:   2^(power+1) − 1 powers in the first group
//!   3 tauG2:   2^power powers in the second one
//!   12:        Lagrange commitments of 1, 2, 4, … 2^(power+1) rows (in files prepared for phase 2)
//! ```
//!
//! Coordinates are in Montgomery form, least byte first, which is halo2's raw form. Other sections are for
//! other proof systems.

use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use halo2curves::bn256::{Fq, Fr, G1Affine};

use super::file::{Lagrange, Layout, List, Source};
use super::{G2_BYTES, MAX_K, POINT_BYTES};
use crate::error::{Error, SrsError};

/// How such a file begins; as the `k` of a raw file it would be far too large.
pub(super) const MAGIC: [u8; 4] = *b"ptau";
const VERSION: u32 = 1;
const HEADER: u32 = 1;
const TAU_G1: u32 = 2;
const TAU_G2: u32 = 3;
const LAGRANGE_G1: u32 = 12;
/// snarkjs writes 7 or 11.
const MAX_SECTIONS: u32 = 64;
/// Number and length.
const SECTION_HEADER: usize = 12;
const FIELD_BYTES: usize = 32;
/// snarkjs's root of unity of 2^28 rows: a power of 5, where halo2 takes one of 7.
const SNARKJS_ROOT: [u64; 4] = [
    0x9bd6_1b6e_725b_19f0,
    0x402d_111e_4111_2ed4,
    0x00e0_a7eb_8ef6_2abc,
    0x2a3c_09f0_a58a_7e85,
];

/// A section and where its content is.
struct Section {
    number: u32,
    offset: u64,
    length: u64,
}

/// Finds what a string needs.
pub(super) fn layout(source: &mut Source) -> Result<Layout, Error> {
    let [version, count] = numbers(source.array::<8>(4)?);
    if version != VERSION {
        return Err(source.refuse(SrsError::Version { found: version }));
    }
    let sections = sections(source, count)?;
    let find = |number| sections.iter().find(|section| section.number == number);
    let power = power(source, find(HEADER))?;
    let list = |number, name, length| -> Result<Option<List>, SrsError> {
        let Some(section) = find(number) else {
            return Ok(None);
        };
        if section.length != length {
            return Err(SrsError::SectionLength {
                section: number,
                found: section.length,
                expected: length,
            });
        }
        let offset = section.offset;
        Ok(Some(List { name, offset }))
    };
    let required = |list: Option<List>, section| list.ok_or(SrsError::MissingSection { section });
    let (point, point2) = (POINT_BYTES as u64, G2_BYTES as u64);
    let found = || -> Result<Layout, SrsError> {
        let powers = list(TAU_G1, "tauG1", ((2 << power) - 1) * point)?;
        let second_group = list(TAU_G2, "tauG2", point2 << power)?;
        let lagrange = list(LAGRANGE_G1, "lagrangeTauG1", ((4 << power) - 1) * point)?;
        Ok(Layout {
            k: power,
            powers: required(powers, TAU_G1)?,
            second_group: required(second_group, TAU_G2)?,
            lagrange: lagrange.map_or(Lagrange::Absent, Lagrange::Each),
        })
    };
    found().map_err(|reason| source.refuse(reason))
}

/// The sections, which fill the file.
fn sections(source: &mut Source, count: u32) -> Result<Vec<Section>, Error> {
    if count > MAX_SECTIONS {
        return Err(source.refuse(SrsError::TooManySections { found: count }));
    }
    let mut sections = Vec::<Section>::new();
    let mut end = SECTION_HEADER as u64;
    for _ in 0..count {
        let header = source.array::<SECTION_HEADER>(end)?;
        let [number, low, high] = numbers(header);
        let section = Section {
            number,
            offset: end + SECTION_HEADER as u64,
            length: u64::from(high) << 32 | u64::from(low),
        };
        end = section.offset.saturating_add(section.length);
        if end > source.length {
            return Err(source.refuse(SrsError::Length {
                found: source.length,
                expected: end,
            }));
        }
        if sections.iter().any(|other| other.number == number) {
            return Err(source.refuse(SrsError::DuplicateSection { section: number }));
        }
        sections.push(section);
    }
    if end != source.length {
        return Err(source.refuse(SrsError::Length {
            found: source.length,
            expected: end,
        }));
    }
    Ok(sections)
}

/// What the header says.
fn power(source: &mut Source, header: Option<&Section>) -> Result<u32, Error> {
    const LENGTH: usize = 4 + FIELD_BYTES + 8;
    let Some(header) = header else {
        return Err(source.refuse(SrsError::MissingSection { section: HEADER }));
    };
    if header.length != LENGTH as u64 {
        return Err(source.refuse(SrsError::SectionLength {
            section: HEADER,
            found: header.length,
            expected: LENGTH as u64,
        }));
    }
    let content = source.array::<LENGTH>(header.offset)?;
    let mut modulus = (Fq::ZERO - Fq::ONE).to_repr();
    // The modulus is odd: adding one to the greatest element carries nothing.
    modulus.as_mut()[0] += 1;
    let [length] = numbers(*content.first_chunk::<4>().expect("longer"));
    let [power, ceremony_power] = numbers(*content.last_chunk::<8>().expect("longer"));
    if length as usize != FIELD_BYTES || content[4..4 + FIELD_BYTES] != modulus.as_ref()[..] {
        return Err(source.refuse(SrsError::Curve));
    }
    if power > ceremony_power || ceremony_power > MAX_K {
        return Err(source.refuse(SrsError::Power {
            power,
            ceremony_power,
        }));
    }
    Ok(power)
}

fn numbers<const N: usize, const BYTES: usize>(bytes: [u8; BYTES]) -> [u32; N] {
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
        *number = u32::from_le_bytes(bytes.try_into().expect("four"));
    }
    numbers
}

/// Lagrange commitments of `2^k` rows in halo2's order. Both have powers of a root of unity for rows, of
/// different ones: snarkjs's is `ω^e`, so that its row `i` is row `e·i` here.
pub(super) fn in_halo2_order(k: u32, points: &[G1Affine]) -> Vec<G1Affine> {
    let mask = points.len() - 1;
    let step = exponent(k);
    let mut ordered = vec![G1Affine::identity(); points.len()];
    for (i, point) in points.iter().enumerate() {
        ordered[i.wrapping_mul(step) & mask] = *point;
    }
    ordered
}

/// `e` of snarkjs's root of unity of `2^k` rows, bit by bit: `(ω^e/ω^(known bits))` to the power `2^(k−1−bit)`
/// is one if the bit is not set.
fn exponent(k: u32) -> usize {
    let mut rest = (k..Fr::S).fold(Fr::from_raw(SNARKJS_ROOT), |root, _| root.square());
    let mut exponent = 0;
    let mut inverse = (k..Fr::S).fold(Fr::ROOT_OF_UNITY_INV, |root, _| root.square());
    for bit in 0..k {
        if (bit + 1..k).fold(rest, |power, _| power.square()) != Fr::ONE {
            exponent |= 1 << bit;
            rest *= inverse;
        }
        inverse = inverse.square();
    }
    exponent
}
