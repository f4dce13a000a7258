//! Whether public data are those of an honest chunk, by running the program.

use ff::Field;
use halo2curves::bn256::Fr;

use crate::builder::field;
use crate::cell::{Cell, Row};
use crate::class::Class;
use crate::dev::{Forgery, small_word};
use crate::instance::{InstanceCell, STATUS_HALT, STATUS_TRAP};
use crate::machine::{Machine, State};
use crate::pages::PageList;
use crate::shape::{FIRST_PAGE, FIRST_ROW, FRAME_WORDS, SLOT_ROW, TEMPS};
use crate::witness::{page_column, program_columns};
use crate::{Committed, Shape};

impl Forgery {
    /// Whether an honest chunk has these public data: the machine, started on the memory and in the state at the
    /// entry, is in the state at the exit after some number of rows, and has ended as claimed. Where the question
    /// makes no sense, because the program table is another or memory holds no words, the answer is yes.
    #[must_use]
    pub fn is_true(&self) -> bool {
        let witness = self.witness();
        let shape = witness.shape();
        let computed;
        let columns = match &self.columns {
            Some(columns) => columns,
            None => {
                computed = witness.columns();
                &computed
            }
        };
        let column = |column: Committed| columns[column as usize].as_slice();
        let used = FIRST_ROW..shape.end_row();
        let same = |found: &[Fr], expected: &[Fr]| {
            used.clone()
                .all(|row| found[row] == expected.get(row).copied().unwrap_or_default())
        };
        let table = program_columns(&witness.table);
        let columns = [Committed::Code, Committed::Immediate, Committed::Target];
        if !columns
            .into_iter()
            .zip(&table)
            .all(|(found, expected)| same(column(found), expected))
        {
            return true;
        }
        let Some(pages) = page_list(column(Committed::Pages), shape) else {
            return false;
        };
        if !same(column(Committed::Pages), &page_column(&pages)) {
            return false;
        }
        let memory = |private, public| lanes(column(private), column(public), shape);
        let (Some(entry), Some(exit)) = (
            memory(Committed::EntryPrivate, Committed::EntryPublic),
            memory(Committed::ExitPrivate, Committed::ExitPublic),
        ) else {
            return false;
        };
        let words: Option<Vec<u64>> = entry.into_iter().map(small_word).collect();
        let Some(words) = words else {
            return true;
        };
        let value = |cell: InstanceCell| self.instance[cell as usize];
        if value(InstanceCell::RunningIn) != Fr::ONE {
            return false;
        }
        let number = |cell| small_word(value(cell)).filter(|word| word >> 40 == 0);
        let (Some(upc), Some(slot), Some(depth), Some(steps), Some(units), Some(size)) = (
            number(InstanceCell::PcIn),
            number(InstanceCell::SlotIn),
            number(InstanceCell::DepthIn),
            small_word(value(InstanceCell::StepsIn)),
            small_word(value(InstanceCell::UnitsIn)),
            number(InstanceCell::InputSize),
        ) else {
            return false;
        };
        let state = State {
            upc: SLOT_ROW + upc as usize,
            pc: (SLOT_ROW + slot as usize).wrapping_sub(1),
            frame: i128::from(depth) * i128::from(FRAME_WORDS),
            steps,
            units,
            words,
        };
        let microcode = &witness.microcode;
        let begins = microcode
            .op(state.upc)
            .is_some_and(|op| op.first || op.class == Class::Equal);
        if !begins {
            return false;
        }
        let mut machine = Machine::new(microcode, &pages, size, state);
        let mut last: Option<Row> = None;
        while machine.rows() <= shape.step_rows() {
            if self.is_at(&machine, last.as_ref(), &exit) {
                return true;
            }
            if machine.end.is_some() {
                return false;
            }
            match machine.step() {
                Ok(row) => last = Some(row),
                Err(_) => return false,
            }
        }
        false
    }

    /// Whether the public values and the memory at the exit are those of this state.
    fn is_at(&self, machine: &Machine<'_>, last: Option<&Row>, exit: &[Fr]) -> bool {
        let state = &machine.state;
        let value = |cell: InstanceCell| self.instance[cell as usize];
        let slot = value(InstanceCell::SlotOut);
        // The last row of the chunk may be the last one executed, or one of padding.
        let slots = [Some(state.pc as i128), last.map(|row| row[Cell::Pc])];
        let ended = machine.end.is_some();
        let outcome = machine.end.map_or([0; 4], |end| {
            if end[Cell::M1] == 1 {
                [STATUS_TRAP.into(), end[Cell::Imm], 0, end[Cell::W]]
            } else {
                [STATUS_HALT.into(), 0, end[Cell::X], 0]
            }
        });
        let claimed = [
            InstanceCell::Status,
            InstanceCell::TrapKind,
            InstanceCell::R0,
            InstanceCell::TrapPc,
        ];
        value(InstanceCell::RunningOut) == field((!ended).into())
            && value(InstanceCell::PcOut) == field(state.upc as i128 - SLOT_ROW as i128)
            && slots
                .into_iter()
                .flatten()
                .any(|pc| slot == field(pc + 1 - SLOT_ROW as i128))
            && value(InstanceCell::DepthOut) * Fr::from(u64::from(FRAME_WORDS))
                == field(state.frame)
            && value(InstanceCell::StepsOut) == Fr::from(state.steps)
            && value(InstanceCell::UnitsOut) == Fr::from(state.units)
            && claimed
                .into_iter()
                .zip(outcome)
                .all(|(cell, expected)| value(cell) == field(expected))
            && exit
                .iter()
                .zip(&state.words)
                .all(|(found, expected)| *found == Fr::from(*expected))
    }
}

/// The list in a column, if it is in order.
fn page_list(column: &[Fr], shape: Shape) -> Option<PageList> {
    let entries: Option<Vec<u64>> = (FIRST_PAGE..shape.page_end())
        .map(|page| small_word(column[shape.page_row(page)]))
        .collect();
    PageList::of_entries(entries?, shape)
}

/// The words of both lanes, if each word is in its own.
fn lanes(private: &[Fr], public: &[Fr], shape: Shape) -> Option<Vec<Fr>> {
    let split = shape.public_word() as usize;
    let words = TEMPS as usize..shape.word_end() as usize;
    let mixed = words
        .clone()
        .any(|word| (if word < split { public } else { private })[word] != Fr::ZERO);
    let word = |word: usize| {
        if word < TEMPS as usize {
            Fr::ZERO
        } else if word < split {
            private[word]
        } else {
            public[word]
        }
    };
    (!mixed).then(|| (0..words.end).map(word).collect())
}
