//! `and`, `or`, `xor`, and bytes in reverse order.
//!
//! Two rows hold the eight byte pairs `(x_j, y_j)` of both operands with `z_j = x_j & y_j` from the
//! table: the low four in this row, the high four in the next. `Σ 2^(8j)·x_j = a` and
//! `Σ 2^(8j)·y_j = b` have one solution in bytes. With `x + y − z` for `or` and `x + y − 2z` for `xor`:
//! `r = m1·(a + b) + (1 − 2·m1 − m2)·w` with `w = Σ 2^(8j)·z_j`, where m1 is set for `or` and `xor`, m2 for `xor`.
//! `Bitwise32` takes the sums over the low row only. `and` with the number `2^j − 1` is a remainder (`shift`).
//!
//! With `c` the sums end with the low row and no high one follows: both operands are below 2^32. The prover
//! chooses. If they are, both ways are open and have the same result; otherwise only the longer one is.

use bpf_tracer::canonical::{AluOp, Instruction, Op, Size, Source, Width};

use crate::builder::{Builder, Expr, constant, two_pow};
use crate::cell::{Cell, LIMBS, Row};
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place, rom};
use crate::ops::{Context, Family, shift};

pub(super) const FAMILY: Family = Family {
    classes: &[
        Class::Bitwise,
        Class::Bitwise32,
        Class::ByteSwap,
        Class::BitwiseHigh,
    ],
    configure,
    assign,
    expand,
};

/// The cells of byte pair `j` of a row, and of its conjunction.
const SLOTS: [[Cell; 3]; 4] = [
    [LIMBS[0], LIMBS[1], LIMBS[2]],
    [LIMBS[3], LIMBS[4], LIMBS[5]],
    [LIMBS[6], LIMBS[7], LIMBS[8]],
    [Cell::P0, Cell::P1, Cell::P2],
];

/// `Σ 2^(8j)·part_j` of a row: part 0 is x, 1 is y, 2 is z.
fn sum(builder: &Builder, part: usize, rotation: i32) -> Expr {
    SLOTS
        .iter()
        .enumerate()
        .fold(constant(0), |sum, (j, slot)| {
            sum + builder.at(slot[part], rotation) * two_pow(8 * j as u32)
        })
}

fn configure(builder: &mut Builder) {
    let (m1, m2) = (builder.cell(Cell::M1), builder.cell(Cell::M2));
    let high_row = || constant(rom::BITWISE_HIGH as u128);

    let is_short = builder.cell(Cell::C);
    for (name, class) in [("bitwise", Class::Bitwise), ("bitwise32", Class::Bitwise32)] {
        builder.class(name, class);
        let whole = |part| {
            let high = sum(builder, part, 1) * two_pow(32);
            sum(builder, part, 0) + (constant(1) - is_short.clone()) * high
        };
        let [x, y, z] = [0, 1, 2].map(whole);
        let (a, b) = (builder.cell(Cell::Y), builder.cell(Cell::B));
        builder.require_equal("a has eight bytes, or four if c", a.clone(), x);
        builder.require_equal("b has eight bytes, or four if c", b.clone(), y);
        let following = builder.cell(Cell::Upc) + constant(1);
        builder.require_equal(
            "the high bytes follow, or the row after the operation if c",
            builder.at(Cell::Upc, 1),
            high_row() + is_short.clone() * (following - high_row()),
        );
        let (sum, conjunction) = if class == Class::Bitwise {
            let w = builder.cell(Cell::W);
            builder.require_equal("w is the conjunction", w.clone(), z);
            (a + b, w)
        } else {
            let [x, y, z] = [0, 1, 2].map(|part| sum(builder, part, 0));
            (x + y, z)
        };
        builder.require_equal(
            "r is the result's bytes",
            builder.cell(Cell::R),
            m1.clone() * sum + (constant(1) - m1.clone() * constant(2) - m2.clone()) * conjunction,
        );
    }

    builder.class("byte swap", Class::ByteSwap);
    for (name, part, operand) in [
        ("a has eight bytes", 0, Cell::Y),
        ("b has eight bytes", 1, Cell::B),
    ] {
        let bytes = sum(builder, part, 0) + sum(builder, part, 1) * two_pow(32);
        builder.require_equal(name, builder.cell(operand), bytes);
    }
    builder.require_equal(
        "the high bytes follow",
        builder.at(Cell::Upc, 1),
        high_row(),
    );
    let byte = |j: usize| builder.at(SLOTS[j % 4][0], (j / 4) as i32);
    let reversed = |bytes: usize| {
        (0..bytes).fold(constant(0), |sum, j| {
            sum + byte(j) * two_pow(8 * (bytes - 1 - j) as u32)
        })
    };
    let half = constant(1) - m1.clone() - m2.clone();
    let result = m1 * reversed(8) + m2 * reversed(4) + half * reversed(2);
    builder.require_equal("r is the result's bytes", builder.cell(Cell::R), result);

    builder.class("bitwise high", Class::BitwiseHigh);
    builder.require_no_write();
    builder.require_equal(
        "the row after the operation follows",
        builder.at(Cell::Upc, 1),
        builder.at(Cell::Upc, -1) + constant(1),
    );
}

/// Writes four byte pairs and their conjunctions.
fn set_bytes(row: &mut Row, a: i128, b: i128) {
    for (j, slot) in SLOTS.iter().enumerate() {
        let (x, y) = (a >> (8 * j) & 0xff, b >> (8 * j) & 0xff);
        row[slot[0]] = x;
        row[slot[1]] = y;
        row[slot[2]] = x & y;
    }
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    if class == Class::BitwiseHigh {
        row[Cell::R] = row[Cell::Y];
        context.next = context.before[0][Cell::Upc] as usize + 1;
        return;
    }
    let (a, b) = (row[Cell::Y], row[Cell::B]);
    set_bytes(row, a, b);
    // The shorter way wherever it is open.
    let is_short = class.has_short_way() && (a | b) >> 32 == 0;
    row[Cell::C] = is_short.into();
    if is_short {
        context.next = row[Cell::Upc] as usize + 1;
    } else {
        set_bytes(&mut context.after[0], a >> 32, b >> 32);
        context.next = rom::BITWISE_HIGH;
    }
    let (m1, m2) = (row[Cell::M1] == 1, row[Cell::M2] == 1);
    row[Cell::R] = if class == Class::ByteSwap {
        let bytes = (a as u64).swap_bytes();
        i128::from(if m1 {
            bytes
        } else if m2 {
            bytes >> 32
        } else {
            bytes >> 48
        })
    } else {
        let result = match (m1, m2) {
            (false, _) => a & b,
            (true, false) => a | b,
            (true, true) => a ^ b,
        };
        if class == Class::Bitwise {
            row[Cell::W] = a & b;
            result
        } else {
            result & 0xffff_ffff
        }
    };
}

/// `dst = dst op source`, without its operands.
pub(crate) fn operation(width: Width, op: AluOp) -> Option<MicroOp> {
    let class = match width {
        Width::W64 => Class::Bitwise,
        Width::W32 => Class::Bitwise32,
    };
    let (m1, m2) = match op {
        AluOp::And => (false, false),
        AluOp::Or => (true, false),
        AluOp::Xor => (true, true),
        _ => return None,
    };
    Some(
        MicroOp::new(class)
            .mode(Mode::Class)
            .modifiers(m1, m2, false),
    )
}

fn expand(_: &mut Assembler<'_>, _: u32, instruction: &Instruction) -> Option<MicroOp> {
    let dst = Place::register(instruction.dst);
    match instruction.op {
        Op::Alu(width, op, source) => {
            let divisor = i128::from(instruction.imm) + 1;
            let is_remainder = op == AluOp::And && source == Source::Imm;
            if is_remainder && divisor <= 1 << 32 && divisor & (divisor - 1) == 0 {
                return Some(shift::remainder(dst, divisor));
            }
            let op = operation(width, op)?;
            Some(match source {
                Source::Reg => op.registers(dst, Place::register(instruction.src)),
                Source::Imm => op.y(dst).imm(instruction.imm.into()),
            })
        }
        Op::ByteSwap(Size::B1) => Some(super::mov::extend(Size::B1, false).registers(dst, dst)),
        Op::ByteSwap(size) => Some(
            MicroOp::new(Class::ByteSwap)
                .mode(Mode::Class)
                .modifiers(size == Size::B8, size == Size::B4, false)
                .y(dst),
        ),
        _ => None,
    }
}
