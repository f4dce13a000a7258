//! The input region of Solana invocations.

mod corpora;

use bpf_tracer::solana::{
    Account, AccountEntry, Invocation, MAX_ACCOUNTS, MAX_DATA_BYTES, MAX_DATA_INCREASE,
    PostAccount, RegionError, apply_post_state, apply_post_state_of_sdk,
};
use proptest::prelude::*;
use serde_json::Value;

fn invocation() -> Invocation {
    Invocation::new([9; 32])
        .with_account(
            Account::new([1; 32], [2; 32])
                .with_lamports(1234)
                .with_data([5; 13])
                .signer()
                .writable(),
        )
        .with_account(Account::new([3; 32], [4; 32]).executable())
        .with_duplicate(0)
        .with_account(Account::new([6; 32], [7; 32]).with_data([8; 16]))
        .with_instruction_data([0xaa; 5])
}

#[test]
fn fields_are_where_programs_look_for_them() {
    let region = invocation().serialize().expect("it serializes");
    let second = 8 + 96 + 13 + 3 + 10_240;
    let fourth = second + 96 + 10_240 + 8;
    let tail = fourth + 96 + 16 + 10_240;
    assert_eq!(region[..8], 4_u64.to_le_bytes());
    assert_eq!(region[8..16], [0xff, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(region[16..48], [1; 32]);
    assert_eq!(region[48..80], [2; 32]);
    assert_eq!(region[80..88], 1234_u64.to_le_bytes());
    assert_eq!(region[88..96], 13_u64.to_le_bytes());
    assert_eq!(region[96..109], [5; 13]);
    assert!(region[109..second - 8].iter().all(|byte| *byte == 0));
    assert_eq!(region[second - 8..second], [0xff; 8]);
    assert_eq!(region[second..second + 8], [0xff, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(
        region[fourth - 8..fourth],
        [0; 8],
        "the duplicate of account 0"
    );
    assert_eq!(region[fourth..fourth + 8], [0xff, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(region[tail..tail + 8], 5_u64.to_le_bytes());
    assert_eq!(region[tail + 8..tail + 13], [0xaa; 5]);
    assert_eq!(region[tail + 13..], [9; 32]);
}

#[test]
fn what_is_written_can_be_read() {
    for invocation in [invocation(), Invocation::new([0; 32])] {
        let region = invocation.serialize().expect("it serializes");
        assert_eq!(Invocation::parse(&region), Ok(invocation.clone()));
        for len in (0..region.len()).filter(|len| len % 97 == 0 || *len + 99 > region.len()) {
            let parsed = Invocation::parse(&region[..len]);
            assert!(
                matches!(parsed, Err(RegionError::Truncated { .. })),
                "{len}"
            );
        }
        let longer = [&region[..], &[0]].concat();
        let at = region.len();
        assert_eq!(Invocation::parse(&longer), Err(RegionError::Excess { at }));
    }
}

#[test]
fn what_no_runtime_writes_is_refused() {
    let region = invocation().serialize().expect("it serializes");
    let with = |at: usize, byte: u8| {
        let mut region = region.clone();
        region[at] = byte;
        Invocation::parse(&region)
    };
    assert_eq!(
        with(1, 1),
        Err(RegionError::TooManyAccounts { count: 4 + 256 })
    );
    let bad = |at, what| Err(RegionError::BadByte { at, what });
    assert_eq!(with(9, 2), bad(9, "a flag"));
    assert_eq!(with(12, 1), bad(12, "padding"));
    assert_eq!(with(109, 1), bad(109, "padding"));
    let duplicate = 8 + 96 + 16 + 10_240 + 96 + 10_240;
    assert_eq!(with(duplicate + 7, 1), bad(duplicate + 7, "a duplicate"));
    for of in [2, 3, 254] {
        assert_eq!(
            with(duplicate, of),
            Err(RegionError::BadDuplicate {
                index: 2,
                of: of.into()
            })
        );
    }
    assert!(with(duplicate, 1).is_ok());
    assert_eq!(
        with(95, 1),
        Err(RegionError::DataTooLong {
            index: 0,
            len: 13 + (1 << 56)
        })
    );
}

#[test]
fn limits_are_checked() {
    let long = Account::new([0; 32], [0; 32]).with_data(vec![0; MAX_DATA_BYTES as usize + 1]);
    let invocation = Invocation::new([0; 32]).with_account(long);
    let error = RegionError::DataTooLong {
        index: 0,
        len: MAX_DATA_BYTES + 1,
    };
    assert_eq!(invocation.serialize(), Err(error.clone()));
    assert_eq!(invocation.post_accounts(&[]), Err(error));

    let mut invocation = Invocation::new([0; 32]).with_account(Account::new([0; 32], [0; 32]));
    for _ in 1..MAX_ACCOUNTS {
        invocation = invocation.with_duplicate(0);
    }
    assert!(invocation.serialize().is_ok());
    let invocation = invocation.with_duplicate(0);
    assert_eq!(
        invocation.serialize(),
        Err(RegionError::TooManyAccounts { count: 256 })
    );
    let invocation = Invocation::new([0; 32]).with_duplicate(0);
    assert_eq!(
        invocation.serialize(),
        Err(RegionError::BadDuplicate { index: 0, of: 0 })
    );
}

fn post_states(before: &Invocation) -> Vec<PostAccount> {
    before
        .unique_accounts()
        .map(|account| PostAccount {
            owner: account.owner,
            lamports: account.lamports,
            data: account.data.clone(),
        })
        .collect()
}

#[test]
fn post_states_can_be_applied_and_read() {
    let before = invocation();
    let region = before.serialize().expect("it serializes");
    let mut states = post_states(&before);
    assert_eq!(before.post_accounts(&region), Ok(states.clone()));
    assert_eq!(apply_post_state(&region, &states), Ok(region.clone()));

    states[0].lamports = 1;
    states[0].data = vec![1; 13 + MAX_DATA_INCREASE as usize];
    states[1].owner = [0xee; 32];
    states[2].data = vec![2; 3];
    let after = apply_post_state(&region, &states).expect("it applies");
    assert_eq!(after.len(), region.len());
    assert_eq!(before.post_accounts(&after), Ok(states.clone()));
    let shrunk = after.len() - 32 - 5 - 8 - 8 - 10_240 - 16;
    assert_eq!(after[shrunk..shrunk + 3], [2; 3]);
    assert_eq!(after[shrunk + 3..shrunk + 16], [8; 13], "old bytes stay");

    let mut noted = apply_post_state_of_sdk(&region, &states).expect("it applies");
    let fourth = shrunk - 88;
    assert_eq!(noted[12..16], 13_u32.to_le_bytes());
    assert_eq!(noted[fourth + 4..fourth + 8], 16_u32.to_le_bytes());
    for at in [12, fourth + 4] {
        noted[at] = 0;
    }
    assert_eq!(noted, after);

    states[0].data.push(1);
    let error = RegionError::BadResize {
        index: 0,
        before: 13,
        after: 13 + MAX_DATA_INCREASE + 1,
    };
    assert_eq!(apply_post_state(&region, &states), Err(error.clone()));
    let mut forged = region.clone();
    forged[88..96].copy_from_slice(&(13 + MAX_DATA_INCREASE + 1).to_le_bytes());
    assert_eq!(before.post_accounts(&forged), Err(error));
    states.pop();
    assert_eq!(
        apply_post_state(&region, &states),
        Err(RegionError::OtherAccounts {
            given: 2,
            expected: 3
        })
    );
    let short = &region[1..];
    assert_eq!(
        before.post_accounts(short),
        Err(RegionError::OtherLength {
            len: short.len(),
            expected: region.len() as u64
        })
    );
}

#[test]
fn data_may_grow_to_the_limit_of_all_data() {
    let len = MAX_DATA_BYTES - 5;
    let account = Account::new([0; 32], [0; 32]).with_data(vec![1; len as usize]);
    let before = Invocation::new([0; 32]).with_account(account);
    let mut region = before.serialize().expect("it serializes");
    for (after, is_possible) in [(MAX_DATA_BYTES, true), (MAX_DATA_BYTES + 1, false)] {
        region[88..96].copy_from_slice(&after.to_le_bytes());
        assert_eq!(before.post_accounts(&region).is_ok(), is_possible);
    }
}

#[test]
fn recorded_regions_are_rebuilt() {
    let Some(folder) = corpora::folder() else {
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("solana")).expect("the recorded runs") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let case: Value = serde_json::from_str(&text).expect("JSON");
        let hex_of = |value: &Value| hex::decode(value.as_str().expect("a string")).expect("hex");
        let region = hex_of(&case["input_region_hex"]);
        let invocation = Invocation::parse(&region).expect("a region");
        assert_eq!(invocation.serialize().as_ref(), Ok(&region), "{path:?}");
        assert_eq!(invocation.program_id[..], hex_of(&case["program_id"]));
        let keys: Vec<Vec<u8>> = invocation
            .unique_accounts()
            .map(|account| account.key.to_vec())
            .collect();
        let recorded = case["post_accounts"].as_array().expect("accounts");
        let recorded: Vec<_> = recorded
            .iter()
            .map(|account| hex_of(&account["pubkey"]))
            .collect();
        assert_eq!(keys, recorded, "{path:?}");
        count += 1;
    }
    assert!(count > 0);
}

prop_compose! {
    fn any_account()(
        key: [u8; 32],
        owner: [u8; 32],
        lamports: u64,
        data in prop::collection::vec(any::<u8>(), 0..40),
        flags: [bool; 3],
        rent_epoch: u64,
    ) -> Account {
        let [is_signer, is_writable, executable] = flags;
        Account { key, owner, lamports, data, is_signer, is_writable, executable, rent_epoch }
    }
}

fn any_entry() -> impl Strategy<Value = AccountEntry> {
    prop_oneof![
        4 => any_account().prop_map(AccountEntry::Account),
        1 => (0..4_u8).prop_map(AccountEntry::Duplicate),
    ]
}

fn any_invocation() -> impl Strategy<Value = Invocation> {
    let accounts = prop::collection::vec(any_entry(), 0..5);
    let data = prop::collection::vec(any::<u8>(), 0..20);
    (accounts, data, any::<[u8; 32]>()).prop_map(|(accounts, instruction_data, program_id)| {
        Invocation {
            accounts,
            instruction_data,
            program_id,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn regions_round_trip(invocation in any_invocation()) {
        if let Ok(region) = invocation.serialize() {
            prop_assert_eq!(Invocation::parse(&region), Ok(invocation));
        }
    }

    /// Mutated regions do no harm, before and after the run; what still parses is what was written.
    #[test]
    fn mutated_regions_do_no_harm(
        before in any_invocation(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        len in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let Ok(mut region) = before.serialize() else {
            return Ok(());
        };
        let input = region.clone();
        // Half of the changes hit where the lengths and flags of the first account are.
        for (n, (at, byte)) in changes.into_iter().enumerate() {
            let bound = if n % 2 == 0 { region.len() } else { region.len().min(104) };
            region[at.index(bound)] = byte;
        }
        if cut {
            region.truncate(len.index(region.len()));
        }
        if let Ok(parsed) = Invocation::parse(&region) {
            prop_assert_eq!(parsed.serialize(), Ok(region.clone()));
        }
        if let Ok(states) = before.post_accounts(&region) {
            let applied = apply_post_state(&input, &states).expect("states that were read");
            prop_assert_eq!(before.post_accounts(&applied), Ok(states));
        }
    }
}
