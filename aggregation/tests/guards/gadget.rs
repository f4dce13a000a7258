//! The constraints of the gadget that links spans.

use crate::sites::{Mutator, Site, closing, split};

/// What adds a constraint.
const CALLS: [&str; 7] = [
    ".range_check(",
    ".check_less_than_safe(",
    ".assert_is_const(",
    ".assert_bit(",
    ".constrain_equal(",
    ".require_zero_when(",
    ".require_ordered(",
];

/// What constraints the functions of the gadget are made with, which are removed where they are called.
const HELPERS: [&str; 2] = ["require_zero_when", "require_ordered"];

/// Points that are equal on both sides of a link, in the order of the gadget, and their elements.
const POINTS: [&str; 6] = [
    "private memory",
    "public memory",
    "pages",
    "code",
    "immediate",
    "target",
];
const ELEMENTS: [&str; 4] = ["low x", "high x", "low y", "high y"];

impl Mutator<'_> {
    /// The statement around a position: where it begins, and where it ends.
    fn statement(&self, at: usize) -> (usize, usize) {
        let before = self.source[..at].rfind([';', '{', '}']);
        let start = before.map_or(0, |place| place + 1);
        let text = &self.source[start..at];
        let start = start + text.len() - text.trim_start().len();
        let open = at + self.source[at..].find('(').expect("a bracket");
        (start, closing(self.source, open) + 1)
    }

    /// The loop that a block is the body of: where what it is over begins, and where it ends.
    fn header(&self, block: usize) -> Option<(usize, usize)> {
        let head = self.source[..block].trim_end();
        let start = head.rfind("for ")?;
        // Nothing but the loop is between its keyword and its body.
        let is_loop = !head[start..].contains([';', '{', '}']);
        let over = start + head[start..].find(" in ")? + " in ".len();
        is_loop.then_some((over, head.len()))
    }

    /// Numbers what a loop runs over; the pattern is put beside the number.
    fn count(&mut self, (over, end): (usize, usize), name: &str) {
        let from = self.source[..over].rfind("for ").expect("a loop") + "for ".len();
        let pattern = &self.source[from..over - " in ".len()];
        let list = &self.source[over..end];
        let with = format!("({name}, {pattern}) in ({list}).into_iter().enumerate()");
        self.replace(from, end, with);
    }

    fn call(&mut self, at: usize) {
        let (start, end) = self.statement(at);
        if HELPERS.contains(&self.function(start).as_str()) {
            return;
        }
        let statement = self.source[start..end].to_owned();
        let block = self.block(start);
        let Some(header) = self.header(block) else {
            let number = self.site(start, statement.trim_end_matches(';'));
            let with = format!("if !crate::removed({number}) {{ {statement} }}");
            self.replace(start, end, with);
            return;
        };
        let call = statement.trim_end_matches(';');
        let list = &self.source[header.0..header.1];
        let number = if list.starts_with('[') {
            self.count(header, "place");
            let inside = &list[1..list.len() - 1];
            let parts: Vec<&str> = split(inside, ",")
                .into_iter()
                .map(|(_, part)| part.trim())
                .filter(|part| !part.is_empty())
                .collect();
            let numbers: Vec<usize> = parts
                .iter()
                .map(|part| self.site(start, &format!("{call} for {part}")))
                .collect();
            format!("{} + place", numbers[0])
        } else {
            // Elements of points that are linked.
            let outer = self.header(self.block(block)).expect("a loop over points");
            self.count(outer, "link");
            self.count(header, "element");
            let names = POINTS
                .iter()
                .flat_map(|point| ELEMENTS.map(|element| format!("{point}: {element}")));
            let numbers: Vec<usize> = names
                .map(|name| self.site(start, &format!("{call} for {name}")))
                .collect();
            format!("{} + {} * link + element", numbers[0], ELEMENTS.len())
        };
        let with = format!("if !crate::removed({number}) {{ {statement} }}");
        self.replace(start, end, with);
    }
}

/// The source with a switch around each of its constraints.
pub(crate) fn mutate(file: &'static str, source: &str) -> (String, Vec<Site>) {
    let mut mutator = Mutator::new(file, source, 0);
    for name in CALLS {
        for at in mutator.find_all(name) {
            mutator.call(at);
        }
    }
    mutator.finish()
}
