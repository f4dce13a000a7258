//! Keys of a circuit size under a choice of parameters, kept in memory and on disk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bpf_tracer::ExecutionTrace;
use engine::EngineKey;
use ff::Field;
use halo2_proofs::SerdeFormat;
use halo2_proofs::arithmetic::best_multiexp;
use halo2_proofs::plonk::{ProvingKey, keygen_pk2};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::OsRng;
use serde::{Deserialize, Serialize};
use verifier::{KeyId, SrsIdentity, SrsKind, VerifierParams, VerifyingKey};
use zk_circuits::{ChunkCircuit, Plan, Shape};

use crate::cache::{Cache, Cached, Entry, Unkept};
use crate::create::ProofKey;
use crate::error::{Error, SrsError};
use crate::fingerprint::fingerprint;
use crate::srs::{self, Srs, SrsFile, insecure_identity};

/// Which structured reference string to use.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SrsChoice {
    InsecureTest,
    File {
        path: PathBuf,
        /// The digest that it must have.
        pinned: Option<[u8; 32]>,
    },
}

impl SrsChoice {
    /// Which string it is, by the head of the file.
    fn identity(&self) -> Result<SrsIdentity, Error> {
        let Self::File { path, pinned } = self else {
            return Ok(insecure_identity());
        };
        let found = SrsFile::open(path)?.identity();
        let expected = SrsIdentity {
            kind: SrsKind::File,
            digest: pinned.unwrap_or(found.digest),
        };
        if found == expected {
            return Ok(found);
        }
        Err(Error::Srs {
            path: path.clone(),
            reason: SrsError::Digest { found, expected },
        })
    }
}

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

/// What to prove with: circuit size, cache, chunk size, parameters.
///
/// Keys are made on first use, kept on disk, and shared by all clones of a configuration.
#[derive(Clone, Debug)]
pub struct KeygenConfig {
    k: u32,
    lookup_bits: u32,
    cache_dir: PathBuf,
    chunk_size: Option<usize>,
    whole_program: bool,
    threads: Option<usize>,
    memory_budget: Option<u64>,
    engine: Engine,
    srs: Option<SrsChoice>,
    loaded: Arc<Mutex<Loaded>>,
}

#[derive(Debug, Default)]
struct Loaded {
    keys: Option<Arc<Keys>>,
    verifying: Option<Arc<VerifyingKey>>,
}

impl KeygenConfig {
    /// Circuits of `2^k` rows with table operands of at most `lookup_bits` bits; keys are kept below
    /// `cache_dir`. One of [`with_srs`](Self::with_srs) and
    /// [`with_insecure_test_srs`](Self::with_insecure_test_srs) must follow.
    #[must_use]
    pub fn new(k: u32, cache_dir: impl Into<PathBuf>, lookup_bits: u32) -> Self {
        Self {
            k,
            lookup_bits,
            cache_dir: cache_dir.into(),
            chunk_size: None,
            whole_program: false,
            threads: None,
            memory_budget: None,
            engine: Engine::default(),
            srs: None,
            loaded: Arc::default(),
        }
    }

    /// Puts the whole program into the program table instead of the blocks that the run needs. Its
    /// commitments are then the same for all runs, and say nothing about which instructions were executed.
    /// Large programs need a larger `k` so.
    #[must_use]
    pub fn with_whole_program(mut self) -> Self {
        self.whole_program = true;
        self
    }

    /// Steps in a chunk; without it, as many as the circuit holds.
    #[must_use]
    pub fn with_chunk_size(mut self, steps: usize) -> Self {
        self.chunk_size = Some(steps);
        self
    }

    /// Proves on this many threads; without it, on rayon's current pool.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Proves no more chunks at once than fit into this many bytes, keys included, whatever the schedule.
    /// [`Error::MemoryBudget`] if not even one fits.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    /// Makes the proofs of chunks and of aggregations with this prover; without it, with the fast one.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Uses the parameters in a file, from a ceremony that you trust: a `.ptau` file as snarkjs writes it, or
    /// halo2's raw format (`ParamsKZG::write_custom` with `RawBytes`), of at least `2^k` points. The file is
    /// checked. Keys depend on the ceremony's result, not on the file: larger files and other formats of the
    /// same give the same keys.
    #[must_use]
    pub fn with_srs(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.with_choice(SrsChoice::File { path, pinned: None })
    }

    /// As [`with_srs`](Self::with_srs), and the string must have this digest ([`SrsIdentity::digest`]).
    #[must_use]
    pub fn with_pinned_srs(self, path: impl Into<PathBuf>, digest: [u8; 32]) -> Self {
        self.with_choice(SrsChoice::File {
            path: path.into(),
            pinned: Some(digest),
        })
    }

    /// Uses parameters whose secret is public: **anyone can forge proofs under them**. For tests.
    #[must_use]
    pub fn with_insecure_test_srs(self) -> Self {
        self.with_choice(SrsChoice::InsecureTest)
    }

    fn with_choice(mut self, choice: SrsChoice) -> Self {
        self.srs = Some(choice);
        self.loaded = Arc::default();
        self
    }

    /// Steps in a chunk, if set.
    #[must_use]
    pub fn chunk_size(&self) -> Option<usize> {
        self.chunk_size
    }

    /// Whether the program table holds the whole program; see
    /// [`with_whole_program`](Self::with_whole_program).
    #[must_use]
    pub fn whole_program(&self) -> bool {
        self.whole_program
    }

    /// Which prover makes the chunks' proofs.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// Threads to prove on.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads.unwrap_or_else(rayon::current_num_threads)
    }

    pub(crate) fn memory_budget(&self) -> Option<u64> {
        self.memory_budget
    }

    /// The same with circuits of this size.
    pub(crate) fn with_size(&self, k: u32) -> Self {
        let loaded = match k == self.k {
            true => Arc::clone(&self.loaded),
            false => Arc::default(),
        };
        Self {
            k,
            loaded,
            ..self.clone()
        }
    }

    /// The same with circuits of another size, for all that fits into one chunk.
    pub(crate) fn of_one_chunk(&self, k: u32) -> Self {
        Self {
            chunk_size: None,
            whole_program: false,
            memory_budget: None,
            ..self.with_size(k)
        }
    }

    /// How a trace is cut. Needs neither keys nor parameters.
    ///
    /// # Errors
    /// If the circuit has no such size, or the run does not fit it.
    pub fn plan(&self, trace: &ExecutionTrace) -> Result<Plan, Error> {
        let plan = Plan::new(trace, self.shape()?, self.chunk_size)?;
        Ok(match self.whole_program {
            true => plan.with_whole_program()?,
            false => plan,
        })
    }

    /// The directory of the key cache.
    #[must_use]
    pub fn cache_dir(&self) -> &Path {
        &self.cache_dir
    }

    /// Which parameters were chosen. Reads the head of their file; the rest is checked when keys are made.
    ///
    /// # Errors
    /// If none were, the file is unusable, or it is not the one that was pinned.
    pub fn srs(&self) -> Result<SrsIdentity, Error> {
        self.srs.as_ref().ok_or(Error::MissingSrs)?.identity()
    }

    /// The circuit's shape.
    ///
    /// # Errors
    /// If the circuit has no such size.
    pub fn shape(&self) -> Result<Shape, Error> {
        Ok(Shape::new(self.k, self.lookup_bits)?)
    }

    /// The keys: from memory, from the cache, or made now.
    ///
    /// # Errors
    /// If no parameters were chosen, or they are unusable. A cache that cannot be used is a warning; see
    /// [`Keys::kept`].
    pub fn keys(&self) -> Result<Arc<Keys>, Error> {
        self.load(false)
    }

    /// The keys, as [`keys`](Self::keys) gives them, for those who make them to have them in the cache.
    ///
    /// # Errors
    /// As [`keys`](Self::keys), and [`Error::NotKept`] if the cache does not have them all afterwards.
    pub fn kept_keys(&self) -> Result<Arc<Keys>, Error> {
        let keys = self.load(true)?;
        match &keys.unkept {
            None => Ok(keys),
            Some(unkept) => Err(self.not_kept(unkept)),
        }
    }

    fn not_kept(&self, Unkept { entry, reason }: &Unkept) -> Error {
        Error::NotKept {
            directory: self.cache_dir.clone(),
            entry: entry.clone(),
            reason: reason.clone(),
        }
    }

    fn load(&self, must_keep: bool) -> Result<Arc<Keys>, Error> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = &loaded.keys {
            return Ok(Arc::clone(keys));
        }
        let store = Store::new(self)?;
        let srs = store.cached_srs(store.shape.k())?;
        // Before minutes of work for nothing.
        if let Some(unkept) = srs.unkept.as_ref().filter(|_| must_keep) {
            return Err(self.not_kept(unkept));
        }
        let keys = Arc::new(store.keys(srs)?);
        loaded.verifying = Some(Arc::clone(&keys.verifying));
        loaded.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// The verifying key alone: much smaller and faster to load.
    ///
    /// # Errors
    /// As [`keys`](Self::keys).
    pub fn verifying_key(&self) -> Result<Arc<VerifyingKey>, Error> {
        {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = &loaded.verifying {
                return Ok(Arc::clone(key));
            }
            if let Some(key) = Store::new(self)?.verifying_key() {
                let key = Arc::new(key);
                loaded.verifying = Some(Arc::clone(&key));
                return Ok(key);
            }
        }
        Ok(Arc::clone(&self.keys()?.verifying))
    }
}

/// Everything that proving needs besides a trace.
pub struct Keys {
    pub(crate) shape: Shape,
    pub(crate) params: ParamsKZG<Bn256>,
    pub(crate) proving: ProvingKey<G1Affine>,
    pub(crate) verifying: Arc<VerifyingKey>,
    unkept: Option<Unkept>,
    fast: OnceLock<EngineKey>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("verifying", &self.verifying)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Size of the circuit.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The verifying key.
    #[must_use]
    pub fn verifying_key(&self) -> &Arc<VerifyingKey> {
        &self.verifying
    }

    /// Whether the cache has them all. Otherwise it could not be written, and they are made again next time.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.unkept.is_none()
    }

    /// halo2's proving key.
    #[must_use]
    pub fn proving_key(&self) -> &ProvingKey<G1Affine> {
        &self.proving
    }

    /// What the fast prover needs besides, made on first use.
    #[must_use]
    pub fn engine_key(&self) -> &EngineKey {
        self.proof_key().fast()
    }

    pub(crate) fn proof_key(&self) -> ProofKey<'_> {
        ProofKey {
            params: &self.params,
            proving: &self.proving,
            fast: &self.fast,
        }
    }

    /// halo2's parameters.
    #[must_use]
    pub fn params(&self) -> &ParamsKZG<Bn256> {
        &self.params
    }
}

/// Where the keys of one shape and one choice of parameters are.
pub(crate) struct Store<'a> {
    cache: Cache,
    shape: Shape,
    choice: &'a SrsChoice,
    identity: SrsIdentity,
    /// Names the circuit, the shape and the parameters.
    fingerprint: String,
}

impl<'a> Store<'a> {
    pub(crate) fn new(config: &'a KeygenConfig) -> Result<Self, Error> {
        let choice = config.srs.as_ref().ok_or(Error::MissingSrs)?;
        let shape = config.shape()?;
        let identity = choice.identity()?;
        let fingerprint = fingerprint(shape, identity).map_err(keygen_error)?;
        let cache = Cache::new(&config.cache_dir);
        Ok(Self {
            cache,
            shape,
            choice,
            identity,
            fingerprint,
        })
    }

    fn entry(&self, kind: &str, max_bytes: u64) -> Entry {
        let (k, bits) = (self.shape.k(), self.shape.operand_bits());
        let name = format!("{kind}-k{k}-b{bits}-{}", self.fingerprint);
        Entry { name, max_bytes }
    }

    /// The parameters, cut to `2^k` rows.
    pub(crate) fn srs_of(&self, k: u32) -> Result<Srs, Error> {
        Ok(self.cached_srs(k)?.value)
    }

    fn cached_srs(&self, k: u32) -> Result<Cached<Srs>, Error> {
        let digest = &hex::encode(self.identity.digest)[..32];
        let name = match self.choice {
            SrsChoice::InsecureTest => format!("srs-insecure-k{k}-{digest}"),
            SrsChoice::File { .. } => format!("srs-k{k}-{digest}"),
        };
        let build = || {
            let srs = match self.choice {
                SrsChoice::InsecureTest => {
                    tracing::warn!("using INSECURE test parameters: anyone can forge proofs");
                    Srs::insecure_test(k)
                }
                SrsChoice::File { path, .. } => self.import(path, k)?,
            };
            let bytes = srs.to_bytes();
            Ok((srs, bytes))
        };
        let max_bytes = Srs::size(k) as u64;
        let parse = |bytes: &[u8]| Srs::from_bytes(bytes, k, self.identity);
        self.cache
            .load_or_build(&Entry { name, max_bytes }, parse, build)
    }

    fn import(&self, path: &Path, k: u32) -> Result<Srs, Error> {
        tracing::info!(file = %path.display(), k, "importing parameters");
        let mut file = SrsFile::open(path)?;
        if file.identity() != self.identity {
            return Err(Error::Srs {
                path: path.to_owned(),
                reason: SrsError::Changed,
            });
        }
        file.read(k)
    }

    fn keys(&self, srs: Cached<Srs>) -> Result<Keys, Error> {
        let span = tracing::info_span!("keys", k = self.shape.k(), srs = %self.identity);
        let _entered = span.enter();
        let s_g2 = srs.value.s_g2;
        let (params, g_lagrange) = srs.value.into_params();
        let verifying_of = |proving: &ProvingKey<G1Affine>| {
            let params = VerifierParams {
                srs: self.identity,
                g_lagrange: g_lagrange.clone(),
                s_g2,
            };
            VerifyingKey::new(proving.get_vk().clone(), self.shape, params)
        };
        // A proving key that is not the one of the verifying key that others verify with is made again, and
        // if that does not help, the verifying key.
        let entry = self.verifying_entry();
        let stored = self.cache.load(&entry, |bytes| Some(bytes.to_vec()));
        let is_stored = |encoded: &[u8]| stored.as_deref() == Some(encoded);
        let is_another = || {
            let stored = stored.as_deref();
            stored.is_some_and(|bytes| self.parse_verifying(bytes).is_some())
        };
        let parse = |mut bytes: &[u8]| {
            let key = ProvingKey::<G1Affine>::read::<_, ChunkCircuit>(
                &mut bytes,
                SerdeFormat::RawBytes,
                self.shape,
            );
            let key = key.ok().filter(|_| bytes.is_empty())?;
            let verifying = verifying_of(&key).ok()?;
            let encoded = with_id(&verifying);
            let is_own = is_stored(&encoded) || (!is_another() && is_under(&key, &g_lagrange));
            is_own.then_some((key, verifying, encoded))
        };
        let build = || {
            tracing::info!("generating keys");
            let circuit = ChunkCircuit::keygen(self.shape);
            let key = keygen_pk2(&params, &circuit, false).map_err(keygen_error)?;
            let verifying = verifying_of(&key).map_err(keygen_error)?;
            let bytes = key.to_bytes(SerdeFormat::RawBytes);
            let encoded = with_id(&verifying);
            Ok(((key, verifying, encoded), bytes))
        };
        let proving_entry = self.entry("pk", max_proving_key_bytes(self.shape.k()));
        let both = self.cache.load_or_build(&proving_entry, parse, build)?;
        let (proving, verifying, encoded) = both.value;
        let mut unkept = srs.unkept.or(both.unkept);
        if !is_stored(&encoded) {
            let parse = |bytes: &[u8]| (bytes == encoded).then_some(());
            let build = || Ok(((), encoded.clone()));
            let cached = self.cache.load_or_build(&entry, parse, build)?;
            unkept = unkept.or(cached.unkept);
        }
        tracing::info!(key = %verifying.id(), "keys are ready");
        Ok(Keys {
            shape: self.shape,
            params,
            unkept,
            proving,
            verifying: Arc::new(verifying),
            fast: OnceLock::new(),
        })
    }

    fn verifying_key(&self) -> Option<VerifyingKey> {
        let entry = self.verifying_entry();
        self.cache.load(&entry, |bytes| self.parse_verifying(bytes))
    }

    fn verifying_entry(&self) -> Entry {
        self.entry("vk", max_verifying_key_bytes(self.shape.k()))
    }

    fn parse_verifying(&self, bytes: &[u8]) -> Option<VerifyingKey> {
        let key = parse_with_id(bytes, |key, id| VerifyingKey::from_bytes(key, id).ok())?;
        let is_own = key.shape() == self.shape
            && key.srs() == self.identity
            && srs::fits_identity(&key.s_g2(), key.g_lagrange(), self.identity);
        is_own.then_some(key)
    }
}

/// Whether a key's columns were committed to under these parameters, by a random combination: its commitments
/// become the verifying key's, and halo2's encoding does not say what they were made with.
fn is_under(key: &ProvingKey<G1Affine>, g_lagrange: &[G1Affine]) -> bool {
    let (columns, commitments) = (key.fixed_values(), key.get_vk().fixed_commitments());
    let rows = g_lagrange.len();
    if columns.len() != commitments.len() || columns.iter().any(|column| column.len() != rows) {
        return false;
    }
    let random: Vec<Fr> = columns.iter().map(|_| Fr::random(OsRng)).collect();
    let mut sum = vec![Fr::ZERO; rows];
    for (column, factor) in columns.iter().zip(&random) {
        for (sum, value) in sum.iter_mut().zip(column.iter()) {
            *sum += *value * factor;
        }
    }
    best_multiexp(&sum, g_lagrange) == best_multiexp(&random, commitments)
}

/// No proving key of `2^k` rows has more polynomials.
const MAX_POLYNOMIALS: u64 = 512;

/// More than the bytes of any proving key of `2^k` rows.
pub(crate) fn max_proving_key_bytes(k: u32) -> u64 {
    max_verifying_key_bytes(k) + MAX_POLYNOMIALS * (4 + (32 << k))
}

/// More than the bytes of any verifying key of `2^k` rows: a point for each, and a mebibyte for the rest.
pub(crate) fn max_verifying_key_bytes(k: u32) -> u64 {
    (64 << k) + (1 << 20)
}

pub(crate) fn keygen_error(error: impl fmt::Display) -> Error {
    Error::Keygen {
        reason: error.to_string(),
    }
}

/// The entry of a verifying key: its identity, then the key.
fn with_id(key: &VerifyingKey) -> Vec<u8> {
    [&key.id().0[..], &key.to_bytes()].concat()
}

/// The inverse of [`with_id`], for keys of chunks and of aggregates: splits an entry into a key and its identity.
pub(crate) fn parse_with_id<T>(
    bytes: &[u8],
    parse: impl FnOnce(&[u8], KeyId) -> Option<T>,
) -> Option<T> {
    let (id, key) = bytes.split_at_checked(32)?;
    parse(key, KeyId(id.try_into().ok()?))
}
