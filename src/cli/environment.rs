//! The surroundings of a Solana program, from a file.

use zkbpf::{Dialect, Environment, environment_from_json};

use super::args::EnvironmentArgs;
use super::{Failure, program};

/// The environment that a file describes, or the default one.
pub(crate) fn load(args: &EnvironmentArgs, dialect: Dialect) -> Result<Environment, Failure> {
    let Some(path) = &args.environment else {
        return Ok(Environment::default());
    };
    if !dialect.is_sbpf() {
        return Err(Failure::usage(format!(
            "--environment has no meaning for {} programs",
            dialect.name()
        )));
    }
    environment_from_json(&program::read(path)?)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))
}
