use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;

/// Elements at the edges of the field and of limbs, and random ones.
fn samples<F: Raw>() -> Vec<F> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut samples = vec![F::ZERO, F::ONE, -F::ONE, -F::from(2), F::from(u64::MAX)];
    for bit in (0..254)
        .step_by(13)
        .chain([51, 52, 53, 103, 104, 155, 156, 207, 208, 253])
    {
        let power = F::from(2).pow([bit]);
        samples.extend([power, power - F::ONE, -power]);
    }
    // Small words in memory, whatever they stand for.
    samples.extend([0, 1, 2, LIMB_EDGE, LIMB_EDGE - 1].map(|w| F::from_raw_words([w, 0, 0, 0])));
    let random = 200 - samples.len() % 8;
    samples.extend((0..random).map(|_| F::random(&mut rng)));
    samples.truncate(samples.len() / 8 * 8);
    samples
}

const LIMB_EDGE: u64 = 1 << 52;

fn scalars<P: Packed>(value: P) -> Vec<P::Scalar> {
    value.to_scalars()[..P::LANES].to_vec()
}

struct Arithmetic<F>(Vec<F>);

fn arithmetic<P: Packed>(samples: &[P::Scalar]) {
    let reversed: Vec<_> = samples.iter().rev().copied().collect();
    for (a, b) in samples.chunks(P::LANES).zip(reversed.chunks(P::LANES)) {
        let (x, y) = (P::from_scalars(a), P::from_scalars(b));
        let expect = |value: P, f: &dyn Fn(P::Scalar, P::Scalar) -> P::Scalar| {
            let expected: Vec<_> = a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect();
            assert_eq!(scalars(value), expected);
            assert_eq!(scalars(value.reduce()), expected);
            let mut words = [[0; 4]; MAX_LANES];
            value.reduce().store(&mut words);
            assert_eq!(scalars(P::load(&words)), expected);
            value.store_int(&mut words);
            assert_eq!(
                words[..P::LANES],
                *expected.iter().map(integer).collect::<Vec<_>>()
            );
        };
        expect(x, &|a, _| a);
        expect(x.add(y), &|a, b| a + b);
        expect(x.sub::<1>(y), &|a, b| a - b);
        expect(x.mul(y), &|a, b| a * b);
        let mut sum = P::wide_zero();
        for _ in 0..MAX_PRODUCTS {
            sum = P::wide_add(sum, x.add(x), y.add(y));
        }
        let count = P::Scalar::from(4 * MAX_PRODUCTS as u64);
        expect(P::wide_reduce(sum), &|a, b| a * b * count);
        let mut large = x;
        // Bounds 4, 8, 16, 32, 64.
        for _ in 0..5 {
            large = large.add(large);
        }
        expect(large, &|a, _| a * P::Scalar::from(32));
        expect(large.mul(y), &|a, b| a * P::Scalar::from(32) * b);
        expect(y.sub::<6>(large), &|a, b| b - a * P::Scalar::from(32));
        expect(P::load_std(&pad(a)), &|a, _| a);
        // 16 * 4 is not above 84.
        expect(P::load_std(&pad(a)).mul(y.add(y)), &|a, b| a * b.double());
        let mask = 0b1010_1101;
        let expected = (0..P::LANES).map(|i| if mask >> i & 1 == 1 { a[i] } else { b[i] });
        assert_eq!(scalars(P::select(mask, x, y)), expected.collect::<Vec<_>>());
        let mut square: Vec<P> = (0..P::LANES)
            .map(|i| P::scalar(&P::Scalar::from(i as u64)).add(x))
            .collect();
        P::transpose(&mut square);
        for (column, value) in square.into_iter().enumerate() {
            let expected: Vec<_> = (0..P::LANES)
                .map(|row| a[column] + P::Scalar::from(row as u64))
                .collect();
            assert_eq!(scalars(value), expected);
        }
    }
}

fn pad<F: Raw>(a: &[F]) -> [Words; MAX_LANES] {
    let mut words = [[0; 4]; MAX_LANES];
    words[..a.len()].copy_from_slice(F::as_words(a));
    words
}

impl<B: Backend> Kernel<B> for Arithmetic<Fr> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        arithmetic::<B::Fr>(&self.0);
    }
}
impl<B: Backend> Kernel<B> for Arithmetic<Fq> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        arithmetic::<B::Fq>(&self.0);
    }
}

fn check<B: Backend>() {
    B::run(Arithmetic(samples::<Fr>()));
    B::run(Arithmetic(samples::<Fq>()));
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut point = || Point([(); 8].map(|()| rng.next_u64() >> 3));
    let points = [(); 8].map(|()| point());
    let references = [0, 1, 2, 3, 4, 5, 6, 7].map(|i: usize| &points[i]);
    let (x, y) = B::gather(references);
    let mut back = [Point::default(); 8];
    B::scatter(x, y, &mut back);
    let lanes = B::Fq::LANES;
    let words = |points: &[Point]| points[..lanes].iter().map(|p| p.0).collect::<Vec<_>>();
    assert_eq!(words(&back), words(&points));
}

#[test]
fn arrays_are_computed_as_halo2curves_does() {
    check::<Portable>();
}

#[test]
fn eight_elements_are_computed_as_halo2curves_does() {
    #[cfg(target_arch = "x86_64")]
    if crate::raw::available() {
        check::<crate::raw::Avx512>();
    }
}

#[test]
fn words_are_what_halo2curves_serialises() {
    use halo2curves::serde::SerdeObject;
    let element = Fr::from(0x1234_5678_9abc_def0) * Fr::from(7).invert().unwrap();
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(element.to_raw()) {
        *bytes = word.to_le_bytes();
    }
    assert_eq!(bytes.as_slice(), element.to_raw_bytes());
    assert_eq!(Fr::from_raw_words(element.to_raw()), element);
    assert_eq!(Fr::as_words(&[element]), [element.to_raw()]);
}
