//! Raw programs of every dialect: decoded, checked, run for some steps.

use bpf_tracer::instruction::{SLOT_BYTES, Slot};
use bpf_tracer::{Dialect, LoadError, LoadOptions, Program};

use fuzz::{Choices, Depth, Stats, check_image, run, slots};

/// Most slots of a made-up program.
const MAX_SLOTS: usize = 48;

static STATS: Stats = Stats::new("raw");

#[test]
fn raw_programs() {
    bolero::check!().for_each(|bytes: &[u8]| STATS.count(target(bytes)));
    STATS.print();
}

/// One execution.
fn target(bytes: &[u8]) -> Depth {
    let mut choices = Choices::new(bytes);
    let dialect = choices.pick(&Dialect::ALL);
    let style = choices.byte();
    let options = options(dialect, &mut choices);
    let code = match style % 8 {
        0 => choices.rest().to_vec(),
        1..6 => plausible(dialect, &options, &mut choices, style & 8 == 0),
        _ => {
            let mut code = plausible(dialect, &options, &mut choices, true);
            for _ in 0..=choices.below(4) {
                change_slots(&mut code, &mut choices);
            }
            code
        }
    };
    let loaded = Program::load(&code, &options);
    assert_eq!(
        loaded,
        Program::load(&code, &options),
        "loading is a function"
    );
    match loaded {
        Ok(program) => {
            assert_eq!(program.instructions().len() * SLOT_BYTES, code.len());
            assert_eq!(program.dialect(), dialect);
            check_image(&program);
            if run(&program, &mut choices) {
                Depth::Semantic
            } else {
                Depth::Parsed
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Depth::Refused
        }
    }
}

fn options(dialect: Dialect, choices: &mut Choices<'_>) -> LoadOptions {
    let flags = choices.byte();
    let heap = [0, 64, 512, 4096][usize::from(flags & 3)];
    let frames = u64::from(flags >> 2 & 7);
    let stack = if frames == 7 {
        choices.value(512)
    } else {
        512 * (frames + 1)
    };
    LoadOptions::default()
        .with_dialect(dialect)
        .with_heap_size(heap)
        .with_stack_size(stack)
        .with_allow_test_helper(flags & 0x80 != 0)
}

/// Instructions that the table has. If `mend`, what the loader refuses becomes `r0 = 0`.
fn plausible(
    dialect: Dialect,
    options: &LoadOptions,
    choices: &mut Choices<'_>,
    mend: bool,
) -> Vec<u8> {
    let mut code = Vec::new();
    let count = choices.below(MAX_SLOTS);
    for _ in 0..count {
        slots::push(&mut code, dialect, choices);
    }
    code.extend(
        Slot {
            opcode: 0x95,
            ..Slot::default()
        }
        .encode(),
    );
    if mend {
        // At least one slot becomes good each time.
        for _ in 0..code.len() {
            let Some(pc) = Program::load(&code, options)
                .err()
                .and_then(|error| slot_of(&error))
            else {
                break;
            };
            let filler = Slot {
                opcode: 0xb7,
                ..Slot::default()
            }
            .encode();
            let at = pc as usize * SLOT_BYTES;
            code[at..at + SLOT_BYTES].copy_from_slice(&filler);
        }
    }
    code
}

/// The slot that an error is about.
fn slot_of(error: &LoadError) -> Option<u32> {
    match error {
        LoadError::UnknownOpcode { pc, .. }
        | LoadError::UnknownSbpfOpcode { pc, .. }
        | LoadError::UnknownVariant { pc, .. }
        | LoadError::ReservedField { pc, .. }
        | LoadError::InvalidRegister { pc, .. }
        | LoadError::WriteToFramePointer { pc }
        | LoadError::LegacyPacketAccess { pc, .. }
        | LoadError::TruncatedWideImmediate { pc }
        | LoadError::IncompleteWideImmediate { pc }
        | LoadError::ZeroDivisor { pc }
        | LoadError::ShiftTooLarge { pc, .. }
        | LoadError::UnalignedFrame { pc, .. }
        | LoadError::PseudoWideImmediate { pc, .. }
        | LoadError::TargetOutside { pc, .. }
        | LoadError::TargetInsideWideImmediate { pc, .. }
        | LoadError::Helper { pc, .. }
        | LoadError::KernelFunction { pc, .. } => Some(*pc),
        _ => None,
    }
}

/// Moves, repeats, removes slots, or changes bytes of them.
fn change_slots(code: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let count = code.len() / SLOT_BYTES;
    let at = choices.below(count) * SLOT_BYTES;
    let end = (at + SLOT_BYTES).min(code.len());
    match choices.byte() % 8 {
        0 => code.extend_from_within(at..end),
        1 => drop(code.drain(at..end)),
        2 => code[at..].rotate_left(SLOT_BYTES.min(end - at)),
        3 => choices.change_bytes(code),
        4 => choices.change_field(&mut code[at..(at + 1).min(end)]),
        5 => choices.change_field(&mut code[(at + 1).min(end)..(at + 2).min(end)]),
        6 => choices.change_field(&mut code[(at + 2).min(end)..(at + 4).min(end)]),
        _ => choices.change_field(&mut code[(at + 4).min(end)..end]),
    }
}
