//! Whether docs/cli.md has every verb and option that clap knows, and no others; and the fields of what no test can
//! afford to print.

mod tables;

use std::collections::BTreeSet;

use clap::{Arg, Command, CommandFactory};

pub(super) use tables::assert_documented;

use super::args::Args;

const PAGE: &str = include_str!("../../docs/cli.md");
const HEADER: &str = "| option | meaning |";
const COMMON: &str = "### Options of every verb";

/// The options in the first cells of a table: `-o`, `--output`.
fn documented(heading: &str) -> BTreeSet<String> {
    let rows = tables::table(heading, HEADER);
    let cells = rows.iter().flat_map(|(cell, _)| cell.split(", "));
    let words = cells.filter_map(|cell| cell.trim_matches('`').split(' ').next());
    words.map(str::to_owned).collect()
}

fn names(arg: &Arg) -> impl Iterator<Item = String> {
    let long = arg.get_long().map(|long| format!("--{long}"));
    long.into_iter()
        .chain(arg.get_short().map(|short| format!("-{short}")))
}

fn options<'a>(args: impl Iterator<Item = &'a Arg>) -> BTreeSet<String> {
    args.flat_map(names).collect()
}

fn section(verb: &str) -> &'static str {
    let start = format!("\n## `{verb}`\n");
    let (_, rest) = PAGE
        .split_once(&start)
        .unwrap_or_else(|| panic!("no section of {verb}"));
    rest.split("\n## ").next().unwrap_or_default()
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
}

#[test]
fn every_verb_has_a_section() {
    let command = Args::command();
    let known: BTreeSet<_> = verbs(&command).map(Command::get_name).collect();
    let headings = PAGE.lines().filter_map(|line| line.strip_prefix("## `"));
    let documented: BTreeSet<_> = headings.map(|line| line.trim_end_matches('`')).collect();
    assert_eq!(documented, known);
    for verb in verbs(&command) {
        let name = verb.get_name();
        let usage = format!("`zkbpf {name}");
        assert!(section(name).contains(&usage), "{usage}");
        for argument in verb.get_positionals() {
            for value in argument.get_value_names().unwrap_or_default() {
                assert!(section(name).contains(value.as_str()), "{name} {value}");
            }
        }
        for verb in verbs(verb) {
            let usage = format!("{name} {}`", verb.get_name());
            assert!(section(name).contains(&usage), "{usage}");
        }
    }
}

#[test]
fn every_option_is_in_the_table_of_its_verb() {
    let mut command = Args::command();
    let global = options(command.get_arguments());
    command.build();
    assert_eq!(
        documented(COMMON),
        &global | &options(command.get_arguments())
    );
    let everywhere = documented(COMMON);
    for verb in verbs(&command) {
        let name = verb.get_name();
        let mut found = documented(&format!("## `{name}`"));
        for group in ["programs", "inputs", "limits", "surroundings", "chunks"] {
            if section(name).contains(&format!("(#options-of-{group})")) {
                found.extend(documented(&format!("### Options of {group}")));
            }
        }
        assert!(found.is_disjoint(&everywhere), "{name}");
        let known = options(verb.get_arguments());
        let own: BTreeSet<_> = known.difference(&everywhere).cloned().collect();
        assert_eq!(found, own, "{name}");
    }
}

/// Values that are choices are named in the row.
#[test]
fn every_choice_is_named() {
    let mut command = Args::command();
    command.build();
    for verb in verbs(&command) {
        for argument in verb
            .get_arguments()
            .filter(|argument| !argument.is_hide_set())
        {
            let Some(long) = argument
                .get_long()
                .filter(|_| argument.get_action().takes_values())
            else {
                continue;
            };
            let start = format!("`--{long} ");
            let rows: Vec<_> = PAGE
                .lines()
                .filter(|line| line.starts_with("| ") && line.contains(&start))
                .collect();
            assert!(!rows.is_empty(), "--{long} has no value in the table");
            for choice in argument.get_possible_values() {
                let choice = format!("`{}`", choice.get_name());
                assert!(
                    rows.iter().any(|row| row.contains(&choice)),
                    "--{long}: {choice}"
                );
            }
        }
    }
}
