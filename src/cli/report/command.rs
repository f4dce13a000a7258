//! The command that verifies a proof that was just made.

use std::path::Path;

use zkbpf::{Outcome, SrsIdentity};

use super::super::args::{Common, Prove};

/// `zkbpf verify` with the same program and input, and the outcome that was proved.
pub(crate) fn verify(args: &Prove, common: &Common, outcome: Outcome, srs: SrsIdentity) -> String {
    let mut command = Line("zkbpf verify".to_owned());
    command.word(&name(&args.output));
    let program = &args.invocation.program;
    command.value("--program", program.program.as_deref().map(name));
    let load = &program.load;
    command.flag("--raw", load.raw);
    command.value("--raw-hex", load.raw_hex.clone());
    command.value("--isa", load.isa.map(|isa| isa.name().to_owned()));
    command.value("--entry", load.entry.clone());
    command.value("--stack-size", load.stack_size);
    command.value("--heap-size", load.heap_size);

    let input = &args.invocation.input;
    command.value("--input", input.input.as_deref().map(name));
    command.value("--input-hex", input.input_hex.clone());
    let none = (!input.is_given()).then_some(0);
    command.value("--input-size", input.input_size.or(none));
    command.value("--max-steps", args.invocation.limits.max_steps);
    let environment = &args.invocation.environment.environment;
    command.value("--environment", environment.as_deref().map(name));

    match outcome {
        Outcome::Halt { r0 } => command.value("--expect-r0", Some(format!("{r0:#x}"))),
        Outcome::Trap { kind, pc } => {
            command.value("--expect-trap", Some(format!("{}@{pc}", kind.name())));
        }
    }
    command.value("--srs", common.srs.as_deref().map(name));
    // Whoever exchanges the file chooses the secret.
    let digest = common.srs.is_some().then(|| hex::encode(srs.digest));
    command.value("--srs-digest", digest);
    command.flag("--insecure-test-srs", common.insecure_test_srs);
    command.value("--cache-dir", common.cache_dir.as_deref().map(name));
    command.0
}

/// A path that no option can be mistaken for.
fn name(path: &Path) -> String {
    let name = path.display().to_string();
    match name.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => format!("./{name}"),
        _ => name,
    }
}

/// A command line.
struct Line(String);

impl Line {
    fn word(&mut self, word: &str) {
        self.0.push(' ');
        self.0.push_str(&quoted(word));
    }

    fn flag(&mut self, option: &str, is_set: bool) {
        if is_set {
            self.word(option);
        }
    }

    fn value(&mut self, option: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.word(option);
            self.word(&value.to_string());
        }
    }
}

/// For POSIX shells.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_shells() {
        for (word, expected) in [
            ("a.o", "a.o"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
        assert_eq!(name(Path::new("-o")), "./-o");
        assert_eq!(name(Path::new("-")), "-");
    }
}
