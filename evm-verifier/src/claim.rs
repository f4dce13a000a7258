//! What a run is claimed to be, and how a call says it.

use bpf_tracer::Outcome;
use ff::{Field as _, PrimeField as _};
use halo2curves::bn256::Fr;
use snark_verifier::util::hash::{Digest as _, Keccak256};

use verifier::{AggregateKey, AggregateProof, ClaimDigest};

/// How many limbs the accumulator has: two points, two coordinates each, three limbs a coordinate.
pub const ACCUMULATOR_LIMBS: usize = 12;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It used its budget up.
    StoppedAtBudget {
        /// The slot that would have run next.
        pc: u32,
    },
    /// It halted.
    Halted {
        /// Its result.
        r0: u64,
    },
    /// It trapped.
    Trapped {
        /// Which trap.
        kind: u8,
        /// The slot of the instruction.
        pc: u32,
    },
}

/// What a run of the pinned program is claimed to be: the contract's `Claim`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvmClaim {
    /// [`point_commitment`](crate::point_commitment) of the public input's column.
    pub input: Fr,
    /// The same of the public output's.
    pub output: Fr,
    /// How it ended.
    pub ending: Ending,
    /// Executed instructions.
    pub steps: u64,
    /// Compute units used.
    pub units: u64,
}

/// The claim's fields as the contract has them.
struct Fields {
    stopped: bool,
    status: u8,
    r0: u64,
    trap_kind: u8,
    trap_pc: u32,
    pc_out: u32,
}

impl Ending {
    fn fields(self) -> Fields {
        let none = Fields {
            stopped: false,
            status: 0,
            r0: 0,
            trap_kind: 0,
            trap_pc: 0,
            pc_out: 0,
        };
        match self {
            Self::StoppedAtBudget { pc } => Fields {
                stopped: true,
                pc_out: pc,
                ..none
            },
            Self::Halted { r0 } => Fields {
                status: 1,
                r0,
                ..none
            },
            Self::Trapped { kind, pc } => Fields {
                status: 2,
                trap_kind: kind,
                trap_pc: pc,
                ..none
            },
        }
    }
}

impl EvmClaim {
    /// What an aggregate claims; `None` if it ends in no way that a run can.
    #[must_use]
    pub fn of(proof: &AggregateProof, key: &AggregateKey) -> Option<Self> {
        let run = &proof.run;
        let digest = ClaimDigest::of(run, key.chunk_key().id());
        let ending = if run.stopped {
            let pc = u32::try_from(run.stopped_at).ok()?;
            Ending::StoppedAtBudget { pc }
        } else {
            match run.outcome()? {
                Outcome::Halt { r0 } => Ending::Halted { r0 },
                Outcome::Trap { pc, .. } => Ending::Trapped {
                    kind: u8::try_from(run.trap_kind).ok()?,
                    pc,
                },
            }
        };
        Some(Self {
            input: digest.input,
            output: digest.output,
            ending,
            steps: run.steps,
            units: run.units,
        })
    }

    /// The public value that stands for the claim, under a deployment's `setup`.
    #[must_use]
    pub fn digest(&self, setup: Fr) -> Fr {
        let fields = self.ending.fields();
        let ending_1 = packed(&[
            &fields.r0.to_le_bytes(),
            &self.steps.to_le_bytes(),
            &self.units.to_le_bytes(),
        ]);
        let ending_2 = packed(&[
            &fields.pc_out.to_le_bytes(),
            &fields.trap_pc.to_le_bytes(),
            &[fields.trap_kind, fields.status, fields.stopped.into()],
        ]);
        let (input, output) = (self.input, self.output);
        let digest = ClaimDigest {
            setup,
            input,
            output,
            ending_1,
            ending_2,
        };
        digest.value()
    }

    fn words(&self) -> [[u8; 32]; 10] {
        let fields = self.ending.fields();
        [
            word(self.input),
            word(self.output),
            number(fields.stopped.into()),
            number(fields.status.into()),
            number(fields.r0),
            number(self.steps),
            number(self.units),
            number(fields.trap_kind.into()),
            number(fields.trap_pc.into()),
            number(fields.pc_out.into()),
        ]
    }
}

/// Numbers side by side, the first the lowest. They are 24 bytes at most, so that they make a field
/// element.
fn packed(parts: &[&[u8]]) -> Fr {
    let mut bytes = [0; 32];
    bytes
        .iter_mut()
        .zip(parts.iter().copied().flatten())
        .for_each(|(to, from)| *to = *from);
    Fr::from_repr(bytes).unwrap_or(Fr::ZERO)
}

fn word(value: Fr) -> [u8; 32] {
    let mut bytes = value.to_repr();
    bytes.reverse();
    bytes
}

fn number(value: u64) -> [u8; 32] {
    word(Fr::from(value))
}

const CLAIM: &str = "(bytes32,bytes32,bool,uint8,uint64,uint64,uint64,uint8,uint32,uint32)";

fn selector(signature: &str) -> impl Iterator<Item = u8> {
    Keccak256::digest(signature.as_bytes()).into_iter().take(4)
}

/// The calldata that has an aggregate verified; `None` if it is none of a run.
#[must_use]
pub fn aggregate_calldata(proof: &AggregateProof, key: &AggregateKey) -> Option<Vec<u8>> {
    let claim = EvmClaim::of(proof, key)?;
    let instance = proof.instance(key.chunk_key().id());
    let accumulator = instance.first_chunk::<ACCUMULATOR_LIMBS>()?;
    Some(calldata(&claim, accumulator, &proof.proof))
}

/// The calldata of `verify(claim, accumulator, proof)`.
#[must_use]
pub fn calldata(claim: &EvmClaim, accumulator: &[Fr; ACCUMULATOR_LIMBS], proof: &[u8]) -> Vec<u8> {
    // Ten words of claim, twelve of accumulator, one that says where the proof is.
    const PROOF_OFFSET: u64 = 23 * 32;
    let padding = proof.len().next_multiple_of(32).saturating_sub(proof.len());
    selector(&format!(
        "verify({CLAIM},uint256[{ACCUMULATOR_LIMBS}],bytes)"
    ))
    .chain(claim.words().into_iter().flatten())
    .chain(accumulator.iter().flat_map(|limb| word(*limb)))
    .chain(number(PROOF_OFFSET))
    .chain(number(u64::try_from(proof.len()).unwrap_or(u64::MAX)))
    .chain(proof.iter().copied())
    .chain(std::iter::repeat_n(0, padding))
    .collect()
}

/// The calldata of `claimDigest(claim)`.
#[must_use]
pub fn digest_calldata(claim: &EvmClaim) -> Vec<u8> {
    selector(&format!("claimDigest({CLAIM})"))
        .chain(claim.words().into_iter().flatten())
        .collect()
}

/// The arguments of the wrapper's constructor, which follow its code in the transaction that
/// deploys it.
#[must_use]
pub fn constructor_arguments(verifier: [u8; 20], code_hash: [u8; 32]) -> [u8; 64] {
    let mut arguments = [0; 64];
    let values = verifier.into_iter().chain(code_hash);
    arguments
        .iter_mut()
        .skip(12)
        .zip(values)
        .for_each(|(to, from)| *to = from);
    arguments
}

/// The hash that the chain gives code, for [`constructor_arguments`].
#[must_use]
pub fn code_hash(runtime_code: &[u8]) -> [u8; 32] {
    Keccak256::digest(runtime_code).into()
}
