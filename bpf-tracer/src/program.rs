//! A loaded program: the canonical table and its memory image.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::canonical::layout::{
    DATA_BASE, INPUT_BASE, MAX_REGION, RODATA_BASE, STACK_BASE, TEXT_BASE,
};
use crate::canonical::{Instruction, Op};
use crate::error::LoadError;
use crate::input::Input;
use crate::options::{
    Dialect, FRAME_BYTES, LoadOptions, MAX_FRAMES, MAX_STACK_BYTES, SBPF_FRAME_BYTES,
};
use crate::syscall::name_hash;
use crate::{disasm, elf, elf_sbpf, isa, lower};

/// Most bytes of each of a program's code, read-only data and writable data.
pub const MAX_IMAGE_BYTES: u64 = 1 << 26;

/// Domain of [`Program::id`].
const ID_DOMAIN: &str = "zkbpf program v2";

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
    /// Whether an access that begins here and runs past the end is no violation: in sBPF v0 it goes on
    /// in the next stack frame. Such an access can be executed and not proved.
    pub open_end: bool,
}

/// A program, ready to run: what its bytes mean, in one dialect, with one entry and one stack size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    dialect: Dialect,
    instructions: Vec<Instruction>,
    entry: u32,
    text_base: u64,
    rodata_base: u64,
    rodata: Vec<u8>,
    readable: Range<u64>,
    data: Vec<u8>,
    stack_size: u64,
    allow_test_helper: bool,
}

/// What a file gives, before lowering.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// Relocated instructions.
    pub(crate) text: Vec<u8>,
    pub(crate) entry: u32,
    /// Address of slot 0.
    pub(crate) text_base: u64,
    /// Address of `rodata`, a multiple of 8.
    pub(crate) rodata_base: u64,
    /// Padded to multiples of 8 at both ends.
    pub(crate) rodata: Vec<u8>,
    /// The part of `rodata` that may be read, to the byte.
    pub(crate) readable: Range<u64>,
    /// Writable data, of sBPF the heap.
    pub(crate) data: Vec<u8>,
    /// The slot that a call's number means (sBPF v0 to v2).
    pub(crate) functions: BTreeMap<u32, u32>,
    pub(crate) dialect: Dialect,
    /// Name of the entry, for messages.
    pub(crate) entry_name: String,
}

/// What an sBPF program consists of, once its file has been read and relocated.
///
/// Loaders of files make it; it is public for programs that come in parts, as recorded runs do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SbpfParts {
    /// The version.
    pub dialect: Dialect,
    /// Relocated instructions.
    pub text: Vec<u8>,
    /// Address of slot 0.
    pub text_base: u64,
    /// Slot of the first instruction to run.
    pub entry: u32,
    /// Bytes that programs may read.
    pub readable: Vec<u8>,
    /// Address of the first of them.
    pub readable_base: u64,
    /// The slot that a call's number means (v0 to v2).
    pub functions: BTreeMap<u32, u32>,
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

    /// Loads an ELF file: a relocatable object of eBPF, as `clang -target bpf -c` writes it, or a shared
    /// object of sBPF, as Solana's tools link it.
    ///
    /// Of an object of eBPF, all executable sections are concatenated in file order; read-only and
    /// writable sections are laid out at multiples of 16 bytes from [`RODATA_BASE`] and [`DATA_BASE`].
    /// Of one of sBPF, everything is where Solana's validators load it.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_elf(bytes: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        let wanted = options.dialect;
        let check = |found| match wanted {
            Some(wanted) if wanted != found => Err(LoadError::DialectMismatch { found, wanted }),
            _ => Ok(()),
        };
        if elf_sbpf::is_sbpf(bytes) {
            if let Some(name) = &options.entry {
                return Err(LoadError::EntryInSbpf { name: name.clone() });
            }
            let parts = elf_sbpf::load(bytes)?;
            check(parts.dialect)?;
            Self::from_sbpf_parts(parts, options)
        } else {
            let image = elf::load(bytes, options.entry.as_deref())?;
            check(image.dialect)?;
            Self::new(image, options)
        }
    }

    /// Loads raw instructions, little-endian; the entry is slot 0.
    ///
    /// In sBPF the text is at 2^32, and programs may read it: there, or at address 0 where read-only
    /// data is low. Calls by number know one function, `entrypoint`, which is slot 0.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_bytecode(bytes: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        if let Some(name) = &options.entry {
            return Err(LoadError::EntryInRawBytecode { name: name.clone() });
        }
        let dialect = options.dialect.unwrap_or_default();
        if dialect.is_sbpf() {
            let parts = SbpfParts {
                dialect,
                text: bytes.to_vec(),
                text_base: RODATA_BASE,
                readable: bytes.to_vec(),
                readable_base: if dialect.has_low_rodata() {
                    0
                } else {
                    RODATA_BASE
                },
                functions: BTreeMap::from([(name_hash("entrypoint"), 0)]),
                ..SbpfParts::default()
            };
            return Self::from_sbpf_parts(parts, options);
        }
        let image = Image {
            text: bytes.to_vec(),
            ..Image::ebpf()
        };
        Self::new(image, options)
    }

    /// Makes a program of an sBPF file's parts. Of the options, only the heap's size matters.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_sbpf_parts(parts: SbpfParts, options: &LoadOptions) -> Result<Self, LoadError> {
        let SbpfParts {
            dialect,
            text,
            text_base,
            entry,
            readable,
            readable_base,
            functions,
        } = parts;
        let readable_end = readable_base.saturating_add(readable.len() as u64);
        let rodata_base = readable_base & !7;
        let mut rodata = vec![0; (readable_base & 7) as usize];
        rodata.extend(readable);
        let image = Image {
            text,
            entry,
            text_base,
            rodata_base,
            rodata,
            readable: readable_base..readable_end,
            data: Vec::new(),
            functions,
            dialect,
            entry_name: format!("slot {entry}"),
        };
        Self::new(image, options)
    }

    fn new(image: Image, options: &LoadOptions) -> Result<Self, LoadError> {
        let Image {
            text,
            entry,
            text_base,
            rodata_base,
            mut rodata,
            readable,
            mut data,
            functions,
            dialect,
            entry_name,
        } = image;
        for (bytes, what) in [(&text, "the code"), (&rodata, "the read-only data")] {
            if bytes.len() as u64 > MAX_IMAGE_BYTES {
                return Err(LoadError::TooLarge { what });
            }
        }
        let stack_size = stack_size(dialect, options)?;
        if dialect.is_sbpf() {
            data = heap(options)?;
        }
        let allow_test_helper = options.allow_test_helper && !dialect.is_sbpf();
        let instructions = lower::lower(&text, dialect, &functions, allow_test_helper)?;
        // Only sBPF can start at the second slot of `lddw`; there that is a trap.
        let is_entry = |at: &Instruction| dialect.is_sbpf() || at.op != Op::None;
        if !instructions.get(entry as usize).is_some_and(is_entry) {
            return Err(LoadError::MisplacedEntry { name: entry_name });
        }
        for bytes in [&mut rodata, &mut data] {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        check_rodata(dialect, rodata_base, rodata.len() as u64, &readable)?;
        Ok(Self {
            dialect,
            instructions,
            entry,
            text_base,
            rodata_base,
            readable,
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

    /// Virtual address of slot 0, as function pointers and calls through registers have it.
    #[must_use]
    pub fn text_base(&self) -> u64 {
        self.text_base
    }

    /// Address of [`Program::rodata`]: [`RODATA_BASE`] for eBPF. A multiple of 8.
    #[must_use]
    pub fn rodata_base(&self) -> u64 {
        self.rodata_base
    }

    /// The read-only bytes at [`Program::rodata_base`], zero-padded to a multiple of 8. In sBPF v0 to
    /// v2 the program's text is among them.
    #[must_use]
    pub fn rodata(&self) -> &[u8] {
        &self.rodata
    }

    /// Addresses of read-only data that programs may read: within [`Program::rodata`], to the byte.
    #[must_use]
    pub fn readable(&self) -> Range<u64> {
        self.readable.clone()
    }

    /// The bytes that [`DATA_BASE`] starts with, zero-padded to a multiple of 8; of sBPF the heap, zeros.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Bytes of stack, gaps not counted.
    #[must_use]
    pub fn stack_size(&self) -> u64 {
        self.stack_size
    }

    /// Frames that the stack has room for, the outermost included.
    #[must_use]
    pub fn max_call_depth(&self) -> u32 {
        if self.dialect.is_sbpf() {
            MAX_FRAMES
        } else {
            (self.stack_size / FRAME_BYTES) as u32
        }
    }

    /// Whether calls of helper 5 return their first argument: [`Op::HelperIdentity`], and
    /// [`Op::CallReg`] on a register that holds 5.
    #[must_use]
    pub fn allows_test_helper(&self) -> bool {
        self.allow_test_helper
    }

    /// The program's identity: BLAKE3 in key derivation mode, context `zkbpf program v2`, over
    ///
    /// * length (8 bytes) and bytes of the dialect's name,
    /// * entry (4), stack size (8), whether the test helper is allowed (1),
    /// * addresses of slot 0 (8), of the read-only data (8), of its readable part's ends (8, 8),
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
        hasher.update(&self.text_base.to_le_bytes());
        hasher.update(&self.rodata_base.to_le_bytes());
        hasher.update(&self.readable.start.to_le_bytes());
        hasher.update(&self.readable.end.to_le_bytes());
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
        let region = |base, len, permission| Region {
            base,
            len,
            permission,
            open_end: false,
        };
        let mut regions = vec![region(
            self.readable.start,
            self.readable.end.saturating_sub(self.readable.start),
            Permission::Read,
        )];
        if self.dialect.has_stack_gaps() {
            let frames = (0..MAX_FRAMES).map(u64::from);
            regions.extend(frames.map(|frame| Region {
                base: STACK_BASE.wrapping_add(frame.wrapping_mul(2 * SBPF_FRAME_BYTES)),
                len: SBPF_FRAME_BYTES,
                permission: Permission::ReadWrite,
                open_end: frame.wrapping_add(1) < MAX_FRAMES.into(),
            }));
        } else {
            regions.push(region(STACK_BASE, self.stack_size, Permission::ReadWrite));
        }
        regions.push(region(
            DATA_BASE,
            self.data.len() as u64,
            Permission::ReadWrite,
        ));
        partition(&regions, INPUT_BASE.into())
    }

    /// Sorted disjoint intervals that cover `[0, 2^64)` when the input region has this many bytes.
    #[must_use]
    pub fn intervals_with_input(&self, region_len: u64) -> Vec<Interval> {
        let mut intervals = self.intervals();
        let input: u128 = INPUT_BASE.into();
        let end = input.saturating_add(region_len.into()).min(1 << 64);
        let pieces = [
            (input, end, Permission::ReadWrite),
            (end, 1 << 64, Permission::None),
        ];
        for (start, end, permission) in pieces {
            if start < end {
                intervals.push(Interval {
                    start,
                    end,
                    permission,
                    open_end: false,
                });
            }
        }
        intervals
    }

    /// Registers `r0` to `r10` at the entry.
    ///
    /// eBPF: `r1` = address of the input region (0 if it is empty), `r2` = number of input bytes
    /// given, `r10` = end of the stack. sBPF: `r1` = address of the input region, `r2` = address of the
    /// [instruction data](Input::instruction_data) or 0, `r10` = end of the first frame, or of the stack
    /// where frames are dynamic. All others are 0.
    #[must_use]
    pub fn initial_registers(&self, input: &Input) -> [u64; 11] {
        let data = || {
            let offset = input.instruction_data();
            offset.map_or(0, |offset| INPUT_BASE.wrapping_add(offset))
        };
        let (r1, r2, stack) = match self.dialect {
            Dialect::Ebpf if input.region_len() == 0 => (0, 0, self.stack_size),
            Dialect::Ebpf => (INPUT_BASE, input.bytes.len() as u64, self.stack_size),
            Dialect::SbpfV1 | Dialect::SbpfV2 => (INPUT_BASE, data(), self.stack_size),
            Dialect::SbpfV0 | Dialect::SbpfV3 => (INPUT_BASE, data(), SBPF_FRAME_BYTES),
        };
        let r10 = STACK_BASE.wrapping_add(stack);
        [0, r1, r2, 0, 0, 0, 0, 0, 0, 0, r10]
    }

    /// The name of the instruction at a slot, `none` for the second slot of `lddw` and outside.
    #[must_use]
    pub fn mnemonic(&self, pc: u32) -> &'static str {
        match self.instructions.get(pc as usize) {
            Some(instruction) if instruction.is_wide() => "lddw",
            Some(instruction) if self.dialect.is_sbpf() => {
                isa::sbpf::mnemonic(self.dialect, instruction.op)
            }
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

impl Image {
    /// An empty eBPF program.
    pub(crate) fn ebpf() -> Self {
        Self {
            text_base: TEXT_BASE,
            rodata_base: RODATA_BASE,
            readable: RODATA_BASE..RODATA_BASE,
            ..Self::default()
        }
    }
}

fn stack_size(dialect: Dialect, options: &LoadOptions) -> Result<u64, LoadError> {
    if dialect.is_sbpf() {
        return Ok(SBPF_FRAME_BYTES.wrapping_mul(MAX_FRAMES.into()));
    }
    let size = options.stack_size;
    if size == 0 || size > MAX_STACK_BYTES || !size.is_multiple_of(FRAME_BYTES) {
        return Err(LoadError::StackSize { size });
    }
    Ok(size)
}

/// sBPF's heap as a run starts.
fn heap(options: &LoadOptions) -> Result<Vec<u8>, LoadError> {
    let size = options.heap_size;
    if size > MAX_IMAGE_BYTES || !size.is_multiple_of(8) {
        return Err(LoadError::HeapSize { size });
    }
    Ok(vec![0; size as usize])
}

/// Read-only data must keep to its region, and what is readable to the data.
fn check_rodata(
    dialect: Dialect,
    base: u64,
    len: u64,
    readable: &Range<u64>,
) -> Result<(), LoadError> {
    let region = if dialect.has_low_rodata() {
        0
    } else {
        RODATA_BASE
    };
    let end = base.saturating_add(len);
    let reason = if !base.is_multiple_of(8) {
        "its address is not a multiple of 8"
    } else if base < region || end > region.saturating_add(MAX_REGION) {
        "it leaves its region"
    } else if readable.start > readable.end || readable.start < base || readable.end > end {
        "what is readable is not all there"
    } else {
        return Ok(());
    };
    Err(LoadError::MisplacedRodata { reason })
}

/// A range of addresses with one permission.
struct Region {
    base: u64,
    len: u64,
    permission: Permission,
    open_end: bool,
}

/// Cuts `[0, end)` at sorted regions.
fn partition(regions: &[Region], end: u128) -> Vec<Interval> {
    let mut intervals = Vec::new();
    let mut push = |start: u128, end: u128, permission, open_end| {
        if start < end {
            intervals.push(Interval {
                start,
                end,
                permission,
                open_end,
            });
        }
    };
    let mut covered = 0;
    for region in regions.iter().filter(|region| region.len != 0) {
        let base = region.base.into();
        let region_end = u128::saturating_add(base, region.len.into());
        push(covered, base, Permission::None, false);
        push(base, region_end, region.permission, region.open_end);
        covered = region_end;
    }
    push(covered, end, Permission::None, false);
    intervals
}
