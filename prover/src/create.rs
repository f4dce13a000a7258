//! One proof, by either prover.

use std::slice;
use std::sync::OnceLock;

use engine::EngineKey;
use halo2_proofs::plonk::{self, Circuit, ProvingKey};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::RngCore;
use serde::{Deserialize, Serialize};
use verifier::chunk_transcript;
use zk_circuits::{ChunkCircuit, ChunkColumns, ChunkWitness};

use crate::error::ChunkFailure;
use crate::keys::Keys;
use crate::rng::LinkedRng;

/// Which prover makes the proofs. Both make the same; the verifier does not know the difference.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[non_exhaustive]
pub enum Engine {
    /// halo2's own.
    Stock,
    /// The workspace's: several times faster, in less memory.
    #[default]
    Fast,
}

/// What a circuit is proved with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofKey<'a> {
    pub(crate) params: &'a ParamsKZG<Bn256>,
    pub(crate) proving: &'a ProvingKey<G1Affine>,
    /// What the fast prover needs besides, made on first use.
    pub(crate) fast: &'a OnceLock<EngineKey>,
}

impl<'a> ProofKey<'a> {
    /// What the fast prover needs besides.
    pub(crate) fn fast(self) -> &'a EngineKey {
        if let Some(key) = self.fast.get() {
            return key;
        }
        // Not while others are made to wait: it is made on rayon's threads, which may be the ones that wait, or come
        // back here for another proof. Two at once may make it, and one is kept.
        let key = EngineKey::new(self.params, self.proving);
        self.fast.get_or_init(|| key)
    }

    /// Writes the proof of a circuit with one instance column.
    pub(crate) fn prove<C, E, T>(
        self,
        engine: Engine,
        circuit: &C,
        instance: &[Fr],
        rng: impl RngCore,
        transcript: &mut T,
    ) -> Result<(), plonk::Error>
    where
        C: Circuit<Fr>,
        E: EncodedChallenge<G1Affine>,
        T: TranscriptWrite<G1Affine, E>,
    {
        let (pk, instances) = (self.proving, [instance]);
        match engine {
            Engine::Stock => plonk::create_proof::<
                KZGCommitmentScheme<Bn256>,
                ProverSHPLONK<'_, Bn256>,
                _,
                _,
                _,
                _,
            >(
                self.params,
                pk,
                slice::from_ref(circuit),
                &[&instances],
                rng,
                transcript,
            ),
            Engine::Fast => {
                engine::create_proof(self.fast(), pk, circuit, &instances, rng, transcript)
            }
        }
    }

    /// Writes the proof of a chunk. The fast prover takes the columns and does not run the circuit, which would
    /// hold all of them twice more.
    pub(crate) fn prove_chunk<E, T>(
        self,
        engine: Engine,
        witness: ChunkWitness,
        rng: impl RngCore,
        transcript: &mut T,
    ) -> Result<(), plonk::Error>
    where
        E: EncodedChallenge<G1Affine>,
        T: TranscriptWrite<G1Affine, E>,
    {
        let instance = witness.instance().to_fields();
        if engine == Engine::Stock {
            let circuit = ChunkCircuit::new(witness);
            return self.prove(engine, &circuit, &instance, rng, transcript);
        }
        let (pk, mut columns) = (self.proving, ChunkColumns::new(witness));
        engine::create_proof_with_columns(
            self.fast(),
            pk,
            |phase, known, challenges| columns.phase(pk, phase, known, challenges),
            &[&instance],
            rng,
            transcript,
        )
    }
}

/// The proof of a chunk.
pub(crate) fn create(
    keys: &Keys,
    engine: Engine,
    witness: ChunkWitness,
    rng: LinkedRng,
) -> Result<Vec<u8>, ChunkFailure> {
    let mut transcript = chunk_transcript(Vec::new());
    let proved = keys
        .proof_key()
        .prove_chunk(engine, witness, rng, &mut transcript);
    proved.map_err(|error| ChunkFailure::Prove(error.to_string()))?;
    Ok(transcript.finalize())
}

#[cfg(test)]
pub(crate) mod tests;
