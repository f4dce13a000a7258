//! The cells of a step row, by name, and the row of values that the witness fills.

use std::ops::{Index, IndexMut};

use crate::shape::SLOT_ROW;

macro_rules! cells {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// A cell of a step row. Each is one advice column of the first phase.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum Cell { $($(#[$doc])* $name),* }

        impl Cell {
            /// Every cell, in column order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// Number of cells.
            pub const COUNT: usize = Self::ALL.len();

            /// The cell's name as shown in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

cells! {
    /// Address of the micro-operation that this row executes.
    Upc,
    /// Address of the first micro-operation of the instruction that this row belongs to.
    Pc,
    /// Six times the call depth (the outermost function has depth 1).
    Frame,
    /// Instructions begun before this row, and 2^64 times the compute units used.
    Count,
    /// Fetched: immediate.
    Imm,
    /// Fetched: target row, or a second constant.
    Target,
    /// Class group 0: loads, stores, ranges of memory, costs.
    G0,
    /// Class group 1: memory words.
    G1,
    /// Class group 2: rows of byte operands.
    G2,
    /// Class group 3: sums, products, shifts.
    G3,
    /// Class group 4: moves, divisions, extra limbs.
    G4,
    /// Class group 5: branches.
    G5,
    /// Class group 6: calls and ends.
    G6,
    /// Class group 7: copies of memory words.
    G7,
    /// Class within the group: first.
    H0,
    /// Class within the group: second.
    H1,
    /// Class within the group: third.
    H2,
    /// Class within the group: fourth.
    H3,
    /// Class within the group: fifth (the sixth is implied).
    H4,
    /// Fetched: successor mode, low bit.
    ModeLo,
    /// Fetched: successor mode, high bit.
    ModeHi,
    /// Fetched: this row is the first of an instruction.
    First,
    /// Fetched: `b` includes `y` (both operands are one register); in group 1: read-only data.
    Alias,
    /// Fetched: the first address is relative to the frame.
    FrameX,
    /// Fetched: the second address is relative to the frame.
    FrameY,
    /// Fetched: first modifier, read by the class.
    M1,
    /// Fetched: second modifier.
    M2,
    /// Fetched: third modifier.
    M3,
    /// First access: word address.
    AddrX,
    /// First access: its value, unchanged.
    X,
    /// First access: time of the previous access to the word.
    TimeX,
    /// Second access: word address.
    AddrY,
    /// Second access: value before.
    Y,
    /// Second access: value after.
    R,
    /// Second access: time of the previous access to the word.
    TimeY,
    /// Second operand: `x + imm + alias·y`; in group 1: `2^(8·byte offset)`; in group 7 an address.
    B,
    /// A word that the class defines.
    W,
    /// Limb 0, 16 bits (in group 2 an operand byte).
    L0,
    /// Limb 1.
    L1,
    /// Limb 2.
    L2,
    /// Limb 3.
    L3,
    /// Limb 4.
    L4,
    /// Limb 5.
    L5,
    /// Limb 6.
    L6,
    /// Limb 7.
    L7,
    /// Limb 8.
    L8,
    /// Table operand: a byte, an address in its page, or a shift amount.
    P0,
    /// Table operand: a byte, or the word in the page.
    P1,
    /// Table result: the conjunction, or a power of two.
    P2,
    /// Bit: carry, borrow, crossing or sign, or that the high bytes are left out.
    C,
    /// Bit: a second one of the same kinds.
    D,
    /// Bit: sign or equality.
    S,
    /// Bit: branch taken, or access permitted.
    T,
}

/// The nine limbs in order.
pub(crate) const LIMBS: [Cell; 9] = [
    Cell::L0,
    Cell::L1,
    Cell::L2,
    Cell::L3,
    Cell::L4,
    Cell::L5,
    Cell::L6,
    Cell::L7,
    Cell::L8,
];

/// The group flags in order.
pub(crate) const GROUPS: [Cell; 8] = [
    Cell::G0,
    Cell::G1,
    Cell::G2,
    Cell::G3,
    Cell::G4,
    Cell::G5,
    Cell::G6,
    Cell::G7,
];

/// The flags of a class within its group; the sixth is implied.
pub(crate) const MEMBERS: [Cell; 5] = [Cell::H0, Cell::H1, Cell::H2, Cell::H3, Cell::H4];

/// Cells that hold a bit, in the order of their weight in the fetched code, then the free bits.
pub(crate) const FETCHED_BITS: [Cell; 22] = [
    Cell::G0,
    Cell::G1,
    Cell::G2,
    Cell::G3,
    Cell::G4,
    Cell::G5,
    Cell::G6,
    Cell::G7,
    Cell::H0,
    Cell::H1,
    Cell::H2,
    Cell::H3,
    Cell::H4,
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

/// Bits that the witness chooses.
pub(crate) const FREE_BITS: [Cell; 4] = [Cell::C, Cell::D, Cell::S, Cell::T];

/// The values of one row. Every value is an integer below `2^65` in absolute value, the count below `2^127`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row([i128; Cell::COUNT]);

impl Default for Row {
    fn default() -> Self {
        Self([0; Cell::COUNT])
    }
}

impl Index<Cell> for Row {
    type Output = i128;
    fn index(&self, cell: Cell) -> &i128 {
        &self.0[cell as usize]
    }
}

impl IndexMut<Cell> for Row {
    fn index_mut(&mut self, cell: Cell) -> &mut i128 {
        &mut self.0[cell as usize]
    }
}

impl Row {
    /// Writes the low `cells.len()·16` bits of `value` into consecutive limbs, lowest first.
    pub(crate) fn set_limbs(&mut self, cells: &[Cell], value: i128) {
        for (index, cell) in cells.iter().enumerate() {
            self[*cell] = (value >> (16 * index)) & 0xffff;
        }
    }

    /// Limbs 0 to 3 as a 64-bit word.
    pub(crate) fn set_u(&mut self, value: i128) {
        self.set_limbs(&LIMBS[..4], value);
    }

    /// The first two limbs of a chunk's last row: the distance of the next micro-operation from the first slot.
    pub(crate) fn set_exit_slot(&mut self) {
        self.set_limbs(&LIMBS[..2], self[Cell::Upc] - SLOT_ROW as i128);
    }

    /// Limbs 4 to 7 as a 64-bit word.
    pub(crate) fn set_v(&mut self, value: i128) {
        self.set_limbs(&LIMBS[4..8], value);
    }

    /// Limbs 0 to 3 read as a word.
    #[must_use]
    pub fn u(&self) -> i128 {
        (0..4).map(|i| self[LIMBS[i]] << (16 * i)).sum()
    }

    /// Limbs 4 to 7 read as a word.
    #[must_use]
    pub fn v(&self) -> i128 {
        (0..4).map(|i| self[LIMBS[4 + i]] << (16 * i)).sum()
    }

    /// Whether the row executes a micro-operation (padding does not).
    #[must_use]
    pub fn is_active(&self) -> bool {
        GROUPS.iter().any(|g| self[*g] == 1)
    }
}
