//! Lies about an execution, each otherwise consistent, are refused by the constraint meant for them.

mod fixtures;

use std::collections::BTreeMap;

use fixtures::forgeries::{self, Case};
use rayon::prelude::*;
use zk_circuits::dev;

#[test]
fn every_lie_is_refused_by_its_constraint() {
    let wrong: Vec<String> = forgeries::all()
        .par_iter()
        .filter_map(|case| {
            let Case {
                name,
                family,
                constraint,
                honest,
                forged,
            } = case;
            let baseline = dev::check(honest);
            assert!(
                baseline.is_empty(),
                "{name}: the honest run: {}",
                baseline[0]
            );
            let failures = forged.check();
            (!dev::names(&failures, family, constraint)).then(|| {
                let found: Vec<String> = failures.iter().map(ToString::to_string).collect();
                format!("{name}: not refused by {family}: {constraint}, but by {found:?}")
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// halo2's own prover refuses one lie for each family of constraints, too.
#[test]
fn mock_prover_refuses_every_family() {
    let cases = forgeries::all();
    let families: BTreeMap<(&str, &str), &Case> = cases
        .iter()
        .map(|case| {
            // Each bus counts as a family.
            let bus = if case.family == "bus" {
                case.constraint
            } else {
                ""
            };
            ((case.family, bus), case)
        })
        .collect();
    families.par_iter().for_each(|(_, case)| {
        let failures = case.forged.mock();
        let (family, constraint) = (case.family, case.constraint);
        // The bus shows only at the accumulator's end.
        let ended = "the accumulator ends at zero: every bus is balanced";
        let expected = if family == "bus" { ended } else { constraint };
        assert!(
            dev::names(&failures, family, expected),
            "{}: {failures:?}",
            case.name
        );
    });
    assert!(families.len() >= 20, "{}", families.len());
}

/// What only the verifier checks: the circuit accepts any value.
#[test]
fn version_budget_and_index_are_left_to_the_verifier() {
    let honest = fixtures::Fixture::of("a program", &[fixtures::EXIT]).witness();
    let mut instance = *honest.instance();
    instance.version += 1;
    instance.budget += 1;
    instance.index += 1;
    let mut forged = dev::Forgery::of(&honest);
    forged.set_instance(&instance);
    assert!(forged.check().is_empty());
}
