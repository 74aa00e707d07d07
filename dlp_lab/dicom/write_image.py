"""From a volume back to DICOM: a derived series beside its source, of images of the same kind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dlp_lab.dicom.derived_header import (
    Derivation,
    derived_uid,
    drop_invalid_window,
    drop_stale,
    file_meta,
    mark_lossy,
    reference_to,
    set_derivation,
    set_equipment,
    set_identity,
    set_place,
)
from dlp_lab.dicom.derived_slices import written_slices
from dlp_lab.dicom.element_values import LARGEST_NUMBER
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.rescale import Rescale, choose_rescales
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.write_enhanced import write_enhanced
from dlp_lab.errors import DlpError, Malformed, TaskResultInvalid, TemplateMismatch
from dlp_lab.volume import Volume


@dataclass(frozen=True)
class DerivedSeries:
    """What was written.

    Attributes:
        series_instance_uid: Of the new series.
        files: One for each slice that was written, in slice order; of a multi-frame source one for all.
        indices: Slice indices of what was written in the volume; padded slices are not written.
        rescales: How the stored values of each become real ones.
    """

    series_instance_uid: str
    files: tuple[Path, ...]
    indices: tuple[int, ...]
    rescales: tuple[Rescale, ...]

    @property
    def rescale(self) -> Rescale:
        """That of the greatest slope; half of it is the greatest rounding error."""
        return max(self.rescales, key=lambda rescale: abs(rescale.slope))


def write_derived_series(
    source: HeaderSource,
    result: Volume,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> DerivedSeries:
    """Write `result` as a series derived from `source`.

    Args:
        source: The series the result was made from; its headers are read again.
        result: `(k, j, i)` values in the source's unit, on the source's grid.
        folder: Existing empty folder; it gets `0001.dcm`, `0002.dcm`, ... in slice order, without padded slices; of an
            enhanced multi-frame source `0001.dcm` with a frame for each slice.
        derivation: What made the values.
        report: Called with the fraction written and the step's name.

    Raises:
        TemplateMismatch: The result does not lie on the source's grid, or is in another unit.
        TaskResultInvalid: A value is not finite, or too large for the decimal strings of DICOM.
        Malformed: An element that is to be copied is broken.
    """
    if not result.geometry.matches(source.geometry):
        raise TemplateMismatch(
            f"the volume has {result.geometry.shape} voxels (slices, rows, columns), its series "
            f"{source.geometry.shape}, and they must lie at the same place (within 0.001 mm, in one frame of reference)"
        )
    if result.unit and source.headers[0].unit and result.unit != source.headers[0].unit:
        raise TemplateMismatch(f"the values are in {result.unit}, those of the series in {source.headers[0].unit}")
    if not np.isfinite(result.voxels).all():
        raise TaskResultInvalid(
            "the result holds values that are not finite (nan or infinity); DICOM cannot store them"
        )
    if max(abs(limit) for limit in result.value_range()) >= LARGEST_NUMBER:
        raise TaskResultInvalid(f"the result holds values beyond {LARGEST_NUMBER:g}, which would not be read again")
    places = written_slices(source, derivation.reach_slices)
    written_voxels = result.voxels if len(places) == len(result.voxels) else result.voxels[[p.k for p in places]]
    rescales = choose_rescales([source.headers[place.header] for place in places], written_voxels)
    series_uid = derived_uid(derivation.uid_seed, source.headers[0].series_instance_uid)
    if source.headers[0].frame is not None:
        path = folder / "0001.dcm"
        with quiet(), _broken_elements_named(source.headers[0]):
            write_enhanced(source, places, written_voxels, rescales, path, derivation, series_uid, report)
        report(1.0, "written")
        return DerivedSeries(series_uid, (path,), tuple(place.k for place in places), rescales)
    references = [reference_to(header, in_place=source.resampling is None) for header in source.headers]
    files = []
    for number, (place, rescale) in enumerate(zip(places, rescales, strict=True)):
        report(number / len(places), f"writing slice {number + 1} of {len(places)}")
        header = source.headers[place.header]
        path = folder / f"{number + 1:04d}.dcm"
        with quiet(), _broken_elements_named(header):
            ds = source.dataset(place.header)
            drop_stale(ds)
            set_identity(ds, header, series_uid, number, derivation)
            set_derivation(ds, header, [references[h] for h in place.contributing], derivation)
            if source.resampling is not None:
                set_place(ds, source.geometry, place.k)
            set_equipment(ds, derivation)
            mark_lossy(ds, header)
            _set_pixels(ds, header, rescale, rescale.store(written_voxels[number]))
            _save(ds, path)
        files.append(path)
    report(1.0, "written")
    return DerivedSeries(series_uid, tuple(files), tuple(place.k for place in places), rescales)


@contextlib.contextmanager
def _broken_elements_named(header: Header) -> Iterator[None]:
    try:
        yield
    except (DlpError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds on a value that it cannot write
        if isinstance(error, OSError) and error.errno:  # pydicom raises those of its own without a number
            raise
        raise Malformed(
            f"{header.path.name}: an element of its header is broken and cannot be copied into the result "
            f"({type(error).__name__}); export it again"
        ) from error


def _set_pixels(ds: Dataset, header: Header, rescale: Rescale, stored: NDArray[Any]) -> None:
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1 if rescale.signed else 0
    ds.Rows, ds.Columns = stored.shape
    if rescale.written:
        for keyword, known, text in (
            ("RescaleSlope", header.rescale_slope, rescale.slope_text),
            ("RescaleIntercept", header.rescale_intercept, rescale.intercept_text),
        ):
            # a number that stays is left as the source wrote it, "1.000000" for 1
            if known != float(text) or ds.get(keyword) in (None, ""):
                setattr(ds, keyword, text)
        if ds.Modality != "PT" and not ds.get("RescaleType"):
            ds.RescaleType = "HU" if ds.Modality == "CT" else "US"  # US: unspecified (PS3.3 C.11.1.1.2)
    drop_invalid_window(ds)
    ds.PixelData = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    ds["PixelData"].VR = "OW"


def _save(ds: Dataset, path: Path) -> None:
    ds.file_meta = file_meta(ds)
    ds.preamble = b"\0" * 128  # the source's may hold another format's header
    pydicom.dcmwrite(path, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
