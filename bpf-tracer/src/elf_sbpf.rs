//! sBPF executables: ELF shared objects to code and memory, as Solana's validators load them.
//!
//! Which bytes a program may read, where its functions are and which number calls them follow from the
//! file by the rules of `solana-sbpf` 0.26, with `optimize_rodata` and without `reject_broken_elfs`:
//! what is accepted here is accepted there and gives the same image. Of what is accepted there, this is
//! refused here:
//!
//! * versions other than 0 to 3;
//! * version 3 in a file that is not a shared object (`ET_DYN`), which is not looked at there;
//! * a function whose number is that of any system call of [`crate::syscall`], whether or not the
//!   validator has switched that call on;
//! * code or read-only data that a [`Program`](crate::Program) has no room for, which it checks itself.
//!
//! Versions 0 to 2 are found through section headers and relocated; the code is part of what the program
//! can read. Version 3 is found through program headers alone and has no relocations.

use std::collections::BTreeMap;
use std::ops::Range;

use object::LittleEndian as Le;
use object::elf::{
    Dyn64, ELFCLASS64, ELFDATA2LSB, ELFMAG, ELFOSABI_NONE, EM_BPF, EM_SBF, ET_DYN, EV_CURRENT,
    FileHeader64, PF_R, PF_X, PT_LOAD, ProgramHeader64, Rel64, SectionHeader64, Sym64,
};
use object::pod::{self, Pod};

use crate::canonical::layout::STACK_BASE;
use crate::error::LoadError;
use crate::instruction::{SLOT_BYTES, slot_of};
use crate::options::Dialect;
use crate::program::SbpfParts;
use sections::{Elf, Readable};

#[cfg(test)]
mod fixtures;
mod relocate;
mod sections;
#[cfg(test)]
mod tests;

type Header = FileHeader64<Le>;
type ProgramHeader = ProgramHeader64<Le>;
type SectionHeader = SectionHeader64<Le>;
type Symbol = Sym64<Le>;
type Relocation = Rel64<Le>;
type Dynamic = Dyn64<Le>;

/// Address of the first byte of the file's image in versions 0 to 2, and of the code in version 3.
const IMAGE_BASE: u64 = 1 << 32;
/// Bytes of addresses that a segment can have.
const SEGMENT_BYTES: u64 = 1 << 32;
/// Where the tables of an ELF file may begin.
const TABLE_ALIGN: u64 = 8;
/// The function that a program starts with.
const ENTRYPOINT: &str = "entrypoint";

/// Whether a file is for this loader, whatever else is wrong with it: a little-endian 64-bit ELF shared
/// object for a machine of the family.
pub(crate) fn is_sbpf(bytes: &[u8]) -> bool {
    table::<Header>(bytes, 0, size::<Header>())
        .and_then(<[_]>::first)
        .is_some_and(|header| {
            (header.e_ident.class, header.e_ident.data) == (ELFCLASS64, ELFDATA2LSB)
                && [EM_BPF, EM_SBF].contains(&header.e_machine.get(Le))
                && header.e_type.get(Le) == ET_DYN
        })
}

/// Reads and relocates an executable.
pub(crate) fn load(bytes: &[u8]) -> Result<SbpfParts, LoadError> {
    let header: &Header = table(bytes, 0, size::<Header>())
        .and_then(<[_]>::first)
        .ok_or(unusable("it ends within the ELF header"))?;
    let dialect = match header.e_flags.get(Le) {
        0 => Dialect::SbpfV0,
        1 => Dialect::SbpfV1,
        2 => Dialect::SbpfV2,
        3 => Dialect::SbpfV3,
        version => return Err(LoadError::SbpfVersion { version }),
    };
    check_header(header)?;
    if dialect == Dialect::SbpfV3 {
        load_segments(bytes, header)
    } else {
        load_sections(bytes, header, dialect)
    }
}

fn unusable(reason: &'static str) -> LoadError {
    LoadError::Sbpf { reason }
}

/// What all versions ask of the header.
fn check_header(header: &Header) -> Result<(), LoadError> {
    let ident = &header.e_ident;
    let machine = header.e_machine.get(Le);
    if ident.magic != ELFMAG || ident.class != ELFCLASS64 || ident.data != ELFDATA2LSB {
        Err(unusable("it is not a little-endian 64-bit ELF file"))
    } else if ident.version != EV_CURRENT || header.e_version.get(Le) != EV_CURRENT.into() {
        Err(unusable("its ELF version is not 1"))
    } else if ident.os_abi != ELFOSABI_NONE {
        Err(unusable("it is for an operating system"))
    } else if header.e_ehsize.get(Le) as u64 != size::<Header>()
        || header.e_phentsize.get(Le) as u64 != size::<ProgramHeader>()
    {
        Err(unusable("the ELF header states other header sizes"))
    } else if machine != EM_BPF && machine != EM_SBF {
        Err(LoadError::Machine { machine })
    } else if header.e_type.get(Le) != ET_DYN {
        Err(unusable("it is not a shared object"))
    } else {
        Ok(())
    }
}

/// Version 3: read-only data and code are the first two segments, in this order and without gaps; there
/// may be code alone.
fn load_segments(bytes: &[u8], header: &Header) -> Result<SbpfParts, LoadError> {
    let ident = &header.e_ident;
    let count = u64::from(header.e_phnum.get(Le));
    if ident.abi_version != 0 || ident.padding != [0; 7] {
        return Err(unusable("it is for an operating system"));
    }
    if header.e_machine.get(Le) != EM_BPF {
        return Err(unusable("version 3 is for ELF machine 247 only"));
    }
    if header.e_phoff.get(Le) != size::<Header>() {
        return Err(unusable("the segments' table does not follow the header"));
    }
    let segments_size = count.saturating_mul(size::<ProgramHeader>());
    let segments: &[ProgramHeader] = table(bytes, size::<Header>(), segments_size)
        .ok_or(unusable("it ends within the segments' table"))?;
    let mut offset = size::<Header>().saturating_add(segments_size);
    let (rodata, code) = match segments {
        [code, ..] if code.p_flags.get(Le) != PF_R => (&[][..], code),
        [rodata, code, ..] => {
            let rodata = segment(bytes, rodata, PF_R, 0, &mut offset)?;
            (rodata, code)
        }
        _ => return Err(unusable("it has no code segment")),
    };
    let text = segment(bytes, code, PF_X, IMAGE_BASE, &mut offset)?;
    let entry = header
        .e_entry
        .get(Le)
        .checked_sub(IMAGE_BASE)
        .filter(|entry| *entry < text.len() as u64)
        .ok_or(unusable("its entry is outside its code"))?;
    let parts = SbpfParts {
        dialect: Dialect::SbpfV3,
        text: text.to_vec(),
        text_base: IMAGE_BASE,
        entry: entry_slot(entry)?,
        readable: rodata.to_vec(),
        readable_base: 0,
        functions: BTreeMap::new(),
    };
    Ok(parts)
}

/// The bytes of a segment of version 3, which begins at `offset`; moves this to its end.
fn segment<'a>(
    bytes: &'a [u8],
    header: &ProgramHeader,
    flags: u32,
    address: u64,
    offset: &mut u64,
) -> Result<&'a [u8], LoadError> {
    let start = header.p_offset.get(Le);
    let len = header.p_filesz.get(Le);
    if header.p_type.get(Le) != PT_LOAD || header.p_flags.get(Le) != flags {
        Err(unusable("a segment is of another kind"))
    } else if header.p_vaddr.get(Le) != address || header.p_paddr.get(Le) != address {
        Err(unusable("a segment has another address"))
    } else if start != *offset || start >= bytes.len() as u64 {
        Err(unusable("a segment has another place in the file"))
    } else if len != header.p_memsz.get(Le) || len >= SEGMENT_BYTES {
        Err(unusable("a segment has another size in memory"))
    } else if !start.is_multiple_of(SLOT_BYTES as u64) || !len.is_multiple_of(SLOT_BYTES as u64) {
        Err(unusable("a segment does not consist of words"))
    } else {
        *offset = start.saturating_add(len);
        part(bytes, start..*offset).ok_or(unusable("it ends within a segment"))
    }
}

/// Versions 0 to 2: the code, and all that is read-only, are sections of known names.
fn load_sections(bytes: &[u8], header: &Header, dialect: Dialect) -> Result<SbpfParts, LoadError> {
    let elf = Elf::parse(bytes, header)?;
    elf.check_sections()?;
    let text = elf.text()?;
    let text_address = text.sh_addr.get(Le);
    let text_base = text_address.saturating_add(IMAGE_BASE);
    if text_base >= STACK_BASE {
        return Err(unusable("its code is outside the addresses for code"));
    }
    // The entry is in the text's addresses: `check_sections` saw to it.
    let entry = entry_slot(header.e_entry.get(Le).saturating_sub(text_address))?;
    let (bytes, functions) = relocate::relocate(&elf, text, entry)?;
    let readable = Readable::collect(&elf, &bytes)?;
    let text = readable
        .text(&bytes, text)
        .ok_or(unusable("its code is not where its address says"))?;
    let parts = SbpfParts {
        dialect,
        text: text.to_vec(),
        text_base,
        entry,
        readable: readable.bytes(&bytes)?.to_vec(),
        readable_base: readable.lowest.saturating_add(IMAGE_BASE),
        functions,
    };
    Ok(parts)
}

/// The slot of the entry, which is at this offset of the text.
fn entry_slot(offset: u64) -> Result<u32, LoadError> {
    let slot = u32::try_from(slot_of(offset)).ok();
    slot.filter(|_| offset.is_multiple_of(SLOT_BYTES as u64))
        .ok_or(unusable("its entry is not at an instruction"))
}

const fn size<T>() -> u64 {
    size_of::<T>() as u64
}

fn part(bytes: &[u8], range: Range<u64>) -> Option<&[u8]> {
    bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// An aligned table of this many bytes, a whole number of entries.
fn table<T: Pod>(bytes: &[u8], start: u64, len: u64) -> Option<&[T]> {
    let bytes = part(bytes, start..start.checked_add(len)?)?;
    if !start.is_multiple_of(TABLE_ALIGN) {
        return None;
    }
    pod::slice_from_all_bytes(bytes).ok()
}
