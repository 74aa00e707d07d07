"""A table of figures: printed, kept as JSON for the report, and shown in Markdown.

Table("what", columns=("", "wall, ms"), rows=[("dlp-lab", 3.14)], note="why").print().write(results / "name.json")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import machine

Cell = str | float | int | None


def shown(cell: Cell) -> str:
    """Text as it is, whole numbers as they are, others with three significant digits, nothing for None."""
    if cell is None:
        return ""
    if not isinstance(cell, float):
        return str(cell)
    if cell != cell:
        return "—"
    if abs(cell) >= 1000:
        return f"{cell:,.0f}".replace(",", " ")
    digits = f"{cell:#.3g}"
    return f"{cell:.4f}" if "e" in digits else digits.rstrip(".")


@dataclass(frozen=True)
class Table:
    """Figures under one title.

    Attributes:
        title: What was measured, on how much.
        columns: Their heads, with units; the first may be empty.
        rows: As many cells as there are columns.
        note: A sentence or two under the table.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title!r} has {len(self.columns)} columns and a row of {len(row)}: {row}")

    def print(self) -> Table:
        """On standard output, its columns in line."""
        lines = [list(self.columns), *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        print(f"\n{self.title}")
        for line in lines:
            first, *others = zip(line, widths, strict=True)
            print("  ".join([f"{first[0]:<{first[1]}}", *(f"{text:>{width}}" for text, width in others)]).rstrip())
        if self.note:
            print(self.note)
        print(end="", flush=True)
        return self

    def write(self, path: Path) -> Table:
        """Keep it as JSON, with what the machine is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**vars(self), "machine": machine()}, indent=1) + "\n")
        return self

    @classmethod
    def read(cls, path: Path) -> Table:
        """One that was kept."""
        kept = json.loads(path.read_text())
        return cls(kept["title"], kept["columns"], kept["rows"], kept["note"])

    def markdown(self) -> str:
        """The title in bold, the table, the note."""
        cells = [[shown(cell).replace("|", "\\|") for cell in row] for row in (self.columns, *self.rows)]
        head, *rows = (f"| {' | '.join(row)} |" for row in cells)
        note = [self.note, ""] if self.note else []
        return "\n".join([f"**{self.title}**", "", head, "|---" * len(self.columns) + "|", *rows, "", *note])
