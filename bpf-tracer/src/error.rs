//! What can go wrong before a program runs.

use crate::canonical::layout::MAX_REGION;
use crate::options::{Dialect, MAX_STACK_BYTES};
use crate::program::MAX_IMAGE_BYTES;

/// A program that cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum LoadError {
    #[error("the program has no instructions")]
    Empty,
    #[error("the bytecode is {len} bytes long, which is not a multiple of 8; is it raw bytecode?")]
    PartialSlot { len: usize },
    #[error("{what} takes more than {MAX_IMAGE_BYTES} bytes, the most that is supported")]
    TooLarge { what: &'static str },
    #[error(
        "a stack of {size} bytes is not possible: choose a multiple of 512 from 512 to {MAX_STACK_BYTES}"
    )]
    StackSize { size: u64 },
    #[error(
        "a heap of {size} bytes is not possible: choose a multiple of 8 up to {MAX_IMAGE_BYTES}"
    )]
    HeapSize { size: u64 },
    #[error("read-only data does not lie where the dialect has it: {reason}")]
    MisplacedRodata { reason: &'static str },
    #[error("raw bytecode has no symbols, so `{name}` cannot be its entry: drop the entry option")]
    EntryInRawBytecode { name: String },

    #[error("slot {pc}: opcode {opcode:#04x} does not exist in eBPF (RFC 9669)")]
    UnknownOpcode { pc: u32, opcode: u8 },
    #[error("slot {pc}: opcode {opcode:#04x} does not exist in {dialect}")]
    UnknownSbpfOpcode {
        pc: u32,
        opcode: u8,
        dialect: &'static str,
    },
    #[error(
        "slot {pc}: opcode {opcode:#04x} has no operation for source field {src}, offset {offset}, immediate {imm:#x}"
    )]
    UnknownVariant {
        pc: u32,
        opcode: u8,
        src: u8,
        offset: i16,
        imm: i32,
    },
    #[error("slot {pc}: the {field} field is reserved for opcode {opcode:#04x} and must be zero")]
    ReservedField {
        pc: u32,
        opcode: u8,
        field: &'static str,
    },
    #[error("slot {pc}: register {register} does not exist, there are r0 to r10")]
    InvalidRegister { pc: u32, register: u32 },
    #[error("slot {pc}: r10 is the frame pointer and cannot be written")]
    WriteToFramePointer { pc: u32 },
    #[error(
        "slot {pc}: opcode {opcode:#04x} is a legacy packet access (LD_ABS, LD_IND), which is not supported: read the packet through a pointer"
    )]
    LegacyPacketAccess { pc: u32, opcode: u8 },
    #[error("slot {pc}: lddw has no second slot")]
    TruncatedWideImmediate { pc: u32 },
    #[error("slot {pc}: what follows lddw is an instruction, not its second slot")]
    IncompleteWideImmediate { pc: u32 },
    #[error("slot {pc}: divides by the immediate 0")]
    ZeroDivisor { pc: u32 },
    #[error("slot {pc}: shifts by {shift}, which is not less than the width")]
    ShiftTooLarge { pc: u32, shift: i32 },
    #[error("slot {pc}: moves r10 by {imm}, which is not a multiple of 64")]
    UnalignedFrame { pc: u32, imm: i32 },
    #[error(
        "slot {pc}: lddw with source field {src} refers to a map or variable of a running kernel, which is not supported"
    )]
    PseudoWideImmediate { pc: u32, src: u8 },
    #[error("slot {pc}: its target, slot {target}, is outside the program")]
    TargetOutside { pc: u32, target: i64 },
    #[error("slot {pc}: its target, slot {target}, is the second half of an lddw")]
    TargetInsideWideImmediate { pc: u32, target: u32 },
    #[error("slot {pc}: helper {id} ({name}) is not available: no helpers are")]
    Helper {
        pc: u32,
        id: i32,
        name: &'static str,
    },
    #[error("slot {pc}: kernel function {id} (call with source field 2) is not available")]
    KernelFunction { pc: u32, id: i32 },

    #[error("not a usable ELF file: {reason}")]
    Elf { reason: String },
    #[error("the file is big-endian: compile with `-target bpfel`")]
    BigEndian,
    #[error(
        "the file is for ELF machine {machine}, not for BPF (247), nor a shared object for sBPF (263): compile with `-target bpf`"
    )]
    Machine { machine: u16 },
    #[error(
        "the file is of ELF type {kind}, not a relocatable object (1) or an sBPF shared object (3): give the object file that `clang -target bpf -c` writes, or what Solana's tools link"
    )]
    NotRelocatable { kind: u16 },
    #[error("not a usable sBPF file: {reason}")]
    Sbpf { reason: &'static str },
    #[error("the file is for sBPF version {version}; supported are 0 to 3")]
    SbpfVersion { version: u32 },
    #[error(
        "two functions, or a function and a system call, are both called by number {number:#x}"
    )]
    FunctionNumber { number: u32 },
    #[error("the file is {}, not {} as the options say", found.name(), wanted.name())]
    DialectMismatch { found: Dialect, wanted: Dialect },
    #[error("an sBPF file states its entry, so `{name}` cannot be chosen: drop the entry option")]
    EntryInSbpf { name: String },
    #[error("section `{section}`: its code is {len} bytes long, not a multiple of 8")]
    PartialSection { section: String, len: u64 },
    #[error("cannot choose an entry; name one of: {}", list(.symbols))]
    AmbiguousEntry { symbols: Vec<String> },
    #[error("there is no function `{name}` to enter; there are: {}", list(.symbols))]
    UnknownEntry { name: String, symbols: Vec<String> },
    #[error("`{name}` does not start at an instruction, so it cannot be the entry")]
    MisplacedEntry { name: String },
    #[error("`{name}` is used but not defined: link it into the object")]
    UndefinedSymbol { name: String },
    #[error(
        "section `{section}`, offset {offset:#x}: refers to `{name}`, which is in no section that is loaded (maps are not supported)"
    )]
    UnloadedSymbol {
        section: String,
        offset: u64,
        name: String,
    },
    #[error(
        "section `{section}`, offset {offset:#x}: relocation of type {kind} is not possible: {reason}"
    )]
    Relocation {
        section: String,
        offset: u64,
        kind: u32,
        reason: &'static str,
    },
}

fn list(symbols: &[String]) -> String {
    if symbols.is_empty() {
        "(none)".to_owned()
    } else {
        symbols.join(", ")
    }
}

/// A run that cannot start, or has no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum TraceError {
    #[error("an input region of {size} bytes is too large: at most {MAX_REGION} are possible")]
    InputTooLarge { size: u64 },
    #[error("slot {pc}: not provable yet: {name}")]
    Unprovable { pc: u32, name: &'static str },
}

/// Any error of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The run cannot start, or has no trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
}
