//! Calls and returns.
//!
//! A frame holds `r6` to `r10` and the return address; a call copies them to the next frame, a return
//! only moves back: the caller's registers are where it left them.
//! * `Call`: if the depth allows it (`t`), the next frame's return address becomes the slot after the
//!   call, and the called function is where the instruction continues after the copies (`pc' + 1`).
//!   `imm` is six times the greatest depth that may call; `l8` is the distance to it, or past it. With
//!   m1 only the depth is checked: `w` says that a frame is entered.
//! * `CallTarget`: `b = 8·u + p0 (mod 2^64)`, `p0 < 8`, `u < 2^61`, where `b` is `x` less the text's address;
//!   `t` says that `p0 = 0` and `u` is a slot of the program (`target` of them), and then `r` is its address.
//! * `Exit`: goes to the return address and one frame back. The outermost one is the row that halts.

use bpf_tracer::Program;
use bpf_tracer::canonical::{AluOp, Instruction, Op, Width};

use crate::builder::{Builder, constant, two_pow};
use crate::cell::Cell;
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place, local, rom};
use crate::ops::{Context, Family, bitwise, branch, mov};
use crate::shape::{FRAME_WORDS, RETURN_ADDRESS, SLOT_ROW};

pub(super) const FAMILY: Family = Family {
    classes: &[Class::Call, Class::CallTarget, Class::Exit],
    configure,
    assign,
    expand,
};

/// The copies into a frame that has just been entered; then the called function begins. `growth` is
/// added to the frame pointer.
pub(crate) fn frame_entry(growth: i64) -> Vec<MicroOp> {
    let copy = |word| {
        MicroOp::new(Class::Mov)
            .x(Place::frame_word(word, -1))
            .y(Place::frame_word(word, 0))
    };
    let mut ops: Vec<MicroOp> = (0..4).map(copy).collect();
    // The frame pointer moves within the stack, which the depth bounds: the sum is a word.
    ops.push(copy(4).imm(growth.into()).mode(Mode::Return));
    ops
}

fn configure(builder: &mut Builder) {
    let upc_next = |builder: &Builder| builder.at(Cell::Upc, 1);
    let taken = builder.cell(Cell::T);

    builder.class("call", Class::Call);
    let beyond = builder.cell(Cell::Frame) - builder.cell(Cell::Imm);
    let distance = builder.cell(Cell::L8);
    builder.require_equal(
        "the depth allows the call exactly if t",
        distance,
        taken.clone() * (-beyond.clone())
            + (constant(1) - taken.clone()) * (beyond - constant(FRAME_WORDS.into())),
    );
    let entered = builder.cell(Cell::W);
    builder.require_equal(
        "w = t unless only the depth is checked",
        entered.clone(),
        taken.clone() * (constant(1) - builder.cell(Cell::M1)),
    );
    let change = builder.cell(Cell::Pc) + constant(1) - builder.cell(Cell::Y);
    builder.require_equal(
        "the return address is the slot after the call",
        builder.cell(Cell::R),
        builder.cell(Cell::Y) + entered.clone() * change,
    );
    let callee = builder.cell(Cell::Target) + builder.cell(Cell::X) - constant(1);
    builder.require_equal(
        "the instruction continues in the called function",
        builder.at(Cell::Pc, 1),
        builder.cell(Cell::Pc) + entered.clone() * (callee - builder.cell(Cell::Pc)),
    );
    let (entry, trap) = (
        constant(rom::CALL as u128),
        constant(rom::TRAP_DEPTH as u128),
    );
    let following = builder.cell(Cell::Upc) + constant(1);
    builder.require_equal(
        "the copies follow, or the next row if only the depth is checked, or the trap",
        upc_next(builder),
        trap.clone()
            + entered.clone() * (entry - following.clone())
            + taken.clone() * (following - trap),
    );

    builder.class("call target", Class::CallTarget);
    let (slot, rest) = (builder.u(0), builder.cell(Cell::P0));
    builder.require_equal(
        "b = 8·u + rest (mod 2^64)",
        builder.cell(Cell::B) + builder.cell(Cell::C) * two_pow(64),
        slot.clone() * constant(8) + rest.clone(),
    );
    builder.require_equal(
        "the rest is below 8",
        builder.cell(Cell::P1),
        rest.clone() * constant(32),
    );
    builder.require_zero(
        "t only for the start of a slot",
        taken.clone() * rest.clone(),
    );
    // Without this bound a carry too many would make a valid address look like one past the end.
    builder.require_equal(
        "u is below 2^61",
        builder.cell(Cell::L8),
        builder.cell(Cell::L3) * constant(8),
    );
    let slots = builder.cell(Cell::Target);
    // d: the slot is past the end; otherwise the rest is not zero.
    let past_end = builder.cell(Cell::D);
    builder.require_equal(
        "w is by how much the address is wrong",
        builder.cell(Cell::W),
        rest.clone() - constant(1) + past_end * (slot.clone() - slots.clone() - rest + constant(1)),
    );
    let inside = slots - constant(1) - slot.clone();
    builder.require_equal(
        "the slot exists exactly if t",
        builder.v(0),
        builder.cell(Cell::W) + taken.clone() * (inside - builder.cell(Cell::W)),
    );
    builder.require_equal(
        "r is the row of the slot",
        builder.cell(Cell::R),
        builder.cell(Cell::Y)
            + taken.clone() * (slot + constant(SLOT_ROW as u128) - builder.cell(Cell::Y)),
    );
    let trap = constant(rom::TRAP_TEXT as u128);
    let following = builder.cell(Cell::Upc) + constant(1);
    builder.require_equal(
        "the call follows, or the trap",
        upc_next(builder),
        trap.clone() + taken * (following - trap),
    );

    builder.class("exit", Class::Exit);
    builder.require_no_write();
    builder.require_equal(
        "the return address follows",
        upc_next(builder),
        builder.cell(Cell::X),
    );
}

fn assign(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    match class {
        Class::Call => {
            let beyond = row[Cell::Frame] - row[Cell::Imm];
            let permitted = beyond <= 0;
            row[Cell::T] = permitted.into();
            row[Cell::L8] = if permitted {
                -beyond
            } else {
                beyond - i128::from(FRAME_WORDS)
            };
            let entered = permitted && row[Cell::M1] == 0;
            row[Cell::W] = entered.into();
            row[Cell::R] = if entered {
                row[Cell::Pc] + 1
            } else {
                row[Cell::Y]
            };
            context.next = match (permitted, entered) {
                (_, true) => rom::CALL,
                (true, _) => row[Cell::Upc] as usize + 1,
                _ => rom::TRAP_DEPTH,
            };
        }
        Class::CallTarget => {
            let distance = row[Cell::B] as u64;
            row[Cell::C] = (row[Cell::B] < 0).into();
            let (slot, rest) = (i128::from(distance / 8), i128::from(distance % 8));
            row.set_u(slot);
            row[Cell::L8] = 8 * row[Cell::L3];
            row[Cell::P0] = rest;
            row[Cell::P1] = 32 * rest;
            row[Cell::P2] = row[Cell::P0] & row[Cell::P1];
            let slots = row[Cell::Target];
            let permitted = rest == 0 && slot < slots;
            row[Cell::T] = permitted.into();
            row[Cell::D] = (slot >= slots).into();
            row[Cell::W] = if slot >= slots {
                slot - slots
            } else {
                rest - 1
            };
            row.set_v(if permitted {
                slots - 1 - slot
            } else {
                row[Cell::W]
            });
            row[Cell::R] = if permitted {
                slot + SLOT_ROW as i128
            } else {
                row[Cell::Y]
            };
            context.next = if permitted {
                row[Cell::Upc] as usize + 1
            } else {
                rom::TRAP_TEXT
            };
        }
        _ => {
            row[Cell::R] = row[Cell::Y];
            context.next = row[Cell::X] as usize;
        }
    }
}

/// Writes the address of the slot that `x` and an immediate name into a temporary, or traps.
fn target(program: &Program, address: Place, temp: Place) -> MicroOp {
    MicroOp::new(Class::CallTarget)
        .mode(Mode::Class)
        .registers(temp, address)
        .target(program.instructions().len() as u64)
}

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let deepest = i128::from(FRAME_WORDS) * i128::from(assembler.program().max_call_depth() - 1);
    let call = MicroOp::new(Class::Call)
        .mode(Mode::Class)
        .y(Place::frame_word(RETURN_ADDRESS, 1))
        .imm(deepest);
    Some(match instruction.op {
        Op::Call => call.target(Assembler::slot_row(instruction.target)),
        Op::CallReg => {
            let temp = Place::temp(0);
            let program = assembler.program();
            let register = Place::register(instruction.src);
            let by_address = [
                target(program, register, temp).imm(-i128::from(program.text_base())),
                call.x(temp),
            ];
            if !program.allows_test_helper() {
                return Some(mov::go(assembler.continuation(by_address.to_vec())));
            }
            // Helper 5 by number: `r0 = r1`.
            let minus_5 = MicroOp::new(Class::Add)
                .modifiers(true, false, false)
                .y(temp);
            let [find, enter] = by_address;
            let rest = assembler.continuation(vec![
                minus_5.imm(5),
                branch::not_equal(temp, Place::ZERO, Width::W64, local(3)),
                MicroOp::new(Class::Mov)
                    .y(Place::register(0))
                    .x(Place::register(1))
                    .mode(Mode::Go)
                    .target(Assembler::slot_row(slot + 1)),
                find,
                enter,
            ]);
            MicroOp::new(Class::Mov)
                .y(temp)
                .x(register)
                .mode(Mode::Go)
                .target(rest)
        }
        Op::CallAddress => {
            let temp = Place::temp(0);
            let program = assembler.program();
            let check_depth = MicroOp {
                y: Place::SINK,
                ..call.modifiers(true, false, false)
            };
            let distance = MicroOp::new(Class::Add)
                .modifiers(true, false, false)
                .y(temp)
                .imm(program.text_base().into());
            let round_down = bitwise::operation(Width::W64, AluOp::And)?
                .y(temp)
                .imm(i128::from(u64::MAX - 7));
            let find = target(program, temp, temp);
            let rest =
                assembler.continuation(vec![check_depth, distance, round_down, find, call.x(temp)]);
            MicroOp::new(Class::Mov)
                .y(temp)
                .x(Place::register(instruction.src))
                .mode(Mode::Go)
                .target(rest)
        }
        Op::Exit => MicroOp::new(Class::Exit).mode(Mode::Class).x(Place::RETURN),
        _ => return None,
    })
}
