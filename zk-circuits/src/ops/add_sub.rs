//! Sums and differences: `add`, `sub`, `neg`, 32 and 64 bits.
//!
//! `±a ± b (+ 2^64 for a difference) = u + 2^64·c`, with `u` of four limbs: the left side lies in
//! `[0, 2^65)`, both sides are below `2^66`, so the equation holds over the integers and fixes `u`.
//! m1 subtracts `b`, m2 subtracts `a` instead. `Add` returns `u`, `Add32` its low half. A result that is to
//! be sign-extended is extended by the next row.

use bpf_tracer::canonical::{AluOp, Instruction, Op, Source, Width};

use crate::builder::{Builder, constant, two_pow};
use crate::cell::Cell;
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Place};
use crate::ops::{Context, Family, mov};

pub(super) const FAMILY: Family = Family {
    classes: &[Class::Add, Class::Add32],
    configure,
    assign,
    expand,
};

fn configure(builder: &mut Builder) {
    for (name, class) in [("add", Class::Add), ("add32", Class::Add32)] {
        builder.class(name, class);
        let (minus_b, minus_a) = (builder.cell(Cell::M1), builder.cell(Cell::M2));
        let a = builder.cell(Cell::Y) * (constant(1) - minus_a.clone() * constant(2));
        let b = builder.cell(Cell::B) * (constant(1) - minus_b.clone() * constant(2));
        let lift = (minus_a + minus_b) * two_pow(64);
        builder.require_equal(
            "±a ± b + lift = u + 2^64·c",
            a + b + lift,
            builder.u(0) + builder.cell(Cell::C) * two_pow(64),
        );
        let result = if class == Class::Add {
            builder.u(0)
        } else {
            builder.limbs(0..2, 0)
        };
        builder.require_equal("r is the sum's low part", builder.cell(Cell::R), result);
    }
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    let (a, b) = (row[Cell::Y], row[Cell::B]);
    let sum = match (row[Cell::M1], row[Cell::M2]) {
        (1, _) => a - b + (1 << 64),
        (_, 1) => b - a + (1 << 64),
        _ => a + b,
    };
    row.set_u(sum);
    row[Cell::C] = sum >> 64;
    row[Cell::R] = if class == Class::Add {
        row.u()
    } else {
        row.u() & 0xffff_ffff
    };
}

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let Op::Alu(width, op, source) = instruction.op else {
        return None;
    };
    let class = match width {
        Width::W64 => Class::Add,
        Width::W32 => Class::Add32,
    };
    let dst = Place::register(instruction.dst);
    let extends = matches!(op, AluOp::AddSx | AluOp::SubSx);
    let op = match op {
        AluOp::Add | AluOp::AddSx => MicroOp::new(class),
        AluOp::Sub | AluOp::SubSx => MicroOp::new(class).modifiers(true, false, false),
        AluOp::ReverseSub => MicroOp::new(class).modifiers(false, true, false),
        AluOp::Neg => return Some(MicroOp::new(class).modifiers(false, true, false).y(dst)),
        _ => return None,
    };
    let op = match source {
        Source::Reg => op.registers(dst, Place::register(instruction.src)),
        Source::Imm => op.y(dst).imm(instruction.imm.into()),
    };
    if extends {
        return Some(mov::then_extend(assembler, op, dst, slot));
    }
    Some(op)
}
