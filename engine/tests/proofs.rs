//! Proofs of the engine are accepted by halo2's verifier, and are what halo2's prover makes.

mod common;

use common::recorder::Recorder;
use common::{Parts, Toy};
use engine::EngineKey;
use halo2_proofs::plonk::{Error, ProvingKey, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::VerificationStrategy;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::AccumulatorStrategy;
use halo2_proofs::transcript::{
    Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWrite,
    TranscriptWriterBuffer,
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

struct Setup {
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
    keys: Vec<EngineKey>,
}

fn setup(k: u32, toy: &Toy) -> Setup {
    let params = ParamsKZG::setup(k, ChaCha20Rng::seed_from_u64(8));
    let vk = keygen_vk(&params, toy).unwrap();
    let pk = keygen_pk(&params, vk, toy).unwrap();
    let keys = vec![
        EngineKey::new(&params, &pk),
        EngineKey::portable(&params, &pk),
    ];
    Setup { params, pk, keys }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(6)
}

fn prove(setup: &Setup, key: &EngineKey, toy: &Toy) -> Vec<u8> {
    let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
    prove_to(setup, key, toy, &mut transcript);
    transcript.finalize()
}

fn prove_to(
    setup: &Setup,
    key: &EngineKey,
    toy: &Toy,
    transcript: &mut impl TranscriptWrite<G1Affine, Challenge255<G1Affine>>,
) {
    engine::create_proof(key, &setup.pk, toy, &[&toy.instance()], rng(), transcript).unwrap();
}

fn verifies(setup: &Setup, instance: &[Fr], proof: &[u8]) -> bool {
    let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
    let strategy = AccumulatorStrategy::new(setup.params.verifier_params());
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        setup.params.verifier_params(),
        setup.pk.get_vk(),
        strategy,
        &[&[instance]],
        &mut transcript,
    )
    .is_ok_and(|strategy| {
        VerificationStrategy::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>>::finalize(
            strategy,
        )
    })
}

fn stock(setup: &Setup, toy: &Toy) -> Recorder {
    let mut recorder = Recorder::default();
    halo2_proofs::plonk::create_proof::<
        KZGCommitmentScheme<Bn256>,
        ProverSHPLONK<'_, Bn256>,
        _,
        _,
        _,
        _,
    >(
        &setup.params,
        &setup.pk,
        &[*toy],
        &[&[&toy.instance()]],
        rng(),
        &mut recorder,
    )
    .unwrap();
    recorder
}

fn ours(setup: &Setup, key: &EngineKey, toy: &Toy) -> Recorder {
    let mut recorder = Recorder::default();
    prove_to(setup, key, toy, &mut recorder);
    recorder
}

/// Where everything is that halo2 determines. The random polynomial is not, and neither are the opening's
/// points, which depend on it; nor a lookup's columns, whose order is a hash map's, and the quotient of them.
fn compare(setup: &Setup, toy: &Toy) {
    let cs = setup.pk.get_vk().cs();
    let advice = cs.num_advice_columns();
    let lookups = cs.lookups().len();
    let columns = cs.permutation().get_columns().len();
    let products = columns.div_ceil(cs.degree() - 2);
    let random = advice + 3 * lookups + products;
    let random_value = cs.advice_queries().len() + cs.fixed_queries().len();
    let expected = stock(setup, toy);
    for key in &setup.keys {
        let proof = ours(setup, key, toy);
        assert_eq!(proof.common, expected.common);
        assert_eq!(proof.points.len(), expected.points.len());
        assert_eq!(proof.scalars.len(), expected.scalars.len());
        for (i, (ours, stock)) in proof.points.iter().zip(&expected.points).enumerate() {
            let lookup = (advice..advice + 2 * lookups).contains(&i)
                || (advice + 2 * lookups + products..random).contains(&i);
            let after =
                i >= random && (lookups > 0 || i == random || i + 2 >= expected.points.len());
            if !lookup && !after {
                assert_eq!(ours, stock, "point {i}");
            }
        }
        assert_ne!(proof.points[random], expected.points[random]);
        let end = expected.scalars.len() - 5 * lookups;
        for (i, (ours, stock)) in proof
            .scalars
            .iter()
            .zip(&expected.scalars)
            .take(end)
            .enumerate()
        {
            assert_eq!(i != random_value, ours == stock, "scalar {i}");
        }
    }
}

fn check(k: u32, parts: Parts) {
    let rows = (1 << k) - 12;
    let toy = Toy {
        parts,
        seed: 7,
        rows,
    };
    let setup = setup(k, &toy);
    for key in &setup.keys {
        let proof = prove(&setup, key, &toy);
        let mut instance = toy.instance();
        assert!(verifies(&setup, &instance, &proof), "{k} {parts:?}");
        instance[1] += Fr::from(1);
        assert!(!verifies(&setup, &instance, &proof));
    }
    compare(&setup, &toy);
}

const GATES: Parts = Parts {
    copies: false,
    lookups: false,
    phases: false,
    degree: 4,
    moves: false,
};

#[test]
fn gates_of_every_degree() {
    for degree in 3..=5 {
        check(5, Parts { degree, ..GATES });
        check(7, Parts { degree, ..GATES });
    }
}

#[test]
fn several_phases() {
    let phases = Parts {
        phases: true,
        ..GATES
    };
    check(6, phases);
    check(
        6,
        Parts {
            moves: true,
            ..phases
        },
    );
}

#[test]
fn copies() {
    check(
        5,
        Parts {
            copies: true,
            ..GATES
        },
    );
    check(
        8,
        Parts {
            copies: true,
            degree: 5,
            ..GATES
        },
    );
}

#[test]
fn lookups() {
    check(
        5,
        Parts {
            lookups: true,
            ..GATES
        },
    );
    check(
        7,
        Parts {
            lookups: true,
            degree: 5,
            ..GATES
        },
    );
}

#[test]
fn everything() {
    let all = Parts {
        copies: true,
        lookups: true,
        phases: true,
        degree: 5,
        moves: true,
    };
    check(6, all);
    check(11, all);
}

#[test]
fn what_does_not_fit_the_key_is_refused() {
    let toy = Toy {
        parts: GATES,
        seed: 1,
        rows: 20,
    };
    let setup = setup(5, &toy);
    let create = |key: &EngineKey, toy: &Toy, instances: &[&[Fr]]| {
        engine::create_proof(
            key,
            &setup.pk,
            toy,
            instances,
            rng(),
            &mut Recorder::default(),
        )
    };
    let instance = toy.instance();
    create(&setup.keys[0], &toy, &[&instance]).unwrap();
    assert!(matches!(
        create(&setup.keys[0], &toy, &[]),
        Err(Error::InvalidInstances)
    ));
    let long = vec![Fr::from(0); 32];
    assert!(matches!(
        create(&setup.keys[0], &toy, &[&long]),
        Err(Error::InstanceTooLarge)
    ));
    let tall = Toy { rows: 30, ..toy };
    assert!(matches!(
        create(&setup.keys[0], &tall, &[&instance]),
        Err(Error::NotEnoughRowsAvailable { .. })
    ));
    let other = Parts { degree: 5, ..GATES };
    let other = self::setup(
        5,
        &Toy {
            parts: other,
            ..toy
        },
    );
    assert!(matches!(
        create(&other.keys[0], &toy, &[&instance]),
        Err(Error::Opening)
    ));
    let large = ParamsKZG::setup(6, rng());
    let large = EngineKey::new(&large, &setup.pk);
    assert!(matches!(
        create(&large, &toy, &[&instance]),
        Err(Error::Opening)
    ));
}
