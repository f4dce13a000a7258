//! The solver, as a process that reads SMT-LIB: found, or installed once.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, io};

use ff::Field;
use halo2curves::bn256::Fr;

use super::UniquenessError;

/// The version that is installed where there is none.
pub const Z3_VERSION: &str = "5.4.1.0";

/// An SMT solver.
#[derive(Clone, Debug)]
pub struct Solver {
    program: PathBuf,
    version: String,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing satisfies it.
    Unsatisfiable,
    /// These values do.
    Model(HashMap<String, Fr>),
    /// Out of time, or worse.
    Unknown(String),
}

impl Solver {
    /// The solver that `ZKBPF_Z3` names, or `z3`, or the one under `parent`, a folder for build products,
    /// where it is installed with pip if it is not there.
    ///
    /// # Errors
    ///
    /// [`UniquenessError::Unavailable`] if there is none.
    pub fn find(parent: &Path) -> Result<Self, UniquenessError> {
        if let Some(path) = env::var_os("ZKBPF_Z3") {
            return Self::at(Path::new(&path));
        }
        Self::at(Path::new("z3")).or_else(|_| Self::at(&install(parent)?))
    }

    fn at(program: &Path) -> Result<Self, UniquenessError> {
        let failed = |error: &dyn std::fmt::Display| {
            UniquenessError::Unavailable(format!("{}: {error}", program.display()))
        };
        let output = Command::new(program)
            .arg("--version")
            .output()
            .map_err(|error| failed(&error))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || !version.starts_with("Z3") {
            return Err(failed(&"this is no Z3"));
        }
        Ok(Self {
            program: program.to_owned(),
            version,
        })
    }

    /// What it calls itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the assertions can be satisfied, and with which values of these names.
    pub(super) fn check(
        &self,
        assertions: &str,
        names: &[String],
        seconds: u32,
    ) -> Result<Answer, UniquenessError> {
        let failed = |error: io::Error| UniquenessError::Unavailable(format!("z3: {error}"));
        let mut process = Command::new(&self.program)
            .args(["-in", &format!("-T:{seconds}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut script = format!("{assertions}(check-sat)\n");
        if !names.is_empty() {
            script += &format!("(get-value ({}))\n", names.join(" "));
        }
        if let Some(mut stdin) = process.stdin.take() {
            // It may be out of time before it has read everything.
            let _ = stdin.write_all(script.as_bytes());
        }
        let output = process.wait_with_output().map_err(failed)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (answer, rest) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(match answer.trim() {
            "unsat" => Answer::Unsatisfiable,
            "sat" => model(rest).map_or_else(
                || Answer::Unknown(format!("not a model: {rest}")),
                Answer::Model,
            ),
            _ => Answer::Unknown(text.chars().take(200).collect()),
        })
    }
}

/// `((name value) …)`; a negative value is `(- value)`.
fn model(text: &str) -> Option<HashMap<String, Fr>> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().filter(|w| *w != "(" && *w != ")");
    let mut values = HashMap::new();
    while let Some(name) = words.next() {
        let word = words.next()?;
        let (negative, digits) = if word == "-" {
            (true, words.next()?)
        } else {
            (false, word)
        };
        let mut value = Fr::ZERO;
        for digit in digits.chars() {
            value = value * Fr::from(10) + Fr::from(u64::from(digit.to_digit(10)?));
        }
        values.insert(name.to_owned(), if negative { -value } else { value });
    }
    Some(values)
}

fn install(parent: &Path) -> Result<PathBuf, UniquenessError> {
    let directory = parent.join(format!("z3-{Z3_VERSION}"));
    let program = |at: &Path| at.join("bin/z3");
    let failed = |error: io::Error| UniquenessError::Unavailable(error.to_string());
    // Beside its place and then moved there: several tests and processes may do this at once.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if program(&directory).is_file() {
        return Ok(program(&directory));
    }
    let own = parent.join(format!("z3-{Z3_VERSION}-{}", std::process::id()));
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
        .arg(&own)
        .arg(format!("z3-solver=={Z3_VERSION}"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| UniquenessError::Unavailable(format!("python3: {error}")))?;
    if !output.status.success() || !program(&own).is_file() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(UniquenessError::Unavailable(format!(
            "pip install: {}",
            text.trim()
        )));
    }
    match fs::rename(&own, &directory) {
        Ok(()) => {}
        Err(_) if program(&directory).is_file() => fs::remove_dir_all(&own).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    }
    Ok(program(&directory))
}
