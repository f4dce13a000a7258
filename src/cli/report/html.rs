//! The report as a page for browsers: one file without scripts, which loads nothing.

use std::fmt::Write;

use super::{Fact, INSECURE, MEANING, Report, memory, time, version};

const STYLE: &str = "\
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #8884}
th{font-weight:normal;opacity:.75;white-space:nowrap}
td{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:.8rem;border:1px solid #8886;border-radius:4px}
.insecure{background:#b00020;color:#fff;font-weight:bold;padding:.8rem;border-radius:4px}
svg{width:100%;height:auto;font:12px system-ui,sans-serif}
svg text{fill:currentColor}
svg rect{fill:#3b7dd8}
svg rect.memory{fill:#2e9e6b}
footer{margin-top:2rem;opacity:.75}";

/// Width of a plot, of its labels, and of the figures behind its bars.
const WIDTH: f64 = 720.0;
const LABELS: f64 = 170.0;
const FIGURES: f64 = 190.0;
const LINE: f64 = 22.0;
/// Chunks that have a line of their own; more share the height of so many.
const CHUNK_LINES: f64 = 30.0;

pub(super) fn page(report: &Report<'_>) -> String {
    let title = escape(&report.title());
    let warning = match report.srs.insecure {
        true => format!(
            "<p class=\"insecure\" id=\"insecure\">{}</p>\n",
            escape(INSECURE)
        ),
        false => String::new(),
    };
    let times: Vec<_> = report.parts.iter().map(time_bar).collect();
    let memories: Vec<_> = report.parts.iter().filter_map(memory_bar).collect();
    let memory_plot = match memories.is_empty() {
        true => "<p>This system does not tell the memory of parts.</p>".to_owned(),
        false => bars("Greatest memory by part", "memory", &memories),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{warning}\
         <h2>What was proved</h2>\n<p>{}</p>\n{}\
         <h2>How to verify it</h2>\n<pre id=\"verify\">{}</pre>\n\
         <h2>Time</h2>\n{}\n<h3>Chunks</h3>\n{}\n<h2>Memory</h2>\n{memory_plot}\n\
         <h2>Sizes and figures</h2>\n{}\
         <footer>{}; the proof is in {}</footer>\n</body>\n</html>\n",
        escape(MEANING),
        table(&report.statement()),
        escape(report.verify_command),
        bars("Elapsed time by part", "time", &times),
        chunks(report),
        table(&report.figures()),
        escape(&version()),
        escape(&report.file.display().to_string()),
    )
}

fn table(facts: &[Fact]) -> String {
    let mut table = "<table>\n".to_owned();
    for (id, name, text) in facts {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            table,
            "<tr><th>{}</th><td id=\"{id}\">{}</td></tr>",
            escape(name),
            escape(text)
        );
    }
    table.push_str("</table>\n");
    table
}

/// A bar's label, length and figure.
type Bar = (String, f64, String);

fn time_bar(part: &super::Part) -> Bar {
    let cpu = part
        .cpu_seconds
        .map_or_else(String::new, |cpu| format!(", {} of processors", time(cpu)));
    (
        part.name.to_owned(),
        part.seconds,
        format!("{}{cpu}", time(part.seconds)),
    )
}

fn memory_bar(part: &super::Part) -> Option<Bar> {
    let bytes = part.peak_bytes?;
    Some((part.name.to_owned(), bytes as f64, memory(bytes)))
}

/// Lengths from 0 to the greatest.
fn bars(title: &str, class: &str, bars: &[Bar]) -> String {
    let greatest = bars
        .iter()
        .map(|(_, length, _)| *length)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut plot = begin(title, bars.len() as f64 * LINE);
    for (index, (label, length, figure)) in bars.iter().enumerate() {
        let top = index as f64 * LINE;
        let width = (length / greatest * (WIDTH - LABELS - FIGURES)).max(1.0);
        let (text, behind) = (top + 15.0, LABELS + width + 6.0);
        let _ = writeln!(
            plot,
            "<text x=\"0\" y=\"{text:.1}\">{}</text>\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"16\"/>\
             <text x=\"{behind:.1}\" y=\"{text:.1}\">{}</text>",
            escape(label),
            top + 3.0,
            escape(figure),
        );
    }
    plot.push_str("</svg>");
    plot
}

/// When each chunk was proved.
fn chunks(report: &Report<'_>) -> String {
    let count = report.chunks.len() as f64;
    let line = (CHUNK_LINES.min(count) * LINE / count.max(1.0)).max(1.0);
    let ends = report
        .chunks
        .iter()
        .filter_map(|chunk| chunk.span)
        .map(|(_, end)| end);
    let all = ends
        .max()
        .unwrap_or_default()
        .as_secs_f64()
        .max(f64::MIN_POSITIVE);
    let mut plot = begin("When each chunk was proved", line * count);
    for (index, chunk) in report.chunks.iter().enumerate() {
        let top = index as f64 * line;
        let text = top + 15.0;
        let figure = match chunk.span {
            None => "taken up".to_owned(),
            Some((start, end)) => time((end.saturating_sub(start)).as_secs_f64()),
        };
        let x =
            |at: std::time::Duration| LABELS + at.as_secs_f64() / all * (WIDTH - LABELS - FIGURES);
        let (from, to) = chunk
            .span
            .map_or((LABELS, LABELS), |(start, end)| (x(start), x(end)));
        let label = format!("chunk {index}: {} steps", chunk.steps);
        if chunk.span.is_some() {
            let _ = write!(
                plot,
                "<rect class=\"chunk\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
                 <title>{}, {}</title></rect>",
                top + line * 0.15,
                (to - from).max(1.0),
                line * 0.7,
                escape(&label),
                escape(&figure),
            );
        }
        // Lines that are too low for letters have the tooltip.
        if line >= LINE {
            let _ = write!(
                plot,
                "<text x=\"0\" y=\"{text:.1}\">{}</text><text x=\"{:.1}\" y=\"{text:.1}\">{}</text>",
                escape(&label),
                to + 6.0,
                escape(&figure)
            );
        }
        plot.push('\n');
    }
    plot.push_str("</svg>");
    plot
}

fn begin(title: &str, height: f64) -> String {
    let (title, height) = (escape(title), height.max(1.0));
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.1}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n"
    )
}

/// Text that is no markup, in elements and in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}
