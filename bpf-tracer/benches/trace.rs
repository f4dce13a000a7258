//! Steps a second, traced and not.
#![expect(missing_docs, reason = "criterion's macro writes a public function")]

use std::path::Path;

use bpf_tracer::instruction::Slot;
use bpf_tracer::{Input, LoadOptions, Program, Tracer};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// Stores and loads a running sum, 100,000 times.
fn loop_with_memory() -> Vec<u8> {
    let slots = [
        (0xb7, 1, 0, 0, 100_000), // r1 = 100000
        (0x7b, 10, 1, -8, 0),     // *(u64 *)(r10 - 8) = r1
        (0x79, 2, 10, -8, 0),     // r2 = *(u64 *)(r10 - 8)
        (0x0f, 0, 2, 0, 0),       // r0 += r2
        (0x27, 0, 0, 0, 31),      // r0 *= 31
        (0x63, 10, 0, -16, 0),    // *(u32 *)(r10 - 16) = r0
        (0x17, 1, 0, 0, 1),       // r1 -= 1
        (0x55, 1, 0, -7, 0),      // if r1 != 0 goto -7
        (0x95, 0, 0, 0, 0),       // exit
    ];
    let encode = |(opcode, dst, src, offset, imm)| {
        Slot {
            opcode,
            dst,
            src,
            offset,
            imm,
        }
        .encode()
    };
    slots.into_iter().flat_map(encode).collect()
}

fn bench(criterion: &mut Criterion) {
    let mut programs = vec![("loop", loop_with_memory(), Input::default())];
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, size) in [("fib", 20_000_u64), ("sort", 512)] {
        let path = manifest.join(format!("../../shared/corpora/programs/{name}.bpfv3.o"));
        let input = Input::from_bytes(size.to_le_bytes()).with_region_size(32 << 10);
        if let Ok(bytes) = std::fs::read(path) {
            programs.push((name, bytes, input));
        }
    }
    for (name, bytes, input) in programs {
        let program = Program::load(&bytes, &LoadOptions::default()).expect("a valid program");
        let tracer = Tracer::new(&program).input(input);
        let steps = tracer.clone().run().expect("a small input").steps;
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(steps));
        group.bench_function("trace", |bencher| {
            bencher.iter_batched(|| tracer.clone(), Tracer::trace, BatchSize::LargeInput);
        });
        group.bench_function("run", |bencher| {
            bencher.iter_batched(|| tracer.clone(), Tracer::run, BatchSize::LargeInput);
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
