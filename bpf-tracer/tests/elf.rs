//! ELF objects, built here section by section.

mod asm;

use asm::{EXIT, Fields, bytecode};
use bpf_tracer::canonical::layout::{DATA_BASE, RODATA_BASE, TEXT_BASE};
use bpf_tracer::{LoadError, LoadOptions, Op, Program};
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
};
use proptest::prelude::*;

const R_BPF_64_64: u32 = 1;
const R_BPF_64_ABS64: u32 = 2;
const R_BPF_64_ABS32: u32 = 3;
const R_BPF_64_32: u32 = 10;

/// `r0 = 0 ll`, to be relocated.
const WIDE: [Fields; 2] = [(0x18, 0, 0, 0, 0), (0, 0, 0, 0, 0)];

struct Builder(Object<'static>);

impl Builder {
    fn new() -> Self {
        Self(Object::new(
            BinaryFormat::Elf,
            Architecture::Bpf,
            Endianness::Little,
        ))
    }

    fn section(&mut self, name: &str, kind: SectionKind, bytes: &[u8], align: u64) -> SectionId {
        let id = self.0.add_section(Vec::new(), name.into(), kind);
        if kind == SectionKind::UninitializedData {
            self.0.append_section_bss(id, bytes.len() as u64, align);
        } else {
            self.0.append_section_data(id, bytes, align);
        }
        id
    }

    fn text(&mut self, name: &str, slots: &[Fields]) -> SectionId {
        self.section(name, SectionKind::Text, &bytecode(slots), 8)
    }

    fn symbol(&mut self, name: &str, section: SymbolSection, value: u64, global: bool) -> SymbolId {
        self.0.add_symbol(Symbol {
            name: name.into(),
            value,
            size: 8,
            kind: SymbolKind::Text,
            scope: if global {
                SymbolScope::Linkage
            } else {
                SymbolScope::Compilation
            },
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    fn function(&mut self, name: &str, section: SectionId, value: u64) -> SymbolId {
        self.symbol(name, SymbolSection::Section(section), value, true)
    }

    /// Relocates with the addend that the bytes hold.
    fn relocate(&mut self, section: SectionId, offset: u64, symbol: SymbolId, r_type: u32) {
        let flags = RelocationFlags::Elf { r_type };
        let relocation = Relocation {
            offset,
            symbol,
            addend: 0,
            flags,
        };
        self.0
            .add_relocation(section, relocation)
            .expect("a relocation");
    }

    fn bytes(self) -> Vec<u8> {
        self.0.write().expect("an object")
    }

    fn load(self) -> Result<Program, LoadError> {
        Program::load(&self.bytes(), &LoadOptions::default())
    }
}

/// An object with every kind of section and relocation.
fn rich() -> Builder {
    let mut object = Builder::new();
    let rodata = object.section(".rodata", SectionKind::ReadOnlyData, &[1, 2, 3], 1);
    let strings = object.section(".rodata.str", SectionKind::ReadOnlyData, b"hello", 1);
    let data = object.section(".data", SectionKind::Data, &[0x10; 24], 8);
    let bss = object.section(".bss", SectionKind::UninitializedData, &[0; 5], 8);
    let main = [
        WIDE.as_slice(),
        &[(0x18, 1, 0, 0, 2), (0, 0, 0, 0, 0)],
        &[(0x18, 2, 0, 0, -1), (0, 0, 0, 0, 0)],
        &[(0x18, 3, 0, 0, 8), (0, 0, 0, 0, 0)],
        &[(0x85, 0, 1, 0, -1), EXIT],
    ];
    let main = object.text("prog", &main.concat());
    let other = object.text(".text", &[EXIT, (0xb7, 0, 0, 0, 5), EXIT]);
    object.function("main", main, 0);
    let callee = object.function("callee", other, 8);
    let [rodata, strings, bss, text] =
        [rodata, strings, bss, other].map(|id| object.0.section_symbol(id));
    object.relocate(main, 0, rodata, R_BPF_64_64);
    object.relocate(main, 16, strings, R_BPF_64_64);
    object.relocate(main, 32, bss, R_BPF_64_64);
    object.relocate(main, 48, text, R_BPF_64_64);
    object.relocate(main, 64, callee, R_BPF_64_32);
    object.relocate(data, 0, strings, R_BPF_64_ABS64);
    object.relocate(data, 8, callee, R_BPF_64_ABS64);
    object
}

#[test]
fn sections_are_laid_out_and_relocated() {
    let program = rich().load().expect("it loads");
    assert_eq!(program.entry(), 0);
    let imm = |pc: usize| program.instructions()[pc].imm;
    assert_eq!(imm(0), RODATA_BASE);
    assert_eq!(imm(2), RODATA_BASE + 16 + 2);
    assert_eq!(imm(4), DATA_BASE + 32 - 1);
    assert_eq!(imm(6), TEXT_BASE + 8 * 10 + 8);
    assert_eq!(
        (
            program.instructions()[8].op,
            program.instructions()[8].target
        ),
        (Op::Call, 11)
    );
    assert_eq!(
        program.rodata(),
        b"\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\0\0\0hello\0\0\0"
    );
    assert_eq!(program.data().len(), 40);
    let word =
        |at: usize| u64::from_le_bytes(program.data()[at..at + 8].try_into().expect("eight bytes"));
    let addend = 0x1010_1010_1010_1010_u64;
    assert_eq!(word(0), addend + RODATA_BASE + 16);
    assert_eq!(word(8), addend + TEXT_BASE + 8 * 11);
    assert_eq!((word(16), word(24), word(32)), (addend, 0, 0));
}

#[test]
fn section_relative_calls_count_slots() {
    let mut object = Builder::new();
    // LLVM: the symbol is the section, the immediate the slot in it, less one.
    let main = object.text("prog", &[(0x85, 0, 1, 0, 1), EXIT]);
    let other = object.text(".text", &[EXIT, EXIT, (0xb7, 0, 0, 0, 5), EXIT]);
    object.function("prog", main, 0);
    let symbol = object.0.section_symbol(other);
    object.relocate(main, 0, symbol, R_BPF_64_32);
    let program = object.load().expect("it loads");
    assert_eq!(program.instructions()[0].target, 4);
}

#[test]
fn entries_are_chosen_by_name() {
    let build = |names: &[&str]| {
        let mut object = Builder::new();
        let slots: Vec<Fields> = names.iter().map(|_| EXIT).collect();
        let text = object.text(".text", &slots);
        for (offset, name) in (0..).step_by(8).zip(names) {
            object.function(name, text, offset);
        }
        object.symbol("local", SymbolSection::Section(text), 0, false);
        object.bytes()
    };
    let entry = |names: &[&str], wanted: Option<&str>| {
        let entry = wanted.map(str::to_owned);
        let options = LoadOptions {
            entry,
            ..LoadOptions::default()
        };
        Program::load(&build(names), &options).map(|program| program.entry())
    };
    assert_eq!(entry(&["f"], None), Ok(0));
    assert_eq!(entry(&["f", "main"], None), Ok(1));
    assert_eq!(entry(&["main", "prog", "entry"], None), Ok(2));
    assert_eq!(entry(&["f", "g"], Some("g")), Ok(1));
    assert_eq!(entry(&["f", "g"], Some("local")), Ok(0));

    let names = |list: [&str; 3]| list.map(str::to_owned).to_vec();
    let symbols = names(["local", "f", "g"]);
    let ambiguous = LoadError::AmbiguousEntry {
        symbols: symbols.clone(),
    };
    assert!(ambiguous.to_string().ends_with("local, f, g"));
    assert_eq!(entry(&["f", "g"], None), Err(ambiguous));
    let unknown = LoadError::UnknownEntry {
        name: "h".to_owned(),
        symbols,
    };
    assert_eq!(entry(&["f", "g"], Some("h")), Err(unknown));
}

#[test]
fn entries_start_at_instructions() {
    for offset in [4, 8, 24, 1 << 40] {
        let mut object = Builder::new();
        let text = object.text(".text", &[WIDE[0], WIDE[1], EXIT]);
        object.function("f", text, offset);
        let name = "f".to_owned();
        assert_eq!(
            object.load(),
            Err(LoadError::MisplacedEntry { name }),
            "{offset}"
        );
    }
}

#[test]
fn undefined_and_unloaded_symbols_are_named() {
    let call = |section: SymbolSection| {
        let mut object = Builder::new();
        let text = object.text(".text", &[(0x85, 0, 1, 0, -1), EXIT]);
        object.function("f", text, 0);
        let symbol = object.symbol("missing", section, 0, true);
        object.relocate(text, 0, symbol, R_BPF_64_32);
        object.load()
    };
    let name = "missing".to_owned();
    assert_eq!(
        call(SymbolSection::Undefined),
        Err(LoadError::UndefinedSymbol { name })
    );
    assert!(matches!(
        call(SymbolSection::Absolute),
        Err(LoadError::Relocation { .. })
    ));
    assert!(matches!(
        call(SymbolSection::Common),
        Err(LoadError::Relocation { .. })
    ));

    let mut object = Builder::new();
    let maps = object.section(".maps", SectionKind::Data, &[0; 8], 8);
    let text = object.text(".text", &[WIDE[0], WIDE[1], EXIT]);
    object.function("f", text, 0);
    let map = object.symbol("table", SymbolSection::Section(maps), 0, true);
    object.relocate(text, 0, map, R_BPF_64_64);
    let (section, name) = (".text".to_owned(), "table".to_owned());
    assert_eq!(
        object.load(),
        Err(LoadError::UnloadedSymbol {
            section,
            offset: 0,
            name
        })
    );
}

#[test]
fn relocations_fit_where_they_apply() {
    let reject = |at_text: bool, offset, kind| {
        let mut object = Builder::new();
        let text = object.text(".text", &[WIDE[0], WIDE[1], (0x85, 0, 0, 0, 0), EXIT]);
        let data = object.section(".data", SectionKind::Data, &[0; 16], 8);
        let symbol = object.function("f", text, 0);
        object.relocate(if at_text { text } else { data }, offset, symbol, kind);
        matches!(object.load(), Err(LoadError::Relocation { .. }))
    };
    for (at_text, offset, kind) in [
        (true, 8, R_BPF_64_64),       // the second slot
        (true, 16, R_BPF_64_64),      // a call
        (true, 24, R_BPF_64_64),      // too near the end
        (true, 1 << 40, R_BPF_64_64), // far outside
        (true, 0, R_BPF_64_32),       // an lddw
        (true, 16, R_BPF_64_32),      // a helper call
        (true, 0, R_BPF_64_ABS64),    // in text
        (true, 0, 99),                // unknown
        (false, 0, R_BPF_64_64),      // in data
        (false, 9, R_BPF_64_ABS64),   // too near the end
        (false, u64::MAX, R_BPF_64_ABS64),
        (false, 0, R_BPF_64_ABS32), // the address needs 64 bits
    ] {
        assert!(reject(at_text, offset, kind), "{at_text} {offset} {kind}");
    }
}

#[test]
fn other_files_are_refused() {
    let good = rich().bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Program::load(&file, &LoadOptions::default())
    };
    assert!(with(0, &[]).is_ok());
    assert_eq!(with(5, &[2]), Err(LoadError::BigEndian));
    assert_eq!(with(18, &[62, 0]), Err(LoadError::Machine { machine: 62 }));
    assert_eq!(
        with(16, &[2, 0]),
        Err(LoadError::NotRelocatable { kind: 2 })
    );
    assert!(matches!(with(4, &[1]), Err(LoadError::Elf { .. })));
    let short = Program::load(&good[..60], &LoadOptions::default());
    assert!(matches!(short, Err(LoadError::Elf { .. })));
    assert_eq!(Builder::new().load(), Err(LoadError::Empty));
}

#[test]
fn sections_have_sensible_sizes() {
    let mut object = Builder::new();
    object.section(".text", SectionKind::Text, &[0x95, 0, 0, 0], 8);
    let section = ".text".to_owned();
    assert_eq!(
        object.load(),
        Err(LoadError::PartialSection { section, len: 4 })
    );

    let mut object = Builder::new();
    let bss = object.section(".bss", SectionKind::UninitializedData, &[], 8);
    object.0.append_section_bss(bss, u64::MAX, 8);
    object.text(".text", &[EXIT]);
    let found = object.load();
    assert_eq!(
        found,
        Err(LoadError::TooLarge {
            what: "the writable data"
        })
    );
}

proptest! {
    #[test]
    fn damaged_objects_do_not_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = rich().bytes();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        match Program::load(&file, &LoadOptions::default()) {
            Ok(program) => prop_assert!(!program.instructions().is_empty()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// A seed of the fuzz target for ELF files. `ZKBPF_BLESS=1` writes it.
#[test]
fn fuzzing_starts_from_this_object() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/elf/ebpf-rich.o");
    let bytes = rich().bytes();
    if std::env::var_os("ZKBPF_BLESS").is_some() {
        std::fs::write(&path, &bytes).expect("written");
    }
    assert!(std::fs::read(&path).expect("a seed") == bytes);
}
