//! The classes of micro-operations. A class is one set of constraints; a row executes one class.

use crate::cell::{Cell, GROUPS, MEMBERS};

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = ($group:literal, $member:literal)),* $(,)?) => {
        /// What a row does. The two numbers are its group and its place in the group.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Class { $($(#[$doc])* $name),* }

        impl Class {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Group and member.
            #[must_use]
            pub const fn place(self) -> (usize, usize) {
                match self { $(Self::$name => ($group, $member)),* }
            }

            /// The class's name as shown in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

classes! {
    /// First row of a load: address, permission, and the loaded value into `r`.
    Load = (0, 0),
    /// First row of a store: address, permission, and the value to store.
    Store = (0, 1),
    /// Whether a range of memory permits an access.
    Span = (0, 2),
    /// A load that only system calls make, from memory that programs cannot reach.
    LoadHidden = (0, 3),
    /// Such a store.
    StoreHidden = (0, 4),
    /// The cost of a system call.
    Charge = (0, 5),
    /// The memory word of an access that lies in one word.
    Word = (1, 0),
    /// The low word of an access that crosses into a second word.
    WordLow = (1, 1),
    /// The high word of such an access.
    WordHigh = (1, 2),
    /// and, or, xor of 64 bits, low halves; high ones follow if they are not zero.
    Bitwise = (2, 0),
    /// and, or, xor of 32 bits.
    Bitwise32 = (2, 1),
    /// Bytes in reverse order.
    ByteSwap = (2, 2),
    /// High halves of the row before.
    BitwiseHigh = (2, 3),
    /// Sum or difference of 64 bits.
    Add = (3, 0),
    /// Sum or difference of 32 bits.
    Add32 = (3, 1),
    /// Low or high word of a product.
    Mul = (3, 2),
    /// Low half-word of a product.
    Mul32 = (3, 3),
    /// Right shift of 32 bits, or the remainder by a power of two of at most 32 bits.
    Shift32 = (3, 4),
    /// Shift amount to power of two.
    ShiftAmount = (3, 5),
    /// `r = b`.
    Mov = (4, 0),
    /// Sign or zero extension of the low bytes of `b`.
    Extend = (4, 1),
    /// Arithmetic right shift by a power of two.
    ShiftSigned = (4, 2),
    /// Unsigned division.
    Div = (4, 3),
    /// Signed division.
    DivSigned = (4, 4),
    /// Limbs for the row before, then the branch that it decided.
    Limbs = (4, 5),
    /// Equality of 64-bit words.
    Equal = (5, 0),
    /// Order of 64-bit unsigned words.
    Less = (5, 1),
    /// Equality of 32-bit words.
    Equal32 = (5, 2),
    /// Order of 32-bit words, signed or unsigned.
    Less32 = (5, 3),
    /// Order of 64-bit signed words.
    LessSigned = (5, 4),
    /// Limbs and signs for a signed division two rows before.
    DivSignedEnd = (5, 5),
    /// Entry into a function: depth, return address.
    Call = (6, 0),
    /// Target of a call through a register.
    CallTarget = (6, 1),
    /// Return from a function.
    Exit = (6, 2),
    /// The end of the run: publishes the outcome.
    End = (6, 3),
    /// Proof that the access or the range of the row before is not permitted.
    Fault = (6, 4),
    /// Range check of both words that a crossing store wrote.
    WordRange = (6, 5),
    /// First of a run of copied words.
    CopyFirst = (7, 0),
    /// The word behind the one before.
    CopyNext = (7, 1),
}

impl Class {
    /// The values of the group and member flags on a row of this class.
    pub(crate) fn flags(self) -> impl Iterator<Item = (Cell, bool)> {
        let (group, member) = self.place();
        GROUPS
            .iter()
            .enumerate()
            .map(move |(i, c)| (*c, i == group))
            .chain(
                MEMBERS
                    .iter()
                    .enumerate()
                    .map(move |(i, c)| (*c, i == member)),
            )
    }

    /// Whether rows of this class decide if their target is taken.
    pub(crate) const fn branches(self) -> bool {
        matches!(self.place().0, 0 | 5 | 6 | 7)
    }

    /// Whether the bit `c` of a row of this class chooses how many rows follow that belong to it.
    pub(crate) const fn has_short_way(self) -> bool {
        matches!(self, Self::Bitwise | Self::Bitwise32)
    }

    /// The class of these flags, if they name one.
    pub(crate) fn from_flags(flag: impl Fn(Cell) -> bool) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|class| class.flags().all(|(cell, on)| flag(cell) == on))
    }
}
