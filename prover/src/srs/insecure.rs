//! The insecure test string, and other secrets that are public.

use ff::{BatchInvert, Field, FromUniformBytes, PrimeField};
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use halo2curves::bn256::{Fr, G1, G1Affine, G2, G2Affine};
use rayon::prelude::*;
use verifier::{SrsIdentity, SrsKind};

use super::Srs;

/// The name of the insecure test string, and the source of its secret.
const DOMAIN: &str =
    "zkbpf INSECURE TEST SRS: its secret is public, anyone can forge proofs under it, never use it";

/// The secret of files that halo2-lib's `gen_srs` writes as `params/kzg_bn254_K.srs`: the first element that
/// ChaCha20 gives for the seed zero.
const HALO2_LIB_SECRET: [u64; 4] = [
    0xc895_86bc_dd6d_fcba,
    0x09f7_1b33_7a67_269c,
    0x7409_4352_6ade_1d8c,
    0x1c59_a59b_6cff_4308,
];

/// The insecure test string's identity, the same for all sizes.
pub(crate) fn insecure_identity() -> SrsIdentity {
    let digest = blake3::hash(DOMAIN.as_bytes()).into();
    SrsIdentity {
        kind: SrsKind::InsecureTest,
        digest,
    }
}

/// The secret that is none.
pub(super) fn test_secret() -> Fr {
    let mut bytes = [0; 64];
    blake3::Hasher::new_derive_key(DOMAIN)
        .finalize_xof()
        .fill(&mut bytes);
    Fr::from_uniform_bytes(&bytes)
}

pub(super) fn halo2_lib_secret() -> Fr {
    Fr::from_raw(HALO2_LIB_SECRET)
}

fn image(secret: Fr) -> G2Affine {
    (G2::generator() * secret).to_affine()
}

/// Whether this is the image of the test string's secret.
pub(super) fn is_test_image(s_g2: &G2Affine) -> bool {
    *s_g2 == image(test_secret())
}

/// Whether this is the image of a secret that is known to be public.
pub(super) fn is_public_image(s_g2: &G2Affine) -> bool {
    is_test_image(s_g2) || *s_g2 == image(halo2_lib_secret())
}

impl Srs {
    /// The insecure test string. What `ParamsKZG::setup` would give for its secret, but in seconds:
    /// both lists are multiples of the generator, by tables.
    pub(crate) fn insecure_test(k: u32) -> Self {
        Self::from_secret(k, test_secret())
    }

    pub(super) fn from_secret(k: u32, tau: Fr) -> Self {
        let rows = 1_usize << k;
        let base = FixedBase::new();
        let powers = scan(rows, Fr::ONE, tau);

        // L_i(τ) = (τⁿ − 1)/n · ωⁱ/(τ − ωⁱ)
        let roots = scan(rows, Fr::ONE, super::root_of_unity(k));
        let mut lagrange: Vec<Fr> = roots.iter().map(|root| tau - root).collect();
        lagrange.iter_mut().batch_invert();
        let rows_inverse = (0..k).fold(Fr::ONE, |inverse, _| inverse * Fr::TWO_INV);
        let factor = (tau.pow_vartime([rows as u64]) - Fr::ONE) * rows_inverse;
        lagrange
            .par_iter_mut()
            .zip(&roots)
            .for_each(|(value, root)| *value *= factor * root);

        Self {
            k,
            g: base.multiples(&powers),
            g_lagrange: base.multiples(&lagrange),
            s_g2: image(tau),
        }
    }
}

/// `first, first·ratio, first·ratio², …`
pub(super) fn scan(count: usize, first: Fr, ratio: Fr) -> Vec<Fr> {
    std::iter::successors(Some(first), |value| Some(value * ratio))
        .take(count)
        .collect()
}

/// Multiples of the generator by tables: window `w` holds `1..=2^(WINDOW−1)` times `2^(WINDOW·w)·G`.
struct FixedBase(Vec<Vec<G1Affine>>);

/// Bits of a digit.
const WINDOW: u32 = 13;

impl FixedBase {
    fn new() -> Self {
        let windows = (Fr::NUM_BITS + 1).div_ceil(WINDOW);
        let bases: Vec<G1> = (0..windows)
            .scan(G1::generator(), |base, _| {
                let current = *base;
                *base = (0..WINDOW).fold(*base, |point, _| point.double());
                Some(current)
            })
            .collect();
        Self(
            bases
                .into_par_iter()
                .map(|base| {
                    let count = 1 << (WINDOW - 1);
                    let multiples: Vec<G1> =
                        std::iter::successors(Some(base), |point| Some(point + base))
                            .take(count)
                            .collect();
                    let mut affine = vec![G1Affine::identity(); count];
                    G1::batch_normalize(&multiples, &mut affine);
                    affine
                })
                .collect(),
        )
    }

    fn multiple(&self, scalar: &Fr) -> G1 {
        let repr = scalar.to_repr();
        let bytes: &[u8] = repr.as_ref();
        let mut carry = 0_i64;
        let mut sum = G1::identity();
        for (window, table) in self.0.iter().enumerate() {
            let bit = window * WINDOW as usize;
            let low = (0..4).rev().fold(0_u64, |word, i| {
                word << 8 | u64::from(bytes.get(bit / 8 + i).copied().unwrap_or(0))
            });
            let mut digit = (low >> (bit % 8) & ((1 << WINDOW) - 1)) as i64 + carry;
            // Digits from −2^(WINDOW−1) to 2^(WINDOW−1) halve the tables.
            carry = i64::from(digit > 1 << (WINDOW - 1));
            digit -= carry << WINDOW;
            match digit.unsigned_abs() as usize {
                0 => {}
                n if digit > 0 => sum += table[n - 1],
                n => sum -= table[n - 1],
            }
        }
        sum
    }

    fn multiples(&self, scalars: &[Fr]) -> Vec<G1Affine> {
        let mut affine = vec![G1Affine::identity(); scalars.len()];
        affine
            .par_chunks_mut(1 << 10)
            .zip(scalars.par_chunks(1 << 10))
            .for_each(|(affine, scalars)| {
                let points: Vec<G1> = scalars.iter().map(|scalar| self.multiple(scalar)).collect();
                G1::batch_normalize(&points, affine);
            });
        affine
    }
}
