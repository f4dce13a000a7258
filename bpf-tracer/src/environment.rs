//! What a run can ask of its surroundings besides its input: sysvars, the program's own address.

use std::collections::BTreeMap;

/// Name of a sysvar or program: 32 bytes.
pub type Pubkey = [u8; 32];

/// The surroundings of a Solana invocation. All of it is part of what a proof is about; programs of
/// other dialects cannot see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Address of the program that runs.
    pub program_id: Pubkey,
    /// Sysvars by address, as `sol_get_sysvar` shows them.
    pub sysvars: BTreeMap<Pubkey, Vec<u8>>,
}

impl Environment {
    /// `SysvarC1ock11111111111111111111111111111111`
    pub const CLOCK: Pubkey = [
        0x06, 0xa7, 0xd5, 0x17, 0x18, 0xc7, 0x74, 0xc9, 0x28, 0x56, 0x63, 0x98, 0x69, 0x1d, 0x5e,
        0xb6, 0x8b, 0x5e, 0xb8, 0xa3, 0x9b, 0x4b, 0x6d, 0x5c, 0x73, 0x55, 0x5b, 0x21, 0x00, 0x00,
        0x00, 0x00,
    ];
    /// `SysvarRent111111111111111111111111111111111`
    pub const RENT: Pubkey = [
        0x06, 0xa7, 0xd5, 0x17, 0x19, 0x2c, 0x5c, 0x51, 0x21, 0x8c, 0xc9, 0x4c, 0x3d, 0x4a, 0xf1,
        0x7f, 0x58, 0xda, 0xee, 0x08, 0x9b, 0xa1, 0xfd, 0x44, 0xe3, 0xdb, 0xd9, 0x8a, 0x00, 0x00,
        0x00, 0x00,
    ];
    /// Bytes of the clock.
    pub const CLOCK_BYTES: usize = 40;
    /// Bytes of the rent parameters, in `sol_get_sysvar`'s form; `sol_get_rent_sysvar` pads them
    /// with zeros to 24.
    pub const RENT_BYTES: usize = 17;

    /// No sysvars, and the program address zero.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            program_id: [0; 32],
            sysvars: BTreeMap::new(),
        }
    }
}

impl Default for Environment {
    /// The clock at zero, mainnet's rent (3,480 lamports a byte-year, exemption at two years), the
    /// program address zero.
    fn default() -> Self {
        let mut rent = 3480_u64.to_le_bytes().to_vec();
        rent.extend(2.0_f64.to_le_bytes());
        rent.push(50);
        let mut environment = Self::empty();
        environment.sysvars.insert(Self::RENT, rent);
        environment
            .sysvars
            .insert(Self::CLOCK, vec![0; Self::CLOCK_BYTES]);
        environment
    }
}
