//! Bytecode to execution trace.
//!
//! ```text
//! ELF object or raw bytecode ─► Program (canonical table, memory image) ─► ExecutionTrace
//! ```
//!
//! A [`Program`] is loaded once: every instruction is checked, relocated and lowered into the
//! [canonical table](canonical), which interpreter and circuit share. A `Tracer` runs it and
//! records each `Step`.
//!
#![cfg_attr(feature = "vm", doc = "```")]
#![cfg_attr(not(feature = "vm"), doc = "```ignore")]
//! use bpf_tracer::{Input, LoadOptions, Outcome, Program, Tracer};
//!
//! // r0 = *(u64 *)(r1 + 0); r0 += 1; exit
//! let bytecode = [
//!     0x79, 0x10, 0, 0, 0, 0, 0, 0, //
//!     0x07, 0x00, 0, 0, 1, 0, 0, 0, //
//!     0x95, 0x00, 0, 0, 0, 0, 0, 0,
//! ];
//! let program = Program::load(&bytecode, &LoadOptions::default())?;
//! let input = Input::from_bytes(41_u64.to_le_bytes());
//! let trace = Tracer::new(&program).input(input).trace()?;
//!
//! assert_eq!(trace.outcome(), Outcome::Halt { r0: 42 });
//! assert_eq!(trace.steps().len(), 3);
//! assert_eq!(trace.steps()[1].operand, 1);
//! assert_eq!(program.disassemble(0), "r0 = *(u64 *)(r1 + 0x0)");
//! # Ok::<(), bpf_tracer::Error>(())
//! ```
//!
//! # Machine
//!
//! * Every instruction is one step, `exit` and one that traps included. Running past the last slot
//!   is a step too, at `pc` = number of slots. Reaching the step limit is none.
//! * A load or store may have any alignment. It must lie in one region that permits it;
//!   addresses wrap modulo 2^64, the end of an access does not.
//! * A call saves `r6` to `r10`, which its return restores, and adds [`Dialect::frame_growth`] to `r10`.
//!   eBPF checks the target of `callx` before the depth, sBPF the depth first.
//!
//! sBPF differs in this, as `solana-sbpf` has it:
//!
//! * What is refused is what its `RequisiteVerifier` refuses. Jumps go to instructions; calls and the
//!   entry may also go to the second slot of an `lddw`, where they trap.
//! * `callx` goes to the slot that its address falls into.
//! * The stack has [`MAX_FRAMES`] frames of [`SBPF_FRAME_BYTES`]. In v0 a gap as large follows each; an
//!   access that begins in a frame and runs past its end goes on in the next frame, and
//!   `ExecutionTrace::crosses_frames` says so.
//! * The limit is one of compute units: a step takes one, a [system call](Syscall) what it costs.
//!
//! # Features
//!
//! `vm` (default): the interpreter and the trace. Without it the crate only loads programs, which
//! is all that a verifier needs.
#![warn(clippy::arithmetic_side_effects)]

pub mod canonical;
mod disasm;
mod elf;
mod elf_sbpf;
mod encode;
mod environment;
mod error;
mod input;
pub mod instruction;
pub mod isa;
mod lower;
mod meaning;
#[cfg(feature = "vm")]
mod memory;
mod options;
mod program;
pub mod solana;
pub mod syscall;
#[cfg(feature = "vm")]
mod trace;
#[cfg(feature = "vm")]
mod vm;

pub use canonical::{Instruction, Op, Outcome, TrapKind};
pub use environment::{Environment, Pubkey};
pub use error::{Error, LoadError, TraceError};
pub use input::Input;
#[cfg(feature = "vm")]
pub use memory::PAGE_BYTES;
pub use options::{
    DEFAULT_COMPUTE_UNITS, DEFAULT_STEP_LIMIT, Dialect, FRAME_BYTES, LoadOptions, MAX_FRAMES,
    MAX_STACK_BYTES, SBPF_FRAME_BYTES, SBPF_HEAP_BYTES,
};
pub use program::{Interval, MAX_IMAGE_BYTES, Permission, Program, SbpfParts};
pub use syscall::Syscall;
#[cfg(feature = "vm")]
pub use trace::{Execution, ExecutionTrace, Step, Tracer, execute_and_trace};
