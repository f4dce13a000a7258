//! Atomic operations: microprograms of loads, operations on temporaries, and stores. They need no
//! constraints of their own. The store follows the load at the same address, so an access that memory
//! does not permit ends the run at one of both.

use bpf_tracer::canonical::{AluOp, AtomicOp, Instruction, Op, Size, Width};

use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place, local};
use crate::ops::{Context, Family, bitwise, branch, memory, mov};

pub(super) const FAMILY: Family = Family {
    classes: &[],
    configure: |_| {},
    assign: |_: Class, _: &mut Context<'_>| {},
    expand,
};

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let Op::Atomic(size, op, fetch) = instruction.op else {
        return None;
    };
    let base = Place::register(instruction.dst);
    let src = Place::register(instruction.src);
    let (old, new, r0) = (Place::temp(0), Place::temp(1), Place::register(0));
    let end = Assembler::slot_row(slot + 1);
    let width = if size == Size::B8 {
        Width::W64
    } else {
        Width::W32
    };
    let load = memory::load(old, base, instruction.offset, size);
    let store = memory::store(base, new, instruction.offset, size);
    let copy = |dst: Place, src: Place| MicroOp::new(Class::Mov).y(dst).x(src);

    let alu = match op {
        AtomicOp::Add => Some(MicroOp::new(Class::Add)),
        AtomicOp::And => bitwise::operation(width, AluOp::And),
        AtomicOp::Or => bitwise::operation(width, AluOp::Or),
        AtomicOp::Xor => bitwise::operation(width, AluOp::Xor),
        AtomicOp::Xchg | AtomicOp::CmpXchg => None,
    };
    let mut ops = vec![load];
    if op == AtomicOp::CmpXchg {
        // Without a match the old value is written back, so that the permission is that of a write.
        ops.push(branch::not_equal(r0, old, width, local(3)));
        ops.push(mov::go(local(4)));
        ops.push(copy(new, old));
        ops.push(store);
        ops.push(copy(r0, old).mode(Mode::Go).target(end));
    } else {
        ops.extend(alu.map(|alu| alu.y(new).x(old)));
        ops.push(store);
        ops.push(if fetch || op == AtomicOp::Xchg {
            copy(src, old).mode(Mode::Go).target(end)
        } else {
            mov::go(end)
        });
    }
    Some(
        copy(new, src)
            .mode(Mode::Go)
            .target(assembler.continuation(ops)),
    )
}
