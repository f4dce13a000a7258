//! Eight field elements at once with AVX-512 IFMA.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::*;
use crate::packed::{Backend, Kernel, MAX_LANES, Packed, Point};

/// Whether this machine has the instructions of [`Avx512`].
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512ifma")
}

const LIMB: u64 = (1 << 52) - 1;

/// An array of five by index. `array::map` would not be inlined into code for these instructions.
macro_rules! five {
    ($i:ident => $value:expr) => {
        [
            {
                const $i: usize = 0;
                $value
            },
            {
                const $i: usize = 1;
                $value
            },
            {
                const $i: usize = 2;
                $value
            },
            {
                const $i: usize = 3;
                $value
            },
            {
                const $i: usize = 4;
                $value
            },
        ]
    };
}

/// 256 bits in radix 2^52.
const fn limbs(w: Words) -> [u64; 5] {
    [
        w[0] & LIMB,
        (w[0] >> 52 | w[1] << 12) & LIMB,
        (w[1] >> 40 | w[2] << 24) & LIMB,
        (w[2] >> 28 | w[3] << 36) & LIMB,
        w[3] >> 16,
    ]
}

/// `2 * a mod p`, of an `a` below `p`.
const fn double(a: Words, p: Words) -> Words {
    let d = [
        a[0] << 1,
        a[1] << 1 | a[0] >> 63,
        a[2] << 1 | a[1] >> 63,
        a[3] << 1 | a[2] >> 63,
    ];
    let mut out = [0; 4];
    let mut borrow = 0;
    let mut i = 0;
    while i < 4 {
        let t = (d[i] as u128).wrapping_sub(p[i] as u128 + borrow);
        out[i] = t as u64;
        borrow = t >> 127;
        i += 1;
    }
    if borrow == 1 { d } else { out }
}

/// `2^n mod p`.
const fn power_of_two(n: u32, p: Words) -> [u64; 5] {
    let mut a = [1, 0, 0, 0];
    let mut i = 0;
    while i < n {
        a = double(a, p);
        i += 1;
    }
    limbs(a)
}

/// `k * p`.
const fn multiple(k: u64, p: Words) -> [u64; 5] {
    let p = limbs(p);
    let mut out = [0; 5];
    let mut carry = 0;
    let mut i = 0;
    while i < 5 {
        let t = p[i] * k + carry;
        out[i] = if i < 4 { t & LIMB } else { t };
        carry = t >> 52;
        i += 1;
    }
    out
}

/// What eight lanes need to know about a modulus.
pub(crate) trait Constants: Raw {
    const P: [u64; 5] = limbs(Self::PRIME);
    /// `-1 / p` modulo 2^52.
    const INVERSE: u64 = Self::NEGATED_INVERSE & LIMB;
    /// `2^260 - p`.
    const NEGATIVE: [u64; 5] = {
        let p = Self::P;
        [
            LIMB + 1 - p[0],
            LIMB - p[1],
            LIMB - p[2],
            LIMB - p[3],
            LIMB - p[4],
        ]
    };
    const MULTIPLES: [[u64; 5]; 7] = [
        multiple(1, Self::PRIME),
        multiple(2, Self::PRIME),
        multiple(4, Self::PRIME),
        multiple(8, Self::PRIME),
        multiple(16, Self::PRIME),
        multiple(32, Self::PRIME),
        multiple(64, Self::PRIME),
    ];
    /// `2^256 mod p`: takes work form to halo2curves' form.
    const TO_STD: [u64; 5] = power_of_two(256, Self::PRIME);
    /// `2^300 / p`, rounded down: makes a quotient, never too large, of the bits above 2^248.
    const QUOTIENT: u64 = ((1u128 << 108) / (Self::PRIME[3] as u128 + 1)) as u64;
}
impl Constants for Fr {}
impl Constants for Fq {}

/// Eight elements; limbs below 2^52 each.
#[derive(Clone, Copy)]
pub(crate) struct Eight<F>([__m512i; 5], PhantomData<F>);

#[inline(always)]
fn set(value: u64) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_set1_epi64(value.cast_signed()) }
}
#[inline(always)]
fn lo(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_madd52lo_epu64(sum, a, b) }
}
#[inline(always)]
fn hi(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_madd52hi_epu64(sum, a, b) }
}
#[inline(always)]
fn plus(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_add_epi64(a, b) }
}
#[inline(always)]
fn minus(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_sub_epi64(a, b) }
}
#[inline(always)]
fn and(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_and_si512(a, b) }
}
#[inline(always)]
fn or(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_or_si512(a, b) }
}
#[inline(always)]
fn shr<const BY: u32>(a: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_srli_epi64::<BY>(a) }
}
/// With the sign.
#[inline(always)]
fn sar<const BY: u32>(a: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_srai_epi64::<BY>(a) }
}
#[inline(always)]
fn shl<const BY: u32>(a: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_slli_epi64::<BY>(a) }
}
#[inline(always)]
fn permute(a: __m512i, index: [i64; 8], b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe {
        let [i0, i1, i2, i3, i4, i5, i6, i7] = index;
        _mm512_permutex2var_epi64(a, _mm512_setr_epi64(i0, i1, i2, i3, i4, i5, i6, i7), b)
    }
}
/// The lower halves, or the upper ones.
#[inline(always)]
fn halves<const UPPER: bool>(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe {
        if UPPER {
            _mm512_shuffle_i64x2::<0xee>(a, b)
        } else {
            _mm512_shuffle_i64x2::<0x44>(a, b)
        }
    }
}
#[inline(always)]
fn blend(mask: u8, set: __m512i, unset: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_mask_blend_epi64(mask, unset, set) }
}
#[inline(always)]
fn low(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_unpacklo_epi64(a, b) }
}
#[inline(always)]
fn high(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the module.
    unsafe { _mm512_unpackhi_epi64(a, b) }
}
#[inline(always)]
fn from_array(words: &[u64; 8]) -> __m512i {
    // SAFETY: both are 64 bytes without invalid values.
    unsafe { std::mem::transmute::<[u64; 8], __m512i>(*words) }
}
#[inline(always)]
fn to_array(value: __m512i) -> [u64; 8] {
    // SAFETY: both are 64 bytes without invalid values.
    unsafe { std::mem::transmute::<__m512i, [u64; 8]>(value) }
}

/// Two elements' words.
#[inline(always)]
fn load_pair(pair: &[Words; 2]) -> __m512i {
    // SAFETY: both are 64 bytes without invalid values.
    unsafe { std::mem::transmute::<[Words; 2], __m512i>(*pair) }
}

/// Eight elements' words, word by word.
#[inline(always)]
fn load_words(words: &[Words]) -> [__m512i; 4] {
    let (pairs, _) = words[..8].as_chunks::<2>();
    let (a, b) = (load_pair(&pairs[0]), load_pair(&pairs[1]));
    let (c, d) = (load_pair(&pairs[2]), load_pair(&pairs[3]));
    const LOWER: [i64; 8] = [0, 4, 8, 12, 1, 5, 9, 13];
    const UPPER: [i64; 8] = [2, 6, 10, 14, 3, 7, 11, 15];
    let (ab, cd) = (permute(a, LOWER, b), permute(c, LOWER, d));
    let (ab_upper, cd_upper) = (permute(a, UPPER, b), permute(c, UPPER, d));
    [
        halves::<false>(ab, cd),
        halves::<true>(ab, cd),
        halves::<false>(ab_upper, cd_upper),
        halves::<true>(ab_upper, cd_upper),
    ]
}

#[inline(always)]
fn store_words(w: [__m512i; 4], words: &mut [Words]) {
    const FIRST: [i64; 8] = [0, 4, 8, 12, 1, 5, 9, 13];
    const SECOND: [i64; 8] = [2, 6, 10, 14, 3, 7, 11, 15];
    let (a, b) = (halves::<false>(w[0], w[1]), halves::<false>(w[2], w[3]));
    let (c, d) = (halves::<true>(w[0], w[1]), halves::<true>(w[2], w[3]));
    let (pairs, _) = words[..8].as_chunks_mut::<2>();
    let values = [
        permute(a, FIRST, b),
        permute(a, SECOND, b),
        permute(c, FIRST, d),
        permute(c, SECOND, d),
    ];
    for (pair, value) in pairs.iter_mut().zip(values) {
        // SAFETY: both are 64 bytes without invalid values.
        *pair = unsafe { std::mem::transmute::<__m512i, [Words; 2]>(value) };
    }
}

/// From radix 2^64.
#[inline(always)]
fn split(w: [__m512i; 4]) -> [__m512i; 5] {
    let mask = set(LIMB);
    [
        and(w[0], mask),
        and(or(shr::<52>(w[0]), shl::<12>(w[1])), mask),
        and(or(shr::<40>(w[1]), shl::<24>(w[2])), mask),
        and(or(shr::<28>(w[2]), shl::<36>(w[3])), mask),
        shr::<16>(w[3]),
    ]
}

/// To radix 2^64.
#[inline(always)]
fn join(l: [__m512i; 5]) -> [__m512i; 4] {
    [
        or(l[0], shl::<52>(l[1])),
        or(shr::<12>(l[1]), shl::<40>(l[2])),
        or(shr::<24>(l[2]), shl::<28>(l[3])),
        or(shr::<36>(l[3]), shl::<16>(l[4])),
    ]
}

/// Eight rows of eight words to eight columns.
#[inline(always)]
fn transpose(r: [__m512i; 8]) -> [__m512i; 8] {
    const EVEN: [i64; 8] = [0, 1, 8, 9, 4, 5, 12, 13];
    const ODD: [i64; 8] = [2, 3, 10, 11, 6, 7, 14, 15];
    let (t0, t1, t2, t3) = (
        low(r[0], r[1]),
        high(r[0], r[1]),
        low(r[2], r[3]),
        high(r[2], r[3]),
    );
    let (t4, t5, t6, t7) = (
        low(r[4], r[5]),
        high(r[4], r[5]),
        low(r[6], r[7]),
        high(r[6], r[7]),
    );
    let (u0, v0) = (permute(t0, EVEN, t2), permute(t4, EVEN, t6));
    let (u1, v1) = (permute(t1, EVEN, t3), permute(t5, EVEN, t7));
    let (u2, v2) = (permute(t0, ODD, t2), permute(t4, ODD, t6));
    let (u3, v3) = (permute(t1, ODD, t3), permute(t5, ODD, t7));
    [
        halves::<false>(u0, v0),
        halves::<false>(u1, v1),
        halves::<false>(u2, v2),
        halves::<false>(u3, v3),
        halves::<true>(u0, v0),
        halves::<true>(u1, v1),
        halves::<true>(u2, v2),
        halves::<true>(u3, v3),
    ]
}

/// Limbs below 2^52, of signed ones; what exceeds 2^260 is dropped.
#[inline(always)]
fn carry(mut l: [__m512i; 5]) -> [__m512i; 5] {
    let mask = set(LIMB);
    l[1] = plus(l[1], sar::<52>(l[0]));
    l[2] = plus(l[2], sar::<52>(l[1]));
    l[3] = plus(l[3], sar::<52>(l[2]));
    l[4] = plus(l[4], sar::<52>(l[3]));
    five!(I => and(l[I], mask))
}

/// Montgomery's reduction; carries are left.
#[inline(always)]
fn reduced<F: Constants>(mut t: [__m512i; 10]) -> [__m512i; 5] {
    let p = five!(I => set(F::P[I]));
    let inverse = set(F::INVERSE);
    let zero = set(0);
    for i in 0..5 {
        let q = lo(zero, t[i], inverse);
        for j in 0..5 {
            t[i + j] = lo(t[i + j], q, p[j]);
        }
        t[i + 1] = plus(t[i + 1], shr::<52>(t[i]));
        for j in 0..5 {
            t[i + j + 1] = hi(t[i + j + 1], q, p[j]);
        }
    }
    [t[5], t[6], t[7], t[8], t[9]]
}

impl<F: Constants> Eight<F> {
    #[inline(always)]
    fn new(limbs: [__m512i; 5]) -> Self {
        Self(limbs, PhantomData)
    }
    #[inline(always)]
    fn constant(limbs: [u64; 5]) -> Self {
        Self::new(five!(I => set(limbs[I])))
    }
    /// Less than the modulus, of bound 84.
    #[inline(always)]
    fn canonical(self) -> Self {
        let l = self.reduce().0;
        let negative = five!(I => set(F::NEGATIVE[I]));
        let mut t = five!(I => plus(l[I], negative[I]));
        let mask = set(LIMB);
        for i in 0..4 {
            t[i + 1] = plus(t[i + 1], shr::<52>(t[i]));
        }
        // SAFETY: see the module.
        let below = unsafe { _mm512_cmplt_epu64_mask(t[4], set(LIMB + 1)) };
        Self::select(below, self.reduce(), Self::new(five!(I => and(t[I], mask))))
    }
}

impl<F: Constants> Packed for Eight<F> {
    type Scalar = F;
    type Single = [u64; 5];
    type Wide = [__m512i; 10];
    type Loose = [__m512i; 5];
    const LANES: usize = 8;

    fn single(scalar: &F) -> [u64; 5] {
        // Multiplied by sixteen in the field: the work form, less than the modulus.
        limbs((*scalar * F::from(16)).to_raw())
    }
    #[inline(always)]
    fn splat(single: &[u64; 5]) -> Self {
        Self::constant(*single)
    }
    #[inline(always)]
    fn load(words: &[Words]) -> Self {
        Self::new(split(load_words(words)))
    }
    #[inline(always)]
    fn load_std(words: &[Words]) -> Self {
        let w = load_words(words);
        let mask = set(LIMB);
        Self::new([
            and(shl::<4>(w[0]), mask),
            and(or(shr::<48>(w[0]), shl::<16>(w[1])), mask),
            and(or(shr::<36>(w[1]), shl::<28>(w[2])), mask),
            and(or(shr::<24>(w[2]), shl::<40>(w[3])), mask),
            shr::<12>(w[3]),
        ])
    }
    #[inline(always)]
    fn store(self, words: &mut [Words]) {
        store_words(join(self.0), words);
    }
    #[inline(always)]
    fn store_std(self, words: &mut [Words]) {
        self.mul(Self::constant(F::TO_STD)).canonical().store(words);
    }
    #[inline(always)]
    fn store_int(self, words: &mut [Words]) {
        self.mul(Self::constant([1, 0, 0, 0, 0]))
            .canonical()
            .store(words);
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self::new(carry(five!(I => plus(a[I], b[I]))))
    }
    #[inline(always)]
    fn sub<const LOG: usize>(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let multiple = five!(I => set(F::MULTIPLES[LOG][I]));
        Self::new(carry(five!(I => minus(plus(a[I], multiple[I]), b[I]))))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self::wide_reduce(Self::wide_add(Self::wide_zero(), self, other))
    }
    #[inline(always)]
    fn wide_zero() -> [__m512i; 10] {
        [set(0); 10]
    }
    #[inline(always)]
    fn wide_add(mut t: [__m512i; 10], a: Self, b: Self) -> [__m512i; 10] {
        let (a, b) = (a.0, b.0);
        for i in 0..5 {
            for j in 0..5 {
                t[i + j] = lo(t[i + j], a[j], b[i]);
                t[i + j + 1] = hi(t[i + j + 1], a[j], b[i]);
            }
        }
        t
    }
    #[inline(always)]
    fn wide_reduce(t: [__m512i; 10]) -> Self {
        Self::tight(reduced::<F>(t))
    }
    #[inline(always)]
    fn loose(self) -> [__m512i; 5] {
        self.0
    }
    #[inline(always)]
    fn tight(loose: [__m512i; 5]) -> Self {
        Self::new(carry(loose))
    }
    #[inline(always)]
    fn loose_add(a: [__m512i; 5], b: [__m512i; 5]) -> [__m512i; 5] {
        five!(I => plus(a[I], b[I]))
    }
    #[inline(always)]
    fn loose_sub(a: [__m512i; 5], b: [__m512i; 5]) -> [__m512i; 5] {
        five!(I => minus(plus(a[I], set(F::MULTIPLES[1][I])), b[I]))
    }
    #[inline(always)]
    fn loose_sub_sum(a: [__m512i; 5], b: [__m512i; 5]) -> [__m512i; 5] {
        five!(I => minus(plus(a[I], set(F::MULTIPLES[2][I])), b[I]))
    }
    #[inline(always)]
    fn loose_mul(self, other: Self) -> [__m512i; 5] {
        reduced::<F>(Self::wide_add(Self::wide_zero(), self, other))
    }
    #[inline(always)]
    fn reduce(self) -> Self {
        let mut l = self.0;
        let zero = set(0);
        let q = hi(zero, shr::<40>(l[4]), set(F::QUOTIENT));
        let negative = five!(I => set(F::NEGATIVE[I]));
        for i in 0..5 {
            l[i] = lo(l[i], q, negative[i]);
        }
        for i in 0..4 {
            l[i + 1] = hi(l[i + 1], q, negative[i]);
        }
        Self::new(carry(l))
    }
    #[inline(always)]
    fn select(mask: u8, set: Self, unset: Self) -> Self {
        Self::new(five!(I => blend(mask, set.0[I], unset.0[I])))
    }
    #[inline(always)]
    fn transpose(square: &mut [Self]) {
        for limb in 0..5 {
            let row = |i: usize| square[i].0[limb];
            let rows = [
                row(0),
                row(1),
                row(2),
                row(3),
                row(4),
                row(5),
                row(6),
                row(7),
            ];
            let columns = transpose(rows);
            for i in 0..8 {
                square[i].0[limb] = columns[i];
            }
        }
    }
}

/// AVX-512 with its 52-bit multiplication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512;

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx512ifma")]
fn with_instructions<K: Kernel<Avx512>>(kernel: K) -> K::Output {
    kernel.run()
}

impl Backend for Avx512 {
    type Fr = Eight<Fr>;
    type Fq = Eight<Fq>;
    const KEEPS_COSETS: bool = false;

    fn run<K: Kernel<Self>>(kernel: K) -> K::Output {
        // SAFETY: see the module.
        unsafe { with_instructions(kernel) }
    }
    #[inline(always)]
    fn gather(points: [&Point; MAX_LANES]) -> (Eight<Fq>, Eight<Fq>) {
        let row = |i: usize| from_array(&points[i].0);
        let rows = [
            row(0),
            row(1),
            row(2),
            row(3),
            row(4),
            row(5),
            row(6),
            row(7),
        ];
        let [x0, x1, x2, x3, y0, y1, y2, y3] = transpose(rows);
        (
            Eight::new(split([x0, x1, x2, x3])),
            Eight::new(split([y0, y1, y2, y3])),
        )
    }
    #[inline(always)]
    fn scatter(x: Eight<Fq>, y: Eight<Fq>, points: &mut [Point]) {
        let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (join(x.0), join(y.0));
        let rows = transpose([x0, x1, x2, x3, y0, y1, y2, y3]);
        for (point, row) in points[..8].iter_mut().zip(rows) {
            point.0 = to_array(row);
        }
    }
}
