//! The checks. Plain code without indexing, casts or panics.

use std::borrow::Cow;

use bpf_tracer::canonical::layout::{INPUT_BASE, MAX_RETURN_DATA, RETURN_DATA_BASE};
use bpf_tracer::{Input, Outcome, TrapKind};
use ff::PrimeField;
use group::GroupEncoding;
use group::prime::PrimeCurveAffine;
use halo2_proofs::plonk::verify_proof;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use zk_circuits::shape::PAGE_BYTES;
use zk_circuits::{
    ChunkInstance, Committed, Microcode, PageList, ProgramTable, first_boundary, page_column,
    program_columns, public_words,
};

use crate::error::{ChunkError, ClaimError, LinkError, VerifyError};
use crate::key::{ProofLayout, VerifyingKey};
use crate::parallel::map;
use crate::poseidon::chunk_transcript;
use crate::proof::ChunkProof;
use crate::proof::Hints;
use crate::public::{PublicColumn, commit};
use crate::span::{Span, WholeRun, out_of_range};
use crate::statement::{ChunkStatement, Claim, Commitments, ExecutionStatement};

/// Bytes of a point or scalar.
const ELEMENT_BYTES: usize = 32;

/// Verifies one chunk in isolation.
///
/// The statement says that *some* program on *some* memory made these steps. Which program, which
/// input, and whether the entry state was ever reached is for [`verify_execution`].
///
/// # Errors
/// [`VerifyError::Chunk`], with the chunk's own index.
pub fn verify_chunk(proof: &ChunkProof, key: &VerifyingKey) -> Result<ChunkStatement, VerifyError> {
    let chunk = usize::try_from(proof.instance.index).unwrap_or(usize::MAX);
    check_chunk(proof, key).map_err(|reason| VerifyError::Chunk { chunk, reason })
}

/// Verifies a whole run: every proof, every link, and the claim.
///
/// # Errors
/// The first failure, in this order: proofs, links between chunks, claim.
pub fn verify_execution(
    proofs: &[ChunkProof],
    claim: &Claim,
    key: &VerifyingKey,
) -> Result<ExecutionStatement, VerifyError> {
    // Collected before the first error is chosen, so that it does not depend on scheduling.
    let results = map(proofs, |proof| check_chunk(proof, key));
    let statements = results
        .into_iter()
        .enumerate()
        .map(|(chunk, result)| result.map_err(|reason| VerifyError::Chunk { chunk, reason }))
        .collect::<Result<Vec<_>, _>>()?;
    verify_chain(&statements, claim, key)
}

/// The part of [`verify_execution`] after its proofs: every link, and the claim.
///
/// # Errors
/// The first failure.
pub fn verify_chain(
    chunks: &[ChunkStatement],
    claim: &Claim,
    key: &VerifyingKey,
) -> Result<ExecutionStatement, VerifyError> {
    let Some(first) = chunks.first() else {
        return Err(VerifyError::Empty);
    };
    if let Some(chunk) = chunks
        .iter()
        .position(|statement| statement.key != key.id())
    {
        return Err(VerifyError::Claim {
            chunk,
            reason: ClaimError::ForeignKey,
        });
    }
    let end = chunks.len().saturating_sub(1);
    let run = join(chunks)?.whole().map_err(|reason| VerifyError::Link {
        chunk: if reason == LinkError::Unfinished {
            end
        } else {
            0
        },
        reason,
    })?;
    let outcome = check_claim(&run, &first.hints, claim, key).map_err(|(at, reason)| {
        let chunk = match at {
            End::Entry => 0,
            End::Exit => end,
        };
        VerifyError::Claim { chunk, reason }
    })?;
    Ok(statement_of(&run, outcome, claim, key, Some(chunks.len())))
}

/// What a run means that was accepted under a claim.
pub(crate) fn statement_of(
    run: &WholeRun,
    outcome: Outcome,
    claim: &Claim,
    key: &VerifyingKey,
    chunks: Option<usize>,
) -> ExecutionStatement {
    ExecutionStatement {
        program_id: claim.program.id(),
        outcome,
        steps: run.steps,
        compute_units: run.units,
        chunks,
        input_size: run.input_size,
        input_checked: claim.input.is_some(),
        outcome_checked: !matches!(claim.outcome, crate::ExpectedOutcome::Any),
        output_checked: claim.output.is_some(),
        key: key.id(),
        srs: key.srs(),
    }
}

/// The end of a run that is not as claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Entry,
    Exit,
}

/// Compares a proved run with a claim; gives how it ended.
pub(crate) fn check_claim(
    run: &WholeRun,
    hints: &Hints,
    claim: &Claim,
    key: &VerifyingKey,
) -> Result<Outcome, (End, ClaimError)> {
    let entry = |reason| (End::Entry, reason);
    let exit = |reason| (End::Exit, reason);
    let outcome = run.outcome().ok_or(exit(ClaimError::NoOutcome))?;
    check_scalars(run, claim).map_err(entry)?;
    check_limit(outcome, claim).map_err(exit)?;
    if let Some(expected) = claim.compute_units
        && run.units != expected
    {
        let found = run.units;
        return Err(exit(ClaimError::ComputeUnits { found, expected }));
    }
    if !claim.outcome.admits(outcome) {
        return Err(exit(ClaimError::Outcome {
            found: outcome.to_string(),
            expected: claim.outcome.to_string(),
        }));
    }
    let pages = PageList::new(&hints.pages, key.shape()).map_err(|error| {
        entry(ClaimError::PageForm {
            reason: error.to_string(),
        })
    })?;
    check_program(run, hints, claim, key).map_err(entry)?;
    check_pages(run, &pages, key).map_err(entry)?;
    let input = input_of(run, hints, claim).map_err(entry)?;
    check_entry(run, claim, &input, &pages, key).map_err(entry)?;
    check_output(run, claim, &input, &pages, key).map_err(exit)?;
    Ok(outcome)
}

fn check_chunk(proof: &ChunkProof, key: &VerifyingKey) -> Result<ChunkStatement, ChunkError> {
    if proof.key != key.id() {
        return Err(ChunkError::ForeignKey {
            found: proof.key,
            expected: key.id(),
        });
    }
    check_instance(&proof.instance)?;
    let commitments = check_canonical(&proof.proof, key.layout())?;

    let fields = proof.instance.to_fields();
    let mut transcript = chunk_transcript(proof.proof.as_slice());
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        key.params(),
        key.halo2(),
        SingleStrategy::new(key.params()),
        &[&[&fields]],
        &mut transcript,
    )
    .map_err(|_| ChunkError::Invalid)?;

    Ok(ChunkStatement {
        key: key.id(),
        instance: proof.instance,
        hints: proof.hints(),
        commitments,
    })
}

/// Version, ranges, and which values may be set together.
fn check_instance(instance: &ChunkInstance) -> Result<(), ChunkError> {
    if instance.version != zk_circuits::VERSION {
        let (found, expected) = (instance.version, zk_circuits::VERSION);
        return Err(ChunkError::Version { found, expected });
    }
    match out_of_range(instance) {
        Some(name) => Err(ChunkError::OutOfRange { name }),
        None => Ok(()),
    }
}

/// Every element of the proof is in the one form that encodes it, and no point is the identity. Gives
/// the commitments that the proof begins with.
fn check_canonical(proof: &[u8], layout: ProofLayout) -> Result<Commitments, ChunkError> {
    let (found, expected) = (proof.len(), layout.bytes());
    if found != expected {
        return Err(ChunkError::Length { found, expected });
    }
    let first_opening = layout.points.saturating_add(layout.scalars);
    for (element, bytes) in proof.chunks_exact(ELEMENT_BYTES).enumerate() {
        let is_scalar = (layout.points..first_opening).contains(&element);
        let ok = if is_scalar {
            canonical_scalar(bytes).is_some()
        } else {
            canonical_point(bytes).is_some()
        };
        if !ok {
            return Err(ChunkError::NotCanonical { element });
        }
    }
    commitments_of(proof)
}

/// The commitments that a chunk's proof begins with.
pub(crate) fn commitments_of(proof: &[u8]) -> Result<Commitments, ChunkError> {
    let mut points = [G1Affine::identity(); Committed::COUNT];
    let mut elements = proof.chunks_exact(ELEMENT_BYTES);
    for (element, point) in points.iter_mut().enumerate() {
        *point = elements
            .next()
            .and_then(canonical_point)
            .ok_or(ChunkError::NotCanonical { element })?;
    }
    let [
        entry_private,
        entry_public,
        exit_private,
        exit_public,
        pages,
        code,
        imm,
        target,
    ] = points;
    Ok(Commitments {
        entry: [entry_private, entry_public],
        exit: [exit_private, exit_public],
        pages,
        program: [code, imm, target],
    })
}

fn canonical_point(bytes: &[u8]) -> Option<G1Affine> {
    let mut repr = <G1Affine as GroupEncoding>::Repr::default();
    if repr.as_ref().len() != bytes.len() {
        return None;
    }
    repr.as_mut().copy_from_slice(bytes);
    let point = Option::<G1Affine>::from(G1Affine::from_bytes(&repr))?;
    let is_identity: bool = point.is_identity().into();
    (!is_identity && point.to_bytes().as_ref() == bytes).then_some(point)
}

fn canonical_scalar(bytes: &[u8]) -> Option<Fr> {
    let repr: [u8; ELEMENT_BYTES] = bytes.try_into().ok()?;
    Option::<Fr>::from(Fr::from_repr(repr)).filter(|scalar| scalar.to_repr() == repr)
}

/// One run: every chunk is in its place, and begins where the one before ends.
fn join(chunks: &[ChunkStatement]) -> Result<Span, VerifyError> {
    let mut whole: Option<(Span, &Hints)> = None;
    for (chunk, statement) in chunks.iter().enumerate() {
        let link = |chunk, reason| VerifyError::Link { chunk, reason };
        let index = statement.instance.index;
        if u64::try_from(chunk) != Ok(index) {
            return Err(link(chunk, LinkError::Index { found: index }));
        }
        let next = Span::of_chunk(&statement.instance, &statement.commitments)
            .map_err(|reason| link(chunk, reason))?;
        let before = chunk.saturating_sub(1);
        let span = match whole {
            None => next,
            Some((span, hints)) => {
                if let Some(name) = hints.difference(&statement.hints) {
                    return Err(link(before, LinkError::Differs { name }));
                }
                span.join(&next).map_err(|reason| link(before, reason))?
            }
        };
        whole = Some((span, &statement.hints));
    }
    let whole = whole.map(|(span, _)| span);
    whole.ok_or(VerifyError::Empty)
}

/// A run that reaches its budget stops between two instructions: at a slot of the program, or right
/// behind the last one. All other micro-operations lie in the middle of an instruction.
fn check_limit(outcome: Outcome, claim: &Claim) -> Result<(), ClaimError> {
    let Outcome::Trap {
        kind: TrapKind::ExceededMaxInstructions,
        pc,
    } = outcome
    else {
        return Ok(());
    };
    let slots = claim.program.instructions().len();
    if usize::try_from(pc).is_ok_and(|pc| pc <= slots) {
        Ok(())
    } else {
        Err(ClaimError::NotAnInstruction { pc })
    }
}

fn check_scalars(run: &WholeRun, claim: &Claim) -> Result<(), ClaimError> {
    if run.entry != u64::from(claim.program.entry()) {
        return Err(ClaimError::Entry);
    }
    if run.budget != claim.budget {
        return Err(ClaimError::Budget {
            found: run.budget,
            expected: claim.budget,
        });
    }
    if let Some(input) = &claim.input {
        let (found, expected) = (run.input_size, input.region_len());
        if found != expected {
            return Err(ClaimError::InputSize { found, expected });
        }
    }
    Ok(())
}

/// The commitment of a public column, as the verifier computes it.
fn recompute(column: PublicColumn, values: &[Fr], key: &VerifyingKey) -> Option<G1Affine> {
    commit(column, values, key.g_lagrange(), key.blinding_rows())
}

fn check_program(
    run: &WholeRun,
    hints: &Hints,
    claim: &Claim,
    key: &VerifyingKey,
) -> Result<(), ClaimError> {
    let microcode = Microcode::assemble(&claim.program, &claim.environment);
    let table = ProgramTable::new(&microcode, &hints.selection, key.shape()).map_err(|error| {
        ClaimError::Selection {
            reason: error.to_string(),
        }
    })?;
    let [code, immediate, target] = program_columns(&table);
    let columns = [
        (PublicColumn::Code, code),
        (PublicColumn::Immediate, immediate),
        (PublicColumn::Target, target),
    ];
    let expected = map(&columns, |(column, values)| recompute(*column, values, key));
    if run.program.map(Some).as_slice() == expected {
        Ok(())
    } else {
        Err(ClaimError::Commitment { column: "program" })
    }
}

fn check_pages(run: &WholeRun, pages: &PageList, key: &VerifyingKey) -> Result<(), ClaimError> {
    let expected = recompute(PublicColumn::Pages, &page_column(pages), key);
    if Some(run.pages) == expected {
        return Ok(());
    }
    Err(ClaimError::Commitment {
        column: "list of pages",
    })
}

/// The input that the run must have started on: the claimed one, or the one that came with the proof.
fn input_of<'a>(
    run: &WholeRun,
    hints: &Hints,
    claim: &'a Claim,
) -> Result<Cow<'a, Input>, ClaimError> {
    if let Some(input) = &claim.input {
        return Ok(Cow::Borrowed(input));
    }
    let region_size = run.input_size;
    if u64::try_from(hints.input.len()).is_ok_and(|length| length <= region_size) {
        let bytes = hints.input.to_vec();
        Ok(Cow::Owned(Input { bytes, region_size }))
    } else {
        Err(ClaimError::InputLength)
    }
}

/// Memory at the first boundary.
fn check_entry(
    run: &WholeRun,
    claim: &Claim,
    input: &Input,
    pages: &PageList,
    key: &VerifyingKey,
) -> Result<(), ClaimError> {
    let [private, public] = first_boundary(&claim.program, input, claim.budget, pages);
    let [found_private, found_public] = run.memory;
    if Some(found_private) != recompute(PublicColumn::FirstPrivate, &private, key) {
        return Err(ClaimError::Commitment {
            column: "initial memory",
        });
    }
    // Without this, words of the input region could be no words at all: the circuit relies on it.
    if Some(found_public) != recompute(PublicColumn::FirstPublic, &public, key) {
        return Err(ClaimError::Commitment { column: "input" });
    }
    Ok(())
}

/// Memory of the public lane at the last boundary, and what the run cannot have changed.
fn check_output(
    run: &WholeRun,
    claim: &Claim,
    input: &Input,
    pages: &PageList,
    key: &VerifyingKey,
) -> Result<(), ClaimError> {
    let Some(output) = &claim.output else {
        return Ok(());
    };
    let (found, expected) = (output.len(), run.input_size);
    if u64::try_from(found) != Ok(expected) {
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        return Err(ClaimError::OutputLength { found, expected });
    }
    check_untouched(output, input, pages)?;
    check_return_data(&claim.return_data, pages)?;
    let words = public_words(output, &claim.return_data, pages);
    if Some(run.output) != recompute(PublicColumn::LastPublic, &words, key) {
        return Err(ClaimError::Commitment { column: "output" });
    }
    Ok(())
}

/// Return data lies on mapped pages: what is not mapped was never written, and is not in the commitment.
fn check_return_data(return_data: &[u8], pages: &PageList) -> Result<(), ClaimError> {
    let length = return_data.len();
    let impossible = Err(ClaimError::ReturnData { length });
    if length == 0 {
        return Ok(());
    }
    let Some(bytes) = u64::try_from(length).ok().filter(|n| *n <= MAX_RETURN_DATA) else {
        return impossible;
    };
    // Its length comes first.
    let last = RETURN_DATA_BASE.saturating_add(bytes).saturating_add(7);
    let page_of = |address: u64| address.checked_div(PAGE_BYTES).unwrap_or(0);
    let mut needed = page_of(RETURN_DATA_BASE)..=page_of(last);
    if needed.all(|page| pages.pages().binary_search(&page).is_ok()) {
        Ok(())
    } else {
        impossible
    }
}

/// A page that is not mapped holds at the end what it held at the beginning.
fn check_untouched(output: &[u8], input: &Input, pages: &PageList) -> Result<(), ClaimError> {
    let page_bytes = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX).max(1);
    let first_page = INPUT_BASE.checked_div(PAGE_BYTES).unwrap_or(0);
    let mut before = input.bytes.chunks(page_bytes);
    let mut offset = 0_u64;
    for (page, after) in (first_page..).zip(output.chunks(page_bytes)) {
        let given = before.next().unwrap_or_default();
        if pages.pages().binary_search(&page).is_err() {
            let given = given.iter().copied().chain(std::iter::repeat(0));
            if let Some(at) = after.iter().zip(given).position(|(a, b)| *a != b) {
                let at = u64::try_from(at).unwrap_or(u64::MAX);
                return Err(ClaimError::OutputUntouched {
                    offset: offset.saturating_add(at),
                });
            }
        }
        offset = offset.saturating_add(PAGE_BYTES);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
