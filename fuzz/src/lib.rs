//! Fuzz targets for everything that reads bytes of strangers.
//!
//! A target is a function of bytes. These steer: they choose a valid seed, changes to it and what is done
//! with the result, so that a good part of all executions gets behind the outer checks. The tests run
//! every target on its stored corpus and on some random bytes; `cargo bolero` runs the same tests under
//! coverage guidance. See `docs/fuzzing.md`.

mod choices;
pub mod elf;
pub mod raw;
mod run;
mod seeds;
mod slots;
mod stats;

// Under coverage guidance, only what is linked with the fuzzer can be linked.
#[cfg(test)]
use bolero as _;

pub use choices::Choices;
pub use stats::{Depth, Stats};
