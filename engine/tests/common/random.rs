//! Circuits drawn at random: columns of several phases, instances, gates of any degree over neighbouring rows,
//! lookups and copies.

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

/// A product of cells, a constant, and perhaps a challenge.
#[derive(Clone, Debug)]
struct Monomial {
    coefficient: Fr,
    challenge: Option<usize>,
    cells: Vec<(usize, i32)>,
}

/// What an advice column is filled with.
#[derive(Clone, Debug)]
enum Filling {
    /// Random values of so many bits.
    Bits(u32),
    /// Where the gate is on, a sum of products of cells of the columns before.
    Sum(Vec<Monomial>),
    /// A value of another column, some rows away.
    Copy(usize, usize),
    /// The square of a column of four bits.
    Square(usize),
}

#[derive(Clone, Debug)]
struct Drawn {
    phase: usize,
    filling: Filling,
}

/// A circuit that follows from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    pub(crate) k: u32,
    columns: Vec<Drawn>,
    phases: usize,
    instances: usize,
    /// What it was drawn with.
    pub(crate) degree: usize,
    seed: u64,
}

/// Rows at both ends that no gate starts from.
const MARGIN: usize = 4;
/// More than any blinding takes.
const BLINDING: usize = 24;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    advice: Vec<Column<Advice>>,
    challenges: Vec<Challenge>,
    on: Column<Fixed>,
    table: [Column<Fixed>; 2],
    public: Column<Fixed>,
    instances: Vec<Column<Instance>>,
}

fn below(rng: &mut ChaCha20Rng, limit: usize) -> usize {
    (rng.next_u64() % limit as u64) as usize
}

impl Random {
    pub(crate) fn draw(seed: u64) -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        // halo2's prover fails at the end of a third phase.
        let phases = 1 + below(rng, 2);
        let degree = 3 + below(rng, 7);
        let mut columns = Vec::new();
        for phase in 0..phases {
            for _ in 0..1 + below(rng, 3) {
                let bits = [0, 1, 4, 16, 64, 254][below(rng, 6)];
                columns.push(Drawn {
                    phase,
                    filling: Filling::Bits(bits),
                });
            }
            for gate in 0..1 + below(rng, 3) {
                let limit = if phase == 0 && gate == 0 {
                    degree
                } else {
                    3 + below(rng, degree - 2)
                };
                let known = columns.len();
                let monomial = |rng: &mut ChaCha20Rng, cells: usize| Monomial {
                    coefficient: Fr::random(&mut *rng),
                    challenge: (phase > 0 && below(rng, 2) == 0).then(|| below(rng, phase)),
                    cells: (0..cells)
                        .map(|_| {
                            let rotation = below(rng, 2 * MARGIN - 1) as i32 - (MARGIN as i32 - 1);
                            (below(rng, known), rotation)
                        })
                        .collect(),
                };
                let mut sum = vec![monomial(rng, limit - 1)];
                for _ in 0..below(rng, 3) {
                    let cells = below(rng, limit);
                    sum.push(monomial(rng, cells));
                }
                columns.push(Drawn {
                    phase,
                    filling: Filling::Sum(sum),
                });
            }
            for _ in 0..below(rng, 3) {
                let filling = Filling::Copy(below(rng, columns.len()), below(rng, 5));
                columns.push(Drawn { phase, filling });
            }
            if below(rng, 2) == 0 {
                columns.push(Drawn {
                    phase,
                    filling: Filling::Bits(4),
                });
                let filling = Filling::Square(columns.len() - 1);
                columns.push(Drawn { phase, filling });
            }
        }
        Self {
            k: 6 + below(rng, 3) as u32,
            columns,
            phases,
            instances: 1 + below(rng, 3),
            degree,
            seed,
        }
    }

    fn rows(&self) -> usize {
        (1 << self.k) - BLINDING
    }

    fn gate_rows(&self) -> std::ops::Range<usize> {
        MARGIN..self.rows() - MARGIN
    }

    /// The first rows of the first columns are public.
    pub(crate) fn instances(&self) -> Vec<Vec<Fr>> {
        let values = self.values(&[Fr::ZERO]);
        let first = |column: usize| values[column % self.first_phase()][..3 + column].to_vec();
        (0..self.instances).map(first).collect()
    }

    fn first_phase(&self) -> usize {
        self.columns.iter().filter(|c| c.phase == 0).count()
    }

    /// All columns, those of later phases as the challenges say.
    fn values(&self, challenges: &[Fr]) -> Vec<Vec<Fr>> {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed ^ 0xff);
        let mut values: Vec<Vec<Fr>> = Vec::new();
        for column in &self.columns {
            let mut filled = vec![Fr::ZERO; self.rows()];
            match &column.filling {
                Filling::Bits(0) => (),
                Filling::Bits(254) => {
                    filled.fill_with(|| Fr::random(&mut rng));
                }
                Filling::Bits(bits) => {
                    filled.fill_with(|| Fr::from(rng.next_u64() >> (64 - bits)));
                }
                Filling::Sum(sum) => {
                    for row in self.gate_rows() {
                        for monomial in sum {
                            let cell = |(column, rotation): &(usize, i32)| {
                                values[*column][row.wrapping_add_signed(*rotation as isize)]
                            };
                            let product: Fr = monomial.cells.iter().map(cell).product();
                            let challenge = monomial.challenge.map_or(Fr::ONE, |c| challenges[c]);
                            filled[row] += product * monomial.coefficient * challenge;
                        }
                    }
                }
                Filling::Copy(from, distance) => {
                    filled[*distance..].copy_from_slice(&values[*from][..self.rows() - distance]);
                }
                Filling::Square(from) => {
                    filled = values[*from].iter().map(Fr::square).collect();
                }
            }
            values.push(filled);
        }
        values
    }
}

impl Circuit<Fr> for Random {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Option<Box<Random>>;

    fn params(&self) -> Self::Params {
        Some(Box::new(self.clone()))
    }

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> Config {
        unreachable!("it has parameters")
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, drawn: Self::Params) -> Config {
        let drawn = drawn.expect("given");
        // halo2-axiom takes five for the degree of whatever has a higher one and does not say so.
        meta.set_minimum_degree(drawn.degree);
        let mut challenges = Vec::new();
        let mut advice = Vec::new();
        for phase in 0..drawn.phases {
            for _ in drawn.columns.iter().filter(|c| c.phase == phase) {
                advice.push(match phase {
                    0 => meta.advice_column(),
                    _ => meta.advice_column_in(SecondPhase),
                });
            }
            if phase + 1 < drawn.phases {
                challenges.push(meta.challenge_usable_after(FirstPhase));
            }
        }
        let config = Config {
            advice,
            challenges,
            on: meta.fixed_column(),
            table: [meta.fixed_column(), meta.fixed_column()],
            public: meta.fixed_column(),
            instances: (0..drawn.instances)
                .map(|_| meta.instance_column())
                .collect(),
        };
        for (index, column) in drawn.columns.iter().enumerate() {
            match &column.filling {
                Filling::Sum(sum) => {
                    meta.create_gate("sum", |meta| {
                        let on = meta.query_fixed(config.on, Rotation::cur());
                        let filled = meta.query_advice(config.advice[index], Rotation::cur());
                        let sum = sum.iter().fold(-filled, |sum, monomial| {
                            let start = Expression::Constant(monomial.coefficient);
                            let start = match monomial.challenge {
                                Some(c) => start * meta.query_challenge(config.challenges[c]),
                                None => start,
                            };
                            let product = monomial.cells.iter().fold(start, |product, cell| {
                                let (column, rotation) = *cell;
                                let column = config.advice[column];
                                product * meta.query_advice(column, Rotation(rotation))
                            });
                            sum + product
                        });
                        vec![on * sum]
                    });
                }
                Filling::Copy(from, _) => {
                    meta.enable_equality(config.advice[*from]);
                    meta.enable_equality(config.advice[index]);
                }
                Filling::Square(from) => {
                    meta.lookup_any("square", |meta| {
                        let on = meta.query_fixed(config.on, Rotation::cur());
                        let value = meta.query_advice(config.advice[*from], Rotation::cur());
                        let square = meta.query_advice(config.advice[index], Rotation::cur());
                        let table = config.table;
                        let [a, b] = table.map(|t| meta.query_fixed(t, Rotation::cur()));
                        vec![(on.clone() * value, a), (on * square, b)]
                    });
                }
                Filling::Bits(_) => (),
            }
        }
        meta.create_gate("public", |meta| {
            let public = meta.query_fixed(config.public, Rotation::cur());
            (config.instances.iter().enumerate())
                .map(|(index, instance)| {
                    let column = config.advice[index % drawn.first_phase()];
                    let value = meta.query_advice(column, Rotation::cur());
                    let instance = meta.query_instance(*instance, Rotation::cur());
                    public.clone() * (value - instance)
                })
                .collect::<Vec<_>>()
        });
        config
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let challenges: Vec<Fr> = (config.challenges.iter())
            .map(|challenge| {
                let mut known = Fr::ZERO;
                layouter
                    .get_challenge(*challenge)
                    .map(|value| known = value);
                known
            })
            .collect();
        let values = self.values(&challenges);
        layouter.assign_region(
            || "all",
            |mut region| {
                let mut cells = Vec::new();
                for (column, values) in config.advice.iter().zip(&values) {
                    let assign = |(row, value): (usize, &Fr)| {
                        // Some as fractions.
                        let value = match row % 5 {
                            3 => Assigned::Rational(*value * Fr::from(9), Fr::from(9)),
                            _ => Assigned::Trivial(*value),
                        };
                        let cell = region.assign_advice(*column, row, Value::known(value));
                        cell.cell()
                    };
                    cells.push(values.iter().enumerate().map(assign).collect::<Vec<_>>());
                }
                for (index, column) in self.columns.iter().enumerate() {
                    if let Filling::Copy(from, distance) = column.filling {
                        for row in (distance..self.rows()).step_by(3) {
                            region.constrain_equal(cells[index][row], cells[from][row - distance]);
                        }
                    }
                }
                for row in self.gate_rows() {
                    region.assign_fixed(config.on, row, Fr::ONE);
                }
                for row in 0..16 {
                    let value = Fr::from(row as u64);
                    region.assign_fixed(config.table[0], row, value);
                    region.assign_fixed(config.table[1], row, value.square());
                }
                for row in 0..3 {
                    region.assign_fixed(config.public, row, Fr::ONE);
                }
                Ok(())
            },
        )
    }
}
