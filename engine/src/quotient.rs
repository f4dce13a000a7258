//! The quotient polynomial, coset by coset of the circuit's own size.
//!
//! On a coset `s * H` of the subgroup `H` of order `n` the vanishing polynomial `X^n - 1` is a constant, and
//! the quotient's pieces `h_i` satisfy `h = sum s^(n * i) * h_i`. As many cosets as there are pieces give as
//! many equations for each coefficient, and a small matrix solves them all: nothing larger than one coset
//! is ever transformed or held.

use std::collections::HashMap;

use ff::{BatchInvert, Field};
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::expression::{Program, Source, Step};
use crate::fft::{Input, Plan};
use crate::key::Prepared;
use crate::packed::{Backend, Kernel, MAX_LANES, Packed, Words};
use crate::prover::part;

/// Packed values per step: what it costs to find out which step is next is shared by them.
const WIDTH: usize = 2;

/// Rows that columns repeat at their end, for steps that read past the last.
pub(crate) const PADDING: usize = WIDTH * MAX_LANES;

/// The quotient's pieces, of `n` coefficients in work form each.
pub(crate) fn quotient<'a, B: Backend>(
    prepared: &Prepared<B>,
    program: &Program,
    coefficients: impl Fn(Source) -> Input<'a> + Sync,
) -> Vec<Vec<Words>> {
    let n = 1usize << prepared.k;
    let pieces = prepared.shifts.len();
    let powers: Vec<Fr> = (prepared.shifts.iter())
        .map(|shift| shift.pow_vartime([n as u64]))
        .collect();
    let matrix = inverse_vandermonde(&powers);
    let mut quotient = vec![vec![[0; 4]; n]; pieces];
    let kept = B::KEEPS_COSETS.then(|| key_columns(prepared, program, &coefficients));
    let is_kept = |source: &Source| kept.is_some_and(|kept| kept[0].contains_key(source));
    let others: Vec<Source> = (program.columns.iter().copied())
        .filter(|source| !is_kept(source))
        .collect();
    // The same memory for all cosets.
    let mut columns = vec![vec![[0; 4]; n + PADDING]; others.len()];
    let mut coset = vec![[0; 4]; n];
    for (i, shift) in prepared.shifts.iter().enumerate() {
        let plan = Plan::<B>::new(prepared.k, *shift, Fr::ONE);
        {
            let _part = part("columns on cosets");
            let columns = columns.par_iter_mut().zip(&others);
            columns.for_each(|(column, source)| {
                on_coset(prepared, &plan, &coefficients, *source, column);
            });
        }
        let mut filled = columns.iter();
        let kept = kept.map(|kept| &kept[i]);
        let columns: Vec<&[Words]> = (program.columns.iter())
            .filter_map(|source| match kept.and_then(|kept| kept.get(source)) {
                Some(column) => Some(&column[..]),
                None => filled.next().map(Vec::as_slice),
            })
            .collect();
        let values = {
            let _part = part("constraints on cosets");
            evaluate::<B>(program, &columns, n)
        };
        let _part = part("the quotient's pieces");
        prepared.inverse.transform(
            Input::Work(&values),
            &mut coset,
            &mut prepared.buffers.scratches.take(),
        );
        coset[1..].reverse();
        // Divided by the vanishing polynomial, and by the coset's powers.
        let vanishing = (powers[i] - Fr::ONE).invert().unwrap_or(Fr::ZERO);
        let factors: Vec<Fr> = matrix.iter().map(|row| row[i] * vanishing).collect();
        let unshift = shift.invert().unwrap_or(Fr::ZERO);
        if n < B::Fr::LANES {
            accumulate_few::<B>(&coset, &factors, unshift, &mut quotient);
            continue;
        }
        let rows = (n / rayon::current_num_threads())
            .next_power_of_two()
            .max(B::Fr::LANES);
        for (piece, factor) in quotient.iter_mut().zip(&factors) {
            piece
                .par_chunks_mut(rows)
                .zip(coset.par_chunks(rows))
                .enumerate()
                .for_each(|(chunk, (piece, part))| {
                    let first = *factor * unshift.pow_vartime([(chunk * rows) as u64]);
                    B::run(Accumulate {
                        part,
                        first,
                        ratio: unshift,
                        piece,
                    });
                });
        }
    }
    quotient
}

/// The key's columns on each coset.
pub(crate) type KeyColumns = Vec<HashMap<Source, Vec<Words>>>;

/// Those that the program reads: of the first proof, kept for the others.
fn key_columns<'a, 'p, B: Backend>(
    prepared: &'p Prepared<B>,
    program: &Program,
    coefficients: &(impl Fn(Source) -> Input<'a> + Sync),
) -> &'p KeyColumns {
    if let Some(kept) = prepared.key_columns.get() {
        return kept;
    }
    let n = 1usize << prepared.k;
    let on = |shift: &Fr| {
        let plan = Plan::<B>::new(prepared.k, *shift, Fr::ONE);
        let sources = program.columns.par_iter().copied();
        let column = |source| {
            let mut column = vec![[0; 4]; n + PADDING];
            on_coset(prepared, &plan, coefficients, source, &mut column);
            (source, column)
        };
        let sources = sources.filter(|source| source.is_of_key());
        sources.map(column).collect()
    };
    // Not while others wait, which may be those whose threads are needed here.
    let made = prepared.shifts.iter().map(on).collect();
    prepared.key_columns.get_or_init(|| made)
}

/// The values of a column on a coset, the first of them repeated behind the last.
fn on_coset<'a, B: Backend>(
    prepared: &Prepared<B>,
    plan: &Plan<B>,
    coefficients: &impl Fn(Source) -> Input<'a>,
    source: Source,
    column: &mut [Words],
) {
    let n = column.len() - PADDING;
    match source {
        Source::Point => points::<B>(plan.shift(), prepared.omega, &mut column[..n]),
        source => {
            let mut scratch = prepared.buffers.scratches.take();
            plan.transform(coefficients(source), &mut column[..n], &mut scratch);
        }
    }
    for row in 0..PADDING {
        column[n + row] = column[row % n];
    }
}

/// The points of a coset.
fn points<B: Backend>(shift: Fr, omega: Fr, column: &mut [Words]) {
    let mut point = shift;
    let mut rest = column;
    while !rest.is_empty() {
        let lanes = B::Fr::LANES.min(rest.len());
        let mut scalars = [Fr::ZERO; MAX_LANES];
        for scalar in &mut scalars[..lanes] {
            *scalar = point;
            point *= omega;
        }
        let mut words = [[0; 4]; MAX_LANES];
        B::Fr::from_scalars(&scalars[..B::Fr::LANES]).store(&mut words);
        let (head, tail) = rest.split_at_mut(lanes);
        head.copy_from_slice(&words[..lanes]);
        rest = tail;
    }
}

/// The matrix whose row `j` gives coefficient `j` of a polynomial from its values at these points.
fn inverse_vandermonde(points: &[Fr]) -> Vec<Vec<Fr>> {
    let size = points.len();
    let mut matrix = vec![vec![Fr::ZERO; size]; size];
    for (i, point) in points.iter().enumerate() {
        // The Lagrange polynomial of this point.
        let mut polynomial = vec![Fr::ONE];
        let mut denominator = [Fr::ONE];
        for (_, other) in points.iter().enumerate().filter(|(j, _)| *j != i) {
            denominator[0] *= *point - other;
            polynomial.push(Fr::ZERO);
            for j in (0..polynomial.len()).rev() {
                let lower = if j > 0 { polynomial[j - 1] } else { Fr::ZERO };
                polynomial[j] = lower - polynomial[j] * other;
            }
        }
        denominator.iter_mut().batch_invert();
        for (row, coefficient) in matrix.iter_mut().zip(polynomial) {
            row[i] = coefficient * denominator[0];
        }
    }
    matrix
}

/// Adds a part times a geometric sequence to a piece.
struct Accumulate<'a> {
    part: &'a [Words],
    first: Fr,
    ratio: Fr,
    piece: &'a mut [Words],
}

fn geometric(first: Fr, ratio: Fr) -> [Fr; MAX_LANES] {
    let mut factor = first;
    [(); MAX_LANES].map(|()| {
        let this = factor;
        factor *= ratio;
        this
    })
}

impl<B: Backend> Kernel<B> for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let lanes = B::Fr::LANES;
        let mut factor = B::Fr::from_scalars(&geometric(self.first, self.ratio)[..lanes]);
        let step = B::Fr::scalar(&self.ratio.pow_vartime([lanes as u64]));
        let parts = self.part.chunks_exact(lanes);
        for (part, piece) in parts.zip(self.piece.chunks_exact_mut(lanes)) {
            let sum = B::Fr::load(piece).add(B::Fr::load(part).mul(factor));
            sum.reduce().store(piece);
            factor = factor.mul(step);
        }
    }
}

/// As [`Accumulate`], for fewer rows than lanes.
fn accumulate_few<B: Backend>(
    part: &[Words],
    factors: &[Fr],
    ratio: Fr,
    pieces: &mut [Vec<Words>],
) {
    let padded = |words: &[Words]| {
        let mut words = words.to_vec();
        words.resize(MAX_LANES, [0; 4]);
        words
    };
    let part = padded(part);
    for (piece, factor) in pieces.iter_mut().zip(factors) {
        let mut whole = padded(piece);
        B::run(Accumulate {
            part: &part,
            first: *factor,
            ratio,
            piece: &mut whole,
        });
        let rows = piece.len();
        piece.copy_from_slice(&whole[..rows]);
    }
}

/// A program's results in all rows; columns have some of their first rows again at their end.
pub(crate) fn evaluate<B: Backend>(
    program: &Program,
    columns: &[&[Words]],
    n: usize,
) -> Vec<Words> {
    let block = WIDTH * B::Fr::LANES;
    let constants: Vec<_> = program.constants.iter().map(B::Fr::single).collect();
    let mut values = vec![[0; 4]; n.next_multiple_of(block)];
    let rows = (values.len() / rayon::current_num_threads() / 4)
        .next_multiple_of(block)
        .max(block);
    values
        .par_chunks_mut(rows)
        .enumerate()
        .for_each(|(chunk, values)| {
            B::run(Run::<B> {
                program,
                constants: &constants,
                columns,
                n,
                first: chunk * rows,
                values,
            });
        });
    values.truncate(n);
    values
}

struct Run<'a, B: Backend> {
    program: &'a Program,
    constants: &'a [<B::Fr as Packed>::Single],
    columns: &'a [&'a [Words]],
    n: usize,
    first: usize,
    values: &'a mut [Words],
}

impl<B: Backend> Kernel<B> for Run<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let lanes = B::Fr::LANES;
        let block = WIDTH * lanes;
        let mut registers = vec![[B::Fr::zero(); WIDTH]; self.program.registers];
        let mut sums = vec![[B::Fr::wide_zero(); WIDTH]; self.program.sums];
        for (i, values) in self.values.chunks_exact_mut(block).enumerate() {
            let row = self.first + i * block;
            for step in &self.program.steps {
                match *step {
                    Step::Load {
                        to,
                        column,
                        rotation,
                    } => {
                        let at =
                            (row as i64 + i64::from(rotation)).rem_euclid(self.n as i64) as usize;
                        let words = &self.columns[usize::from(column)][at..at + block];
                        registers[usize::from(to)] =
                            [B::Fr::load(words), B::Fr::load(&words[lanes..])];
                    }
                    Step::Constant { to, constant } => {
                        let constant = B::Fr::splat(&self.constants[constant as usize]);
                        registers[usize::from(to)] = [constant; WIDTH];
                    }
                    Step::Add { to, a, b } => {
                        let (a, b) = (&registers[usize::from(a)], &registers[usize::from(b)]);
                        registers[usize::from(to)] = [a[0].add(b[0]), a[1].add(b[1])];
                    }
                    Step::Sub { to, a, b, log } => {
                        let (a, b) = (&registers[usize::from(a)], &registers[usize::from(b)]);
                        registers[usize::from(to)] = match log {
                            0 | 1 => [a[0].sub::<1>(b[0]), a[1].sub::<1>(b[1])],
                            2 => [a[0].sub::<2>(b[0]), a[1].sub::<2>(b[1])],
                            _ => [a[0].sub::<3>(b[0]), a[1].sub::<3>(b[1])],
                        };
                    }
                    Step::Mul { to, a, b } => {
                        let (a, b) = (&registers[usize::from(a)], &registers[usize::from(b)]);
                        registers[usize::from(to)] = [a[0].mul(b[0]), a[1].mul(b[1])];
                    }
                    Step::MulConstant { to, a, constant } => {
                        let constant = B::Fr::splat(&self.constants[constant as usize]);
                        let a = &registers[usize::from(a)];
                        registers[usize::from(to)] = [a[0].mul(constant), a[1].mul(constant)];
                    }
                    Step::Reduce { to, a } => {
                        let a = &registers[usize::from(a)];
                        registers[usize::from(to)] = [a[0].reduce(), a[1].reduce()];
                    }
                    Step::Accumulate { sum, first, a, b } => {
                        let (a, b) = (&registers[usize::from(a)], &registers[usize::from(b)]);
                        let sum = &mut sums[usize::from(sum)];
                        if first {
                            *sum = [B::Fr::wide_zero(); WIDTH];
                        }
                        *sum = [
                            B::Fr::wide_add(sum[0], a[0], b[0]),
                            B::Fr::wide_add(sum[1], a[1], b[1]),
                        ];
                    }
                    Step::AccumulateConstant {
                        sum,
                        first,
                        a,
                        constant,
                    } => {
                        let constant = B::Fr::splat(&self.constants[constant as usize]);
                        let a = &registers[usize::from(a)];
                        let sum = &mut sums[usize::from(sum)];
                        if first {
                            *sum = [B::Fr::wide_zero(); WIDTH];
                        }
                        *sum = [
                            B::Fr::wide_add(sum[0], a[0], constant),
                            B::Fr::wide_add(sum[1], a[1], constant),
                        ];
                    }
                    Step::Total { to, sum } => {
                        let sum = sums[usize::from(sum)];
                        registers[usize::from(to)] =
                            [B::Fr::wide_reduce(sum[0]), B::Fr::wide_reduce(sum[1])];
                    }
                }
            }
            let result = &registers[usize::from(self.program.result)];
            result[0].store(values);
            result[1].store(&mut values[lanes..]);
        }
    }
}
