"""What a job costs beside its work: from the POST to the answer that it is done, over HTTP.

    python -m benchmarks.job_overhead [--jobs 100] [--limit-ms 25]

A real `dlp-lab serve`; one client submits a job over a kept connection, asks for it until it has ended, and goes on.
The no-op job is the probe of the tests, which gives back its input; the real one is `3dblur` of the same small phantom.
Beside them: the POST alone, and what the record says between start and end.

Prints p50 and p99 in ms and as a ratio to the no-op job; exit status 1 if its p50 is above the limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.poison import probes_installed
from benchmarks.served import Served, percentile, served
from tests.phantom import write_phantom_series

_WARM_UP = 5
_SECONDS_BETWEEN_QUESTIONS = 0.001


def one_job(server: Served, request: dict[str, Any]) -> tuple[float, float, float]:
    """Milliseconds of the POST, of the attempt as recorded, and of the whole.

    Raises:
        RuntimeError: The job was refused or did not succeed.
    """
    began = time.perf_counter()
    status, job = server.ask("POST", "jobs", request)
    posted = time.perf_counter()
    if status != 201:
        raise RuntimeError(f"the job was refused: {job}")
    while job["state"] in ("queued", "running"):
        time.sleep(_SECONDS_BETWEEN_QUESTIONS)
        _, job = server.ask("GET", f"jobs/{job['uid']}")
    ended = time.perf_counter()
    if job["state"] != "succeeded":
        raise RuntimeError(f"the job {job['state']}: {job['message']}")
    attempt = datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["started_at"])
    return 1e3 * (posted - began), 1e3 * attempt.total_seconds(), 1e3 * (ended - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--limit-ms", type=float, default=25.0)
    asked = parser.parse_args()
    requests = {
        "no-op": {"task": "probe", "input_dir": "case"},
        "3dblur": {"task": "3dblur", "input_dir": "case", "params": {"sigma_mm": 2.0}},
    }
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="dlp-lab-overhead-") as folder:
        root, site = Path(folder, "root"), Path(folder, "site")
        site.mkdir()
        write_phantom_series(root / "case")
        with probes_installed(site), served(root, slots=1) as server:
            for name, request in requests.items():
                for _ in range(_WARM_UP):
                    one_job(server, request)
                times = [one_job(server, request) for _ in range(asked.jobs)]
                for part, values in zip(("POST", "attempt", "POST to done"), zip(*times, strict=True), strict=True):
                    figures[f"{name}: {part}"] = list(values)
    unit = percentile(figures["no-op: POST to done"], 50)
    print(f"{'':24} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>7}")
    for name, values in figures.items():
        print(f"{name:24} {percentile(values, 50):8.1f} {percentile(values, 99):8.1f} "
              f"{percentile(values, 50) / unit:7.2f}")  # fmt: skip
    print(f"no-op job: {unit:.1f} ms, at most {asked.limit_ms:g} asked")
    return 0 if unit <= asked.limit_ms else 1


if __name__ == "__main__":
    sys.exit(main())
