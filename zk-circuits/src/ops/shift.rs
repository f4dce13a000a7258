//! Shifts. A left shift is a product with `2^s`, a logical right shift the high word of a product with
//! `2^(64−s)`; both are `mul`. This family has what is missing:
//!
//! * `ShiftAmount`: `x = p0 + 64·u` (m1: `32·u`), and the table gives `p2 = 2^s` or `2^(width−s)` of
//!   `p0`, which it bounds; `r = p2 − 1`, a word. The product that follows adds the 1 back.
//! * `Shift32`: `a·B = l + 2^32·q + 2^32·B·h` with `B = 2^(32−shift)`, `q < B`: `q` is the low half-word
//!   of `a` shifted right. `B ≤ 2^32`, so both sides are below `2^97`. `q = t + s·B/2`: a logical shift has
//!   `s = 0` and `t < B`, an arithmetic one (m1) `t < B/2`, so that `s` is the sign, and
//!   `r = q + s·(2^32 − B)`. With m2 it is a remainder: `a = t + B·(l + 2^32·h)`, `t < B`, `r = t`.
//!   One equation is both, with `w = B` of a shift and `w = 1` of a remainder.
//! * `ShiftSigned`: `a + 2^63 = u + 2^64·s` makes `s` the sign of `a`; then
//!   `(a − 2^64·s)·B = (r − 2^64·s)·2^64 + v`, `B = 2^(64−shift)`: the floor of a signed division.
//!   `r` gets its limbs from the next row. Both sides are below `2^129` in absolute value.

use bpf_tracer::canonical::{AluOp, Instruction, Op, Source, Width};

use crate::builder::{Builder, constant, two_pow};
use crate::bus::Bus;
use crate::cell::{Cell, LIMBS};
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place, rom};
use crate::ops::{Context, Family};
use crate::tables::kind;

pub(super) const FAMILY: Family = Family {
    classes: &[Class::ShiftAmount, Class::Shift32, Class::ShiftSigned],
    configure,
    assign,
    expand,
};

fn configure(builder: &mut Builder) {
    builder.class("shift amount", Class::ShiftAmount);
    let power = builder.cell(Cell::P2);
    let width = constant(64) - builder.cell(Cell::M1) * constant(32);
    builder.require_equal(
        "x = amount + width·u",
        builder.cell(Cell::X),
        builder.cell(Cell::P0) + width * builder.u(0),
    );
    builder.require_equal(
        "r = power − 1",
        builder.cell(Cell::R),
        power.clone() - constant(1),
    );
    builder.send(
        Bus::Table,
        "the power of the amount",
        builder.is(Class::ShiftAmount),
        vec![
            builder.cell(Cell::Imm),
            builder.cell(Cell::P0),
            constant(0),
            power,
        ],
    );

    builder.class("shift32", Class::Shift32);
    let (factor, sign) = (builder.cell(Cell::B), builder.cell(Cell::S));
    let (is_signed, is_remainder) = (builder.cell(Cell::M1), builder.cell(Cell::M2));
    let (low, t) = (builder.limbs(0..2, 0), builder.limbs(2..4, 0));
    builder.require_equal(
        "s only of a signed shift",
        sign.clone(),
        sign.clone() * is_signed.clone(),
    );
    let scale = builder.cell(Cell::W);
    builder.require_equal(
        "w is B, or 1 of a remainder",
        scale.clone(),
        factor.clone() - is_remainder.clone() * (factor.clone() - constant(1)),
    );
    // Twice, because of B/2.
    builder.require_equal(
        "a·w = l·(1 + B − w) + 2^32·q + 2^32·B·h",
        builder.cell(Cell::Y) * scale.clone() * constant(2),
        low * (constant(1) + factor.clone() - scale) * constant(2)
            + t.clone() * (two_pow(33) - is_remainder * (two_pow(33) - constant(2)))
            + sign.clone() * factor.clone() * two_pow(32)
            + builder.limbs(4..6, 0) * factor.clone() * two_pow(33),
    );
    builder.require_equal(
        "t is below B, or its half",
        (factor.clone() - constant(1) - t.clone()) * constant(2) - is_signed * factor.clone(),
        builder.limbs(6..8, 0) * constant(2),
    );
    builder.require_equal(
        "r = q and copies of its sign",
        builder.cell(Cell::R) * constant(2),
        t * constant(2) + sign * (two_pow(33) - factor),
    );

    builder.class("shift signed", Class::ShiftSigned);
    let sign = builder.cell(Cell::S) * two_pow(64);
    let a = builder.cell(Cell::Y);
    builder.require_equal(
        "s is the sign of a",
        a.clone() + two_pow(63),
        builder.u(0) + sign.clone(),
    );
    let result = builder.u(1);
    builder.require_equal(
        "(a − 2^64·s)·B = (r − 2^64·s)·2^64 + v",
        (a - sign.clone()) * builder.cell(Cell::B),
        (result.clone() - sign) * two_pow(64) + builder.v(0),
    );
    builder.require_equal("r has limbs", builder.cell(Cell::R), result);
    builder.require_equal(
        "the limbs follow",
        builder.at(Cell::Upc, 1),
        constant(rom::LIMBS as u128),
    );
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    match class {
        Class::ShiftAmount => {
            let width = 64 - 32 * row[Cell::M1];
            let amount = row[Cell::X] % width;
            row[Cell::P0] = amount;
            row.set_u(row[Cell::X] / width);
            row[Cell::P2] = match row[Cell::Imm] as u64 {
                kind::LEFT_64 | kind::LEFT_32 => 1 << amount,
                kind::RIGHT_32 => 1 << (32 - amount),
                _ => 1 << (64 - amount),
            };
            row[Cell::R] = row[Cell::P2] - 1;
        }
        Class::Shift32 => {
            let (a, factor) = (row[Cell::Y], row[Cell::B]);
            let (is_signed, is_remainder) = (row[Cell::M1] == 1, row[Cell::M2] == 1);
            let low = a & 0xffff_ffff;
            row[Cell::W] = if is_remainder { 1 } else { factor };
            row[Cell::S] = i128::from(is_signed) * (low >> 31);
            let negative = row[Cell::S] == 1;
            let (l, t, high) = if is_remainder {
                // Only in a forged row is the divisor zero.
                let quotient = a.checked_div(factor).unwrap_or(0);
                (
                    quotient & 0xffff_ffff,
                    a - factor * quotient,
                    quotient >> 32,
                )
            } else {
                let product = low * factor;
                let t = (product >> 32) - if negative { factor / 2 } else { 0 };
                (product & 0xffff_ffff, t, a >> 32)
            };
            row.set_limbs(&LIMBS[..2], l);
            row.set_limbs(&LIMBS[2..4], t);
            row.set_limbs(&LIMBS[4..6], high);
            let bound = if is_signed { factor / 2 } else { factor };
            row.set_limbs(&LIMBS[6..8], bound - 1 - t);
            row[Cell::R] = t + if negative { (1 << 32) - factor / 2 } else { 0 };
        }
        _ => {
            let a = row[Cell::Y];
            row[Cell::S] = a >> 63;
            row.set_u(a + (1 << 63) - (row[Cell::S] << 64));
            // Only in a forged row is the factor no power of two from 2^1 to 2^64.
            let factor_bits = (row[Cell::B] as u128).checked_ilog2().unwrap_or(1);
            let amount = 64u32.saturating_sub(factor_bits).min(63);
            let result = (a as u64).cast_signed() >> amount;
            row[Cell::R] = result.cast_unsigned().into();
            let product = (a - (row[Cell::S] << 64)).wrapping_mul(row[Cell::B]);
            row.set_v(product);
            context.after[0].set_u(row[Cell::R]);
            context.next = rom::LIMBS;
        }
    }
}

/// `place = place % divisor`; the divisor from 1 to `2^32`.
pub(super) fn remainder(place: Place, divisor: i128) -> MicroOp {
    MicroOp::new(Class::Shift32)
        .modifiers(false, true, false)
        .y(place)
        .imm(divisor)
}

/// `place = place >> amount`, copying the sign; `amount` from 0 to 63.
pub(super) fn arithmetic(place: Place, amount: u32) -> MicroOp {
    MicroOp::new(Class::ShiftSigned)
        .mode(Mode::Class)
        .y(place)
        .imm(1 << (64 - amount))
}

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let Op::Alu(width, op, source) = instruction.op else {
        return None;
    };
    let is_32 = width == Width::W32;
    let (right_kind, left_kind) = if is_32 {
        (kind::RIGHT_32, kind::LEFT_32)
    } else {
        (kind::RIGHT_64, kind::LEFT_64)
    };
    let bits = if is_32 { 32 } else { 64 };
    let amount = instruction.imm as u32 & (bits - 1);
    let dst = Place::register(instruction.dst);
    // The operation on `dst` with its factor as immediate, the table kind of the factor, and the factor.
    let (shift, kind, factor) = match op {
        AluOp::Lsh if is_32 => (MicroOp::new(Class::Mul32), left_kind, 1i128 << amount),
        AluOp::Lsh => (MicroOp::new(Class::Mul), left_kind, 1 << amount),
        AluOp::Rsh | AluOp::Arsh if is_32 => (
            MicroOp::new(Class::Shift32).modifiers(op == AluOp::Arsh, false, false),
            right_kind,
            1 << (32 - amount),
        ),
        AluOp::Rsh => (
            MicroOp::new(Class::Mul).modifiers(true, false, false),
            right_kind,
            1 << (64 - amount),
        ),
        AluOp::Arsh => (
            MicroOp::new(Class::ShiftSigned).mode(Mode::Class),
            right_kind,
            1 << (64 - amount),
        ),
        _ => return None,
    };
    let shift = shift.y(dst);
    let temp = Place::temp(0);

    let (first, shift) = match source {
        Source::Imm => (None, shift.imm(factor)),
        Source::Reg => {
            let amount = MicroOp::new(Class::ShiftAmount)
                .x(Place::register(instruction.src))
                .y(temp)
                .imm(kind.into())
                .modifiers(is_32, false, false);
            (Some(amount), shift.x(temp).imm(1))
        }
    };
    let end = Assembler::slot_row(slot + 1);
    let ops = first.into_iter().chain([shift]).collect();
    Some(assembler.sequence(ops, end))
}
