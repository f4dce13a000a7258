# Every command of this repository.

default:
    @just --list

# What must pass before a merge.
ci:
    .ci/run

test:
    cargo test --workspace

# How many parts of the circuit, of the verifier and of its gadget some test needs, see docs/soundness-tests.md.
score:
    cargo test -p zk-circuits --test deletion -- --nocapture
    cargo test -p verifier --test guards -- --include-ignored --nocapture
    cargo test -p aggregation --test guards -- --include-ignored --nocapture

# One target under coverage guidance, see docs/fuzzing.md (needs cargo-bolero).
fuzz TARGET *ARGS:
    cargo bolero test {{TARGET}} -p fuzz --engine libfuzzer --sanitizer NONE {{ARGS}}

# Every target for a minute, without coverage.
fuzz-ci:
    .ci/fuzz

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps

# The documents as pages in target/book (needs mdbook).
book:
    mdbook build

# The verifier must not be able to run programs.
crate-graph:
    ! cargo tree -p verifier -e normal,features | grep -F 'feature "vm"'

# Licences, sources and known advisories of dependencies.
audit:
    .ci/audit

demo:
    cargo run --release --example prove_and_verify

bench *ARGS:
    cargo bench -p zkbpf -- {{ARGS}}

# Builds the example programs (needs clang).
programs:
    make -C examples/programs
