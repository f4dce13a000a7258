//! Solana's system calls: those that can be proved, by name and by the hash that bytecode calls them by.

use hash32::{Hasher as _, Murmur3Hasher};

macro_rules! syscalls {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// A system call that can be proved.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Syscall { $($(#[$doc])* $variant),* }

        impl Syscall {
            /// Every one, in order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name, as programs link against it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

syscalls! {
    /// Stops the program.
    Abort = "abort",
    /// Stops the program with a message: (text, length, line, column).
    Panic = "sol_panic_",
    /// Logs a text: (address, length).
    Log = "sol_log_",
    /// Logs five numbers.
    Log64 = "sol_log_64_",
    /// Logs an address of 32 bytes: (address).
    LogPubkey = "sol_log_pubkey",
    /// Logs the compute units that are left.
    LogComputeUnits = "sol_log_compute_units_",
    /// Copies between ranges that do not overlap: (to, from, length).
    Memcpy = "sol_memcpy_",
    /// Copies: (to, from, length).
    Memmove = "sol_memmove_",
    /// Fills: (to, byte, length).
    Memset = "sol_memset_",
    /// Compares: (first, second, length, address of the 32-bit result).
    Memcmp = "sol_memcmp_",
    /// Writes the clock: (address).
    GetClockSysvar = "sol_get_clock_sysvar",
    /// Writes the rent parameters: (address).
    GetRentSysvar = "sol_get_rent_sysvar",
    /// Writes a part of any sysvar: (address of its name, address, offset, length).
    GetSysvar = "sol_get_sysvar",
    /// Sets the return data: (address, length).
    SetReturnData = "sol_set_return_data",
    /// Writes the return data: (address, length, address for the program's name).
    GetReturnData = "sol_get_return_data",
    /// Allocates heap: (size, 0); frees nothing.
    AllocFree = "sol_alloc_free_",
    /// The depth of cross-program invocations: 1.
    GetStackHeight = "sol_get_stack_height",
    /// The compute units that are left.
    RemainingComputeUnits = "sol_remaining_compute_units",
}

impl Syscall {
    /// The one of this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The one that bytecode calls by this number.
    #[must_use]
    pub fn from_hash(hash: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|syscall| name_hash(syscall.name()) == hash)
    }
}

/// The number by which bytecode calls a function of this name: MurmurHash3, 32 bits, seed 0.
#[must_use]
pub fn name_hash(name: &str) -> u32 {
    let mut hasher = Murmur3Hasher::default();
    core::hash::Hasher::write(&mut hasher, name.as_bytes());
    hasher.finish32()
}

/// System calls of Solana that have no proof.
pub const UNPROVABLE: [&str; 23] = [
    "sol_alt_bn128_compression",
    "sol_alt_bn128_group_op",
    "sol_big_mod_exp",
    "sol_blake3",
    "sol_create_program_address",
    "sol_curve_decompress",
    "sol_curve_group_op",
    "sol_curve_multiscalar_mul",
    "sol_curve_pairing_map",
    "sol_curve_validate_point",
    "sol_get_epoch_rewards_sysvar",
    "sol_get_epoch_schedule_sysvar",
    "sol_get_epoch_stake",
    "sol_get_last_restart_slot",
    "sol_get_processed_sibling_instruction",
    "sol_invoke_signed_c",
    "sol_invoke_signed_rust",
    "sol_keccak256",
    "sol_log_data",
    "sol_poseidon",
    "sol_secp256k1_recover",
    "sol_sha256",
    "sol_try_find_program_address",
];

/// The name of a system call that has no proof, by its hash.
#[must_use]
pub fn unprovable(hash: u32) -> Option<&'static str> {
    UNPROVABLE.into_iter().find(|name| name_hash(name) == hash)
}

/// What system calls cost, in compute units (Agave 4.0, `SVMTransactionExecutionCost`).
pub mod cost {
    /// A call that does no work; the least that logging a text costs.
    pub const BASE: u64 = 100;
    /// Logging five numbers.
    pub const LOG_64: u64 = 100;
    /// Logging an address.
    pub const LOG_PUBKEY: u64 = 100;
    /// The least that a memory operation costs.
    pub const MEM_OP_BASE: u64 = 10;
    /// Bytes of a copy that cost one unit.
    pub const BYTES_PER_UNIT: u64 = 250;
    /// Reading a sysvar.
    pub const SYSVAR_BASE: u64 = 100;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_deployed_programs() {
        assert_eq!(name_hash("abort"), 0xb6fc_1a11);
        assert_eq!(name_hash("sol_log_"), 0x2075_59bd);
        assert_eq!(Syscall::from_hash(0x2075_59bd), Some(Syscall::Log));
        assert_eq!(unprovable(name_hash("sol_sha256")), Some("sol_sha256"));
        let names = Syscall::ALL.iter().map(|syscall| syscall.name());
        let mut hashes: Vec<u32> = names.chain(UNPROVABLE).map(name_hash).collect();
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
