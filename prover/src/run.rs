//! The chunks of one run, proved.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::part;
use rayon::prelude::*;
use verifier::{
    ChunkProof, Claim, ColumnStream, Lane, PublicColumn, VerifyError, verify_chain, verify_chunk,
};
use zk_circuits::{ChunkWitness, Committed, Plan, Shape};

use crate::chunks::{Event, Hints, Observer};
use crate::create::{Engine, create};
use crate::error::{ChunkFailure, Error};
use crate::job::{Proved, Restart, Session};
use crate::keys::Keys;
use crate::memory::Load;
use crate::rng::LinkedRng;
use crate::secret::BoundarySecret;

/// What all chunks of a run share, but the secret.
pub(crate) struct Run<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) engine: Engine,
    pub(crate) plan: &'a Plan,
    pub(crate) hints: Hints,
    pub(crate) claim: Claim,
    pub(crate) load: Load,
    pub(crate) span: &'a tracing::Span,
    pub(crate) observer: Observer<'a>,
}

/// What a chunk's proof begins with.
struct Rows {
    streams: [ColumnStream; Committed::COUNT],
    witness: ChunkWitness,
}

impl Run<'_> {
    pub(crate) fn tell_restart(&self, reason: Restart) {
        tracing::warn!("the job begins anew: {reason}");
        (self.observer)(Event::JobRestarted { reason });
    }

    /// The proofs of all chunks: those that a session has, and the others made.
    pub(crate) fn chain(
        &self,
        secret: &BoundarySecret,
        session: Option<&Session<'_>>,
    ) -> Result<Vec<ChunkProof>, Error> {
        let chunks = self.plan.chunk_count();
        let taken = session.map(Session::taken);
        let reused = |chunk| taken.and_then(|taken| taken.get(&chunk));
        let mut proved: Vec<Option<Proved>> = vec![None; chunks];
        let mut missing = Vec::new();
        for (chunk, place) in proved.iter_mut().enumerate() {
            if let Some(taken) = reused(chunk) {
                *place = Some(taken.clone());
                (self.observer)(Event::ChunkReused { chunk });
                tracing::info!(chunk, "reused");
            } else {
                missing.push(chunk);
            }
        }
        // Batches bound the number of proofs in progress: a thread that waits inside one proof would
        // otherwise begin the next. The end of a batch is filled by the parallelism inside proofs.
        let mut batches = missing.chunks(self.load.at_once).peekable();
        let mut rows = Vec::new();
        while let Some(batch) = batches.next() {
            rows.resize_with(batch.len(), || None);
            let next = batches.peek().filter(|_| self.load.ahead);
            let next = next.copied().unwrap_or_default();
            let prove =
                |(chunk, rows): (&usize, _)| Ok((*chunk, self.one(*chunk, rows, secret, session)?));
            let (results, ahead) = rayon::join(
                || {
                    batch
                        .par_iter()
                        .zip(rows)
                        .map(prove)
                        .collect::<Result<Vec<_>, Error>>()
                },
                || {
                    next.par_iter()
                        .map(|chunk| self.rows_ahead(*chunk, secret))
                        .collect()
                },
            );
            for (chunk, result) in results? {
                proved[chunk] = Some(result);
            }
            rows = ahead;
        }
        let (proofs, statements): (Vec<_>, Vec<_>) = proved.into_iter().flatten().unzip();
        let _part = part("verification");
        verify_chain(&statements, &self.claim, &self.keys.verifying).map_err(Error::SelfCheck)?;
        Ok(proofs)
    }

    /// A chunk's rows before its turn. What fails is tried again when it is proved, and fails there.
    fn rows_ahead(&self, chunk: usize, secret: &BoundarySecret) -> Option<Rows> {
        let _entered = self.span.enter();
        let rows = AssertUnwindSafe(|| self.rows(chunk, secret));
        catch_unwind(rows).ok()?.ok()
    }

    /// Proves and stores one chunk, of which the rows may be there already.
    fn one(
        &self,
        chunk: usize,
        mut rows: Option<Rows>,
        secret: &BoundarySecret,
        session: Option<&Session<'_>>,
    ) -> Result<Proved, Error> {
        let _entered = self.span.enter();
        let mut retries = session.map_or(0, Session::retries);
        let proved = loop {
            match self.chunk(chunk, rows.take(), secret) {
                Ok(proved) => break proved,
                Err(reason) if retries == 0 || matches!(reason, ChunkFailure::Witness(_)) => {
                    return Err(Error::Chunk { chunk, reason });
                }
                Err(reason) => {
                    retries -= 1;
                    tracing::warn!(chunk, %reason, "a chunk failed and is proved again");
                    (self.observer)(Event::ChunkRetried { chunk });
                }
            }
        };
        if let Some(session) = session {
            session.store(chunk, &proved)?;
        }
        (self.observer)(Event::ChunkFinished { chunk });
        tracing::info!(chunk, "proved");
        Ok(proved)
    }

    /// Proves one chunk; a panic, the observer's too, is a failure like any other.
    fn chunk(
        &self,
        index: usize,
        rows: Option<Rows>,
        secret: &BoundarySecret,
    ) -> Result<Proved, ChunkFailure> {
        let prove = || {
            (self.observer)(Event::ChunkStarted { chunk: index });
            let rows = rows.map_or_else(|| self.rows(index, secret), Ok)?;
            self.prove_chunk(index, rows)
        };
        catch_unwind(AssertUnwindSafe(prove))
            .unwrap_or_else(|panic| Err(ChunkFailure::Panic(panic_text(panic.as_ref()))))
    }

    fn rows(&self, index: usize, secret: &BoundarySecret) -> Result<Rows, ChunkFailure> {
        let _part = part("rows of the machine");
        let mut streams = self.streams(index as u64, secret);
        let reserved = streams.each_mut().map(ColumnStream::reserved);
        let witness = self.plan.witness(index, &reserved)?;
        Ok(Rows { streams, witness })
    }

    fn prove_chunk(&self, index: usize, rows: Rows) -> Result<Proved, ChunkFailure> {
        let Rows { streams, witness } = rows;
        let instance = *witness.instance();
        if index == 0 {
            self.advise(witness.used_rows());
        }
        let rng = LinkedRng::new(streams, self.keys.verifying.blinding_rows());
        let proof = create(self.keys, self.engine, witness, rng)?;
        let key = self.keys.verifying.id();
        let proof = self.hints.complete(key, instance, proof);
        let _part = part("verification");
        match verify_chunk(&proof, &self.keys.verifying) {
            Ok(statement) => Ok((proof, statement)),
            Err(VerifyError::Chunk { reason, .. }) => Err(ChunkFailure::Verify(reason)),
            Err(other) => Err(ChunkFailure::Prove(other.to_string())),
        }
    }

    /// Where each committed column's reserved and blinding rows come from.
    fn streams(&self, chunk: u64, secret: &BoundarySecret) -> [ColumnStream; Committed::COUNT] {
        let boundary = |boundary, lane| self.boundary(boundary, lane, secret);
        Committed::ALL.map(|column| match column {
            Committed::EntryPrivate => boundary(chunk, Lane::Private),
            Committed::EntryPublic => boundary(chunk, Lane::Public),
            Committed::ExitPrivate => boundary(chunk + 1, Lane::Private),
            Committed::ExitPublic => boundary(chunk + 1, Lane::Public),
            Committed::Pages => ColumnStream::public(PublicColumn::Pages),
            Committed::Code => ColumnStream::public(PublicColumn::Code),
            Committed::Immediate => ColumnStream::public(PublicColumn::Immediate),
            Committed::Target => ColumnStream::public(PublicColumn::Target),
        })
    }

    fn boundary(&self, boundary: u64, lane: Lane, secret: &BoundarySecret) -> ColumnStream {
        let last = self.plan.chunk_count() as u64;
        match lane {
            Lane::Private if boundary == 0 => ColumnStream::public(PublicColumn::FirstPrivate),
            Lane::Public if boundary == 0 => ColumnStream::public(PublicColumn::FirstPublic),
            Lane::Public if boundary == last => ColumnStream::public(PublicColumn::LastPublic),
            lane => ColumnStream::boundary(secret.bytes(), boundary, lane),
        }
    }

    /// Says which `k` would do if a chunk leaves most of its rows unused.
    fn advise(&self, used_rows: usize) {
        let shape = self.keys.shape;
        if used_rows * 4 >= shape.rows() {
            return;
        }
        let smaller = (Shape::MIN_K..shape.k())
            .filter_map(|k| Shape::new(k, shape.operand_bits()).ok())
            .find(|smaller| used_rows <= smaller.step_rows() && self.plan.fits(*smaller).is_ok());
        if let Some(smaller) = smaller {
            tracing::warn!(
                k = shape.k(),
                used_rows,
                rows = shape.rows(),
                "chunks use under a quarter of the circuit: k = {} is enough and much faster",
                smaller.k()
            );
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}
