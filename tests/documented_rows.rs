//! `docs/circuit.md` says how many rows each operation takes. This measures it, for every opcode.

use std::collections::BTreeMap;
use std::fmt::Write;

use halo2curves::bn256::Fr;
use zkbpf::bpf_tracer::instruction::Slot;
use zkbpf::bpf_tracer::isa::{ROWS, Row, Shape as Operands, Variant};
use zkbpf::zk_circuits::Plan;
use zkbpf::{Input, LoadOptions, Program, Shape, Tracer};

/// The instruction on ordinary operands; `r1` is the address of 16 bytes of input.
fn slots(row: &Row) -> Vec<Slot> {
    let mut slot = Slot {
        opcode: row.opcode,
        dst: 0,
        src: 0,
        offset: 0,
        imm: 0,
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
        Operands::DstImm | Operands::BranchImm => slot.imm = 3,
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

/// Rows of the run, and of the run without the instruction.
fn rows(row: &Row) -> usize {
    let exit = Slot {
        opcode: 0x95,
        dst: 0,
        src: 0,
        offset: 0,
        imm: 0,
    };
    // r0 = 7; r2 = 5; r3 = the function behind `exit`.
    let wide = |dst, value: u64| {
        let slot = |opcode, dst, imm| Slot {
            opcode,
            dst,
            src: 0,
            offset: 0,
            imm,
        };
        [
            slot(0x18, dst, value as i32),
            slot(0, 0, (value >> 32) as i32),
        ]
    };
    let text = zkbpf::bpf_tracer::canonical::layout::TEXT_BASE;
    let before = [wide(0, 7), wide(2, 5), wide(3, text + 8 * 8)].concat();
    let run = |middle: &[Slot]| {
        let all = [&before[..], middle, &[exit, exit]].concat();
        let code: Vec<u8> = all.iter().flat_map(|slot| slot.encode()).collect();
        let program =
            Program::from_bytecode(&code, &LoadOptions::default()).expect("a valid program");
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
    };
    let with = run(&slots(row));
    // A call ends in another `exit`, which returns.
    let returning = match row.shape {
        Operands::CallLocal | Operands::CallReg => 1,
        _ => 0,
    };
    with - run(&[]) - returning
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
    let mut by_rows: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (name, rows, form) in &measured {
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
    let mut table = String::new();
    for (rows, names) in by_rows {
        writeln!(table, "| {rows} | {} |", names.join(", ")).expect("strings take everything");
    }
    table
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
