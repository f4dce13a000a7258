//! Writes a routine: micro-operations with labels.

use bpf_tracer::canonical::{AluOp, Size, TrapKind, Width};

use crate::class::Class;
use crate::microcode::{MicroOp, Mode, Place, local, rom};
use crate::ops::memory::{LENGTH, hidden, load, span, store};
use crate::ops::{bitwise, charge, copy, mov};

/// A place in a routine, to be fixed by [`Routine::here`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// Argument registers.
pub(super) const ARGS: [Place; 5] = [
    Place::register(1),
    Place::register(2),
    Place::register(3),
    Place::register(4),
    Place::register(5),
];

/// Temporaries; the first is the [`LENGTH`] of ranges.
pub(super) const TEMPS: [Place; 8] = [
    LENGTH,
    Place::temp(1),
    Place::temp(2),
    Place::temp(3),
    Place::temp(4),
    Place::temp(5),
    Place::temp(6),
    Place::temp(7),
];

/// A second operand: a word, or a constant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    Word(Place),
    Constant(u64),
}

impl From<Place> for Operand {
    fn from(place: Place) -> Self {
        Self::Word(place)
    }
}

impl From<u64> for Operand {
    fn from(constant: u64) -> Self {
        Self::Constant(constant)
    }
}

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Where the program could go.
    Program,
    /// Hidden memory.
    Hidden,
}

/// A routine while it is written. Targets of jumps are labels until it is finished.
#[derive(Debug, Default)]
pub(super) struct Routine {
    ops: Vec<MicroOp>,
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, Label)>,
}

impl Routine {
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The next operation is the label's place.
    pub(super) fn here(&mut self, label: Label) {
        self.labels[label.0] = Some(self.ops.len());
    }

    /// A label whose place is the next operation.
    pub(super) fn mark(&mut self) -> Label {
        let label = self.label();
        self.here(label);
        label
    }

    fn push(&mut self, op: MicroOp) {
        self.ops.push(op);
    }

    fn jump(&mut self, op: MicroOp, label: Label) {
        self.jumps.push((self.ops.len(), label));
        self.push(op);
    }

    /// The micro-operations, jumps as targets inside the continuation.
    pub(super) fn finish(self) -> Vec<MicroOp> {
        let Self {
            mut ops,
            labels,
            jumps,
        } = self;
        for (op, Label(label)) in jumps {
            let place = labels[label].unwrap_or_else(|| unreachable!("every label has a place"));
            ops[op].target = local(place as u64);
        }
        ops
    }

    pub(super) fn go(&mut self, label: Label) {
        self.jump(mov::go(0), label);
    }

    /// The operation before goes on at the label, instead of a row of its own that would.
    pub(super) fn and_go(&mut self, label: Label) {
        let last = self.ops.len() - 1;
        let op = &mut self.ops[last];
        debug_assert!(op.mode == Mode::Next && !op.class.branches());
        op.mode = Mode::Go;
        self.jumps.push((last, label));
    }

    /// Ends the run.
    pub(super) fn trap(&mut self, kind: TrapKind) {
        self.push(mov::go(rom::trap(kind) as u64));
    }

    /// `r0 = value`, and the call is over.
    pub(super) fn return_value(&mut self, value: impl Into<Operand>) {
        let op = MicroOp::new(Class::Mov).y(Place::register(0));
        self.push(with(op, value.into()).mode(Mode::Return));
    }

    pub(super) fn copy(&mut self, to: Place, value: impl Into<Operand>) {
        self.push(with(MicroOp::new(Class::Mov).y(to), value.into()));
    }

    pub(super) fn add(&mut self, to: Place, value: impl Into<Operand>) {
        self.push(with(MicroOp::new(Class::Add).y(to), value.into()));
    }

    pub(super) fn sub(&mut self, to: Place, value: impl Into<Operand>) {
        let op = MicroOp::new(Class::Add).modifiers(true, false, false);
        self.push(with(op.y(to), value.into()));
    }

    /// `to = to · factor`, low word.
    pub(super) fn mul(&mut self, to: Place, factor: u64) {
        self.push(MicroOp::new(Class::Mul).y(to).imm(factor.into()));
    }

    /// `to = to / divisor`, not by zero.
    pub(super) fn div(&mut self, to: Place, divisor: u64) {
        debug_assert_ne!(divisor, 0);
        self.push(
            MicroOp::new(Class::Div)
                .mode(Mode::Class)
                .y(to)
                .imm(divisor.into()),
        );
    }

    pub(super) fn and(&mut self, to: Place, mask: u64) {
        let op = bitwise::operation(Width::W64, AluOp::And);
        let op = op.unwrap_or_else(|| unreachable!("a bitwise operation"));
        self.push(op.y(to).imm(mask.into()));
    }

    fn branch(&mut self, class: Class, swap: bool, invert: bool, a: Place, b: Operand, to: Label) {
        let op = MicroOp::new(class).modifiers(invert, swap, false).y(a);
        self.jump(with(op, b), to);
    }

    /// Goes to the label if `a = b`. A chunk may begin here.
    pub(super) fn if_equal(&mut self, a: Place, b: impl Into<Operand>, to: Label) {
        self.branch(Class::Equal, false, false, a, b.into(), to);
    }

    pub(super) fn if_not_equal(&mut self, a: Place, b: impl Into<Operand>, to: Label) {
        self.branch(Class::Equal, false, true, a, b.into(), to);
    }

    pub(super) fn if_less(&mut self, a: Place, b: impl Into<Operand>, to: Label) {
        self.branch(Class::Less, false, false, a, b.into(), to);
    }

    pub(super) fn if_not_less(&mut self, a: Place, b: impl Into<Operand>, to: Label) {
        self.branch(Class::Less, false, true, a, b.into(), to);
    }

    pub(super) fn if_greater(&mut self, a: Place, b: impl Into<Operand>, to: Label) {
        self.branch(Class::Less, true, false, a, b.into(), to);
    }

    fn access(&mut self, op: MicroOp, memory: Memory) {
        self.push(match memory {
            Memory::Program => op,
            Memory::Hidden => hidden(op),
        });
    }

    /// `to = [base + offset]`, zero-extended.
    pub(super) fn load(&mut self, to: Place, memory: Memory, base: Place, offset: i16, size: Size) {
        self.access(load(to, base, offset, size), memory);
    }

    /// `[base + offset] = value`, low bytes.
    pub(super) fn store(
        &mut self,
        memory: Memory,
        base: Place,
        offset: i16,
        value: impl Into<Operand>,
        size: Size,
    ) {
        let op = match value.into() {
            Operand::Word(place) => store(base, place, offset, size),
            Operand::Constant(value) => store(base, Place::SINK, offset, size).target(value),
        };
        self.access(op, memory);
    }

    /// `to = [address]`, a word of hidden memory.
    pub(super) fn load_hidden(&mut self, to: Place, address: u64) {
        let op = load(to, Place::ZERO, 0, Size::B8).imm(address.into());
        self.access(op, Memory::Hidden);
    }

    /// `[address] = value`, a word of hidden memory.
    pub(super) fn store_hidden(&mut self, address: u64, value: Place) {
        let op = store(Place::ZERO, value, 0, Size::B8).imm(address.into());
        self.access(op, Memory::Hidden);
    }

    /// Copies aligned words: `words_less_one` and one, from the addresses in two temporaries. The three are
    /// copied to `scratch` before.
    pub(super) fn copy_words(&mut self, operands: [Place; 3], scratch: [Place; 3]) {
        for (to, from) in scratch.into_iter().zip(operands) {
            self.copy(to, from);
        }
        let after = self.label();
        for op in copy::run() {
            self.jump(op, after);
        }
        self.here(after);
    }

    /// Uses up compute units; `scratch` is overwritten.
    pub(super) fn charge(&mut self, cost: u64, scratch: Place) {
        self.push(charge::charge(cost, scratch, false));
    }

    /// Uses up `cost` and what `part` holds, which becomes what is left.
    pub(super) fn charge_with(&mut self, cost: u64, part: Place) {
        self.push(charge::charge(cost, part, true));
    }

    /// Ends the run unless the program may read, or write, so many bytes at an address. Nothing is
    /// checked of no bytes. `LENGTH` is overwritten.
    pub(super) fn range(&mut self, address: Place, length: impl Into<Operand>, to_write: bool) {
        let (skip, possible) = (self.label(), self.label());
        match length.into() {
            Operand::Word(length) => {
                self.copy(LENGTH, length);
                self.if_equal(LENGTH, 0, skip);
                // A range to be written is looked up before its length is.
                if !to_write {
                    self.if_less(LENGTH, 1 << 63, possible);
                    self.trap(TrapKind::InvalidLength);
                }
            }
            Operand::Constant(length) => self.copy(LENGTH, length),
        }
        self.here(possible);
        self.push(span(address, to_write));
        self.here(skip);
    }

    /// Ends the run unless an address is a multiple of `alignment`. `scratch` is overwritten.
    pub(super) fn aligned(&mut self, address: Place, alignment: u64, scratch: Place) {
        let aligned = self.label();
        self.copy(scratch, address);
        self.and(scratch, alignment - 1);
        self.if_equal(scratch, 0, aligned);
        self.trap(TrapKind::UnalignedPointer);
        self.here(aligned);
    }

    /// `to = max(to, least)`.
    pub(super) fn at_least(&mut self, to: Place, least: u64) {
        let enough = self.label();
        self.if_not_less(to, least, enough);
        self.copy(to, least);
        self.here(enough);
    }
}

fn with(op: MicroOp, operand: Operand) -> MicroOp {
    match operand {
        Operand::Word(place) => op.registers(op.y, place),
        Operand::Constant(value) => op.imm(value.into()),
    }
}
