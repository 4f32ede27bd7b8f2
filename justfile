# What developers run; `just --list` shows it.

# All checks, as CI runs them.
check:
    scripts/check.sh

# The tests alone.
test:
    cargo test

# Fuzz targets: seconds for each, then which ones (none named: all).
fuzz *args:
    scripts/fuzz.sh {{args}}

# Extracts the sample reports from the embedded tenants.
run *args:
    cargo run --release -- run {{args}}

# Formats everything.
fmt:
    cargo fmt --all

# Licences, advisories and banned crates; needs cargo-deny.
deny:
    cargo deny check
