//! How large proofs of a shape are, counted on its constraint system.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::Shape;
use crate::chunk_circuit::ChunkConfig;

/// Bytes of a compressed point, and of an evaluation.
const ELEMENT_BYTES: usize = 32;

/// Numbers of columns of a shape's circuit, and what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitSize {
    /// Columns that the prover fills, of both phases.
    pub advice_columns: usize,
    /// Columns of the key.
    pub fixed_columns: usize,
    /// Points that a verifier multiplies: commitments, random polynomial, quotient, opening.
    pub points: usize,
    /// Length of a chunk's proof: compressed points and evaluations.
    pub proof_bytes: usize,
}

impl CircuitSize {
    /// The size of a shape's circuit.
    #[must_use]
    pub fn of(shape: Shape) -> Self {
        let mut cs = ConstraintSystem::default();
        ChunkConfig::configure(&mut cs, shape);
        Self::count(&cs)
    }

    pub(crate) fn count(cs: &ConstraintSystem<Fr>) -> Self {
        let advice_columns = cs.num_advice_columns();
        let fixed_columns = cs.num_fixed_columns();
        let quotient = cs.degree() - 1;
        // Behind the commitments: the random polynomial, the quotient's pieces, two points of the opening.
        let made = advice_columns + 1 + quotient + 2;
        let evaluations = cs.advice_queries().len() + cs.fixed_queries().len() + 1;
        Self {
            advice_columns,
            fixed_columns,
            points: made + fixed_columns,
            proof_bytes: ELEMENT_BYTES * (made + evaluations),
        }
    }
}
