//! Products: `mul`, 32 and 64 bits; also shifts by a power of two (`shift`).
//!
//! * `Mul`: `a·b = u + 2^64·v`, both words of four limbs; `a < 2^64` and `b ≤ 2^64`, so both sides are
//!   below `2^129`. Returns `u`, or `v` with m1.
//! * `Mul32`: `a·b = w + 2^32·(l2 … l7)`, below `2^128`; returns `w = l0 + 2^16·l1`.

use bpf_tracer::canonical::{AluOp, Instruction, Op, Source, Width};

use crate::builder::{Builder, two_pow};
use crate::cell::{Cell, LIMBS};
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Place};
use crate::ops::{Context, Family};

pub(super) const FAMILY: Family = Family {
    classes: &[Class::Mul, Class::Mul32],
    configure,
    assign,
    expand,
};

fn configure(builder: &mut Builder) {
    builder.class("mul", Class::Mul);
    let product = builder.cell(Cell::Y) * builder.cell(Cell::B);
    let (u, v) = (builder.u(0), builder.v(0));
    builder.require_equal(
        "a·b = u + 2^64·v",
        product.clone(),
        u.clone() + v.clone() * two_pow(64),
    );
    let high = builder.cell(Cell::M1) * (v - u.clone());
    builder.require_equal("r is the chosen word", builder.cell(Cell::R), u + high);

    builder.class("mul32", Class::Mul32);
    builder.require_equal("a·b has eight limbs", product, builder.limbs(0..8, 0));
    builder.require_equal(
        "r is the low half-word",
        builder.cell(Cell::R),
        builder.limbs(0..2, 0),
    );
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    let product = row[Cell::Y] as u128 * row[Cell::B] as u128;
    let (u, v) = (product as u64, (product >> 64) as u64);
    row.set_limbs(&LIMBS[..4], u.into());
    row.set_limbs(&LIMBS[4..8], v.into());
    row[Cell::R] = match class {
        Class::Mul if row[Cell::M1] == 1 => v.into(),
        Class::Mul => u.into(),
        _ => i128::from(u & 0xffff_ffff),
    };
}

fn expand(_: &mut Assembler<'_>, _: u32, instruction: &Instruction) -> Option<MicroOp> {
    let Op::Alu(width, AluOp::Mul, source) = instruction.op else {
        return None;
    };
    let op = MicroOp::new(match width {
        Width::W64 => Class::Mul,
        Width::W32 => Class::Mul32,
    });
    let dst = Place::register(instruction.dst);
    Some(match source {
        Source::Reg => op.registers(dst, Place::register(instruction.src)),
        Source::Imm => op.y(dst).imm(instruction.imm.into()),
    })
}
