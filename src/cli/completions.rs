//! `completions`: what shells need to complete a command line.

use clap::CommandFactory;
use serde::Serialize;

use super::args::{Args, Common, Completions};
use super::{Ending, Failure, output};

#[derive(Serialize)]
struct CompletionsJson {
    shell: String,
    script: String,
}

pub(crate) fn execute(args: &Completions, common: &Common) -> Result<Ending, Failure> {
    let mut script = Vec::new();
    let mut command = Args::command();
    clap_complete::generate(args.shell, &mut command, "zkbpf", &mut script);
    let json = CompletionsJson {
        shell: args.shell.to_string(),
        script: String::from_utf8(script).map_err(Failure::defect)?,
    };
    output::done(common, &json, json.script.trim_end())
}
