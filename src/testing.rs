//! For the test suites of programs: does the circuit accept this run?
//!
//! [`assert_provable!`](macro@crate::testing::assert_provable) runs a program, cuts the run into chunks as a prover
//! would, and asks halo2's `MockProver` about every chunk: no keys and no proofs, a second or less for each
//! chunk of a small circuit. What it accepts can be proved.
//!
//! ```
//! use zkbpf::Outcome;
//! use zkbpf::testing::assert_provable;
//!
//! // r0 = *(u64 *)(r1 + 0); r0 += 1; exit. Usually: std::fs::read("program.o")?
//! let program = [
//!     0x79, 0x10, 0, 0, 0, 0, 0, 0, //
//!     0x07, 0x00, 0, 0, 1, 0, 0, 0, //
//!     0x95, 0x00, 0, 0, 0, 0, 0, 0,
//! ];
//! let run = assert_provable!(&program, 41_u64.to_le_bytes());
//! assert_eq!(run.trace.outcome(), Outcome::Halt { r0: 42 });
//! ```
//!
//! A trap is an outcome that can be proved, so look at [`Provable::trace`] for what the program did. A refusal
//! names constraint, row, step and instruction, and leaves a page with the run ([`crate::explorer`]) on which the
//! failing row is red. The page is written to the directory that the environment variable `ZKBPF_PAGES` names,
//! otherwise to `zkbpf` in cargo's target directory.
//!
//! [`Check`] has the rest: environment, budget, circuit size, and errors instead of panics. Tests of Solana
//! programs that have fixtures of Mollusk or Firedancer: [`assert_provable_fixture`].

use std::fmt;
use std::path::{Path, PathBuf};

use bpf_tracer::{Environment, ExecutionTrace, Input, LoadError, LoadOptions, Program};
use bpf_tracer::{TraceError, Tracer};
use rayon::prelude::*;
use zk_circuits::dev::{self, Failure, Forgery};
use zk_circuits::{Plan, Shape, WitnessError};

use crate::explorer::{self, FailedConstraint};

#[cfg(feature = "solana")]
mod fixture;
mod place;

#[doc(inline)]
pub use crate::assert_provable;
#[cfg(feature = "solana")]
pub use fixture::{
    Effects, ExpectedResult, Fixture, FixtureError, FixtureFailure, assert_provable_fixture,
};

/// Most bits of the circuit's table operands; a circuit takes what its size carries.
const LOOKUP_BITS: u32 = 8;
/// Most failures that are kept: one wrong cell can break thousands of constraints.
const MOST_FAILURES: usize = 256;
/// Most failures that a message lists.
const MOST_LISTED: usize = 5;

/// Panics unless the circuit accepts the run of a program on an input; returns what [`Check::run`] does.
///
/// The program is a [`Loadable`]: a loaded [`Program`], or the bytes of an ELF file or of plain instructions. The
/// input is what becomes an [`Input`]. Without `k`, the smallest circuit that holds the program is taken.
///
/// ```
/// # let program = [0xb7, 0, 0, 0, 7, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
/// zkbpf::assert_provable!(&program);
/// zkbpf::assert_provable!(&program, b"input");
/// let run = zkbpf::assert_provable!(&program, [1, 2, 3], k = 11);
/// assert_eq!((run.k, run.chunks), (11, 1));
/// ```
#[macro_export]
macro_rules! assert_provable {
    ($program:expr $(,)?) => {
        $crate::testing::assert_provable($program, $crate::Input::default(), None)
    };
    ($program:expr, $input:expr $(,)?) => {
        $crate::testing::assert_provable($program, $input, None)
    };
    ($program:expr, $input:expr, k = $k:expr $(,)?) => {
        $crate::testing::assert_provable($program, $input, Some($k))
    };
}

/// What [`assert_provable!`](macro@crate::testing::assert_provable) calls.
///
/// # Panics
/// If the circuit does not accept the run, or there is none.
#[track_caller]
pub fn assert_provable(
    program: impl Loadable,
    input: impl Into<Input>,
    k: Option<u32>,
) -> Provable {
    let checked = program.program().map_err(NotProvable::from);
    let checked = checked.and_then(|program| {
        let check = Check::new(&program).input(input);
        k.map_or(check.clone(), |k| check.k(k)).run()
    });
    checked.unwrap_or_else(|error| panic!("{error}"))
}

/// What a program can be given as.
pub trait Loadable {
    /// The program, loaded.
    ///
    /// # Errors
    /// As [`Program::load`].
    fn program(self) -> Result<Program, LoadError>;
}

impl Loadable for Program {
    fn program(self) -> Result<Program, LoadError> {
        Ok(self)
    }
}

impl Loadable for &Program {
    fn program(self) -> Result<Program, LoadError> {
        Ok(self.clone())
    }
}

impl Loadable for &[u8] {
    fn program(self) -> Result<Program, LoadError> {
        Program::load(self, &LoadOptions::default())
    }
}

impl<const N: usize> Loadable for &[u8; N] {
    fn program(self) -> Result<Program, LoadError> {
        self.as_slice().program()
    }
}

impl Loadable for &Vec<u8> {
    fn program(self) -> Result<Program, LoadError> {
        self.as_slice().program()
    }
}

impl Loadable for Vec<u8> {
    fn program(self) -> Result<Program, LoadError> {
        self.as_slice().program()
    }
}

/// A run that the circuit accepts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Provable {
    /// The run.
    pub trace: ExecutionTrace,
    /// Size of the circuit that was asked: `2^k` rows.
    pub k: u32,
    /// Number of chunks.
    pub chunks: usize,
}

/// Why a run is not provable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotProvable {
    /// The program cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The run has no trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The run has no witness: it does not fit the circuit, or its outcome cannot be proved.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// There is no circuit of this size.
    #[error(transparent)]
    Shape(#[from] zk_circuits::ShapeError),
    /// A stack access goes from one frame into the next: see `docs/solana.md`.
    #[error(
        "step {step} accesses memory from one stack frame on into the next, over a gap: such a run has no proof"
    )]
    CrossesFrames {
        /// The step.
        step: usize,
    },
    /// The circuit refuses the run.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

/// What the circuit has against a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The constraints that do not hold, by step; at most 256.
    pub failures: Vec<FailedConstraint>,
    /// The failing step, its slot and instruction: `step 3, slot 7: r0 += r1`.
    pub step: String,
    /// Size of the circuit.
    pub k: u32,
    /// The page that shows the run, unless it could not be written.
    pub page: Option<PathBuf>,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the circuit refuses this run at {}", self.step)?;
        for failure in self.failures.iter().take(MOST_LISTED) {
            writeln!(f, "  {failure}")?;
        }
        if let Some(more) = self.failures.len().checked_sub(MOST_LISTED + 1) {
            writeln!(f, "  and {} more", more + 1)?;
        }
        match &self.page {
            Some(page) => write!(f, "  the run, failing rows in red: {}", page.display()),
            None => write!(f, "  no page shows the run: it could not be written"),
        }
    }
}

/// Asks the circuit about a run.
#[derive(Clone, Debug)]
#[must_use]
pub struct Check<'a> {
    program: &'a Program,
    input: Input,
    environment: Environment,
    budget: u64,
    k: Option<u32>,
    chunk_size: Option<usize>,
    pages: Option<PathBuf>,
}

impl<'a> Check<'a> {
    /// A run without input, with the default environment and budget.
    pub fn new(program: &'a Program) -> Self {
        Self {
            program,
            input: Input::default(),
            environment: Environment::default(),
            budget: program.dialect().default_budget(),
            k: None,
            chunk_size: None,
            pages: None,
        }
    }

    /// Sets the input.
    pub fn input(mut self, input: impl Into<Input>) -> Self {
        self.input = input.into();
        self
    }

    /// Sets what the program can ask of its surroundings.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets how many compute units, of eBPF: steps, the run may use.
    pub fn budget(mut self, budget: u64) -> Self {
        self.budget = budget;
        self
    }

    /// Sets the circuit's size, `2^k` rows; without it, the smallest one that holds the program is taken.
    pub fn k(mut self, k: u32) -> Self {
        self.k = Some(k);
        self
    }

    /// Sets the steps in a chunk; without it, as many as the circuit holds.
    pub fn chunk_size(mut self, steps: usize) -> Self {
        self.chunk_size = Some(steps);
        self
    }

    /// Sets the directory of the page that shows a refused run.
    pub fn pages(mut self, directory: impl Into<PathBuf>) -> Self {
        self.pages = Some(directory.into());
        self
    }

    /// Runs the program and asks the circuit about every chunk.
    ///
    /// # Errors
    /// See [`NotProvable`].
    pub fn run(&self) -> Result<Provable, NotProvable> {
        self.run_forged(|_, _| ())
    }

    /// As [`run`](Self::run), but each chunk's witness can be changed before the circuit sees it: for tests of
    /// what the circuit refuses.
    ///
    /// # Errors
    /// See [`NotProvable`].
    pub fn run_forged(
        &self,
        forge: impl Fn(usize, &mut Forgery) + Sync,
    ) -> Result<Provable, NotProvable> {
        let trace = Tracer::new(self.program)
            .input(self.input.clone())
            .environment(self.environment.clone())
            .step_limit(self.budget)
            .trace()?;
        if let Some(step) = trace.crosses_frames() {
            return Err(NotProvable::CrossesFrames { step });
        }
        let plan = self.plan(&trace)?;
        let failures = (0..plan.chunk_count())
            .into_par_iter()
            .map(|chunk| {
                let mut forgery = Forgery::of(&dev::witness(&plan, chunk)?);
                forge(chunk, &mut forgery);
                Ok(failures(chunk, &forgery))
            })
            .collect::<Result<Vec<_>, WitnessError>>()?;
        let mut failures: Vec<_> = failures.into_iter().flatten().collect();
        let (k, chunks) = (plan.shape().k(), plan.chunk_count());
        if failures.is_empty() {
            return Ok(Provable { trace, k, chunks });
        }
        failures.sort_by_key(|failure| (failure.step, failure.row));
        failures.truncate(MOST_FAILURES);
        let refusal = self.refusal(&trace, &plan, failures);
        Err(NotProvable::Refused(Box::new(refusal)))
    }

    fn plan(&self, trace: &ExecutionTrace) -> Result<Plan, NotProvable> {
        let plan = |k| -> Result<Plan, NotProvable> {
            let shape = Shape::new(k, LOOKUP_BITS)?;
            Ok(Plan::new(trace, shape, self.chunk_size)?)
        };
        match self.k {
            Some(k) => plan(k),
            // The last error is that of the greatest circuit: what does not fit into any.
            None => (Shape::MIN_K..Shape::MAX_K)
                .find_map(|k| plan(k).ok())
                .map_or_else(|| plan(Shape::MAX_K), Ok),
        }
    }

    fn refusal(
        &self,
        trace: &ExecutionTrace,
        plan: &Plan,
        failures: Vec<FailedConstraint>,
    ) -> Refusal {
        let step = failures.first().map_or(0, |failure| failure.step);
        let slot = usize::try_from(step)
            .ok()
            .and_then(|step| trace.steps().get(step));
        let slot = slot.map_or(0, |step| step.pc);
        let text = trace.program().disassemble(slot);
        let page = explorer::page(trace, Some(plan), &failures);
        let directory = self.pages.as_deref();
        Refusal {
            step: format!("step {step}, slot {slot}: {text}"),
            k: plan.shape().k(),
            page: write_page(directory, trace, &page),
            failures,
        }
    }
}

/// What the circuit has against a chunk. `MockProver` decides; the circuit's own evaluation, which names the tuple
/// of a bus instead of the last row of a sum, explains.
fn failures(chunk: usize, forgery: &Forgery) -> Vec<FailedConstraint> {
    let refused = forgery.mock();
    if refused.is_empty() {
        return Vec::new();
    }
    let explained = forgery.check();
    let told = if explained.is_empty() {
        refused
    } else {
        explained
    };
    let located = told.into_iter().map(|failure| {
        let Failure {
            family,
            constraint,
            row,
            context,
        } = failure;
        let row = row.unwrap_or_default();
        let step = dev::step_of(forgery.witness(), row);
        FailedConstraint::new(step, row as u64, family, constraint)
            .in_chunk(chunk as u64)
            .with_context(context)
    });
    located.take(MOST_FAILURES).collect()
}

/// Where the page is, if it could be written: a refusal is told in any case.
fn write_page(directory: Option<&Path>, trace: &ExecutionTrace, page: &str) -> Option<PathBuf> {
    let directory = directory.map_or_else(place::pages, Path::to_path_buf);
    std::fs::create_dir_all(&directory).ok()?;
    let file = directory.join(place::name_of(trace));
    std::fs::write(&file, page).ok()?;
    Some(file)
}
