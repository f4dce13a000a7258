//! Recorded invocations of Solana programs, as Mollusk and Firedancer write them.

use std::fmt;
use std::path::{Path, PathBuf};

use bpf_tracer::solana::{Account, Invocation, PostAccount, RegionError};
use bpf_tracer::{Environment, ExecutionTrace, LoadOptions, Outcome, Program, Pubkey, TrapKind};
use prost::Message;

use super::{Check, NotProvable, Provable};

mod errors;
mod sysvars;
#[cfg(test)]
mod tests;
mod wire;

use wire::{firedancer, mollusk};

/// Panics unless the circuit accepts the recorded invocation of a program, and it ends as recorded.
///
/// The program is the `.so` that is deployed. The fixture is a file of [`Fixture::read`]'s formats.
///
/// ```no_run
/// use zkbpf::testing::assert_provable_fixture;
///
/// let run = assert_provable_fixture("target/deploy/program.so", "tests/fixtures/transfer.fix");
/// println!("{} compute units", run.trace.compute_units());
/// ```
///
/// # Panics
/// If a file cannot be read, the run is not provable, or it ends otherwise.
#[track_caller]
pub fn assert_provable_fixture(program: impl AsRef<Path>, fixture: impl AsRef<Path>) -> Provable {
    let (program, fixture) = (program.as_ref(), fixture.as_ref());
    let checked = Fixture::read(fixture).map_err(FixtureFailure::from);
    let checked = checked.and_then(|fixture| {
        let bytes = read(program)?;
        let program = Program::load(&bytes, &fixture.load_options()).map_err(NotProvable::from)?;
        fixture.check(&program)
    });
    checked.unwrap_or_else(|error| panic!("{}: {error}", fixture.display()))
}

/// A recorded invocation and what it did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fixture {
    /// Accounts, instruction data, the program's address.
    pub invocation: Invocation,
    /// Sysvars, the program's address.
    pub environment: Environment,
    /// Compute units that the run may use.
    pub budget: u64,
    /// Bytes of the heap, where it is stated.
    pub heap_size: Option<u64>,
    /// What it did.
    pub effects: Effects,
}

/// What an invocation did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effects {
    /// How it ended.
    pub result: ExpectedResult,
    /// Compute units that it used.
    pub compute_units: u64,
    /// What it returned.
    pub return_data: Vec<u8>,
    /// The accounts afterwards: one for each of [`Invocation::unique_accounts`], in order.
    pub accounts: Vec<PostAccount>,
}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectedResult {
    /// The program returned 0.
    Success,
    /// An error that has a number: what the program returns in `r0` to tell it.
    Error(u64),
    /// It failed in another way, as by a trap.
    Failed,
}

impl ExpectedResult {
    /// What a runtime makes of an outcome.
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Halt { r0: 0 } => Self::Success,
            Outcome::Halt { r0 } => errors::of_status(r0).map_or(Self::Failed, Self::Error),
            // These two system calls fail with errors that programs can return, too.
            Outcome::Trap { kind, .. } => match kind {
                TrapKind::UnsupportedSysvar => Self::Error(errors::UNSUPPORTED_SYSVAR),
                TrapKind::ArithmeticOverflow => Self::Error(errors::ARITHMETIC_OVERFLOW),
                _ => Self::Failed,
            },
        }
    }
}

impl fmt::Display for ExpectedResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::Error(number) => write!(f, "error {number:#x}"),
            Self::Failed => f.write_str("a failure without a number"),
        }
    }
}

/// A fixture that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not a protobuf message of these layouts.
    #[error("not a fixture: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// It is not JSON of these layouts.
    #[error("not a fixture: {0}")]
    Json(#[from] serde_json::Error),
    /// Something is missing, or is not what it can be.
    #[error("{what} is missing, or is not what it can be")]
    Field {
        /// What.
        what: &'static str,
    },
    /// The accounts do not make parameters.
    #[error(transparent)]
    Region(#[from] RegionError),
}

/// Why a recorded invocation does not stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureFailure {
    /// The fixture cannot be read.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// The run is not provable.
    #[error(transparent)]
    NotProvable(#[from] NotProvable),
    /// The run ended otherwise.
    #[error("the run is provable, and does not end as recorded: {}", differences.join("; "))]
    Differs {
        /// What differs.
        differences: Vec<String>,
    },
}

impl From<RegionError> for FixtureFailure {
    fn from(error: RegionError) -> Self {
        Self::Fixture(error.into())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FixtureError> {
    std::fs::read(path).map_err(|error| FixtureError::Io {
        path: path.to_owned(),
        error,
    })
}

impl Fixture {
    /// Reads a file: JSON if its name ends in `.json`, otherwise protobuf (`.fix`).
    ///
    /// # Errors
    /// See [`FixtureError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, FixtureError> {
        let path = path.as_ref();
        let bytes = read(path)?;
        match path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            true => Self::from_json(&bytes),
            false => Self::from_protobuf(&bytes),
        }
    }

    /// Reads a protobuf message, `InstrFixture` of `org.mollusk.svm` (Mollusk 0.15) or of `org.solana.sealevel.v1`
    /// (Firedancer's, protosol 12). Only the latter has a third field.
    ///
    /// # Errors
    /// See [`FixtureError`].
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, FixtureError> {
        // Messages of the other layout may not even decode.
        match firedancer::InstrFixture::decode(bytes) {
            Ok(fixture) if fixture.output.is_some() => Self::of_firedancer(&fixture),
            _ => Self::of_mollusk(&mollusk::InstrFixture::decode(bytes)?),
        }
    }

    /// Reads the same as JSON, as Mollusk writes it: fields by name, bytes as arrays of numbers.
    ///
    /// # Errors
    /// See [`FixtureError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, FixtureError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        if value.get("metadata").is_some() {
            Self::of_firedancer(&serde_json::from_value(value)?)
        } else {
            Self::of_mollusk(&serde_json::from_value(value)?)
        }
    }

    /// How its program is loaded.
    #[must_use]
    pub fn load_options(&self) -> LoadOptions {
        let options = LoadOptions::default();
        match self.heap_size {
            Some(size) => options.with_heap_size(size),
            None => options,
        }
    }

    /// Whether the circuit accepts the invocation of this program, and it ends as recorded.
    ///
    /// Of an invocation that succeeds, accounts, return data and compute units are compared; of one whose program
    /// returns an error, number and compute units. Of one that traps, only that it fails: runtimes charge what
    /// was left of the budget for some traps.
    ///
    /// # Errors
    /// See [`FixtureFailure`].
    pub fn check(&self, program: &Program) -> Result<Provable, FixtureFailure> {
        let input = self.invocation.to_input()?;
        let run = Check::new(program)
            .input(input)
            .environment(self.environment.clone())
            .budget(self.budget)
            .run()?;
        let differences = self.differences(&run.trace)?;
        if differences.is_empty() {
            Ok(run)
        } else {
            Err(FixtureFailure::Differs { differences })
        }
    }

    fn differences(&self, trace: &ExecutionTrace) -> Result<Vec<String>, RegionError> {
        let (recorded, found) = (&self.effects, ExpectedResult::of(trace.outcome()));
        let mut differences = Vec::new();
        if found != recorded.result {
            let (outcome, result) = (trace.outcome(), recorded.result);
            differences.push(format!("{outcome:?} is {found}, not {result} as recorded"));
            return Ok(differences);
        }
        let units = trace.compute_units();
        if matches!(trace.outcome(), Outcome::Halt { .. }) && units != recorded.compute_units {
            let recorded = recorded.compute_units;
            differences.push(format!("{units} compute units, not {recorded}"));
        }
        if found != ExpectedResult::Success {
            return Ok(differences);
        }
        if trace.return_data() != recorded.return_data {
            let (is, was) = (
                hex::encode(trace.return_data()),
                hex::encode(&recorded.return_data),
            );
            differences.push(format!("return data {is}, not {was}"));
        }
        let after = self.invocation.post_accounts(trace.output())?;
        let accounts = self.invocation.unique_accounts().zip(&after);
        for ((account, after), recorded) in accounts.zip(&recorded.accounts) {
            let key = hex::encode(account.key);
            let mut differs = |what: &str, is: &dyn fmt::Display, was: &dyn fmt::Display| {
                differences.push(format!("{what} of account {key}: {is}, not {was}"));
            };
            if after.lamports != recorded.lamports {
                differs("lamports", &after.lamports, &recorded.lamports);
            }
            if after.owner != recorded.owner {
                let (is, was) = (hex::encode(after.owner), hex::encode(recorded.owner));
                differs("owner", &is, &was);
            }
            if after.data != recorded.data {
                let (is, was) = (hex::encode(&after.data), hex::encode(&recorded.data));
                differs("data", &is, &was);
            }
        }
        Ok(differences)
    }

    fn of_mollusk(fixture: &mollusk::InstrFixture) -> Result<Self, FixtureError> {
        let input = required(fixture.input.as_ref(), "the input")?;
        let output = required(fixture.output.as_ref(), "the output")?;
        let budget = required(input.compute_budget.as_ref(), "the compute budget")?;
        let program_id = address(&input.program_id, "the program's address")?;
        let state = |account: &mollusk::AcctState| {
            Ok::<_, FixtureError>(State {
                key: address(&account.address, "an account's address")?,
                owner: address(&account.owner, "an account's owner")?,
                lamports: account.lamports,
                data: account.data.clone(),
                executable: account.executable,
            })
        };
        let before = all(&input.accounts, state)?;
        let after = all(&output.resulting_accounts, state)?;
        let metas = input.instr_accounts.iter();
        let metas = metas.map(|meta| (meta.index, meta.is_signer, meta.is_writable));
        let invocation = invocation(program_id, &input.data, &before, &metas)?;
        let mut environment = Environment {
            program_id,
            ..Environment::default()
        };
        if let Some(sysvars) = &input.sysvars {
            sysvars::of_mollusk(sysvars, &mut environment)?;
        }
        let result = match output.program_result {
            0 => ExpectedResult::Success,
            // What it writes for errors that no program can return.
            u64::MAX => ExpectedResult::Failed,
            number => errors::of_status(number)
                .map(ExpectedResult::Error)
                .ok_or(FixtureError::Field { what: "the result" })?,
        };
        Ok(Self {
            environment,
            budget: budget.compute_unit_limit,
            heap_size: Some(budget.heap_size)
                .filter(|size| *size != 0)
                .map(u64::from),
            effects: Effects {
                result,
                compute_units: output.compute_units_consumed,
                return_data: output.return_data.clone(),
                accounts: accounts_after(&invocation, &after),
            },
            invocation,
        })
    }

    fn of_firedancer(fixture: &firedancer::InstrFixture) -> Result<Self, FixtureError> {
        let input = required(fixture.input.as_ref(), "the input")?;
        let output = required(fixture.output.as_ref(), "the output")?;
        let program_id = address(&input.program_id, "the program's address")?;
        let state = |account: &firedancer::AcctState| {
            if account.seed_addr.is_some() {
                let what = "an account's address (one derived from seeds is not read)";
                return Err(FixtureError::Field { what });
            }
            Ok(State {
                key: address(&account.address, "an account's address")?,
                owner: address(&account.owner, "an account's owner")?,
                lamports: account.lamports,
                data: account.data.clone(),
                executable: account.executable,
            })
        };
        let before = all(&input.accounts, state)?;
        let after = all(&output.modified_accounts, state)?;
        let metas = input.instr_accounts.iter();
        let metas = metas.map(|meta| (meta.index, meta.is_signer, meta.is_writable));
        let invocation = invocation(program_id, &input.data, &before, &metas)?;
        let mut environment = Environment {
            program_id,
            ..Environment::default()
        };
        if let Some(context) = &input.slot_context {
            sysvars::set_slot(context.slot, &mut environment);
        }
        for account in before
            .iter()
            .filter(|account| account.owner == sysvars::OWNER)
        {
            environment
                .sysvars
                .insert(account.key, account.data.clone());
        }
        let compute_units = input.cu_avail.checked_sub(output.cu_avail);
        Ok(Self {
            environment,
            budget: input.cu_avail,
            heap_size: None,
            effects: Effects {
                result: errors::of_number(output.result, output.custom_err)?,
                compute_units: required(compute_units, "what is left of the budget")?,
                return_data: output.return_data.clone(),
                accounts: accounts_after(&invocation, &after),
            },
            invocation,
        })
    }
}

/// An account's state in either layout.
struct State {
    key: Pubkey,
    owner: Pubkey,
    lamports: u64,
    data: Vec<u8>,
    executable: bool,
}

fn required<T>(part: Option<T>, what: &'static str) -> Result<T, FixtureError> {
    part.ok_or(FixtureError::Field { what })
}

fn address(bytes: &[u8], what: &'static str) -> Result<Pubkey, FixtureError> {
    required(bytes.try_into().ok(), what)
}

/// The states of accounts in one layout.
fn all<A>(
    accounts: &[A],
    state: impl Fn(&A) -> Result<State, FixtureError>,
) -> Result<Vec<State>, FixtureError> {
    accounts.iter().map(state).collect()
}

/// The invocation whose accounts are these states: by index, whether they sign, whether they may be written. An
/// account that is named twice is a duplicate, and has the rights of both.
fn invocation(
    program_id: Pubkey,
    data: &[u8],
    states: &[State],
    metas: &(impl Iterator<Item = (u32, bool, bool)> + Clone),
) -> Result<Invocation, FixtureError> {
    let what = "an account of the instruction";
    let mut invocation = Invocation::new(program_id).with_instruction_data(data);
    let mut places: Vec<u32> = Vec::new();
    for (index, ..) in metas.clone() {
        if let Some(first) = places.iter().position(|place| *place == index) {
            let first = required(u8::try_from(first).ok(), what)?;
            invocation = invocation.with_duplicate(first);
        } else {
            let state = required(states.get(index as usize), what)?;
            let same = metas.clone().filter(|(other, ..)| *other == index);
            let rights = same.fold((false, false), |(s, w), (_, signer, writable)| {
                (s || signer, w || writable)
            });
            let mut account = Account::new(state.key, state.owner)
                .with_lamports(state.lamports)
                .with_data(state.data.clone());
            (account.is_signer, account.is_writable) = rights;
            account.executable = state.executable;
            invocation = invocation.with_account(account);
        }
        places.push(index);
    }
    Ok(invocation)
}

/// The accounts after a run: as stated, or unchanged.
fn accounts_after(invocation: &Invocation, states: &[State]) -> Vec<PostAccount> {
    let after = invocation.unique_accounts().map(|account| {
        let stated = states.iter().find(|state| state.key == account.key);
        match stated {
            Some(state) => PostAccount {
                owner: state.owner,
                lamports: state.lamports,
                data: state.data.clone(),
            },
            None => PostAccount {
                owner: account.owner,
                lamports: account.lamports,
                data: account.data.clone(),
            },
        }
    });
    after.collect()
}
