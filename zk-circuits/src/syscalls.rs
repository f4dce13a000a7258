//! System calls as microcode: no constraints of their own, only sequences of micro-operations.
//!
//! What each does, in which order it checks and what it costs is said in `bpf_tracer`'s interpreter of
//! them; the two are compared by tests. A call's slot goes to the call's routine, which all calls of one
//! program share, and which returns to the slot after the instruction.
//!
//! *Hidden memory* is what no access of a program reaches: constants (sysvars, the program's own
//! address) among the read-only words, and return data in the public lane.

mod copy;
mod log;
mod routine;
mod runtime;
mod sysvar;

use std::ops::Range;

use bpf_tracer::canonical::layout::{MAX_RETURN_DATA, RETURN_DATA_BASE};
use bpf_tracer::{Environment, Interval, Permission, Pubkey, Syscall};

use crate::microcode::{Assembler, MicroOp};
use crate::ops::mov;
use routine::Routine;

/// Address of the constants: behind every region.
pub(crate) const CONSTANTS_BASE: u64 = 6 << 32;

/// Constants and permissions of hidden memory.
#[derive(Clone, Debug)]
pub(crate) struct HiddenMemory {
    constants: Vec<u8>,
    /// Where each sysvar is, by its address in the Solana sense, for `sol_get_sysvar`.
    sysvars: Vec<(Pubkey, Range<u64>)>,
    /// Where clock and rent are as their own calls write them, if the environment has them.
    clock: Option<u64>,
    rent: Option<u64>,
    program_id: Pubkey,
    has_return_data: bool,
}

impl HiddenMemory {
    /// What these calls can reach.
    pub(crate) fn new(calls: &[Syscall], environment: &Environment) -> Self {
        let mut hidden = Self {
            constants: Vec::new(),
            sysvars: Vec::new(),
            clock: None,
            rent: None,
            program_id: environment.program_id,
            has_return_data: calls
                .iter()
                .any(|call| matches!(call, Syscall::SetReturnData | Syscall::GetReturnData)),
        };
        if calls.contains(&Syscall::GetClockSysvar) {
            hidden.clock =
                hidden.put_struct(environment, &Environment::CLOCK, Environment::CLOCK_BYTES);
        }
        if calls.contains(&Syscall::GetRentSysvar) {
            hidden.rent =
                hidden.put_struct(environment, &Environment::RENT, Environment::RENT_BYTES);
        }
        if calls.contains(&Syscall::GetSysvar) {
            for (name, bytes) in &environment.sysvars {
                let start = hidden.put(bytes);
                let range = start..start + bytes.len() as u64;
                hidden.sysvars.push((*name, range));
            }
        }
        hidden
    }

    /// The bytes at [`CONSTANTS_BASE`]; a multiple of 8.
    pub(crate) fn constants(&self) -> &[u8] {
        &self.constants
    }

    /// Adds constants, zero-padded to words; gives their address.
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let start = CONSTANTS_BASE + self.constants.len() as u64;
        self.constants.extend(bytes);
        let padded = self.constants.len().next_multiple_of(8);
        self.constants.resize(padded, 0);
        start
    }

    /// Adds the first bytes of a sysvar; one that is shorter is none.
    fn put_struct(&mut self, from: &Environment, name: &Pubkey, bytes: usize) -> Option<u64> {
        let sysvar = from.sysvars.get(name)?.get(..bytes)?;
        Some(self.put(sysvar))
    }

    /// What system calls may read and write.
    pub(crate) fn intervals(&self) -> Vec<Interval> {
        let interval = |base: u64, len: u64, permission| Interval {
            start: base.into(),
            end: u128::from(base) + u128::from(len),
            permission,
            open_end: false,
        };
        let mut intervals = Vec::new();
        if self.has_return_data {
            intervals.push(interval(
                RETURN_DATA_BASE,
                8 + MAX_RETURN_DATA,
                Permission::ReadWrite,
            ));
        }
        if !self.constants.is_empty() {
            let len = self.constants.len() as u64;
            intervals.push(interval(CONSTANTS_BASE, len, Permission::Read));
        }
        intervals
    }
}

/// The micro-operation at the slot of a call.
pub(crate) fn expand(assembler: &mut Assembler<'_>, call: Syscall) -> MicroOp {
    let mut routine = Routine::default();
    match call {
        Syscall::Abort => runtime::abort(&mut routine),
        Syscall::Panic => log::panic(&mut routine),
        Syscall::Log => log::text(&mut routine),
        Syscall::Log64 => log::numbers(&mut routine),
        Syscall::LogPubkey => log::pubkey(&mut routine),
        Syscall::LogComputeUnits => log::compute_units(&mut routine),
        Syscall::Memcpy => copy::memcpy(&mut routine),
        Syscall::Memmove => copy::memmove(&mut routine),
        Syscall::Memset => copy::memset(&mut routine),
        Syscall::Memcmp => copy::memcmp(&mut routine),
        Syscall::GetClockSysvar => sysvar::clock(&mut routine, assembler.hidden()),
        Syscall::GetRentSysvar => sysvar::rent(&mut routine, assembler.hidden()),
        Syscall::GetSysvar => sysvar::any(&mut routine, assembler.hidden()),
        Syscall::SetReturnData => runtime::set_return_data(&mut routine),
        Syscall::GetReturnData => {
            runtime::get_return_data(&mut routine, &assembler.hidden().program_id);
        }
        Syscall::AllocFree => {
            runtime::alloc_free(&mut routine, assembler.program().data().len() as u64);
        }
        Syscall::GetStackHeight => runtime::stack_height(&mut routine),
        Syscall::RemainingComputeUnits => runtime::remaining_compute_units(&mut routine),
    }
    mov::go(assembler.continuation(routine.finish()))
}
