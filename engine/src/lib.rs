//! A prover for halo2-axiom's circuits (KZG over BN254, SHPLONK).

mod column;
mod commit;
mod expression;
mod fft;
pub mod kernels;
mod key;
mod lookup;
mod msm;
mod open;
mod openings;
mod packed;
mod permutation;
mod pool;
mod prover;
mod quotient;
mod raw;
mod witness;

pub use key::EngineKey;
pub use prover::{create_proof, create_proof_with_columns, part};
