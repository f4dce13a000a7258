//! What to prove with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bpf_tracer::ExecutionTrace;
use verifier::{SrsIdentity, SrsKind, VerifyingKey};
use zk_circuits::{Plan, Shape};

use crate::cache::Unkept;
use crate::create::Engine;
use crate::error::{Error, SrsError};
use crate::keys::{Keys, Parameters, Store};
use crate::srs::{SrsFile, insecure_identity};
use crate::threads;

/// Which structured reference string to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SrsChoice {
    InsecureTest,
    File {
        path: PathBuf,
        /// The digest that it must have.
        pinned: Option<[u8; 32]>,
    },
}

impl SrsChoice {
    /// Which string it is, by the head of the file.
    pub(crate) fn identity(&self) -> Result<SrsIdentity, Error> {
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
        self.srs_choice()?.identity()
    }

    pub(crate) fn srs_choice(&self) -> Result<&SrsChoice, Error> {
        self.srs.as_ref().ok_or(Error::MissingSrs)
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
        let keys = threads::apart(self.thread_count(), || self.read_or_make(must_keep))?;
        let keys = Arc::new(keys);
        loaded.verifying = Some(Arc::clone(&keys.verifying));
        loaded.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    fn read_or_make(&self, must_keep: bool) -> Result<Keys, Error> {
        let shape = self.shape()?;
        let parameters = Parameters::of(self)?;
        let (srs, store) = rayon::join(
            || parameters.cached(shape.k()),
            || Store::new(&parameters, shape),
        );
        let (srs, store) = (srs?, store?);
        // Before minutes of work for nothing.
        if let Some(unkept) = srs.unkept.as_ref().filter(|_| must_keep) {
            return Err(self.not_kept(unkept));
        }
        store.keys(srs)
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
            let read = || Ok(Store::new(&Parameters::of(self)?, self.shape()?)?.verifying_key());
            if let Some(key) = threads::apart(self.thread_count(), read)? {
                let key = Arc::new(key);
                loaded.verifying = Some(Arc::clone(&key));
                return Ok(key);
            }
        }
        Ok(Arc::clone(&self.keys()?.verifying))
    }
}
