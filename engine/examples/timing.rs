//! CPU time of the kernels and of halo2's, on one thread.
use engine::kernels::{Fft, Msm};
use ff::Field;
use group::{Curve, Group};
use halo2_proofs::arithmetic::{best_fft, best_multiexp};
use halo2_proofs::poly::EvaluationDomain;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

fn now() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 * 1e3 + t.tv_nsec as f64 * 1e-6
}
fn best<T>(mut f: impl FnMut() -> T) -> f64 {
    (0..8)
        .map(|_| {
            let s = now();
            let r = f();
            let t = now() - s;
            drop(r);
            t
        })
        .fold(f64::MAX, f64::min)
}
#[expect(clippy::print_stdout, reason = "it prints")]
fn main() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for log in [14, 17] {
        let values: Vec<Fr> = (0..1 << log).map(|_| Fr::random(&mut rng)).collect();
        let domain = EvaluationDomain::<Fr>::new(2, log);
        let (fast, portable) = (Fft::new(log), Fft::portable(log));
        println!(
            "fft {log}: stock {:.2} engine {:.2} portable {:.2}",
            best(|| {
                let mut v = values.clone();
                best_fft(
                    &mut v,
                    domain.get_omega(),
                    log,
                    domain.get_fft_data(1 << log),
                    false,
                );
                v
            }),
            best(|| fast.values(&values)),
            best(|| portable.values(&values))
        );
        let mut sum = G1::random(&mut rng);
        let sums: Vec<G1> = (0..1 << log)
            .map(|_| {
                sum = sum.double();
                sum
            })
            .collect();
        let mut points = vec![G1Affine::default(); sums.len()];
        G1::batch_normalize(&sums, &mut points);
        let (fast, portable) = (Msm::new(&points), Msm::portable(&points));
        for bits in [254, 64, 16, 1, 0] {
            let mut column: Vec<Fr> = (0..1 << log)
                .map(|_| match bits {
                    254 => Fr::random(&mut rng),
                    0 => Fr::ZERO,
                    b => Fr::from(rng.next_u64() >> (64 - b)),
                })
                .collect();
            if bits > 0 {
                for v in column.iter_mut().rev().take(6) {
                    *v = Fr::random(&mut rng);
                }
            }
            println!(
                "msm {log} {bits}: stock {:.2} engine {:.2} portable {:.2}",
                best(|| best_multiexp(&column, &points)),
                best(|| fast.sum(&column)),
                best(|| portable.sum(&column))
            );
        }
    }
}
