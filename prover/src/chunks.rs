//! Proves a trace chunk by chunk: one body, several schedules.

use std::borrow::Borrow;
use std::sync::Arc;

use bpf_tracer::ExecutionTrace;
use engine::part;
use verifier::{ChunkProof, Claim, ExpectedOutcome, KeyId, RunInfo, SrsIdentity};
use zk_circuits::{ChunkInstance, Plan, Selection, Shape};

use crate::config::KeygenConfig;
use crate::create::Engine;
use crate::error::Error;
use crate::job::{Frame, Identity, Job, Restart, Session};
use crate::memory::Footprint;
use crate::run::Run;
use crate::secret::BoundarySecret;
use crate::threads;

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
    threads::of(config, || prove(trace, config, schedule, None, &observer))
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
    threads::of(config, || {
        prove(trace, config, schedule, Some(job), &observer)
    })
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

pub(crate) type Observer<'a> = &'a (dyn Fn(Event) + Sync);

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
    let plan = {
        let _part = part("cutting");
        config.plan(trace)?
    };
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
