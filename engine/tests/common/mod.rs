//! A circuit with everything that a constraint system can have.

pub(crate) mod random;
pub(crate) mod recorder;

use ff::Field;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Assigned, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase,
    Fixed, Instance, SecondPhase,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// A circuit with its public values.
pub(crate) trait Public: Circuit<Fr> + Clone {
    fn public(&self) -> Vec<Vec<Fr>>;
}

impl Public for Toy {
    fn public(&self) -> Vec<Vec<Fr>> {
        vec![self.instance()]
    }
}

impl Public for random::Random {
    fn public(&self) -> Vec<Vec<Fr>> {
        self.instances()
    }
}

/// What a [`Toy`] has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    /// Equality constraints, over this many more columns than one set takes.
    pub(crate) copies: bool,
    /// Lookups, of one and of two expressions.
    pub(crate) lookups: bool,
    /// Columns of later phases.
    pub(crate) phases: bool,
    /// The degree of its highest gate, at most 9.
    pub(crate) degree: usize,
    /// Whether it moves to the next phase itself.
    pub(crate) moves: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Toy {
    pub(crate) parts: Parts,
    pub(crate) seed: u64,
    pub(crate) rows: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    a: Column<Advice>,
    b: Column<Advice>,
    product: Column<Advice>,
    power: Column<Advice>,
    small: Column<Advice>,
    more: Vec<Column<Advice>>,
    running: Option<(Column<Advice>, Column<Advice>, Challenge, Challenge)>,
    on: Column<Fixed>,
    step: Column<Fixed>,
    table: [Column<Fixed>; 2],
    instance: Column<Instance>,
}

impl Toy {
    /// Public values.
    pub(crate) fn instance(&self) -> Vec<Fr> {
        self.rows(2).iter().map(|(a, ..)| *a).collect()
    }

    fn rows(&self, count: usize) -> Vec<(Fr, Fr, u64)> {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        (0..count)
            .map(|_| {
                (
                    Fr::random(&mut rng),
                    Fr::from(rng.next_u64() >> 40),
                    rng.next_u64() % 16,
                )
            })
            .collect()
    }
}

impl Circuit<Fr> for Toy {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Parts;

    fn params(&self) -> Parts {
        self.parts
    }

    fn without_witnesses(&self) -> Self {
        *self
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> Config {
        unreachable!("it has parameters")
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, parts: Parts) -> Config {
        // halo2-axiom takes five for the degree of whatever has a higher one and does not say so.
        meta.set_minimum_degree(parts.degree);
        let config = Config {
            a: meta.advice_column(),
            b: meta.advice_column(),
            product: meta.advice_column(),
            power: meta.advice_column(),
            small: meta.advice_column(),
            more: (0..5).map(|_| meta.advice_column()).collect(),
            running: parts.phases.then(|| {
                let first = meta.challenge_usable_after(FirstPhase);
                let running = meta.advice_column_in(SecondPhase);
                let second = meta.challenge_usable_after(FirstPhase);
                (running, meta.advice_column_in(SecondPhase), first, second)
            }),
            on: meta.fixed_column(),
            step: meta.fixed_column(),
            table: [meta.fixed_column(), meta.fixed_column()],
            instance: meta.instance_column(),
        };
        let constant = |value| Expression::Constant(Fr::from(value));
        meta.create_gate("rows", |meta| {
            let on = meta.query_fixed(config.on, Rotation::cur());
            let a = meta.query_advice(config.a, Rotation::cur());
            let b = meta.query_advice(config.b, Rotation::cur());
            let product = meta.query_advice(config.product, Rotation::cur());
            let power = meta.query_advice(config.power, Rotation::cur());
            let target = (1..parts.degree - 1).fold(a.clone(), |power, _| power * a.clone());
            vec![
                on.clone() * (a.clone() * b.clone() * Fr::from(3) - product),
                on * (power - target - b + constant(5)),
            ]
        });
        meta.create_gate("neighbours", |meta| {
            let step = meta.query_fixed(config.step, Rotation::cur());
            let next = meta.query_advice(config.more[0], Rotation::next());
            let here = meta.query_advice(config.more[0], Rotation::cur());
            let before = meta.query_advice(config.more[0], Rotation::prev());
            let b = meta.query_advice(config.b, Rotation::cur());
            vec![step * (next - here - before - b)]
        });
        if !parts.copies && !parts.lookups {
            meta.create_gate("public", |meta| {
                let public = meta.query_fixed(config.table[1], Rotation::cur());
                let a = meta.query_advice(config.a, Rotation::cur());
                let instance = meta.query_instance(config.instance, Rotation::cur());
                vec![public * (a - instance)]
            });
        }
        if let Some((running, last, first, second)) = config.running {
            meta.create_gate("phases", |meta| {
                let on = meta.query_fixed(config.on, Rotation::cur());
                let first = meta.query_challenge(first);
                let second = meta.query_challenge(second);
                let a = meta.query_advice(config.a, Rotation::cur());
                let here = meta.query_advice(running, Rotation::cur());
                let next = meta.query_advice(running, Rotation::next());
                let last = meta.query_advice(last, Rotation::cur());
                vec![
                    on.clone() * (next - here.clone() * first - a.clone()),
                    on * (last - here * second.clone() - second * a),
                ]
            });
        }
        if parts.lookups {
            meta.lookup_any("small", |meta| {
                let small = meta.query_advice(config.small, Rotation::cur());
                let table = meta.query_fixed(config.table[0], Rotation::cur());
                vec![(small, table)]
            });
            meta.lookup_any("square", |meta| {
                let on = meta.query_fixed(config.on, Rotation::cur());
                let small = meta.query_advice(config.small, Rotation::cur());
                let square = meta.query_advice(config.more[1], Rotation::cur());
                let table = config
                    .table
                    .map(|table| meta.query_fixed(table, Rotation::cur()));
                let [value, result] = table;
                vec![(on.clone() * small, value), (on * square, result)]
            });
        }
        if parts.copies {
            meta.enable_equality(config.instance);
            for column in [config.a, config.b, config.product]
                .iter()
                .chain(&config.more)
            {
                meta.enable_equality(*column);
            }
            meta.enable_equality(config.table[1]);
        }
        config
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let rows = self.rows(self.rows);
        let mut public = Vec::new();
        layouter.assign_region(
            || "rows",
            |mut region| {
                public.clear();
                let mut sums = [Fr::from(1), Fr::from(2)];
                for (i, (a, b, small)) in rows.iter().enumerate() {
                    region.assign_fixed(config.on, i, Fr::ONE);
                    let cell = region.assign_advice(config.a, i, Value::known(*a)).cell();
                    if i < 2 {
                        public.push(cell);
                    }
                    region.assign_advice(config.b, i, Value::known(*b));
                    let product = *a * b * Fr::from(3);
                    // As a fraction, of which there are some in every column but none in all rows.
                    let fraction = if i % 3 == 0 {
                        Assigned::Rational(product * Fr::from(7), Fr::from(7))
                    } else {
                        Assigned::Trivial(product)
                    };
                    let cell = region.assign_advice(config.product, i, Value::known(fraction));
                    if self.parts.copies && i % 4 == 1 {
                        for column in &config.more[2..] {
                            let copy = region.assign_advice(*column, i, Value::known(product));
                            region.constrain_equal(cell.cell(), copy.cell());
                        }
                    }
                    let power = a.pow([self.parts.degree as u64 - 1]) + b - Fr::from(5);
                    region.assign_advice(config.power, i, Value::known(power));
                    region.assign_advice(config.small, i, Value::known(Fr::from(*small)));
                    region.assign_advice(config.more[1], i, Value::known(Fr::from(small * small)));
                    if i > 0 {
                        region.assign_fixed(config.step, i, Fr::ONE);
                    }
                    region.assign_advice(config.more[0], i, Value::known(sums[1]));
                    let [before, here] = sums;
                    sums = if i == 0 {
                        [here, here]
                    } else {
                        [here, here + before + b]
                    };
                }
                let last = if rows.is_empty() { 0 } else { rows.len() };
                region.assign_advice(config.more[0], last, Value::known(sums[1]));
                for i in 0..self.rows {
                    let value = Fr::from(i as u64 % 16);
                    region.assign_fixed(config.table[0], i, value);
                    if self.parts.copies || self.parts.lookups {
                        region.assign_fixed(config.table[1], i, value.square());
                    } else if i < 2 {
                        region.assign_fixed(config.table[1], i, Fr::ONE);
                    }
                }
                Ok(())
            },
        )?;
        if self.parts.copies {
            for (row, cell) in public.into_iter().enumerate() {
                layouter.constrain_instance(cell, config.instance, row);
            }
        }
        let Some((running, last, first, second)) = config.running else {
            return Ok(());
        };
        if self.parts.moves {
            layouter.next_phase();
        }
        let first = layouter.get_challenge(first);
        let second = layouter.get_challenge(second);
        layouter.assign_region(
            || "second phase",
            |mut region| {
                let mut sum = Value::known(Fr::from(9));
                for (i, (a, ..)) in rows.iter().enumerate() {
                    region.assign_advice(running, i, known_or_zero(sum));
                    let value = (sum + Value::known(*a)) * second;
                    region.assign_advice(last, i, known_or_zero(value));
                    sum = sum * first + Value::known(*a);
                }
                region.assign_advice(running, rows.len(), known_or_zero(sum));
                Ok(())
            },
        )
    }
}

/// Zero as long as a challenge is not known.
fn known_or_zero(value: Value<Fr>) -> Value<Fr> {
    let mut result = Fr::ZERO;
    value.map(|value| result = value);
    Value::known(result)
}
