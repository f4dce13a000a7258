//! Proves a trace chunk by chunk: one body, several schedules.

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bpf_tracer::ExecutionTrace;
use engine::part;
use rayon::prelude::*;
use verifier::{
    ChunkProof, Claim, ColumnStream, ExpectedOutcome, KeyId, Lane, PublicColumn, RunInfo,
    SrsIdentity, VerifyError, verify_chain, verify_chunk,
};
use zk_circuits::{
    ChunkInstance, ChunkWitness, Committed, PageList, Plan, ProgramTable, Selection, Shape,
};

use crate::create::create;
use crate::error::{ChunkFailure, Error};
use crate::job::{Frame, Identity, Job, Proved, Restart, Session};
use crate::keys::{Engine, KeygenConfig, Keys};
use crate::memory::{Footprint, Load};
use crate::rng::LinkedRng;
use crate::secret::BoundarySecret;

/// In which order the chunks are proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schedule {
    /// One after another, each on all threads, the next one's rows made meanwhile: least memory.
    Sequential,
    /// As many side by side as there are threads: fastest with many cores.
    Parallel,
    /// As many side by side as there are threads and fit into free memory.
    #[default]
    Auto,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Keys are loaded, or made if the cache does not have them.
    KeysNeeded,
    /// The keys are there, the trace is cut.
    Ready {
        /// Number of chunks.
        chunks: usize,
        /// How many are proved at once.
        at_once: usize,
    },
    /// The job begins anew, although it had stored chunks.
    JobRestarted {
        /// Why.
        reason: Restart,
    },
    /// A chunk's proof was stored by the job, and is valid.
    ChunkReused {
        /// Which.
        chunk: usize,
    },
    /// A chunk is being proved.
    ChunkStarted {
        /// Which.
        chunk: usize,
    },
    /// A chunk has failed, and is proved again.
    ChunkRetried {
        /// Which.
        chunk: usize,
    },
    /// A chunk's proof is finished and verified, and stored if there is a job.
    ChunkFinished {
        /// Which.
        chunk: usize,
    },
}

/// Proves a trace, one chunk after another.
///
/// # Errors
/// See [`Error`].
pub fn prove_execution_chunked(
    trace: impl Borrow<ExecutionTrace>,
    config: &KeygenConfig,
) -> Result<Vec<ChunkProof>, Error> {
    prove_execution_observed(trace, config, Schedule::Sequential, |_| ())
}

/// Proves a trace, its chunks side by side.
///
/// # Errors
/// See [`Error`].
pub fn prove_execution_chunked_parallel(
    trace: impl Borrow<ExecutionTrace>,
    config: &KeygenConfig,
) -> Result<Vec<ChunkProof>, Error> {
    prove_execution_observed(trace, config, Schedule::Parallel, |_| ())
}

/// Proves a trace on the schedule that fits chunks, threads and memory.
///
/// # Errors
/// See [`Error`].
pub fn prove_execution_chunked_auto(
    trace: impl Borrow<ExecutionTrace>,
    config: &KeygenConfig,
) -> Result<Vec<ChunkProof>, Error> {
    prove_execution_observed(trace, config, Schedule::Auto, |_| ())
}

/// Proves a trace on a schedule, and tells an observer what happens. The observer is called from
/// several threads.
///
/// Every proof is verified as soon as it is finished, and all of them together against the trace before
/// they are returned. The blinding of memory at chunk boundaries comes from a secret that is drawn here
/// and dropped: a failed run is proved again from the start, with another secret, so that no boundary
/// column is ever opened more often than its blinding allows.
///
/// # Errors
/// See [`Error`].
pub fn prove_execution_observed(
    trace: impl Borrow<ExecutionTrace>,
    config: &KeygenConfig,
    schedule: Schedule,
    observer: impl Fn(Event) + Sync,
) -> Result<Vec<ChunkProof>, Error> {
    let trace = trace.borrow();
    on_threads(config, || prove(trace, config, schedule, None, &observer))
}

/// As [`prove_execution_observed`], but keeps each proof in a job's directory, and takes up those that are
/// there: after a restart only the rest is proved, and the result is the same claim.
///
/// Stored proofs are verified before they are used; one that is damaged or does not belong to the run is
/// proved again, with a warning. The job keeps its secret in a file, so that new proofs fit stored ones. If
/// that is lost, or a chunk's proofs were lost so often that its blinding allows no more of them, the
/// job begins anew with another secret ([`Event::JobRestarted`]). A chunk that fails is proved
/// again as often as the job says; what other chunks have stored stays.
///
/// [`Job::finish`] ends the job.
///
/// # Errors
/// See [`Error`]; [`Error::Job`] if the job is about something else.
pub fn prove_execution_resumable(
    trace: impl Borrow<ExecutionTrace>,
    config: &KeygenConfig,
    schedule: Schedule,
    job: &Job,
    observer: impl Fn(Event) + Sync,
) -> Result<Vec<ChunkProof>, Error> {
    let trace = trace.borrow();
    on_threads(config, || {
        prove(trace, config, schedule, Some(job), &observer)
    })
}

/// On as many threads as the configuration says.
fn on_threads<T: Send>(
    config: &KeygenConfig,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    match config.threads() {
        None => work(),
        Some(threads) => rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| Error::Threads {
                threads,
                reason: error.to_string(),
            })?
            .install(work),
    }
}

/// What a trace itself claims: the expectation to check one's own proofs with.
#[must_use]
pub fn claim_of(trace: &ExecutionTrace) -> Claim {
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

/// What a proof file says about a trace.
///
/// # Errors
/// As [`KeygenConfig::verifying_key`].
pub fn run_info(trace: &ExecutionTrace, config: &KeygenConfig) -> Result<RunInfo, Error> {
    let key = config.verifying_key()?;
    Ok(info_of(trace, key.shape(), key.srs()))
}

/// What a proof file with these keys says about a trace.
pub(crate) fn info_of(trace: &ExecutionTrace, shape: Shape, srs: SrsIdentity) -> RunInfo {
    RunInfo {
        program_id: trace.program().id(),
        dialect: trace.program().dialect().name().to_owned(),
        k: shape.k(),
        operand_bits: shape.operand_bits(),
        srs,
        outcome: trace.outcome(),
        steps: trace.instruction_count(),
        compute_units: trace.compute_units(),
        budget: trace.step_limit(),
        input_size: trace.input().region_len(),
    }
}

type Observer<'a> = &'a (dyn Fn(Event) + Sync);

fn prove(
    trace: &ExecutionTrace,
    config: &KeygenConfig,
    schedule: Schedule,
    job: Option<&Job>,
    observer: Observer<'_>,
) -> Result<Vec<ChunkProof>, Error> {
    if let Some(step) = trace.crosses_frames() {
        return Err(Error::CrossesFrames { step });
    }
    let threads = rayon::current_num_threads();
    let budget = config.memory_budget();
    let load = Footprint::of(config.shape()?, config.engine()).load(schedule, threads, budget)?;
    observer(Event::KeysNeeded);
    let keys = config.keys()?;
    if config.engine() == Engine::Fast {
        // Once, before chunks side by side would each make it.
        let _ = keys.engine_key();
    }
    let planning = part("cutting");
    let plan = config.plan(trace)?;
    drop(planning);
    let chunks = plan.chunk_count();
    let span = tracing::info_span!("prove", chunks, k = keys.shape.k());
    let _entered = span.enter();
    let at_once = load.at_once;
    observer(Event::Ready { chunks, at_once });

    let run = Run {
        keys: &keys,
        engine: config.engine(),
        plan: &plan,
        hints: Hints::of(trace, &plan),
        claim: claim_of(trace),
        load,
        span: &span,
        observer,
    };
    let Some(job) = job else {
        return run.chain(&BoundarySecret::draw(), None);
    };
    let frame = Frame {
        identity: Identity::of(trace, &plan, keys.verifying.id()),
        key: &keys.verifying,
        hints: &run.hints,
        chunks,
    };
    let (session, restart) = Session::open(job, &frame)?;
    if let Some(reason) = restart {
        run.tell_restart(reason);
    }
    let result = run.chain(session.secret(), Some(&session));
    if matches!(result, Err(Error::SelfCheck(_))) && !session.taken().is_empty() {
        let session = Session::anew(job, &frame)?;
        run.tell_restart(Restart::Links);
        return run.chain(session.secret(), Some(&session));
    }
    result
}

/// What all chunks of a run bring along for the verifier.
pub(crate) struct Hints {
    pages: Arc<[u64]>,
    input: Arc<[u8]>,
    selection: Arc<Selection>,
}

impl Hints {
    pub(crate) fn of(trace: &ExecutionTrace, plan: &Plan) -> Self {
        Self {
            pages: plan.pages().pages().into(),
            input: trace.input().bytes.as_slice().into(),
            selection: Arc::new(plan.program_table().selection().clone()),
        }
    }

    /// A chunk's proof with these hints.
    pub(crate) fn complete(
        &self,
        key: KeyId,
        instance: ChunkInstance,
        proof: Vec<u8>,
    ) -> ChunkProof {
        ChunkProof {
            key,
            instance,
            pages: Arc::clone(&self.pages),
            input: Arc::clone(&self.input),
            selection: Arc::clone(&self.selection),
            proof,
        }
    }
}

/// What all chunks of a run share, but the secret.
struct Run<'a> {
    keys: &'a Keys,
    engine: Engine,
    plan: &'a Plan,
    hints: Hints,
    claim: Claim,
    load: Load,
    span: &'a tracing::Span,
    observer: Observer<'a>,
}

/// What a chunk's proof begins with.
struct Rows {
    streams: [ColumnStream; Committed::COUNT],
    witness: ChunkWitness,
}

impl Run<'_> {
    fn tell_restart(&self, reason: Restart) {
        tracing::warn!("the job begins anew: {reason}");
        (self.observer)(Event::JobRestarted { reason });
    }

    /// The proofs of all chunks: those that a session has, and the others made.
    fn chain(
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
            .find(|smaller| {
                used_rows <= smaller.step_rows()
                    && ProgramTable::new(self.plan.microcode(), &self.hints.selection, *smaller)
                        .is_ok()
                    && PageList::new(&self.hints.pages, *smaller).is_ok()
            });
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
