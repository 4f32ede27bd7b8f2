#!/usr/bin/env python3
"""A report with the manners that a tenant asks for, in the standard library of Python.

One door for all calls keeps to the rate and to every wait; the token is kept; a page counts when it came whole; the end is
where an empty page says so. What it lacks is everything around that: it starts again from nothing when it is stopped.

    examples/clients/patient.py http://127.0.0.1:8080 calls.csv
"""

import base64
import email.utils
import http.client
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from concurrent.futures import ThreadPoolExecutor

BASE, OUT = sys.argv[1], sys.argv[2]
PAGE_SIZE, AT_ONCE, TRIES = 1000, 4, 6
CALLS_PER_SECOND = 9  # the tenant allows 10, and counts calls as they arrive
QUERIES = BASE + "/api/v2/reporting/queries"


class Door:
    """Lets calls out one by one, evenly, and none during a wait."""

    def __init__(self):
        self.lock, self.next_at, self.not_before = threading.Lock(), 0.0, 0.0

    def pass_through(self):
        with self.lock:  # who waits here lets nobody else by
            while (pause := max(self.next_at, self.not_before) - time.monotonic()) > 0:
                time.sleep(pause)
            self.next_at = time.monotonic() + 1 / CALLS_PER_SECOND

    def hold(self, seconds):
        self.not_before = max(self.not_before, time.monotonic() + seconds)


class Tokens:
    """Keeps one token, and gets the next one once for all."""

    def __init__(self):
        self.lock, self.token, self.renew_at = threading.Lock(), None, 0.0

    def get(self):
        with self.lock:
            if self.token is None or time.monotonic() > self.renew_at:
                request = urllib.request.Request(BASE + "/oauth2/token", data=b"grant_type=client_credentials")
                request.add_header("Authorization", "Basic " + base64.b64encode(b"id:secret").decode())
                body, _ = send(request)
                answer = json.loads(body)
                self.token = answer["access_token"]
                self.renew_at = time.monotonic() + 0.8 * answer.get("expires_in", 300)
            return self.token

    def drop(self, token):
        with self.lock:
            if self.token == token:
                self.token = None


DOOR, TOKENS = Door(), Tokens()


def wait_in(headers):
    """Seconds that an answer tells to wait; none where it names none."""
    value = headers.get("Retry-After", "")
    if value.isdigit():
        return int(value)
    try:
        then = email.utils.parsedate_to_datetime(value).timestamp()
        return max(0.0, then - email.utils.parsedate_to_datetime(headers["Date"]).timestamp())
    except (TypeError, ValueError):
        return None


def send(request):
    """Sends a request until it is answered or was tried often enough. Told waits are no tries."""
    tries = 0
    while True:
        DOOR.pass_through()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            told = wait_in(error.headers) if error.code in (429, 503) else None
            if told is not None:
                DOOR.hold(told + 0.1)
                continue
            if error.code not in (408, 429, 500, 502, 503, 504):
                raise
            problem = error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            problem = error  # a body that ends early is among these
        tries += 1
        if tries == TRIES:
            raise problem
        time.sleep(min(60, 2**tries))


def call(url, body=None):
    for last in (False, True):
        token = TOKENS.get()
        request = urllib.request.Request(url, data=body and json.dumps(body).encode())
        request.add_header("Authorization", "Bearer " + token)
        request.add_header("Content-Type", "application/json")
        try:
            return send(request)[0]
        except urllib.error.HTTPError as error:
            if error.code != 401 or last:
                raise
            TOKENS.drop(token)


def page(number):
    return call(f"{QUERIES}/{query_id}/results?format=csv&page={number}&pageSize={PAGE_SIZE}")


window = {"startDate": "2024-01-01T00:00:00.000Z", "endDate": "2024-01-31T23:59:59.999Z"}
submission = {"templateId": "interaction-detail-report", "format": "csv", "query": window, "pageSize": PAGE_SIZE}
query_id = json.loads(call(QUERIES, submission))["queryId"]
pause = 2.0
while (status := json.loads(call(f"{QUERIES}/{query_id}")))["status"] not in ("complete", "failed"):
    time.sleep(pause)
    pause = min(60, 1.5 * pause)
if status["status"] == "failed":
    sys.exit(f"the query failed: {status.get('errorMessage')}")

with ThreadPoolExecutor(AT_ONCE) as pool, open(OUT, "wb") as out:
    header, number = None, 1
    ahead = deque(pool.submit(page, n) for n in range(1, AT_ONCE + 1))
    while body := ahead.popleft().result():
        ahead.append(pool.submit(page, number + AT_ONCE))
        first, _, rest = body.partition(b"\n")
        if header is None:
            header = first
            out.write(body)
        else:
            out.write(rest if first == header else body)
        number += 1
