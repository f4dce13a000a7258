//! Time and memory of the parts of a proof.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use zkbpf::prover::{Stopwatch, peak_rss_bytes};

/// What a part took.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: Option<f64>,
    /// Greatest memory while it lasted, if the system tells that of a part.
    pub(crate) peak_bytes: Option<u64>,
}

/// Measures one part after another.
#[derive(Debug)]
pub(crate) struct Parts {
    done: Vec<Part>,
    watch: Stopwatch,
    /// Whether the system's greatest memory is that since the last part.
    resets: bool,
}

impl Parts {
    /// Begins the first part. Memory is told by part if it is asked for.
    pub(crate) fn new(by_part: bool) -> Self {
        Self {
            done: Vec::new(),
            watch: Stopwatch::start(),
            resets: by_part && reset_peak(),
        }
    }

    /// Ends a part and begins the next.
    pub(crate) fn end(&mut self, name: &'static str) {
        let watch = std::mem::replace(&mut self.watch, Stopwatch::start());
        self.done.push(Part {
            name,
            seconds: watch.elapsed().as_secs_f64(),
            cpu_seconds: watch.cpu().map(|time| time.as_secs_f64()),
            peak_bytes: peak_rss_bytes().filter(|_| self.resets),
        });
        self.resets = self.resets && reset_peak();
    }

    pub(crate) fn done(&self) -> &[Part] {
        &self.done
    }

    /// Greatest memory of all parts, the present one too.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        let parts = self.done.iter().filter_map(|part| part.peak_bytes);
        parts.chain(peak_rss_bytes()).max()
    }
}

/// Has the system's greatest memory begin anew. Linux does.
fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// When a chunk was proved.
#[derive(Clone, Debug)]
pub(crate) struct ChunkTime {
    pub(crate) steps: u64,
    /// Since the first part of proving; none if the proof was there already.
    pub(crate) span: Option<(Duration, Duration)>,
}

/// Notes when chunks begin and end.
#[derive(Debug)]
pub(crate) struct ChunkClock {
    start: Instant,
    spans: Mutex<Vec<(Option<Duration>, Option<Duration>)>>,
}

impl ChunkClock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            spans: Mutex::default(),
        }
    }

    pub(crate) fn begin(&self, chunk: usize) {
        self.note(chunk, |span, now| *span = (Some(now), None));
    }

    pub(crate) fn end(&self, chunk: usize) {
        self.note(chunk, |span, now| span.1 = Some(now));
    }

    fn note(
        &self,
        chunk: usize,
        with: impl FnOnce(&mut (Option<Duration>, Option<Duration>), Duration),
    ) {
        let now = self.start.elapsed();
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() <= chunk {
            spans.resize(chunk + 1, (None, None));
        }
        if let Some(span) = spans.get_mut(chunk) {
            with(span, now);
        }
    }

    /// The chunks, with these numbers of steps.
    pub(crate) fn times(self, steps: impl Iterator<Item = u64>) -> Vec<ChunkTime> {
        let spans = self
            .spans
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let spans = spans.into_iter().chain(std::iter::repeat((None, None)));
        steps
            .zip(spans)
            .map(|(steps, span)| ChunkTime {
                steps,
                span: span.0.zip(span.1),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_that_were_there_have_no_time() {
        let clock = ChunkClock::start();
        clock.begin(2);
        clock.begin(1);
        clock.end(2);
        let times = clock.times([5, 5, 5, 3].into_iter());
        let spans: Vec<_> = times.iter().map(|chunk| chunk.span.is_some()).collect();
        assert_eq!(spans, [false, false, true, false]);
        assert_eq!(times.last().map(|chunk| chunk.steps), Some(3));
    }
}
