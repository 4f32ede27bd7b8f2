#!/usr/bin/env python3
"""A report with a thread pool, as one writes it when the loop is too slow.

Not an example to follow: every thread looks after itself, a refusal is tried again a moment later, and X-Total-Count is taken for
the truth. See docs/MOCK_TENANT.md.

    examples/clients/naive.py http://127.0.0.1:8080 calls.csv
"""

import base64
import json
import math
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

BASE, OUT = sys.argv[1], sys.argv[2]
PAGE_SIZE = 1000
QUERIES = BASE + "/api/v2/reporting/queries"


def get_token():
    request = urllib.request.Request(BASE + "/oauth2/token", data=b"grant_type=client_credentials")
    request.add_header("Authorization", "Basic " + base64.b64encode(b"id:secret").decode())
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["access_token"]


def call(url, body=None):
    while True:
        try:
            request = urllib.request.Request(url, data=body and json.dumps(body).encode())
            request.add_header("Authorization", "Bearer " + get_token())
            request.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(request) as answer:
                return answer.read(), answer.headers
        except Exception as error:
            print("trying again:", error, file=sys.stderr)
            time.sleep(0.1)


def page(number):
    return call(f"{QUERIES}/{query_id}/results?format=csv&page={number}&pageSize={PAGE_SIZE}")


window = {"startDate": "2024-01-01T00:00:00.000Z", "endDate": "2024-01-31T23:59:59.999Z"}
submission = {"templateId": "interaction-detail-report", "format": "csv", "query": window, "pageSize": PAGE_SIZE}
query_id = json.loads(call(QUERIES, submission)[0])["queryId"]
while json.loads(call(f"{QUERIES}/{query_id}")[0])["status"] != "complete":
    time.sleep(0.5)

first, headers = page(1)
n_pages = math.ceil(int(headers["X-Total-Count"]) / PAGE_SIZE)
with ThreadPoolExecutor(8) as pool, open(OUT, "wb") as out:
    out.write(first)
    for body, _ in pool.map(page, range(2, n_pages + 1)):
        out.write(body.split(b"\n", 1)[1])
