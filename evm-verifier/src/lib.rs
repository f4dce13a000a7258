//! Exports the proof of a whole run to the EVM.
//!
//! The root circuit's proof shows that a run of a program went as claimed. [`export_aggregate`] writes
//! two Solidity contracts that check it, for the program, page list, budget and input length of an
//! aggregate ([`Pins::of`]); [`aggregate_calldata`] is a call.
//!
//! `Halo2Verifier` is what snark-verifier generates for the key. It computes the transcript and the
//! pairing, and reduces its inputs modulo the field, so that each of them has several encodings.
//! `ZkbpfVerifier` stands before it and checks
//!
//! * the calldata's length and layout, to the byte;
//! * the claim: commitments below the field's modulus, numbers within their types, an outcome that
//!   a run can have;
//! * the accumulator's limbs and the proof's words: each below its bound, no point the identity;
//! * that the code at the generated contract's address has the hash it was deployed with.
//!
//! It computes the claim's digest from the typed values, and calls the generated contract at a
//! fixed address with calldata that it lays out itself.
//!
//! What it relies on: the ceremony behind the SRS; the soundness of the circuits and of SHPLONK
//! with Keccak; that [`Pins::setup`] is the value of the program in question, and [`RootKey::vk`]
//! the key of the circuit that exposes twelve limbs and the digest; the chain's precompiled
//! contracts 5 to 8, whose presence the constructor checks. Either contract is immutable: there is
//! no owner, no proxy and no `SELFDESTRUCT`. Another key or program is another deployment, and
//! whoever calls the contract chooses which address to believe. Nothing records which proofs were
//! used.
//!
//! To deploy: compile both sources with solc 0.8.19 without its optimizer, deploy the first, and
//! the second with [`constructor_arguments`] of the first's address and of the [`code_hash`] of its
//! *compiled* code. The generated contract does not compile with the optimizer, and through the IR
//! it compiles to one that always reverts, because it wants memory laid out as without. It fits
//! into the [`MAX_CODE_BYTES`] of a contract only if the root circuit has few columns.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

mod claim;
#[cfg(feature = "dev")]
pub mod dev;
mod export;
mod poseidon;

pub use claim::{
    ACCUMULATOR_LIMBS, Ending, EvmClaim, aggregate_calldata, calldata, code_hash,
    constructor_arguments, digest_calldata,
};
pub use export::{
    Contracts, ExportError, MAX_CODE_BYTES, PUBLIC_VALUES, Pins, ProofLayout, RootKey, export,
    export_aggregate,
};
pub use poseidon::point_commitment;
