//! No input makes the crate panic, and what it reads it writes back.

mod asm;

use bpf_tracer::instruction::Slot;
use bpf_tracer::{LoadOptions, Program, isa};
use proptest::prelude::*;

/// Runs whatever loads, in both ways, and looks at all that comes out.
fn exercise(bytes: &[u8], options: &LoadOptions) {
    let program = match Program::load(bytes, options) {
        Ok(program) => program,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let slots = program.instructions().len() as u32;
    for pc in 0..=slots {
        assert!(!program.disassemble(pc).is_empty());
    }
    let _ = program.id();
    #[cfg(feature = "vm")]
    {
        let input = bpf_tracer::Input::from_bytes([7; 40]).with_region_size(64);
        let tracer = bpf_tracer::Tracer::new(&program)
            .input(input)
            .step_limit(1000);
        let trace = tracer.clone().trace().expect("a small input");
        let run = tracer.run().expect("a small input");
        assert_eq!(
            (run.outcome, run.steps),
            (trace.outcome(), trace.instruction_count())
        );
        assert!(trace.steps().iter().all(|step| step.pc <= slots));
        assert!(trace.touched_pages().is_sorted());
        let counted: u64 = trace.opcode_histogram().values().sum();
        assert!(counted <= run.steps);
    }
}

/// Slots that the opcode table knows, with registers and distances that are often right.
fn plausible_slot() -> impl Strategy<Value = Slot> {
    let fields = (
        0..isa::ROWS.len(),
        0..11_u8,
        0..11_u8,
        -6..6_i16,
        any::<i32>(),
    );
    fields.prop_map(|(row, dst, src, offset, imm)| {
        use isa::Shape::{
            Atomic, BranchImm, BranchReg, CallHelper, CallLocal, DstImm, DstSrc, Jump, JumpLong,
            Load, StoreImm, StoreReg, WideImm,
        };
        let row = isa::ROWS[row];
        let shape = row.shape;
        let mut slot = Slot {
            opcode: row.opcode,
            dst,
            ..Slot::default()
        };
        if matches!(shape, DstSrc | Load | StoreReg | Atomic | BranchReg) {
            slot.src = src;
        }
        if matches!(
            shape,
            Load | StoreImm | StoreReg | Atomic | Jump | BranchImm | BranchReg
        ) {
            slot.offset = offset;
        }
        // Half of the memory operations go to the stack.
        if src % 2 == 0 && matches!(shape, StoreImm | StoreReg | Atomic) {
            (slot.dst, slot.offset) = (10, -8 + offset);
        }
        if dst % 2 == 0 && shape == Load {
            (slot.src, slot.offset) = (10, -8 + offset);
        }
        if matches!(shape, DstImm | StoreImm | BranchImm | WideImm) {
            slot.imm = imm;
        }
        if matches!(shape, JumpLong | CallLocal) {
            slot.imm = offset.into();
        }
        if matches!(shape, Jump | JumpLong | CallLocal | CallHelper) || row.mnemonic == "exit" {
            slot.dst = 0;
        }
        match row.variant {
            isa::Variant::Plain => {}
            isa::Variant::Offset(value) => slot.offset = value,
            isa::Variant::Field(value) => slot.imm = value,
            isa::Variant::Source(value) => slot.src = value,
        }
        if shape == CallHelper {
            slot.imm = 5;
        }
        slot
    })
}

proptest! {
    #[test]
    fn slots_round_trip(bytes: [u8; 8]) {
        prop_assert_eq!(Slot::decode(bytes).encode(), bytes);
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        exercise(&bytes, &LoadOptions::default());
    }

    #[test]
    fn random_elf_files_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.extend(bytes);
        exercise(&file, &LoadOptions::default());
    }

    #[test]
    fn plausible_programs_do_not_panic(
        slots in proptest::collection::vec(plausible_slot(), 1..24),
        frames in 1..5_u64,
    ) {
        let mut bytes = Vec::new();
        for slot in slots {
            bytes.extend(slot.encode());
            if slot.opcode == 0x18 {
                bytes.extend(Slot { imm: slot.imm & 7, ..Slot::default() }.encode());
            }
        }
        bytes.extend(asm::bytecode(&[asm::EXIT]));
        let options = LoadOptions::default().with_allow_test_helper(true);
        exercise(&bytes, &options.with_stack_size(frames * 512));
    }
}
