//! Scalars cut into signed digits.

use halo2curves::bn256::Fr;

use super::{FEW, NEGATIVE};
use crate::packed::Words;
use crate::raw::Raw;

/// The sign of a magnitude, which has at most 253 bits.
const SIGN: u64 = 1 << 63;

/// Bits of a scalar that make a digit between `-2^(width - 1)` and `2^(width - 1) - 1`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    start: u32,
    pub(super) width: u32,
    /// How many scalars have bits here or close below.
    reaching: usize,
}

impl Window {
    pub(super) fn buckets(&self) -> usize {
        1 << (self.width - 1)
    }
}

/// The digits of all scalars that are not zero.
#[derive(Debug, Default)]
pub(super) struct Digits {
    /// Longest magnitude first, so that those that reach a window come first. With the offset that makes
    /// digits of bits without a carry, and the sign.
    scalars: Vec<Words>,
    pub(super) bases: Vec<u32>,
    windows: Vec<Window>,
    /// Bits of each magnitude, and whether it is of a negative number: in the order of the scalars.
    lengths: Vec<(u8, bool)>,
}

/// Bases with their signs, bucket by bucket, and where each bucket ends.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) entries: Vec<u32>,
    pub(super) ends: Vec<u32>,
}

/// Bits of a magnitude, and one more for the offset.
const BITS: usize = 256;

impl Digits {
    /// Of these scalars, in place of those before.
    pub(super) fn fill(&mut self, scalars: &[Words]) {
        let mut histogram = [0u32; BITS];
        self.lengths.clear();
        self.lengths.extend(scalars.iter().map(|scalar| {
            let negative = is_negative(scalar);
            let length = length(&if negative { negate(scalar) } else { *scalar });
            histogram[length] += 1;
            (length as u8, negative)
        }));
        // Place of the next scalar of each length.
        let mut next = [0; BITS];
        let mut total = 0;
        for length in (1..BITS).rev() {
            next[length] = total as usize;
            total += histogram[length];
        }
        self.windows = windows(&histogram);
        let mut offset = [0u64; 4];
        for window in &self.windows {
            let bit = window.start + window.width - 1;
            offset[bit as usize / 64] |= 1 << (bit % 64);
        }
        // Each of their places is written below.
        self.scalars.resize(total as usize, [0; 4]);
        self.bases.resize(total as usize, 0);
        for (base, (scalar, (length, negative))) in scalars.iter().zip(&self.lengths).enumerate() {
            let (length, negative) = (*length, *negative);
            if length == 0 {
                continue;
            }
            let place = next[length as usize];
            next[length as usize] += 1;
            let mut scalar = add(&if negative { negate(scalar) } else { *scalar }, &offset);
            scalar[3] |= SIGN * u64::from(negative);
            self.scalars[place] = scalar;
            self.bases[place] = base as u32;
        }
    }

    pub(super) fn windows(&self) -> &[Window] {
        &self.windows
    }

    pub(super) fn reaching(&self, window: &Window) -> usize {
        window.reaching
    }

    /// Bases with their signs, and buckets.
    fn entries(&self, window: &Window) -> impl Iterator<Item = (u32, usize)> {
        self.positions(window).map(|(position, negative, bucket)| {
            (
                self.bases[position] | if negative { NEGATIVE } else { 0 },
                bucket,
            )
        })
    }

    /// Scalars by their length, whether their bases are subtracted, and buckets.
    pub(super) fn positions(&self, window: &Window) -> impl Iterator<Item = (usize, bool, usize)> {
        let (start, width) = (window.start, window.width);
        let half = 1i64 << (width - 1);
        let (word, shift) = (start as usize / 64, start % 64);
        let mask = (1u64 << width) - 1;
        let scalars = self.scalars[..window.reaching].iter().enumerate();
        scalars.filter_map(move |(position, scalar)| {
            let mut bits = scalar[word] >> shift;
            if shift + width > 64 && word < 3 {
                bits |= scalar[word + 1] << (64 - shift);
            }
            let digit = (bits & mask).cast_signed() - half;
            let negative = (digit < 0) != (scalar[3] & SIGN != 0);
            (digit != 0).then(|| (position, negative, digit.unsigned_abs() as usize - 1))
        })
    }

    /// Sorts the bases into a window's buckets.
    pub(super) fn sort(&self, window: &Window, Sorted { entries, ends }: &mut Sorted) {
        ends.clear();
        ends.resize(window.buckets(), 0);
        for (_, bucket) in self.entries(window) {
            ends[bucket] += 1;
        }
        let mut total = 0;
        for end in &mut *ends {
            let count = *end;
            *end = total;
            total += count;
        }
        // As above.
        entries.resize(total as usize, 0);
        for (entry, bucket) in self.entries(window) {
            entries[ends[bucket] as usize] = entry;
            ends[bucket] += 1;
        }
    }
}

/// The cheapest cut, by what windows cost in units of an eighth of a packed multiplication.
fn windows(histogram: &[u32; BITS]) -> Vec<Window> {
    // How many scalars have at least this length.
    let mut reaching = [0usize; BITS + 2];
    for length in (1..BITS).rev() {
        reaching[length] = reaching[length + 1] + histogram[length] as usize;
    }
    reaching[0] = reaching[1];
    // An offset carries at most one bit further than the magnitude.
    let touched = |start: usize| reaching[start.saturating_sub(1)];
    let length = (0..=BITS).find(|bit| touched(*bit) == 0).unwrap_or(BITS);
    let mut best = vec![(0u64, 0u32); length + 17];
    for start in (0..length).rev() {
        let cost = |width: u32| {
            let (adds, buckets) = (reaching[start] as u64, 1 << (width - 1));
            let own = if touched(start) < FEW {
                adds * 55 + buckets * 160
            } else {
                adds * 10 + touched(start) as u64 + buckets * 32 + 3000
            };
            own + best[(start + width as usize).min(length)].0
        };
        // The last bit is the sign's; a window of one bit has no digits.
        let fits = |width: &u32| match start + *width as usize {
            end if end + 1 == BITS => true,
            end => end + 2 < BITS,
        };
        let widths = (2..=MAX_WIDTH).filter(fits);
        let cheapest = widths.map(|width| (cost(width), width)).min();
        best[start] = cheapest.unwrap_or((u64::MAX / 2, 2));
    }
    let mut windows = Vec::new();
    let mut start = 0;
    while start < length {
        let width = best[start].1;
        windows.push(Window {
            start: start as u32,
            width,
            reaching: touched(start),
        });
        start += width as usize;
    }
    windows
}

const MAX_WIDTH: u32 = 15;

fn length(words: &Words) -> usize {
    let top = words.iter().rposition(|word| *word != 0);
    top.map_or(0, |top| {
        64 * (top + 1) - words[top].leading_zeros() as usize
    })
}

/// Whether the negative is shorter.
fn is_negative(words: &Words) -> bool {
    const HALF: u64 = Fr::PRIME[3] >> 1;
    // Close to the middle either is as good as the other.
    words[3] > HALF
}

fn negate(words: &Words) -> Words {
    let mut out = [0; 4];
    let mut borrow = false;
    for (out, (p, word)) in out.iter_mut().zip(Fr::PRIME.iter().zip(words)) {
        let (difference, first) = p.overflowing_sub(*word);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        (*out, borrow) = (difference, first || second);
    }
    out
}

fn add(a: &Words, b: &Words) -> Words {
    let mut out = [0; 4];
    let mut carry = false;
    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
        let (sum, first) = a.overflowing_add(*b);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        (*out, carry) = (sum, first || second);
    }
    out
}
