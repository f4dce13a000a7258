//! Keys of a circuit size under a choice of parameters, kept in memory and on disk.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use engine::EngineKey;
use ff::Field;
use halo2_proofs::SerdeFormat;
use halo2_proofs::arithmetic::best_multiexp;
use halo2_proofs::plonk::{ProvingKey, keygen_pk2};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::OsRng;
use verifier::{KeyId, SrsIdentity, VerifierParams, VerifyingKey};
use zk_circuits::{ChunkCircuit, Shape};

use crate::cache::{Cache, Cached, Entry, Unkept};
use crate::config::{KeygenConfig, SrsChoice};
use crate::create::ProofKey;
use crate::error::{Error, SrsError};
use crate::fingerprint::fingerprint;
use crate::srs::{self, Srs, SrsFile};

/// Everything that proving needs besides a trace.
pub struct Keys {
    pub(crate) shape: Shape,
    pub(crate) params: ParamsKZG<Bn256>,
    pub(crate) proving: Arc<ProvingKey<G1Affine>>,
    pub(crate) verifying: Arc<VerifyingKey>,
    pub(crate) unkept: Option<Unkept>,
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

/// Where parameters come from, and where those are that were cut to a size.
pub(crate) struct Parameters<'a> {
    cache: Cache,
    choice: &'a SrsChoice,
    identity: SrsIdentity,
}

impl<'a> Parameters<'a> {
    pub(crate) fn of(config: &'a KeygenConfig) -> Result<Self, Error> {
        let choice = config.srs_choice()?;
        Ok(Self {
            cache: Cache::new(config.cache_dir()),
            choice,
            identity: choice.identity()?,
        })
    }

    /// Cut to `2^k` rows.
    pub(crate) fn cached(&self, k: u32) -> Result<Cached<Srs>, Error> {
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
}

/// Where the keys of one shape under one choice of parameters are.
pub(crate) struct Store<'a> {
    parameters: &'a Parameters<'a>,
    shape: Shape,
    /// Names the circuit, the shape and the parameters.
    fingerprint: String,
}

impl<'a> Store<'a> {
    pub(crate) fn new(parameters: &'a Parameters<'a>, shape: Shape) -> Result<Self, Error> {
        let fingerprint = fingerprint(shape, parameters.identity).map_err(keygen_error)?;
        Ok(Self {
            parameters,
            shape,
            fingerprint,
        })
    }

    fn entry(&self, kind: &str, max_bytes: u64) -> Entry {
        let (k, bits) = (self.shape.k(), self.shape.operand_bits());
        let name = format!("{kind}-k{k}-b{bits}-{}", self.fingerprint);
        Entry { name, max_bytes }
    }

    pub(crate) fn keys(&self, srs: Cached<Srs>) -> Result<Keys, Error> {
        let span = tracing::info_span!("keys", k = self.shape.k(), srs = %self.parameters.identity);
        let _entered = span.enter();
        let s_g2 = srs.value.s_g2;
        let (params, g_lagrange) = srs.value.into_params();
        let verifying_of = |proving: &Arc<ProvingKey<G1Affine>>| {
            let params = VerifierParams {
                srs: self.parameters.identity,
                g_lagrange: Arc::clone(&g_lagrange),
                s_g2,
            };
            VerifyingKey::new(Arc::clone(proving), self.shape, params)
        };
        // A proving key that is not the one of the verifying key that others verify with is made again, and
        // if that does not help, the verifying key.
        let parse = |mut bytes: &[u8]| {
            let key = ProvingKey::<G1Affine>::read::<_, ChunkCircuit>(
                &mut bytes,
                SerdeFormat::RawBytes,
                self.shape,
            );
            let key = Arc::new(key.ok().filter(|_| bytes.is_empty())?);
            let verifying = verifying_of(&key).ok()?;
            let stored = self.stored_is(&verifying);
            let is_own = stored.unwrap_or_else(|| is_under(&key, &g_lagrange));
            is_own.then_some((key, verifying, stored.is_some()))
        };
        let build = || {
            tracing::info!("generating keys");
            let circuit = ChunkCircuit::keygen(self.shape);
            let key = Arc::new(keygen_pk2(&params, &circuit, false).map_err(keygen_error)?);
            let verifying = verifying_of(&key).map_err(keygen_error)?;
            let bytes = key.to_bytes(SerdeFormat::RawBytes);
            Ok(((key, verifying, false), bytes))
        };
        let proving_entry = self.entry("pk", max_proving_key_bytes(self.shape.k()));
        let both = self
            .parameters
            .cache
            .load_or_build(&proving_entry, parse, build)?;
        let (proving, verifying, is_stored) = both.value;
        let mut unkept = srs.unkept.or(both.unkept);
        if !is_stored {
            let encoded = with_id(verifying.id(), &verifying.to_bytes());
            let entry = self.verifying_entry();
            let parse = |bytes: &[u8]| (bytes == encoded).then_some(());
            let build = || Ok(((), encoded.clone()));
            let cached = self.parameters.cache.load_or_build(&entry, parse, build)?;
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

    /// Whether the verifying key that others verify with is this one, if there is one.
    fn stored_is(&self, key: &VerifyingKey) -> Option<bool> {
        let compare = |bytes: &[u8]| {
            // Without parsing what is the same.
            let is_same = parse_with_id(bytes, |stored, id| {
                Some(id == key.id() && VerifyingKey::id_of(stored) == Ok(id))
            });
            let is_another = || self.parse_verifying(bytes).map(|_| false);
            is_same.filter(|same| *same).or_else(is_another)
        };
        let entry = self.verifying_entry();
        self.parameters.cache.load(&entry, compare)
    }

    pub(crate) fn verifying_key(&self) -> Option<VerifyingKey> {
        let entry = self.verifying_entry();
        self.parameters
            .cache
            .load(&entry, |bytes| self.parse_verifying(bytes))
    }

    fn verifying_entry(&self) -> Entry {
        self.entry("vk", max_verifying_key_bytes(self.shape.k()))
    }

    fn parse_verifying(&self, bytes: &[u8]) -> Option<VerifyingKey> {
        let key = parse_with_id(bytes, |key, id| VerifyingKey::from_bytes(key, id).ok())?;
        let is_own = key.shape() == self.shape
            && key.srs() == self.parameters.identity
            && srs::fits_identity(&key.s_g2(), key.g_lagrange(), self.parameters.identity);
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

/// The entry of a key that verifies chunks or aggregates: its identity, then the key.
pub(crate) fn with_id(id: KeyId, key: &[u8]) -> Vec<u8> {
    [&id.0[..], key].concat()
}

/// The inverse of [`with_id`]: splits an entry into a key and its identity.
pub(crate) fn parse_with_id<T>(
    bytes: &[u8],
    parse: impl FnOnce(&[u8], KeyId) -> Option<T>,
) -> Option<T> {
    let (id, key) = bytes.split_at_checked(32)?;
    parse(key, KeyId(id.try_into().ok()?))
}
