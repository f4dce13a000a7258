//! Programs, traces and keys for tests with real proofs.

use std::sync::OnceLock;

use bpf_tracer::{ExecutionTrace, Input, LoadOptions, Program, Tracer};
use prover::KeygenConfig;

/// The smallest circuit, with insecure test parameters; keys are shared by all tests of a binary.
pub(crate) fn config() -> &'static KeygenConfig {
    static CONFIG: OnceLock<KeygenConfig> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
        KeygenConfig::new(10, cache, 8)
            .with_chunk_size(10)
            .with_insecure_test_srs()
    })
}

fn slot(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> [u8; 8] {
    let [o0, o1] = offset.to_le_bytes();
    let [i0, i1, i2, i3] = imm.to_le_bytes();
    [opcode, src << 4 | dst, o0, o1, i0, i1, i2, i3]
}

/// Adds `count, count − 1, … 1` to the first input word; writes the sum to the second one and to the
/// stack, and returns it. Takes `5 + padding + 3·count` steps.
pub(crate) fn program(count: i32, padding: usize) -> Program {
    let mut code = vec![slot(0x79, 0, 1, 0, 0), slot(0xb7, 3, 0, 0, count)];
    code.extend((0..padding).map(|_| slot(0xb7, 4, 0, 0, 1)));
    code.extend([
        slot(0x0f, 0, 3, 0, 0),
        slot(0x07, 3, 0, 0, -1),
        slot(0x55, 3, 0, -3, 0),
        slot(0x7b, 1, 0, 8, 0),
        slot(0x7b, 10, 0, -8, 0),
        slot(0x95, 0, 0, 0, 0),
    ]);
    Program::load(&code.concat(), &LoadOptions::default()).expect("a valid program")
}

/// The first word is given, the second one is zero.
pub(crate) fn input(first: u64) -> Input {
    Input::from_bytes(first.to_le_bytes()).with_region_size(16)
}

/// A run of [`program`] with this number of steps (at least 8).
pub(crate) fn trace(steps: usize, first: u64) -> ExecutionTrace {
    let count = (steps - 5) / 3;
    let program = program(count as i32, (steps - 5) % 3);
    let trace = Tracer::new(&program)
        .input(input(first))
        .step_limit(1000.max(steps as u64))
        .trace();
    let trace = trace.expect("the input fits");
    assert_eq!(trace.instruction_count(), steps as u64);
    trace
}
