//! `inspect`: what a proof file says, believed by nobody.

use std::fmt::Write;

use serde::Serialize;
use zkbpf::ChunkProof;
use zkbpf::zk_circuits::Selection;

use super::args::{Common, Inspect};
use super::output::{self, OutcomeJson, SrsJson};
use super::proof_file::ProofFile;
use super::{Ending, Failure};

#[derive(Serialize)]
struct InspectJson {
    /// Always false: nothing was checked.
    verified: bool,
    program_id: String,
    isa: String,
    #[serde(flatten)]
    outcome: OutcomeJson,
    steps: u64,
    compute_units: u64,
    /// Most steps, of sBPF programs most compute units.
    max_steps: u64,
    input_size: u64,
    k: u32,
    #[serde(flatten)]
    srs: SrsJson,
    key: String,
    pages: usize,
    /// Whether the program table holds all of the program, not only what the run needed.
    whole_program: bool,
    proof_bytes: usize,
    /// Whether it is one proof for all chunks.
    aggregate: bool,
    /// Not there for an aggregate.
    chunks: Option<Vec<ChunkJson>>,
}

#[derive(Serialize)]
struct ChunkJson {
    index: u64,
    steps_in: u64,
    steps_out: u64,
    units_in: u64,
    units_out: u64,
    pc_in: u64,
    pc_out: u64,
    depth_in: u64,
    depth_out: u64,
    running_out: bool,
    proof_bytes: usize,
}

fn chunk_json(chunk: &ChunkProof) -> ChunkJson {
    let instance = &chunk.instance;
    ChunkJson {
        index: instance.index,
        steps_in: instance.steps_in,
        steps_out: instance.steps_out,
        units_in: instance.units_in,
        units_out: instance.units_out,
        pc_in: instance.pc_in,
        pc_out: instance.pc_out,
        depth_in: instance.depth_in,
        depth_out: instance.depth_out,
        running_out: instance.running_out,
        proof_bytes: chunk.proof.len(),
    }
}

pub(crate) fn execute(args: &Inspect, common: &Common) -> Result<Ending, Failure> {
    let (proof, proof_bytes) =
        ProofFile::read(&args.file).map_err(|error| error.failure(&args.file))?;
    let info = proof.info();
    let (key, pages, selection, chunks) = match &proof {
        ProofFile::Chunks(proof) => {
            let Some(first) = proof.chunks().first() else {
                return Err(Failure::defect("there are no chunks"));
            };
            let chunks = proof.chunks().iter().map(chunk_json).collect();
            (first.key, first.pages.len(), &first.selection, Some(chunks))
        }
        ProofFile::Aggregate(proof) => (proof.key, proof.pages().len(), proof.selection(), None),
    };
    let json = InspectJson {
        verified: false,
        program_id: hex::encode(info.program_id),
        isa: info.dialect.clone(),
        outcome: info.outcome.into(),
        steps: info.steps,
        compute_units: info.compute_units,
        max_steps: info.budget,
        input_size: info.input_size,
        k: info.k,
        srs: info.srs.into(),
        aggregate: chunks.is_none(),
        key: key.to_string(),
        pages,
        whole_program: **selection == Selection::Whole,
        proof_bytes,
        chunks,
    };

    let parts = json.chunks.as_ref().map_or_else(
        || "one proof for all chunks".to_owned(),
        |chunks| output::chunks(chunks.len()),
    );
    let mut text = format!(
        "NOT VERIFIED: this is what the file says; `zkbpf verify` checks it.\n\
         outcome     {}\nsteps       {}\nunits       {} of at most {}\ninput       {} bytes\nisa         {}\n\
         circuit     k = {}, {}, {} bytes in all\nsrs         {}\nkey         {}\n\
         program id  {}",
        info.outcome,
        json.steps,
        json.compute_units,
        json.max_steps,
        json.input_size,
        json.isa,
        json.k,
        parts,
        json.proof_bytes,
        json.srs.text(),
        json.key,
        json.program_id
    );
    json.srs.warn(&mut text);
    for chunk in json.chunks.iter().flatten() {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n  chunk {:>4}: steps {} to {}, place {} to {}",
            chunk.index, chunk.steps_in, chunk.steps_out, chunk.pc_in, chunk.pc_out
        );
    }
    output::done(common, &json, &text)
}
