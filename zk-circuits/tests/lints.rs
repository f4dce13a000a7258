//! Lints over constraint systems: each reports a circuit that has its fault, and none the chunk circuit.

mod fixtures;

use std::collections::BTreeSet;

use ff::Field;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed,
    Instance, SecondPhase, Selector,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use zk_circuits::dev::{self, Checker, Finding, Part};
use zk_circuits::{Bus, ChunkCircuit, ChunkWitness, MAX_DEGREE, Shape};

/// What is wrong with a small circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    Unassigned,
    UnusedAdvice,
    UnusedFixed,
    UnusedInstance,
    UnusedSelector,
    Unconstrained,
    NeverEnabled,
    OnBlinding,
    Late,
    LateLookup,
    FarRotation,
    MeetingRotations,
    Degree,
}

/// `b = q·a` where `s` is set, `b` is public, and `h·(α + b) = 1` in the second phase.
#[derive(Clone, Copy, Debug, Default)]
struct Small(Fault);

#[derive(Clone, Debug)]
struct Columns {
    a: Column<Advice>,
    b: Column<Advice>,
    h: Column<Advice>,
    q: Column<Fixed>,
    p: Column<Instance>,
    s: Selector,
    alpha: Challenge,
    other: Option<Column<Advice>>,
}

fn one() -> Expression<Fr> {
    Expression::Constant(Fr::ONE)
}

const K: u32 = 5;
const A: u64 = 3;
const Q: u64 = 5;

impl Circuit<Fr> for Small {
    type Config = Columns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Fault;

    fn params(&self) -> Fault {
        self.0
    }

    fn without_witnesses(&self) -> Self {
        *self
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> Columns {
        unreachable!("it has parameters")
    }

    fn configure_with_params(cs: &mut ConstraintSystem<Fr>, fault: Fault) -> Columns {
        let (a, b) = (cs.advice_column(), cs.advice_column());
        let (q, p, s) = (cs.fixed_column(), cs.instance_column(), cs.selector());
        let h = cs.advice_column_in(SecondPhase);
        let alpha = cs.challenge_usable_after(FirstPhase);
        cs.enable_equality(b);
        cs.enable_equality(p);
        cs.create_gate("product", |cells| {
            let [a, b] = [a, b].map(|column| cells.query_advice(column, Rotation::cur()));
            let q = cells.query_fixed(q, Rotation::cur());
            let s = cells.query_selector(s);
            vec![("b = q·a", s * (q * a - b))]
        });
        cs.create_gate("inverse", |cells| {
            let h = cells.query_advice(h, Rotation::cur());
            let b = cells.query_advice(b, Rotation::cur());
            let s = cells.query_selector(s);
            let one = Expression::Constant(Fr::ONE);
            vec![("h·(α + b) = 1", s * (h * (alpha.expr() + b) - one))]
        });
        let mut other = None;
        match fault {
            Fault::None | Fault::Unassigned => {}
            Fault::UnusedAdvice => {
                cs.advice_column();
            }
            Fault::UnusedFixed => {
                cs.fixed_column();
            }
            Fault::UnusedInstance => {
                cs.instance_column();
            }
            Fault::UnusedSelector => {
                cs.selector();
            }
            Fault::Unconstrained | Fault::NeverEnabled => {
                // A column whose selector is zero; beside it, one that counts.
                let column = cs.advice_column();
                let (never, always) = (cs.selector(), s);
                cs.create_gate("other", |cells| {
                    let value = cells.query_advice(column, Rotation::cur());
                    let b = cells.query_advice(b, Rotation::cur());
                    let (never, always) =
                        (cells.query_selector(never), cells.query_selector(always));
                    let mut polys = vec![("b·value = 0", never * b * value.clone())];
                    if fault == Fault::NeverEnabled {
                        polys.push(("value is a bit", always * value.clone() * (value - one())));
                    }
                    polys
                });
                other = Some(column);
            }
            Fault::OnBlinding => {
                cs.create_gate("everywhere", |cells| {
                    let a = cells.query_advice(a, Rotation::cur());
                    let q = cells.query_fixed(q, Rotation::cur());
                    vec![(
                        "a is a bit or q is not zero",
                        (one() - q) * a.clone() * (a - one()),
                    )]
                });
            }
            Fault::Late => {
                let (x, y) = (cs.advice_column_in(SecondPhase), h);
                cs.create_gate("fingerprint", |cells| {
                    let x = cells.query_advice(x, Rotation::cur());
                    let y = cells.query_advice(y, Rotation::cur());
                    let s = cells.query_selector(s);
                    vec![("x + α·y = α", s * (x + alpha.expr() * y - alpha.expr()))]
                });
                other = Some(x);
            }
            Fault::LateLookup => {
                cs.lookup_any("late", |cells| {
                    let h = cells.query_advice(h, Rotation::cur());
                    let q = cells.query_fixed(q, Rotation::cur());
                    vec![(h * alpha.expr(), q)]
                });
            }
            Fault::FarRotation | Fault::MeetingRotations => {
                let far = if fault == Fault::FarRotation { 9 } else { 32 };
                cs.create_gate("far", |cells| {
                    let here = cells.query_advice(b, Rotation::cur());
                    let there = cells.query_advice(b, Rotation(far));
                    let s = cells.query_selector(s);
                    vec![("b = b there", s * here * there)]
                });
            }
            Fault::Degree => {
                cs.create_gate("power", |cells| {
                    let a = cells.query_advice(a, Rotation::cur());
                    let s = cells.query_selector(s);
                    let power = (0..5).fold(one(), |power, _| power * a.clone());
                    vec![("a^5 = 0", s * power)]
                });
            }
        }
        Columns {
            a,
            b,
            h,
            q,
            p,
            s,
            alpha,
            other,
        }
    }

    fn synthesize(&self, config: Columns, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let alpha = layouter.get_challenge(config.alpha);
        let cell = layouter.assign_region(
            || "one row",
            |mut region| {
                config.s.enable(&mut region, 0)?;
                region.assign_fixed(config.q, 0, Fr::from(Q));
                if self.0 != Fault::Unassigned {
                    region.assign_advice(config.a, 0, Value::known(Fr::from(A)));
                }
                let b = region.assign_advice(config.b, 0, Value::known(Fr::from(A * Q)));
                let inverse = alpha.map(|alpha| (alpha + Fr::from(A * Q)).invert().unwrap());
                region.assign_advice(config.h, 0, inverse);
                if let Some(other) = config.other {
                    region.assign_advice(other, 0, Value::known(Fr::ZERO));
                }
                if matches!(self.0, Fault::FarRotation) {
                    region.assign_advice(config.b, 9, Value::known(Fr::ZERO));
                }
                Ok(b.cell())
            },
        )?;
        layouter.constrain_instance(cell, config.p, 0);
        Ok(())
    }
}

fn findings(fault: Fault) -> Vec<String> {
    let instance = vec![vec![Fr::from(A * Q)]; if fault == Fault::UnusedInstance { 2 } else { 1 }];
    let found = dev::lint(K, &Small(fault), &instance, MAX_DEGREE).expect("it is synthesized");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_is_reported_and_nothing_else() {
    let sound: [String; 0] = [];
    assert_eq!(findings(Fault::None), sound);
    for (fault, expected) in [
        (
            Fault::Unassigned,
            "product: b = q·a reads advice column 0 in row 0, which nobody wrote",
        ),
        (Fault::UnusedAdvice, "advice column 3 is not used"),
        (Fault::UnusedFixed, "fixed column 1 is not used"),
        (Fault::UnusedInstance, "instance column 1 is not used"),
        (Fault::UnusedSelector, "selector 1 is not used"),
        (Fault::NeverEnabled, "other: b·value = 0 is enabled nowhere"),
        (
            Fault::OnBlinding,
            "everywhere: a is a bit or q is not zero is enabled in row 26, which is blinded",
        ),
        (
            Fault::Late,
            "fingerprint: x + α·y = α compresses by a challenge what was committed after it",
        ),
        (
            Fault::LateLookup,
            "lookup late compresses by a challenge what was committed after it",
        ),
        (Fault::FarRotation, "advice column 1 is read at rotation 9"),
        (
            Fault::MeetingRotations,
            "advice column 1 is read at rotation 32",
        ),
        (Fault::Degree, "power: a^5 = 0 has degree 6"),
    ] {
        let found = findings(fault);
        assert!(found.iter().any(|f| f == expected), "{fault:?}: {found:#?}");
        // Columns that are not used are not constrained; what is enabled everywhere reads what nobody wrote.
        let also = match fault {
            Fault::UnusedAdvice | Fault::OnBlinding => 1,
            Fault::LateLookup => 1,
            _ => 0,
        };
        assert_eq!(found.len(), 1 + also, "{fault:?}: {found:#?}");
    }
    let unconstrained = findings(Fault::Unconstrained);
    let expected = "nothing that is enabled constrains advice column 3";
    assert!(
        unconstrained.iter().any(|f| f == expected),
        "{unconstrained:#?}"
    );
}

/// A witness that fills a chunk of this shape as far as a small program does.
fn witness(shape: Shape) -> ChunkWitness {
    let fixture = fixtures::memory::sections();
    fixture.witnesses(shape, None).remove(0)
}

#[test]
fn the_chunk_circuit_has_none_but_one() {
    for shape in [10, 17].map(|k| Shape::new(k, 8).expect("supported")) {
        let witness = witness(shape);
        let instance = vec![witness.instance().to_fields().to_vec()];
        let circuit = ChunkCircuit::new(witness);
        let found = dev::lint(shape.k(), &circuit, &instance, MAX_DEGREE).expect("synthesized");
        // A signed division reads two rows behind itself. Where that is behind the row of the state at the exit, the
        // division has no rows to go on in: `pc_out` would be a place before the slots, which no verifier accepts.
        let behind = |finding: &Finding| match finding {
            Finding::Unassigned { reader, row, .. } => {
                reader.starts_with("div signed: ") && *row == shape.end_row() + 1
            }
            _ => false,
        };
        let others: Vec<&Finding> = found.iter().filter(|f| !behind(f)).collect();
        assert!(others.is_empty(), "k = {}: {others:#?}", shape.k());
        assert!(!found.is_empty(), "the exception is needed");
    }
}

/// Every flag is set and every multiplicity is used in some row of the fixtures; every bus is sent on and
/// received from.
#[test]
fn flags_and_buses_are_used() {
    let checker = Checker::shared(fixtures::small());
    let mut fixtures = vec![fixtures::memory::sections()];
    fixtures.extend(fixtures::control::fixtures());
    fixtures.extend(fixtures::memory::fixtures());
    fixtures.extend(fixtures::alu::fixtures());
    fixtures.extend(fixtures::sbpf::fixtures());
    let mut idle: BTreeSet<Part> = checker.parts().into_iter().collect();
    let mut all = Vec::new();
    for fixture in &fixtures {
        if idle.is_empty() {
            break;
        }
        let witnesses = fixture.witnesses(fixtures::small(), None);
        let before = idle.len();
        let still = checker.idle(&witnesses);
        idle.retain(|part| still.contains(part));
        if idle.len() < before {
            all.extend(witnesses);
        }
    }
    assert!(idle.is_empty(), "{idle:?}");
    let first = &all[..1];
    assert!(
        !checker.idle(first).is_empty(),
        "one program does not use everything"
    );
    assert!(checker.one_sided(first).is_empty());
    for (bus, name) in [
        (Bus::Outcome, "the outcome"),
        (Bus::Time, "a time difference is read"),
        (Bus::Table, "a row of the lookup table is read"),
    ] {
        let part = Part::Interaction(bus, name.to_owned());
        assert_eq!(checker.without(&part).one_sided(first), [bus]);
    }
}
