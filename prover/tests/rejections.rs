//! Forgeries made of real proofs. Each test first shows that the untouched proofs verify.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bpf_tracer::{ExecutionTrace, Outcome, Tracer, TrapKind};
use common::{config, input, program, trace};
use prover::claim_of;
use rayon::prelude::*;
use verifier::{
    ChunkError, ChunkProof, Claim, ClaimError, ExecutionProof, ExpectedOutcome, KeyId, Lane,
    LinkError, VerifyError, VerifyingKey, verify_chunk, verify_execution,
};
use zk_circuits::{ChunkInstance, Selection};

/// A run of 25 steps, proved in three chunks.
struct Run {
    trace: ExecutionTrace,
    proofs: Vec<ChunkProof>,
}

fn prove(trace: ExecutionTrace) -> Run {
    let proofs = prover::prove_execution_chunked_parallel(&trace, config()).expect("proved");
    assert_eq!(proofs.len(), 3);
    let run = Run { trace, proofs };
    verify_execution(&run.proofs, &claim_of(&run.trace), key())
        .expect("the untouched run verifies");
    run
}

fn key() -> &'static VerifyingKey {
    static KEY: OnceLock<Arc<VerifyingKey>> = OnceLock::new();
    KEY.get_or_init(|| config().verifying_key().expect("keys"))
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| prove(trace(25, 5)))
}

/// The same trace, proved once more: other blinding.
fn again() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| prove(trace(25, 5)))
}

fn other_input() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| prove(trace(25, 6)))
}

/// Another program with the same step count.
fn other_program() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let program = program(5, 5);
        prove(
            Tracer::new(&program)
                .input(input(5))
                .step_limit(1000)
                .trace()
                .expect("fits"),
        )
    })
}

/// Shows that the untouched run is accepted under its claim, then gives the forgery's error.
fn refused(proofs: &[ChunkProof]) -> VerifyError {
    refused_claim(proofs, &claim_of(&run().trace))
}

fn refused_claim(proofs: &[ChunkProof], claim: &Claim) -> VerifyError {
    let honest = run();
    verify_execution(&honest.proofs, &claim_of(&honest.trace), key()).expect("untouched");
    verify_execution(proofs, claim, key()).expect_err("a forgery must be refused")
}

fn link(chunk: usize, reason: LinkError) -> VerifyError {
    VerifyError::Link { chunk, reason }
}

fn wrong(chunk: usize, reason: ClaimError) -> VerifyError {
    VerifyError::Claim { chunk, reason }
}

#[test]
fn dropped_chunks() {
    let [a, b, c] = [0, 1, 2].map(|i| run().proofs[i].clone());
    assert_eq!(refused(&[]), VerifyError::Empty);
    assert_eq!(
        refused(&[b.clone(), c.clone()]),
        link(0, LinkError::Index { found: 1 })
    );
    assert_eq!(
        refused(&[a.clone(), c.clone()]),
        link(1, LinkError::Index { found: 2 })
    );
    assert_eq!(
        refused(&[a.clone(), b.clone()]),
        link(1, LinkError::Unfinished)
    );
    assert_eq!(
        refused(std::slice::from_ref(&a)),
        link(0, LinkError::Unfinished)
    );
    // With the index corrected, the proof no longer fits its public values.
    for (chunks, at) in [(vec![b, c.clone()], 0), (vec![a, c], 1)] {
        let renumbered: Vec<_> = (0..)
            .zip(chunks)
            .map(|(index, mut chunk)| {
                chunk.instance.index = index;
                chunk
            })
            .collect();
        let reason = ChunkError::Invalid;
        assert_eq!(
            refused(&renumbered),
            VerifyError::Chunk { chunk: at, reason }
        );
    }
}

#[test]
fn repeated_and_swapped_chunks() {
    let [a, b, c] = [0, 1, 2].map(|i| run().proofs[i].clone());
    let repeated = [a.clone(), b.clone(), b.clone(), c.clone()];
    assert_eq!(refused(&repeated), link(2, LinkError::Index { found: 1 }));
    let swapped = [b.clone(), a.clone(), c.clone()];
    assert_eq!(refused(&swapped), link(0, LinkError::Index { found: 1 }));
    let beyond = [a.clone(), b.clone(), c.clone(), c.clone()];
    assert!(matches!(refused(&beyond), VerifyError::Link { .. }));
    let early = [a, c, b];
    assert_eq!(refused(&early), link(1, LinkError::Index { found: 2 }));
}

#[test]
fn chunks_of_other_runs() {
    let (honest, input, program) = (run(), other_input(), other_program());
    for at in 0..3 {
        for foreign in [input, program] {
            let mut proofs = honest.proofs.clone();
            proofs[at] = foreign.proofs[at].clone();
            assert!(
                !matches!(refused(&proofs), VerifyError::Chunk { .. }),
                "chunk {at}"
            );
        }
    }
    // Pc, depth and steps agree, and a forger corrects the hint: only memory tells.
    let mut proofs = honest.proofs.clone();
    proofs[1] = input.proofs[1].clone();
    assert_eq!(
        refused(&proofs),
        link(0, LinkError::Differs { name: "input" })
    );
    proofs[1].input = Arc::clone(&honest.proofs[1].input);
    assert_eq!(
        refused(&proofs),
        link(
            0,
            LinkError::Memory {
                lane: Lane::Private
            }
        )
    );

    let claim = Claim {
        outcome: ExpectedOutcome::Any,
        output: None,
        ..claim_of(&honest.trace)
    };
    let error = refused(&input.proofs);
    assert!(
        matches!(
            error,
            VerifyError::Claim {
                chunk: 2,
                reason: ClaimError::Outcome { .. }
            }
        ),
        "{error}"
    );
    let error = refused_claim(&input.proofs, &claim);
    assert_eq!(error, wrong(0, ClaimError::Commitment { column: "input" }));
    let error = refused_claim(&program.proofs, &claim);
    assert_eq!(
        error,
        wrong(0, ClaimError::Commitment { column: "program" })
    );
}

#[test]
fn boundaries_of_two_secrets() {
    let (one, two) = (run(), again());
    assert_ne!(one.proofs, two.proofs);
    for mask in 1..7_u8 {
        let mixed: Vec<_> = (0..3)
            .map(|at| {
                if mask >> at & 1 == 1 {
                    &two.proofs[at]
                } else {
                    &one.proofs[at]
                }
            })
            .cloned()
            .collect();
        let error = refused(&mixed);
        assert!(
            matches!(
                error,
                VerifyError::Link {
                    reason: LinkError::Memory { .. },
                    ..
                }
            ),
            "{mask}: {error}"
        );
    }
}

#[test]
fn wrong_claims() {
    let honest = run();
    let claim = || claim_of(&honest.trace);
    let Outcome::Halt { r0 } = honest.trace.outcome() else {
        unreachable!("the program halts")
    };
    for outcome in [
        Outcome::Halt { r0: r0 + 1 },
        Outcome::Halt { r0: 0 },
        Outcome::Trap {
            kind: TrapKind::DivideByZero,
            pc: 3,
        },
        Outcome::Trap {
            kind: TrapKind::ExceededMaxInstructions,
            pc: 0,
        },
    ] {
        let outcome = ExpectedOutcome::Exactly(outcome);
        let error = refused_claim(&honest.proofs, &Claim { outcome, ..claim() });
        assert!(matches!(
            error,
            VerifyError::Claim {
                chunk: 2,
                reason: ClaimError::Outcome { .. }
            }
        ));
    }
    for budget in [0, 24, 25, 999, 1001, u64::MAX] {
        let error = refused_claim(&honest.proofs, &Claim { budget, ..claim() });
        assert_eq!(
            error,
            wrong(
                0,
                ClaimError::Budget {
                    found: 1000,
                    expected: budget
                }
            )
        );
    }
    let other = Claim {
        program: program(6, 3),
        ..claim()
    };
    let error = refused_claim(&honest.proofs, &other);
    assert_eq!(
        error,
        wrong(0, ClaimError::Commitment { column: "program" })
    );

    let inputs = [
        (input(6), "input"),
        // The same region, but another number of bytes given.
        (
            bpf_tracer::Input::from_bytes([5; 1]).with_region_size(16),
            "initial memory",
        ),
    ];
    for (input, column) in inputs {
        let error = refused_claim(
            &honest.proofs,
            &Claim {
                input: Some(input),
                ..claim()
            },
        );
        assert_eq!(error, wrong(0, ClaimError::Commitment { column }));
    }
    let input = Some(common::input(5).with_region_size(24));
    let error = refused_claim(&honest.proofs, &Claim { input, ..claim() });
    assert_eq!(
        error,
        wrong(
            0,
            ClaimError::InputSize {
                found: 16,
                expected: 24
            }
        )
    );
}

#[test]
fn wrong_outputs() {
    let honest = run();
    let claim = |output| Claim {
        output: Some(output),
        ..claim_of(&honest.trace)
    };
    let output = honest.trace.output().to_vec();
    for at in 0..output.len() {
        let mut output = output.clone();
        output[at] ^= 1;
        let error = refused_claim(&honest.proofs, &claim(output));
        assert_eq!(error, wrong(2, ClaimError::Commitment { column: "output" }));
    }
    for length in [0, 8, 15, 17] {
        let mut output = output.clone();
        output.resize(length, 0);
        let error = refused_claim(&honest.proofs, &claim(output));
        let found = length as u64;
        assert_eq!(
            error,
            wrong(
                2,
                ClaimError::OutputLength {
                    found,
                    expected: 16
                }
            )
        );
    }
}

#[test]
fn outputs_on_untouched_pages() {
    let program = program(1, 0);
    let input = common::input(5).with_region_size(1000);
    let trace = Tracer::new(&program)
        .input(input)
        .step_limit(1000)
        .trace()
        .expect("fits");
    let proofs = prover::prove_execution_chunked(&trace, config()).expect("proved");
    verify_execution(&proofs, &claim_of(&trace), key()).expect("untouched");
    for offset in [256, 600, 999] {
        let mut claim = claim_of(&trace);
        if let Some(output) = &mut claim.output {
            output[offset] = 1;
        }
        let error = verify_execution(&proofs, &claim, key()).expect_err("refused");
        let offset = offset as u64;
        assert_eq!(error, wrong(0, ClaimError::OutputUntouched { offset }));
    }
}

#[test]
fn every_public_value_counts() {
    let honest = run();
    let changed: Vec<(usize, [u64; ChunkInstance::LEN])> = (0..3)
        .flat_map(|chunk| {
            let words = honest.proofs[chunk].instance.to_words();
            (0..ChunkInstance::LEN).flat_map(move |at| {
                [words[at].wrapping_add(1), words[at].wrapping_sub(1)].map(|word| {
                    let mut words = words;
                    words[at] = word;
                    (chunk, words)
                })
            })
        })
        .collect();
    refused(&[]);
    let tried: usize = changed
        .into_par_iter()
        .filter_map(|(chunk, words)| Some((chunk, ChunkInstance::from_words(words)?)))
        .map(|(chunk, instance)| {
            let proof = ChunkProof {
                instance,
                ..honest.proofs[chunk].clone()
            };
            assert!(verify_chunk(&proof, key()).is_err(), "{instance:?}");
            let mut proofs = honest.proofs.clone();
            proofs[chunk] = proof;
            let error =
                verify_execution(&proofs, &claim_of(&honest.trace), key()).expect_err("refused");
            assert!(
                matches!(error, VerifyError::Chunk { chunk: c, .. } if c == chunk),
                "{error}"
            );
            1
        })
        .sum();
    assert_eq!(
        tried,
        3 * ((ChunkInstance::LEN - 2) * 2 + 2),
        "flags have one other value"
    );
}

#[test]
fn hints_are_not_believed() {
    let honest = run();
    let with = |change: &dyn Fn(&mut ChunkProof)| {
        let mut proofs = honest.proofs.clone();
        proofs.iter_mut().for_each(change);
        refused(&proofs)
    };
    let pages = honest.proofs[0].pages.to_vec();
    assert!(pages.len() >= 2, "stack and input");
    let lists: [Vec<u64>; 5] = [
        Vec::new(),
        pages[1..].to_vec(),
        pages.iter().map(|page| page + 1).collect(),
        pages
            .iter()
            .copied()
            .chain([pages[pages.len() - 1] + 5])
            .collect(),
        pages.iter().rev().copied().collect(),
    ];
    for list in lists {
        let error = with(&|proof| proof.pages = list.clone().into());
        assert!(
            matches!(error, VerifyError::Claim { chunk: 0, .. }),
            "{error}"
        );
    }
    let Selection::Blocks(blocks) = &*honest.proofs[0].selection else {
        panic!("a part of the program");
    };
    let other_blocks = [
        Selection::Blocks(Vec::new()),
        Selection::Blocks(
            blocks
                .iter()
                .copied()
                .chain(blocks.iter().copied())
                .collect(),
        ),
        Selection::Blocks(blocks.iter().copied().chain([1 << 39]).collect()),
        Selection::Blocks(blocks.iter().copied().chain([u64::MAX]).collect()),
    ];
    for selection in other_blocks {
        let error = with(&|proof| proof.selection = Arc::new(selection.clone()));
        assert!(
            matches!(
                error,
                VerifyError::Claim {
                    chunk: 0,
                    reason: ClaimError::Selection { .. }
                        | ClaimError::Commitment { column: "program" },
                }
            ),
            "{selection:?}: {error}"
        );
    }
    for page in [0, 1 << 32, u64::MAX] {
        let error = with(&|proof| proof.pages = [page].into());
        assert!(
            matches!(
                error,
                VerifyError::Claim {
                    reason: ClaimError::PageForm { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
    let mut proofs = honest.proofs.clone();
    proofs[1].pages = [pages[0]].into();
    assert_eq!(
        refused(&proofs),
        link(0, LinkError::Differs { name: "pages" })
    );
    let mut proofs = honest.proofs.clone();
    proofs[2].input = [5].as_slice().into();
    assert_eq!(
        refused(&proofs),
        link(1, LinkError::Differs { name: "input" })
    );

    // Without an expected input the hint is what the run must have started on.
    let open = Claim {
        input: None,
        ..claim_of(&honest.trace)
    };
    verify_execution(&honest.proofs, &open, key()).expect("untouched");
    let five = 5_u64.to_le_bytes();
    for (input, reason) in [
        (
            &five[..7],
            ClaimError::Commitment {
                column: "initial memory",
            },
        ),
        (
            &[&five[..], &[0]].concat(),
            ClaimError::Commitment {
                column: "initial memory",
            },
        ),
        (
            &6_u64.to_le_bytes(),
            ClaimError::Commitment { column: "input" },
        ),
        (&[0; 17], ClaimError::InputLength),
    ] {
        let mut proofs = honest.proofs.clone();
        for proof in &mut proofs {
            proof.input = input.into();
        }
        assert_eq!(refused_claim(&proofs, &open), wrong(0, reason));
    }
}

/// Flips every `step`th bit of a proof.
fn flip_bits(step: usize) {
    let honest = &run().proofs[1];
    assert!(verify_chunk(honest, key()).is_ok(), "untouched");
    let bits = honest.proof.len() * 8;
    let refused = (0..bits)
        .into_par_iter()
        .step_by(step)
        .map(|bit| {
            let mut proof = honest.clone();
            proof.proof[bit / 8] ^= 1 << (bit % 8);
            verify_chunk(&proof, key()).expect_err("a flipped bit must be refused")
        })
        .count();
    assert_eq!(refused, bits.div_ceil(step));
}

#[test]
fn flipped_bits() {
    flip_bits(7);
    let honest = &run().proofs[1];
    // The flag of the identity, which decoding ignores: the one malleable bit of halo2's proofs.
    for element in 0..8 {
        let mut proof = honest.clone();
        proof.proof[32 * element + 31] ^= 0x80;
        let error = verify_chunk(&proof, key()).expect_err("refused");
        let reason = ChunkError::NotCanonical { element };
        assert_eq!(error, VerifyError::Chunk { chunk: 1, reason });
    }
}

#[test]
#[ignore = "a quarter of an hour: cargo test --release -p prover --test rejections -- --ignored every_flipped_bit"]
fn every_flipped_bit() {
    flip_bits(1);
}

/// Nothing that is believed can be changed in a file: what is still accepted says the same.
#[test]
#[ignore = "a quarter of an hour: cargo test --release -p prover --test rejections -- --ignored --nocapture every_bit_of_a_file"]
#[expect(clippy::print_stderr, reason = "the counts are what the test shows")]
fn every_bit_of_a_file() {
    let trace = trace(25, 5);
    let config = config().clone().with_chunk_size(25);
    let proofs = prover::prove_execution_chunked(&trace, &config).expect("proved");
    let info = prover::run_info(&trace, &config).expect("keys");
    let file = ExecutionProof::new(info, proofs).expect("one chunk");
    let (honest, claim) = (file.to_bytes(), claim_of(&trace));
    let statement = verify_execution(file.chunks(), &claim, key()).expect("untouched");

    let unread = AtomicUsize::new(0);
    let accepted = (0..honest.len() * 8)
        .into_par_iter()
        .filter(|bit| {
            let mut bytes = honest.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(changed) = ExecutionProof::from_bytes(&bytes) else {
                unread.fetch_add(1, Ordering::Relaxed);
                return false;
            };
            let Ok(found) = verify_execution(changed.chunks(), &claim, key()) else {
                return false;
            };
            assert_eq!(found, statement, "bit {bit}");
            // The proof itself and its public values are as they were.
            let parts = |chunk: &ChunkProof| (chunk.key, chunk.instance, chunk.proof.clone());
            assert_eq!(
                parts(&changed.chunks()[0]),
                parts(&file.chunks()[0]),
                "bit {bit}"
            );
            true
        })
        .count();
    eprintln!(
        "{} bits: {} refused by the reader, {accepted} in what nobody believes",
        honest.len() * 8,
        unread.into_inner()
    );
    // Only what a file says about itself and the input, which the claim has, are not believed.
    let beside = honest.len() - file.chunks()[0].proof.len();
    assert!(accepted < beside * 8);
    for length in 0..honest.len() {
        assert!(
            ExecutionProof::from_bytes(&honest[..length]).is_err(),
            "{length}"
        );
    }
}

#[test]
fn wrong_lengths() {
    let honest = &run().proofs[1];
    assert!(verify_chunk(honest, key()).is_ok(), "untouched");
    let expected = honest.proof.len();
    for length in 0..expected {
        let mut proof = honest.clone();
        proof.proof.truncate(length);
        let reason = ChunkError::Length {
            found: length,
            expected,
        };
        assert_eq!(
            verify_chunk(&proof, key()).err(),
            Some(VerifyError::Chunk { chunk: 1, reason })
        );
    }
    for extra in [1, 32, 4096] {
        let mut proof = honest.clone();
        proof.proof.resize(expected + extra, 0);
        let reason = ChunkError::Length {
            found: expected + extra,
            expected,
        };
        assert_eq!(
            verify_chunk(&proof, key()).err(),
            Some(VerifyError::Chunk { chunk: 1, reason })
        );
    }
}

#[test]
fn special_elements() {
    let honest = &run().proofs[1];
    assert!(verify_chunk(honest, key()).is_ok(), "untouched");
    let mut identity = [0; 32];
    identity[31] = 0x80;
    for element in 0..honest.proof.len() / 32 {
        for bytes in [identity, [0; 32], [0xff; 32]] {
            let mut proof = honest.clone();
            proof.proof[32 * element..32 * element + 32].copy_from_slice(&bytes);
            assert!(verify_chunk(&proof, key()).is_err(), "{element}");
        }
    }
}

#[test]
fn other_keys() {
    let honest = run();
    let mut proofs = honest.proofs.clone();
    proofs[2].key = KeyId([1; 32]);
    let error = refused(&proofs);
    let reason = ChunkError::ForeignKey {
        found: KeyId([1; 32]),
        expected: key().id(),
    };
    assert_eq!(error, VerifyError::Chunk { chunk: 2, reason });

    // The same circuit under other parameters.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("srs");
    write_random_srs(&file);
    let other = prover::KeygenConfig::new(10, directory.path(), 8).with_srs(&file);
    let other_key = other.verifying_key().expect("keys");
    assert!(!other_key.srs().is_insecure());
    let trace = trace(9, 1);
    let own = prover::prove_execution_chunked(&trace, &other).expect("proved");
    verify_execution(&own, &claim_of(&trace), &other_key).expect("untouched");
    let relabelled = ChunkProof {
        key: key().id(),
        ..own[0].clone()
    };
    let reason = ChunkError::Invalid;
    let error = verify_chunk(&relabelled, key()).err();
    assert_eq!(
        error,
        Some(VerifyError::Chunk {
            chunk: 0,
            reason: reason.clone()
        })
    );
    let relabelled = ChunkProof {
        key: other_key.id(),
        ..honest.proofs[0].clone()
    };
    let error = verify_chunk(&relabelled, &other_key).err();
    assert_eq!(error, Some(VerifyError::Chunk { chunk: 0, reason }));
}

/// Parameters with a secret that nobody knows for long.
fn write_random_srs(path: &std::path::Path) {
    use halo2_proofs::poly::kzg::commitment::ParamsKZG;
    let params = ParamsKZG::<halo2curves::bn256::Bn256>::setup(10, rand_core::OsRng);
    let mut bytes = Vec::new();
    params
        .write_custom(&mut bytes, halo2_proofs::SerdeFormat::RawBytes)
        .expect("memory");
    std::fs::write(path, bytes).expect("written");
}
