//! Conditional branches. Each class sets `t`, which the successor obeys.
//!
//! * `Equal`: `s` says that `a = b`. If not, `±(a − b) − 1` has limbs (sign by `c`), so `a ≠ b`.
//! * `Less`: `±(a − b) + 2^64·c = u`: `c` says that the difference is negative (m2 swaps the operands).
//! * `Equal32`, `Less32`: the same for the low halves `l0, l1` of `a` and `l4, l5` of `b`; the
//!   difference has the limbs `l8` and the byte pair. For a signed comparison (m3) `2^31` is added to
//!   both operands first.
//! * `LessSigned`: `2^63` is added to both operands (`u`, `v`); the difference has the next row's limbs.
//!
//! In all of them m1 inverts the outcome. `jset` is a conjunction and a comparison with zero.

use bpf_tracer::canonical::{AluOp, Cond, Instruction, Op, Source, Width};

use crate::builder::{Builder, Expr, constant, two_pow};
use crate::cell::{Cell, LIMBS, Row};
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place, rom};
use crate::ops::{Context, Family, bitwise, mov};

pub(super) const FAMILY: Family = Family {
    classes: &[
        Class::Equal,
        Class::Less,
        Class::Equal32,
        Class::Less32,
        Class::LessSigned,
    ],
    configure,
    assign,
    expand,
};

/// `l8 + 2^16·(p0 + 2^8·p1)`: 32 bits.
fn half_word(builder: &Builder) -> Expr {
    builder.cell(LIMBS[8]) + builder.byte_pair() * two_pow(16)
}

/// `t` is `bit`, inverted by m1.
fn require_taken(builder: &mut Builder, bit: Expr) {
    let invert = builder.cell(Cell::M1);
    builder.require_equal(
        "t is the condition",
        builder.cell(Cell::T),
        bit.clone() + invert.clone() - bit * invert * constant(2),
    );
}

/// `s ⇔ a = b`, where `|a − b| − 1` is `limbs` if they differ.
fn require_equality(builder: &mut Builder, a: Expr, b: Expr, limbs: Expr) {
    let (equal, negative) = (builder.cell(Cell::S), builder.cell(Cell::C));
    let difference = a - b;
    builder.require_equal(
        "±(a − b) = limbs + 1 unless a = b",
        (constant(1) - negative * constant(2)) * difference.clone(),
        limbs + constant(1) - equal.clone(),
    );
    builder.require_zero("s only if a = b", equal.clone() * difference);
    require_taken(builder, equal);
}

/// `bit ⇔ a < b` (or `b < a` with m2), where the difference modulo `2^bits` is `limbs`.
fn require_order(builder: &mut Builder, a: Expr, b: Expr, bits: u32, limbs: Expr, bit: Expr) {
    let swap = constant(1) - builder.cell(Cell::M2) * constant(2);
    builder.require_equal(
        "±(a − b) + 2^bits·less = limbs",
        swap * (a - b) + bit.clone() * two_pow(bits),
        limbs,
    );
    require_taken(builder, bit);
}

fn configure(builder: &mut Builder) {
    let (a, b) = (builder.cell(Cell::Y), builder.cell(Cell::B));

    builder.class("equal", Class::Equal);
    builder.require_no_write();
    let limbs = builder.u(0);
    require_equality(builder, a.clone(), b.clone(), limbs);

    builder.class("less", Class::Less);
    builder.require_no_write();
    let (limbs, less) = (builder.u(0), builder.cell(Cell::C));
    require_order(builder, a.clone(), b.clone(), 64, limbs, less);

    for (name, class) in [("equal32", Class::Equal32), ("less32", Class::Less32)] {
        builder.class(name, class);
        builder.require_no_write();
        let (low_a, low_b) = (builder.limbs(0..2, 0), builder.limbs(4..6, 0));
        let (all_a, all_b) = (builder.u(0), builder.v(0));
        if class == Class::Equal32 {
            builder.require_equal("a has limbs", a.clone(), all_a);
            builder.require_equal("b has limbs", b.clone(), all_b);
            let limbs = half_word(builder);
            require_equality(builder, low_a, low_b, limbs);
        } else {
            let bias = builder.cell(Cell::M3) * two_pow(31);
            let carry = |bit| builder.cell(bit) * two_pow(64);
            let (carry_a, carry_b) = (carry(Cell::S), carry(Cell::D));
            builder.require_equal(
                "a + bias has limbs",
                a.clone() + bias.clone(),
                all_a + carry_a,
            );
            builder.require_equal("b + bias has limbs", b.clone() + bias, all_b + carry_b);
            let (limbs, less) = (half_word(builder), builder.cell(Cell::C));
            require_order(builder, low_a, low_b, 32, limbs, less);
        }
    }

    builder.class("less signed", Class::LessSigned);
    builder.require_no_write();
    let carry = |bit| builder.cell(bit) * two_pow(64);
    let (biased_a, biased_b) = (builder.u(0), builder.v(0));
    let (carry_a, carry_b) = (carry(Cell::S), carry(Cell::D));
    builder.require_equal(
        "a + 2^63 has limbs",
        a + two_pow(63),
        biased_a.clone() + carry_a,
    );
    builder.require_equal(
        "b + 2^63 has limbs",
        b + two_pow(63),
        biased_b.clone() + carry_b,
    );
    let (limbs, less) = (builder.u(1), builder.cell(Cell::C));
    require_order(builder, biased_a, biased_b, 64, limbs, less);
    builder.require_equal(
        "the limbs follow",
        builder.at(Cell::Upc, 1),
        constant(rom::LIMBS as u128),
    );
}

fn set_half_word(row: &mut Row, value: i128) {
    row[Cell::L8] = value & 0xffff;
    row[Cell::P0] = value >> 16 & 0xff;
    row[Cell::P1] = value >> 24 & 0xff;
    row[Cell::P2] = row[Cell::P0] & row[Cell::P1];
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    row[Cell::R] = row[Cell::Y];
    let (mut a, mut b) = (row[Cell::Y], row[Cell::B]);
    match class {
        Class::Equal32 => {
            row.set_u(a);
            row.set_v(b);
            (a, b) = (a & 0xffff_ffff, b & 0xffff_ffff);
        }
        Class::Less32 | Class::LessSigned => {
            let bias = match class {
                Class::LessSigned => 1 << 63,
                _ => row[Cell::M3] << 31,
            };
            (a, b) = (a + bias, b + bias);
            row.set_u(a);
            row.set_v(b);
            row[Cell::S] = a >> 64;
            row[Cell::D] = b >> 64;
            let mask = if class == Class::Less32 {
                0xffff_ffff
            } else {
                0xffff_ffff_ffff_ffff
            };
            (a, b) = (a & mask, b & mask);
        }
        _ => {}
    }
    let condition = match class {
        Class::Equal | Class::Equal32 => {
            row[Cell::S] = (a == b).into();
            row[Cell::C] = (a < b).into();
            let distance = (a - b).abs() - i128::from(a != b);
            if class == Class::Equal {
                row.set_u(distance);
            } else {
                set_half_word(row, distance);
            }
            a == b
        }
        _ => {
            let difference = if row[Cell::M2] == 1 { b - a } else { a - b };
            row[Cell::C] = (difference < 0).into();
            match class {
                Class::Less => row.set_u(difference + (row[Cell::C] << 64)),
                Class::Less32 => set_half_word(row, difference + (row[Cell::C] << 32)),
                _ => {
                    context.after[0].set_u(difference + (row[Cell::C] << 64));
                    context.next = rom::LIMBS;
                }
            }
            difference < 0
        }
    };
    row[Cell::T] = i128::from(condition) ^ row[Cell::M1];
}

/// A comparison of `dst` and the source, without its operands.
fn comparison(width: Width, cond: Cond) -> Option<MicroOp> {
    // Invert, swap, signed.
    let (invert, swap, signed) = match cond {
        Cond::Eq => (false, false, false),
        Cond::Ne => (true, false, false),
        Cond::Lt => (false, false, false),
        Cond::Ge => (true, false, false),
        Cond::Gt => (false, true, false),
        Cond::Le => (true, true, false),
        Cond::Slt => (false, false, true),
        Cond::Sge => (true, false, true),
        Cond::Sgt => (false, true, true),
        Cond::Sle => (true, true, true),
        Cond::Set => return None,
    };
    let equality = matches!(cond, Cond::Eq | Cond::Ne);
    let (class, mode) = match (width, equality, signed) {
        (Width::W64, true, _) => (Class::Equal, Mode::Next),
        (Width::W64, _, false) => (Class::Less, Mode::Next),
        (Width::W64, _, true) => (Class::LessSigned, Mode::Class),
        (Width::W32, true, _) => (Class::Equal32, Mode::Next),
        (Width::W32, _, _) => (Class::Less32, Mode::Next),
    };
    Some(
        MicroOp::new(class)
            .mode(mode)
            .modifiers(invert, swap, signed),
    )
}

/// Goes to `target` if the word at `place` is not zero.
pub(crate) fn not_equal(place: Place, other: Place, width: Width, target: u64) -> MicroOp {
    let op = match width {
        Width::W64 => MicroOp::new(Class::Equal),
        Width::W32 => MicroOp::new(Class::Equal32),
    };
    op.modifiers(true, false, false)
        .y(place)
        .x(other)
        .target(target)
}

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let Op::Branch(width, cond, source) = instruction.op else {
        return None;
    };
    let dst = Place::register(instruction.dst);
    let src = Place::register(instruction.src);
    let target = Assembler::slot_row(instruction.target);
    if let Some(op) = comparison(width, cond) {
        let op = op.target(target);
        return Some(match source {
            Source::Reg => op.registers(dst, src),
            Source::Imm => op.y(dst).imm(instruction.imm.into()),
        });
    }
    let temp = Place::temp(0);
    let and = bitwise::operation(width, AluOp::And)?.y(temp);
    let rest = assembler.continuation(vec![
        match source {
            Source::Reg => and.x(src),
            Source::Imm => and.imm(instruction.imm.into()),
        },
        not_equal(temp, Place::ZERO, Width::W64, target),
        mov::go(Assembler::slot_row(slot + 1)),
    ]);
    Some(
        MicroOp::new(Class::Mov)
            .y(temp)
            .x(dst)
            .mode(Mode::Go)
            .target(rest),
    )
}
