//! Keys of the aggregation circuits: made one after another, since each is part of the next.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aggregation::{
    AggregationCircuit, AggregationShape, Cells, Layer, SPAN_VALUES, Snark, key_hash, protocol,
};
use engine::EngineKey;
use group::Curve;
use halo2_base::gates::circuit::CircuitBuilderStage;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::flex_gate::MultiPhaseThreadBreakPoints;
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::{self, ProvingKey, keygen_pk2, keygen_vk_custom};
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine};
use verifier::{AggregateKey, Halo2Key, RootShape, VerifyingKey};
use zk_circuits::{ChunkInstance, Shape};

use super::AggregationConfig;
use crate::cache::{Cache, Entry};
use crate::error::Error;
use crate::fingerprint::PROOF_SYSTEM;
use crate::keys::{
    Parameters, keygen_error, max_proving_key_bytes, max_verifying_key_bytes, parse_with_id,
    with_id,
};
use crate::threads;

/// No circuit that is worth proving has more columns.
const MAX_COLUMNS: usize = 60;

/// Which aggregation circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LayerKind {
    /// Verifies a chunk.
    Leaf,
    /// Verifies two leaves or nodes.
    Node,
    /// Verifies one leaf or node, for verifiers outside.
    Root,
}

impl LayerKind {
    /// Its name, in files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Node => "node",
            Self::Root => "root",
        }
    }
}

/// What proving with a circuit needs.
pub(crate) struct LayerKey {
    pub(crate) shape: AggregationShape,
    pub(crate) cells: Cells,
    pub(crate) break_points: MultiPhaseThreadBreakPoints,
    pub(crate) proving: ProvingKey<G1Affine>,
    /// For the fast prover, made on first use.
    pub(crate) fast: OnceLock<EngineKey>,
}

/// What verifying, and the next circuit, need of a key.
#[derive(Clone)]
struct LayerVk {
    shape: AggregationShape,
    halo2: Halo2Key,
}

/// The keys of all layers for one chunk key. Holds at most one proving key in memory.
pub(crate) struct AggregationKeys {
    cache: Cache,
    config: AggregationConfig,
    chunk: Arc<VerifyingKey>,
    params: Mutex<Option<Arc<ParamsKZG<Bn256>>>>,
    proving: Mutex<Option<(LayerKind, Arc<LayerKey>)>>,
    leaf: OnceLock<LayerVk>,
    node: OnceLock<LayerVk>,
}

impl AggregationKeys {
    pub(crate) fn new(config: &AggregationConfig) -> Result<Self, Error> {
        Ok(Self {
            cache: Cache::new(config.chunk.cache_dir()),
            chunk: config.chunk.verifying_key()?,
            config: config.clone(),
            params: Mutex::default(),
            proving: Mutex::default(),
            leaf: OnceLock::new(),
            node: OnceLock::new(),
        })
    }

    pub(crate) fn generator(&self) -> G1Affine {
        self.chunk.params().get_g()[0]
    }

    fn k(&self, kind: LayerKind) -> u32 {
        k_of(&self.config, kind)
    }

    /// The parameters of a layer. Drops those of another size first.
    pub(crate) fn params(&self, kind: LayerKind) -> Result<Arc<ParamsKZG<Bn256>>, Error> {
        let k = self.k(kind);
        let mut held = self.params.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(params) = held.as_ref().filter(|params| params.k() == k) {
            return Ok(Arc::clone(params));
        }
        *held = None;
        let read = || {
            Ok(Parameters::of(&self.config.chunk)?
                .cached(k)?
                .value
                .into_params())
        };
        let (params, _) = self.apart(read)?;
        Ok(Arc::clone(held.insert(Arc::new(params))))
    }

    pub(crate) fn s_g2(&self) -> G2Affine {
        self.chunk.s_g2()
    }

    pub(crate) fn chunk(&self) -> &VerifyingKey {
        &self.chunk
    }

    /// The chunks' key as circuits see it.
    pub(crate) fn chunk_protocol(&self) -> ChunkProtocol {
        protocol(self.chunk.halo2(), ChunkInstance::LEN, false)
    }

    /// The key of leaves or nodes as circuits see it.
    pub(crate) fn protocol(&self, kind: LayerKind) -> Result<ChunkProtocol, Error> {
        Ok(protocol(&self.vk(kind)?.halo2, SPAN_VALUES, true))
    }

    pub(crate) fn key_hash(&self, kind: LayerKind) -> Result<Fr, Error> {
        Ok(key_hash(&self.protocol(kind)?))
    }

    fn entry(&self, part: &str, kind: LayerKind) -> Entry {
        entry(part, kind, &self.config, &self.chunk)
    }

    fn apart<T: Send>(&self, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
        threads::apart(self.config.chunk.thread_count(), work)
    }

    fn read_or_make<T: Send>(
        &self,
        part: &str,
        kind: LayerKind,
        parse: impl Fn(&[u8]) -> Option<T> + Send,
        make: impl FnOnce() -> Result<(T, Vec<u8>), Error> + Send,
    ) -> Result<T, Error> {
        let entry = self.entry(part, kind);
        self.apart(|| Ok(self.cache.load_or_build(&entry, parse, make)?.value))
    }

    fn vk(&self, kind: LayerKind) -> Result<LayerVk, Error> {
        let slot = match kind {
            LayerKind::Leaf => Some(&self.leaf),
            LayerKind::Node => Some(&self.node),
            LayerKind::Root => None,
        };
        if let Some(vk) = slot.and_then(OnceLock::get) {
            return Ok(vk.clone());
        }
        let build = || {
            let key = self.proving(kind)?;
            let vk = LayerVk {
                shape: key.shape,
                halo2: key.proving.get_vk().clone().into(),
            };
            let bytes = vk_bytes(&vk);
            Ok((vk, bytes))
        };
        let vk = self.read_or_make("vk", kind, parse_vk, build)?;
        Ok(slot.map_or(vk.clone(), |slot| slot.get_or_init(|| vk).clone()))
    }

    /// The proving key of a layer. Drops that of another one first.
    pub(crate) fn proving(&self, kind: LayerKind) -> Result<Arc<LayerKey>, Error> {
        // What the circuit needs of those before it is made first: one key in memory at a time.
        match kind {
            LayerKind::Leaf => {}
            LayerKind::Node => drop(self.vk(LayerKind::Leaf)?),
            LayerKind::Root => {
                let _ = (self.vk(LayerKind::Leaf)?, self.vk(LayerKind::Node)?);
            }
        }
        {
            let mut held = self.proving.lock().unwrap_or_else(PoisonError::into_inner);
            match &*held {
                Some((found, key)) if *found == kind => return Ok(Arc::clone(key)),
                _ => *held = None,
            }
        }
        let key = self.read_or_make("pk", kind, parse_key, || self.generate(kind))?;
        let key = Arc::new(key);
        let mut held = self.proving.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some((kind, Arc::clone(&key)));
        Ok(key)
    }

    /// Frees the memory of the proving key.
    pub(crate) fn forget(&self) {
        *self.proving.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn generate(&self, kind: LayerKind) -> Result<(LayerKey, Vec<u8>), Error> {
        let span = tracing::info_span!("keygen", layer = kind.name(), k = self.k(kind));
        let _entered = span.enter();
        tracing::info!("generating keys");
        let leaf = |number| -> Result<Snark, Error> {
            Ok(Snark::dummy(self.protocol(LayerKind::Leaf)?, number))
        };
        let circuit = match kind {
            LayerKind::Leaf => {
                let chunk = Snark::dummy(self.chunk_protocol(), 1);
                let layer = Layer::Leaf { chunk: &chunk };
                let shape = self.span_shape(&layer)?;
                self.circuit(kind, Some(shape), &layer)?
            }
            LayerKind::Node => {
                let (left, right) = (leaf(1)?, leaf(2)?);
                let layer = Layer::Node {
                    left: &left,
                    right: &right,
                    leaf_key: key_hash(&left.protocol),
                    // A public value, not part of the circuit.
                    node_key: Fr::default(),
                };
                self.circuit(kind, Some(self.vk(LayerKind::Leaf)?.shape), &layer)?
            }
            LayerKind::Root => {
                let child = leaf(1)?;
                let layer = Layer::Root {
                    span: &child,
                    leaf_key: key_hash(&child.protocol),
                    node_key: self.key_hash(LayerKind::Node)?,
                    chunk_key: self.chunk.id(),
                };
                self.circuit(kind, None, &layer)?
            }
        };
        let (shape, circuit) = circuit;
        let params = self.params(kind)?;
        let proving = keygen_pk2(&*params, &circuit.builder, false).map_err(keygen_error)?;
        let key = LayerKey {
            shape,
            cells: circuit.cells,
            break_points: circuit.builder.break_points(),
            proving,
            fast: OnceLock::new(),
        };
        let bytes = key_bytes(&key);
        Ok((key, bytes))
    }

    /// The narrowest shape that holds leaves, and nodes over proofs of this shape.
    fn span_shape(&self, leaf: &Layer<'_>) -> Result<AggregationShape, Error> {
        let mut shape = self.narrowest(LayerKind::Leaf, leaf)?;
        loop {
            let (left, right) = (self.dummy_of(shape, 1)?, self.dummy_of(shape, 2)?);
            let node = Layer::Node {
                left: &left,
                right: &right,
                leaf_key: Fr::default(),
                node_key: Fr::default(),
            };
            let needed = self.narrowest(LayerKind::Node, &node)?;
            if needed.advice <= shape.advice && needed.lookup_advice <= shape.lookup_advice {
                return Ok(shape);
            }
            // Wider proofs make larger nodes: with too few rows there is no end.
            if shape.advice > MAX_COLUMNS {
                let reason = "nodes do not fit any shape; a larger k has room".to_owned();
                return Err(Error::Keygen { reason });
            }
            shape.advice = needed.advice.max(shape.advice);
            shape.lookup_advice = needed.lookup_advice.max(shape.lookup_advice);
        }
    }

    /// A dummy proof of a circuit of this shape, without its key: of a circuit with fewer rows and nothing in
    /// it, whose proofs have the same form.
    fn dummy_of(&self, shape: AggregationShape, number: u64) -> Result<Snark, Error> {
        let small = AggregationShape {
            k: Shape::MIN_K,
            ..shape
        };
        let srs = Parameters::of(&self.config.chunk)?.cached(small.k)?.value;
        let (params, _) = srs.into_params();
        let empty = BaseCircuitBuilder::<Fr>::from_stage(CircuitBuilderStage::Keygen)
            .use_params(small.params());
        let vk = keygen_vk_custom(&params, &empty, false).map_err(keygen_error)?;
        let mut protocol = protocol(&vk, SPAN_VALUES, true);
        // An empty circuit's columns have the identity as their commitment.
        let points =
            (1..).map(|i| (G1Affine::generator() * Fr::from(i * i * i + number)).to_affine());
        for (commitment, point) in protocol.preprocessed.iter_mut().zip(points) {
            *commitment = point;
        }
        Ok(Snark::dummy(protocol, number))
    }

    /// The fewest columns that hold a circuit. The number of its cells does not depend on the columns.
    fn narrowest(&self, kind: LayerKind, layer: &Layer<'_>) -> Result<AggregationShape, Error> {
        let k = self.k(kind);
        let any = AggregationShape::for_cells(k, Cells::default());
        let circuit =
            AggregationCircuit::keygen(any, self.generator(), layer).map_err(keygen_error)?;
        Ok(AggregationShape::for_cells(k, circuit.cells))
    }

    /// The circuit for key generation, in the given shape or in the narrowest.
    fn circuit(
        &self,
        kind: LayerKind,
        shape: Option<AggregationShape>,
        layer: &Layer<'_>,
    ) -> Result<(AggregationShape, AggregationCircuit), Error> {
        let shape = match shape {
            Some(shape) => shape,
            None => self.narrowest(kind, layer)?,
        };
        self.config.admit(shape)?;
        let circuit =
            AggregationCircuit::keygen(shape, self.generator(), layer).map_err(keygen_error)?;
        Ok((shape, circuit))
    }

    /// The key that verifiers of aggregates need.
    pub(crate) fn aggregate_key(&self) -> Result<AggregateKey, Error> {
        let chunk = &self.chunk;
        let build = || {
            let vk = self.vk(LayerKind::Root)?;
            let shape = RootShape {
                k: vk.shape.k,
                advice: vk.shape.advice as u32,
                lookup_advice: vk.shape.lookup_advice as u32,
            };
            let key = AggregateKey::new(vk.halo2, shape, VerifyingKey::clone(chunk))
                .map_err(keygen_error)?;
            let bytes = with_id(key.id(), &key.to_bytes());
            Ok((key, bytes))
        };
        let parse = |bytes: &[u8]| parse_aggregate(bytes, chunk);
        self.read_or_make("aggregate", LayerKind::Root, parse, build)
    }
}

pub(crate) type ChunkProtocol = snark_verifier::verifier::plonk::PlonkProtocol<G1Affine>;

/// The key for aggregates from the cache, without anything else.
pub(crate) fn cached_aggregate_key(
    config: &AggregationConfig,
) -> Result<Option<AggregateKey>, Error> {
    let chunk = config.chunk.verifying_key()?;
    let entry = entry("aggregate", LayerKind::Root, config, &chunk);
    Ok(Cache::new(config.chunk.cache_dir()).load(&entry, |bytes| parse_aggregate(bytes, &chunk)))
}

/// The chunks' key covers circuit and parameters.
fn entry(part: &str, kind: LayerKind, config: &AggregationConfig, chunk: &VerifyingKey) -> Entry {
    let (layer, version, k) = (kind.name(), aggregation::VERSION, k_of(config, kind));
    let below = match kind {
        LayerKind::Leaf | LayerKind::Node => String::new(),
        LayerKind::Root => format!("-on-k{}", config.span_k),
    };
    let circuits = blake3::Hasher::new_derive_key("zkbpf aggregation keys v1")
        .update(&chunk.id().0)
        .update(PROOF_SYSTEM.as_bytes())
        .finalize();
    Entry {
        name: format!(
            "{part}-{layer}-k{k}{below}-v{version}-{}",
            &circuits.to_hex()[..32]
        ),
        max_bytes: match part {
            "pk" => max_proving_key_bytes(k),
            _ => max_verifying_key_bytes(k),
        },
    }
}

fn k_of(config: &AggregationConfig, kind: LayerKind) -> u32 {
    match kind {
        LayerKind::Leaf | LayerKind::Node => config.span_k,
        LayerKind::Root => config.root_k,
    }
}

fn parse_aggregate(bytes: &[u8], chunk: &VerifyingKey) -> Option<AggregateKey> {
    parse_with_id(bytes, |key, id| {
        AggregateKey::from_bytes(key, chunk.clone(), id).ok()
    })
}

/// Little-endian numbers in front of a key.
fn header(numbers: &[usize]) -> Vec<u8> {
    let count = numbers.len() as u64;
    let numbers = numbers.iter().map(|number| *number as u64);
    std::iter::once(count)
        .chain(numbers)
        .flat_map(u64::to_le_bytes)
        .collect()
}

fn read_header(bytes: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let number = |bytes: &[u8]| -> Option<usize> {
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let (count, rest) = bytes.split_at_checked(8)?;
    let (numbers, rest) = rest.split_at_checked(number(count)?.checked_mul(8)?)?;
    let numbers = numbers.chunks(8).map(number).collect::<Option<_>>()?;
    Some((numbers, rest))
}

fn read_shape(numbers: &[usize]) -> Option<AggregationShape> {
    Some(AggregationShape {
        k: u32::try_from(*numbers.first()?).ok()?,
        advice: *numbers.get(1)?,
        lookup_advice: *numbers.get(2)?,
    })
}

fn vk_bytes(vk: &LayerVk) -> Vec<u8> {
    let AggregationShape {
        k,
        advice,
        lookup_advice,
    } = vk.shape;
    let mut bytes = header(&[k as usize, advice, lookup_advice]);
    bytes.extend(vk.halo2.to_bytes(SerdeFormat::RawBytes));
    bytes
}

fn parse_vk(bytes: &[u8]) -> Option<LayerVk> {
    let (numbers, mut rest) = read_header(bytes)?;
    let shape = read_shape(&numbers)?;
    let halo2 = plonk::VerifyingKey::<G1Affine>::read::<_, BaseCircuitBuilder<Fr>>(
        &mut rest,
        SerdeFormat::RawBytes,
        shape.params(),
    )
    .ok()?;
    let halo2 = halo2.into();
    rest.is_empty().then_some(LayerVk { shape, halo2 })
}

fn key_bytes(key: &LayerKey) -> Vec<u8> {
    let AggregationShape {
        k,
        advice,
        lookup_advice,
    } = key.shape;
    let mut numbers = vec![k as usize, advice, lookup_advice];
    numbers.extend([key.cells.advice, key.cells.lookup]);
    // Aggregation circuits have one phase.
    numbers.extend(key.break_points.iter().flatten());
    let mut bytes = header(&numbers);
    bytes.extend(key.proving.to_bytes(SerdeFormat::RawBytes));
    bytes
}

fn parse_key(bytes: &[u8]) -> Option<LayerKey> {
    let (numbers, mut rest) = read_header(bytes)?;
    let shape = read_shape(&numbers)?;
    let cells = Cells {
        advice: *numbers.get(3)?,
        lookup: *numbers.get(4)?,
    };
    let break_points = vec![numbers.get(5..)?.to_vec()];
    let proving = ProvingKey::<G1Affine>::read::<_, BaseCircuitBuilder<Fr>>(
        &mut rest,
        SerdeFormat::RawBytes,
        shape.params(),
    )
    .ok()?;
    rest.is_empty().then_some(LayerKey {
        shape,
        cells,
        break_points,
        proving,
        fast: OnceLock::new(),
    })
}
