//! Compiles the contracts and runs them in an EVM, for tests.
//!
//! The compiler is npm's `solc`, which [`Solc::install`] fetches once. Where there is no node, no
//! npm or no registry, it says so with [`DevError::Unavailable`], and a test that has no compiler
//! can do nothing but say so too.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use revm::{
    Context, ExecuteCommitEvm as _, ExecuteEvm as _, MainBuilder as _, MainContext as _,
    MainnetEvm,
    context::{
        TxEnv,
        result::{ExecutionResult, Output},
    },
    database::InMemoryDB,
    handler::MainnetContext,
    precompile::Precompiles,
    primitives::{Address, TxKind},
};
use serde_json::{Value, json};

use crate::{Contracts, claim::code_hash, claim::constructor_arguments};

/// The compiler's version: generated contracts accept no other.
pub const SOLC_VERSION: &str = "0.8.19";

/// Gas of a transaction: what a block of the main network had for years.
pub const GAS_LIMIT: u64 = 30_000_000;

const DRIVER: &str = "\
const solc = require(process.argv[1] + '/node_modules/solc');\n\
const input = require('fs').readFileSync(0, 'utf8');\n\
process.stdout.write(solc.compile(input));\n";

/// Why a contract cannot be compiled or deployed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DevError {
    /// This machine has no compiler and cannot get one.
    #[error("no solc: {0}")]
    Unavailable(String),
    /// The compiler refuses the source.
    #[error("solc: {0}")]
    Compiler(String),
    /// The EVM refuses the transaction, or the constructor does.
    #[error("not deployed: {0}")]
    Deployment(String),
}

/// An installed compiler.
#[derive(Clone, Debug)]
pub struct Solc {
    directory: PathBuf,
}

/// A contract's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// What a transaction deploys, before the constructor's arguments.
    pub deployment: Vec<u8>,
    /// What is deployed, with zeros for immutable values.
    pub runtime: Vec<u8>,
}

impl Solc {
    /// The compiler under `parent`, a folder for build products. Installs it if it is not there.
    ///
    /// # Errors
    ///
    /// [`DevError::Unavailable`] if there is none.
    pub fn install(parent: &Path) -> Result<Self, DevError> {
        let directory = parent.join(format!("solc-{SOLC_VERSION}"));
        let present = |at: &Path| at.join("node_modules/solc/package.json").is_file();
        if present(&directory) {
            return Ok(Self { directory });
        }
        let failed = |error: std::io::Error| DevError::Unavailable(error.to_string());
        // Beside its place and then moved there: several tests and processes may do this at once.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        if present(&directory) {
            return Ok(Self { directory });
        }
        let own = parent.join(format!("solc-{SOLC_VERSION}-{}", std::process::id()));
        fs::create_dir_all(&own).map_err(failed)?;
        let output = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(&own)
            .arg(format!("solc@{SOLC_VERSION}"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| DevError::Unavailable(format!("npm: {error}")))?;
        if !output.status.success() || !present(&own) {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(DevError::Unavailable(format!(
                "npm install: {}",
                text.trim()
            )));
        }
        match fs::rename(&own, &directory) {
            Ok(()) => {}
            Err(_) if present(&directory) => fs::remove_dir_all(&own).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        }
        Ok(Self { directory })
    }

    /// Compiles one contract of a source, with the compiler's defaults and without metadata, so
    /// that the code's hash depends on the code only.
    ///
    /// # Errors
    ///
    /// [`DevError::Compiler`] with the messages if the source has errors.
    pub fn compile(&self, source: &str, contract: &str) -> Result<Compiled, DevError> {
        let input = json!({
            "language": "Solidity",
            "sources": { "source.sol": { "content": source } },
            "settings": {
                "metadata": { "appendCBOR": false },
                "outputSelection": {
                    "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] }
                },
            },
        });
        let failed = |error: std::io::Error| DevError::Unavailable(format!("node: {error}"));
        let mut node = Command::new("node")
            .args(["-e", DRIVER])
            .arg(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = node.stdin.take() {
            stdin
                .write_all(input.to_string().as_bytes())
                .map_err(failed)?;
        }
        let output = node.wait_with_output().map_err(failed)?;
        let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
            let text = String::from_utf8_lossy(&output.stderr);
            DevError::Unavailable(format!("node: {error}: {}", text.trim()))
        })?;
        let messages = |severity: &str| -> Vec<String> {
            let errors = answer.get("errors").and_then(Value::as_array);
            errors
                .into_iter()
                .flatten()
                .filter(|error| error.get("severity").and_then(Value::as_str) == Some(severity))
                .filter_map(|error| error.get("formattedMessage").and_then(Value::as_str))
                .map(str::to_owned)
                .collect()
        };
        let errors = messages("error");
        if !errors.is_empty() {
            return Err(DevError::Compiler(errors.join("\n")));
        }
        let code = |part: &str| {
            answer
                .pointer(&format!(
                    "/contracts/source.sol/{contract}/evm/{part}/object"
                ))
                .and_then(Value::as_str)
                .and_then(|text| hex::decode(text).ok())
                .ok_or_else(|| DevError::Compiler(format!("no {part} of {contract}")))
        };
        Ok(Compiled {
            deployment: code("bytecode")?,
            runtime: code("deployedBytecode")?,
        })
    }
}

/// How a call ended. Gas includes the transaction's own 21,000 and its calldata's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// It returned.
    Returned {
        /// Used.
        gas: u64,
        /// What it returned.
        output: Vec<u8>,
    },
    /// It reverted.
    Reverted {
        /// Used.
        gas: u64,
        /// The error: selector and arguments.
        output: Vec<u8>,
    },
    /// It ran out of gas, or met an invalid instruction, or was no valid transaction.
    Failed {
        /// How.
        reason: String,
    },
}

impl Called {
    /// It returned `true`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        matches!(self, Self::Returned { output, .. } if output.split_last() == Some((&1, &[0; 31])))
    }

    fn of<E: std::fmt::Debug>(result: Result<ExecutionResult, E>) -> (Self, Option<Address>) {
        let called = match result {
            Ok(ExecutionResult::Success {
                gas_used, output, ..
            }) => {
                let address = match &output {
                    Output::Create(_, address) => *address,
                    Output::Call(_) => None,
                };
                let output = output.into_data().to_vec();
                return (
                    Self::Returned {
                        gas: gas_used,
                        output,
                    },
                    address,
                );
            }
            Ok(ExecutionResult::Revert { gas_used, output }) => Self::Reverted {
                gas: gas_used,
                output: output.to_vec(),
            },
            Ok(ExecutionResult::Halt { reason, .. }) => Self::Failed {
                reason: format!("{reason:?}"),
            },
            Err(error) => Self::Failed {
                reason: format!("{error:?}"),
            },
        };
        (called, None)
    }
}

/// A contract on the [`Chain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Where.
    pub address: [u8; 20],
    /// Gas of the deployment.
    pub gas: u64,
}

/// Gas of a call before its first instruction.
#[must_use]
pub fn intrinsic_gas(calldata: &[u8]) -> u64 {
    let bytes = calldata.iter().map(|byte| if *byte == 0 { 4 } else { 16 });
    bytes.fold(21_000, |sum: u64, gas| sum.saturating_add(gas))
}

/// An EVM with nothing in it but what is deployed.
pub struct Chain {
    evm: MainnetEvm<MainnetContext<InMemoryDB>>,
    deployments: u64,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("deployments", &self.deployments)
            .finish_non_exhaustive()
    }
}

impl Default for Chain {
    fn default() -> Self {
        let evm = Context::mainnet()
            .with_db(InMemoryDB::default())
            .build_mainnet();
        Self {
            evm,
            deployments: 0,
        }
    }
}

impl Chain {
    /// A chain without the precompiled contracts for BN254 and for modular exponentiation.
    #[must_use]
    pub fn without_bn254() -> Self {
        let mut chain = Self::default();
        // They are replaced when the EVM learns which rules apply, so it has to have learnt them.
        let _ = chain.call([0; 20], &[]);
        chain.evm.precompiles.precompiles = Precompiles::homestead();
        chain
    }

    /// Deploys code with its constructor's arguments.
    ///
    /// # Errors
    ///
    /// [`DevError::Deployment`] if the constructor reverts or the code is too large.
    pub fn deploy(&mut self, code: &[u8], arguments: &[u8]) -> Result<Deployed, DevError> {
        let transaction = TxEnv {
            gas_limit: GAS_LIMIT,
            kind: TxKind::Create,
            data: [code, arguments].concat().into(),
            nonce: self.deployments,
            ..Default::default()
        };
        let (called, address) = Called::of(self.evm.transact_commit(transaction));
        // A transaction that is executed counts even if it reverts.
        if !matches!(called, Called::Failed { .. }) {
            self.deployments = self.deployments.saturating_add(1);
        }
        match (called, address) {
            (Called::Returned { gas, .. }, Some(address)) => Ok(Deployed {
                address: address.into(),
                gas,
            }),
            (Called::Reverted { output, .. }, _) => Err(DevError::Deployment(format!(
                "reverted with 0x{}",
                hex::encode(output)
            ))),
            (called, _) => Err(DevError::Deployment(format!("{called:?}"))),
        }
    }

    /// Calls a contract, and forgets what the call did.
    pub fn call(&mut self, address: [u8; 20], calldata: &[u8]) -> Called {
        let transaction = TxEnv {
            gas_limit: GAS_LIMIT,
            kind: TxKind::Call(address.into()),
            data: calldata.to_vec().into(),
            nonce: self.deployments,
            ..Default::default()
        };
        Called::of(self.evm.transact(transaction).map(|outcome| outcome.result)).0
    }
}

/// Both contracts, compiled and deployed on a chain of their own.
#[derive(Debug)]
pub struct Deployment {
    /// Where they are.
    pub chain: Chain,
    /// The generated contract's code.
    pub verifier_code: Compiled,
    /// The wrapper's code.
    pub wrapper_code: Compiled,
    /// The generated contract.
    pub verifier: Deployed,
    /// The wrapper.
    pub wrapper: Deployed,
}

impl Deployment {
    /// Compiles and deploys them.
    ///
    /// # Errors
    ///
    /// If a source or a constructor is refused, or a contract is too large.
    pub fn new(solc: &Solc, contracts: &Contracts) -> Result<Self, DevError> {
        let verifier_code = solc.compile(&contracts.verifier, "Halo2Verifier")?;
        let wrapper_code = solc.compile(&contracts.wrapper, "ZkbpfVerifier")?;
        let mut chain = Chain::default();
        let verifier = chain.deploy(&verifier_code.deployment, &[])?;
        let arguments = constructor_arguments(verifier.address, code_hash(&verifier_code.runtime));
        let wrapper = chain.deploy(&wrapper_code.deployment, &arguments)?;
        Ok(Self {
            chain,
            verifier_code,
            wrapper_code,
            verifier,
            wrapper,
        })
    }

    /// Calls the wrapper.
    pub fn call(&mut self, calldata: &[u8]) -> Called {
        self.chain.call(self.wrapper.address, calldata)
    }
}
