//! Proofs as recursion sees them, and their verification outside of circuits.

use ff::Field;
use group::GroupEncoding;
use halo2_proofs::poly::commitment::Params;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::plonk;
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAccumulator, KzgAs, KzgSuccinctVerifyingKey, LimbsEncoding};
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::verifier::SnarkVerifier;
use snark_verifier::verifier::plonk::{PlonkProtocol, PlonkSuccinctVerifier};
use verifier::{chunk_transcript, point_elements, poseidon};

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
    /// Its bytes are not a proof for this key, or prove something else.
    #[error("the proof is not valid")]
    Invalid,
}

/// The protocol of a key whose circuit has this many public values, the first twelve an accumulator or
/// not.
#[must_use]
pub fn protocol(
    params: &ParamsKZG<Bn256>,
    key: &plonk::VerifyingKey<G1Affine>,
    public_values: usize,
    accumulates: bool,
) -> PlonkProtocol<G1Affine> {
    let indices = accumulates.then(|| (0..ACCUMULATOR_LEN).map(|place| (0, place)).collect());
    let config = Config::kzg()
        .with_num_instance(vec![public_values])
        .with_accumulator_indices(indices);
    debug_assert_eq!(params.k(), key.get_domain().k());
    compile(params, key, config)
}

/// The identity of a key inside of circuits: the hash of its commitments and of its transcript's start.
#[must_use]
pub fn key_hash(protocol: &PlonkProtocol<G1Affine>) -> Fr {
    let mut elements: Vec<Fr> = protocol.preprocessed.iter().flat_map(point_elements).collect();
    elements.extend(protocol.transcript_initial_state);
    poseidon(&elements)
}

impl Snark {
    /// A proof of the right form for this key, which proves nothing: key generation needs one.
    #[must_use]
    pub fn dummy(protocol: PlonkProtocol<G1Affine>) -> Self {
        let points = protocol.num_witness.iter().sum::<usize>() + protocol.quotient.num_chunk();
        let point = G1Affine::default().to_bytes();
        let mut proof = point.as_ref().repeat(points);
        proof.extend(vec![0; 32 * protocol.evaluations.len()]);
        // The opening.
        proof.extend(point.as_ref().repeat(2));
        let instance = vec![Fr::ZERO; protocol.num_instance.iter().sum()];
        Self {
            protocol,
            instance,
            proof,
        }
    }

    /// Verifies the proof up to the pairing: its own accumulator, and the one that it carries, if any.
    pub(crate) fn accumulators(&self, svk: &Svk) -> Result<Vec<Accumulator>, SnarkError> {
        let instances = [self.instance.clone()];
        let mut transcript = chunk_transcript(self.proof.as_slice());
        let proof = Succinct::read_proof(svk, &self.protocol, &instances, &mut transcript)
            .map_err(|_| SnarkError::Invalid)?;
        Succinct::verify(svk, &self.protocol, &instances, &proof).map_err(|_| SnarkError::Invalid)
    }
}
