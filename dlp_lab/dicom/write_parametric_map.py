"""A derived volume as one Parametric Map: 32-bit floating point, value for value (PS3.3 A.75)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from dlp_lab import __version__
from dlp_lab.dicom.derived_data_set import DerivedDataSets
from dlp_lab.dicom.derived_header import Derivation, code_item, derived_uid, drop_invalid_window
from dlp_lab.dicom.derived_slices import WrittenSlice, written_slices
from dlp_lab.dicom.frame_groups import (
    FILE_NAME,
    Groups,
    derivation_group,
    frame_content,
    item,
    plane_groups,
    references_to,
    save_frames,
    set_dimensions,
    set_frame_of_reference,
    set_functional_groups,
    taken,
    tell_character_sets,
)
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.kept_attributes import is_kept
from dlp_lab.dicom.pixel_description import set_file_meta
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.units import quantity_code, unit_code
from dlp_lab.dicom.writable import broken_elements_named, refuse_unwritable
from dlp_lab.dicom.write_image import DerivedSeries
from dlp_lab.errors import UnsupportedPixels
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume

_IMAGE_TYPE = ("DERIVED", "PRIMARY", "VOLUME", "QUANTITY")
_AS_STORED = Rescale(slope_text="1", intercept_text="0", signed=True, written=False)
_LONGEST_CS, _LONGEST_LO = 16, 64
_OF_INTEGER_PIXELS = ("BitsStored", "HighBit", "PixelRepresentation")


def write_parametric_map(
    source: HeaderSource,
    result: Volume,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> DerivedSeries:
    """Write `result` as one Parametric Map, frames in slice order.

    float32 values are written as they are; others are rounded to float32.

    Args and errors are those of `write_derived_series`.
    """
    refuse_unwritable(source, result)
    return write_map_of_slices(source, result.voxels, result.unit, folder, derivation, report)


def write_map_of_slices(
    source: HeaderSource,
    slices: Sequence[NDArray[Any]] | NDArray[Any],
    unit: str | None,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None],
) -> DerivedSeries:
    """`write_parametric_map` of slices that lie on the source's grid and can be written.

    Args:
        source, folder, derivation, report: As there.
        slices: `(rows, columns)` values of all slices of the volume; they may be made when they are asked for, which is
            once and in order.
        unit: Of the values; None for that of the source.
    """
    places = written_slices(source, derivation.reach_slices)
    made = DerivedDataSets(source, derivation)
    path = folder / FILE_NAME
    _, rows, columns = source.geometry.shape
    frames = _Frames(slices, places, report)
    with quiet(), broken_elements_named(source.headers[0]):
        ds, mapping = _data_set(made, places, (rows, columns), unit or source.headers[0].unit)
        save_frames(
            ds, path, "FloatPixelData", "OF", frames, rows * columns * 4, lambda: _set_range(mapping, frames.range)
        )
    report(1.0, "written")
    indices = tuple(place.k for place in places)
    return DerivedSeries(made.series_uid, (path,), indices, (_AS_STORED,) * len(places), frames.rounding)


class _Frames(Iterable[NDArray[np.float32]]):
    """The values of each frame as they are written, when they are asked for.

    Attributes:
        range: Least and greatest value of those that were asked for.
        rounding: How far the nearest float32 is from a value of them, at most.
    """

    def __init__(
        self,
        slices: Sequence[NDArray[Any]] | NDArray[Any],
        places: Sequence[WrittenSlice],
        report: Callable[[float, str], None],
    ) -> None:
        self._slices = slices
        self._written = {place.k for place in places}
        self._report = report
        self.range = np.inf, -np.inf
        self.rounding = 0.0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        number = 0
        for k, values in enumerate(self._slices):
            if k not in self._written:
                continue
            self._report(number / len(self._written), f"writing frame {number + 1} of {len(self._written)}")
            number += 1
            low, high = self.range
            self.range = min(low, float(values.min())), max(high, float(values.max()))
            self.rounding = max(self.rounding, _rounding_of_float32(values))
            yield np.ascontiguousarray(values, "<f4")


def _rounding_of_float32(values: NDArray[Any]) -> float:
    """How far the nearest float32 is from a value, at most."""
    if values.dtype == np.float32:
        return 0.0
    return float(np.abs(values.astype(np.float32).astype(np.float64) - values).max())


def _data_set(
    made: DerivedDataSets, places: Sequence[WrittenSlice], shape: tuple[int, int], unit: str | None
) -> tuple[Dataset, Dataset]:
    """All but the pixels; and its part that is to be told the range of the values."""
    data_sets, frames = [], []
    for number, place in enumerate(places):
        with broken_elements_named(made.source.headers[place.header]):
            ds = made.make(place, number)
            frames.append(_groups(ds, number, made.source.geometry))
            data_sets.append(ds)
    tell_character_sets(data_sets, frames)
    ds = data_sets[0]
    _refuse_burned_in(data_sets)
    for tag in list(ds.keys()):
        if not is_kept(tag):
            del ds[tag]
    _set_image(ds, made, *shape)
    lossy = [one for one in data_sets if one.get("LossyImageCompression") == "01"]
    ds.LossyImageCompression = "01" if lossy else "00"
    set_dimensions(ds, made.series_uid)
    set_frame_of_reference(ds, made.series_uid)
    _set_references(ds, made.source.headers)
    mapping = _real_world_mapping(unit)
    set_functional_groups(
        ds,
        frames,
        ParametricMapFrameTypeSequence=item(FrameType=list(_IMAGE_TYPE)),
        PixelValueTransformationSequence=item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US"),
        RealWorldValueMappingSequence=mapping,
    )
    set_file_meta(ds)
    return ds, mapping


def _refuse_burned_in(data_sets: Sequence[Dataset]) -> None:
    if any(ds.get("BurnedInAnnotation") == "YES" for ds in data_sets):
        raise UnsupportedPixels(
            "annotations are burned into the source's pixels (BurnedInAnnotation (0028,0301) is YES), which a "
            "parametric map must not have (PS3.3 C.8.32.2); write the result as a series (output_form series)"
        )


def _groups(ds: Dataset, number: int, geometry: Geometry) -> Groups:
    """Functional groups of one frame, taken from the data set of its slice (PS3.3 A.75.4)."""
    groups = {
        "FrameContentSequence": frame_content(number + 1),
        **plane_groups(ds, geometry),
        "DerivationImageSequence": derivation_group(ds),
    }
    if ds.get("FrameAnatomySequence"):  # as a frame of an enhanced source has it
        groups["FrameAnatomySequence"] = ds.FrameAnatomySequence[0]
    drop_invalid_window(ds)
    if "WindowCenter" in ds and "WindowWidth" in ds:
        groups["FrameVOILUTSequence"] = taken(ds, ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"))
    return groups


def _set_image(ds: Dataset, made: DerivedDataSets, rows: int, columns: int) -> None:
    """What the file says of itself (PS3.3 C.8.32.2, C.7.5.2, C.7.6.24)."""
    derivation = made.derivation
    ds.SOPClassUID = ParametricMapStorage
    ds.SOPInstanceUID = derived_uid(made.series_uid, "parametric map")
    ds.InstanceNumber = 1
    ds.ImageType = list(_IMAGE_TYPE)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.BitsAllocated = rows, columns, 32
    for keyword in _OF_INTEGER_PIXELS:
        if keyword in ds:
            delattr(ds, keyword)
    ds.PixelPresentation, ds.PresentationLUTShape = "MONOCHROME", "IDENTITY"
    ds.ContentQualification = "RESEARCH"
    ds.ContentLabel = re.sub(r"[^A-Z0-9_ ]", "_", derivation.label.upper())[:_LONGEST_CS].strip() or "MAP"
    ds.ContentDescription = derivation.description[:_LONGEST_LO]
    ds.ContentCreatorName = ""
    # both are needed here (Type 1), though a source need not tell; the standard knows NO alone for the first
    ds.BurnedInAnnotation = "NO"
    ds.RecognizableVisualFeatures = ds.get("RecognizableVisualFeatures") or "YES"
    ds.DeviceSerialNumber = __version__
    if "AcquisitionContextSequence" not in ds:
        ds.AcquisitionContextSequence = []


def _set_references(ds: Dataset, source: Sequence[Header]) -> None:
    """List the images that frames refer to (PS3.3 C.12.2), if their series has a UID to list them by."""
    if source[0].series_instance_uid:
        ds.ReferencedSeriesSequence = [
            item(SeriesInstanceUID=source[0].series_instance_uid, ReferencedInstanceSequence=references_to(source))
        ]


def _set_range(mapping: Dataset, value_range: tuple[float, float]) -> None:
    # their VR is FD, so that they are as long as those they replace
    low, high = value_range
    mapping.DoubleFloatRealWorldValueFirstValueMapped = low
    mapping.DoubleFloatRealWorldValueLastValueMapped = high


def _real_world_mapping(unit: str | None) -> Dataset:
    """The values are real ones already; this says in which unit (PS3.3 C.7.6.16.2.11). Their range is told later."""
    mapping = item(
        LUTExplanation="Values as they were computed",
        LUTLabel="values",
        DoubleFloatRealWorldValueFirstValueMapped=0.0,
        DoubleFloatRealWorldValueLastValueMapped=0.0,
        RealWorldValueSlope=1.0,
        RealWorldValueIntercept=0.0,
        MeasurementUnitsCodeSequence=[unit_code(unit)],
    )
    quantity = quantity_code(unit)
    if quantity is not None:
        mapping.QuantityDefinitionSequence = [
            item(
                ValueType="CODE",
                ConceptNameCodeSequence=[code_item("246205007", "SCT", "Quantity")],
                ConceptCodeSequence=[quantity],
            )
        ]
    return mapping
