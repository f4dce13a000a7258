//! The proof of a whole run in one piece, and its verification.

use std::sync::Arc;

use bpf_tracer::Outcome;
use ff::PrimeField;
use group::GroupEncoding;
use group::prime::PrimeCurveAffine;
use halo2_base::gates::circuit::BaseCircuitParams;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::{self, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2curves::bn256::{Bn256, Fq, Fr, G1Affine, G2Affine, pairing};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use zk_circuits::{ChunkInstance, Selection};

use crate::DecodeError;
use crate::codec::{Reader, Writer};
use crate::digest::ClaimDigest;
use crate::error::{AggregateError, ClaimError, VerifyError};
use crate::halo2_key::{Halo2Key, MAX_HALO2_BYTES, read_halo2};
use crate::key::{KeyId, ProofLayout, VerifyingKey, verifier_template};
use crate::proof::{Hints, MAX_PROOF_BYTES, RunInfo};
use crate::span::{WholeRun, out_of_range};
use crate::statement::{Claim, ExecutionStatement};
use crate::verify::{check_claim, statement_of};

const MAGIC: [u8; 8] = *b"zkbpfAGG";
const FORMAT: u16 = 1;
/// Domain of [`AggregateKey::id`].
const ID_DOMAIN: &str = "zkbpf aggregate key v1";
/// Bytes of a limb of a coordinate.
const LIMB_BYTES: usize = 11;
const SCALAR_BYTES: usize = 32;
const POINT_BYTES: usize = 64;

/// Size and columns of the root circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootShape {
    /// Base-2 logarithm of the number of rows.
    pub k: u32,
    /// Advice columns for arithmetic.
    pub advice: u32,
    /// Advice columns whose values are looked up.
    pub lookup_advice: u32,
}

impl RootShape {
    /// Fewest rows, as a power of two: halo2 needs some for itself.
    const MIN_K: u32 = 8;
    /// Most rows, as a power of two: twice those of real roots. halo2 makes tables for as many rows as a key says
    /// before it reads the rest, of 1.2 GB at 21, 2.4 GB at 22, and twice that for each one more.
    const MAX_K: u32 = 22;
    /// Most columns of each kind.
    const MAX_COLUMNS: u32 = 1 << 10;

    /// The circuit's parameters; `None` if no root circuit is of this shape.
    fn params(self) -> Option<BaseCircuitParams> {
        if !(Self::MIN_K..=Self::MAX_K).contains(&self.k)
            || self.advice > Self::MAX_COLUMNS
            || self.lookup_advice > Self::MAX_COLUMNS
        {
            return None;
        }
        let count = |value: u32| usize::try_from(value).ok();
        Some(BaseCircuitParams {
            k: count(self.k)?,
            num_advice_per_phase: vec![count(self.advice)?],
            num_fixed: 1,
            num_lookup_advice_per_phase: vec![count(self.lookup_advice)?],
            lookup_bits: Some(count(self.k.checked_sub(1)?)?),
            num_instance_columns: 1,
        })
    }
}

/// What a verifier of aggregates must know and trust: the root circuit's key, with those of the circuits
/// below inside, and the chunks' key.
///
/// Its [`id`](Self::id) covers all of it. Take it from your own key generation or check the id against one
/// that you trust.
#[derive(Clone, Debug)]
pub struct AggregateKey {
    chunk: VerifyingKey,
    root: Halo2Key,
    shape: RootShape,
    params: ParamsKZG<Bn256>,
    layout: ProofLayout,
    id: KeyId,
}

impl AggregateKey {
    /// Bundles the root circuit's key with the chunks' key that it was made for.
    ///
    /// # Errors
    /// If the root key has another shape.
    pub fn new(
        root: impl Into<Halo2Key>,
        shape: RootShape,
        chunk: VerifyingKey,
    ) -> Result<Self, DecodeError> {
        let root = root.into();
        let columns = u32::try_from(root.cs().num_advice_columns()).ok();
        if root.get_domain().k() != shape.k
            || columns != shape.advice.checked_add(shape.lookup_advice)
            || root.cs().num_instance_columns() != 1
        {
            return Err(DecodeError::Key {
                reason: "its size differs",
            });
        }
        let params = verifier_template(shape.k, chunk.s_g2())?;
        let layout = ProofLayout::of(&root);
        let mut key = Self {
            chunk,
            root,
            shape,
            params,
            layout,
            id: KeyId([0; 32]),
        };
        key.id = KeyId(blake3::derive_key(ID_DOMAIN, &key.body()));
        Ok(key)
    }

    fn body(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(&self.chunk.id().0).u32(self.shape.k);
        writer.u32(self.shape.advice).u32(self.shape.lookup_advice);
        writer.bytes(&self.root.transcript_repr().to_repr());
        writer.sized(&self.root.to_bytes(SerdeFormat::RawBytes));
        writer.finish()
    }

    /// Its identity: BLAKE3 in key derivation mode over the chunks' key, the root's shape and the root's key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The chunks' key.
    #[must_use]
    pub fn chunk_key(&self) -> &VerifyingKey {
        &self.chunk
    }

    /// The root circuit's key.
    #[must_use]
    pub fn root(&self) -> &plonk::VerifyingKey<G1Affine> {
        &self.root
    }

    /// Number of bytes of the root's proof.
    #[must_use]
    pub fn proof_bytes(&self) -> usize {
        let points = self.layout.points.saturating_add(ProofLayout::OPENING);
        points
            .saturating_mul(POINT_BYTES)
            .saturating_add(self.layout.scalars.saturating_mul(SCALAR_BYTES))
    }

    /// The key as bytes; see [`from_bytes`](Self::from_bytes).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.body()
    }

    /// Reads a key whose identity is known, beside the chunks' key. Nothing is parsed before the identity
    /// has been checked.
    ///
    /// # Errors
    /// If the bytes are another key, or no key.
    pub fn from_bytes(
        bytes: &[u8],
        chunk: VerifyingKey,
        expected: KeyId,
    ) -> Result<Self, DecodeError> {
        let found = KeyId(blake3::derive_key(ID_DOMAIN, bytes));
        if found != expected {
            return Err(DecodeError::KeyId { found, expected });
        }
        let mut reader = Reader::new(bytes);
        if reader.array()? != chunk.id().0 {
            return Err(DecodeError::Key {
                reason: "it is for other chunks",
            });
        }
        let shape = RootShape {
            k: reader.u32()?,
            advice: reader.u32()?,
            lookup_advice: reader.u32()?,
        };
        let transcript_repr = reader.array::<32>()?;
        let root = reader.sized("halo2's key", MAX_HALO2_BYTES)?;
        let params = shape
            .params()
            .ok_or(DecodeError::Value { what: "the shape" })?;
        let key = read_halo2::<BaseCircuitBuilder<Fr>>(root, shape.k, params, transcript_repr)?;
        reader.finish()?;
        Self::new(key, shape, chunk)
    }
}

/// The proof of a whole run: as long for a thousand chunks as for one. Nothing in it is trusted before
/// [`verify_aggregate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateProof {
    /// What the file says about the run.
    pub info: RunInfo,
    /// The key that it was made for.
    pub key: KeyId,
    /// What the chunks prove together.
    pub run: WholeRun,
    pub(crate) hints: Hints,
    /// Two points whose pairings are equal if the proofs inside are valid.
    pub accumulator: [G1Affine; 2],
    /// The root circuit's proof, with a Keccak transcript: points as two 32-byte coordinates, scalars as
    /// 32 bytes, both big-endian.
    pub proof: Vec<u8>,
}

impl AggregateProof {
    /// Bundles the root's proof with what it proves; the hints are those of the run's chunks.
    #[must_use]
    pub fn new(
        info: RunInfo,
        key: KeyId,
        run: WholeRun,
        chunk: &crate::ChunkProof,
        accumulator: [G1Affine; 2],
        proof: Vec<u8>,
    ) -> Self {
        Self {
            info,
            key,
            run,
            hints: chunk.hints(),
            accumulator,
            proof,
        }
    }

    /// Hint: numbers of the pages of memory that the run uses, ascending.
    #[must_use]
    pub fn pages(&self) -> &[u64] {
        &self.hints.pages
    }

    /// Hint: the part of the program that the program table holds.
    #[must_use]
    pub fn selection(&self) -> &Arc<Selection> {
        &self.hints.selection
    }

    /// The public values of the root circuit: the accumulator's limbs, then the claim digest.
    #[must_use]
    pub fn instance(&self, chunk_key: KeyId) -> Vec<Fr> {
        let mut values: Vec<Fr> = self.accumulator.iter().flat_map(point_limbs).collect();
        values.push(ClaimDigest::of(&self.run, chunk_key).value());
        values
    }

    /// The proof as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(&MAGIC).u16(FORMAT);
        self.info.write(&mut writer);
        writer.bytes(&self.key.0);
        let run = &self.run;
        for value in [
            run.version,
            run.entry,
            run.input_size,
            run.budget,
            run.steps,
            run.units,
            run.stopped.into(),
            run.stopped_at,
            run.status,
            run.r0,
            run.trap_kind,
            run.trap_pc,
        ] {
            writer.u64(value);
        }
        let points = run.memory.iter().chain([&run.output, &run.pages]);
        for point in points.chain(&run.program).chain(&self.accumulator) {
            writer.bytes(point.to_bytes().as_ref());
        }
        self.hints.write(&mut writer);
        writer.sized(&self.proof);
        writer.finish()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// If the bytes are not the encoding of an aggregate.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::open(bytes, MAGIC, FORMAT, "aggregate")?;
        let info = RunInfo::read(&mut reader)?;
        let key = KeyId(reader.array()?);
        let mut word = || reader.u64();
        let [version, entry, input_size, budget] = [word()?, word()?, word()?, word()?];
        let [steps, units, stopped, stopped_at] = [word()?, word()?, word()?, word()?];
        let [status, r0, trap_kind, trap_pc] = [word()?, word()?, word()?, word()?];
        let stopped = match stopped {
            0 => false,
            1 => true,
            _ => {
                return Err(DecodeError::Value {
                    what: "a public flag",
                });
            }
        };
        let mut point = || read_point(&mut reader);
        let run = WholeRun {
            version,
            entry,
            input_size,
            budget,
            steps,
            units,
            stopped,
            stopped_at,
            status,
            r0,
            trap_kind,
            trap_pc,
            memory: [point()?, point()?],
            output: point()?,
            pages: point()?,
            program: [point()?, point()?, point()?],
        };
        let accumulator = [point()?, point()?];
        let hints = Hints::read(&mut reader)?;
        let proof = reader.sized("a proof", MAX_PROOF_BYTES)?.to_vec();
        reader.finish()?;
        Ok(Self {
            info,
            key,
            run,
            hints,
            accumulator,
            proof,
        })
    }
}

/// A point that is not the identity, in its one compressed form.
fn read_point(reader: &mut Reader<'_>) -> Result<G1Affine, DecodeError> {
    let mut repr = <G1Affine as GroupEncoding>::Repr::default();
    let bytes = reader.array::<32>()?;
    repr.as_mut().copy_from_slice(&bytes);
    Option::<G1Affine>::from(G1Affine::from_bytes(&repr))
        .filter(|point| !bool::from(point.is_identity()) && point.to_bytes().as_ref() == bytes)
        .ok_or(DecodeError::Value { what: "a point" })
}

/// A point's coordinates as three limbs of 88 bits each, lowest first: the form of accumulators among
/// public values.
#[must_use]
pub fn point_limbs(point: &G1Affine) -> Vec<Fr> {
    [point.x, point.y]
        .into_iter()
        .flat_map(|coordinate| {
            let bytes = coordinate.to_repr();
            let limb = |bytes: &[u8]| {
                let mut repr = [0; 32];
                for (to, from) in repr.iter_mut().zip(bytes) {
                    *to = *from;
                }
                Option::from(Fr::from_repr(repr)).unwrap_or_default()
            };
            bytes.chunks(LIMB_BYTES).map(limb).collect::<Vec<Fr>>()
        })
        .collect()
}

/// Verifies the proof of a whole run against a claim. What it costs does not depend on the run's length,
/// but for the input and output that the claim states.
///
/// # Errors
/// The first failure, in this order: proof, accumulator, claim.
pub fn verify_aggregate(
    proof: &AggregateProof,
    claim: &Claim,
    key: &AggregateKey,
) -> Result<ExecutionStatement, VerifyError> {
    check_aggregate(proof, key).map_err(|reason| VerifyError::Aggregate { reason })?;
    let run = |reason| VerifyError::Run { reason };
    check_ranges(&proof.run).map_err(run)?;
    let outcome: Outcome = check_claim(&proof.run, &proof.hints, claim, &key.chunk)
        .map_err(|(_, reason)| run(reason))?;
    let statement = statement_of(&proof.run, outcome, claim, &key.chunk, None);
    Ok(ExecutionStatement {
        key: key.id,
        ..statement
    })
}

/// The part of [`verify_aggregate`] that needs no claim: the proof is valid for what the file says.
///
/// # Errors
/// The first failure.
pub fn check_aggregate(proof: &AggregateProof, key: &AggregateKey) -> Result<(), AggregateError> {
    if proof.key != key.id {
        return Err(AggregateError::ForeignKey {
            found: proof.key,
            expected: key.id,
        });
    }
    let (found, expected) = (proof.proof.len(), key.proof_bytes());
    if found != expected {
        return Err(AggregateError::Length { found, expected });
    }
    check_canonical(&proof.proof, key.layout)?;
    let [lhs, rhs] = proof.accumulator;
    if [lhs, rhs].iter().any(|point| point.is_identity().into()) {
        return Err(AggregateError::Accumulator);
    }
    let instance = proof.instance(key.chunk.id());
    let mut transcript =
        EvmTranscript::<G1Affine, NativeLoader, _, Vec<u8>>::new(proof.proof.as_slice());
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        &key.params,
        &key.root,
        SingleStrategy::new(&key.params),
        &[&[&instance]],
        &mut transcript,
    )
    .map_err(|_| AggregateError::Invalid)?;
    if pairing(&lhs, &G2Affine::generator()) != pairing(&rhs, &key.chunk.s_g2()) {
        return Err(AggregateError::Undecided);
    }
    Ok(())
}

/// Every coordinate is below q and every scalar below r, and every point is on the curve.
fn check_canonical(proof: &[u8], layout: ProofLayout) -> Result<(), AggregateError> {
    let scalars_at = layout.points.saturating_mul(POINT_BYTES);
    let scalars_end = scalars_at.saturating_add(layout.scalars.saturating_mul(SCALAR_BYTES));
    let mut offset = 0_usize;
    let mut rest = proof;
    while !rest.is_empty() {
        let is_scalar = (scalars_at..scalars_end).contains(&offset);
        let length = if is_scalar { SCALAR_BYTES } else { POINT_BYTES };
        let not_canonical = AggregateError::NotCanonical { offset };
        let Some((element, behind)) = rest.split_at_checked(length) else {
            return Err(not_canonical);
        };
        let ok = if is_scalar {
            big_endian::<Fr>(element).is_some()
        } else {
            is_point(element)
        };
        if !ok {
            return Err(not_canonical);
        }
        rest = behind;
        offset = offset.saturating_add(length);
    }
    Ok(())
}

/// Two coordinates of a point that is not the identity.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of a field does not overflow"
)]
fn is_point(bytes: &[u8]) -> bool {
    let Some((x, y)) = bytes.split_at_checked(SCALAR_BYTES) else {
        return false;
    };
    let (Some(x), Some(y)) = (big_endian::<Fq>(x), big_endian::<Fq>(y)) else {
        return false;
    };
    // The identity's stand-in, (0, 0), is not on the curve.
    y.square() == x.square() * x + Fq::from(3)
}

fn big_endian<F: PrimeField<Repr = [u8; 32]>>(bytes: &[u8]) -> Option<F> {
    let mut repr: [u8; 32] = bytes.try_into().ok()?;
    repr.reverse();
    F::from_repr(repr).into()
}

/// The values are those of a run: the digest packs them into fewer elements.
fn check_ranges(run: &WholeRun) -> Result<(), ClaimError> {
    let last = ChunkInstance {
        running_in: true,
        running_out: run.stopped,
        pc_in: run.entry,
        pc_out: run.stopped_at,
        steps_out: run.steps,
        units_out: run.units,
        input_size: run.input_size,
        status: run.status,
        r0: run.r0,
        trap_kind: run.trap_kind,
        trap_pc: run.trap_pc,
        ..ChunkInstance::default()
    };
    if out_of_range(&last).is_some() || run.version != zk_circuits::VERSION {
        return Err(ClaimError::NoOutcome);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
