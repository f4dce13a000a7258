//! Lies about executions, of every kind and about every operation, are refused: see
//! `docs/soundness-tests.md`, which says what the printed table means.
#![expect(clippy::print_stdout, reason = "the table is for an auditor to read")]

mod fixtures;

use std::collections::{BTreeMap, BTreeSet};

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

/// A lie, and the index of the execution that it is about.
type Told = (usize, Lie);

/// Lies beyond those that are wanted, in place of those that change nothing or cannot be told.
const SPARE: usize = 30;

/// A forgery takes a megabyte.
const BATCH: usize = 64;

/// Every fixture in one chunk, some of them cut, so that chunks begin anywhere.
fn executions(is_cut: fn(&str) -> bool) -> Vec<Execution> {
    let fixtures = fixtures::all();
    let long = fixtures::sbpf::long_calls();
    let mut chunks: Vec<_> = fixtures.iter().map(|fixture| (fixture, None)).collect();
    let cut = fixtures.iter().filter(|fixture| is_cut(&fixture.name));
    chunks.extend(cut.map(|fixture| (fixture, Some(3))));
    chunks.push((&long, None));
    chunks
        .par_iter()
        .flat_map_iter(|(fixture, chunk)| {
            Execution::of_trace(&fixture.name, &fixture.trace, small(), *chunk)
                .unwrap_or_else(|error| panic!("{error}"))
        })
        .collect()
}

/// Executions that lies are told about, and what became of these.
struct Trials {
    executions: Vec<Execution>,
    report: Report,
}

impl Trials {
    fn new(executions: Vec<Execution>) -> Self {
        let report = Report::default();
        Self { executions, report }
    }

    /// Tells so many lies of each bucket and asks the circuit. Returns those whose forgeries are new.
    fn examine<K: Ord + Clone>(
        &mut self,
        each: usize,
        seed: u64,
        bucket: impl Fn(&Execution, &Lie) -> K,
    ) -> Vec<Told> {
        let mut candidates: BTreeMap<K, Vec<Told>> = BTreeMap::new();
        for (index, lie) in sample(&self.executions, each + SPARE, seed, &bucket) {
            let key = bucket(&self.executions[index], &lie);
            candidates.entry(key).or_default().push((index, lie));
        }
        for (turn, lies) in candidates.values_mut().enumerate() {
            let turn = turn % lies.len();
            lies.rotate_left(turn);
        }
        let mut counts: BTreeMap<K, usize> = BTreeMap::new();
        let mut told = Vec::new();
        loop {
            let mut next = Vec::new();
            for (key, lies) in &mut candidates {
                let wanted = each - counts.get(key).copied().unwrap_or(0);
                let rest = lies.len().saturating_sub(wanted);
                next.extend(lies.drain(rest..).map(|lie| (key.clone(), lie)));
            }
            if next.is_empty() {
                return told;
            }
            for batch in next.chunks(BATCH) {
                let lies: Vec<Told> = batch.iter().map(|(_, lie)| *lie).collect();
                let trials = self.tell(&lies);
                for ((key, lie), trial) in batch.iter().zip(&trials) {
                    if self.report.add(&self.executions[lie.0], trial) {
                        told.push(*lie);
                        *counts.entry(key.clone()).or_default() += 1;
                    }
                }
            }
        }
    }

    fn tell(&self, lies: &[Told]) -> Vec<Trial> {
        lies.par_iter()
            .map(|(index, lie)| self.executions[*index].examine(lie))
            .collect()
    }

    /// The executions that lies are about.
    fn about(&self, lies: &[Told]) -> Vec<&Execution> {
        let indices: BTreeSet<usize> = lies.iter().map(|(index, _)| *index).collect();
        indices.into_iter().map(|i| &self.executions[i]).collect()
    }

    /// `MockProver` accepts the honest executions, and refuses these lies, by the constraints in the rows
    /// that the own evaluation finds.
    fn mock(&mut self, lies: &[Told]) {
        self.about(lies).par_iter().for_each(|execution| {
            let failures = dev::mock(execution.witness());
            assert!(failures.is_empty(), "{}: {failures:#?}", execution.name());
        });
        for batch in lies.chunks(BATCH) {
            let trials = self.tell(batch);
            batch.par_iter().zip(&trials).for_each(|(told, trial)| {
                let (own, mocked) = (self.refused(told, trial), forged(trial).mock());
                let name = self.executions[told.0].name();
                assert!(!mocked.is_empty(), "{name}: {}", trial.lie);
                assert_eq!(violated(own), violated(&mocked), "{name}: {}", trial.lie);
            });
            for ((index, _), trial) in batch.iter().zip(&trials) {
                let execution = &self.executions[*index];
                self.report.confirm(execution, trial, Judge::MockProver);
            }
        }
    }

    /// Proofs of the honest executions verify, and no proof of these lies does.
    fn real(&mut self, lies: &[Told]) {
        self.about(lies).par_iter().for_each(|execution| {
            let honest = Forgery::of(execution.witness());
            let proof = prove(honest.circuit(), honest.instance()).expect("an honest proof");
            assert!(verifies(&proof, honest.instance()), "{}", execution.name());
        });
        for batch in lies.chunks(BATCH) {
            let trials = self.tell(batch);
            let judged: Vec<Judge> = batch
                .par_iter()
                .zip(&trials)
                .map(|(told, trial)| {
                    self.refused(told, trial);
                    let forgery = forged(trial);
                    let Some(proof) = prove(forgery.circuit(), forgery.instance()) else {
                        return Judge::Prover;
                    };
                    let accepted = verifies(&proof, forgery.instance());
                    let name = self.executions[told.0].name();
                    assert!(!accepted, "{name}: {}", trial.lie);
                    Judge::Verifier
                })
                .collect();
            for (((index, _), trial), judge) in batch.iter().zip(&trials).zip(judged) {
                let execution = &self.executions[*index];
                self.report.confirm(execution, trial, judge);
            }
        }
    }

    /// Another try with each of these lies.
    fn retry(&mut self, lies: &[Told]) {
        let adversary = Adversary::new().expect("a shape");
        for batch in lies.chunks(BATCH) {
            let trials = self.tell(batch);
            let tried: Vec<_> = batch
                .par_iter()
                .zip(&trials)
                .map(|((index, lie), trial)| {
                    adversary.retry(&self.executions[*index], forged(trial), lie.row())
                })
                .collect();
            for (((index, _), trial), chance) in batch.iter().zip(&trials).zip(&tried) {
                let execution = &self.executions[*index];
                self.report.add_chance(execution, trial, chance);
            }
        }
    }

    /// Asks `MockProver` and the verifier about some of these lies, and has some told again: so many each.
    fn judge(&mut self, lies: &[Told], most: [usize; 3]) -> &Report {
        let [mocked, proved, retried] = most.map(|most| spread(&self.executions, lies, most));
        self.mock(&mocked);
        self.real(&proved);
        self.retry(&retried);
        println!("{}", self.report);
        assert_refused(&self.report);
        &self.report
    }

    /// Why the own evaluation refuses a lie.
    fn refused<'a>(&self, (index, _): &Told, trial: &'a Trial) -> &'a [Failure] {
        let Verdict::Rejected(failures) = &trial.verdict else {
            let name = self.executions[*index].name();
            panic!("{name}: {}: {:?}", trial.lie, trial.verdict);
        };
        failures
    }
}

fn forged(trial: &Trial) -> &Forgery {
    trial.forgery.as_ref().expect("a lie that was told")
}

/// At most so many lies, as many of each kind, about as many operations as there are.
fn spread(executions: &[Execution], lies: &[Told], most: usize) -> Vec<Told> {
    // How often a pair, and then a kind, was there before.
    let mut pairs: BTreeMap<(FaultKind, Operation), usize> = BTreeMap::new();
    let mut ordered: Vec<(FaultKind, (usize, usize), Told)> = Vec::new();
    for (index, lie) in lies {
        let operation = executions[*index].operation(lie.row());
        let turn = pairs.entry((lie.kind(), operation)).or_default();
        // Kinds begin with different operations.
        let place = (operation as usize + 5 * lie.kind() as usize) % Operation::ALL.len();
        ordered.push((lie.kind(), (*turn, place), (*index, *lie)));
        *turn += 1;
    }
    ordered.sort_by_key(|(kind, place, _)| (*kind, *place));
    let mut kinds: BTreeMap<FaultKind, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, FaultKind, Told)> = Vec::new();
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
                // A return writes nothing.
                FaultKind::OtherAddress if operation == Operation::Exit => true,
                _ => operation == Operation::Nothing,
            };
            let tried = report.of(operation, *kind).tried;
            let (kind, operation) = (kind.name(), operation.name());
            assert!(none || tried > 0, "{kind} about {operation}: no lie");
        }
    }
    for (kind, what, tally) in report.tricks() {
        assert!(tally.tried > 0, "{}: {what}: no lie", kind.name());
    }
}

/// A judge has seen lies of every kind, and lies about every operation.
fn assert_judged(report: &Report, judges: &[Judge]) {
    let refused = |counts: &dyn Fn(Operation, FaultKind) -> bool| -> usize {
        let by = |judge: &Judge| report.refused_where(*judge, counts);
        judges.iter().map(by).sum()
    };
    for kind in FaultKind::ALL {
        assert!(refused(&|_, k| k == *kind) > 0, "{judges:?}: {kind:?}");
    }
    for operation in Operation::ALL {
        let some = refused(&|o, _| o == operation) > 0;
        assert!(some, "{judges:?}: {operation:?}");
    }
}

#[test]
fn lies_of_every_kind_are_refused() {
    let mut trials = Trials::new(executions(|name| ["calls", "helper"].contains(&name)));
    let operations = |e: &Execution, lie: &Lie| (e.operation(lie.row()), lie.kind());
    let mut told = trials.examine(1, SEED, operations);
    told.extend(trials.examine(1, SEED + 1, |_, lie| lie.what()));
    let report = trials.judge(&told, [24, 4, 32]);
    assert!(report.tried() >= 400, "{}", report.tried());
}

/// The table for an auditor:
/// `cargo test -p zk-circuits --test faults -- --ignored --nocapture`
#[test]
#[ignore = "some 20 minutes of a core's time"]
fn lies_of_every_kind_are_refused_at_length() {
    let is_cut =
        |name: &str| ["calls", "sections", "helper"].contains(&name) || name.ends_with(": aligned");
    let mut trials = Trials::new(executions(is_cut));
    let classes = |e: &Execution, lie: &Lie| {
        let class = dev::class(&dev::rows(e.witness())[lie.row()]);
        (e.operation(lie.row()), class, lie.what())
    };
    let mut told = trials.examine(1, SEED, classes);
    told.extend(trials.examine(2, SEED + 1, |e, lie| (e.ending(), lie.what())));
    let report = trials.judge(&told, [2_400, 240, 2_400]);
    let real = [Judge::Verifier, Judge::Prover];
    assert_judged(report, &[Judge::MockProver]);
    assert_judged(report, &real);
    assert!(report.refused(Judge::MockProver) >= 2_000);
    assert!(
        real.map(|judge| report.refused(judge))
            .iter()
            .sum::<usize>()
            >= 150
    );
}

/// Executing again changes nothing by itself, wherever the chunk is cut: only the lie does.
#[test]
fn without_a_fault_the_execution_is_the_honest_one() {
    for execution in executions(|name| name == "calls") {
        let again = dev::rerun(execution.witness(), |_| {}).expect("it was executed before");
        let verdict = execution.judge(&Forgery::of(&again));
        let name = execution.name();
        assert!(matches!(verdict, Verdict::Unchanged), "{name}: {verdict:?}");
    }
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
            alteration: Alteration::ALL[(index + index / columns) % Alteration::ALL.len()],
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
    let phases = dev::constraint_system(small()).advice_column_phase();
    let columns = phases.len();
    let outcomes: Vec<_> = tampers(&execution, columns, 1)
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
        let computed = phases[tamper.column] > 0;
        assert!(!computed || !accepted || !altered, "{tamper:?}");
    }
    assert!(altered.len() * 3 > columns && accepted.len() * 4 < altered.len());
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
