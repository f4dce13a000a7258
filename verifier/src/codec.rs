//! Reading and writing of the byte formats. Nothing is allocated before its length is checked.

use crate::DecodeError;

/// Little-endian writer.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// A length; saturates, which no reader accepts.
    pub(crate) fn len(&mut self, length: usize) -> &mut Self {
        self.u64(u64::try_from(length).unwrap_or(u64::MAX))
    }

    pub(crate) fn sized(&mut self, bytes: &[u8]) -> &mut Self {
        self.len(bytes.len()).bytes(bytes)
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Little-endian reader that must be read to its end.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of bytes without magic.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// A reader behind the magic and format version of a kind of file.
    pub(crate) fn open(
        bytes: &'a [u8],
        magic: [u8; 8],
        format: u16,
        what: &'static str,
    ) -> Result<Self, DecodeError> {
        let mut reader = Self(bytes);
        if reader
            .array::<8>()
            .map_err(|_| DecodeError::Magic { what })?
            != magic
        {
            return Err(DecodeError::Magic { what });
        }
        let found = reader.u16()?;
        if found != format {
            return Err(DecodeError::Format {
                found,
                supported: format,
            });
        }
        Ok(reader)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.bytes(N)?
            .try_into()
            .map_err(|_| DecodeError::Truncated)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of things, each of which takes at least `size` of the bytes that are left.
    pub(crate) fn len(
        &mut self,
        what: &'static str,
        limit: u64,
        size: usize,
    ) -> Result<usize, DecodeError> {
        let found = self.u64()?;
        if found > limit {
            return Err(DecodeError::TooLarge { what, found, limit });
        }
        let length = usize::try_from(found).map_err(|_| DecodeError::Truncated)?;
        match length.checked_mul(size) {
            Some(bytes) if bytes <= self.0.len() => Ok(length),
            _ => Err(DecodeError::Truncated),
        }
    }

    pub(crate) fn sized(
        &mut self,
        what: &'static str,
        limit: u64,
    ) -> Result<&'a [u8], DecodeError> {
        let length = self.len(what, limit, 1)?;
        self.bytes(length)
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }
}
