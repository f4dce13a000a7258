//! What was proved, and what it took, as a page to keep beside the proof.

pub(crate) mod command;
mod html;
mod markdown;
pub(crate) mod parts;

use std::path::{Path, PathBuf};

use zkbpf::ExecutionTrace;

use super::output::SrsJson;
use super::{Failure, program};
use parts::{ChunkTime, Part};

/// How the page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Html,
    Markdown,
}

/// Where a report goes to.
#[derive(Debug)]
pub(crate) struct Destination {
    path: PathBuf,
    format: Format,
}

impl Destination {
    /// Checked before minutes of work.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("html" | "htm") => Format::Html,
            Some("md" | "markdown") => Format::Markdown,
            _ => {
                return Err(Failure::usage(
                    "--report: the file's name must end in .html or .md",
                    "a page for browsers is .html, Markdown is .md",
                ));
            }
        };
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            return Err(Failure::usage(
                format!("--report: {} is no directory", parent.display()),
                "make it first, or write elsewhere",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            format,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, report: &Report<'_>) -> Result<(), Failure> {
        let page = match self.format {
            Format::Html => html::page(report),
            Format::Markdown => markdown::page(report),
        };
        program::write_whole(&self.path, page.as_bytes())
    }
}

/// What the page tells.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) trace: &'a ExecutionTrace,
    /// What the program was called on the command line.
    pub(crate) program: String,
    /// The proof file.
    pub(crate) file: &'a Path,
    pub(crate) k: u32,
    /// Bytes of the proof file, and of the proofs in it.
    pub(crate) proof_bytes: usize,
    pub(crate) chunk_proof_bytes: usize,
    pub(crate) parts: &'a [Part],
    pub(crate) chunks: &'a [ChunkTime],
    /// Greatest memory of all parts.
    pub(crate) peak_rss_bytes: Option<u64>,
    pub(crate) threads: usize,
    pub(crate) srs: &'a SrsJson,
    pub(crate) key: &'a str,
    pub(crate) verify_command: &'a str,
}

/// A line of a table: what it is called for programs that read the page, for people, and its text.
type Fact = (&'static str, &'static str, String);

impl Report<'_> {
    /// What verifiers can rely on.
    fn statement(&self) -> Vec<Fact> {
        let trace = self.trace;
        let digest = |bytes: &[u8]| format!("{}, {} bytes", blake3::hash(bytes), bytes.len());
        let environment = match trace.program().dialect().is_sbpf() {
            true => hex::encode(trace.environment().program_id),
            false => "none: eBPF programs see nothing".to_owned(),
        };
        vec![
            (
                "program-id",
                "program id",
                hex::encode(trace.program().id()),
            ),
            ("program", "program", self.program.clone()),
            (
                "dialect",
                "instruction set",
                trace.program().dialect().name().to_owned(),
            ),
            ("outcome", "outcome", trace.outcome().to_string()),
            ("steps", "steps", trace.instruction_count().to_string()),
            (
                "units",
                "compute units",
                format!(
                    "{} of at most {}",
                    trace.compute_units(),
                    trace.step_limit()
                ),
            ),
            ("input", "input (BLAKE3)", digest(&trace.input().bytes)),
            (
                "input-size",
                "input region",
                format!("{} bytes", trace.input().region_len()),
            ),
            ("output", "output (BLAKE3)", digest(trace.output())),
            (
                "return-data",
                "return data (BLAKE3)",
                digest(trace.return_data()),
            ),
            ("environment", "address in the environment", environment),
            ("srs", "parameters", self.srs.text()),
            ("key", "verifying key", self.key.to_owned()),
        ]
    }

    /// What it took, and how large it is.
    fn figures(&self) -> Vec<Fact> {
        let rest = self.proof_bytes.saturating_sub(self.chunk_proof_bytes);
        let steps = self.chunks.iter().map(|chunk| chunk.steps).max();
        let reused = self
            .chunks
            .iter()
            .filter(|chunk| chunk.span.is_none())
            .count();
        let seconds: f64 = self.parts.iter().map(|part| part.seconds).sum();
        vec![
            ("chunks", "chunks", self.chunks.len().to_string()),
            (
                "reused",
                "chunks taken up from an earlier start",
                reused.to_string(),
            ),
            (
                "k",
                "circuit",
                format!("2^{} rows (k = {})", self.k, self.k),
            ),
            (
                "chunk-size",
                "steps of the longest chunk",
                steps.unwrap_or_default().to_string(),
            ),
            (
                "proof-bytes",
                "proof file",
                format!("{} bytes", self.proof_bytes),
            ),
            (
                "chunk-proof-bytes",
                "proofs in it",
                format!("{} bytes", self.chunk_proof_bytes),
            ),
            (
                "rest-bytes",
                "input, pages and program selection",
                format!("{rest} bytes"),
            ),
            (
                "instructions",
                "instructions of the program",
                self.trace.program().instructions().len().to_string(),
            ),
            ("seconds", "elapsed time", time(seconds)),
            (
                "peak-rss",
                "greatest memory",
                self.peak_rss_bytes
                    .map_or_else(|| "not known on this system".to_owned(), memory),
            ),
            ("threads", "threads", self.threads.to_string()),
        ]
    }

    fn title(&self) -> String {
        format!("Proof of {}", self.program)
    }
}

/// What has to be said of insecure parameters.
const INSECURE: &str = "INSECURE: made with test parameters whose secret is public. Anyone can forge such a proof; it \
                        convinces nobody.";

/// What the statement means, in a sentence.
const MEANING: &str = "Whoever runs the command below, with the same program and input, is convinced that this program, \
                       started on this input, made exactly these steps and ended like this.";

fn time(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

fn memory(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

fn version() -> String {
    format!("zkbpf {}", env!("CARGO_PKG_VERSION"))
}
