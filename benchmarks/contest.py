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
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build/bench"
PEERS_PYTHON = ROOT / "build/judges-venv/bin/python"
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

    def print_table(self) -> None:
        width = max(map(len, self.measured))
        columns = f"wall ms (least..most)        cpu ms   peak MiB   x {self.reference}: wall  cpu"
        print(f"\n{self.title}\n{'':{width}}  {columns}")
        for name, one in self.measured.items():
            if one.failure is not None or not one.wall_s:
                print(f"{name:{width}}  did not take part: {one.failure or 'not installed'}")
                continue
            wall = f"{one.median('wall_s') * 1e3:8.1f} ({min(one.wall_s) * 1e3:.1f}..{max(one.wall_s) * 1e3:.1f})"
            print(
                f"{name:{width}}  {wall:28}{one.median('cpu_s') * 1e3:8.1f}  {one.median('peak_mib'):8.0f}"
                f"   {self.ratio(name):{len(self.reference) + 6}.2f}  {self.ratio(name, 'cpu_s'):5.2f}"
            )

    def write(self, path: Path) -> None:
        """Keep all rounds as JSON, with what the machine is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rounds = {contestant: vars(one) for contestant, one in self.measured.items()}
        content = {"title": self.title, "reference": self.reference, "machine": machine(), "contestants": rounds}
        path.write_text(json.dumps(content, indent=1) + "\n")


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


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = (
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        )
        model = next(names, model)
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_gib, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


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
