//! The interpreter of the canonical table.

mod syscalls;

use crate::canonical::layout::MAX_REGION;
use crate::canonical::{AluOp, AtomicOp, Instruction, Op, Outcome, Size, Source, TrapKind};
use crate::environment::Environment;
use crate::error::TraceError;
use crate::input::Input;
use crate::instruction::{SLOT_BYTES, slot_of};
use crate::lower::TEST_HELPER;
use crate::memory::Memory;
use crate::program::Program;
use crate::syscall::unprovable;
use crate::trace::Step;

/// Sixteen, so that a register number taken modulo 16 is always inside; eleven are used.
type Registers = [u64; 16];
const FRAME_POINTER: usize = 10;

/// What a caller gets back at `exit`.
struct Frame {
    /// `r6` to `r10`.
    saved: [u64; 5],
    return_pc: u32,
}

/// Where to go after a step.
enum Flow {
    Next,
    Goto(u32),
    Halt,
    Trap(TrapKind),
    /// A system call of this name has no proof.
    Unprovable(&'static str),
}

/// One run of a program.
pub(crate) struct Machine<'a> {
    program: &'a Program,
    environment: &'a Environment,
    registers: Registers,
    memory: Memory,
    frames: Vec<Frame>,
    pc: u32,
    /// What a call adds to `r10`, modulo 2^64.
    frame_growth: u64,
    /// Compute units that are left.
    remaining: u64,
    /// Compute units that system calls have used.
    paid: u64,
    /// Bytes of heap that `sol_alloc_free_` has given away.
    heap_used: u64,
}

/// What a run leaves behind.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) steps: u64,
    pub(crate) compute_units: u64,
    /// Index of the first step that runs on from one stack frame to the next, over a gap.
    pub(crate) crosses_frames: Option<u64>,
    pub(crate) registers: [u64; 11],
    pub(crate) memory: Memory,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(
        program: &'a Program,
        input: &Input,
        environment: &'a Environment,
    ) -> Result<Self, TraceError> {
        let size = input.region_len();
        if size > MAX_REGION {
            return Err(TraceError::InputTooLarge { size });
        }
        let mut registers = [0; 16];
        for (register, value) in registers.iter_mut().zip(program.initial_registers(input)) {
            *register = value;
        }
        let memory = Memory::new(program, input);
        Ok(Self {
            program,
            environment,
            registers,
            memory,
            frames: Vec::new(),
            pc: program.entry(),
            frame_growth: program.dialect().frame_growth() as u64,
            remaining: 0,
            paid: 0,
            heap_used: 0,
        })
    }

    /// Runs to the end, and shows each step. `limit` is in compute units.
    pub(crate) fn run(
        mut self,
        limit: u64,
        mut on_step: impl FnMut(&Step),
    ) -> Result<Finished, TraceError> {
        let program = self.program;
        let code = program.instructions();
        self.remaining = limit;
        let mut crosses_frames = None;
        let outcome = loop {
            let pc = self.pc;
            let trap = |kind| Outcome::Trap { kind, pc };
            let Some(remaining) = self.remaining.checked_sub(1) else {
                break trap(TrapKind::ExceededMaxInstructions);
            };
            self.remaining = remaining;
            let mut step = Step {
                pc,
                depth: self.frames.len() as u32,
                ..Step::default()
            };
            let Some(at) = code.get(pc as usize) else {
                on_step(&step);
                break trap(TrapKind::ExecutionOverrun);
            };
            let flow = self.step(at, &mut step);
            on_step(&step);
            if self.memory.crossed_frames {
                self.memory.crossed_frames = false;
                let index = self.steps(limit).wrapping_sub(1);
                crosses_frames = crosses_frames.or(Some(index));
            }
            match flow {
                Flow::Next => self.pc = at.fall_through(pc),
                Flow::Goto(target) => self.pc = target,
                Flow::Halt => break Outcome::Halt { r0: self.get(0) },
                Flow::Trap(kind) => break trap(kind),
                Flow::Unprovable(name) => return Err(TraceError::Unprovable { pc, name }),
            }
        };
        let mut registers = [0; 11];
        for (register, value) in registers.iter_mut().zip(self.registers) {
            *register = value;
        }
        Ok(Finished {
            outcome,
            steps: self.steps(limit),
            compute_units: limit.wrapping_sub(self.remaining),
            crosses_frames,
            registers,
            memory: self.memory,
        })
    }

    /// Number of steps so far: one unit each, besides what system calls used.
    fn steps(&self, limit: u64) -> u64 {
        limit.wrapping_sub(self.remaining).wrapping_sub(self.paid)
    }

    #[inline(always)]
    fn get(&self, register: u8) -> u64 {
        self.registers[usize::from(register & 15)]
    }

    #[inline(always)]
    fn set(&mut self, register: u8, value: u64) {
        self.registers[usize::from(register & 15)] = value;
    }

    #[inline(always)]
    fn step(&mut self, at: &Instruction, step: &mut Step) -> Flow {
        let dst = self.get(at.dst);
        let src = self.get(at.src);
        let pick = |source| match source {
            Source::Reg => src,
            Source::Imm => at.imm,
        };
        (step.dst, step.operand, step.result) = (dst, src, dst);
        match at.op {
            Op::None | Op::Unresolved => return Flow::Trap(TrapKind::UnsupportedInstruction),
            Op::Alu(width, op, source) => {
                step.operand = pick(source);
                // Spares the others, which are nearly all, the question.
                if op >= AluOp::DivTrap
                    && let Some(kind) = op.trap(width, dst, step.operand)
                {
                    return Flow::Trap(kind);
                }
                step.result = op.apply(width, dst, step.operand);
                self.set(at.dst, step.result);
            }
            Op::MovSx(width, size) => {
                step.result = width.truncate(size.sign_extend(src));
                self.set(at.dst, step.result);
            }
            Op::ZeroExtend(size) => {
                step.result = size.zero_extend(dst);
                self.set(at.dst, step.result);
            }
            Op::ByteSwap(size) => {
                step.result = size.swap_bytes(dst);
                self.set(at.dst, step.result);
            }
            Op::Load(size, signed) => {
                step.address = src.wrapping_add_signed(at.offset.into());
                let Some(value) = self.memory.read(step.address, size) else {
                    return Flow::Trap(TrapKind::AccessViolation);
                };
                (step.memory_before, step.memory_after) = (value, value);
                step.result = if signed {
                    size.sign_extend(value)
                } else {
                    value
                };
                self.set(at.dst, step.result);
            }
            Op::Store(size, source) => {
                step.address = dst.wrapping_add_signed(at.offset.into());
                step.operand = pick(source);
                let value = size.zero_extend(step.operand);
                let Some(both) = self.memory.modify(step.address, size, |_| value) else {
                    return Flow::Trap(TrapKind::AccessViolation);
                };
                (step.memory_before, step.memory_after) = both;
            }
            Op::Atomic(size, op, fetch) => return self.atomic(at, (size, op, fetch), step),
            Op::Jump => return Flow::Goto(at.target),
            Op::Branch(width, cond, source) => {
                step.operand = pick(source);
                if cond.holds(width, dst, step.operand) {
                    return Flow::Goto(at.target);
                }
            }
            Op::Call => return self.call(at.target),
            Op::CallReg => return self.call_register(src, step),
            Op::CallAddress => return self.call_address(src),
            Op::Syscall(syscall) => match self.syscall(syscall) {
                Ok(result) => {
                    step.result = result;
                    self.set(0, result);
                }
                Err(kind) => return Flow::Trap(kind),
            },
            Op::Unprovable => {
                return Flow::Unprovable(unprovable(at.imm as u32).unwrap_or("unknown"));
            }
            Op::Exit => return self.exit(),
            Op::HelperIdentity => {
                step.operand = self.get(1);
                step.result = step.operand;
                self.set(0, step.result);
            }
        }
        Flow::Next
    }

    fn atomic(
        &mut self,
        at: &Instruction,
        (size, op, fetch): (Size, AtomicOp, bool),
        step: &mut Step,
    ) -> Flow {
        let r0 = self.get(0);
        let src = step.operand;
        step.address = step.dst.wrapping_add_signed(at.offset.into());
        let modified = self
            .memory
            .modify(step.address, size, |old| op.apply(size, old, src, r0));
        let Some((old, new)) = modified else {
            return Flow::Trap(TrapKind::AccessViolation);
        };
        (step.memory_before, step.memory_after) = (old, new);
        if fetch {
            step.result = old;
            self.set(if op == AtomicOp::CmpXchg { 0 } else { at.src }, old);
        }
        Flow::Next
    }

    fn has_free_frame(&self) -> bool {
        (self.frames.len() as u32).wrapping_add(1) < self.program.max_call_depth()
    }

    fn call(&mut self, target: u32) -> Flow {
        if !self.has_free_frame() {
            return Flow::Trap(TrapKind::CallDepthExceeded);
        }
        let [_, _, _, _, _, _, r6, r7, r8, r9, r10, ..] = self.registers;
        let saved = [r6, r7, r8, r9, r10];
        self.frames.push(Frame {
            saved,
            return_pc: self.pc.wrapping_add(1),
        });
        self.registers[FRAME_POINTER] = r10.wrapping_add(self.frame_growth);
        Flow::Goto(target)
    }

    fn call_register(&mut self, address: u64, step: &mut Step) -> Flow {
        if self.program.allows_test_helper() && address == TEST_HELPER as u64 {
            step.result = self.get(1);
            self.set(0, step.result);
            return Flow::Next;
        }
        let offset = address.wrapping_sub(self.program.text_base());
        let slot = slot_of(offset);
        let slots = self.program.instructions().len() as u64;
        if !offset.is_multiple_of(SLOT_BYTES as u64) || slot >= slots {
            return Flow::Trap(TrapKind::CallOutsideTextSegment);
        }
        self.call(slot as u32)
    }

    fn call_address(&mut self, address: u64) -> Flow {
        if !self.has_free_frame() {
            return Flow::Trap(TrapKind::CallDepthExceeded);
        }
        let slot = slot_of(address.wrapping_sub(self.program.text_base()));
        if slot >= self.program.instructions().len() as u64 {
            return Flow::Trap(TrapKind::CallOutsideTextSegment);
        }
        self.call(slot as u32)
    }

    fn exit(&mut self) -> Flow {
        let Some(Frame {
            saved: [r6, r7, r8, r9, r10],
            return_pc,
        }) = self.frames.pop()
        else {
            return Flow::Halt;
        };
        let [_, _, _, _, _, _, to6, to7, to8, to9, to10, ..] = &mut self.registers;
        (*to6, *to7, *to8, *to9, *to10) = (r6, r7, r8, r9, r10);
        Flow::Goto(return_pc)
    }
}
