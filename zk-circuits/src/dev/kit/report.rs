//! What was tried, what was refused, and by which constraints.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use super::{Execution, FaultKind, Operation, SecondChance, Trial, Verdict, class_at};
use crate::class::Class;

/// Who refused a forgery, beside the own evaluation of constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judge {
    /// halo2's `MockProver`.
    MockProver,
    /// The verifier, a real proof that the prover had made.
    Verifier,
    /// The prover: it could not make a proof.
    Prover,
}

/// Counts of lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Different forgeries.
    pub tried: usize,
    /// Of these, refused.
    pub rejected: usize,
    /// Of these, accepted, but saying the same as the honest chunk.
    pub equivalent: usize,
    /// Lies that change nothing, or cannot be told, or are another lie's forgery.
    pub idle: usize,
}

/// How often a constraint refuses.
#[derive(Clone, Debug, Default)]
struct Reason {
    /// Forgeries that it refuses, by what they are about.
    rejects: BTreeMap<FaultKind, usize>,
    /// Forgeries that nothing else refuses.
    alone: usize,
    /// Forgeries of the second try that it refuses.
    second: usize,
}

/// Sums over all trials.
#[derive(Clone, Debug, Default)]
pub struct Report {
    operations: BTreeMap<(Operation, FaultKind), Tally>,
    classes: BTreeMap<(Class, FaultKind), Tally>,
    endings: BTreeMap<(&'static str, FaultKind), Tally>,
    tricks: BTreeMap<(FaultKind, &'static str), Tally>,
    judges: BTreeMap<Judge, BTreeMap<(Operation, FaultKind), Tally>>,
    chances: BTreeMap<FaultKind, [usize; 6]>,
    reasons: BTreeMap<(String, String), Reason>,
    seen: HashSet<u64>,
    accepted: Vec<String>,
}

impl Report {
    /// Counts a trial; says whether its forgery is one that has not been seen before.
    pub fn add(&mut self, execution: &Execution, trial: &Trial) -> bool {
        let lie = &trial.lie;
        let is_new = trial
            .forgery
            .as_ref()
            .is_some_and(|forgery| self.seen.insert(execution.fingerprint(forgery)));
        let count = |tally: &mut Tally| {
            if !is_new {
                tally.idle += 1;
                return;
            }
            tally.tried += 1;
            match trial.verdict {
                Verdict::Rejected(_) => tally.rejected += 1,
                Verdict::Equivalent => tally.equivalent += 1,
                Verdict::Impossible | Verdict::Unchanged | Verdict::Accepted => {}
            }
        };
        let kind = lie.kind();
        let operation = execution.operation(lie.row());
        count(self.operations.entry((operation, kind)).or_default());
        if let Some(class) = class_at(execution, lie.row()) {
            count(self.classes.entry((class, kind)).or_default());
        }
        count(self.endings.entry((execution.ending(), kind)).or_default());
        count(self.tricks.entry((kind, lie.what())).or_default());
        if !is_new {
            return false;
        }
        if let Verdict::Rejected(failures) = &trial.verdict {
            let names: BTreeSet<_> = failures
                .iter()
                .map(|f| (f.family.clone(), f.constraint.clone()))
                .collect();
            let alone = names.len() == 1;
            for name in names {
                let reason = self.reasons.entry(name).or_default();
                *reason.rejects.entry(kind).or_default() += 1;
                reason.alone += usize::from(alone);
            }
        }
        if matches!(trial.verdict, Verdict::Accepted) {
            self.accepted.push(format!("{}: {lie}", execution.name()));
        }
        true
    }

    /// Counts that someone else has refused a forgery, too.
    pub fn confirm(&mut self, execution: &Execution, trial: &Trial, judge: Judge) {
        let lie = &trial.lie;
        let place = (execution.operation(lie.row()), lie.kind());
        let tallies = self.judges.entry(judge).or_default();
        let tally = tallies.entry(place).or_default();
        tally.tried += 1;
        tally.rejected += 1;
    }

    /// Counts a second try.
    pub fn add_chance(&mut self, execution: &Execution, trial: &Trial, chance: &SecondChance) {
        let sums = self.chances.entry(trial.lie.kind()).or_default();
        let counts = [
            1,
            chance.repaired,
            chance.locally_satisfied,
            chance.undone,
            chance.assignments,
            usize::from(chance.solved),
        ];
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
        for (name, count) in &chance.reasons {
            self.reasons.entry(name.clone()).or_default().second += count;
        }
        for _ in &chance.accepted {
            let name = format!("{}: {}, second try", execution.name(), trial.lie);
            self.accepted.push(name);
        }
    }

    /// Different forgeries that were tried.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.tricks.values().map(|tally| tally.tried).sum()
    }

    /// Different forgeries that were refused.
    #[must_use]
    pub fn rejected(&self) -> usize {
        self.tricks.values().map(|tally| tally.rejected).sum()
    }

    /// Forgeries that were accepted and say the same as the honest chunk.
    #[must_use]
    pub fn equivalent(&self) -> usize {
        self.tricks.values().map(|tally| tally.equivalent).sum()
    }

    /// What a judge refused.
    #[must_use]
    pub fn refused(&self, judge: Judge) -> usize {
        self.refused_where(judge, |_, _| true)
    }

    /// What a judge refused, of some operations and kinds.
    #[must_use]
    pub fn refused_where(
        &self,
        judge: Judge,
        counts: impl Fn(Operation, FaultKind) -> bool,
    ) -> usize {
        let tallies = self.judges.get(&judge).into_iter().flatten();
        tallies
            .filter(|((operation, kind), _)| counts(*operation, *kind))
            .map(|(_, tally)| tally.rejected)
            .sum()
    }

    /// Second tries: two-cell forgeries, and assignments that the search looked at.
    #[must_use]
    pub fn second_tries(&self) -> (usize, usize) {
        let sum = |place: usize| self.chances.values().map(|counts| counts[place]).sum();
        (sum(1), sum(4))
    }

    /// The lies that were accepted: each is a defect of the circuit.
    #[must_use]
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// Of an operation and a kind.
    #[must_use]
    pub fn of(&self, operation: Operation, kind: FaultKind) -> Tally {
        self.operations
            .get(&(operation, kind))
            .copied()
            .unwrap_or_default()
    }

    /// Lies of a kind that were told, by what they claim.
    pub fn tricks(&self) -> impl Iterator<Item = (FaultKind, &'static str, Tally)> + '_ {
        self.tricks
            .iter()
            .map(|((kind, what), tally)| (*kind, *what, *tally))
    }

    /// Family and name of every constraint and bus that refused something.
    pub fn reasons(&self) -> impl Iterator<Item = (&str, &str)> {
        self.reasons
            .keys()
            .map(|(family, name)| (family.as_str(), name.as_str()))
    }
}

/// A cell of a table: forgeries tried, all of them refused; otherwise how many were not.
fn cell(tally: Option<&Tally>) -> String {
    match tally {
        None => ".".to_owned(),
        Some(tally) if tally.tried == tally.rejected => tally.tried.to_string(),
        Some(tally) => {
            let accepted = tally.tried - tally.rejected - tally.equivalent;
            match (accepted, tally.equivalent) {
                (0, same) => format!("{}={same}", tally.tried),
                (accepted, _) => format!("{}!{accepted}", tally.tried),
            }
        }
    }
}

fn matrix<K: Ord + Copy>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    tallies: &BTreeMap<(K, FaultKind), Tally>,
    name: impl Fn(K) -> String,
) -> fmt::Result {
    let keys: BTreeSet<K> = tallies.keys().map(|(key, _)| *key).collect();
    write!(f, "\n{title:<28}")?;
    for kind in FaultKind::ALL {
        write!(f, "{:>9}", kind.short())?;
    }
    writeln!(f, "{:>9}", "sum")?;
    for key in keys {
        write!(f, "{:<28}", name(key))?;
        let mut sum = 0;
        for kind in FaultKind::ALL {
            let tally = tallies.get(&(key, *kind));
            sum += tally.map_or(0, |tally| tally.tried);
            write!(f, "{:>9}", cell(tally))?;
        }
        writeln!(f, "{sum:>9}")?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} forged executions, {} rejected, {} equivalent, {} accepted",
            self.tried(),
            self.rejected(),
            self.equivalent(),
            self.accepted.len()
        )?;
        matrix(f, "by operation", &self.operations, |o| o.name().to_owned())?;
        matrix(f, "by class of the row", &self.classes, |c| {
            c.name().to_owned()
        })?;
        matrix(f, "by end of the honest run", &self.endings, str::to_owned)?;
        for (judge, tallies) in &self.judges {
            let title = match judge {
                Judge::MockProver => "refused by MockProver",
                Judge::Verifier => "proved, refused by verifier",
                Judge::Prover => "refused by the prover",
            };
            matrix(f, title, tallies, |o| o.name().to_owned())?;
        }

        writeln!(
            f,
            "\n{:<20}{:>8}{:>9}{:>8}{:>7}{:>12}{:>10}{:>9}{:>10}{:>10}{:>8}{:>8}{:>13}{:>8}",
            "by kind",
            "tried",
            "rejected",
            "same",
            "idle",
            "MockProver",
            "verifier",
            "prover",
            "retried",
            "two-cell",
            "local",
            "undone",
            "assignments",
            "solved"
        )?;
        for kind in FaultKind::ALL {
            let mut sum = Tally::default();
            for (_, _, tally) in self.tricks().filter(|(k, ..)| k == kind) {
                sum.tried += tally.tried;
                sum.rejected += tally.rejected;
                sum.equivalent += tally.equivalent;
                sum.idle += tally.idle;
            }
            let judge = |judge| self.refused_where(judge, |_, k| k == *kind);
            let [retried, repaired, local, undone, assignments, solved] =
                self.chances.get(kind).copied().unwrap_or_default();
            writeln!(
                f,
                "{:<20}{:>8}{:>9}{:>8}{:>7}{:>12}{:>10}{:>9}{retried:>10}{repaired:>10}{local:>8}{undone:>8}{assignments:>13}{solved:>8}",
                kind.name(),
                sum.tried,
                sum.rejected,
                sum.equivalent,
                sum.idle,
                judge(Judge::MockProver),
                judge(Judge::Verifier),
                judge(Judge::Prover),
            )?;
        }

        writeln!(f, "\n{:<88}{:>8}{:>7}", "by lie", "tried", "idle")?;
        for (kind, what, tally) in self.tricks() {
            let lie = format!("{}: {what}", kind.name());
            writeln!(f, "{lie:<88}{:>8}{:>7}", cell(Some(&tally)), tally.idle)?;
        }

        write!(f, "\n{:<88}", "by constraint that refuses")?;
        for kind in FaultKind::ALL {
            write!(f, "{:>9}", kind.short())?;
        }
        writeln!(f, "{:>9}{:>7}{:>10}", "sum", "alone", "2nd tries")?;
        for ((family, name), reason) in &self.reasons {
            let constraint = format!("{family}: {name}");
            write!(f, "{constraint:<88}")?;
            for kind in FaultKind::ALL {
                match reason.rejects.get(kind) {
                    Some(count) => write!(f, "{count:>9}")?,
                    None => write!(f, "{:>9}", ".")?,
                }
            }
            let sum: usize = reason.rejects.values().sum();
            writeln!(f, "{sum:>9}{:>7}{:>10}", reason.alone, reason.second)?;
        }
        for lie in &self.accepted {
            writeln!(f, "ACCEPTED {lie}")?;
        }
        Ok(())
    }
}
