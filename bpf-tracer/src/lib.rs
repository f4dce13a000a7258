//! Bytecode to execution trace.
pub mod canonical;
