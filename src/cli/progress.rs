//! Progress on stderr, with the time that is left.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::args::Common;
use super::terminal;

/// How often the time is drawn anew.
const TICK: Duration = Duration::from_millis(200);

/// The line that is shown now, which logs and results must not tear apart.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> Option<ProgressBar> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Takes the line away, to make room for what is final.
pub(crate) fn clear() {
    if let Some(bar) = shown() {
        bar.finish_and_clear();
    }
}

/// Writes logs to stderr, above the line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().lock().write_all(bytes);
        match shown() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A line that says what is going on. Hidden where nobody would see it.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Parts that were there already, and say nothing about time.
    found: Arc<AtomicU64>,
}

impl Progress {
    pub(crate) fn new(common: &Common) -> Self {
        let bar = match terminal::shows_progress(common) {
            // The default style would show for a moment.
            true => match ProgressStyle::with_template("{msg}") {
                Ok(style) => ProgressBar::no_length().with_style(style),
                Err(_) => ProgressBar::no_length(),
            },
            false => ProgressBar::hidden(),
        };
        if !bar.is_hidden() {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        }
        Self {
            bar,
            found: Arc::default(),
        }
    }

    /// Whether somebody sees it.
    pub(crate) fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Begins something without parts that was seen to take a while.
    pub(crate) fn begin(&self, what: &'static str, expected: Option<Duration>) {
        self.show("{spinner} {msg} [{elapsed}]{left}", what, None, expected);
    }

    /// Begins something of many parts. What all are expected to take counts until the first one is done.
    pub(crate) fn begin_parts(&self, what: &'static str, parts: usize, expected: Option<Duration>) {
        let template = "{msg} {wide_bar} {pos}/{len} [{elapsed}]{left}";
        self.show(template, what, Some(parts as u64), expected);
    }

    /// What the present part is.
    pub(crate) fn name(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// A part is done.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// A part was there already.
    pub(crate) fn find(&self) {
        self.found.fetch_add(1, Ordering::Relaxed);
        self.bar.inc(1);
    }

    /// All parts are to be done again.
    pub(crate) fn restart(&self) {
        self.found.store(0, Ordering::Relaxed);
        self.bar.set_position(0);
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(
        &self,
        template: &str,
        what: &'static str,
        parts: Option<u64>,
        expected: Option<Duration>,
    ) {
        if self.bar.is_hidden() {
            return;
        }
        self.restart();
        self.bar.disable_steady_tick();
        self.bar.set_message(what);
        if let Some(parts) = parts {
            self.bar.set_length(parts);
        }
        let found = Arc::clone(&self.found);
        let write_left = move |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let found = found.load(Ordering::Relaxed);
            let parts = state.len().map_or(1, |len| len.saturating_sub(found));
            let done = state.pos().saturating_sub(found);
            if let Some(left) = left(state.elapsed(), done, parts, expected) {
                // There is nowhere to report it.
                let _ = write!(to, " about {} left", words(left));
            }
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.with_key("left", write_left));
        }
        self.bar.reset();
        self.bar.enable_steady_tick(TICK);
    }
}

/// The time that is left: by the parts that are done, or before, by what is expected of all.
fn left(elapsed: Duration, done: u64, parts: u64, expected: Option<Duration>) -> Option<Duration> {
    let all = match done {
        0 => expected?,
        done => elapsed.mul_f64(parts as f64 / done as f64),
    };
    // What takes longer than expected has no known end.
    all.checked_sub(elapsed).filter(|left| !left.is_zero())
}

/// In the greatest units that matter.
fn words(time: Duration) -> String {
    let seconds = time.as_secs() + 1;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_left_follows_from_parts_or_from_what_is_expected() {
        assert_eq!(left(SECOND, 0, 4, None), None);
        assert_eq!(left(SECOND, 0, 4, Some(5 * SECOND)), Some(4 * SECOND));
        assert_eq!(left(6 * SECOND, 0, 4, Some(5 * SECOND)), None);
        // What was expected does not count any more.
        assert_eq!(left(6 * SECOND, 1, 4, Some(5 * SECOND)), Some(18 * SECOND));
        assert_eq!(left(8 * SECOND, 4, 4, None), None);
    }

    #[test]
    fn times_are_rounded_up() {
        for (seconds, expected) in [
            (0.2, "1 s"),
            (58.0, "59 s"),
            (59.0, "1 min 0 s"),
            (7205.0, "2 h 0 min"),
        ] {
            assert_eq!(words(Duration::from_secs_f64(seconds)), expected);
        }
    }
}
