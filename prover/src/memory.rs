//! How many chunks fit into memory at once.

use std::fs;

use crate::keys::Keys;

/// Bytes of a field element.
const FIELD_BYTES: u64 = 32;
/// Field elements that a proof in progress holds for each row and advice column. Measured with halo2's
/// prover; the fast one holds fewer.
const COPIES: u64 = 8;

/// An estimate of the memory that one proof in progress takes, keys not counted.
pub(crate) fn chunk_bytes(keys: &Keys) -> u64 {
    let columns = keys.proving.get_vk().cs().num_advice_columns() as u64;
    columns * (keys.shape.rows() as u64) * FIELD_BYTES * COPIES
}

/// How many proofs fit into the memory that is free now; `None` if the system does not tell.
pub(crate) fn chunks_at_once(keys: &Keys) -> Option<usize> {
    let free = available()?;
    usize::try_from(free / chunk_bytes(keys).max(1)).ok()
}

/// Free memory of this process's control group and of the machine, whichever is less.
fn available() -> Option<u64> {
    let machine = machine_available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
    Some(limit.map_or(machine, |limit| machine.min(limit.saturating_sub(used))))
}

fn machine_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read() {
        let text = "MemTotal:       24000 kB\nMemAvailable:    1000 kB\n";
        assert_eq!(machine_available(text), Some(1_024_000));
        assert_eq!(machine_available("MemTotal: 1 kB"), None);
    }
}
