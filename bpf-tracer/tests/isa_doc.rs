//! `docs/isa.md` lists every operation of every dialect, from the opcode tables. `ZKBPF_BLESS=1` writes it.

use std::fmt::Write as _;
use std::path::Path;

use bpf_tracer::canonical::{AluOp, AtomicOp, Cond, Op, Size, Source, Width};
use bpf_tracer::isa::{self, Variant, sbpf};
use bpf_tracer::{Dialect, Syscall, syscall};

const HEAD: &str = "\
# Instructions

Every operation of every dialect, written from the opcode tables (`bpf-tracer/src/isa.rs` and
`bpf-tracer/src/isa/sbpf.rs`) by `ZKBPF_BLESS=1 cargo test -p bpf-tracer --test isa_doc`.

* The columns of dialects hold the opcode byte, and what else selects the operation: `o` is the offset
  field, `i` the immediate field, `s` the source register field.
* `u8(x)` to `u32(x)` are the low bits, zero-extended to 64; `s8(x)` to `s32(x)` sign-extended.
  `[a]₈` to `[a]₆₄` are so many bits of memory, little-endian. `imm` is sign-extended to 64 bits.
* Arithmetic is modulo 2^64. Shift amounts are taken modulo the width.
* eBPF refuses instructions whose unused fields are not zero. sBPF ignores these fields; it refuses
  immediate divisors of zero and immediate shifts that are not below the width.
* What cannot be loaded, and what each dialect's calls and stack frames are, is in the crate's
  documentation.

";

/// One line of the table: everything but the opcodes.
#[derive(PartialEq, Eq)]
struct Line {
    mnemonic: &'static str,
    operands: &'static str,
    meaning: String,
}

fn selection(opcode: u8, variant: Variant) -> String {
    match variant {
        Variant::Plain => format!("`{opcode:02x}`"),
        Variant::Offset(value) => format!("`{opcode:02x}` o={value}"),
        Variant::Field(value) => format!("`{opcode:02x}` i={value:#x}"),
        Variant::Source(value) => format!("`{opcode:02x}` s={value}"),
    }
}

fn ebpf_line(row: &isa::Row) -> Line {
    use isa::Shape;
    let operands = match row.shape {
        Shape::Nothing => "",
        Shape::Dst => "dst",
        Shape::DstSrc => "dst, src",
        Shape::DstImm => "dst, imm",
        Shape::WideImm => "dst, imm64",
        Shape::Load => "dst, [src + offset]",
        Shape::StoreImm => "[dst + offset], imm",
        Shape::StoreReg | Shape::Atomic => "[dst + offset], src",
        Shape::Jump => "offset",
        Shape::JumpLong | Shape::CallLocal | Shape::CallHelper => "imm",
        Shape::BranchImm => "dst, imm, offset",
        Shape::BranchReg => "dst, src, offset",
        Shape::CallReg => "dst",
    };
    let meaning = match row.shape {
        Shape::WideImm => "dst = imm64".to_owned(),
        Shape::JumpLong => "go to the next slot + imm".to_owned(),
        Shape::CallLocal => "call the function at the next slot + imm".to_owned(),
        Shape::CallReg => "call the function whose address is in dst".to_owned(),
        _ => meaning(row.op, "imm"),
    };
    Line {
        mnemonic: row.mnemonic,
        operands,
        meaning,
    }
}

fn sbpf_line(row: &sbpf::Row) -> Line {
    use sbpf::Shape;
    let (operands, meaning) = match row.shape {
        Shape::Nothing => ("", meaning(row.op, "imm")),
        Shape::Dst => ("dst", meaning(row.op, "imm")),
        Shape::DstSrc => ("dst, src", meaning(row.op, "imm")),
        Shape::DstImm => ("dst, imm", meaning(row.op, "imm")),
        Shape::DstZeroImm => ("dst, imm", meaning(row.op, "u32(imm)")),
        Shape::DstHigh => ("dst, imm", meaning(row.op, "(imm << 32)")),
        Shape::WideImm => ("dst, imm64", "dst = imm64".to_owned()),
        Shape::Load => ("dst, [src + offset]", meaning(row.op, "imm")),
        Shape::StoreImm => ("[dst + offset], imm", meaning(row.op, "imm")),
        Shape::StoreReg => ("[dst + offset], src", meaning(row.op, "imm")),
        Shape::Jump => ("offset", meaning(row.op, "imm")),
        Shape::BranchImm => ("dst, imm, offset", meaning(row.op, "imm")),
        Shape::BranchReg => ("dst, src, offset", meaning(row.op, "imm")),
        Shape::CallHash => (
            "imm",
            "make the system call or call the function that imm numbers, or trap".to_owned(),
        ),
        Shape::CallSyscall => (
            "imm",
            "make the system call that imm numbers, or trap".to_owned(),
        ),
        Shape::CallRelative => (
            "imm",
            "call the function at the next slot + imm, or trap if that is outside".to_owned(),
        ),
        Shape::CallNothing => ("", "trap".to_owned()),
        Shape::CallImm => ("imm", call_address("that imm numbers")),
        Shape::CallSrc => ("src", call_address("src")),
        Shape::CallDst => ("dst", call_address("dst")),
    };
    Line {
        mnemonic: row.mnemonic,
        operands,
        meaning,
    }
}

fn call_address(register: &str) -> String {
    format!("call the function whose address is in the register {register}, rounded down to a slot")
}

fn meaning(op: Op, imm: &str) -> String {
    let pick = |source| match source {
        Source::Reg => "src",
        Source::Imm => imm,
    };
    match op {
        Op::Alu(width, op, source) => alu(width, op, pick(source)),
        Op::MovSx(Width::W32, size) => format!("dst = u32(s{}(src))", bits(size)),
        Op::MovSx(Width::W64, size) => format!("dst = s{}(src)", bits(size)),
        Op::ZeroExtend(Size::B8) => "nothing".to_owned(),
        Op::ZeroExtend(size) => format!("dst = u{}(dst)", bits(size)),
        Op::ByteSwap(size) => format!("dst = the low {} bits of dst, bytes reversed", bits(size)),
        Op::Load(size, signed) => {
            let cell = cell(size, "src");
            if signed {
                format!("dst = s{}({cell})", bits(size))
            } else {
                format!("dst = {cell}")
            }
        }
        Op::Store(size, source) => format!("{} = {}", cell(size, "dst"), pick(source)),
        Op::Atomic(size, op, fetch) => atomic(size, op, fetch),
        Op::Jump => "go to the next slot + offset".to_owned(),
        Op::Branch(width, cond, source) => {
            format!(
                "if {}, go to the next slot + offset",
                condition(width, cond, pick(source))
            )
        }
        Op::Exit => "return from the function, or halt with r0".to_owned(),
        Op::HelperIdentity => "r0 = r1 (helper 5 of the conformance suite, on request)".to_owned(),
        Op::None
        | Op::Call
        | Op::CallReg
        | Op::CallAddress
        | Op::Syscall(_)
        | Op::Unprovable
        | Op::Unresolved => unreachable!("{op:?} is told by its fields"),
    }
}

fn bits(size: Size) -> u64 {
    size.bytes() * 8
}

fn cell(size: Size, base: &str) -> String {
    let subscript = match size {
        Size::B1 => '₈'.to_string(),
        Size::B2 => "₁₆".to_owned(),
        Size::B4 => "₃₂".to_owned(),
        Size::B8 => "₆₄".to_owned(),
    };
    format!("[{base} + offset]{subscript}")
}

fn alu(width: Width, op: AluOp, x: &str) -> String {
    let (n, s) = match width {
        Width::W32 => ("u32", "s32"),
        Width::W64 => ("", "s64"),
    };
    // The operands as this operation sees them.
    let unsigned = |sign: &str| match width {
        Width::W32 => format!("u32(dst) {sign} u32({x})"),
        Width::W64 => format!("dst {sign} {x}"),
    };
    let signed = |sign: &str| format!("{s}(dst) {sign} {s}({x})");
    let wrap = |value: String| match width {
        Width::W32 => format!("dst = {n}({value})"),
        Width::W64 => format!("dst = {value}"),
    };
    match op {
        AluOp::Add => wrap(format!("dst + {x}")),
        AluOp::Sub => wrap(format!("dst - {x}")),
        AluOp::Mul => wrap(format!("dst · {x}")),
        AluOp::Or => wrap(format!("dst | {x}")),
        AluOp::And => wrap(format!("dst & {x}")),
        AluOp::Xor => wrap(format!("dst ^ {x}")),
        AluOp::Lsh => wrap(format!("dst << {x}")),
        AluOp::Mov => wrap(x.to_owned()),
        AluOp::Neg => wrap("-dst".to_owned()),
        AluOp::ReverseSub => wrap(format!("{x} - dst")),
        AluOp::Rsh => match width {
            Width::W32 => format!("dst = u32(dst) >> {x}"),
            Width::W64 => format!("dst = dst >> {x}"),
        },
        AluOp::Arsh => wrap(format!("{s}(dst) >> {x}")),
        AluOp::Div => format!("dst = {} (by zero: 0)", unsigned("/")),
        AluOp::Mod => format!("dst = {} (by zero: the dividend)", unsigned("%")),
        AluOp::Sdiv => format!("{} (by zero: 0; MIN / -1: MIN)", wrap(signed("/"))),
        AluOp::Smod => format!("{} (by zero: the dividend; MIN % -1: 0)", wrap(signed("%"))),
        AluOp::AddSx => format!("dst = s32(dst + {x})"),
        AluOp::SubSx => format!("dst = s32(dst - {x})"),
        AluOp::MulSx => format!("dst = s32(dst · {x})"),
        AluOp::DivTrap => format!("dst = {} (by zero: trap)", unsigned("/")),
        AluOp::ModTrap => format!("dst = {} (by zero: trap)", unsigned("%")),
        AluOp::SdivTrap => format!("{} (by zero, MIN / -1: trap)", wrap(signed("/"))),
        AluOp::SmodTrap => format!("{} (by zero, MIN % -1: trap)", wrap(signed("%"))),
        AluOp::MulHigh => format!("dst = the high 64 bits of dst · {x}"),
        AluOp::MulHighSigned => format!("dst = the high 64 bits of s64(dst) · s64({x})"),
    }
}

fn condition(width: Width, cond: Cond, x: &str) -> String {
    let (unsigned, signed) = match width {
        Width::W32 => ("u32", "s32"),
        Width::W64 => ("", "s64"),
    };
    let (sign, extend) = match cond {
        Cond::Eq => ("=", unsigned),
        Cond::Ne => ("≠", unsigned),
        Cond::Set => {
            return match width {
                Width::W32 => format!("u32(dst & {x}) ≠ 0"),
                Width::W64 => format!("dst & {x} ≠ 0"),
            };
        }
        Cond::Gt => (">", unsigned),
        Cond::Ge => ("≥", unsigned),
        Cond::Lt => ("<", unsigned),
        Cond::Le => ("≤", unsigned),
        Cond::Sgt => (">", signed),
        Cond::Sge => ("≥", signed),
        Cond::Slt => ("<", signed),
        Cond::Sle => ("≤", signed),
    };
    if extend.is_empty() {
        format!("dst {sign} {x}")
    } else {
        format!("{extend}(dst) {sign} {extend}({x})")
    }
}

fn atomic(size: Size, op: AtomicOp, fetch: bool) -> String {
    let cell = cell(size, "dst");
    let n = bits(size);
    let change = match op {
        AtomicOp::Add => format!("{cell} += src"),
        AtomicOp::Or => format!("{cell} |= src"),
        AtomicOp::And => format!("{cell} &= src"),
        AtomicOp::Xor => format!("{cell} ^= src"),
        AtomicOp::Xchg => return format!("src, {cell} = {cell}, src"),
        AtomicOp::CmpXchg => {
            return format!("if u{n}(r0) = {cell}, {cell} = src; r0 = {cell} before")
                .replace("u64(r0)", "r0");
        }
    };
    if fetch {
        format!("{change}; src = {cell} before")
    } else {
        change
    }
}

fn render() -> String {
    let mut lines: Vec<(Line, [Option<String>; 5])> = Vec::new();
    let mut add = |line: Line, dialect: Dialect, text: String| {
        let column = Dialect::ALL.iter().position(|of| *of == dialect);
        let column = column.expect("a dialect");
        let found = lines
            .iter_mut()
            .find(|(other, cells)| *other == line && cells[column].is_none());
        if let Some((_, cells)) = found {
            cells[column] = Some(text);
            return;
        }
        // Beside its namesakes.
        let place = lines
            .iter()
            .rposition(|(other, _)| other.mnemonic == line.mnemonic);
        let place = place.map_or(lines.len(), |place| place + 1);
        let mut cells = [const { None }; 5];
        cells[column] = Some(text);
        lines.insert(place, (line, cells));
    };
    for row in &isa::ROWS {
        add(
            ebpf_line(row),
            Dialect::Ebpf,
            selection(row.opcode, row.variant),
        );
    }
    for row in sbpf::ROWS {
        for dialect in Dialect::ALL
            .into_iter()
            .filter(|dialect| row.when.holds(*dialect))
        {
            add(sbpf_line(row), dialect, selection(row.opcode, row.variant));
        }
    }
    let mut text = HEAD.to_owned();
    text += "| mnemonic | ebpf | sbpf-v0 | sbpf-v1 | sbpf-v2 | sbpf-v3 | operands | meaning |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    for (line, cells) in lines {
        let mut row = vec![format!("`{}`", line.mnemonic)];
        row.extend(cells.map(Option::unwrap_or_default));
        row.push(line.operands.to_owned());
        row.push(line.meaning.replace('|', "\\|"));
        for cell in row {
            write!(text, "| {cell}{}", if cell.is_empty() { "" } else { " " }).expect("a string");
        }
        text += "|\n";
    }
    text += "\n## System calls of sBPF\n\nThose that can be proved, by the number in `imm`.\n\n";
    text += "| number | name |\n|---|---|\n";
    for syscall in Syscall::ALL {
        let name = syscall.name();
        writeln!(text, "| `{:08x}` | `{name}` |", syscall::name_hash(name)).expect("a string");
    }
    text += "\nThose that are known and cannot be proved: a run that reaches one has no trace.\n\n";
    text += "| number | name |\n|---|---|\n";
    for name in syscall::UNPROVABLE {
        writeln!(text, "| `{:08x}` | `{name}` |", syscall::name_hash(name)).expect("a string");
    }
    text
}

#[test]
fn the_document_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/isa.md");
    let expected = render();
    if std::env::var_os("ZKBPF_BLESS").is_some() {
        std::fs::write(&path, expected).expect("a writable document");
        return;
    }
    let found = std::fs::read_to_string(&path).expect("a document");
    let first = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert_eq!(first, None, "bless docs/isa.md, and read what has changed");
    assert!(found == expected, "docs/isa.md has another length");
}
