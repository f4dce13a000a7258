//! ELF files: eBPF objects and sBPF shared objects, loaded and run for some steps.

use std::ops::Range;
use std::sync::LazyLock;

use bpf_tracer::{Dialect, LoadOptions, Program};

use fuzz::{Choices, Depth, Stats, check_image, run, seeds, slots};

/// Most changes of a file.
const MAX_CHANGES: usize = 6;
const HEADER: Range<usize> = 0..64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SECTION_HEADER_BYTES: usize = 64;
/// Offset and width of the header's fields.
const HEADER_FIELDS: [(usize, usize); 13] = [
    (4, 1),
    (7, 1),
    (16, 2),
    (18, 2),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 4),
    (54, 2),
    (56, 2),
    (58, 2),
    (60, 2),
    (62, 2),
];
const SECTION_FIELDS: [(usize, usize); 10] = [
    (0, 4),
    (4, 4),
    (8, 8),
    (16, 8),
    (24, 8),
    (32, 8),
    (40, 4),
    (44, 4),
    (48, 8),
    (56, 8),
];
const SEGMENT_FIELDS: [(usize, usize); 8] = [
    (0, 4),
    (4, 4),
    (8, 8),
    (16, 8),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 8),
];

/// Types of sections whose content is a table, and the widths of an entry's fields.
const TABLES: [(u32, &[usize]); 5] = [
    (2, &[4, 1, 1, 2, 8, 8]),
    (11, &[4, 1, 1, 2, 8, 8]),
    (9, &[8, 4, 4]),
    (4, &[8, 4, 4, 8]),
    (6, &[8, 8]),
];
const PROGBITS: u32 = 1;
const EXECINSTR: u64 = 4;

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut files = seeds::files("seeds/elf", &["o", "so"]);
    files.extend(seeds::files("../examples/programs", &["o"]));
    files
});

static STATS: Stats = Stats::new("elf");

#[test]
fn elf_files() {
    bolero::check!().for_each(|bytes: &[u8]| STATS.count(target(bytes)));
    STATS.print();
}

/// One execution.
fn target(bytes: &[u8]) -> Depth {
    let mut choices = Choices::new(bytes);
    let style = choices.byte();
    let mut file = match style {
        // The magic, then anything.
        255 => [b"\x7fELF".as_slice(), choices.rest()].concat(),
        _ => SEEDS[usize::from(style) % SEEDS.len()].clone(),
    };
    for _ in 0..choices.below(MAX_CHANGES) {
        change(&mut file, &mut choices);
    }
    let flags = choices.byte();
    let mut options = LoadOptions::default().with_heap_size(512);
    if flags & 7 == 7 {
        options = options.with_dialect(choices.pick(&Dialect::ALL));
    }
    if flags & 0x70 == 0x70 {
        options = options.with_entry(choices.pick(&["main", "entry", "callee", "", ".text"]));
    }
    match Program::load(&file, &options) {
        Ok(program) => {
            check_image(&program);
            if run(&program, &mut choices) {
                Depth::Semantic
            } else {
                Depth::Parsed
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Depth::Refused
        }
    }
}

/// The little-endian number at a place, 0 if it is outside.
fn number(file: &[u8], at: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    let field = at.checked_add(width).and_then(|end| file.get(at..end));
    if let Some(field) = field {
        word[..width].copy_from_slice(field);
    }
    u64::from_le_bytes(word)
}

/// Where the file's header says that section and program headers are.
fn headers(file: &[u8], offset: usize, count: usize, size: usize) -> Vec<usize> {
    let start = usize::try_from(number(file, offset, 8)).unwrap_or(usize::MAX);
    let count = number(file, count, 2).min(32) as usize;
    let places = (0..count).map(|index| start.saturating_add(index * size));
    places
        .filter(|at| at.saturating_add(size) <= file.len())
        .collect()
}

struct Section {
    kind: u32,
    flags: u64,
    content: Range<usize>,
}

fn sections(file: &[u8]) -> Vec<Section> {
    let places = headers(file, 40, 60, SECTION_HEADER_BYTES);
    places
        .into_iter()
        .map(|at| {
            let clamp = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).min(file.len());
            let start = number(file, at + 24, 8);
            let end = start.saturating_add(number(file, at + 32, 8));
            Section {
                kind: number(file, at + 4, 4) as u32,
                flags: number(file, at + 8, 8),
                content: clamp(start)..clamp(end),
            }
        })
        .collect()
}

/// Changes one thing.
fn change(file: &mut Vec<u8>, choices: &mut Choices<'_>) {
    match choices.byte() % 12 {
        0 => change_one(file, &[HEADER.start], &HEADER_FIELDS, choices),
        1 => {
            let places = headers(file, 32, 56, PROGRAM_HEADER_BYTES);
            change_one(file, &places, &SEGMENT_FIELDS, choices);
        }
        2 | 3 => {
            let places = headers(file, 40, 60, SECTION_HEADER_BYTES);
            change_one(file, &places, &SECTION_FIELDS, choices);
        }
        4..7 => change_entry(file, choices),
        7..10 => change_code(file, choices),
        10 => swap_sections(file, choices),
        _ => choices.change_bytes(file),
    }
}

/// Changes a field of one of several things that look the same.
fn change_one(
    file: &mut [u8],
    places: &[usize],
    fields: &[(usize, usize)],
    choices: &mut Choices<'_>,
) {
    if places.is_empty() {
        return;
    }
    let (offset, width) = choices.pick(fields);
    let at = choices.pick(places) + offset;
    // Often the value of another such field: sizes and places that fit the file.
    if choices.byte().is_multiple_of(4) {
        let from = choices.pick(places) + choices.pick(fields).0;
        let value = number(file, from, width).to_le_bytes();
        if let Some(field) = file.get_mut(at..at + width) {
            field.copy_from_slice(&value[..width]);
        }
    } else if let Some(field) = file.get_mut(at..at + width) {
        choices.change_field(field);
    }
}

/// Changes a field of a symbol, relocation or dynamic entry.
fn change_entry(file: &mut [u8], choices: &mut Choices<'_>) {
    let tables: Vec<_> = sections(file)
        .into_iter()
        .filter_map(|section| {
            let (_, widths) = TABLES.iter().find(|(kind, _)| *kind == section.kind)?;
            Some((section.content, *widths))
        })
        .filter(|(content, _)| !content.is_empty())
        .collect();
    if tables.is_empty() {
        return;
    }
    let (content, widths) = &tables[choices.below(tables.len())];
    let size: usize = widths.iter().sum();
    let entry = choices.below(content.len() / size);
    let field = choices.below(widths.len());
    let at = content.start + entry * size + widths[..field].iter().sum::<usize>();
    if let Some(bytes) = file.get_mut(at..at + widths[field]) {
        choices.change_field(bytes);
    }
}

/// Puts an instruction somewhere into the code, or changes a byte of it.
fn change_code(file: &mut [u8], choices: &mut Choices<'_>) {
    let mut places: Vec<_> = sections(file)
        .into_iter()
        .filter(|section| section.kind == PROGBITS && section.flags & EXECINSTR != 0)
        .map(|section| section.content)
        .collect();
    // Version 3 has segments only; its code is the last thing in the seeds.
    if places.is_empty() {
        places.push(file.len().saturating_sub(24)..file.len());
    }
    let content = places[choices.below(places.len())].clone();
    let at = content.start + 8 * choices.below(content.len() / 8);
    if choices.byte().is_multiple_of(4) {
        if let Some(field) = file.get_mut(at..at + 4) {
            choices.change_field(field);
        }
        return;
    }
    let dialect = match number(file, 48, 4) {
        _ if number(file, 16, 2) == 1 => Dialect::Ebpf,
        0 => Dialect::SbpfV0,
        1 => Dialect::SbpfV1,
        2 => Dialect::SbpfV2,
        _ => Dialect::SbpfV3,
    };
    let mut code = Vec::new();
    slots::push(&mut code, dialect, choices);
    let end = (at + code.len()).min(content.end);
    file[at..end].copy_from_slice(&code[..end - at]);
}

fn swap_sections(file: &mut [u8], choices: &mut Choices<'_>) {
    let places = headers(file, 40, 60, SECTION_HEADER_BYTES);
    if places.len() < 2 {
        return;
    }
    let (one, other) = (choices.pick(&places), choices.pick(&places));
    if one.abs_diff(other) >= SECTION_HEADER_BYTES {
        for byte in 0..SECTION_HEADER_BYTES {
            file.swap(one + byte, other + byte);
        }
    }
}
