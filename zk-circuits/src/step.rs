//! What every row has, whatever its class: flags, fetch, two accesses, limbs, successor, padding.

use crate::builder::{Builder, Expr, constant, inverse, two_pow};
use crate::bus::Bus;
use crate::cell::{Cell, FETCHED_BITS, FREE_BITS, GROUPS, LIMBS, MEMBERS};
use crate::class::Class;
use crate::instance::InstanceCell;
use crate::microcode::{CODE_ADDRESS, CODE_FLAGS};
use crate::ops::charge;
use crate::shape::{FIRST_ROW, SLOT_ROW};
use crate::tables::{FixedColumn, kind, range_tuple};

/// States the constraints of every row.
pub(crate) fn configure(builder: &mut Builder) {
    flags(builder);
    fetch(builder);
    accesses(builder);
    operands(builder);
    ranges(builder);
    successor(builder);
    boundaries(builder);
}

/// Every flag is a bit; an active row has one group and at most one explicit member.
fn flags(builder: &mut Builder) {
    builder.global("flags");
    for cell in FETCHED_BITS.into_iter().chain(FREE_BITS) {
        builder.require_bit(&format!("{} is a bit", cell.name()), builder.cell(cell));
    }
    builder.require_bit("a row has at most one group", builder.is_active());
    let members = MEMBERS
        .iter()
        .fold(constant(0), |sum, cell| sum + builder.cell(*cell));
    builder.require_bit("a row has at most one explicit member", members.clone());
    let inactive = constant(1) - builder.is_active();
    builder.require_zero("padding has no member", inactive.clone() * members);
    builder.require_zero(
        "padding begins no instruction",
        inactive * builder.cell(Cell::First),
    );
}

/// An active row is the micro-operation at `upc`: class, mode, addresses and constants at once.
fn fetch(builder: &mut Builder) {
    builder.global("fetch");
    let frame = builder.cell(Cell::Frame);
    // Addresses of memory words come from the page list, not from the table: the second one of an access,
    // both of a copy.
    let copies = builder.cell(Cell::G7);
    let words = builder.cell(Cell::G1) + copies.clone();
    let x = builder.cell(Cell::AddrX) * (constant(1) - copies)
        - builder.cell(Cell::FrameX) * frame.clone();
    let y = builder.cell(Cell::AddrY) * (constant(1) - words) - builder.cell(Cell::FrameY) * frame;
    let flags = FETCHED_BITS
        .iter()
        .enumerate()
        .fold(constant(0), |sum, (i, cell)| {
            sum + builder.cell(*cell) * two_pow((CODE_FLAGS + i) as u32)
        });
    builder.send(
        Bus::Program,
        "the row is in the program table",
        builder.is_active(),
        vec![
            builder.cell(Cell::Upc) * two_pow(CODE_ADDRESS as u32) + x + y * two_pow(24) + flags,
            builder.cell(Cell::Imm),
            builder.cell(Cell::Target),
        ],
    );
}

/// Two accesses on every row: the first reads, the second reads and writes. Time is the row: entry
/// words have time 0, this row's accesses happen at `row + 1`, counted from the first row.
fn accesses(builder: &mut Builder) {
    builder.global("memory");
    let row = builder.fixed(FixedColumn::Row) - constant(FIRST_ROW as u128);
    let now = row.clone() + constant(1);
    let one = constant(1);
    // Read-only words (group 1 with the alias flag) come from the program table instead.
    let second = constant(1) - builder.cell(Cell::G1) * builder.cell(Cell::Alias);
    for (name, address, before, after, time, multiplicity) in [
        (
            "first",
            Cell::AddrX,
            Cell::X,
            Cell::X,
            Cell::TimeX,
            one.clone(),
        ),
        ("second", Cell::AddrY, Cell::Y, Cell::R, Cell::TimeY, second),
    ] {
        let (address, time) = (builder.cell(address), builder.cell(time));
        builder.receive(
            Bus::Memory,
            &format!("the {name} access takes the word"),
            multiplicity.clone(),
            vec![address.clone(), builder.cell(before), time.clone()],
        );
        builder.send(
            Bus::Memory,
            &format!("the {name} access puts the word back"),
            multiplicity,
            vec![address, builder.cell(after), now.clone()],
        );
        builder.send(
            Bus::Time,
            &format!("the {name} access comes after the one before"),
            one.clone(),
            vec![row.clone() - time],
        );
    }
}

/// `b = x + imm`, plus `y` if both operands are one register.
fn operands(builder: &mut Builder) {
    builder.global("operands");
    let alias = builder.cell(Cell::Alias) * builder.cell(Cell::Y);
    let sum = builder.cell(Cell::X) + builder.cell(Cell::Imm) + alias;
    let other = constant(1) - builder.cell(Cell::G1) - builder.cell(Cell::G7);
    builder.require_zero(
        "b = x + imm + alias·y",
        other * (builder.cell(Cell::B) - sum),
    );
}

/// Limbs have 16 bits, except in group 2, where limbs and table operands are four pairs of bytes
/// with their conjunctions. Elsewhere the table operands are such a pair, a place in a page or a shift.
fn ranges(builder: &mut Builder) {
    builder.global("limbs");
    let bytes = builder.cell(Cell::G2);
    let limbs = constant(1) - bytes.clone();
    for (index, cell) in LIMBS.into_iter().enumerate() {
        let limb = builder.cell(cell);
        if builder.is_narrow() {
            let low = builder.half(index);
            let high = (limb - low.clone()) * inverse(256);
            builder.send(
                Bus::Range,
                &format!("low half of {}", cell.name()),
                limbs.clone(),
                range_tuple(low),
            );
            builder.send(
                Bus::Range,
                &format!("high half of {}", cell.name()),
                limbs.clone(),
                range_tuple(high),
            );
        } else {
            builder.send(
                Bus::Range,
                &format!("{} has 16 bits", cell.name()),
                limbs.clone(),
                range_tuple(limb),
            );
        }
    }
    for slot in 0..3 {
        let cells = [LIMBS[3 * slot], LIMBS[3 * slot + 1], LIMBS[3 * slot + 2]];
        conjunction(
            builder,
            &format!("bytes {slot}"),
            bytes.clone(),
            cells,
            3 * slot,
        );
    }
    let operands = [Cell::P0, Cell::P1, Cell::P2];
    let pair = constant(1) - builder.cell(Cell::G1) - builder.is(Class::ShiftAmount);
    conjunction(builder, "table operands", pair, operands, LIMBS.len());
}

/// `z = x & y`, all three bytes.
fn conjunction(
    builder: &mut Builder,
    name: &str,
    multiplicity: Expr,
    cells: [Cell; 3],
    half: usize,
) {
    let kind = || constant(kind::AND.into());
    if builder.is_narrow() {
        let low = [0, 1, 2].map(|i| builder.half(half + i));
        let high = [0, 1, 2].map(|i| (builder.cell(cells[i]) - low[i].clone()) * inverse(16));
        for (part, [x, y, z]) in [("low", low), ("high", high)] {
            builder.send(
                Bus::Table,
                &format!("{name}: {part} conjunction"),
                multiplicity.clone(),
                vec![kind(), x, y, z],
            );
        }
    } else {
        let [x, y, z] = cells.map(|cell| builder.cell(cell));
        builder.send(
            Bus::Table,
            &format!("{name}: conjunction"),
            multiplicity,
            vec![kind(), x, y, z],
        );
    }
}

/// Which row follows, by mode; what the state is there.
fn successor(builder: &mut Builder) {
    builder.global("successor");
    let (low, high) = (builder.cell(Cell::ModeLo), builder.cell(Cell::ModeHi));
    let next = builder.at(Cell::Upc, 1);
    let upc = builder.cell(Cell::Upc);
    let target = builder.cell(Cell::Target);
    let one = || constant(1);
    let active = builder.is_active();

    // Padding sets both mode bits, so that only its own rule below says what follows.
    let following = upc.clone() + one();
    let branch = following.clone() + builder.cell(Cell::T) * (target.clone() - following);
    builder.require_zero(
        "mode next: the next row, or the target if taken",
        (one() - low.clone()) * (one() - high.clone()) * (next.clone() - branch),
    );
    builder.require_zero(
        "mode go: the target",
        low.clone() * (one() - high.clone()) * (next.clone() - target),
    );
    builder.require_zero(
        "mode return: the slot after the instruction",
        high.clone() * (one() - low.clone()) * (next.clone() - builder.cell(Cell::Pc) - one()),
    );
    let straight = [Cell::G1, Cell::G2, Cell::G3, Cell::G4]
        .iter()
        .fold(constant(0), |sum, group| sum + builder.cell(*group));
    builder.require_zero("only branches are taken", straight * builder.cell(Cell::T));

    // State.
    let call = builder.is(Class::Call);
    builder.require_zero(
        "the first row of an instruction is its slot",
        builder.cell(Cell::First) * (builder.cell(Cell::Pc) - upc.clone()),
    );
    builder.require_zero(
        "an instruction's rows share its slot",
        (one() - builder.at(Cell::First, 1))
            * (one() - call.clone())
            * (builder.at(Cell::Pc, 1) - builder.cell(Cell::Pc)),
    );
    let charged = builder.is(Class::Charge) * charge::charged(builder) * two_pow(64);
    builder.require_equal(
        "steps count instructions, units also what system calls cost",
        builder.at(Cell::Count, 1),
        builder.cell(Cell::Count) + builder.cell(Cell::First) * (one() + two_pow(64)) + charged,
    );
    let frame = builder.cell(Cell::Frame);
    let entered = builder.cell(Cell::W) * call * constant(6);
    let left = builder.is(Class::Exit) * constant(6);
    let ended = builder.is(Class::End) * frame.clone();
    builder.require_equal(
        "calls enter a frame, exits leave it",
        builder.at(Cell::Frame, 1),
        frame + entered - left - ended,
    );

    // Padding.
    builder.global("padding");
    let padding = one() - active;
    let active_next = GROUPS
        .iter()
        .fold(constant(0), |sum, group| sum + builder.at(*group, 1));
    builder.require_zero(
        "padding is followed by padding",
        padding.clone() * active_next * (one() - builder.fixed(FixedColumn::Last)),
    );
    builder.require_zero("padding keeps the row", padding.clone() * (next - upc));
    builder.require_zero(
        "padding writes nothing",
        padding * (builder.cell(Cell::R) - builder.cell(Cell::Y)),
    );
}

/// First and last rows: the state is the instance's, and the outcome is published exactly once,
/// in the chunk that ends the run.
fn boundaries(builder: &mut Builder) {
    builder.global("boundary");
    let first = builder.fixed(FixedColumn::First);
    let one = || constant(1);
    let slot_row = || constant(SLOT_ROW as u128);
    let instance = |builder: &Builder, cell| builder.instance(cell, 0);

    let require = |builder: &mut Builder, name: &str, value: Expr| {
        builder.require_zero(name, first.clone() * value);
    };
    let value = instance(builder, InstanceCell::RunningIn) - one();
    require(builder, "the program runs when the chunk begins", value);
    // An `Equal` row is no part of a group of rows: nothing behind it refers to what is before it.
    let inside = one() - builder.cell(Cell::First);
    let value = inside.clone() * (one() - builder.is(Class::Equal));
    require(
        builder,
        "a chunk begins with an instruction or with a comparison",
        value,
    );
    let value = builder.cell(Cell::Upc) - slot_row() - instance(builder, InstanceCell::PcIn);
    require(builder, "the first micro-operation is pc_in", value);
    let slot = builder.cell(Cell::Pc) + one() - slot_row();
    let slot = slot - instance(builder, InstanceCell::SlotIn);
    require(
        builder,
        "a chunk that begins inside an instruction continues it",
        inside * slot,
    );
    let value = builder.cell(Cell::Frame) - instance(builder, InstanceCell::DepthIn) * constant(6);
    require(builder, "the first depth is depth_in", value);
    let count = |builder: &Builder, steps, units| {
        instance(builder, steps) + instance(builder, units) * two_pow(64)
    };
    let before = count(builder, InstanceCell::StepsIn, InstanceCell::UnitsIn);
    let value = builder.cell(Cell::Count) - before;
    require(
        builder,
        "steps and units before the first row are steps_in and units_in",
        value,
    );

    // A row that needs others behind it is followed by rows of the ROM, which come before all slots.
    let last = builder.fixed(FixedColumn::Last);
    builder.require_zero(
        "the last row is padding",
        last.clone() * builder.is_active(),
    );
    let place = builder.limbs(0..2, 0);
    builder.require_zero(
        "the micro-operation behind the chunk is not in the ROM",
        last * (builder.cell(Cell::Upc) - slot_row() - place),
    );

    let running = instance(builder, InstanceCell::RunningOut);
    require(
        builder,
        "running_out is a bit",
        running.clone() * (running.clone() - one()),
    );
    for (name, cell) in [
        ("a running chunk has no status", InstanceCell::Status),
        ("a running chunk has no r0", InstanceCell::R0),
        ("a running chunk has no trap kind", InstanceCell::TrapKind),
        ("a running chunk has no trap pc", InstanceCell::TrapPc),
    ] {
        let value = running.clone() * instance(builder, cell);
        require(builder, name, value);
    }

    builder.send(
        Bus::Exit,
        "the state behind the last row",
        builder.fixed(FixedColumn::Last),
        vec![
            builder.at(Cell::Upc, 1) - slot_row(),
            builder.cell(Cell::Pc) + one() - slot_row(),
            builder.at(Cell::Frame, 1),
            builder.at(Cell::Count, 1),
        ],
    );
    builder.receive(
        Bus::Exit,
        "the state at the exit is the instance's",
        first.clone(),
        vec![
            instance(builder, InstanceCell::PcOut),
            instance(builder, InstanceCell::SlotOut),
            instance(builder, InstanceCell::DepthOut) * constant(6),
            count(builder, InstanceCell::StepsOut, InstanceCell::UnitsOut),
        ],
    );
    builder.receive(
        Bus::Outcome,
        "the outcome is the instance's",
        first * (one() - running),
        vec![
            instance(builder, InstanceCell::Status),
            instance(builder, InstanceCell::TrapKind),
            instance(builder, InstanceCell::R0),
            instance(builder, InstanceCell::TrapPc),
        ],
    );
}
