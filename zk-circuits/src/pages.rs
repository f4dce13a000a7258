//! Address translation: which virtual page each dense page of memory holds.

use std::collections::HashMap;

use bpf_tracer::canonical::layout::{INPUT_BASE, MAX_REGION};

use crate::ProgramError;
use crate::shape::{FIRST_PAGE, PAGE_BYTES, PAGE_WORDS, Shape};
use crate::tables::separator_page;

/// First virtual page of what fills the public lane: behind every region, so that no permitted access
/// reaches it. (A spare page inside a region would hold zeros in place of what is there.) The private
/// lane's spare pages lie right below the separator, behind the region before the input.
const SPARE_PAGES: u64 = (INPUT_BASE + (1 << 32)) / PAGE_BYTES;

const _: () = assert!(MAX_REGION <= 1 << 31, "regions leave room for spare pages");

/// The pages of writable memory that a run touches, and where they are in the chunk's memory.
///
/// Private pages lie below the separator, public ones (the input region) above. Dense pages that are
/// left over hold pages that no access of the run reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageList {
    shape: Shape,
    touched: Vec<u64>,
    dense: HashMap<u64, u32>,
    entries: Vec<u64>,
}

impl PageList {
    /// Places pages, given in strictly increasing order.
    ///
    /// # Errors
    /// If they are not in order, lie where spare pages or the separator do, or are too many for the shape.
    pub fn new(touched: &[u64], shape: Shape) -> Result<Self, ProgramError> {
        let in_order = touched.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = touched
            .iter()
            .all(|page| (1..SPARE_PAGES).contains(page) && *page != separator_page());
        if !in_order || !in_range {
            return Err(ProgramError::PageList);
        }
        let split = touched.partition_point(|page| *page < separator_page());
        let (private, public) = touched.split_at(split);
        let private_capacity = (shape.public_page() - FIRST_PAGE) as usize;
        let public_capacity = (shape.page_end() - shape.public_page()) as usize;
        for (lane, pages, capacity) in [
            ("private", private, private_capacity),
            ("public", public, public_capacity),
        ] {
            if pages.len() > capacity {
                let (needed, k) = (pages.len(), shape.k());
                return Err(ProgramError::TooManyPages {
                    lane,
                    needed,
                    capacity,
                    k,
                });
            }
        }
        let spare = (private_capacity - private.len()) as u64;
        // The page below the spare ones would be one of them if it were not named: two lists, one column.
        if private
            .last()
            .is_some_and(|page| *page + 1 >= separator_page() - spare)
        {
            return Err(ProgramError::PageList);
        }
        let spare_public = (public_capacity - public.len()) as u64;
        let entries: Vec<u64> = private
            .iter()
            .copied()
            .chain(separator_page() - spare..separator_page())
            .chain(public.iter().copied())
            .chain(SPARE_PAGES..SPARE_PAGES + spare_public)
            .collect();
        let dense = entries
            .iter()
            .zip(FIRST_PAGE..)
            .map(|(page, dense)| (*page, dense))
            .collect();
        Ok(Self {
            shape,
            touched: touched.to_vec(),
            dense,
            entries,
        })
    }

    /// The list with these entries, which need be in order only: any list that the circuit accepts.
    #[cfg(feature = "dev")]
    pub(crate) fn of_entries(entries: Vec<u64>, shape: Shape) -> Option<Self> {
        let split = (shape.public_page() - FIRST_PAGE) as usize;
        let (private, public) = entries.split_at_checked(split)?;
        let whole: Vec<u64> = private
            .iter()
            .chain([&separator_page()])
            .chain(public)
            .copied()
            .collect();
        let in_order = whole.windows(2).all(|pair| pair[0] < pair[1]) && whole.first() != Some(&0);
        let dense = entries
            .iter()
            .zip(FIRST_PAGE..)
            .map(|(page, dense)| (*page, dense))
            .collect();
        in_order.then(|| Self {
            shape,
            touched: entries.clone(),
            dense,
            entries,
        })
    }

    /// Lets accesses find a page at a dense page whatever the list says, as a forger would have it.
    #[cfg(feature = "dev")]
    pub(crate) fn forge(&mut self, page: u64, dense: u32) {
        self.dense.insert(page, dense);
    }

    /// Lists another page at a dense page; accesses still find the one that was there.
    #[cfg(feature = "dev")]
    pub(crate) fn relabel(&mut self, dense: u32, page: u64) {
        if let Some(entry) = self.entries.get_mut((dense - FIRST_PAGE) as usize) {
            *entry = page;
        }
    }

    /// The pages that the run touches, in order.
    #[must_use]
    pub fn pages(&self) -> &[u64] {
        &self.touched
    }

    /// The shape for which the pages were placed.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Word of memory that holds a virtual address, if its page is mapped.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u32> {
        let page = self.dense.get(&(address / PAGE_BYTES))?;
        Some(page * PAGE_WORDS + (address % PAGE_BYTES / 8) as u32)
    }

    /// Virtual page of every dense page from [`FIRST_PAGE`] on.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, u64)> {
        (FIRST_PAGE..).zip(self.entries.iter().copied())
    }

    /// The page list as rows: virtual pages, the separator, and the limbs of all distances.
    #[must_use]
    pub fn column(&self) -> Vec<(usize, u64)> {
        let mut rows = Vec::new();
        let mut previous = 0;
        let limb_bits = 2 * self.shape.operand_bits();
        let mut put = |row: usize, page: u64| {
            let distance = page - previous - 1;
            for limb in 0..4 {
                let value = distance >> (limb_bits * limb as u32) & ((1 << limb_bits) - 1);
                rows.push((row - 4 + limb, value));
            }
            rows.push((row, page));
            previous = page;
        };
        for (dense, page) in self.entries() {
            if dense == self.shape.public_page() {
                put(self.shape.separator_row(), separator_page());
            }
            put(self.shape.page_row(dense), page);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of the input that the list omits must not be mapped: its words would be zeros.
    #[test]
    fn only_touched_pages_of_a_region_are_mapped() {
        let shape = Shape::new(10, 8).expect("supported");
        let input = INPUT_BASE / PAGE_BYTES;
        let data = (3 << 32) / PAGE_BYTES;
        let pages = PageList::new(&[data, input + 1], shape).expect("in order");
        for page in [data - 1, data + 1, input, input + 2, input + 3] {
            assert_eq!(pages.word(page * PAGE_BYTES), None, "page {page:#x}");
        }
        assert!(pages.word(data * PAGE_BYTES).is_some());
        let regions = [1 << 32, 2 << 32, 3 << 32, INPUT_BASE];
        let spare = pages
            .entries()
            .filter(|(_, page)| !pages.pages().contains(page));
        for (_, page) in spare {
            let address = page * PAGE_BYTES;
            for base in regions {
                assert!(
                    !(base..base + MAX_REGION).contains(&address),
                    "{address:#x}"
                );
            }
        }
    }

    #[test]
    fn malformed_lists_are_errors() {
        let shape = Shape::new(10, 8).expect("supported");
        let separator = separator_page();
        for list in [
            &[5, 5][..],
            &[6, 5],
            &[0],
            &[separator],
            &[SPARE_PAGES],
            &[separator - 1],
        ] {
            assert_eq!(
                PageList::new(list, shape),
                Err(ProgramError::PageList),
                "{list:x?}"
            );
        }
        let none = PageList::new(&[], shape).expect("in order");
        let spare = none.entries[0];
        assert_eq!(PageList::new(&[spare], shape), Err(ProgramError::PageList));
        let below = PageList::new(&[spare - 1], shape).expect("in order");
        assert_ne!(below.column(), none.column());
        let many: Vec<u64> = (0..40).map(|i| INPUT_BASE / PAGE_BYTES + i).collect();
        assert!(matches!(
            PageList::new(&many, shape),
            Err(ProgramError::TooManyPages {
                lane: "public",
                needed: 40,
                ..
            })
        ));
    }
}
