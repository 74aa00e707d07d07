"""Where the files of a cohort lie: its summary, a folder for each case, and what it remembers between runs.

summary.html, summary.csv, summary.parquet
cases.csv                   which case is which folder: the key to the rest, which names no folder
cases/<case>/               report.html, report.ipynb, failure.html, thumbnail-<job>.png, case.json
.cohort/                    lock, inputs.json
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlp_lab.errors import CaseTableRefused, CohortBusy, PathRefused
from dlp_lab.store.workspace import Workspace, make_private_folder

_STATE = ".cohort"
_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def checked_case_id(case_id: str) -> str:
    """The name of a case, which becomes that of a folder and of a line in a table that is shown around.

    Raises:
        CaseTableRefused: It has other characters than such a name may have.
    """
    if not _CASE_ID.fullmatch(case_id):
        raise CaseTableRefused(
            f"{case_id[:100]!r} is no name of a case; use 1 to 100 letters, digits, '.', '_' and '-', starting with a "
            "letter or a digit, and nothing that tells who the patient is"
        )
    return case_id


@dataclass(frozen=True)
class CohortFolder:
    """The folder of a cohort.

    Attributes:
        path: Absolute, without symbolic links.
        name: Its path relative to the root, by which its jobs are a group.
    """

    path: Path
    name: str

    @classmethod
    def of(cls, workspace: Workspace, path: Path | str) -> CohortFolder:
        """A folder inside the root that need not exist.

        Raises:
            PathRefused: It is the root, leaves it, or is where the results of jobs are; or other things are in it.
        """
        name = workspace.relative(path)
        folder = workspace.root / name
        if name == "." or folder.is_relative_to(workspace.output_folder):
            raise PathRefused(f"{path} cannot be the folder of a cohort; name a new folder inside the root")
        if folder.exists() and not folder.is_dir():
            raise PathRefused(f"{path} is a file; name a new folder inside the root for the cohort")
        is_cohort = os.path.lexists(folder / _STATE)
        if folder.is_dir() and not is_cohort and any(not name.startswith(".") for name in os.listdir(folder)):
            raise PathRefused(
                f"{path} is not empty and no folder of a cohort, so nothing is written there; name a new folder"
            )
        return cls(folder, name)

    @property
    def table(self) -> Path:
        return self.path / "cases.csv"

    @property
    def inputs(self) -> Path:
        """What was found in the folders of the cases, remembered."""
        return _no_link(self.path / _STATE) / "inputs.json"

    def summary(self, ending: str) -> Path:
        return self.path / f"summary.{ending}"

    def case(self, case_id: str) -> Path:
        """Folder of a case; made when something is written to it."""
        return _no_link(_no_link(self.path / "cases") / checked_case_id(case_id))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs from the folder, which is made if need be, for as long as this one works on it.

        Raises:
            CohortBusy: Another run does.
        """
        make_private_folder(self.inputs.parent)
        lock = os.open(self.inputs.with_name("lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CohortBusy(
                    f"another run works on the cohort {self.name}; wait until it has ended, or name another folder"
                ) from None
            yield
        finally:
            os.close(lock)


def _no_link(folder: Path) -> Path:
    """A folder of ours; a link in its place was planted, and may lead anywhere."""
    if folder.is_symlink():
        raise PathRefused(f"{folder.name} in the folder of the cohort is a link; remove it, or name another folder")
    return folder


def write_replacing(path: Path, content: bytes) -> None:
    """Write a file, or replace it, for its owner alone to read; whenever anybody looks it is whole."""
    make_private_folder(path.parent)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_if_there(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
