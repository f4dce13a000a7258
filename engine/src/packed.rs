//! Several field elements at once: the operations that kernels are written in.
//!
//! A kernel is generic over a [`Backend`], which says how many elements one value holds and in which form
//! they are. On AVX-512 that is eight elements in radix 2^52 and Montgomery form modulo 2^260 (the *work
//! form*), elsewhere an array of halo2curves' elements, whose form is modulo 2^256.
//!
//! Values are not always smaller than the modulus `p`. The *bound* of a value is the number of `p` it is
//! below: additions add bounds, a product of bounds `a` and `b` with `a * b <= 84` has bound 2, and so do
//! [`Packed::reduce`] and everything loaded from memory in work form.

use ff::{Field, PrimeField};
use halo2curves::bn256::{Fq, Fr};

use crate::raw::Raw;

/// 256 bits: an element in some form, least significant word first.
pub(crate) type Words = [u64; 4];

/// The coordinates of an affine point, neither of them infinity, in work form.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(crate) struct Point(pub(crate) [u64; 8]);

/// [`Packed::LANES`] elements of a field.
pub(crate) trait Packed: Copy + Send + Sync + 'static {
    type Scalar: Raw;
    /// One element, ready to be repeated in all lanes.
    type Single: Copy + Send + Sync + 'static;
    /// A sum of products that is not reduced yet.
    type Wide: Copy;
    /// A value whose carries are left for later: sums are cheaper, multiplications want [`Packed::tight`] first.
    type Loose: Copy + Send + Sync + 'static;
    const LANES: usize;

    fn single(scalar: &Self::Scalar) -> Self::Single;
    fn splat(single: &Self::Single) -> Self;
    /// From the first elements of a slice in work form, each with bound 2; has bound 2.
    fn load(words: &[Words]) -> Self;
    /// From halo2curves' form; has bound 16.
    fn load_std(words: &[Words]) -> Self;
    /// In work form; the value has bound 2.
    fn store(self, words: &mut [Words]);
    /// In halo2curves' form, each less than the modulus.
    fn store_std(self, words: &mut [Words]);
    /// As integers less than the modulus.
    fn store_int(self, words: &mut [Words]);
    fn add(self, other: Self) -> Self;
    /// Subtracts a value of bound `2^LOG`; adds `2^LOG` to the bound.
    fn sub<const LOG: usize>(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn wide_zero() -> Self::Wide;
    /// Adds a product; at most [`MAX_PRODUCTS`] in one sum.
    fn wide_add(wide: Self::Wide, a: Self, b: Self) -> Self::Wide;
    /// Has bound 1 and an 84th of the sum of the products' bounds.
    fn wide_reduce(wide: Self::Wide) -> Self;
    /// From bound 84 to bound 2.
    fn reduce(self) -> Self;
    fn loose(self) -> Self::Loose;
    fn tight(loose: Self::Loose) -> Self;
    /// As [`Packed::add`]; at most [`MAX_SUMS`] sums and differences before a value is made tight.
    fn loose_add(a: Self::Loose, b: Self::Loose) -> Self::Loose;
    /// As [`Packed::sub`] with `LOG` of 1.
    fn loose_sub(a: Self::Loose, b: Self::Loose) -> Self::Loose;
    /// As [`Packed::sub`] with `LOG` of 2.
    fn loose_sub_sum(a: Self::Loose, b: Self::Loose) -> Self::Loose;
    fn loose_mul(self, other: Self) -> Self::Loose;
    /// Where a bit of the mask is set the first, else the second.
    fn select(mask: u8, set: Self, unset: Self) -> Self;
    /// Exchanges lanes with positions in a square of values.
    fn transpose(square: &mut [Self]);

    fn zero() -> Self {
        Self::splat(&Self::single(&Self::Scalar::ZERO))
    }
    fn one() -> Self {
        Self::splat(&Self::single(&Self::Scalar::ONE))
    }
    fn scalar(scalar: &Self::Scalar) -> Self {
        Self::splat(&Self::single(scalar))
    }
    fn from_scalars(scalars: &[Self::Scalar]) -> Self {
        let mut words = [[0; 4]; MAX_LANES];
        for (words, scalar) in words.iter_mut().zip(scalars) {
            *words = scalar.to_raw();
        }
        Self::load_std(&words).reduce()
    }
    fn to_scalars(self) -> [Self::Scalar; MAX_LANES] {
        let mut words = [[0; 4]; MAX_LANES];
        self.store_std(&mut words);
        words.map(Self::Scalar::from_raw_words)
    }
}

/// Products in a sum whose limbs, signed, do not run over.
pub(crate) const MAX_PRODUCTS: usize = 128;

/// Sums whose limbs, signed, do not run over: a product's are below 2^58.
pub(crate) const MAX_SUMS: u32 = 31;

/// No backend has more lanes.
pub(crate) const MAX_LANES: usize = 8;

/// How both fields of BN254 are computed with.
pub(crate) trait Backend: Copy + Send + Sync + 'static {
    type Fr: Packed<Scalar = Fr>;
    type Fq: Packed<Scalar = Fq>;
    /// Whether the key's columns on the cosets of the quotient are worth their memory: as much as `n` elements
    /// for each of them and each coset.
    const KEEPS_COSETS: bool;

    /// Runs a kernel with the instructions of this backend.
    fn run<K: Kernel<Self>>(kernel: K) -> K::Output;
    /// Coordinates of points, one from each lane's reference.
    fn gather(points: [&Point; MAX_LANES]) -> (Self::Fq, Self::Fq);
    /// To the first points of a slice; coordinates have bound 2.
    fn scatter(x: Self::Fq, y: Self::Fq, points: &mut [Point]);
}

/// A computation whose `run` is inlined into a function compiled for the backend's instructions.
pub(crate) trait Kernel<B: Backend> {
    type Output;
    fn run(self) -> Self::Output;
}

/// The integer below the modulus.
pub(crate) fn integer<F: PrimeField<Repr = [u8; 32]>>(scalar: &F) -> Words {
    let bytes = scalar.to_repr();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// With halo2curves' arithmetic: for every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

/// Elements that are computed with one after another. More than one at a time, so that kernels read whole cache
/// lines, multiplications that do not wait for each other are near, and inversions are shared by as many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Array<F>([F; ARRAY]);

const ARRAY: usize = 4;

impl<F: Raw> Array<F> {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(&F, &F) -> F) -> Self {
        Self(std::array::from_fn(|lane| {
            operation(&self.0[lane], &other.0[lane])
        }))
    }
}

/// Words of a sum of products that is not reduced.
type Double = [u64; 8];

/// Adds a product of two elements to a sum below `2^256·p`, which it stays: both halves as halo2curves has them,
/// but reduced once for all products.
#[inline(always)]
fn add_product<F: Raw>(sum: &mut Double, a: &F, b: &F) {
    let (a, b) = (a.to_raw(), b.to_raw());
    let mut product = [0; 8];
    for (i, b) in b.into_iter().enumerate() {
        let mut carry = 0;
        for (j, a) in a.into_iter().enumerate() {
            (product[i + j], carry) = a.carrying_mul_add(b, product[i + j], carry);
        }
        product[i + 4] = carry;
    }
    let mut carry = false;
    for (sum, word) in sum.iter_mut().zip(product) {
        (*sum, carry) = sum.carrying_add(word, carry);
    }
    let high = below::<F>([sum[4], sum[5], sum[6], sum[7]]);
    sum[4..].copy_from_slice(&high);
}

/// Less the modulus, if it is not below.
#[inline(always)]
fn below<F: Raw>(words: Words) -> Words {
    let mut less = [0; 4];
    let mut borrow = false;
    for (less, (word, p)) in less.iter_mut().zip(words.into_iter().zip(F::PRIME)) {
        (*less, borrow) = word.borrowing_sub(p, borrow);
    }
    let keep = u64::from(borrow).wrapping_neg();
    std::array::from_fn(|i| (words[i] & keep) | (less[i] & !keep))
}

/// Divides by `2^256`, as halo2curves' products are.
#[inline(always)]
fn reduced<F: Raw>(sum: &Double) -> F {
    let mut words = *sum;
    let mut over = false;
    for i in 0..4 {
        let multiple = words[i].wrapping_mul(F::NEGATED_INVERSE);
        let mut carry = 0;
        for (j, p) in F::PRIME.into_iter().enumerate() {
            (words[i + j], carry) = multiple.carrying_mul_add(p, words[i + j], carry);
        }
        (words[i + 4], over) = words[i + 4].carrying_add(carry, over);
    }
    F::from_raw_words(below::<F>([words[4], words[5], words[6], words[7]]))
}

impl<F: Raw> Packed for Array<F> {
    type Scalar = F;
    type Single = F;
    type Wide = [Double; ARRAY];
    type Loose = Self;
    const LANES: usize = ARRAY;

    fn single(scalar: &F) -> F {
        *scalar
    }
    #[inline(always)]
    fn splat(single: &F) -> Self {
        Self([*single; ARRAY])
    }
    #[inline(always)]
    fn load(words: &[Words]) -> Self {
        let mut elements = [F::ZERO; ARRAY];
        for (element, words) in elements.iter_mut().zip(words) {
            *element = F::from_raw_words(*words);
        }
        Self(elements)
    }
    #[inline(always)]
    fn load_std(words: &[Words]) -> Self {
        Self::load(words)
    }
    #[inline(always)]
    fn store(self, words: &mut [Words]) {
        for (words, element) in words.iter_mut().zip(self.0) {
            *words = element.to_raw();
        }
    }
    #[inline(always)]
    fn store_std(self, words: &mut [Words]) {
        self.store(words);
    }
    fn store_int(self, words: &mut [Words]) {
        for (words, element) in words.iter_mut().zip(self.0) {
            *words = integer(&element);
        }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| *a + b)
    }
    #[inline(always)]
    fn sub<const LOG: usize>(self, other: Self) -> Self {
        self.zip(other, |a, b| *a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| *a * b)
    }
    #[inline(always)]
    fn wide_zero() -> Self::Wide {
        [[0; 8]; ARRAY]
    }
    #[inline(always)]
    fn wide_add(mut wide: Self::Wide, a: Self, b: Self) -> Self::Wide {
        for (sum, (a, b)) in wide.iter_mut().zip(a.0.iter().zip(&b.0)) {
            add_product(sum, a, b);
        }
        wide
    }
    #[inline(always)]
    fn wide_reduce(wide: Self::Wide) -> Self {
        Self(wide.each_ref().map(reduced))
    }
    #[inline(always)]
    fn reduce(self) -> Self {
        self
    }
    #[inline(always)]
    fn loose(self) -> Self {
        self
    }
    #[inline(always)]
    fn tight(loose: Self) -> Self {
        loose
    }
    #[inline(always)]
    fn loose_add(a: Self, b: Self) -> Self {
        a.add(b)
    }
    #[inline(always)]
    fn loose_sub(a: Self, b: Self) -> Self {
        a.sub::<1>(b)
    }
    #[inline(always)]
    fn loose_sub_sum(a: Self, b: Self) -> Self {
        a.sub::<2>(b)
    }
    #[inline(always)]
    fn loose_mul(self, other: Self) -> Self {
        self.mul(other)
    }
    #[inline(always)]
    fn select(mask: u8, set: Self, unset: Self) -> Self {
        let mut result = unset;
        for (lane, (result, set)) in result.0.iter_mut().zip(set.0).enumerate() {
            if mask >> lane & 1 == 1 {
                *result = set;
            }
        }
        result
    }
    #[inline(always)]
    fn transpose(square: &mut [Self]) {
        for row in 1..square.len() {
            let (above, below) = square.split_at_mut(row);
            for (column, above) in above.iter_mut().enumerate() {
                std::mem::swap(&mut above.0[row], &mut below[0].0[column]);
            }
        }
    }
}

impl Backend for Portable {
    type Fr = Array<Fr>;
    type Fq = Array<Fq>;
    const KEEPS_COSETS: bool = true;

    fn run<K: Kernel<Self>>(kernel: K) -> K::Output {
        kernel.run()
    }
    #[inline(always)]
    fn gather(points: [&Point; MAX_LANES]) -> (Array<Fq>, Array<Fq>) {
        let (mut x, mut y) = ([Fq::ZERO; ARRAY], [Fq::ZERO; ARRAY]);
        for (i, point) in points.iter().take(ARRAY).enumerate() {
            let [a, b, c, d, e, f, g, h] = point.0;
            x[i] = Fq::from_raw_words([a, b, c, d]);
            y[i] = Fq::from_raw_words([e, f, g, h]);
        }
        (Array(x), Array(y))
    }
    #[inline(always)]
    fn scatter(x: Array<Fq>, y: Array<Fq>, points: &mut [Point]) {
        for (point, (x, y)) in points.iter_mut().zip(x.0.into_iter().zip(y.0)) {
            let ([a, b, c, d], [e, f, g, h]) = (x.to_raw(), y.to_raw());
            *point = Point([a, b, c, d, e, f, g, h]);
        }
    }
}

#[cfg(test)]
mod tests;
