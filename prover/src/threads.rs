//! On which threads work is done.

use std::panic::resume_unwind;
use std::thread;

use rayon::ThreadPool;
use tracing::{Span, dispatcher};

use crate::config::KeygenConfig;
use crate::error::Error;

/// On as many threads as the configuration says.
pub(crate) fn of<T: Send>(
    config: &KeygenConfig,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    match config.threads() {
        None => work(),
        Some(threads) => pool(threads)?.install(work),
    }
}

/// On as many threads of its own, for work under a lock. One of rayon's threads that waits for a part of its work takes
/// up anything else meanwhile: under a lock, that may be what asks for the lock again. Here the caller takes up nothing,
/// and its threads have nothing else to do.
pub(crate) fn apart<T: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let pool = pool(threads)?;
    let (span, subscriber) = (Span::current(), dispatcher::get_default(Clone::clone));
    let work = || span.in_scope(work);
    let work = || dispatcher::with_default(&subscriber, work);
    thread::scope(|scope| {
        let waiting = thread::Builder::new().spawn_scoped(scope, || pool.install(work));
        let waiting = waiting.map_err(|error| failed(threads, &error))?;
        waiting.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn pool(threads: usize) -> Result<ThreadPool, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().map_err(|error| failed(threads, &error))
}

fn failed(threads: usize, error: &impl ToString) -> Error {
    Error::Threads {
        threads,
        reason: error.to_string(),
    }
}
