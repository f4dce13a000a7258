//! Proves what `programs/filter.c`, a packet filter, decides about a frame, and verifies the decision as someone would
//! who knows filter and frame but has no BPF.
//!
//! ```text
//! cargo run --release --example filter_decision
//! ```

use std::error::Error;
use std::io::{Write, stdout};

use zkbpf::{
    Claim, ExpectedOutcome, Input, KeygenConfig, LoadOptions, Outcome, Program, Tracer,
    prove_execution_chunked, verify_execution,
};

/// Written by `clang -O2 -target bpf -mcpu=v3 -c`.
const FILTER: &[u8] = include_bytes!("programs/filter.o");
/// What the filter returns.
const ACCEPT: u64 = 1;
const DROP: u64 = 0;
/// One chunk of 2^10 rows.
const K: u32 = 10;

/// A TCP segment from 192.0.2.1 to a port of 198.51.100.7, up to the ports.
fn frame(port: u16) -> Vec<u8> {
    let mut ip = [
        0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7,
    ];
    let words = ip
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let checksum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let ports = [50_000_u16.to_be_bytes(), port.to_be_bytes()].concat();
    [&ethernet[..], &ip, &ports].concat()
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    let program = Program::load(FILTER, &LoadOptions::default())?;
    let keys = tempfile::tempdir()?;
    let config = KeygenConfig::new(K, keys.path(), 8).with_insecure_test_srs();
    for (port, verdict) in [(443, ACCEPT), (23, DROP)] {
        let input = Input::from_bytes(frame(port));

        // Who has the frame runs the filter, and proves it.
        let trace = Tracer::new(&program).input(input.clone()).trace()?;
        let proofs = prove_execution_chunked(&trace, &config)?;

        // Who relies on the decision says what it should be.
        let claim = Claim {
            outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: verdict }),
            ..Claim::new(program.clone(), input)
        };
        let key = config.verifying_key()?;
        let statement = verify_execution(&proofs, &claim, &key)?;
        writeln!(
            out,
            "attested: filter {} decides {verdict} about a segment to port {port}, in {} steps",
            hex::encode(&statement.program_id[..8]),
            statement.steps,
        )?;

        // No other decision has a proof.
        let other = Claim {
            outcome: ExpectedOutcome::Exactly(Outcome::Halt { r0: 1 - verdict }),
            ..claim
        };
        if verify_execution(&proofs, &other, &key).is_ok() {
            return Err("a proof of both decisions".into());
        }
    }
    Ok(())
}
