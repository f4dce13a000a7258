//! `abort`, return data, the heap, and questions to the runtime.

use bpf_tracer::Pubkey;
use bpf_tracer::canonical::layout::{DATA_BASE, MAX_RETURN_DATA, RETURN_DATA_BASE};
use bpf_tracer::canonical::{Size, TrapKind};
use bpf_tracer::syscall::cost;

use super::copy;
use super::routine::{ARGS, Memory, Routine, TEMPS};
use super::sysvar::name_words;
use crate::microcode::Place;

/// Alignment of allocated memory.
const HEAP_ALIGN: u64 = 8;

pub(super) fn abort(routine: &mut Routine) {
    routine.trap(TrapKind::Abort);
}

pub(super) fn stack_height(routine: &mut Routine) {
    routine.charge(cost::BASE, TEMPS[1]);
    routine.return_value(1);
}

pub(super) fn remaining_compute_units(routine: &mut Routine) {
    let [_, left, ..] = TEMPS;
    routine.charge(cost::BASE, left);
    routine.return_value(left);
}

/// A bump allocator: `r0` is the address, or 0 if there is no room or if memory is to be freed.
pub(super) fn alloc_free(routine: &mut Routine, heap_bytes: u64) {
    let [size, to_free, ..] = ARGS;
    let [_, start, end, ..] = TEMPS;
    let none = routine.label();
    routine.if_greater(size, i64::MAX as u64 - (HEAP_ALIGN - 1), none);
    routine.if_not_equal(to_free, 0, none);
    routine.copy(start, Place::ALLOCATED);
    routine.add(start, HEAP_ALIGN - 1);
    routine.and(start, !(HEAP_ALIGN - 1));
    routine.copy(end, start);
    routine.add(end, size);
    routine.if_greater(end, heap_bytes, none);
    routine.copy(Place::ALLOCATED, end);
    routine.add(start, DATA_BASE);
    routine.return_value(start);
    routine.here(none);
    routine.return_value(0);
}

pub(super) fn set_return_data(routine: &mut Routine) {
    let [address, length, ..] = ARGS;
    let [_, units, ..] = TEMPS;
    let old = TEMPS[7];
    routine.copy(units, length);
    routine.div(units, cost::BYTES_PER_UNIT);
    routine.charge_with(cost::BASE, units);
    let possible = routine.label();
    routine.if_less(length, MAX_RETURN_DATA + 1, possible);
    routine.trap(TrapKind::ReturnDataTooLarge);
    routine.here(possible);
    routine.range(address, length, false);
    // What is behind the data is zero, so that the data alone determines the words.
    routine.load_hidden(old, RETURN_DATA_BASE);
    copy::prepare_fill(routine, RETURN_DATA_BASE + 8, 0);
    copy::fill(routine, Memory::Hidden, old);
    routine.store_hidden(RETURN_DATA_BASE, length);
    copy::forward(
        routine,
        Memory::Program,
        address,
        Memory::Hidden,
        RETURN_DATA_BASE + 8,
        length,
    );
    routine.return_value(0);
}

pub(super) fn get_return_data(routine: &mut Routine, program_id: &Pubkey) {
    let [address, length, program_address, ..] = ARGS;
    let [_, units, distance, reach, ..] = TEMPS;
    let [.., count, stored] = TEMPS;
    routine.charge(cost::BASE, units);
    routine.load_hidden(stored, RETURN_DATA_BASE);
    let (some, all) = (routine.label(), routine.label());
    routine.copy(count, length);
    routine.if_less(count, stored, all);
    routine.copy(count, stored);
    routine.here(all);
    routine.if_not_equal(count, 0, some);
    routine.return_value(stored);

    routine.here(some);
    routine.copy(units, count);
    routine.add(units, 32);
    routine.div(units, cost::BYTES_PER_UNIT);
    routine.charge_with(0, units);
    routine.range(address, count, true);
    routine.range(program_address, 32, true);
    let (above, compare, apart) = (routine.label(), routine.label(), routine.label());
    routine.if_greater(address, program_address, above);
    routine.copy(distance, program_address);
    routine.sub(distance, address);
    routine.copy(reach, count);
    routine.and_go(compare);
    routine.here(above);
    routine.copy(distance, address);
    routine.sub(distance, program_address);
    routine.copy(reach, 32);
    routine.here(compare);
    routine.if_not_less(distance, reach, apart);
    routine.trap(TrapKind::CopyOverlapping);
    routine.here(apart);
    copy::forward(
        routine,
        Memory::Hidden,
        RETURN_DATA_BASE + 8,
        Memory::Program,
        address,
        count,
    );
    for (index, word) in (0_i16..).zip(name_words(program_id)) {
        routine.store(Memory::Program, program_address, 8 * index, word, Size::B8);
    }
    routine.return_value(stored);
}
