//! Proves a trace chunk by chunk: one body, several schedules.

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bpf_tracer::ExecutionTrace;
use halo2_proofs::plonk::create_proof;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::{Bn256, Fr};
use rand_core::{OsRng, RngCore};
use rayon::prelude::*;
use verifier::{
    ChunkProof, ChunkStatement, Claim, ColumnStream, ExpectedOutcome, Lane, PublicColumn, RunInfo,
    VerifyError, chunk_transcript, verify_chain, verify_chunk,
};
use zk_circuits::{ChunkCircuit, Committed, PageList, Plan, ProgramTable, Selection, Shape};

use crate::error::{ChunkFailure, Error};
use crate::keys::{KeygenConfig, Keys};
use crate::memory;
use crate::rng::LinkedRng;

/// In which order the chunks are proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// One after another, each on all threads: least memory.
    Sequential,
    /// As many side by side as there are threads: fastest with many cores.
    Parallel,
    /// As many side by side as there are threads and fit into free memory.
    #[default]
    Auto,
}

impl Schedule {
    /// How many chunks are proved at once.
    fn width(self, keys: &Keys) -> usize {
        let threads = rayon::current_num_threads();
        match self {
            Self::Sequential => 1,
            Self::Parallel => threads,
            Self::Auto => memory::chunks_at_once(keys).map_or(threads, |fit| fit.clamp(1, threads)),
        }
    }
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The keys are loaded, the trace is cut.
    Ready {
        /// Number of chunks.
        chunks: usize,
    },
    /// A chunk is being proved.
    ChunkStarted {
        /// Which.
        chunk: usize,
    },
    /// A chunk's proof is finished and verified.
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
    let prove = || prove(trace, config, schedule, &observer);
    match config.threads() {
        None => prove(),
        Some(threads) => rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| Error::Threads {
                threads,
                reason: error.to_string(),
            })?
            .install(prove),
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
    Ok(RunInfo {
        program_id: trace.program().id(),
        dialect: trace.program().dialect().name().to_owned(),
        k: key.shape().k(),
        operand_bits: key.shape().operand_bits(),
        srs: key.srs(),
        outcome: trace.outcome(),
        steps: trace.instruction_count(),
        compute_units: trace.compute_units(),
        budget: trace.step_limit(),
        input_size: trace.input().region_len(),
    })
}

fn prove(
    trace: &ExecutionTrace,
    config: &KeygenConfig,
    schedule: Schedule,
    observer: &(impl Fn(Event) + Sync),
) -> Result<Vec<ChunkProof>, Error> {
    let keys = config.keys()?;
    if let Some(step) = trace.crosses_frames() {
        return Err(Error::CrossesFrames { step });
    }
    let mut plan = Plan::new(trace, keys.shape, config.chunk_size())?;
    if config.whole_program() {
        plan = plan.with_whole_program()?;
    }
    let chunks = plan.chunk_count();
    let span = tracing::info_span!("prove", chunks, k = keys.shape.k());
    let _entered = span.enter();
    observer(Event::Ready { chunks });

    let run = Run {
        keys: &keys,
        plan: &plan,
        pages: plan.pages().pages().into(),
        input: trace.input().bytes.as_slice().into(),
        selection: Arc::new(plan.program_table().selection().clone()),
        secret: BoundarySecret::draw(),
    };
    let one = |chunk| {
        let _entered = span.enter();
        observer(Event::ChunkStarted { chunk });
        let proved = run
            .chunk(chunk)
            .map_err(|reason| Error::Chunk { chunk, reason })?;
        observer(Event::ChunkFinished { chunk });
        tracing::info!(chunk, "proved");
        Ok(proved)
    };
    // Batches bound the number of proofs in progress: a thread that waits inside one proof would
    // otherwise begin the next. The end of a batch is filled by the parallelism inside proofs.
    let at_once = schedule.width(&keys);
    let mut proved: Vec<(ChunkProof, ChunkStatement)> = Vec::with_capacity(chunks);
    while proved.len() < chunks {
        let batch = proved.len()..chunks.min(proved.len() + at_once);
        let results = batch
            .into_par_iter()
            .map(one)
            .collect::<Result<Vec<_>, Error>>()?;
        proved.extend(results);
    }
    let (proofs, statements): (Vec<_>, Vec<_>) = proved.into_iter().unzip();
    verify_chain(&statements, &claim_of(trace), &keys.verifying).map_err(Error::SelfCheck)?;
    Ok(proofs)
}

/// What all chunks of a run share.
struct Run<'a> {
    keys: &'a Keys,
    plan: &'a Plan,
    pages: Arc<[u64]>,
    input: Arc<[u8]>,
    selection: Arc<Selection>,
    secret: BoundarySecret,
}

impl Run<'_> {
    /// Proves one chunk; a panic is a failure like any other.
    fn chunk(&self, index: usize) -> Result<(ChunkProof, ChunkStatement), ChunkFailure> {
        catch_unwind(AssertUnwindSafe(|| self.prove_chunk(index)))
            .unwrap_or_else(|panic| Err(ChunkFailure::Panic(panic_text(panic.as_ref()))))
    }

    fn prove_chunk(&self, index: usize) -> Result<(ChunkProof, ChunkStatement), ChunkFailure> {
        let mut streams = self.streams(index as u64);
        let reserved = streams.each_mut().map(ColumnStream::reserved);
        let witness = self.plan.witness(index, &reserved)?;
        let instance = *witness.instance();
        if index == 0 {
            self.advise(witness.used_rows());
        }
        let rng = LinkedRng::new(streams, self.keys.verifying.blinding_rows());
        let proof = create(
            self.keys,
            ChunkCircuit::new(witness),
            &instance.to_fields(),
            rng,
        )?;
        let proof = ChunkProof {
            key: self.keys.verifying.id(),
            instance,
            pages: Arc::clone(&self.pages),
            input: Arc::clone(&self.input),
            selection: Arc::clone(&self.selection),
            proof,
        };
        match verify_chunk(&proof, &self.keys.verifying) {
            Ok(statement) => Ok((proof, statement)),
            Err(VerifyError::Chunk { reason, .. }) => Err(ChunkFailure::Verify(reason)),
            Err(other) => Err(ChunkFailure::Prove(other.to_string())),
        }
    }

    /// Where each committed column's reserved and blinding rows come from.
    fn streams(&self, chunk: u64) -> [ColumnStream; Committed::COUNT] {
        Committed::ALL.map(|column| match column {
            Committed::EntryPrivate => self.boundary(chunk, Lane::Private),
            Committed::EntryPublic => self.boundary(chunk, Lane::Public),
            Committed::ExitPrivate => self.boundary(chunk + 1, Lane::Private),
            Committed::ExitPublic => self.boundary(chunk + 1, Lane::Public),
            Committed::Pages => ColumnStream::public(PublicColumn::Pages),
            Committed::Code => ColumnStream::public(PublicColumn::Code),
            Committed::Immediate => ColumnStream::public(PublicColumn::Immediate),
            Committed::Target => ColumnStream::public(PublicColumn::Target),
        })
    }

    fn boundary(&self, boundary: u64, lane: Lane) -> ColumnStream {
        let last = self.plan.chunk_count() as u64;
        match lane {
            Lane::Private if boundary == 0 => ColumnStream::public(PublicColumn::FirstPrivate),
            Lane::Public if boundary == 0 => ColumnStream::public(PublicColumn::FirstPublic),
            Lane::Public if boundary == last => ColumnStream::public(PublicColumn::LastPublic),
            lane => ColumnStream::boundary(&self.secret.0, boundary, lane),
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
                    && ProgramTable::new(self.plan.microcode(), &self.selection, *smaller).is_ok()
                    && PageList::new(&self.pages, *smaller).is_ok()
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

/// The secret behind the blinding of memory inside a run. Never shown, never stored.
struct BoundarySecret([u8; 32]);

impl BoundarySecret {
    fn draw() -> Self {
        let mut secret = [0; 32];
        OsRng.fill_bytes(&mut secret);
        Self(secret)
    }
}

/// halo2's proof of a circuit with one instance column.
pub(crate) fn create(
    keys: &Keys,
    circuit: ChunkCircuit,
    instance: &[Fr],
    rng: LinkedRng,
) -> Result<Vec<u8>, ChunkFailure> {
    let mut transcript = chunk_transcript(Vec::new());
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        &keys.params,
        &keys.proving,
        &[circuit],
        &[&[instance]],
        rng,
        &mut transcript,
    )
    .map_err(|error| ChunkFailure::Prove(error.to_string()))?;
    Ok(transcript.finalize())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}
