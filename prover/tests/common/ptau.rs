//! Writes `.ptau` files of a secret of one's choice, section by section, to be spoiled.

use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::ff::{Field, PrimeField};
use halo2curves::group::Curve;
use halo2curves::serde::SerdeObject;

/// The modulus of BN254's base field, least byte first.
pub(crate) const MODULUS: [u8; 32] = [
    0x47, 0xfd, 0x7c, 0xd8, 0x16, 0x8c, 0x20, 0x3c, 0x8d, 0xca, 0x71, 0x68, 0x91, 0x6a, 0x81, 0x97,
    0x5d, 0x58, 0x81, 0x81, 0xb6, 0x45, 0x50, 0xb8, 0x29, 0xa0, 0x31, 0xe1, 0x72, 0x4e, 0x64, 0x30,
];

/// A file of powers of a secret.
#[derive(Clone)]
pub(crate) struct Ptau {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u32,
    /// Numbers and contents.
    pub(crate) sections: Vec<(u32, Vec<u8>)>,
}

impl Ptau {
    /// As after a contribution, with `2^power` powers. What is for other proof systems is made up.
    pub(crate) fn new(power: u32, secret: Fr) -> Self {
        let powers = std::iter::successors(Some(Fr::ONE), |value| Some(value * secret));
        let g1 = powers.take((2 << power) - 1).flat_map(point);
        let image = (G2Affine::generator() * secret).to_affine();
        let mut g2 = G2Affine::generator().to_raw_bytes();
        g2.extend(image.to_raw_bytes());
        g2.resize(128 << power, 7);
        Self {
            magic: *b"ptau",
            version: 1,
            sections: vec![
                (1, header(32, &MODULUS, power, power)),
                (2, g1.collect()),
                (3, g2),
                (4, vec![4; 64 << power]),
                (5, vec![5; 64 << power]),
                (6, vec![6; 128]),
                (7, vec![0; 4]),
            ],
        }
    }

    /// As after `prepare phase2`: with Lagrange commitments of all sizes.
    pub(crate) fn prepared(power: u32, secret: Fr) -> Self {
        let mut file = Self::new(power, secret);
        let lagrange = (0..=power + 1).flat_map(|k| {
            let (rows, root) = (Fr::from(1 << k), root_of_unity(k));
            let roots = std::iter::successors(Some(Fr::ONE), move |value| Some(value * root));
            // L_i(τ) = (τⁿ − 1)/n · ωⁱ/(τ − ωⁱ)
            let vanishing = secret.pow_vartime([1 << k]) - Fr::ONE;
            roots.take(1 << k).flat_map(move |root| {
                let inverse = (rows * (secret - root)).invert().expect("not a root");
                point(vanishing * root * inverse)
            })
        });
        file.sections.push((12, lagrange.collect()));
        file
    }

    /// The content of a section.
    pub(crate) fn section(&mut self, number: u32) -> &mut Vec<u8> {
        let found = self.sections.iter_mut().find(|(found, _)| *found == number);
        &mut found.expect("a section of the file").1
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.sections.len() as u32).to_le_bytes());
        for (number, content) in &self.sections {
            bytes.extend(number.to_le_bytes());
            bytes.extend((content.len() as u64).to_le_bytes());
            bytes.extend(content);
        }
        bytes
    }
}

/// The content of section 1.
pub(crate) fn header(field_bytes: u32, modulus: &[u8], power: u32, ceremony_power: u32) -> Vec<u8> {
    let mut bytes = field_bytes.to_le_bytes().to_vec();
    bytes.extend(modulus);
    bytes.extend(power.to_le_bytes());
    bytes.extend(ceremony_power.to_le_bytes());
    bytes
}

/// A multiple of the first generator.
pub(crate) fn point(scalar: Fr) -> Vec<u8> {
    (G1Affine::generator() * scalar).to_affine().to_raw_bytes()
}

/// `5^((r−1)/2^k)`: snarkjs takes the least number that is no square.
fn root_of_unity(k: u32) -> Fr {
    let minus_one = (Fr::ZERO - Fr::ONE).to_repr();
    let bits = minus_one.as_ref().iter().rev();
    let bits = bits.flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    // The exponent is r − 1 without its k lowest bits.
    bits.take(256 - k as usize).fold(Fr::ONE, |power, bit| {
        let square = power.square();
        if bit == 1 {
            square * Fr::from(5)
        } else {
            square
        }
    })
}
