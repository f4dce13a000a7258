//! Where everything lives: the rows of a chunk circuit of size `2^k`, and the words of its memory.
//!
//! Nothing here depends on a program, an input or a trace.

use crate::ShapeError;

/// Rows 0 to 7 carry only the instance column; in committed columns they hold random words that no bus
/// sees, so that openings of one polynomial in two proofs reveal nothing. The machine starts in row 8.
pub const FIRST_ROW: usize = 8;

/// Temporaries of microprograms: the first words of memory.
pub const TEMPS: u32 = 8;
/// Number of temporaries.
pub const TEMP_COUNT: u32 = 8;
/// First word of the register file: `r0` to `r5`.
pub const REGISTERS: u32 = 16;
/// A word that is always zero, for the first access of rows without a source.
pub const ZERO_SOURCE: u32 = 22;
/// A word that is always zero, for the second access of rows without a destination.
pub const ZERO_SINK: u32 = 23;
/// The compute units that the run may use; never written.
pub const BUDGET: u32 = 24;
/// Bytes of heap that `sol_alloc_free_` has given out.
pub const ALLOCATED: u32 = 25;
/// First word of frame 0. Frame `d` (the outermost is 1) holds `r6, r7, r8, r9, r10` and the return
/// address of its caller in words `FRAMES + 6·d ..`.
pub const FRAMES: u32 = 32;
/// Words in a frame.
pub const FRAME_WORDS: u32 = 6;
/// Offset of the return address in a frame.
pub const RETURN_ADDRESS: u32 = 5;
/// Most frames that a dialect may use.
pub const MAX_CALL_DEPTH: u32 = 64;
/// Bytes in a page of translated memory.
pub const PAGE_BYTES: u64 = 256;
/// Words in a page.
pub const PAGE_WORDS: u32 = 32;
/// First dense page: the words below hold registers and frames, which no address reaches.
pub const FIRST_PAGE: u32 = 14;

/// Program table, circuit rows: permission and violation of the input region, violation of what follows it.
pub const INPUT_INTERVAL_ROWS: [usize; 3] = [8, 9, 10];
/// Microcode: address of the first fixed operation.
pub const ROM_ROW: usize = 16;
/// Microcode: slot `i` of the program has address `SLOT_ROW + i`.
pub const SLOT_ROW: usize = 256;
/// Microcode and read-only words enter the program table by blocks of this many.
pub const BLOCK_ROWS: usize = 16;

/// Rows at the end that halo2 fills with random values, and one that holds the state after the last step.
const BLINDING_ROWS: usize = 12;
/// Rows between two entries of the page list; see [`Shape::page_row`].
pub(crate) const PAGE_STRIDE: usize = 8;

const _: () = assert!(FRAMES + FRAME_WORDS * (MAX_CALL_DEPTH + 2) <= FIRST_PAGE * PAGE_WORDS);

/// Size and table width of a chunk circuit. Part of the key's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    k: u32,
    operand_bits: u32,
}

impl Default for Shape {
    /// The smallest shape.
    fn default() -> Self {
        Self {
            k: Self::MIN_K,
            operand_bits: 4,
        }
    }
}

impl Shape {
    /// Smallest supported `k`.
    pub const MIN_K: u32 = 10;
    /// Largest supported `k`.
    pub const MAX_K: u32 = 20;

    /// A circuit of `2^k` rows whose lookup operands are at most `lookup_bits` wide.
    ///
    /// Eight bits need tables of 2^16 rows, which fit from `k = 17`; below, or with `lookup_bits < 8`,
    /// operands are four bits wide and every limb is split once more.
    ///
    /// # Errors
    /// If `k` or `lookup_bits` is outside the supported range.
    pub fn new(k: u32, lookup_bits: u32) -> Result<Self, ShapeError> {
        if !(Self::MIN_K..=Self::MAX_K).contains(&k) {
            return Err(ShapeError::K { k });
        }
        if !(4..=16).contains(&lookup_bits) {
            return Err(ShapeError::LookupBits { lookup_bits });
        }
        let operand_bits = if k >= 17 && lookup_bits >= 8 { 8 } else { 4 };
        Ok(Self { k, operand_bits })
    }

    /// Base-2 logarithm of the number of rows.
    #[must_use]
    pub const fn k(self) -> u32 {
        self.k
    }

    /// Width of the operands of the bitwise table: 4 or 8 bits.
    #[must_use]
    pub const fn operand_bits(self) -> u32 {
        self.operand_bits
    }

    /// Whether limbs are split into two table operands each.
    #[must_use]
    pub const fn is_narrow(self) -> bool {
        self.operand_bits < 8
    }

    /// Number of rows, `2^k`.
    #[must_use]
    pub const fn rows(self) -> usize {
        1 << self.k
    }

    /// One past the last row on which constraints hold; this row holds the state after the last step.
    #[must_use]
    pub const fn end_row(self) -> usize {
        self.rows() - BLINDING_ROWS - 1
    }

    /// Rows of the machine: those of the steps, then padding, at least one row of it.
    #[must_use]
    pub const fn machine_rows(self) -> usize {
        self.end_row() - FIRST_ROW
    }

    /// Most rows that the steps of one chunk may take.
    #[must_use]
    pub const fn step_rows(self) -> usize {
        self.machine_rows() - 1
    }

    /// First word (and dense page boundary) of the public lane; the words below are private.
    #[must_use]
    pub const fn public_word(self) -> u32 {
        let half = (self.rows() / 2) as u32;
        if half < 768 { 736 } else { half }
    }

    /// First dense page of the public lane: the first page of the input region.
    #[must_use]
    pub const fn public_page(self) -> u32 {
        self.public_word() / PAGE_WORDS
    }

    /// One past the last dense page.
    #[must_use]
    pub const fn page_end(self) -> u32 {
        (self.end_row() / PAGE_WORDS as usize) as u32
    }

    /// One past the last word of memory.
    #[must_use]
    pub const fn word_end(self) -> u32 {
        self.page_end() * PAGE_WORDS
    }

    /// Row of the first entry of the page list.
    const fn page_list_row(self) -> usize {
        let entries = (self.page_end() - FIRST_PAGE) as usize + 1;
        (self.end_row() - entries * PAGE_STRIDE) / PAGE_STRIDE * PAGE_STRIDE
    }

    /// Row of the page list that holds the virtual page of a dense page. Entries are eight rows apart;
    /// the four rows before an entry hold the limbs of its distance to the entry before.
    #[must_use]
    pub const fn page_row(self, page: u32) -> usize {
        let separator = (page >= self.public_page()) as usize;
        self.page_list_row() + ((page - FIRST_PAGE) as usize + separator) * PAGE_STRIDE
    }

    /// Row of the separator between the lanes: the page below the input region, which no region has.
    #[must_use]
    pub const fn separator_row(self) -> usize {
        self.page_row(self.public_page()) - PAGE_STRIDE
    }

    /// Number of rows that the program table has for microcode, intervals and read-only words.
    #[must_use]
    pub const fn program_rows(self) -> usize {
        self.end_row() - (INPUT_INTERVAL_ROWS[2] + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_their_list_fit_at_every_size() {
        for k in Shape::MIN_K..=Shape::MAX_K {
            let shape = Shape::new(k, 8).expect("supported");
            assert!(shape.word_end() as usize <= shape.end_row());
            assert!(shape.public_page() > FIRST_PAGE && shape.public_page() < shape.page_end());
            assert_eq!(shape.public_word() % PAGE_WORDS, 0);
            assert!(shape.page_row(shape.page_end() - 1) < shape.end_row());
            assert!(
                shape.page_row(FIRST_PAGE) >= FIRST_ROW + crate::tables::lookup_rows(shape) + 4
            );
        }
    }
}
