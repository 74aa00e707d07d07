"""Derived images that are one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.options import OutputForm, ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_derived import write_derived
from dlp_lab.dicom.write_image import DerivedSeries
from dlp_lab.volume import Volume
from tests.dicom.deriving import BLUR, blurred
from tests.phantom import write_phantom_series

FORMS: tuple[OutputForm, ...] = ("multiframe", "parametric_map")


def derive(
    folder: Path,
    form: OutputForm,
    derivation: Derivation = BLUR,
    result: Callable[[Volume], Volume] = blurred,
    options: ReadOptions | None = None,
    **phantom: Any,
) -> tuple[DerivedSeries, Volume, Series]:
    """Write a phantom to `folder/source`, and what is made of it to `folder/derived`."""
    write_phantom_series(folder / "source", **{"shape": (7, 24, 32), **phantom})
    series = one_series(folder / "source", options or ReadOptions())
    values = result(read_volume(series))
    (folder / "derived").mkdir()
    return write_derived(form, series, values, folder / "derived", derivation), values, series


def frames_of(ds: Dataset, group: str) -> list[Dataset]:
    """The item of a functional group for each frame, wherever it stands."""
    shared = ds.SharedFunctionalGroupsSequence[0]
    return [(frame if group in frame else shared)[group].value[0] for frame in ds.PerFrameFunctionalGroupsSequence]
