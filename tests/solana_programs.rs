//! Programs of Solana's mainnet, proved as deployed: file and accounts in, post-state out. Reads optional
//! corpora.
#![expect(clippy::print_stderr, reason = "each proof says what it took")]

mod corpora;
mod keys;

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use zkbpf::solana::{Invocation, PostAccount, apply_post_state, apply_post_state_of_sdk};
use zkbpf::verifier::ClaimError;
use zkbpf::zk_circuits::{Plan, Shape};
use zkbpf::{
    ChunkProof, Claim, Environment, ExecutionTrace, ExpectedOutcome, Input, LoadOptions, Outcome,
    Program, Tracer, TrapKind, VerifyError, VerifyingKey, claim_of, prove_execution_chunked,
    verify_execution,
};

/// Compute units of the recorded invocations.
const COMPUTE_UNITS: u64 = 1_400_000;

/// A recorded invocation.
struct Case {
    name: String,
    program: Program,
    region: Vec<u8>,
    invocation: Invocation,
    json: Value,
}

fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string")).expect("hex")
}

impl Case {
    fn read(corpora: &Path, name: &str) -> Self {
        let text = std::fs::read_to_string(corpora.join(format!("solana/{name}.json")));
        let json: Value = serde_json::from_str(&text.expect(name)).expect("JSON");
        let elf = corpora.join(json["elf"].as_str().expect("a file"));
        let bytes = std::fs::read(elf).expect("the executable");
        let region = hex_of(&json["input_region_hex"]);
        Self {
            name: name.to_owned(),
            program: Program::load(&bytes, &LoadOptions::default()).expect("it loads"),
            invocation: Invocation::parse(&region).expect("a region"),
            region,
            json,
        }
    }

    /// The sysvars of the recorded runs: the rent is stated as 6,960 lamports a byte, exemption at once.
    fn environment(&self) -> Environment {
        let rent = [&6960_u64.to_le_bytes()[..], &1.0_f64.to_le_bytes(), &[50]];
        let mut environment = Environment {
            program_id: self.invocation.program_id,
            ..Environment::default()
        };
        environment.sysvars.insert(Environment::RENT, rent.concat());
        environment
    }

    fn trace(&self) -> ExecutionTrace {
        Tracer::new(&self.program)
            .input(Input::from_bytes(self.region.clone()))
            .environment(self.environment())
            .step_limit(COMPUTE_UNITS)
            .trace()
            .expect("it runs")
    }

    /// What the record says of the accounts afterwards, in the form of the region. What a failed
    /// invocation leaves is not in it.
    fn recorded_output(&self) -> Vec<u8> {
        let states: Vec<PostAccount> = self.json["post_accounts"]
            .as_array()
            .expect("accounts")
            .iter()
            .zip(self.invocation.unique_accounts())
            .map(|(recorded, account)| {
                let lamports = recorded["lamports"].as_u64().expect("lamports");
                let data = hex_of(&recorded["data"]);
                // A closed account is the system program's.
                let is_closed = lamports == 0 && data.is_empty();
                let owner = if is_closed { [0; 32] } else { account.owner };
                PostAccount {
                    owner,
                    lamports,
                    data,
                }
            })
            .collect();
        let apply = if self.name.starts_with("spltoken") {
            apply_post_state_of_sdk
        } else {
            apply_post_state
        };
        apply(&self.region, &states).expect("a post-state")
    }

    /// The claim of someone who has the record and no interpreter.
    fn claim(&self, trace: &ExecutionTrace) -> Claim {
        let result = self.json["expected_result"].as_str().expect("a result");
        let error = result
            .strip_prefix("Failure(Custom(")
            .and_then(|rest| rest.strip_suffix("))"))
            .map(|code| code.parse().expect("an error code"));
        let output = if error.is_some() {
            trace.output().to_vec()
        } else {
            self.recorded_output()
        };
        Claim {
            environment: self.environment(),
            outcome: ExpectedOutcome::Exactly(Outcome::Halt {
                r0: error.unwrap_or(0),
            }),
            output: Some(output),
            compute_units: self.json["compute_units"].as_u64(),
            budget: COMPUTE_UNITS,
            ..Claim::new(self.program.clone(), Input::from_bytes(self.region.clone()))
        }
    }
}

/// The smallest circuit in which a run is one chunk.
fn smallest(trace: &ExecutionTrace) -> u32 {
    let fits = |k: &u32| {
        let shape = Shape::new(*k, 8).expect("supported");
        Plan::new(trace, shape, None).is_ok_and(|plan| plan.chunk_count() == 1)
    };
    (10..=17).find(fits).expect("it fits")
}

struct Proved {
    case: Case,
    proofs: Vec<ChunkProof>,
    claim: Claim,
    key: std::sync::Arc<VerifyingKey>,
}

fn prove(corpora: &Path, name: &str) -> Proved {
    let case = Case::read(corpora, name);
    let trace = case.trace();
    let k = smallest(&trace);
    let config = keys::config(k);
    config.keys().expect("keys");
    let start = Instant::now();
    let proofs = prove_execution_chunked(&trace, config).expect(name);
    let proving = start.elapsed();
    let claim = case.claim(&trace);
    let key = config.verifying_key().expect("keys");
    let start = Instant::now();
    let statement =
        verify_execution(&proofs, &claim, &key).unwrap_or_else(|e| panic!("{name}: {e}"));
    eprintln!(
        "{name}: {} steps, {} units, k = {k}, {} bytes, proved in {proving:.1?}, verified in {:.1?}",
        statement.steps,
        statement.compute_units,
        proofs[0].proof.len(),
        start.elapsed()
    );
    assert_eq!(Some(statement.steps), case.json["steps"][0].as_u64());
    assert!(statement.input_checked && statement.output_checked && statement.outcome_checked);
    // The claim that the trace makes of itself is the same.
    verify_execution(&proofs, &claim_of(&trace), &key).expect("its own claim");
    Proved {
        case,
        proofs,
        claim,
        key,
    }
}

impl Proved {
    fn refused(&self, what: &str, change: impl FnOnce(&mut Claim)) -> VerifyError {
        let mut claim = self.claim.clone();
        change(&mut claim);
        let refused = verify_execution(&self.proofs, &claim, &self.key);
        refused.expect_err(&format!("{}: {what}", self.case.name))
    }

    /// Every claim that differs in one thing is refused.
    fn refuse_other_claims(&self, other: &Program) {
        let reason = |error: VerifyError| match error {
            VerifyError::Claim { reason, .. } => reason,
            other => panic!("{}: {other}", self.case.name),
        };
        let column = |error| match reason(error) {
            ClaimError::Commitment { column } => column,
            other => panic!("{}: {other}", self.case.name),
        };
        let error = self.refused("other program", |c| c.program = other.clone());
        assert!(matches!(
            reason(error),
            ClaimError::Commitment { .. } | ClaimError::Entry | ClaimError::Selection { .. }
        ));

        // A byte of the region before: one that the run looks at, and one that it never touches.
        let touched = self.proofs[0].pages.iter().copied();
        let first = zkbpf::bpf_tracer::canonical::layout::INPUT_BASE / 256;
        let region = |page: &u64| {
            page.checked_sub(first)
                .filter(|p| *p * 256 < self.case.region.len() as u64)
        };
        let on: Vec<u64> = touched.filter_map(|page| region(&page)).collect();
        let off = (0..self.case.region.len() as u64 / 256).find(|page| !on.contains(page));
        let places = on.first().map(|page| (*page as usize * 256, true));
        let places = places
            .into_iter()
            .chain(off.map(|page| (page as usize * 256, false)));
        for (place, is_touched) in places {
            let error = self.refused("a byte before", |c| {
                if let Some(input) = &mut c.input {
                    input.bytes[place] ^= 1;
                }
            });
            match reason(error) {
                ClaimError::Commitment { column } => assert!(is_touched, "{column}"),
                // The expected output is not that input any more.
                ClaimError::OutputUntouched { .. } => assert!(!is_touched),
                other => panic!("{other}"),
            }
            let error = self.refused("a byte after", |c| {
                if let Some(output) = &mut c.output {
                    output[place] ^= 1;
                }
            });
            match reason(error) {
                ClaimError::Commitment { column } => assert!(is_touched && column == "output"),
                ClaimError::OutputUntouched { .. } => assert!(!is_touched),
                other => panic!("{other}"),
            }
        }
        let outcome = |outcome| ExpectedOutcome::Exactly(outcome);
        let ExpectedOutcome::Exactly(Outcome::Halt { r0 }) = self.claim.outcome else {
            panic!("it halts");
        };
        let error = self.refused("another r0", |c| {
            c.outcome = outcome(Outcome::Halt { r0: r0 + 1 });
        });
        assert!(matches!(reason(error), ClaimError::Outcome { .. }));
        let error = self.refused("a trap", |c| {
            let kind = TrapKind::AccessViolation;
            c.outcome = outcome(Outcome::Trap { kind, pc: 0 });
        });
        assert!(matches!(reason(error), ClaimError::Outcome { .. }));
        let error = self.refused("other units", |c| {
            c.compute_units = c.compute_units.map(|u| u + 1);
        });
        assert!(matches!(reason(error), ClaimError::ComputeUnits { .. }));
        let error = self.refused("another budget", |c| c.budget += 1);
        assert!(matches!(reason(error), ClaimError::Budget { .. }));
        let error = self.refused("return data", |c| c.return_data = vec![1]);
        assert!(matches!(reason(error), ClaimError::ReturnData { .. }));
        // The environment is in the program table if the program asks for it.
        if ["ptoken_initialize_account3", "ptoken_initialize_mint2"].contains(&&*self.case.name) {
            let error = self.refused("another rent", |c| {
                c.environment = Environment::default();
            });
            assert_eq!(column(error), "program");
        }
    }
}

fn check(names: &[&str]) {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    let other = Case::read(&corpora, "memo_v4").program;
    for name in names {
        let proved = prove(&corpora, name);
        let other = if *name == "memo_v4" {
            Case::read(&corpora, "noop_v0").program
        } else {
            other.clone()
        };
        proved.refuse_other_claims(&other);
    }
}

#[test]
fn token_transfers_are_proved() {
    check(&[
        "ptoken_transfer",
        "ptoken_transfer_checked",
        "ptoken_transfer_insufficient",
    ]);
}

#[test]
fn token_accounts_are_proved() {
    check(&[
        "ptoken_approve",
        "ptoken_burn",
        "ptoken_close_account",
        "ptoken_mint_to",
    ]);
}

#[test]
fn token_initialization_is_proved() {
    check(&[
        "ptoken_initialize_account",
        "ptoken_initialize_account3",
        "ptoken_initialize_mint",
        "ptoken_initialize_mint2",
    ]);
}

#[test]
fn small_programs_are_proved() {
    check(&["memo_v4", "noop_v0", "noop_v3", "return_err_v3"]);
}

/// The reference token program: thousands of steps, circuits of 2^13 rows.
#[test]
fn the_reference_token_program_is_proved() {
    check(&[
        "spltoken_transfer",
        "spltoken_mint_to",
        "spltoken_initialize_mint",
    ]);
}
