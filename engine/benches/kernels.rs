//! The kernels beside halo2's, on one thread: `RAYON_NUM_THREADS=1 cargo bench -p engine`.

#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::kernels::{self, Fft, Msm};
use ff::{Field, PrimeField};
use group::{Curve, Group};
use halo2_proofs::arithmetic::{best_fft, best_multiexp};
use halo2_proofs::poly::EvaluationDomain;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

const SIZES: [u32; 2] = [14, 17];

fn fft(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for log in SIZES {
        let values: Vec<Fr> = (0..1 << log).map(|_| Fr::random(&mut rng)).collect();
        let domain = EvaluationDomain::<Fr>::new(2, log);
        let (fast, portable) = (Fft::new(log), Fft::portable(log));
        let mut group = criterion.benchmark_group(format!("fft 2^{log}"));
        group.sample_size(20);
        group.bench_function("stock", |bencher| {
            bencher.iter(|| {
                let mut values = values.clone();
                let data = domain.get_fft_data(values.len());
                best_fft(&mut values, domain.get_omega(), log, data, false);
                black_box(values)
            });
        });
        group.bench_function("engine", |bencher| {
            bencher.iter(|| fast.values(&values));
        });
        group.bench_function("portable", |bencher| {
            bencher.iter(|| portable.values(&values));
        });
    }
}

fn points(count: usize) -> Vec<G1Affine> {
    let mut sums = Vec::with_capacity(count);
    // Powers of two: sums of any two are different, as with a setup's points.
    let mut sum = G1::random(ChaCha20Rng::seed_from_u64(2));
    for _ in 0..count {
        sums.push(sum);
        sum = sum.double();
    }
    let mut points = vec![G1Affine::default(); count];
    G1::batch_normalize(&sums, &mut points);
    points
}

fn msm(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for log in SIZES {
        let points = points(1 << log);
        let (fast, portable) = (Msm::new(&points), Msm::portable(&points));
        for (name, bits) in [
            ("full", 254),
            ("64 bits", 64),
            ("16 bits", 16),
            ("booleans", 1),
            ("zeros", 0),
        ] {
            let mut column: Vec<Fr> = (0..1 << log)
                .map(|_| match bits {
                    254 => Fr::random(&mut rng),
                    0 => Fr::ZERO,
                    bits => Fr::from(rng.next_u64() >> (64 - bits)),
                })
                .collect();
            if bits > 0 {
                // As a prover's columns, with blinding at the end.
                for value in column.iter_mut().rev().take(6) {
                    *value = Fr::random(&mut rng);
                }
            }
            let mut group = criterion.benchmark_group(format!("commitment 2^{log} {name}"));
            group.sample_size(10);
            group.bench_function("stock", |bencher| {
                bencher.iter(|| best_multiexp(&column, &points));
            });
            group.bench_function("engine", |bencher| {
                bencher.iter(|| fast.sum(&column));
            });
            group.bench_function("portable", |bencher| {
                bencher.iter(|| portable.sum(&column));
            });
        }
    }
}

/// Products in registers: elements a second.
fn products(criterion: &mut Criterion) {
    const ROUNDS: usize = 1000;
    let mut group = criterion.benchmark_group("products");
    group.throughput(Throughput::Elements(4 * ROUNDS as u64));
    group.bench_function("stock", |bencher| {
        bencher.iter(|| {
            let mut values = [black_box(Fr::MULTIPLICATIVE_GENERATOR); 4];
            for _ in 0..ROUNDS {
                values = values.map(|value| value * Fr::MULTIPLICATIVE_GENERATOR);
            }
            values
        });
    });
    for (name, products) in [
        ("engine", kernels::products as fn(usize) -> _),
        ("portable", kernels::portable_products),
    ] {
        let (_, count) = products(ROUNDS);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| products(black_box(ROUNDS)));
        });
    }
}

criterion_group!(benches, products, fft, msm);
criterion_main!(benches);
