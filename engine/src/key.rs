//! What is computed once for a key: points in the backend's form, and twiddle factors.

use std::io::{self, Write};
use std::sync::OnceLock;

use ff::{Field, PrimeField};
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::ProvingKey;
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};

use crate::fft::{Plan, Scratch};
use crate::msm::{Bases, SumBuffers};
use crate::packed::{Backend, Portable, Words};
use crate::pool::Pool;
use crate::quotient::KeyColumns;
use crate::raw::Raw;
#[cfg(target_arch = "x86_64")]
use crate::raw::{Avx512, available};

/// What the engine needs of parameters and a proving key, beside them.
///
/// It holds no copy of the key's polynomials, only the parameters' points in another form.
#[derive(Debug)]
pub struct EngineKey(pub(crate) OnBackend);

#[derive(Debug)]
pub(crate) enum OnBackend {
    #[cfg(target_arch = "x86_64")]
    Avx512(Prepared<Avx512>),
    Portable(Prepared<Portable>),
}

impl EngineKey {
    /// For the parameters and the key that proofs are made with.
    #[must_use]
    pub fn new(params: &ParamsKZG<Bn256>, pk: &ProvingKey<G1Affine>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if available() {
            return Self(OnBackend::Avx512(Prepared::new(params, pk)));
        }
        Self::portable(params, pk)
    }

    /// As [`EngineKey::new`], without special instructions.
    #[must_use]
    pub fn portable(params: &ParamsKZG<Bn256>, pk: &ProvingKey<G1Affine>) -> Self {
        Self(OnBackend::Portable(Prepared::new(params, pk)))
    }
}

/// An [`EngineKey`] on one backend.
#[derive(Debug)]
pub(crate) struct Prepared<B: Backend> {
    pub(crate) k: u32,
    /// The key that it was made for, as transcripts know it.
    pub(crate) id: Fr,
    /// Points of Lagrange polynomials, and of powers.
    pub(crate) lagrange: Bases,
    pub(crate) monomial: Bases,
    /// From values to coefficients, but in reverse order after the first.
    pub(crate) inverse: Plan<B>,
    /// Shifts of the cosets on which the quotient is computed.
    pub(crate) shifts: Vec<Fr>,
    pub(crate) omega: Fr,
    /// The key's columns on these cosets, if the backend keeps them.
    pub(crate) key_columns: OnceLock<KeyColumns>,
    pub(crate) buffers: Buffers<B>,
}

/// Memory that each column needs for a moment, kept for the next one and for the next proof.
#[derive(Debug)]
pub(crate) struct Buffers<B: Backend> {
    /// What points are multiplied by.
    pub(crate) integers: Pool<Vec<Words>>,
    pub(crate) sums: SumBuffers<B>,
    pub(crate) scratches: Pool<Scratch<B>>,
}

impl<B: Backend> Prepared<B> {
    fn new(params: &ParamsKZG<Bn256>, pk: &ProvingKey<G1Affine>) -> Self {
        let k = params.k();
        let n = Fr::from(params.n());
        let mut reader = PointReader::new(params.n() as usize);
        // Writing into memory does not fail.
        let _ = params.write_custom(&mut reader, SerdeFormat::RawBytesUnchecked);
        let domain = pk.get_vk().get_domain();
        let pieces = domain.get_quotient_poly_degree();
        let mut root = Fr::ROOT_OF_UNITY;
        for _ in k + pieces.next_power_of_two().ilog2()..Fr::S {
            root = root.square();
        }
        let mut shift = Fr::MULTIPLICATIVE_GENERATOR;
        let shifts = (0..pieces)
            .map(|_| {
                let this = shift;
                shift *= root;
                this
            })
            .collect();
        Self {
            k,
            id: pk.get_vk().transcript_repr(),
            lagrange: Bases::new::<B>(&reader.points),
            monomial: Bases::new::<B>(params.get_g()),
            inverse: Plan::new(k, Fr::ONE, n.invert().unwrap_or(Fr::ZERO)),
            shifts,
            omega: domain.get_omega(),
            key_columns: OnceLock::new(),
            buffers: Buffers {
                integers: Pool::default(),
                sums: SumBuffers::default(),
                scratches: Pool::default(),
            },
        }
    }
}

/// Takes the Lagrange points out of serialised parameters, which show them nowhere else.
struct PointReader {
    /// Bytes before the first of them, and after: the number of points, and as many powers.
    skip: usize,
    count: usize,
    partial: Vec<u8>,
    points: Vec<G1Affine>,
}

const POINT: usize = 64;

impl PointReader {
    fn new(count: usize) -> Self {
        Self {
            skip: 4 + POINT * count,
            count,
            partial: Vec::with_capacity(POINT),
            points: Vec::with_capacity(count),
        }
    }
}

impl Write for PointReader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        for byte in &bytes[skipped..] {
            if self.points.len() < self.count {
                self.partial.push(*byte);
                if self.partial.len() == POINT {
                    let mut words = [0; 8];
                    for (word, bytes) in words.iter_mut().zip(self.partial.as_chunks().0) {
                        *word = u64::from_le_bytes(*bytes);
                    }
                    let [a, b, c, d, e, f, g, h] = words;
                    self.points.push(G1Affine {
                        x: Fq::from_raw_words([a, b, c, d]),
                        y: Fq::from_raw_words([e, f, g, h]),
                    });
                    self.partial.clear();
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
