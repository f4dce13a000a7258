//! Random sBPF programs: mostly valid, with values, addresses and targets at the edges.

use std::collections::BTreeMap;

use bpf_tracer::canonical::layout::{DATA_BASE, INPUT_BASE, RODATA_BASE, STACK_BASE};
use bpf_tracer::canonical::{AluOp, Source, Width};
use bpf_tracer::instruction::Slot;
use bpf_tracer::isa::Variant;
use bpf_tracer::isa::sbpf::{self, Row, Shape};
use bpf_tracer::{Dialect, Input, Op, SbpfParts};

/// Bytes of heap; few, so that they cost little.
pub(crate) const HEAP_BYTES: usize = 512;
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];
const EXIT: Slot = Slot {
    opcode: 0x95,
    dst: 0,
    src: 0,
    offset: 0,
    imm: 0,
};

/// A program and how to run it.
pub(crate) struct Case {
    pub(crate) parts: SbpfParts,
    pub(crate) input: Input,
    pub(crate) limit: u64,
    pub(crate) aligned_mapping: bool,
}

impl Case {
    pub(crate) fn version(&self) -> u8 {
        match self.parts.dialect {
            Dialect::SbpfV0 | Dialect::Ebpf => 0,
            Dialect::SbpfV1 => 1,
            Dialect::SbpfV2 => 2,
            Dialect::SbpfV3 => 3,
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn between(&mut self, start: i64, end: i64) -> i64 {
        start + self.below((end - start) as u64) as i64
    }

    /// True in so many of a thousand cases.
    fn chance(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn value(&mut self) -> u64 {
        match self.below(8) {
            0 => self.next(),
            1 => self.next() >> self.below(64),
            2 => self.below(70),
            _ => self.pick(&EDGES).wrapping_add_signed(self.between(-1, 2)),
        }
    }
}

/// Makes programs of one version.
pub(crate) struct Generator {
    dialect: Dialect,
    arithmetic: Vec<&'static Row>,
    memory: Vec<&'static Row>,
    branches: Vec<&'static Row>,
    calls: Vec<&'static Row>,
}

/// One program in the making.
struct Draft<'a> {
    generator: &'a Generator,
    random: Random,
    slots: Vec<Slot>,
    input_len: u64,
}

impl Generator {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let of = |wanted: fn(Op) -> bool| {
            let rows = sbpf::rows(dialect).filter(move |row| wanted(row.op));
            rows.collect::<Vec<_>>()
        };
        Self {
            dialect,
            arithmetic: of(|op| {
                matches!(
                    op,
                    Op::Alu(..) | Op::MovSx(..) | Op::ZeroExtend(_) | Op::ByteSwap(_)
                )
            }),
            memory: of(|op| matches!(op, Op::Load(..) | Op::Store(..))),
            branches: of(|op| matches!(op, Op::Jump | Op::Branch(..))),
            calls: of(|op| matches!(op, Op::Unresolved | Op::CallAddress)),
        }
    }

    /// The program of a seed.
    pub(crate) fn case(&self, seed: u64) -> Case {
        let mut random = Random(seed ^ (self.dialect.name().len() as u64) << 60);
        for byte in self.dialect.name().bytes() {
            random.0 = random.0.rotate_left(7) ^ u64::from(byte);
        }
        let input_len = match random.below(8) {
            0 => 0,
            1 => random.below(9),
            _ => random.below(80),
        };
        let input: Vec<u8> = (0..input_len).map(|_| random.next() as u8).collect();
        let mut draft = Draft {
            generator: self,
            random,
            slots: Vec::new(),
            input_len,
        };
        draft.fill();
        let Draft {
            mut random, slots, ..
        } = draft;
        let count = slots.len() as u64;
        let mut functions = BTreeMap::new();
        if !self.dialect.has_static_calls() {
            let mut slot = || {
                let second = |slot: u32| slot > 0 && slots[slot as usize].opcode == 0;
                let slot = random.below(count) as u32;
                if second(slot) && random.chance(700) {
                    slot - 1
                } else {
                    slot
                }
            };
            functions.extend((0..4).map(|key| (key + 1000, slot())));
        }
        let text: Vec<u8> = slots.into_iter().flat_map(Slot::encode).collect();
        let entry = if random.chance(950) {
            0
        } else {
            random.below(count) as u32
        };
        let limit = match random.below(8) {
            0 => random.below(30),
            1 | 2 => 1500,
            _ => 200,
        };
        let parts = SbpfParts {
            dialect: self.dialect,
            readable: text.clone(),
            text,
            text_base: RODATA_BASE,
            entry,
            readable_base: if self.dialect.has_low_rodata() {
                0
            } else {
                RODATA_BASE
            },
            functions: BTreeMap::new(),
        };
        Case {
            parts: SbpfParts { functions, ..parts },
            input: Input::from_bytes(input),
            limit,
            aligned_mapping: random.chance(500),
        }
    }
}

impl Draft<'_> {
    fn fill(&mut self) {
        // Values, then pointers.
        for register in 0..6 {
            if self.random.chance(700) {
                let value = self.random.value();
                self.constant(register, value);
            }
        }
        for register in 6..10 {
            let address = self.address();
            self.constant(register, address);
        }
        let length = self.random.below(40);
        for _ in 0..length {
            self.instruction();
        }
        if self.random.chance(930) {
            self.slots.push(EXIT);
        }
        if self.slots.is_empty() {
            self.slots.push(EXIT);
        }
        self.set_targets();
    }

    /// Loads a constant.
    fn constant(&mut self, dst: u8, value: u64) {
        let (low, high) = (value as i32, (value >> 32) as i32);
        let slot = |opcode, imm| Slot {
            opcode,
            dst,
            imm,
            ..Slot::default()
        };
        if self.generator.dialect.has_new_encoding() {
            self.slots.push(slot(0xb4, low));
            self.slots.push(slot(0xf7, high));
        } else {
            let opcode = u8::from(self.random.chance(1));
            let ignored = self.random.next();
            self.slots.push(slot(0x18, low));
            self.slots.push(Slot {
                opcode,
                dst: (ignored & 15) as u8,
                src: (ignored >> 4 & 15) as u8,
                offset: (ignored >> 8) as i16,
                imm: high,
            });
        }
    }

    /// An address in a region, often near an edge of it.
    fn address(&mut self) -> u64 {
        let dialect = self.generator.dialect;
        let stride = if dialect.has_stack_gaps() { 8192 } else { 4096 };
        let frame = self.random.pick(&[0, 0, 0, 1, 1, 2, 31, 62, 63]);
        let text = self.slots.len() as u64 * 8 + self.random.below(200);
        let ro = if dialect.has_low_rodata() {
            0
        } else {
            RODATA_BASE
        };
        let (start, end) = match self.random.below(36) {
            0..=15 => (
                STACK_BASE + frame * stride,
                STACK_BASE + frame * stride + 4096,
            ),
            16..=26 => (INPUT_BASE, INPUT_BASE + self.input_len),
            27..=32 => (DATA_BASE, DATA_BASE + HEAP_BYTES as u64),
            33 | 34 => (ro, ro + text),
            _ => {
                let value = self.random.value();
                (value, value)
            }
        };
        let (start, end) = (start, end.max(start));
        match self.random.below(10) {
            0 => start.wrapping_add_signed(self.random.between(-9, 10)),
            1 => end.wrapping_add_signed(self.random.between(-9, 10)),
            _ => start.wrapping_add(self.random.below((end - start).max(1))),
        }
    }

    fn instruction(&mut self) {
        let generator = self.generator;
        let rows = match self.random.below(100) {
            0..=39 => &generator.arithmetic,
            40..=71 => &generator.memory,
            72..=86 => &generator.branches,
            87..=96 => &generator.calls,
            97 => {
                self.slots.push(EXIT);
                return;
            }
            98 => {
                let register = self.random.between(6, 10) as u8;
                let address = self.address();
                self.constant(register, address);
                return;
            }
            _ => {
                if self.random.chance(60) {
                    let bytes = self.random.next().to_le_bytes();
                    self.slots.push(Slot::decode(bytes));
                }
                return;
            }
        };
        let row = self.random.pick(rows);
        if row.shape == Shape::WideImm {
            let (dst, value) = (self.random.below(6) as u8, self.random.value());
            self.constant(dst, value);
            return;
        }
        self.row(row);
    }

    fn row(&mut self, row: &Row) {
        let random = &mut self.random;
        // What an operation does not use is ignored, so anything may be there.
        let noise = random.chance(100);
        let mut slot = Slot {
            opcode: row.opcode,
            dst: register(random),
            src: register(random),
            offset: if noise { random.next() as i16 } else { 0 },
            imm: if noise { random.next() as i32 } else { 0 },
        };
        let is_shift = matches!(row.op, Op::Alu(_, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, _));
        match row.shape {
            Shape::DstImm | Shape::DstZeroImm | Shape::DstHigh | Shape::BranchImm => {
                slot.imm = random.value() as i32;
                if is_shift {
                    let narrow = matches!(row.op, Op::Alu(Width::W32, ..));
                    let bits = if narrow { 32 } else { 64 };
                    slot.imm = if random.chance(990) {
                        slot.imm & (bits - 1)
                    } else {
                        random.pick(&[bits, -1, slot.imm])
                    };
                }
                if slot.imm == 0 && random.chance(995) {
                    slot.imm = -1;
                    if is_shift {
                        slot.imm = 1;
                    }
                }
            }
            Shape::Load => (slot.src, slot.offset) = place(random),
            Shape::StoreImm | Shape::StoreReg => {
                (slot.dst, slot.offset) = place(random);
                slot.imm = random.value() as i32;
            }
            _ => {}
        }
        let moves_frame = self.generator.dialect.has_dynamic_frames()
            && row.op == Op::Alu(Width::W64, AluOp::Add, Source::Imm)
            && random.chance(250);
        if moves_frame {
            (slot.dst, slot.imm) = (10, 64 * random.between(-40, 20) as i32);
            if random.chance(20) {
                slot.imm += random.pick(&[1, 16, 32]);
            }
        }
        if matches!(row.op, Op::Alu(_, AluOp::SdivTrap | AluOp::SmodTrap, _)) && random.chance(150)
        {
            slot.dst = random.below(6) as u8;
            slot.imm = -1;
            let minimum = random.pick(&[1 << 31, 1 << 63, u64::MAX << 31, 1 << 31 | 1 << 63]);
            self.constant(slot.dst, minimum);
            if row.shape == Shape::DstSrc && self.random.chance(800) {
                slot.src = (slot.dst + 1) % 6;
                self.constant(slot.src, u64::MAX);
            }
        }
        if matches!(row.op, Op::Branch(..)) && self.random.chance(400) {
            self.nearly_equal(row, &mut slot);
        }
        let random = &mut self.random;
        match row.variant {
            Variant::Field(value) => slot.imm = if random.chance(2) { 8 } else { value },
            Variant::Source(value) => slot.src = value,
            Variant::Plain | Variant::Offset(_) => {}
        }
        match row.shape {
            Shape::CallHash => {
                slot.imm = 1000 + random.below(4) as i32;
                if random.chance(50) {
                    slot.imm = random.value() as i32;
                }
            }
            Shape::CallImm | Shape::CallSrc | Shape::CallDst => self.call_register(row, &mut slot),
            _ => {}
        }
        self.slots.push(slot);
    }

    /// Sets the operands of a branch to values that are equal, or next to each other, perhaps only in
    /// their low halves.
    fn nearly_equal(&mut self, row: &Row, slot: &mut Slot) {
        let mut value = self.random.value();
        slot.dst = self.random.below(6) as u8;
        if row.shape == Shape::BranchImm {
            slot.imm = value as i32;
            value = i64::from(slot.imm) as u64;
        } else {
            slot.src = (slot.dst + 1) % 6;
            self.constant(slot.src, value);
        }
        let near = value.wrapping_add_signed(self.random.pick(&[-1, 0, 0, 0, 1]));
        let high = self.random.pick(&[0, 0, 1, u64::MAX]);
        self.constant(slot.dst, near ^ high << 32);
    }

    /// Mostly one that has just been made to hold an address in the text.
    fn call_register(&mut self, row: &Row, slot: &mut Slot) {
        let register = if self.random.chance(5) {
            10
        } else {
            self.random.below(10) as u8
        };
        if register < 10 && self.random.chance(800) {
            let slots = self.slots.len() as u64 + self.random.below(20);
            let into_slot = if self.random.chance(100) {
                self.random.below(8)
            } else {
                0
            };
            let address = RODATA_BASE + self.random.below(slots.max(1)) * 8 + into_slot;
            self.constant(register, address);
        }
        match row.shape {
            Shape::CallImm => {
                slot.imm = register.into();
                if self.random.chance(5) {
                    slot.imm = self.random.value() as i32;
                }
            }
            Shape::CallSrc => slot.src = register,
            _ => slot.dst = register,
        }
    }

    /// Distances, now that the length is known.
    fn set_targets(&mut self) {
        let count = self.slots.len() as i64;
        for pc in 0..self.slots.len() {
            let Slot {
                opcode, src, imm, ..
            } = self.slots[pc];
            let is_second = pc > 0 && self.slots[pc - 1].opcode == 0x18;
            let row = sbpf::find(self.generator.dialect, opcode, src, imm);
            let (Some(row), false) = (row, is_second) else {
                continue;
            };
            match row.shape {
                Shape::Jump | Shape::BranchImm | Shape::BranchReg => {
                    let mut distance = 0;
                    for _ in 0..6 {
                        distance = if self.random.chance(850) {
                            self.random.between(0, 7)
                        } else {
                            self.random.between(-12, 12)
                        };
                        let target = pc as i64 + 1 + distance;
                        let target = self.slots.get(target as usize);
                        if target.is_some_and(|slot| slot.opcode != 0) || self.random.chance(3) {
                            break;
                        }
                        distance = 0;
                    }
                    self.slots[pc].offset = distance as i16;
                }
                Shape::CallRelative => {
                    let target = if self.random.chance(960) {
                        self.random.between(0, count)
                    } else {
                        self.random.between(-3, count + 3)
                    };
                    let lands = self.slots.get(target as usize);
                    let second = lands.is_some_and(|slot| slot.opcode == 0);
                    let back = i64::from(second && target > 0 && self.random.chance(700));
                    self.slots[pc].imm = (target - back - pc as i64 - 1) as i32;
                }
                _ => {}
            }
        }
    }
}

/// Values are in the low registers, pointers in the next.
fn register(random: &mut Random) -> u8 {
    match random.below(1000) {
        0 => random.below(16) as u8,
        1..=60 => random.between(6, 10) as u8,
        _ => random.below(6) as u8,
    }
}

/// Base register and offset of an access.
fn place(random: &mut Random) -> (u8, i16) {
    let offset = match random.below(20) {
        0 => random.next() as i16,
        1 | 2 => random.between(-20, 40) as i16,
        _ => random.between(-4, 9) as i16,
    };
    match random.below(20) {
        0 => (random.below(6) as u8, offset),
        1..=7 if offset < 9 => (10, offset.wrapping_sub(8)),
        1..=7 => (10, -16),
        _ => (random.between(6, 10) as u8, offset),
    }
}
