//! The checks of the verifier.

use crate::sites::{Mutator, Site, closing, split};

impl<'a> Mutator<'a> {
    /// `if a || b { return Err(…) }`: the refusal, and each of several conditions.
    fn refusals(&mut self, start: &str) {
        for at in self.find_all(start) {
            let end = at + self.source[at..].find(';').expect("a statement") + 1;
            let end = if self.source[at..end].contains(['(', '{']) {
                let open = at + self.source[at..].find(['(', '{']).expect("a bracket");
                closing(self.source, open) + 1
            } else {
                end
            };
            let block = self.block(at);
            let head = &self.source[..block];
            // The alternative of a pattern cannot be left out.
            let head_end = head.trim_end();
            if head_end.ends_with("else") || head_end.ends_with("=>") {
                continue;
            }
            let condition_at = head
                .rfind("if ")
                .map(|place| place + 3)
                .expect("a condition");
            let condition = self.source[condition_at..block].trim_end();
            let statement = self.source[at..end].to_owned();
            let refusal = statement
                .trim_start_matches("return ")
                .trim_end_matches(';');
            let refusal = refusal.split([' ', '{']).next().unwrap_or_default();
            let number = self.site(at, &format!("if {condition}: {refusal}"));
            self.replace(
                at,
                end,
                format!("if !crate::removed({number}) {{ {statement} }}"),
            );
            let parts = split(condition, " || ");
            if parts.len() > 1 && !condition.starts_with("let ") {
                for (offset, part) in parts {
                    let number = self.site(at, &format!("… || {part}: {refusal}"));
                    let from = condition_at + offset;
                    self.replace(
                        from,
                        from + part.len(),
                        format!("(!crate::removed({number}) && ({part}))"),
                    );
                }
            }
        }
    }

    /// `check_x(…)?;` and `verify_proof(…)?;`, whose result is nothing.
    fn statements(&mut self, start: &str) {
        for at in self.find_all(start) {
            let line = self.source[..at].rfind('\n').map_or(0, |place| place + 1);
            if !self.source[line..at].trim().is_empty() {
                continue;
            }
            let end = at + self.source[at..].find(';').expect("a statement") + 1;
            let statement = self.source[at..end].to_owned();
            if !statement.ends_with("?;") || statement.contains("\n}") {
                continue;
            }
            let name = statement.split(['(', ':']).next().unwrap_or_default();
            let number = self.site(at, &format!("{name}(…)?"));
            self.replace(
                at,
                end,
                format!("if !crate::removed({number}) {{ {statement} }}"),
            );
        }
    }

    /// `Err(…)` or a name for it as the last expression of a block that is `Ok(())` otherwise.
    fn results(&mut self, expression: &str) {
        for at in self.find_all(expression) {
            let open = at + expression.len() - 1;
            let end = if expression.ends_with('(') {
                closing(self.source, open)
            } else {
                at + expression.len()
            };
            let behind = self.source[end..].trim_start();
            let before = self.source[..at].trim_end();
            let is_last = behind.starts_with('}') && before.ends_with(['{', '}']);
            let is_arm = before.ends_with("=>") && behind.starts_with(',');
            // Not if what is returned otherwise is a value.
            let function = before.rsplit_once("\nfn ").map_or("", |(_, rest)| rest);
            let unit = function
                .split_once(") -> ")
                .is_some_and(|(_, result)| result.starts_with("Result<()"));
            if !(is_last || is_arm) || !unit {
                continue;
            }
            let text = self.source[at..end].to_owned();
            let number = self.site(at, &text);
            self.replace(at, end, format!("crate::pass({number}, {text})"));
        }
    }

    /// Rows of tables of conditions: `("name", a == b)`, `("name", out, into)`.
    fn rows(&mut self) {
        let opens = self.source.char_indices().filter(|(_, c)| *c == '(');
        for open in opens.map(|(at, _)| at).collect::<Vec<_>>() {
            let inside = self.source[open + 1..].trim_start();
            if !inside.starts_with('"') || self.source[..open].ends_with(char::is_alphanumeric) {
                continue;
            }
            let close = closing(self.source, open);
            let row = &self.source[open + 1..close - 1];
            let parts: Vec<(usize, &str)> = split(row, ",")
                .into_iter()
                .filter(|(_, part)| !part.trim().is_empty())
                .collect();
            let name = parts[0].1.trim().to_owned();
            let place = |(offset, part): (usize, &'a str)| {
                let skipped = part.len() - part.trim_start().len();
                (open + 1 + offset + skipped, part.trim())
            };
            match parts.as_slice() {
                [_, condition] => {
                    let (at, condition) = place(*condition);
                    let number = self.site(at, &name);
                    let all = split(condition, " && ");
                    let mut with = String::new();
                    for (index, (_, part)) in all.iter().enumerate() {
                        let part = part.trim();
                        let joined = if index == 0 { "" } else { " && " };
                        if all.len() == 1 {
                            with += part;
                        } else {
                            let number = self.site(at, &format!("{name}: {part}"));
                            with += &format!("{joined}(crate::removed({number}) || ({part}))");
                        }
                    }
                    let with = format!("crate::removed({number}) || ({with})");
                    self.replace(at, at + condition.len(), with);
                }
                [_, out, into] => {
                    let ((at, out), (into_at, into)) = (place(*out), place(*into));
                    let number = self.site(at, &format!("{name}: {out} = {into}"));
                    let with = format!("if crate::removed({number}) {{ {out} }} else {{ {into} }}");
                    self.replace(into_at, into_at + into.len(), with);
                }
                _ => {}
            }
        }
    }

    /// A condition with no refusal of its own: true if it is removed.
    fn condition(&mut self, condition: &str) {
        let found = self.find_all(condition);
        assert_eq!(found.len(), 1, "{}: '{condition}' is there once", self.file);
        let number = self.site(found[0], condition);
        let with = format!("(crate::removed({number}) || {condition})");
        self.replace(found[0], found[0] + condition.len(), with);
    }

    /// A value that is compared with zero.
    fn zero(&mut self, value: &str) {
        let found = self.find_all(value);
        let at = found[0] + value.find("instance").unwrap_or(0);
        let end = found[0] + value.trim_end_matches([',', ']']).len();
        let text = self.source[at..end].to_owned();
        let number = self.site(at, &format!("{text} = 0"));
        let with = format!("if crate::removed({number}) {{ 0 }} else {{ {text} }}");
        self.replace(at, end, with);
    }
}

/// The source with a switch around each of its checks, numbered from `first`.
pub(crate) fn mutate(file: &'static str, source: &str, first: usize) -> (String, Vec<Site>) {
    let mut mutator = Mutator::new(file, source, first);
    // Of proofs as data, only how hints are compared is a check of a chain.
    if file != "proof.rs" {
        for start in ["return Err(", "return None;", "return false;"] {
            mutator.refusals(start);
        }
        mutator.statements("check_");
        mutator.statements("verify_proof::<");
        mutator.results("Err(");
        mutator.results("impossible");
    }
    if file == "span.rs" {
        mutator.rows();
        mutator.condition("a.index.checked_add(self.chunks) == Some(b.index)");
        mutator.condition("(self.units == self.budget)");
        mutator.condition("kind != TrapKind::ExceededMaxInstructions");
        for value in [
            "[instance.slot_in,",
            " instance.steps_in,",
            " instance.units_in]",
        ] {
            mutator.zero(value);
        }
    }
    if file == "verify.rs" {
        mutator.condition("!is_identity");
        mutator.condition("point.to_bytes().as_ref() == bytes");
        mutator.condition("scalar.to_repr() == repr");
        mutator.condition("*n <= MAX_RETURN_DATA");
        mutator.condition("pc <= slots");
        mutator.condition("length <= region_size");
    }
    if file == "proof.rs" {
        for condition in ["pages", "input", "selection"] {
            mutator.condition(&format!("self.{condition} == other.{condition}"));
        }
    }
    if file == "aggregate.rs" {
        mutator.condition("y.square() == x.square() * x + Fq::from(3)");
        mutator.condition("!bool::from(point.is_identity())");
        mutator.condition("point.to_bytes().as_ref() == bytes");
    }
    mutator.finish()
}
