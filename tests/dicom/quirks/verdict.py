"""What is to become of a quirk series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from tests.enhanced_phantom import EnhancedPhantom
from tests.phantom import Phantom, write_phantom_series


@dataclass(frozen=True)
class Accepted:
    """It loads, with the values of the phantom, and with this warning."""

    warning: str | None = None


@dataclass(frozen=True)
class Refused:
    """It is refused with the error of this code."""

    code: str


Verdict = Accepted | Refused


@dataclass(frozen=True)
class Quirk:
    """A folder that somebody may have.

    Attributes:
        build: Writes it, and returns the phantom whose values it holds; None if it holds none.
        verdict: What is to become of it.
    """

    build: Callable[[Path], Phantom | EnhancedPhantom | None]
    verdict: Verdict


Edit = Callable[[int, Dataset], object]


def edited(edit: Edit, verdict: Verdict, **phantom: object) -> Quirk:
    """A phantom whose data sets were edited before they were written."""
    return Quirk(lambda folder: write_phantom_series(folder, edit=edit, **phantom), verdict)  # type: ignore[arg-type]


def plain(verdict: Verdict, **phantom: object) -> Quirk:
    """A phantom made with other arguments."""
    return Quirk(lambda folder: write_phantom_series(folder, **phantom), verdict)  # type: ignore[arg-type]


def changed(change: Callable[[Path, Phantom], object], verdict: Verdict, **phantom: object) -> Quirk:
    """A phantom whose folder was changed after it was written."""

    def build(folder: Path) -> Phantom:
        written = write_phantom_series(folder, **phantom)  # type: ignore[arg-type]
        change(folder, written)
        return written

    return Quirk(build, verdict)


def setting(**attributes: object) -> Edit:
    """Set attributes of all slices; None removes one."""

    def edit(k: int, ds: Dataset) -> None:
        for keyword, value in attributes.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)

    return edit


def in_slice(number: int, edit: Edit) -> Edit:
    """Edit one slice only."""
    return lambda k, ds: edit(k, ds) if k == number else None


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file's bytes."""
    path.write_bytes(change(path.read_bytes()))


def resaved(path: Path, edit: Callable[[Dataset], object], **options: object) -> None:
    """Change a file's data set with nothing checked."""
    ds = pydicom.dcmread(path)
    edit(ds)
    ds.save_as(path, **options)  # type: ignore[arg-type]
