//! The jobs of an aggregation, and the tree that they form.

use std::fs;
use std::sync::Arc;

use aggregation::{AggregationCircuit, Layer, SPAN_VALUES, Snark, SnarkError, accumulator_points};
use ff::PrimeField;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use verifier::{
    AggregateKey, AggregateProof, ChunkProof, ExecutionProof, RunInfo, Span, VerifyError,
    check_aggregate, chunk_transcript, verify_chunk,
};

use super::keys::{AggregationKeys, LayerKind};
use super::{AggregationConfig, AggregationEvent};
use crate::create::Engine;
use crate::create::ProofKey;
use crate::error::{AggregationFailure, Error, io_error};
use crate::files::write_whole;
use crate::rng::fresh;

const MAGIC: [u8; 8] = *b"zkbpfSPN";
const FORMAT: u8 = 1;

/// The proof of a leaf or node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanProof {
    layer: LayerKind,
    instance: Vec<Fr>,
    proof: Vec<u8>,
}

impl SpanProof {
    /// Whether it is of a leaf or a node.
    #[must_use]
    pub fn layer(&self) -> LayerKind {
        self.layer
    }

    /// Public values: accumulator, node key, span.
    #[must_use]
    pub fn instance(&self) -> &[Fr] {
        &self.instance
    }

    /// The proof as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([FORMAT, u8::from(self.layer == LayerKind::Node)]);
        bytes.extend(self.instance.iter().flat_map(Fr::to_repr));
        bytes.extend(&self.proof);
        bytes
    }

    /// The inverse of [`to_bytes`](Self::to_bytes); `None` for other bytes. Says nothing about whether the
    /// proof is valid.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?.strip_prefix(&[FORMAT])?;
        let (layer, rest) = rest.split_first()?;
        let layer = match layer {
            0 => LayerKind::Leaf,
            1 => LayerKind::Node,
            _ => return None,
        };
        let (values, proof) = rest.split_at_checked(32 * SPAN_VALUES)?;
        let instance = values
            .chunks(32)
            .map(|repr| Fr::from_repr(repr.try_into().ok()?).into())
            .collect::<Option<_>>()?;
        Some(Self {
            layer,
            instance,
            proof: proof.to_vec(),
        })
    }
}

/// Runs the jobs of aggregations for one chunk key. Holds the keys of one layer in memory at a time: run
/// all leaves before the first node.
pub struct Aggregator {
    keys: AggregationKeys,
    config: AggregationConfig,
}

impl std::fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aggregator")
            .field("chunk_key", &self.keys.chunk().id())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

type Observer<'a> = &'a (dyn Fn(AggregationEvent) + Sync);

impl Aggregator {
    /// With the parameters and cache of this configuration.
    ///
    /// # Errors
    /// If there are no parameters.
    pub fn new(config: &AggregationConfig) -> Result<Self, Error> {
        if let Some(path) = &config.work_dir {
            fs::create_dir_all(path).map_err(io_error(path))?;
        }
        Ok(Self {
            keys: AggregationKeys::new(config)?,
            config: config.clone(),
        })
    }

    /// The key that verifies the aggregates.
    ///
    /// # Errors
    /// If key generation fails.
    pub fn key(&self) -> Result<Arc<AggregateKey>, Error> {
        let key = self.keys.aggregate_key();
        self.keys.forget();
        key.map(Arc::new)
    }

    /// Makes the keys of one layer, unless they are there.
    ///
    /// # Errors
    /// If key generation fails.
    pub fn keygen(&self, layer: LayerKind) -> Result<(), Error> {
        self.keys.proving(layer).map(drop)
    }

    /// The leaf of a chunk.
    ///
    /// # Errors
    /// If the chunk's proof is not valid, or proving fails.
    pub fn leaf(&self, chunk: &ChunkProof, observer: Observer<'_>) -> Result<SpanProof, Error> {
        // Whether the chunk belongs to a run is for the nodes and the root.
        let _ = verify_chunk(chunk, self.keys.chunk()).map_err(Error::SelfCheck)?;
        let name = job_name(LayerKind::Leaf, &[&chunk.to_bytes()]);
        self.reuse_or(LayerKind::Leaf, &name, observer, || {
            let chunk = Snark {
                protocol: self.keys.chunk_protocol(),
                instance: chunk.instance.to_fields().to_vec(),
                proof: chunk.proof.clone(),
            };
            self.span(LayerKind::Leaf, &Layer::Leaf { chunk: &chunk }, observer)
        })
    }

    /// The node that joins two neighbours.
    ///
    /// # Errors
    /// If one of them is not valid, or proving fails.
    pub fn node(
        &self,
        left: &SpanProof,
        right: &SpanProof,
        observer: Observer<'_>,
    ) -> Result<SpanProof, Error> {
        let name = job_name(LayerKind::Node, &[&left.to_bytes(), &right.to_bytes()]);
        self.reuse_or(LayerKind::Node, &name, observer, || {
            let [left, right] = [self.checked(left)?, self.checked(right)?];
            let layer = Layer::Node {
                left: &left,
                right: &right,
                leaf_key: self.keys.key_hash(LayerKind::Leaf)?,
                node_key: self.node_key()?,
            };
            self.span(LayerKind::Node, &layer, observer)
        })
    }

    /// The root: the aggregate of a run whose chunks `span` joins.
    ///
    /// # Errors
    /// If the proof is not valid or not of a whole run, or proving fails.
    pub fn root(
        &self,
        span: &SpanProof,
        chunks: &ExecutionProof,
        observer: Observer<'_>,
    ) -> Result<AggregateProof, Error> {
        let run = whole_run(chunks.chunks())?;
        let snark = self.checked(span)?;
        let layer = Layer::Root {
            span: &snark,
            leaf_key: self.keys.key_hash(LayerKind::Leaf)?,
            node_key: self.keys.key_hash(LayerKind::Node)?,
            chunk_key: self.keys.chunk().id(),
        };
        let key = self.keys.aggregate_key()?;
        let (instance, proof) = self.prove(LayerKind::Root, &layer, observer, fresh(), || {
            EvmTranscript::<G1Affine, NativeLoader, _, _>::new(Vec::new())
        })?;
        let proof = proof.finalize();
        let malformed = Error::Aggregation {
            layer: LayerKind::Root.name(),
            reason: AggregationFailure::Statement,
        };
        let accumulator = accumulator_points(&instance).ok_or(malformed)?;
        let first = &chunks.chunks()[0];
        let info: RunInfo = chunks.info().clone();
        let aggregate = AggregateProof::new(info, key.id(), run, first, accumulator, proof);
        if aggregate.instance(key.chunk_key().id()) != instance {
            return Err(Error::Aggregation {
                layer: LayerKind::Root.name(),
                reason: AggregationFailure::Statement,
            });
        }
        check_aggregate(&aggregate, &key)
            .map_err(|reason| Error::SelfCheck(VerifyError::Aggregate { reason }))?;
        observer(AggregationEvent::Finished {
            layer: LayerKind::Root,
            reused: false,
        });
        Ok(aggregate)
    }

    /// All jobs of a run.
    pub(super) fn run(
        &self,
        proof: &ExecutionProof,
        observer: Observer<'_>,
    ) -> Result<AggregateProof, Error> {
        let chunks = proof.chunks();
        whole_run(chunks)?;
        observer(AggregationEvent::Ready {
            jobs: 2 * chunks.len(),
        });
        let mut level = chunks
            .iter()
            .map(|chunk| self.leaf(chunk, observer))
            .collect::<Result<Vec<_>, _>>()?;
        while level.len() > 1 {
            // The last of an odd number waits for the next level.
            level = level
                .chunks(2)
                .map(|neighbours| match neighbours {
                    [left, right] => self.node(left, right, observer),
                    alone => Ok(alone[0].clone()),
                })
                .collect::<Result<Vec<_>, _>>()?;
        }
        let aggregate = self.root(&level[0], proof, observer);
        self.keys.forget();
        aggregate
    }

    /// The nodes' own key, which they expose.
    fn node_key(&self) -> Result<Fr, Error> {
        self.keys.key_hash(LayerKind::Node)
    }

    /// The hash by which circuits know the key of leaves or of nodes.
    ///
    /// # Errors
    /// If key generation fails.
    pub fn key_hash(&self, layer: LayerKind) -> Result<Fr, Error> {
        self.keys.key_hash(layer)
    }

    /// Verifies the proof of a leaf or node, and decides its accumulators. Says nothing about the node key
    /// that it exposes, nor whether its span is of any run.
    ///
    /// # Errors
    /// If the proof is not valid.
    pub fn checked(&self, proof: &SpanProof) -> Result<Snark, Error> {
        let snark = Snark {
            protocol: self.keys.protocol(proof.layer)?,
            instance: proof.instance.clone(),
            proof: proof.proof.clone(),
        };
        snark
            .verify(self.keys.generator(), &self.keys.s_g2())
            .map_err(|reason| failed(proof.layer, reason))?;
        Ok(snark)
    }

    /// Proves a leaf or node, and verifies it.
    fn span(
        &self,
        kind: LayerKind,
        layer: &Layer<'_>,
        observer: Observer<'_>,
    ) -> Result<SpanProof, Error> {
        let (instance, transcript) = self.prove(kind, layer, observer, fresh(), || {
            chunk_transcript(Vec::new())
        })?;
        let proof = SpanProof {
            layer: kind,
            instance,
            proof: transcript.finalize(),
        };
        self.checked(&proof)?;
        Ok(proof)
    }

    /// The proof of a layer's circuit.
    fn prove<E: EncodedChallenge<G1Affine>, T: TranscriptWrite<G1Affine, E>>(
        &self,
        kind: LayerKind,
        layer: &Layer<'_>,
        observer: Observer<'_>,
        rng: impl RngCore,
        transcript: impl FnOnce() -> T,
    ) -> Result<(Vec<Fr>, T), Error> {
        let span = tracing::info_span!("aggregate", layer = kind.name());
        let _entered = span.enter();
        let key = self.keys.proving(kind)?;
        self.config.admit(key.shape)?;
        observer(AggregationEvent::Started {
            layer: kind,
            shape: key.shape,
            cells: key.cells.advice,
        });
        let circuit = self.circuit(kind, layer)?;
        let mut transcript = transcript();
        let engine = self.config.chunk.engine();
        self.prove_circuit(kind, engine, &circuit, rng, &mut transcript)?;
        Ok((circuit.instance(), transcript))
    }

    fn circuit(&self, kind: LayerKind, layer: &Layer<'_>) -> Result<AggregationCircuit, Error> {
        let key = self.keys.proving(kind)?;
        let generator = self.keys.generator();
        AggregationCircuit::prover(key.shape, generator, layer, key.break_points.clone())
            .map_err(|reason| failed(kind, reason))
    }

    fn prove_circuit<E: EncodedChallenge<G1Affine>, T: TranscriptWrite<G1Affine, E>>(
        &self,
        kind: LayerKind,
        engine: Engine,
        circuit: &AggregationCircuit,
        rng: impl RngCore,
        transcript: &mut T,
    ) -> Result<(), Error> {
        let key = self.keys.proving(kind)?;
        let params = self.keys.params(kind)?;
        let proof_key = ProofKey {
            params: &params,
            proving: &key.proving,
            fast: &key.fast,
        };
        let instance = circuit.instance();
        let proved = proof_key.prove(engine, &circuit.builder, &instance, rng, transcript);
        proved.map_err(|error| Error::Aggregation {
            layer: kind.name(),
            reason: AggregationFailure::Prove(error.to_string()),
        })
    }

    fn reuse_or(
        &self,
        layer: LayerKind,
        name: &str,
        observer: Observer<'_>,
        make: impl FnOnce() -> Result<SpanProof, Error>,
    ) -> Result<SpanProof, Error> {
        let path = self.config.work_dir().map(|directory| directory.join(name));
        let found = path.as_ref().and_then(|path| fs::read(path).ok());
        let found = found.and_then(|bytes| SpanProof::from_bytes(&bytes));
        if let Some(proof) = found.filter(|proof| self.checked(proof).is_ok()) {
            observer(AggregationEvent::Finished {
                layer,
                reused: true,
            });
            return Ok(proof);
        }
        let proof = make()?;
        if let Some(path) = path {
            write_whole(&path, &proof.to_bytes()).map_err(io_error(&path))?;
        }
        observer(AggregationEvent::Finished {
            layer,
            reused: false,
        });
        Ok(proof)
    }
}

fn failed(layer: LayerKind, reason: SnarkError) -> Error {
    Error::Aggregation {
        layer: layer.name(),
        reason: AggregationFailure::Snark(reason),
    }
}

/// A finished proof's file is named by what it was made from.
fn job_name(layer: LayerKind, inputs: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("zkbpf aggregation job v1");
    for input in inputs {
        hasher.update(&(input.len() as u64).to_le_bytes());
        hasher.update(input);
    }
    let hash = hasher.finalize().to_hex();
    format!("{}-{}.proof", layer.name(), &hash[..32])
}

/// What the chunks prove together, by their own word: their proofs are verified elsewhere.
fn whole_run(chunks: &[ChunkProof]) -> Result<verifier::WholeRun, Error> {
    let mut whole: Option<Span> = None;
    for (chunk, proof) in chunks.iter().enumerate() {
        let link = |reason| Error::SelfCheck(VerifyError::Link { chunk, reason });
        let commitments = proof
            .commitments()
            .map_err(|reason| Error::SelfCheck(VerifyError::Chunk { chunk, reason }))?;
        let next = Span::of_chunk(&proof.instance, &commitments).map_err(link)?;
        whole = Some(match whole {
            None => next,
            Some(span) => span.join(&next).map_err(link)?,
        });
    }
    let end = chunks.len().saturating_sub(1);
    let span = whole.ok_or(Error::SelfCheck(VerifyError::Empty))?;
    span.whole()
        .map_err(|reason| Error::SelfCheck(VerifyError::Link { chunk: end, reason }))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::config::KeygenConfig;
    use crate::create::tests::recorder::Recorder;
    use crate::usage::{Stopwatch, peak_rss_bytes};

    /// Both provers make the same proof of a leaf.
    #[test]
    #[ignore = "ten minutes and 10 GiB: cargo test --release -p prover --lib leaves -- --ignored --nocapture"]
    #[expect(clippy::print_stderr, reason = "the figures are what the test shows")]
    fn leaves_are_the_same() {
        let directory = tempfile::tempdir().expect("a directory");
        let code = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
        let trace = bpf_tracer::execute_and_trace(&code).expect("runs");
        let fast = KeygenConfig::new(10, directory.path(), 8).with_insecure_test_srs();
        let chunks = crate::prove_execution_chunked(&trace, &fast).expect("proved");
        let aggregator = Aggregator::new(&AggregationConfig::new(&fast)).expect("parameters");
        let chunk = Snark {
            protocol: aggregator.keys.chunk_protocol(),
            instance: chunks[0].instance.to_fields().to_vec(),
            proof: chunks[0].proof.clone(),
        };
        // One circuit for both: points that help it to add are drawn at random.
        let layer = Layer::Leaf { chunk: &chunk };
        let circuit = aggregator
            .circuit(LayerKind::Leaf, &layer)
            .expect("a circuit");
        let prove = |engine| {
            let watch = Stopwatch::start();
            let rng = ChaCha20Rng::seed_from_u64(4);
            let mut recorder = Recorder::default();
            aggregator
                .prove_circuit(LayerKind::Leaf, engine, &circuit, rng, &mut recorder)
                .expect("proved");
            let seconds = watch.cpu().unwrap_or_default().as_secs_f64();
            let peak = peak_rss_bytes().unwrap_or_default() >> 20;
            eprintln!("{engine:?}: {seconds:.1} processor seconds, peak so far {peak} MiB");
            recorder
        };
        let fast = prove(Engine::Fast);
        let stock = prove(Engine::Stock);
        let key = aggregator.keys.proving(LayerKind::Leaf).expect("keys");
        fast.assert_same(&stock, key.proving.get_vk().cs());
    }
}
