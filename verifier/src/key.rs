//! The verifying key: halo2's, and what is needed to recompute public columns.

use std::fmt;
use std::sync::Arc;

use ff::PrimeField;
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, G1Affine, G2Affine};
use halo2curves::serde::SerdeObject;
use zk_circuits::{ChunkCircuit, Committed, Shape};

use crate::DecodeError;
use crate::codec::{Reader, Writer};
use crate::halo2_key::{Halo2Key, MAX_HALO2_BYTES, read_halo2};

const MAGIC: [u8; 8] = *b"zkbpfKEY";
const FORMAT: u16 = 1;
/// Domain of [`VerifyingKey::id`].
const ID_DOMAIN: &str = "zkbpf verifying key v2";
const POINT_BYTES: usize = 64;
/// What is hashed at once: enough for all lanes of the hash function, little enough to stay in a cache.
const POINTS_OF_A_PART: usize = 1 << 10;
const G2_BYTES: usize = 128;

/// Digest of the string in the files `powersOfTau28_hez_final_NN.ptau`: [`SrsIdentity::digest`] of the image of
/// the secret that verifiers made from them have, as contracts on public chains do.
const POWERS_OF_TAU: [u8; 32] = [
    0xe7, 0x62, 0xc2, 0x50, 0x38, 0x04, 0xbd, 0x71, 0x7f, 0xc9, 0x87, 0x31, 0x49, 0x6d, 0x56, 0xe6,
    0xe9, 0x17, 0x19, 0x50, 0x47, 0x2e, 0x6b, 0x47, 0xf3, 0xbe, 0x33, 0x65, 0xac, 0x44, 0xb9, 0x63,
];

/// Identity of a [`VerifyingKey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 32]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Where the structured reference string comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrsKind {
    /// Its secret is public: anyone can forge proofs.
    InsecureTest,
    /// A file of the caller's choice.
    File,
}

/// Which structured reference string a key uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SrsIdentity {
    /// Where it comes from.
    pub kind: SrsKind,
    /// BLAKE3 of the image of the secret in the second group, 128 bytes as halo2's raw format and `.ptau`
    /// files have them, which determines the whole string; or of the name of the test string.
    pub digest: [u8; 32],
}

impl SrsIdentity {
    /// Whether proofs under it can be forged by anyone.
    #[must_use]
    pub const fn is_insecure(&self) -> bool {
        matches!(self.kind, SrsKind::InsecureTest)
    }

    /// The ceremony that the string is known to come from.
    ///
    /// A name for readers: whether to trust it remains theirs to say, and a string without one is not worse.
    #[must_use]
    pub fn ceremony(&self) -> Option<&'static str> {
        let is_known = self.kind == SrsKind::File && self.digest == POWERS_OF_TAU;
        is_known.then_some("Perpetual Powers of Tau (powersOfTau28_hez_final)")
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        let kind = match self.kind {
            SrsKind::InsecureTest => 0,
            SrsKind::File => 1,
        };
        writer.u8(kind).bytes(&self.digest);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = match reader.u8()? {
            0 => SrsKind::InsecureTest,
            1 => SrsKind::File,
            _ => {
                return Err(DecodeError::Value {
                    what: "the kind of parameters",
                });
            }
        };
        Ok(Self {
            kind,
            digest: reader.array()?,
        })
    }
}

impl fmt::Display for SrsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SrsKind::InsecureTest => f.write_str("insecure-test"),
            SrsKind::File => write!(f, "file:{}", hex::encode(self.digest)),
        }
    }
}

impl fmt::Debug for SrsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrsIdentity({self})")
    }
}

/// The part of a structured reference string that a verifier needs.
#[derive(Clone, Debug)]
pub struct VerifierParams {
    /// Which string.
    pub srs: SrsIdentity,
    /// Commitments of the Lagrange polynomials of all rows.
    pub g_lagrange: Arc<Vec<G1Affine>>,
    /// The secret times the generator of the second group.
    pub s_g2: G2Affine,
}

/// How a proof's bytes are made up: points, then scalars, then points, 32 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProofLayout {
    pub(crate) points: usize,
    pub(crate) scalars: usize,
}

impl ProofLayout {
    /// Points at the end, of the batched opening.
    pub(crate) const OPENING: usize = 2;

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "counts of columns of our own circuit"
    )]
    pub(crate) fn of(key: &plonk::VerifyingKey<G1Affine>) -> Self {
        let cs = key.cs();
        let lookups = cs.lookups().len();
        let permuted = key.permutation().commitments().len();
        let products = permuted.div_ceil(cs.degree().saturating_sub(2).max(1));
        let quotient = key.get_domain().get_quotient_poly_degree();
        let products_evals = (3 * products).saturating_sub(1);
        Self {
            points: cs.num_advice_columns() + 3 * lookups + products + 1 + quotient,
            scalars: cs.advice_queries().len()
                + cs.fixed_queries().len()
                + 1
                + permuted
                + products_evals
                + 5 * lookups,
        }
    }

    /// Number of elements of the proof.
    pub(crate) const fn elements(self) -> usize {
        self.points
            .saturating_add(self.scalars)
            .saturating_add(Self::OPENING)
    }

    /// Number of bytes of the proof.
    pub(crate) const fn bytes(self) -> usize {
        self.elements().saturating_mul(32)
    }
}

/// What a verifier must know and trust: the circuit's key, its shape, and the parameters.
///
/// Its [`id`](Self::id) covers all of it. Take it from your own key generation or check the id against
/// one that you trust; never take it from whoever gives you proofs.
#[derive(Clone)]
pub struct VerifyingKey {
    shape: Shape,
    srs: SrsIdentity,
    halo2: Halo2Key,
    params: ParamsKZG<Bn256>,
    g_lagrange: Arc<Vec<G1Affine>>,
    layout: ProofLayout,
    blinding_rows: usize,
    id: KeyId,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("shape", &self.shape)
            .field("srs", &self.srs)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// Bundles halo2's key of this shape with the parameters that it was made with.
    ///
    /// # Errors
    /// If they do not fit together, or if the circuit's columns are not where a verifier looks for them.
    pub fn new(
        halo2: impl Into<Halo2Key>,
        shape: Shape,
        params: VerifierParams,
    ) -> Result<Self, DecodeError> {
        let halo2 = halo2.into();
        let wrong = |reason| Err(DecodeError::Key { reason });
        let VerifierParams {
            srs,
            g_lagrange,
            s_g2,
        } = params;
        let cs = halo2.cs();
        if halo2.get_domain().k() != shape.k() || g_lagrange.len() != shape.rows() {
            return wrong("its size differs");
        }
        if cs.num_instance_columns() != 1 {
            return wrong("it has not one instance column");
        }
        let phases = cs.advice_column_phase();
        if phases.len() < Committed::COUNT
            || phases
                .iter()
                .take(Committed::COUNT)
                .any(|phase| *phase != 0)
        {
            return wrong("the committed columns are not in the first phase");
        }
        let blinding_rows = cs.blinding_factors().saturating_add(1);
        let layout = ProofLayout::of(&halo2);
        let template = verifier_template(shape.k(), s_g2)?;
        let mut key = Self {
            shape,
            srs,
            halo2,
            params: template,
            g_lagrange,
            layout,
            blinding_rows,
            id: KeyId([0; 32]),
        };
        let mut hasher = id_hasher();
        key.body(|part| {
            hasher.update(part);
        });
        key.id = KeyId(hasher.finalize().into());
        Ok(key)
    }

    /// Its identity: BLAKE3 in key derivation mode over circuit version, shape, origin of the
    /// parameters, halo2's key and its transcript representative, and all parameters.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Size of the circuit.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Which parameters it uses.
    #[must_use]
    pub fn srs(&self) -> SrsIdentity {
        self.srs
    }

    /// Number of bytes of a chunk's proof.
    #[must_use]
    pub fn proof_bytes(&self) -> usize {
        self.layout.bytes()
    }

    /// halo2's key.
    #[must_use]
    pub fn halo2(&self) -> &plonk::VerifyingKey<G1Affine> {
        &self.halo2
    }

    /// Rows at the end of each column that halo2 fills from the prover's random numbers.
    #[must_use]
    pub fn blinding_rows(&self) -> usize {
        self.blinding_rows
    }

    /// Commitments of the Lagrange polynomials of all rows.
    #[must_use]
    pub fn g_lagrange(&self) -> &[G1Affine] {
        &self.g_lagrange
    }

    /// The secret times the generator of the second group.
    #[must_use]
    pub fn s_g2(&self) -> G2Affine {
        self.params.s_g2()
    }

    /// halo2's parameters, with only what its verifier reads.
    #[must_use]
    pub fn params(&self) -> &ParamsKZG<Bn256> {
        &self.params
    }

    pub(crate) fn layout(&self) -> ProofLayout {
        self.layout
    }

    /// Everything but magic and format version, in parts.
    fn body(&self, mut each: impl FnMut(&[u8])) {
        let mut writer = Writer::default();
        writer
            .u64(zk_circuits::VERSION)
            .u32(self.shape.k())
            .u32(self.shape.operand_bits());
        self.srs.write(&mut writer);
        writer.bytes(&self.halo2.transcript_repr().to_repr());
        writer.sized(&self.halo2.to_bytes(SerdeFormat::RawBytes));
        writer.bytes(&self.params.s_g2().to_raw_bytes());
        each(&writer.finish());
        for points in self.g_lagrange.chunks(POINTS_OF_A_PART) {
            for point in points {
                writer.bytes(&point.to_raw_bytes());
            }
            each(&writer.finish());
        }
    }

    /// The key as bytes; see [`from_bytes`](Self::from_bytes).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(&MAGIC).u16(FORMAT);
        self.body(|part| {
            writer.bytes(part);
        });
        writer.finish()
    }

    /// The identity of the key that these bytes are, if they are one: they are not parsed.
    ///
    /// # Errors
    /// If they are no key of this format.
    pub fn id_of(bytes: &[u8]) -> Result<KeyId, DecodeError> {
        let body = Reader::open(bytes, MAGIC, FORMAT, "verifying key")?.rest();
        Ok(KeyId(id_hasher().update(body).finalize().into()))
    }

    /// Reads a key whose identity is known. Nothing is parsed before the identity has been checked.
    ///
    /// # Errors
    /// If the bytes are another key, or no key.
    pub fn from_bytes(bytes: &[u8], expected: KeyId) -> Result<Self, DecodeError> {
        let found = Self::id_of(bytes)?;
        let mut reader = Reader::open(bytes, MAGIC, FORMAT, "verifying key")?;
        if found != expected {
            return Err(DecodeError::KeyId { found, expected });
        }
        if reader.u64()? != zk_circuits::VERSION {
            return Err(DecodeError::Key {
                reason: "it is for another version of the circuit",
            });
        }
        let (k, operand_bits) = (reader.u32()?, reader.u32()?);
        let shape = Shape::new(k, operand_bits)
            .ok()
            .filter(|shape| shape.operand_bits() == operand_bits)
            .ok_or(DecodeError::Value { what: "the shape" })?;
        let srs = SrsIdentity::read(&mut reader)?;
        let transcript_repr = reader.array::<32>()?;
        let halo2_bytes = reader.sized("halo2's key", MAX_HALO2_BYTES)?;
        let halo2 = read_halo2::<ChunkCircuit>(halo2_bytes, k, shape, transcript_repr)?;
        let s_g2 = G2Affine::from_raw_bytes(reader.bytes(G2_BYTES)?)
            .ok_or(DecodeError::Value { what: "a point" })?;
        let points = reader.bytes(shape.rows().saturating_mul(POINT_BYTES))?;
        let g_lagrange = points
            .chunks_exact(POINT_BYTES)
            .map(G1Affine::from_raw_bytes)
            .collect::<Option<Vec<_>>>()
            .ok_or(DecodeError::Value { what: "a point" })?;
        reader.finish()?;
        Self::new(
            halo2,
            shape,
            VerifierParams {
                srs,
                g_lagrange: Arc::new(g_lagrange),
                s_g2,
            },
        )
    }
}

fn id_hasher() -> blake3::Hasher {
    blake3::Hasher::new_derive_key(ID_DOMAIN)
}

/// Parameters of which only the size means something, for code that asks for no more.
///
/// # Panics
/// Never: they are made of generators.
#[must_use]
pub fn params_of_size(k: u32) -> ParamsKZG<Bn256> {
    #[expect(clippy::expect_used, reason = "generators are well-formed points")]
    verifier_template(k, G2Affine::generator()).expect("generators are points")
}

/// halo2's parameters with what its verifier reads: both generators, the secret's image and the size.
pub(crate) fn verifier_template(k: u32, s_g2: G2Affine) -> Result<ParamsKZG<Bn256>, DecodeError> {
    let (g, g2) = (G1Affine::generator(), G2Affine::generator());
    // halo2 offers no constructor, so start from parameters of one row, in memory.
    let mut smallest = Writer::default();
    smallest
        .u32(0)
        .bytes(&g.to_raw_bytes())
        .bytes(&g.to_raw_bytes());
    let bytes = smallest
        .bytes(&g2.to_raw_bytes())
        .bytes(&g2.to_raw_bytes())
        .finish();
    ParamsKZG::<Bn256>::read_custom(&mut bytes.as_slice(), SerdeFormat::RawBytes)
        .map(|template| template.from_parts(k, vec![g], Some(Vec::new()), g2, s_g2))
        .map_err(|_| DecodeError::Key {
            reason: "its parameters are malformed",
        })
}
