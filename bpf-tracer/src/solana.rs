//! The input region of a Solana invocation: accounts and instruction data, as programs find them.
//!
//! The layout is that of loaders v2 and v3 without address space adjustments, direct mapping or account
//! pointers: what `serialize_parameters` of Agave 4 writes with these features off. All integers are
//! little-endian.
//!
//! | bytes | of each account |
//! |---|---|
//! | 1 | `0xff`; or the index of the same account earlier on, then 7 zeros and nothing else |
//! | 1, 1, 1 | whether it is a signer, writable, executable |
//! | 4 | zeros; programs may note the length of the data here |
//! | 32 | key |
//! | 32 | owner (read back) |
//! | 8 | lamports (read back) |
//! | 8 | length of the data (read back) |
//! | … | data (read back, up to the length) |
//! | 10,240 | zeros for the data to grow into, then zeros to a multiple of 8 |
//! | 8 | rent epoch |
//!
//! Before the accounts is their number (8 bytes); after them are the instruction data's length (8), the
//! instruction data and the program's key (32).
//!
//! # After the run
//!
//! Programs may write anywhere in the region. The runtime reads back the four fields marked above and
//! nothing else, so these four are what an invocation *does*; [`Invocation::post_accounts`] reads them.
//! Whether the runtime would then accept the change (an account that is not writable or of another
//! owner, lamports that do not add up) is for its caller to check.
//!
//! The rest of the region is what the program left there and does not follow from the post-state:
//! entrypoints of the Rust SDK note the length of the data in the four zeros, others keep flags in the
//! first byte, data that has shrunk leaves its old bytes behind, and growth that was undone leaves bytes
//! in the padding. [`apply_post_state`] gives the region of a program that writes nothing but post-state,
//! [`apply_post_state_of_sdk`] that of one that notes lengths besides.
//!
//! ```
//! use bpf_tracer::solana::{Account, Invocation, apply_post_state};
//!
//! let invocation = Invocation::new([7; 32])
//!     .with_account(Account::new([1; 32], [7; 32]).with_lamports(5).writable())
//!     .with_duplicate(0)
//!     .with_instruction_data([1, 2, 3]);
//! let region = invocation.serialize()?;
//! assert_eq!(Invocation::parse(&region)?, invocation);
//!
//! let mut post = invocation.post_accounts(&region)?;
//! assert_eq!((post.len(), post[0].lamports), (1, 5));
//! post[0].data = vec![9; 4];
//! let after = apply_post_state(&region, &post)?;
//! assert_eq!(invocation.post_accounts(&after)?, post);
//! # Ok::<(), bpf_tracer::solana::RegionError>(())
//! ```

use crate::canonical::layout::MAX_REGION;
use crate::environment::Pubkey;
use crate::input::Input;

/// Bytes that an account's data may grow by in one invocation.
pub const MAX_DATA_INCREASE: u64 = 10_240;
/// Most bytes of an account's data.
pub const MAX_DATA_BYTES: u64 = 10 * 1024 * 1024;
/// Most accounts of an invocation, duplicates included.
pub const MAX_ACCOUNTS: usize = 255;

/// First byte of an account that is no duplicate.
const NOT_DUPLICATE: u8 = u8::MAX;
const ALIGN: u64 = 8;
/// Bytes before an account's key, and of a duplicate.
const HEAD_BYTES: usize = 8;
const KEY_BYTES: usize = 32;
const WORD_BYTES: usize = 8;

/// What an input region cannot say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum RegionError {
    #[error("{count} accounts are too many: at most {MAX_ACCOUNTS} are possible")]
    TooManyAccounts { count: u64 },
    #[error("the data of account {index} has {len} bytes: at most {MAX_DATA_BYTES} are possible")]
    DataTooLong { index: usize, len: u64 },
    #[error("the region would have {len} bytes: at most {MAX_REGION} are possible")]
    RegionTooLong { len: u64 },
    #[error(
        "account {index} cannot be a duplicate of account {of}: only of an earlier one that is none"
    )]
    BadDuplicate { index: usize, of: usize },
    #[error("the region ends at byte {len}, within {what}")]
    Truncated { len: usize, what: &'static str },
    #[error("the region goes on after the program's key, at byte {at}")]
    Excess { at: usize },
    #[error("byte {at} is not what {what} can be")]
    BadByte { at: usize, what: &'static str },
    #[error("the region has {len} bytes after the run, not {expected} as before")]
    OtherLength { len: usize, expected: u64 },
    #[error(
        "the data of account {index} went from {before} to {after} bytes: at most {MAX_DATA_INCREASE} more, and {MAX_DATA_BYTES} in all, are possible"
    )]
    BadResize {
        index: usize,
        before: u64,
        after: u64,
    },
    #[error("there are {given} post-states for {expected} accounts")]
    OtherAccounts { given: usize, expected: usize },
}

/// An account, as an invocation is given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub key: Pubkey,
    /// The program that owns it.
    pub owner: Pubkey,
    /// Its balance.
    pub lamports: u64,
    /// Its content.
    pub data: Vec<u8>,
    /// Whether it has signed.
    pub is_signer: bool,
    /// Whether the invocation may change it.
    pub is_writable: bool,
    /// Whether it is a program.
    pub executable: bool,
    /// Rent has no epochs any more: runtimes give `u64::MAX`.
    pub rent_epoch: u64,
}

impl Account {
    /// An account without lamports and data, neither signer nor writable nor executable.
    #[must_use]
    pub fn new(key: Pubkey, owner: Pubkey) -> Self {
        Self {
            key,
            owner,
            lamports: 0,
            data: Vec::new(),
            is_signer: false,
            is_writable: false,
            executable: false,
            rent_epoch: u64::MAX,
        }
    }

    /// Sets [`Account::lamports`].
    #[must_use]
    pub fn with_lamports(mut self, lamports: u64) -> Self {
        self.lamports = lamports;
        self
    }

    /// Sets [`Account::data`].
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = data.into();
        self
    }

    /// Sets [`Account::is_signer`].
    #[must_use]
    pub fn signer(mut self) -> Self {
        self.is_signer = true;
        self
    }

    /// Sets [`Account::is_writable`].
    #[must_use]
    pub fn writable(mut self) -> Self {
        self.is_writable = true;
        self
    }

    /// Sets [`Account::executable`].
    #[must_use]
    pub fn executable(mut self) -> Self {
        self.executable = true;
        self
    }
}

/// One of an invocation's accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountEntry {
    /// An account that has not been given before.
    Account(Account),
    /// The account of this index once more. It is no duplicate itself.
    Duplicate(u8),
}

/// What the runtime reads of an account after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostAccount {
    /// The program that owns it.
    pub owner: Pubkey,
    /// Its balance.
    pub lamports: u64,
    /// Its content.
    pub data: Vec<u8>,
}

/// What a program is invoked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The accounts, in the instruction's order.
    pub accounts: Vec<AccountEntry>,
    /// The instruction.
    pub instruction_data: Vec<u8>,
    /// The program's own address.
    pub program_id: Pubkey,
}

impl Invocation {
    /// An invocation without accounts and instruction data.
    #[must_use]
    pub fn new(program_id: Pubkey) -> Self {
        Self {
            accounts: Vec::new(),
            instruction_data: Vec::new(),
            program_id,
        }
    }

    /// Adds an account.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.accounts.push(AccountEntry::Account(account));
        self
    }

    /// Adds the account of this index once more.
    #[must_use]
    pub fn with_duplicate(mut self, of: u8) -> Self {
        self.accounts.push(AccountEntry::Duplicate(of));
        self
    }

    /// Sets [`Invocation::instruction_data`].
    #[must_use]
    pub fn with_instruction_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.instruction_data = data.into();
        self
    }

    /// The input of a run.
    ///
    /// # Errors
    /// See [`Invocation::serialize`].
    pub fn to_input(&self) -> Result<Input, RegionError> {
        self.serialize().map(Input::from_bytes)
    }

    /// The bytes of the input region.
    ///
    /// # Errors
    /// [`RegionError`] for too many accounts, too much data, or a duplicate of no earlier account.
    pub fn serialize(&self) -> Result<Vec<u8>, RegionError> {
        self.check()?;
        let mut region = Vec::with_capacity(self.region_len() as usize);
        region.extend((self.accounts.len() as u64).to_le_bytes());
        for entry in &self.accounts {
            match entry {
                AccountEntry::Account(account) => write_account(&mut region, account),
                AccountEntry::Duplicate(of) => region.extend([*of, 0, 0, 0, 0, 0, 0, 0]),
            }
        }
        region.extend((self.instruction_data.len() as u64).to_le_bytes());
        region.extend(&self.instruction_data);
        region.extend(self.program_id);
        Ok(region)
    }

    /// The invocation that a region was made of. Every byte must be as [`Invocation::serialize`] writes
    /// it: this is for regions before a run.
    ///
    /// # Errors
    /// See [`RegionError`].
    pub fn parse(region: &[u8]) -> Result<Self, RegionError> {
        let mut reader = Reader { region, at: 0 };
        let count = reader.word("the number of accounts")?;
        if count > MAX_ACCOUNTS as u64 {
            return Err(RegionError::TooManyAccounts { count });
        }
        let mut accounts = Vec::new();
        for index in 0..count as usize {
            let entry = match reader.byte("an account")? {
                NOT_DUPLICATE => AccountEntry::Account(read_account(&mut reader, index)?),
                of => {
                    reader.zeros(HEAD_BYTES.wrapping_sub(1), "a duplicate")?;
                    AccountEntry::Duplicate(of)
                }
            };
            accounts.push(entry);
        }
        let len = reader.word("the length of the instruction data")?;
        let instruction_data = reader.take(len, "the instruction data")?.to_vec();
        let program_id = reader.array("the program's key")?;
        if reader.at != region.len() {
            return Err(RegionError::Excess { at: reader.at });
        }
        let invocation = Self {
            accounts,
            instruction_data,
            program_id,
        };
        invocation.check()?;
        Ok(invocation)
    }

    /// What the runtime reads of the region after a run: one state for each account that is no
    /// duplicate, in order. All other bytes are ignored.
    ///
    /// # Errors
    /// [`RegionError::OtherLength`], or [`RegionError::BadResize`] as the runtime's `InvalidRealloc`;
    /// those of [`Invocation::serialize`].
    pub fn post_accounts(&self, region: &[u8]) -> Result<Vec<PostAccount>, RegionError> {
        self.check()?;
        let expected = self.region_len();
        if region.len() as u64 != expected {
            let len = region.len();
            return Err(RegionError::OtherLength { len, expected });
        }
        let mut reader = Reader { region, at: 0 };
        reader.skip(WORD_BYTES as u64)?;
        let mut states = Vec::new();
        for (index, entry) in self.accounts.iter().enumerate() {
            reader.skip(HEAD_BYTES as u64)?;
            let AccountEntry::Account(account) = entry else {
                continue;
            };
            reader.skip(KEY_BYTES as u64)?;
            let owner = reader.array("an owner")?;
            let lamports = reader.word("lamports")?;
            let after = reader.word("the length of data")?;
            let before = account.data.len() as u64;
            check_resize(index, before, after)?;
            let data = reader.take(after, "data")?.to_vec();
            let reserved = room_for(before).saturating_sub(after);
            reader.skip(reserved.saturating_add(WORD_BYTES as u64))?;
            states.push(PostAccount {
                owner,
                lamports,
                data,
            });
        }
        Ok(states)
    }

    /// The accounts that are no duplicates, in order.
    pub fn unique_accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter_map(|entry| match entry {
            AccountEntry::Account(account) => Some(account),
            AccountEntry::Duplicate(_) => None,
        })
    }

    fn check(&self) -> Result<(), RegionError> {
        let count = self.accounts.len();
        if count > MAX_ACCOUNTS {
            let count = count as u64;
            return Err(RegionError::TooManyAccounts { count });
        }
        for (index, entry) in self.accounts.iter().enumerate() {
            match entry {
                AccountEntry::Account(account) => {
                    let len = account.data.len() as u64;
                    if len > MAX_DATA_BYTES {
                        return Err(RegionError::DataTooLong { index, len });
                    }
                }
                AccountEntry::Duplicate(of) => {
                    let of = usize::from(*of);
                    let earlier = self.accounts.iter().take(index).nth(of);
                    if !matches!(earlier, Some(AccountEntry::Account(_))) {
                        return Err(RegionError::BadDuplicate { index, of });
                    }
                }
            }
        }
        let len = self.region_len();
        if len > MAX_REGION {
            return Err(RegionError::RegionTooLong { len });
        }
        Ok(())
    }

    fn region_len(&self) -> u64 {
        let accounts = self.accounts.iter().map(|entry| match entry {
            AccountEntry::Account(account) => room_for(account.data.len() as u64)
                .saturating_add((HEAD_BYTES + 2 * KEY_BYTES + 3 * WORD_BYTES) as u64),
            AccountEntry::Duplicate(_) => HEAD_BYTES as u64,
        });
        accounts
            .fold(0, u64::saturating_add)
            .saturating_add((2 * WORD_BYTES + KEY_BYTES) as u64)
            .saturating_add(self.instruction_data.len() as u64)
    }
}

/// The region after a run of a program that changes accounts to the given states, one for each account
/// that is no duplicate, and writes nothing else.
///
/// Beyond the length of an account's new data, its bytes are those of the region given. See the
/// [module](self) for what programs write besides.
///
/// # Errors
/// As [`Invocation::parse`] for a region that is no input; [`RegionError::OtherAccounts`];
/// [`RegionError::BadResize`].
pub fn apply_post_state(
    input_region: &[u8],
    post_accounts: &[PostAccount],
) -> Result<Vec<u8>, RegionError> {
    apply(input_region, post_accounts, false)
}

/// As [`apply_post_state`], for a program whose entrypoint is that of the Rust SDK
/// (`solana-program-entrypoint`): it notes the length of each account's data before the run in the four
/// bytes before the account's key.
///
/// # Errors
/// See [`apply_post_state`].
pub fn apply_post_state_of_sdk(
    input_region: &[u8],
    post_accounts: &[PostAccount],
) -> Result<Vec<u8>, RegionError> {
    apply(input_region, post_accounts, true)
}

fn apply(
    input_region: &[u8],
    post_accounts: &[PostAccount],
    notes_lengths: bool,
) -> Result<Vec<u8>, RegionError> {
    let invocation = Invocation::parse(input_region)?;
    let expected = invocation.unique_accounts().count();
    if post_accounts.len() != expected {
        let given = post_accounts.len();
        return Err(RegionError::OtherAccounts { given, expected });
    }
    let mut states = post_accounts.iter();
    let mut reader = Reader {
        region: input_region,
        at: 0,
    };
    let mut region = Vec::with_capacity(input_region.len());
    region.extend(reader.take(WORD_BYTES as u64, "the number of accounts")?);
    for (index, entry) in invocation.accounts.iter().enumerate() {
        region.extend(reader.take(HEAD_BYTES as u64, "an account")?);
        let AccountEntry::Account(account) = entry else {
            continue;
        };
        let Some(state) = states.next() else {
            break;
        };
        let (before, after) = (account.data.len() as u64, state.data.len() as u64);
        check_resize(index, before, after)?;
        if notes_lengths {
            let note = (before as u32).to_le_bytes();
            region.truncate(region.len().saturating_sub(note.len()));
            region.extend(note);
        }
        region.extend(reader.take(KEY_BYTES as u64, "a key")?);
        region.extend(state.owner);
        region.extend(state.lamports.to_le_bytes());
        region.extend(after.to_le_bytes());
        region.extend(&state.data);
        let replaced = (KEY_BYTES + 2 * WORD_BYTES) as u64;
        reader.skip(replaced.saturating_add(after))?;
        let rest = room_for(before).saturating_sub(after);
        region.extend(reader.take(rest.saturating_add(WORD_BYTES as u64), "an account")?);
    }
    region.extend(reader.rest());
    Ok(region)
}

/// Where the instruction data starts in a region of this layout that holds nothing else. Only numbers,
/// lengths and first bytes are looked at: flags, duplicates and padding may be what they like.
pub(crate) fn instruction_data_start(region: &[u8]) -> Result<u64, RegionError> {
    let mut reader = Reader { region, at: 0 };
    for _ in 0..reader.word("the number of accounts")? {
        let [first, ..] = reader.array::<HEAD_BYTES>("an account")?;
        if first == NOT_DUPLICATE {
            reader.skip((2 * KEY_BYTES + WORD_BYTES) as u64)?;
            let len = reader.word("the length of data")?;
            reader.skip(room_for(len).saturating_add(WORD_BYTES as u64))?;
        }
    }
    let len = reader.word("the length of the instruction data")?;
    let start = reader.at as u64;
    reader.take(len, "the instruction data")?;
    reader.take(KEY_BYTES as u64, "the program's key")?;
    match reader.rest() {
        [] => Ok(start),
        rest => Err(RegionError::Excess {
            at: region.len().saturating_sub(rest.len()),
        }),
    }
}

/// Bytes from the start of an account's data to its rent epoch, for data of this length before the run.
fn room_for(len: u64) -> u64 {
    len.checked_next_multiple_of(ALIGN)
        .unwrap_or(u64::MAX)
        .saturating_add(MAX_DATA_INCREASE)
}

fn check_resize(index: usize, before: u64, after: u64) -> Result<(), RegionError> {
    if after.saturating_sub(before) > MAX_DATA_INCREASE || after > MAX_DATA_BYTES {
        return Err(RegionError::BadResize {
            index,
            before,
            after,
        });
    }
    Ok(())
}

fn write_account(region: &mut Vec<u8>, account: &Account) {
    let flags = [account.is_signer, account.is_writable, account.executable];
    region.push(NOT_DUPLICATE);
    region.extend(flags.map(u8::from));
    region.extend([0; 4]);
    region.extend(account.key);
    region.extend(account.owner);
    region.extend(account.lamports.to_le_bytes());
    let len = account.data.len() as u64;
    region.extend(len.to_le_bytes());
    region.extend(&account.data);
    let padding = room_for(len).saturating_sub(len);
    region.resize(region.len().saturating_add(padding as usize), 0);
    region.extend(account.rent_epoch.to_le_bytes());
}

/// Reads an account from behind its first byte.
fn read_account(reader: &mut Reader<'_>, index: usize) -> Result<Account, RegionError> {
    let is_signer = reader.flag()?;
    let is_writable = reader.flag()?;
    let executable = reader.flag()?;
    reader.zeros(4, "padding")?;
    let key = reader.array("a key")?;
    let owner = reader.array("an owner")?;
    let lamports = reader.word("lamports")?;
    let len = reader.word("the length of data")?;
    if len > MAX_DATA_BYTES {
        return Err(RegionError::DataTooLong { index, len });
    }
    let data = reader.take(len, "data")?.to_vec();
    let padding = room_for(len).saturating_sub(len);
    reader.zeros(padding as usize, "padding")?;
    let rent_epoch = reader.word("a rent epoch")?;
    Ok(Account {
        key,
        owner,
        lamports,
        data,
        is_signer,
        is_writable,
        executable,
        rent_epoch,
    })
}

struct Reader<'a> {
    region: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64, what: &'static str) -> Result<&'a [u8], RegionError> {
        let taken = usize::try_from(len).ok().and_then(|len| {
            let end = self.at.checked_add(len)?;
            Some((self.region.get(self.at..end)?, end))
        });
        let len = self.region.len();
        let (bytes, end) = taken.ok_or(RegionError::Truncated { len, what })?;
        self.at = end;
        Ok(bytes)
    }

    fn rest(&mut self) -> &'a [u8] {
        let rest = self.region.get(self.at..).unwrap_or_default();
        self.at = self.region.len();
        rest
    }

    fn skip(&mut self, len: u64) -> Result<(), RegionError> {
        self.take(len, "an account").map(|_| ())
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], RegionError> {
        let bytes = self.take(N as u64, what)?.first_chunk().copied();
        let len = self.region.len();
        bytes.ok_or(RegionError::Truncated { len, what })
    }

    fn word(&mut self, what: &'static str) -> Result<u64, RegionError> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, RegionError> {
        self.array(what).map(|[byte]| byte)
    }

    fn flag(&mut self) -> Result<bool, RegionError> {
        let (at, what) = (self.at, "a flag");
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RegionError::BadByte { at, what }),
        }
    }

    fn zeros(&mut self, len: usize, what: &'static str) -> Result<(), RegionError> {
        let start = self.at;
        let bytes = self.take(len as u64, what)?;
        match bytes.iter().position(|byte| *byte != 0) {
            None => Ok(()),
            Some(offset) => Err(RegionError::BadByte {
                at: start.saturating_add(offset),
                what,
            }),
        }
    }
}
