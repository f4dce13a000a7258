//! What goes to stdout and stderr, and in which words.

use std::io::{self, Write};

use serde::Serialize;
use zkbpf::{Outcome, SrsIdentity};

use super::args::Common;
use super::terminal::Rendered;
use super::{Ending, Failure, progress};

/// A failure as JSON.
#[derive(Serialize)]
struct FailureJson<'a> {
    error: &'a str,
    help: &'a str,
    exit_code: u8,
}

/// A trap as JSON.
#[derive(Serialize)]
pub(crate) struct TrapJson {
    kind: &'static str,
    pc: u32,
}

/// How a run ended, as fields of a JSON object.
#[derive(Serialize)]
pub(crate) struct OutcomeJson {
    outcome: &'static str,
    r0: Option<String>,
    trap: Option<TrapJson>,
}

impl From<Outcome> for OutcomeJson {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Halt { r0 } => Self {
                outcome: "halt",
                r0: Some(format!("{r0:#x}")),
                trap: None,
            },
            Outcome::Trap { kind, pc } => Self {
                outcome: "trap",
                r0: None,
                trap: Some(TrapJson {
                    kind: kind.name(),
                    pc,
                }),
            },
        }
    }
}

/// Parameters, as fields of a JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct SrsJson {
    pub(crate) srs: String,
    /// The ceremony that the string is known to come from.
    ceremony: Option<&'static str>,
    /// Whether anyone can forge proofs under them.
    pub(crate) insecure: bool,
}

impl From<SrsIdentity> for SrsJson {
    fn from(srs: SrsIdentity) -> Self {
        Self {
            srs: srs.to_string(),
            ceremony: srs.ceremony(),
            insecure: srs.is_insecure(),
        }
    }
}

impl SrsJson {
    /// In words.
    pub(crate) fn text(&self) -> String {
        match self.ceremony {
            Some(ceremony) => format!("{}, {ceremony}", self.srs),
            None => self.srs.clone(),
        }
    }

    /// What must be said of insecure ones, at the end of a text.
    pub(crate) fn warn(&self, text: &mut String) {
        if self.insecure {
            text.push_str(
                "\nINSECURE    the parameters are for tests: anyone can forge such proofs",
            );
        }
    }
}

/// A number of chunks, in words.
pub(crate) fn chunks(count: usize) -> String {
    match count {
        1 => "1 chunk".to_owned(),
        _ => format!("{count} chunks"),
    }
}

/// Prints a result: the object if JSON is wanted, else the text.
pub(crate) fn result(common: &Common, json: &impl Serialize, text: &str) -> Result<(), Failure> {
    if common.json {
        let object = serde_json::to_string(json).map_err(Failure::defect)?;
        return write_stdout(&object);
    }
    write_stdout(text)
}

/// Prints a result and is done.
pub(crate) fn done(common: &Common, json: &impl Serialize, text: &str) -> Result<Ending, Failure> {
    result(common, json, text)?;
    Ok(Ending::Done)
}

/// Says why nothing came of it, and what to do.
pub(crate) fn failure(json: bool, failure: &Failure) {
    progress::clear();
    // Nowhere is left to report that stderr is closed.
    let _ = write!(io::stderr().lock(), "{}", Rendered::new(failure));
    if json {
        failure_json(&failure.to_string(), failure.help(), failure.code());
    }
}

/// The same as an object on stdout.
pub(crate) fn failure_json(error: &str, help: &str, exit_code: u8) {
    let json = FailureJson {
        error,
        help,
        exit_code,
    };
    // Nowhere is left to report that stdout is closed.
    let _ = serde_json::to_string(&json).map(|object| write_stdout(&object));
}

fn write_stdout(text: &str) -> Result<(), Failure> {
    progress::clear();
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // Whoever reads has had enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| {
            Failure::other(format!("stdout: {error}"), "make room, or write elsewhere")
        }),
    }
}
