#!/usr/bin/env bash
# Runs fuzz targets, as many at a time as there are cores: scripts/fuzz.sh [SECONDS] [TARGET...]
# docs/FUZZING.md tells what they hold, where finds go and what to do with one. With no time at all it only builds them.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(ls fuzz/seeds)
fi

# Every library in the version that the program is built with; the fuzzer's own are fixed in fuzz/Cargo.toml.
cp Cargo.lock fuzz/Cargo.lock
# Only what is fuzzed is instrumented; everything else is what the program's tests are built with already. The setting of
# its own keeps an instrumented library apart from the plain one in the same folder.
instrumented=(cxtract cxtract-fuzz httpdate serde_json yaml-rust2)
settings=("${instrumented[@]/#/--config=profile.dev.package.}")
settings=("${settings[@]/%/.opt-level=1}")
CXTRACT_INSTRUMENT=${instrumented[*]//-/_} RUSTC_WRAPPER=$PWD/fuzz/instrument cargo build --bins \
    --manifest-path fuzz/Cargo.toml --target-dir target \
    "${settings[@]}"
if [ "$seconds" = 0 ]; then
    exit
fi

fuzz() {
    local target=$1 status=0
    local log=target/fuzz/$target.log artifacts=fuzz/artifacts/$target
    mkdir -p "fuzz/corpus/$target" "$artifacts"
    # Neither a reading nor a judgement of a few KiB takes ten seconds or a gigabyte.
    "target/debug/$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -max_total_time="$seconds" -max_len=4096 \
        -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$artifacts/" >"$log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        printf '== %s: a property is broken, the input is in %s\n' "$target" "$artifacts"
        tail -n 60 "$log"
        return 1
    fi
    printf '== %s: %s inputs tried\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
}
export -f fuzz
export seconds
mkdir -p target/fuzz
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz {}'
