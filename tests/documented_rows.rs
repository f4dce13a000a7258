//! `docs/circuit.md` says how many rows each operation takes. This measures it, for every opcode.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use halo2curves::bn256::Fr;
use zkbpf::bpf_tracer::Dialect;
use zkbpf::bpf_tracer::canonical::Op;
use zkbpf::bpf_tracer::instruction::Slot;
use zkbpf::bpf_tracer::isa::{ROWS, Row, Shape as Operands, Variant, sbpf};
use zkbpf::zk_circuits::Plan;
use zkbpf::{Input, LoadOptions, Program, Shape, Tracer};

/// Where sBPF's text is.
const SBPF_TEXT: u64 = 1 << 32;

/// The instruction on ordinary operands; `r1` is the address of 16 bytes of input.
fn slots(row: &Row) -> Vec<Slot> {
    let mut slot = Slot {
        opcode: row.opcode,
        ..EXIT
    };
    match row.variant {
        Variant::Plain => {}
        Variant::Offset(offset) => slot.offset = offset,
        Variant::Field(imm) => slot.imm = imm,
        Variant::Source(src) => slot.src = src,
    }
    match row.shape {
        Operands::Nothing | Operands::CallHelper | Operands::Dst => {}
        Operands::DstSrc | Operands::BranchReg => slot.src = 2,
        Operands::DstImm | Operands::BranchImm => slot.imm = 5,
        Operands::WideImm => {}
        Operands::Load => slot.src = 1,
        Operands::StoreImm => slot.dst = 1,
        Operands::StoreReg | Operands::Atomic => (slot.dst, slot.src) = (1, 2),
        Operands::Jump | Operands::JumpLong => {}
        // The function behind `exit`.
        Operands::CallLocal => slot.imm = 1,
        Operands::CallReg => slot.dst = 3,
    }
    let second = Slot { opcode: 0, ..slot };
    match row.shape {
        Operands::WideImm => vec![slot, second],
        _ => vec![slot],
    }
}

/// A slot without operands.
const EXIT: Slot = Slot {
    opcode: 0x95,
    dst: 0,
    src: 0,
    offset: 0,
    imm: 0,
};

/// Loads 64 bits into a register.
fn wide(dst: u8, value: u64) -> [Slot; 2] {
    let slot = |opcode, dst, imm| Slot {
        opcode,
        dst,
        imm,
        ..EXIT
    };
    [
        slot(0x18, dst, value as i32),
        slot(0, 0, (value >> 32) as i32),
    ]
}

/// Rows that a program takes on 16 bytes of input.
fn rows_of_run(dialect: Dialect, slots: &[&[Slot]]) -> usize {
    let code: Vec<u8> = slots
        .concat()
        .iter()
        .flat_map(|slot| slot.encode())
        .collect();
    let options = LoadOptions::default().with_dialect(dialect);
    let program = Program::from_bytecode(&code, &options).expect("a valid program");
    let input = Input::from_bytes([1; 16]);
    let trace = Tracer::new(&program)
        .input(input)
        .trace()
        .expect("a small input");
    let shape = Shape::new(10, 8).expect("a supported size");
    let plan = Plan::new(&trace, shape, None).expect("it fits");
    plan.witness(0, &[[Fr::zero(); 8]; 8])
        .expect("a chunk")
        .used_rows()
}

/// Rows of an instruction of eBPF.
fn rows(row: &Row) -> usize {
    // r0 = 7; r2 = 5; r3 = the function behind `exit`.
    let text = zkbpf::bpf_tracer::canonical::layout::TEXT_BASE;
    let before = [wide(0, 7), wide(2, 5), wide(3, text + 8 * 8)].concat();
    let run = |middle: &[Slot]| rows_of_run(Dialect::Ebpf, &[&before, middle, &[EXIT, EXIT]]);
    let with = run(&slots(row));
    // A call ends in another `exit`, which returns.
    let returning = match row.shape {
        Operands::CallLocal | Operands::CallReg => 1,
        _ => 0,
    };
    with - run(&[]) - returning
}

/// Rows of an arithmetic instruction of sBPF.
fn rows_of_sbpf(dialect: Dialect, row: &sbpf::Row) -> usize {
    let mut slot = Slot {
        opcode: row.opcode,
        ..EXIT
    };
    match row.shape {
        sbpf::Shape::DstSrc => slot.src = 2,
        _ => slot.imm = 5,
    }
    // r0 = 7; r2 = 5.
    let load = |dst, imm| Slot {
        opcode: 0xb7,
        dst,
        imm,
        ..EXIT
    };
    let before = [load(0, 7), load(2, 5)];
    rows_of_run(dialect, &[&before, &[slot], &[EXIT]]) - rows_of_run(dialect, &[&before, &[EXIT]])
}

/// The lines of the table in the document: rows, operations. Forms of one name are told apart where they
/// differ.
fn table() -> String {
    let measured = ROWS
        .iter()
        // What `exit` takes depends on what it leaves; helpers exist in tests only.
        .filter(|row| !matches!(row.shape, Operands::Nothing | Operands::CallHelper))
        .map(|row| {
            let immediate = matches!(row.shape, Operands::DstImm | Operands::BranchImm);
            (
                row.mnemonic,
                rows(row),
                if immediate { "imm" } else { "reg" },
            )
        });
    let measured: Vec<_> = measured.collect();
    let mut table = String::new();
    for (rows, names) in by_rows(&measured) {
        writeln!(table, "| {rows} | {names} |").expect("strings take everything");
    }
    table
}

/// Names by rows, from name, rows and form.
fn by_rows(measured: &[(&str, usize, &str)]) -> BTreeMap<usize, String> {
    let mut by_rows: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (name, rows, form) in measured {
        let same = measured
            .iter()
            .filter(|(other, ..)| other == name)
            .all(|(_, r, _)| r == rows);
        let name = if same {
            (*name).to_owned()
        } else {
            format!("{name} {form}")
        };
        let names = by_rows.entry(*rows).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    by_rows
        .into_iter()
        .map(|(rows, names)| (rows, names.join(", ")))
        .collect()
}

/// The arithmetic that eBPF does not have: rows, operations of v0, v1 and v3, operations of v2.
fn table_of_sbpf() -> String {
    let new_in = |dialect| {
        let measured: Vec<_> = sbpf::rows(dialect)
            .filter(|row| matches!(row.op, Op::Alu(..)))
            .filter(|row| ROWS.iter().all(|known| known.op != row.op))
            .map(|row| {
                let register = row.shape == sbpf::Shape::DstSrc;
                let form = if register { "reg" } else { "imm" };
                (row.mnemonic, rows_of_sbpf(dialect, row), form)
            })
            .collect();
        by_rows(&measured)
    };
    let old = new_in(Dialect::SbpfV0);
    assert_eq!(old, new_in(Dialect::SbpfV1));
    assert_eq!(old, new_in(Dialect::SbpfV3));
    let new = new_in(Dialect::SbpfV2);
    let all: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut table = String::new();
    for rows in all {
        let of = |names: &BTreeMap<usize, String>| names.get(rows).cloned().unwrap_or_default();
        writeln!(table, "| {rows} | {} | {} |", of(&old), of(&new))
            .expect("strings take everything");
    }
    table
}

#[test]
fn rows_of_sbpf_are_documented() {
    let document = include_str!("../docs/circuit.md");
    let table = table_of_sbpf();
    assert!(
        document.contains(&table),
        "docs/circuit.md should have:\n{table}"
    );
}

/// A call of the function behind `exit`, without the `exit` that returns.
#[test]
fn rows_of_calls_are_documented() {
    let document = include_str!("../docs/circuit.md");
    let address = wide(3, SBPF_TEXT + 4 * 8);
    let run = |dialect, middle: &[Slot]| rows_of_run(dialect, &[&address, middle, &[EXIT, EXIT]]);
    let mut seen = Vec::new();
    for (dialect, register) in [
        (Dialect::SbpfV0, Slot { imm: 3, ..EXIT }),
        (Dialect::SbpfV3, Slot { dst: 3, ..EXIT }),
    ] {
        let callx = Slot {
            opcode: 0x8d,
            ..register
        };
        seen.push(run(dialect, &[callx]) - run(dialect, &[]) - 1);
    }
    let call = Slot {
        opcode: 0x85,
        src: 1,
        imm: 1,
        ..EXIT
    };
    let call = run(Dialect::SbpfV3, &[call]) - run(Dialect::SbpfV3, &[]) - 1;
    assert_eq!(seen[0], seen[1]);
    let sentence = format!("`call` takes {call} rows, `callx` {}", seen[0]);
    assert!(
        document.contains(&sentence),
        "docs/circuit.md should have: {sentence}"
    );
}

#[test]
fn rows_of_every_operation_are_documented() {
    let document = include_str!("../docs/circuit.md");
    let table = table();
    assert!(
        document.contains(&table),
        "docs/circuit.md should have:\n{table}"
    );
}

#[test]
fn bytes_of_large_operands_take_a_row_more() {
    for (a, b) in [(u32::MAX.into(), u64::MAX), (1 << 32, 0), (1, 1 << 63)] {
        let before = [wide(0, a), wide(2, b)].concat();
        let run = |middle: &[Slot]| rows_of_run(Dialect::Ebpf, &[&before, middle, &[EXIT]]);
        for opcode in [0x4c, 0x4f, 0x5c, 0x5f, 0xac, 0xaf] {
            let operation = Slot {
                opcode,
                src: 2,
                ..EXIT
            };
            assert_eq!(run(&[operation]) - run(&[]), 2, "{opcode:#x}");
        }
    }
    let sentence = "`and`, `or` and `xor` take one row more if an operand is 2^32 or greater.";
    assert!(include_str!("../docs/circuit.md").contains(sentence));
}

#[test]
fn masks_take_one_row() {
    let load = wide(0, u64::MAX);
    let run = |middle: &[Slot]| rows_of_run(Dialect::Ebpf, &[&load, middle, &[EXIT]]);
    let and = |opcode, imm| {
        let slot = Slot {
            opcode,
            imm,
            ..EXIT
        };
        run(&[slot]) - run(&[])
    };
    for opcode in [0x54, 0x57] {
        for bits in 0..32 {
            assert_eq!(and(opcode, ((1u64 << bits) - 1) as i32), 1, "{bits} bits");
        }
        assert_eq!(and(opcode, 5), 2);
    }
    // Of 64 bits it is all ones, which is extended.
    assert_eq!((and(0x54, -1), and(0x57, -1)), (1, 2));
    assert!(include_str!("../docs/circuit.md").contains("`and` with 2^*n* − 1 takes one row."));
}
