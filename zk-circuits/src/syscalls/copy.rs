//! `sol_memcpy_`, `sol_memmove_`, `sol_memset_`, `sol_memcmp_`, and the loops that other calls share.
//!
//! Aligned words within the program's memory are copied one a row (`ops/copy.rs`), in runs. Other loops take
//! eight bytes a turn, then single bytes. A turn, or a run, begins with a comparison for equality, so a chunk
//! may end before it.

use bpf_tracer::canonical::layout::STACK_BASE;
use bpf_tracer::canonical::{Size, TrapKind};
use bpf_tracer::syscall::cost;

use super::routine::{ARGS, Memory, Operand, Routine, TEMPS};
use crate::microcode::Place;
use crate::ops::copy::MOST_WORDS;

const DST: Place = ARGS[0];
const SRC: Place = ARGS[1];
const COUNT: Place = ARGS[2];

// What the loops work with.
const TO: Place = TEMPS[1];
const FROM: Place = TEMPS[2];
const END: Place = TEMPS[3];
const VALUE: Place = TEMPS[4];

/// Uses up what a memory operation on so many bytes costs.
fn charge(routine: &mut Routine, bytes: Place) {
    let [_, units, ..] = TEMPS;
    routine.copy(units, bytes);
    routine.div(units, cost::BYTES_PER_UNIT);
    routine.at_least(units, cost::MEM_OP_BASE);
    routine.charge_with(0, units);
}

pub(super) fn memcpy(routine: &mut Routine) {
    charge(routine, COUNT);
    let [_, distance, ..] = TEMPS;
    let (above, compare, apart) = (routine.label(), routine.label(), routine.label());
    routine.if_greater(SRC, DST, above);
    routine.copy(distance, DST);
    routine.sub(distance, SRC);
    routine.and_go(compare);
    routine.here(above);
    routine.copy(distance, SRC);
    routine.sub(distance, DST);
    routine.here(compare);
    routine.if_not_less(distance, COUNT, apart);
    routine.trap(TrapKind::CopyOverlapping);
    routine.here(apart);
    ranges(routine);
    down(routine);
    routine.return_value(0);
}

pub(super) fn memmove(routine: &mut Routine) {
    charge(routine, COUNT);
    ranges(routine);
    let (backwards, done) = (routine.label(), routine.label());
    routine.if_equal(DST, SRC, done);
    routine.if_greater(DST, SRC, backwards);
    down(routine);
    routine.here(done);
    routine.return_value(0);
    routine.here(backwards);
    backward(routine);
    routine.return_value(0);
}

fn ranges(routine: &mut Routine) {
    routine.range(DST, COUNT, true);
    routine.range(SRC, COUNT, false);
}

/// Copies from the first byte on within the program's memory, one row a word where both ends are aligned.
fn down(routine: &mut Routine) {
    let [.., both, _, _] = TEMPS;
    let (single, done) = (routine.label(), routine.label());
    // Read-only words, below the stack, are on no page.
    routine.if_less(SRC, STACK_BASE, single);
    routine.copy(both, SRC);
    routine.and(both, 7);
    routine.if_not_equal(both, 0, single);
    routine.copy(both, DST);
    routine.and(both, 7);
    routine.if_not_equal(both, 0, single);
    routine.copy(FROM, SRC);
    routine.copy(TO, DST);
    routine.copy(END, COUNT);
    routine.div(END, 8);
    words(routine);
    single_bytes(routine, Memory::Program, Memory::Program, COUNT);
    routine.go(done);
    routine.here(single);
    forward(routine, Memory::Program, SRC, Memory::Program, DST, COUNT);
    routine.here(done);
}

/// Copies as many words as `END` holds from `FROM` to `TO`, which go on behind them.
fn words(routine: &mut Routine) {
    let [.., from, to, left] = TEMPS;
    let (turn, done, few) = (routine.mark(), routine.label(), routine.label());
    routine.if_equal(END, 0, done);
    routine.copy(VALUE, END);
    routine.if_less(VALUE, MOST_WORDS, few);
    routine.copy(VALUE, MOST_WORDS);
    routine.here(few);
    routine.sub(END, VALUE);
    routine.sub(VALUE, 1);
    routine.copy_words([FROM, TO, VALUE], [from, to, left]);
    routine.add(VALUE, 1);
    routine.mul(VALUE, 8);
    routine.add(FROM, VALUE);
    routine.add(TO, VALUE);
    routine.and_go(turn);
    routine.here(done);
}

/// Copies from the first byte on. Where the ranges overlap, `to` is not above `from`: what a turn writes has
/// been read.
pub(super) fn forward(
    routine: &mut Routine,
    source: Memory,
    from: impl Into<Operand>,
    destination: Memory,
    to: impl Into<Operand>,
    count: Place,
) {
    routine.copy(FROM, from);
    routine.copy(TO, to);
    routine.copy(END, count);
    routine.and(END, !7);
    up_to_end(routine, source, destination, Size::B8);
    single_bytes(routine, source, destination, count);
}

/// Copies the bytes of `count` that no whole word holds.
fn single_bytes(routine: &mut Routine, source: Memory, destination: Memory, count: Place) {
    routine.copy(END, count);
    routine.and(END, 7);
    up_to_end(routine, source, destination, Size::B1);
}

/// Copies `END` bytes from `FROM` to `TO`.
fn up_to_end(routine: &mut Routine, source: Memory, destination: Memory, size: Size) {
    routine.add(END, FROM);
    let (turn, done) = (routine.mark(), routine.label());
    routine.if_equal(FROM, END, done);
    routine.load(VALUE, source, FROM, 0, size);
    routine.store(destination, TO, 0, VALUE, size);
    routine.add(TO, size.bytes());
    routine.add(FROM, size.bytes());
    routine.and_go(turn);
    routine.here(done);
}

/// Copies from the last byte back, for a destination above the source.
fn backward(routine: &mut Routine) {
    routine.copy(FROM, SRC);
    routine.add(FROM, COUNT);
    routine.copy(TO, DST);
    routine.add(TO, COUNT);
    for size in [Size::B1, Size::B8] {
        routine.copy(END, SRC);
        if size == Size::B1 {
            // Single bytes down to a multiple of eight from the start.
            routine.copy(VALUE, COUNT);
            routine.and(VALUE, !7);
            routine.add(END, VALUE);
        }
        let (turn, done) = (routine.mark(), routine.label());
        routine.if_equal(FROM, END, done);
        routine.sub(FROM, size.bytes());
        routine.sub(TO, size.bytes());
        routine.load(VALUE, Memory::Program, FROM, 0, size);
        routine.store(Memory::Program, TO, 0, VALUE, size);
        routine.go(turn);
        routine.here(done);
    }
}

pub(super) fn memset(routine: &mut Routine) {
    charge(routine, COUNT);
    routine.range(DST, COUNT, true);
    routine.copy(VALUE, SRC);
    routine.and(VALUE, 0xff);
    routine.mul(VALUE, 0x0101_0101_0101_0101);
    routine.copy(TO, DST);
    let (single, [.., spare, _, _]) = (routine.label(), TEMPS);
    routine.copy(spare, DST);
    routine.and(spare, 7);
    routine.if_not_equal(spare, 0, single);
    routine.if_less(COUNT, 16, single);
    // The first word is written, then copied to the word behind it, and so on.
    routine.store(Memory::Program, TO, 0, VALUE, Size::B8);
    routine.copy(FROM, TO);
    routine.add(TO, 8);
    routine.copy(END, COUNT);
    routine.sub(END, 8);
    routine.div(END, 8);
    words(routine);
    routine.load(VALUE, Memory::Program, FROM, 0, Size::B8);
    routine.copy(spare, COUNT);
    routine.and(spare, 7);
    fill(routine, Memory::Program, spare);
    routine.return_value(0);
    routine.here(single);
    fill(routine, Memory::Program, COUNT);
    routine.return_value(0);
}

/// Writes the bytes of `VALUE`, all equal, to `TO`.
pub(super) fn fill(routine: &mut Routine, memory: Memory, count: Place) {
    for size in [Size::B8, Size::B1] {
        routine.copy(END, count);
        if size == Size::B8 {
            routine.and(END, !7);
        } else {
            routine.and(END, 7);
        }
        routine.add(END, TO);
        let (turn, done) = (routine.mark(), routine.label());
        routine.if_equal(TO, END, done);
        routine.store(memory, TO, 0, VALUE, size);
        routine.add(TO, size.bytes());
        routine.and_go(turn);
        routine.here(done);
    }
}

/// `TO` and `VALUE` for [`fill`].
pub(super) fn prepare_fill(routine: &mut Routine, to: u64, byte: u8) {
    routine.copy(TO, to);
    routine.copy(VALUE, u64::from(byte) * 0x0101_0101_0101_0101);
}

pub(super) fn memcmp(routine: &mut Routine) {
    let [first, second, count, result, _] = ARGS;
    let [_, a, b, end, x, y, ..] = TEMPS;
    charge(routine, count);
    routine.range(first, count, false);
    routine.range(second, count, false);
    routine.range(result, 4, true);
    routine.aligned(result, 4, a);
    routine.copy(a, first);
    routine.copy(b, second);
    let (bytes, differ, equal) = (routine.label(), routine.label(), routine.label());
    routine.copy(end, count);
    routine.and(end, !7);
    routine.add(end, first);
    let words = routine.mark();
    routine.if_equal(a, end, bytes);
    routine.load(x, Memory::Program, a, 0, Size::B8);
    routine.load(y, Memory::Program, b, 0, Size::B8);
    // The difference is among the next eight bytes, which the byte loop compares again.
    routine.if_not_equal(x, y, bytes);
    routine.add(a, 8);
    routine.add(b, 8);
    routine.and_go(words);
    routine.here(bytes);
    routine.copy(end, count);
    routine.add(end, first);
    let turn = routine.mark();
    routine.if_equal(a, end, equal);
    routine.load(x, Memory::Program, a, 0, Size::B1);
    routine.load(y, Memory::Program, b, 0, Size::B1);
    routine.if_not_equal(x, y, differ);
    routine.add(a, 1);
    routine.add(b, 1);
    routine.and_go(turn);
    routine.here(differ);
    routine.sub(x, y);
    routine.store(Memory::Program, result, 0, x, Size::B4);
    routine.return_value(0);
    routine.here(equal);
    routine.store(Memory::Program, result, 0, 0, Size::B4);
    routine.return_value(0);
}
