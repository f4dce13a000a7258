//! What the circuit costs, pinned. `ZKBPF_BLESS=1 cargo test -p zk-circuits --features dev --test cost`
//! accepts a change; read the diff.

mod fixtures;

use std::collections::BTreeMap;
use std::path::PathBuf;

use zk_circuits::{Cell, Shape, dev};

/// Fewest and most rows that each operation takes in the fixtures.
fn rows_per_operation() -> String {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for fixture in fixtures::all() {
        let code = fixture.trace.program().instructions();
        let mut taken: BTreeMap<i128, (i128, usize)> = BTreeMap::new();
        for witness in fixture.witnesses(fixtures::small(), None) {
            let mut instruction = 0;
            for row in dev::rows(&witness).iter().filter(|row| row.is_active()) {
                if row[Cell::First] == 1 {
                    instruction = row[Cell::Count];
                    taken.insert(instruction, (row[Cell::Upc], 0));
                }
                taken.entry(instruction).or_default().1 += 1;
            }
        }
        for (upc, rows) in taken.into_values() {
            let slot = usize::try_from(upc).expect("a row") - zk_circuits::shape::SLOT_ROW;
            let name = code
                .get(slot)
                .map_or("past the end".to_owned(), |i| format!("{:?}", i.op));
            let entry = counts.entry(name).or_insert((rows, rows));
            *entry = (entry.0.min(rows), entry.1.max(rows));
        }
    }
    let lines = counts
        .into_iter()
        .map(|(name, (fewest, most))| match fewest == most {
            true => format!("  {name}: {fewest}\n"),
            false => format!("  {name}: {fewest} to {most}\n"),
        });
    lines.collect()
}

#[test]
fn cost_is_as_recorded() {
    let mut text = String::new();
    for k in [17, 10] {
        text += &dev::cost(Shape::new(k, 8).expect("supported")).report;
        text += "\n";
    }
    text += "rows of an instruction, its end or trap included\n";
    text += &rows_per_operation();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/cost.txt");
    if std::env::var_os("ZKBPF_BLESS").is_some() {
        std::fs::write(&path, &text).expect("writable");
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        recorded == text,
        "the cost has changed; if that is meant, run this test with ZKBPF_BLESS=1 and review the diff"
    );
}
