//! The command line `zkbpf`: docs/cli.md.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
