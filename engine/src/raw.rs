//! What types alone cannot say: field elements as words, cells that outlive a borrow, and AVX-512.
//!
//! The only module with `unsafe` code, for three things. Intrinsics are sound because nothing names
//! `Avx512` before `available` has said yes. Reading an element's words in place is sound because an
//! element is a struct of nothing but four words. The third is [`Cells`].
#![expect(
    unsafe_code,
    reason = "AVX-512 intrinsics, field elements read as the words they consist of, and an interface of halo2's that asks for references of any lifetime"
)]

use ff::{Field, PrimeField};
use halo2_proofs::plonk::Assigned;
use halo2curves::bn256::{Fq, Fr};

use crate::packed::Words;

/// A field element as its words in memory: Montgomery form modulo 2^256.
pub(crate) trait Raw: PrimeField<Repr = [u8; 32]> {
    /// The modulus.
    const PRIME: Words;
    /// What times the modulus is −1 modulo `2^64`.
    const NEGATED_INVERSE: u64 = {
        // Newton's iteration doubles the bits that are right.
        let (mut inverse, mut bits) = (1u64, 1);
        while bits < 64 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(Self::PRIME[0].wrapping_mul(inverse)));
            bits *= 2;
        }
        inverse.wrapping_neg()
    };

    fn from_raw_words(words: Words) -> Self;
    fn to_raw(&self) -> Words;
    fn as_words(elements: &[Self]) -> &[Words];
    fn as_words_mut(elements: &mut [Self]) -> &mut [Words];

    /// From an integer below the modulus; zero if it is not below.
    fn from_integer(words: Words) -> Self {
        let mut repr = [0; 32];
        for (bytes, word) in repr.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        Option::from(Self::from_repr(repr)).unwrap_or(Self::ZERO)
    }
}

macro_rules! raw {
    ($field:ty, $modulus:expr) => {
        const _: () = assert!(size_of::<$field>() == 32 && align_of::<$field>() == 8);
        impl Raw for $field {
            const PRIME: Words = $modulus;

            #[inline(always)]
            fn from_raw_words(words: Words) -> Self {
                // SAFETY: a struct of four words, any of which are valid.
                unsafe { std::mem::transmute::<Words, $field>(words) }
            }
            #[inline(always)]
            fn to_raw(&self) -> Words {
                // SAFETY: as above.
                unsafe { std::mem::transmute::<$field, Words>(*self) }
            }
            fn as_words(elements: &[Self]) -> &[Words] {
                // SAFETY: size and alignment are those of `Words`, whose bits are all valid.
                unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), elements.len()) }
            }
            fn as_words_mut(elements: &mut [Self]) -> &mut [Words] {
                // SAFETY: as above, and any words are a valid struct.
                unsafe {
                    std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len())
                }
            }
        }
    };
}

raw!(
    Fr,
    [
        0x43e1_f593_f000_0001,
        0x2833_e848_79b9_7091,
        0xb850_45b6_8181_585d,
        0x3064_4e72_e131_a029,
    ]
);
raw!(
    Fq,
    [
        0x3c20_8c16_d87c_fd47,
        0x9781_6a91_6871_ca8d,
        0xb850_45b6_8181_585d,
        0x3064_4e72_e131_a029,
    ]
);

/// What a circuit assigns to advice columns.
///
/// halo2's `Assignment` has to answer with references that live as long as the circuit wants. They are good
/// as long as the cells are: a circuit holds them within `synthesize`, and the cells outlast that.
#[derive(Debug)]
pub(crate) struct Cells(Vec<Vec<Assigned<Fr>>>);

impl Cells {
    pub(crate) fn new(columns: usize, rows: usize) -> Self {
        Self(vec![vec![Assigned::Trivial(Fr::ZERO); rows]; columns])
    }

    pub(crate) fn column(&self, column: usize) -> &[Assigned<Fr>] {
        &self.0[column]
    }

    /// `None` outside the columns.
    pub(crate) fn assign<'v>(
        &mut self,
        column: usize,
        row: usize,
        value: Assigned<Fr>,
    ) -> Option<&'v Assigned<Fr>> {
        let cell = self.0.get_mut(column)?.get_mut(row)?;
        *cell = value;
        // SAFETY: columns never grow or move while a circuit is synthesised, see above.
        Some(unsafe { &*std::ptr::from_ref(cell) })
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, available};
