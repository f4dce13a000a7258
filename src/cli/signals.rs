//! Ctrl-C and its like.

use zkbpf::Job;

use super::Failure;
use super::args::Common;
use super::progress::Progress;

/// While it lives, an interruption ends the process with a line that says how to go on with the job. The
/// job needs no farewell: at any point it can be taken up.
#[cfg(unix)]
pub(crate) struct Watch(signal_hook::iterator::Handle);

#[cfg(unix)]
impl Watch {
    pub(crate) fn new(job: &Job, common: &Common, progress: &Progress) -> Result<Self, Failure> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        use super::{job, output};

        let mut signals = Signals::new([SIGINT, SIGTERM])
            .map_err(|error| Failure::defect(format!("cannot watch for interruptions: {error}")))?;
        let handle = signals.handle();
        let (path, json, progress) = (job.path().to_owned(), common.json, progress.clone());
        let writes = job.writes();
        std::thread::spawn(move || {
            let Some(signal) = signals.forever().next() else {
                return;
            };
            if !Job::exists(&path) {
                // It is finished; there is only the result to print.
                return;
            }
            progress.clear();
            // What is said to be stored is what will be found.
            let _held = writes.hold();
            let signal = u8::try_from(signal).unwrap_or_default();
            let failure = Failure::interrupted(signal, job::how_to_go_on(&path));
            output::failure(json, &failure);
            std::process::exit(failure.code().into());
        });
        Ok(Self(handle))
    }
}

#[cfg(unix)]
impl Drop for Watch {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Other systems end the process by themselves.
#[cfg(not(unix))]
pub(crate) struct Watch;

#[cfg(not(unix))]
impl Watch {
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn new(_: &Job, _: &Common, _: &Progress) -> Result<Self, Failure> {
        Ok(Self)
    }
}
