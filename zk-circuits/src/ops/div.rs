//! Divisions and remainders.
//!
//! * `Div`: `a = u·b + v` with `u, v < 2^64`; `c` says that `b = 0`, and then `u = 0`, so `v = a`.
//!   Otherwise the next row's limbs hold `b − 1 − v ≥ 0`. Returns `u`, or `v` with m1: RFC 9669's
//!   quotient 0 and remainder `a` for a zero divisor come out by themselves. With m2 the run ends if
//!   `c`; the limbs are then those of the row that ends it.
//! * `DivSigned`: signs `s` of `a` and `c` of `b` from `a + 2^63 = u + 2^64·s` and
//!   `b + 2^63 = v + 2^64·c`; `w = |b|`. The next row holds magnitudes `q`, `ρ` with
//!   `|a| = q·w + ρ`, and `c'` for `w = 0`; the row after that holds `w − 1 − ρ`, and the result's
//!   limbs. The result is `±` the chosen magnitude: negative if its sign bit says so, and a zero is
//!   never negated because `2^64` has no four limbs. `|MIN| = 2^63` is a word like any other, so
//!   `MIN / −1 = 2^63 = MIN`.
//!
//! 32-bit divisions are 64-bit divisions of extended operands. A signed division that traps is preceded
//! by comparisons of its operands.

use bpf_tracer::canonical::{AluOp, Instruction, Op, Size, Source, TrapKind, Width};

use crate::builder::{Builder, constant, two_pow};
use crate::cell::Cell;
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place, local, rom};
use crate::ops::{Context, Family, mov};

pub(super) const FAMILY: Family = Family {
    classes: &[
        Class::Div,
        Class::DivSigned,
        Class::Limbs,
        Class::DivSignedEnd,
    ],
    configure,
    assign,
    expand,
};

fn configure(builder: &mut Builder) {
    let upc_next = |builder: &Builder| builder.at(Cell::Upc, 1);

    builder.class("div", Class::Div);
    let (a, b) = (builder.cell(Cell::Y), builder.cell(Cell::B));
    let (quotient, remainder) = (builder.u(0), builder.v(0));
    let by_zero = builder.cell(Cell::C);
    builder.require_equal(
        "a = u·b + v",
        a,
        quotient.clone() * b.clone() + remainder.clone(),
    );
    builder.require_zero("c only if b = 0", by_zero.clone() * b.clone());
    builder.require_zero("u = 0 if b = 0", by_zero.clone() * quotient.clone());
    builder.require_equal(
        "v is below b unless b = 0",
        b - constant(1) - remainder.clone() + by_zero.clone() * two_pow(64),
        builder.u(1),
    );
    builder.require_equal(
        "r is quotient or remainder",
        builder.cell(Cell::R),
        quotient.clone() + builder.cell(Cell::M1) * (remainder - quotient),
    );
    let (limbs, trap) = (
        constant(rom::LIMBS as u128),
        constant(rom::trap(TrapKind::DivideByZero) as u128),
    );
    builder.require_equal(
        "the limbs follow, or the trap if m2 and b = 0",
        upc_next(builder),
        limbs.clone() + by_zero * builder.cell(Cell::M2) * (trap - limbs),
    );

    builder.class("div signed", Class::DivSigned);
    let (a, b) = (builder.cell(Cell::Y), builder.cell(Cell::B));
    let (sign_a, sign_b) = (builder.cell(Cell::S), builder.cell(Cell::C));
    builder.require_equal(
        "s is the sign of a",
        a.clone() + two_pow(63),
        builder.u(0) + sign_a.clone() * two_pow(64),
    );
    builder.require_equal(
        "c is the sign of b",
        b.clone() + two_pow(63),
        builder.v(0) + sign_b.clone() * two_pow(64),
    );
    let divisor = builder.cell(Cell::W);
    builder.require_equal(
        "w = |b|",
        divisor.clone(),
        b.clone() + sign_b.clone() * (two_pow(64) - b * constant(2)),
    );
    let magnitude = a.clone() + sign_a.clone() * (two_pow(64) - a * constant(2));
    let (quotient, remainder) = (builder.u(1), builder.v(1));
    let by_zero = builder.at(Cell::C, 1);
    builder.require_equal(
        "|a| = q·w + ρ",
        magnitude,
        quotient.clone() * divisor.clone() + remainder.clone(),
    );
    builder.require_zero("c' only if w = 0", by_zero.clone() * divisor.clone());
    builder.require_zero("q = 0 if w = 0", by_zero.clone() * quotient.clone());
    builder.require_equal(
        "ρ is below w unless w = 0",
        divisor - constant(1) - remainder.clone() + by_zero * two_pow(64),
        builder.u(2),
    );
    let is_remainder = builder.cell(Cell::M1);
    let chosen = builder.at(Cell::W, 1);
    builder.require_equal(
        "w' is the chosen magnitude",
        chosen,
        quotient.clone() + is_remainder.clone() * (remainder - quotient),
    );
    // The quotient is negative if the signs differ, the remainder if a is negative.
    let signs_differ = builder.at(Cell::C, 2);
    builder.require_equal(
        "c'' says whether the signs differ",
        signs_differ.clone(),
        sign_a.clone() + sign_b.clone() - sign_a.clone() * sign_b * constant(2),
    );
    builder.require_equal(
        "s'' is the sign of a nonzero result",
        builder.at(Cell::S, 2),
        signs_differ.clone() + is_remainder * (sign_a - signs_differ),
    );
    builder.require_equal("r has limbs", builder.cell(Cell::R), builder.v(2));
    builder.require_equal(
        "the magnitudes follow",
        upc_next(builder),
        constant(rom::DIV_SIGNED as u128),
    );

    builder.class("div signed end", Class::DivSignedEnd);
    let (chosen, negate) = (builder.at(Cell::W, -1), builder.cell(Cell::D));
    builder.require_zero(
        "a nonzero result has its sign",
        (builder.cell(Cell::S) - negate.clone()) * chosen.clone(),
    );
    builder.require_equal(
        "the result is the chosen magnitude with its sign",
        builder.v(0),
        chosen.clone() + negate * (two_pow(64) - chosen * constant(2)),
    );
    builder.require_no_write();
    builder.require_equal(
        "the row after the operation follows",
        upc_next(builder),
        builder.at(Cell::Upc, -2) + constant(1),
    );

    builder.class("limbs", Class::Limbs);
    builder.require_no_write();
    let following = builder.at(Cell::Upc, -1) + constant(1);
    builder.require_equal(
        "the row after the operation follows, or its target if it was taken",
        upc_next(builder),
        following.clone() + builder.at(Cell::T, -1) * (builder.at(Cell::Target, -1) - following),
    );
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    match class {
        Class::Div => {
            let (a, b) = (row[Cell::Y], row[Cell::B]);
            let (quotient, remainder) = if b == 0 { (0, a) } else { (a / b, a % b) };
            row[Cell::C] = (b == 0).into();
            row.set_u(quotient);
            row.set_v(remainder);
            context.after[0].set_u(b - 1 - remainder + (row[Cell::C] << 64));
            row[Cell::R] = if row[Cell::M1] == 1 {
                remainder
            } else {
                quotient
            };
            context.next = if row[Cell::C] * row[Cell::M2] == 1 {
                rom::trap(TrapKind::DivideByZero)
            } else {
                rom::LIMBS
            };
        }
        Class::DivSigned => {
            let (a, b) = (row[Cell::Y], row[Cell::B]);
            let magnitude = |x: i128, sign: i128| if sign == 1 { (1 << 64) - x } else { x };
            let (sign_a, sign_b) = (a >> 63, b >> 63);
            row[Cell::S] = sign_a;
            row[Cell::C] = sign_b;
            row.set_u(a + (1 << 63) - (sign_a << 64));
            row.set_v(b + (1 << 63) - (sign_b << 64));
            let (dividend, divisor) = (magnitude(a, sign_a), magnitude(b, sign_b));
            row[Cell::W] = divisor;
            let by_zero = i128::from(divisor == 0);
            let (quotient, remainder) = if divisor == 0 {
                (0, dividend)
            } else {
                (dividend / divisor, dividend % divisor)
            };
            let [low, high] = &mut *context.after;
            low.set_u(quotient);
            low.set_v(remainder);
            low[Cell::C] = by_zero;
            let (chosen, sign) = if row[Cell::M1] == 1 {
                (remainder, sign_a)
            } else {
                (quotient, sign_a ^ sign_b)
            };
            low[Cell::W] = chosen;
            high.set_u(divisor - 1 - remainder + (by_zero << 64));
            high[Cell::C] = sign_a ^ sign_b;
            high[Cell::S] = sign;
            high[Cell::D] = i128::from(sign == 1 && chosen != 0);
            row[Cell::R] = magnitude(chosen, high[Cell::D]);
            high.set_v(row[Cell::R]);
            context.next = rom::DIV_SIGNED;
        }
        Class::Limbs => {
            row[Cell::R] = row[Cell::Y];
            let before = &context.before[0];
            let next = if before[Cell::T] == 1 {
                before[Cell::Target]
            } else {
                before[Cell::Upc] + 1
            };
            context.next = next as usize;
        }
        _ => {
            row[Cell::R] = row[Cell::Y];
            context.next = context.before[1][Cell::Upc] as usize + 1;
        }
    }
}

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let Op::Alu(width, op, source) = instruction.op else {
        return None;
    };
    let (class, is_remainder, traps) = match op {
        AluOp::Div => (Class::Div, false, false),
        AluOp::Mod => (Class::Div, true, false),
        AluOp::DivTrap => (Class::Div, false, true),
        AluOp::ModTrap => (Class::Div, true, true),
        AluOp::Sdiv => (Class::DivSigned, false, false),
        AluOp::Smod => (Class::DivSigned, true, false),
        AluOp::SdivTrap => (Class::DivSigned, false, true),
        AluOp::SmodTrap => (Class::DivSigned, true, true),
        _ => return None,
    };
    let signed = class == Class::DivSigned;
    let division =
        MicroOp::new(class)
            .mode(Mode::Class)
            .modifiers(is_remainder, traps && !signed, false);
    let dst = Place::register(instruction.dst);
    let src = Place::register(instruction.src);
    if width == Width::W64 && !(signed && traps) {
        return Some(match source {
            Source::Reg => division.registers(dst, src),
            Source::Imm => division.y(dst).imm(instruction.imm.into()),
        });
    }
    let (dividend, divisor) = (Place::temp(0), Place::temp(1));
    let size = if width == Width::W64 {
        Size::B8
    } else {
        Size::B4
    };
    let extend = mov::extend(size, signed);
    let mut ops = vec![
        extend.y(dividend).x(dst),
        match source {
            Source::Reg => extend.y(divisor).x(src),
            Source::Imm => extend.y(divisor).imm(instruction.imm.into()),
        },
    ];
    if signed && traps {
        ops.extend(signed_traps(dividend, divisor, width));
    }
    ops.push(division.registers(dividend, divisor));
    ops.push(mov::extend(size, false).y(dst).x(dividend));
    Some(assembler.sequence(ops, Assembler::slot_row(slot + 1)))
}

/// Ends the run if the divisor is 0, or if it is −1 and the dividend the least number of the width.
fn signed_traps(dividend: Place, divisor: Place, width: Width) -> [MicroOp; 3] {
    let least = match width {
        Width::W32 => i64::from(i32::MIN),
        Width::W64 => i64::MIN,
    };
    let word = |value: i64| i128::from(value.cast_unsigned());
    let equal = MicroOp::new(Class::Equal);
    let trap = |kind| rom::trap(kind) as u64;
    // Counted from the operation's second row, with which the continuation begins.
    let division = local(4);
    [
        equal.y(divisor).target(trap(TrapKind::DivideByZero)),
        equal
            .y(divisor)
            .imm(word(-1))
            .modifiers(true, false, false)
            .target(division),
        equal
            .y(dividend)
            .imm(word(least))
            .target(trap(TrapKind::DivideOverflow)),
    ]
}
