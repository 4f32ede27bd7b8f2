#!/usr/bin/env bash
# All checks, the cheapest first: what CI runs and what `just check` runs, so that the two can't differ.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    printf '\n== %s\n' "$*"
    local began=$SECONDS
    "$@"
    printf '== %s s\n' $((SECONDS - began))
}

step cargo fmt --all -- --check
step cargo fmt --manifest-path fuzz/Cargo.toml -- --check
# Every library of the fuzz targets in the version that the program is built with.
cp Cargo.lock fuzz/Cargo.lock
step cargo clippy --all-targets -- -D warnings
# Lean builds: a test, example or benchmark that needs a feature names it in Cargo.toml. That the library does without
# those of its tests' dependencies shows where it is a dependency itself, of the fuzz targets.
step cargo clippy --all-targets --no-default-features -- -D warnings
step cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --no-default-features --all-targets -- -D warnings
step cargo check --all-targets --no-default-features --features cli
step cargo clippy --all-targets --features failpoints -- -D warnings
step cargo test
# The fail points are process-wide, so that their tests stand in a target of their own.
if [ -e tests/panics.rs ] || [ -e tests/panics/main.rs ]; then
    step cargo test --features failpoints --test panics
fi
# Kills at the steps of finishing; the other kills have been tried above.
step cargo test --features failpoints --test kill finishing::
RUSTDOCFLAGS="-D warnings" step cargo doc --no-deps
# Benchmarks are only tried here, not measured: a machine that others use too gives no figures.
for bench in benches/*.rs; do
    [ -e "$bench" ] || continue
    step cargo bench --profile dev --bench "$(basename "$bench" .rs)" -- --test
done
# The examples must run as they stand, and so must the README's first command: what it does is tried here, how fast an
# optimized build does it is not, since that build alone would take as long as a third of all checks.
step cargo run --example embed -- --demo
step cargo run --example mock_tenant
step cargo run -- run
# Nothing else needs the cores meanwhile: a minute for each target, two at a time on two of them.
step scripts/fuzz.sh 60
if command -v cargo-deny >/dev/null; then
    step cargo deny check
else
    # Building it takes longer than all of the above, so that it is never installed here.
    printf '\n== cargo deny check: skipped, cargo-deny is not installed (cargo install cargo-deny --locked)\n'
fi
printf '\nall checks passed in %s s\n' "$SECONDS"
