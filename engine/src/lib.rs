//! A prover for halo2-axiom's circuits (KZG over BN254, SHPLONK).

mod fft;
mod packed;
mod simd;
