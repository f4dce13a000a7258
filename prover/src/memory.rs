//! What proofs take of memory, and how many are made at once so that they fit.

use std::fs;

use zk_circuits::{CircuitSize, Plan, Shape};

use crate::chunks::Schedule;
use crate::error::Error;
use crate::keys::Engine;

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
}

impl Footprint {
    pub(crate) fn of(shape: Shape, engine: Engine) -> Self {
        let size = CircuitSize::of(shape);
        let rows = shape.rows() as u64;
        let key_columns = size.fixed_columns as u64 + KEY_COLUMNS;
        Self {
            keys: (key_columns * FORMS * FIELD_BYTES + PARAMETER_BYTES) * rows,
            chunk: size.advice_columns as u64 * rows * FIELD_BYTES * tenths_of_copies(engine) / 10,
        }
    }

    /// A process with so many proofs in progress.
    pub(crate) const fn process(&self, at_once: usize) -> u64 {
        BASE_BYTES + self.keys + at_once as u64 * self.chunk
    }

    /// How many chunks a schedule proves at once: no more than fit into the budget.
    ///
    /// # Errors
    /// If not even one fits.
    pub(crate) fn chunks_at_once(
        &self,
        schedule: Schedule,
        threads: usize,
        budget: Option<u64>,
    ) -> Result<usize, Error> {
        let wanted = match schedule {
            Schedule::Sequential => 1,
            Schedule::Parallel => threads,
            Schedule::Auto => available().map_or(threads, |free| {
                let fit = free.saturating_sub(self.keys) / self.chunk.max(1);
                usize::try_from(fit).map_or(threads, |fit| fit.min(threads))
            }),
        };
        let wanted = wanted.max(1);
        let Some(budget) = budget else {
            return Ok(wanted);
        };
        let needed = |at_once| self.process(at_once) * (100 + SLACK_PERCENT) / 100;
        (1..=wanted)
            .rev()
            .find(|at_once| needed(*at_once) <= budget)
            .ok_or(Error::MemoryBudget {
                needed: needed(1),
                budget,
            })
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
        let at_once = |budget| footprint.chunks_at_once(Schedule::Parallel, 8, budget);
        assert_eq!(at_once(None).expect("no budget"), 8);
        assert_eq!(at_once(Some(u64::MAX)).expect("enough"), 8);
        let Err(Error::MemoryBudget { needed, budget: 0 }) = at_once(Some(0)) else {
            panic!("nothing fits into nothing");
        };
        assert!(needed > footprint.process(1));
        assert_eq!(at_once(Some(needed)).expect("enough"), 1);
        assert!(at_once(Some(needed - 1)).is_err());
        let more = at_once(Some(3 * needed)).expect("enough");
        assert!((3..8).contains(&more), "{more}");
        let one = footprint.chunks_at_once(Schedule::Sequential, 8, Some(u64::MAX));
        assert_eq!(one.expect("enough"), 1);
    }
}
