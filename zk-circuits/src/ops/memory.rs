//! Loads and stores of 1, 2, 4 or 8 bytes at any address, and ranges of any length.
//!
//! **First row** (`Load`, `Store`): the address is `A = b − 2^64·s`. If `t` is set the access is
//! permitted: a permission interval of the program table begins `l0 + 2^16·l1` below `A` and ends
//! `l2 + 2^16·l3` above `A + size`, readable (`d` says writable, too) or, for a store, writable. If
//! not, the row `Fault` proves the opposite. Intervals partition the address space, so at most one of
//! both is possible: exactly one, but for accesses that run past an interval's open end
//! ([`bpf_tracer::Interval::open_end`]), which have no proof. The size is `1 + m1 + 2·m2 + 4·m3`.
//!
//! **Ranges** (`Span`): the same decision for `y` bytes, of which the last row of the access reads nothing;
//! m1 asks for a permission to write. The fault row reads the length as its `x`.
//!
//! **Hidden memory** (`LoadHidden`, `StoreHidden`): what only system calls reach, by permissions of its
//! own. Such an access is always permitted, or has no proof.
//!
//! **Word rows** (`Word`, or `WordLow` and `WordHigh` for an access that crosses into a second word)
//! have an address `E`: `A`, or `A + size` in the high word. `p0` is `E` modulo the page, `p1` its
//! word, `p2 = 2^(64−8β)` for the byte offset `β`, `b = 2^(8β)`. The page list translates the page of a
//! writable word; a read-only word is a row of the program table.
//! * The old word splits at the byte offset: `y·p2 = u·2^64 + v`, that is `y = u·2^(8β) + low` with
//!   `v = low·2^(64−8β)`.
//! * `Word`: `β + size ≤ 8`; the accessed value is the low part of `u`, `w`. The new word is
//!   `y + b·(value − w)`.
//! * `WordLow`: `β + size > 8`, all of `u` is accessed. `WordHigh`: `β` is the number of bytes accessed in
//!   it, all of `low`; the accessed value is `w = u(low word) + low·2^(64−β(low))`. New words
//!   `r + 2^64·r' = y + 2^64·y' + b·(value − w)`, both with limbs in the row `WordRange`.
//!
//! A value of one byte is the table operand `p0` of the first row, an old byte its `p1`; wider values
//! are limbs. Products of a word and a power of two stay below `2^192`.

use bpf_tracer::canonical::{Instruction, Op, Size, Source};

use crate::builder::{Builder, Expr, constant, integer, inverse, two_pow};
use crate::bus::Bus;
use crate::cell::{Cell, LIMBS, Row};
use crate::class::Class;
use crate::microcode::{Assembler, MicroOp, Mode, Place, permission_code, rom};
use crate::ops::{Context, Family, mov};
use crate::program_table::{CODE_HIDDEN, CODE_PERMITTED, CODE_RODATA, CODE_VIOLATION, TableRow};
use crate::shape::{PAGE_BYTES, PAGE_WORDS};
use crate::tables::kind;
use bpf_tracer::{Interval, Permission};

pub(super) const FAMILY: Family = Family {
    classes: &[
        Class::Load,
        Class::Store,
        Class::Span,
        Class::LoadHidden,
        Class::StoreHidden,
        Class::Word,
        Class::WordLow,
        Class::WordHigh,
        Class::WordRange,
        Class::Fault,
    ],
    configure,
    assign,
    expand,
};

/// The access of the row at `rotation`: what later rows read of it.
struct Access {
    address: Expr,
    size: Expr,
    is_load: Expr,
    value: Expr,
    old_byte: Expr,
    modifiers: [Expr; 3],
}

impl Access {
    fn at(builder: &Builder, rotation: i32) -> Self {
        let cell = |cell| builder.at(cell, rotation);
        let modifiers = [Cell::M1, Cell::M2, Cell::M3].map(cell);
        let [m1, m2, m3] = modifiers.clone();
        Self {
            address: cell(Cell::B) - cell(Cell::S) * two_pow(64),
            size: constant(1) + m1 + m2 * constant(2) + m3 * constant(4),
            is_load: cell(Cell::H0) + cell(Cell::H3),
            value: cell(Cell::W),
            old_byte: cell(Cell::P1),
            modifiers,
        }
    }

    /// The low `size` bytes of four limbs from `first`, where a single byte is `byte`.
    fn low_part(&self, builder: &Builder, first: usize, byte: Expr) -> Expr {
        let [m1, m2, m3] = self.modifiers.clone();
        let limb = |index: usize| builder.cell(LIMBS[first + index]);
        byte.clone()
            + m1 * (limb(0) - byte)
            + m2 * limb(1) * two_pow(16)
            + m3 * (limb(2) + limb(3) * two_pow(16)) * two_pow(32)
    }

    /// Four limbs from `first` as a word, where the lowest is `byte + 2^8·limb` for a single byte.
    fn word(&self, builder: &Builder, first: usize, byte: Expr) -> Expr {
        let single = constant(1) - self.modifiers[0].clone();
        builder.limbs(first..first + 4, 0)
            + single * (byte + builder.cell(LIMBS[first]) * constant(255))
    }
}

fn configure(builder: &mut Builder) {
    first_rows(builder);
    fault(builder);
    word_rows(builder);
    crossing_rows(builder);
}

fn first_rows(builder: &mut Builder) {
    let permitted = builder.cell(Cell::T);
    let writable = builder.cell(Cell::D);
    let access = Access::at(builder, 0);

    for (name, class) in [
        ("load", Class::Load),
        ("store", Class::Store),
        ("load hidden", Class::LoadHidden),
        ("store hidden", Class::StoreHidden),
    ] {
        builder.class(name, class);
        let words =
            constant(rom::WORDS as u128) + writable.clone() * constant(2) + builder.cell(Cell::C);
        let is_store = matches!(class, Class::Store | Class::StoreHidden);
        if matches!(class, Class::Load | Class::Store) {
            let fault = constant(rom::fault(false, is_store) as u128);
            builder.require_equal(
                "the words follow if permitted, otherwise the fault",
                builder.at(Cell::Upc, 1),
                fault.clone() + permitted.clone() * (words - fault),
            );
        } else {
            builder.require_equal("it is permitted", permitted.clone(), constant(1));
            builder.require_equal("the words follow", builder.at(Cell::Upc, 1), words);
        }
        if is_store {
            builder.require_no_write();
            builder.require_equal(
                "a store writes to writable memory",
                writable.clone(),
                constant(1),
            );
            let byte = builder.cell(Cell::P0);
            builder.require_equal(
                "the source has limbs",
                builder.cell(Cell::Y) + builder.cell(Cell::Target),
                access.word(builder, 4, byte.clone()),
            );
            builder.require_equal(
                "w is the source's low part",
                access.value.clone(),
                access.low_part(builder, 4, byte),
            );
        } else {
            let change = permitted.clone() * (access.value.clone() - builder.cell(Cell::Y));
            builder.require_equal(
                "r is the loaded value if permitted",
                builder.cell(Cell::R),
                builder.cell(Cell::Y) + change,
            );
        }
    }

    builder.class("span", Class::Span);
    builder.require_no_write();
    let to_write = builder.cell(Cell::M1);
    builder.require_zero(
        "a range to be written is writable",
        to_write.clone() * (constant(1) - writable.clone()),
    );
    let fault =
        constant(rom::fault(true, false) as u128) + to_write * constant(rom::FAULT_ROWS as u128);
    let following = builder.cell(Cell::Upc) + constant(1);
    builder.require_equal(
        "the next row follows if permitted, otherwise the fault",
        builder.at(Cell::Upc, 1),
        fault.clone() + permitted.clone() * (following - fault),
    );

    builder.global("permission");
    let hidden = builder.cell(Cell::H3) + builder.cell(Cell::H4);
    let length =
        access.size.clone() + builder.cell(Cell::H2) * (builder.cell(Cell::Y) - access.size);
    let end = access.address.clone() + length;
    builder.send(
        Bus::Program,
        "a permitted access lies in a permitting interval",
        builder.cell(Cell::G0) * permitted,
        vec![
            integer(CODE_PERMITTED + 1) + writable + hidden * integer(CODE_HIDDEN),
            access.address - builder.limbs(0..2, 0),
            end + builder.limbs(2..4, 0),
        ],
    );
}

fn fault(builder: &mut Builder) {
    builder.class("fault", Class::Fault);
    builder.require_no_write();
    builder.require_zero("a fault is not taken", builder.cell(Cell::T));
    let access = Access::at(builder, -1);
    let (readable, writable) = (builder.cell(Cell::C), builder.cell(Cell::D));
    builder.require_zero(
        "writable memory is readable",
        writable.clone() * (constant(1) - readable.clone()),
    );
    let permitted = builder.cell(Cell::W);
    let to_write = builder.cell(Cell::M1);
    builder.require_equal(
        "w says whether the interval permits the access",
        permitted.clone(),
        readable.clone() + to_write * (writable.clone() - readable.clone()),
    );
    // The interval ends v + 1 bytes behind the address. The next row's limbs are free: it ends the run.
    let length = access.size + builder.cell(Cell::B);
    builder.require_zero(
        "the access runs past the end of an interval that permits it",
        permitted * (length - constant(2) - builder.v(0) - builder.u(1)),
    );
    builder.send(
        Bus::Program,
        "a faulting access lies in this interval",
        builder.is(Class::Fault),
        vec![
            integer(CODE_VIOLATION) + readable + writable,
            access.address.clone() - builder.u(0),
            access.address + builder.v(0) + constant(1),
        ],
    );
}

fn word_rows(builder: &mut Builder) {
    // What the three word classes share.
    builder.global("memory words of an access");
    let in_group = builder.cell(Cell::G1);
    let (p0, p1, p2) = (
        builder.cell(Cell::P0),
        builder.cell(Cell::P1),
        builder.cell(Cell::P2),
    );
    builder.send(
        Bus::Table,
        "the place in the page",
        in_group.clone(),
        vec![
            constant(kind::OFFSET.into()),
            p0.clone(),
            p1.clone(),
            p2.clone(),
        ],
    );
    builder.require_zero(
        "b is the power of the byte offset",
        in_group.clone() * (builder.cell(Cell::B) * p2 - two_pow(64)),
    );
    let is_high = builder.cell(Cell::H2);
    let (near, far) = (Access::at(builder, -1), Access::at(builder, -2));
    let address = near.address.clone()
        + is_high * (far.address.clone() + far.size.clone() - near.address.clone());
    let read_only = builder.cell(Cell::Alias);
    let page = (address.clone() - p0.clone()) * inverse(PAGE_BYTES);
    builder.send(
        Bus::Table,
        "the page of a writable word",
        in_group.clone() * (constant(1) - read_only.clone()),
        vec![
            constant(kind::PAGE.into()),
            (builder.cell(Cell::AddrY) - p1.clone()) * inverse(PAGE_WORDS.into()),
            page,
            constant(0),
        ],
    );
    let word = (address - p0 + p1 * constant(8)) * inverse(8);
    builder.send(
        Bus::Program,
        "a read-only word is in the program table",
        in_group * read_only,
        vec![integer(CODE_RODATA), word, builder.cell(Cell::Y)],
    );

    builder.class("word", Class::Word);
    let offset = byte_offset(builder);
    builder.require_equal(
        "the access ends in this word",
        builder.cell(LIMBS[8]),
        constant(8) - offset - near.size.clone(),
    );
    builder.require_equal(
        "the word splits at the byte offset",
        builder.cell(Cell::Y) * builder.cell(Cell::P2),
        near.word(builder, 0, near.old_byte.clone()) * two_pow(64) + builder.v(0),
    );
    let old = builder.cell(Cell::W);
    builder.require_equal(
        "w is the old value",
        old.clone(),
        near.low_part(builder, 0, near.old_byte.clone()),
    );
    builder.require_zero(
        "a load loads the old value",
        near.is_load.clone() * (near.value.clone() - old.clone()),
    );
    builder.require_equal(
        "the new word has the new value",
        builder.cell(Cell::R),
        builder.cell(Cell::Y) + builder.cell(Cell::B) * (near.value.clone() - old),
    );
    builder.require_equal(
        "the row after the access follows",
        builder.at(Cell::Upc, 1),
        builder.at(Cell::Upc, -1) + constant(1),
    );
}

fn crossing_rows(builder: &mut Builder) {
    let split = |builder: &mut Builder| {
        builder.require_equal(
            "the word splits at the byte offset",
            builder.cell(Cell::Y) * builder.cell(Cell::P2),
            builder.u(0) * two_pow(64) + builder.v(0),
        );
    };

    builder.class("word low", Class::WordLow);
    let access = Access::at(builder, -1);
    let offset = byte_offset(builder);
    builder.require_equal(
        "the access ends behind this word",
        builder.cell(LIMBS[8]),
        offset + access.size - constant(9),
    );
    split(builder);
    builder.require_zero(
        "a load changes nothing",
        access.is_load * (builder.cell(Cell::R) - builder.cell(Cell::Y)),
    );

    builder.class("word high", Class::WordHigh);
    split(builder);
    let access = Access::at(builder, -2);
    let old = builder.cell(Cell::W);
    // 2^(64 − 8·size), for sizes 2, 4 and 8.
    let [_, m2, m3] = access.modifiers.clone();
    let scale = two_pow(48) + m2 * (two_pow(32) - two_pow(48)) + m3 * (constant(1) - two_pow(32));
    builder.require_equal(
        "w is the old value",
        scale * (old.clone() - builder.u(-1)),
        builder.v(0),
    );
    builder.require_zero(
        "a load loads the old value",
        access.is_load.clone() * (access.value.clone() - old.clone()),
    );
    builder.require_zero(
        "a load changes nothing",
        access.is_load.clone() * (builder.cell(Cell::R) - builder.cell(Cell::Y)),
    );
    let change =
        |builder: &Builder, rotation| builder.at(Cell::R, rotation) - builder.at(Cell::Y, rotation);
    builder.require_equal(
        "both new words have the new value",
        change(builder, -1) + change(builder, 0) * two_pow(64),
        builder.at(Cell::B, -1) * (access.value - old),
    );
    let after = builder.at(Cell::Upc, -2) + constant(1);
    let range = constant(rom::WORD_RANGE as u128);
    builder.require_equal(
        "the row after a load follows, the range of both words after a store",
        builder.at(Cell::Upc, 1),
        range.clone() + access.is_load * (after - range),
    );

    builder.class("word range", Class::WordRange);
    builder.require_no_write();
    builder.require_equal(
        "the low word has limbs",
        builder.at(Cell::R, -2),
        builder.u(0),
    );
    builder.require_equal(
        "the high word has limbs",
        builder.at(Cell::R, -1),
        builder.v(0),
    );
    builder.require_equal(
        "the row after the access follows",
        builder.at(Cell::Upc, 1),
        builder.at(Cell::Upc, -3) + constant(1),
    );
}

/// Byte offset of the row's address in its word.
fn byte_offset(builder: &Builder) -> Expr {
    builder.cell(Cell::P0) - builder.cell(Cell::P1) * constant(8)
}

/// Address, size and kind of the access that begins in a row.
pub(crate) fn access(row: &Row) -> (u64, u64, bool) {
    let size = 1 + row[Cell::M1] + 2 * row[Cell::M2] + 4 * row[Cell::M3];
    let is_store = row[Cell::H1] == 1 || row[Cell::H4] == 1;
    (row[Cell::B] as u64, size as u64, is_store)
}

/// The row of the program table that a permitted access or range looks up.
pub(crate) fn permitted_row(row: &Row) -> TableRow {
    let address = row[Cell::B] - (row[Cell::S] << 64);
    let (_, size, _) = access(row);
    let length = if row[Cell::H2] == 1 {
        row[Cell::Y]
    } else {
        size.into()
    };
    let limbs = |low: Cell, high: Cell| row[low] + (row[high] << 16);
    let hidden = row[Cell::H3] + row[Cell::H4];
    TableRow {
        code: CODE_PERMITTED + 1 + row[Cell::D] + hidden * CODE_HIDDEN,
        imm: address - limbs(Cell::L0, Cell::L1),
        target: address + length + limbs(Cell::L2, Cell::L3),
    }
}

/// The row of the program table that a fault looks up.
pub(crate) fn violation_row(row: &Row, before: &Row) -> TableRow {
    let address = before[Cell::B] - (before[Cell::S] << 64);
    TableRow {
        code: CODE_VIOLATION + row[Cell::C] + row[Cell::D],
        imm: address - row.u(),
        target: address + row.v() + 1,
    }
}

/// Address of a word row: of the access, or of its end in the high word.
pub(crate) fn word_address(class: Class, before: &[Row; 3]) -> u64 {
    if class == Class::WordHigh {
        let (address, size, _) = access(&before[1]);
        address.wrapping_add(size)
    } else {
        access(&before[0]).0
    }
}

fn assign(class: Class, context: &mut Context<'_>) {
    match class {
        Class::Load | Class::Store | Class::LoadHidden | Class::StoreHidden => {
            assign_first(class, context);
        }
        Class::Span => assign_span(context),
        Class::Fault => assign_fault(context),
        Class::WordRange => {
            let row = &mut *context.row;
            row[Cell::R] = row[Cell::Y];
            row.set_u(context.before[1][Cell::R]);
            row.set_v(context.before[0][Cell::R]);
            context.next = context.before[2][Cell::Upc] as usize + 1;
        }
        _ => assign_word(class, context),
    }
}

fn needed(to_write: bool) -> Permission {
    if to_write {
        Permission::ReadWrite
    } else {
        Permission::Read
    }
}

/// Whether an interval permits an access to so many bytes at an address in it.
fn permits(interval: &Interval, address: u64, length: u64, to_write: bool) -> bool {
    permission_code(interval.permission) >= permission_code(needed(to_write))
        && u128::from(address) + u128::from(length) <= interval.end
}

fn assign_span(context: &mut Context<'_>) {
    let row = &mut *context.row;
    let (address, length) = (row[Cell::B] as u64, row[Cell::Y] as u64);
    let to_write = row[Cell::M1] == 1;
    row[Cell::R] = row[Cell::Y];
    let interval = context.environment.interval(address);
    let permitted = permits(&interval, address, length, to_write);
    row[Cell::T] = permitted.into();
    row[Cell::D] = (to_write || interval.permission == Permission::ReadWrite).into();
    if permitted {
        row.set_limbs(&LIMBS[..2], (u128::from(address) - interval.start) as i128);
        let above = interval.end - u128::from(address) - u128::from(length);
        row.set_limbs(&LIMBS[2..4], above as i128);
        context.next = row[Cell::Upc] as usize + 1;
    } else {
        context.next = rom::fault(true, to_write);
    }
}

fn assign_first(class: Class, context: &mut Context<'_>) {
    let row = &mut *context.row;
    let (address, size, is_store) = access(row);
    row[Cell::S] = row[Cell::B] >> 64;
    row[Cell::R] = row[Cell::Y];
    let interval = if matches!(class, Class::Load | Class::Store) {
        context.environment.interval(address)
    } else {
        context.environment.hidden_interval(address)
    };
    let (start, end, permission) = (interval.start, interval.end, interval.permission);
    let permitted = permits(&interval, address, size, is_store);
    row[Cell::T] = permitted.into();
    row[Cell::D] = (is_store || permission == Permission::ReadWrite).into();
    row[Cell::C] = (address % 8 + size > 8).into();
    if is_store {
        let source = row[Cell::Y] + row[Cell::Target];
        row.set_v(source);
        row[Cell::W] = source & ((1 << (8 * size)) - 1);
        if size == 1 {
            row[Cell::P0] = row[Cell::W];
            row[Cell::L4] = (source >> 8) & 0xff;
        }
    }
    if !permitted {
        row[Cell::P2] = row[Cell::P0] & row[Cell::P1];
        context.next = rom::fault(false, is_store);
        return;
    }
    let below = i128::from(address) - start as i128;
    let above = end as i128 - i128::from(address) - i128::from(size);
    row.set_limbs(&LIMBS[..2], below);
    row.set_limbs(&LIMBS[2..4], above);
    let old = context
        .environment
        .read(address, size, permission == Permission::Read);
    if size == 1 {
        row[Cell::P1] = old.into();
    }
    row[Cell::P2] = row[Cell::P0] & row[Cell::P1];
    if !is_store {
        row[Cell::W] = old.into();
        row[Cell::R] = old.into();
    }
    context.next = rom::WORDS + 2 * row[Cell::D] as usize + row[Cell::C] as usize;
}

fn assign_fault(context: &mut Context<'_>) {
    let row = &mut *context.row;
    row[Cell::R] = row[Cell::Y];
    let (address, size, _) = access(&context.before[0]);
    let length = i128::from(size) + row[Cell::B];
    let interval = context.environment.interval(address);
    row.set_u((u128::from(address) - interval.start) as i128);
    let left = (interval.end - u128::from(address)) as i128;
    row.set_v(left - 1);
    let code = permission_code(interval.permission);
    row[Cell::C] = (code >= 1).into();
    row[Cell::D] = (code == 2).into();
    row[Cell::W] = if row[Cell::M1] == 1 {
        row[Cell::D]
    } else {
        row[Cell::C]
    };
    if row[Cell::W] == 1 {
        context.after[0].set_u(length - 1 - left);
    }
}

fn assign_word(class: Class, context: &mut Context<'_>) {
    let address = word_address(class, context.before);
    let row = &mut *context.row;
    let offset = address % 8;
    row[Cell::P0] = i128::from(address % PAGE_BYTES);
    row[Cell::P1] = row[Cell::P0] / 8;
    row[Cell::P2] = 1 << (64 - 8 * offset);
    row[Cell::B] = 1 << (8 * offset);
    let old_word = row[Cell::Y];
    let low = old_word & (row[Cell::B] - 1);
    row.set_v(low * row[Cell::P2]);
    row.set_u(old_word >> (8 * offset));
    row[Cell::R] = old_word;
    match class {
        Class::Word => {
            let (_, size, _) = access(&context.before[0]);
            let value = context.before[0][Cell::W];
            if size == 1 {
                row[Cell::L0] = (old_word >> (8 * offset + 8)) & 0xff;
            }
            row[Cell::W] = (old_word >> (8 * offset)) & ((1 << (8 * size)) - 1);
            row[Cell::L8] = 8 - i128::from(offset) - i128::from(size);
            row[Cell::R] = old_word + (value - row[Cell::W]) * row[Cell::B];
            context.next = context.before[0][Cell::Upc] as usize + 1;
        }
        Class::WordLow => {
            let (_, size, is_store) = access(&context.before[0]);
            row[Cell::L8] = i128::from(offset + size) - 9;
            if is_store {
                let value = context.before[0][Cell::W] as u128;
                let low = old_word & (row[Cell::B] - 1);
                let high = (value << (8 * offset)) as u64;
                row[Cell::R] = low | i128::from(high);
            }
        }
        _ => {
            let (_, size, is_store) = access(&context.before[1]);
            let value = context.before[1][Cell::W];
            // Only behind a forged row does the access not reach into this word.
            let first = size.saturating_sub(offset);
            row[Cell::W] = context.before[0].u() + (low << (8 * first));
            if is_store {
                row[Cell::R] = old_word - low + (value >> (8 * first));
                context.next = rom::WORD_RANGE;
            } else {
                context.next = context.before[1][Cell::Upc] as usize + 1;
            }
        }
    }
}

const fn size_modifiers(op: MicroOp, size: Size) -> MicroOp {
    let bytes = size.bytes();
    op.modifiers(bytes >= 2, bytes >= 4, bytes >= 8)
}

/// `dst = zero-extended [base + offset]`.
pub(crate) fn load(dst: Place, base: Place, offset: i16, size: Size) -> MicroOp {
    let op = MicroOp::new(Class::Load)
        .mode(Mode::Class)
        .registers(dst, base);
    size_modifiers(op, size).imm(i64::from(offset).cast_unsigned().into())
}

/// `[base + offset] = source`, low bytes.
pub(crate) fn store(base: Place, source: Place, offset: i16, size: Size) -> MicroOp {
    let op = MicroOp::new(Class::Store)
        .mode(Mode::Class)
        .registers(source, base);
    size_modifiers(op, size).imm(i64::from(offset).cast_unsigned().into())
}

/// The same access to hidden memory.
pub(crate) fn hidden(op: MicroOp) -> MicroOp {
    let class = match op.class {
        Class::Store => Class::StoreHidden,
        _ => Class::LoadHidden,
    };
    MicroOp { class, ..op }
}

/// Goes on if `length` bytes at `address` may be read, or written; otherwise ends the run. The length is
/// in [`LENGTH`].
pub(crate) fn span(address: Place, to_write: bool) -> MicroOp {
    MicroOp::new(Class::Span)
        .mode(Mode::Class)
        .x(address)
        .y(LENGTH)
        .modifiers(to_write, false, false)
}

/// The temporary that holds the length of a [`span`].
pub(crate) const LENGTH: Place = Place::temp(0);

fn expand(assembler: &mut Assembler<'_>, slot: u32, instruction: &Instruction) -> Option<MicroOp> {
    let dst = Place::register(instruction.dst);
    let src = Place::register(instruction.src);
    Some(match instruction.op {
        Op::Load(size, false) | Op::Load(size @ Size::B8, true) => {
            load(dst, src, instruction.offset, size)
        }
        Op::Load(size, true) => {
            let ops = vec![
                load(dst, src, instruction.offset, size),
                mov::extend(size, true).registers(dst, dst),
            ];
            assembler.sequence(ops, Assembler::slot_row(slot + 1))
        }
        Op::Store(size, Source::Reg) => store(dst, src, instruction.offset, size),
        Op::Store(size, Source::Imm) => {
            store(dst, Place::SINK, instruction.offset, size).target(instruction.imm)
        }
        _ => return None,
    })
}
