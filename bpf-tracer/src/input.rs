//! The input of a run.

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
        let mut region = Region {
            bytes: &self.bytes,
            at: 0,
        };
        for _ in 0..region.number()? {
            let [marker, ..] = region.take::<ACCOUNT_HEAD_BYTES>()?;
            if marker == NO_DUPLICATE {
                region.skip(ACCOUNT_FIELD_BYTES)?;
                let data_len = region.number()?;
                let room = data_len.checked_add(MAX_GROWTH)?;
                region.skip(room.checked_next_multiple_of(ALIGNMENT)?)?;
                // The epoch at which rent was due.
                region.skip(ALIGNMENT)?;
            }
        }
        let len = region.number()?;
        let start = region.at as u64;
        region.skip(len)?;
        region.skip(KEY_BYTES)?;
        (region.at as u64 == self.region_len()).then_some(start)
    }
}

/// First byte of an account that is no duplicate of one before.
const NO_DUPLICATE: u8 = 0xff;
/// Marker and three flags, or the number of the account that this is a duplicate of; padding.
const ACCOUNT_HEAD_BYTES: usize = 8;
const KEY_BYTES: u64 = 32;
/// Address, owner and lamports.
const ACCOUNT_FIELD_BYTES: u64 = 2 * KEY_BYTES + 8;
/// Bytes that an account's data may grow by.
const MAX_GROWTH: u64 = 10 * 1024;
const ALIGNMENT: u64 = 8;

/// Bytes, read from the front.
struct Region<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Region<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at = self.at.checked_add(N)?;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn skip(&mut self, len: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(len).ok()?)?;
        self.at = at;
        (at <= self.bytes.len()).then_some(())
    }
}
