//! Programs of Solana's mainnet, from file and accounts to post-state, as a validator's code ran them.

mod corpora;

use std::path::Path;

use bpf_tracer::solana::{Invocation, apply_post_state, apply_post_state_of_sdk};
use bpf_tracer::{Environment, ExecutionTrace, Input, LoadOptions, Outcome, Program, Tracer};
use serde_json::Value;

/// Compute units of the recorded invocations.
const COMPUTE_UNITS: u64 = 1_400_000;

struct Case {
    name: String,
    json: Value,
    region: Vec<u8>,
    invocation: Invocation,
}

fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string")).expect("hex")
}

fn cases(corpora: &Path) -> Vec<Case> {
    let folder = std::fs::read_dir(corpora.join("solana")).expect("the recorded runs");
    let mut paths: Vec<_> = folder
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let cases: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a readable file");
            let json: Value = serde_json::from_str(&text).expect("JSON");
            let region = hex_of(&json["input_region_hex"]);
            Case {
                name: json["name"].as_str().expect("a name").to_owned(),
                invocation: Invocation::parse(&region).expect("a region"),
                region,
                json,
            }
        })
        .collect();
    assert!(!cases.is_empty());
    cases
}

/// The sysvars of the recorded runs: the rent is stated as 6,960 lamports a byte, exemption at once.
fn environment(invocation: &Invocation) -> Environment {
    let mut environment = Environment::default();
    let rent = [&6960_u64.to_le_bytes()[..], &1.0_f64.to_le_bytes(), &[50]];
    environment.sysvars.insert(Environment::RENT, rent.concat());
    environment.program_id = invocation.program_id;
    environment
}

fn trace(corpora: &Path, case: &Case) -> ExecutionTrace {
    let elf = case.json["elf"].as_str().expect("a file");
    let bytes = std::fs::read(corpora.join(elf)).expect("the executable");
    let program = Program::load(&bytes, &LoadOptions::default())
        .unwrap_or_else(|error| panic!("{elf}: {error}"));
    Tracer::new(&program)
        .input(Input::from_bytes(case.region.clone()))
        .environment(environment(&case.invocation))
        .step_limit(COMPUTE_UNITS)
        .trace()
        .unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[test]
fn recorded_invocations_end_as_recorded() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    for case in cases(&corpora) {
        let trace = trace(&corpora, &case);
        let name = &case.name;
        let result = case.json["expected_result"].as_str().expect("a result");
        let error = result
            .strip_prefix("Failure(Custom(")
            .and_then(|rest| rest.strip_suffix("))"))
            .map(|code| code.parse().expect("an error code"));
        assert!(error.is_some() || result == "Success", "{name}: {result}");
        let r0 = error.unwrap_or(0);
        assert_eq!(trace.outcome(), Outcome::Halt { r0 }, "{name}");

        let steps = case.json["steps"].as_array().expect("step counts");
        assert_eq!(steps.len(), 1, "{name} calls no other program");
        assert_eq!(Some(trace.instruction_count()), steps[0].as_u64(), "{name}");
        let units = case.json["compute_units"].as_u64();
        assert_eq!(Some(trace.compute_units()), units, "{name}: compute units");

        // What a failed invocation leaves is thrown away.
        let output = if error.is_some() {
            &case.region
        } else {
            trace.output()
        };
        let states = case.invocation.post_accounts(output).expect("accounts");
        let recorded = case.json["post_accounts"].as_array().expect("accounts");
        assert_eq!(states.len(), recorded.len(), "{name}");
        for (state, recorded) in states.iter().zip(recorded) {
            let key = &recorded["pubkey"];
            let lamports = recorded["lamports"].as_u64();
            assert_eq!(Some(state.lamports), lamports, "{name}: {key}");
            assert_eq!(state.data, hex_of(&recorded["data"]), "{name}: {key}");
        }

        // The region follows from the post-state, by the entrypoint that the program was built with.
        let left = case.invocation.post_accounts(trace.output());
        let left = left.expect("accounts");
        let is_of_sdk = name.starts_with("spltoken");
        let apply = if is_of_sdk {
            apply_post_state_of_sdk
        } else {
            apply_post_state
        };
        let region = apply(&case.region, &left).expect("a post-state");
        assert!(region == trace.output(), "{name}: region");
    }
}

/// Registers before each step, then the slot.
fn registers(trace: &ExecutionTrace, start: [u64; 11]) -> Vec<[u64; 12]> {
    let program = trace.program();
    let growth = program.dialect().frame_growth();
    let mut registers = start;
    let mut saved: Vec<[u64; 5]> = Vec::new();
    let mut rows = Vec::new();
    let depths = trace.steps().iter().skip(1).map(|step| step.depth);
    let depths = depths.chain([0]);
    for (step, next_depth) in trace.steps().iter().zip(depths) {
        let mut row = [0; 12];
        row[..11].copy_from_slice(&registers);
        row[11] = step.pc.into();
        rows.push(row);
        let instruction = &program.instructions()[step.pc as usize];
        if let Some(written) = instruction.written_register() {
            registers[usize::from(written)] = step.result;
        }
        if next_depth > step.depth {
            saved.push(registers[6..].try_into().expect("five registers"));
            registers[10] = registers[10].wrapping_add_signed(growth);
        } else if next_depth < step.depth {
            registers[6..].copy_from_slice(&saved.pop().expect("a caller"));
        }
    }
    rows
}

#[test]
fn recorded_registers_are_met_at_every_step() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    let mut count = 0;
    for case in cases(&corpora) {
        let recorded = corpora.join(format!("traces/{}.0.regs", case.name));
        let Ok(recorded) = std::fs::read(recorded) else {
            continue;
        };
        let (words, _) = recorded.as_chunks::<8>();
        let (recorded, _) = words.as_chunks::<12>();
        let trace = trace(&corpora, &case);
        let start = trace.program().initial_registers(trace.input());
        for (n, (own, recorded)) in registers(&trace, start).iter().zip(recorded).enumerate() {
            let recorded = recorded.map(u64::from_le_bytes);
            assert_eq!(*own, recorded, "{}: step {n}", case.name);
        }
        assert_eq!(trace.steps().len(), recorded.len(), "{}", case.name);
        count += 1;
    }
    assert!(count > 0, "there are golden traces");
}
