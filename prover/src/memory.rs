//! What proofs take of memory, and how many are made at once so that they fit.

use std::fs;

use zk_circuits::{CircuitSize, Plan, Row, Shape};

use crate::chunks::Schedule;
use crate::create::Engine;
use crate::error::Error;

/// Bytes of a field element.
const FIELD_BYTES: u64 = 32;
/// Tenths of field elements that a proof in progress holds for each row and advice column, measured.
const fn tenths_of_copies(engine: Engine) -> u64 {
    match engine {
        Engine::Stock => 66,
        Engine::Fast => 30,
    }
}
/// A budget must hold this much more than is expected, in percent: the allocator keeps some of what was freed.
const SLACK_PERCENT: u64 = 25;
/// Bytes of parameters for each row: powers, Lagrange commitments, and the verifier's copy of these.
const PARAMETER_BYTES: u64 = 3 * 64;
/// Field elements of a proving key for each row besides those of fixed columns: which rows are first, last, active.
const KEY_COLUMNS: u64 = 3;
/// Values and coefficients.
const FORMS: u64 = 2;
/// What the process takes besides.
const BASE_BYTES: u64 = 16 << 20;

/// What proving with circuits of one shape takes of memory: an estimate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Keys and parameters.
    keys: u64,
    /// One proof in progress.
    chunk: u64,
    /// The rows of a chunk whose proof has not begun.
    rows: u64,
}

/// What is held at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Number of proofs in progress.
    pub(crate) at_once: usize,
    /// Whether as many further chunks' rows are made meanwhile.
    pub(crate) ahead: bool,
}

impl Load {
    /// Of a run with so many chunks.
    pub(crate) fn of_chunks(self, chunks: usize) -> Self {
        let at_once = self.at_once.min(chunks);
        let ahead = self.ahead && chunks > at_once;
        Self { at_once, ahead }
    }
}

impl Footprint {
    pub(crate) fn of(shape: Shape, engine: Engine) -> Self {
        let size = CircuitSize::of(shape);
        let rows = shape.rows() as u64;
        let key_columns = size.fixed_columns as u64 + KEY_COLUMNS;
        Self {
            keys: (key_columns * FORMS * FIELD_BYTES + PARAMETER_BYTES) * rows,
            chunk: size.advice_columns as u64 * rows * FIELD_BYTES * tenths_of_copies(engine) / 10,
            rows: rows * size_of::<Row>() as u64,
        }
    }

    /// A process with so many proofs in progress.
    pub(crate) const fn process(&self, load: Load) -> u64 {
        let rows = if load.ahead { self.rows } else { 0 };
        BASE_BYTES + self.keys + load.at_once as u64 * (self.chunk + rows)
    }

    /// How many chunks a schedule proves at once: no more than fit into the budget. The next ones' rows are made
    /// meanwhile if proofs leave threads idle and there is memory for them.
    ///
    /// # Errors
    /// If not even one fits.
    pub(crate) fn load(
        &self,
        schedule: Schedule,
        threads: usize,
        budget: Option<u64>,
    ) -> Result<Load, Error> {
        let (most, free) = match schedule {
            Schedule::Sequential => (1, None),
            Schedule::Parallel => (threads, None),
            Schedule::Auto => (threads, available()),
        };
        let needed = |load| self.process(load) * (100 + SLACK_PERCENT) / 100;
        let least = Load {
            at_once: 1,
            ahead: false,
        };
        if let Some(budget) = budget.filter(|budget| *budget < needed(least)) {
            return Err(Error::MemoryBudget {
                needed: needed(least),
                budget,
            });
        }
        let fits = |load: &Load| {
            budget.is_none_or(|budget| needed(*load) <= budget)
                && free.is_none_or(|free| self.process(*load) <= free)
        };
        let loads_of = |at_once| [at_once < threads, false].map(|ahead| Load { at_once, ahead });
        let found = (1..=most).rev().flat_map(loads_of).find(fits);
        Ok(found.unwrap_or(least))
    }
}

/// The memory that a trace and the boundaries of its chunks take.
pub(crate) fn run_bytes(steps: usize, plan: &Plan) -> u64 {
    let steps = steps * size_of::<bpf_tracer::Step>();
    (steps + plan.boundary_bytes()) as u64
}

/// Free memory of this process's control group and of the machine, whichever is less.
fn available() -> Option<u64> {
    let machine = machine_available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
    Some(limit.map_or(machine, |limit| machine.min(limit.saturating_sub(used))))
}

fn machine_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read() {
        let text = "MemTotal:       24000 kB\nMemAvailable:    1000 kB\n";
        assert_eq!(machine_available(text), Some(1_024_000));
        assert_eq!(machine_available("MemTotal: 1 kB"), None);
    }

    #[test]
    fn a_budget_bounds_how_many_are_proved_at_once() {
        let footprint = Footprint::of(Shape::new(12, 8).expect("supported"), Engine::Fast);
        let load = |budget| footprint.load(Schedule::Parallel, 8, budget);
        let of = |at_once, ahead| Load { at_once, ahead };
        assert_eq!(load(None).expect("no budget"), of(8, false));
        assert_eq!(load(Some(u64::MAX)).expect("enough"), of(8, false));
        let Err(Error::MemoryBudget { needed, budget: 0 }) = load(Some(0)) else {
            panic!("nothing fits into nothing");
        };
        assert!(needed > footprint.process(of(1, false)));
        assert_eq!(load(Some(needed)).expect("enough"), of(1, false));
        assert!(load(Some(needed - 1)).is_err());
        let more = load(Some(3 * needed)).expect("enough").at_once;
        assert!((3..8).contains(&more), "{more}");
    }

    #[test]
    fn rows_are_made_ahead_for_idle_threads_within_the_budget() {
        let footprint = Footprint::of(Shape::new(12, 8).expect("supported"), Engine::Fast);
        let load = |threads, budget| {
            let load = footprint.load(Schedule::Sequential, threads, Some(budget));
            load.expect("enough")
        };
        let ahead = Load {
            at_once: 1,
            ahead: true,
        };
        let alone = Load {
            ahead: false,
            ..ahead
        };
        assert_eq!(load(8, u64::MAX), ahead);
        assert_eq!(load(1, u64::MAX), alone);
        let enough = footprint.process(ahead) * (100 + SLACK_PERCENT) / 100;
        assert_eq!(load(8, enough), ahead);
        assert_eq!(load(8, enough - 1), alone);
    }
}
