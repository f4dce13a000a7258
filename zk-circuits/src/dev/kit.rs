//! A soundness test kit: honest executions, lies about them, and what refuses each lie.
//!
//! An [`Execution`] is an honest chunk; to make one is to check that the circuit accepts it. A [`Lie`] is
//! one fault of a [`FaultKind`] at one row of it. [`Execution::tell`] executes the chunk again with the fault
//! injected: everything behind the fault follows from it, multiplicities and public values included, so
//! that only the lie itself is inconsistent. [`Execution::examine`] asks the circuit, and says by which
//! constraints the lie is refused.
//!
//! An [`Adversary`] then takes what was refused and solves for other cells, so that the constraint that
//! refused it holds again. A [`Report`] counts it all.
//!
//! ```
//! use bpf_tracer::{Input, LoadOptions, Program, Tracer};
//! use zk_circuits::Shape;
//! use zk_circuits::dev::kit::{Execution, Report, sample};
//!
//! // r0 = 7; r0 += r0; exit
//! let code = [0xb7, 0, 0, 0, 7, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let program = Program::from_bytecode(&code, &LoadOptions::default())?;
//! let trace = Tracer::new(&program).input(Input::from_bytes(vec![1; 8])).trace()?;
//! let executions = Execution::of_trace("double", &trace, Shape::new(10, 8)?, None)?;
//!
//! let mut report = Report::default();
//! for (index, lie) in sample(&executions, 1, 0, |_, lie| lie.kind()) {
//!     report.add(&executions[index], &executions[index].examine(&lie));
//! }
//! assert!(report.tried() > 0 && report.accepted().is_empty(), "{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;

mod adversary;
mod execution;
mod report;
mod tricks;

pub use adversary::{Adversary, SecondChance};
pub use execution::{Execution, KitError, Operation};
pub use report::{Judge, Report, Tally};

use super::{Failure, Forgery};
use crate::class::Class;
use tricks::Trick;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = ($text:literal, $short:literal)),* $(,)?) => {
        /// What a lie is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind { $($(#[$doc])* $name),* }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Its name as the head of a column.
            #[must_use]
            pub const fn short(self) -> &'static str {
                match self { $(Self::$name => $short),* }
            }
        }
    };
}

kinds! {
    /// A row computes something else.
    WrongResult = ("wrong result", "result"),
    /// An instruction, or a row of one, is left out.
    SkippedStep = ("skipped step", "skip"),
    /// An instruction, or a row of one, happens twice.
    RepeatedStep = ("repeated step", "repeat"),
    /// Two neighbours happen in the other order.
    ReorderedSteps = ("reordered steps", "reorder"),
    /// Something else comes next: a branch is taken the other way, a row leads elsewhere.
    WrongPc = ("wrong pc", "pc"),
    /// An operand is another value, register or immediate.
    WrongOperand = ("wrong operand", "operand"),
    /// Another operation of the program happens in place of this one.
    WrongOperation = ("wrong operation", "op"),
    /// A read returns what the word held before its last write.
    StaleRead = ("stale read", "stale"),
    /// A write does not last, or a word changes without one.
    DroppedWrite = ("dropped write", "dropped"),
    /// A read or a write goes to another address.
    OtherAddress = ("other address", "address"),
    /// A frame has another return address, register, depth, or is left another way.
    ForgedFrame = ("forged frame", "frame"),
    /// The run ends where it does not, does not end where it does, or with other values.
    ForgedExit = ("forged exit", "exit"),
    /// A trap that does not happen, one that is denied, or another one.
    ForgedTrap = ("forged trap", "trap"),
    /// A system call has another result, cost or effect.
    ForgedSyscall = ("forged syscall", "syscall"),
    /// Steps or compute units are counted wrongly.
    ForgedCounts = ("forged counts", "counts"),
    /// The chunk's memory at its ends, its tables or its public values are others.
    ForgedBoundary = ("forged boundary", "boundary"),
}

/// One fault at one row.
#[derive(Clone, Copy, Debug)]
pub struct Lie {
    trick: &'static Trick,
    row: usize,
    seed: u64,
}

impl Lie {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.trick.kind
    }

    /// What it claims.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.trick.what
    }

    /// Index of the row, from 0.
    #[must_use]
    pub const fn row(&self) -> usize {
        self.row
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} at row {}",
            self.kind().name(),
            self.what(),
            self.row
        )
    }
}

/// What became of a lie.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It cannot be told: it needs a word or a micro-operation that does not exist.
    Impossible,
    /// Nothing changes: the lie happens to be true.
    Unchanged,
    /// The circuit refuses it, for these reasons.
    Rejected(Vec<Failure>),
    /// The circuit accepts it, and it says the same as the honest chunk: the same public values and memory
    /// at both ends.
    Equivalent,
    /// The circuit accepts a lie: it is unsound.
    Accepted,
}

/// A lie, as it was told, and what became of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The lie.
    pub lie: Lie,
    /// Its witness, if there is one.
    pub forgery: Option<Forgery>,
    /// What became of it.
    pub verdict: Verdict,
}

impl Execution {
    /// Every lie about this execution. What a lie leaves open is drawn from the seed.
    pub fn lies(&self, seed: u64) -> impl Iterator<Item = Lie> + '_ {
        (0..self.used()).flat_map(move |row| {
            tricks::all()
                .filter(move |trick| (trick.applies)(self, row))
                .map(move |trick| Lie {
                    trick,
                    row,
                    seed: mix(seed ^ mix(row as u64)),
                })
        })
    }

    /// The witness of a lie; none if there is none, or if nothing changes by it.
    ///
    /// # Errors
    /// If the lie leads to a micro-operation or a word that does not exist.
    pub fn tell(&self, lie: &Lie) -> Result<Option<Forgery>, crate::WitnessError> {
        let forgery = (lie.trick.tell)(self, lie.row, lie.seed)?;
        Ok(Some(forgery).filter(|forgery| !self.is_told_by(forgery)))
    }

    /// Tells a lie and asks the circuit, by own evaluation of its constraints.
    #[must_use]
    pub fn examine(&self, lie: &Lie) -> Trial {
        let (forgery, verdict) = match self.tell(lie) {
            Err(_) => (None, Verdict::Impossible),
            Ok(None) => (None, Verdict::Unchanged),
            Ok(Some(forgery)) => {
                let verdict = self.judge(&forgery);
                (Some(forgery), verdict)
            }
        };
        Trial {
            lie: *lie,
            forgery,
            verdict,
        }
    }

    /// Asks the circuit about any witness in place of the honest one, by own evaluation of its constraints.
    #[must_use]
    pub fn judge(&self, forgery: &Forgery) -> Verdict {
        if self.is_told_by(forgery) {
            return Verdict::Unchanged;
        }
        let failures = forgery.check();
        if !failures.is_empty() {
            Verdict::Rejected(failures)
        } else if self.says_the_same(forgery) {
            Verdict::Equivalent
        } else {
            Verdict::Accepted
        }
    }
}

/// At most `most` lies of each bucket, each with the index of its execution: the lies of a bucket are
/// divided into as many equal parts, in the order of executions and rows, and one of each part is drawn.
/// The seed decides which, and what lies leave open.
pub fn sample<K: Ord>(
    executions: &[Execution],
    most: usize,
    seed: u64,
    bucket: impl Fn(&Execution, &Lie) -> K,
) -> Vec<(usize, Lie)> {
    let mut counts: BTreeMap<K, usize> = BTreeMap::new();
    for execution in executions {
        for lie in execution.lies(seed) {
            *counts.entry(bucket(execution, &lie)).or_default() += 1;
        }
    }
    // The places that are still to come, the next one last.
    let mut places: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (turn, (key, count)) in counts.into_iter().enumerate() {
        let parts = most.min(count);
        let drawn = (0..parts).rev().map(|part| {
            let (start, end) = (part * count / parts, (part + 1) * count / parts);
            let number = mix(seed ^ mix((turn * most + part) as u64));
            start + (number % (end - start) as u64) as usize
        });
        places.insert(key, drawn.collect());
    }
    let mut seen: BTreeMap<K, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    for (index, execution) in executions.iter().enumerate() {
        for lie in execution.lies(seed) {
            let key = bucket(execution, &lie);
            let places = places.get_mut(&key);
            let place = seen.entry(key).or_default();
            if let Some(places) = places
                && places.last() == Some(place)
            {
                places.pop();
                chosen.push((index, lie));
            }
            *place += 1;
        }
    }
    chosen
}

/// A number that looks random (SplitMix64).
pub(crate) const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The class of a row, padding aside.
fn class_at(execution: &Execution, row: usize) -> Option<Class> {
    super::class(&execution.rows()[row])
}
