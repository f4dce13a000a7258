//! The cases of anza-xyz/sbpf's `tests/execution.rs`, and recorded runs of programs of Solana, where
//! the corpora are at hand: result, instructions, memory, and registers before every step.

mod corpora;
mod replay;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bpf_tracer::{
    Dialect, ExecutionTrace, Input, LoadOptions, Outcome, Program, SbpfParts, Tracer, TrapKind,
};
use serde_json::Value;

/// Cases that cannot run here: the test's name, where it is in the suite, its versions, and why.
const IMPOSSIBLE: [(&str, u64, &[&str], &str); 14] = [
    ("test_call_gather_bytes", 2336, &["V0", "V3"], OWN_SYSCALL),
    ("test_call_memfrob", 2358, &["V0", "V3"], OWN_SYSCALL),
    (
        "test_err_instruction_count_syscall_capped",
        2533,
        &["V0", "V3"],
        OWN_SYSCALL,
    ),
    ("test_err_syscall_string", 2277, &["V0", "V3"], OWN_SYSCALL),
    (
        "test_instruction_count_syscall",
        2514,
        &["V0", "V3"],
        OWN_SYSCALL,
    ),
    ("test_nested_vm_syscall", 2420, &["V0"], OWN_SYSCALL),
    ("test_stack2", 1657, &["V0", "V3"], OWN_SYSCALL),
    (
        "test_stack_call_depth_tracking",
        1952,
        &["V0"],
        "has room for two frames",
    ),
    ("test_string_stack", 1688, &["V0", "V3"], OWN_SYSCALL),
    ("test_symbol_relocation", 3932, &["V0", "V3"], OWN_SYSCALL),
    ("test_syscall", 2314, &["V0", "V3"], OWN_SYSCALL),
    (
        "test_syscall_parameter_on_stack",
        2079,
        &["V0", "V3"],
        OWN_SYSCALL,
    ),
    ("test_syscall_reloc_64_32", 2741, &["V0"], OWN_SYSCALL),
    ("test_syscall_static", 2723, &["V3"], OWN_SYSCALL),
];
const OWN_SYSCALL: &str = "calls a system call that only the suite has";

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn address(value: &Value) -> u64 {
    u64::from_str_radix(text(value).trim_start_matches("0x"), 16).unwrap()
}

fn functions(value: &Value) -> BTreeMap<u32, u32> {
    let functions = value.as_object().unwrap().iter();
    functions
        .map(|(key, slot)| (key.parse().unwrap(), slot.as_u64().unwrap() as u32))
        .collect()
}

fn dialect(value: &Value) -> Option<Dialect> {
    Dialect::from_name(&format!("sbpf-{}", text(value).to_lowercase()))
}

/// The case's program. Without read-only data it was made of its text alone.
fn program(case: &Value) -> Program {
    let dialect = dialect(&case["sbpf"]).unwrap();
    let text = hex::decode(text(&case["text"])).unwrap();
    let ro = hex::decode(self::text(&case["ro"])).unwrap();
    let text_base = address(&case["text_vaddr"]);
    let (readable, readable_base) = if ro.is_empty() {
        (
            text.clone(),
            if dialect.has_low_rodata() { 0 } else { 1 << 32 },
        )
    } else if dialect.has_low_rodata() {
        (ro, 0)
    } else if ro.starts_with(&text) {
        (ro, text_base)
    } else {
        (ro, 1 << 32)
    };
    let parts = SbpfParts {
        dialect,
        text,
        text_base,
        entry: case["entry_pc"].as_u64().unwrap() as u32,
        readable,
        readable_base,
        functions: functions(&case["functions"]),
    };
    Program::from_sbpf_parts(parts, &LoadOptions::default()).unwrap()
}

fn result(outcome: Outcome) -> String {
    match outcome {
        Outcome::Halt { r0 } => format!("Ok({r0})"),
        Outcome::Trap { kind, .. } => format!("Err({})", kind.name()),
    }
}

/// The suite's result without what a trap does not say here.
fn expected_result(case: &Value) -> String {
    let result = text(&case["result"]);
    if result.contains("AccessViolation(") {
        "Err(AccessViolation)".to_owned()
    } else {
        result.to_owned()
    }
}

/// The first difference between a trace and the registers `r0` to `r10` and slots of a recorded one.
fn register_difference(trace: &ExecutionTrace, expected: &[[u64; 12]]) -> Option<String> {
    let mut found = replay::registers(trace);
    let overrun = matches!(
        trace.outcome(),
        Outcome::Trap {
            kind: TrapKind::ExecutionOverrun,
            ..
        }
    );
    if overrun {
        // Counted, but not recorded there.
        found.pop();
    }
    let first = found.iter().zip(expected).position(|(a, b)| a != b);
    if let Some(step) = first {
        return Some(format!(
            "step {step}: {:?}, expected {:?}",
            found[step], expected[step]
        ));
    }
    (found.len() != expected.len())
        .then(|| format!("{} steps, expected {}", found.len(), expected.len()))
}

fn failure(case: &Value) -> Option<String> {
    let program = program(case);
    let memory = hex::decode(text(&case["mem_before"])).unwrap();
    let trace = Tracer::new(&program)
        .input(Input::from_bytes(memory))
        .step_limit(case["budget"].as_u64().unwrap())
        .trace()
        .unwrap();
    let (found, expected) = (result(trace.outcome()), expected_result(case));
    if found != expected {
        return Some(format!("{found}, expected {expected}"));
    }
    let (found, expected) = (trace.compute_units(), case["insn_count"].as_u64().unwrap());
    if found != expected {
        return Some(format!("{found} compute units, expected {expected}"));
    }
    if hex::encode(trace.output()) != text(&case["mem_after"]) {
        return Some("memory differs".to_owned());
    }
    if case["trace_len"] == 0 {
        return None;
    }
    let rows = case["trace"].as_array().unwrap().iter();
    let expected: Vec<[u64; 12]> = rows
        .map(|row| std::array::from_fn(|register| row[register].as_u64().unwrap()))
        .collect();
    register_difference(&trace, &expected)
}

#[test]
#[expect(clippy::print_stdout, reason = "figures")]
fn every_case_runs_as_it_does_in_solana_sbpf() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    let json = json(&corpora.join("sbpf_execution.json"));
    let cases = json["cases"].as_array().unwrap().iter();
    let of_dialect = cases.filter(|case| dialect(&case["sbpf"]).is_some());
    let (mut passed, mut left_out, mut failures) = (0, 0, Vec::new());
    let mut impossible = BTreeSet::new();
    for case in of_dialect {
        let (name, version) = (text(&case["test"]), text(&case["sbpf"]));
        let line = case["line"].as_u64().unwrap();
        let listed = IMPOSSIBLE.iter().any(|(test, at, versions, _)| {
            (*test, *at) == (name, line) && versions.contains(&version)
        });
        match (failure(case), listed) {
            (Some(_), true) => {
                impossible.insert((name, version));
                left_out += 1;
            }
            (Some(failure), false) => failures.push(format!("{name} ({version}): {failure}")),
            (None, true) => failures.push(format!("{name} ({version}) is possible")),
            (None, false) => passed += 1,
        }
    }
    println!("{passed} cases passed, {left_out} are impossible");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let listed = IMPOSSIBLE
        .iter()
        .flat_map(|(test, _, versions, _)| versions.iter().map(move |version| (*test, *version)));
    assert_eq!(impossible, listed.collect());
}

/// One recorded run's golden registers, read-only data and text.
fn recorded_run(corpora: &Path, name: &str) -> Option<String> {
    let run = &json(&corpora.join(format!("traces/{name}.json")))["vms"][0];
    let file = |kind: &str| std::fs::read(corpora.join(format!("traces/{name}.0.{kind}"))).unwrap();
    let parts = SbpfParts {
        dialect: dialect(&run["sbpf"]).unwrap(),
        text: file("text"),
        text_base: address(&run["text_vaddr"]),
        entry: run["entry_pc"].as_u64().unwrap() as u32,
        readable: file("ro"),
        readable_base: address(&run["ro_vaddr"]),
        functions: functions(&run["functions"]),
    };
    let program = Program::from_sbpf_parts(parts, &LoadOptions::default()).unwrap();
    let invocation = json(&corpora.join(format!("solana/{name}.json")));
    let region = hex::decode(text(&invocation["input_region_hex"])).unwrap();
    let trace = Tracer::new(&program)
        .input(Input::from_bytes(region))
        .trace()
        .unwrap();
    assert_eq!(trace.outcome(), Outcome::Halt { r0: 0 }, "{name}");
    assert_eq!(trace.crosses_frames(), None, "{name}");
    let units = invocation["compute_units"].as_u64().unwrap();
    assert_eq!(trace.compute_units(), units, "{name}");
    let regs = file("regs");
    let (words, []) = regs.as_chunks::<8>() else {
        panic!("{name}: not whole registers")
    };
    let words: Vec<u64> = words.iter().copied().map(u64::from_le_bytes).collect();
    let (rows, []) = words.as_chunks::<12>() else {
        panic!("{name}: not whole rows")
    };
    register_difference(&trace, rows).map(|difference| format!("{name}: {difference}"))
}

#[test]
fn recorded_programs_have_the_registers_that_were_recorded() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    for name in ["memo_v4", "ptoken_transfer", "spltoken_transfer"] {
        assert_eq!(recorded_run(&corpora, name), None);
    }
}
