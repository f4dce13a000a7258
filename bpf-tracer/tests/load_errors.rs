//! Programs that must not load, and why.

mod asm;

use asm::{EXIT, Fields, bytecode};
use bpf_tracer::{LoadError, LoadOptions, Op, Program, isa};

fn load(slots: &[Fields]) -> Result<Program, LoadError> {
    Program::load(&bytecode(slots), &LoadOptions::default())
}

/// The error of one bad instruction, which stands at slot 1.
fn error(bad: Fields) -> LoadError {
    load(&[(0xb7, 0, 0, 0, 0), bad, EXIT]).expect_err("it must not load")
}

fn reserved(bad: Fields, field: &'static str) {
    assert_eq!(
        error(bad),
        LoadError::ReservedField {
            pc: 1,
            opcode: bad.0,
            field
        }
    );
}

#[test]
fn bytecode_of_a_wrong_length() {
    let options = LoadOptions::default();
    assert_eq!(Program::load(&[], &options), Err(LoadError::Empty));
    assert_eq!(
        Program::load(&[0x95; 9], &options),
        Err(LoadError::PartialSlot { len: 9 })
    );
}

#[test]
fn opcodes_outside_the_table() {
    let known: Vec<u8> = isa::ROWS.iter().map(|row| row.opcode).collect();
    for opcode in (0..=u8::MAX).filter(|opcode| !known.contains(opcode)) {
        let found = error((opcode, 0, 0, 0, 0));
        if [0x20, 0x28, 0x30, 0x40, 0x48, 0x50].contains(&opcode) {
            assert_eq!(found, LoadError::LegacyPacketAccess { pc: 1, opcode });
        } else {
            assert_eq!(found, LoadError::UnknownOpcode { pc: 1, opcode });
        }
    }
}

#[test]
fn variants_outside_the_table() {
    for bad in [
        (0x37, 0, 0, 2, 1),    // div64 with offset 2
        (0xbf, 0, 1, 24, 0),   // movsx of 24 bits
        (0xbc, 0, 1, 32, 0),   // movsx of 32 bits to 32 bits
        (0xb7, 0, 0, 8, 1),    // movsx of an immediate
        (0xdc, 0, 0, 0, 8),    // be8
        (0xdb, 1, 2, 0, 0x02), // atomics that do not exist
        (0xdb, 1, 2, 0, 0xe0),
        (0xdb, 1, 2, 0, 0x100), // load-acquire
    ] {
        let (opcode, _, src, offset, imm) = bad;
        let found = error(bad);
        let expected = LoadError::UnknownVariant {
            pc: 1,
            opcode,
            src,
            offset,
            imm,
        };
        let is_reserved = found
            == LoadError::ReservedField {
                pc: 1,
                opcode,
                field: "offset",
            };
        assert!(
            found == expected || opcode == 0xb7 && is_reserved,
            "{bad:?}: {found}"
        );
    }
}

#[test]
fn reserved_fields_must_be_zero() {
    reserved((0x07, 1, 2, 0, 1), "source register"); // add64 imm
    reserved((0x07, 1, 0, 1, 1), "offset");
    reserved((0x0f, 1, 2, 0, 1), "immediate"); // add64 reg
    reserved((0x0f, 1, 2, 1, 0), "offset");
    reserved((0x87, 1, 2, 0, 0), "source register"); // neg64
    reserved((0x87, 1, 0, 0, 1), "immediate");
    reserved((0xdc, 1, 1, 0, 16), "source register"); // be16
    reserved((0xdc, 1, 0, 1, 16), "offset");
    reserved((0xbf, 1, 2, 8, 1), "immediate"); // movsx
    reserved((0x3f, 1, 2, 1, 1), "immediate"); // sdiv64 reg
    reserved((0x61, 1, 2, 0, 1), "immediate"); // ldxw
    reserved((0x62, 1, 2, 0, 1), "source register"); // stw
    reserved((0x63, 1, 2, 0, 1), "immediate"); // stxw
    reserved((0x05, 1, 0, 0, 0), "destination register"); // ja
    reserved((0x05, 0, 1, 0, 0), "source register");
    reserved((0x05, 0, 0, 0, 1), "immediate");
    reserved((0x06, 0, 0, 1, 0), "offset"); // ja32
    reserved((0x15, 1, 1, 0, 0), "source register"); // jeq imm
    reserved((0x1d, 1, 1, 0, 1), "immediate"); // jeq reg
    reserved((0x85, 1, 1, 0, 0), "destination register"); // call
    reserved((0x85, 0, 1, 1, 0), "offset");
    reserved((0x8d, 1, 1, 0, 0), "source register"); // callx
    reserved((0x8d, 1, 0, 0, 2), "immediate");
    reserved((0x8d, 1, 0, 1, 0), "offset");
    reserved((0x95, 1, 0, 0, 0), "destination register"); // exit
    reserved((0x95, 0, 1, 0, 0), "source register");
    reserved((0x95, 0, 0, 1, 0), "offset");
    reserved((0x95, 0, 0, 0, 1), "immediate");
    reserved((0x18, 1, 0, 1, 0), "offset"); // lddw
    reserved(
        (0x18, 1, 0, 0, 0),
        "second slot's opcode, register or offset",
    );
}

#[test]
fn registers_that_do_not_exist() {
    let invalid = |register| LoadError::InvalidRegister { pc: 1, register };
    assert_eq!(error((0xbf, 11, 0, 0, 0)), invalid(11));
    assert_eq!(error((0xbf, 0, 15, 0, 0)), invalid(15));
    assert_eq!(error((0x8d, 0, 0, 0, 11)), invalid(11));
    assert_eq!(error((0x8d, 0, 0, 0, -1)), invalid(u32::MAX));
}

#[test]
fn the_frame_pointer_is_read_only() {
    for bad in [
        (0x07, 10, 0, 0, 1),    // add64
        (0xbf, 10, 1, 0, 0),    // mov64
        (0x87, 10, 0, 0, 0),    // neg64
        (0xdc, 10, 0, 0, 16),   // be16
        (0x61, 10, 1, 0, 0),    // ldxw
        (0xdb, 1, 10, 0, 0x01), // atomic_fetch_add64
        (0xdb, 1, 10, 0, 0xe1), // xchg64
    ] {
        assert_eq!(
            error(bad),
            LoadError::WriteToFramePointer { pc: 1 },
            "{bad:?}"
        );
    }
    let wide = load(&[(0x18, 10, 0, 0, 0), (0, 0, 0, 0, 0), EXIT]);
    assert_eq!(wide, Err(LoadError::WriteToFramePointer { pc: 0 }));
    for good in [
        (0x63, 10, 10, -8, 0),
        (0xdb, 10, 10, -8, 0),
        (0xdb, 10, 10, -8, 0xf1),
    ] {
        assert!(load(&[good, EXIT]).is_ok(), "{good:?}");
    }
}

#[test]
fn wide_immediates() {
    let truncated = load(&[EXIT, (0x18, 0, 0, 0, 0)]);
    assert_eq!(truncated, Err(LoadError::TruncatedWideImmediate { pc: 1 }));
    assert_eq!(
        error((0x18, 0, 1, 0, 0)),
        LoadError::PseudoWideImmediate { pc: 1, src: 1 }
    );
}

#[test]
fn targets_outside_the_program() {
    let outside = |target| LoadError::TargetOutside { pc: 1, target };
    for opcode in [0x05, 0x15, 0x16, 0xdd] {
        assert_eq!(error((opcode, 0, 0, 1, 0)), outside(3), "{opcode:#x}");
        assert_eq!(error((opcode, 0, 0, -3, 0)), outside(-1), "{opcode:#x}");
    }
    assert_eq!(error((0x06, 0, 0, 0, i32::MAX)), outside((1 << 31) + 1));
    assert_eq!(error((0x85, 0, 1, 0, i32::MIN)), outside(2 - (1 << 31)));
    assert_eq!(error((0x85, 0, 1, 0, 1)), outside(3));
}

#[test]
fn targets_inside_wide_immediates() {
    let wide = [(0x18, 0, 0, 0, 0), (0, 0, 0, 0, 0), EXIT];
    for jump in [
        (0x05, 0, 0, 1, 0),
        (0x06, 0, 0, 0, 1),
        (0x85, 0, 1, 0, 1),
        (0x15, 0, 0, 1, 0),
    ] {
        let found = load(&[&[jump], wide.as_slice()].concat());
        assert_eq!(
            found,
            Err(LoadError::TargetInsideWideImmediate { pc: 0, target: 2 })
        );
    }
}

#[test]
fn helpers_are_named() {
    let helper = |id, name| LoadError::Helper { pc: 1, id, name };
    assert_eq!(error((0x85, 0, 0, 0, 1)), helper(1, "map_lookup_elem"));
    assert_eq!(error((0x85, 0, 0, 0, 5)), helper(5, "ktime_get_ns"));
    assert_eq!(error((0x85, 0, 0, 0, -1)), helper(-1, "unknown"));
    assert_eq!(
        error((0x85, 0, 2, 0, 7)),
        LoadError::KernelFunction { pc: 1, id: 7 }
    );

    let options = LoadOptions::default().with_allow_test_helper(true);
    let allowed = bytecode(&[(0x85, 0, 0, 0, 5), EXIT]);
    let program = Program::load(&allowed, &options).expect("helper 5 is allowed");
    assert_eq!(program.instructions()[0].op, Op::HelperIdentity);
}

#[test]
fn options_are_checked() {
    let exit = bytecode(&[EXIT]);
    for size in [0, 511, 513, 65 * 512, u64::MAX] {
        let found = Program::load(&exit, &LoadOptions::default().with_stack_size(size));
        assert_eq!(found, Err(LoadError::StackSize { size }));
    }
    for size in [512, 64 * 512] {
        let program = Program::load(&exit, &LoadOptions::default().with_stack_size(size));
        assert_eq!(
            program.map(|program| u64::from(program.max_call_depth())),
            Ok(size / 512)
        );
    }
    let found = Program::load(&exit, &LoadOptions::default().with_entry("main"));
    assert_eq!(
        found,
        Err(LoadError::EntryInRawBytecode {
            name: "main".to_owned()
        })
    );
}
