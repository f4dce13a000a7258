//! The rules of [`verifier::Span`] and [`verifier::ClaimDigest`] as constraints over public values and
//! points that a circuit has already verified. Knows nothing of proofs.

use bpf_tracer::TrapKind;
use bpf_tracer::canonical::layout::MAX_REGION;
use ff::Field;
use halo2_base::gates::{GateChip, GateInstructions, RangeChip, RangeInstructions};
use halo2_base::poseidon::hasher::PoseidonHasher;
use halo2_base::{AssignedValue, Context, QuantumCell};
use halo2curves::bn256::Fr;
use verifier::{KeyId, RATE, WIDTH, poseidon_spec};
use zk_circuits::shape::MAX_CALL_DEPTH;
use zk_circuits::{ChunkInstance, Committed, STATUS_HALT, STATUS_TRAP, VERSION};

use QuantumCell::{Constant, Existing};

/// A value of the circuit.
pub type Value = AssignedValue<Fr>;
/// A point, as [`verifier::point_elements`] has it.
pub type PointElements = [Value; 4];

/// A [`verifier::Span`] in a circuit.
#[derive(Clone, Debug)]
pub struct AssignedSpan {
    /// In the order of [`ChunkInstance::NAMES`].
    pub instance: [Value; ChunkInstance::LEN],
    /// Number of chunks.
    pub chunks: Value,
    /// In the order of [`Committed::ALL`].
    pub points: [PointElements; Committed::COUNT],
}

impl AssignedSpan {
    /// Number of field elements.
    pub const LEN: usize = ChunkInstance::LEN + 1 + 4 * Committed::COUNT;

    /// The span as a list of values.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Value> {
        let points = self.points.iter().flatten();
        self.instance
            .iter()
            .chain([&self.chunks])
            .chain(points)
            .copied()
            .collect()
    }

    /// The inverse of [`to_vec`](Self::to_vec), for values that a verified proof exposes.
    ///
    /// # Panics
    /// If there are not [`LEN`](Self::LEN) values.
    #[must_use]
    pub fn from_exposed(values: &[Value]) -> Self {
        assert_eq!(values.len(), Self::LEN, "values of a span");
        let (instance, rest) = values.split_at(ChunkInstance::LEN);
        let points = &rest[1..];
        Self {
            instance: std::array::from_fn(|i| instance[i]),
            chunks: rest[0],
            points: std::array::from_fn(|i| std::array::from_fn(|j| points[4 * i + j])),
        }
    }
}

/// Constraints over spans.
#[derive(Clone, Copy, Debug)]
pub struct SpanGadget<'a> {
    range: &'a RangeChip<Fr>,
}

impl<'a> SpanGadget<'a> {
    /// Over these range tables.
    #[must_use]
    pub fn new(range: &'a RangeChip<Fr>) -> Self {
        Self { range }
    }

    fn gate(&self) -> &GateChip<Fr> {
        self.range.gate()
    }

    /// `when · value = 0`
    fn require_zero_when(&self, ctx: &mut Context<Fr>, when: Value, value: Value) {
        let product = self.gate().mul(ctx, when, value);
        self.gate().assert_is_const(ctx, &product, &Fr::ZERO);
    }

    /// `from ≤ to` for numbers below `2^64`.
    fn require_ordered(&self, ctx: &mut Context<Fr>, from: Value, to: Value) {
        let difference = self.gate().sub(ctx, to, from);
        self.range.range_check(ctx, difference, 64);
    }

    /// [`verifier::Span::of_chunk`]
    pub fn of_chunk(
        &self,
        ctx: &mut Context<Fr>,
        instance: [Value; ChunkInstance::LEN],
        points: [PointElements; Committed::COUNT],
    ) -> AssignedSpan {
        let [
            running_in,
            running_out,
            pc_in,
            pc_out,
            slot_in,
            slot_out,
            depth_in,
            depth_out,
            steps_in,
            steps_out,
            units_in,
            units_out,
            input_size,
            status,
            r0,
            trap_kind,
            trap_pc,
            version,
            budget,
            index,
        ] = instance;
        let gate = self.gate();

        for slot in [pc_in, pc_out, slot_in, slot_out, trap_pc] {
            self.range.range_check(ctx, slot, 32);
        }
        for depth in [depth_in, depth_out] {
            self.range
                .check_less_than_safe(ctx, depth, u64::from(MAX_CALL_DEPTH) + 2);
        }
        for word in [steps_in, steps_out, units_in, units_out, r0, budget, index] {
            self.range.range_check(ctx, word, 64);
        }
        self.range
            .check_less_than_safe(ctx, input_size, MAX_REGION + 1);

        gate.assert_is_const(ctx, &version, &Fr::from(VERSION));
        gate.assert_is_const(ctx, &running_in, &Fr::ONE);
        gate.assert_bit(ctx, running_out);
        let ended = gate.not(ctx, running_out);
        self.require_zero_when(ctx, ended, pc_out);
        self.require_zero_when(ctx, ended, depth_out);

        // A span that runs has status 0, one that ended has halted or trapped.
        let halted = gate.is_equal(ctx, status, Constant(Fr::from(STATUS_HALT)));
        let trapped = gate.is_equal(ctx, status, Constant(Fr::from(STATUS_TRAP)));
        self.require_zero_when(ctx, running_out, status);
        let has_status = gate.add(ctx, halted, trapped);
        ctx.constrain_equal(&has_status, &ended);
        let not_halted = gate.not(ctx, halted);
        let not_trapped = gate.not(ctx, trapped);
        self.require_zero_when(ctx, not_halted, r0);
        self.require_zero_when(ctx, not_trapped, trap_kind);
        self.require_zero_when(ctx, not_trapped, trap_pc);
        let outside = TrapKind::ALL
            .into_iter()
            .filter(|kind| *kind != TrapKind::ExceededMaxInstructions)
            .fold(trapped, |product, kind| {
                let code = Constant(Fr::from(kind as u64));
                let difference = gate.sub(ctx, trap_kind, code);
                gate.mul(ctx, product, difference)
            });
        gate.assert_is_const(ctx, &outside, &Fr::ZERO);

        self.require_ordered(ctx, steps_in, steps_out);
        self.require_ordered(ctx, units_in, units_out);
        self.require_ordered(ctx, units_out, budget);

        AssignedSpan {
            instance,
            chunks: ctx.load_constant(Fr::ONE),
            points,
        }
    }

    /// [`verifier::Span::join`]
    pub fn join(
        &self,
        ctx: &mut Context<Fr>,
        before: &AssignedSpan,
        after: &AssignedSpan,
    ) -> AssignedSpan {
        let [
            running_in,
            a_running_out,
            pc_in,
            a_pc_out,
            slot_in,
            a_slot_out,
            depth_in,
            a_depth_out,
            steps_in,
            a_steps_out,
            units_in,
            a_units_out,
            a_input_size,
            _,
            _,
            _,
            _,
            a_version,
            a_budget,
            index,
        ] = before.instance;
        let [
            _,
            running_out,
            b_pc_in,
            pc_out,
            b_slot_in,
            slot_out,
            b_depth_in,
            depth_out,
            b_steps_in,
            steps_out,
            b_units_in,
            units_out,
            input_size,
            status,
            r0,
            trap_kind,
            trap_pc,
            version,
            budget,
            b_index,
        ] = after.instance;
        let gate = self.gate();

        let place = gate.add(ctx, index, before.chunks);
        ctx.constrain_equal(&place, &b_index);
        gate.assert_is_const(ctx, &a_running_out, &Fr::ONE);
        for (out, into) in [
            (a_pc_out, b_pc_in),
            (a_slot_out, b_slot_in),
            (a_depth_out, b_depth_in),
            (a_steps_out, b_steps_in),
            (a_units_out, b_units_in),
            (a_budget, budget),
            (a_input_size, input_size),
            (a_version, version),
        ] {
            ctx.constrain_equal(&out, &into);
        }

        let [entry_0, entry_1, out_0, out_1, a_shared @ ..] = before.points;
        let [into_0, into_1, exit_0, exit_1, shared @ ..] = after.points;
        let links = [(out_0, into_0), (out_1, into_1)];
        for (a, b) in links.into_iter().chain(a_shared.into_iter().zip(shared)) {
            for (a, b) in a.iter().zip(&b) {
                ctx.constrain_equal(a, b);
            }
        }
        let [pages, code, immediate, target] = shared;

        AssignedSpan {
            instance: [
                running_in,
                running_out,
                pc_in,
                pc_out,
                slot_in,
                slot_out,
                depth_in,
                depth_out,
                steps_in,
                steps_out,
                units_in,
                units_out,
                input_size,
                status,
                r0,
                trap_kind,
                trap_pc,
                version,
                budget,
                index,
            ],
            chunks: gate.add(ctx, before.chunks, after.chunks),
            points: [
                entry_0, entry_1, exit_0, exit_1, pages, code, immediate, target,
            ],
        }
    }

    /// [`verifier::Span::whole`], and the run's [`verifier::ClaimDigest`].
    pub fn digest(&self, ctx: &mut Context<Fr>, span: &AssignedSpan, chunk_key: KeyId) -> Value {
        let [
            _,
            stopped,
            entry,
            stopped_at,
            slot_in,
            _,
            depth_in,
            _,
            steps_in,
            steps,
            units_in,
            units,
            input_size,
            status,
            r0,
            trap_kind,
            trap_pc,
            version,
            budget,
            index,
        ] = span.instance;
        let gate = self.gate();
        for zero in [index, slot_in, steps_in, units_in] {
            gate.assert_is_const(ctx, &zero, &Fr::ZERO);
        }
        gate.assert_is_const(ctx, &depth_in, &Fr::ONE);
        let left = gate.sub(ctx, budget, units);
        self.require_zero_when(ctx, stopped, left);

        let [memory, input, _, output, pages, code, immediate, target] = span.points;
        let halves = verifier::key_elements(chunk_key).map(|half| ctx.load_constant(half));
        let setup: Vec<Value> = halves
            .into_iter()
            .chain([version, entry, input_size, budget])
            .chain(
                [memory, pages, code, immediate, target]
                    .into_iter()
                    .flatten(),
            )
            .collect();
        let ending_1 = self.packed(ctx, &[(r0, 0), (steps, 64), (units, 128)]);
        let ending_2 = self.packed(
            ctx,
            &[
                (stopped_at, 0),
                (trap_pc, 32),
                (trap_kind, 64),
                (status, 72),
                (stopped, 80),
            ],
        );
        let hasher = Hasher::new(ctx, gate);
        let setup = hasher.hash(ctx, gate, &setup);
        let input = hasher.hash(ctx, gate, &input);
        let output = hasher.hash(ctx, gate, &output);
        hasher.hash(ctx, gate, &[setup, input, output, ending_1, ending_2])
    }

    /// `Σ value·2^shift`
    fn packed(&self, ctx: &mut Context<Fr>, parts: &[(Value, u64)]) -> Value {
        let (values, factors): (Vec<_>, Vec<_>) = parts
            .iter()
            .map(|(value, shift)| {
                let factor = Fr::from(2).pow_vartime([*shift]);
                (Existing(*value), Constant(factor))
            })
            .unzip();
        self.gate().inner_product(ctx, values, factors)
    }
}

/// [`verifier::poseidon`] in a circuit.
#[derive(Debug)]
pub(crate) struct Hasher(PoseidonHasher<Fr, WIDTH, RATE>);

impl Hasher {
    pub(crate) fn new(ctx: &mut Context<Fr>, gate: &GateChip<Fr>) -> Self {
        let mut hasher = PoseidonHasher::new(poseidon_spec().clone());
        hasher.initialize_consts(ctx, gate);
        Self(hasher)
    }

    pub(crate) fn hash(
        &self,
        ctx: &mut Context<Fr>,
        gate: &GateChip<Fr>,
        elements: &[Value],
    ) -> Value {
        self.0.hash_fix_len_array(ctx, gate, elements)
    }
}
