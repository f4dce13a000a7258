//! The machine's memory: one flat vector for each region.

use crate::canonical::Size;
use crate::canonical::layout::{INPUT_BASE, MAX_RETURN_DATA, RETURN_DATA_BASE};
use crate::input::Input;
use crate::options::SBPF_FRAME_BYTES;
use crate::program::Program;

/// Bytes of a page, as [`touched pages`](crate::ExecutionTrace::touched_pages) count them.
pub const PAGE_BYTES: u64 = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 8;
/// A region's number is the high half of its addresses.
const REGION_BITS: u32 = 32;
const REGIONS: usize = 5;
const RODATA_REGION: usize = 1;
const STACK_REGION: usize = 2;
const DATA_REGION: usize = 3;
const INPUT_REGION: usize = (INPUT_BASE >> REGION_BITS) as usize;
/// Where [`Memory::regions`] has the return data: behind what addresses can select.
const RETURN_DATA_REGION: usize = REGIONS;
/// Bytes of the return data's length.
const RETURN_DATA_HEADER: usize = 8;
const FRAME_BITS: u32 = SBPF_FRAME_BYTES.ilog2();
const FRAME_MASK: usize = SBPF_FRAME_BYTES as usize - 1;

#[derive(Default)]
struct Region {
    bytes: Vec<u8>,
    /// Low half of the first byte's address.
    base: u32,
    /// One flag for each page; none for read-only regions.
    touched: Vec<bool>,
    writable: bool,
    /// Whether, in the address space, a gap as large as a frame follows each frame of `bytes`.
    gapped: bool,
}

impl Region {
    fn writable(bytes: Vec<u8>) -> Self {
        let touched = vec![false; bytes.len().div_ceil(PAGE_BYTES as usize)];
        Self {
            bytes,
            touched,
            writable: true,
            ..Self::default()
        }
    }

    /// Index of the byte at an address of which this is the low half. If the region has no such byte,
    /// the index is outside, or there is none.
    #[inline]
    fn index(&self, address: u32) -> Option<usize> {
        let offset = address.wrapping_sub(self.base) as usize;
        if self.gapped {
            flat(offset)
        } else {
            Some(offset)
        }
    }

    #[inline]
    fn load(&self, start: usize, size: Size) -> Option<u64> {
        let tail = self.bytes.get(start..)?;
        Some(match size {
            Size::B1 => u64::from(*tail.first()?),
            Size::B2 => u16::from_le_bytes(*tail.first_chunk()?).into(),
            Size::B4 => u32::from_le_bytes(*tail.first_chunk()?).into(),
            Size::B8 => u64::from_le_bytes(*tail.first_chunk()?),
        })
    }

    #[inline]
    fn store(&mut self, start: usize, size: Size, value: u64) -> Option<()> {
        let tail = self.bytes.get_mut(start..)?;
        match size {
            Size::B1 => *tail.first_mut()? = value as u8,
            Size::B2 => *tail.first_chunk_mut()? = (value as u16).to_le_bytes(),
            Size::B4 => *tail.first_chunk_mut()? = (value as u32).to_le_bytes(),
            Size::B8 => *tail.first_chunk_mut()? = value.to_le_bytes(),
        }
        Some(())
    }

    /// Marks the pages of the first and last byte, and says whether the bytes are in two frames that
    /// have a gap between them.
    #[inline]
    fn touch(&mut self, start: usize, size: Size) -> bool {
        let last = start.wrapping_add(size.bytes() as usize).wrapping_sub(1);
        for index in [start, last] {
            if let Some(page) = self.touched.get_mut(index >> PAGE_BITS) {
                *page = true;
            }
        }
        self.gapped && start >> FRAME_BITS != last >> FRAME_BITS
    }

    /// Number of the page that the `index`-th of `touched` stands for.
    fn page_number(&self, region_base: u64, index: u64) -> u64 {
        let mut offset = index << PAGE_BITS;
        if self.gapped {
            let frame = offset >> FRAME_BITS;
            offset = offset.wrapping_add(frame << FRAME_BITS);
        }
        region_base.wrapping_add(offset) >> PAGE_BITS
    }
}

/// Where a byte of a region with gaps is in its vector, which has none; nothing within a gap.
#[inline]
fn flat(offset: usize) -> Option<usize> {
    let frame = offset >> FRAME_BITS;
    (frame & 1 == 0).then_some(frame >> 1 << FRAME_BITS | offset & FRAME_MASK)
}

/// A range of memory that has been found to permit what is asked of it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    region: usize,
    start: usize,
    len: usize,
}

impl Place {
    /// No bytes.
    pub(crate) const EMPTY: Self = Self {
        region: 0,
        start: 0,
        len: 0,
    };

    /// Whether the two have a byte in common, or would if one of them were empty.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let (low, high) = if self.start <= other.start {
            (self, other)
        } else {
            (other, self)
        };
        self.region == other.region && high.start.wrapping_sub(low.start) < low.len
    }
}

/// Regions 0 to 4, then the return data, which no address selects.
pub(crate) struct Memory {
    regions: [Region; REGIONS + 1],
    /// Whether an access ran on from one stack frame to the next, over a gap. Whoever reads it resets it.
    pub(crate) crossed_frames: bool,
}

impl Memory {
    /// Memory as a run starts. The input's size has been checked.
    pub(crate) fn new(program: &Program, input: &Input) -> Self {
        let mut input_bytes = input.bytes.clone();
        input_bytes.resize(input.region_len() as usize, 0);
        let dialect = program.dialect();
        let readable = program.readable();
        let rodata_base = program.rodata_base();
        let index = |address: u64| address.wrapping_sub(rodata_base) as usize;
        let rodata = Region {
            bytes: program
                .rodata()
                .get(index(readable.start)..index(readable.end))
                .unwrap_or_default()
                .to_vec(),
            base: readable.start as u32,
            ..Region::default()
        };
        let mut regions: [Region; REGIONS + 1] = Default::default();
        regions[if dialect.has_low_rodata() {
            0
        } else {
            RODATA_REGION
        }] = rodata;
        regions[STACK_REGION] = Region {
            gapped: dialect.has_stack_gaps(),
            ..Region::writable(vec![0; program.stack_size() as usize])
        };
        regions[DATA_REGION] = Region::writable(program.data().to_vec());
        regions[INPUT_REGION] = Region::writable(input_bytes);
        if dialect.is_sbpf() {
            let len = RETURN_DATA_HEADER.wrapping_add(MAX_RETURN_DATA as usize);
            regions[RETURN_DATA_REGION] = Region::writable(vec![0; len]);
        }
        Self {
            regions,
            crossed_frames: false,
        }
    }

    #[inline]
    fn region(&mut self, address: u64) -> Option<(&mut Region, usize)> {
        let number = (address >> REGION_BITS) as usize;
        let region = self.regions.get_mut(..REGIONS)?.get_mut(number)?;
        let index = region.index(address as u32)?;
        Some((region, index))
    }

    /// The little-endian value at an address, or nothing if the access is not permitted.
    #[inline]
    pub(crate) fn read(&mut self, address: u64, size: Size) -> Option<u64> {
        let (region, start) = self.region(address)?;
        let value = region.load(start, size)?;
        if region.touch(start, size) {
            self.crossed_frames = true;
        }
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
        let (region, start) = self.region(address)?;
        if !region.writable {
            return None;
        }
        let old = region.load(start, size)?;
        let new = update(old);
        region.store(start, size, new)?;
        if region.touch(start, size) {
            self.crossed_frames = true;
        }
        Some((old, new))
    }

    /// The `len` bytes at an address, if all of them are in one region that permits the access.
    pub(crate) fn find(&mut self, address: u64, len: u64, write: bool) -> Option<Place> {
        let (region, start) = self.region(address)?;
        let len = usize::try_from(len).ok()?;
        let end = start.checked_add(len)?;
        if end > region.bytes.len() || write && !region.writable {
            return None;
        }
        let region = (address >> REGION_BITS) as usize;
        Some(Place { region, start, len })
    }

    /// The bytes of a place, which count as accessed.
    pub(crate) fn bytes(&mut self, place: Place) -> &[u8] {
        self.bytes_mut(place)
    }

    /// The bytes of a place, which count as accessed. They are only to be changed if it was found for that.
    pub(crate) fn bytes_mut(&mut self, place: Place) -> &mut [u8] {
        let Some(last) = place.start.wrapping_add(place.len).checked_sub(1) else {
            return &mut [];
        };
        let Some(region) = self.regions.get_mut(place.region) else {
            return &mut [];
        };
        if place.len != 0 {
            let pages = place.start >> PAGE_BITS..=last >> PAGE_BITS;
            if let Some(touched) = region.touched.get_mut(pages) {
                touched.fill(true);
            }
            if region.gapped && place.start >> FRAME_BITS != last >> FRAME_BITS {
                self.crossed_frames = true;
            }
        }
        region
            .bytes
            .get_mut(place.start..place.start.wrapping_add(place.len))
            .unwrap_or_default()
    }

    /// Copies between places of the same length, as if by way of a third.
    pub(crate) fn copy(&mut self, from: Place, to: Place) {
        if from.region == to.region {
            self.bytes(from);
            self.bytes(to);
            let range = from.start..from.start.wrapping_add(from.len);
            if let Some(region) = self.regions.get_mut(from.region) {
                region.bytes.copy_within(range, to.start);
            }
        } else {
            let bytes = self.bytes(from).to_vec();
            self.bytes_mut(to).copy_from_slice(&bytes);
        }
    }

    /// Where the length of the return data is, and where the first `len` bytes of the data are.
    fn return_data_places(len: usize) -> [Place; 2] {
        let place = |start, len| Place {
            region: RETURN_DATA_REGION,
            start,
            len,
        };
        [place(0, RETURN_DATA_HEADER), place(RETURN_DATA_HEADER, len)]
    }

    /// The return data's length, which counts as accessed.
    pub(crate) fn return_data_len(&mut self) -> u64 {
        let [header, _] = Self::return_data_places(0);
        self.bytes(header)
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The first `len` bytes of the return data.
    pub(crate) fn return_data(len: usize) -> Place {
        let [_, data] = Self::return_data_places(len);
        data
    }

    /// Replaces the return data, whose length has been checked.
    pub(crate) fn set_return_data(&mut self, from: Place) {
        let [header, data] = Self::return_data_places(from.len);
        let len = (from.len as u64).to_le_bytes();
        self.bytes_mut(header).copy_from_slice(&len);
        self.copy(from, data);
    }

    /// Numbers of the pages of writable regions that were accessed, ascending.
    pub(crate) fn touched_pages(&self) -> Vec<u64> {
        let bases = (0..REGIONS as u64)
            .map(|number| number << REGION_BITS)
            .chain([RETURN_DATA_BASE]);
        let of_region = |(base, region): (u64, &Region)| {
            let pages = (0..).zip(&region.touched);
            pages
                .filter(|(_, touched)| **touched)
                .map(|(index, _)| region.page_number(base, index))
                .collect::<Vec<u64>>()
        };
        bases.zip(&self.regions).flat_map(of_region).collect()
    }

    /// The input region and the return data.
    pub(crate) fn into_output(self) -> (Vec<u8>, Vec<u8>) {
        let mut regions = self.regions;
        let output = std::mem::take(&mut regions[INPUT_REGION].bytes);
        let hidden = &regions[RETURN_DATA_REGION].bytes;
        let return_data = hidden.split_first_chunk().and_then(|(len, data)| {
            let len = u64::from_le_bytes(*len) as usize;
            Some(data.get(..len)?.to_vec())
        });
        (output, return_data.unwrap_or_default())
    }
}
