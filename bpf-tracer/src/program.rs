//! A loaded program: the canonical table and its memory image.

use crate::canonical::layout::{DATA_BASE, INPUT_BASE, RODATA_BASE, STACK_BASE};
use crate::canonical::{Instruction, Op};
use crate::error::LoadError;
use crate::input::Input;
use crate::options::{Dialect, FRAME_BYTES, LoadOptions, MAX_STACK_BYTES};
use crate::{disasm, elf, isa, lower};

/// Most bytes of each of a program's code, read-only data and writable data.
pub const MAX_IMAGE_BYTES: u64 = 1 << 26;

/// Domain of [`Program::id`].
const ID_DOMAIN: &str = "zkbpf program v1";

/// What an access to an interval of addresses may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Nothing.
    None,
    /// Load.
    Read,
    /// Load, store and modify.
    ReadWrite,
}

/// Addresses that share a permission; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// First address.
    pub start: u128,
    /// Address after the last, up to 2^64.
    pub end: u128,
    /// What accesses may do.
    pub permission: Permission,
}

/// A program, ready to run: what its bytes mean, in one dialect, with one entry and one stack size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    dialect: Dialect,
    instructions: Vec<Instruction>,
    entry: u32,
    rodata: Vec<u8>,
    data: Vec<u8>,
    stack_size: u64,
    allow_test_helper: bool,
}

/// What a file gives, before lowering.
pub(crate) struct Image {
    /// Relocated instructions.
    pub(crate) text: Vec<u8>,
    pub(crate) entry: u32,
    pub(crate) rodata: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// Name of the entry, for messages.
    pub(crate) entry_name: String,
}

impl Program {
    /// Loads an ELF object if the bytes start with ELF's magic, raw instructions otherwise.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(bytes: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        if bytes.starts_with(b"\x7fELF") {
            Self::from_elf(bytes, options)
        } else {
            Self::from_bytecode(bytes, options)
        }
    }

    /// Loads a relocatable ELF object, as `clang -target bpf -c` writes it.
    ///
    /// All executable sections are concatenated in file order; read-only and writable sections are
    /// laid out at multiples of 16 bytes from [`RODATA_BASE`] and [`DATA_BASE`].
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_elf(bytes: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        Self::new(elf::load(bytes, options.entry.as_deref())?, options)
    }

    /// Loads raw instructions (RFC 9669 section 3, little-endian); the entry is slot 0.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_bytecode(bytes: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        if let Some(name) = &options.entry {
            return Err(LoadError::EntryInRawBytecode { name: name.clone() });
        }
        let image = Image {
            text: bytes.to_vec(),
            entry: 0,
            rodata: Vec::new(),
            data: Vec::new(),
            entry_name: String::new(),
        };
        Self::new(image, options)
    }

    fn new(image: Image, options: &LoadOptions) -> Result<Self, LoadError> {
        let stack_size = options.stack_size;
        if stack_size == 0
            || stack_size > MAX_STACK_BYTES
            || !stack_size.is_multiple_of(FRAME_BYTES)
        {
            return Err(LoadError::StackSize { size: stack_size });
        }
        let Image {
            text,
            entry,
            mut rodata,
            mut data,
            entry_name,
        } = image;
        if text.len() as u64 > MAX_IMAGE_BYTES {
            return Err(LoadError::TooLarge { what: "the code" });
        }
        let allow_test_helper = options.allow_test_helper;
        let instructions = lower::lower(&text, allow_test_helper)?;
        if instructions
            .get(entry as usize)
            .is_none_or(|at| at.op == Op::None)
        {
            return Err(LoadError::MisplacedEntry { name: entry_name });
        }
        for bytes in [&mut rodata, &mut data] {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let dialect = Dialect::Ebpf;
        Ok(Self {
            dialect,
            instructions,
            entry,
            rodata,
            data,
            stack_size,
            allow_test_helper,
        })
    }

    /// The dialect it was lowered from.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The canonical table, one instruction for each slot.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Slot of the first instruction to run.
    #[must_use]
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// The bytes at [`RODATA_BASE`], zero-padded to a multiple of 8.
    #[must_use]
    pub fn rodata(&self) -> &[u8] {
        &self.rodata
    }

    /// The bytes that [`DATA_BASE`] starts with, zero-padded to a multiple of 8.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Bytes of stack.
    #[must_use]
    pub fn stack_size(&self) -> u64 {
        self.stack_size
    }

    /// Frames that the stack has room for, the outermost included.
    #[must_use]
    pub fn max_call_depth(&self) -> u32 {
        (self.stack_size / FRAME_BYTES) as u32
    }

    /// Whether calls of helper 5 return their first argument: [`Op::HelperIdentity`], and
    /// [`Op::CallReg`] on a register that holds 5.
    #[must_use]
    pub fn allows_test_helper(&self) -> bool {
        self.allow_test_helper
    }

    /// The program's identity: BLAKE3 in key derivation mode, context `zkbpf program v1`, over
    ///
    /// * length (8 bytes) and bytes of the dialect's name,
    /// * entry (4), stack size (8), whether the test helper is allowed (1),
    /// * number of slots (8) and each slot as [`Instruction::encode`] gives it,
    /// * length (8) and bytes of the read-only data, then of the writable data.
    ///
    /// Integers are little-endian.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(ID_DOMAIN);
        let sized = |hasher: &mut blake3::Hasher, bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        sized(&mut hasher, self.dialect.name().as_bytes());
        hasher.update(&self.entry.to_le_bytes());
        hasher.update(&self.stack_size.to_le_bytes());
        hasher.update(&[self.allow_test_helper.into()]);
        hasher.update(&(self.instructions.len() as u64).to_le_bytes());
        for instruction in &self.instructions {
            hasher.update(&instruction.encode());
        }
        sized(&mut hasher, &self.rodata);
        sized(&mut hasher, &self.data);
        hasher.finalize().into()
    }

    /// Sorted disjoint intervals that cover `[0, INPUT_BASE)`. What follows depends on the input:
    /// see [`Program::intervals_with_input`].
    #[must_use]
    pub fn intervals(&self) -> Vec<Interval> {
        let regions = [
            (RODATA_BASE, self.rodata.len() as u64, Permission::Read),
            (STACK_BASE, self.stack_size, Permission::ReadWrite),
            (DATA_BASE, self.data.len() as u64, Permission::ReadWrite),
        ];
        partition(&regions, INPUT_BASE.into())
    }

    /// Sorted disjoint intervals that cover `[0, 2^64)` when the input region has this many bytes.
    #[must_use]
    pub fn intervals_with_input(&self, region_len: u64) -> Vec<Interval> {
        let mut intervals = self.intervals();
        let input: u128 = INPUT_BASE.into();
        let end = input.saturating_add(region_len.into()).min(1 << 64);
        if input < end {
            let permission = Permission::ReadWrite;
            intervals.push(Interval {
                start: input,
                end,
                permission,
            });
        }
        if end < 1 << 64 {
            intervals.push(Interval {
                start: end,
                end: 1 << 64,
                permission: Permission::None,
            });
        }
        intervals
    }

    /// Registers `r0` to `r10` at the entry: `r1` = address of the input region (0 if it is empty),
    /// `r2` = number of input bytes given, `r10` = end of the stack, the others 0.
    #[must_use]
    pub fn initial_registers(&self, input: &Input) -> [u64; 11] {
        let r1 = if input.region_len() == 0 {
            0
        } else {
            INPUT_BASE
        };
        let r10 = STACK_BASE.wrapping_add(self.stack_size);
        [0, r1, input.bytes.len() as u64, 0, 0, 0, 0, 0, 0, 0, r10]
    }

    /// The name of the instruction at a slot, `none` for the second slot of `lddw` and outside.
    #[must_use]
    pub fn mnemonic(&self, pc: u32) -> &'static str {
        match self.instructions.get(pc as usize) {
            Some(instruction) if instruction.is_wide() => "lddw",
            Some(instruction) => isa::mnemonic(instruction.op),
            None => "none",
        }
    }

    /// One line of assembly in LLVM's notation.
    #[must_use]
    pub fn disassemble(&self, pc: u32) -> String {
        match self.instructions.get(pc as usize) {
            Some(instruction) => disasm::line(pc, instruction),
            None => "<outside the program>".to_owned(),
        }
    }
}

/// Cuts `[0, end)` at sorted regions `(base, length, permission)`.
fn partition(regions: &[(u64, u64, Permission)], end: u128) -> Vec<Interval> {
    let mut intervals = Vec::new();
    let mut push = |start: u128, end: u128, permission| {
        if start < end {
            intervals.push(Interval {
                start,
                end,
                permission,
            });
        }
    };
    let mut covered = 0;
    for &(base, len, permission) in regions.iter().filter(|region| region.1 != 0) {
        let region_end = u128::from(base).saturating_add(len.into());
        push(covered, base.into(), Permission::None);
        push(base.into(), region_end, permission);
        covered = region_end;
    }
    push(covered, end, Permission::None);
    intervals
}
