//! How many executions of a target get how far.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far an execution got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Refused by a parser.
    Refused,
    /// Parsed, and gone no further.
    Parsed,
    /// What the bytes mean was checked: a program ran, a proof's equations were looked at.
    Semantic,
}

/// Counts of one target.
#[derive(Debug)]
pub struct Stats {
    name: &'static str,
    executions: AtomicU64,
    parsed: AtomicU64,
    semantic: AtomicU64,
}

impl Stats {
    /// No executions yet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            executions: AtomicU64::new(0),
            parsed: AtomicU64::new(0),
            semantic: AtomicU64::new(0),
        }
    }

    /// Counts an execution; prints the counts every 2^14 executions.
    pub fn count(&self, depth: Depth) {
        let add = |counter: &AtomicU64, yes| counter.fetch_add(u64::from(yes), Ordering::Relaxed);
        add(&self.parsed, depth != Depth::Refused);
        add(&self.semantic, depth == Depth::Semantic);
        if (add(&self.executions, true) + 1).is_multiple_of(1 << 14) {
            self.print();
        }
    }

    /// Prints the counts.
    #[expect(clippy::print_stderr, reason = "it is what the fuzzer's log is for")]
    pub fn print(&self) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let executions = load(&self.executions);
        let (parsed, semantic) = (load(&self.parsed), load(&self.semantic));
        let share = |count| 100.0 * count as f64 / executions.max(1) as f64;
        eprintln!(
            "{}: {executions} executions, {parsed} parsed ({:.1} %), {semantic} to semantic checks ({:.1} %)",
            self.name,
            share(parsed),
            share(semantic)
        );
    }
}
