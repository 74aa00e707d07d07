"""The cases of a cohort, found in a tree of folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from dlp_lab.cohort.case import Case
from dlp_lab.cohort.case_table import CASE, FOLDER, SERIES, read_table, series_of
from dlp_lab.cohort.inputs import Inputs
from dlp_lab.errors import CaseTableRefused, PathRefused
from dlp_lab.store.cohort_folder import CohortFolder, checked_case_id
from dlp_lab.store.workspace import Workspace

_NUMBERED = re.compile(r"case-([0-9]+)")

_Place = tuple[str, str | None]


def find_cases(workspace: Workspace, top: Path, cohort: CohortFolder, inputs: Inputs) -> list[Case]:
    """Each series in each folder is a case, also one that will be refused: no case vanishes.

    A series is of the folder that its files lie in; one that is spread over several folders is a case in each, which
    is refused as incomplete if it is so. Series of kinds that no task can be run on, such as reports, are none; a
    folder in which nothing but refused files is found, or that cannot be looked into, is one, so that its page says
    why. A folder that was a case before keeps its name; others are numbered, for names of folders may tell who the
    patient is.

    Raises:
        CaseTableRefused: There is none, or the table of an earlier run is damaged.
        PathRefused: The folder is not inside the root.
    """
    places = [place for folder in _folders(workspace, top, cohort) for place in _places(folder, inputs)]
    if not places:
        raise CaseTableRefused(
            f"no CT, MR or PET series is in {top.name} or the folders in it; name the folder that holds the cases"
        )
    names = _names_before(cohort.table, workspace)
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
    closed: list[str] = []

    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # which was removed this moment
            closed.append(error.filename)

    for folder, names, _ in os.walk(start, onerror=note):
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".") and Path(folder, name) not in (workspace.output_folder, cohort.path)
        )
        yield workspace.relative(folder)
    yield from map(workspace.relative, closed)


def _places(input_dir: str, inputs: Inputs) -> Iterator[_Place]:
    try:
        found = inputs.content(input_dir, below=False)
    except PathRefused:  # as its job will be
        yield input_dir, None
        return
    readable = [series.series_instance_uid for series in found.series if series.is_of_readable_kind]
    for uid in readable:
        yield input_dir, uid or None
    if found.refused_files and not readable:
        yield input_dir, None


def _names_before(table: Path, workspace: Workspace) -> dict[_Place, str]:
    """What the cases were called in an earlier run, or in the table that its user has made of it."""
    if not table.is_file():
        return {}
    names: dict[_Place, str] = {}
    taken = set()
    for where, fields in read_table(table)[1]:
        try:
            place = workspace.relative(workspace.root / fields[FOLDER]), series_of(fields.get(SERIES, ""))
            name = checked_case_id(fields[CASE])
        except (CaseTableRefused, PathRefused) as error:
            raise CaseTableRefused(f"{where}: {error}; or delete the table, and cases are numbered anew") from None
        if name.casefold() not in taken:  # of two lines of one name the second is numbered anew
            names[place] = name
            taken.add(name.casefold())
    return names
