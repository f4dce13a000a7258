//! Poseidon over BN254's scalar field, here and as Yul.
//!
//! The permutation is the one with sparse matrices, equal to the textbook one but with 8 products
//! in a partial round instead of 12. In Yul, sums stay unreduced where they cannot overflow: three
//! reduced values are below 2^256, which is more than 5 times the modulus.

use std::fmt::Write as _;

use ff::PrimeField as _;
use halo2curves::bn256::{Fr, G1Affine};
use verifier::{WIDTH, poseidon, poseidon_spec};

/// The hash of a commitment: of [`verifier::point_elements`]. What claims say of input and output.
#[must_use]
pub fn point_commitment(point: &G1Affine) -> Fr {
    poseidon(&verifier::point_elements(point))
}

/// The bodies of the contract's `full` and `permute`.
pub(crate) struct Yul {
    pub(crate) full_round: String,
    pub(crate) permutation: String,
}

pub(crate) fn yul() -> Yul {
    let spec = poseidon_spec();
    let matrices = spec.mds_matrices();
    let constants = spec.constants();

    let mut full_round = String::new();
    sboxes(&mut full_round, ["c0", "c1", "c2"].map(str::to_owned));
    product(&mut full_round, matrices.mds().as_ref());

    let mut code = String::new();
    let mut starts = constants.start().iter();
    if let Some([c0, c1, c2]) = starts.next().map(|row| row.map(literal)) {
        line(&mut code, &format!("o0 := addmod(s0, {c0}, R)"));
        line(&mut code, &format!("o1 := addmod(s1, {c1}, R)"));
        line(&mut code, &format!("o2 := addmod(s2, {c2}, R)"));
    }
    let mut starts: Vec<_> = starts.map(|row| row.map(literal)).collect();
    let last = starts.pop();
    starts.iter().for_each(|row| call_full(&mut code, row));
    if let Some(row) = last {
        line(&mut code, "s0 := o0");
        line(&mut code, "s1 := o1");
        line(&mut code, "s2 := o2");
        sboxes(&mut code, row);
        product(&mut code, matrices.pre_sparse_mds().as_ref());
    }
    line(&mut code, "s0 := o0");
    line(&mut code, "s1 := o1");
    line(&mut code, "s2 := o2");
    // The upper left entry is the same in all of them.
    let corner = matrices.mds().as_ref()[0][0];
    line(&mut code, &format!("let r := {MODULUS}"));
    line(&mut code, &format!("let m := {}", literal(corner)));
    line(&mut code, "let t");
    for (constant, matrix) in constants.partial().iter().zip(matrices.sparse_matrices()) {
        let [m, r1, r2] = *matrix.row();
        let m = if m == corner {
            "m".to_owned()
        } else {
            literal(m)
        };
        let [l1, l2] = *matrix.col_hat();
        let [c, r1, r2, l1, l2] = [*constant, r1, r2, l1, l2].map(literal);
        line(&mut code, "t := mulmod(s0, s0, r)");
        line(
            &mut code,
            &format!("s0 := add(mulmod(mulmod(t, t, r), s0, r), {c})"),
        );
        line(
            &mut code,
            &format!("t := add(add(mulmod({m}, s0, r), mulmod({r1}, s1, r)), mulmod({r2}, s2, r))"),
        );
        line(
            &mut code,
            &format!("s1 := addmod(mulmod({l1}, s0, r), s1, r)"),
        );
        line(
            &mut code,
            &format!("s2 := addmod(mulmod({l2}, s0, r), s2, r)"),
        );
        line(&mut code, "s0 := t");
    }
    line(&mut code, "o0 := s0");
    line(&mut code, "o1 := s1");
    line(&mut code, "o2 := s2");
    constants
        .end()
        .iter()
        .for_each(|row| call_full(&mut code, &row.map(literal)));
    call_full(&mut code, &["0", "0", "0"].map(str::to_owned));
    for output in ["o0", "o1", "o2"] {
        line(&mut code, &format!("{output} := mod({output}, R)"));
    }
    Yul {
        full_round: full_round.trim_end().to_owned(),
        permutation: code.trim_end().to_owned(),
    }
}

const MODULUS: &str = "0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";

/// A field element as Solidity writes it.
pub(crate) fn literal(value: Fr) -> String {
    let mut bytes = value.to_repr();
    bytes.reverse();
    format!("0x{}", hex::encode(bytes))
}

fn line(code: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(code, "                {text}");
}

/// `s = s^5 + c` for each element.
fn sboxes(code: &mut String, constants: [String; WIDTH]) {
    for (index, constant) in constants.into_iter().enumerate() {
        let s = format!("s{index}");
        line(code, &format!("o0 := mulmod({s}, {s}, R)"));
        line(
            code,
            &format!("{s} := add(mulmod(mulmod(o0, o0, R), {s}, R), {constant})"),
        );
    }
}

/// `o = matrix · s`.
fn product(code: &mut String, matrix: &[[Fr; WIDTH]; WIDTH]) {
    for (index, row) in matrix.iter().enumerate() {
        let [a, b, c] = row.map(literal);
        let sum = format!("add(add(mulmod({a}, s0, R), mulmod({b}, s1, R)), mulmod({c}, s2, R))");
        line(code, &format!("o{index} := {sum}"));
    }
}

fn call_full(code: &mut String, [c0, c1, c2]: &[String; WIDTH]) {
    line(
        code,
        &format!("o0, o1, o2 := full(o0, o1, o2, {c0}, {c1}, {c2})"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_pinned() {
        let hash = |elements: &[u64]| {
            literal(poseidon(
                &elements.iter().copied().map(Fr::from).collect::<Vec<_>>(),
            ))
        };
        assert_eq!(
            hash(&[]),
            "0x14b2e5484b232721d64f405caa487febbce835dd07c5de940f2a775dc9aa0da6"
        );
        assert_eq!(
            hash(&[1]),
            "0x0852dd5e76ddcfab001c178a8e3ff6e40ed9c34bf8fd53868704c7ca58042de1"
        );
        assert_eq!(
            hash(&[1, 2]),
            "0x305df2f9f9f1c0b591427aa9fd8ff8b8b8ad8a16953065fca066cb6a69deff53"
        );
        assert_eq!(
            hash(&[1, 2, 3, 4, 5]),
            "0x215127467a74f65f01c6bb626af3baf8f15d84662bb410ea779dfc0a656280c8"
        );
        assert_eq!(
            literal(point_commitment(&G1Affine::generator())),
            "0x2ca7dac1ccd12fccd477b03e4c10469a29bf92f6c239ee2a0688803951224d6f"
        );
    }
}
