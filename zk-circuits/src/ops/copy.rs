//! Copies of aligned memory words, one a row: `r = x`.
//!
//! `w` is the virtual address of the word that is read, `b` of the one that is written, `v` the number of
//! words that follow. Each address is a place in a page of the page list:
//! `w = 256·page + 8·p0`, where `p0 & 31 = p0`, and `b = 256·page + 8·l0`, where `2^11·l0` is a limb.
//! * `CopyFirst` takes `w`, `b` and `v` from the results of the three rows before.
//! * `CopyNext` goes eight bytes on, and has one word less to follow.
//!
//! `t` says that a word follows: a last word that claims more leads to a row whose `v` is no word. A run of
//! copies lies in one chunk, and whether it is permitted has been decided before it (`Span`).

use crate::builder::{Builder, constant, inverse};
use crate::bus::Bus;
use crate::cell::Cell;
use crate::class::Class;
use crate::microcode::{MicroOp, Mode};
use crate::ops::{Context, Family};
use crate::shape::{PAGE_BYTES, PAGE_WORDS};
use crate::tables::kind;

pub(super) const FAMILY: Family = Family {
    classes: &[Class::CopyFirst, Class::CopyNext],
    configure,
    assign,
    expand: Family::no_expand,
};

/// Most words that a run may have.
pub(crate) const MOST_WORDS: u64 = 128;

fn configure(builder: &mut Builder) {
    builder.global("copies");
    let copies = builder.cell(Cell::G7);
    let (from, to) = (builder.cell(Cell::W), builder.cell(Cell::B));
    let (from_word, to_word) = (builder.cell(Cell::P0), builder.cell(Cell::L0));
    for (name, address, place, word) in [
        ("the page of a copied word", Cell::AddrX, from, from_word),
        ("the page of its copy", Cell::AddrY, to, to_word),
    ] {
        let dense = (builder.cell(address) - word.clone()) * inverse(PAGE_WORDS.into());
        let page = (place - word * constant(8)) * inverse(PAGE_BYTES);
        builder.send(
            Bus::Table,
            name,
            copies.clone(),
            vec![constant(kind::PAGE.into()), dense, page, constant(0)],
        );
    }

    for (name, class) in [
        ("copy first", Class::CopyFirst),
        ("copy next", Class::CopyNext),
    ] {
        builder.class(name, class);
        let last_word = constant(u128::from(PAGE_WORDS) - 1);
        builder.require_equal("p1 is 31", builder.cell(Cell::P1), last_word);
        builder.require_equal(
            "the word that is read is in the page",
            builder.cell(Cell::P2),
            builder.cell(Cell::P0),
        );
        builder.require_equal(
            "the word that is written is in the page",
            builder.cell(Cell::L1),
            builder.cell(Cell::L0) * constant(1 << 11),
        );
        builder.require_equal("r = x", builder.cell(Cell::R), builder.cell(Cell::X));
        let (more, left) = (builder.cell(Cell::T), builder.v(0));
        builder.require_zero(
            "words that are left follow",
            (constant(1) - more.clone()) * left.clone(),
        );
        let (from, to) = (builder.cell(Cell::W), builder.cell(Cell::B));
        let expected = if class == Class::CopyFirst {
            [-3, -2, -1].map(|rotation| builder.at(Cell::R, rotation))
        } else {
            [
                builder.at(Cell::W, -1) + constant(8),
                builder.at(Cell::B, -1) + constant(8),
                builder.v(-1) - constant(1),
            ]
        };
        let names = [
            "w is the address that is read",
            "b is the address that is written",
            "v is the number of words that follow",
        ];
        for ((name, value), expected) in names.into_iter().zip([from, to, left]).zip(expected) {
            builder.require_equal(name, value, expected);
        }
        let next_word = match class {
            Class::CopyFirst => builder.cell(Cell::Upc) + constant(1),
            _ => builder.cell(Cell::Upc),
        };
        let after = builder.cell(Cell::Target);
        builder.require_equal(
            "the next word follows, or the row after the copy",
            builder.at(Cell::Upc, 1),
            after.clone() + more * (next_word - after),
        );
    }
}

/// Addresses that a row reads and writes, and the words that follow, from the rows before it.
pub(crate) fn place(class: Class, before: &[crate::cell::Row; 3]) -> [i128; 3] {
    let [last, second, third] = before;
    if class == Class::CopyFirst {
        [third[Cell::R], second[Cell::R], last[Cell::R]]
    } else {
        [last[Cell::W] + 8, last[Cell::B] + 8, last.v() - 1]
    }
}

fn assign(class: Class, context: &mut Context<'_>) {
    let [from, to, left] = place(class, context.before);
    let row = &mut *context.row;
    let word = |address: i128| address % i128::from(PAGE_BYTES) / 8;
    row[Cell::W] = from;
    row[Cell::B] = to;
    row.set_v(left);
    row[Cell::P0] = word(from);
    row[Cell::P1] = i128::from(PAGE_WORDS) - 1;
    row[Cell::P2] = row[Cell::P0];
    row[Cell::L0] = word(to);
    row[Cell::L1] = row[Cell::L0] << 11;
    row[Cell::R] = row[Cell::X];
    row[Cell::T] = (left != 0).into();
    context.next = match (left, class) {
        (0, _) => row[Cell::Target] as usize,
        (_, Class::CopyFirst) => row[Cell::Upc] as usize + 1,
        _ => row[Cell::Upc] as usize,
    };
}

/// A run of copies, behind three rows whose results are the address to read from, the address to write to
/// and the number of words less one. Goes on at the target of both.
pub(crate) fn run() -> [MicroOp; 2] {
    [Class::CopyFirst, Class::CopyNext].map(|class| MicroOp::new(class).mode(Mode::Class))
}
