//! halo2's part of a verifying key.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use ff::PrimeField;
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::{self, Circuit};
use halo2curves::bn256::{Fr, G1Affine};

use crate::DecodeError;
use crate::codec::Reader;

/// No key has a larger halo2 part.
pub(crate) const MAX_HALO2_BYTES: u64 = 1 << 20;
/// First byte of halo2's keys.
const HALO2_FORMAT: u32 = 2;

/// halo2's key, by itself or within a proving key. It has tables of several field elements for each row, so clones
/// share it.
#[derive(Clone)]
pub struct Halo2Key(Owner);

#[derive(Clone)]
enum Owner {
    Verifier(Arc<plonk::VerifyingKey<G1Affine>>),
    Prover(Arc<plonk::ProvingKey<G1Affine>>),
}

impl From<plonk::VerifyingKey<G1Affine>> for Halo2Key {
    fn from(key: plonk::VerifyingKey<G1Affine>) -> Self {
        Self(Owner::Verifier(Arc::new(key)))
    }
}

/// The proving key lives as long.
impl From<Arc<plonk::ProvingKey<G1Affine>>> for Halo2Key {
    fn from(key: Arc<plonk::ProvingKey<G1Affine>>) -> Self {
        Self(Owner::Prover(key))
    }
}

impl Deref for Halo2Key {
    type Target = plonk::VerifyingKey<G1Affine>;

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Owner::Verifier(key) => key,
            Owner::Prover(key) => key.get_vk(),
        }
    }
}

impl fmt::Debug for Halo2Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Owner::Verifier(_) => "Halo2Key",
            Owner::Prover(_) => "Halo2Key of a prover",
        })
    }
}

/// Reads halo2's key of a circuit of `2^k` rows.
///
/// halo2 makes tables of the size that the key's head says, and takes as many fixed columns as it says, so
/// the head is looked at first and the columns are counted afterwards.
pub(crate) fn read_halo2<C: Circuit<Fr>>(
    mut bytes: &[u8],
    k: u32,
    params: C::Params,
    transcript_repr: [u8; 32],
) -> Result<plonk::VerifyingKey<G1Affine>, DecodeError> {
    let wrong = DecodeError::Value {
        what: "halo2's key",
    };
    let mut head = Reader::new(bytes);
    let [version, size, compressed] = [u32::from(head.u8()?), head.u32()?, u32::from(head.u8()?)];
    if (version, size, compressed) != (HALO2_FORMAT, k, 0) {
        return Err(wrong);
    }
    let key =
        plonk::VerifyingKey::<G1Affine>::read::<_, C>(&mut bytes, SerdeFormat::RawBytes, params)
            .map_err(|_| wrong)?;
    if !bytes.is_empty()
        || key.fixed_commitments().len() != key.cs().num_fixed_columns()
        || key.transcript_repr().to_repr() != transcript_repr
    {
        return Err(DecodeError::Key {
            reason: "it is for another circuit",
        });
    }
    Ok(key)
}
