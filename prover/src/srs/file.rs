//! Files with parameters: halo2's raw format, and snarkjs's `.ptau`, which the file's first bytes tell apart.
//!
//! Nothing is read before its place is known to be in the file, and no more than a string of the wanted size
//! needs.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use group::prime::PrimeCurveAffine;
use halo2_proofs::arithmetic::g_to_lagrange;
use halo2curves::bn256::{G1Affine, G2Affine};
use halo2curves::serde::SerdeObject;
use verifier::SrsIdentity;

use super::{G2_BYTES, MAX_K, POINT_BYTES, Srs, checks, identity_of, ptau};
use crate::error::{Error, SrsError, io_error};

/// Where a file holds what.
pub(super) struct Layout {
    /// There are at least `2^k` powers.
    pub(super) k: u32,
    pub(super) powers: List,
    pub(super) lagrange: Lagrange,
    /// The second generator, and right after it the image of the secret.
    pub(super) second_group: List,
}

/// Points from this offset on, and their name in messages.
#[derive(Clone, Copy)]
pub(super) struct List {
    pub(super) name: &'static str,
    pub(super) offset: u64,
}

/// Lagrange commitments of a file.
pub(super) enum Lagrange {
    /// None.
    Absent,
    /// Of all rows, in halo2's order.
    Largest(List),
    /// Of each size from one row on, in snarkjs's order.
    Each(List),
}

/// A file with parameters whose secret has an image that can be used.
pub(crate) struct SrsFile {
    source: Source,
    layout: Layout,
    s_g2: G2Affine,
}

impl SrsFile {
    /// Opens a file and reads its headers and the image of the secret.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut source = Source::open(path)?;
        let layout = match source.array(0)? {
            ptau::MAGIC => ptau::layout(&mut source)?,
            k => raw_layout(&source, u32::from_le_bytes(k))?,
        };
        let List { name, offset } = layout.second_group;
        let generator = source.read(offset, G2_BYTES)?;
        if G2Affine::from_raw_bytes(&generator) != Some(G2Affine::generator()) {
            return Err(source.refuse(SrsError::Generator));
        }
        let image = source.read(offset + G2_BYTES as u64, G2_BYTES)?;
        let s_g2 = checks::secret_image(name, 1, &image).map_err(|reason| source.refuse(reason))?;
        Ok(Self {
            source,
            layout,
            s_g2,
        })
    }

    /// Which string it holds. Files of one ceremony have one identity, whatever their format and size.
    pub(crate) fn identity(&self) -> SrsIdentity {
        identity_of(&self.s_g2)
    }

    /// Reads the string of `2^k` rows and checks all of it.
    ///
    /// Lagrange commitments that the file lacks are computed, which takes a while.
    pub(crate) fn read(&mut self, k: u32) -> Result<Srs, Error> {
        if self.layout.k < k {
            return Err(self.source.refuse(SrsError::TooSmall {
                found: self.layout.k,
                needed: k,
            }));
        }
        let powers = self.points(self.layout.powers, 0, k)?;
        checks::powers(&powers, &self.s_g2).map_err(|reason| self.source.refuse(reason))?;
        let lagrange = match self.layout.lagrange {
            Lagrange::Largest(list) if self.layout.k == k => self.points(list, 0, k)?,
            Lagrange::Each(list) => ptau::in_halo2_order(k, &self.points(list, (1 << k) - 1, k)?),
            Lagrange::Largest(_) | Lagrange::Absent => {
                tracing::info!(
                    k,
                    "computing Lagrange commitments, which the file does not have"
                );
                g_to_lagrange(powers.iter().map(PrimeCurveAffine::to_curve).collect(), k)
            }
        };
        checks::lagrange(k, &lagrange, &self.s_g2).map_err(|reason| self.source.refuse(reason))?;
        Ok(Srs {
            k,
            g: powers,
            g_lagrange: lagrange,
            s_g2: self.s_g2,
        })
    }

    /// `2^k` points of a list, after some others.
    fn points(&mut self, list: List, skipped: u64, k: u32) -> Result<Vec<G1Affine>, Error> {
        let offset = list.offset + skipped * POINT_BYTES as u64;
        let bytes = self.source.read(offset, POINT_BYTES << k)?;
        checks::points(list.name, &bytes).map_err(|reason| self.source.refuse(reason))
    }
}

/// The format of `ParamsKZG::write_custom` with `RawBytes`: `k` (4 bytes), `2^k` powers, as many Lagrange
/// commitments, the second generator, the image of the secret.
fn raw_layout(source: &Source, k: u32) -> Result<Layout, Error> {
    if k > MAX_K {
        return Err(source.refuse(SrsError::Format));
    }
    let size = Srs::size(k) as u64;
    if source.length != size {
        return Err(source.refuse(SrsError::Length {
            found: source.length,
            expected: size,
        }));
    }
    let list = (POINT_BYTES as u64) << k;
    Ok(Layout {
        k,
        powers: List {
            name: "g",
            offset: 4,
        },
        lagrange: Lagrange::Largest(List {
            name: "g_lagrange",
            offset: 4 + list,
        }),
        second_group: List {
            name: "g2",
            offset: 4 + 2 * list,
        },
    })
}

/// A file of known length.
pub(super) struct Source {
    path: PathBuf,
    file: File,
    pub(super) length: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Error> {
        // Opening a pipe would wait for whoever writes to it.
        if !fs::metadata(path).map_err(io_error(path))?.is_file() {
            return Err(Error::Srs {
                path: path.to_owned(),
                reason: SrsError::NotAFile,
            });
        }
        let file = File::open(path).map_err(io_error(path))?;
        let length = file.metadata().map_err(io_error(path))?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
        })
    }

    pub(super) fn refuse(&self, reason: SrsError) -> Error {
        Error::Srs {
            path: self.path.clone(),
            reason,
        }
    }

    /// Bytes at a place. Allocates nothing if the file ends before them.
    pub(super) fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let expected = offset.saturating_add(length as u64);
        if expected > self.length {
            return Err(self.refuse(SrsError::Length {
                found: self.length,
                expected,
            }));
        }
        let mut bytes = vec![0; length];
        self.file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(io_error(&self.path))?;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], Error> {
        let bytes = self.read(offset, N)?;
        Ok(bytes.try_into().expect("as many as were asked for"))
    }
}
