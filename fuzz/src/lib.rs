//! What fuzz targets share.
//!
//! A target is a test of this package: a function of bytes. These steer: they choose a valid seed, changes
//! to it and what is done with the result, so that a good part of all executions gets behind the outer
//! checks. `cargo test` runs every target on its stored corpus and on some random bytes; `cargo bolero`
//! runs the same tests under coverage guidance. See `docs/fuzzing.md`.

mod choices;
mod run;
pub mod seeds;
pub mod slots;
mod stats;

// Under coverage guidance, only what is linked with the fuzzer can be linked.
#[cfg(test)]
use bolero as _;

pub use choices::Choices;
pub use run::{check_image, run};
pub use stats::{Depth, Stats};
