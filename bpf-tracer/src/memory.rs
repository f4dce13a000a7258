//! The machine's memory: one flat vector for each region.

use crate::canonical::Size;
use crate::canonical::layout::INPUT_BASE;
use crate::input::Input;
use crate::program::Program;

/// Bytes of a page, as [`touched pages`](crate::ExecutionTrace::touched_pages) count them.
pub const PAGE_BYTES: u64 = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 8;
/// A region's number is the high half of its addresses.
const REGION_BITS: u32 = 32;
const REGIONS: usize = 5;
const INPUT_REGION: usize = (INPUT_BASE >> REGION_BITS) as usize;

#[derive(Default)]
struct Region {
    bytes: Vec<u8>,
    /// One flag for each page; none for read-only regions.
    touched: Vec<bool>,
    writable: bool,
}

impl Region {
    fn writable(bytes: Vec<u8>) -> Self {
        let touched = vec![false; bytes.len().div_ceil(PAGE_BYTES as usize)];
        Self {
            bytes,
            touched,
            writable: true,
        }
    }

    fn touch(&mut self, start: usize, size: Size) {
        let last = start.wrapping_add(size.bytes() as usize).wrapping_sub(1);
        for address in [start, last] {
            if let Some(page) = self.touched.get_mut(address >> PAGE_BITS) {
                *page = true;
            }
        }
    }
}

/// Regions 0 to 4; region 0 is empty.
pub(crate) struct Memory {
    regions: [Region; REGIONS],
}

impl Memory {
    /// Memory as a run starts. The input's size has been checked.
    pub(crate) fn new(program: &Program, input: &Input) -> Self {
        let mut input_bytes = input.bytes.clone();
        input_bytes.resize(input.region_len() as usize, 0);
        let rodata = Region {
            bytes: program.rodata().to_vec(),
            ..Region::default()
        };
        let stack = Region::writable(vec![0; program.stack_size() as usize]);
        let data = Region::writable(program.data().to_vec());
        Self {
            regions: [
                Region::default(),
                rodata,
                stack,
                data,
                Region::writable(input_bytes),
            ],
        }
    }

    #[inline]
    fn region(&mut self, address: u64) -> Option<(&mut Region, usize)> {
        let region = self.regions.get_mut((address >> REGION_BITS) as usize)?;
        Some((region, address as u32 as usize))
    }

    /// The little-endian value at an address, or nothing if the access is not permitted.
    #[inline]
    pub(crate) fn read(&mut self, address: u64, size: Size) -> Option<u64> {
        let (region, start) = self.region(address)?;
        let tail = region.bytes.get(start..)?;
        let value = match size {
            Size::B1 => u64::from(*tail.first()?),
            Size::B2 => u16::from_le_bytes(*tail.first_chunk()?).into(),
            Size::B4 => u32::from_le_bytes(*tail.first_chunk()?).into(),
            Size::B8 => u64::from_le_bytes(*tail.first_chunk()?),
        };
        region.touch(start, size);
        Some(value)
    }

    /// Replaces the value at an address by `update` of it, and returns both.
    #[inline]
    pub(crate) fn modify(
        &mut self,
        address: u64,
        size: Size,
        update: impl FnOnce(u64) -> u64,
    ) -> Option<(u64, u64)> {
        let old = self.read_writable(address, size)?;
        let new = update(old);
        let (region, start) = self.region(address)?;
        let tail = region.bytes.get_mut(start..)?;
        match size {
            Size::B1 => *tail.first_mut()? = new as u8,
            Size::B2 => *tail.first_chunk_mut()? = (new as u16).to_le_bytes(),
            Size::B4 => *tail.first_chunk_mut()? = (new as u32).to_le_bytes(),
            Size::B8 => *tail.first_chunk_mut()? = new.to_le_bytes(),
        }
        Some((old, new))
    }

    #[inline]
    fn read_writable(&mut self, address: u64, size: Size) -> Option<u64> {
        let (region, _) = self.region(address)?;
        if region.writable {
            self.read(address, size)
        } else {
            None
        }
    }

    /// Numbers of the pages of writable regions that were accessed, ascending.
    pub(crate) fn touched_pages(&self) -> Vec<u64> {
        let of_region = |(number, region): (u64, &Region)| {
            let first = number << (REGION_BITS - PAGE_BITS);
            let pages = (first..).zip(&region.touched);
            pages
                .filter(|(_, touched)| **touched)
                .map(|(page, _)| page)
                .collect::<Vec<u64>>()
        };
        (0..).zip(&self.regions).flat_map(of_region).collect()
    }

    /// The input region.
    pub(crate) fn into_output(self) -> Vec<u8> {
        let mut regions = self.regions;
        regions
            .get_mut(INPUT_REGION)
            .map(|region| std::mem::take(&mut region.bytes))
            .unwrap_or_default()
    }
}
