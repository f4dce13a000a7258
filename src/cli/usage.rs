//! What clap has to say about a command line: help, or why it cannot be read.

use std::path::Path;
use std::process::ExitCode;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Failure;
use super::output;

/// The exit code of a command line that makes no sense.
const USAGE: u8 = 2;

/// Prints it, as an object too if JSON was asked for.
pub(crate) fn explain(error: &Error) -> ExitCode {
    // Nothing is parsed, so it is looked for.
    let json = std::env::args_os()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json");
    if let Some(failure) = file_without_verb(error) {
        output::failure(json, &failure);
        return ExitCode::from(failure.code());
    }
    // clap knows whether colours are wanted. Nowhere is left to report that a stream is closed.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if json {
        let (message, help) = parts(error);
        output::failure_json(&message, &help, USAGE);
    }
    ExitCode::from(USAGE)
}

/// `zkbpf program.o`: the first thing that one tries.
fn file_without_verb(error: &Error) -> Option<Failure> {
    let ContextValue::String(name) = error.get(ContextKind::InvalidSubcommand)? else {
        return None;
    };
    Path::new(name).exists().then(|| {
        Failure::usage(
            format!("`{name}` is a file: what is to be done with it?"),
            format!("the verb comes first, for example: zkbpf run {name}"),
        )
    })
}

/// The message in one line, and what to do.
fn parts(error: &Error) -> (String, String) {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let message = "no verb is given".to_owned();
        return (message, "`zkbpf --help` lists them".to_owned());
    }
    let text = error.to_string();
    let in_a_line = |text: &str| {
        let words: Vec<_> = text.split_whitespace().collect();
        words.join(" ")
    };
    let (message, help) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message = message.strip_prefix("error: ").unwrap_or(message);
    (in_a_line(message), in_a_line(help))
}
