//! Prove that a BPF program ran correctly, with Halo2.
