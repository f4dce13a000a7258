//! Writes the two contracts.

use std::rc::Rc;

use group::prime::PrimeCurveAffine as _;
use halo2_proofs::{SerdeFormat, plonk::VerifyingKey, poly::kzg::commitment::ParamsKZG};
use halo2curves::{
    CurveAffine as _,
    bn256::{Bn256, Fq, Fr, G1Affine, G2Affine},
    serde::SerdeObject as _,
};
use snark_verifier::{
    loader::evm::EvmLoader,
    pcs::kzg::{Bdfg21, KzgAs, KzgDecidingKey, LimbsEncoding},
    system::halo2::{Config, compile, transcript::evm::EvmTranscript},
    verifier::{
        SnarkVerifier as _,
        plonk::{PlonkProtocol, PlonkVerifier},
    },
};

use verifier::{AggregateKey, AggregateProof, ClaimDigest};

use crate::{claim::ACCUMULATOR_LIMBS, poseidon};

/// Public values of the root circuit: the accumulator's limbs, then the claim's digest.
pub const PUBLIC_VALUES: usize = ACCUMULATOR_LIMBS + 1;

/// What a deployed contract may hold (EIP-170).
pub const MAX_CODE_BYTES: usize = 24_576;

/// SHPLONK, and limbs of 88 bits.
type RootVerifier = PlonkVerifier<KzgAs<Bn256, Bdfg21>, LimbsEncoding<3, 88>>;

const WRAPPER: &str = include_str!("../contracts/ZkbpfVerifier.sol");

const WARNING: &str = "\
// INSECURE. The key of this contract comes from a test setup whose secret is public: anybody can
// make a proof of anything that it accepts. For tests only.
";

/// The key of the root circuit, and the part of the SRS that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct RootKey<'a> {
    /// The circuit's.
    pub vk: &'a VerifyingKey<G1Affine>,
    /// The generator of G1: the first power of the SRS.
    pub g: G1Affine,
    /// The generator of G2.
    pub g2: G2Affine,
    /// The secret's multiple of it.
    pub s_g2: G2Affine,
}

impl<'a> RootKey<'a> {
    /// The root's part of an aggregate's key.
    #[must_use]
    pub fn of(key: &'a AggregateKey) -> Self {
        Self {
            vk: key.root(),
            g: G1Affine::generator(),
            g2: G2Affine::generator(),
            s_g2: key.chunk_key().s_g2(),
        }
    }
}

/// What a deployment is fixed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pins {
    /// Program, entry, initial private memory, budget and the chunk circuit's key, in one value.
    pub setup: Fr,
    /// Names the root circuit's key.
    pub key_id: [u8; 32],
    /// The program's slots.
    pub slots: u32,
    /// The SRS is a test's, and its secret is known.
    pub insecure_srs: bool,
}

impl Pins {
    /// The setup that an aggregate was made with, for a program of this many slots.
    #[must_use]
    pub fn of(proof: &AggregateProof, key: &AggregateKey, slots: u32) -> Self {
        Self {
            setup: ClaimDigest::of(&proof.run, key.chunk_key().id()).setup,
            key_id: key.id().0,
            slots,
            insecure_srs: key.chunk_key().srs().is_insecure(),
        }
    }
}

/// The contracts for runs like an aggregate's: the same key, program table, page list, budget and length
/// of the input region. Verify the aggregate first: its setup is pinned.
///
/// # Errors
/// If the root circuit cannot be expressed as a contract.
pub fn export_aggregate(
    proof: &AggregateProof,
    key: &AggregateKey,
    slots: u32,
) -> Result<Contracts, ExportError> {
    export(&RootKey::of(key), &Pins::of(proof, key, slots))
}

/// Where points and scalars are in a proof: points of 64 bytes, then scalars of 32, then the
/// opening's two points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofLayout {
    /// Points before the scalars.
    pub points: usize,
    /// Scalars.
    pub scalars: usize,
}

impl ProofLayout {
    /// Bytes of the points before the scalars.
    #[must_use]
    pub fn point_bytes(self) -> usize {
        self.points.saturating_mul(64)
    }

    /// Bytes of the scalars.
    #[must_use]
    pub fn scalar_bytes(self) -> usize {
        self.scalars.saturating_mul(32)
    }

    /// Bytes of a proof.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.point_bytes()
            .saturating_add(self.scalar_bytes())
            .saturating_add(128)
    }
}

/// Solidity sources, for solc 0.8.19.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contracts {
    /// `Halo2Verifier`, as snark-verifier generates it: checks the pairing.
    pub verifier: String,
    /// `ZkbpfVerifier`: checks everything else, and calls it.
    pub wrapper: String,
    /// What a proof looks like.
    pub layout: ProofLayout,
}

/// Why there are no contracts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The circuit has other public values than a root circuit.
    #[error("the circuit has {0} instance columns, not 1")]
    InstanceColumns(usize),
    /// A point of the SRS is not on its curve.
    #[error("a point of the SRS is not on its curve")]
    Srs,
    /// A point of the SRS is the identity, or its secret is one.
    #[error("the SRS is degenerate")]
    DegenerateSrs,
    /// snark-verifier cannot express the circuit.
    #[error("snark-verifier does not support the circuit: {0}")]
    Generator(String),
}

/// Writes the contracts that verify proofs of the root circuit for one deployment.
///
/// # Errors
///
/// If the key is not a root circuit's.
pub fn export(key: &RootKey<'_>, pins: &Pins) -> Result<Contracts, ExportError> {
    let protocol = protocol(key)?;
    let layout = ProofLayout {
        points: protocol
            .num_witness
            .iter()
            .fold(protocol.quotient.num_chunk(), |sum, points| {
                sum.saturating_add(*points)
            }),
        scalars: protocol.evaluations.len(),
    };
    let warning = if pins.insecure_srs { WARNING } else { "" };
    Ok(Contracts {
        verifier: format!("{warning}{}", verifier(key, &protocol)?.trim_start()),
        wrapper: format!("{warning}{}", wrapper(pins, layout)),
        layout,
    })
}

fn protocol(key: &RootKey<'_>) -> Result<PlonkProtocol<G1Affine>, ExportError> {
    let columns = key.vk.cs().num_instance_columns();
    if columns != 1 {
        return Err(ExportError::InstanceColumns(columns));
    }
    if bool::from(key.g.is_identity())
        || bool::from(key.g2.is_identity())
        || bool::from(key.s_g2.is_identity())
        || key.g2 == key.s_g2
    {
        return Err(ExportError::DegenerateSrs);
    }
    let on_curve = [
        key.g.is_on_curve(),
        key.g2.is_on_curve(),
        key.s_g2.is_on_curve(),
    ];
    if on_curve.into_iter().any(|on_curve| !bool::from(on_curve)) {
        return Err(ExportError::Srs);
    }
    // snark-verifier asks a set of parameters for nothing but its size. Those of one row are the
    // four points that the key has, and can be read from them.
    let bytes = [
        0_u32.to_le_bytes().to_vec(),
        key.g.to_raw_bytes(),
        key.g.to_raw_bytes(),
        key.g2.to_raw_bytes(),
        key.s_g2.to_raw_bytes(),
    ]
    .concat();
    let row = ParamsKZG::<Bn256>::read_custom(&mut bytes.as_slice(), SerdeFormat::RawBytes)
        .map_err(|_| ExportError::Srs)?;
    let k = key.vk.get_domain().k();
    let params = row.from_parts(k, vec![key.g], Some(vec![key.g]), key.g2, key.s_g2);
    let config = Config::kzg()
        .with_num_instance(vec![PUBLIC_VALUES])
        .with_accumulator_indices(Some((0..ACCUMULATOR_LIMBS).map(|limb| (0, limb)).collect()));
    Ok(compile(&params, key.vk, config))
}

fn verifier(key: &RootKey<'_>, protocol: &PlonkProtocol<G1Affine>) -> Result<String, ExportError> {
    let failed = |error| ExportError::Generator(format!("{error:?}"));
    let deciding = KzgDecidingKey::<Bn256>::new(key.g, key.g2, key.s_g2);
    let loader = EvmLoader::new::<Fq, Fr>();
    let protocol = protocol.loaded(&loader);
    let mut transcript = EvmTranscript::<_, Rc<EvmLoader>, _, _>::new(&loader);
    let instances = transcript.load_instances(vec![PUBLIC_VALUES]);
    let proof = RootVerifier::read_proof(&deciding, &protocol, &instances, &mut transcript)
        .map_err(failed)?;
    RootVerifier::verify(&deciding, &protocol, &instances, &proof).map_err(failed)?;
    Ok(loader.solidity_code())
}

fn wrapper(pins: &Pins, layout: ProofLayout) -> String {
    let poseidon::Yul {
        full_round,
        permutation,
    } = poseidon::yul();
    [
        ("__SETUP__", poseidon::literal(pins.setup)),
        ("__KEY_ID__", format!("0x{}", hex::encode(pins.key_id))),
        ("__SLOTS__", pins.slots.to_string()),
        ("__INSECURE__", pins.insecure_srs.to_string()),
        ("__POINT_BYTES__", layout.point_bytes().to_string()),
        ("__SCALAR_BYTES__", layout.scalar_bytes().to_string()),
        ("__PROOF_BYTES__", layout.bytes().to_string()),
        ("__FULL_ROUND__", full_round),
        ("__PERMUTATION__", permutation),
    ]
    .into_iter()
    .fold(WRAPPER.to_owned(), |source, (marker, value)| {
        source.replace(marker, &value)
    })
}
