//! Structured reference strings: a test string whose secret is public, and files from ceremonies.
//!
//! A string of `2^k` rows is the powers of a secret τ times the first generator, the Lagrange polynomials at
//! τ times the same, and τ times the second generator. The last one determines all the others: it is what
//! identifies a string, whichever file it came in and whatever the size, and what everything else is
//! checked against.

mod checks;
mod file;
mod insecure;
mod ptau;

use std::sync::Arc;

use ff::PrimeField;
use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine};
use halo2curves::serde::SerdeObject;
use verifier::{SrsIdentity, SrsKind};

pub(crate) use file::SrsFile;
pub(crate) use insecure::insecure_identity;

const POINT_BYTES: usize = 64;
const G2_BYTES: usize = 128;
/// The field has no larger domains.
const MAX_K: u32 = 28;

/// A structured reference string of one size: commitments of powers and of Lagrange polynomials.
#[derive(Clone, Debug)]
pub(crate) struct Srs {
    pub(crate) k: u32,
    pub(crate) g: Vec<G1Affine>,
    pub(crate) g_lagrange: Vec<G1Affine>,
    pub(crate) s_g2: G2Affine,
}

/// The identity of the string with this image of the secret: BLAKE3 of its bytes, as they are in files.
fn identity_of(s_g2: &G2Affine) -> SrsIdentity {
    if insecure::is_test_image(s_g2) {
        return insecure_identity();
    }
    SrsIdentity {
        kind: SrsKind::File,
        digest: blake3::hash(&s_g2.to_raw_bytes()).into(),
    }
}

/// Whether this is the image of the string's secret and this could be its Lagrange list.
pub(crate) fn fits_identity(s_g2: &G2Affine, g_lagrange: &[G1Affine], srs: SrsIdentity) -> bool {
    identity_of(s_g2) == srs && checks::sum_is_generator(g_lagrange)
}

/// `ω` of the rows of a circuit: row `i` is `ωⁱ`.
fn root_of_unity(k: u32) -> Fr {
    (k..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square())
}

impl Srs {
    /// The string in halo2's raw format.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::size(self.k));
        bytes.extend(self.k.to_le_bytes());
        for point in self.g.iter().chain(&self.g_lagrange) {
            bytes.extend(point.to_raw_bytes());
        }
        bytes.extend(G2Affine::generator().to_raw_bytes());
        bytes.extend(self.s_g2.to_raw_bytes());
        bytes
    }

    /// Number of bytes of a string in halo2's raw format.
    pub(crate) const fn size(k: u32) -> usize {
        4 + 2 * (POINT_BYTES << k) + 2 * G2_BYTES
    }

    /// The inverse of [`to_bytes`](Self::to_bytes), if it is the string of this size and identity.
    ///
    /// For bytes that were checked when they were written, and compared with their digest: all points are on the
    /// curve, the image of the secret is the right one, the first powers are its own, and the Lagrange list maps
    /// 1 to the generator. That it is the list of this secret was checked when it was imported.
    pub(crate) fn from_bytes(bytes: &[u8], k: u32, expected: SrsIdentity) -> Option<Self> {
        let length = POINT_BYTES << k;
        let (header, rest) = bytes.split_at_checked(4)?;
        let (g, rest) = rest.split_at_checked(length)?;
        let (g_lagrange, rest) = rest.split_at_checked(length)?;
        let (g2, s_g2) = rest.split_at_checked(G2_BYTES)?;
        let (g2, s_g2) = (
            G2Affine::from_raw_bytes(g2)?,
            G2Affine::from_raw_bytes(s_g2)?,
        );
        if header != k.to_le_bytes()
            || g2 != G2Affine::generator()
            || identity_of(&s_g2) != expected
        {
            return None;
        }
        let g = checks::points("g", g).ok()?;
        let g_lagrange = checks::points("g_lagrange", g_lagrange).ok()?;
        checks::powers(&g[..g.len().min(2)], &s_g2).ok()?;
        fits_identity(&s_g2, &g_lagrange, expected).then_some(Self {
            k,
            g,
            g_lagrange,
            s_g2,
        })
    }

    /// The string as halo2's parameters, and its Lagrange commitments once more for the verifier.
    pub(crate) fn into_params(self) -> (ParamsKZG<Bn256>, Arc<Vec<G1Affine>>) {
        let g_lagrange = Arc::new(self.g_lagrange.clone());
        let g2 = G2Affine::generator();
        let params =
            smallest_params().from_parts(self.k, self.g, Some(self.g_lagrange), g2, self.s_g2);
        (params, g_lagrange)
    }
}

/// Parameters of one row: halo2 has no constructor, only a way to replace all parts of existing ones.
fn smallest_params() -> ParamsKZG<Bn256> {
    let (g, g2) = (
        G1Affine::generator().to_raw_bytes(),
        G2Affine::generator().to_raw_bytes(),
    );
    let bytes = [vec![0; 4], g.clone(), g, g2.clone(), g2].concat();
    ParamsKZG::read_custom(&mut bytes.as_slice(), SerdeFormat::RawBytes)
        .expect("four points in halo2's raw format")
}

#[cfg(test)]
mod tests;
