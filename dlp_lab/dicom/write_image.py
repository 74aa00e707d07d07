"""From a volume back to DICOM: a derived series beside its source, of images of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom

from dlp_lab.dicom.derived_data_set import DerivedDataSets
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.derived_slices import written_slices
from dlp_lab.dicom.pixel_description import describe_pixels, set_file_meta
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.rescale import Rescale, choose_rescales
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.writable import broken_elements_named, refuse_unwritable
from dlp_lab.dicom.write_enhanced import write_enhanced
from dlp_lab.volume import Volume


@dataclass(frozen=True)
class DerivedSeries:
    """What was written.

    Attributes:
        series_instance_uid: Of the new series.
        files: One for each slice that was written, in slice order; of a multi-frame source one for all.
        indices: Slice indices of what was written in the volume; padded slices are not written.
        rescales: How the stored values of each become real ones.
        float_rounding: Greatest rounding error of floating point pixels; None where pixels are integers.
    """

    series_instance_uid: str
    files: tuple[Path, ...]
    indices: tuple[int, ...]
    rescales: tuple[Rescale, ...]
    float_rounding: float | None = None

    @property
    def rescale(self) -> Rescale:
        """That of the greatest slope."""
        return max(self.rescales, key=lambda rescale: abs(rescale.slope))

    @property
    def greatest_rounding_error(self) -> float:
        """How far a written value is from the computed one, at most."""
        return abs(self.rescale.slope) / 2 if self.float_rounding is None else self.float_rounding


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
    refuse_unwritable(source, result)
    places = written_slices(source, derivation.reach_slices)
    written_voxels = result.voxels if len(places) == len(result.voxels) else result.voxels[[p.k for p in places]]
    rescales = choose_rescales([source.headers[place.header] for place in places], written_voxels)
    made = DerivedDataSets(source, derivation)
    if source.headers[0].frame is not None:
        path = folder / "0001.dcm"
        with quiet(), broken_elements_named(source.headers[0]):
            write_enhanced(source, places, written_voxels, rescales, path, derivation, made.series_uid, report)
        report(1.0, "written")
        return DerivedSeries(made.series_uid, (path,), tuple(place.k for place in places), rescales)
    files = []
    for number, (place, rescale) in enumerate(zip(places, rescales, strict=True)):
        report(number / len(places), f"writing slice {number + 1} of {len(places)}")
        header = source.headers[place.header]
        path = folder / f"{number + 1:04d}.dcm"
        with quiet(), broken_elements_named(header):
            ds = made.make(place, number)
            stored = rescale.store(written_voxels[number])
            describe_pixels(ds, header, rescale, *stored.shape)
            ds.PixelData = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
            ds["PixelData"].VR = "OW"
            set_file_meta(ds)
            pydicom.dcmwrite(path, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
        files.append(path)
    report(1.0, "written")
    return DerivedSeries(made.series_uid, tuple(files), tuple(place.k for place in places), rescales)
