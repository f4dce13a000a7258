//! The contracts, compiled and in an EVM: what they accept, what they cost, and what they refuse.
#![expect(
    clippy::print_stderr,
    reason = "costs and counts are part of the result"
)]

mod common;

use std::collections::BTreeMap;

use common::{Circuit, NARROW, Setting, Shape, WIDE, accumulator, claim, limbs, pins};
use evm_verifier::{
    Ending, EvmClaim, ExportError, MAX_CODE_BYTES, Pins, ProofLayout, RootKey, calldata, code_hash,
    constructor_arguments, dev::Called, dev::Chain, dev::intrinsic_gas, digest_calldata, export,
};
use ff::{Field as _, PrimeField as _};
use group::prime::PrimeCurveAffine as _;
use halo2curves::bn256::{Fq, Fr, G1Affine, G2Affine};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};

type Word = [u8; 32];

/// Words before the proof: claim, accumulator, the proof's offset and length.
const HEAD_WORDS: usize = 24;
const ACCUMULATOR_AT: usize = 10;

/// The name of the error that a call reverted with; `None` if it returned.
fn error(called: &Called) -> Option<String> {
    let names = [
        "InvalidEncoding",
        "InvalidClaim",
        "InvalidAccumulator",
        "InvalidProof",
        "ProofRejected",
        "WrongVerifier",
        "MissingPrecompile",
    ];
    match called {
        Called::Returned { .. } => None,
        // Solidity's own decoder refuses without saying why.
        Called::Reverted { output, .. } if output.is_empty() => Some("(decoder)".to_owned()),
        Called::Reverted { output, .. } => {
            let name = names
                .iter()
                .find(|name| output[..] == code_hash(format!("{name}()").as_bytes())[..4]);
            Some(name.expect("an error of the contract's").to_string())
        }
        Called::Failed { reason } => panic!("the call did not revert but failed: {reason}"),
    }
}

fn gas(called: &Called) -> u64 {
    match called {
        Called::Returned { gas, .. } => *gas,
        other => panic!("{other:?}"),
    }
}

fn honest(deployment: &Setting) -> Vec<u8> {
    let accumulator = accumulator(Fr::from(99));
    let digest = claim().digest(pins().setup);
    calldata(
        &claim(),
        &accumulator,
        &deployment.circuit.prove(&accumulator, digest),
    )
}

fn accepts_honest(shape: Shape) {
    let Some(mut it) = Setting::new(shape) else {
        return;
    };
    let honest = honest(&it);
    let called = it.call(&honest);
    assert!(called.is_true(), "{called:?}");

    // The generated contract by itself, with the calldata that the wrapper makes.
    let proof = &honest[4 + HEAD_WORDS * 32..];
    assert_eq!(proof.len(), it.contracts.layout.bytes());
    let mut digest = claim().digest(pins().setup).to_repr();
    digest.reverse();
    let limbs = &honest[4 + ACCUMULATOR_AT * 32..][..12 * 32];
    let inner = [limbs, &digest, proof].concat();
    let direct = it.on_chain.chain.call(it.on_chain.verifier.address, &inner);
    let own = |called, data: &[u8]| gas(called) - intrinsic_gas(data);
    let inner_gas = own(&direct, &inner);
    let digest_call = digest_calldata(&claim());
    let digested = it.call(&digest_call);

    for code in [&it.on_chain.verifier_code, &it.on_chain.wrapper_code] {
        assert!(
            code.runtime.len() <= MAX_CODE_BYTES,
            "{} bytes",
            code.runtime.len()
        );
    }
    eprintln!(
        "{} advice: proof {} bytes; contracts {} + {} bytes, deployed for {} + {} gas; \
         a call {} gas: {} calldata and transaction, {} pairing contract, {} wrapper, of which {} digest",
        shape.advice,
        proof.len(),
        it.on_chain.verifier_code.runtime.len(),
        it.on_chain.wrapper_code.runtime.len(),
        it.on_chain.verifier.gas,
        it.on_chain.wrapper.gas,
        gas(&called),
        intrinsic_gas(&honest),
        inner_gas,
        own(&called, &honest) - inner_gas,
        own(&digested, &digest_call),
    );
}

#[test]
fn an_honest_call_of_a_narrow_circuit_is_accepted() {
    accepts_honest(NARROW);
}

#[test]
fn an_honest_call_of_a_wide_circuit_is_accepted() {
    accepts_honest(WIDE);
}

#[test]
fn every_ending_is_accepted() {
    let Some(mut it) = Setting::new(NARROW) else {
        return;
    };
    let accumulator = accumulator(Fr::from(3));
    for ending in [
        Ending::StoppedAtBudget { pc: 0 },
        Ending::StoppedAtBudget { pc: pins().slots },
        Ending::Halted { r0: 0 },
        Ending::Halted { r0: u64::MAX },
        Ending::Trapped { kind: 0, pc: 0 },
        Ending::Trapped {
            kind: u8::MAX,
            pc: u32::MAX,
        },
    ] {
        let claim = EvmClaim {
            ending,
            steps: u64::MAX,
            units: u64::MAX,
            ..claim()
        };
        let proof = it.circuit.prove(&accumulator, claim.digest(pins().setup));
        let called = it.call(&calldata(&claim, &accumulator, &proof));
        assert!(called.is_true(), "{ending:?}: {called:?}");
    }
}

fn modulus(minus_one: Word) -> Word {
    let mut modulus = minus_one;
    modulus.reverse();
    // It is odd, so nothing carries.
    modulus[31] += 1;
    modulus
}

fn r() -> Word {
    modulus((-Fr::ONE).to_repr())
}

fn q() -> Word {
    modulus((-Fq::ONE).to_repr())
}

fn number(value: u64) -> Word {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&value.to_be_bytes());
    word
}

fn power_of_two(exponent: usize) -> Word {
    let mut word = [0; 32];
    word[31 - exponent / 8] = 1 << (exponent % 8);
    word
}

/// The sum, if it is below 2^256.
fn plus(a: &Word, b: &Word) -> Option<Word> {
    let mut sum = [0; 32];
    let mut carry = 0;
    for index in (0..32).rev() {
        let digit = u16::from(a[index]) + u16::from(b[index]) + carry;
        sum[index] = (digit & 0xff) as u8;
        carry = digit >> 8;
    }
    (carry == 0).then_some(sum)
}

/// The difference, if it is not negative.
fn minus(a: &Word, b: &Word) -> Option<Word> {
    let not_b = b.map(|byte| !byte);
    if a < b {
        return None;
    }
    // a - b = !(!a + b)
    plus(&a.map(|byte| !byte), &not_b.map(|byte| !byte)).map(|sum| sum.map(|byte| !byte))
}

/// Calldata in words.
struct Words<'a> {
    data: &'a [u8],
}

impl Words<'_> {
    fn len(&self) -> usize {
        (self.data.len() - 4) / 32
    }

    fn get(&self, index: usize) -> Word {
        self.data[4 + index * 32..][..32].try_into().unwrap()
    }

    fn with(&self, changes: &[(usize, Word)]) -> Vec<u8> {
        let mut data = self.data.to_vec();
        for (index, word) in changes {
            data[4 + index * 32..][..32].copy_from_slice(word);
        }
        data
    }
}

/// Every change of an accepted call that this file knows, by kind.
fn forgeries(honest: &[u8], layout: ProofLayout) -> Vec<(&'static str, Vec<u8>)> {
    let words = Words { data: honest };
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut out: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for index in 0..words.len() {
        let word = words.get(index);
        let mut change = |kind, changed: Option<Word>| {
            out.extend(changed.map(|changed| (kind, words.with(&[(index, changed)]))));
        };
        change("a word + r", plus(&word, &r()));
        change(
            "a word + 2r",
            plus(&word, &r()).and_then(|word| plus(&word, &r())),
        );
        change("a word + q", plus(&word, &q()));
        change("a word + 1", plus(&word, &number(1)));
        change("a word - 1", minus(&word, &number(1)));
        change("r - a word", minus(&r(), &word));
        change("a word is zero", Some([0; 32]));
        change("a word is all ones", Some([0xff; 32]));
        change(
            "a word's top bit",
            Some({
                let mut word = word;
                word[0] ^= 0x80;
                word
            }),
        );
        for _ in 0..6 {
            let bit = rng.next_u32() as usize % 256;
            let mut word = word;
            word[bit / 8] ^= 1 << (bit % 8);
            change("a random bit", Some(word));
        }
        if index + 1 < words.len() {
            let next = words.get(index + 1);
            out.push((
                "neighbours swapped",
                words.with(&[(index, next), (index + 1, word)]),
            ));
        }
        out.push(("cut off at a word", honest[..4 + index * 32].to_vec()));
        out.push((
            "cut off in a word",
            honest[..4 + index * 32 + 1 + index % 31].to_vec(),
        ));
        let at = 4 + index * 32;
        out.push((
            "a word left out",
            [&honest[..at], &honest[at + 32..]].concat(),
        ));
        out.push((
            "a word doubled",
            [&honest[..at + 32], &honest[at..]].concat(),
        ));
    }
    for extra in [1, 31, 32, 64, 3200] {
        for byte in [0, 1, 0xff] {
            out.push(("longer", [honest, vec![byte; extra].as_slice()].concat()));
        }
    }

    // The proof longer and shorter, with a length that says so.
    let proof_words = words.len() - HEAD_WORDS;
    let length = |words: usize| number(words as u64 * 32);
    let shorter = words.with(&[(HEAD_WORDS - 1, length(proof_words - 1))]);
    out.push((
        "another proof length",
        shorter[..shorter.len() - 32].to_vec(),
    ));
    out.push(("another proof length", shorter));
    let mut longer = words.with(&[(HEAD_WORDS - 1, length(proof_words + 1))]);
    out.push(("another proof length", longer.clone()));
    longer.extend([0; 32]);
    out.push(("another proof length", longer));
    out.push((
        "another proof length",
        words.with(&[(HEAD_WORDS - 1, number(0))]),
    ));
    // A proof that is elsewhere: the offset points to another word that holds the proof's length.
    for index in 0..HEAD_WORDS {
        let elsewhere = (HEAD_WORDS - 2, number(index as u64 * 32));
        out.push(("another proof offset", words.with(&[elsewhere])));
        out.push((
            "another proof offset",
            words.with(&[elsewhere, (index, length(proof_words))]),
        ));
    }

    let opening = layout.points * 2 + layout.scalars;
    let points: Vec<usize> = (0..layout.points)
        .map(|point| HEAD_WORDS + point * 2)
        .chain([0, 1].map(|point| HEAD_WORDS + opening + point * 2))
        .collect();
    for x in points.iter().copied() {
        let y = x + 1;
        let mut change = |kind, new_x: Option<Word>, new_y: Option<Word>| {
            out.extend(
                new_x
                    .zip(new_y)
                    .map(|(new_x, new_y)| (kind, words.with(&[(x, new_x), (y, new_y)]))),
            );
        };
        let (old_x, old_y) = (Some(words.get(x)), Some(words.get(y)));
        change("the identity", Some([0; 32]), Some([0; 32]));
        change("the identity", Some(q()), Some(q()));
        change("the identity", Some(q()), Some([0; 32]));
        change("a point negated", old_x, minus(&q(), &words.get(y)));
        change("a point with y + q", old_x, plus(&words.get(y), &q()));
        change("a point with x + q", plus(&words.get(x), &q()), old_y);
        change("a point off the curve", Some(number(1)), Some(number(1)));
        change("a point off the curve", old_x, old_x);
        change("a point off the curve", old_y, old_y);
        change("another point", Some(number(1)), Some(number(2)));
    }
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let swapped = [(a, b), (a + 1, b + 1), (b, a), (b + 1, a + 1)]
            .map(|(to, from)| (to, words.get(from)));
        out.push(("points swapped", words.with(&swapped)));
    }

    let set = |limbs: &[Fr; 12]| -> Vec<(usize, Word)> {
        limbs
            .iter()
            .enumerate()
            .map(|(limb, value)| {
                let mut word = value.to_repr();
                word.reverse();
                (ACCUMULATOR_AT + limb, word)
            })
            .collect()
    };
    for coordinate in 0..4 {
        let at = ACCUMULATOR_AT + coordinate * 3;
        // The same coordinate in other limbs, and the coordinate + q in limbs.
        for low in [at, at + 1] {
            let next = minus(&words.get(low + 1), &number(1)).unwrap();
            let moved = plus(&words.get(low), &power_of_two(88)).unwrap();
            out.push(("limbs moved", words.with(&[(low, moved), (low + 1, next)])));
        }
        let q_limbs = {
            let q = q();
            let part = |from: usize, to: usize| {
                let mut word = [0; 32];
                word[32 - (to - from)..].copy_from_slice(&q[from..to]);
                word
            };
            [part(21, 32), part(10, 21), part(0, 10)]
        };
        let mut aliased = Vec::new();
        let mut carry = number(0);
        for (limb, q_limb) in q_limbs.iter().enumerate() {
            let sum = plus(&plus(&words.get(at + limb), q_limb).unwrap(), &carry).unwrap();
            let overflows = limb < 2 && sum[20] != 0;
            carry = number(u64::from(overflows));
            let kept = if overflows {
                minus(&sum, &power_of_two(88)).unwrap()
            } else {
                sum
            };
            aliased.push((at + limb, kept));
        }
        out.push(("limbs of a coordinate + q", words.with(&aliased)));
        out.push((
            "limbs of q",
            words.with(
                &q_limbs
                    .iter()
                    .enumerate()
                    .map(|(i, q)| (at + i, *q))
                    .collect::<Vec<_>>(),
            ),
        ));
        for limb in 0..3 {
            for exponent in [80, 88, 128, 253] {
                let raised = plus(&words.get(at + limb), &power_of_two(exponent)).unwrap();
                out.push(("a large limb", words.with(&[(at + limb, raised)])));
            }
        }
    }
    for point in 0..2 {
        let zeros = (0..6).map(|limb| (ACCUMULATOR_AT + point * 6 + limb, [0; 32]));
        out.push((
            "the identity accumulated",
            words.with(&zeros.collect::<Vec<_>>()),
        ));
    }
    out.push((
        "the identity accumulated",
        words.with(&set(&[Fr::ZERO; 12])),
    ));
    let crossed = (0..12).map(|limb| {
        (
            ACCUMULATOR_AT + limb,
            words.get(ACCUMULATOR_AT + (limb + 6) % 12),
        )
    });
    out.push((
        "another accumulator",
        words.with(&crossed.collect::<Vec<_>>()),
    ));
    for scalar in 1..20 {
        // These pass the pairing, but are not what the proof is about.
        out.push((
            "another accumulator",
            words.with(&set(&accumulator(Fr::from(scalar)))),
        ));
        let point = common::generator_times(Fr::from(scalar));
        out.push((
            "another accumulator",
            words.with(&set(&limbs(point, point))),
        ));
    }

    let mut select = |kind, selector: [u8; 4]| {
        out.push((kind, [selector.as_slice(), &honest[4..]].concat()));
    };
    let own: [u8; 4] = honest[..4].try_into().unwrap();
    for bit in 0..32 {
        let mut selector = own;
        selector[bit / 8] ^= 1 << (bit % 8);
        select("another selector", selector);
    }
    for _ in 0..40 {
        select("another selector", rng.next_u32().to_be_bytes());
    }
    select("another selector", [0; 4]);
    select(
        "another selector",
        digest_calldata(&claim())[..4].try_into().unwrap(),
    );
    // What the generated contract takes: no selector at all.
    out.push(("no selector", honest[4..].to_vec()));
    out.push(("no selector", honest[4 + ACCUMULATOR_AT * 32..].to_vec()));

    // A change may be none: two equal words swapped, a zero set to zero.
    out.retain(|(_, data)| data != honest);
    out.sort();
    out.dedup();
    out
}

fn rejects_forgeries(shape: Shape, at_least: usize) {
    let Some(mut it) = Setting::new(shape) else {
        return;
    };
    let honest = honest(&it);
    let called = it.call(&honest);
    assert!(called.is_true(), "{called:?}");

    let mut table: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    let forgeries = forgeries(&honest, it.contracts.layout);
    assert!(forgeries.len() >= at_least, "only {}", forgeries.len());
    for (kind, data) in &forgeries {
        let called = it.call(data);
        let error = error(&called).unwrap_or_else(|| panic!("{kind} is accepted: {data:02x?}"));
        *table.entry(kind).or_default().entry(error).or_default() += 1;
    }
    eprintln!("{} advice: {} forgeries", shape.advice, forgeries.len());
    for (kind, errors) in table {
        let total: usize = errors.values().sum();
        let errors: Vec<_> = errors
            .iter()
            .map(|(error, count)| format!("{error} {count}"))
            .collect();
        eprintln!("  {kind:<28}{total:>5}  {}", errors.join(", "));
    }
    assert!(it.call(&honest).is_true());
}

#[test]
fn forgeries_of_a_narrow_circuit_s_call_are_rejected() {
    rejects_forgeries(NARROW, 1000);
}

#[test]
fn forgeries_of_a_wide_circuit_s_call_are_rejected() {
    rejects_forgeries(WIDE, 1000);
}

#[test]
fn a_proof_of_one_claim_proves_no_other() {
    let Some(mut it) = Setting::new(NARROW) else {
        return;
    };
    let accumulator = accumulator(Fr::from(4));
    let honest = claim();
    let proof = it.circuit.prove(&accumulator, honest.digest(pins().setup));
    let mut call = |claim: &EvmClaim| it.call(&calldata(claim, &accumulator, &proof));
    assert!(call(&honest).is_true());
    let r0 = 0xdead_beef_0000_0001;
    for changed in [
        EvmClaim {
            input: honest.input + Fr::ONE,
            ..honest
        },
        EvmClaim {
            output: honest.output + Fr::ONE,
            ..honest
        },
        EvmClaim {
            input: honest.output,
            output: honest.input,
            ..honest
        },
        EvmClaim {
            steps: honest.steps + 1,
            ..honest
        },
        EvmClaim {
            units: honest.units + 1,
            ..honest
        },
        EvmClaim {
            steps: honest.units,
            units: honest.steps,
            ..honest
        },
        EvmClaim {
            ending: Ending::Halted { r0: r0 + 1 },
            ..honest
        },
        EvmClaim {
            ending: Ending::Halted { r0: 0 },
            ..honest
        },
        EvmClaim {
            ending: Ending::Trapped { kind: 0, pc: 0 },
            ..honest
        },
        EvmClaim {
            ending: Ending::Trapped { kind: 1, pc: 7 },
            ..honest
        },
        EvmClaim {
            ending: Ending::StoppedAtBudget { pc: 0 },
            ..honest
        },
    ] {
        assert_eq!(
            error(&call(&changed)).as_deref(),
            Some("ProofRejected"),
            "{changed:?}"
        );
    }

    // Another deployment's setup.
    let foreign = it
        .circuit
        .prove(&accumulator, honest.digest(pins().setup + Fr::ONE));
    let called = it.call(&calldata(&honest, &accumulator, &foreign));
    assert_eq!(error(&called).as_deref(), Some("ProofRejected"));
}

#[test]
fn an_outcome_that_no_run_has_is_refused() {
    let Some(mut it) = Setting::new(NARROW) else {
        return;
    };
    let endings = [
        Ending::Halted { r0: 5 },
        Ending::Trapped { kind: 2, pc: 3 },
        Ending::StoppedAtBudget { pc: 4 },
    ];
    // Words of the claim.
    let [stopped, status, r0, kind, trap_pc, pc_out] = [2, 3, 4, 7, 8, 9];
    let forged: [&[(usize, u64)]; 3] = [
        &[
            (stopped, 1),
            (status, 0),
            (status, 2),
            (status, 3),
            (kind, 1),
            (trap_pc, 1),
            (pc_out, 1),
        ],
        &[
            (stopped, 1),
            (status, 0),
            (status, 1),
            (status, 3),
            (r0, 1),
            (pc_out, 1),
        ],
        &[
            (stopped, 0),
            (status, 1),
            (status, 2),
            (r0, 1),
            (kind, 1),
            (trap_pc, 1),
            (pc_out, 501),
        ],
    ];
    for (ending, forged) in endings.into_iter().zip(forged) {
        let honest = digest_calldata(&EvmClaim { ending, ..claim() });
        assert_eq!(error(&it.call(&honest)), None);
        for (word, value) in forged {
            let data = Words { data: &honest }.with(&[(*word, number(*value))]);
            let called = it.call(&data);
            assert_eq!(
                error(&called).as_deref(),
                Some("InvalidClaim"),
                "{ending:?}, word {word} = {value}"
            );
        }
    }
}

#[test]
fn a_valid_proof_with_an_accumulator_that_fails_the_pairing_is_rejected() {
    let Some(mut it) = Setting::new(NARROW) else {
        return;
    };
    let digest = claim().digest(pins().setup);
    let mut call = |accumulator: &[Fr; 12]| {
        let proof = it.circuit.prove(accumulator, digest);
        it.call(&calldata(&claim(), accumulator, &proof))
    };
    let good = accumulator(Fr::from(6));
    assert!(call(&good).is_true());

    let mut crossed = good;
    crossed.rotate_left(6);
    let point = common::generator_times(Fr::from(6));
    for forged in [crossed, limbs(point, point), limbs(point, -point)] {
        assert_eq!(error(&call(&forged)).as_deref(), Some("ProofRejected"));
    }
    // Points that are none, in a circuit that does not mind.
    let mut off_curve = good;
    off_curve[0] += Fr::ONE;
    assert_eq!(error(&call(&off_curve)).as_deref(), Some("ProofRejected"));
    let identity = G1Affine::identity();
    for forged in [
        limbs(identity, identity),
        limbs(point, identity),
        limbs(identity, point),
    ] {
        assert_eq!(error(&call(&forged)).as_deref(), Some("InvalidAccumulator"));
    }
}

/// Why the wrapper has to look at every word: the generated contract reduces them.
#[test]
fn the_generated_contract_alone_accepts_aliases() {
    let Some(mut it) = Setting::new(NARROW) else {
        return;
    };
    let honest = honest(&it);
    let words = Words { data: &honest };
    let mut digest = claim().digest(pins().setup).to_repr();
    digest.reverse();
    let inner = |digest: Word, scalar: Word| {
        let mut proof = honest[4 + HEAD_WORDS * 32..].to_vec();
        proof[it.contracts.layout.point_bytes()..][..32].copy_from_slice(&scalar);
        [
            &honest[4 + ACCUMULATOR_AT * 32..][..12 * 32],
            &digest,
            &proof,
        ]
        .concat()
    };
    let scalar = words.get(HEAD_WORDS + it.contracts.layout.points * 2);
    let calls = [
        inner(digest, scalar),
        inner(plus(&digest, &r()).unwrap(), scalar),
        inner(digest, plus(&scalar, &r()).unwrap()),
        [inner(digest, scalar), vec![1; 32]].concat(),
    ];
    for data in calls {
        assert!(matches!(
            it.on_chain.chain.call(it.on_chain.verifier.address, &data),
            Called::Returned { .. }
        ));
    }
}

#[test]
fn the_constructor_refuses_other_code() {
    let Some(mut it) = Setting::new(NARROW) else {
        return;
    };
    let hash = code_hash(&it.on_chain.verifier_code.runtime);
    let wrapper = it.on_chain.wrapper_code.deployment.clone();
    it.on_chain
        .chain
        .deploy(
            &wrapper,
            &constructor_arguments(it.on_chain.verifier.address, hash),
        )
        .unwrap();
    let wrong = |address, hash| constructor_arguments(address, hash);
    let mut other_hash = hash;
    other_hash[31] ^= 1;
    let selector = hex::encode(&code_hash(b"WrongVerifier()")[..4]);
    for arguments in [
        wrong(it.on_chain.verifier.address, other_hash),
        wrong(it.on_chain.wrapper.address, hash),
        // Addresses without code: whose hash is zero, or that of nothing.
        wrong([7; 20], hash),
        wrong([7; 20], [0; 32]),
        wrong([0; 20], code_hash(&[])),
        wrong([1; 20], code_hash(&[])),
    ] {
        let error = it.on_chain.chain.deploy(&wrapper, &arguments).unwrap_err();
        assert!(error.to_string().contains(&selector), "{error}");
    }
}

#[test]
fn the_constructor_refuses_a_chain_without_the_curve() {
    let Some(it) = Setting::new(NARROW) else {
        return;
    };
    let mut chain = Chain::without_bn254();
    let verifier = chain
        .deploy(&it.on_chain.verifier_code.deployment, &[])
        .unwrap();
    let arguments = constructor_arguments(
        verifier.address,
        code_hash(&it.on_chain.verifier_code.runtime),
    );
    // The same deployment is what `Deployment` did on a chain that has it.
    let error = chain
        .deploy(&it.on_chain.wrapper_code.deployment, &arguments)
        .unwrap_err();
    let selector = hex::encode(&code_hash(b"MissingPrecompile()")[..4]);
    assert!(error.to_string().contains(&selector), "{error}");
}

#[test]
fn digests_are_the_same_in_rust_and_in_the_contract() {
    let Some(mut it) = Setting::new(NARROW) else {
        return;
    };
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for round in 0..60 {
        let ending = match round % 3 {
            0 => Ending::Halted { r0: rng.next_u64() },
            1 => Ending::Trapped {
                kind: rng.next_u32().to_le_bytes()[0],
                pc: rng.next_u32(),
            },
            _ => Ending::StoppedAtBudget {
                pc: rng.next_u32() % (pins().slots + 1),
            },
        };
        let claim = EvmClaim {
            input: Fr::random(&mut rng),
            output: if round < 3 {
                -Fr::ONE
            } else {
                Fr::random(&mut rng)
            },
            ending,
            steps: rng.next_u64(),
            units: rng.next_u64(),
        };
        let called = it.call(&digest_calldata(&claim));
        let Called::Returned { output, .. } = called else {
            panic!("{called:?}")
        };
        let mut digest = claim.digest(pins().setup).to_repr();
        digest.reverse();
        assert_eq!(output, digest, "{claim:?}");
    }
}

#[test]
fn the_sources_carry_the_pins_and_the_warning() {
    let circuit = Circuit::new(NARROW);
    let insecure = circuit.export();
    assert_eq!(insecure, circuit.export());
    for source in [&insecure.verifier, &insecure.wrapper] {
        assert!(source.starts_with("// INSECURE."));
        assert!(!source.contains("__"), "a marker is left");
        assert!(source.contains("pragma solidity 0.8.19;"));
    }
    assert!(insecure.wrapper.contains("INSECURE_TEST_SETUP = true;"));
    assert!(insecure.wrapper.contains("SLOTS = 500;"));
    assert!(
        insecure
            .wrapper
            .contains(&format!("KEY_ID = 0x{};", "ab".repeat(32)))
    );

    let secure = export(
        &circuit.key(),
        &Pins {
            insecure_srs: false,
            ..pins()
        },
    )
    .unwrap();
    assert!(secure.wrapper.contains("INSECURE_TEST_SETUP = false;"));
    for source in [&secure.verifier, &secure.wrapper] {
        assert!(source.starts_with("// SPDX-License-Identifier"));
    }
    assert_eq!(secure.layout, insecure.layout);
}

#[test]
fn a_degenerate_srs_is_refused() {
    let circuit = Circuit::new(NARROW);
    let key = circuit.key();
    assert!(export(&key, &pins()).is_ok());
    for degenerate in [
        RootKey {
            g: G1Affine::identity(),
            ..key
        },
        RootKey {
            s_g2: G2Affine::identity(),
            ..key
        },
        RootKey {
            s_g2: key.g2,
            ..key
        },
    ] {
        assert_eq!(
            export(&degenerate, &pins()),
            Err(ExportError::DegenerateSrs)
        );
    }
    let off_curve = G1Affine {
        x: Fq::ONE,
        y: Fq::ONE,
    };
    assert_eq!(
        export(
            &RootKey {
                g: off_curve,
                ..key
            },
            &pins()
        ),
        Err(ExportError::Srs)
    );
}
