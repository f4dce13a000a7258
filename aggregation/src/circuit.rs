//! The three circuits: a leaf verifies a chunk's proof, a node two leaves or nodes, the root one leaf or
//! node, for the verifier outside.
//!
//! Leaves and nodes expose the same values: an accumulator, the key of the nodes below, and the span of
//! chunks that is proved. They share one shape, so that a node can verify either with the key as a
//! witness; which of the two it was shows in the key's hash.

use ff::Field;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, CircuitBuilderStage};
use halo2_base::gates::flex_gate::MultiPhaseThreadBreakPoints;
use halo2_base::gates::{GateInstructions, RangeChip, RangeInstructions};
use halo2_base::{Context, QuantumCell};
use halo2curves::bn256::{Fr, G1Affine};
use verifier::KeyId;
use zk_circuits::{ChunkInstance, Committed};

use crate::recursion::{KeyAs, Verified, verify};
use crate::snark::{ACCUMULATOR_LEN, AggregationShape, Snark, SnarkError, Svk};
use crate::span::{AssignedSpan, Hasher, SpanGadget, Value};

use QuantumCell::{Constant, Existing};

/// Public values of leaves and nodes: accumulator, node key, span.
pub const SPAN_VALUES: usize = ACCUMULATOR_LEN + 1 + AssignedSpan::LEN;
/// Public values of the root: accumulator, claim digest.
pub const ROOT_VALUES: usize = ACCUMULATOR_LEN + 1;

/// Rows that a column loses to blinding, at most.
const UNUSABLE_ROWS: usize = 16;

/// What a circuit verifies, and by which constants it knows that it is what it should be.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// One chunk's proof, whose key is part of the circuit.
    Leaf {
        /// The chunk.
        chunk: &'a Snark,
    },
    /// Two proofs of leaves or nodes for neighbouring spans.
    Node {
        /// The span before.
        left: &'a Snark,
        /// The span behind it.
        right: &'a Snark,
        /// Hash of the leaves' key; part of the circuit.
        leaf_key: Fr,
        /// Hash of the nodes' key, this circuit's own; a public value.
        node_key: Fr,
    },
    /// One proof of a leaf or node for a whole run.
    Root {
        /// The span.
        span: &'a Snark,
        /// Hash of the leaves' key; part of the circuit.
        leaf_key: Fr,
        /// Hash of the nodes' key; part of the circuit.
        node_key: Fr,
        /// Identity of the chunks' key; part of the circuit.
        chunk_key: KeyId,
    },
}

/// An aggregation circuit with its cells.
#[derive(Debug)]
pub struct AggregationCircuit {
    /// The circuit.
    pub builder: BaseCircuitBuilder<Fr>,
    /// Cells that its constraints take, and those that are looked up.
    pub cells: Cells,
}

/// How large a circuit is, whatever the shape it is laid out in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    /// Advice cells of arithmetic.
    pub advice: usize,
    /// Cells that are looked up in the range table.
    pub lookup: usize,
}

impl AggregationShape {
    /// Parameters of the circuit builder.
    #[must_use]
    pub fn params(self) -> BaseCircuitParams {
        BaseCircuitParams {
            k: self.k as usize,
            num_advice_per_phase: vec![self.advice],
            num_fixed: 1,
            num_lookup_advice_per_phase: vec![self.lookup_advice],
            lookup_bits: Some(self.k as usize - 1),
            num_instance_columns: 1,
        }
    }

    /// The fewest columns of `2^k` rows that hold these cells.
    #[must_use]
    pub fn for_cells(k: u32, cells: Cells) -> Self {
        let rows = (1 << k) - UNUSABLE_ROWS;
        Self {
            k,
            advice: cells.advice.div_ceil(rows).max(1),
            lookup_advice: cells.lookup.div_ceil(rows).max(1),
        }
    }
}

impl AggregationCircuit {
    /// The circuit for key generation. The proofs in `layer` may be [dummies](Snark::dummy).
    ///
    /// # Errors
    /// If a proof in `layer` is not well-formed.
    pub fn keygen(
        shape: AggregationShape,
        generator: G1Affine,
        layer: &Layer<'_>,
    ) -> Result<Self, SnarkError> {
        Self::build(CircuitBuilderStage::Keygen, shape, generator, layer)
    }

    /// The circuit for proving, laid out as key generation found it.
    ///
    /// # Errors
    /// If a proof in `layer` is not well-formed.
    pub fn prover(
        shape: AggregationShape,
        generator: G1Affine,
        layer: &Layer<'_>,
        break_points: MultiPhaseThreadBreakPoints,
    ) -> Result<Self, SnarkError> {
        let mut circuit = Self::build(CircuitBuilderStage::Prover, shape, generator, layer)?;
        circuit.builder.set_break_points(break_points);
        Ok(circuit)
    }

    /// The circuit for [`MockProver`](halo2_proofs::dev::MockProver).
    ///
    /// # Errors
    /// If a proof in `layer` is not well-formed.
    pub fn mock(
        shape: AggregationShape,
        generator: G1Affine,
        layer: &Layer<'_>,
    ) -> Result<Self, SnarkError> {
        Self::build(CircuitBuilderStage::Mock, shape, generator, layer)
    }

    /// Public values.
    #[must_use]
    pub fn instance(&self) -> Vec<Fr> {
        let column = self.builder.assigned_instances.first();
        column.map_or_else(Vec::new, |values| {
            values.iter().map(|value| *value.value()).collect()
        })
    }

    fn build(
        stage: CircuitBuilderStage,
        shape: AggregationShape,
        generator: G1Affine,
        layer: &Layer<'_>,
    ) -> Result<Self, SnarkError> {
        let svk = Svk::from(generator);
        let (snarks, key_as): (Vec<&Snark>, _) = match layer {
            Layer::Leaf { chunk } => (vec![chunk], KeyAs::Constant),
            Layer::Node { left, right, .. } => (vec![left, right], KeyAs::Witness),
            Layer::Root { span, .. } => (vec![span], KeyAs::Witness),
        };
        for snark in &snarks {
            snark.accumulators(&svk)?;
        }
        let mut builder = BaseCircuitBuilder::from_stage(stage).use_params(shape.params());
        let range = builder.range_chip();
        let (verified, accumulator) = verify(&mut builder, &range, &svk, &snarks, key_as);

        let ctx = builder.main(0);
        let rest = statement(ctx, &range, layer, &verified);
        let exposed = accumulator.into_iter().chain(rest).collect();
        builder.assigned_instances = vec![exposed];

        let cells = cells_of(&builder);
        if matches!(layer, Layer::Leaf { .. } | Layer::Node { .. }) {
            fill(builder.main(0), &range, shape, cells);
        }
        Ok(Self { builder, cells })
    }
}

/// What a circuit exposes beside its accumulator.
fn statement(
    ctx: &mut Context<Fr>,
    range: &RangeChip<Fr>,
    layer: &Layer<'_>,
    verified: &[Verified],
) -> Vec<Value> {
    let gadget = SpanGadget::new(range);
    match (layer, verified) {
        (Layer::Leaf { .. }, [chunk]) => {
            let instance: [Value; ChunkInstance::LEN] =
                std::array::from_fn(|place| chunk.instance[place]);
            let points = std::array::from_fn::<_, { Committed::COUNT }, _>(|i| chunk.points[i]);
            let span = gadget.of_chunk(ctx, instance, points);
            let mut exposed = vec![ctx.load_constant(Fr::ZERO)];
            exposed.extend(span.to_vec());
            exposed
        }
        (
            Layer::Node {
                leaf_key, node_key, ..
            },
            [left, right],
        ) => {
            let node_key = ctx.load_witness(*node_key);
            let leaf_key = ctx.load_constant(*leaf_key);
            let left = child(ctx, range, left, leaf_key, node_key);
            let right = child(ctx, range, right, leaf_key, node_key);
            let span = gadget.join(ctx, &left, &right);
            let mut exposed = vec![node_key];
            exposed.extend(span.to_vec());
            exposed
        }
        (
            Layer::Root {
                leaf_key,
                node_key,
                chunk_key,
                ..
            },
            [span],
        ) => {
            let [leaf_key, node_key] = [leaf_key, node_key].map(|key| ctx.load_constant(*key));
            let span = child(ctx, range, span, leaf_key, node_key);
            vec![gadget.digest(ctx, &span, *chunk_key)]
        }
        _ => unreachable!("one proof for each place of a layer"),
    }
}

/// The span that a verified proof exposes. Its key is that of the leaves; or it is that of the nodes, and so
/// are those of all nodes below.
fn child(
    ctx: &mut Context<Fr>,
    range: &RangeChip<Fr>,
    verified: &Verified,
    leaf_key: Value,
    node_key: Value,
) -> AssignedSpan {
    let gate = range.gate();
    let key = Hasher::new(ctx, gate).hash(ctx, gate, &verified.key);
    let below = verified.instance[ACCUMULATOR_LEN];
    let is_leaf = gate.is_equal(ctx, key, leaf_key);
    let is_node = gate.is_equal(ctx, key, node_key);
    let has_nodes = gate.is_equal(ctx, below, node_key);
    let is_node = gate.and(ctx, is_node, has_nodes);
    let is_known = gate.or(ctx, is_leaf, is_node);
    gate.assert_is_const(ctx, &is_known, &Fr::ONE);
    AssignedSpan::from_exposed(&verified.instance[ACCUMULATOR_LEN + 1..])
}

fn cells_of(builder: &BaseCircuitBuilder<Fr>) -> Cells {
    let statistics = builder.statistics();
    Cells {
        advice: statistics.gate.total_advice_per_phase.iter().sum(),
        lookup: statistics.total_lookup_advice_per_phase.iter().sum(),
    }
}

/// Fills up to the last column: a column without gates would have the identity as its key's commitment,
/// which is no point for the circuit above.
fn fill(ctx: &mut Context<Fr>, range: &RangeChip<Fr>, shape: AggregationShape, cells: Cells) {
    let all_but_one = (shape.advice - 1) << shape.k;
    let missing = all_but_one.saturating_sub(cells.advice);
    if missing == 0 {
        return;
    }
    let zero = ctx.load_constant(Fr::ZERO);
    for _ in 0..=missing.div_ceil(4) {
        range
            .gate()
            .mul_add(ctx, Existing(zero), Constant(Fr::ZERO), Existing(zero));
    }
}
