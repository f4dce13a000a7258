//! ELF files.

#[test]
fn elf_files() {
    bolero::check!().for_each(|bytes: &[u8]| STATS.count(fuzz::elf::target(bytes)));
    STATS.print();
}

static STATS: fuzz::Stats = fuzz::Stats::new("elf");
