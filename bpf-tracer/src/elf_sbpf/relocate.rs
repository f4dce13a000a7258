//! Calls and addresses of files of versions 0 to 2.

use std::collections::{BTreeMap, BTreeSet};

use hash32::{Hasher as _, Murmur3Hasher};
use object::LittleEndian as Le;
use object::elf::STT_FUNC;

use super::sections::{Elf, contains_address, content_range};
use super::{ENTRYPOINT, IMAGE_BASE, Relocation, SectionHeader, unusable};
use crate::error::LoadError;
use crate::instruction::{SLOT_BYTES, slot_of};
use crate::syscall::{Syscall, UNPROVABLE, name_hash};

/// Opcode of a call.
const CALL: u8 = 0x85;
/// Where the immediate is in a slot.
const IMM_OFFSET: u64 = 4;
/// An address in two halves, in the immediates of an `lddw`; relative to a symbol.
pub(super) const R_64_64: u32 = 1;
/// An address, in an `lddw` or in data; relative to the image.
pub(super) const R_64_RELATIVE: u32 = 8;
/// The number of a function, in the immediate of a call.
pub(super) const R_64_32: u32 = 10;

/// The file with its calls and addresses resolved, and its functions: slots, by the number that calls
/// them. `entry` is the slot of the entry.
pub(super) fn relocate(
    elf: &Elf<'_>,
    text: &SectionHeader,
    entry: u32,
) -> Result<(Vec<u8>, BTreeMap<u32, u32>), LoadError> {
    let names = Syscall::ALL.iter().map(|syscall| syscall.name());
    let mut relocator = Relocator {
        elf,
        text,
        bytes: elf.bytes.to_vec(),
        functions: BTreeMap::new(),
        syscalls: names.chain(UNPROVABLE).map(name_hash).collect(),
    };
    relocator.calls()?;
    for relocation in elf.relocations {
        relocator.apply(relocation)?;
    }
    // The entry is a function, whatever relocations have said of its name.
    let Relocator {
        bytes,
        mut functions,
        ..
    } = relocator;
    functions.insert(name_hash(ENTRYPOINT), entry);
    Ok((bytes, functions))
}

fn hash(bytes: &[u8]) -> u32 {
    let mut hasher = Murmur3Hasher::default();
    core::hash::Hasher::write(&mut hasher, bytes);
    hasher.finish32()
}

/// Resolves the calls and addresses of a file. Relocations speak of places in the file and may change
/// any of it; tables and names are read from the file as it was.
struct Relocator<'a> {
    elf: &'a Elf<'a>,
    text: &'a SectionHeader,
    /// The file, in progress.
    bytes: Vec<u8>,
    functions: BTreeMap<u32, u32>,
    /// The numbers that system calls have; no function may have one of them.
    syscalls: BTreeSet<u32>,
}

impl Relocator<'_> {
    /// Numbers the targets of calls that state a distance. One of -1 stands for a relocation to come.
    fn calls(&mut self) -> Result<(), LoadError> {
        let text = content_range(self.text)
            .and_then(|range| {
                let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
                self.bytes.get_mut(range)
            })
            .ok_or(unusable("its code is not in the file"))?;
        let (slots, _) = text.as_chunks_mut::<SLOT_BYTES>();
        let count = slots.len() as u64;
        for (pc, bytes) in (0_u32..).zip(slots) {
            let [opcode, _, _, _, imm @ ..] = bytes;
            let distance = i32::from_le_bytes(*imm);
            if *opcode != CALL || distance == -1 {
                continue;
            }
            let target = i64::from(pc)
                .saturating_add(1)
                .saturating_add(distance.into());
            let target = u64::try_from(target)
                .ok()
                .filter(|target| *target < count)
                .ok_or(LoadError::TargetOutside { pc, target })?;
            let number = register(&mut self.functions, &self.syscalls, target, None)?;
            *imm = number.to_le_bytes();
        }
        Ok(())
    }

    fn apply(&mut self, relocation: &Relocation) -> Result<(), LoadError> {
        let offset = relocation.r_offset.get(Le);
        let kind = relocation.r_type(Le);
        let error = |reason| LoadError::Relocation {
            section: ".rel.dyn".to_owned(),
            offset,
            kind,
            reason,
        };
        let outside = || error("it is outside the file");
        let symbol = || {
            let index = usize::try_from(relocation.r_sym(Le)).ok();
            index
                .and_then(|index| self.elf.symbols.get(index))
                .ok_or_else(|| error("its symbol does not exist"))
        };
        let imm = offset.saturating_add(IMM_OFFSET);
        let high_imm = imm.saturating_add(SLOT_BYTES as u64);
        match kind {
            R_64_64 => {
                let addend = self.read32(imm).ok_or_else(outside)?;
                let address = symbol()?.st_value.get(Le).saturating_add(addend.into());
                self.write_halves(imm, high_imm, in_image(address))
                    .ok_or_else(outside)
            }
            R_64_RELATIVE => {
                if content_range(self.text).is_some_and(|text| text.contains(&offset)) {
                    let low = self.read32(imm).ok_or_else(outside)?;
                    let high = self.read32(high_imm).ok_or_else(outside)?;
                    let address = u64::from(high) << 32 | u64::from(low);
                    if address == 0 {
                        return Err(error("it refers to address zero"));
                    }
                    self.write_halves(imm, high_imm, in_image(address))
                        .ok_or_else(outside)
                } else {
                    // Old tools left the low half in the upper half of the word.
                    let address = self.read32(imm).ok_or_else(outside)?;
                    let address = IMAGE_BASE.saturating_add(address.into());
                    self.write(offset, address.to_le_bytes())
                        .ok_or_else(outside)
                }
            }
            R_64_32 => {
                let symbol = symbol()?;
                let name = self
                    .elf
                    .symbol_name(symbol)
                    .ok_or_else(|| error("its symbol's name is missing or too long"))?;
                let address = symbol.st_value.get(Le);
                let number = if symbol.st_type() == STT_FUNC && address != 0 {
                    if !contains_address(self.text, address) {
                        return Err(error("the function is outside the code"));
                    }
                    let offset = address.saturating_sub(self.text.sh_addr.get(Le));
                    let slot = slot_of(offset);
                    register(&mut self.functions, &self.syscalls, slot, Some(name))?
                } else {
                    hash(name)
                };
                self.write(imm, number.to_le_bytes()).ok_or_else(outside)
            }
            _ => Err(error("its type does not exist")),
        }
    }

    fn read32(&self, at: u64) -> Option<u32> {
        let bytes = self.bytes.get(usize::try_from(at).ok()?..)?;
        bytes.first_chunk().copied().map(u32::from_le_bytes)
    }

    fn write<const N: usize>(&mut self, at: u64, value: [u8; N]) -> Option<()> {
        let bytes = self.bytes.get_mut(usize::try_from(at).ok()?..)?;
        *bytes.first_chunk_mut()? = value;
        Some(())
    }

    fn write_halves(&mut self, low: u64, high: u64, value: u64) -> Option<()> {
        self.write(low, (value as u32).to_le_bytes())?;
        self.write(high, ((value >> 32) as u32).to_le_bytes())
    }
}

/// Linkers give addresses from zero or from the image's base.
fn in_image(address: u64) -> u64 {
    if address < IMAGE_BASE {
        IMAGE_BASE.saturating_add(address)
    } else {
        address
    }
}

/// The number by which to call the function at a slot.
fn register(
    functions: &mut BTreeMap<u32, u32>,
    syscalls: &BTreeSet<u32>,
    slot: u64,
    name: Option<&[u8]>,
) -> Result<u32, LoadError> {
    let number = if name == Some(ENTRYPOINT.as_bytes()) {
        name_hash(ENTRYPOINT)
    } else {
        hash(&slot.to_le_bytes())
    };
    let slot = u32::try_from(slot).map_err(|_| LoadError::TooLarge { what: "the code" })?;
    if syscalls.contains(&number) || *functions.entry(number).or_insert(slot) != slot {
        return Err(LoadError::FunctionNumber { number });
    }
    Ok(number)
}
