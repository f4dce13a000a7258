//! How a program is to be loaded.

/// Bytes of one stack frame of eBPF; the callee's `r10` is this much below the caller's.
pub const FRAME_BYTES: u64 = 512;
/// Largest stack of eBPF, in bytes: 64 frames.
pub const MAX_STACK_BYTES: u64 = MAX_FRAMES as u64 * FRAME_BYTES;
/// Most frames, the outermost included, in any dialect; all that sBPF has.
pub const MAX_FRAMES: u32 = 64;
/// Bytes of one stack frame of sBPF.
pub const SBPF_FRAME_BYTES: u64 = 4096;
/// Bytes of heap of an sBPF program that asked for no more.
pub const SBPF_HEAP_BYTES: u64 = 32 * 1024;

/// Steps that a run of an eBPF program may take when nothing else is said.
pub const DEFAULT_STEP_LIMIT: u64 = 10_000_000;
/// Compute units that a run of an sBPF program may use when nothing else is said: the most that a Solana
/// transaction can have.
pub const DEFAULT_COMPUTE_UNITS: u64 = 1_400_000;

/// Instruction set and conventions of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// eBPF of RFC 9669, cpu v1 to v4.
    #[default]
    Ebpf,
    /// Solana's sBPF, the legacy version.
    SbpfV0,
    /// sBPF with dynamic stack frames (SIMD-0166).
    SbpfV1,
    /// sBPF with its own arithmetic and encodings (SIMD-0173, SIMD-0174).
    SbpfV2,
    /// sBPF with static system calls and stricter files (SIMD-0178, SIMD-0189, SIMD-0377).
    SbpfV3,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 5] = [
        Self::Ebpf,
        Self::SbpfV0,
        Self::SbpfV1,
        Self::SbpfV2,
        Self::SbpfV3,
    ];

    /// Its name, as the command line spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::SbpfV0 => "sbpf-v0",
            Self::SbpfV1 => "sbpf-v1",
            Self::SbpfV2 => "sbpf-v2",
            Self::SbpfV3 => "sbpf-v3",
        }
    }

    /// The dialect of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Compute units (of eBPF: steps) that a run may use when nothing else is said.
    #[must_use]
    pub const fn default_budget(self) -> u64 {
        if self.is_sbpf() {
            DEFAULT_COMPUTE_UNITS
        } else {
            DEFAULT_STEP_LIMIT
        }
    }

    /// Whether it is one of Solana's.
    #[must_use]
    pub const fn is_sbpf(self) -> bool {
        !matches!(self, Self::Ebpf)
    }

    /// Whether unmapped gaps as large as a frame lie between stack frames.
    #[must_use]
    pub const fn has_stack_gaps(self) -> bool {
        matches!(self, Self::SbpfV0)
    }

    /// Whether programs move `r10` themselves (SIMD-0166).
    #[must_use]
    pub const fn has_dynamic_frames(self) -> bool {
        matches!(self, Self::SbpfV1 | Self::SbpfV2)
    }

    /// Whether products, quotients and remainders have opcodes of their own, 32-bit results are
    /// zero-extended, `sub` of an immediate is reversed and `neg` is gone (SIMD-0174).
    #[must_use]
    pub const fn has_new_arithmetic(self) -> bool {
        matches!(self, Self::SbpfV2)
    }

    /// Whether loads and stores have moved into the arithmetic classes, `hor64` replaces `lddw` and
    /// `callx` has its register in `src` (SIMD-0173).
    #[must_use]
    pub const fn has_new_encoding(self) -> bool {
        matches!(self, Self::SbpfV2)
    }

    /// Whether `call`'s source field tells system calls from calls by distance (SIMD-0178).
    #[must_use]
    pub const fn has_static_calls(self) -> bool {
        matches!(self, Self::SbpfV3)
    }

    /// Whether 32-bit conditions exist and `callx` has its register in `dst` (SIMD-0377). Of sBPF only.
    #[must_use]
    pub const fn has_jmp32(self) -> bool {
        matches!(self, Self::SbpfV3)
    }

    /// Whether read-only data starts at address 0, apart from the text (SIMD-0189).
    #[must_use]
    pub const fn has_low_rodata(self) -> bool {
        matches!(self, Self::SbpfV3)
    }

    /// What a call adds to `r10`.
    #[must_use]
    pub const fn frame_growth(self) -> i64 {
        match self {
            Self::Ebpf => (FRAME_BYTES as i64).wrapping_neg(),
            Self::SbpfV0 => (SBPF_FRAME_BYTES as i64).wrapping_mul(2),
            Self::SbpfV1 | Self::SbpfV2 => 0,
            Self::SbpfV3 => SBPF_FRAME_BYTES as i64,
        }
    }
}

/// What a [`Program`](crate::Program) is besides its file. All of it is part of the program's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The dialect; without it, the one that an ELF file states, and eBPF for raw bytecode.
    pub dialect: Option<Dialect>,
    /// The symbol to start at; without it, the single global function, or the one named `entry`,
    /// `prog` or `main`.
    pub entry: Option<String>,
    /// Bytes of stack of an eBPF program: a multiple of [`FRAME_BYTES`], at most [`MAX_STACK_BYTES`].
    /// sBPF programs have [`MAX_FRAMES`] frames of [`SBPF_FRAME_BYTES`].
    pub stack_size: u64,
    /// Bytes of heap of an sBPF program: a multiple of 8. eBPF programs have none.
    pub heap_size: u64,
    /// Let calls of helper 5 return their first argument, as the conformance suite wants it.
    pub allow_test_helper: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            dialect: None,
            entry: None,
            stack_size: 8 * FRAME_BYTES,
            heap_size: SBPF_HEAP_BYTES,
            allow_test_helper: false,
        }
    }
}

impl LoadOptions {
    /// Sets [`LoadOptions::dialect`].
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Sets [`LoadOptions::entry`].
    #[must_use]
    pub fn with_entry(mut self, entry: impl Into<String>) -> Self {
        self.entry = Some(entry.into());
        self
    }

    /// Sets [`LoadOptions::stack_size`].
    #[must_use]
    pub fn with_stack_size(mut self, stack_size: u64) -> Self {
        self.stack_size = stack_size;
        self
    }

    /// Sets [`LoadOptions::heap_size`].
    #[must_use]
    pub fn with_heap_size(mut self, heap_size: u64) -> Self {
        self.heap_size = heap_size;
        self
    }

    /// Sets [`LoadOptions::allow_test_helper`].
    #[must_use]
    pub fn with_allow_test_helper(mut self, allow: bool) -> Self {
        self.allow_test_helper = allow;
        self
    }
}
