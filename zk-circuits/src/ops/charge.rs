//! The cost of a system call.
//!
//! `count = u + 2^64·v` splits the row's counter into steps `u` and units `v`, both words. `x` is the
//! budget. The cost is `−imm`, plus `y` with m1 (`w` is that part), so `δ = x + imm − w − v` is what
//! would be left. `d` says that it is not negative: then `r = δ`, otherwise the run ends; the next row's
//! limbs hold `δ`, or `−δ − 1`. The counter grows by the cost, or by all that was left.

use crate::builder::{Builder, Expr, constant, two_pow};
use crate::cell::Cell;
use crate::class::Class;
use crate::microcode::{MicroOp, Mode, Place, rom};
use crate::ops::{Context, Family};

pub(super) const FAMILY: Family = Family {
    classes: &[Class::Charge],
    configure,
    assign,
    expand: Family::no_expand,
};

/// Units that a row of this class adds.
pub(crate) fn charged(builder: &Builder) -> Expr {
    let cost = builder.cell(Cell::W) - builder.cell(Cell::Imm);
    let left = builder.cell(Cell::X) - builder.v(0);
    left.clone() + builder.cell(Cell::D) * (cost - left)
}

fn configure(builder: &mut Builder) {
    builder.class("charge", Class::Charge);
    builder.require_zero("a charge is not taken", builder.cell(Cell::T));
    builder.require_equal(
        "count = u + 2^64·v",
        builder.cell(Cell::Count),
        builder.u(0) + builder.v(0) * two_pow(64),
    );
    builder.require_equal(
        "w is y if it is part of the cost",
        builder.cell(Cell::W),
        builder.cell(Cell::M1) * builder.cell(Cell::Y),
    );
    let affordable = builder.cell(Cell::D);
    let left = builder.cell(Cell::B) - builder.cell(Cell::W) - builder.v(0);
    builder.require_equal(
        "the units are left exactly if d",
        builder.u(1),
        affordable.clone() * (left.clone() + left.clone() + constant(1))
            - left.clone()
            - constant(1),
    );
    builder.require_equal(
        "r is what is left",
        builder.cell(Cell::R),
        builder.cell(Cell::Y) + affordable.clone() * (left - builder.cell(Cell::Y)),
    );
    let (limbs, trap) = (
        constant(rom::LIMBS as u128),
        constant(rom::TRAP_UNITS as u128),
    );
    builder.require_equal(
        "the limbs follow, or the trap",
        builder.at(Cell::Upc, 1),
        trap.clone() + affordable * (limbs - trap),
    );
}

fn assign(_: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    row.set_u(row[Cell::Count]);
    row.set_v(row[Cell::Count] >> 64);
    row[Cell::W] = row[Cell::M1] * row[Cell::Y];
    let left = row[Cell::B] - row[Cell::W] - row.v();
    let affordable = left >= 0;
    row[Cell::D] = affordable.into();
    row[Cell::R] = if affordable { left } else { row[Cell::Y] };
    context.after[0].set_u(if affordable { left } else { -left - 1 });
    context.next = if affordable {
        rom::LIMBS
    } else {
        rom::TRAP_UNITS
    };
}

/// Uses up `cost` units, and as many as `remaining` holds if that is part of the cost; leaves there
/// what the run has left.
pub(crate) fn charge(cost: u64, remaining: Place, is_part: bool) -> MicroOp {
    MicroOp::new(Class::Charge)
        .mode(Mode::Class)
        .x(Place::BUDGET)
        .y(remaining)
        .imm(-i128::from(cost))
        .modifiers(is_part, false, false)
}
