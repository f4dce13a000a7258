//! ELF objects: sections, symbols and relocations to one memory image.
//!
//! Relocations are those of LLVM (`R_BPF_64_64`, `R_BPF_64_ABS64`, `R_BPF_64_ABS32`, `R_BPF_64_32`), as
//! <https://docs.kernel.org/bpf/llvm_reloc.html> describes them.

use object::elf::{
    EM_BPF, ET_REL, FileHeader64, R_BPF_64_32, R_BPF_64_64, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE,
    SHT_NOBITS, SHT_PROGBITS,
};
use object::read::elf::{ElfFile64, FileHeader as _};
use object::{
    Endianness, LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags,
    RelocationTarget, SectionFlags, SectionIndex, SymbolKind, SymbolSection,
};

use crate::canonical::layout::{DATA_BASE, RODATA_BASE, TEXT_BASE};
use crate::error::LoadError;
use crate::instruction::{SLOT_BYTES, slot_of};
use crate::program::{Image, MAX_IMAGE_BYTES};

const R_BPF_64_ABS64: u32 = 2;
const R_BPF_64_ABS32: u32 = 3;
/// Entry names to look for when there are several global functions, in this order.
const ENTRY_NAMES: [&str; 3] = ["entry", "prog", "main"];
/// Sections read by kernels and debuggers only.
const IGNORED: [&str; 8] = [
    ".maps",
    "maps",
    ".BTF",
    ".debug",
    ".eh_frame",
    "license",
    "version",
    ".llvm",
];
/// Least alignment of a data section, in bytes.
const SECTION_ALIGN: u64 = 16;

type Elf<'a> = ElfFile64<'a, Endianness>;
type Section<'a, 'f> = object::read::elf::ElfSection64<'a, 'f, Endianness>;
type Symbol<'a, 'f> = object::read::elf::ElfSymbol64<'a, 'f, Endianness>;

/// Which part of the image a section belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Text,
    Rodata,
    Data,
}

/// A section that is loaded.
struct Placed {
    index: SectionIndex,
    part: Part,
    /// Offset in the part, in bytes.
    offset: u64,
}

/// Loads a relocatable object.
pub(crate) fn load(bytes: &[u8], entry: Option<&str>) -> Result<Image, LoadError> {
    check_header(bytes)?;
    let elf = Elf::parse(bytes).map_err(unusable)?;
    let mut loader = Loader {
        elf: &elf,
        text: Vec::new(),
        rodata: Vec::new(),
        data: Vec::new(),
        placed: Vec::new(),
    };
    loader.place()?;
    loader.relocate()?;
    let (entry, entry_name) = loader.entry(entry)?;
    let Loader {
        text, rodata, data, ..
    } = loader;
    // The padding can be read too.
    let readable_len = rodata.len().next_multiple_of(8) as u64;
    let readable = RODATA_BASE..RODATA_BASE.saturating_add(readable_len);
    Ok(Image {
        text,
        entry,
        readable,
        rodata,
        data,
        entry_name,
        ..Image::ebpf()
    })
}

fn unusable(error: object::Error) -> LoadError {
    LoadError::Elf {
        reason: error.to_string(),
    }
}

fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(4..6) {
        Some([2, 1]) => {}
        Some([_, 2]) => return Err(LoadError::BigEndian),
        _ => {
            return Err(LoadError::Elf {
                reason: "it is not a 64-bit ELF file".to_owned(),
            });
        }
    }
    let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(unusable)?;
    let (machine, kind) = (header.e_machine(LittleEndian), header.e_type(LittleEndian));
    if machine != EM_BPF {
        return Err(LoadError::Machine { machine });
    }
    if kind != ET_REL {
        return Err(LoadError::NotRelocatable { kind });
    }
    Ok(())
}

struct Loader<'a, 'f> {
    elf: &'f Elf<'a>,
    text: Vec<u8>,
    rodata: Vec<u8>,
    data: Vec<u8>,
    placed: Vec<Placed>,
}

impl<'a> Loader<'a, '_> {
    /// Lays out sections: in file order, but those without bytes in the file last.
    fn place(&mut self) -> Result<(), LoadError> {
        let elf = self.elf;
        for nobits in [false, true] {
            for section in elf.sections() {
                if let Some(part) = part_of(&section, nobits) {
                    self.place_section(&section, part, nobits)?;
                }
            }
        }
        if self.text.is_empty() {
            Err(LoadError::Empty)
        } else {
            Ok(())
        }
    }

    fn place_section(
        &mut self,
        section: &Section<'_, '_>,
        part: Part,
        nobits: bool,
    ) -> Result<(), LoadError> {
        let (bytes, what, align) = match part {
            Part::Text => (&mut self.text, "the code", SLOT_BYTES as u64),
            Part::Rodata => (&mut self.rodata, "the read-only data", SECTION_ALIGN),
            Part::Data => (&mut self.data, "the writable data", SECTION_ALIGN),
        };
        let len = section.size();
        if part == Part::Text && !len.is_multiple_of(SLOT_BYTES as u64) {
            let section = section.name().unwrap_or_default().to_owned();
            return Err(LoadError::PartialSection { section, len });
        }
        let align = if part == Part::Text {
            align
        } else {
            align.max(section.align())
        };
        let offset = (bytes.len() as u64).checked_next_multiple_of(align);
        let end = offset.and_then(|offset| offset.checked_add(len));
        let (Some(offset), Some(end)) = (offset, end.filter(|end| *end <= MAX_IMAGE_BYTES)) else {
            return Err(LoadError::TooLarge { what });
        };
        bytes.resize(offset as usize, 0);
        if !nobits {
            bytes.extend_from_slice(section.data().map_err(unusable)?);
        }
        bytes.resize(end as usize, 0);
        self.placed.push(Placed {
            index: section.index(),
            part,
            offset,
        });
        Ok(())
    }

    fn find(&self, index: SectionIndex) -> Option<&Placed> {
        self.placed.iter().find(|placed| placed.index == index)
    }

    fn relocate(&mut self) -> Result<(), LoadError> {
        let elf = self.elf;
        for section in elf.sections() {
            let Some(&Placed {
                part, offset: base, ..
            }) = self.find(section.index())
            else {
                continue;
            };
            for (offset, relocation) in section.relocations() {
                let RelocationFlags::Elf { r_type: kind } = relocation.flags() else {
                    continue;
                };
                let RelocationTarget::Symbol(symbol) = relocation.target() else {
                    let reason = "it has no symbol";
                    let section = section.name().unwrap_or_default().to_owned();
                    return Err(LoadError::Relocation {
                        section,
                        offset,
                        kind,
                        reason,
                    });
                };
                let symbol = elf.symbol_by_index(symbol).map_err(unusable)?;
                let explicit = (!relocation.has_implicit_addend()).then(|| relocation.addend());
                let site = Site {
                    section: &section,
                    part,
                    base,
                    offset,
                    kind,
                    explicit,
                };
                self.apply(&site, &symbol)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, site: &Site<'_, '_, '_>, symbol: &Symbol<'_, '_>) -> Result<(), LoadError> {
        let (target_part, value) = self.resolve(site, symbol)?;
        let len = match (site.kind, site.part == Part::Text) {
            (R_BPF_64_64, true) => SLOT_BYTES.wrapping_mul(2),
            (R_BPF_64_32, true) => SLOT_BYTES,
            (R_BPF_64_ABS64, false) => 8,
            (R_BPF_64_ABS32, false) => 4,
            _ => return Err(site.error("its type does not fit this section")),
        };
        let end = site.offset.checked_add(len as u64);
        if end.is_none_or(|end| end > site.section.size()) {
            return Err(site.error("it is outside its section"));
        }
        let at = site.base.wrapping_add(site.offset);
        let place = match site.part {
            Part::Text => &mut self.text,
            Part::Rodata => &mut self.rodata,
            Part::Data => &mut self.data,
        };
        let bytes = usize::try_from(at)
            .ok()
            .and_then(|at| place.get_mut(at..)?.get_mut(..len))
            .ok_or_else(|| site.error("it is outside its section"))?;
        match bytes {
            [0x18, _, _, _, low @ .., _, _, _, _, h0, h1, h2, h3]
                if site.kind == R_BPF_64_64 && low.len() == 4 =>
            {
                let addend = site.explicit.unwrap_or_else(|| {
                    let high = i32::from_le_bytes([*h0, *h1, *h2, *h3]);
                    let low = implicit32(low);
                    // LLVM writes the low half only, so that a negative one has zeros above.
                    if high == 0 {
                        low.into()
                    } else {
                        i64::from(high) << 32 | i64::from(low as u32)
                    }
                });
                let address = value.wrapping_add_signed(addend).to_le_bytes();
                low.copy_from_slice(&address[..4]);
                [*h0, *h1, *h2, *h3] = [address[4], address[5], address[6], address[7]];
                Ok(())
            }
            [0x85, registers, _, _, imm @ ..] if site.kind == R_BPF_64_32 => {
                if target_part != Some(Part::Text) {
                    return Err(site.error("only functions can be called"));
                }
                if *registers != 0x10 {
                    return Err(site.error("it is not at a call of a local function"));
                }
                // The immediate counts slots from the symbol, less one.
                let slots = match site.explicit {
                    Some(addend) => addend / 8,
                    None => i64::from(implicit32(imm)).wrapping_add(1),
                };
                let target = slot_of(value.wrapping_sub(TEXT_BASE)) as i64;
                let next = slot_of(at) as i64;
                let distance = target
                    .wrapping_add(slots)
                    .wrapping_sub(next)
                    .wrapping_sub(1);
                let distance = i32::try_from(distance)
                    .map_err(|_| site.error("its target is too far away"))?;
                imm.copy_from_slice(&distance.to_le_bytes());
                Ok(())
            }
            word if site.kind == R_BPF_64_ABS64 => {
                let old = word
                    .first_chunk()
                    .copied()
                    .map(i64::from_le_bytes)
                    .unwrap_or_default();
                let address = value.wrapping_add_signed(site.explicit.unwrap_or(old));
                word.copy_from_slice(&address.to_le_bytes());
                Ok(())
            }
            word if site.kind == R_BPF_64_ABS32 => {
                let addend = site.explicit.unwrap_or_else(|| implicit32(word).into());
                let address = u32::try_from(value.wrapping_add_signed(addend))
                    .map_err(|_| site.error("the address does not fit 32 bits"))?;
                word.copy_from_slice(&address.to_le_bytes());
                Ok(())
            }
            _ => Err(site.error("it is not at an instruction of its kind")),
        }
    }

    /// The part and virtual address of a symbol.
    fn resolve(
        &self,
        site: &Site<'_, '_, '_>,
        symbol: &Symbol<'_, '_>,
    ) -> Result<(Option<Part>, u64), LoadError> {
        let name = || self.name(symbol);
        match symbol.section() {
            SymbolSection::Undefined => Err(LoadError::UndefinedSymbol { name: name() }),
            SymbolSection::Absolute => Ok((None, symbol.address())),
            SymbolSection::Section(index) => {
                let placed = self.find(index).ok_or_else(|| LoadError::UnloadedSymbol {
                    section: site.section.name().unwrap_or_default().to_owned(),
                    offset: site.offset,
                    name: name(),
                })?;
                let base = match placed.part {
                    Part::Text => TEXT_BASE,
                    Part::Rodata => RODATA_BASE,
                    Part::Data => DATA_BASE,
                };
                let address = base
                    .wrapping_add(placed.offset)
                    .wrapping_add(symbol.address());
                Ok((Some(placed.part), address))
            }
            _ => Err(site.error("its symbol is in no section: compile with -fno-common")),
        }
    }

    /// A symbol's name, or its section's.
    fn name(&self, symbol: &Symbol<'_, '_>) -> String {
        let own = symbol.name().unwrap_or_default();
        let section = || {
            let section = self.elf.section_by_index(symbol.section_index()?).ok()?;
            section.name().ok().map(str::to_owned)
        };
        if own.is_empty() {
            section().unwrap_or_default()
        } else {
            own.to_owned()
        }
    }

    /// Slot and name of the entry.
    fn entry(&self, wanted: Option<&str>) -> Result<(u32, String), LoadError> {
        let functions: Vec<(String, bool, u64)> = self
            .elf
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text)
            .filter_map(|symbol| {
                let placed = self.find(symbol.section_index()?)?;
                let offset = placed.offset.checked_add(symbol.address())?;
                let name = symbol.name().ok()?.to_owned();
                (placed.part == Part::Text).then_some((name, symbol.is_global(), offset))
            })
            .collect();
        let named = |wanted: &str| functions.iter().find(|(name, ..)| name == wanted);
        let symbols = || functions.iter().map(|(name, ..)| name.clone()).collect();
        let chosen = if let Some(wanted) = wanted {
            named(wanted).ok_or_else(|| LoadError::UnknownEntry {
                name: wanted.to_owned(),
                symbols: symbols(),
            })?
        } else {
            let mut globals = functions.iter().filter(|(_, is_global, _)| *is_global);
            match (globals.next(), globals.next()) {
                (Some(only), None) => only,
                _ => ENTRY_NAMES
                    .into_iter()
                    .find_map(named)
                    .ok_or_else(|| LoadError::AmbiguousEntry { symbols: symbols() })?,
            }
        };
        let (name, _, offset) = chosen;
        let slot = u32::try_from(slot_of(*offset)).ok();
        match slot {
            Some(slot) if offset.is_multiple_of(SLOT_BYTES as u64) => Ok((slot, name.clone())),
            _ => Err(LoadError::MisplacedEntry { name: name.clone() }),
        }
    }
}

fn implicit32(bytes: &[u8]) -> i32 {
    bytes
        .first_chunk()
        .copied()
        .map(i32::from_le_bytes)
        .unwrap_or_default()
}

/// The part that a section belongs to, if it is loaded and is, or is not, without bytes in the file.
fn part_of(section: &Section<'_, '_>, nobits: bool) -> Option<Part> {
    let SectionFlags::Elf { sh_flags } = section.flags() else {
        return None;
    };
    let name = section.name().unwrap_or_default();
    let kind = section.elf_section_header().sh_type.get(Endianness::Little);
    let has = |flag: u32| sh_flags & u64::from(flag) != 0;
    let is_ignored = IGNORED.iter().any(|prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || prefix.starts_with('.'))
    });
    if !has(SHF_ALLOC) || is_ignored || kind != if nobits { SHT_NOBITS } else { SHT_PROGBITS } {
        return None;
    }
    if has(SHF_EXECINSTR) {
        (!nobits && section.size() != 0).then_some(Part::Text)
    } else if has(SHF_WRITE) || nobits {
        Some(Part::Data)
    } else {
        Some(Part::Rodata)
    }
}

/// Where a relocation applies.
struct Site<'a, 'f, 's> {
    section: &'s Section<'a, 'f>,
    part: Part,
    /// The section's offset in its part.
    base: u64,
    /// Offset in the section.
    offset: u64,
    kind: u32,
    /// The addend, if not in the bytes themselves.
    explicit: Option<i64>,
}

impl Site<'_, '_, '_> {
    fn error(&self, reason: &'static str) -> LoadError {
        let section = self.section.name().unwrap_or_default().to_owned();
        LoadError::Relocation {
            section,
            offset: self.offset,
            kind: self.kind,
            reason,
        }
    }
}
