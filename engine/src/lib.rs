//! A prover for halo2-axiom's circuits (KZG over BN254, SHPLONK).

mod column;
mod fft;
pub mod kernels;
mod msm;
mod packed;
mod raw;
