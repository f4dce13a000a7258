//! Keys and runs for the tests of this crate. Only one chunk is proved; what a chain is made of is written down.

use std::sync::{Arc, OnceLock};

use bpf_tracer::instruction::Slot;
use bpf_tracer::{ExecutionTrace, Input, LoadOptions, Program, Tracer};
use group::Curve;
use halo2_proofs::arithmetic::g_to_lagrange;
use halo2_proofs::plonk::{ProvingKey, create_proof, keygen_pk2};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zk_circuits::{
    ChunkCircuit, Plan, Shape, first_boundary, page_column, program_columns, public_words,
};

use crate::proof::Hints;
use crate::{
    ChunkProof, ChunkStatement, Claim, Commitments, ExpectedOutcome, PublicColumn, SrsIdentity,
    SrsKind, VerifierParams, VerifyingKey, chunk_transcript, commit,
};

/// A key, the run of a program in three chunks, and the proof of one chunk.
pub(crate) struct Setting {
    pub(crate) params: ParamsKZG<Bn256>,
    pub(crate) proving: ProvingKey<G1Affine>,
    pub(crate) key: VerifyingKey,
    pub(crate) trace: ExecutionTrace,
    pub(crate) chunks: Vec<ChunkStatement>,
}

pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(11)
}

/// Some point.
pub(crate) fn point(number: u64) -> G1Affine {
    (G1::generator() * Fr::from(number * number + 7)).to_affine()
}

/// `[r1 + 1] = 77`, and returns 9; three steps.
pub(crate) fn program(result: i32) -> Program {
    let slot = |opcode, dst, offset, imm| Slot {
        opcode,
        dst,
        src: 0,
        offset,
        imm,
    };
    let slots = [
        slot(0xb7, 0, 0, result),
        slot(0x72, 1, 1, 77),
        slot(0x95, 0, 0, 0),
    ];
    let code: Vec<u8> = slots.iter().flat_map(|slot| slot.encode()).collect();
    Program::from_bytecode(&code, &LoadOptions::default()).expect("it loads")
}

/// Two pages and a half, of which the run touches the first.
pub(crate) fn input() -> Input {
    let bytes: Vec<u8> = (0..600_u32).map(|i| i as u8).collect();
    Input::from_bytes(bytes).with_region_size(640)
}

pub(crate) fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let shape = Shape::new(10, 8).expect("supported");
        let params = ParamsKZG::<Bn256>::setup(shape.k(), rng());
        let circuit = ChunkCircuit::keygen(shape);
        let proving = keygen_pk2(&params, &circuit, false).expect("it fits");
        let powers: Vec<G1> = params.get_g().iter().map(|point| (*point).into()).collect();
        let verifier_params = VerifierParams {
            srs: SrsIdentity {
                kind: SrsKind::InsecureTest,
                digest: [3; 32],
            },
            g_lagrange: g_to_lagrange(powers, shape.k()).into(),
            s_g2: params.s_g2(),
        };
        let key = VerifyingKey::new(proving.get_vk().clone(), shape, verifier_params);
        let key = key.expect("they fit together");
        let program = program(9);
        let tracer = Tracer::new(&program).input(input()).step_limit(1000);
        let trace = tracer.trace().expect("it runs");
        let chunks = chunks(&trace, &key);
        Setting {
            params,
            proving,
            key,
            trace,
            chunks,
        }
    })
}

/// What the claim's columns commit to.
fn commitment(column: PublicColumn, values: &[Fr], key: &VerifyingKey) -> G1Affine {
    commit(column, values, key.g_lagrange(), key.blinding_rows()).expect("it fits")
}

fn plan(trace: &ExecutionTrace, key: &VerifyingKey) -> Plan {
    Plan::new(trace, key.shape(), Some(1)).expect("it fits")
}

/// The statements of a run's chunks; memory between them is committed to by any points.
pub(crate) fn chunks(trace: &ExecutionTrace, key: &VerifyingKey) -> Vec<ChunkStatement> {
    let plan = plan(trace, key);
    let hints = Hints {
        pages: plan.pages().pages().into(),
        input: trace.input().bytes.as_slice().into(),
        selection: Arc::new(plan.program_table().selection().clone()),
    };
    let [first_private, first_public] = first_boundary(
        trace.program(),
        trace.input(),
        trace.step_limit(),
        plan.pages(),
    );
    let last = public_words(trace.output(), trace.return_data(), plan.pages());
    let [code, imm, target] = program_columns(plan.program_table());
    let program = [
        commitment(PublicColumn::Code, &code, key),
        commitment(PublicColumn::Immediate, &imm, key),
        commitment(PublicColumn::Target, &target, key),
    ];
    let pages = commitment(PublicColumn::Pages, &page_column(plan.pages()), key);
    let count = plan.chunk_count() as u64;
    let boundary = |index: u64| match index {
        0 => [
            commitment(PublicColumn::FirstPrivate, &first_private, key),
            commitment(PublicColumn::FirstPublic, &first_public, key),
        ],
        index if index == count => [
            point(2 * index),
            commitment(PublicColumn::LastPublic, &last, key),
        ],
        index => [point(2 * index), point(2 * index + 1)],
    };
    (0..count)
        .map(|index| {
            let witness = plan
                .witness(index as usize, &[[Fr::zero(); 8]; 8])
                .expect("a chunk");
            ChunkStatement {
                key: key.id(),
                instance: *witness.instance(),
                hints: hints.clone(),
                commitments: Commitments {
                    entry: boundary(index),
                    exit: boundary(index + 1),
                    pages,
                    program,
                },
            }
        })
        .collect()
}

/// Everything that can be expected of a run.
pub(crate) fn claim(trace: &ExecutionTrace) -> Claim {
    Claim {
        program: trace.program().clone(),
        environment: trace.environment().clone(),
        input: Some(trace.input().clone()),
        outcome: ExpectedOutcome::Exactly(trace.outcome()),
        output: Some(trace.output().to_vec()),
        return_data: trace.return_data().to_vec(),
        compute_units: Some(trace.compute_units()),
        budget: trace.step_limit(),
    }
}

/// A proof of the first chunk.
pub(crate) fn proof() -> &'static ChunkProof {
    static PROOF: OnceLock<ChunkProof> = OnceLock::new();
    PROOF.get_or_init(|| {
        let setting = setting();
        // Words that no bus sees keep commitments away from the identity.
        let reserved = [[Fr::from(5); 8]; 8];
        let plan = plan(&setting.trace, &setting.key);
        let witness = plan.witness(0, &reserved).expect("a chunk");
        let instance = *witness.instance();
        let mut transcript = chunk_transcript(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            &setting.params,
            &setting.proving,
            &[ChunkCircuit::new(witness)],
            &[&[&instance.to_fields()]],
            rng(),
            &mut transcript,
        )
        .expect("proved");
        let hints = &setting.chunks[0].hints;
        ChunkProof {
            key: setting.key.id(),
            instance,
            pages: Arc::clone(&hints.pages),
            input: Arc::clone(&hints.input),
            selection: Arc::clone(&hints.selection),
            proof: transcript.finalize(),
        }
    })
}
