"""Tables of the last full run, written into a document between marks.

    <!-- bench: end_to_end -->
    <!-- /bench -->

Between the two stands what `end_to_end.json` became; `machine` stands for where and when it was. All of them are
replaced together, so that the figures of a document are those of one run; text around the marks stays as it is.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from benchmarks.machine import sentence
from benchmarks.report import Run, table_of

MACHINE = "machine"
END = "<!-- /bench -->"
_BLOCK = re.compile(rf"<!-- bench: (\w+) -->\n.*?{END}", re.DOTALL)
_PICTURE = re.compile(r"\]\(images/([\w-]+\.png)\)")


class NotOfOneRun(ValueError):
    """The last run does not have what the document shows."""


def marks(text: str) -> list[str]:
    """The names between marks, in their order."""
    return [found[1] for found in _BLOCK.finditer(text)]


def filled(text: str, run: Run, results: Path) -> str:
    """The text with all tables of this run.

    Raises:
        NotOfOneRun: The run was short, or some tables are missing from it.
    """
    if run.is_short:
        raise NotOfOneRun("the last run was a short one, whose figures mean nothing; run: make bench")
    kept = {name for one in run.ran for name in one.tables}
    if missing := [name for name in marks(text) if name not in kept | {MACHINE}]:
        raise NotOfOneRun(f"the last run made no {', '.join(missing)}; run all: make bench")

    def block(found: re.Match[str]) -> str:
        name = found[1]
        content = f"{sentence(run.machine)}\n" if name == MACHINE else table_of(results / f"{name}.json").markdown()
        return f"<!-- bench: {name} -->\n\n{content}\n{END}"

    return _BLOCK.sub(block, text)


def write_into(document: Path, results: Path) -> None:
    """Fill the document, and put the pictures of the run that it shows into `images` beside it.

    Raises:
        NotOfOneRun: See `filled`.
    """
    document.write_text(filled(document.read_text(), Run.read(results), results))
    for name in _PICTURE.findall(document.read_text()):
        if (results / name).exists():
            shutil.copyfile(results / name, document.parent / "images" / name)
