//! Proofs as recursion sees them, and their verification outside of circuits.

use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use group::{Curve, GroupEncoding};
use halo2_proofs::arithmetic::CurveAffine;
use halo2_proofs::plonk;
use halo2curves::bn256::{Bn256, Fq, Fr, G1, G1Affine, G2Affine, pairing};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::pcs::kzg::{
    Bdfg21, KzgAccumulator, KzgAs, KzgSuccinctVerifyingKey, LimbsEncoding,
};
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::verifier::SnarkVerifier;
use snark_verifier::verifier::plonk::{PlonkProtocol, PlonkSuccinctVerifier};
use verifier::{chunk_transcript, point_elements, point_limbs, poseidon};

/// Limbs of a coordinate in a circuit.
pub const LIMBS: usize = 3;
/// Bits of a limb.
pub const LIMB_BITS: usize = 88;
/// Field elements of an accumulator: two points of two coordinates.
pub const ACCUMULATOR_LEN: usize = 4 * LIMBS;

/// Multi-open scheme: SHPLONK, and no other.
pub(crate) type Shplonk = KzgAs<Bn256, Bdfg21>;
pub(crate) type Succinct = PlonkSuccinctVerifier<Shplonk, LimbsEncoding<LIMBS, LIMB_BITS>>;
/// What verifying up to the pairing needs of the parameters: the first group's generator.
pub(crate) type Svk = KzgSuccinctVerifyingKey<G1Affine>;
/// What is left of a verified proof: two points whose pairings must be equal.
pub(crate) type Accumulator = KzgAccumulator<G1Affine, NativeLoader>;

/// Size and columns of an aggregation circuit. Leaves and nodes share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregationShape {
    /// Base-2 logarithm of the number of rows.
    pub k: u32,
    /// Advice columns for arithmetic.
    pub advice: usize,
    /// Advice columns whose values are looked up in the range table.
    pub lookup_advice: usize,
}

/// A proof with the key that it is for and its public values.
#[derive(Clone, Debug)]
pub struct Snark {
    /// The verifying key, compiled.
    pub protocol: PlonkProtocol<G1Affine>,
    /// Public values, one column.
    pub instance: Vec<Fr>,
    /// The proof, with a Poseidon transcript.
    pub proof: Vec<u8>,
}

/// Why a proof cannot be aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnarkError {
    /// Its bytes are not a proof for this key, or it carries no accumulator where it should.
    #[error("the proof is malformed")]
    Invalid,
    /// An accumulator's pairing does not hold: the proof, or one inside, is not valid.
    #[error("the proof is not valid")]
    Undecided,
}

/// The protocol of a key whose circuit has this many public values, the first twelve an accumulator or
/// not.
#[must_use]
pub fn protocol(
    key: &plonk::VerifyingKey<G1Affine>,
    public_values: usize,
    accumulates: bool,
) -> PlonkProtocol<G1Affine> {
    let indices = accumulates.then(|| (0..ACCUMULATOR_LEN).map(|place| (0, place)).collect());
    let config = Config::kzg()
        .with_num_instance(vec![public_values])
        .with_accumulator_indices(indices);
    let params = verifier::params_of_size(key.get_domain().k());
    compile(&params, key, config)
}

/// The identity of a key inside of circuits: the hash of its commitments and of its transcript's start.
#[must_use]
pub fn key_hash(protocol: &PlonkProtocol<G1Affine>) -> Fr {
    let mut elements: Vec<Fr> = protocol
        .preprocessed
        .iter()
        .flat_map(point_elements)
        .collect();
    elements.extend(protocol.transcript_initial_state);
    poseidon(&elements)
}

impl Snark {
    /// A proof of the right form for this key, which proves nothing: key generation needs one. Different
    /// numbers give different ones.
    #[must_use]
    pub fn dummy(protocol: PlonkProtocol<G1Affine>, number: u64) -> Self {
        // Points in no simple relation, since circuits add some of them without further cases.
        let mut scalar = Fr::from(number + 2);
        let mut point = || {
            scalar = scalar.square() + Fr::from(number);
            (G1::generator() * scalar).to_affine()
        };
        let points = protocol.num_witness.iter().sum::<usize>() + protocol.quotient.num_chunk();
        let mut proof = Vec::new();
        for _ in 0..points {
            proof.extend(point().to_bytes().as_ref());
        }
        let scalars = 1..=protocol.evaluations.len() as u64;
        proof.extend(scalars.flat_map(|value| Fr::from(value + number).to_repr()));
        // The opening.
        for _ in 0..2 {
            proof.extend(point().to_bytes().as_ref());
        }
        let mut instance = vec![Fr::ZERO; protocol.num_instance.iter().sum()];
        if !protocol.accumulator_indices.is_empty() {
            let limbs = [point(), point()]
                .iter()
                .flat_map(point_limbs)
                .collect::<Vec<_>>();
            for (value, limb) in instance.iter_mut().zip(limbs) {
                *value = limb;
            }
        }
        Self {
            protocol,
            instance,
            proof,
        }
    }

    /// Verifies the proof up to the pairing: its own accumulator, and the one that it carries, if any.
    pub(crate) fn accumulators(&self, svk: &Svk) -> Result<Vec<Accumulator>, SnarkError> {
        let carries = !self.protocol.accumulator_indices.is_empty();
        if carries && accumulator_points(&self.instance).is_none() {
            return Err(SnarkError::Invalid);
        }
        let instances = [self.instance.clone()];
        let mut transcript = chunk_transcript(self.proof.as_slice());
        let proof = Succinct::read_proof(svk, &self.protocol, &instances, &mut transcript)
            .map_err(|_| SnarkError::Invalid)?;
        Succinct::verify(svk, &self.protocol, &instances, &proof).map_err(|_| SnarkError::Invalid)
    }

    /// Verifies the proof, and decides its accumulators.
    ///
    /// # Errors
    /// If it is not valid, or one of its accumulators does not hold.
    pub fn verify(&self, generator: G1Affine, s_g2: &G2Affine) -> Result<(), SnarkError> {
        let accumulators = self.accumulators(&Svk::from(generator))?;
        let holds = |accumulator: &Accumulator| decides(&[accumulator.lhs, accumulator.rhs], s_g2);
        if accumulators.iter().all(holds) {
            Ok(())
        } else {
            Err(SnarkError::Undecided)
        }
    }
}

/// The two points of an accumulator, from its limbs among a circuit's public values; `None` if they are
/// not limbs of points.
#[must_use]
pub fn accumulator_points(instance: &[Fr]) -> Option<[G1Affine; 2]> {
    let coordinates: Vec<Fq> = instance
        .get(..ACCUMULATOR_LEN)?
        .chunks(LIMBS)
        .map(|limbs| {
            let mut bytes = [0; 2 * 32];
            for (place, limb) in limbs.iter().enumerate() {
                let repr = limb.to_repr();
                let (low, high) = repr.split_at(LIMB_BITS / 8);
                if high.iter().any(|byte| *byte != 0) {
                    return None;
                }
                bytes[place * low.len()..][..low.len()].copy_from_slice(low);
            }
            let (low, high) = bytes.split_at(32);
            let repr: [u8; 32] = low.try_into().ok()?;
            let is_short = high.iter().all(|byte| *byte == 0);
            Option::<Fq>::from(Fq::from_repr(repr)).filter(|_| is_short)
        })
        .collect::<Option<_>>()?;
    let point = |at: usize| {
        let point = G1Affine::from_xy(coordinates[at], coordinates[at + 1]);
        Option::<G1Affine>::from(point).filter(|point| !bool::from(point.is_identity()))
    };
    Some([point(0)?, point(2)?])
}

/// Whether an accumulator's pairing holds: the proofs that were folded into it are then valid.
#[must_use]
pub fn decides(accumulator: &[G1Affine; 2], s_g2: &G2Affine) -> bool {
    let [lhs, rhs] = accumulator;
    pairing(lhs, &G2Affine::generator()) == pairing(rhs, s_g2)
}
