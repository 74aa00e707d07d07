"""All measurements beside peers, one after the other, and one report of them.

    python -m benchmarks [--short] [NAME ...]
    python -m benchmarks --rest
    python -m benchmarks --docs

Runs each benchmark named (by default all that are listed here) in a process of its own, on as much as lets all of them
end within half an hour on two cores. Tables that they keep in build/bench as JSON become `report.md`, with the machine
at its head, and pictures beside it. `--short` does little more than see that they run, in a minute on two free cores,
without the peers that have an environment of their own, and keeps its results apart, in build/bench/short. `--rest`
goes on with a full run that was interrupted, or of which some failed. `--docs` runs nothing, and writes the tables of
the last full run into docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.contest import PEERS_PYTHON, PEERS_VARIABLE, RESULTS, ROOT, Asked
from benchmarks.document import NotOfOneRun, write_into
from benchmarks.machine import machine
from benchmarks.picture import draw_ratios
from benchmarks.report import RUN, Ran, Run, contests_of, write_report

DOCUMENT = ROOT / "docs/performance.md"
_NO_PEERS = RESULTS / "short/no-peers/python"


@dataclass(frozen=True)
class Benchmark:
    """One module of this package.

    Attributes:
        name: Of the module.
        full: Its arguments in a full run, where its own defaults would take too long.
        short: Its arguments in a short one; None if it takes no part.
        needs_peers: Whether it is nothing without the environment of the peers.
    """

    name: str
    full: tuple[str, ...] = ()
    short: tuple[str, ...] | None = ("--short",)
    needs_peers: bool = False


BENCHMARKS = (
    Benchmark("gaussian"),
    Benchmark("end_to_end"),
    Benchmark("read_write", ("200",)),
    Benchmark("hdf5", ("120",)),
    Benchmark("chunks", ("100",), short=None),
    Benchmark("streaming", ("500", "1500")),
    Benchmark("compressed", short=None),
    Benchmark("segment"),
    Benchmark("segment_streaming", ("300",)),
    Benchmark("segment_peers", ("--length", "160", "--rounds", "2", "--channels", "25"), needs_peers=True),
    Benchmark("job_overhead", ("--limit-ms", "inf")),
    Benchmark("cold_start"),
    Benchmark("curves"),
    Benchmark("phantom_table", short=None),
    Benchmark("viewer", short=None),
)
KNOWN = {one.name: one for one in BENCHMARKS}


def ran(benchmark: Benchmark, results: Path, is_short: bool) -> Ran:
    """One benchmark run, what it prints shown meanwhile."""
    arguments = benchmark.short if is_short else benchmark.full
    command = [sys.executable, "-u", "-m", f"benchmarks.{benchmark.name}", *(arguments or ())]
    print(f"\n== {' '.join(command[2:])}", flush=True)
    began, start = time.time(), time.monotonic()
    printed = []
    environment = {**os.environ, **({PEERS_VARIABLE: str(_NO_PEERS)} if is_short else {})}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            printed.append(line)
    seconds = time.monotonic() - start
    written = [path for path in results.glob("*.json") if path.stat().st_mtime >= began and path.name != RUN]
    tables = [path.stem for path in sorted(written, key=lambda path: path.stat().st_mtime_ns)]
    return Ran(benchmark.name, round(seconds, 1), process.returncode, tables, "" if tables else "".join(printed))


def chosen(names: list[str], is_short: bool) -> list[Benchmark]:
    """Those that are asked for, or all; of all, those that can run."""
    if names:
        return [KNOWN[name] for name in names]
    without_peers = is_short or not PEERS_PYTHON.exists()
    return [
        one for one in BENCHMARKS if not (is_short and one.short is None) and not (one.needs_peers and without_peers)
    ]


def run_all(benchmarks: list[Benchmark], is_short: bool, before: Run | None = None) -> int:
    """Run, and report after each, so that a run that is interrupted is no loss; how many failed.

    Args:
        benchmarks: Which.
        is_short: Whether it is only to be seen that they run.
        before: A run that this one goes on with.
    """
    results = Asked(0, is_short).results
    run = before or Run(machine(PEERS_PYTHON), is_short, time.time(), [])
    for one in benchmarks:
        others = [earlier for earlier in run.ran if earlier.name != one.name]
        run = replace(run, ran=[*others, ran(one, results, is_short)])
        run.write(results)
        if contests := contests_of(run, results):
            draw_ratios(contests, results / "ratios.png")
        report = write_report(run, results)
    print(f"\n{report}")
    failed = [one.name for one in run.ran if one.status != 0]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def rest() -> int:
    """Go on with the last full run: what it did not come to, or what failed."""
    last = Run.read(Asked(0, False).results)
    done = {one.name for one in last.ran if one.status == 0}
    left = [one for one in chosen([], False) if one.name not in done]
    return run_all(left, False, last) if left else 0


def main() -> int:
    """Run and report, or write the tables of the last run into the document; fails when a benchmark did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(KNOWN))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rest", action="store_true")
    parser.add_argument("--docs", action="store_true")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(KNOWN):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(KNOWN)}")
    if not asked.docs and not asked.rest:
        return run_all(chosen(asked.names, asked.short), asked.short)
    try:
        if asked.rest:
            return rest()
        write_into(DOCUMENT, Asked(0, False).results)
    except (NotOfOneRun, FileNotFoundError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
