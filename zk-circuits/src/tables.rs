//! Everything that receives: lookup tables, program table, page list, memory words at the boundaries.

use crate::Committed;
use crate::builder::{Builder, Expr, constant, field, inverse, two_pow};
use crate::bus::Bus;
use crate::instance::InstanceCell;
use crate::shape::{FIRST_PAGE, FIRST_ROW, INPUT_INTERVAL_ROWS, PAGE_STRIDE, Shape, TEMPS};
use halo2curves::bn256::Fr;

/// Fixed columns, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FixedColumn {
    /// The row number.
    Row,
    /// Kind of the lookup table's row; 0 if unused.
    TableKind,
    /// First value of the lookup table.
    TableX,
    /// Second value.
    TableY,
    /// Third value.
    TableZ,
    /// 1 on the rows where constraints hold.
    Active,
    /// 1 on the first of them.
    First,
    /// 1 on the last of them.
    Last,
    /// 1 on private words, 2 on public words, 0 where there is no word.
    Lane,
    /// Page list: 1 an entry, 2 a limb of a distance, 3 the separator of the lanes, 0 nothing.
    PageList,
}

impl FixedColumn {
    pub(crate) const COUNT: usize = 10;
}

/// First-phase columns beside the step cells and the committed columns, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auxiliary {
    /// How often each row of the program table is read.
    ProgramReads,
    /// How often each row of the lookup table is read.
    TableReads,
    /// How often each range value is read.
    RangeReads,
    /// How often each time difference is read.
    TimeReads,
    /// Time of the last access to each word.
    LastTime,
}

impl Auxiliary {
    pub(crate) const COUNT: usize = 5;
}

/// Kinds of rows in the lookup table.
pub(crate) mod kind {
    /// `(x, y, x & y)` of two operands.
    pub(crate) const AND: u64 = 1;
    /// `(address in page, word in page, 2^(64 − 8·byte offset))`.
    pub(crate) const OFFSET: u64 = 2;
    /// `(s, 0, 2^s)`, `s < 64`.
    pub(crate) const LEFT_64: u64 = 3;
    /// `(s, 0, 2^(64 − s))`, `s < 64`.
    pub(crate) const RIGHT_64: u64 = 4;
    /// `(s, 0, 2^s)`, `s < 32`.
    pub(crate) const LEFT_32: u64 = 5;
    /// `(s, 0, 2^(32 − s))`, `s < 32`.
    pub(crate) const RIGHT_32: u64 = 6;
    /// `(dense page, virtual page, 0)`; the virtual page comes from the page list.
    pub(crate) const PAGE: u64 = 7;
}

/// A row of the lookup table: kind, x, y, z.
pub(crate) type LookupRow = (u64, u64, u64, i128);

/// The fixed part of the lookup table, from [`FIRST_ROW`] on.
pub(crate) fn lookup_table(shape: Shape) -> Vec<LookupRow> {
    let bits = shape.operand_bits();
    let mut rows = Vec::new();
    for y in 0..1u64 << bits {
        for x in 0..1u64 << bits {
            rows.push((kind::AND, x, y, i128::from(x & y)));
        }
    }
    for address in 0..256 {
        rows.push((
            kind::OFFSET,
            address,
            address / 8,
            1 << (64 - 8 * (address % 8)),
        ));
    }
    for (kind, count, power) in [
        (kind::LEFT_64, 64, (|s| s) as fn(u64) -> u64),
        (kind::RIGHT_64, 64, |s| 64 - s),
        (kind::LEFT_32, 32, |s| s),
        (kind::RIGHT_32, 32, |s| 32 - s),
    ] {
        rows.extend((0..count).map(|s| (kind, s, 0, 1 << power(s))));
    }
    rows
}

/// Number of rows of [`lookup_table`].
#[cfg(test)]
pub(crate) fn lookup_rows(shape: Shape) -> usize {
    (1 << (2 * shape.operand_bits())) + 256 + 64 + 64 + 2 * 32
}

/// Row of the lookup table that holds `x`, of conjunctions `(x, y)`, of a kind. A forged row may ask for what none
/// holds; pages are in [`Shape::page_row`].
pub(crate) fn lookup_row(shape: Shape, kind: i128, x: i128, y: i128) -> Option<usize> {
    let bits = shape.operand_bits();
    let and = 1 << (2 * bits);
    let [x, y] = [usize::try_from(x).ok()?, usize::try_from(y).ok()?];
    let (first, count, place) = match u64::try_from(kind).ok()? {
        kind::AND if x >> bits == 0 && y >> bits == 0 => (0, and, x | y << bits),
        kind::OFFSET => (and, 256, x),
        kind::LEFT_64 => (and + 256, 64, x),
        kind::RIGHT_64 => (and + 320, 64, x),
        kind::LEFT_32 => (and + 384, 32, x),
        kind::RIGHT_32 => (and + 416, 32, x),
        _ => return None,
    };
    (place < count).then_some(FIRST_ROW + first + place)
}

/// Largest value plus one on the range bus: a limb, or half a limb in narrow shapes.
pub(crate) const fn range_size(shape: Shape) -> usize {
    1 << (2 * shape.operand_bits())
}

/// Row that receives a value of the range bus.
pub(crate) const fn range_row(value: usize) -> usize {
    FIRST_ROW + value
}

/// Row that receives a time difference.
pub(crate) const fn time_row(difference: usize) -> usize {
    FIRST_ROW + difference
}

/// The fixed columns' values, for `end_row` rows each.
pub(crate) fn fixed_columns(shape: Shape) -> Vec<Vec<Fr>> {
    let rows = shape.rows();
    let mut columns = vec![vec![Fr::zero(); rows]; FixedColumn::COUNT];
    let mut set = |column: FixedColumn, row: usize, value: i128| {
        columns[column as usize][row] = field(value);
    };
    for row in 0..rows {
        set(FixedColumn::Row, row, row as i128);
    }
    for row in FIRST_ROW..shape.end_row() {
        set(FixedColumn::Active, row, 1);
    }
    set(FixedColumn::First, FIRST_ROW, 1);
    set(FixedColumn::Last, shape.end_row() - 1, 1);
    for (index, (kind, x, y, z)) in lookup_table(shape).into_iter().enumerate() {
        let row = FIRST_ROW + index;
        set(FixedColumn::TableKind, row, kind.into());
        set(FixedColumn::TableX, row, x.into());
        set(FixedColumn::TableY, row, y.into());
        set(FixedColumn::TableZ, row, z);
    }
    for word in TEMPS..shape.word_end() {
        let lane = if word < shape.public_word() { 1 } else { 2 };
        set(FixedColumn::Lane, word as usize, lane);
    }
    for page in FIRST_PAGE..shape.page_end() {
        let row = shape.page_row(page);
        set(FixedColumn::TableKind, row, kind::PAGE.into());
        set(FixedColumn::TableX, row, page.into());
        set(FixedColumn::PageList, row, 1);
        for limb in row - 4..row {
            set(FixedColumn::PageList, limb, 2);
        }
    }
    let separator = shape.separator_row();
    set(FixedColumn::PageList, separator, 3);
    set(FixedColumn::TableY, separator, separator_page().into());
    for limb in separator - 4..separator {
        set(FixedColumn::PageList, limb, 2);
    }
    columns
}

/// The virtual page below the input region: no region has it, it separates the lanes.
pub(crate) const fn separator_page() -> u64 {
    bpf_tracer::canonical::layout::INPUT_BASE / crate::shape::PAGE_BYTES - 1
}

/// States every table's constraints.
pub(crate) fn configure(builder: &mut Builder, shape: Shape) {
    program(builder);
    lookups(builder, shape);
    pages(builder, shape);
    memory(builder);
    times(builder);
}

/// The program table: its rows are committed. The input region's length enters the rows of its
/// intervals and of the gap behind it.
fn program(builder: &mut Builder) {
    builder.global("program table");
    debug_assert_eq!(
        INPUT_INTERVAL_ROWS,
        [FIRST_ROW, FIRST_ROW + 1, FIRST_ROW + 2]
    );
    let size_in_row = |row: i32| {
        builder.fixed_at(FixedColumn::First, -row) * builder.instance(InstanceCell::InputSize, row)
    };
    let region_end = size_in_row(0) + size_in_row(1);
    let gap_start = size_in_row(2);
    builder.receive(
        Bus::Program,
        "a row of the program table is read",
        builder.auxiliary(Auxiliary::ProgramReads),
        vec![
            builder.committed(Committed::Code, 0),
            builder.committed(Committed::Immediate, 0) + gap_start,
            builder.committed(Committed::Target, 0) + region_end,
        ],
    );
}

/// The lookup table, the page list in it, and the range values of its first kind.
fn lookups(builder: &mut Builder, shape: Shape) {
    builder.global("lookup table");
    builder.receive(
        Bus::Table,
        "a row of the lookup table is read",
        builder.auxiliary(Auxiliary::TableReads),
        vec![
            builder.fixed(FixedColumn::TableKind),
            builder.fixed(FixedColumn::TableX),
            builder.fixed(FixedColumn::TableY) + builder.committed(Committed::Pages, 0),
            builder.fixed(FixedColumn::TableZ),
        ],
    );
    let value = builder.fixed(FixedColumn::TableX)
        + builder.fixed(FixedColumn::TableY) * two_pow(shape.operand_bits());
    builder.receive(
        Bus::Range,
        "a range value is read",
        builder.auxiliary(Auxiliary::RangeReads),
        vec![builder.fixed(FixedColumn::TableKind), value],
    );
}

/// The page list strictly increases, so that no two dense pages hold one virtual page, and the
/// separator keeps the input region in the public lane and everything else out of it.
fn pages(builder: &mut Builder, shape: Shape) {
    builder.global("page list");
    let list = |builder: &Builder| builder.fixed(FixedColumn::PageList);
    let page = |builder: &Builder, rotation| builder.committed(Committed::Pages, rotation);
    // Selectors of the four kinds of rows; nonzero, not necessarily 1, where they apply.
    let nothing = (1..=3).fold(constant(1), |p, k| p * (list(builder) - constant(k)));
    builder.require_zero("rows outside the list are zero", nothing * page(builder, 0));
    let entry = list(builder) * (list(builder) - constant(2));
    let limbs = (0..4).fold(constant(0), |sum, i| {
        sum + page(builder, i - 4) * two_pow(2 * shape.operand_bits() * i as u32)
    });
    builder.require_zero(
        "a page is above the page before it",
        entry * (page(builder, 0) - page(builder, -(PAGE_STRIDE as i32)) - constant(1) - limbs),
    );
    let separator = list(builder) * (list(builder) - constant(1)) * (list(builder) - constant(2));
    builder.require_zero(
        "the separator is the page below the input region",
        separator * (page(builder, 0) - builder.fixed(FixedColumn::TableY)),
    );
    // 2·(2 − 1)·(3 − 2) = 2 on limb rows, 0 on all others.
    let limb =
        list(builder) * (list(builder) - constant(1)) * (constant(3) - list(builder)) * inverse(2);
    let tuple = range_tuple(page(builder, 0));
    builder.send(Bus::Range, "a limb of a page distance", limb, tuple);
}

/// What a range check sends: the value is `x + 2^w·y` of a row of the conjunction table.
pub(crate) fn range_tuple(value: Expr) -> Vec<Expr> {
    vec![constant(kind::AND.into()), value]
}

/// Words at the chunk's boundaries: produced at time 0, consumed at their last time. A word belongs
/// to the private or the public lane by its row.
fn memory(builder: &mut Builder) {
    builder.global("memory words");
    let lane = builder.fixed(FixedColumn::Lane);
    let private = lane.clone() * (constant(2) - lane.clone());
    let public = lane.clone() * (lane.clone() - constant(1));
    for (name, column, other_lane) in [
        (
            "private words have no public entry",
            Committed::EntryPublic,
            &private,
        ),
        (
            "private words have no public exit",
            Committed::ExitPublic,
            &private,
        ),
        (
            "public words have no private entry",
            Committed::EntryPrivate,
            &public,
        ),
        (
            "public words have no private exit",
            Committed::ExitPrivate,
            &public,
        ),
    ] {
        builder.require_zero(name, other_lane.clone() * builder.committed(column, 0));
    }
    // 1 on words of either lane.
    let half = inverse(2);
    let word = lane.clone() * (constant(3) - lane) * half;
    let row = builder.fixed(FixedColumn::Row);
    let entry = builder.committed(Committed::EntryPrivate, 0)
        + builder.committed(Committed::EntryPublic, 0);
    let exit =
        builder.committed(Committed::ExitPrivate, 0) + builder.committed(Committed::ExitPublic, 0);
    builder.send(
        Bus::Memory,
        "a word at the chunk's entry",
        word.clone(),
        vec![row.clone(), entry, constant(0)],
    );
    let last = builder.auxiliary(Auxiliary::LastTime);
    builder.receive(
        Bus::Memory,
        "a word at the chunk's exit",
        word,
        vec![row, exit, last],
    );
}

fn times(builder: &mut Builder) {
    builder.global("times");
    builder.receive(
        Bus::Time,
        "a time difference is read",
        builder.auxiliary(Auxiliary::TimeReads),
        vec![builder.fixed(FixedColumn::Row) - constant(FIRST_ROW as u128)],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_where_they_are() {
        for k in [10, 17] {
            let shape = Shape::new(k, 8).expect("supported");
            for (index, (kind, x, y, _)) in lookup_table(shape).into_iter().enumerate() {
                let found = lookup_row(shape, kind.into(), x.into(), y.into());
                assert_eq!(found, Some(FIRST_ROW + index), "{kind} {x} {y}");
            }
            let operands = 1 << shape.operand_bits();
            for (kind, x, y) in [
                (kind::AND.into(), operands, 0),
                (kind::AND.into(), 0, operands),
                (kind::AND.into(), -1, 0),
                (kind::OFFSET.into(), 256, 0),
                (kind::LEFT_64.into(), 64, 0),
                (kind::RIGHT_64.into(), 64, 0),
                (kind::LEFT_32.into(), 32, 0),
                (kind::RIGHT_32.into(), 32, 0),
                (kind::PAGE.into(), 0, 0),
                (0, 0, 0),
                (-1, 0, 0),
                (1 << 70, 0, 0),
            ] {
                assert_eq!(lookup_row(shape, kind, x, y), None, "{kind} {x} {y}");
            }
        }
    }
}
