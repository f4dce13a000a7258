//! What a job is about, part by part, so that a difference has a name.

use blake3::Hasher;
use bpf_tracer::{ExecutionTrace, Outcome};
use verifier::KeyId;
use zk_circuits::{Plan, Selection};

/// Names of the parts, as they stand in journals and errors.
const NAMES: [&str; 9] = [
    "program",
    "environment",
    "input",
    "budget",
    "outcome",
    "k",
    "key",
    "chunks",
    "chunking",
];

/// The claim of a run, and the shape in which it is proved. Values have no spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity([String; NAMES.len()]);

impl Identity {
    pub(crate) fn of(trace: &ExecutionTrace, plan: &Plan, key: KeyId) -> Self {
        let environment = trace.environment();
        let sysvars = environment.sysvars.iter();
        let sysvars: Vec<&[u8]> = sysvars
            .flat_map(|(address, value)| [&address[..], value])
            .collect();
        let environment = digest("environment", |parts| {
            parts.push(&environment.program_id);
            sysvars.iter().for_each(|part| parts.push(part));
        });
        let input = digest("input", |parts| {
            parts.push(&trace.input().bytes);
            parts.words(&[trace.input().region_len()]);
        });
        let outcome = digest("outcome", |parts| {
            match trace.outcome() {
                Outcome::Halt { r0 } => parts.words(&[0, r0]),
                Outcome::Trap { kind, pc } => parts.words(&[1, kind as u64, pc.into()]),
            }
            parts.words(&[trace.instruction_count(), trace.compute_units()]);
            parts.push(trace.output());
            parts.push(trace.return_data());
        });
        let chunks = plan.chunk_count();
        let steps: Vec<u64> = (0..chunks).map(|chunk| plan.chunk_steps(chunk)).collect();
        let chunking = digest("chunking", |parts| {
            parts.words(&steps);
            parts.words(plan.pages().pages());
            match plan.program_table().selection() {
                Selection::Whole => parts.push(b"whole"),
                Selection::Blocks(blocks) => parts.words(blocks),
            }
        });
        Self([
            hex::encode(trace.program().id()),
            environment,
            input,
            trace.step_limit().to_string(),
            outcome,
            plan.shape().k().to_string(),
            key.to_string(),
            chunks.to_string(),
            chunking,
        ])
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        NAMES.into_iter().zip(self.0.iter().map(String::as_str))
    }

    pub(super) fn parse<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut identity = Self(Default::default());
        for (name, value) in NAMES.iter().zip(&mut identity.0) {
            let line = lines.next()?.strip_prefix(name)?;
            line.strip_prefix(' ')?.clone_into(value);
        }
        Some(identity)
    }

    /// The first part that differs.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        self.parts()
            .zip(other.parts())
            .find_map(|(one, other)| (one != other).then_some(one.0))
    }

    #[cfg(test)]
    pub(super) fn sample() -> Self {
        Self(NAMES.map(|name| blake3::hash(name.as_bytes()).to_string()))
    }
}

/// Hashes parts, each with its length before it.
struct Parts(Hasher);

impl Parts {
    fn push(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn words(&mut self, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.push(&bytes);
    }
}

fn digest(what: &str, fill: impl FnOnce(&mut Parts)) -> String {
    let mut parts = Parts(Hasher::new_derive_key("zkbpf job identity v1"));
    parts.push(what.as_bytes());
    fill(&mut parts);
    parts.0.finalize().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_names() {
        let sample = Identity::sample();
        assert_eq!(sample.difference(&sample.clone()), None);
        for (part, name) in NAMES.into_iter().enumerate() {
            let mut changed = sample.clone();
            changed.0[part].push('0');
            assert_eq!(sample.difference(&changed), Some(name));
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: &[&[u8]]| digest("input", |all| parts.iter().for_each(|p| all.push(p)));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab"]), of(&[b"ab", b""]));
    }
}
