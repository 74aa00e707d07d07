"""The report of a run: the machine, what ran, all tables, and what benchmarks printed that keep none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.contest import Outcome
from benchmarks.machine import sentence
from benchmarks.tables import Table

RUN = "run.json"


@dataclass(frozen=True)
class Ran:
    """One benchmark of a run.

    Attributes:
        name: Of its module.
        seconds: By the clock.
        status: It ended with; 0 if all went well.
        tables: The names of the files it kept, without suffix, in the order in which they were written.
        printed: All it printed, where it keeps no tables.
    """

    name: str
    seconds: float
    status: int
    tables: Sequence[str]
    printed: str = ""


@dataclass(frozen=True)
class Run:
    """A run of several benchmarks.

    Attributes:
        machine: As it was before the start.
        is_short: Whether it only was to be seen that all run.
        began: In seconds of Unix time.
        ran: Each, in their order.
    """

    machine: Mapping[str, object]
    is_short: bool
    began: float
    ran: Sequence[Ran]

    def write(self, results: Path) -> None:
        """Keep it beside its tables."""
        results.mkdir(parents=True, exist_ok=True)
        (results / RUN).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, results: Path) -> Run:
        """The last one.

        Raises:
            FileNotFoundError: There was none.
        """
        if not (results / RUN).exists():
            raise FileNotFoundError(f"there was no run yet that {results} tells of; run: make bench")
        kept = json.loads((results / RUN).read_text())
        return cls(kept["machine"], kept["is_short"], kept["began"], [Ran(**one) for one in kept["ran"]])


def table_of(path: Path) -> Table:
    """What a benchmark kept: a table, or a contest, which becomes one."""
    return Outcome.read(path).table() if _is_contest(path) else Table.read(path)


def contests_of(run: Run, results: Path) -> list[Outcome]:
    """Those that were held, in their order."""
    paths = [results / f"{name}.json" for ran in run.ran for name in ran.tables]
    return [Outcome.read(path) for path in paths if _is_contest(path)]


def write_report(run: Run, results: Path) -> Path:
    """Everything of a run, in Markdown; returns where."""
    overview = Table(
        "What ran",
        ("", "seconds", "tables", ""),
        [
            (one.name, one.seconds, len(one.tables), "" if one.status == 0 else f"status {one.status}")
            for one in run.ran
        ],
        f"All together {sum(one.seconds for one in run.ran) / 60:.1f} minutes.",
    )
    parts = ["# Measurements\n", sentence(run.machine) + "\n", overview.markdown()]
    for one in run.ran:
        parts.append(f"## {one.name}\n")
        parts += [table_of(results / f"{name}.json").markdown() for name in one.tables]
        if one.printed:
            parts.append(f"```\n{one.printed.strip()}\n```\n")
    drawn = sorted(path.name for path in results.glob("*.png") if path.stat().st_mtime >= run.began)
    parts += [f"![{name}]({name})\n" for name in drawn]
    report = results / "report.md"
    report.write_text("\n".join(parts))
    return report


def _is_contest(path: Path) -> bool:
    return "contestants" in json.loads(path.read_text())
