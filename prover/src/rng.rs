//! The random numbers that halo2 draws while it makes a proof.
//!
//! In the first phase `create_proof` fills the blinding rows of each advice column, in column order, with
//! `Fr::random`: eight 64-bit words each (`plonk/witness.rs`, `next_phase`). The committed columns are the
//! first advice columns, so the first draws are theirs, and [`LinkedRng`] serves them from the streams that
//! a column shares with its neighbour or with the verifier. All later draws come from a generator that the
//! operating system seeds. Soundness never depends on any of this; hiding does.

use rand_chacha::ChaCha20Rng;
use rand_core::{Error, OsRng, RngCore, SeedableRng};
use verifier::ColumnStream;
use zk_circuits::Committed;

/// 64-bit words in a draw of `Fr::random`.
const WORDS_PER_SCALAR: usize = 8;

/// Blinding rows of the committed columns from their streams, everything else from a generator of its own.
#[derive(Debug)]
pub(crate) struct LinkedRng {
    columns: [ColumnStream; Committed::COUNT],
    words_per_column: usize,
    drawn: usize,
    rest: ChaCha20Rng,
}

impl LinkedRng {
    /// The streams stand behind their reserved rows; each column has this many blinding rows.
    pub(crate) fn new(columns: [ColumnStream; Committed::COUNT], blinding_rows: usize) -> Self {
        Self {
            columns,
            words_per_column: blinding_rows * WORDS_PER_SCALAR,
            drawn: 0,
            rest: fresh(),
        }
    }
}

/// A generator that the operating system seeds: proofs draw megabytes.
pub(crate) fn fresh() -> ChaCha20Rng {
    let mut seed = [0; 32];
    OsRng.fill_bytes(&mut seed);
    ChaCha20Rng::from_seed(seed)
}

impl RngCore for LinkedRng {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        let column = self.drawn / self.words_per_column;
        match self.columns.get_mut(column) {
            Some(stream) => {
                self.drawn += 1;
                stream.next_u64()
            }
            None => self.rest.next_u64(),
        }
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for chunk in dest.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use halo2curves::bn256::Fr;
    use verifier::{Lane, PublicColumn};

    use super::*;

    fn streams() -> [ColumnStream; Committed::COUNT] {
        Committed::ALL.map(|column| match column {
            Committed::Code => ColumnStream::public(PublicColumn::Code),
            column => ColumnStream::boundary(&[7; 32], column as u64, Lane::Private),
        })
    }

    #[test]
    fn columns_are_blinded_in_order_and_then_from_fresh_seeds() {
        let mut rng = LinkedRng::new(streams(), 5);
        for mut stream in streams() {
            for _ in 0..5 {
                assert_eq!(Fr::random(&mut rng), stream.scalar());
            }
        }
        let again = {
            let mut rng = LinkedRng::new(streams(), 5);
            for _ in 0..Committed::COUNT * 5 * WORDS_PER_SCALAR {
                rng.next_u64();
            }
            Fr::random(&mut rng)
        };
        assert_ne!(Fr::random(&mut rng), again);
    }

    #[test]
    fn blinding_follows_the_reserved_rows() {
        let mut columns = streams();
        let _ = columns[0].reserved();
        let mut rng = LinkedRng::new(columns, 1);
        let mut whole = streams()[0].clone();
        let _ = whole.reserved();
        assert_eq!(Fr::random(&mut rng), whole.scalar());
    }
}
