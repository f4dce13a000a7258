//! A small circuit with the root circuit's public values, its proofs, and its contracts on a chain.

use std::path::Path;

use evm_verifier::{
    Contracts, Ending, EvmClaim, Pins, RootKey,
    dev::{Called, Deployment, DevError, Solc},
    export,
};
use ff::{Field as _, PrimeField as _};
use group::Curve as _;
use halo2_base::gates::{
    GateInstructions as _, RangeInstructions as _,
    circuit::{BaseCircuitParams, CircuitBuilderStage, builder::BaseCircuitBuilder},
};
use halo2_proofs::{
    plonk::{ProvingKey, create_proof, keygen_pk2},
    poly::{
        commitment::ParamsProver as _,
        kzg::{
            commitment::{KZGCommitmentScheme, ParamsKZG},
            multiopen::ProverSHPLONK,
        },
    },
};
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use snark_verifier::{loader::native::NativeLoader, system::halo2::transcript::evm::EvmTranscript};

const K: u32 = 10;
const SRS_SEED: u64 = 5;

/// Columns: advice, and the one for lookups, which `halo2-base` leaves out beside a single advice
/// column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) advice: usize,
}

pub(crate) const NARROW: Shape = Shape { advice: 1 };
pub(crate) const WIDE: Shape = Shape { advice: 3 };

impl Shape {
    fn params(self) -> BaseCircuitParams {
        BaseCircuitParams {
            k: 10,
            num_advice_per_phase: vec![self.advice],
            num_fixed: 1,
            num_lookup_advice_per_phase: vec![1],
            lookup_bits: Some(9),
            num_instance_columns: 1,
        }
    }
}

/// Exposes the public values as they are, and fills the columns with products and range checks.
fn fill(builder: &mut BaseCircuitBuilder<Fr>, shape: Shape, public: &[Fr]) {
    let range = builder.range_chip();
    let context = builder.main(0);
    let cells: Vec<_> = public
        .iter()
        .map(|value| context.load_witness(*value))
        .collect();
    for seed in 0..10 {
        let small = context.load_witness(Fr::from(seed * 11));
        range.range_check(context, small, 18);
    }
    let factor = context.load_constant(Fr::from(7));
    let mut product = cells[0];
    for _ in 0..(shape.advice * 2 - 1) * 110 {
        product = range.gate().mul(context, product, factor);
    }
    builder.assigned_instances = vec![cells];
}

/// Two points in limbs of 88 bits.
pub(crate) fn limbs(lhs: G1Affine, rhs: G1Affine) -> [Fr; 12] {
    let mut limbs = [Fr::ZERO; 12];
    let coordinates = [lhs.x, lhs.y, rhs.x, rhs.y];
    for (coordinate, limbs) in coordinates.iter().zip(limbs.chunks_mut(3)) {
        for (part, limb) in coordinate.to_repr().chunks(11).zip(limbs) {
            let mut bytes = [0; 32];
            bytes[..part.len()].copy_from_slice(part);
            *limb = Fr::from_repr(bytes).unwrap();
        }
    }
    limbs
}

pub(crate) fn generator_times(scalar: Fr) -> G1Affine {
    (G1::generator() * scalar).to_affine()
}

/// An accumulator that the pairing accepts: `e(τ·P, g2) = e(P, τ·g2)`.
pub(crate) fn accumulator(scalar: Fr) -> [Fr; 12] {
    let secret = Fr::random(ChaCha20Rng::seed_from_u64(SRS_SEED));
    limbs(generator_times(scalar * secret), generator_times(scalar))
}

pub(crate) fn pins() -> Pins {
    Pins {
        setup: Fr::from(1234).square(),
        key_id: [0xab; 32],
        slots: 500,
        insecure_srs: true,
    }
}

pub(crate) fn claim() -> EvmClaim {
    EvmClaim {
        input: Fr::from(77).invert().unwrap(),
        output: Fr::from(78).invert().unwrap(),
        ending: Ending::Halted {
            r0: 0xdead_beef_0000_0001,
        },
        steps: 123_456,
        units: 234_567,
    }
}

pub(crate) struct Circuit {
    shape: Shape,
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
    break_points: Vec<Vec<usize>>,
}

impl Circuit {
    pub(crate) fn new(shape: Shape) -> Self {
        let params = ParamsKZG::setup(K, ChaCha20Rng::seed_from_u64(SRS_SEED));
        let mut builder =
            BaseCircuitBuilder::from_stage(CircuitBuilderStage::Keygen).use_params(shape.params());
        fill(&mut builder, shape, &[Fr::ONE; 13]);
        let pk = keygen_pk2(&params, &builder, false).unwrap();
        let break_points = builder.break_points();
        Self {
            shape,
            params,
            pk,
            break_points,
        }
    }

    pub(crate) fn key(&self) -> RootKey<'_> {
        RootKey {
            vk: self.pk.get_vk(),
            g: self.params.get_g()[0],
            g2: self.params.g2(),
            s_g2: self.params.s_g2(),
        }
    }

    pub(crate) fn export(&self) -> Contracts {
        export(&self.key(), &pins()).unwrap()
    }

    pub(crate) fn prove(&self, accumulator: &[Fr; 12], digest: Fr) -> Vec<u8> {
        let public = [accumulator.as_slice(), &[digest]].concat();
        let mut builder =
            BaseCircuitBuilder::prover(self.shape.params(), self.break_points.clone());
        fill(&mut builder, self.shape, &public);
        let mut transcript = EvmTranscript::<G1Affine, NativeLoader, _, _>::new(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            &self.params,
            &self.pk,
            &[builder],
            &[&[&public]],
            ChaCha20Rng::seed_from_u64(6),
            &mut transcript,
        )
        .unwrap();
        transcript.finalize()
    }
}

/// A circuit, and its contracts on a chain.
pub(crate) struct Setting {
    pub(crate) circuit: Circuit,
    pub(crate) contracts: Contracts,
    pub(crate) on_chain: Deployment,
}

impl Setting {
    /// `None`, and a message, on a machine without a compiler.
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub(crate) fn new(shape: Shape) -> Option<Self> {
        let circuit = Circuit::new(shape);
        let contracts = circuit.export();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        match Solc::install(directory).and_then(|solc| Deployment::new(&solc, &contracts)) {
            Ok(on_chain) => Some(Self {
                circuit,
                contracts,
                on_chain,
            }),
            Err(DevError::Unavailable(reason)) => {
                eprintln!("\n!! SKIPPED: the contracts are not tested: no solc: {reason}\n");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn call(&mut self, calldata: &[u8]) -> Called {
        self.on_chain.call(calldata)
    }
}
