//! Strings of secrets, files of both formats, and what is refused.

#[path = "../../tests/common/ptau.rs"]
mod ptau_file;

use ff::Field;
use group::{Curve, Group};
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2curves::CurveAffine;
use halo2curves::bn256::{Fq, Fq2, G2};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, RngCore, SeedableRng};

use super::*;
use crate::error::Error;
use crate::error::SrsError;
use ptau_file::{MODULUS, Ptau, header, point};

/// Draws that make `Fr::random` return this.
struct Draws(Fr, usize);

impl RngCore for Draws {
    fn next_u32(&mut self) -> u32 {
        unreachable!("field elements are drawn from 64-bit words")
    }
    fn next_u64(&mut self) -> u64 {
        let repr = self.0.to_repr();
        let bytes: &[u8] = repr.as_ref();
        let word = bytes.chunks(8).nth(self.1);
        self.1 += 1;
        word.map_or(0, |word| {
            u64::from_le_bytes(word.try_into().expect("8 bytes"))
        })
    }
    fn fill_bytes(&mut self, _: &mut [u8]) {
        unreachable!("field elements are drawn from 64-bit words")
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), rand_core::Error> {
        unreachable!("field elements are drawn from 64-bit words")
    }
}

fn written(params: &ParamsKZG<Bn256>) -> Vec<u8> {
    let mut bytes = Vec::new();
    params
        .write_custom(&mut bytes, SerdeFormat::RawBytes)
        .expect("memory");
    bytes
}

/// halo2's own file of this secret.
fn raw(k: u32, secret: Fr) -> Vec<u8> {
    written(&ParamsKZG::<Bn256>::setup(k, Draws(secret, 0)))
}

fn secret() -> Fr {
    Fr::random(OsRng)
}

fn read(bytes: &[u8], k: u32) -> Result<(Srs, SrsIdentity), SrsError> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("written");
    let read = SrsFile::open(file.path()).and_then(|mut file| {
        let srs = file.read(k)?;
        Ok((srs, file.identity()))
    });
    read.map_err(|error| match error {
        Error::Srs { path, reason } => {
            assert_eq!(path, file.path());
            reason
        }
        other => unreachable!("{other}"),
    })
}

fn load(bytes: &[u8], k: u32) -> Result<Srs, SrsError> {
    read(bytes, k).map(|(srs, _)| srs)
}

/// A point of the second curve that is not in the group of prime order.
fn outside_the_group() -> G2Affine {
    (1_u64..)
        .find_map(|x| {
            let x = Fq2::from(x);
            let y = Option::<Fq2>::from((x.square() * x + G2Affine::b()).sqrt())?;
            let point = Option::<G2Affine>::from(G2Affine::from_xy(x, y))?;
            let outside = point * -Fr::ONE + point != G2::identity();
            outside.then_some(point)
        })
        .expect("most points are outside")
}

fn g2(scalar: u64) -> Vec<u8> {
    (G2Affine::generator() * Fr::from(scalar))
        .to_affine()
        .to_raw_bytes()
}

#[test]
fn the_test_string_is_that_of_its_secret() {
    for k in [1, 5, 8] {
        let expected = raw(k, insecure::test_secret());
        assert_eq!(Srs::insecure_test(k).to_bytes(), expected, "{k}");
    }
}

#[test]
fn the_secret_of_halo2_lib_is_the_first_draw_of_seed_zero() {
    let first = Fr::random(ChaCha20Rng::from_seed([0; 32]));
    assert_eq!(insecure::halo2_lib_secret(), first);
}

#[test]
fn strings_are_written_and_read() {
    let srs = Srs::from_secret(5, secret());
    let (bytes, identity) = (srs.to_bytes(), identity_of(&srs.s_g2));
    assert_eq!(bytes.len(), Srs::size(5));
    let back = Srs::from_bytes(&bytes, 5, identity).expect("its own bytes");
    assert_eq!(back.to_bytes(), bytes);
    let (params, g_lagrange) = back.into_params();
    assert_eq!((params.k(), params.get_g()), (5, srs.g.as_slice()));
    assert_eq!(*g_lagrange, srs.g_lagrange);

    assert!(Srs::from_bytes(&bytes, 4, identity).is_none());
    assert!(Srs::from_bytes(&bytes[1..], 5, identity).is_none());
    assert!(Srs::from_bytes(&bytes, 5, insecure_identity()).is_none());
    let other = Srs::from_secret(5, secret());
    assert!(Srs::from_bytes(&other.to_bytes(), 5, identity).is_none());
    // Powers of another string under this one's image.
    let powers = 4..4 + (POINT_BYTES << 5);
    let mut mixed = bytes.clone();
    mixed[powers.clone()].copy_from_slice(&other.to_bytes()[powers]);
    assert!(Srs::from_bytes(&mixed, 5, identity).is_none());
    // A Lagrange list that is none.
    let (first, second) = (4 + (POINT_BYTES << 5), 4 + (POINT_BYTES << 5) + POINT_BYTES);
    let mut repeated = bytes.clone();
    repeated.copy_within(first..second, second);
    assert!(Srs::from_bytes(&repeated, 5, identity).is_none());
    let mut off_curve = bytes.clone();
    off_curve[4 + 9 * POINT_BYTES] ^= 1;
    assert!(Srs::from_bytes(&off_curve, 5, identity).is_none());
}

#[test]
fn raw_files_are_read_and_cut_down() {
    let secret = secret();
    let bytes = raw(6, secret);
    assert_eq!(load(&bytes, 6).expect("honest").to_bytes(), bytes);
    let small = load(&bytes, 4).expect("honest");
    let mut params: ParamsKZG<Bn256> =
        ParamsKZG::read_custom(&mut bytes.as_slice(), SerdeFormat::RawBytes).expect("honest");
    params.downsize(4);
    assert_eq!(small.to_bytes(), written(&params));
    let (found, needed) = (6, 7);
    assert_eq!(
        load(&bytes, 7).err(),
        Some(SrsError::TooSmall { found, needed })
    );
}

#[test]
fn files_of_one_secret_are_one_string() {
    let secret = secret();
    let expected = Srs::from_secret(4, secret).to_bytes();
    let files = [
        raw(4, secret),
        raw(6, secret),
        Ptau::new(4, secret).bytes(),
        Ptau::new(6, secret).bytes(),
        Ptau::prepared(4, secret).bytes(),
        Ptau::prepared(6, secret).bytes(),
    ];
    let mut identities = Vec::new();
    for (index, bytes) in files.iter().enumerate() {
        let (srs, identity) = read(bytes, 4).expect("honest");
        assert_eq!(srs.to_bytes(), expected, "{index}");
        identities.push(identity);
    }
    identities.dedup();
    assert_eq!(identities.len(), 1);
    let (_, other) = read(&raw(4, secret + Fr::ONE), 4).expect("honest");
    assert_ne!(other, identities[0]);
    assert!(!other.is_insecure());
}

#[test]
fn bad_raw_files_are_refused() {
    let bytes = raw(4, secret());
    let at = |index: usize| 4 + index * POINT_BYTES;
    let with = |offset: usize, part: &[u8]| {
        let mut changed = bytes.clone();
        changed[offset..offset + part.len()].copy_from_slice(part);
        load(&changed, 4).err()
    };
    assert!(load(&bytes, 4).is_ok());
    let length = |bytes: &[u8]| matches!(load(bytes, 4).err(), Some(SrsError::Length { .. }));
    assert!(length(&bytes[..3]) && length(&bytes[..99]) && length(&[]));
    assert!(length(&[&bytes[..], &[0]].concat()));
    assert_eq!(with(0, &29_u32.to_le_bytes()), Some(SrsError::Format));
    assert_eq!(with(0, b"PK\x03\x04"), Some(SrsError::Format));

    let point_error = |list, index| Some(SrsError::Point { list, index });
    let (identity, off_curve) = ([0; POINT_BYTES], [1; POINT_BYTES]);
    assert_eq!(with(at(3), &identity), point_error("g", 3));
    assert_eq!(with(at(3), &off_curve), point_error("g", 3));
    assert_eq!(with(at(20), &off_curve), point_error("g_lagrange", 4));
    let other = point(Fr::from(5));
    assert_eq!(with(at(0), &other), Some(SrsError::Generator));
    assert_eq!(with(at(7), &other), Some(SrsError::Powers));
    assert_eq!(with(at(20), &other), Some(SrsError::Lagrange));

    let g2_at = at(32);
    assert_eq!(with(g2_at, &g2(5)), Some(SrsError::Generator));
    let image_at = g2_at + G2_BYTES;
    assert_eq!(with(image_at, &g2(5)), Some(SrsError::Powers));
    assert_eq!(with(image_at, &g2(1)), Some(SrsError::Generator));
    assert_eq!(with(image_at, &[0; G2_BYTES]), point_error("g2", 1));
    let outside = outside_the_group().to_raw_bytes();
    assert_eq!(with(image_at, &outside), point_error("g2", 1));
    for public in [insecure::test_secret(), insecure::halo2_lib_secret()] {
        assert_eq!(load(&raw(4, public), 4).err(), Some(SrsError::Insecure));
    }
}

/// `X_2` of the PLONK verifiers that snarkjs makes from `powersOfTau28_hez_final_NN.ptau`, and that are on public
/// chains by the hundred.
#[test]
fn the_perpetual_powers_of_tau_are_known_by_name() {
    let coordinate = |digits: &str| Fq::from_str_vartime(digits).expect("a coordinate");
    let x = Fq2::new(
        coordinate("21831381940315734285607113342023901060522397560371972897001948545212302161822"),
        coordinate("17231025384763736816414546592865244497437017442647097510447326538965263639101"),
    );
    let y = Fq2::new(
        coordinate("2388026358213174446665280700919698872609886601280537296205114254867301080648"),
        coordinate("11507326595632554467052522095592665270651932854513688777769618397986436103170"),
    );
    let image = Option::<G2Affine>::from(G2Affine::from_xy(x, y)).expect("on the curve");
    let image = checks::secret_image("X_2", 0, &image.to_raw_bytes()).expect("not known");
    let identity = identity_of(&image);
    let ceremony = identity.ceremony().expect("a name");
    assert!(ceremony.contains("Perpetual Powers of Tau"), "{ceremony}");

    assert_eq!(insecure_identity().ceremony(), None);
    let (_, other) = read(&raw(4, secret()), 4).expect("honest");
    assert_eq!(other.ceremony(), None);
    // The name is the string's, not the digest's.
    let kind = SrsKind::InsecureTest;
    assert_eq!(SrsIdentity { kind, ..identity }.ceremony(), None);
}

/// Multiples of a true basis, and a basis whose order is another one, satisfy parts of the check.
#[test]
fn lists_that_are_almost_a_lagrange_basis_are_refused() {
    let srs = Srs::from_secret(4, secret());
    let check = |list: &[G1Affine]| checks::lagrange(4, list, &srs.s_g2);
    assert_eq!(check(&srs.g_lagrange), Ok(()));
    let twice: Vec<_> = srs
        .g_lagrange
        .iter()
        .map(|p| (*p + *p).to_affine())
        .collect();
    let mut turned = srs.g_lagrange.clone();
    turned.rotate_left(1);
    let mut swapped = srs.g_lagrange.clone();
    swapped.swap(3, 5);
    let mut shifted = srs.g_lagrange.clone();
    let generator = G1Affine::generator();
    shifted[0] = (shifted[0] + generator).to_affine();
    shifted[1] = (shifted[1] - generator).to_affine();
    for list in [twice, turned, swapped, shifted, srs.g.clone()] {
        assert_eq!(check(&list), Err(SrsError::Lagrange));
    }
}

#[test]
fn ptau_files_of_all_sizes_are_read() {
    let secret = secret();
    for file in [Ptau::new(5, secret), Ptau::prepared(5, secret)] {
        for k in 0..=5 {
            let expected = Srs::from_secret(k, secret).to_bytes();
            let read = load(&file.bytes(), k).expect("honest");
            assert_eq!(read.to_bytes(), expected, "{k}");
        }
        let (found, needed) = (5, 6);
        let error = load(&file.bytes(), 6).err();
        assert_eq!(error, Some(SrsError::TooSmall { found, needed }));
    }
}

#[test]
fn sections_may_have_any_order_and_unknown_ones_are_skipped() {
    let secret = secret();
    let mut file = Ptau::prepared(4, secret);
    file.sections.reverse();
    file.sections.insert(2, (999, vec![1; 77]));
    file.sections.push((0, Vec::new()));
    let expected = Srs::from_secret(4, secret).to_bytes();
    assert_eq!(load(&file.bytes(), 4).expect("honest").to_bytes(), expected);
}

#[test]
fn bad_structures_of_ptau_files_are_refused() {
    let honest = Ptau::prepared(4, secret());
    assert!(load(&honest.bytes(), 4).is_ok());
    let with = |change: &dyn Fn(&mut Ptau)| {
        let mut file = honest.clone();
        change(&mut file);
        load(&file.bytes(), 4).err()
    };
    let header_of =
        |content: Vec<u8>| with(&move |file: &mut Ptau| *file.section(1) = content.clone());

    assert_eq!(with(&|f| f.magic = *b"zkey"), Some(SrsError::Format));
    let version = SrsError::Version { found: 2 };
    assert_eq!(with(&|f| f.version = 2), Some(version));
    let mut bls = MODULUS;
    bls[0] ^= 1;
    assert_eq!(header_of(header(32, &bls, 4, 4)), Some(SrsError::Curve));
    assert_eq!(header_of(header(48, &MODULUS, 4, 4)), Some(SrsError::Curve));
    let (power, ceremony_power) = (4, 3);
    let impossible = Some(SrsError::Power {
        power,
        ceremony_power,
    });
    assert_eq!(header_of(header(32, &MODULUS, 4, 3)), impossible);
    let (power, ceremony_power) = (29, 29);
    let impossible = Some(SrsError::Power {
        power,
        ceremony_power,
    });
    assert_eq!(header_of(header(32, &MODULUS, 29, 29)), impossible);
    assert!(header_of(header(32, &MODULUS, 4, 28)).is_none(), "cut down");
    // A header of another size than its sections.
    for power in [3, 5] {
        let error = header_of(header(32, &MODULUS, power, 28));
        assert!(
            matches!(error, Some(SrsError::SectionLength { section: 2, .. })),
            "{error:?}"
        );
    }
    let (section, found, expected) = (1, 44 + 48 - 32, 44);
    let long = header(48, &[&MODULUS[..], &[0; 16]].concat(), 4, 4);
    let error = Some(SrsError::SectionLength {
        section,
        found,
        expected,
    });
    assert_eq!(header_of(long), error);

    for section in [1, 2, 3] {
        let error = with(&|f| f.sections.retain(|(number, _)| *number != section));
        assert_eq!(error, Some(SrsError::MissingSection { section }));
    }
    for section in [1, 2, 3, 7, 12] {
        let error = with(&|f| {
            let again = f.section(section).clone();
            f.sections.push((section, again));
        });
        assert_eq!(error, Some(SrsError::DuplicateSection { section }));
    }
    for section in [1, 2, 3, 12] {
        for change in [-1_i32, 1] {
            let error = with(&|f| {
                let content = f.section(section);
                content.resize(content.len().strict_add_signed(change as isize), 0);
            });
            assert!(
                matches!(error, Some(SrsError::SectionLength { section: found, .. }) if found == section),
                "{error:?}"
            );
        }
    }
    let many = with(&|f| {
        f.sections
            .extend((100..200).map(|number| (number, Vec::new())));
    });
    assert_eq!(many, Some(SrsError::TooManySections { found: 108 }));
}

#[test]
fn incomplete_ptau_files_are_refused() {
    let honest = Ptau::prepared(4, secret());
    let bytes = honest.bytes();
    assert!(load(&bytes, 4).is_ok());
    let mut cuts = vec![0, 1, 3, 4, 7, 8, 11, 12];
    let mut end = 12;
    for (_, content) in &honest.sections {
        cuts.extend([
            end + 1,
            end + 4,
            end + 11,
            end + 12,
            end + 12 + content.len() / 2,
        ]);
        end += 12 + content.len();
        cuts.extend([end - 1, end]);
    }
    assert_eq!(cuts.pop(), Some(bytes.len()));
    for cut in cuts {
        let error = load(&bytes[..cut], 4).err();
        assert!(matches!(error, Some(SrsError::Length { .. })), "{cut}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let (found, expected) = (bytes.len() as u64 + 1, bytes.len() as u64);
    let error = Some(SrsError::Length { found, expected });
    assert_eq!(load(&longer, 4).err(), error);
    // Sections that would reach beyond the file, and beyond all numbers. Nothing is allocated for them.
    let second = 12 + 12 + 44;
    for length in [1 << 40, u64::MAX - 7, u64::MAX] {
        let mut bytes = bytes.clone();
        bytes[second + 4..second + 12].copy_from_slice(&length.to_le_bytes());
        let error = load(&bytes, 4).err();
        assert!(matches!(error, Some(SrsError::Length { .. })), "{length}");
    }
}

#[test]
fn bad_points_of_ptau_files_are_refused() {
    let secret = secret();
    let honest = Ptau::prepared(4, secret);
    assert!(load(&honest.bytes(), 4).is_ok());
    let with = |section: u32, offset: usize, part: &[u8]| {
        let mut file = honest.clone();
        file.section(section)[offset..offset + part.len()].copy_from_slice(part);
        load(&file.bytes(), 4).err()
    };
    let point_error = |list, index| Some(SrsError::Point { list, index });
    let (identity, off_curve) = ([0; POINT_BYTES], [1; POINT_BYTES]);
    let power = |index: usize| index * POINT_BYTES;
    assert_eq!(
        with(2, power(0), &point(Fr::from(2))),
        Some(SrsError::Generator)
    );
    assert_eq!(with(2, power(3), &identity), point_error("tauG1", 3));
    assert_eq!(with(2, power(3), &off_curve), point_error("tauG1", 3));
    assert_eq!(
        with(2, power(9), &point(Fr::from(2))),
        Some(SrsError::Powers)
    );
    // Powers that are not read are not checked.
    assert_eq!(with(2, power(16), &off_curve), None);
    // The same number, written as itself plus the modulus.
    let x = honest.clone().section(2)[power(3)..power(3) + 32].to_vec();
    assert_eq!(
        with(2, power(3), &plus_modulus(&x)),
        point_error("tauG1", 3)
    );
    assert_eq!(with(2, power(3), &MODULUS), point_error("tauG1", 3));

    let lagrange = |row: usize| (15 + row) * POINT_BYTES;
    let name = "lagrangeTauG1";
    assert_eq!(with(12, lagrange(2), &identity), point_error(name, 2));
    assert_eq!(with(12, lagrange(2), &off_curve), point_error(name, 2));
    assert_eq!(
        with(12, lagrange(2), &point(Fr::from(2))),
        Some(SrsError::Lagrange)
    );
    // Those of another size are not read.
    assert_eq!(with(12, lagrange(16), &off_curve), None);

    assert_eq!(with(3, 0, &g2(2)), Some(SrsError::Generator));
    assert_eq!(with(3, G2_BYTES, &g2(1)), Some(SrsError::Generator));
    assert_eq!(with(3, G2_BYTES, &[0; G2_BYTES]), point_error("tauG2", 1));
    assert_eq!(with(3, G2_BYTES, &g2(2)), Some(SrsError::Powers));
    let outside = outside_the_group().to_raw_bytes();
    assert_eq!(with(3, G2_BYTES, &outside), point_error("tauG2", 1));
    let image = honest.clone().section(3)[G2_BYTES..G2_BYTES + 32].to_vec();
    assert_eq!(
        with(3, G2_BYTES, &plus_modulus(&image)),
        point_error("tauG2", 1)
    );
    for public in [insecure::test_secret(), insecure::halo2_lib_secret()] {
        let error = load(&Ptau::new(4, public).bytes(), 4).err();
        assert_eq!(error, Some(SrsError::Insecure));
    }
}

/// The sum with the modulus, which fits 32 bytes.
fn plus_modulus(number: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let sum = number.iter().zip(MODULUS).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(b) + carry;
        carry = sum >> 8;
        sum as u8
    });
    sum.collect()
}

#[test]
fn what_is_no_file_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let error = SrsFile::open(directory.path()).err();
    assert!(matches!(
        error,
        Some(Error::Srs {
            reason: SrsError::NotAFile,
            ..
        })
    ));
    let error = SrsFile::open(&directory.path().join("none")).err();
    assert!(matches!(error, Some(Error::Io { .. })));
}
