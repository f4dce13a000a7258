use ff::Field;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use halo2curves::bn256::Fr;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;
use crate::packed::{Portable, integer};

fn points(count: usize) -> Vec<G1Affine> {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    (0..count)
        .map(|_| G1::random(&mut rng).to_affine())
        .collect()
}

/// Columns as provers have them, and columns at the edges.
fn columns(count: usize) -> Vec<Vec<Fr>> {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut random = || Fr::random(&mut rng);
    let full: Vec<_> = (0..count).map(|_| random()).collect();
    let small = |bits: u32| {
        let mut rng = ChaCha20Rng::seed_from_u64(bits.into());
        (0..count)
            .map(move |_| Fr::from(rng.next_u64() >> (64 - bits)))
            .collect::<Vec<_>>()
    };
    let half = (-Fr::ONE) * Fr::from(2).invert().unwrap();
    let mut columns = vec![
        vec![Fr::ZERO; count],
        vec![Fr::ONE; count],
        vec![-Fr::ONE; count],
        vec![half; count],
        vec![half + Fr::ONE; count],
        vec![Fr::from(0xffff); count],
        full.clone(),
        small(1),
        small(8),
        small(16),
        small(64),
        small(16).into_iter().map(|value| -value).collect(),
    ];
    for bits in [1, 16, 64] {
        let mut column = small(bits);
        let start = column.len().saturating_sub(6);
        column[start..].copy_from_slice(&full[start..]);
        columns.push(column);
    }
    let mut one = vec![Fr::ZERO; count];
    one[count / 2] = -Fr::from(3);
    columns.push(one);
    // A length for every scalar.
    columns.push(
        (0..count as u64)
            .map(|i| Fr::from(2).pow([i % 254]) - Fr::from(i % 2))
            .collect(),
    );
    columns
}

fn check<B: Backend>(points: &[G1Affine]) {
    let bases = Bases::new::<B>(points);
    let buffers = SumBuffers::default();
    for (i, column) in columns(points.len()).into_iter().enumerate() {
        let scalars: Vec<_> = column.iter().map(integer).collect();
        let expected = halo2curves::msm::msm_best(&column, points);
        assert_eq!(bases.sum_on_threads::<B>(&scalars, &buffers), expected);
        assert_eq!(
            bases.sum::<B>(&scalars, &buffers),
            expected,
            "column {i} of {}",
            points.len()
        );
    }
}

fn check_all(points: &[G1Affine]) {
    check::<Portable>(points);
    #[cfg(target_arch = "x86_64")]
    if crate::raw::available() {
        check::<crate::raw::Avx512>(points);
    }
}

#[test]
fn sums_are_those_of_halo2curves() {
    let points = points(3000);
    for count in [1, 7, 100, 257, 3000] {
        check_all(&points[..count]);
    }
}

#[test]
fn equal_and_opposite_points_and_the_identity_are_added() {
    let mut points = points(300);
    check_all(&points);
    for i in 0..100 {
        points[100 + i] = points[i];
        points[200 + i] = -points[i];
    }
    check_all(&points);
    points[5] = G1Affine::identity();
    check_all(&points);
}
