//! Idle threads make the next chunk's rows while one is proved. Alone in its process: it watches all spans.

mod common;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{config, trace};
use prover::{Event, Schedule};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

/// How often a chunk's rows were begun.
static BEGUN: AtomicUsize = AtomicUsize::new(0);

fn begun() -> usize {
    BEGUN.load(Ordering::SeqCst)
}

struct Watch;

impl Visit for Watch {
    fn record_str(&mut self, _: &Field, value: &str) {
        if value == "rows of the machine" {
            BEGUN.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name() == "part"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Self);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Proves three chunks, one after another. What the observer panics at fails the run.
fn prove(threads: usize, observer: impl Fn(Event) + Sync) {
    let trace = trace(25, 5);
    let config = config().clone().with_threads(threads);
    BEGUN.store(0, Ordering::SeqCst);
    prover::prove_execution_observed(&trace, &config, Schedule::Sequential, observer)
        .expect("proved");
    assert_eq!(begun(), 3, "each chunk's rows once");
}

#[test]
fn the_next_rows_are_made_by_idle_threads_only() {
    tracing::subscriber::set_global_default(Watch).expect("the only one");
    prove(1, |event| {
        if let Event::ChunkStarted { chunk } = event {
            assert_eq!(begun(), chunk, "one thread has no time for more");
        }
    });
    prove(2, |event| {
        if event == (Event::ChunkStarted { chunk: 0 }) {
            // This thread does nothing, and the chunk's own rows come after this.
            let since = Instant::now();
            while begun() == 0 && since.elapsed() < Duration::from_secs(60) {
                sleep(Duration::from_millis(5));
            }
            assert_eq!(begun(), 1, "the next chunk's rows");
        }
    });
}
