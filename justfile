# What developers run; `just --list` shows it.

# All checks, as CI runs them.
check:
    scripts/check.sh

# The tests alone.
test:
    cargo test

# Extracts the sample reports from the embedded tenants.
run *args:
    cargo run --release -- run {{args}}

# Formats everything.
fmt:
    cargo fmt --all

# Licences, advisories and banned crates; needs cargo-deny.
deny:
    cargo deny check
