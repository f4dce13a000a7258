//! What Solana's system calls do, one function each: Agave 4.0's order of checks, costs and results.
//!
//! The rules that they share:
//! * `r1` to `r5` are the arguments and stay as they are; `r0` becomes the result.
//! * A call first pays. If that is more than what is left, everything that is left is gone and the
//!   call traps with [`TrapKind::ComputationalBudgetExceeded`].
//! * A range of no bytes may be anywhere. Otherwise it must lie in one region that permits the access,
//!   to the byte; a range on sBPF v0's stack may run on over the gap into the next frame, as loads may.
//!   A range to read of more than 2^63 - 1 bytes is a [`TrapKind::InvalidLength`].
//! * A number or struct must also be aligned, which is checked after its range.
//! * A call that traps has written nothing.
//! * Logs are checked and paid for, but no part of a trace.

use super::Machine;
use crate::canonical::TrapKind;
use crate::canonical::layout::{DATA_BASE, MAX_RETURN_DATA};
use crate::environment::{Environment, Pubkey};
use crate::memory::{Memory, Place};
use crate::syscall::{Syscall, cost};

type Result<T> = std::result::Result<T, TrapKind>;

/// What most calls return.
const SUCCESS: u64 = 0;
/// `sol_get_sysvar`: the sysvar is shorter than that.
const BEYOND_SYSVAR: u64 = 1;
/// `sol_get_sysvar`: there is no such sysvar.
const NO_SYSVAR: u64 = 2;
/// Bytes of an address of the chain.
const PUBKEY_BYTES: u64 = size_of::<Pubkey>() as u64;
/// What `sol_get_rent_sysvar` writes: the parameters, padded to a multiple of their alignment.
const PADDED_RENT_BYTES: usize = 24;
const SYSVAR_ALIGNMENT: u64 = 8;
const HEAP_ALIGNMENT: u64 = 8;
/// Largest layout that an allocator is asked for.
const MAX_LAYOUT: u64 = isize::MAX as u64;

impl Machine<'_> {
    /// Makes the call and returns its result.
    pub(super) fn syscall(&mut self, syscall: Syscall) -> Result<u64> {
        let [_, a, b, c, d, ..] = self.registers;
        match syscall {
            Syscall::Abort => Err(TrapKind::Abort),
            Syscall::Panic => self.panic(a, b),
            Syscall::Log => self.log(a, b),
            Syscall::Log64 => self.pay(cost::LOG_64).map(|()| SUCCESS),
            Syscall::LogPubkey => self.log_pubkey(a),
            Syscall::LogComputeUnits => self.pay(cost::BASE).map(|()| SUCCESS),
            Syscall::Memcpy => self.memcpy(a, b, c),
            Syscall::Memmove => self.memmove(a, b, c),
            Syscall::Memset => self.memset(a, b as u8, c),
            Syscall::Memcmp => self.memcmp(a, b, c, d),
            Syscall::GetClockSysvar => self.get_clock_sysvar(a),
            Syscall::GetRentSysvar => self.get_rent_sysvar(a),
            Syscall::GetSysvar => self.get_sysvar(a, b, c, d),
            Syscall::SetReturnData => self.set_return_data(a, b),
            Syscall::GetReturnData => self.get_return_data(a, b, c),
            Syscall::AllocFree => Ok(self.alloc_free(a, b)),
            Syscall::GetStackHeight => self.pay(cost::BASE).map(|()| 1),
            Syscall::RemainingComputeUnits => self.pay(cost::BASE).map(|()| self.remaining),
        }
    }

    fn pay(&mut self, units: u64) -> Result<()> {
        let (paid, result) = match self.remaining.checked_sub(units) {
            Some(_) => (units, Ok(())),
            None => (self.remaining, Err(TrapKind::ComputationalBudgetExceeded)),
        };
        self.remaining = self.remaining.wrapping_sub(paid);
        self.paid = self.paid.wrapping_add(paid);
        result
    }

    fn readable(&mut self, address: u64, len: u64) -> Result<Place> {
        if len == 0 {
            Ok(Place::EMPTY)
        } else if isize::try_from(len).is_err() {
            Err(TrapKind::InvalidLength)
        } else {
            let place = self.memory.find(address, len, false);
            place.ok_or(TrapKind::AccessViolation)
        }
    }

    fn writable(&mut self, address: u64, len: u64) -> Result<Place> {
        if len == 0 {
            return Ok(Place::EMPTY);
        }
        let place = self.memory.find(address, len, true);
        place.ok_or(TrapKind::AccessViolation)
    }

    fn writable_aligned(&mut self, address: u64, len: u64, alignment: u64) -> Result<Place> {
        let place = self.writable(address, len)?;
        if address.is_multiple_of(alignment) {
            Ok(place)
        } else {
            Err(TrapKind::UnalignedPointer)
        }
    }

    /// A readable range that must hold UTF-8.
    fn text(&mut self, address: u64, len: u64) -> Result<()> {
        let place = self.readable(address, len)?;
        match str::from_utf8(self.memory.bytes(place)) {
            Ok(_) => Ok(()),
            Err(_) => Err(TrapKind::InvalidString),
        }
    }

    /// Costs a unit a byte of the message.
    fn panic(&mut self, message: u64, len: u64) -> Result<u64> {
        self.pay(len)?;
        self.text(message, len)?;
        Err(TrapKind::Panic)
    }

    /// Costs a unit a byte, at least [`cost::BASE`].
    fn log(&mut self, message: u64, len: u64) -> Result<u64> {
        self.pay(len.max(cost::BASE))?;
        self.text(message, len)?;
        Ok(SUCCESS)
    }

    fn log_pubkey(&mut self, address: u64) -> Result<u64> {
        self.pay(cost::LOG_PUBKEY)?;
        let place = self.readable(address, PUBKEY_BYTES)?;
        self.memory.bytes(place);
        Ok(SUCCESS)
    }

    fn pay_for_bytes(&mut self, len: u64) -> Result<()> {
        self.pay(units_of(len).max(cost::MEM_OP_BASE))
    }

    /// The overlap is one of addresses, and comes before the ranges.
    fn memcpy(&mut self, to: u64, from: u64, len: u64) -> Result<u64> {
        self.pay_for_bytes(len)?;
        if to.abs_diff(from) < len {
            return Err(TrapKind::CopyOverlapping);
        }
        self.copy(to, from, len)
    }

    fn memmove(&mut self, to: u64, from: u64, len: u64) -> Result<u64> {
        self.pay_for_bytes(len)?;
        self.copy(to, from, len)
    }

    fn copy(&mut self, to: u64, from: u64, len: u64) -> Result<u64> {
        let to = self.writable(to, len)?;
        let from = self.readable(from, len)?;
        self.memory.copy(from, to);
        Ok(SUCCESS)
    }

    fn memset(&mut self, to: u64, byte: u8, len: u64) -> Result<u64> {
        self.pay_for_bytes(len)?;
        let to = self.writable(to, len)?;
        self.memory.bytes_mut(to).fill(byte);
        Ok(SUCCESS)
    }

    /// Writes the difference of the first bytes that differ, 0 if none do, as 32 bits.
    fn memcmp(&mut self, first: u64, second: u64, len: u64, to: u64) -> Result<u64> {
        self.pay_for_bytes(len)?;
        let first = self.readable(first, len)?;
        let second = self.readable(second, len)?;
        let to = self.writable_aligned(to, size_of::<i32>() as u64, align_of::<i32>() as u64)?;
        let first = self.memory.bytes(first).to_vec();
        let pairs = first.iter().zip(self.memory.bytes(second));
        let difference = pairs
            .map(|(first, second)| i32::from(*first).wrapping_sub((*second).into()))
            .find(|difference| *difference != 0)
            .unwrap_or(0);
        write(&mut self.memory, to, &difference.to_le_bytes());
        Ok(SUCCESS)
    }

    fn get_clock_sysvar(&mut self, to: u64) -> Result<u64> {
        self.get_sysvar_struct::<{ Environment::CLOCK_BYTES }>(
            to,
            Environment::CLOCK,
            Environment::CLOCK_BYTES,
        )
    }

    fn get_rent_sysvar(&mut self, to: u64) -> Result<u64> {
        self.get_sysvar_struct::<PADDED_RENT_BYTES>(to, Environment::RENT, Environment::RENT_BYTES)
    }

    /// Writes the first `len` bytes of a sysvar, padded with zeros to `SIZE`. Costs
    /// [`cost::SYSVAR_BASE`] and a unit a byte.
    fn get_sysvar_struct<const SIZE: usize>(
        &mut self,
        to: u64,
        id: Pubkey,
        len: usize,
    ) -> Result<u64> {
        self.pay(cost::SYSVAR_BASE.wrapping_add(SIZE as u64))?;
        let to = self.writable_aligned(to, SIZE as u64, SYSVAR_ALIGNMENT)?;
        let sysvar = self.environment.sysvars.get(&id);
        let bytes = sysvar
            .and_then(|sysvar| sysvar.get(..len))
            .ok_or(TrapKind::UnsupportedSysvar)?;
        let mut padded = [0; SIZE];
        for (to, byte) in padded.iter_mut().zip(bytes) {
            *to = *byte;
        }
        write(&mut self.memory, to, &padded);
        Ok(SUCCESS)
    }

    /// Returns 2 if there is no such sysvar, 1 if it is too short; then nothing is written.
    fn get_sysvar(&mut self, id: u64, to: u64, offset: u64, len: u64) -> Result<u64> {
        let id_units = units_of(PUBKEY_BYTES);
        let len_units = units_of(len).max(cost::MEM_OP_BASE);
        self.pay(
            cost::SYSVAR_BASE
                .saturating_add(id_units)
                .saturating_add(len_units),
        )?;
        let to = self.writable(to, len)?;
        let id = self.readable(id, PUBKEY_BYTES)?;
        let end = offset
            .checked_add(len)
            .ok_or(TrapKind::ArithmeticOverflow)?;
        let id = self.memory.bytes(id).first_chunk().copied();
        let Some(sysvar) = id.and_then(|id: Pubkey| self.environment.sysvars.get(&id)) else {
            return Ok(NO_SYSVAR);
        };
        let Some(bytes) = sysvar.get(offset as usize..end as usize) else {
            return Ok(BEYOND_SYSVAR);
        };
        write(&mut self.memory, to, bytes);
        Ok(SUCCESS)
    }

    /// Costs [`cost::BASE`] and a unit for each [`cost::BYTES_PER_UNIT`] bytes.
    fn set_return_data(&mut self, address: u64, len: u64) -> Result<u64> {
        self.pay(units_of(len).saturating_add(cost::BASE))?;
        if len > MAX_RETURN_DATA {
            return Err(TrapKind::ReturnDataTooLarge);
        }
        let place = self.readable(address, len)?;
        self.memory.set_return_data(place);
        Ok(SUCCESS)
    }

    /// Writes as much of the return data as there is and as asked for, and who set it, which is this
    /// program; if that is no byte, writes nothing. Returns the whole length.
    fn get_return_data(&mut self, to: u64, len: u64, id_to: u64) -> Result<u64> {
        self.pay(cost::BASE)?;
        let available = self.memory.return_data_len();
        let len = len.min(available);
        if len != 0 {
            self.pay(units_of(len.saturating_add(PUBKEY_BYTES)))?;
            let to = self.writable(to, len)?;
            let id_to = self.writable(id_to, PUBKEY_BYTES)?;
            if to.overlaps(id_to) {
                return Err(TrapKind::CopyOverlapping);
            }
            self.memory.copy(Memory::return_data(len as usize), to);
            write(&mut self.memory, id_to, &self.environment.program_id);
        }
        Ok(available)
    }

    /// Takes the next bytes of the heap, at a multiple of 8; 0 if there are not enough. Freeing does
    /// nothing. Costs nothing.
    fn alloc_free(&mut self, size: u64, free: u64) -> u64 {
        let is_layout = size
            .checked_next_multiple_of(HEAP_ALIGNMENT)
            .is_some_and(|size| size <= MAX_LAYOUT);
        if !is_layout || free != 0 {
            return 0;
        }
        let heap = self.program.data().len() as u64;
        let start = self.heap_used.next_multiple_of(HEAP_ALIGNMENT);
        let end = start.saturating_add(size);
        if end > heap {
            return 0;
        }
        self.heap_used = end;
        DATA_BASE.wrapping_add(start)
    }
}

/// Whole units that so many bytes cost.
fn units_of(bytes: u64) -> u64 {
    bytes / cost::BYTES_PER_UNIT
}

/// Writes to a place of just this length.
fn write(memory: &mut Memory, to: Place, bytes: &[u8]) {
    for (to, byte) in memory.bytes_mut(to).iter_mut().zip(bytes) {
        *to = *byte;
    }
}
