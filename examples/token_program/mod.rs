//! A program that moves tokens between two accounts, assembled by hand for sBPF v0, in place of a `.so` that a
//! compiler makes.
//!
//! Accounts, as SPL Token has them at their beginning: mint (32 bytes), owner (32), amount (8). An instruction is an
//! amount of 8 bytes, on three accounts: source, destination, the source's owner, who must have signed.

use zkbpf::bpf_tracer::instruction::Slot;
use zkbpf::solana::{Account, Invocation};

/// Its address.
pub(crate) const ADDRESS: [u8; 32] = [7; 32];
/// The program's own error numbers, as SPL Token has them.
pub(crate) const INSUFFICIENT_FUNDS: i32 = 1;
const MINT_MISMATCH: i32 = 3;
const OWNER_MISMATCH: i32 = 4;
const OVERFLOW: i32 = 14;
/// Errors that all programs share; they stand in the upper half of `r0`.
const INVALID_ARGUMENT: i32 = 2;
const INVALID_INSTRUCTION_DATA: i32 = 3;
const MISSING_SIGNATURE: i32 = 8;

/// Bytes of a token account.
const TOKEN_BYTES: i16 = 72;
/// Bytes from one account to the next: head, key, owner, two numbers, data, room to grow, rent epoch.
const STRIDE: i16 = 8 + 64 + 16 + TOKEN_BYTES + 10_240 + 8;
/// Where things are in the parameters.
const SOURCE: i16 = 8;
const DESTINATION: i16 = SOURCE + STRIDE;
const OWNER: i16 = DESTINATION + STRIDE;
const DATA: i16 = 8 + 64 + 16;
const INSTRUCTION: i16 = OWNER + STRIDE - TOKEN_BYTES;

/// A token account.
pub(crate) fn account(key: u8, mint: [u8; 32], owner: [u8; 32], amount: u64) -> Account {
    let data = [&mint[..], &owner, &amount.to_le_bytes()].concat();
    Account::new([key; 32], ADDRESS)
        .with_lamports(2_039_280)
        .with_data(data)
        .writable()
}

/// The invocation that moves an amount from an account to another.
pub(crate) fn transfer(
    source: Account,
    destination: Account,
    owner: [u8; 32],
    amount: u64,
) -> Invocation {
    Invocation::new(ADDRESS)
        .with_account(source)
        .with_account(destination)
        .with_account(
            Account::new(owner, [0; 32])
                .with_lamports(1_000_000)
                .signer(),
        )
        .with_instruction_data(amount.to_le_bytes())
}

/// The program's instructions.
pub(crate) fn bytecode() -> Vec<u8> {
    let mut code = Code::default();
    // Three accounts, of which the second is not the first once more, of the right size; an amount.
    code.expect(LOAD_WORD, 0, 3, Failure::Shared(INVALID_ARGUMENT));
    code.expect(
        LOAD_BYTE,
        DESTINATION,
        0xff,
        Failure::Shared(INVALID_ARGUMENT),
    );
    code.expect(LOAD_BYTE, OWNER, 0xff, Failure::Shared(INVALID_ARGUMENT));
    for account in [SOURCE, DESTINATION] {
        code.expect(
            LOAD_WORD,
            account + DATA - 8,
            TOKEN_BYTES.into(),
            Failure::Shared(INVALID_ARGUMENT),
        );
    }
    code.expect(
        LOAD_WORD,
        OWNER + DATA - 8,
        0,
        Failure::Shared(INVALID_ARGUMENT),
    );
    code.expect(
        LOAD_WORD,
        INSTRUCTION,
        8,
        Failure::Shared(INVALID_INSTRUCTION_DATA),
    );
    // One mint; the source's owner has signed.
    for word in (0..32).step_by(8) {
        let mint = |account: i16| account + DATA + word;
        code.expect_same(mint(SOURCE), mint(DESTINATION), Failure::Own(MINT_MISMATCH));
    }
    for word in (0..32).step_by(8) {
        let owner = SOURCE + DATA + 32 + word;
        code.expect_same(owner, OWNER + 8 + word, Failure::Own(OWNER_MISMATCH));
    }
    code.expect(LOAD_BYTE, OWNER + 1, 1, Failure::Shared(MISSING_SIGNATURE));
    // r4 is the amount; r5 and r6 are the balances.
    let amount = |account: i16| account + DATA + 64;
    code.push(LOAD_WORD, 4, 1, INSTRUCTION + 8, 0);
    code.push(LOAD_WORD, 5, 1, amount(SOURCE), 0);
    code.jump(LESS, 5, 4, 0, Failure::Own(INSUFFICIENT_FUNDS));
    code.push(SUBTRACT, 5, 4, 0, 0);
    code.push(LOAD_WORD, 6, 1, amount(DESTINATION), 0);
    code.push(ADD, 6, 4, 0, 0);
    code.jump(LESS, 6, 4, 0, Failure::Own(OVERFLOW));
    code.push(STORE_WORD, 1, 5, amount(SOURCE), 0);
    code.push(STORE_WORD, 1, 6, amount(DESTINATION), 0);
    code.push(SET, 0, 0, 0, 0);
    code.push(EXIT, 0, 0, 0, 0);
    code.finish()
}

const LOAD_WORD: u8 = 0x79;
const LOAD_BYTE: u8 = 0x71;
const STORE_WORD: u8 = 0x7b;
const ADD: u8 = 0x0f;
const SUBTRACT: u8 = 0x1f;
const SHIFT_LEFT: u8 = 0x67;
const SET: u8 = 0xb7;
const NOT_EQUAL: u8 = 0x55;
const DIFFERENT: u8 = 0x5d;
const LESS: u8 = 0xad;
const EXIT: u8 = 0x95;

/// What is returned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    Own(i32),
    Shared(i32),
}

/// Instructions, and which of them jump to where a failure is returned.
#[derive(Default)]
struct Code {
    slots: Vec<Slot>,
    jumps: Vec<(usize, Failure)>,
}

impl Code {
    fn push(&mut self, opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) {
        self.slots.push(Slot {
            opcode,
            dst,
            src,
            offset,
            imm,
        });
    }

    fn jump(&mut self, opcode: u8, dst: u8, src: u8, imm: i32, failure: Failure) {
        self.jumps.push((self.slots.len(), failure));
        self.push(opcode, dst, src, 0, imm);
    }

    /// Fails unless this place of the parameters has this value.
    fn expect(&mut self, load: u8, place: i16, value: i32, failure: Failure) {
        self.push(load, 2, 1, place, 0);
        self.jump(NOT_EQUAL, 2, 0, value, failure);
    }

    /// Fails unless two words are the same.
    fn expect_same(&mut self, one: i16, other: i16, failure: Failure) {
        self.push(LOAD_WORD, 2, 1, one, 0);
        self.push(LOAD_WORD, 3, 1, other, 0);
        self.jump(DIFFERENT, 2, 3, 0, failure);
    }

    /// Adds what returns each failure, and points the jumps there.
    fn finish(mut self) -> Vec<u8> {
        let mut done: Vec<(Failure, usize)> = Vec::new();
        for (at, failure) in std::mem::take(&mut self.jumps) {
            let known = done.iter().find(|(other, _)| *other == failure);
            let target = known.map(|(_, target)| *target).unwrap_or_else(|| {
                let target = self.slots.len();
                let (Failure::Own(number) | Failure::Shared(number)) = failure;
                self.push(SET, 0, 0, 0, number);
                if matches!(failure, Failure::Shared(_)) {
                    self.push(SHIFT_LEFT, 0, 0, 0, 32);
                }
                self.push(EXIT, 0, 0, 0, 0);
                done.push((failure, target));
                target
            });
            self.slots[at].offset = (target - at - 1) as i16;
        }
        self.slots.into_iter().flat_map(Slot::encode).collect()
    }
}
