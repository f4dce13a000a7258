//! `export-verifier`: contracts that verify aggregates like a given one, and the call for that one.

use std::fs;

use serde::Serialize;
use zkbpf::evm_verifier::{aggregate_calldata, export_aggregate};
use zkbpf::verifier::ClaimDigest;
use zkbpf::{AggregationConfig, Claim, ExpectedOutcome, verify_aggregate};

use super::args::{Common, ExportVerifier};
use super::output::{self, SrsJson};
use super::proof_file::ProofFile;
use super::{Ending, Failure, environment, program};

#[derive(Serialize)]
struct ExportJson {
    program_id: String,
    /// What the wrapper is fixed to.
    setup: String,
    key: String,
    slots: u32,
    proof_bytes: usize,
    #[serde(flatten)]
    srs: SrsJson,
    files: Vec<String>,
}

pub(crate) fn execute(args: &ExportVerifier, common: &Common) -> Result<Ending, Failure> {
    program::require_srs(common)?;
    let (proof, _) = ProofFile::read(&args.file).map_err(|error| error.failure(&args.file))?;
    let ProofFile::Aggregate(proof) = proof else {
        let name = args.file.display();
        let message = format!("{name} has a proof for each chunk, which no contract verifies");
        let help = format!("make them one first: zkbpf aggregate {name} -o AGGREGATE");
        return Err(Failure::input(message, help));
    };
    let program = match &args.program {
        None => program::recall(common, &hex::encode(proof.info.program_id))?,
        Some(path) => program::load(Some(path), &args.load)?.0,
    };
    let failure = |error| Failure::proving(common, &error);
    let config = program::config(common, proof.info.k)?;
    let refuse = |reason: String| {
        let json = serde_json::json!({ "valid": false, "reason": reason });
        output::result(common, &json, &format!("INVALID: {reason}"))?;
        Ok(Ending::Invalid)
    };
    if let Some(reason) = program::other_parameters(common, &config, proof.info.srs)? {
        return refuse(reason);
    }
    let key = AggregationConfig::new(&config).key().map_err(failure)?;
    // The contract is fixed to what the proof was made with: that must be this program's.
    let claim = Claim {
        environment: environment::load(&args.environment, program.dialect())?,
        input: None,
        outcome: ExpectedOutcome::Any,
        output: None,
        return_data: Vec::new(),
        compute_units: None,
        budget: program::budget(&args.limits, program.dialect()),
        program,
    };
    if let Err(error) = verify_aggregate(&proof, &claim, &key) {
        return refuse(error.to_string());
    }
    let slots = u32::try_from(claim.program.instructions().len()).map_err(Failure::defect)?;
    let contracts = export_aggregate(&proof, &key, slots).map_err(Failure::defect)?;
    let calldata = aggregate_calldata(&proof, &key)
        .ok_or_else(|| Failure::defect("the run ends in no way that a contract knows"))?;

    fs::create_dir_all(&args.output).map_err(|error| Failure::write(&args.output, &error))?;
    let calldata = format!("0x{}\n", hex::encode(calldata));
    let mut files = Vec::new();
    for (name, contents) in [
        ("Halo2Verifier.sol", &contracts.verifier),
        ("ZkbpfVerifier.sol", &contracts.wrapper),
        ("calldata.hex", &calldata),
    ] {
        let path = args.output.join(name);
        program::write_whole(&path, contents.as_bytes())?;
        files.push(path.display().to_string());
    }
    let digest = ClaimDigest::of(&proof.run, key.chunk_key().id());
    let json = ExportJson {
        program_id: hex::encode(claim.program.id()),
        setup: format!("{:?}", digest.setup),
        key: key.id().to_string(),
        slots,
        proof_bytes: proof.proof.len(),
        srs: key.chunk_key().srs().into(),
        files,
    };
    let mut text = format!(
        "contracts   {}\nsetup       {}\nkey         {}\nprogram id  {}\n\
         srs         {}\n\
         Compile with solc 0.8.19 without the optimizer; docs/aggregation.md says how to deploy.",
        json.files.join(", "),
        json.setup,
        json.key,
        json.program_id,
        json.srs.text()
    );
    json.srs.warn(&mut text);
    output::done(common, &json, &text)
}

#[cfg(test)]
mod tests {
    use zkbpf::SrsIdentity;
    use zkbpf::verifier::SrsKind;

    use super::*;
    use crate::cli::documented::assert_documented;

    /// What needs an aggregate to be printed.
    #[test]
    fn fields_are_documented() {
        let json = ExportJson {
            program_id: String::new(),
            setup: String::new(),
            key: String::new(),
            slots: 1,
            proof_bytes: 2,
            srs: SrsIdentity {
                kind: SrsKind::InsecureTest,
                digest: [0; 32],
            }
            .into(),
            files: vec![String::new()],
        };
        let json = serde_json::to_value(&json).expect("JSON");
        assert_documented("### `export-verifier --json`", &[&json]);
    }
}
