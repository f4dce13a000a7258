//! Logging and panics. What is logged is checked and paid for, and is no part of what is proved.

use bpf_tracer::canonical::{Size, TrapKind};
use bpf_tracer::syscall::cost;

use super::routine::{ARGS, Memory, Routine, TEMPS};

pub(super) fn text(routine: &mut Routine) {
    let [_, length, ..] = ARGS;
    let [_, units, ..] = TEMPS;
    routine.copy(units, length);
    routine.at_least(units, cost::BASE);
    routine.charge_with(0, units);
    utf8(routine);
    routine.return_value(0);
}

pub(super) fn panic(routine: &mut Routine) {
    let [_, length, ..] = ARGS;
    let [_, units, ..] = TEMPS;
    routine.copy(units, length);
    routine.charge_with(0, units);
    utf8(routine);
    routine.trap(TrapKind::Panic);
}

pub(super) fn numbers(routine: &mut Routine) {
    routine.charge(cost::LOG_64, TEMPS[1]);
    routine.return_value(0);
}

pub(super) fn pubkey(routine: &mut Routine) {
    let [address, ..] = ARGS;
    routine.charge(cost::LOG_PUBKEY, TEMPS[1]);
    routine.range(address, 32, false);
    routine.return_value(0);
}

pub(super) fn compute_units(routine: &mut Routine) {
    routine.charge(cost::BASE, TEMPS[1]);
    routine.return_value(0);
}

/// Ends the run unless the first two arguments are a readable range of well-formed UTF-8 (the Unicode
/// Standard, table 3-7).
fn utf8(routine: &mut Routine) {
    let [address, length, ..] = ARGS;
    let [_, at, end, byte, low, high, more, _] = TEMPS;
    routine.range(address, length, false);
    routine.copy(at, address);
    routine.copy(end, address);
    routine.add(end, length);
    let (invalid, done) = (routine.label(), routine.label());
    let turn = routine.mark();
    routine.if_equal(at, end, done);

    // Eight bytes of ASCII at once.
    let single = routine.label();
    routine.copy(byte, end);
    routine.sub(byte, at);
    routine.if_less(byte, 8, single);
    routine.load(byte, Memory::Program, at, 0, Size::B8);
    routine.and(byte, 0x8080_8080_8080_8080);
    routine.if_not_equal(byte, 0, single);
    routine.add(at, 8);
    routine.and_go(turn);

    routine.here(single);
    routine.load(byte, Memory::Program, at, 0, Size::B1);
    routine.add(at, 1);
    routine.if_less(byte, 0x80, turn);
    routine.copy(low, 0x80);
    routine.copy(high, 0xbf);
    let following = routine.label();
    routine.if_less(byte, 0xc2, invalid);
    routine.copy(more, 1);
    routine.if_less(byte, 0xe0, following);
    routine.copy(more, 2);
    let special = [
        (0xe0, 0xa0, 0xbf),
        (0xed, 0x80, 0x9f),
        (0xf0, 0x90, 0xbf),
        (0xf4, 0x80, 0x8f),
    ];
    for (lead, least, greatest) in special {
        if lead == 0xf0 {
            routine.if_less(byte, 0xf0, following);
            routine.copy(more, 3);
        }
        let other = routine.label();
        routine.if_not_equal(byte, lead, other);
        routine.copy(low, least);
        routine.copy(high, greatest);
        routine.and_go(following);
        routine.here(other);
    }
    routine.if_not_less(byte, 0xf5, invalid);

    routine.here(following);
    routine.if_equal(at, end, invalid);
    routine.load(byte, Memory::Program, at, 0, Size::B1);
    routine.if_less(byte, low, invalid);
    routine.if_greater(byte, high, invalid);
    routine.copy(low, 0x80);
    routine.copy(high, 0xbf);
    routine.add(at, 1);
    routine.sub(more, 1);
    routine.if_not_equal(more, 0, following);
    routine.go(turn);

    routine.here(invalid);
    routine.trap(TrapKind::InvalidString);
    routine.here(done);
}
