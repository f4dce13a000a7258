//! Structured reference strings: a test string whose secret is public, and files from ceremonies.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ff::{BatchInvert, Field, FromUniformBytes, PrimeField};
use group::cofactor::CofactorGroup;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use halo2_proofs::SerdeFormat;
use halo2_proofs::arithmetic::{best_multiexp, g_to_lagrange};
use halo2_proofs::poly::EvaluationDomain;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine, G2, G2Affine};
use halo2curves::pairing::Engine;
use halo2curves::serde::SerdeObject;
use rand_core::OsRng;
use rayon::prelude::*;
use verifier::{SrsIdentity, SrsKind};

use crate::error::{Error, SrsError, io_error};

/// The name of the insecure test string, and the source of its secret.
const INSECURE_DOMAIN: &str =
    "zkbpf INSECURE TEST SRS: its secret is public, anyone can forge proofs under it, never use it";
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

/// The insecure test string's identity, the same for all sizes.
pub(crate) fn insecure_identity() -> SrsIdentity {
    let digest = blake3::hash(INSECURE_DOMAIN.as_bytes()).into();
    SrsIdentity {
        kind: SrsKind::InsecureTest,
        digest,
    }
}

/// The secret that is none.
fn insecure_tau() -> Fr {
    let mut bytes = [0; 64];
    blake3::Hasher::new_derive_key(INSECURE_DOMAIN)
        .finalize_xof()
        .fill(&mut bytes);
    Fr::from_uniform_bytes(&bytes)
}

/// The identity of a file: BLAKE3 of its bytes.
pub(crate) fn file_identity(path: &Path) -> Result<SrsIdentity, Error> {
    let file = File::open(path).map_err(io_error(path))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(io_error(path))?;
    Ok(SrsIdentity {
        kind: SrsKind::File,
        digest: hasher.finalize().into(),
    })
}

impl Srs {
    /// The insecure test string. What `ParamsKZG::setup` would give for its secret, but in seconds:
    /// both lists are multiples of the generator, by tables.
    pub(crate) fn insecure_test(k: u32) -> Self {
        Self::from_secret(k, insecure_tau())
    }

    fn from_secret(k: u32, tau: Fr) -> Self {
        let rows = 1_usize << k;
        let base = FixedBase::new();
        let powers = scan(rows, Fr::ONE, tau);

        // L_i(τ) = (τⁿ − 1)/n · ωⁱ/(τ − ωⁱ)
        let omega = (k..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square());
        let roots = scan(rows, Fr::ONE, omega);
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
            s_g2: (G2::generator() * tau).to_affine(),
        }
    }

    /// Reads a raw halo2 parameter file of at least `2^k` points and checks all that is used of it.
    ///
    /// The format is that of `ParamsKZG::write_custom` with `RawBytes`: `k` (4 bytes), `2^k` powers,
    /// `2^k` Lagrange commitments, both generators' images. A larger string is cut down; its Lagrange
    /// basis is then computed anew, which takes a while.
    pub(crate) fn from_file(path: &Path, k: u32) -> Result<Self, Error> {
        let refuse = |reason| Error::Srs {
            path: path.to_owned(),
            reason,
        };
        let file = File::open(path).map_err(io_error(path))?;
        let found = file.metadata().map_err(io_error(path))?.len();
        let mut reader = BufReader::new(file);
        let mut header = [0; 4];
        reader
            .read_exact(&mut header)
            .map_err(|_| refuse(SrsError::Format))?;
        let file_k = u32::from_le_bytes(header);
        if file_k > MAX_K {
            return Err(refuse(SrsError::Format));
        }
        let expected = 4 + 2 * (POINT_BYTES as u64) * (1 << file_k) + 2 * G2_BYTES as u64;
        if found != expected {
            return Err(refuse(SrsError::Length { found, expected }));
        }
        if file_k < k {
            return Err(refuse(SrsError::TooSmall {
                found: file_k,
                needed: k,
            }));
        }
        let rows = 1_usize << k;
        let file_rows = 1_u64 << file_k;
        let skipped = (file_rows - rows as u64) * POINT_BYTES as u64;
        let mut read = |length: usize, skip: u64| -> Result<Vec<u8>, Error> {
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes).map_err(io_error(path))?;
            let discarded = std::io::copy(&mut reader.by_ref().take(skip), &mut std::io::sink())
                .map_err(io_error(path))?;
            if discarded == skip {
                Ok(bytes)
            } else {
                Err(refuse(SrsError::Format))
            }
        };
        let g = read(rows * POINT_BYTES, skipped)?;
        let lagrange = if file_k == k {
            Some(read(rows * POINT_BYTES, 0)?)
        } else {
            read(0, file_rows * POINT_BYTES as u64)?;
            None
        };
        let (g2, s_g2) = (read(G2_BYTES, 0)?, read(G2_BYTES, 0)?);
        Self::checked(k, &g, lagrange.as_deref(), &g2, &s_g2).map_err(refuse)
    }

    fn checked(
        k: u32,
        g: &[u8],
        lagrange: Option<&[u8]>,
        g2: &[u8],
        s_g2: &[u8],
    ) -> Result<Self, SrsError> {
        let g = points("g", g)?;
        let s_g2 = G2Affine::from_raw_bytes(s_g2)
            .filter(|p| !bool::from(p.is_identity()) && bool::from(p.to_curve().is_torsion_free()))
            .ok_or(SrsError::Point {
                list: "s_g2",
                index: 0,
            })?;
        let generator = G2Affine::generator();
        if G2Affine::from_raw_bytes(g2) != Some(generator)
            || g.first() != Some(&G1Affine::generator())
            || s_g2 == generator
        {
            return Err(SrsError::Generator);
        }
        if s_g2 == (G2::generator() * insecure_tau()).to_affine() {
            return Err(SrsError::Insecure);
        }
        // e(Σ rᵢ·g[i+1], g2) = e(Σ rᵢ·g[i], s_g2) for random rᵢ.
        let random = random_scalars(g.len() - 1);
        let shifted = best_multiexp(&random, &g[1..]).to_affine();
        let unshifted = best_multiexp(&random, &g[..g.len() - 1]).to_affine();
        if Bn256::pairing(&shifted, &generator) != Bn256::pairing(&unshifted, &s_g2) {
            return Err(SrsError::Powers);
        }
        let g_lagrange = match lagrange {
            Some(bytes) => {
                let g_lagrange = points("g_lagrange", bytes)?;
                // A polynomial with random values on the rows, committed in both bases.
                let domain = EvaluationDomain::<Fr>::new(1, k);
                let values = random_scalars(g.len());
                let by_rows = best_multiexp(&values, &g_lagrange);
                let coefficients = domain.lagrange_to_coeff(domain.lagrange_from_vec(values));
                if by_rows != best_multiexp(&coefficients, &g) {
                    return Err(SrsError::Lagrange);
                }
                g_lagrange
            }
            None => {
                tracing::info!(
                    k,
                    "computing the Lagrange basis of a smaller parameter string"
                );
                g_to_lagrange(g.iter().map(PrimeCurveAffine::to_curve).collect(), k)
            }
        };
        Ok(Self {
            k,
            g,
            g_lagrange,
            s_g2,
        })
    }

    /// The string in halo2's raw format.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + 2 * self.g.len() * POINT_BYTES + 2 * G2_BYTES);
        bytes.extend(self.k.to_le_bytes());
        for point in self.g.iter().chain(&self.g_lagrange) {
            bytes.extend(point.to_raw_bytes());
        }
        bytes.extend(G2Affine::generator().to_raw_bytes());
        bytes.extend(self.s_g2.to_raw_bytes());
        bytes
    }

    /// The inverse of [`to_bytes`](Self::to_bytes), for bytes that were checked when they were written.
    pub(crate) fn from_bytes(bytes: &[u8], k: u32) -> Option<Self> {
        let length = (POINT_BYTES) << k;
        let (header, rest) = bytes.split_at_checked(4)?;
        let (g, rest) = rest.split_at_checked(length)?;
        let (g_lagrange, rest) = rest.split_at_checked(length)?;
        let (g2, s_g2) = rest.split_at_checked(G2_BYTES)?;
        if header != k.to_le_bytes() || G2Affine::from_raw_bytes(g2)? != G2Affine::generator() {
            return None;
        }
        Some(Self {
            k,
            g: points("g", g).ok()?,
            g_lagrange: points("g_lagrange", g_lagrange).ok()?,
            s_g2: G2Affine::from_raw_bytes(s_g2)?,
        })
    }

    /// The string as halo2's parameters, and its Lagrange commitments once more for the verifier.
    pub(crate) fn into_params(self) -> (ParamsKZG<Bn256>, Vec<G1Affine>) {
        let g_lagrange = self.g_lagrange.clone();
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

fn points(list: &'static str, bytes: &[u8]) -> Result<Vec<G1Affine>, SrsError> {
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

fn random_scalars(count: usize) -> Vec<Fr> {
    (0..count)
        .into_par_iter()
        .map(|_| Fr::random(OsRng))
        .collect()
}

/// `first, first·ratio, first·ratio², …`
fn scan(count: usize, first: Fr, ratio: Fr) -> Vec<Fr> {
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

#[cfg(test)]
mod tests {
    use halo2_proofs::poly::commitment::{Params, ParamsProver};
    use rand_core::RngCore;

    use super::*;

    /// Draws that make `Fr::random` return the test secret.
    struct Tau(usize);

    impl RngCore for Tau {
        fn next_u32(&mut self) -> u32 {
            unreachable!("field elements are drawn from 64-bit words")
        }
        fn next_u64(&mut self) -> u64 {
            let repr = insecure_tau().to_repr();
            let bytes: &[u8] = repr.as_ref();
            let word = bytes.chunks(8).nth(self.0);
            self.0 += 1;
            word.map_or(0, |word| {
                u64::from_le_bytes(word.try_into().expect("8 bytes"))
            })
        }
        fn fill_bytes(&mut self, _: &mut [u8]) {
            unreachable!("field elements are drawn from 64-bit words")
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), rand_core::Error> {
            unreachable!("field elements are drawn from 64-bit words")
        }
    }

    fn reference(k: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        ParamsKZG::<Bn256>::setup(k, Tau(0))
            .write_custom(&mut bytes, SerdeFormat::RawBytes)
            .expect("memory");
        bytes
    }

    fn honest(k: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        ParamsKZG::<Bn256>::setup(k, OsRng)
            .write_custom(&mut bytes, SerdeFormat::RawBytes)
            .expect("memory");
        bytes
    }

    fn load(bytes: &[u8], k: u32) -> Result<Srs, SrsError> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("written");
        Srs::from_file(file.path(), k).map_err(|error| match error {
            Error::Srs { reason, .. } => reason,
            other => unreachable!("{other}"),
        })
    }

    #[test]
    fn the_test_string_is_what_halo2_computes() {
        for k in [1, 4, 7] {
            assert_eq!(Srs::insecure_test(k).to_bytes(), reference(k), "k = {k}");
        }
    }

    #[test]
    fn fixed_base_multiples_are_multiples() {
        let base = FixedBase::new();
        let edges = [
            Fr::ZERO,
            Fr::ONE,
            -Fr::ONE,
            Fr::from(4096),
            Fr::from(4097),
            Fr::from(8191),
        ];
        for scalar in edges.into_iter().chain(random_scalars(20)) {
            assert_eq!(base.multiple(&scalar), G1::generator() * scalar);
        }
    }

    #[test]
    fn parameters_and_bytes_round_trip() {
        let srs = Srs::insecure_test(5);
        let bytes = srs.to_bytes();
        let back = Srs::from_bytes(&bytes, 5).expect("its own bytes");
        assert_eq!(back.to_bytes(), bytes);
        assert!(Srs::from_bytes(&bytes, 4).is_none());
        let (params, g_lagrange) = back.into_params();
        assert_eq!((params.k(), params.get_g()), (5, srs.g.as_slice()));
        assert_eq!(g_lagrange, srs.g_lagrange);
    }

    #[test]
    fn files_are_read_and_cut_down() {
        let bytes = honest(6);
        assert_eq!(load(&bytes, 6).expect("honest").to_bytes(), bytes);
        let small = load(&bytes, 4).expect("honest");
        let mut params: ParamsKZG<Bn256> =
            ParamsKZG::read_custom(&mut bytes.as_slice(), SerdeFormat::RawBytes).expect("honest");
        params.downsize(4);
        let mut expected = Vec::new();
        params
            .write_custom(&mut expected, SerdeFormat::RawBytes)
            .expect("memory");
        assert_eq!(small.to_bytes(), expected);
        assert_eq!(
            load(&bytes, 7).err(),
            Some(SrsError::TooSmall {
                found: 6,
                needed: 7
            })
        );
    }

    #[test]
    fn bad_files_are_refused() {
        let bytes = honest(4);
        let at = |index: usize| 4 + index * POINT_BYTES;
        let with = |offset: usize, part: &[u8]| {
            let mut changed = bytes.clone();
            changed[offset..offset + part.len()].copy_from_slice(part);
            load(&changed, 4).err()
        };
        assert!(load(&bytes, 4).is_ok());
        assert_eq!(load(&bytes[..3], 4).err(), Some(SrsError::Format));
        assert!(matches!(
            load(&bytes[..99], 4).err(),
            Some(SrsError::Length { .. })
        ));
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(
            load(&longer, 4).err(),
            Some(SrsError::Length { .. })
        ));

        let identity = [0; POINT_BYTES];
        assert_eq!(
            with(at(3), &identity),
            Some(SrsError::Point {
                list: "g",
                index: 3
            })
        );
        let off_curve = [1; POINT_BYTES];
        assert_eq!(
            with(at(3), &off_curve),
            Some(SrsError::Point {
                list: "g",
                index: 3
            })
        );
        assert_eq!(
            with(at(20), &off_curve),
            Some(SrsError::Point {
                list: "g_lagrange",
                index: 4
            })
        );
        let other = (G1::generator() * Fr::from(5)).to_affine().to_raw_bytes();
        assert_eq!(with(at(0), &other), Some(SrsError::Generator));
        assert_eq!(with(at(7), &other), Some(SrsError::Powers));
        assert_eq!(with(at(20), &other), Some(SrsError::Lagrange));

        let g2_at = at(32);
        let other = (G2::generator() * Fr::from(5)).to_affine().to_raw_bytes();
        assert_eq!(with(g2_at, &other), Some(SrsError::Generator));
        assert_eq!(with(g2_at + G2_BYTES, &other), Some(SrsError::Powers));
        let generator = G2Affine::generator().to_raw_bytes();
        assert_eq!(
            with(g2_at + G2_BYTES, &generator),
            Some(SrsError::Generator)
        );
        let outside = with(g2_at + G2_BYTES, &outside_the_group().to_raw_bytes());
        assert_eq!(
            outside,
            Some(SrsError::Point {
                list: "s_g2",
                index: 0
            })
        );
        assert_eq!(load(&reference(4), 4).err(), Some(SrsError::Insecure));
    }

    /// A point of the second curve that is not in the group of prime order.
    fn outside_the_group() -> G2Affine {
        use halo2curves::CurveAffine;
        use halo2curves::bn256::Fq2;
        (1_u64..)
            .find_map(|x| {
                let x = Fq2::from(x);
                let y = Option::<Fq2>::from((x.square() * x + G2Affine::b()).sqrt())?;
                let point = Option::<G2Affine>::from(G2Affine::from_xy(x, y))?;
                let outside = point * -Fr::ONE + point != G2::identity();
                outside.then_some(point)
            })
            .expect("most points are outside")
    }
}
