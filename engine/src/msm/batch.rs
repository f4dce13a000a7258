//! Rounds of affine additions within buckets, many with one inversion.

use ff::Field;
use halo2curves::bn256::Fq;

use super::{Buckets, Exceptional, NEGATIVE};
use crate::packed::{Backend, Kernel, MAX_LANES, Packed, Point};

/// Packed additions that share an inversion: as much as stays in the second cache.
const GROUPS: usize = 128;

/// The entries of some buckets, and how they are added.
pub(crate) struct Workspace<B: Backend> {
    /// Bases, or sums after them, with their signs; bucket by bucket.
    entries: Vec<u32>,
    ends: Vec<u32>,
    pairs: Vec<(u32, u32)>,
    sums: Vec<Point>,
    /// Sums that stand already.
    done: usize,
    groups: Vec<Group<B::Fq>>,
}

/// What is kept of an addition until its inverse is known.
#[derive(Clone, Copy)]
struct Group<P> {
    x: P,
    y: P,
    x_sum: P,
    dx: P,
    dy: P,
    /// Product of the `dx` before.
    product: P,
}

impl<B: Backend> Default for Workspace<B> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            ends: Vec::new(),
            pairs: Vec::new(),
            sums: Vec::new(),
            done: 0,
            groups: Vec::with_capacity(GROUPS),
        }
    }
}

impl<B: Backend> Workspace<B> {
    /// Begins with the entries of some buckets, the first of which starts at `start`.
    pub(super) fn load(&mut self, entries: &[u32], ends: &[u32], start: usize) {
        self.entries.clear();
        self.entries.extend(entries);
        self.ends.clear();
        self.ends.extend(ends.iter().map(|end| end - start as u32));
        self.done = 0;
    }

    /// Pairs entries of the same bucket for a round; none if each bucket has at most one.
    pub(super) fn pair(&mut self, bases: usize) -> bool {
        self.pairs.clear();
        let mut kept = 0;
        let mut start = 0;
        for end in &mut self.ends {
            let bucket = start..*end as usize;
            start = bucket.end;
            let count = bucket.len() / 2;
            for i in 0..count {
                let at = bucket.start + 2 * i;
                let pair = (self.entries[at], self.entries[at + 1]);
                self.entries[kept] = (bases + self.done + self.pairs.len()) as u32;
                self.pairs.push(pair);
                kept += 1;
            }
            if bucket.len() % 2 == 1 {
                self.entries[kept] = self.entries[bucket.end - 1];
                kept += 1;
            }
            *end = kept as u32;
        }
        self.entries.truncate(kept);
        let Some(last) = self.pairs.last().copied() else {
            return false;
        };
        let padded = self.pairs.len().next_multiple_of(B::Fq::LANES);
        self.pairs.resize(padded, last);
        // Those of other chunks are written over.
        if self.sums.len() < self.done + padded {
            self.sums.resize(self.done + padded, Point::default());
        }
        true
    }

    /// Hands over what is left in each bucket.
    pub(super) fn finish(&self, bases: &[Point], buckets: &mut Buckets, first: usize) {
        let mut start = 0;
        for (i, end) in self.ends.iter().enumerate() {
            if start < *end {
                let entry = self.entries[start as usize];
                let index = (entry & !NEGATIVE) as usize;
                buckets.points[first + i] = match bases.get(index) {
                    Some(base) => *base,
                    None => self.sums[index - bases.len()],
                };
                buckets.signs[first + i] = if entry & NEGATIVE == 0 { 1 } else { -1 };
            }
            start = *end;
        }
    }
}

/// The additions of a round.
pub(super) struct Batch<'a, B: Backend> {
    pub(super) bases: &'a [Point],
    pub(super) workspace: &'a mut Workspace<B>,
}

impl<B: Backend> Kernel<B> for Batch<'_, B> {
    type Output = Result<(), Exceptional>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Self { bases, workspace } = self;
        let lanes = B::Fq::LANES;
        let zero = B::Fq::zero();
        let Workspace {
            pairs,
            sums,
            done,
            groups,
            ..
        } = workspace;
        for batch in pairs.chunks(GROUPS * lanes) {
            let (known, fresh) = sums.split_at_mut(*done);
            groups.clear();
            // Two chains of products, in turn, as each multiplication waits for the one before.
            let mut products = [B::Fq::one(); 2];
            for (i, pairs) in batch.chunks_exact(lanes).enumerate() {
                let product = &mut products[i % 2];
                let mut left = [&bases[0]; MAX_LANES];
                let mut right = [&bases[0]; MAX_LANES];
                let (mut left_signs, mut right_signs) = (0, 0);
                for (i, (a, b)) in pairs.iter().enumerate() {
                    let point = |entry: u32| {
                        let index = (entry & !NEGATIVE) as usize;
                        match bases.get(index) {
                            Some(base) => base,
                            None => &known[index - bases.len()],
                        }
                    };
                    left[i] = point(*a);
                    right[i] = point(*b);
                    left_signs |= ((a >> 31) as u8) << i;
                    right_signs |= ((b >> 31) as u8) << i;
                }
                let (x, y) = B::gather(left);
                let y = B::Fq::select(left_signs, zero.sub::<1>(y), y);
                let (other_x, other_y) = B::gather(right);
                let other_y = B::Fq::select(right_signs, zero.sub::<1>(other_y), other_y);
                let dx = other_x.sub::<1>(x);
                groups.push(Group {
                    x,
                    y,
                    x_sum: x.add(other_x),
                    dx,
                    dy: other_y.sub::<1>(y),
                    product: *product,
                });
                *product = product.mul(dx);
            }
            let [even, odd] = products;
            let inverse = invert::<B::Fq>(even.mul(odd)).ok_or(Exceptional)?;
            let mut inverses = [inverse.mul(odd), inverse.mul(even)];
            let (couples, last) = groups.as_chunks::<2>();
            let (couple_sums, last_sums) = fresh.split_at_mut(couples.len() * 2 * lanes);
            if let [last] = last {
                let [[x], [y], [inverse]] = sum([last], [inverses[0]]);
                B::scatter(x, y, last_sums);
                inverses[0] = inverse;
            }
            let sums = couple_sums.chunks_exact_mut(2 * lanes);
            for ([first, second], sums) in couples.iter().zip(sums).rev() {
                let [x, y, before] = sum([first, second], inverses);
                inverses = before;
                B::scatter(x[0], y[0], sums);
                B::scatter(x[1], y[1], &mut sums[lanes..]);
            }
            *done += batch.len();
        }
        Ok(())
    }
}

/// Coordinates of sums, of bound 2, and the inverses of the products before: side by side, for what waits
/// for itself in each of them.
#[inline(always)]
fn sum<P: Packed, const N: usize>(groups: [&Group<P>; N], mut inverses: [P; N]) -> [[P; N]; 3] {
    let mut slopes = inverses;
    let (mut x, mut y) = (inverses, inverses);
    for i in 0..N {
        slopes[i] = inverses[i].mul(groups[i].product);
    }
    for i in 0..N {
        inverses[i] = inverses[i].mul(groups[i].dx);
    }
    for i in 0..N {
        slopes[i] = slopes[i].mul(groups[i].dy);
    }
    for i in 0..N {
        x[i] = slopes[i].mul(slopes[i]).sub::<2>(groups[i].x_sum);
    }
    for i in 0..N {
        let across = groups[i].x.sub::<3>(x[i]);
        y[i] = slopes[i].mul(across).sub::<1>(groups[i].y);
    }
    for i in 0..N {
        x[i] = x[i].reduce();
        y[i] = y[i].reduce();
    }
    [x, y, inverses]
}

/// The inverses of all lanes, if none is zero.
fn invert<P: Packed<Scalar = Fq>>(value: P) -> Option<P> {
    let scalars = &value.to_scalars()[..P::LANES];
    let mut before = [Fq::ONE; MAX_LANES];
    let mut product = Fq::ONE;
    for (scalar, before) in scalars.iter().zip(&mut before) {
        *before = product;
        product *= scalar;
    }
    let mut inverse = Option::<Fq>::from(product.invert())?;
    let mut inverses = [Fq::ONE; MAX_LANES];
    for i in (0..P::LANES).rev() {
        inverses[i] = inverse * before[i];
        inverse *= scalars[i];
    }
    Some(P::from_scalars(&inverses[..P::LANES]))
}
