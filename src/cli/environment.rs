//! The surroundings of a Solana program, from a file.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use zkbpf::bpf_tracer::Pubkey;
use zkbpf::{Dialect, Environment};

use super::args::EnvironmentArgs;
use super::{Failure, program};

/// Digits of addresses, as Solana writes them.
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const ADDRESS_BYTES: usize = size_of::<Pubkey>();

/// The file. What it leaves out is as in the default environment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvironmentJson {
    program_id: Option<Address>,
    sysvars: Option<Sysvars>,
}

/// An address of the chain.
#[derive(Debug)]
struct Address(Pubkey);

/// All sysvars that there are.
#[derive(Debug)]
struct Sysvars(BTreeMap<Pubkey, Vec<u8>>);

/// The environment that a file describes, or the default one.
pub(crate) fn load(args: &EnvironmentArgs, dialect: Dialect) -> Result<Environment, Failure> {
    let Some(path) = &args.environment else {
        return Ok(Environment::default());
    };
    if !dialect.is_sbpf() {
        return Err(Failure::usage(
            format!(
                "--environment has no meaning for {} programs",
                dialect.name()
            ),
            "leave it out: only sBPF programs have sysvars",
        ));
    }
    parse(&program::read(path)?).map_err(|error| {
        Failure::input(
            format!("{}: {error}", path.display()),
            r#"write {"program_id": ADDRESS, "sysvars": {ADDRESS: HEX, …}}; what is left out has defaults"#,
        )
    })
}

fn parse(bytes: &[u8]) -> Result<Environment, serde_json::Error> {
    let EnvironmentJson {
        program_id,
        sysvars,
    } = serde_json::from_slice(bytes)?;
    let mut environment = Environment::default();
    if let Some(Address(program_id)) = program_id {
        environment.program_id = program_id;
    }
    if let Some(Sysvars(sysvars)) = sysvars {
        environment.sysvars = sysvars;
    }
    Ok(environment)
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        address(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not an address: {ADDRESS_BYTES} bytes in base58 or hexadecimal"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Sysvars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Sysvars;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of addresses and hexadecimal bytes")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Sysvars, M::Error> {
                let mut sysvars = BTreeMap::new();
                while let Some((Address(address), text)) = map.next_entry::<_, String>()? {
                    let bytes = hex::decode(&text).map_err(M::Error::custom)?;
                    if sysvars.insert(address, bytes).is_some() {
                        let address = hex::encode(address);
                        return Err(M::Error::custom(format!("sysvar {address} is there twice")));
                    }
                }
                Ok(Sysvars(sysvars))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// An address in hexadecimal, or in base58: the two have different lengths.
fn address(text: &str) -> Option<Pubkey> {
    if text.len() == 2 * ADDRESS_BYTES {
        hex::decode(text).ok()?.try_into().ok()
    } else {
        base58(text)
    }
}

/// The number with these digits, big-endian. A leading zero digit is a leading zero byte, so that
/// every address has one text.
fn base58(text: &str) -> Option<Pubkey> {
    let mut bytes: Pubkey = [0; ADDRESS_BYTES];
    for digit in text.bytes() {
        let mut carry = BASE58.iter().position(|other| *other == digit)?;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * BASE58.len();
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    let zero_digits = text.bytes().take_while(|digit| *digit == BASE58[0]).count();
    let zero_bytes = bytes.iter().take_while(|byte| **byte == 0).count();
    (zero_digits == zero_bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_base58_or_hexadecimal() {
        for (text, expected) in [
            (
                "SysvarC1ock11111111111111111111111111111111",
                Environment::CLOCK,
            ),
            (
                "SysvarRent111111111111111111111111111111111",
                Environment::RENT,
            ),
            ("11111111111111111111111111111111", [0; 32]),
        ] {
            assert_eq!(address(text), Some(expected), "{text}");
            assert_eq!(address(&hex::encode(expected)), Some(expected), "{text}");
        }
        for wrong in [
            "",
            "1",
            "SysvarC1ock1111111111111111111111111111111",
            "SysvarC1ock111111111111111111111111111111111",
            "SysvarC1ock11111111111111111111111111111l11",
            "111111111111111111111111111111111",
            "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn files_are_read_strictly() {
        let default = Environment::default();
        assert_eq!(parse(b"{}").expect("valid"), default);
        let one = parse(
            br#"{"program_id": "SysvarRent111111111111111111111111111111111",
                 "sysvars": {"SysvarC1ock11111111111111111111111111111111": "0102"}}"#,
        )
        .expect("valid");
        assert_eq!(one.program_id, Environment::RENT);
        let clock = BTreeMap::from([(Environment::CLOCK, vec![1, 2])]);
        assert_eq!(one.sysvars, clock);

        let twice = format!(
            r#"{{"sysvars": {{"SysvarC1ock11111111111111111111111111111111": "", "{}": ""}}}}"#,
            hex::encode(Environment::CLOCK)
        );
        for (wrong, words) in [
            (r#"{"programid": "1"}"#, "unknown field"),
            (r#"{"program_id": "1"}"#, "not an address"),
            (r#"{"sysvars": {"1": ""}}"#, "not an address"),
            (
                r#"{"sysvars": {"11111111111111111111111111111111": "0"}}"#,
                "digits",
            ),
            (twice.as_str(), "twice"),
            (r#"[]"#, "expected"),
            ("{} {}", "trailing"),
        ] {
            let error = parse(wrong.as_bytes()).expect_err(wrong).to_string();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }
}
