//! The input of a run.

use crate::solana::instruction_data_start;

/// Bytes at the start of the input region, and the region's size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The bytes given; of eBPF programs, `r2` starts as their number.
    pub bytes: Vec<u8>,
    /// Least size of the region, in bytes; it is zero-filled up to here.
    pub region_size: u64,
}

impl Input {
    /// Input whose region holds just these bytes.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            region_size: 0,
        }
    }

    /// Makes the region at least this many bytes long.
    #[must_use]
    pub fn with_region_size(mut self, region_size: u64) -> Self {
        self.region_size = region_size;
        self
    }

    /// Bytes of the input region: the greater of `region_size` and the number of bytes given.
    #[must_use]
    pub fn region_len(&self) -> u64 {
        self.region_size.max(self.bytes.len() as u64)
    }

    /// Where the region has the instruction data, if it holds the parameters of a Solana program and
    /// nothing else: the number of accounts, each account, length and bytes of the instruction data,
    /// the program's address (the aligned form, `abi_v1`). `r2` of sBPF programs starts as its address.
    #[must_use]
    pub fn instruction_data(&self) -> Option<u64> {
        if self.bytes.len() as u64 != self.region_len() {
            return None;
        }
        instruction_data_start(&self.bytes).ok()
    }
}

impl From<Vec<u8>> for Input {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<&[u8]> for Input {
    fn from(bytes: &[u8]) -> Self {
        Self::from_bytes(bytes)
    }
}

impl<const N: usize> From<[u8; N]> for Input {
    fn from(bytes: [u8; N]) -> Self {
        Self::from_bytes(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Input {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from_bytes(*bytes)
    }
}
