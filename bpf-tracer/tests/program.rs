//! What a loaded program says about itself.

mod asm;

use asm::{EXIT, bytecode};
use bpf_tracer::canonical::layout::{INPUT_BASE, STACK_BASE};
use bpf_tracer::{Dialect, Input, Interval, LoadOptions, Permission, Program};

fn load(slots: &[asm::Fields], options: &LoadOptions) -> Program {
    Program::load(&bytecode(slots), options).expect("it loads")
}

#[test]
fn identity_is_pinned() {
    let program = load(
        &[(0x18, 0, 0, 0, 7), (0, 0, 0, 0, 1), EXIT],
        &LoadOptions::default(),
    );
    let pinned = "72706fed576b1a158c007c9930990639c319884107af5be78dbda779b46376b2";
    assert_eq!(
        hex::encode(program.id()),
        pinned,
        "the encoding of programs has changed"
    );
}

#[test]
fn identity_depends_on_every_option() {
    let default = LoadOptions::default();
    let ids = [
        load(&[EXIT], &default).id(),
        load(&[EXIT, EXIT], &default).id(),
        load(&[(0xb7, 0, 0, 0, 0), EXIT], &default).id(),
        load(&[EXIT], &default.clone().with_stack_size(512)).id(),
        load(&[EXIT], &default.clone().with_allow_test_helper(true)).id(),
    ];
    for (i, id) in ids.iter().enumerate() {
        assert!(!ids[..i].contains(id), "{i}");
    }
    assert_eq!(load(&[EXIT], &default).id(), ids[0]);
}

#[test]
fn intervals_partition_the_address_space() {
    let program = load(&[EXIT], &LoadOptions::default());
    let interval = |start: u64, end: u64, permission| Interval {
        start: start.into(),
        end: end.into(),
        permission,
        open_end: false,
    };
    let (stack_end, none) = (STACK_BASE + 4096, Permission::None);
    let expected = [
        interval(0, STACK_BASE, none),
        interval(STACK_BASE, stack_end, Permission::ReadWrite),
        interval(stack_end, INPUT_BASE, none),
    ];
    assert_eq!(program.intervals(), expected);

    for len in [0, 1, 300, 1 << 31] {
        let all = program.intervals_with_input(len);
        assert_eq!(all.first().map(|first| first.start), Some(0));
        assert_eq!(all.last().map(|last| last.end), Some(1 << 64));
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(all.iter().all(|interval| interval.start < interval.end));
    }
}

#[test]
fn registers_start_as_the_calling_convention_says() {
    let program = load(&[EXIT], &LoadOptions::default().with_stack_size(1024));
    let at = |input: Input| program.initial_registers(&input);
    let r10 = STACK_BASE + 1024;
    assert_eq!(at(Input::default()), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, r10]);
    let given = Input::from_bytes([1, 2]).with_region_size(9);
    assert_eq!(at(given), [0, INPUT_BASE, 2, 0, 0, 0, 0, 0, 0, 0, r10]);
    let empty = Input::default().with_region_size(9);
    assert_eq!(at(empty)[..3], [0, INPUT_BASE, 0]);
}

#[test]
fn disassembly_reads_like_llvm() {
    let lines = [
        ((0x07, 1, 0, 0, -5), "r1 += -0x5"),
        ((0x0c, 1, 2, 0, 0), "w1 += w2"),
        ((0x3f, 1, 2, 1, 0), "r1 s/= r2"),
        ((0xc4, 3, 0, 0, 3), "w3 s>>= 0x3"),
        ((0xb4, 1, 0, 0, -1), "w1 = -0x1"),
        ((0x84, 1, 0, 0, 0), "w1 = -w1"),
        ((0xbf, 1, 2, 8, 0), "r1 = (s8)r2"),
        ((0xd4, 1, 0, 0, 16), "r1 = le16 r1"),
        ((0xdc, 1, 0, 0, 64), "r1 = be64 r1"),
        ((0x61, 1, 2, 8, 0), "r1 = *(u32 *)(r2 + 0x8)"),
        ((0x89, 1, 2, -8, 0), "r1 = *(s16 *)(r2 - 0x8)"),
        ((0x7b, 10, 1, -8, 0), "*(u64 *)(r10 - 0x8) = r1"),
        ((0x72, 1, 0, 0, 5), "*(u8 *)(r1 + 0x0) = 0x5"),
        ((0xdb, 1, 2, 0, 0), "lock *(u64 *)(r1 + 0x0) += r2"),
        (
            (0xc3, 1, 2, 0, 0x41),
            "w2 = atomic_fetch_or((u32 *)(r1 + 0x0), w2)",
        ),
        ((0xdb, 1, 2, 0, 0xe1), "r2 = xchg_64(r1 + 0x0, r2)"),
        ((0xc3, 1, 2, 0, 0xf1), "w0 = cmpxchg32_32(r1 + 0x0, w0, w2)"),
        ((0x05, 0, 0, -1, 0), "goto -0x1 <slot 17>"),
        ((0x2d, 1, 2, 0, 0), "if r1 > r2 goto +0x0 <slot 19>"),
        ((0x66, 1, 0, 0, -2), "if w1 s> -0x2 goto +0x0 <slot 20>"),
        ((0x85, 0, 1, 0, 0), "call +0x0 <slot 21>"),
        ((0x8d, 4, 0, 0, 0), "callx r4"),
        (EXIT, "exit"),
        ((0x18, 6, 0, 0, -1), "r6 = 0x1ffffffff ll"),
        ((0, 0, 0, 0, 1), "<second slot of lddw>"),
    ];
    let slots: Vec<asm::Fields> = lines.iter().map(|(slot, _)| *slot).collect();
    let program = load(&slots, &LoadOptions::default());
    for (pc, (_, line)) in (0..).zip(lines) {
        assert_eq!(program.disassemble(pc), line, "slot {pc}");
    }
    assert_eq!(program.disassemble(25), "<outside the program>");
    assert_eq!(program.mnemonic(24), "none");
    assert_eq!(program.mnemonic(0), "add64");
}

#[test]
fn dialects_have_names() {
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::from_name(dialect.name()), Some(dialect));
    }
    assert_eq!(Dialect::from_name("x86"), None);
}
