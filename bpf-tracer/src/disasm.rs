//! Canonical instructions as text, in LLVM's notation.

use crate::canonical::{AluOp, AtomicOp, Cond, Instruction, Op, Size, Source, Width};

/// One line for the instruction at slot `pc`.
pub(crate) fn line(pc: u32, at: &Instruction) -> String {
    let Instruction {
        dst, src, target, ..
    } = *at;
    match at.op {
        _ if at.is_wide() => format!("r{dst} = {:#x} ll", at.imm),
        Op::None => "<second slot of lddw>".to_owned(),
        Op::Alu(width, AluOp::Neg, _) => {
            let register = register(width, dst);
            format!("{register} = -{register}")
        }
        Op::Alu(width, AluOp::ReverseSub, source) => {
            let (register, operand) = (register(width, dst), operand(width, source, at));
            format!("{register} = {operand} - {register}")
        }
        Op::Alu(width, op, source) => {
            let (register, operand) = (register(width, dst), operand(width, source, at));
            format!("{register} {} {operand}", alu_sign(op))
        }
        Op::MovSx(width, size) => {
            let (to, from) = (register(width, dst), register(width, src));
            format!("{to} = (s{}){from}", bits(size))
        }
        Op::ZeroExtend(size) => format!("r{dst} = le{} r{dst}", bits(size)),
        Op::ByteSwap(size) => format!("r{dst} = be{} r{dst}", bits(size)),
        Op::Load(size, signed) => {
            let letter = if signed { 's' } else { 'u' };
            format!(
                "r{dst} = *({letter}{} *)({})",
                bits(size),
                address(src, at.offset)
            )
        }
        Op::Store(size, source) => {
            let operand = operand(Width::W64, source, at);
            format!(
                "*(u{} *)({}) = {operand}",
                bits(size),
                address(dst, at.offset)
            )
        }
        Op::Atomic(size, op, fetch) => atomic(size, op, fetch, at),
        Op::Jump => format!("goto {}", distance(pc, target)),
        Op::Branch(width, cond, source) => {
            let (register, operand) = (register(width, dst), operand(width, source, at));
            format!(
                "if {register} {} {operand} goto {}",
                cond_sign(cond),
                distance(pc, target)
            )
        }
        Op::Call => format!("call {}", distance(pc, target)),
        Op::CallReg => format!("callx r{src}"),
        Op::Exit => "exit".to_owned(),
        Op::HelperIdentity => "call 0x5".to_owned(),
        Op::CallAddress => format!("callx r{src}"),
        Op::Syscall(syscall) => format!("call {}", syscall.name()),
        Op::Unprovable => format!(
            "call {}",
            crate::syscall::unprovable(at.imm as u32).unwrap_or("<unknown>")
        ),
        Op::Unresolved => "call <undefined function>".to_owned(),
    }
}

fn register(width: Width, number: u8) -> String {
    match width {
        Width::W32 => format!("w{number}"),
        Width::W64 => format!("r{number}"),
    }
}

fn operand(width: Width, source: Source, at: &Instruction) -> String {
    match (source, width) {
        (Source::Reg, _) => register(width, at.src),
        (Source::Imm, Width::W32) => signed((at.imm as i32).into()),
        (Source::Imm, Width::W64) => signed(at.imm as i64),
    }
}

fn signed(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{:#x}", value.unsigned_abs())
}

fn address(base: u8, offset: i16) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("r{base} {sign} {:#x}", offset.unsigned_abs())
}

fn distance(pc: u32, target: u32) -> String {
    let distance = i64::from(target)
        .wrapping_sub(i64::from(pc))
        .wrapping_sub(1);
    let sign = if distance < 0 { '-' } else { '+' };
    format!("{sign}{:#x} <slot {target}>", distance.unsigned_abs())
}

fn bits(size: Size) -> u64 {
    size.bytes().wrapping_mul(8)
}

fn alu_sign(op: AluOp) -> &'static str {
    match op {
        AluOp::Add | AluOp::AddSx => "+=",
        AluOp::Sub | AluOp::SubSx => "-=",
        AluOp::Mul | AluOp::MulSx => "*=",
        AluOp::Div | AluOp::DivTrap => "/=",
        AluOp::Mod | AluOp::ModTrap => "%=",
        AluOp::Sdiv | AluOp::SdivTrap => "s/=",
        AluOp::Smod | AluOp::SmodTrap => "s%=",
        AluOp::MulHigh => "h*=",
        AluOp::MulHighSigned => "sh*=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Xor => "^=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Arsh => "s>>=",
        AluOp::Mov | AluOp::Neg | AluOp::ReverseSub => "=",
    }
}

fn cond_sign(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "==",
        Cond::Ne => "!=",
        Cond::Set => "&",
        Cond::Gt => ">",
        Cond::Ge => ">=",
        Cond::Lt => "<",
        Cond::Le => "<=",
        Cond::Sgt => "s>",
        Cond::Sge => "s>=",
        Cond::Slt => "s<",
        Cond::Sle => "s<=",
    }
}

fn atomic(size: Size, op: AtomicOp, fetch: bool, at: &Instruction) -> String {
    let width = if size == Size::B4 {
        Width::W32
    } else {
        Width::W64
    };
    let (src, address) = (register(width, at.src), address(at.dst, at.offset));
    let (name, sign) = match op {
        AtomicOp::Add => ("add", "+="),
        AtomicOp::Or => ("or", "|="),
        AtomicOp::And => ("and", "&="),
        AtomicOp::Xor => ("xor", "^="),
        AtomicOp::Xchg => return format!("{src} = xchg{}({address}, {src})", suffix(size)),
        AtomicOp::CmpXchg => {
            let r0 = register(width, 0);
            return format!("{r0} = cmpxchg{}({address}, {r0}, {src})", suffix(size));
        }
    };
    if fetch {
        format!(
            "{src} = atomic_fetch_{name}((u{} *)({address}), {src})",
            bits(size)
        )
    } else {
        format!("lock *(u{} *)({address}) {sign} {src}", bits(size))
    }
}

fn suffix(size: Size) -> &'static str {
    if size == Size::B4 { "32_32" } else { "_64" }
}
