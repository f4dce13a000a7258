//! Proofs as data, and their canonical encodings.
//!
//! Integers are little-endian; a length is 8 bytes. Every encoding has exactly one byte string: lengths
//! are exact, flags are 0 or 1, nothing follows the end. Decoding trusts nothing and never panics.

use std::sync::Arc;

use bpf_tracer::canonical::layout::MAX_REGION;
use bpf_tracer::{Outcome, TrapKind};
use zk_circuits::{ChunkInstance, Selection};

use crate::DecodeError;
use crate::codec::{Reader, Writer};
use crate::error::ChunkError;
use crate::key::{KeyId, SrsIdentity};
use crate::statement::Commitments;
use crate::verify::commitments_of;

const CHUNK_MAGIC: [u8; 8] = *b"zkbpfCHK";
const EXECUTION_MAGIC: [u8; 8] = *b"zkbpfEXE";
const FORMAT: u16 = 3;
/// No circuit maps more pages.
const MAX_PAGES: u64 = 1 << 16;
/// No program has more blocks.
const MAX_BLOCKS: u64 = 1 << 24;
/// No circuit's proof is longer.
pub(crate) const MAX_PROOF_BYTES: u64 = 1 << 20;
/// No execution has more chunks.
const MAX_CHUNKS: u64 = 1 << 24;
/// No dialect's name is longer.
const MAX_NAME_BYTES: u64 = 64;
const INSTANCE_BYTES: usize = 8 * ChunkInstance::LEN;

/// The proof of one chunk, with its public values. Nothing in it is trusted before
/// [`verify_execution`](crate::verify_execution).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkProof {
    /// The key that it was made for.
    pub key: KeyId,
    /// Public values.
    pub instance: ChunkInstance,
    /// Hint: numbers of the pages of memory that the run uses, ascending; the same in all chunks.
    pub pages: Arc<[u64]>,
    /// Hint: the input bytes given to the run, for verifiers who accept any; the same in all chunks.
    pub input: Arc<[u8]>,
    /// Hint: the part of the program that the program table holds; the same in all chunks.
    pub selection: Arc<Selection>,
    /// halo2's proof.
    pub proof: Vec<u8>,
}

impl ChunkProof {
    /// The commitments of memory, pages and program that the proof begins with. Says nothing about
    /// whether it is valid.
    ///
    /// # Errors
    /// If the bytes do not begin with points.
    pub fn commitments(&self) -> Result<Commitments, ChunkError> {
        commitments_of(&self.proof)
    }

    pub(crate) fn hints(&self) -> Hints {
        Hints {
            pages: Arc::clone(&self.pages),
            input: Arc::clone(&self.input),
            selection: Arc::clone(&self.selection),
        }
    }

    /// The proof as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(&CHUNK_MAGIC).u16(FORMAT).bytes(&self.key.0);
        self.hints().write(&mut writer);
        write_chunk(&mut writer, self);
        writer.finish()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// If the bytes are not the encoding of a chunk's proof.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::open(bytes, CHUNK_MAGIC, FORMAT, "chunk proof")?;
        let key = KeyId(reader.array()?);
        let hints = Hints::read(&mut reader)?;
        let chunk = read_chunk(&mut reader, key, &hints)?;
        reader.finish()?;
        Ok(chunk)
    }
}

/// What a proof file says about its run. To be shown, never to be believed: a verifier states what it
/// expects in a [`Claim`](crate::Claim).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Identity of the program.
    pub program_id: [u8; 32],
    /// Name of the program's dialect.
    pub dialect: String,
    /// Base-2 logarithm of the circuit's rows.
    pub k: u32,
    /// Width of the circuit's table operands.
    pub operand_bits: u32,
    /// Parameters.
    pub srs: SrsIdentity,
    /// How the run ended.
    pub outcome: Outcome,
    /// Number of steps.
    pub steps: u64,
    /// Compute units used.
    pub compute_units: u64,
    /// Most compute units that the run could use.
    pub budget: u64,
    /// Bytes of the input region.
    pub input_size: u64,
}

impl RunInfo {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer
            .bytes(&self.program_id)
            .sized(self.dialect.as_bytes());
        writer.u32(self.k).u32(self.operand_bits);
        self.srs.write(writer);
        match self.outcome {
            Outcome::Halt { r0 } => writer.u8(0).u64(r0),
            Outcome::Trap { kind, pc } => writer.u8(kind_code(kind)).u64(pc.into()),
        };
        for value in [self.steps, self.compute_units, self.budget, self.input_size] {
            writer.u64(value);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let program_id = reader.array()?;
        let dialect = std::str::from_utf8(reader.sized("the dialect's name", MAX_NAME_BYTES)?)
            .map_err(|_| DecodeError::Value {
                what: "the dialect's name",
            })?
            .to_owned();
        let (k, operand_bits) = (reader.u32()?, reader.u32()?);
        let srs = SrsIdentity::read(reader)?;
        let outcome = match (reader.u8()?, reader.u64()?) {
            (0, r0) => Outcome::Halt { r0 },
            (code, pc) => {
                let kind = TrapKind::from_code(code);
                let kind = kind.ok_or(DecodeError::Value { what: "the trap" })?;
                let pc = u32::try_from(pc).map_err(|_| DecodeError::Value { what: "the trap" })?;
                Outcome::Trap { kind, pc }
            }
        };
        let (steps, compute_units) = (reader.u64()?, reader.u64()?);
        let (budget, input_size) = (reader.u64()?, reader.u64()?);
        Ok(RunInfo {
            program_id,
            dialect,
            k,
            operand_bits,
            srs,
            outcome,
            steps,
            compute_units,
            budget,
            input_size,
        })
    }
}

/// The proofs of all chunks of a run: the contents of a proof file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionProof {
    info: RunInfo,
    chunks: Vec<ChunkProof>,
}

impl ExecutionProof {
    /// Bundles the chunks of a run.
    ///
    /// # Errors
    /// If there are none, or if they are for different keys or have different hints.
    pub fn new(info: RunInfo, chunks: Vec<ChunkProof>) -> Result<Self, DecodeError> {
        let first = chunks.first().ok_or(DecodeError::Value {
            what: "the number of chunks",
        })?;
        let mixed = chunks
            .iter()
            .position(|chunk| (chunk.key, chunk.hints()) != (first.key, first.hints()));
        match mixed {
            Some(chunk) => Err(DecodeError::Mixed { chunk }),
            None => Ok(Self { info, chunks }),
        }
    }

    /// What the file says about the run.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The chunks, in order.
    #[must_use]
    pub fn chunks(&self) -> &[ChunkProof] {
        &self.chunks
    }

    /// The chunks, in order.
    #[must_use]
    pub fn into_chunks(self) -> Vec<ChunkProof> {
        self.chunks
    }

    /// The proofs as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(&EXECUTION_MAGIC).u16(FORMAT);
        self.info.write(&mut writer);
        if let Some(first) = self.chunks.first() {
            writer.bytes(&first.key.0);
            first.hints().write(&mut writer);
        }
        writer.len(self.chunks.len());
        for chunk in &self.chunks {
            write_chunk(&mut writer, chunk);
        }
        writer.finish()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// If the bytes are not the encoding of an execution's proofs.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::open(bytes, EXECUTION_MAGIC, FORMAT, "proof file")?;
        let info = RunInfo::read(&mut reader)?;
        let key = KeyId(reader.array()?);
        let hints = Hints::read(&mut reader)?;
        let count = reader.len("the number of chunks", MAX_CHUNKS, INSTANCE_BYTES)?;
        let mut chunks = Vec::with_capacity(count);
        for _ in 0..count {
            chunks.push(read_chunk(&mut reader, key, &hints)?);
        }
        reader.finish()?;
        Self::new(info, chunks)
    }
}

/// The trap's number, as instances carry it.
pub(crate) fn kind_code(kind: TrapKind) -> u8 {
    // `from_code` is the inverse of the cast that this crate's lints forbid.
    (0..=u8::MAX)
        .find(|code| TrapKind::from_code(*code) == Some(kind))
        .unwrap_or_default()
}

/// What all chunks of a run say about it, and no verifier believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(crate) pages: Arc<[u64]>,
    pub(crate) input: Arc<[u8]>,
    pub(crate) selection: Arc<Selection>,
}

impl Hints {
    /// The name of a hint that differs.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            ("pages", self.pages == other.pages),
            ("input", self.input == other.input),
            ("selection", self.selection == other.selection),
        ]
        .into_iter()
        .find_map(|(name, same)| (!same).then_some(name))
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.sized(&self.input);
        write_words(writer, &self.pages);
        match &*self.selection {
            Selection::Whole => {
                writer.u8(0);
            }
            Selection::Blocks(blocks) => {
                writer.u8(1);
                write_words(writer, blocks);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let input = reader.sized("the input", MAX_REGION)?.into();
        let pages = read_words(reader, "the list of pages", MAX_PAGES)?.into();
        let selection = match reader.u8()? {
            0 => Selection::Whole,
            1 => {
                let blocks = read_words(reader, "the list of blocks", MAX_BLOCKS)?;
                Selection::Blocks(blocks)
            }
            _ => {
                return Err(DecodeError::Value {
                    what: "the part of the program",
                });
            }
        };
        Ok(Self {
            pages,
            input,
            selection: Arc::new(selection),
        })
    }
}

fn write_words(writer: &mut Writer, words: &[u64]) {
    writer.len(words.len());
    for word in words {
        writer.u64(*word);
    }
}

fn read_words(
    reader: &mut Reader<'_>,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u64>, DecodeError> {
    let count = reader.len(what, limit, 8)?;
    (0..count).map(|_| reader.u64()).collect()
}

fn write_chunk(writer: &mut Writer, chunk: &ChunkProof) {
    for word in chunk.instance.to_words() {
        writer.u64(word);
    }
    writer.sized(&chunk.proof);
}

fn read_chunk(
    reader: &mut Reader<'_>,
    key: KeyId,
    hints: &Hints,
) -> Result<ChunkProof, DecodeError> {
    let mut words = [0; ChunkInstance::LEN];
    for word in &mut words {
        *word = reader.u64()?;
    }
    let instance = ChunkInstance::from_words(words).ok_or(DecodeError::Value {
        what: "a public flag",
    })?;
    let proof = reader.sized("a proof", MAX_PROOF_BYTES)?.to_vec();
    Ok(ChunkProof {
        key,
        instance,
        pages: Arc::clone(&hints.pages),
        input: Arc::clone(&hints.input),
        selection: Arc::clone(&hints.selection),
        proof,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::SrsKind;

    fn chunk(index: u64, pages: &Arc<[u64]>) -> ChunkProof {
        let words = std::array::from_fn(|i| if i < 2 { 1 } else { i as u64 * 0x101 });
        let mut instance = ChunkInstance::from_words(words).expect("flags are bits");
        instance.index = index;
        let proof = vec![index as u8; 70];
        ChunkProof {
            key: KeyId([9; 32]),
            instance,
            pages: Arc::clone(pages),
            input: [1, 2, 3, 4, 5].as_slice().into(),
            selection: Arc::new(Selection::Blocks(vec![0, 7, 1 << 40])),
            proof,
        }
    }

    fn sample(outcome: Outcome) -> ExecutionProof {
        let pages: Arc<[u64]> = [1, 2, 500].into();
        let info = RunInfo {
            program_id: [3; 32],
            dialect: "ebpf".to_owned(),
            k: 10,
            operand_bits: 4,
            srs: SrsIdentity {
                kind: SrsKind::File,
                digest: [4; 32],
            },
            outcome,
            steps: 20,
            compute_units: 21,
            budget: 1000,
            input_size: 8,
        };
        let chunks = (0..3).map(|i| chunk(i, &pages)).collect();
        ExecutionProof::new(info, chunks).expect("one run")
    }

    #[test]
    fn round_trips() {
        for kind in TrapKind::ALL {
            let proof = sample(Outcome::Trap { kind, pc: 7 });
            assert_eq!(ExecutionProof::from_bytes(&proof.to_bytes()), Ok(proof));
        }
        let proof = sample(Outcome::Halt { r0: u64::MAX });
        assert_eq!(
            ExecutionProof::from_bytes(&proof.to_bytes()),
            Ok(proof.clone())
        );
        let chunk = &proof.chunks()[1];
        assert_eq!(
            ChunkProof::from_bytes(&chunk.to_bytes()).as_ref(),
            Ok(chunk)
        );
    }

    #[test]
    fn every_truncation_and_extension_is_rejected() {
        let proof = sample(Outcome::Halt { r0: 1 });
        let (file, chunk) = (proof.to_bytes(), proof.chunks()[0].to_bytes());
        for end in 0..file.len() {
            assert!(ExecutionProof::from_bytes(&file[..end]).is_err(), "{end}");
        }
        for end in 0..chunk.len() {
            assert!(ChunkProof::from_bytes(&chunk[..end]).is_err(), "{end}");
        }
        for (mut bytes, is_file) in [(file, true), (chunk, false)] {
            bytes.push(0);
            let error = if is_file {
                ExecutionProof::from_bytes(&bytes).err()
            } else {
                ChunkProof::from_bytes(&bytes).err()
            };
            assert_eq!(error, Some(DecodeError::Trailing { count: 1 }));
        }
    }

    #[test]
    fn wrong_beginnings_are_named() {
        let mut bytes = sample(Outcome::Halt { r0: 1 }).to_bytes();
        assert_eq!(
            ChunkProof::from_bytes(&bytes),
            Err(DecodeError::Magic {
                what: "chunk proof"
            })
        );
        bytes[8] = 1;
        assert_eq!(
            ExecutionProof::from_bytes(&bytes),
            Err(DecodeError::Format {
                found: 1,
                supported: 3
            })
        );
    }

    #[test]
    fn huge_lengths_are_rejected_before_allocation() {
        let proof = sample(Outcome::Halt { r0: 1 });
        let bytes = proof.chunks()[0].to_bytes();
        let pages_at = 8 + 2 + 32 + 8;
        for length in [u64::MAX, 1 << 40, 1 << 16, 400] {
            let mut changed = bytes.clone();
            changed[pages_at..pages_at + 8].copy_from_slice(&u64::to_le_bytes(length));
            assert!(ChunkProof::from_bytes(&changed).is_err());
        }
    }

    #[test]
    fn chunks_of_different_runs_are_not_bundled() {
        let proof = sample(Outcome::Halt { r0: 1 });
        let (info, mut chunks) = (proof.info().clone(), proof.into_chunks());
        chunks[2].key = KeyId([8; 32]);
        assert_eq!(
            ExecutionProof::new(info.clone(), chunks),
            Err(DecodeError::Mixed { chunk: 2 })
        );
        assert!(ExecutionProof::new(info, Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = ChunkProof::from_bytes(&bytes);
            let _ = ExecutionProof::from_bytes(&bytes);
        }

        #[test]
        fn changed_files_decode_to_what_they_say(at in 10_usize..600, value in any::<u8>()) {
            let mut bytes = sample(Outcome::Halt { r0: 1 }).to_bytes();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(proof) = ExecutionProof::from_bytes(&bytes) {
                prop_assert_eq!(proof.to_bytes(), bytes);
            }
        }
    }
}
