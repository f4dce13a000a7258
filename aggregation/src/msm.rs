//! Multi-scalar multiplication in a circuit: most of what verifying a proof costs.
//!
//! The scalars are written with digits of ±1: `s = Σ c_j·2^j` with 255 digits, the top one +1, reaches
//! every odd number below `2^255`, so every scalar modulo the group's order (an even one plus that order is
//! odd). For each row of digits, from the top, the sum is doubled and five points at a time are added with
//! their signs: one of 16 combinations `P₁ ± P₂ ± … ± P₅`, or its negative, from a table.
//!
//! Sound whatever the points: each addition requires the two x-coordinates to differ, with a constraint that
//! takes both representations below `2^254` of a coordinate into account. The constant point that
//! the sum starts from only keeps honest sums away from the cases that are refused.

use std::ops::Deref;

use ff::{Field, PrimeField};
use group::Curve;
use halo2_base::QuantumCell::{Constant, Existing};
use halo2_base::gates::flex_gate::threads::SinglePhaseCoreManager;
use halo2_base::gates::{GateChip, GateInstructions, RangeInstructions};
use halo2_base::utils::{biguint_to_fe, modulus};
use halo2_base::{AssignedValue, Context};
use halo2_ecc::bigint::{CRTInteger, OverflowInteger, ProperCrtUint};
use halo2_ecc::bn254::FpChip;
use halo2_ecc::ecc::{BaseFieldEccChip, EcPoint, ec_double, ec_select_from_bits};
use halo2_ecc::fields::FieldChip;
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use snark_verifier::Error;
use snark_verifier::loader::halo2::EccInstructions;
use snark_verifier::pcs::kzg::LimbsEncodingInstructions;
use snark_verifier::system::halo2::transcript::halo2::NativeEncoding;

use crate::snark::{LIMB_BITS, LIMBS};

/// A point with coordinates that are proper integers below `2^254`.
pub(crate) type AssignedPoint = EcPoint<Fr, ProperCrtUint<Fr>>;
type Value = AssignedValue<Fr>;

/// Digits of a scalar below the top one, which is +1.
const DIGITS: usize = 254;
/// Points that share a table.
const CLUMP: usize = 5;
/// A y-coordinate whose limbs may exceed this is reduced: above, range checks take a lookup more.
const LOOSE_BITS: usize = 184;

/// The curve's instructions, with this multi-scalar multiplication.
#[derive(Clone, Debug)]
pub(crate) struct EccChip<'a>(BaseFieldEccChip<'a, G1Affine>);

/// A point whose y-coordinate need not be reduced.
#[derive(Clone)]
struct Loose {
    x: ProperCrtUint<Fr>,
    y: CRTInteger<Fr>,
}

impl From<&AssignedPoint> for Loose {
    fn from(point: &AssignedPoint) -> Self {
        Self {
            x: point.x.clone(),
            y: point.y.clone().into(),
        }
    }
}

impl<'a> EccChip<'a> {
    pub(crate) fn new(field: &'a FpChip<'a, Fr>) -> Self {
        Self(BaseFieldEccChip::<G1Affine>::new(field))
    }

    pub(crate) fn field(&self) -> &FpChip<'a, Fr> {
        self.0.field_chip()
    }

    fn gate(&self) -> &GateChip<Fr> {
        self.field().range().gate()
    }

    /// Requires a point to be on the curve. The identity's stand-in, `(0, 0)`, is not.
    pub(crate) fn require_on_curve(&self, ctx: &mut Context<Fr>, point: &AssignedPoint) {
        self.0.assert_is_on_curve::<G1Affine>(ctx, point);
    }

    /// `Σ scalar·point`. Points are on the curve and not the identity; a sum that is the identity is refused.
    pub(crate) fn msm(
        &self,
        ctx: &mut Context<Fr>,
        points: &[AssignedPoint],
        scalars: &[Value],
    ) -> AssignedPoint {
        let signs: Vec<Vec<Value>> = scalars.iter().map(|s| self.signs(ctx, *s)).collect();
        let tables: Vec<Vec<AssignedPoint>> = points
            .chunks(CLUMP)
            .map(|clump| self.combinations(ctx, clump))
            .collect();

        let start = start();
        let constant = |ctx: &mut Context<Fr>, point: G1Affine| -> AssignedPoint {
            self.0.assign_constant_point(ctx, point)
        };
        let mut sum = Loose::from(&constant(ctx, start));
        // In the top row all signs are plus: the last combination of each table.
        for point in tables.iter().filter_map(|table| table.last()) {
            sum = self.add(ctx, &sum, &Loose::from(point));
        }
        for row in (0..DIGITS).rev() {
            let reduced = self.reduce(ctx, sum);
            sum = Loose::from(&ec_double(self.field(), ctx, reduced));
            for (table, signs) in tables.iter().zip(signs.chunks(CLUMP)) {
                let term = self.signed(ctx, table, signs, row);
                sum = self.add(ctx, &sum, &term);
            }
        }
        let shift = Fr::from(2).pow_vartime([DIGITS as u64]);
        let end = constant(ctx, (-(G1::from(start) * shift)).to_affine());
        let sum = self.add(ctx, &sum, &Loose::from(&end));
        self.reduce(ctx, sum)
    }

    /// Bits `d_j`, lowest first, with `scalar = 2^254 + Σ (2·d_j − 1)·2^j = 1 + 2·Σ d_j·2^j`.
    fn signs(&self, ctx: &mut Context<Fr>, scalar: Value) -> Vec<Value> {
        let gate = self.gate();
        let bits: Vec<Value> = halved(*scalar.value())
            .into_iter()
            .map(|bit| ctx.load_witness(Fr::from(u64::from(bit))))
            .collect();
        for bit in &bits {
            gate.assert_bit(ctx, *bit);
        }
        let powers = std::iter::successors(Some(Fr::from(2)), |power| Some(power.double()));
        let terms = bits.iter().map(|bit| Existing(*bit));
        let sum = gate.inner_product(ctx, terms, powers.take(DIGITS).map(Constant));
        let sum = gate.inc(ctx, sum);
        ctx.constrain_equal(&sum, &scalar);
        bits
    }

    /// `P₁ ± P₂ ± …`; bit `i` of the place is set if `P_{i+2}` is added.
    fn combinations(&self, ctx: &mut Context<Fr>, points: &[AssignedPoint]) -> Vec<AssignedPoint> {
        let Some((first, others)) = points.split_first() else {
            return Vec::new();
        };
        let mut sums = vec![first.clone()];
        for point in others {
            let plus = Loose::from(point);
            let minus = Loose {
                x: plus.x.clone(),
                y: self.field().scalar_mul_no_carry(ctx, &plus.y, -1),
            };
            sums = [minus, plus]
                .iter()
                .flat_map(|point| {
                    let with = |sum| {
                        let sum = self.add(ctx, &Loose::from(sum), point);
                        self.reduce(ctx, sum)
                    };
                    sums.iter().map(with).collect::<Vec<_>>()
                })
                .collect();
        }
        sums
    }

    /// The combination with the signs of one row.
    fn signed(
        &self,
        ctx: &mut Context<Fr>,
        table: &[AssignedPoint],
        signs: &[Vec<Value>],
        row: usize,
    ) -> Loose {
        let gate = self.gate();
        let first = signs[0][row];
        // Where the others have the sign of the first: `(1 − d₁) + d·(2·d₁ − 1)`
        let opposite = gate.not(ctx, first);
        let sign = gate.sub(ctx, first, opposite);
        let places: Vec<Value> = signs[1..]
            .iter()
            .map(|signs| gate.mul_add(ctx, signs[row], sign, opposite))
            .collect();
        let point = match table {
            [alone] => alone.clone(),
            table => ec_select_from_bits(self.field(), ctx, table, &places),
        };
        let y: CRTInteger<Fr> = point.y.into();
        let limbs = y.limbs().iter().map(|limb| gate.mul(ctx, *limb, sign));
        let limbs = limbs.collect();
        let native = gate.mul(ctx, *y.native(), sign);
        let value = if *first.value() == Fr::ONE {
            y.value
        } else {
            -y.value
        };
        Loose {
            x: point.x,
            y: CRTInteger::new(OverflowInteger::new(limbs, LIMB_BITS), native, value),
        }
    }

    /// `p + q`; refuses `p = ±q`.
    fn add(&self, ctx: &mut Context<Fr>, p: &Loose, q: &Loose) -> Loose {
        let field = self.field();
        let dx = field.sub_no_carry(ctx, &q.x, &p.x);
        self.require_different(ctx, *dx.native());
        let dy = field.sub_no_carry(ctx, &q.y, &p.y);
        let slope = field.divide_unsafe(ctx, dy, dx);

        let square = field.mul_no_carry(ctx, &slope, &slope);
        let x = field.sub_no_carry(ctx, square, &p.x);
        let x = field.sub_no_carry(ctx, x, &q.x);
        let x = field.carry_mod(ctx, x);

        let run = field.sub_no_carry(ctx, &p.x, &x);
        let rise = field.mul_no_carry(ctx, slope, run);
        let y = field.sub_no_carry(ctx, rise, &p.y);
        let y = if y.truncation.max_limb_bits > LOOSE_BITS {
            field.carry_mod(ctx, y).into()
        } else {
            y
        };
        Loose { x, y }
    }

    fn reduce(&self, ctx: &mut Context<Fr>, point: Loose) -> AssignedPoint {
        EcPoint::new(point.x, self.field().carry_mod(ctx, point.y))
    }

    /// Requires two integers below `2^254` not to be congruent modulo q, given their difference modulo r.
    /// They are congruent exactly if they differ by 0, q or −q; modulo r, that is 0, q − r or r − q.
    fn require_different(&self, ctx: &mut Context<Fr>, difference: Value) {
        let gate = self.gate();
        let order = biguint_to_fe::<Fr>(&(modulus::<Fq>() - modulus::<Fr>()));
        let square = gate.mul(ctx, difference, difference);
        let factor = gate.sub(ctx, square, Constant(order.square()));
        let product = gate.mul(ctx, difference, factor);
        let inverse = product.value().invert().unwrap_or(Fr::ZERO);
        let inverse = ctx.load_witness(inverse);
        let one = gate.mul(ctx, product, inverse);
        gate.assert_is_const(ctx, &one, &Fr::ONE);
    }
}

/// Where sums start: a point in no known relation to those of a proof.
fn start() -> G1Affine {
    let digits_of_pi = [
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98_ec4e_6c89,
    ];
    (G1::generator() * Fr::from_raw(digits_of_pi)).to_affine()
}

/// The bits of `(s − 1)/2` for the odd one `s` of `scalar` and `scalar + r`.
fn halved(scalar: Fr) -> Vec<bool> {
    let bytes = scalar.to_repr();
    let is_odd = bytes[0] & 1 == 1;
    // (scalar − 1)/2, or (scalar + r − 1)/2 = scalar/2 + (r − 1)/2; both below 2^254.
    let half_order = (-Fr::ONE).to_repr();
    let mut carry = 0_u16;
    let sum: Vec<u16> = bytes
        .iter()
        .zip(half_order)
        .map(|(a, b)| {
            let sum = u16::from(*a) + if is_odd { 0 } else { u16::from(b) } + carry;
            carry = sum >> 8;
            sum & 0xff
        })
        .collect();
    // `scalar` or `scalar + (r − 1)`; both have the wanted number's bits one place higher.
    (1..=DIGITS)
        .map(|bit| bit < 256 && sum[bit / 8] >> (bit % 8) & 1 == 1)
        .collect()
}

impl EccInstructions<G1Affine> for EccChip<'_> {
    type Context = SinglePhaseCoreManager<Fr>;
    type ScalarChip = GateChip<Fr>;
    type AssignedCell = Value;
    type AssignedScalar = Value;
    type AssignedEcPoint = AssignedPoint;

    fn scalar_chip(&self) -> &GateChip<Fr> {
        self.gate()
    }

    fn assign_constant(&self, cells: &mut Self::Context, point: G1Affine) -> AssignedPoint {
        self.0.assign_constant_point(cells.main(), point)
    }

    fn assign_point(&self, cells: &mut Self::Context, point: G1Affine) -> AssignedPoint {
        EccInstructions::assign_point(&self.0, cells, point)
    }

    fn sum_with_const(
        &self,
        cells: &mut Self::Context,
        values: &[impl Deref<Target = AssignedPoint>],
        constant: G1Affine,
    ) -> AssignedPoint {
        EccInstructions::sum_with_const(&self.0, cells, values, constant)
    }

    fn fixed_base_msm(
        &mut self,
        cells: &mut Self::Context,
        pairs: &[(impl Deref<Target = Value>, G1Affine)],
    ) -> AssignedPoint {
        EccInstructions::fixed_base_msm(&mut self.0, cells, pairs)
    }

    fn variable_base_msm(
        &mut self,
        cells: &mut Self::Context,
        pairs: &[(
            impl Deref<Target = Value>,
            impl Deref<Target = AssignedPoint>,
        )],
    ) -> AssignedPoint {
        let (scalars, points): (Vec<_>, Vec<_>) = pairs
            .iter()
            .map(|(scalar, point)| (**scalar, (**point).clone()))
            .unzip();
        self.msm(cells.main(), &points, &scalars)
    }

    fn assert_equal(&self, cells: &mut Self::Context, lhs: &AssignedPoint, rhs: &AssignedPoint) {
        EccInstructions::<G1Affine>::assert_equal(&self.0, cells, lhs, rhs);
    }
}

impl NativeEncoding<G1Affine> for EccChip<'_> {
    fn encode(
        &self,
        cells: &mut Self::Context,
        point: &AssignedPoint,
    ) -> Result<Vec<Value>, Error> {
        NativeEncoding::<G1Affine>::encode(&self.0, cells, point)
    }
}

impl LimbsEncodingInstructions<G1Affine, LIMBS, LIMB_BITS> for EccChip<'_> {
    fn assign_ec_point_from_limbs(
        &self,
        cells: &mut Self::Context,
        limbs: &[impl Deref<Target = Value>],
    ) -> AssignedPoint {
        LimbsEncodingInstructions::<G1Affine, LIMBS, LIMB_BITS>::assign_ec_point_from_limbs(
            &self.0, cells, limbs,
        )
    }

    fn assign_ec_point_to_limbs(
        &self,
        cells: &mut Self::Context,
        point: impl Deref<Target = AssignedPoint>,
    ) -> Vec<Value> {
        LimbsEncodingInstructions::<G1Affine, LIMBS, LIMB_BITS>::assign_ec_point_to_limbs(
            &self.0, cells, point,
        )
    }
}

#[cfg(test)]
mod tests {
    use halo2_base::gates::circuit::CircuitBuilderStage;
    use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
    use halo2_proofs::arithmetic::best_multiexp;
    use halo2_proofs::dev::MockProver;

    use super::*;

    const K: usize = 17;

    /// Whether the circuit accepts that these scalars and points have this sum.
    fn accepts(scalars: &[Fr], points: &[G1Affine], sum: Option<G1Affine>) -> bool {
        let mut builder = BaseCircuitBuilder::<Fr>::from_stage(CircuitBuilderStage::Mock)
            .use_k(K)
            .use_lookup_bits(K - 1)
            .use_instance_columns(1);
        let range = builder.range_chip();
        let field = FpChip::<Fr>::new(&range, LIMB_BITS, LIMBS);
        let chip = EccChip::new(&field);
        let ctx = builder.main(0);
        let assigned: Vec<_> = points
            .iter()
            .map(|point| chip.0.assign_point::<G1Affine>(ctx, *point))
            .collect();
        let scalars: Vec<_> = scalars.iter().map(|s| ctx.load_witness(*s)).collect();
        let result = chip.msm(ctx, &assigned, &scalars);
        let mut instance = Vec::new();
        if let Some(sum) = sum {
            for (coordinate, expected) in [(&result.x, sum.x), (&result.y, sum.y)] {
                let expected = chip.field().load_constant(ctx, expected);
                chip.field().assert_equal(ctx, coordinate, &expected);
            }
            instance.push(Fr::ONE);
            builder.assigned_instances = vec![vec![ctx.load_constant(Fr::ONE)]];
        }
        builder.calculate_params(Some(20));
        MockProver::run(K as u32, &builder, vec![instance])
            .expect("fits")
            .verify()
            .is_ok()
    }

    fn points(count: u64) -> Vec<G1Affine> {
        (1..=count)
            .map(|i| (G1::generator() * Fr::from(i * i * i + 0xabc)).to_affine())
            .collect()
    }

    #[test]
    fn digits_are_those_of_the_scalar_or_of_its_odd_twin() {
        for scalar in [
            Fr::ZERO,
            Fr::ONE,
            Fr::from(2),
            -Fr::ONE,
            -Fr::from(2),
            Fr::from_raw([9; 4]),
        ] {
            let bits = halved(scalar);
            assert_eq!(bits.len(), DIGITS);
            let sum = bits.iter().rev().fold(Fr::ZERO, |sum, bit| {
                sum.double() + Fr::from(u64::from(*bit))
            });
            assert_eq!(sum.double() + Fr::ONE, scalar);
        }
    }

    #[test]
    fn sums_are_those_of_plain_code() {
        let scalars = [
            Fr::ZERO,
            Fr::ONE,
            -Fr::ONE,
            Fr::from(2),
            Fr::from_raw([1, 2, 3, 4]),
            -Fr::from_raw([77, 0, 5, 1]),
            Fr::from_raw([u64::MAX; 4]),
        ];
        let points = points(7);
        for count in [1, 2, 7] {
            let (scalars, points) = (&scalars[7 - count..], &points[..count]);
            let sum = best_multiexp(scalars, points).to_affine();
            assert!(accepts(scalars, points, Some(sum)), "{count} points");
            assert!(!accepts(scalars, points, Some(-sum)), "{count} points");
            let other = (G1::from(sum) + points[0]).to_affine();
            assert!(!accepts(scalars, points, Some(other)), "{count} points");
        }
    }

    /// The formulas hold only for different x-coordinates; both representations of one count as equal.
    #[test]
    fn equal_coordinates_are_refused() {
        let accepts = |difference: Fr| {
            let mut builder = BaseCircuitBuilder::<Fr>::from_stage(CircuitBuilderStage::Mock)
                .use_k(10)
                .use_lookup_bits(9)
                .use_instance_columns(1);
            let range = builder.range_chip();
            let field = FpChip::<Fr>::new(&range, LIMB_BITS, LIMBS);
            let ctx = builder.main(0);
            let difference = ctx.load_witness(difference);
            EccChip::new(&field).require_different(ctx, difference);
            builder.calculate_params(Some(20));
            let prover = MockProver::run(10, &builder, vec![vec![]]).expect("fits");
            prover.verify().is_ok()
        };
        // q as a number modulo r.
        let q = (-Fq::ONE).to_repr();
        let q = Fr::ONE
            + q.iter().rev().fold(Fr::ZERO, |value, byte| {
                value * Fr::from(256) + Fr::from(u64::from(*byte))
            });
        for equal in [Fr::ZERO, q, -q] {
            assert!(!accepts(equal));
        }
        for different in [
            Fr::ONE,
            -Fr::ONE,
            q + Fr::ONE,
            -q - Fr::ONE,
            Fr::from_raw([5; 4]),
        ] {
            assert!(accepts(different));
        }
    }
}
