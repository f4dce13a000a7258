//! `man`: manual pages.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde::Serialize;

use super::args::{Args, Common, Man as ManArgs};
use super::{Ending, Failure, output, program};

#[derive(Serialize)]
struct ManJson {
    /// Without a directory to write to.
    page: Option<String>,
    /// With one.
    files: Option<Vec<String>>,
}

pub(crate) fn execute(args: &ManArgs, common: &Common) -> Result<Ending, Failure> {
    let mut command = Args::command();
    // With global options in every verb's page.
    command.build();
    match &args.output {
        None => {
            let page = String::from_utf8(page(&command)?).map_err(Failure::defect)?;
            let json = ManJson {
                page: Some(page.clone()),
                files: None,
            };
            output::done(common, &json, page.trim_end())
        }
        Some(directory) => {
            fs::create_dir_all(directory).map_err(|error| Failure::write(directory, &error))?;
            let mut files = Vec::new();
            write_pages(&command, directory, &mut files)?;
            let text = files.join("\n");
            let json = ManJson {
                page: None,
                files: Some(files),
            };
            output::done(common, &json, &text)
        }
    }
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let rendered = Man::new(command.clone()).render(&mut page);
    rendered.map_err(Failure::defect)?;
    Ok(page)
}

/// The page of a command and those of its verbs.
fn write_pages(command: &Command, to: &Path, files: &mut Vec<String>) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = to.join(format!("{name}.1"));
    program::write_whole(&path, &page(command)?)?;
    files.push(path.display().to_string());
    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
    {
        write_pages(verb, to, files)?;
    }
    Ok(())
}
