//! Multi-scalar multiplication: Pippenger's buckets, with affine additions that share inversions.
//!
//! A scalar is a sign and a magnitude below half the group's order, so that small negative numbers are
//! small. Windows are as wide as the number of scalars that reach up to them makes it worthwhile: a column
//! of 16-bit values with a few random ones at its end costs two wide windows for the values and narrow ones
//! for the rest.

mod aggregate;
mod batch;
mod windows;

use ff::Field;
use group::Group;
use group::prime::PrimeCurveAffine;
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use rayon::prelude::*;

use self::aggregate::Aggregate;
use self::batch::{Batch, Workspace};
use self::windows::{Digits, Sorted, Window};
use crate::packed::{Backend, Packed, Point, Words};
use crate::pool::Pool;
use crate::raw::Raw;

/// Memory for sums, used again.
#[derive(Debug)]
pub(crate) struct SumBuffers<B: Backend> {
    digits: Pool<Digits>,
    sorted: Pool<Sorted>,
    workspaces: Pool<Workspace<B>>,
}

impl<B: Backend> Default for SumBuffers<B> {
    fn default() -> Self {
        Self {
            digits: Pool::default(),
            sorted: Pool::default(),
            workspaces: Pool::default(),
        }
    }
}

/// Points that commitments are made of.
#[derive(Debug)]
pub(crate) struct Bases {
    points: Vec<Point>,
    /// The identity among them, which affine coordinates cannot say.
    degenerate: bool,
}

/// The sum of two points with the same x coordinate, for which there is no affine formula.
#[derive(Debug)]
pub(crate) struct Exceptional;

/// Sign of a base in a list.
const NEGATIVE: u32 = 1 << 31;

/// Below this number of points a window is summed one point after another.
const FEW: usize = 64;

impl Bases {
    pub(crate) fn new<B: Backend>(affine: &[G1Affine]) -> Self {
        let degenerate = affine.iter().any(|point| bool::from(point.is_identity()));
        let lanes = B::Fq::LANES;
        let mut points = vec![Point::default(); affine.len().next_multiple_of(lanes)];
        points
            .par_chunks_mut(lanes)
            .zip(affine.par_chunks(lanes))
            .for_each(|(points, affine)| {
                let (mut x, mut y) = ([Fq::ZERO; 8], [Fq::ZERO; 8]);
                for (i, point) in affine.iter().enumerate() {
                    (x[i], y[i]) = (point.x, point.y);
                }
                let (x, y) = (
                    B::Fq::from_scalars(&x[..lanes]),
                    B::Fq::from_scalars(&y[..lanes]),
                );
                B::scatter(x, y, points);
            });
        points.truncate(affine.len());
        Self { points, degenerate }
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    fn affine<B: Backend>(&self, index: usize) -> G1Affine {
        to_affine::<B>(&self.points[index])
    }

    /// The sum of the first bases times these integers, each less than the group's order.
    pub(crate) fn sum<B: Backend>(&self, scalars: &[Words], buffers: &SumBuffers<B>) -> G1 {
        self.sum_of(scalars, buffers, |digits, longest| {
            let sum = |window| self.window(digits, window, longest, buffers);
            digits.windows().iter().map(sum).collect()
        })
    }

    /// As [`Bases::sum`], on all threads.
    pub(crate) fn sum_on_threads<B: Backend>(
        &self,
        scalars: &[Words],
        buffers: &SumBuffers<B>,
    ) -> G1 {
        self.sum_of(scalars, buffers, |digits, longest| {
            let sum = |window| self.window(digits, window, longest, buffers);
            digits.windows().par_iter().map(sum).collect()
        })
    }

    fn sum_of<B: Backend>(
        &self,
        scalars: &[Words],
        buffers: &SumBuffers<B>,
        sums: impl FnOnce(&Digits, &[G1Affine]) -> Result<Vec<G1>, Exceptional>,
    ) -> G1 {
        if self.degenerate {
            return self.fallback::<B>(scalars);
        }
        let mut digits = buffers.digits.take();
        digits.fill(scalars);
        let longest: Vec<_> = (digits.bases.iter().take(FEW))
            .map(|base| self.affine::<B>(*base as usize))
            .collect();
        let Ok(sums) = sums(&digits, &longest) else {
            return self.fallback::<B>(scalars);
        };
        let mut total = G1::identity();
        for (window, sum) in digits.windows().iter().zip(sums).rev() {
            if !bool::from(total.is_identity()) {
                for _ in 0..window.width {
                    total = total.double();
                }
            }
            total += sum;
        }
        total
    }

    /// halo2curves' own, which knows all special cases.
    fn fallback<B: Backend>(&self, scalars: &[Words]) -> G1 {
        let bases: Vec<_> = (0..scalars.len()).map(|i| self.affine::<B>(i)).collect();
        let scalars: Vec<_> = scalars
            .iter()
            .map(|words| Fr::from_integer(*words))
            .collect();
        halo2curves::msm::msm_best(&scalars, &bases)
    }

    fn window<B: Backend>(
        &self,
        digits: &Digits,
        window: &Window,
        longest: &[G1Affine],
        buffers: &SumBuffers<B>,
    ) -> Result<G1, Exceptional> {
        if digits.reaching(window) < FEW {
            return Ok(few(digits, window, longest));
        }
        let mut sorted = buffers.sorted.take();
        digits.sort(window, &mut sorted);
        let Sorted { entries, ends } = &*sorted;
        let mut workspace = buffers.workspaces.take();
        let mut buckets = Buckets::new(window.buckets());
        let mut start = 0;
        let mut first = 0;
        // As many buckets at a time as the second cache has room for.
        while first < ends.len() {
            let limit = start + CHUNK;
            let count = ends[first..]
                .partition_point(|end| *end as usize <= limit)
                .max(1);
            let ends = &ends[first..first + count];
            let end = ends[count - 1] as usize;
            workspace.load(&entries[start..end], ends, start);
            while workspace.pair(self.points.len()) {
                B::run(Batch {
                    bases: &self.points,
                    workspace: &mut workspace,
                })?;
            }
            workspace.finish(&self.points, &mut buckets, first);
            (start, first) = (end, first + count);
        }
        Ok(if window.buckets() < B::Fq::LANES * 2 {
            buckets.few::<B>()
        } else {
            B::run(Aggregate { buckets: &buckets })
        })
    }
}

/// A window's sum, one point after another; `points` are the bases of the longest scalars.
fn few(digits: &Digits, window: &Window, points: &[G1Affine]) -> G1 {
    let mut buckets = vec![G1::identity(); window.buckets()];
    for (position, negative, bucket) in digits.positions(window) {
        if negative {
            buckets[bucket] -= points[position];
        } else {
            buckets[bucket] += points[position];
        }
    }
    weighted(buckets)
}

/// Entries that are reduced together: their points fill half of a second cache.
const CHUNK: usize = 1 << 14;

/// The sum of `i + 1` times bucket `i`.
fn weighted(buckets: Vec<G1>) -> G1 {
    let (mut running, mut total) = (G1::identity(), G1::identity());
    for bucket in buckets.into_iter().rev() {
        running += bucket;
        total += running;
    }
    total
}

fn to_affine<B: Backend>(point: &Point) -> G1Affine {
    let (x, y) = B::gather([point; 8]);
    G1Affine {
        x: x.to_scalars()[0],
        y: y.to_scalars()[0],
    }
}

/// What the buckets of a window hold.
#[derive(Debug)]
pub(crate) struct Buckets {
    points: Vec<Point>,
    /// One and minus one are a point and its negative, zero is none.
    signs: Vec<i8>,
}

impl Buckets {
    fn new(count: usize) -> Self {
        Self {
            points: vec![Point::default(); count],
            signs: vec![0; count],
        }
    }

    fn few<B: Backend>(&self) -> G1 {
        let point = |(point, sign): (&Point, &i8)| match sign {
            0 => G1::identity(),
            1 => to_affine::<B>(point).into(),
            _ => (-to_affine::<B>(point)).into(),
        };
        weighted(self.points.iter().zip(&self.signs).map(point).collect())
    }
}

#[cfg(test)]
mod tests;
