//! Which size of circuit is chosen for a run. No keys are made.

mod common;

use bpf_tracer::ExecutionTrace;
use common::{config as of_ten_steps, trace};
use prover::{Error, KeygenConfig};
use zk_circuits::CircuitSize;

fn config(greatest: u32) -> KeygenConfig {
    KeygenConfig::new(greatest, std::env::temp_dir(), 8)
}

fn chosen(config: KeygenConfig, trace: &ExecutionTrace) -> (u32, usize) {
    let config = config.fitting(trace).expect("a size");
    let plan = config.plan(trace).expect("fits");
    (config.shape().expect("a size").k(), plan.chunk_count())
}

#[test]
fn a_short_run_takes_the_least_circuit() {
    assert_eq!(chosen(config(17), &trace(25, 5)), (10, 1));
    let (k, chunks) = chosen(config(17), &trace(900, 5));
    assert_eq!((k, chunks), (11, 1), "some of 1,024 rows are taken");
    assert_eq!(chosen(config(12), &trace(900, 5)), (11, 1));
}

#[test]
fn chunks_as_long_as_asked_for_take_the_least_circuit() {
    let short = trace(25, 5);
    assert_eq!(chosen(of_ten_steps().clone(), &short), (10, 3));
    let trace = trace(900, 5);
    assert_eq!(chosen(config(17).with_chunk_size(450), &trace), (10, 2));
    assert_eq!(chosen(config(17).with_chunk_size(300), &trace), (10, 3));
    // Chunks are never longer than the run.
    assert_eq!(chosen(config(17).with_chunk_size(9_000), &trace), (11, 1));
}

/// One chunk is one proof, but not if more than half of it is empty and smaller ones are full.
#[test]
fn a_run_that_one_chunk_holds_takes_more_if_they_are_less_work() {
    let [few, many] = [12_000, 17_500].map(|steps| trace(steps, 5));
    assert_eq!(chosen(config(14), &few), (14, 1));
    assert_eq!(chosen(config(16), &many), (15, 1));
    let [few, many] = [31_000, 35_000].map(|steps| trace(steps, 5));
    assert_eq!(chosen(config(16), &few), (15, 1));
    assert_eq!(chosen(config(16), &many), (14, 3));
}

/// The last of a few large chunks is nearly empty, many small ones are not.
#[test]
fn a_long_run_takes_the_least_work() {
    let greatest = 14;
    let mut sizes = std::collections::BTreeSet::new();
    for steps in [17_000, 23_000, 31_000, 36_000] {
        let trace = trace(steps, 5);
        let work = |k: u32| {
            let config = config(k);
            let shape = config.shape().expect("a size");
            let chunks = config.plan(&trace).expect("fits").chunk_count();
            let columns = CircuitSize::of(shape).advice_columns;
            (chunks * columns * shape.rows(), chunks)
        };
        let (k, chunks) = chosen(config(greatest), &trace);
        let (least, _) = work(k);
        assert!(chunks > 1);
        for other in k + 1..=greatest {
            // More chunks only for less work.
            let (other, of_other) = work(other);
            assert!(of_other < chunks && least < other, "{steps} steps, k = {k}");
        }
        sizes.insert(k);
    }
    assert!(sizes.len() > 1, "{sizes:?}");
}

#[test]
fn chunks_of_other_sizes_are_counted_as_they_are_cut() {
    for (steps, chunk_size) in [
        (25, None),
        (9_000, None),
        (9_000, Some(300)),
        (900, Some(1)),
    ] {
        let trace = trace(steps, 5);
        let with = |k| match chunk_size {
            Some(steps) => config(k).with_chunk_size(steps),
            None => config(k),
        };
        let plan = with(14).plan(&trace).expect("fits");
        for k in 10..=15 {
            let shape = config(k).shape().expect("a size");
            let counted = plan.chunk_count_of(shape).expect("fits");
            let cut = with(k).plan(&trace).expect("fits").chunk_count();
            assert_eq!(counted, cut, "{steps} steps, k = {k}");
        }
    }
}

#[test]
fn a_size_that_is_none_is_an_error() {
    let failed = config(40).fitting(&trace(25, 5));
    assert!(matches!(failed, Err(Error::Shape(_))));
}
