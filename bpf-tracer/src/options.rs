//! How a program is to be loaded.

/// Bytes of one stack frame; the callee's `r10` is this much below the caller's.
pub const FRAME_BYTES: u64 = 512;
/// Largest stack, in bytes: 64 frames.
pub const MAX_STACK_BYTES: u64 = 64 * FRAME_BYTES;

/// Instruction set and conventions of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// eBPF of RFC 9669, cpu v1 to v4.
    #[default]
    Ebpf,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 1] = [Self::Ebpf];

    /// Its name, as the command line spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
        }
    }

    /// The dialect of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

/// What a [`Program`](crate::Program) is besides its file. All of it is part of the program's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The symbol to start at; without it, the single global function, or the one named `entry`,
    /// `prog` or `main`.
    pub entry: Option<String>,
    /// Bytes of stack: a multiple of [`FRAME_BYTES`], at most [`MAX_STACK_BYTES`].
    pub stack_size: u64,
    /// Let calls of helper 5 return their first argument, as the conformance suite wants it.
    pub allow_test_helper: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            entry: None,
            stack_size: 8 * FRAME_BYTES,
            allow_test_helper: false,
        }
    }
}

impl LoadOptions {
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

    /// Sets [`LoadOptions::allow_test_helper`].
    #[must_use]
    pub fn with_allow_test_helper(mut self, allow: bool) -> Self {
        self.allow_test_helper = allow;
        self
    }
}
