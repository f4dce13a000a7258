//! What a circuit of a shape costs, counted on its constraint system.

use std::fmt::Write as _;

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::{Operations, operations};
use crate::Shape;
use crate::chunk_circuit::ChunkConfig;
use crate::size::CircuitSize;

/// Columns, degrees and sizes of the circuit of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The circuit, line by line.
    pub report: String,
    /// Points that a verifier multiplies: commitments, random polynomial, quotient, opening.
    pub points: usize,
    /// Length of a proof: compressed points and evaluations.
    pub proof_bytes: usize,
}

/// The constraint system of a shape, as halo2 sees it.
#[must_use]
pub fn constraint_system(shape: Shape) -> ConstraintSystem<Fr> {
    let mut cs = ConstraintSystem::default();
    ChunkConfig::configure(&mut cs, shape);
    cs
}

/// Counts.
#[must_use]
pub fn cost(shape: Shape) -> Cost {
    let mut cs = ConstraintSystem::default();
    let config = ChunkConfig::configure(&mut cs, shape);
    let phases = cs.advice_column_phase();
    let in_phase = |phase| phases.iter().filter(|p| **p == phase).count();
    let CircuitSize {
        advice_columns: advice,
        fixed_columns: fixed,
        points,
        proof_bytes,
    } = CircuitSize::count(&cs);

    let mut report = String::new();
    let mut line = |text: &str| writeln!(report, "{text}").expect("a string");
    line(&format!(
        "k = {}, operands of {} bits",
        shape.k(),
        shape.operand_bits()
    ));
    line(&format!(
        "advice columns: {advice} ({} first phase, {} second phase)",
        in_phase(0),
        in_phase(1)
    ));
    line(&format!(
        "fixed columns: {fixed}, instance columns: {}, permutation columns: {}, native lookups: {}",
        cs.num_instance_columns(),
        cs.permutation().get_columns().len(),
        cs.lookups().len()
    ));
    line(&format!(
        "queries: {} advice, {} fixed, {} instance",
        cs.advice_queries().len(),
        cs.fixed_queries().len(),
        cs.instance_queries().len()
    ));
    line(&format!(
        "degree: {}, blinding factors: {}",
        cs.degree(),
        cs.blinding_factors()
    ));
    line(&format!(
        "points of a verifier: {points}, proof bytes: {proof_bytes}"
    ));
    let by_gate = operations(&cs);
    let mut all = Operations::default();
    for (_, counted) in &by_gate {
        all += *counted;
    }
    line(&format!("operations on a row of the quotient: {all}"));
    for (gate, counted) in by_gate {
        line(&format!("  {gate}: {counted}"));
    }
    line(&format!(
        "bus interactions: {}",
        config.bus.interactions.len()
    ));
    for (group, members) in config.bus.groups.iter().enumerate() {
        for index in members {
            let interaction = &config.bus.interactions[*index];
            let tuple = interaction
                .tuple
                .iter()
                .map(|e| e.degree())
                .max()
                .unwrap_or(0);
            line(&format!(
                "  group {group}: {:?}, {}: {} (degrees {}, {tuple})",
                interaction.bus,
                interaction.family,
                interaction.name,
                interaction.multiplicity.degree()
            ));
        }
    }
    line(&format!("constraints: {}", config.constraints.len()));
    for constraint in config.constraints.iter() {
        let degree = constraint.poly.degree();
        line(&format!(
            "  {}: {} (degree {degree})",
            constraint.family, constraint.name
        ));
    }
    Cost {
        report,
        points,
        proof_bytes,
    }
}
