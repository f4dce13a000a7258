//! The checks. Plain code without indexing, casts or panics.

use std::borrow::Cow;

use bpf_tracer::canonical::layout::{INPUT_BASE, MAX_REGION, MAX_RETURN_DATA, RETURN_DATA_BASE};
use bpf_tracer::{Input, Outcome, TrapKind};
use ff::PrimeField;
use group::GroupEncoding;
use group::prime::PrimeCurveAffine;
use halo2_proofs::plonk::verify_proof;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Challenge255, TranscriptReadBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rayon::prelude::*;
use zk_circuits::shape::{MAX_CALL_DEPTH, PAGE_BYTES};
use zk_circuits::{
    ChunkInstance, Committed, Microcode, PageList, ProgramTable, STATUS_HALT, STATUS_RUNNING,
    STATUS_TRAP, first_boundary, page_column, program_columns, public_words,
};

use crate::error::{ChunkError, ClaimError, LinkError, VerifyError};
use crate::key::{ProofLayout, VerifyingKey};
use crate::proof::ChunkProof;
use crate::public::{Lane, PublicColumn, commit};
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
    let results: Vec<_> = proofs
        .par_iter()
        .map(|proof| check_chunk(proof, key))
        .collect();
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
    let (first, last) = match (chunks.first(), chunks.last()) {
        (Some(first), Some(last)) => (first, last),
        _ => return Err(VerifyError::Empty),
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
    check_links(chunks)?;
    let end = chunks.len().saturating_sub(1);
    let outcome = outcome_of(&last.instance).ok_or(VerifyError::Link {
        chunk: end,
        reason: LinkError::Unfinished,
    })?;

    let at_first = |reason| VerifyError::Claim { chunk: 0, reason };
    let at_last = |reason| VerifyError::Claim { chunk: end, reason };
    check_scalars(&first.instance, claim).map_err(at_first)?;
    check_limit(outcome, claim).map_err(at_last)?;
    if let Some(expected) = claim.compute_units
        && last.instance.units_out != expected
    {
        let found = last.instance.units_out;
        return Err(at_last(ClaimError::ComputeUnits { found, expected }));
    }
    if !claim.outcome.admits(outcome) {
        let reason = ClaimError::Outcome {
            found: format!("{outcome:?}"),
            expected: format!("{:?}", claim.outcome),
        };
        return Err(at_last(reason));
    }
    let pages = PageList::new(&first.pages, key.shape()).map_err(|error| {
        at_first(ClaimError::PageForm {
            reason: error.to_string(),
        })
    })?;
    check_program(chunks, claim, key)?;
    check_pages(chunks, &pages, key)?;
    let input = input_of(first, claim).map_err(at_first)?;
    check_entry(first, claim, &input, &pages, key).map_err(at_first)?;
    check_output(last, claim, &input, &pages, key).map_err(at_last)?;

    Ok(ExecutionStatement {
        program_id: claim.program.id(),
        outcome,
        steps: last.instance.steps_out,
        compute_units: last.instance.units_out,
        chunks: chunks.len(),
        input_size: first.instance.input_size,
        input_checked: claim.input.is_some(),
        outcome_checked: !matches!(claim.outcome, crate::ExpectedOutcome::Any),
        output_checked: claim.output.is_some(),
        key: key.id(),
        srs: key.srs(),
    })
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
    let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof.proof.as_slice());
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
        pages: std::sync::Arc::clone(&proof.pages),
        input: std::sync::Arc::clone(&proof.input),
        selection: std::sync::Arc::clone(&proof.selection),
        commitments,
    })
}

/// Version, ranges, and which values may be set together. The circuit proves the rest; these are its
/// assumptions and what makes one run have one instance.
fn check_instance(instance: &ChunkInstance) -> Result<(), ChunkError> {
    if instance.version != zk_circuits::VERSION {
        let (found, expected) = (instance.version, zk_circuits::VERSION);
        return Err(ChunkError::Version { found, expected });
    }
    let is_slot = |value: u64| u32::try_from(value).is_ok();
    let is_depth = |value| value <= u64::from(MAX_CALL_DEPTH).saturating_add(1);
    let ended = !instance.running_out;
    let trapped = instance.status == STATUS_TRAP;
    let halted = instance.status == STATUS_HALT;
    let kind = u8::try_from(instance.trap_kind)
        .ok()
        .and_then(TrapKind::from_code);
    for (name, ok) in [
        ("pc_in", is_slot(instance.pc_in)),
        (
            "pc_out",
            is_slot(instance.pc_out) && (!ended || instance.pc_out == 0),
        ),
        ("slot_in", is_slot(instance.slot_in)),
        ("slot_out", is_slot(instance.slot_out)),
        ("depth_in", is_depth(instance.depth_in)),
        (
            "depth_out",
            is_depth(instance.depth_out) && (!ended || instance.depth_out == 0),
        ),
        ("input_size", instance.input_size <= MAX_REGION),
        (
            "status",
            (instance.status == STATUS_RUNNING) != ended && (!ended || halted || trapped),
        ),
        ("r0", halted || instance.r0 == 0),
        (
            "trap_kind",
            if trapped {
                is_trap(kind)
            } else {
                instance.trap_kind == 0
            },
        ),
        (
            "trap_pc",
            is_slot(instance.trap_pc) && (trapped || instance.trap_pc == 0),
        ),
    ] {
        if !ok {
            return Err(ChunkError::OutOfRange { name });
        }
    }
    Ok(())
}

/// Whether an instruction can trap so. Reaching the step budget is not the trap of an instruction.
fn is_trap(kind: Option<TrapKind>) -> bool {
    kind.is_some_and(|kind| kind != TrapKind::ExceededMaxInstructions)
}

/// Every element of the proof is in the one form that encodes it, and no point is the identity. Gives
/// the commitments that the proof begins with.
fn check_canonical(proof: &[u8], layout: ProofLayout) -> Result<Commitments, ChunkError> {
    let (found, expected) = (proof.len(), layout.bytes());
    if found != expected {
        return Err(ChunkError::Length { found, expected });
    }
    let first_opening = layout.points.saturating_add(layout.scalars);
    let mut head = Vec::with_capacity(Committed::COUNT);
    for (element, bytes) in proof.chunks_exact(ELEMENT_BYTES).enumerate() {
        let is_scalar = (layout.points..first_opening).contains(&element);
        let point = if is_scalar {
            canonical_scalar(bytes).map(|_| None)
        } else {
            canonical_point(bytes).map(Some)
        };
        match point.ok_or(ChunkError::NotCanonical { element })? {
            Some(point) if head.len() < Committed::COUNT => head.push(point),
            _ => {}
        }
    }
    match <[G1Affine; Committed::COUNT]>::try_from(head) {
        Ok(
            [
                entry_private,
                entry_public,
                exit_private,
                exit_public,
                pages,
                code,
                imm,
                target,
            ],
        ) => Ok(Commitments {
            entry: [entry_private, entry_public],
            exit: [exit_private, exit_public],
            pages,
            program: [code, imm, target],
        }),
        Err(_) => Err(ChunkError::Length { found, expected }),
    }
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
fn check_links(chunks: &[ChunkStatement]) -> Result<(), VerifyError> {
    let end = chunks.len().saturating_sub(1);
    for (chunk, statement) in chunks.iter().enumerate() {
        let instance = &statement.instance;
        let link = |reason| Err(VerifyError::Link { chunk, reason });
        if u64::try_from(chunk) != Ok(instance.index) {
            return link(LinkError::Index {
                found: instance.index,
            });
        }
        if !instance.running_in {
            return link(LinkError::NotRunning);
        }
        if instance.steps_out < instance.steps_in || instance.units_out < instance.units_in {
            return link(LinkError::Decreases);
        }
        if instance.units_out > instance.budget {
            return link(LinkError::OverBudget);
        }
        if chunk != end && !instance.running_out {
            return link(LinkError::EndsEarly);
        }
    }
    for (chunk, pair) in chunks.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        check_pair(before, after).map_err(|reason| VerifyError::Link { chunk, reason })?;
    }
    Ok(())
}

fn check_pair(before: &ChunkStatement, after: &ChunkStatement) -> Result<(), LinkError> {
    let (a, b) = (&before.instance, &after.instance);
    for (name, out, into) in [
        ("pc", a.pc_out, b.pc_in),
        ("slot", a.slot_out, b.slot_in),
        ("depth", a.depth_out, b.depth_in),
        ("steps", a.steps_out, b.steps_in),
        ("units", a.units_out, b.units_in),
    ] {
        if out != into {
            return Err(LinkError::Value { name });
        }
    }
    for (name, same) in [
        ("budget", a.budget == b.budget),
        ("input_size", a.input_size == b.input_size),
        ("pages", before.pages == after.pages),
        ("input", before.input == after.input),
        ("selection", before.selection == after.selection),
    ] {
        if !same {
            return Err(LinkError::Differs { name });
        }
    }
    let (exit, entry) = (&before.commitments.exit, &after.commitments.entry);
    for (lane, (out, into)) in [Lane::Private, Lane::Public]
        .into_iter()
        .zip(exit.iter().zip(entry))
    {
        if out != into {
            return Err(LinkError::Memory { lane });
        }
    }
    Ok(())
}

/// How the run ended, if the last chunk's end is one: a halt, a trap, or the end of the budget.
fn outcome_of(last: &ChunkInstance) -> Option<Outcome> {
    if last.running_out {
        // Checked to be at most the budget before.
        let pc = u32::try_from(last.pc_out).ok()?;
        let kind = TrapKind::ExceededMaxInstructions;
        return (last.units_out == last.budget).then_some(Outcome::Trap { kind, pc });
    }
    if last.status == STATUS_HALT {
        return Some(Outcome::Halt { r0: last.r0 });
    }
    let kind = u8::try_from(last.trap_kind)
        .ok()
        .and_then(TrapKind::from_code)?;
    Some(Outcome::Trap {
        kind,
        pc: u32::try_from(last.trap_pc).ok()?,
    })
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

fn check_scalars(first: &ChunkInstance, claim: &Claim) -> Result<(), ClaimError> {
    let entry = u64::from(claim.program.entry());
    let counts = [first.slot_in, first.steps_in, first.units_in];
    if (first.pc_in, first.depth_in) != (entry, 1) || counts != [0; 3] {
        return Err(ClaimError::Entry);
    }
    if first.budget != claim.budget {
        return Err(ClaimError::Budget {
            found: first.budget,
            expected: claim.budget,
        });
    }
    if let Some(input) = &claim.input {
        let (found, expected) = (first.input_size, input.region_len());
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
    chunks: &[ChunkStatement],
    claim: &Claim,
    key: &VerifyingKey,
) -> Result<(), VerifyError> {
    let Some(first) = chunks.first() else {
        return Err(VerifyError::Empty);
    };
    let microcode = Microcode::assemble(&claim.program, &claim.environment);
    let table = ProgramTable::new(&microcode, &first.selection, key.shape()).map_err(|error| {
        let reason = error.to_string();
        VerifyError::Claim {
            chunk: 0,
            reason: ClaimError::Selection { reason },
        }
    })?;
    let columns = [
        PublicColumn::Code,
        PublicColumn::Immediate,
        PublicColumn::Target,
    ];
    let values = program_columns(&table);
    let expected: Vec<_> = columns
        .into_par_iter()
        .zip(values.par_iter())
        .map(|(column, values)| recompute(column, values, key))
        .collect();
    for (chunk, statement) in chunks.iter().enumerate() {
        let found = statement.commitments.program.map(Some);
        if found.as_slice() != expected {
            let reason = ClaimError::Commitment { column: "program" };
            return Err(VerifyError::Claim { chunk, reason });
        }
    }
    Ok(())
}

fn check_pages(
    chunks: &[ChunkStatement],
    pages: &PageList,
    key: &VerifyingKey,
) -> Result<(), VerifyError> {
    let expected = recompute(PublicColumn::Pages, &page_column(pages), key);
    for (chunk, statement) in chunks.iter().enumerate() {
        if Some(statement.commitments.pages) != expected {
            let reason = ClaimError::Commitment {
                column: "list of pages",
            };
            return Err(VerifyError::Claim { chunk, reason });
        }
    }
    Ok(())
}

/// The input that the run must have started on: the claimed one, or the one that came with the proof.
fn input_of<'a>(first: &ChunkStatement, claim: &'a Claim) -> Result<Cow<'a, Input>, ClaimError> {
    if let Some(input) = &claim.input {
        return Ok(Cow::Borrowed(input));
    }
    let region_size = first.instance.input_size;
    if u64::try_from(first.input.len()).is_ok_and(|length| length <= region_size) {
        let bytes = first.input.to_vec();
        Ok(Cow::Owned(Input { bytes, region_size }))
    } else {
        Err(ClaimError::InputLength)
    }
}

/// Memory at the first boundary.
fn check_entry(
    first: &ChunkStatement,
    claim: &Claim,
    input: &Input,
    pages: &PageList,
    key: &VerifyingKey,
) -> Result<(), ClaimError> {
    let [private, public] = first_boundary(&claim.program, input, claim.budget, pages);
    let [found_private, found_public] = first.commitments.entry;
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
    last: &ChunkStatement,
    claim: &Claim,
    input: &Input,
    pages: &PageList,
    key: &VerifyingKey,
) -> Result<(), ClaimError> {
    let Some(output) = &claim.output else {
        return Ok(());
    };
    let (found, expected) = (output.len(), last.instance.input_size);
    if u64::try_from(found) != Ok(expected) {
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        return Err(ClaimError::OutputLength { found, expected });
    }
    check_untouched(output, input, pages)?;
    check_return_data(&claim.return_data, pages)?;
    let words = public_words(output, &claim.return_data, pages);
    let [_, found] = last.commitments.exit;
    if Some(found) != recompute(PublicColumn::LastPublic, &words, key) {
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
