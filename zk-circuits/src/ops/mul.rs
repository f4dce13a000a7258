//! Products: `mul`, 32 and 64 bits; also shifts by a power of two (`shift`).
//!
//! * `Mul`: `a·b = u + 2^64·v`, both words of four limbs; `a < 2^64` and `b ≤ 2^64`, so both sides are
//!   below `2^129`. Returns `u`, or `v` with m1.
//! * `Mul32`: `a·b = w + 2^32·(l2 … l7)`, below `2^128`; returns `w = l0 + 2^16·l1`.
//!
//! The signed high word is the unsigned one, less `b` if `a` is negative, less `a` if `b` is.

use bpf_tracer::canonical::{AluOp, Instruction, Op, Source, Width};

use crate::builder::{Builder, two_pow};
use crate::cell::{Cell, LIMBS};
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Place};
use crate::ops::{Context, Family, bitwise, mov, shift};

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

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let Op::Alu(width, op, source) = instruction.op else {
        return None;
    };
    let class = match width {
        Width::W64 => Class::Mul,
        Width::W32 => Class::Mul32,
    };
    let dst = Place::register(instruction.dst);
    let with_source = |op: MicroOp| match source {
        Source::Reg => op.registers(dst, Place::register(instruction.src)),
        Source::Imm => op.y(dst).imm(instruction.imm.into()),
    };
    let high = MicroOp::new(class).modifiers(true, false, false);
    Some(match op {
        AluOp::Mul => with_source(MicroOp::new(class)),
        AluOp::MulHigh => with_source(high),
        AluOp::MulSx => mov::then_extend(assembler, with_source(MicroOp::new(class)), dst, slot),
        AluOp::MulHighSigned => {
            let [a, b, of_b, of_a] = [0, 1, 2, 3].map(Place::temp);
            let copy = |to: Place, from: Place| MicroOp::new(Class::Mov).y(to).x(from);
            let sign = |place: Place| shift::arithmetic(place, 63);
            let and = bitwise::operation(Width::W64, AluOp::And)?;
            let minus = |place: Place| {
                MicroOp::new(Class::Add)
                    .modifiers(true, false, false)
                    .y(dst)
                    .x(place)
            };
            let load_b = MicroOp::new(Class::Mov).y(b);
            let ops = vec![
                copy(a, dst),
                match source {
                    Source::Reg => load_b.x(Place::register(instruction.src)),
                    Source::Imm => load_b.imm(instruction.imm.into()),
                },
                copy(of_b, b),
                sign(of_b),
                and.y(of_b).x(a),
                copy(of_a, a),
                sign(of_a),
                and.y(of_a).x(b),
                high.y(dst).x(b),
                minus(of_a),
                minus(of_b),
            ];
            assembler.sequence(ops, Assembler::slot_row(slot + 1))
        }
        _ => return None,
    })
}
