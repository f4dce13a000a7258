//! The kernels by themselves, on whichever backend this machine has.

use ff::{Field, PrimeField};
use halo2curves::bn256::{Fr, G1, G1Affine};

use crate::fft::{Input, Plan, Scratch};
use crate::msm::{Bases, SumBuffers};
use crate::packed::{Backend, Kernel, Packed, Portable, Words, integer};
use crate::raw::Raw;
#[cfg(target_arch = "x86_64")]
use crate::raw::{Avx512, available};

/// Evaluates polynomials at all powers of a root of unity.
#[derive(Debug)]
pub struct Fft(FftOn);

#[derive(Debug)]
enum FftOn {
    #[cfg(target_arch = "x86_64")]
    Avx512(Plan<Avx512>),
    Portable(Plan<Portable>),
}

impl Fft {
    /// For polynomials of `2^log` coefficients.
    #[must_use]
    pub fn new(log: u32) -> Self {
        #[cfg(target_arch = "x86_64")]
        if available() {
            return Self(FftOn::Avx512(Plan::new(log, Fr::ONE, Fr::ONE)));
        }
        Self(FftOn::Portable(Plan::new(log, Fr::ONE, Fr::ONE)))
    }

    /// As [`Fft::new`], without special instructions.
    #[must_use]
    pub fn portable(log: u32) -> Self {
        Self(FftOn::Portable(Plan::new(log, Fr::ONE, Fr::ONE)))
    }

    /// The values of a polynomial, in natural order.
    ///
    /// # Panics
    /// If the number of coefficients is not the one it was made for.
    #[must_use]
    pub fn values(&self, coefficients: &[Fr]) -> Vec<Fr> {
        fn on<B: Backend>(plan: &Plan<B>, coefficients: &[Fr]) -> Vec<Fr> {
            assert_eq!(coefficients.len(), 1 << plan.log());
            let mut output: Vec<Words> = vec![[0; 4]; coefficients.len()];
            let input = Input::Std(Fr::as_words(coefficients));
            plan.transform(input, &mut output, &mut Scratch::default());
            crate::column::to_std::<B>(&output)
        }
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            FftOn::Avx512(plan) => on(plan, coefficients),
            FftOn::Portable(plan) => on(plan, coefficients),
        }
    }
}

/// Multiplies fixed points by scalars and sums.
#[derive(Debug)]
pub struct Msm {
    bases: Bases,
    #[cfg(target_arch = "x86_64")]
    fast: bool,
}

impl Msm {
    /// Over these points.
    #[must_use]
    pub fn new(points: &[G1Affine]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if available() {
            return Self {
                bases: Bases::new::<Avx512>(points),
                fast: true,
            };
        }
        Self::portable(points)
    }

    /// As [`Msm::new`], without special instructions.
    #[must_use]
    pub fn portable(points: &[G1Affine]) -> Self {
        Self {
            bases: Bases::new::<Portable>(points),
            #[cfg(target_arch = "x86_64")]
            fast: false,
        }
    }

    /// The sum of the first points times these scalars.
    ///
    /// # Panics
    /// If there are more scalars than points.
    #[must_use]
    pub fn sum(&self, scalars: &[Fr]) -> G1 {
        assert!(scalars.len() <= self.bases.len());
        let integers: Vec<_> = scalars.iter().map(integer).collect();
        #[cfg(target_arch = "x86_64")]
        if self.fast {
            let buffers = SumBuffers::<Avx512>::default();
            return self.bases.sum_on_threads(&integers, &buffers);
        }
        let buffers = SumBuffers::<Portable>::default();
        self.bases.sum_on_threads(&integers, &buffers)
    }
}

/// Values that are multiplied side by side.
const CHAINS: usize = 4;

struct Chains {
    rounds: usize,
}

impl<B: Backend> Kernel<B> for Chains {
    type Output = (Fr, usize);

    #[inline(always)]
    fn run(self) -> (Fr, usize) {
        let factor = B::Fr::scalar(&Fr::MULTIPLICATIVE_GENERATOR);
        let mut values = [factor; CHAINS];
        for _ in 0..self.rounds {
            for value in &mut values {
                *value = value.mul(factor);
            }
        }
        let [value, ..] = values.map(|value| value.to_scalars()[0]);
        (value, self.rounds * CHAINS * B::Fr::LANES)
    }
}

/// Products of field elements in registers, several at a time as none waits for another: what bounds everything else.
/// The field's generator to the power of `rounds + 1`, and how many products were computed.
#[must_use]
pub fn products(rounds: usize) -> (Fr, usize) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        return Avx512::run(Chains { rounds });
    }
    portable_products(rounds)
}

/// As [`products`], without special instructions.
#[must_use]
pub fn portable_products(rounds: usize) -> (Fr, usize) {
    Portable::run(Chains { rounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_powers() {
        for products in [products, portable_products] {
            let (power, count) = products(9);
            assert_eq!(power, Fr::MULTIPLICATIVE_GENERATOR.pow_vartime([10]));
            assert!(count >= 9 * CHAINS);
        }
    }
}
