//! Lies about executions, of every kind and about every operation, are refused: see
//! `docs/soundness-tests.md`, which says what the printed table means.
#![expect(clippy::print_stdout, reason = "the table is for an auditor to read")]

mod fixtures;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use fixtures::proving::{prove, verifies};
use fixtures::{Fixture, small};
use rayon::prelude::*;
use zk_circuits::dev::kit::{
    Adversary, Execution, FaultKind, Judge, Lie, Operation, Report, Trial, Verdict, sample,
};
use zk_circuits::dev::{self, Alteration, Failure, Forgery, Tamper, Tampered};
use zk_circuits::{Cell, Class, Committed, shape};

/// What decides where lies are told, and what they leave open.
const SEED: u64 = 7;

/// What lies are about: every fixture in one chunk, some of them cut, so that chunks begin anywhere.
fn executions() -> &'static [Execution] {
    static ALL: OnceLock<Vec<Execution>> = OnceLock::new();
    ALL.get_or_init(|| {
        let fixtures = fixtures::all();
        let long = fixtures::sbpf::long_calls();
        let cut = |fixture: &&Fixture| {
            ["calls", "sections", "helper"].contains(&fixture.name.as_str())
                || fixture.name.ends_with(": aligned")
        };
        let mut chunks: Vec<_> = fixtures.iter().map(|fixture| (fixture, None)).collect();
        chunks.extend(fixtures.iter().filter(cut).map(|f| (f, Some(3))));
        chunks.push((&long, None));
        chunks
            .par_iter()
            .flat_map_iter(|(fixture, chunk)| {
                Execution::of_trace(&fixture.name, &fixture.trace, small(), *chunk)
                    .unwrap_or_else(|error| panic!("{error}"))
            })
            .collect()
    })
}

/// Tells these lies and asks the circuit. Returns those whose forgeries are new.
fn examine(report: &mut Report, lies: &[(usize, Lie)]) -> Vec<(usize, Lie)> {
    let executions = executions();
    let mut told = Vec::new();
    // A forgery takes a megabyte.
    for batch in lies.chunks(64) {
        let trials: Vec<Trial> = batch
            .par_iter()
            .map(|(index, lie)| executions[*index].examine(lie))
            .collect();
        for ((index, lie), trial) in batch.iter().zip(&trials) {
            if report.add(&executions[*index], trial) {
                told.push((*index, *lie));
            }
        }
    }
    told
}

/// At most so many lies, as many of each kind, about as many operations as there are.
fn spread(lies: &[(usize, Lie)], most: usize) -> Vec<(usize, Lie)> {
    // How often a pair, and then a kind, was there before.
    let mut pairs: BTreeMap<(FaultKind, Operation), usize> = BTreeMap::new();
    let mut ordered: Vec<(FaultKind, (usize, usize), (usize, Lie))> = Vec::new();
    for (index, lie) in lies {
        let operation = executions()[*index].operation(lie.row());
        let turn = pairs.entry((lie.kind(), operation)).or_default();
        // Kinds begin with different operations.
        let place = (operation as usize + 5 * lie.kind() as usize) % Operation::ALL.len();
        ordered.push((lie.kind(), (*turn, place), (*index, *lie)));
        *turn += 1;
    }
    ordered.sort_by_key(|(kind, place, _)| (*kind, *place));
    let mut kinds: BTreeMap<FaultKind, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, FaultKind, (usize, Lie))> = Vec::new();
    for (kind, _, lie) in ordered {
        let rank = kinds.entry(kind).or_default();
        ranked.push((*rank, kind, lie));
        *rank += 1;
    }
    ranked.sort_by_key(|(rank, kind, _)| (*rank, *kind));
    ranked.into_iter().take(most).map(|(.., lie)| lie).collect()
}

/// What is violated, row by row, buses aside; and whether a bus is.
fn violated(failures: &[Failure]) -> (BTreeSet<(&str, &str, usize)>, bool) {
    let rows = failures.iter().filter(|f| f.family != "bus");
    let rows = rows.filter_map(|f| Some((f.family.as_str(), f.constraint.as_str(), f.row?)));
    (rows.collect(), failures.iter().any(|f| f.family == "bus"))
}

/// `MockProver` refuses these lies, by the same constraints in the same rows.
fn mock(report: &mut Report, lies: &[(usize, Lie)]) {
    let executions = executions();
    for batch in lies.chunks(64) {
        let trials: Vec<Trial> = batch
            .par_iter()
            .map(|(index, lie)| {
                let execution = &executions[*index];
                let trial = execution.examine(lie);
                let forgery = trial.forgery.as_ref().expect("a lie that was told");
                let Verdict::Rejected(own) = &trial.verdict else {
                    panic!("{}: {lie}: {:?}", execution.name(), trial.verdict);
                };
                let mocked = forgery.mock();
                assert!(!mocked.is_empty(), "{}: {lie}", execution.name());
                assert_eq!(
                    violated(own),
                    violated(&mocked),
                    "{}: {lie}",
                    execution.name()
                );
                trial
            })
            .collect();
        for trial in &trials {
            report.confirm(trial, Judge::MockProver);
        }
    }
}

/// No real proof of these lies verifies; proofs of the honest runs do, so many of them.
fn real(report: &mut Report, lies: &[(usize, Lie)], honest: usize) {
    let executions = executions();
    let baselines: Vec<bool> = (0..lies.len()).map(|place| place < honest).collect();
    let judged: Vec<(Trial, Judge)> = lies
        .par_iter()
        .zip(baselines)
        .map(|((index, lie), with_baseline)| {
            let execution = &executions[*index];
            if with_baseline {
                let honest = Forgery::of(execution.witness());
                let proof = prove(honest.circuit(), honest.instance()).expect("an honest proof");
                assert!(verifies(&proof, honest.instance()), "{}", execution.name());
            }
            let trial = execution.examine(lie);
            let forgery = trial.forgery.as_ref().expect("a lie that was told");
            let judge = match prove(forgery.circuit(), forgery.instance()) {
                None => Judge::Prover,
                Some(proof) => {
                    let accepted = verifies(&proof, forgery.instance());
                    assert!(!accepted, "{}: {lie}", execution.name());
                    Judge::Verifier
                }
            };
            (trial, judge)
        })
        .collect();
    for (trial, judge) in &judged {
        report.confirm(trial, *judge);
    }
}

/// Another try with each of these lies.
fn retry(report: &mut Report, lies: &[(usize, Lie)]) {
    let executions = executions();
    let adversary = Adversary::new().expect("a shape");
    for batch in lies.chunks(64) {
        let tried: Vec<_> = batch
            .par_iter()
            .map(|(index, lie)| {
                let execution = &executions[*index];
                let trial = execution.examine(lie);
                let forgery = trial.forgery.as_ref().expect("a lie that was told");
                let chance = adversary.retry(execution, forgery, lie.row());
                (trial, chance)
            })
            .collect();
        for ((index, _), (trial, chance)) in batch.iter().zip(&tried) {
            report.add_chance(&executions[*index], trial, chance);
        }
    }
}

/// No lie is accepted, and there are lies of every kind about every operation that has some.
fn assert_refused(report: &Report) {
    assert!(report.accepted().is_empty(), "{:#?}", report.accepted());
    assert_eq!(
        report.tried(),
        report.rejected() + report.equivalent(),
        "{report}"
    );
    for kind in FaultKind::ALL {
        for operation in Operation::ALL {
            // System calls are forged in system calls; what is no instruction has one row, which ends the run.
            let none = match kind {
                FaultKind::ForgedSyscall => !operation.is_syscall(),
                FaultKind::WrongPc
                | FaultKind::WrongResult
                | FaultKind::WrongOperand
                | FaultKind::ForgedExit
                | FaultKind::ForgedTrap
                | FaultKind::ForgedCounts
                | FaultKind::ForgedBoundary => false,
                _ => operation == Operation::Nothing,
            };
            let tried = report.of(operation, *kind).tried;
            assert!(
                none || tried > 0,
                "{} about {}: no lie",
                kind.name(),
                operation.name()
            );
        }
    }
}

#[test]
fn lies_of_every_kind_are_refused() {
    let mut report = Report::default();
    let bucket = |e: &Execution, lie: &Lie| (e.operation(lie.row()), lie.what());
    let lies = sample(executions(), 1, SEED, bucket);
    let told = examine(&mut report, &lies);
    mock(&mut report, &spread(&told, 40));
    real(&mut report, &spread(&told, FaultKind::ALL.len()), 2);
    retry(&mut report, &spread(&told, 60));
    println!("{report}");
    assert_refused(&report);
    assert!(report.tried() >= 1_000, "{}", report.tried());
}

/// The table for an auditor:
/// `cargo test --release -p zk-circuits --test faults -- --ignored --nocapture`
#[test]
#[ignore = "a quarter of an hour"]
fn lies_of_every_kind_are_refused_at_length() {
    let mut report = Report::default();
    let classes = |e: &Execution, lie: &Lie| {
        let class = dev::class(&dev::rows(e.witness())[lie.row()]);
        (e.operation(lie.row()), class, lie.what())
    };
    let endings = |e: &Execution, lie: &Lie| (e.ending(), lie.what());
    let mut lies = sample(executions(), 1, SEED, classes);
    lies.extend(sample(executions(), 2, SEED + 1, endings));
    let told = examine(&mut report, &lies);
    mock(&mut report, &spread(&told, 2_400));
    real(&mut report, &spread(&told, 240), 32);
    retry(&mut report, &told);
    println!("{report}");
    assert_refused(&report);
    let refused = report.refused(Judge::Verifier) + report.refused(Judge::Prover);
    assert!(report.refused(Judge::MockProver) >= 2_000 && refused >= 150);
}

/// The kit says so if the circuit accepts something else: here, another honest run.
#[test]
fn what_is_accepted_is_reported() {
    let program = |value| {
        let fixture = Fixture::of("a value", &[(0xb7, 0, 0, 0, value), fixtures::EXIT]);
        Execution::of_trace("a value", &fixture.trace, small(), None).expect("honest")
    };
    let (seven, eight) = (program(7), program(8));
    let honest = Forgery::of(seven[0].witness());
    assert!(matches!(seven[0].judge(&honest), Verdict::Unchanged));
    let other = Forgery::of(eight[0].witness());
    assert!(matches!(seven[0].judge(&other), Verdict::Accepted));
}

/// The adversary finds what there is: a wrong hint is mended, a result without its hints gets them.
#[test]
fn second_tries_mend_what_can_be_mended() {
    let slots = [(0xb7, 0, 0, 0, 100), (0x37, 0, 0, 0, 7), fixtures::EXIT];
    let fixture = Fixture::of("a division", &slots);
    let execution =
        &Execution::of_trace("a division", &fixture.trace, small(), None).expect("honest")[0];
    let rows = dev::rows(execution.witness());
    let is_division = |row| dev::class(row) == Some(Class::Div);
    let division = rows.iter().position(is_division).expect("a division");
    let adversary = Adversary::new().expect("a shape");

    let mut one_cell = Forgery::of(execution.witness());
    one_cell.rows()[division][Cell::L4] += 1;
    assert!(matches!(execution.judge(&one_cell), Verdict::Rejected(_)));
    let chance = adversary.retry(execution, &one_cell, division);
    assert!(
        chance.repaired > chance.undone && chance.undone > 0,
        "{chance:?}"
    );
    assert!(chance.accepted.is_empty());

    let mut without_hints = Forgery::of(execution.witness());
    for cell in [Cell::L0, Cell::L4] {
        without_hints.rows()[division][cell] = 0;
    }
    without_hints.rows()[division + 1][Cell::L0] = 0;
    let chance = adversary.retry(execution, &without_hints, division);
    assert!(chance.solved && chance.undone > 0, "{chance:?}");

    // With another quotient there is nothing to mend.
    let mut lie = without_hints.clone();
    lie.rows()[division][Cell::R] += 1;
    let chance = adversary.retry(execution, &lie, division);
    assert!(!chance.solved && chance.assignments > 1, "{chance:?}");
}

/// Cells of one honest chunk, one after another: in every column, on rows of every class.
fn tampers(execution: &Execution, columns: usize, each: usize) -> Vec<Tamper> {
    let used = execution.used();
    (0..columns * each)
        .map(|index| Tamper {
            column: index % columns,
            row: shape::FIRST_ROW + (index * 37) % used,
            alteration: Alteration::ALL[index / columns % Alteration::ALL.len()],
        })
        .collect()
}

/// The same change to the witness's columns, where the kit can write it: those that are not computed from
/// other columns.
fn written(execution: &Execution, tamper: Tamper) -> Option<Forgery> {
    let mut forged = Forgery::of(execution.witness());
    let Tamper {
        column,
        row,
        alteration,
    } = tamper;
    let cells = Committed::COUNT..Committed::COUNT + Cell::COUNT;
    if let Some(committed) = Committed::ALL.get(column) {
        let value = alteration.apply(forged.committed(*committed, row));
        forged.set_committed(*committed, row, value);
    } else if cells.contains(&column) {
        let cell = Cell::ALL[column - cells.start];
        let value = alteration.apply(forged.cell(cell, row));
        forged.set_cell(cell, row, value);
    } else {
        return None;
    }
    Some(forged)
}

fn tampered_execution() -> Execution {
    let fixture = fixtures::control::fixtures()
        .into_iter()
        .find(|fixture| fixture.name == "calls")
        .expect("a fixture");
    Execution::of_trace("calls", &fixture.trace, small(), None)
        .expect("honest")
        .swap_remove(0)
}

/// One altered cell of any column: `MockProver` says what the own evaluation says.
#[test]
fn tampered_cells_are_refused() {
    let execution = tampered_execution();
    let honest = Forgery::of(execution.witness());
    let instance = honest.instance().to_vec();
    let mock = |circuit: &Tampered<_>| {
        let prover = halo2_proofs::dev::MockProver::run(10, circuit, vec![instance.clone()]);
        prover.expect("it fits").verify().is_ok()
    };
    assert!(mock(&Tampered::untouched(honest.circuit())), "the baseline");
    let columns = dev::constraint_system(small()).num_advice_columns();
    let outcomes: Vec<_> = tampers(&execution, columns, 2)
        .par_iter()
        .map(|tamper| {
            let circuit = Tampered::new(honest.circuit(), *tamper);
            let accepted = mock(&circuit);
            if let Some(forged) = written(&execution, *tamper) {
                assert_eq!(accepted, forged.check().is_empty(), "{tamper:?}");
            }
            (*tamper, accepted, circuit.altered() > 0)
        })
        .collect();
    let altered: Vec<_> = outcomes.iter().filter(|(.., altered)| *altered).collect();
    let accepted: Vec<_> = altered
        .iter()
        .filter(|(_, accepted, _)| *accepted)
        .collect();
    println!(
        "{} cells altered, {} of them without effect",
        altered.len(),
        accepted.len()
    );
    for (tamper, accepted, altered) in &outcomes {
        assert!(*altered || *accepted, "{tamper:?}: nothing was altered");
        // Sums of the bus have one value each.
        let computed = tamper.column >= columns - 20;
        assert!(!computed || !accepted || !altered, "{tamper:?}");
    }
    assert!(altered.len() > columns && accepted.len() * 4 < altered.len());
}

/// The same in real proofs: the circuit's own key does not verify them.
#[test]
fn tampered_proofs_do_not_verify() {
    let execution = tampered_execution();
    let honest = Forgery::of(execution.witness());
    let untouched = Tampered::untouched(honest.circuit());
    let proof = prove(untouched, honest.instance()).expect("an honest proof");
    assert!(verifies(&proof, honest.instance()), "the baseline");
    let columns = dev::constraint_system(small()).num_advice_columns();
    // A result, the accumulator, a multiplicity.
    let result = Committed::COUNT + Cell::R as usize;
    for column in [result, columns - 1, Committed::COUNT + Cell::COUNT] {
        let tamper = Tamper {
            column,
            row: shape::FIRST_ROW + 4,
            alteration: Alteration::Increment,
        };
        let circuit = Tampered::new(honest.circuit(), tamper);
        let proof = prove(circuit.clone(), honest.instance());
        assert!(circuit.altered() > 0, "{tamper:?}");
        if let Some(proof) = proof {
            assert!(!verifies(&proof, honest.instance()), "{tamper:?}");
        }
    }
}
