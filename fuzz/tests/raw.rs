//! Raw programs.

#[test]
fn raw_programs() {
    bolero::check!().for_each(|bytes: &[u8]| STATS.count(fuzz::raw::target(bytes)));
    STATS.print();
}

static STATS: fuzz::Stats = fuzz::Stats::new("raw");
