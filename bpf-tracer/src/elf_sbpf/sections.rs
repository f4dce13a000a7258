//! The tables and sections of files of versions 0 to 2.

use std::ops::Range;

use object::LittleEndian as Le;
use object::elf::{
    DT_NULL, DT_REL, DT_RELENT, DT_RELSZ, DT_SYMTAB, PT_DYNAMIC, PT_LOAD, SHF_ALLOC, SHF_WRITE,
    SHT_DYNAMIC, SHT_DYNSYM, SHT_NOBITS, SHT_NULL, SHT_STRTAB, SHT_SYMTAB,
};
use object::pod::Pod;

use super::{
    Dynamic, Header, IMAGE_BASE, ProgramHeader, Relocation, SectionHeader, Symbol, part, size,
    table, unusable,
};
use crate::canonical::layout::STACK_BASE;
use crate::error::LoadError;

/// Most bytes of a section's name, the zero after it included.
const MAX_SECTION_NAME: u64 = 16;
/// Most bytes of a function's name, the zero after it included.
const MAX_SYMBOL_NAME: u64 = 64;
/// The sections that programs of versions 0 to 2 can read.
const READABLE: [&[u8]; 4] = [b".text", b".rodata", b".data.rel.ro", b".eh_frame"];

/// A file of versions 0 to 2, its tables checked.
pub(super) struct Elf<'a> {
    pub(super) bytes: &'a [u8],
    entry: u64,
    segments: &'a [ProgramHeader],
    sections: &'a [SectionHeader],
    /// Names of the sections.
    names: Vec<&'a [u8]>,
    /// The section that symbols have their names in.
    symbol_names: Option<&'a SectionHeader>,
    pub(super) symbols: &'a [Symbol],
    pub(super) relocations: &'a [Relocation],
}

impl<'a> Elf<'a> {
    pub(super) fn parse(bytes: &'a [u8], header: &Header) -> Result<Self, LoadError> {
        let header_range = 0..size::<Header>();
        let of_table = |start: u64, count: u16, entry: u64| {
            let len = u64::from(count).saturating_mul(entry);
            let end = start.checked_add(len);
            end.map(|end| start..end)
                .ok_or(unusable("a table of headers is beyond its end"))
        };
        if u64::from(header.e_shentsize.get(Le)) != size::<SectionHeader>()
            || header.e_shstrndx.get(Le) >= header.e_shnum.get(Le)
        {
            return Err(unusable("the ELF header states no usable section table"));
        }
        let segments_range = of_table(
            header.e_phoff.get(Le),
            header.e_phnum.get(Le),
            size::<ProgramHeader>(),
        )?;
        let sections_range = of_table(
            header.e_shoff.get(Le),
            header.e_shnum.get(Le),
            size::<SectionHeader>(),
        )?;
        check_apart(&header_range, &segments_range)?;
        check_apart(&header_range, &sections_range)?;
        check_apart(&segments_range, &sections_range)?;
        let no_table = || unusable("a table of headers is not in the file");
        let len = |range: &Range<u64>| range.end.saturating_sub(range.start);
        let segments: &[ProgramHeader] =
            table(bytes, segments_range.start, len(&segments_range)).ok_or_else(no_table)?;
        let sections: &[SectionHeader] =
            table(bytes, sections_range.start, len(&sections_range)).ok_or_else(no_table)?;
        if sections
            .first()
            .is_none_or(|first| first.sh_type.get(Le) != SHT_NULL)
        {
            return Err(unusable("its first section is not the null section"));
        }

        let mut address = 0;
        for segment in segments
            .iter()
            .filter(|segment| segment.p_type.get(Le) == PT_LOAD)
        {
            if segment.p_vaddr.get(Le) < address {
                return Err(unusable("its segments are not in order"));
            }
            address = segment.p_vaddr.get(Le);
            let end = segment
                .p_offset
                .get(Le)
                .checked_add(segment.p_filesz.get(Le));
            if end.is_none_or(|end| end > bytes.len() as u64) {
                return Err(unusable("a segment is not in the file"));
            }
        }

        let mut offset = 0;
        for section in sections
            .iter()
            .filter(|section| section.sh_type.get(Le) != SHT_NOBITS)
        {
            let range = file_range(section).ok_or(unusable("a section is not in the file"))?;
            for other in [&header_range, &segments_range, &sections_range] {
                check_apart(&range, other)?;
            }
            if range.start < offset {
                return Err(unusable("its sections are not in order"));
            }
            offset = range.end;
            if offset > bytes.len() as u64 {
                return Err(unusable("a section is not in the file"));
            }
        }

        let section_names = Some(usize::from(header.e_shstrndx.get(Le)))
            .filter(|index| *index != 0)
            .and_then(|index| sections.get(index))
            .ok_or(unusable("its sections have no names"))?;
        let names = sections
            .iter()
            .map(|section| {
                let name = section.sh_name.get(Le);
                string(bytes, section_names, name, MAX_SECTION_NAME)
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(unusable("the name of a section is missing or too long"))?;
        let mut elf = Self {
            bytes,
            entry: header.e_entry.get(Le),
            segments,
            sections,
            names,
            symbol_names: None,
            symbols: &[],
            relocations: &[],
        };
        elf.only(b".symtab")?;
        elf.only(b".strtab")?;
        elf.symbol_names = elf.only(b".dynstr")?;
        elf.read_dynamic()?;
        Ok(elf)
    }

    fn named(&self, name: &[u8]) -> impl Iterator<Item = &'a SectionHeader> {
        let named = self.names.iter().zip(self.sections);
        named.filter_map(move |(own, section)| (*own == name).then_some(section))
    }

    /// The section of this name, if there is one; there may not be several.
    fn only(&self, name: &[u8]) -> Result<Option<&'a SectionHeader>, LoadError> {
        let mut named = self.named(name);
        let first = named.next();
        if named.next().is_some() {
            return Err(unusable("several sections share a name"));
        }
        Ok(first)
    }

    pub(super) fn text(&self) -> Result<&'a SectionHeader, LoadError> {
        self.only(b".text")?
            .ok_or(unusable("it has no section `.text`"))
    }

    /// Finds symbols and relocations through the dynamic table, if there is one.
    fn read_dynamic(&mut self) -> Result<(), LoadError> {
        let bad = || unusable("its dynamic table does not fit the file");
        let in_segment = self
            .segments
            .iter()
            .find(|segment| segment.p_type.get(Le) == PT_DYNAMIC)
            .and_then(|segment| {
                table(
                    self.bytes,
                    segment.p_offset.get(Le),
                    segment.p_filesz.get(Le),
                )
            });
        let mut sections = self.sections.iter();
        let entries: &[Dynamic] = match in_segment {
            Some(entries) => entries,
            None => match sections.find(|section| section.sh_type.get(Le) == SHT_DYNAMIC) {
                Some(section) => self.section_table(section).ok_or_else(bad)?,
                None => return Ok(()),
            },
        };
        // Of several entries with a tag, the last counts.
        let value = |tag: u32| {
            entries
                .iter()
                .take_while(|entry| entry.d_tag.get(Le) != DT_NULL.into())
                .filter(|entry| entry.d_tag.get(Le) == tag.into())
                .last()
                .map_or(0, |entry| entry.d_val.get(Le))
        };
        let address = value(DT_REL);
        if address != 0 {
            let len = value(DT_RELSZ);
            if value(DT_RELENT) != size::<Relocation>() || len == 0 {
                return Err(bad());
            }
            let offset = self.offset_of_address(address).ok_or_else(bad)?;
            self.relocations = table(self.bytes, offset, len).ok_or_else(bad)?;
        }
        let address = value(DT_SYMTAB);
        if address != 0 {
            let section = self.section_at(address).ok_or_else(bad)?;
            if ![SHT_SYMTAB, SHT_DYNSYM].contains(&section.sh_type.get(Le)) {
                return Err(bad());
            }
            self.symbols = self.section_table(section).ok_or_else(bad)?;
        }
        Ok(())
    }

    fn section_table<T: Pod>(&self, section: &SectionHeader) -> Option<&'a [T]> {
        table(
            self.bytes,
            section.sh_offset.get(Le),
            section.sh_size.get(Le),
        )
    }

    fn section_at(&self, address: u64) -> Option<&'a SectionHeader> {
        let mut sections = self.sections.iter();
        sections.find(|section| section.sh_addr.get(Le) == address)
    }

    /// Where in the file an address is: by the first segment that contains it, of any kind, or else by a
    /// section that begins there.
    fn offset_of_address(&self, address: u64) -> Option<u64> {
        for segment in self.segments {
            let start = segment.p_vaddr.get(Le);
            let end = start.checked_add(segment.p_memsz.get(Le))?;
            if (start..end).contains(&address) {
                return address
                    .checked_sub(start)?
                    .checked_add(segment.p_offset.get(Le));
            }
        }
        Some(self.section_at(address)?.sh_offset.get(Le))
    }

    pub(super) fn check_sections(&self) -> Result<(), LoadError> {
        for (name, section) in self.names.iter().zip(self.sections) {
            let flags = section.sh_flags.get(Le);
            let has = |flag: u32| flags & u64::from(flag) != 0;
            let is_data = name.starts_with(b".data") && !name.starts_with(b".data.rel");
            if name.starts_with(b".bss") || (is_data && has(SHF_ALLOC) && has(SHF_WRITE)) {
                return Err(unusable("it has writable data, which sBPF does not have"));
            }
            let range = file_range(section).and_then(|range| part(self.bytes, range));
            if range.is_none() {
                return Err(unusable("a section is not in the file"));
            }
        }
        let text = self.text()?;
        if contains_address(text, self.entry) {
            Ok(())
        } else {
            Err(unusable("its entry is outside its code"))
        }
    }

    /// The name of a symbol.
    pub(super) fn symbol_name(&self, symbol: &Symbol) -> Option<&'a [u8]> {
        string(
            self.bytes,
            self.symbol_names?,
            symbol.st_name.get(Le),
            MAX_SYMBOL_NAME,
        )
    }
}

/// What programs of versions 0 to 2 can read: from the lowest to the highest address of the readable
/// sections.
pub(super) struct Readable {
    /// Lowest address, without [`IMAGE_BASE`].
    pub(super) lowest: u64,
    highest: u64,
    /// Bytes where sections are not in one piece of the file, or not at their addresses; then what is
    /// between them is zero.
    owned: Option<Vec<u8>>,
}

impl Readable {
    pub(super) fn collect(elf: &Elf<'_>, bytes: &[u8]) -> Result<Self, LoadError> {
        let bad = || unusable("its read-only sections are outside the addresses for them");
        let named = elf.names.iter().zip(elf.sections);
        let readable: Vec<(usize, u64, &SectionHeader)> = named
            .enumerate()
            .filter(|(_, (name, _))| READABLE.contains(name))
            .map(|(index, (_, section))| (index, section.sh_addr.get(Le), section))
            .collect();
        let (mut lowest, mut highest) = (u64::MAX, 0);
        let mut is_file_image = true;
        let mut pieces = Vec::new();
        for (_, address, section) in &readable {
            is_file_image &= *address == section.sh_offset.get(Le);
            if *address > STACK_BASE.saturating_sub(IMAGE_BASE) {
                return Err(bad());
            }
            let content = content_range(section)
                .and_then(|range| part(bytes, range))
                .ok_or_else(bad)?;
            lowest = lowest.min(*address);
            highest = highest.max(address.saturating_add(content.len() as u64));
            if !content.is_empty() {
                pieces.push((*address, content));
            }
        }
        let is_one_piece = match (readable.first(), readable.last()) {
            (Some((first, ..)), Some((last, ..))) => {
                last.saturating_sub(*first).saturating_add(1) == readable.len()
            }
            _ => return Err(bad()),
        };
        let mut owned = None;
        if !is_file_image || !is_one_piece {
            let len = highest.saturating_sub(lowest);
            if len > bytes.len() as u64 {
                return Err(unusable("its read-only sections are too far apart"));
            }
            let mut memory = vec![0; usize::try_from(len).map_err(|_| bad())?];
            for (address, content) in pieces {
                let start = usize::try_from(address.saturating_sub(lowest)).ok();
                start
                    .and_then(|start| memory.get_mut(start..)?.get_mut(..content.len()))
                    .ok_or_else(bad)?
                    .copy_from_slice(content);
            }
            owned = Some(memory);
        }
        Ok(Self {
            lowest,
            highest,
            owned,
        })
    }

    pub(super) fn bytes<'a>(&'a self, file: &'a [u8]) -> Result<&'a [u8], LoadError> {
        match &self.owned {
            Some(bytes) => Ok(bytes),
            None => part(file, self.lowest..self.highest)
                .ok_or(unusable("its read-only sections are not in the file")),
        }
    }

    /// The code: as the program would read it.
    pub(super) fn text<'a>(&'a self, file: &'a [u8], text: &SectionHeader) -> Option<&'a [u8]> {
        let range = content_range(text)?;
        match &self.owned {
            Some(bytes) => {
                let start = text.sh_addr.get(Le).checked_sub(self.lowest)?;
                let len = range.end.checked_sub(range.start)?;
                part(bytes, start..start.checked_add(len)?)
            }
            None => part(file, range),
        }
    }
}

fn check_apart(one: &Range<u64>, other: &Range<u64>) -> Result<(), LoadError> {
    if one.end <= other.start || other.end <= one.start {
        Ok(())
    } else {
        Err(unusable("its headers, tables or sections overlap"))
    }
}

/// The zero-terminated string at an offset of a section of strings; `most` bytes with the zero.
fn string<'a>(
    bytes: &'a [u8],
    section: &SectionHeader,
    offset: u32,
    most: u64,
) -> Option<&'a [u8]> {
    if section.sh_type.get(Le) != SHT_STRTAB {
        return None;
    }
    let section = file_range(section)?;
    let start = section.start.checked_add(offset.into())?;
    let end = section.end.min(start.checked_add(most)?);
    let bytes = part(bytes, start..end)?;
    let len = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(..len)
}

/// The file bytes that a header speaks of.
fn file_range(section: &SectionHeader) -> Option<Range<u64>> {
    let start = section.sh_offset.get(Le);
    Some(start..start.checked_add(section.sh_size.get(Le))?)
}

/// The file bytes that a section's content is in: none if it has none in the file.
pub(super) fn content_range(section: &SectionHeader) -> Option<Range<u64>> {
    if section.sh_type.get(Le) == SHT_NOBITS {
        Some(0..0)
    } else {
        file_range(section)
    }
}

pub(super) fn contains_address(section: &SectionHeader, address: u64) -> bool {
    let start = section.sh_addr.get(Le);
    (start..start.saturating_add(section.sh_size.get(Le))).contains(&address)
}
