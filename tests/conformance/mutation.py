"""What a derived series can be turned into: the files of a real job, and ways to spoil them.

A `Change` is applied to a copy of the job's output. The ways below make changes of the kind that programs really get
wrong, from the name of an attribute or a function of the pixels.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from dlp_lab.dicom.options import OUTPUT_FORMS, OutputForm
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series

UID = "5" * 32
SHAPES = {"CT": (5, 24, 32), "MR": (5, 24, 24), "PT": (7, 20, 24)}
ORIGINS = {"CT": (-61.5, 38.25, -90.125), "MR": (-61.5, 38.25, -90.125), "PT": (10.5, 8.25, 90.125)}


@dataclass(frozen=True)
class Files:
    """Source and derived series of a job, as files that may be changed.

    Attributes:
        source: Folder of the source series.
        derived: Folder of the derived series and its record.
    """

    source: Path
    derived: Path

    def copied_to(self, folder: Path) -> Files:
        """The same source with a copy of the derived series."""
        return Files(self.source, Path(shutil.copytree(self.derived, folder)))

    def derived_paths(self) -> list[Path]:
        """In slice order."""
        return sorted(self.derived.glob("*.dcm"))

    def source_slices(self) -> list[Dataset]:
        """In slice order."""
        return [pydicom.dcmread(header.path) for header in one_series(self.source).headers]

    def edit(self, change: Callable[[Dataset, int, Dataset], Any]) -> None:
        """Call `change(derived, slice index, source)` for every file and write what it leaves."""
        for k, (path, source) in enumerate(zip(self.derived_paths(), self.source_slices(), strict=True)):
            ds = pydicom.dcmread(path)
            change(ds, k, source)
            ds.save_as(path)

    def edit_file(self, change: Callable[[Dataset], Any]) -> None:
        """Call `change` for the one file of a result in one file, and write what it leaves."""
        (path,) = self.derived_paths()
        ds = pydicom.dcmread(path)
        change(ds)
        ds.save_as(path)

    def edit_record(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change `job.json`."""
        path = self.derived / "job.json"
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))


Change = Callable[[Files], None]
Jobs = dict[tuple[str, OutputForm], Files]
"""Results that are right, by modality and form."""


def job_output(root: Path, modality: str, form: OutputForm = "series") -> Files:
    """A phantom series and its blur, made by a job."""

    def lossy_ct(k: int, ds: Dataset) -> None:
        if modality == "CT":
            ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", "4.5"
            ds.LossyImageCompressionMethod = "ISO_10918_1"

    root.mkdir()
    write_phantom_series(
        root / "source", modality=modality, shape=SHAPES[modality], origin_lps_mm=ORIGINS[modality], edit=lossy_ct
    )
    workspace = Workspace(root)
    workspace.create()
    params = {"sigma_mm": [2.5, 0.8, 0.5]}
    job = Job(
        uid=UID,
        task="3dblur",
        input_dir="source",
        params=params,
        keep_hdf5=False,
        state="running",
        submitted_at="",
        output_form=form,
    )
    run_job(workspace, job, lambda fraction, message: None)
    return Files(root / "source", workspace.job_folder(UID))


def all_jobs(root: Path) -> Jobs:
    """A job of every modality and form."""
    cases: list[tuple[str, OutputForm]] = [(m, form) for m in ("CT", "MR", "PT") for form in OUTPUT_FORMS]
    return {case: job_output(root / "-".join(case), *case) for case in cases}


@dataclass(frozen=True)
class Mutant:
    """A wrong series.

    Attributes:
        name: What is wrong.
        found_by: Rules that must say so, as "layer:code"; others may too.
        change: What makes it from a right one.
        modality, form: Of the right one.
    """

    name: str
    found_by: tuple[str, ...]
    change: Change
    modality: str = "CT"
    form: OutputForm = "series"


@dataclass(frozen=True)
class Equivalent:
    """A change that is no mistake, and why."""

    name: str
    reason: str
    change: Change
    modality: str = "CT"
    form: OutputForm = "series"


# --- ways to change attributes ----------------------------------------------------------------------------------------


def each(change: Callable[[Dataset, int, Dataset], Any]) -> Change:
    """`change(derived, slice index, source)` for every file."""
    return lambda files: files.edit(change)


def setting(keyword: str, value: Any) -> Change:
    """Every file gets the value."""
    return each(lambda ds, k, source: setattr(ds, keyword, value))


def setting_one(keyword: str, value: Any, at: int = 1) -> Change:
    """One file gets the value."""
    return each(lambda ds, k, source: setattr(ds, keyword, value) if k == at else None)


def without(*keywords: str) -> Change:
    """Every file loses the elements."""

    def drop(ds: Dataset, k: int, source: Dataset) -> None:
        for keyword in keywords:
            delattr(ds, keyword)

    return each(drop)


def as_source(*keywords: str) -> Change:
    """Every file gets the elements of its source slice."""

    def copy(ds: Dataset, k: int, source: Dataset) -> None:
        for keyword in keywords:
            ds[keyword] = source[keyword]

    return each(copy)


def adding(tag: int, vr: str, value: Any) -> Change:
    """Every file gets an element."""
    return each(lambda ds, k, source: ds.add_new(tag, vr, value))


def in_references(change: Callable[[Sequence[Dataset]], Any]) -> Change:
    """`change` is called with the items of SourceImageSequence of every file."""
    return each(lambda ds, k, source: change(ds.SourceImageSequence))


def in_meta(keyword: str, value: str) -> Change:
    """The file meta information of every file gets the value."""
    return each(lambda ds, k, source: setattr(ds.file_meta, keyword, value))


def set_instance_uid(ds: Dataset, uid: str) -> None:
    """SOPInstanceUID in data set and file meta information alike."""
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid


# --- ways to change pixels, places, files and the record --------------------------------------------------------------


def pixels(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """`change` is called with the `(k, j, i)` stored values, and what it returns is stored, nothing else changed."""

    def apply(files: Files) -> None:
        stack = np.stack([pydicom.dcmread(path).pixel_array for path in files.derived_paths()])
        changed = change(stack)
        assert changed.dtype == stack.dtype
        files.edit(lambda ds, k, source: setattr(ds, "PixelData", changed[k].tobytes()))

    return apply


def moving(change: Callable[[list[list[float]]], list[list[float]]]) -> Change:
    """`change` is called with the ImagePositionPatient of all slices and returns others."""

    def apply(files: Files) -> None:
        places = change([list(pydicom.dcmread(path).ImagePositionPatient) for path in files.derived_paths()])
        files.edit(lambda ds, k, source: setattr(ds, "ImagePositionPatient", [f"{v:.10g}" for v in places[k]]))

    return apply


def removing(at: int) -> Change:
    """One file is taken away."""
    return lambda files: files.derived_paths()[at].unlink()


def in_record(change: Callable[[dict[str, Any]], Any]) -> Change:
    """`job.json` is changed."""
    return lambda files: files.edit_record(change)


def both(*changes: Change) -> Change:
    """One change after the other."""

    def apply(files: Files) -> None:
        for change in changes:
            change(files)

    return apply
