"""The cases of a cohort, found in a tree of folders."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dlp_lab.cohort.case import Case
from dlp_lab.cohort.case_table import CASE, FOLDER, SERIES
from dlp_lab.cohort.inputs import Inputs
from dlp_lab.errors import CaseTableRefused
from dlp_lab.store.cohort_folder import CohortFolder, checked_case_id
from dlp_lab.store.workspace import Workspace

_NUMBERED = re.compile(r"case-([0-9]+)")

_Place = tuple[str, str | None]


def find_cases(workspace: Workspace, top: Path, cohort: CohortFolder, inputs: Inputs) -> list[Case]:
    """Each series in each folder is a case, also one that will be refused: no case vanishes.

    A series is of the folder that its files lie in; one that is spread over several folders is a case in each, which
    is refused as incomplete if it is so. Series of kinds that no task can be run on, such as reports, are none; a
    folder in which nothing but refused files is found is one, so that its page says why. A folder that was a case
    before keeps its name; others are numbered, for names of folders may tell who the patient is.

    Raises:
        CaseTableRefused: There is none.
        PathRefused: The folder is not inside the root.
    """
    places = [place for folder in _folders(workspace, top, cohort) for place in _places(folder, inputs)]
    if not places:
        raise CaseTableRefused(
            f"no CT, MR or PET series is in {top.name} or the folders in it; name the folder that holds the cases"
        )
    names = _names_before(cohort.table)
    numbers = [int(found[1]) for name in names.values() if (found := _NUMBERED.fullmatch(name))]
    free = max(numbers, default=0)
    cases = []
    for input_dir, series in places:
        name = names.get((input_dir, series))
        if name is None:
            free += 1
            name = f"case-{free:04}"
        cases.append(Case(case_id=name, input_dir=input_dir, series=series))
    return cases


def _folders(workspace: Workspace, top: Path, cohort: CohortFolder) -> Iterator[str]:
    """All folders of the tree in order of their names, relative to the root; links to folders are not followed."""
    start = workspace.input_folder(workspace.relative(top))
    for folder, names, _ in os.walk(start):
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".") and Path(folder, name) not in (workspace.output_folder, cohort.path)
        )
        yield workspace.relative(folder)


def _places(input_dir: str, inputs: Inputs) -> Iterator[_Place]:
    found = inputs.content(input_dir, below=False)
    readable = [series.series_instance_uid for series in found.series if series.is_of_readable_kind]
    for uid in readable:
        yield input_dir, uid or None
    if found.refused_files and not readable:
        yield input_dir, None


def _names_before(table: Path) -> dict[_Place, str]:
    """What the cases were called in an earlier run."""
    if not table.is_file():
        return {}
    with open(table, encoding="utf-8", newline="") as file:
        return {(row[FOLDER], row[SERIES] or None): checked_case_id(row[CASE]) for row in csv.DictReader(file)}
