//! What stderr can show.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal};

use miette::{
    Diagnostic, GraphicalTheme, MietteHandler, MietteHandlerOpts, ReportHandler, ThemeCharacters,
    ThemeStyles,
};

use super::args::Common;

/// Whether somebody watches.
fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether colours are wanted: on a terminal that has them, unless `NO_COLOR` is set (no-color.org).
pub(crate) fn colours() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    is_terminal() && set("NO_COLOR").is_none() && set("TERM").as_deref() != Some(OsStr::new("dumb"))
}

/// Whether progress is shown: to somebody who watches, and where logs do not tear it apart.
pub(crate) fn shows_progress(common: &Common) -> bool {
    !common.quiet && !common.json && common.verbose == 0 && is_terminal()
}

/// An error with its help, as miette renders it: wrapped on terminals, one line each elsewhere.
pub(crate) struct Rendered<'a> {
    handler: MietteHandler,
    diagnostic: &'a dyn Diagnostic,
}

impl<'a> Rendered<'a> {
    pub(crate) fn new(diagnostic: &'a dyn Diagnostic) -> Self {
        let characters = ThemeCharacters {
            error: "error:".to_owned(),
            // In front of the second and further lines.
            vbar: ' ',
            ..ThemeCharacters::ascii()
        };
        let styles = match colours() {
            true => ThemeStyles::ansi(),
            false => ThemeStyles::none(),
        };
        let handler = MietteHandlerOpts::new()
            .force_graphical(true)
            .terminal_links(false)
            .graphical_theme(GraphicalTheme { characters, styles })
            // Paths are to be copied.
            .break_words(false)
            .wrap_lines(is_terminal())
            .build();
        Self {
            handler,
            diagnostic,
        }
    }
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handler.debug(self.diagnostic, f)
    }
}
