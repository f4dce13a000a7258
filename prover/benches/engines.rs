//! CPU time and memory of both provers on one chunk, and of the fast one without special instructions.
//!
//! ```text
//! cargo bench -p prover --bench engines -- 14          # or -- 14 stock, -- 14 fast, -- 14 portable
//! ```

use std::error::Error;

use bpf_tracer::{Input, LoadOptions, Program, Tracer};
use engine::EngineKey;
use halo2_proofs::plonk::create_proof;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::Bn256;
use prover::{KeygenConfig, Stopwatch, peak_rss_bytes};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng};
use verifier::{ColumnStream, Lane, PublicColumn, chunk_transcript};
use zk_circuits::{ChunkCircuit, ChunkColumns, Committed, Plan};

#[expect(clippy::print_stdout, reason = "it prints figures")]
fn report(name: &str, watch: &Stopwatch) {
    let seconds = watch.cpu().unwrap_or_default().as_secs_f64();
    let peak = peak_rss_bytes().unwrap_or_default() >> 20;
    println!("{name:8} {seconds:.3} processor seconds, peak so far {peak} MiB");
}

fn slot(opcode: u8, dst: u8, offset: i16, imm: i32) -> [u8; 8] {
    let ([o0, o1], [i0, i1, i2, i3]) = (offset.to_le_bytes(), imm.to_le_bytes());
    [opcode, dst, o0, o1, i0, i1, i2, i3]
}

#[expect(clippy::print_stdout, reason = "it prints figures")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let k: u32 = arguments.next().map_or(Ok(14), |k| k.parse())?;
    let which = arguments.next().unwrap_or_else(|| "all".to_owned());
    let cache = std::env::temp_dir().join("zkbpf-engines");
    let config = KeygenConfig::new(k, cache, 8).with_insecure_test_srs();
    let keys = config.keys()?;
    // A loop that fills the chunk.
    let code = [
        slot(0xb7, 3, 0, i32::MAX),
        slot(0x27, 3, 0, 77),
        slot(0x07, 3, 0, -1),
        slot(0x55, 3, -3, 0),
        slot(0x95, 0, 0, 0),
    ];
    let program = Program::load(&code.concat(), &LoadOptions::default())?;
    let steps = keys.shape().rows() as u64 - 100;
    let trace = Tracer::new(&program)
        .input(Input::default())
        .step_limit(steps)
        .trace()?;
    let plan = Plan::new(&trace, keys.shape(), None)?;
    let mut streams = Committed::ALL.map(|column| match column {
        Committed::Pages => ColumnStream::public(PublicColumn::Pages),
        Committed::Code => ColumnStream::public(PublicColumn::Code),
        Committed::Immediate => ColumnStream::public(PublicColumn::Immediate),
        Committed::Target => ColumnStream::public(PublicColumn::Target),
        column => ColumnStream::boundary(&[7; 32], column as u64, Lane::Private),
    });
    let reserved = streams.each_mut().map(ColumnStream::reserved);
    let witness = plan.witness(0, &reserved)?;
    let instance = witness.instance().to_fields();
    println!("k = {k}, {} rows used", witness.used_rows());
    let runs = |name: &str| {
        if which == "all" || which == name {
            3
        } else {
            0
        }
    };
    for _ in 0..runs("stock") {
        let (start, circuit) = (Stopwatch::start(), ChunkCircuit::new(witness.clone()));
        let mut transcript = chunk_transcript(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            keys.params(),
            keys.proving_key(),
            &[circuit],
            &[&[&instance]],
            OsRng,
            &mut transcript,
        )?;
        report("stock", &start);
    }
    let proving = keys.proving_key();
    let fast = |name: &str, key: &EngineKey| -> Result<(), Box<dyn Error>> {
        for _ in 0..runs(name) {
            let start = Stopwatch::start();
            let mut columns = ChunkColumns::new(witness.clone());
            let mut transcript = chunk_transcript(Vec::new());
            engine::create_proof_with_columns(
                key,
                proving,
                |phase, known, challenges| columns.phase(proving, phase, known, challenges),
                &[&instance],
                ChaCha20Rng::from_seed([1; 32]),
                &mut transcript,
            )?;
            report(name, &start);
        }
        Ok(())
    };
    if runs("portable") > 0 {
        fast("portable", &EngineKey::portable(keys.params(), proving))?;
    }
    fast("fast", keys.engine_key())
}
