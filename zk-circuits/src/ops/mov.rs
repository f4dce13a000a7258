//! Moves, extensions and jumps: `mov`, `lddw`, `movsx`, `le`, `ja`.
//!
//! * `Mov`: `r = b`.
//! * `Extend`: `b = l0 + 2^16·l1 + 2^32·l2 + 2^48·l3` has one decomposition, since `b < 2^64`. The low
//!   part is `l0 + 2^16·l1` (m1), `l0` (m2), or the byte `p0` with `l0 = p0 + 2^8·p1` (neither).
//!   `l8 = 2·top − 2^16·s` has 16 bits, where `top` is the low part's highest limb shifted up to 16
//!   bits: so `s` is the sign. With m3 the bits above are copies of it.

use bpf_tracer::canonical::{AluOp, Instruction, Op, Size, Source, Width};

use crate::builder::{Builder, Expr, constant, two_pow};
use crate::cell::{Cell, LIMBS};
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place};
use crate::ops::{Context, Family};

pub(super) const FAMILY: Family = Family {
    classes: &[Class::Mov, Class::Extend],
    configure,
    assign,
    expand,
};

fn configure(builder: &mut Builder) {
    builder.class("mov", Class::Mov);
    builder.require_equal("r = b", builder.cell(Cell::R), builder.cell(Cell::B));

    builder.class("extend", Class::Extend);
    let limb = |builder: &Builder, index: usize| builder.cell(LIMBS[index]);
    builder.require_equal("b has four limbs", builder.cell(Cell::B), builder.u(0));
    builder.require_equal(
        "the lowest limb has two bytes",
        limb(builder, 0),
        builder.byte_pair(),
    );
    let (is_32, is_16) = (builder.cell(Cell::M1), builder.cell(Cell::M2));
    let is_8 = constant(1) - is_32.clone() - is_16.clone();
    let select = |w32: Expr, w16: Expr, w8: Expr| {
        is_32.clone() * w32 + is_16.clone() * w16 + is_8.clone() * w8
    };
    let sign = builder.cell(Cell::S);
    let top = select(
        limb(builder, 1),
        limb(builder, 0),
        builder.cell(Cell::P0) * two_pow(8),
    );
    builder.require_equal(
        "s is the sign of the low part",
        limb(builder, 8),
        top * constant(2) - sign.clone() * two_pow(16),
    );
    builder.require_equal(
        "c is the sign if it is copied",
        builder.cell(Cell::C),
        sign * builder.cell(Cell::M3),
    );
    let low = select(
        builder.limbs(0..2, 0),
        limb(builder, 0),
        builder.cell(Cell::P0),
    );
    let above = |bits| two_pow(64) - two_pow(bits);
    builder.require_equal(
        "r = low part and copies of its sign",
        builder.cell(Cell::R),
        low + builder.cell(Cell::C) * select(above(32), above(16), above(8)),
    );
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    if class == Class::Mov {
        row[Cell::R] = row[Cell::B];
        return;
    }
    row.set_u(row[Cell::B]);
    row[Cell::P0] = row[Cell::B] & 0xff;
    row[Cell::P1] = row[Cell::B] >> 8 & 0xff;
    row[Cell::P2] = row[Cell::P0] & row[Cell::P1];
    let bits = match (row[Cell::M1], row[Cell::M2]) {
        (1, _) => 32,
        (_, 1) => 16,
        _ => 8,
    };
    let low = row[Cell::B] & ((1 << bits) - 1);
    row[Cell::S] = low >> (bits - 1);
    row[Cell::C] = row[Cell::S] * row[Cell::M3];
    let top = if bits == 32 {
        low >> 16
    } else {
        low << (16 - bits)
    };
    row[Cell::L8] = 2 * top - (row[Cell::S] << 16);
    row[Cell::R] = low + row[Cell::C] * ((1 << 64) - (1 << bits));
}

/// Extension of the low `size` bytes; `B8` is no extension at all.
pub(crate) fn extend(size: Size, signed: bool) -> MicroOp {
    match size {
        Size::B8 => MicroOp::new(Class::Mov),
        size => MicroOp::new(Class::Extend).modifiers(size == Size::B4, size == Size::B2, signed),
    }
}

/// `dst = zero-extended low 32 bits of dst`.
pub(super) fn truncate(place: Place) -> MicroOp {
    extend(Size::B4, false).registers(place, place)
}

/// An operation on `dst` whose 32-bit result is then sign-extended.
pub(super) fn then_extend(
    assembler: &mut Assembler<'_>,
    op: MicroOp,
    dst: Place,
    slot: u32,
) -> MicroOp {
    let ops = vec![op, extend(Size::B4, true).registers(dst, dst)];
    assembler.sequence(ops, Assembler::slot_row(slot + 1))
}

/// Goes to a row and does nothing else.
pub(crate) fn go(target: u64) -> MicroOp {
    MicroOp::new(Class::Mov).mode(Mode::Go).target(target)
}

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let dst = Place::register(instruction.dst);
    let src = Place::register(instruction.src);
    let end = Assembler::slot_row(slot + 1);
    Some(match instruction.op {
        Op::Alu(_, AluOp::Mov, Source::Imm) => {
            let mov = MicroOp::new(Class::Mov).y(dst).imm(instruction.imm.into());
            if instruction.is_wide() {
                mov.mode(Mode::Go).target(Assembler::slot_row(slot + 2))
            } else {
                mov
            }
        }
        Op::Alu(Width::W64, AluOp::Mov, Source::Reg) => {
            MicroOp::new(Class::Mov).registers(dst, src)
        }
        Op::Alu(Width::W32, AluOp::Mov, Source::Reg) => extend(Size::B4, false).registers(dst, src),
        Op::MovSx(Width::W64, size) => extend(size, true).registers(dst, src),
        Op::MovSx(Width::W32, size) => {
            let rest = assembler.continuation(vec![truncate(dst).mode(Mode::Go).target(end)]);
            extend(size, true)
                .registers(dst, src)
                .mode(Mode::Go)
                .target(rest)
        }
        Op::ZeroExtend(size) => extend(size, false).registers(dst, dst),
        Op::Jump => go(Assembler::slot_row(instruction.target)),
        Op::HelperIdentity => {
            MicroOp::new(Class::Mov).registers(Place::register(0), Place::register(1))
        }
        _ => return None,
    })
}
