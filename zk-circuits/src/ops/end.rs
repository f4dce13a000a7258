//! The end of a run: one row publishes the outcome, then only padding follows.
//!
//! A halt reads `r0` as its first access; a trap (m1) reads a zero, `imm` is its kind, and the slot of its
//! instruction is published with it.

use crate::builder::{Builder, constant};
use crate::bus::Bus;
use crate::cell::{Cell, GROUPS};
use crate::class::Class;
use crate::ops::{Context, Family};
use crate::shape::SLOT_ROW;
use crate::tables::FixedColumn;

pub(super) const FAMILY: Family = Family {
    classes: &[Class::End],
    configure,
    assign,
    expand: Family::no_expand,
};

fn configure(builder: &mut Builder) {
    builder.class("end", Class::End);
    builder.require_no_write();
    let slot_row = constant(SLOT_ROW as u128);
    builder.require_equal(
        "w is the slot of a trap",
        builder.cell(Cell::W),
        builder.cell(Cell::M1) * (builder.cell(Cell::Pc) - slot_row.clone()),
    );
    builder.require_equal(
        "the state behind the end is slot 0",
        builder.at(Cell::Upc, 1),
        slot_row,
    );
    let active_next = GROUPS
        .iter()
        .fold(constant(0), |sum, group| sum + builder.at(*group, 1));
    builder.require_zero(
        "padding follows",
        active_next * (constant(1) - builder.fixed(FixedColumn::Last)),
    );
    builder.send(
        Bus::Outcome,
        "the outcome",
        builder.is(Class::End),
        vec![
            constant(1) + builder.cell(Cell::M1),
            builder.cell(Cell::Imm),
            builder.cell(Cell::X),
            builder.cell(Cell::W),
        ],
    );
}

fn assign(_: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    row[Cell::R] = row[Cell::Y];
    row[Cell::W] = row[Cell::M1] * (row[Cell::Pc] - SLOT_ROW as i128);
    context.next = SLOT_ROW;
}
