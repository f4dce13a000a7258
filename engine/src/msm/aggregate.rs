//! The sum of buckets with their weights, lanes taking one stretch of buckets each.

use group::Group;
use halo2curves::bn256::G1;

use super::Buckets;
use crate::packed::{Backend, Kernel, MAX_LANES, Packed};

pub(super) struct Aggregate<'a> {
    /// At least one for each lane, a power of two.
    pub(super) buckets: &'a Buckets,
}

/// Homogeneous coordinates of bound 4, which the complete formulas of Renes, Costello and Batina
/// (EUROCRYPT 2016, algorithms 7 and 8 for `a = 0`) add in every case.
#[derive(Clone, Copy)]
struct Projective<P> {
    x: P,
    y: P,
    z: P,
}

impl<P: Packed> Projective<P> {
    #[inline(always)]
    fn identity() -> Self {
        Self {
            x: P::zero(),
            y: P::one(),
            z: P::zero(),
        }
    }

    /// Plus a point of bound 2.
    #[inline(always)]
    fn add_affine(self, x: P, y: P) -> Self {
        let t0 = self.x.mul(x);
        let t1 = self.y.mul(y);
        let t3 = self.x.add(self.y).mul(x.add(y)).sub::<2>(t0.add(t1));
        let t4 = y.mul(self.z).add(self.y);
        let t5 = x.mul(self.z).add(self.x);
        Self::finish(t0, t1, self.z, t3, t4, t5)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let t0 = self.x.mul(other.x);
        let t1 = self.y.mul(other.y);
        let t2 = self.z.mul(other.z);
        let t3 = (self.x.add(self.y).mul(other.x.add(other.y))).sub::<2>(t0.add(t1));
        let t4 = (self.y.add(self.z).mul(other.y.add(other.z))).sub::<2>(t1.add(t2));
        let t5 = (self.x.add(self.z).mul(other.x.add(other.z))).sub::<2>(t0.add(t2));
        Self::finish(t0, t1, t2, t3, t4, t5)
    }

    /// From products of bound 2 (`z` 4) and mixed sums of bound 6.
    #[inline(always)]
    fn finish(t0: P, t1: P, t2: P, t3: P, t4: P, t5: P) -> Self {
        let t0 = t0.add(t0).add(t0);
        let t2 = nine_times(t2);
        let z = t1.add(t2).reduce();
        let t1 = t1.sub::<6>(t2).reduce();
        let y = nine_times(t5).reduce();
        Self {
            x: t3.mul(t1).sub::<1>(t4.mul(y)),
            y: y.mul(t0).add(t1.mul(z)),
            z: z.mul(t4).add(t0.mul(t3)),
        }
    }

    #[inline(always)]
    fn select(mask: u8, set: Self, unset: Self) -> Self {
        Self {
            x: P::select(mask, set.x, unset.x),
            y: P::select(mask, set.y, unset.y),
            z: P::select(mask, set.z, unset.z),
        }
    }
}

/// Three times the constant of the curve.
#[inline(always)]
fn nine_times<P: Packed>(value: P) -> P {
    let double = value.add(value);
    let fourfold = double.add(double);
    fourfold.add(fourfold).add(value)
}

impl<B: Backend> Kernel<B> for Aggregate<'_> {
    type Output = G1;

    #[inline(always)]
    fn run(self) -> G1 {
        let lanes = B::Fq::LANES;
        let buckets = self.buckets;
        let stretch = buckets.points.len() / lanes;
        let zero = B::Fq::zero();
        let mut running = Projective::<B::Fq>::identity();
        let mut total = running;
        for i in (0..stretch).rev() {
            let mut points = [&buckets.points[0]; MAX_LANES];
            let (mut present, mut negative) = (0u8, 0u8);
            for (lane, point) in points.iter_mut().enumerate().take(lanes) {
                let at = lane * stretch + i;
                *point = &buckets.points[at];
                present |= u8::from(buckets.signs[at] != 0) << lane;
                negative |= u8::from(buckets.signs[at] < 0) << lane;
            }
            if present != 0 {
                let (x, y) = B::gather(points);
                let y = B::Fq::select(negative, zero.sub::<1>(y), y);
                let sum = running.add_affine(x, y);
                running = Projective::select(present, sum, running);
            }
            total = total.add(running);
        }
        // A lane's weights lack what lies before its stretch.
        let (totals, runnings) = (points(total), points(running));
        let (mut above, mut before) = (G1::identity(), G1::identity());
        for lane in (1..lanes).rev() {
            above += runnings[lane];
            before += above;
        }
        for _ in 0..stretch.ilog2() {
            before = before.double();
        }
        totals[..lanes]
            .iter()
            .fold(before, |sum, total| sum + total)
    }
}

fn points<P: Packed<Scalar = halo2curves::bn256::Fq>>(point: Projective<P>) -> [G1; MAX_LANES] {
    let (x, y, z) = (
        point.x.to_scalars(),
        point.y.to_scalars(),
        point.z.to_scalars(),
    );
    [0, 1, 2, 3, 4, 5, 6, 7].map(|i| G1 {
        x: x[i],
        y: y[i],
        z: z[i],
    })
}
