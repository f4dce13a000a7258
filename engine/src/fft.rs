//! The Fourier transform over a subgroup of size `n = R * C`, and over its cosets.
//!
//! The input is read as a matrix of `R` rows. All columns are transformed, `LANES` neighbours at a time in
//! a buffer that fits the first cache; the result is multiplied by the remaining powers of the root, and
//! transposed, so that then `LANES` rows at a time are transformed in the same manner. Nothing but the
//! transposition crosses lanes, and what is read and written is in natural order.
//!
//! A coset's shift is not a pass of its own. Its powers are part of the twiddle factors: of those inside
//! columns by rows, and of those between the two steps by columns.

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::packed::{Backend, Kernel, MAX_LANES, MAX_SUMS, Packed, Words};

/// Twiddle factors for a transform of `LANES` columns: of each layer those of its butterflies.
struct Small<P: Packed> {
    log: u32,
    /// Layer `l` has `2^l` factors, at `2^l - 1`.
    factors: Vec<P::Single>,
    /// Whether the first factor of each layer is one.
    plain: bool,
}

impl<P: Packed<Scalar = Fr>> Small<P> {
    /// Evaluates polynomials of size `2^log` at `shift` times the powers of a root of unity.
    fn new(log: u32, root: Fr, shift: Fr) -> Self {
        debug_assert!(log <= MAX_SUMS);
        let mut factors = Vec::with_capacity(1 << log);
        for layer in 0..log {
            // Joins two transforms of size 2^layer.
            let root = root.pow_vartime([1 << (log - layer - 1)]);
            let mut factor = shift.pow_vartime([1 << (log - layer - 1)]);
            for _ in 0..1 << layer {
                factors.push(P::single(&factor));
                factor *= root;
            }
        }
        Self {
            log,
            factors,
            plain: shift == Fr::ONE,
        }
    }

    /// Transforms a buffer in bit-reversed order; adds `2 * log + 4` to the bound 2. Two layers at a time, so that a
    /// value is read and written half as often.
    #[inline(always)]
    fn run(&self, buffer: &mut [P::Loose]) {
        let mut layer = 0;
        if self.plain && self.log >= 2 {
            let turn = P::splat(&self.factors[2]);
            for four in buffer.as_chunks_mut::<4>().0 {
                let [a, b, c, d] = *four;
                let (a, b) = (P::loose_add(a, b), P::loose_sub(a, b));
                let (c, d) = (P::loose_add(c, d), P::loose_sub(c, d));
                let d = P::tight(d).loose_mul(turn);
                *four = [
                    P::loose_add(a, c),
                    P::loose_add(b, d),
                    P::loose_sub_sum(a, c),
                    P::loose_sub(b, d),
                ];
            }
            layer = 2;
        }
        while layer + 1 < self.log {
            let half = 1 << layer;
            let (first, second) = self.factors[half - 1..4 * half - 1].split_at(half);
            let (second, turned) = second.split_at(half);
            for four in buffer.chunks_exact_mut(4 * half) {
                let (left, right) = four.split_at_mut(2 * half);
                let (a, b) = left.split_at_mut(half);
                let (c, d) = right.split_at_mut(half);
                for i in 0..half {
                    let factor = P::splat(&first[i]);
                    let v = P::tight(b[i]).loose_mul(factor);
                    let (u, v) = (P::loose_add(a[i], v), P::loose_sub(a[i], v));
                    let t = P::tight(d[i]).loose_mul(factor);
                    let (s, t) = (P::loose_add(c[i], t), P::loose_sub(c[i], t));
                    let s = P::tight(s).loose_mul(P::splat(&second[i]));
                    let t = P::tight(t).loose_mul(P::splat(&turned[i]));
                    a[i] = P::loose_add(u, s);
                    b[i] = P::loose_add(v, t);
                    c[i] = P::loose_sub(u, s);
                    d[i] = P::loose_sub(v, t);
                }
            }
            layer += 2;
        }
        if layer < self.log {
            let half = 1 << layer;
            let factors = &self.factors[half - 1..2 * half - 1];
            for pair in buffer.chunks_exact_mut(2 * half) {
                let (left, right) = pair.split_at_mut(half);
                for ((a, b), factor) in left.iter_mut().zip(right).zip(factors) {
                    let (u, v) = (*a, P::tight(*b).loose_mul(P::splat(factor)));
                    *a = P::loose_add(u, v);
                    *b = P::loose_sub(u, v);
                }
            }
        }
    }
}

/// Everything precomputed for transforms of one size over one coset.
pub(crate) struct Plan<B: Backend> {
    log: u32,
    root: Fr,
    shift: Fr,
    scale: Fr,
    columns: Small<B::Fr>,
    rows: Small<B::Fr>,
    /// What lies between the two steps, in the order in which it is used.
    middle: Vec<Words>,
}

impl<B: Backend> std::fmt::Debug for Plan<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plan of 2^{}", self.log)
    }
}

/// Memory for one transform, of any size.
pub(crate) struct Scratch<B: Backend> {
    buffer: Vec<<B::Fr as Packed>::Loose>,
    middle: Vec<B::Fr>,
}

impl<B: Backend> Default for Scratch<B> {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            middle: Vec::new(),
        }
    }
}

impl<B: Backend> Scratch<B> {
    fn fit(&mut self, log: u32) {
        let zero = B::Fr::zero();
        self.buffer.resize(1 << (log - log / 2), zero.loose());
        self.middle.resize((1 << log) / B::Fr::LANES, zero);
    }
}

impl<B: Backend> Plan<B> {
    /// Below this size a transform is quadratic or of one element at a time.
    const SMALLEST: u32 = 6;

    /// For the subgroup of size `2^log` times a shift; values are multiplied by `scale`.
    pub(crate) fn new(log: u32, shift: Fr, scale: Fr) -> Self {
        let mut root = Fr::ROOT_OF_UNITY;
        for _ in log..Fr::S {
            root = root.square();
        }
        let (log_rows, log_columns) = (log / 2, log - log / 2);
        let (height, width) = (1usize << log_rows, 1usize << log_columns);
        let lanes = B::Fr::LANES;
        let mut middle = vec![[0; 4]; if log < Self::SMALLEST { 0 } else { 1 << log }];
        // Row r and column c have scale * root^(r * c) * shift^c.
        let bases: Vec<Fr> = {
            let mut base = shift;
            let next = |_| {
                let this = base;
                base *= root;
                this
            };
            (0..height).map(next).collect()
        };
        if log >= Self::SMALLEST {
            // First in rows of halo2curves' form, then block by block as the columns' step goes.
            let mut rows = vec![Fr::ZERO; height * width];
            rows.par_chunks_mut(width)
                .zip(&bases)
                .for_each(|(row, base)| {
                    let mut power = scale;
                    for place in row {
                        *place = power;
                        power *= base;
                    }
                });
            let per_block = height * lanes;
            middle
                .par_chunks_mut(per_block)
                .enumerate()
                .for_each(|(block, places)| {
                    for (r, place) in places.chunks_mut(lanes).enumerate() {
                        let at = r * width + block * lanes;
                        B::Fr::from_scalars(&rows[at..at + lanes]).store(place);
                    }
                });
        }
        Self {
            log,
            root,
            shift,
            scale,
            columns: Small::new(
                log_rows,
                root.pow_vartime([1 << log_columns]),
                shift.pow_vartime([1 << log_columns]),
            ),
            rows: Small::new(log_columns, root.pow_vartime([1 << log_rows]), Fr::ONE),
            middle,
        }
    }

    pub(crate) fn log(&self) -> u32 {
        self.log
    }

    pub(crate) fn shift(&self) -> Fr {
        self.shift
    }

    /// From work form, in natural order, to work form, in natural order.
    pub(crate) fn transform(
        &self,
        input: Input<'_>,
        output: &mut [Words],
        scratch: &mut Scratch<B>,
    ) {
        if self.log < Self::SMALLEST {
            self.naive(input, output);
        } else {
            scratch.fit(self.log);
            B::run(Transform {
                plan: self,
                input,
                output,
                scratch,
            });
        }
    }

    /// For the smallest sizes.
    fn naive(&self, input: Input<'_>, output: &mut [Words]) {
        let lanes = B::Fr::LANES;
        let mut padded = input.words().to_vec();
        padded.resize(padded.len().next_multiple_of(lanes), [0; 4]);
        let values: Vec<Fr> = padded
            .chunks(lanes)
            .flat_map(|words| {
                input
                    .with(words)
                    .load::<B>(0)
                    .to_scalars()
                    .into_iter()
                    .take(lanes)
            })
            .take(1 << self.log)
            .collect();
        let mut point = self.shift;
        let mut results = Vec::with_capacity(padded.len());
        for _ in 0..values.len() {
            let value = values
                .iter()
                .rev()
                .fold(Fr::ZERO, |sum, value| sum * point + value);
            results.push(value * self.scale);
            point *= self.root;
        }
        results.resize(padded.len(), Fr::ZERO);
        let mut words = vec![[0; 4]; padded.len()];
        for (results, words) in results.chunks(lanes).zip(words.chunks_mut(lanes)) {
            B::Fr::from_scalars(results).store(words);
        }
        output.copy_from_slice(&words[..values.len()]);
    }
}

/// A polynomial in some form.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    /// Work form.
    Work(&'a [Words]),
    /// halo2curves' form.
    Std(&'a [Words]),
}

impl<'a> Input<'a> {
    pub(crate) fn words(self) -> &'a [Words] {
        match self {
            Self::Work(words) | Self::Std(words) => words,
        }
    }
    pub(crate) fn with(self, words: &[Words]) -> Input<'_> {
        match self {
            Self::Work(_) => Input::Work(words),
            Self::Std(_) => Input::Std(words),
        }
    }
    /// With bound 2.
    #[inline(always)]
    pub(crate) fn load<B: Backend>(self, at: usize) -> B::Fr {
        match self {
            Self::Work(words) => B::Fr::load(&words[at..]),
            Self::Std(words) => B::Fr::load_std(&words[at..]).reduce(),
        }
    }
}

struct Transform<'a, B: Backend> {
    plan: &'a Plan<B>,
    input: Input<'a>,
    output: &'a mut [Words],
    scratch: &'a mut Scratch<B>,
}

impl<B: Backend> Kernel<B> for Transform<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            plan,
            input,
            output,
            scratch,
        } = self;
        let lanes = B::Fr::LANES;
        let (log_rows, log_columns) = (plan.columns.log, plan.rows.log);
        let (height, width) = (1usize << log_rows, 1usize << log_columns);
        let reverse = |i: usize, log: u32| i.reverse_bits() >> (usize::BITS - log);
        // Row of `middle`: a column; its entries: blocks of rows.
        let row_blocks = height / lanes;
        for block in 0..width / lanes {
            let buffer = &mut scratch.buffer[..height];
            for (r, place) in buffer.iter_mut().enumerate() {
                let at = reverse(r, log_rows) * width + block * lanes;
                *place = input.load::<B>(at).loose();
            }
            plan.columns.run(buffer);
            let factors = &plan.middle[block * lanes * height..][..lanes * height];
            let mut square = [B::Fr::zero(); MAX_LANES];
            let square = &mut square[..lanes];
            for (r, values) in buffer.chunks_exact(lanes).enumerate() {
                for (i, (into, value)) in square.iter_mut().zip(values).enumerate() {
                    let factor = B::Fr::load(&factors[(r * lanes + i) * lanes..]);
                    *into = B::Fr::tight(*value).mul(factor);
                }
                B::Fr::transpose(square);
                for (i, value) in square.iter().enumerate() {
                    scratch.middle[(block * lanes + i) * row_blocks + r] = *value;
                }
            }
        }
        for block in 0..row_blocks {
            let buffer = &mut scratch.buffer[..width];
            for (c, place) in buffer.iter_mut().enumerate() {
                *place = scratch.middle[reverse(c, log_columns) * row_blocks + block].loose();
            }
            plan.rows.run(buffer);
            for (c, value) in buffer.iter().enumerate() {
                B::Fr::tight(*value)
                    .reduce()
                    .store(&mut output[c * height + block * lanes..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::packed::Portable;
    use crate::raw::Raw;

    fn check<B: Backend>() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for log in [1, 3, 5, 6, 7, 8, 11] {
            for shift in [Fr::ONE, Fr::from(7)] {
                let scale = shift.square();
                let plan = Plan::<B>::new(log, shift, scale);
                let mut scratch = Scratch::default();
                let mut values: Vec<Fr> = (0..1 << log).map(|_| Fr::random(&mut rng)).collect();
                values[0] = -Fr::ONE;
                values[1] = Fr::ZERO;
                let mut output = vec![[0; 4]; 1 << log];
                plan.transform(Input::Std(Fr::as_words(&values)), &mut output, &mut scratch);
                let mut point = shift;
                output.resize(output.len().next_multiple_of(8), [0; 4]);
                let results = output.chunks(B::Fr::LANES).flat_map(|words| {
                    B::Fr::load(words)
                        .to_scalars()
                        .into_iter()
                        .take(B::Fr::LANES)
                });
                for result in results.take(1 << log) {
                    let expected = values.iter().rev().fold(Fr::ZERO, |sum, v| sum * point + v);
                    assert_eq!(result, expected * scale, "2^{log}");
                    point *= plan.root;
                }
            }
        }
    }

    #[test]
    fn values_are_the_polynomials_at_the_points() {
        check::<Portable>();
        #[cfg(target_arch = "x86_64")]
        if crate::raw::available() {
            check::<crate::raw::Avx512>();
        }
    }
}
