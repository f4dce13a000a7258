//! The report as Markdown.

use std::fmt::Write;

use super::{Fact, INSECURE, MEANING, Report, memory, time, version};

/// Letters of the longest bar.
const BAR: f64 = 30.0;

pub(super) fn page(report: &Report<'_>) -> String {
    let mut page = format!("# {}\n\n", escape(&report.title()));
    if report.srs.insecure {
        let _ = write!(page, "> **{INSECURE}**\n\n");
    }
    let fence = fence(report.verify_command);
    // Writing to a string does not fail, here and below.
    let _ = write!(
        page,
        "## What was proved\n\n{MEANING}\n\n{}\n## How to verify it\n\n{fence}sh\n{}\n{fence}\n\n## Time\n\n\
         | part | elapsed | of processors | |\n|---|---|---|---|\n",
        table(&report.statement()),
        report.verify_command,
    );
    let longest = report
        .parts
        .iter()
        .map(|part| part.seconds)
        .fold(0.0, f64::max);
    for part in report.parts {
        let cpu = part.cpu_seconds.map(time).unwrap_or_default();
        let (name, seconds) = (part.name, time(part.seconds));
        let _ = writeln!(
            page,
            "| {name} | {seconds} | {cpu} | {} |",
            bar(part.seconds, longest)
        );
    }
    page.push_str("\n| chunk | steps | elapsed | |\n|---|---|---|---|\n");
    let elapsed = |chunk: &super::ChunkTime| {
        let (start, end) = chunk.span?;
        Some(end.saturating_sub(start).as_secs_f64())
    };
    let longest = report.chunks.iter().filter_map(elapsed).fold(0.0, f64::max);
    for (index, chunk) in report.chunks.iter().enumerate() {
        let seconds = elapsed(chunk);
        let figure = seconds.map_or_else(|| "taken up".to_owned(), time);
        let bar = bar(seconds.unwrap_or_default(), longest);
        let _ = writeln!(page, "| {index} | {} | {figure} | {bar} |", chunk.steps);
    }
    page.push_str("\n## Memory\n\n");
    let peaks = || {
        report
            .parts
            .iter()
            .filter_map(|part| Some((part.name, part.peak_bytes?)))
    };
    match peaks().map(|(_, bytes)| bytes).max() {
        None => page.push_str("This system does not tell the memory of parts.\n"),
        Some(most) => {
            page.push_str("| part | greatest | |\n|---|---|---|\n");
            for (name, bytes) in peaks() {
                let bar = bar(bytes as f64, most as f64);
                let _ = writeln!(page, "| {name} | {} | {bar} |", memory(bytes));
            }
        }
    }
    let _ = write!(
        page,
        "\n## Sizes and figures\n\n{}\n{}; the proof is in {}\n",
        table(&report.figures()),
        version(),
        escape(&report.file.display().to_string())
    );
    page
}

fn table(facts: &[Fact]) -> String {
    let mut table = "| | |\n|---|---|\n".to_owned();
    for (_, name, text) in facts {
        let _ = writeln!(table, "| {name} | {} |", escape(text));
    }
    table
}

fn bar(length: f64, longest: f64) -> String {
    if longest <= 0.0 {
        return String::new();
    }
    // At most the longest.
    "█".repeat((length / longest * BAR).round() as usize)
}

/// More backticks than there are in a row.
fn fence(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max();
    "`".repeat(longest.unwrap_or_default().max(2) + 1)
}

/// Text that is no markup, on one line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '>' | '#' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(escape("a|b_*<c>\n`d`"), r"a\|b\_\*&lt;c\> \`d\`");
        assert_eq!(fence("x"), "```");
        assert_eq!(fence("a````b`"), "`````");
        assert_eq!(bar(1.0, 3.0).chars().count(), 10);
        assert_eq!(bar(1.0, 0.0), "");
    }
}
