#!/usr/bin/env bash
# How fast a mock tenant serves, beside how fast `cxtract run` takes from it: scripts/mock_speed.sh [ROUNDS]
# Round by round the same report of 750 MB, by curl into nothing and by the engine into a checked file; both have the
# processors to themselves in turn, and share them with the tenant.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-5}
rows=3000000 page_size=50000 at_once=8 port=18930
cargo build --quiet --release --bin cxtract
cxtract=$PWD/target/release/cxtract
folder=$(mktemp -d)
"$cxtract" mock --port "$port" --rows "$rows" --rate 100000 --json >"$folder/mock.json" 2>"$folder/mock.log" &
mock=$!
trap 'kill "$mock" 2>/dev/null; wait "$mock" 2>/dev/null || true; rm -r "$folder"' EXIT
while [ ! -s "$folder/mock.json" ]; do
    kill -0 "$mock" || { cat "$folder/mock.log"; exit 1; }
    sleep 0.1
done

base=http://127.0.0.1:$port
cat >"$folder/config.yaml" <<END
tenants:
  mock:
    base_url: $base
    auth: {client_id: id, client_secret: secret}
    rate_limit: {requests_per_second: 1000, burst: 1000}
    max_in_flight: $at_once
    poll: {initial_delay: 10ms}
reports:
  calls: {tenant: mock, template_id: t, window: {from: 2024-01-01, to: 2024-01-31}, page_size: $page_size}
END

field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

with_curl() {
    local token query page
    token=$(curl -sf -u id:secret -d grant_type=client_credentials "$base/oauth2/token" | field access_token)
    query=$(curl -sf -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
        -d '{"templateId":"t","format":"csv","query":{"startDate":"2024-01-01T00:00:00.000Z","endDate":"2024-01-31T23:59:59.999Z","filters":[]},"pageSize":'$page_size'}' \
        "$base/api/v2/reporting/queries" | field queryId)
    for ((page = 1; page <= (rows + page_size - 1) / page_size; page++)); do
        printf 'url = "%s/api/v2/reporting/queries/%s/results?format=csv&page=%s&pageSize=%s"\noutput = /dev/null\n' \
            "$base" "$query" "$page" "$page_size"
    done >"$folder/pages"
    curl -f --no-progress-meter --parallel --parallel-max "$at_once" -H "Authorization: Bearer $token" -K "$folder/pages"
}

with_cxtract() {
    (cd "$folder" && "$cxtract" run --fresh --progress none)
}

seconds() {
    local began=$EPOCHREALTIME
    "$@"
    awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.2f", to - from }'
}

for ((round = 1; round <= rounds; round++)); do
    served=$(seconds with_curl)
    taken=$(seconds with_cxtract)
    awk -v served="$served" -v taken="$taken" \
        'BEGIN { printf "served in %.2f s, taken in %.2f s: %.2f times as fast\n", served, taken, taken / served }'
done
