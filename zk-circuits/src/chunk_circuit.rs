//! The chunk circuit: wires columns, tables, step and families; names no instruction.

use std::sync::{Arc, OnceLock};

use halo2_proofs::circuit::{Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, ProvingKey};
use halo2curves::bn256::{Fr, G1Affine};

use crate::builder::{Builder, Columns, Constraint};
use crate::bus::BusArgument;
use crate::cell::{Cell, LIMBS};
use crate::ops::FAMILIES;
use crate::tables::{Auxiliary, FixedColumn};
use crate::witness::{ChunkWitness, Matrix};
use crate::{Committed, Shape, step, tables};

/// The universal chunk circuit of one shape, with or without a witness.
#[derive(Clone, Debug)]
pub struct ChunkCircuit {
    shape: Shape,
    witness: Option<Arc<ChunkWitness>>,
    columns: OnceLock<Arc<Vec<Vec<Fr>>>>,
}

impl ChunkCircuit {
    /// The circuit without a witness, for key generation.
    #[must_use]
    pub fn keygen(shape: Shape) -> Self {
        Self {
            shape,
            witness: None,
            columns: OnceLock::new(),
        }
    }

    /// The circuit with a chunk's witness.
    #[must_use]
    pub fn new(witness: ChunkWitness) -> Self {
        let shape = witness.shape();
        Self {
            shape,
            witness: Some(Arc::new(witness)),
            columns: OnceLock::new(),
        }
    }

    /// The same witness with other columns, as a forger would have it.
    #[cfg(feature = "dev")]
    pub(crate) fn with_columns(witness: &ChunkWitness, columns: Vec<Vec<Fr>>) -> Self {
        let circuit = Self::new(witness.clone());
        // A fresh lock is empty.
        let _ = circuit.columns.set(Arc::new(columns));
        circuit
    }
}

/// A chunk's advice columns, phase by phase, without the circuit being run: what it assigns.
#[derive(Debug)]
pub struct ChunkColumns {
    config: ChunkConfig,
    shape: Shape,
    witness: Option<ChunkWitness>,
    instance: Vec<Fr>,
}

impl ChunkColumns {
    /// Of a chunk's witness.
    #[must_use]
    pub fn new(witness: ChunkWitness) -> Self {
        let shape = witness.shape();
        let mut cs = ConstraintSystem::default();
        Self {
            config: ChunkConfig::configure(&mut cs, shape),
            shape,
            instance: witness.instance().to_fields().to_vec(),
            witness: Some(witness),
        }
    }

    /// The columns of a phase, in order of their indices: of the key, the columns of earlier phases, and the challenges.
    ///
    /// # Errors
    /// [`Error::Synthesis`] if the circuit has no such phase, or other challenges before it.
    pub fn phase(
        &mut self,
        proving: &ProvingKey<G1Affine>,
        phase: usize,
        columns: &[Vec<Fr>],
        challenges: &[Fr],
    ) -> Result<Vec<Vec<Fr>>, Error> {
        match (phase, challenges) {
            (0, _) => Ok(self.first_phase()),
            (1, [alpha, beta]) => {
                let fixed = proving.fixed_values().iter();
                let fixed: Vec<&[Fr]> = fixed.map(|column| &column[..]).collect();
                Ok(self.second_phase(&fixed, columns, [*alpha, *beta]))
            }
            _ => Err(Error::Synthesis),
        }
    }

    /// The columns of the rows before the blinding. The witness is given up for them: none the second time.
    fn first_phase(&mut self) -> Vec<Vec<Fr>> {
        let Some(witness) = self.witness.take() else {
            return Vec::new();
        };
        let mut columns = witness.columns();
        for column in &mut columns {
            column.truncate(self.shape.end_row() + 1);
        }
        columns
    }

    /// The columns of the bus.
    fn second_phase(
        &self,
        fixed: &[&[Fr]],
        first_phase: &[Vec<Fr>],
        [alpha, beta]: [Fr; 2],
    ) -> Vec<Vec<Fr>> {
        let matrix = Matrix::new(first_phase, fixed, &self.instance, self.shape);
        let mut columns = self.config.bus.assign(&matrix, alpha, beta);
        columns.sort_by_key(|(column, _)| column.index());
        columns.into_iter().map(|(_, values)| values).collect()
    }
}

/// Configured columns, bus and constraints of the chunk circuit.
#[derive(Clone, Debug)]
pub struct ChunkConfig {
    pub(crate) columns: Columns,
    pub(crate) bus: BusArgument,
    #[cfg_attr(not(feature = "dev"), expect(dead_code, reason = "read by reports"))]
    pub(crate) constraints: Arc<Vec<Constraint>>,
}

impl ChunkConfig {
    /// First-phase advice columns in the order of [`ChunkWitness::columns`].
    fn first_phase(&self) -> impl Iterator<Item = Column<Advice>> + '_ {
        let columns = &self.columns;
        [
            &columns.committed,
            &columns.cells,
            &columns.auxiliary,
            &columns.halves,
        ]
        .into_iter()
        .flatten()
        .copied()
    }

    /// Declares the circuit.
    pub(crate) fn configure(cs: &mut ConstraintSystem<Fr>, shape: Shape) -> Self {
        let mut advice = |count: usize| (0..count).map(|_| cs.advice_column()).collect::<Vec<_>>();
        // The committed columns come first: their points are the first of a proof.
        let committed = advice(Committed::COUNT);
        let cells = advice(Cell::COUNT);
        let auxiliary = advice(Auxiliary::COUNT);
        let halves = advice(if shape.is_narrow() {
            LIMBS.len() + 3
        } else {
            0
        });
        let fixed = (0..FixedColumn::COUNT).map(|_| cs.fixed_column()).collect();
        let instance = cs.instance_column();
        let columns = Columns {
            committed,
            cells,
            auxiliary,
            halves,
            fixed,
            instance,
        };

        let mut builder = Builder::new(columns.clone(), shape.is_narrow());
        step::configure(&mut builder);
        tables::configure(&mut builder, shape);
        for family in &FAMILIES {
            (family.configure)(&mut builder);
        }
        let bus = BusArgument::configure(cs, &mut builder);

        let mut rest = builder.constraints.as_slice();
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|c| c.family == first.family).count();
            let (group, others) = rest.split_at(count);
            cs.create_gate(first.family, |_| {
                group
                    .iter()
                    .map(|c| (c.name.clone(), c.poly.clone()))
                    .collect::<Vec<_>>()
            });
            rest = others;
        }
        Self {
            columns,
            bus,
            constraints: Arc::new(builder.constraints),
        }
    }
}

/// Writes a whole column.
fn assign(region: &mut Region<'_, Fr>, column: Column<Advice>, values: &[Fr]) {
    for (row, value) in values.iter().enumerate() {
        region.assign_advice(column, row, Value::known(*value));
    }
}

impl Circuit<Fr> for ChunkCircuit {
    type Config = ChunkConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Shape;

    fn params(&self) -> Shape {
        self.shape
    }

    fn without_witnesses(&self) -> Self {
        Self::keygen(self.shape)
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> ChunkConfig {
        unreachable!("halo2 configures circuits with parameters through configure_with_params")
    }

    fn configure_with_params(cs: &mut ConstraintSystem<Fr>, shape: Shape) -> ChunkConfig {
        ChunkConfig::configure(cs, shape)
    }

    /// Called once for each phase; the second time the challenges are known.
    fn synthesize(
        &self,
        config: ChunkConfig,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let [alpha, beta] = config.bus.challenges().map(|c| {
            let mut known = None;
            layouter.get_challenge(c).map(|value| known = Some(value));
            known
        });
        let challenges = alpha.zip(beta);
        // The region is assigned twice, once for its size.
        let fixed = tables::fixed_columns(self.shape);
        layouter.assign_region(
            || "chunk",
            |mut region| {
                for (column, values) in config.columns.fixed.iter().zip(&fixed) {
                    for (row, value) in values[..self.shape.end_row()].iter().enumerate() {
                        region.assign_fixed(*column, row, *value);
                    }
                }
                let Some(witness) = &self.witness else {
                    return Ok(());
                };
                let usable = self.shape.end_row() + 1;
                let columns = self.columns.get_or_init(|| Arc::new(witness.columns()));
                for (column, values) in config.first_phase().zip(columns.iter()) {
                    assign(&mut region, column, &values[..values.len().min(usable)]);
                }
                if let Some((alpha, beta)) = challenges {
                    let instance = witness.instance().to_fields();
                    let matrix = Matrix::new(columns, &fixed, &instance, self.shape);
                    for (column, values) in config.bus.assign(&matrix, alpha, beta) {
                        assign(&mut region, column, &values);
                    }
                }
                Ok(())
            },
        )
    }
}
