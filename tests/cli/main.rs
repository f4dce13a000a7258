//! Every verb of the command line, through the built binary.

#[path = "../asm/mod.rs"]
mod asm;
#[path = "../corpora/mod.rs"]
mod corpora;
#[path = "../../src/cli/documented/tables.rs"]
mod documented;
mod support;

mod cache;
mod errors;
mod json;
mod prove;
mod report;
mod run;
mod shell;
mod terminal;
mod trace;
mod usage;
mod verify;
