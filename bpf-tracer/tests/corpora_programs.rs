//! C programs compiled by clang 14 and 22 for cpu v1 to v4, where the corpora are at hand.

mod corpora;

use std::path::Path;

use bpf_tracer::{ExecutionTrace, Input, LoadOptions, Outcome, Program, Tracer};

fn trace_object(path: &Path, input: Input) -> ExecutionTrace {
    let bytes = std::fs::read(path).unwrap();
    let program = Program::load(&bytes, &LoadOptions::default())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Tracer::new(&program).input(input).trace().unwrap()
}

#[test]
fn benchmark_programs_return_and_count_as_recorded() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    let programs: [(&str, u64, u64, u64); 5] = [
        ("fib", 20000, 0xc33a_e636_37cf_e905, 140_007),
        ("sha256", 2048, 0x5294_4bea_a84a_2206, 269_368),
        ("sort", 512, 0x0499_d84d_eae4_754c, 142_833),
        ("matmul", 24, 0xe94f_1173_910f_1183, 303_775),
        ("crc32", 1024, 0x9095_e70c, 60_428),
    ];
    for (name, size, r0, v3_steps) in programs {
        for cpu in ["v1", "v3", "v4"] {
            let path = corpora.join(format!("programs/{name}.bpf{cpu}.o"));
            let input = Input::from_bytes(size.to_le_bytes()).with_region_size(32 << 10);
            let trace = trace_object(&path, input);
            assert_eq!(trace.outcome(), Outcome::Halt { r0 }, "{name} {cpu}");
            if cpu == "v3" {
                assert_eq!(trace.instruction_count(), v3_steps, "{name}");
            }
        }
    }
}

#[test]
fn objects_return_and_count_as_recorded() {
    let Some(corpora) = corpora::folder() else {
        return;
    };
    for name in ["crc32", "divmod", "matmul", "sha256", "sort"] {
        for cpu in ["v1", "v2", "v3", "v4"] {
            let json = corpora.join(format!("cprogs/{name}.{cpu}.json"));
            let json = std::fs::read_to_string(json).unwrap();
            let case: serde_json::Value = serde_json::from_str(&json).unwrap();
            let r0 = case["expected_r0"]
                .as_str()
                .unwrap()
                .trim_start_matches("0x");
            let r0 = u64::from_str_radix(r0, 16).unwrap();
            let input = Input::from_bytes(hex::decode(case["mem"].as_str().unwrap()).unwrap())
                .with_region_size(case["mem_size"].as_u64().unwrap());
            assert_eq!(case["r2"].as_u64(), Some(input.bytes.len() as u64));

            for clang in ["clang22", "clang14"] {
                let path = corpora.join(format!("cprogs/{name}.{clang}.{cpu}.o"));
                if clang == "clang14" && !path.exists() {
                    continue;
                }
                let trace = trace_object(&path, input.clone());
                assert_eq!(trace.outcome(), Outcome::Halt { r0 }, "{}", path.display());
                if clang == "clang22" {
                    let steps = case["steps"].as_u64();
                    assert_eq!(Some(trace.instruction_count()), steps, "{}", path.display());
                }
            }

            // The linked bytecode of the same program, where it needs no data section of its own.
            if case["data"].as_array().unwrap().is_empty() {
                let bytecode = hex::decode(case["bytecode"].as_str().unwrap()).unwrap();
                let program = Program::from_bytecode(&bytecode, &LoadOptions::default()).unwrap();
                let run = Tracer::new(&program).input(input).run().unwrap();
                assert_eq!(run.outcome, Outcome::Halt { r0 }, "{name} {cpu}");
                assert_eq!(Some(run.steps), case["steps"].as_u64(), "{name} {cpu}");
            }
        }
    }
}
