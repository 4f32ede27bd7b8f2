#!/usr/bin/env bash
# A report with curl and a loop, a dozen pages at a time, as one writes it on a quiet afternoon. It is not an example to
# follow: it asks again after half a second whatever it was told, and so gets itself blocked. See docs/MOCK_TENANT.md.
#
#   examples/clients/naive.sh http://127.0.0.1:8080 calls.csv
set -u
base=${1:?the base URL of a tenant} out=${2:?where to write}
json='Content-Type: application/json'
query='{"templateId":"interaction-detail-report","format":"csv","pageSize":1000,"query":{"startDate":"2024-01-01T00:00:00.000Z","endDate":"2024-01-31T23:59:59.999Z"}}'

field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }
token() { curl -s -u id:secret -d grant_type=client_credentials "$base/oauth2/token" | field access_token; }

auth="Authorization: Bearer $(token)"
id=$(curl -s -H "$auth" -H "$json" -d "$query" "$base/api/v2/reporting/queries" | field queryId)
until [ "$(curl -s -H "$auth" "$base/api/v2/reporting/queries/$id" | field status)" = complete ]; do sleep 0.2; done

pages=$(mktemp -d)
fetch() {
  until curl -sf -H "$auth" -o "$pages/$1" "$base/api/v2/reporting/queries/$id/results?format=csv&page=$1&pageSize=1000"; do
    sleep 0.5
    auth="Authorization: Bearer $(token)"   # it may have been that
  done
}

: > "$out"
for ((first = 1; ; first += 12)); do
  for ((n = first; n < first + 12; n++)); do fetch "$n" & done
  wait
  for ((n = first; n < first + 12; n++)); do
    [ -s "$pages/$n" ] || break 2
    if [ "$n" -eq 1 ]; then cat "$pages/$n"; else tail -n +2 "$pages/$n"; fi >> "$out"
  done
done
rm -rf "$pages"
