"""The table of what viewers take, and the machine that it was made on."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

START, END = "<!-- latency: begin -->\n", "<!-- latency: end -->\n"


@dataclass(frozen=True)
class Row:
    """What one viewer takes, in ms.

    Attributes:
        viewer: What it is called.
        first_paint_ms: From a double click or from running the cell to the first picture.
        steps_ms: From a key, or a turn of the wheel, to the picture of the next slice.
        jumps_ms: The same for three planes at places that were never shown; empty where the viewer has no such thing.
    """

    viewer: str
    first_paint_ms: float
    steps_ms: Sequence[float]
    jumps_ms: Sequence[float] = ()


def median_p95(times_ms: Sequence[float]) -> str:
    """As `8.9 / 19.5`; a dash for none."""
    if not times_ms:
        return "—"
    ordered = sorted(times_ms)
    return f"{statistics.median(ordered):.1f} / {ordered[int(0.95 * (len(ordered) - 1))]:.1f}"


def table(rows: Sequence[Row]) -> str:
    """In Markdown."""
    lines = [
        "| ms, median / p95 | first picture | next slice | jump, three planes |",
        "|---|---|---|---|",
        *(
            f"| {row.viewer} | {row.first_paint_ms:,.0f} | {median_p95(row.steps_ms)} | {median_p95(row.jumps_ms)} |"
            for row in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def machine(browser: str) -> str:
    """One sentence about where it was measured."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores, memory_gib = len(os.sched_getaffinity(0)), psutil.virtual_memory().total / 2**30
    return (
        f"Measured on {cores} cores of {model} with {memory_gib:.0f} GiB, Chromium {browser} without a graphics card; "
        "server, kernel and browser share them."
    )


def write_into(document: Path, content: str) -> None:
    """Put it between the two marks of a document."""
    text = document.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{START}\n{content}\n{END}{after}", encoding="utf-8")
