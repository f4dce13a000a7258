//! Sysvars: constants of the run's surroundings.

use bpf_tracer::canonical::{Size, TrapKind};
use bpf_tracer::syscall::cost;
use bpf_tracer::{Environment, Pubkey};

use super::routine::{ARGS, Memory, Routine, TEMPS};
use super::{HiddenMemory, copy};

/// Bytes of the rent parameters in the form of `sol_get_rent_sysvar`.
const RENT_STRUCT_BYTES: u64 = 24;

pub(super) fn clock(routine: &mut Routine, hidden: &HiddenMemory) {
    whole(routine, hidden.clock, Environment::CLOCK_BYTES as u64);
}

pub(super) fn rent(routine: &mut Routine, hidden: &HiddenMemory) {
    whole(routine, hidden.rent, RENT_STRUCT_BYTES);
}

/// Writes the `size` bytes of a constant, a multiple of 8.
fn whole(routine: &mut Routine, constant: Option<u64>, size: u64) {
    let [address, ..] = ARGS;
    let [_, word, ..] = TEMPS;
    routine.charge(cost::SYSVAR_BASE + size, word);
    routine.range(address, size, true);
    routine.aligned(address, 8, word);
    let Some(constant) = constant else {
        routine.trap(TrapKind::UnsupportedSysvar);
        return;
    };
    for offset in (0..size).step_by(8) {
        routine.load_hidden(word, constant + offset);
        routine.store(Memory::Program, address, offset as i16, word, Size::B8);
    }
    routine.return_value(0);
}

/// `sol_get_sysvar`: 0, or 1 if it is shorter, or 2 if there is none.
pub(super) fn any(routine: &mut Routine, hidden: &HiddenMemory) {
    let [name, address, offset, length, _] = ARGS;
    let [_, a, b, c, d, from, size, _] = TEMPS;
    routine.copy(a, length);
    routine.div(a, cost::BYTES_PER_UNIT);
    routine.at_least(a, cost::MEM_OP_BASE);
    routine.charge_with(cost::SYSVAR_BASE + 32 / cost::BYTES_PER_UNIT, a);
    routine.range(address, length, true);
    routine.range(name, 32, false);
    for start in [offset, address] {
        let possible = routine.label();
        routine.copy(a, start);
        routine.add(a, length);
        routine.if_not_less(a, length, possible);
        routine.trap(TrapKind::ArithmeticOverflow);
        routine.here(possible);
    }
    let words = [a, b, c, d];
    for (index, word) in (0_i16..).zip(words) {
        routine.load(word, Memory::Program, name, 8 * index, Size::B8);
    }
    let found = routine.label();
    for (name, range) in &hidden.sysvars {
        let other = routine.label();
        for (word, value) in words.into_iter().zip(name_words(name)) {
            routine.if_not_equal(word, value, other);
        }
        routine.copy(from, range.start);
        routine.copy(size, range.end - range.start);
        routine.and_go(found);
        routine.here(other);
    }
    routine.return_value(2);

    routine.here(found);
    let fits = routine.label();
    routine.copy(a, offset);
    routine.add(a, length);
    // Until the loop, whose temporaries these are.
    routine.if_not_less(size, a, fits);
    routine.return_value(1);
    routine.here(fits);
    routine.add(from, offset);
    copy::forward(
        routine,
        Memory::Hidden,
        from,
        Memory::Program,
        address,
        length,
    );
    routine.return_value(0);
}

/// An address as words.
pub(super) fn name_words(name: &Pubkey) -> [u64; 4] {
    std::array::from_fn(|index| {
        let mut word = [0; 8];
        word.copy_from_slice(&name[8 * index..8 * index + 8]);
        u64::from_le_bytes(word)
    })
}
