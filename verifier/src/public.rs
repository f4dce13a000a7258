//! Committed columns: where their blinding comes from, and the commitments of those anyone can recompute.
//!
//! A committed column has three parts: the reserved rows `0..8`, the rows that the machine uses, and the
//! blinding rows at the end. Reserved and blinding rows are drawn from the column's [`ColumnStream`],
//! reserved rows first. Neighbouring chunks share the stream of their boundary, so that the exit column of
//! one and the entry column of the next are equal in *every* row and have one commitment.
//!
//! The streams of *public* columns are fixed by [`PublicColumn`] alone. They hide nothing; they make the
//! commitments of program, input, output and page list reproducible and keep them away from the identity.
//! Changing them changes what proofs mean: `PUBLIC_DOMAIN` carries the version.

use ff::Field;
use group::Curve;
use halo2_proofs::arithmetic::best_multiexp;
use halo2curves::bn256::{Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::{Error as RngError, RngCore, SeedableRng};
use zk_circuits::RESERVED_ROWS;

/// Domain of the streams of public columns.
const PUBLIC_DOMAIN: &str = "zkbpf public column v1";
/// Domain of the streams of boundaries inside a run.
const BOUNDARY_DOMAIN: &str = "zkbpf boundary column v1";

/// Part of memory that a boundary column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Registers, frames, stack and program data.
    Private,
    /// The input region.
    Public,
}

/// A committed column that anyone can recompute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicColumn {
    /// Private lane at the start of the run.
    FirstPrivate,
    /// Public lane at the start of the run: the input.
    FirstPublic,
    /// Public lane at the end of the run: the output.
    LastPublic,
    /// Virtual page numbers.
    Pages,
    /// Program table: code.
    Code,
    /// Program table: immediate.
    Immediate,
    /// Program table: target.
    Target,
}

impl PublicColumn {
    /// Every public column.
    pub const ALL: [Self; 7] = [
        Self::FirstPrivate,
        Self::FirstPublic,
        Self::LastPublic,
        Self::Pages,
        Self::Code,
        Self::Immediate,
        Self::Target,
    ];

    const fn label(self) -> u8 {
        match self {
            Self::FirstPrivate => 0,
            Self::FirstPublic => 1,
            Self::LastPublic => 2,
            Self::Pages => 3,
            Self::Code => 4,
            Self::Immediate => 5,
            Self::Target => 6,
        }
    }
}

/// Where the reserved and blinding rows of one committed column come from.
///
/// ChaCha20; a field element is 64 bytes of it reduced modulo the field's order (`Fr::random`).
#[derive(Clone)]
pub struct ColumnStream(ChaCha20Rng);

impl std::fmt::Debug for ColumnStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ColumnStream(..)")
    }
}

impl ColumnStream {
    /// The pinned stream of a public column.
    #[must_use]
    pub fn public(column: PublicColumn) -> Self {
        Self(ChaCha20Rng::from_seed(blake3::derive_key(
            PUBLIC_DOMAIN,
            &[column.label()],
        )))
    }

    /// The stream of one lane at one boundary of a run. Boundary `i` lies before chunk `i`.
    ///
    /// The secret hides the words of that boundary: draw it afresh for each run and keep it secret.
    #[must_use]
    pub fn boundary(secret: &[u8; 32], boundary: u64, lane: Lane) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(BOUNDARY_DOMAIN);
        hasher.update(secret);
        hasher.update(&boundary.to_le_bytes());
        hasher.update(&[match lane {
            Lane::Private => 0,
            Lane::Public => 1,
        }]);
        Self(ChaCha20Rng::from_seed(hasher.finalize().into()))
    }

    /// The reserved rows: the first values of the stream.
    #[must_use]
    pub fn reserved(&mut self) -> [Fr; RESERVED_ROWS] {
        std::array::from_fn(|_| Fr::random(&mut self.0))
    }

    /// The next value: after [`reserved`](Self::reserved), the blinding rows from the top.
    #[must_use]
    pub fn scalar(&mut self) -> Fr {
        Fr::random(&mut self.0)
    }
}

impl RngCore for ColumnStream {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill_bytes(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), RngError> {
        self.0.try_fill_bytes(dest)
    }
}

/// The commitment of a public column with these values from row 0 (the reserved rows among them are
/// ignored). `None` if they are more than there are rows, or reach into the blinding rows.
///
/// `bases` commits to the Lagrange polynomial of each row; the last `blinding_rows` rows are drawn.
#[must_use]
pub fn commit(
    column: PublicColumn,
    values: &[Fr],
    bases: &[G1Affine],
    blinding_rows: usize,
) -> Option<G1Affine> {
    let (usable, blinding) = bases.split_at_checked(bases.len().checked_sub(blinding_rows)?)?;
    let behind = values.get(usable.len()..).unwrap_or_default();
    if values.len() > bases.len()
        || usable.len() < RESERVED_ROWS
        || behind.iter().any(|value| *value != Fr::ZERO)
    {
        return None;
    }
    let mut stream = ColumnStream::public(column);
    let (mut scalars, mut points): (Vec<Fr>, Vec<G1Affine>) = stream
        .reserved()
        .into_iter()
        .zip(usable.iter().copied())
        .unzip();
    let used = values.iter().zip(usable).skip(RESERVED_ROWS);
    for (value, base) in used.filter(|(value, _)| **value != Fr::ZERO) {
        scalars.push(*value);
        points.push(*base);
    }
    for base in blinding {
        scalars.push(stream.scalar());
        points.push(*base);
    }
    Some(best_multiexp(&scalars, &points).to_affine())
}

#[cfg(test)]
mod tests {
    use ff::PrimeField;

    use super::*;

    fn hex_of(value: Fr) -> String {
        hex::encode(value.to_repr())
    }

    #[test]
    fn public_streams_are_pinned() {
        let firsts: Vec<String> = PublicColumn::ALL
            .iter()
            .map(|column| hex_of(ColumnStream::public(*column).reserved()[0]))
            .collect();
        assert_eq!(firsts, VECTORS);
        let mut stream = ColumnStream::public(PublicColumn::Code);
        let _ = stream.reserved();
        assert_eq!(hex_of(stream.scalar()), NINTH_OF_CODE);
    }

    #[test]
    fn boundary_streams_are_pinned_and_differ() {
        let first = |secret: u8, boundary, lane| {
            hex_of(ColumnStream::boundary(&[secret; 32], boundary, lane).scalar())
        };
        let reference = first(7, 1, Lane::Private);
        assert_eq!(reference, BOUNDARY_VECTOR);
        assert_ne!(reference, first(8, 1, Lane::Private));
        assert_ne!(reference, first(7, 2, Lane::Private));
        assert_ne!(reference, first(7, 1, Lane::Public));
    }

    #[test]
    fn commitment_is_the_sum_over_rows() {
        let generator = halo2curves::bn256::G1::generator();
        let bases: Vec<G1Affine> = (1..=32_u64)
            .map(|i| (generator * Fr::from(i * i)).to_affine())
            .collect();
        let values: Vec<Fr> = (0..20).map(Fr::from).collect();
        let committed = commit(PublicColumn::Pages, &values, &bases, 6).expect("fits");

        let mut stream = ColumnStream::public(PublicColumn::Pages);
        let mut column = stream.reserved().to_vec();
        column.extend(&values[8..]);
        column.resize(26, Fr::ZERO);
        column.extend((0..6).map(|_| stream.scalar()));
        assert_eq!(committed, best_multiexp(&column, &bases).to_affine());

        let padded: Vec<Fr> = values.iter().copied().chain([Fr::ZERO; 12]).collect();
        assert_eq!(
            commit(PublicColumn::Pages, &padded, &bases, 6),
            Some(committed)
        );
        let longer: Vec<Fr> = padded.into_iter().chain([Fr::ZERO]).collect();
        assert_eq!(commit(PublicColumn::Pages, &longer, &bases, 6), None);
        let long = vec![Fr::ONE; 27];
        assert_eq!(commit(PublicColumn::Pages, &long, &bases, 6), None);
        assert_eq!(commit(PublicColumn::Pages, &values, &bases, 33), None);
    }

    /// First reserved row of each column, little-endian.
    const VECTORS: [&str; 7] = [
        "8344897dc574902cf13b807255649629a53f2d498eb8250ac30bfb074db9141e",
        "ad501d004199d85a8305249d8b931fe5905ced15049ccd5526ed6b65217b180b",
        "f37b3d85674986cde41eb99ab7f5c04903b771e700a212a5f0d35886a36b671c",
        "a8e1165bb9a288d4a3baf8ce5b3f97ad0ad28e6e19fe4431692b8d9e2d3a0001",
        "ab1b80f650f3a3963dd84db6a34b1784ac8d49700ee718dc55017a64ebddbd22",
        "60154f031cee1f02f93e361659c2831b4f0a5e94347a43fdc0ebb08234896c03",
        "6bf77eeeb9acadb0d5c729008097aff360feb26e8357b6de78aba5f5d817b512",
    ];
    const NINTH_OF_CODE: &str = "84f9291748f0e3428e318a72d6bd5ea093b6b36cdb1b3abb069060c9a99fd11a";
    const BOUNDARY_VECTOR: &str =
        "8b78a9be5530d7849af5e5a8d38b73780bfa7b101f44cd7286adcc056e9e5824";
}
