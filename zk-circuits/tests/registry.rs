//! Tests that every operation and every class takes part in without being told.

mod fixtures;

use std::collections::{BTreeMap, BTreeSet};

use bpf_tracer::Op;
use fixtures::small;
use rayon::prelude::*;
use zk_circuits::dev::{self, Forgery};
use zk_circuits::{Cell, ChunkWitness, Class, Microcode, Row, shape};

#[test]
fn every_op_expands_to_microcode_of_a_family() {
    let mut seen = BTreeSet::new();
    for fixture in fixtures::all() {
        let program = fixture.trace.program();
        let microcode = Microcode::assemble(program, fixture.trace.environment());
        for (slot, instruction) in program.instructions().iter().enumerate() {
            let op = microcode
                .op(shape::SLOT_ROW + slot)
                .expect("a row for every slot");
            assert!(op.first, "slot {slot} of {}", fixture.name);
            let unsupported = op.class == Class::End;
            assert_eq!(
                unsupported,
                matches!(instruction.op, Op::None | Op::Unresolved),
                "{:?}",
                instruction.op
            );
            seen.insert(instruction.op);
        }
    }
    let mut expected: BTreeSet<Op> = Op::all().into_iter().collect();
    expected.remove(&Op::Unprovable);
    assert_eq!(seen, expected);
}

/// Families whose constraints speak of the results of a class.
fn families(class: Class) -> &'static [&'static str] {
    match class {
        Class::Load => &["load"],
        Class::Store => &["store"],
        Class::Span => &["span"],
        Class::LoadHidden => &["load hidden"],
        Class::StoreHidden => &["store hidden"],
        Class::Charge => &["charge"],
        Class::Word => &["word"],
        Class::WordLow => &["word low", "word high"],
        Class::WordHigh => &["word high"],
        Class::Bitwise => &["bitwise"],
        Class::Bitwise32 => &["bitwise32"],
        Class::ByteSwap => &["byte swap"],
        Class::BitwiseHigh => &["bitwise high"],
        Class::Add => &["add"],
        Class::Add32 => &["add32"],
        Class::Mul => &["mul"],
        Class::Mul32 => &["mul32"],
        Class::Shift32 => &["shift32"],
        Class::ShiftAmount => &["shift amount"],
        Class::Mov => &["mov"],
        Class::Extend => &["extend"],
        Class::ShiftSigned => &["shift signed"],
        Class::Div => &["div"],
        Class::DivSigned => &["div signed"],
        Class::Limbs => &["limbs"],
        Class::Equal => &["equal"],
        Class::Less => &["less"],
        Class::Equal32 => &["equal32"],
        Class::Less32 => &["less32"],
        Class::LessSigned => &["less signed"],
        Class::DivSignedEnd => &["div signed end"],
        Class::Call => &["call"],
        Class::CallTarget => &["call target"],
        Class::Exit => &["exit"],
        Class::End => &["end"],
        Class::Fault => &["fault"],
        Class::WordRange => &["word range"],
        Class::CopyFirst => &["copy first"],
        Class::CopyNext => &["copy next"],
    }
}

/// One row of each class and modifiers, with its witness.
fn rows_of_every_kind() -> (Vec<ChunkWitness>, Vec<(usize, usize, Class)>) {
    let witnesses: Vec<ChunkWitness> = fixtures::all()
        .into_par_iter()
        .flat_map_iter(|fixture| fixture.witnesses(small(), None))
        .collect();
    let mut kinds = BTreeMap::new();
    for (index, witness) in witnesses.iter().enumerate() {
        for (row, values) in dev::rows(witness).iter().enumerate() {
            let Some(class) = dev::class(values) else {
                break;
            };
            let flags = [Cell::M1, Cell::M2, Cell::M3, Cell::Alias, Cell::T].map(|c| values[c]);
            kinds.entry((class, flags)).or_insert((index, row, class));
        }
    }
    (witnesses, kinds.into_values().collect())
}

#[test]
fn wrong_results_are_rejected() {
    let (witnesses, kinds) = rows_of_every_kind();
    let classes: BTreeSet<Class> = kinds.iter().map(|(_, _, class)| *class).collect();
    assert_eq!(classes.len(), Class::ALL.len());
    let failed: Vec<String> = kinds
        .par_iter()
        .flat_map_iter(|&(witness, index, class)| {
            let honest = &witnesses[witness];
            assert!(
                dev::check(honest).is_empty(),
                "the honest rows of {class:?}"
            );
            let wrong = |row: &Row| row[Cell::R] ^ 1;
            // The row alone, and a run in which everything later believes the result.
            let mut alone = Forgery::of(honest);
            alone.rows()[index][Cell::R] = wrong(&dev::rows(honest)[index]);
            let mut forgeries = vec![("alone", alone)];
            let believed = dev::rerun(honest, |view| {
                if let Some(row) = view.row.filter(|_| view.index == index) {
                    row[Cell::R] = wrong(row);
                }
            });
            forgeries.extend(
                believed
                    .ok()
                    .map(|witness| ("believed", Forgery::of(&witness))),
            );
            forgeries.into_iter().filter_map(move |(how, forged)| {
                let failures = forged.check();
                let refused = failures
                    .iter()
                    .any(|f| families(class).contains(&f.family.as_str()));
                (!refused).then(|| format!("{class:?} {how}: {failures:?}"))
            })
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        kinds.len(),
        failed.join("\n")
    );
}

const DIGITS: &str = "a carry between both addresses";

type Change = (String, Box<dyn Fn(&mut Row) + Sync>);

/// Every way to execute something else than the table says.
fn changes() -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for class in Class::ALL {
        let flags: Vec<_> = dev::flags(*class).collect();
        changes.push((
            format!("class {class:?}"),
            Box::new(move |row| {
                for (cell, on) in &flags {
                    row[*cell] = (*on).into();
                }
            }),
        ));
    }
    let bits = [
        Cell::ModeLo,
        Cell::ModeHi,
        Cell::First,
        Cell::Alias,
        Cell::FrameX,
        Cell::FrameY,
        Cell::M1,
        Cell::M2,
        Cell::M3,
    ];
    for cell in bits {
        changes.push((cell.name().to_owned(), Box::new(move |row| row[cell] ^= 1)));
    }
    for cell in [Cell::Imm, Cell::Target, Cell::AddrX, Cell::Upc] {
        for delta in [1, -1] {
            let name = format!("{} {delta:+}", cell.name());
            changes.push((name, Box::new(move |row| row[cell] += delta)));
        }
    }
    // A carry between the digits of the code: the table has the same code, but no word this address.
    changes.push((
        DIGITS.to_owned(),
        Box::new(|row| {
            row[Cell::AddrX] += 1 << 24;
            row[Cell::AddrY] -= 1;
        }),
    ));
    changes
}

#[test]
fn opcodes_are_not_interchangeable() {
    let (witnesses, kinds) = rows_of_every_kind();
    let mut first: BTreeMap<Class, (usize, usize)> = BTreeMap::new();
    for (witness, row, class) in kinds {
        first.entry(class).or_insert((witness, row));
    }
    let mut by_witness: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (witness, row) in first.into_values() {
        by_witness.entry(witness).or_default().push(row);
    }
    let changes = changes();
    let jobs: Vec<_> = by_witness
        .iter()
        .flat_map(|(witness, rows)| changes.iter().map(move |change| (*witness, rows, change)))
        .collect();
    let accepted: Vec<String> = jobs
        .par_iter()
        .flat_map_iter(|(witness, rows, (name, change))| {
            let honest = &witnesses[*witness];
            let mut forged = Forgery::of(honest);
            let mut changed = Vec::new();
            for &row in *rows {
                let before = forged.rows()[row];
                let values = &mut forged.rows()[row];
                change(values);
                let amount = dev::class(values) == Some(Class::ShiftAmount);
                if amount && !(3..=7).contains(&values[Cell::Imm]) {
                    // No table of powers has this number: nothing to count.
                    values[Cell::P0] = -1;
                }
                let mut after = forged.rows()[row];
                // Where group 1 ignores the second address, the page list decides.
                if before[Cell::G1] == 1 && name == DIGITS {
                    forged.rows()[row] = before;
                    after = before;
                }
                after[Cell::P0] = before[Cell::P0];
                if after != before {
                    changed.push(row);
                }
            }
            let failures = forged.check();
            // The program table does not know where a copied word is.
            let is_copy = |row: usize| dev::rows(honest)[row][Cell::G7] == 1;
            let bus = |row| match name.as_str() {
                DIGITS => "Memory",
                name if name.starts_with("AddrX") && is_copy(row) => "Memory",
                _ => "Program",
            };
            changed
                .into_iter()
                .filter(|row| {
                    let place = Some(row + shape::FIRST_ROW);
                    !failures
                        .iter()
                        .any(|f| f.row == place && f.family == "bus" && f.constraint == bus(*row))
                })
                .map(|row| format!("{name} on {:?}", dev::class(&dev::rows(honest)[row])))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
}
