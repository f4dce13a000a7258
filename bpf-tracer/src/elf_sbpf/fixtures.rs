//! sBPF files, made to order.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::EM_SBF;
use super::relocate::{R_64_32, R_64_64, R_64_RELATIVE};
use crate::canonical::layout::STACK_BASE;

pub(super) const HEADER: usize = 64;
pub(super) const PROGRAM_HEADER: usize = 56;
pub(super) const SECTION_HEADER: usize = 64;

const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

/// Where something is: an offset in the code or in the read-only data.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Text(u64),
    Rodata(u64),
    File(u64),
}

/// How a file states its dynamic table.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum DynamicTable {
    Missing,
    Section,
    Segment,
}

pub(super) struct File {
    pub(super) version: u32,
    pub(super) machine: u16,
    pub(super) text: Vec<u8>,
    pub(super) rodata: Vec<u8>,
    /// Entry, as an offset in the code.
    pub(super) entry: u64,
    /// What addresses exceed file offsets by.
    pub(super) skew: u64,
    /// What lies between code and read-only data.
    pub(super) between: Option<&'static str>,
    pub(super) dynamic: DynamicTable,
    /// Name, offset in the code (none: undefined), type.
    pub(super) symbols: Vec<(&'static str, Option<u64>, u8)>,
    pub(super) relocations: Vec<(Place, u32, u32)>,
}

pub(super) fn slot(opcode: u8, registers: u8, offset: i16, imm: i32) -> [u8; 8] {
    let [o0, o1] = offset.to_le_bytes();
    let [i0, i1, i2, i3] = imm.to_le_bytes();
    [opcode, registers, o0, o1, i0, i1, i2, i3]
}

impl File {
    /// Calls of a neighbour, of symbols and of a system call; addresses of all kinds.
    pub(super) fn rich() -> Self {
        let text = [
            slot(0x85, 0x10, 0, 7),   // call slot 8
            slot(0x85, 0x10, 0, -1),  // call `helper`, at slot 9
            slot(0x85, 0x10, 0, -1),  // call `sol_log_`
            slot(0x85, 0x10, 0, -1),  // call `entrypoint`
            slot(0x18, 0x01, 0, 16),  // r1 = 16 bytes past a symbol
            slot(0x00, 0, 0, 0),      //
            slot(0x18, 0x01, 0, 192), // r1 = an address in the image
            slot(0x00, 0, 0, 0),      //
            EXIT,
            slot(0xb7, 0, 0, 1),
            EXIT,
        ];
        let mut rodata = b"read-only bytes, thirty-five of them".to_vec();
        rodata.extend(slot(0, 0, 0, 128));
        Self {
            version: 0,
            machine: 247,
            text: text.concat(),
            rodata,
            entry: 0,
            skew: 0,
            between: None,
            dynamic: DynamicTable::Segment,
            symbols: vec![
                ("helper", Some(72), 0x12),
                ("sol_log_", None, 0x10),
                ("entrypoint", Some(0), 0x12),
                ("label", Some(80), 0x11),
            ],
            relocations: vec![
                (Place::Text(8), 1, R_64_32),
                (Place::Text(16), 2, R_64_32),
                (Place::Text(24), 3, R_64_32),
                (Place::Text(32), 4, R_64_64),
                (Place::Text(48), 0, R_64_RELATIVE),
                (Place::Rodata(36), 0, R_64_RELATIVE),
            ],
        }
    }

    /// Files that differ in what matters to the loader.
    pub(super) fn variety() -> Vec<(&'static str, Vec<u8>)> {
        let with = |name, change: fn(&mut Self)| {
            let mut file = Self::rich();
            change(&mut file);
            (name, file.bytes())
        };
        vec![
            with("rich", |_| {}),
            with("version 1", |file| file.version = 1),
            with("version 2", |file| file.version = 2),
            with("machine 263", |file| file.machine = EM_SBF),
            with("dynamic section", |file| {
                file.dynamic = DynamicTable::Section;
            }),
            with("no dynamic table", |file| {
                file.dynamic = DynamicTable::Missing;
            }),
            with("addresses beside offsets", |file| file.skew = 0x1000),
            with("addresses in the image", |file| {
                file.skew = STACK_BASE.wrapping_sub(super::IMAGE_BASE);
            }),
            with("addresses far up", |file| file.skew = 3 << 30),
            with("a section between", |file| file.between = Some(".note")),
            with("a readable section between", |file| {
                file.between = Some(".eh_frame");
            }),
            with("a section between, addresses beside offsets", |file| {
                file.between = Some(".data.rel.ro");
                file.skew = 0x2000;
            }),
            with("an odd length", |file| file.rodata.truncate(33)),
            with("another entry", |file| file.entry = 72),
            with("no data", |file| {
                file.rodata.clear();
                file.relocations.truncate(5);
            }),
            with("a relocation across code and data", |file| {
                file.relocations.push((Place::Text(84), 0, R_64_RELATIVE));
                file.relocations.push((Place::File(40), 4, R_64_64));
            }),
            ("version 3", segments(3, b"read-only bytes!", true)),
            ("version 3, code alone", segments(3, b"", false)),
            ("version 3, no data", segments(3, b"", true)),
            ("version 4", segments(4, b"read-only bytes!", true)),
        ]
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let segments = 1 + usize::from(self.dynamic == DynamicTable::Segment);
        let mut symbol_names = vec![0];
        let mut symbols = vec![0; 24];
        let mut section_names = vec![0];
        let has_dynamic = self.dynamic != DynamicTable::Missing;
        // Name, type, flags, bytes; what depends on places is filled in later.
        let mut sections = vec![(".text", 1, 6, self.text.clone())];
        if let Some(name) = self.between {
            sections.push((name, 1, 2, vec![0xee; 20]));
        }
        sections.push((".rodata", 1, 2, self.rodata.clone()));
        for (name, ..) in &self.symbols {
            symbols.extend(vec![0; 24]);
            symbol_names.extend(name.bytes());
            symbol_names.push(0);
        }
        if has_dynamic {
            sections.push((".dynamic", 6, 3, vec![0; 16 * 5]));
            sections.push((".dynsym", 11, 2, symbols));
            sections.push((".dynstr", 3, 2, symbol_names.clone()));
            sections.push((".rel.dyn", 9, 2, vec![0; 16 * self.relocations.len()]));
        }
        for (name, ..) in &sections {
            section_names.extend(name.bytes());
            section_names.push(0);
        }
        section_names.extend(b".shstrtab\0");
        sections.push((".shstrtab", 3, 0, section_names.clone()));

        let mut offset = HEADER + segments * PROGRAM_HEADER;
        let mut offsets = Vec::new();
        for (.., bytes) in &sections {
            offsets.push(offset as u64);
            offset = (offset + bytes.len()).next_multiple_of(8);
        }
        let place_of = |wanted: &str| {
            let index = sections.iter().position(|(name, ..)| *name == wanted);
            index.map_or(0, |index| offsets[index])
        };
        let (text, rodata) = (place_of(".text"), place_of(".rodata"));
        let address = |name| place_of(name) + self.skew;
        let (dynamic_table, symbol_table) = (address(".dynamic"), address(".dynsym"));
        let (relocation_table, dynamic_offset) = (address(".rel.dyn"), place_of(".dynamic"));
        for (name, _, _, bytes) in &mut sections {
            let words: Vec<u64> = match *name {
                ".dynamic" => vec![
                    17,
                    relocation_table,
                    18,
                    16 * self.relocations.len() as u64,
                    19,
                    16,
                    6,
                    symbol_table,
                    0,
                    0,
                ],
                ".rel.dyn" => {
                    let mut words = Vec::new();
                    for (place, symbol, kind) in &self.relocations {
                        words.push(match place {
                            Place::Text(offset) => text + offset,
                            Place::Rodata(offset) => rodata + offset,
                            Place::File(offset) => *offset,
                        });
                        words.push(u64::from(*symbol) << 32 | u64::from(*kind));
                    }
                    words
                }
                ".dynsym" => {
                    let mut words = vec![0; 3];
                    let mut start = 1;
                    for (name, offset, info) in &self.symbols {
                        let section = u64::from(offset.is_some());
                        words.push(start | u64::from(*info) << 32 | section << 48);
                        words.push(offset.map_or(0, |offset| text + self.skew + offset));
                        words.push(8);
                        start += name.len() as u64 + 1;
                    }
                    words
                }
                _ => continue,
            };
            *bytes = words.into_iter().flat_map(u64::to_le_bytes).collect();
        }

        let table = offset as u64;
        let mut file = header(self.version, self.machine, text + self.skew + self.entry);
        file[40..48].copy_from_slice(&table.to_le_bytes());
        file[56] = segments as u8;
        file[60] = sections.len() as u8 + 1;
        file[62] = sections.len() as u8;
        let end = offsets.last().copied().unwrap_or_default();
        let image = [
            text,
            text + self.skew,
            text + self.skew,
            end - text,
            end - text,
        ];
        file.extend(program_header(1, 5, image));
        if self.dynamic == DynamicTable::Segment {
            let place = [dynamic_offset, dynamic_table, dynamic_table, 80, 80];
            file.extend(program_header(2, 6, place));
        }
        for ((.., bytes), offset) in sections.iter().zip(&offsets) {
            file.resize(*offset as usize, 0);
            file.extend(bytes);
        }
        file.resize(offset, 0);
        file.extend([0; SECTION_HEADER]);
        let mut name_at = 1_u32;
        for ((name, kind, flags, bytes), offset) in sections.iter().zip(offsets) {
            file.extend(name_at.to_le_bytes());
            file.extend(u32::to_le_bytes(*kind));
            let address = if *flags == 0 { 0 } else { offset + self.skew };
            for word in [*flags, address, offset, bytes.len() as u64, 0, 8, 0] {
                file.extend(u64::to_le_bytes(word));
            }
            name_at += name.len() as u32 + 1;
        }
        file
    }
}

fn header(version: u32, machine: u16, entry: u64) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([3, 0]);
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for word in [entry, HEADER as u64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(version.to_le_bytes());
    for half in [HEADER, PROGRAM_HEADER, 0, SECTION_HEADER, 0, 0] {
        file.extend((half as u16).to_le_bytes());
    }
    file
}

fn program_header(kind: u32, flags: u32, words: [u64; 5]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(flags.to_le_bytes());
    bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
    bytes.extend(8_u64.to_le_bytes());
    bytes
}

/// A file of version 3 or 4.
pub(super) fn segments(version: u32, rodata: &[u8], has_rodata: bool) -> Vec<u8> {
    let text = [slot(0x07, 0x0a, 0, -64), slot(0xb7, 0, 0, 1), EXIT].concat();
    let mut file = header(version, 247, (1 << 32) + 8);
    let count = 1 + usize::from(has_rodata);
    file[56] = count as u8;
    let mut offset = (HEADER + count * PROGRAM_HEADER) as u64;
    if has_rodata {
        let len = rodata.len() as u64;
        file.extend(program_header(1, 4, [offset, 0, 0, len, len]));
        offset += len;
    }
    let len = text.len() as u64;
    let base = super::IMAGE_BASE;
    file.extend(program_header(1, 1, [offset, base, base, len, len]));
    file.extend(rodata);
    file.extend(text);
    file
}
