"""How soon a command that has just been typed is at work: `dlp-lab run` of seven slices, `jobs`, `--help`, `serve`.

    python -m benchmarks.cold_start [--short]

Each is a process of its own, as from a shell, with compiled modules, as an installation has them. Of `run` the job's
record tells when it was in the queue, begun and done. Processor time is that of the command's own process where it is
waited for; what its fork server takes at the same time is beside it.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.contest import Asked, scratch
from benchmarks.scanner_series import write_scanner_series
from benchmarks.served import Served
from benchmarks.tables import Table
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace

COLD_ROUNDS = 7
_SLICES = 7
_DLP_LAB = str(Path(sys.executable).with_name("dlp-lab"))
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def cold_start_table(root: Path, rounds: int) -> Table:
    """Measure on a root that is made.

    Args:
        root: Folder that does not exist yet.
        rounds: How often each is measured, after once that is not.
    """
    write_scanner_series(root / "small", _SLICES)
    run = ("run", "3dblur", str(root / "small"), "--root", str(root))
    began, walls, processor = _seconds(run, rounds)
    queue = JobStore(Workspace(root).queue_database)
    jobs = list(reversed(queue.newest(rounds)))
    queue.close()

    def after(moments: Sequence[str | None]) -> list[float]:
        return [
            datetime.fromisoformat(moment or "").timestamp() - start
            for moment, start in zip(moments, began, strict=True)
        ]

    figures = {
        "run: in the queue": (after([job.submitted_at for job in jobs]), None),
        "run: at work": (after([job.started_at for job in jobs]), None),
        "run: result recorded": (after([job.ended_at for job in jobs]), None),
        "run: ended": (walls, processor),
    }
    for name, command in {
        "jobs": ("jobs", "--root", str(root)),
        "series": ("series", str(root / "small")),
        "--help": ("--help",),
    }.items():
        _, walls, processor = _seconds(command, rounds)
        figures[name] = walls, processor
    figures["serve: first answer"] = _serving(root, rounds), None
    return Table(
        f"A cold start: `dlp-lab run` of {_SLICES} slices, and other commands",
        ("", "least, s", "median, s", "processor, s"),
        [
            (name, min(wall), statistics.median(wall), None if cpu is None else min(cpu))
            for name, (wall, cpu) in figures.items()
        ],
        "Times since the command was typed. Processor time of the command's own process, the least.",
    )


def _seconds(command: Sequence[str], rounds: int) -> tuple[list[float], list[float], list[float]]:
    """When each began (of the clock), its wall time and its processor time."""
    began, walls, processor = [], [], []
    environment = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
    for number in range(rounds + 1):
        used = _of_children()
        start = time.time()
        subprocess.run([_DLP_LAB, *command], check=True, stdout=subprocess.DEVNULL, env=environment)
        if number:  # the first one compiles modules that nobody has used
            began.append(start)
            walls.append(time.time() - start)
            processor.append(_of_children() - used)
    return began, walls, processor


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _serving(root: Path, rounds: int) -> list[float]:
    """Until a server that was killed answers again."""
    server = Served(root, slots=1)
    server.wait_for_answer()
    seconds = []
    for _ in range(rounds):
        server.kill()
        start = time.monotonic()
        server.start()
        server.wait_for_answer()
        seconds.append(time.monotonic() - start)
    server.stop()
    return seconds


def main() -> int:
    """Measure, print the table and keep it."""
    asked = Asked.on_the_command_line(__doc__, _SLICES)
    with scratch() as folder:
        cold_start_table(folder / "root", asked.rounds(COLD_ROUNDS)).print().write(asked.results / "cold_start.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
