//! Calldata of the contract that verifies aggregates, in an EVM. What it accepts is the honest call, to the
//! byte; the digest that it computes of a claim is the one of this repository.
//!
//! Without a compiler (node and npm) the contract cannot be made, and the target says so and does nothing.

mod common;

use std::sync::{Mutex, PoisonError};

use bolero::check;
use common::aggregate::{ROOT, aggregated};
use common::changes::is_chosen;
use evm_verifier::dev::{Called, Deployment, DevError, Solc};
use evm_verifier::{
    Ending, EvmClaim, Pins, aggregate_calldata, code_hash, digest_calldata, export_aggregate,
};
use ff::PrimeField;
use fuzz::{Choices, Depth, Stats};
use halo2curves::bn256::Fr;

/// One of so many executions has words replaced by others that the contract's own checks let through.
const WELL_FORMED: u64 = 24;
const MAX_CHANGES: usize = 4;
/// Selector, ten words of claim, twelve of accumulator, the proof's offset and length.
const SELECTOR: usize = 4;
const PROOF_AT: usize = SELECTOR + 24 * 32;
const ERRORS: [&str; 5] = [
    "InvalidEncoding()",
    "InvalidClaim()",
    "InvalidAccumulator()",
    "InvalidProof()",
    "ProofRejected()",
];

static STATS: Stats = Stats::new("calldata");

struct Contract {
    deployment: Mutex<Deployment>,
    pins: Pins,
    honest: Vec<u8>,
    /// Where the proof's scalars begin and end.
    scalars: std::ops::Range<usize>,
}

#[expect(clippy::print_stderr, reason = "a skipped target must say so")]
fn contract() -> Option<Contract> {
    let slots = aggregated().claim.program.instructions().len() as u32;
    let contracts = export_aggregate(&ROOT.proof, &ROOT.key, slots).expect("contracts");
    let solc = Solc::install(common::folder());
    match solc.and_then(|solc| Deployment::new(&solc, &contracts)) {
        Ok(mut deployment) => {
            let honest = aggregate_calldata(&ROOT.proof, &ROOT.key).expect("a run");
            assert!(deployment.call(&honest).is_true(), "the honest call");
            let start = PROOF_AT + contracts.layout.point_bytes();
            Some(Contract {
                deployment: Mutex::new(deployment),
                pins: Pins::of(&ROOT.proof, &ROOT.key, slots),
                honest,
                scalars: start..start + contracts.layout.scalar_bytes(),
            })
        }
        Err(DevError::Unavailable(reason)) => {
            eprintln!("\n!! SKIPPED: calldata is not fuzzed: no solc: {reason}\n");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn contract_calldata() {
    let contract = contract();
    check!().for_each(|bytes: &[u8]| {
        if let Some(contract) = &contract {
            STATS.count(target(contract, bytes));
        }
    });
    STATS.print();
}

/// One execution.
fn target(contract: &Contract, bytes: &[u8]) -> Depth {
    let mut choices = Choices::new(bytes);
    if is_chosen(bytes, WELL_FORMED) {
        let mut data = contract.honest.clone();
        for _ in 0..choices.below(MAX_CHANGES) {
            exchange(contract, &mut data, &mut choices);
        }
        return verify(contract, &data);
    }
    match choices.byte() % 4 {
        0 => digest(contract, &claim(&mut choices)),
        1 => {
            let mut data = digest_calldata(&claim(&mut choices));
            for _ in 0..=choices.below(MAX_CHANGES) {
                change(&mut data, &mut choices);
            }
            any(contract, &data)
        }
        2 => any(contract, choices.rest()),
        _ => {
            let mut data = contract.honest.clone();
            for _ in 0..=choices.below(MAX_CHANGES) {
                change(&mut data, &mut choices);
            }
            verify(contract, &data)
        }
    }
}

fn call(contract: &Contract, data: &[u8]) -> Called {
    let deployment = contract.deployment.lock();
    let mut deployment = deployment.unwrap_or_else(PoisonError::into_inner);
    let called = deployment.call(data);
    match &called {
        Called::Returned { .. } => {}
        // The decoder refuses without saying why.
        Called::Reverted { output, .. } => assert!(
            output.is_empty() || error(output).is_some(),
            "an error of the contract's: {output:?}"
        ),
        Called::Failed { reason } => panic!("the call neither returned nor reverted: {reason}"),
    }
    called
}

fn error(output: &[u8]) -> Option<&'static str> {
    let mut errors = ERRORS.into_iter();
    errors.find(|error| output == &code_hash(error.as_bytes())[..4])
}

fn verify(contract: &Contract, data: &[u8]) -> Depth {
    let called = call(contract, data);
    let is_verify = data.get(..SELECTOR) == contract.honest.get(..SELECTOR);
    if data == contract.honest {
        assert!(called.is_true(), "the honest call: {called:?}");
        return Depth::Semantic;
    }
    match called {
        Called::Returned { .. } => {
            assert!(!is_verify, "a call was accepted that is not the honest one");
            Depth::Parsed
        }
        Called::Reverted { output, .. } => match error(&output) {
            Some("ProofRejected()") => Depth::Semantic,
            Some("InvalidProof()" | "InvalidAccumulator()") => Depth::Parsed,
            _ => Depth::Refused,
        },
        Called::Failed { .. } => unreachable!("see `call`"),
    }
}

/// Any function with any bytes.
fn any(contract: &Contract, data: &[u8]) -> Depth {
    match call(contract, data) {
        Called::Returned { output, .. } => {
            assert_eq!(output.len(), 32, "all functions return a word");
            Depth::Parsed
        }
        _ => Depth::Refused,
    }
}

/// The digest of a claim that the contract takes is that of the crate.
fn digest(contract: &Contract, claim: &EvmClaim) -> Depth {
    let called = call(contract, &digest_calldata(claim));
    let slots = contract.pins.slots;
    let possible = match claim.ending {
        Ending::StoppedAtBudget { pc } => pc <= slots,
        Ending::Halted { .. } | Ending::Trapped { .. } => true,
    };
    match called {
        Called::Returned { output, .. } => {
            let mut expected = claim.digest(contract.pins.setup).to_repr();
            expected.reverse();
            assert!(possible && output == expected, "{claim:?}");
            Depth::Parsed
        }
        _ => {
            assert!(!possible, "{claim:?}");
            Depth::Refused
        }
    }
}

fn claim(choices: &mut Choices<'_>) -> EvmClaim {
    let honest = EvmClaim::of(&ROOT.proof, &ROOT.key).expect("a run");
    let ending = match choices.byte() % 4 {
        0 => Ending::StoppedAtBudget {
            pc: choices.value(8) as u32,
        },
        1 => Ending::Halted {
            r0: choices.value(6),
        },
        2 => Ending::Trapped {
            kind: choices.byte(),
            pc: choices.value(8) as u32,
        },
        _ => honest.ending,
    };
    let element = |choices: &mut Choices<'_>, own: Fr| match choices.byte() % 3 {
        0 => own,
        1 => -Fr::from(choices.value(1)),
        _ => Fr::from(choices.value(1)),
    };
    EvmClaim {
        input: element(choices, honest.input),
        output: element(choices, honest.output),
        ending,
        steps: choices.value(honest.steps),
        units: choices.value(honest.units),
    }
}

/// Changes a word or bytes.
fn change(data: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let words = data.len().saturating_sub(SELECTOR) / 32;
    let at = SELECTOR + 32 * choices.below(words);
    match choices.byte() % 8 {
        0 => choices.change_bytes(data),
        1 => {
            let from = SELECTOR + 32 * choices.below(words);
            if from + 32 <= data.len() {
                data.copy_within(from..from + 32, at);
            }
        }
        2 => {
            // A word plus a modulus, where that fits.
            let modulus = if choices.byte().is_multiple_of(2) {
                R
            } else {
                Q
            };
            if let Some(word) = data.get_mut(at..at + 32) {
                add(word, &modulus);
            }
        }
        3 => {
            if let Some(word) = data.get_mut(at..at + 32) {
                word[choices.below(32)] ^= 1 << (choices.byte() % 8);
            }
        }
        4 => {
            // Where the proof is, and how long it is.
            let at = SELECTOR + 32 * (22 + choices.below(2));
            let value = choices.value(23 * 32);
            if let Some(field) = data.get_mut(at + 24..at + 32) {
                field.copy_from_slice(&value.to_be_bytes());
            }
        }
        5 => {
            let length = choices.below(65);
            let byte = choices.byte();
            data.extend(std::iter::repeat_n(byte, length));
        }
        _ => {
            let at = SELECTOR + 32 * choices.below(24);
            let value = choices.value(1);
            if let Some(field) = data.get_mut(at + 24..at + 32) {
                field.copy_from_slice(&value.to_be_bytes());
            }
        }
    }
}

/// Changes that the contract's own checks let through.
fn exchange(contract: &Contract, data: &mut [u8], choices: &mut Choices<'_>) {
    let scalars = contract.scalars.len() / 32;
    let scalar = |choices: &mut Choices<'_>| contract.scalars.start + 32 * choices.below(scalars);
    let points = (contract.honest.len() - PROOF_AT - contract.scalars.len()) / 64;
    let point = |choices: &mut Choices<'_>| {
        let at = PROOF_AT + 64 * choices.below(points);
        if at < contract.scalars.start {
            at
        } else {
            at + contract.scalars.len()
        }
    };
    match choices.byte() % 6 {
        0 => {
            let (from, to) = (scalar(choices), scalar(choices));
            data.copy_within(from..from + 32, to);
        }
        1 => {
            let (to, value) = (scalar(choices), choices.value(1));
            data[to..to + 24].fill(0);
            data[to + 24..to + 32].copy_from_slice(&value.to_be_bytes());
        }
        2 => {
            let (from, to) = (point(choices), point(choices));
            data.copy_within(from..from + 64, to);
        }
        3 => {
            // A claim of other steps or units.
            let at = SELECTOR + 32 * (5 + choices.below(2));
            let value = choices.value(25);
            data[at + 24..at + 32].copy_from_slice(&value.to_be_bytes());
        }
        4 => {
            // The accumulator's points, one in the place of the other.
            let (lhs, rhs) = (SELECTOR + 10 * 32, SELECTOR + 16 * 32);
            let (from, to) = if choices.byte().is_multiple_of(2) {
                (lhs, rhs)
            } else {
                (rhs, lhs)
            };
            data.copy_within(from..from + 192, to);
        }
        _ => {
            // The result.
            let at = SELECTOR + 4 * 32;
            let value = choices.value(26);
            data[at + 24..at + 32].copy_from_slice(&value.to_be_bytes());
        }
    }
}

/// The scalar field's modulus, and the coordinates', big-endian.
const R: [u8; 32] = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d,
    0x28, 0x33, 0xe8, 0x48, 0x79, 0xb9, 0x70, 0x91, 0x43, 0xe1, 0xf5, 0x93, 0xf0, 0x00, 0x00, 0x01,
];
const Q: [u8; 32] = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d,
    0x97, 0x81, 0x6a, 0x91, 0x68, 0x71, 0xca, 0x8d, 0x3c, 0x20, 0x8c, 0x16, 0xd8, 0x7c, 0xfd, 0x47,
];

/// Adds modulo 2^256.
fn add(word: &mut [u8], addend: &[u8; 32]) {
    let mut carry = 0;
    for (byte, addend) in word.iter_mut().zip(addend).rev() {
        let sum = u16::from(*byte) + u16::from(*addend) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}
