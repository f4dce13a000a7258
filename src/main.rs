//! The command line: `zkbpf run`, `keygen`, `prove`, `verify`, `inspect`, `cache`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
