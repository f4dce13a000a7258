//! One proof for any number of chunks, at full size: leaves and nodes of 2^20 rows, a root of 2^21.
//!
//! Takes about an hour and 10 GiB; finished proofs and keys stay in the directory that
//! `ZKBPF_AGGREGATION_DIR` names (without it, in the target directory), and are taken up again:
//!
//! ```sh
//! cargo test --release --test aggregation -- --ignored --nocapture --test-threads 1
//! ```

mod asm;
#[path = "../src/cli/documented/tables.rs"]
mod documented;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use asm::{EXIT, Fields, bytecode};
use halo2_proofs::dev::MockProver;
use halo2curves::bn256::{Fr, G1Affine};
use zkbpf::aggregation::{AggregationCircuit, AggregationShape, Layer, Snark};
use zkbpf::evm_verifier::dev::{Called, Deployment, DevError, Solc};
use zkbpf::evm_verifier::{MAX_CODE_BYTES, aggregate_calldata, export_aggregate};
use zkbpf::prover::{Aggregator, LayerKind, SpanProof, Stopwatch, peak_rss_bytes};
use zkbpf::verifier::{AggregateError, ClaimError, VerifyError};
use zkbpf::{
    AggregateProof, AggregationConfig, AggregationEvent, Claim, ExecutionProof, ExecutionTrace,
    ExpectedOutcome, KeygenConfig, Outcome, aggregate_observed, claim_of, execute_and_trace,
    prove_execution_chunked, run_info, verify_aggregate, verify_execution,
};

/// Steps of the run that is proved in 1, 2, 3 and 5 chunks.
const STEPS: usize = 30;

/// What the run returns.
const STEPS_AS_R0: usize = STEPS - 1;

/// `r0 = 1; r0 += 1; …; exit`
fn program() -> Vec<u8> {
    let mut slots: Vec<Fields> = vec![(0xb7, 0, 0, 0, 1)];
    slots.resize(STEPS - 1, (0x07, 0, 0, 0, 1));
    slots.push(EXIT);
    bytecode(&slots)
}

fn trace() -> ExecutionTrace {
    execute_and_trace(&program()).expect("a valid program")
}

fn directory() -> PathBuf {
    std::env::var_os("ZKBPF_AGGREGATION_DIR").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("aggregation"),
        PathBuf::from,
    )
}

fn config(chunks: usize) -> KeygenConfig {
    KeygenConfig::new(10, directory().join("keys"), 8)
        .with_chunk_size(STEPS.div_ceil(chunks))
        .with_insecure_test_srs()
}

fn read<T>(path: &Path, parse: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    parse(&std::fs::read(path).ok()?)
}

/// The chunk proofs of the run: those of an earlier test run, or new ones.
fn chunk_proofs(trace: &ExecutionTrace, chunks: usize) -> ExecutionProof {
    let config = config(chunks);
    let key = config.verifying_key().expect("keys");
    let path = directory().join(format!("chunks-{chunks}.proof"));
    let stored = read(&path, |bytes| ExecutionProof::from_bytes(bytes).ok())
        .filter(|proof| verify_execution(proof.chunks(), &claim_of(trace), &key).is_ok());
    let proof = stored.unwrap_or_else(|| {
        let proofs = prove_execution_chunked(trace, &config).expect("proved");
        let info = run_info(trace, &config).expect("keys");
        let proof = ExecutionProof::new(info, proofs).expect("one run");
        std::fs::write(&path, proof.to_bytes()).expect("written");
        proof
    });
    assert_eq!(proof.chunks().len(), chunks);
    proof
}

/// Prints a line for each job, with its time and the process's peak memory since the job before.
#[expect(clippy::print_stderr, reason = "the table is what the test shows")]
fn aggregated(trace: &ExecutionTrace, chunks: usize) -> AggregateProof {
    let proof = chunk_proofs(trace, chunks);
    let config = AggregationConfig::new(&config(chunks)).with_work_dir(directory().join("jobs"));
    let key = config.key().expect("keys");
    let path = directory().join(format!("aggregate-{chunks}.proof"));
    let stored = read(&path, |bytes| AggregateProof::from_bytes(bytes).ok())
        .filter(|proof| verify_aggregate(proof, &claim_of(trace), &key).is_ok());
    if let Some(proof) = stored {
        return proof;
    }
    let started = Mutex::new(Stopwatch::start());
    let observer = |event| match event {
        AggregationEvent::Started {
            layer,
            shape,
            cells,
        } => {
            *started.lock().expect("unpoisoned") = Stopwatch::start();
            reset_peak();
            eprintln!(
                "{chunks} chunks: {} with {cells} cells, {} + {} columns, k = {}",
                layer.name(),
                shape.advice,
                shape.lookup_advice,
                shape.k
            );
        }
        AggregationEvent::Finished { layer, reused } => {
            let watch = *started.lock().expect("unpoisoned");
            eprintln!(
                "{chunks} chunks: {} {}: {:.0} s, {:.0} CPU s, peak {:.1} GiB",
                layer.name(),
                if reused { "reused" } else { "proved" },
                watch.elapsed().as_secs_f64(),
                watch.cpu().unwrap_or_default().as_secs_f64(),
                peak_gib(),
            );
        }
        _ => {}
    };
    let aggregate = aggregate_observed(&proof, &config, observer).expect("aggregated");
    std::fs::write(&path, aggregate.to_bytes()).expect("written");
    aggregate
}

fn reset_peak() {
    // Linux only; elsewhere the figure is the whole process's.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_gib() -> f64 {
    peak_rss_bytes().unwrap_or_default() as f64 / f64::from(1 << 30)
}

#[test]
#[ignore = "an hour and 10 GiB; the command is at the top of the file"]
#[expect(clippy::print_stderr, reason = "the table is what the test shows")]
fn one_two_three_and_five_chunks_end_as_one_proof() {
    std::fs::create_dir_all(directory()).expect("writable");
    let trace = trace();
    let claim = claim_of(&trace);
    let counts: Vec<usize> = std::env::var("ZKBPF_AGGREGATION_CHUNKS")
        .map(|list| {
            let count = |count: &str| count.parse().expect("a number of chunks");
            list.split(',').map(count).collect()
        })
        .unwrap_or_else(|_| vec![1, 2, 3, 5]);
    let key = AggregationConfig::new(&config(1)).key().expect("keys");
    let mut lengths = Vec::new();
    for chunks in counts {
        let proof = aggregated(&trace, chunks);
        let start = Instant::now();
        let statement = verify_aggregate(&proof, &claim, &key).expect("valid");
        let took = start.elapsed();
        assert_eq!(statement.outcome, trace.outcome());
        assert_eq!(statement.steps, STEPS as u64);
        eprintln!(
            "{chunks} chunks: {} bytes of proof, {} of file, verified in {:.1} ms",
            proof.proof.len(),
            proof.to_bytes().len(),
            took.as_secs_f64() * 1e3
        );
        assert_eq!(
            AggregateProof::from_bytes(&proof.to_bytes()).as_ref(),
            Ok(&proof)
        );
        lengths.push(proof.proof.len());
        refused(&proof, &claim, &key);
    }
    assert!(
        lengths
            .iter()
            .all(|length| *length == lengths[0] && *length <= 4096)
    );
}

/// Everything else than the proof and its claim is refused.
fn refused(proof: &AggregateProof, claim: &Claim, key: &zkbpf::AggregateKey) {
    let error = |proof: &AggregateProof, claim: &Claim| {
        verify_aggregate(proof, claim, key).expect_err("must be refused")
    };
    let aggregate = |reason| VerifyError::Aggregate { reason };
    let other = Claim {
        outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 7 }),
        ..claim.clone()
    };
    assert!(matches!(
        error(proof, &other),
        VerifyError::Run {
            reason: ClaimError::Outcome { .. }
        }
    ));

    // What the file says is bound by the digest.
    let mut changed = proof.clone();
    changed.run.r0 ^= 1;
    assert_eq!(error(&changed, claim), aggregate(AggregateError::Invalid));
    let mut changed = proof.clone();
    changed.run.steps += 1;
    assert_eq!(error(&changed, claim), aggregate(AggregateError::Invalid));
    // Points of another accumulator, one that holds or not.
    for accumulator in [
        [proof.accumulator[1], proof.accumulator[0]],
        [key.chunk_key().g_lagrange()[0], proof.accumulator[1]],
    ] {
        let mut changed = proof.clone();
        changed.accumulator = accumulator;
        assert_eq!(error(&changed, claim), aggregate(AggregateError::Invalid));
    }
    for bit in 0..proof.proof.len() * 8 {
        let mut changed = proof.clone();
        changed.proof[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(
            error(&changed, claim),
            VerifyError::Aggregate { .. }
        ));
    }
    for length in 0..proof.proof.len() {
        let mut changed = proof.clone();
        changed.proof.truncate(length);
        let (found, expected) = (length, proof.proof.len());
        let reason = AggregateError::Length { found, expected };
        assert_eq!(error(&changed, claim), aggregate(reason));
    }
}

/// The spans of the run in two chunks: both leaves and their node.
fn spans(trace: &ExecutionTrace, aggregator: &Aggregator) -> [SpanProof; 3] {
    let proof = chunk_proofs(trace, 2);
    let quiet = |_: AggregationEvent| ();
    let [first, second] = [0, 1].map(|chunk| {
        let chunk = &proof.chunks()[chunk];
        aggregator.leaf(chunk, &quiet).expect("proved")
    });
    let node = aggregator.node(&first, &second, &quiet).expect("proved");
    [first, second, node]
}

/// Whether a circuit's constraints hold.
fn accepts(shape: AggregationShape, layer: &Layer<'_>) -> bool {
    let circuit = AggregationCircuit::mock(shape, G1Affine::generator(), layer).expect("parses");
    let instance = circuit.instance();
    let prover = MockProver::run(shape.k, &circuit.builder, vec![instance]).expect("fits");
    prover.verify().is_ok()
}

/// Forgeries that native checks would catch before, put into the circuits themselves.
#[test]
#[ignore = "minutes and 10 GiB, after the test above; the command is at the top of the file"]
#[expect(clippy::print_stderr, reason = "progress of minutes")]
fn circuits_refuse_forged_spans() {
    std::fs::create_dir_all(directory()).expect("writable");
    let trace = trace();
    let config = AggregationConfig::new(&config(2)).with_work_dir(directory().join("jobs"));
    let aggregator = Aggregator::new(&config).expect("keys");
    let chunk_key = config.key().expect("keys").chunk_key().id();
    let spans = spans(&trace, &aggregator);
    let [first, second, node] =
        [0, 1, 2].map(|i: usize| aggregator.checked(&spans[i]).expect("valid"));
    let [leaf_key, node_key] =
        [LayerKind::Leaf, LayerKind::Node].map(|kind| aggregator.key_hash(kind).expect("keys"));
    let (k, root_k) = (AggregationConfig::SPAN_K, AggregationConfig::ROOT_K);
    let shape = |k: u32| AggregationShape {
        k,
        advice: if k == root_k { 3 } else { 9 },
        lookup_advice: 1,
    };
    let joined = |left: &Snark, right: &Snark, leaf_key: Fr, node_key: Fr| {
        accepts(
            shape(k),
            &Layer::Node {
                left,
                right,
                leaf_key,
                node_key,
            },
        )
    };
    let whole = |span: &Snark, leaf_key: Fr, node_key: Fr| {
        accepts(
            shape(root_k),
            &Layer::Root {
                span,
                leaf_key,
                node_key,
                chunk_key,
            },
        )
    };
    let mut foreign_start = first.clone();
    foreign_start.protocol.transcript_initial_state = Some(Fr::from(7));
    let mut forged_link = second.clone();
    // The steps before the second chunk: 12 limbs, the node key, then the span.
    forged_link.instance[13 + 8] += Fr::one();

    let honest = joined(&first, &second, leaf_key, node_key);
    assert!(honest, "the honest node");
    for (name, accepted) in [
        ("reordered", joined(&second, &first, leaf_key, node_key)),
        ("repeated", joined(&first, &first, leaf_key, node_key)),
        ("a link", joined(&first, &forged_link, leaf_key, node_key)),
        (
            "another leaf key",
            joined(&first, &second, node_key, leaf_key),
        ),
        (
            "another start of the transcript",
            joined(&foreign_start, &second, leaf_key, node_key),
        ),
    ] {
        eprintln!(
            "node: {name}: {}",
            if accepted { "accepted" } else { "refused" }
        );
        assert!(!accepted, "{name}");
    }
    let honest = whole(&node, leaf_key, node_key);
    assert!(honest, "the honest root");
    for (name, accepted) in [
        ("the first half of a run", whole(&first, leaf_key, node_key)),
        (
            "the second half of a run",
            whole(&second, leaf_key, node_key),
        ),
        (
            "another node key",
            whole(&node, leaf_key, node_key + Fr::one()),
        ),
    ] {
        eprintln!(
            "root: {name}: {}",
            if accepted { "accepted" } else { "refused" }
        );
        assert!(!accepted, "{name}");
    }

    // At the level of accumulators, outside of circuits: what the verifier of the root decides.
    let refused = |proof: SpanProof| aggregator.checked(&proof).expect_err("must be refused");
    for span in &spans {
        for value in (0..span.instance().len()).step_by(3) {
            let mut bytes = span.to_bytes();
            // Behind magic, format and layer.
            bytes[10 + 32 * value] ^= 1;
            if let Some(forged) = SpanProof::from_bytes(&bytes) {
                refused(forged);
            }
        }
    }
    // A leaf where a node is expected, and the reverse.
    for span in &spans {
        let mut bytes = span.to_bytes();
        bytes[9] ^= 1;
        refused(SpanProof::from_bytes(&bytes).expect("well-formed"));
    }
}

/// The aggregates, verified by their contract in an EVM.
#[test]
#[ignore = "after the first test; the command is at the top of the file"]
#[expect(clippy::print_stderr, reason = "the figures are what the test shows")]
fn aggregates_are_verified_on_an_evm() {
    let trace = trace();
    let key = AggregationConfig::new(&config(1)).key().expect("keys");
    let solc = match Solc::install(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(solc) => solc,
        Err(DevError::Unavailable(reason)) => {
            eprintln!("\n!! SKIPPED: no contract is tested: no solc: {reason}\n");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let slots = trace.program().instructions().len() as u32;
    let proofs: Vec<_> = [1, 2, 3, 5]
        .into_iter()
        .filter_map(|chunks| {
            let path = directory().join(format!("aggregate-{chunks}.proof"));
            read(&path, |bytes| AggregateProof::from_bytes(bytes).ok()).map(|proof| (chunks, proof))
        })
        .collect();
    let (_, first) = proofs.first().expect("the first test leaves aggregates");
    let contracts = export_aggregate(first, &key, slots).expect("a root circuit");
    let mut deployment = Deployment::new(&solc, &contracts).expect("deployed");
    let sizes =
        [&deployment.verifier_code, &deployment.wrapper_code].map(|code| code.runtime.len());
    eprintln!(
        "contracts of {} and {} bytes, deployed for {} and {} gas",
        sizes[0], sizes[1], deployment.verifier.gas, deployment.wrapper.gas
    );
    assert!(sizes.iter().all(|size| *size <= MAX_CODE_BYTES));
    for (chunks, proof) in &proofs {
        // The same contract for all of them: how a run was cut is no part of what it is.
        let calldata = aggregate_calldata(proof, &key).expect("a run");
        let Called::Returned { gas, .. } = deployment.call(&calldata) else {
            panic!("{chunks} chunks: {:?}", deployment.call(&calldata));
        };
        eprintln!(
            "{chunks} chunks: {gas} gas, {} bytes of calldata",
            calldata.len()
        );
        assert!(deployment.call(&calldata).is_true());
    }

    let calldata = aggregate_calldata(first, &key).expect("a run");
    let order = (-Fr::one()).to_bytes();
    let mut mutations = 0;
    let mut reverts = |mutated: &[u8]| {
        assert_ne!(mutated, calldata);
        let called = deployment.call(mutated);
        assert!(matches!(called, Called::Reverted { .. }), "{called:?}");
        mutations += 1;
    };
    for word in (4..calldata.len()).step_by(32) {
        let end = calldata.len().min(word + 32);
        let changed = |change: &dyn Fn(&mut [u8])| {
            let mut mutated = calldata.clone();
            change(&mut mutated[word..end]);
            mutated
        };
        for bit in [0, 77, 200, 255] {
            reverts(&changed(&|bytes| bytes[bit / 8] ^= 1 << (bit % 8)));
        }
        reverts(&changed(&|bytes| add(bytes, &order, 1)));
        reverts(&changed(&|bytes| add(bytes, &[], 1)));
        let zeroed = changed(&|bytes| bytes.fill(0));
        if zeroed != calldata {
            reverts(&zeroed);
        }
        reverts(&calldata[..word]);
        reverts(&calldata[..word + 16]);
        let mut doubled = calldata.clone();
        doubled.splice(word..word, calldata[word..end].iter().copied());
        reverts(&doubled);
        let mut left_out = calldata.clone();
        left_out.drain(word..end);
        reverts(&left_out);
    }
    for extra in [1, 32, 3200] {
        reverts(&[&calldata[..], &vec![0; extra]].concat());
    }
    eprintln!("{mutations} mutated calldatas, all reverted");
    assert!(mutations >= 1000);
}

/// The verbs of the command line that take an aggregate.
#[test]
#[ignore = "after the first test; the command is at the top of the file"]
fn the_command_line_takes_aggregates() {
    let program = hex::encode(program());
    let file = directory().join("aggregate-2.proof");
    let (file, keys) = (file.to_str().expect("UTF-8"), directory().join("keys"));
    let keys = keys.to_str().expect("UTF-8");
    let zkbpf = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_zkbpf"))
            .args(arguments)
            .args(["--json", "--insecure-test-srs", "--cache-dir", keys])
            .output()
            .expect("the binary runs");
        let json: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("one object of JSON");
        (output.status.code(), json)
    };
    let verify = ["verify", file, "--raw-hex", &program, "--input-size", "0"];
    let (code, json) = zkbpf(&[&verify[..], &["--expect-r0", &STEPS_AS_R0.to_string()]].concat());
    assert_eq!((code, &json["valid"]), (Some(0), &true.into()), "{json}");
    assert_eq!(
        (&json["steps"], &json["chunks"]),
        (&STEPS.into(), &serde_json::Value::Null)
    );
    let (code, json) = zkbpf(&[&verify[..], &["--expect-r0", "1"]].concat());
    assert_eq!((code, &json["valid"]), (Some(1), &false.into()), "{json}");

    let (code, json) = zkbpf(&["inspect", file]);
    assert_eq!(
        (code, &json["aggregate"]),
        (Some(0), &true.into()),
        "{json}"
    );
    assert_eq!(json["verified"], false);

    let contracts = directory().join("contracts");
    let contracts = contracts.to_str().expect("UTF-8");
    // The file names its program, which `verify` has put into the cache.
    let (code, json) = zkbpf(&["export-verifier", file, "--evm", "-o", contracts]);
    assert_eq!((code, &json["insecure"]), (Some(0), &true.into()), "{json}");
    documented::assert_documented("### `export-verifier --json`", &[&json]);
    for name in ["Halo2Verifier.sol", "ZkbpfVerifier.sol"] {
        let source = std::fs::read_to_string(Path::new(contracts).join(name)).expect("written");
        assert!(source.starts_with("// INSECURE"), "{name}");
    }
    // The finished parts of the first test are taken up.
    let (chunks, again) = (
        directory().join("chunks-2.proof"),
        directory().join("again.proof"),
    );
    let (chunks, again) = (
        chunks.to_str().expect("UTF-8"),
        again.to_str().expect("UTF-8"),
    );
    let jobs = directory().join("jobs");
    let parts = ["--work-dir", jobs.to_str().expect("UTF-8")];
    let (code, json) = zkbpf(&[&["aggregate", chunks, "-o", again], &parts[..]].concat());
    assert_eq!((code, &json["verified"]), (Some(0), &true.into()), "{json}");
    documented::assert_documented("### `aggregate --json`", &[&json]);
    // An aggregate is aggregated once.
    let (code, _) = zkbpf(&["aggregate", file, "-o", "unused"]);
    assert_eq!(code, Some(3));
}

/// Adds a little-endian number and a small one to a big-endian word.
fn add(word: &mut [u8], number: &[u8], small: u16) {
    let mut carry = small;
    let number = number.iter().copied().chain(std::iter::repeat(0));
    for (byte, addend) in word.iter_mut().rev().zip(number) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}
