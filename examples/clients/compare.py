#!/usr/bin/env python3
"""Lets four clients read the same report, each from a tenant of its own, and puts their scorecards side by side.

    cargo build --release
    examples/clients/compare.py target/release/cxtract

Takes some four minutes, nearly all of it one client's waits. The table is Markdown, on stdout.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
CXTRACT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/release/cxtract").resolve()
TEMPLATE = "interaction-detail-report"


def commands(base, folder):
    """How each client is started."""
    naive_sh, naive_py, patient_py = (folder / f"{name}.csv" for name in ("naive-sh", "naive-py", "patient-py"))
    own = [f"--set=tenants.mock.base_url={base['cxtract']}", f"--set=state.url=sqlite://{folder}/state.db"]
    return {
        "naive-sh": (["bash", HERE / "naive.sh", base["naive-sh"], naive_sh], naive_sh),
        "naive-py": ([sys.executable, HERE / "naive.py", base["naive-py"], naive_py], naive_py),
        "patient-py": ([sys.executable, HERE / "patient.py", base["patient-py"], patient_py], patient_py),
        "cxtract": (
            [CXTRACT, "run", "-c", HERE / "cxtract.yaml", "--output-dir", folder, "--progress", "none", *own],
            folder / "calls.csv",
        ),
    }


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def delivered(path, base):
    """Whether the file is what the tenant has."""
    expected = get(f"{base}/__mock/expected?{urllib.parse.urlencode({'template': TEMPLATE})}")
    file = path.read_bytes() if path.exists() else b""
    return "yes" if file == expected else f"no, {len(file):,} bytes of {len(expected):,}"


def play(folder):
    plan = [CXTRACT, "mock", "--plan", HERE / "plan.yaml", "--json"]
    with subprocess.Popen(plan, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as mock:
        places = [json.loads(mock.stdout.readline()) for _ in range(4)]
        base = {place["tenant"]: place["base_url"] for place in places}
        with ThreadPoolExecutor(4) as pool:
            running = {name: pool.submit(run, *how) for name, how in commands(base, folder).items()}
            ends = {name: future.result() for name, future in running.items()}
        time.sleep(65)  # a query counts as left unread when nothing was asked of it for a minute
        cards = {name: json.loads(get(f"{url}/__mock/scorecard.json")) for name, url in base.items()}
        results = {name: (*ends[name][:2], delivered(ends[name][2], base[name]), cards[name]) for name in base}
        mock.terminate()
    return results


def run(command, output):
    begun = time.monotonic()
    code = subprocess.run(command, stderr=subprocess.DEVNULL).returncode
    return code, time.monotonic() - begun, output


def share(used):
    return "–" if used is None else f"{used:.0%}"


def table(results):
    figures = {
        "the file is right": lambda code, took, right, card: right,
        "exit code": lambda code, took, right, card: code,
        "time": lambda code, took, right, card: f"{took:.0f} s",
        "grade": lambda code, took, right, card: f"**{card['grade']}**",
        "calls": lambda code, took, right, card: card["calls"],
        "most in any second (10 allowed)": lambda code, took, right, card: card["most_in_any_second"],
        "429s": lambda code, took, right, card: card["sent_429"],
        "calls while told to wait": lambda code, took, right, card: card["calls_while_told_to_wait"],
        "tokens": lambda code, took, right, card: card["tokens_issued"],
        "share of the rate used while reading": lambda code, took, right, card: share(card["budget_used"]),
        "queries left unread": lambda code, took, right, card: sum(q["state"] == "reading" for q in card["queries"]),
        "calls that were for pages": lambda code, took, right, card: f"{card['pages_share']:.0%}",
        "pages fetched again": lambda code, took, right, card: card["pages_served_again"],
    }
    row = lambda cells: "| " + " | ".join(map(str, cells)) + " |"
    yield row(["", *results])
    yield row(["---"] * (len(results) + 1))
    for what, figure in figures.items():
        yield row([what, *(figure(*result) for result in results.values())])
    for name in [finding["name"] for finding in max((r[3]["findings"] for r in results.values()), key=len)]:
        grades = [{f["name"]: f["grade"] for f in result[3]["findings"]}.get(name, "") for result in results.values()]
        yield row([f"`{name}`", *grades])


with tempfile.TemporaryDirectory() as folder:
    for line in table(play(pathlib.Path(folder))):
        print(line)
