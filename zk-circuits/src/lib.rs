//! The chunk circuit of zkbpf: what it means that a fixed number of BPF steps was executed correctly.
//!
//! A program is written as [`Microcode`]: rows of a table that the verifier recomputes. A
//! [`Plan`] cuts an execution trace into chunks and knows the memory at every boundary; each chunk's
//! [`ChunkWitness`] fills one [`ChunkCircuit`], which is the same for all programs and inputs. Its
//! public values are a [`ChunkInstance`] and the commitments of the [`Committed`] columns.
//!
#![cfg_attr(feature = "vm", doc = "```")]
#![cfg_attr(not(feature = "vm"), doc = "```ignore")]
//! use zk_circuits::{Plan, Shape};
//!
//! // r0 = 42; r0 += r0; exit
//! let code = [0xb7, 0, 0, 0, 42, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let trace = bpf_tracer::execute_and_trace(&code)?;
//!
//! // Two steps a chunk, in circuits of 2^10 rows.
//! let plan = Plan::new(&trace, Shape::new(10, 8)?, Some(2))?;
//! assert_eq!((plan.chunk_count(), plan.chunk_steps(0), plan.chunk_steps(1)), (2, 2, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod bus;
mod cell;
mod chunk_circuit;
mod class;
mod cut;
#[cfg(feature = "dev")]
pub mod dev;
mod error;
mod instance;
mod machine;
mod microcode;
mod ops;
mod pages;
mod plan;
mod program_table;
pub mod shape;
mod size;
mod step;
mod syscalls;
mod tables;
mod witness;

pub use builder::MAX_DEGREE;
pub use bus::Bus;
pub use cell::{Cell, Row};
pub use chunk_circuit::{ChunkCircuit, ChunkColumns, ChunkConfig};
pub use class::Class;
pub use error::{ProgramError, ShapeError, WitnessError};
pub use instance::{ChunkInstance, STATUS_HALT, STATUS_RUNNING, STATUS_TRAP, VERSION};
pub use microcode::{MicroOp, Microcode, Mode, Place, rom};
pub use pages::PageList;
pub use plan::{MAX_BUDGET, Plan, Run};
pub use program_table::{ProgramTable, TableRow};
pub use shape::Shape;
pub use size::CircuitSize;
pub use witness::{
    ChunkWitness, RESERVED_ROWS, first_boundary, page_column, program_columns, public_words,
};

/// Which part of a program a program table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All of it: the commitments are those of the program, whatever the run.
    #[default]
    Whole,
    /// Blocks of [`BLOCK_ROWS`](shape::BLOCK_ROWS) micro-operations or read-only words, by number, in
    /// increasing order. Smaller tables, smaller circuits, commitments that depend on the run.
    Blocks(Vec<u64>),
}

/// The committed columns: the first advice columns of the circuit, whose commitments are the first
/// points of a proof. Neighbouring chunks and the verifier compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Committed {
    /// Private words at the chunk's entry.
    EntryPrivate = 0,
    /// Public words at the chunk's entry.
    EntryPublic = 1,
    /// Private words at the chunk's exit.
    ExitPrivate = 2,
    /// Public words at the chunk's exit.
    ExitPublic = 3,
    /// The page list.
    Pages = 4,
    /// The program table's codes.
    Code = 5,
    /// The program table's immediates.
    Immediate = 6,
    /// The program table's targets.
    Target = 7,
}

impl Committed {
    /// Number of committed columns.
    pub const COUNT: usize = 8;
    /// Every committed column, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::EntryPrivate,
        Self::EntryPublic,
        Self::ExitPrivate,
        Self::ExitPublic,
        Self::Pages,
        Self::Code,
        Self::Immediate,
        Self::Target,
    ];
}
