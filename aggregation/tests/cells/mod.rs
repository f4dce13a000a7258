//! The constraints of a circuit before it has columns: the same verdict as the mock prover's, much faster.

use halo2_base::gates::RangeChip;
use halo2_base::{AssignedValue, Context};
use halo2curves::bn256::Fr;

/// Whether the values of a circuit's only context satisfy its gates, its equalities, and its table of small numbers.
pub(crate) fn satisfied(ctx: &Context<Fr>, range: &RangeChip<Fr>, lookup_bits: usize) -> bool {
    let values: Vec<Fr> = ctx.advice.iter().map(|value| value.evaluate()).collect();
    let gates = ctx
        .selector
        .iter()
        .enumerate()
        .filter(|(_, enabled)| **enabled)
        .all(|(row, _)| values[row] + values[row + 1] * values[row + 2] == values[row + 3]);
    let copies = ctx.copy_manager.lock().expect("no panic");
    let equal = copies
        .advice_equalities
        .iter()
        .all(|(a, b)| values[a.offset] == values[b.offset]);
    let constant = copies
        .constant_equalities
        .iter()
        .all(|(constant, cell)| *constant == values[cell.offset]);
    let table = Fr::from(1 << lookup_bits);
    let small = range.lookup_manager().iter().all(|lookups| {
        let cells = lookups.cells_to_lookup.lock().expect("no panic");
        let mut cells = cells.values().flatten().flatten();
        cells.all(|cell: &AssignedValue<Fr>| *cell.value() < table)
    });
    gates && equal && constant && small
}
