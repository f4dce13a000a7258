//! Checks in a source, and how it is rewritten where they are.

use std::fmt;

/// A check: where it is, and its text.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    file: &'static str,
    function: String,
    text: String,
}

impl Site {
    /// What the names of the tests begin with that are written for it.
    pub(crate) fn module(&self) -> String {
        self.file.trim_end_matches("rs").replace('.', "::")
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<&str> = self.text.split_whitespace().collect();
        write!(f, "{} {}: {}", self.file, self.function, text.join(" "))
    }
}

/// A change of the source: these bytes are replaced.
struct Edit {
    from: usize,
    to: usize,
    with: String,
}

/// A source whose checks are found one after the other.
pub(crate) struct Mutator<'a> {
    pub(crate) file: &'static str,
    pub(crate) source: &'a str,
    first: usize,
    sites: Vec<Site>,
    edits: Vec<Edit>,
}

/// The position behind the bracket that closes the one at `open`.
pub(crate) fn closing(source: &str, open: usize) -> usize {
    let mut depth = 0usize;
    let mut characters = source[open..].char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    return open + at + 1;
                }
            }
            '"' => {
                characters.find(|(_, c)| *c == '"');
            }
            _ => {}
        }
    }
    panic!("a bracket is not closed")
}

/// The parts of a text between separators outside of brackets, with their positions.
pub(crate) fn split<'a>(text: &'a str, separator: &str) -> Vec<(usize, &'a str)> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0i32, 0);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(separator) => {
                parts.push((start, &text[start..at]));
                at += separator.len();
                start = at;
                continue;
            }
            _ => {}
        }
        at += 1;
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    parts.push((start, &text[start..]));
    parts
}

impl<'a> Mutator<'a> {
    /// No check of this source is known; the first one gets this number.
    pub(crate) fn new(file: &'static str, source: &'a str, first: usize) -> Self {
        Self {
            file,
            source,
            first,
            sites: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// The function that a position is in.
    pub(crate) fn function(&self, at: usize) -> String {
        let before = &self.source[..at];
        let (_, name) = before.rsplit_once("fn ").unwrap_or(("", "none"));
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
        name[..end.unwrap_or(name.len())].to_owned()
    }

    /// A check at this position: its number.
    pub(crate) fn site(&mut self, at: usize, text: &str) -> usize {
        self.sites.push(Site {
            file: self.file,
            function: self.function(at),
            text: text.to_owned(),
        });
        self.first + self.sites.len() - 1
    }

    /// These bytes are replaced.
    pub(crate) fn replace(&mut self, from: usize, to: usize, with: String) {
        self.edits.push(Edit { from, to, with });
    }

    /// Where this text is.
    pub(crate) fn find_all(&self, needle: &str) -> Vec<usize> {
        let found = self.source.match_indices(needle);
        found.map(|(at, _)| at).collect()
    }

    /// The block that a position is in: where its `{` is.
    pub(crate) fn block(&self, at: usize) -> usize {
        let mut depth = 0;
        for (place, c) in self.source[..at].char_indices().rev() {
            match c {
                '}' => depth += 1,
                '{' if depth == 0 => return place,
                '{' => depth -= 1,
                _ => {}
            }
        }
        panic!("no block")
    }

    /// The source with all replacements, and its checks.
    pub(crate) fn finish(mut self) -> (String, Vec<Site>) {
        self.edits.sort_by_key(|edit| edit.from);
        let mut text = String::new();
        let mut at = 0;
        for edit in &self.edits {
            assert!(edit.from >= at, "two changes overlap: {}", edit.with);
            text += &self.source[at..edit.from];
            text += &edit.with;
            at = edit.to;
        }
        text += &self.source[at..];
        (text, self.sites)
    }
}
