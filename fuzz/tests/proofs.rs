//! Proof files: decoded, and some of those that decode verified. What is accepted is the honest run.

mod common;

use bolero::check;
use common::changes::{
    change_element, change_file, change_hints, change_info, change_instance, change_key, is_chosen,
};
use common::claims::{change_claim, holds};
use common::{KEY, RUNS, Run};
use fuzz::{Choices, Depth, Stats};
use verifier::{
    ChunkError, ChunkProof, DecodeError, ExecutionProof, Span, VerifyError, verify_execution,
};

/// Of the files that decode, one of so many is verified.
const VERIFIED: u64 = 40;
/// Most changes of a file.
const MAX_CHANGES: usize = 4;

static STATS: Stats = Stats::new("proofs");

#[test]
fn proof_files() {
    // Made before time is measured.
    for run in RUNS.iter() {
        assert!(holds(&run.claim, &run.trace));
    }
    check!().for_each(|bytes: &[u8]| STATS.count(target(bytes)));
    STATS.print();
}

/// One execution.
fn target(bytes: &[u8]) -> Depth {
    let mut choices = Choices::new(bytes);
    let run = &RUNS[choices.below(RUNS.len())];
    let style = choices.byte() % 8;
    let claim = {
        let mut claim = run.claim.clone();
        if choices.byte().is_multiple_of(4) {
            change_claim(&mut claim, &mut choices);
        }
        claim
    };
    let mut file = match changed(run, style, &mut choices) {
        Ok(file) => file.to_bytes(),
        // The parts do not belong to one file.
        Err(DecodeError::Value { .. } | DecodeError::Mixed { .. }) => return Depth::Refused,
        Err(error) => panic!("{error}"),
    };
    if style < 3 {
        for _ in 0..=choices.below(MAX_CHANGES) {
            change_file(&mut file, &mut choices);
        }
    }
    decode_chunk(&file, &mut choices);
    let decoded = match ExecutionProof::from_bytes(&file) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Depth::Refused;
        }
    };
    assert!(decoded.to_bytes() == file, "a file has one encoding");
    join(decoded.chunks());
    if is_chosen(bytes, VERIFIED) {
        verify(run, &decoded, &claim)
    } else {
        Depth::Parsed
    }
}

/// The file with some of its parts changed; bytes are changed later.
fn changed(run: &Run, style: u8, choices: &mut Choices<'_>) -> Result<ExecutionProof, DecodeError> {
    let (mut info, mut chunks) = (run.file.info().clone(), run.file.chunks().to_vec());
    let changes = if style < 2 {
        0
    } else {
        choices.below(MAX_CHANGES)
    };
    for _ in 0..changes {
        let at = choices.below(chunks.len());
        let other = &RUNS[choices.below(RUNS.len())].file.chunks()[0];
        match choices.byte() % 16 {
            0 => change_info(&mut info, choices),
            1 => chunks
                .iter_mut()
                .for_each(|chunk| change_key(&mut chunk.key, &mut choices.clone())),
            2 | 3 => change_hints(&mut chunks, choices),
            4..7 => change_instance(&mut chunks[at].instance, choices),
            7 => chunks.swap(0, at),
            8 if chunks.len() > 1 => drop(chunks.remove(at)),
            9 => chunks.insert(at, chunks[at].clone()),
            10 => chunks[at].instance = other.instance,
            11 => chunks[at].proof.clone_from(&other.proof),
            _ => change_element(&mut chunks[at].proof, &other.proof, choices),
        }
    }
    ExecutionProof::new(info, chunks)
}

/// The file of one chunk, from the same bytes behind another beginning.
fn decode_chunk(file: &[u8], choices: &mut Choices<'_>) {
    let at = choices.below(300);
    let mut bytes = b"zkbpfCHK\x03\x00".to_vec();
    bytes.extend(file.get(at..).unwrap_or_default());
    if let Ok(chunk) = ChunkProof::from_bytes(&bytes) {
        assert!(chunk.to_bytes() == bytes, "a chunk has one encoding");
    }
}

/// Spans of any values are joined or refused.
fn join(chunks: &[ChunkProof]) {
    let spans = chunks.iter().map_while(|chunk| {
        let commitments = chunk.commitments().ok()?;
        Span::of_chunk(&chunk.instance, &commitments).ok()
    });
    let whole = spans.reduce(|span, next| span.join(&next).unwrap_or(span));
    let _ = whole.map(|span| span.whole().map(|run| run.outcome()));
}

fn verify(run: &Run, decoded: &ExecutionProof, claim: &verifier::Claim) -> Depth {
    let honest = run.file.chunks();
    match verify_execution(decoded.chunks(), claim, &KEY) {
        Ok(statement) => {
            // Every claim and every file of seeds is of one run; some of these may have been swapped.
            let run = RUNS.iter().find(|run| holds(claim, &run.trace));
            let run = run.expect("an accepted claim holds of a run");
            for (chunk, honest) in decoded.chunks().iter().zip(run.file.chunks()) {
                assert!(chunk.proof == honest.proof && chunk.instance == honest.instance);
                // Of a program of one block, `Whole` and that block are the same table: the selection may differ.
                assert!(chunk.pages == honest.pages);
                assert!(claim.input.is_some() || chunk.input == honest.input);
            }
            assert_eq!(decoded.chunks().len(), run.file.chunks().len());
            assert_eq!(statement.outcome, run.trace.outcome());
            assert_eq!(statement.steps, run.trace.instruction_count());
            assert_eq!(statement.compute_units, run.trace.compute_units());
            assert_eq!(statement.program_id, run.trace.program().id());
            assert_eq!(statement.input_size, run.trace.input().region_len());
            Depth::Semantic
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(
                decoded.chunks() != honest || !holds(claim, &run.trace),
                "the honest proof of a true claim: {error}"
            );
            let outer = matches!(
                error,
                VerifyError::Chunk {
                    reason: ChunkError::ForeignKey { .. }
                        | ChunkError::Version { .. }
                        | ChunkError::OutOfRange { .. }
                        | ChunkError::Length { .. }
                        | ChunkError::NotCanonical { .. },
                    ..
                }
            );
            if outer {
                Depth::Parsed
            } else {
                Depth::Semantic
            }
        }
    }
}
