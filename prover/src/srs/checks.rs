//! What makes points a structured reference string. Everything is checked against the image of the secret.

use ff::Field;
use group::cofactor::CofactorGroup;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use halo2_proofs::arithmetic::best_multiexp;
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine, G2Affine};
use halo2curves::pairing::Engine;
use halo2curves::serde::SerdeObject;
use rand_core::OsRng;
use rayon::prelude::*;

use super::insecure::{is_public_image, scan};
use super::{POINT_BYTES, root_of_unity};
use crate::error::SrsError;

/// Points of the first group in their raw encoding, which is halo2's and snarkjs's: coordinates in Montgomery
/// form, below the modulus. The curve has prime order, so being on it is being in the group.
pub(super) fn points(list: &'static str, bytes: &[u8]) -> Result<Vec<G1Affine>, SrsError> {
    bytes
        .par_chunks_exact(POINT_BYTES)
        .enumerate()
        .map(|(index, bytes)| {
            G1Affine::from_raw_bytes(bytes)
                .filter(|point| !bool::from(point.is_identity()))
                .ok_or(SrsError::Point { list, index })
        })
        .collect()
}

/// The image of a secret that is not known to be public, in its raw encoding.
pub(super) fn secret_image(
    list: &'static str,
    index: usize,
    bytes: &[u8],
) -> Result<G2Affine, SrsError> {
    let s_g2 = G2Affine::from_raw_bytes(bytes)
        .filter(|p| !bool::from(p.is_identity()) && bool::from(p.to_curve().is_torsion_free()))
        .ok_or(SrsError::Point { list, index })?;
    if s_g2 == G2Affine::generator() {
        return Err(SrsError::Generator);
    }
    if is_public_image(&s_g2) {
        return Err(SrsError::Insecure);
    }
    Ok(s_g2)
}

/// The list is `G, τG, τ²G, …`: e(Σ rᵢ·g[i+1], G₂) = e(Σ rᵢ·g[i], τG₂) for random rᵢ.
pub(super) fn powers(g: &[G1Affine], s_g2: &G2Affine) -> Result<(), SrsError> {
    if g.first() != Some(&G1Affine::generator()) {
        return Err(SrsError::Generator);
    }
    let random = random_scalars(g.len() - 1);
    let shifted = best_multiexp(&random, &g[1..]);
    let unshifted = best_multiexp(&random, &g[..g.len() - 1]);
    if is_multiple(shifted, unshifted, s_g2) {
        Ok(())
    } else {
        Err(SrsError::Powers)
    }
}

/// The list is `L₀(τ)G, L₁(τ)G, …` of a domain of `2^k` rows.
///
/// It maps the values of a polynomial on the rows to a point, linearly. That map is evaluation at τ if it
/// maps 1 to G, and X·p to τ times the image of p, for all p of degree below 2^k − 1. The values of such a p
/// are any with Σ ωⁱ·p(ωⁱ) = 0, since this sum is 2^k times the coefficient of the highest power. Random ones
/// do for all.
pub(super) fn lagrange(k: u32, list: &[G1Affine], s_g2: &G2Affine) -> Result<(), SrsError> {
    let roots = scan(list.len(), Fr::ONE, root_of_unity(k));
    let mut values = random_scalars(list.len());
    values[0] = Fr::ZERO;
    let times_x = |values: &[Fr]| -> Vec<Fr> {
        let pairs = values.par_iter().zip(&roots);
        pairs.map(|(value, root)| value * root).collect()
    };
    values[0] = -times_x(&values).iter().sum::<Fr>();
    let unshifted = best_multiexp(&values, list);
    let shifted = best_multiexp(&times_x(&values), list);
    if sum_is_generator(list) && is_multiple(shifted, unshifted, s_g2) {
        Ok(())
    } else {
        Err(SrsError::Lagrange)
    }
}

/// Whether the list maps 1, which is 1 on all rows, to G.
pub(super) fn sum_is_generator(list: &[G1Affine]) -> bool {
    let sum = list.par_iter().fold(G1::identity, |sum, point| sum + point);
    sum.sum::<G1>() == G1::generator()
}

/// Whether the first point is τ times the second one.
fn is_multiple(shifted: G1, unshifted: G1, s_g2: &G2Affine) -> bool {
    let (shifted, unshifted) = (shifted.to_affine(), unshifted.to_affine());
    Bn256::pairing(&shifted, &G2Affine::generator()) == Bn256::pairing(&unshifted, s_g2)
}

fn random_scalars(count: usize) -> Vec<Fr> {
    (0..count)
        .into_par_iter()
        .map(|_| Fr::random(OsRng))
        .collect()
}
