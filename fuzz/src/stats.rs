//! How many executions of a target get how far.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far an execution got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Refused by a parser or loader.
    Refused,
    /// Accepted there: what the bytes mean was checked.
    Semantic,
}

/// Counts of one target.
#[derive(Debug)]
pub struct Stats {
    name: &'static str,
    executions: AtomicU64,
    semantic: AtomicU64,
}

impl Stats {
    /// No executions yet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            executions: AtomicU64::new(0),
            semantic: AtomicU64::new(0),
        }
    }

    /// Counts an execution; at every power of two, and every 2^16 executions, prints the counts.
    pub fn count(&self, depth: Depth) {
        let semantic = u64::from(depth == Depth::Semantic);
        self.semantic.fetch_add(semantic, Ordering::Relaxed);
        let executions = self.executions.fetch_add(1, Ordering::Relaxed) + 1;
        if executions.is_multiple_of(1 << 16) {
            self.print();
        }
    }

    /// Prints the counts.
    #[expect(clippy::print_stderr, reason = "it is what the fuzzer's log is for")]
    pub fn print(&self) {
        let (executions, semantic) = self.counts();
        let share = 100.0 * semantic as f64 / executions.max(1) as f64;
        eprintln!(
            "{}: {executions} executions, {semantic} to semantic checks ({share:.1} %)",
            self.name
        );
    }

    /// Executions, and how many of them were semantic.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.executions), load(&self.semantic))
    }
}
