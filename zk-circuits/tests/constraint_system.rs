//! Rules that the constraint system obeys as a whole, whatever the families state.

use std::collections::BTreeSet;

use halo2_proofs::plonk::{Expression, keygen_vk};

use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr};
use rand::{Rng, SeedableRng, rngs::StdRng};
use zk_circuits::dev::{self, Checker};
use zk_circuits::{Cell, ChunkCircuit, Committed, MAX_DEGREE, Shape, shape};

mod fixtures;

fn shapes() -> [Shape; 2] {
    [10, 17].map(|k| Shape::new(k, 8).expect("supported"))
}

/// Every advice query in an expression: column, rotation, phase.
fn advice(expression: &Expression<Fr>) -> BTreeSet<(usize, i32, u8)> {
    let one = |query| BTreeSet::from([query]);
    let join = |mut a: BTreeSet<_>, b: BTreeSet<_>| {
        a.extend(b);
        a
    };
    expression.evaluate(
        &|_| BTreeSet::new(),
        &|_| BTreeSet::new(),
        &|_| BTreeSet::new(),
        &|q| one((q.column_index(), q.rotation().0, q.phase())),
        &|_| BTreeSet::new(),
        &|_| BTreeSet::new(),
        &|a| a,
        &join,
        &join,
        &|a, _| a,
    )
}

fn uses_challenge(expression: &Expression<Fr>) -> bool {
    expression.evaluate(
        &|_| false,
        &|_| false,
        &|_| false,
        &|_| false,
        &|_| false,
        &|_| true,
        &|a| a,
        &|a, b| a || b,
        &|a, b| a || b,
        &|a, _| a,
    )
}

/// Degree in second-phase cells, and whether a challenge multiplies one.
fn second_phase_degree(expression: &Expression<Fr>) -> usize {
    expression.evaluate(
        &|_| 0,
        &|_| 0,
        &|_| 0,
        &|q| usize::from(q.phase() == 1),
        &|_| 0,
        &|_| 0,
        &|a| a,
        &|a: usize, b| a.max(b),
        &|a, b| a + b,
        &|a, _| a,
    )
}

/// LOG-1: what is compressed by a challenge was committed before it; second-phase columns are only
/// the argument's own, and occur linearly.
#[test]
fn challenges_come_after_everything_they_compress() {
    for shape in shapes() {
        let cs = dev::constraint_system(shape);
        assert!(cs.lookups().is_empty(), "no other argument");
        assert!(cs.permutation().get_columns().is_empty());
        assert_eq!(cs.num_challenges(), 2);
        assert!(
            cs.challenge_phase().iter().all(|phase| *phase == 0),
            "usable after phase 1"
        );
        for gate in cs.gates() {
            for expression in gate.polynomials() {
                let second = advice(expression).iter().any(|(_, _, phase)| *phase != 0);
                if gate.name() == "bus" {
                    assert!(second_phase_degree(expression) <= 1, "{}", gate.name());
                } else {
                    assert!(!second && !uses_challenge(expression), "{}", gate.name());
                }
            }
        }
        // Tuples and multiplicities: compiled without challenges, from first-phase columns alone.
        let checker = Checker::shared(shape);
        let first_phase = cs.advice_column_phase().iter().filter(|p| **p == 0).count();
        for (column, _) in checker.interaction_queries() {
            assert!(column.is_none_or(|column| column < first_phase));
        }
    }
}

/// FS-3: rotations stay close, and no two queries of a column meet modulo the number of rows.
#[test]
fn rotations_are_small_and_distinct() {
    for shape in shapes() {
        let cs = dev::constraint_system(shape);
        let rows = shape.rows() as i32;
        let mut seen = BTreeSet::new();
        let advice = cs
            .advice_queries()
            .iter()
            .map(|(c, r)| ("advice", c.index(), r.0));
        let fixed = cs
            .fixed_queries()
            .iter()
            .map(|(c, r)| ("fixed", c.index(), r.0));
        let instance = cs
            .instance_queries()
            .iter()
            .map(|(c, r)| ("instance", c.index(), r.0));
        for (kind, column, rotation) in advice.chain(fixed).chain(instance) {
            assert!(
                (-8..=8).contains(&rotation),
                "{kind} column {column} at {rotation}"
            );
            assert!(
                seen.insert((kind, column, rotation.rem_euclid(rows))),
                "queried twice"
            );
        }
    }
}

/// PAD-3: `First`, `Active`, `Last` as specified.
#[test]
fn fixed_columns_mark_the_active_rows() {
    for shape in shapes() {
        let columns = dev::fixed_columns(shape);
        let marks = |column: usize| -> Vec<usize> {
            (0..shape.rows())
                .filter(|row| columns[column][*row] == Fr::one())
                .collect()
        };
        let (end, first) = (shape.end_row(), shape::FIRST_ROW);
        assert_eq!(marks(5), (first..end).collect::<Vec<_>>(), "Active");
        assert_eq!(marks(6), [first], "First");
        assert_eq!(marks(7), [end - 1], "Last");
        for column in &columns[5..8] {
            assert!(column.iter().all(|v| *v == Fr::zero() || *v == Fr::one()));
        }
        let row = |row: usize| Fr::from(row as u64);
        assert!((0..shape.rows()).all(|r| columns[0][r] == row(r)), "Row");
    }
}

/// PAD-3, PAD-4: gates vanish on all other rows, whatever these hold; an active row reads no row that
/// halo2 blinds, except where the state has long become invalid.
#[test]
fn gates_are_idle_outside_the_active_rows() {
    let mut rng = StdRng::seed_from_u64(7);
    for shape in shapes() {
        let cs = dev::constraint_system(shape);
        for gate in cs.gates() {
            for (index, expression) in gate.polynomials().iter().enumerate() {
                let mut value = |_| -> Fr { Fr::from(rng.r#gen::<u64>()) };
                let random: Vec<Fr> = (0..4096).map(&mut value).collect();
                let at = |kind: usize, column: usize, rotation: i32| {
                    random[(kind * 997 + column * 31 + (rotation + 8) as usize) % random.len()]
                };
                let result = expression.evaluate(
                    &|c| c,
                    &|_| Fr::one(),
                    // Column 5 is `Active`.
                    &|q| match q.column_index() {
                        5 => Fr::zero(),
                        column => at(0, column, q.rotation().0),
                    },
                    &|q| at(1, q.column_index(), q.rotation().0),
                    &|q| at(2, 0, q.rotation().0),
                    &|c| at(3, c.index(), 0),
                    &|a: Fr| -a,
                    &|a, b| a + b,
                    &|a, b| a * b,
                    &|a, s| a * s,
                );
                assert_eq!(
                    result,
                    Fr::zero(),
                    "{}: {}",
                    gate.name(),
                    gate.constraint_name(index)
                );
            }
        }
        let usable = shape.rows() - (cs.blinding_factors() + 1);
        let furthest = cs
            .advice_queries()
            .iter()
            .map(|(_, r)| r.0)
            .max()
            .expect("queries");
        assert!(furthest > 0);
        let last_read = shape.end_row() - 1 + furthest as usize;
        assert!(
            last_read < usable,
            "row {last_read} is read, rows from {usable} are blinded"
        );
        assert!(shape.end_row() < usable);
    }
}

#[test]
fn degrees_names_and_phases() {
    for shape in shapes() {
        let cs = dev::constraint_system(shape);
        assert_eq!(cs.degree(), MAX_DEGREE);
        for gate in cs.gates() {
            for expression in gate.polynomials() {
                assert!(expression.degree() <= MAX_DEGREE);
            }
        }
        let checker = Checker::shared(shape);
        let mut names = BTreeSet::new();
        for (family, name) in checker.constraints() {
            assert!(
                names.insert((family, name)),
                "{family}: {name} is stated twice"
            );
        }
        // BND-1: the committed columns are the first advice columns, in the first phase.
        let phases = cs.advice_column_phase();
        assert_eq!(
            Committed::ALL.map(|column| column as usize),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
        assert!(
            phases[..Committed::COUNT + Cell::COUNT]
                .iter()
                .all(|phase| *phase == 0)
        );
        // Every advice column is read by some gate.
        let read: BTreeSet<usize> = cs.advice_queries().iter().map(|(c, _)| c.index()).collect();
        assert_eq!(read.len(), cs.num_advice_columns());
    }
}

#[test]
fn verifying_key_does_not_depend_on_the_trace() {
    let params = ParamsKZG::<Bn256>::setup(12, StdRng::seed_from_u64(3));
    let pinned = |circuit: &ChunkCircuit, k: u32| {
        let mut params = params.clone();
        halo2_proofs::poly::commitment::Params::downsize(&mut params, k);
        format!("{:?}", keygen_vk(&params, circuit).expect("a key").pinned())
    };
    let small = fixtures::small();
    let empty = pinned(&ChunkCircuit::keygen(small), 10);
    let programs = [
        fixtures::Fixture::of("exit", &[fixtures::EXIT]),
        fixtures::memory::sections(),
    ];
    for fixture in programs {
        let witness = fixture.witnesses(small, None).remove(0);
        assert_eq!(
            pinned(&ChunkCircuit::new(witness), 10),
            empty,
            "{}",
            fixture.name
        );
    }
    let others = [11, 12].map(|k| {
        pinned(
            &ChunkCircuit::keygen(Shape::new(k, 8).expect("supported")),
            k,
        )
    });
    assert!(others[0] != empty && others[1] != empty && others[0] != others[1]);
    // Narrow operands are narrow whatever is asked for, where wide tables do not fit.
    assert_eq!(Shape::new(10, 4).expect("supported"), small);
}
