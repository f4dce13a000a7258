//! The fuzzer's bytes, read as choices.

/// Values where behaviour changes.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    2 << 32,
    3 << 32,
    4 << 32,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX,
];

/// Reads choices off bytes. When there are no more, every choice is the first one.
#[derive(Clone, Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Choices that these bytes stand for.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all choices to come are the first one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Up to so many bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(count.min(self.0.len()));
        self.0 = tail;
        head
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let bytes = self.bytes(N);
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        match end {
            0 | 1 => 0,
            2..=0x100 => usize::from(self.byte()) % end,
            0x101..=0x1_0000 => usize::from(self.u16()) % end,
            _ => self.u32() as usize % end,
        }
    }

    /// One of these, of which there must be some.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Yes in about `of_256` of 256 cases; no when there are no bytes left.
    pub fn chance(&mut self, of_256: u8) -> bool {
        !self.is_empty() && self.byte() < of_256
    }

    /// A value at or near an edge, near `old`, or any.
    pub fn value(&mut self, old: u64) -> u64 {
        match self.byte() % 8 {
            0 => self.u64(),
            1 => u64::from(self.u16()),
            2 => old ^ (1 << (self.byte() % 64)),
            3 | 4 => old.wrapping_add_signed(i64::from(self.byte() as i8)),
            5 => old.wrapping_add_signed(8 * i64::from(self.byte() as i8)),
            _ => {
                let edge = self.pick(&EDGES);
                edge.wrapping_add_signed(i64::from(self.byte() % 3) - 1)
            }
        }
    }

    /// Changes a little-endian field of up to eight bytes.
    pub fn change_field(&mut self, field: &mut [u8]) {
        let mut word = [0; 8];
        let width = field.len().min(8);
        word[..width].copy_from_slice(&field[..width]);
        let new = self.value(u64::from_le_bytes(word)).to_le_bytes();
        field[..width].copy_from_slice(&new[..width]);
    }

    /// Changes bytes as fuzzers do: overwrites, flips, removes, repeats, inserts, truncates.
    pub fn change_bytes(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        match self.byte() % 8 {
            0 => bytes.truncate(at),
            1 => {
                let count = self.below(17);
                let more = self.bytes(count).to_vec();
                bytes.splice(at..at, more);
            }
            2 => {
                let end = (at + self.below(17)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + self.below(65)).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
            4 | 5 => {
                let width = [1, 2, 4, 8][usize::from(self.byte() % 4)];
                let end = (at + width).min(bytes.len());
                self.change_field(&mut bytes[at..end]);
            }
            _ => {
                let bit = self.byte() % 8;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }
}
