"""Contestants side by side: each in a warm process of its own, in turn (A B A B ...), one table at the end.

A contestant is a function of a module, called with strings, in a Python that may be another environment's: peers need
not be installed beside us. Its process stays, so that imports and first calls are paid before the clock runs. Measured
of each call: wall time, processor time of the process and its children, and the most memory the process held, with
all that it has loaded (Linux).

Neighbours on a busy machine leave processor time comparable, not wall time; the table has both, and ratios of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.machine import machine
from benchmarks.tables import Cell, Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build/bench"
PEERS_VARIABLE = "DLP_LAB_PEERS_PYTHON"
PEERS_PYTHON = Path(os.environ.get(PEERS_VARIABLE, ROOT / "build/judges-venv/bin/python"))
"""Made by `make bench`; holds what is too heavy for the environment of the tests, such as MONAI and PyTorch."""


@dataclass(frozen=True)
class Contestant:
    """Who takes part.

    Attributes:
        name: In the table.
        function: "module:function" in this repository, called with the arguments of the contest, all strings. What it
            returns, a dict of numbers or None, is kept.
        python: Of its environment.
    """

    name: str
    function: str
    python: Path = Path(sys.executable)

    @property
    def is_here(self) -> bool:
        """Whether its environment has been made."""
        return self.python.exists()


@dataclass(frozen=True)
class Asked:
    """How a benchmark was called.

    Attributes:
        slices: Of 512 x 512.
        is_short: Whether it is only to be seen that it runs.
    """

    slices: int
    is_short: bool

    @classmethod
    def on_the_command_line(cls, description: str | None, slices: int) -> Asked:
        """From the arguments of a benchmark; `slices` is the default."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("slices", type=int, nargs="?", default=slices)
        parser.add_argument("--short", action="store_true", help="12 slices, one round: whether it runs at all")
        given = parser.parse_args()
        return cls(12 if given.short else given.slices, given.short)

    @property
    def results(self) -> Path:
        """Where its contests are kept; those of a short run do not replace real ones."""
        return RESULTS / "short" if self.is_short else RESULTS

    def rounds(self, usually: int) -> int:
        """How often each contestant is measured."""
        return 1 if self.is_short else usually


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards; in memory where the system has a place for it, so that no disk is measured."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


@dataclass
class Measured:
    """What the rounds of one contestant took."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)
    told: list[Mapping[str, float]] = field(default_factory=list)
    failure: str | None = None

    def median(self, what: str) -> float:
        """Of `wall_s`, `cpu_s` or `peak_mib`; not a number where it never ran."""
        values = getattr(self, what)
        return statistics.median(values) if values else float("nan")


@dataclass(frozen=True)
class Outcome:
    """A contest that has been held.

    Attributes:
        title: What it was about.
        reference: The name that ratios are given to.
        measured: By the names of the contestants.
    """

    title: str
    reference: str
    measured: Mapping[str, Measured]

    def ratio(self, name: str, what: str = "wall_s") -> float:
        """How many times as much as the reference."""
        return self.measured[name].median(what) / self.measured[self.reference].median(what)

    def table(self) -> Table:
        """Medians, spread, and multiples of the reference."""
        rows: list[Sequence[Cell]] = []
        for name, one in self.measured.items():
            if one.failure is not None or not one.wall_s:
                rows.append((name, f"took no part: {one.failure or 'not installed'}", *[None] * 5))
                continue
            spread = f"{min(one.wall_s) * 1e3:.1f} to {max(one.wall_s) * 1e3:.1f}"
            medians = one.median("wall_s") * 1e3, spread, one.median("cpu_s") * 1e3, round(one.median("peak_mib"))
            rows.append((name, *medians, self.ratio(name), self.ratio(name, "cpu_s")))
        return Table(
            self.title,
            ("", "wall, ms", "spread", "processor, ms", "peak, MiB", "wall, x", "processor, x"),
            rows,
            f"x: as a multiple of {self.reference}'s.",
        )

    def print_table(self) -> None:
        self.table().print()

    def write(self, path: Path) -> None:
        """Keep all rounds as JSON, with what the machine is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rounds = {contestant: vars(one) for contestant, one in self.measured.items()}
        known = machine(PEERS_PYTHON)
        content = {"title": self.title, "reference": self.reference, "machine": known, "contestants": rounds}
        path.write_text(json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """One that was kept."""
        kept = json.loads(path.read_text())
        measured = {name: Measured(**one) for name, one in kept["contestants"].items()}
        return cls(kept["title"], kept["reference"], measured)


def hold(
    title: str,
    contestants: Sequence[Contestant],
    rounds: int,
    *,
    reference: str,
    arguments: Callable[[Contestant], Sequence[str]],
    check: Callable[[Contestant], None] = lambda contestant: None,
) -> Outcome:
    """Let all run in turn, once to warm up and then `rounds` times.

    Args:
        title: What it is about.
        contestants: Who takes part; those whose environment is missing, or that fail, are told of in the table.
        rounds: How often each is measured.
        reference: The name that ratios are given to.
        arguments: Called before each call, outside the clock; makes what the contestant needs.
        check: Called after each call, outside the clock; raises where the result is not right.
    """
    measured = {contestant.name: Measured() for contestant in contestants}
    with ExitStack() as running:
        processes = {one.name: running.enter_context(_process(one)) for one in contestants if one.is_here}
        for number in range(rounds + 1):
            for contestant in contestants:
                told = measured[contestant.name]
                if contestant.name not in processes or told.failure is not None:
                    continue
                reply = _call(processes[contestant.name], contestant, arguments(contestant))
                if "failure" in reply:
                    told.failure = reply["failure"]
                    continue
                check(contestant)
                if number > 0:
                    for what in ("wall_s", "cpu_s", "peak_mib"):
                        getattr(told, what).append(reply[what])
                    told.told.append(reply["told"])
    return Outcome(title, reference, measured)


@contextmanager
def _process(contestant: Contestant) -> Iterator[subprocess.Popen[str]]:
    command = [str(contestant.python), "-m", "benchmarks.contest_process"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in filter(None, (process.stdin, process.stdout)):
            pipe.close()


def _call(process: subprocess.Popen[str], contestant: Contestant, arguments: Sequence[str]) -> dict[str, Any]:
    requests: IO[str] | None = process.stdin
    replies: IO[str] | None = process.stdout
    assert requests is not None and replies is not None
    requests.write(json.dumps({"function": contestant.function, "arguments": list(arguments)}) + "\n")
    requests.flush()
    line = replies.readline()
    if not line:
        return {"failure": f"its process ended with status {process.wait()}"}
    reply: dict[str, Any] = json.loads(line)
    return reply
