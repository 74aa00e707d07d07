"""A segmentation that is written frame by frame is the data set that highdicom makes of the same labels."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from dlp_lab.dicom import frame_groups, write_segmentation
from dlp_lab.dicom.derived_header import decimal
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.segmentation_places import matching_slices
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.errors import TooLarge
from dlp_lab.label_map import Label, LabelMap
from tests.dicom.test_write_segmentation import ANATOMY, LABELS, labels_on, written
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import write_phantom_series

FORMS = ["binary", "labelmap", "fractional"]
OURS = ("DimensionOrganizationUID", "SpacingBetweenSlices", "ContributionDateTime")
"""What is not as highdicom has it, on purpose; `test_write_segmentation` looks at it."""
OF_THE_MOMENT = (
    "ContentDate",
    "ContentTime",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "SeriesDate",
    "SeriesTime",
)


@dataclass(frozen=True)
class Source:
    """A series, the data sets of its slices or of its one file, and for each of their frames the slice it is."""

    series: Series
    images: list[Dataset]
    slices: tuple[int, ...]


def slices(folder: Path, options: ReadOptions = ReadOptions(), **phantom: Any) -> Source:  # noqa: B008
    write_phantom_series(folder, **phantom)
    series = one_series(folder, options)
    images = [pydicom.dcmread(header.path) for header in series.headers]
    return Source(series, images, series.indices or tuple(range(series.geometry.shape[0])))


def enhanced(folder: Path) -> Source:
    phantom = write_enhanced_phantom(folder / "image")
    return Source(one_series(folder), [pydicom.dcmread(folder / "image")], tuple(np.argsort(phantom.frame_of_slice)))


def with_odd_digits(k: int, ds: Dataset) -> None:
    ds.ImagePositionPatient = [f"{float(mm):+.7f}" for mm in ds.ImagePositionPatient]


def with_long_digits(k: int, ds: Dataset) -> None:
    ds["ImagePositionPatient"]._value = [f"{float(mm):.19f}" for mm in ds.ImagePositionPatient]


SOURCES = {
    "oblique": lambda folder: slices(folder),
    "backwards": lambda folder: slices(folder, orientation="axial-rows-up"),
    "whole-bytes": lambda folder: slices(folder, shape=(7, 4, 6)),
    "implicit": lambda folder: slices(folder, transfer_syntax=ImplicitVRLittleEndian, edit=with_odd_digits),
    "digits": lambda folder: slices(folder, edit=with_odd_digits),
    "gap": lambda folder: slices(
        folder, ReadOptions(gaps="pad"), slice_offsets_mm=[0, 2.5, 5, 10, 12.5, 15, 17.5], shape=(7, 5, 6)
    ),
    "tilted": lambda folder: slices(
        folder, ReadOptions(tilt="keep"), orientation="axial", shear_mm_per_slice=0.4, shape=(7, 5, 6)
    ),
    "resampled": lambda folder: slices(
        folder, ReadOptions(tilt="resample"), orientation="axial", shear_mm_per_slice=0.4, shape=(7, 5, 6)
    ),
    "enhanced": enhanced,
}


def label_map(series: Series, kind: str) -> LabelMap:
    made = labels_on(series.geometry)
    voxels, labels = made.voxels, made.labels
    if kind == "sparse":
        voxels[[1, -1]] = 0
        voxels[3][voxels[3] == 5] = 0
    elif kind == "nothing":
        voxels[...] = 0
    elif kind == "one label":
        voxels[voxels == 5] = 0
        voxels[2] = 0
        labels = LABELS[:1]
    elif kind == "many labels":
        labels = tuple(Label(2 * number, f"part {number}", ANATOMY, LABELS[0].type) for number in range(1, 301))
        voxels = np.random.default_rng(1).integers(0, 301, voxels.shape).astype(np.uint16) * 2
    return LabelMap(voxels, series.geometry, labels)


def fractions_of(labels: LabelMap) -> LabelMap:
    """Labels, and for some voxels how surely."""
    values = np.random.default_rng(2).integers(0, 256, labels.voxels.shape)
    of_labels = [np.where(labels.voxels == label.number, values, 0) for label in labels.labels]
    return replace(labels, fractions=np.array(of_labels, np.uint8))


def pixels_for_highdicom(labels: LabelMap, form: str, ks: tuple[int, ...]) -> NDArray[Any]:
    if form == "fractional" and labels.fractions is not None:
        return np.moveaxis(labels.fractions[:, list(ks)], 0, -1) / np.float32(255)
    numbers = np.zeros(labels.labels[-1].number + 1, np.uint16)
    numbers[[label.number for label in labels.labels]] = np.arange(1, len(labels.labels) + 1)
    return numbers[labels.voxels[list(ks)]]


def by_highdicom(source: Source, labels: LabelMap, form: str, ours: Dataset) -> Dataset:
    """The segmentation that highdicom makes; what its caller may choose is taken from ours."""
    places: dict[str, Any] = {}
    if source.series.resampling is not None:
        geometry = source.series.geometry
        steps = geometry.affine_kji_to_lps[:3, :3] / np.asarray(geometry.spacing_kji_mm)
        positions = [[float(decimal(mm)) for mm in geometry.positions_lps_mm((k, 0, 0))] for k in source.slices]
        places["plane_positions"] = [highdicom.PlanePositionSequence("PATIENT", place) for place in positions]
        places["plane_orientation"] = highdicom.PlaneOrientationSequence("PATIENT", [*steps[:, 2], *steps[:, 1]])
        spacing = [float(decimal(mm)) for mm in geometry.spacing_kji_mm]
        places["pixel_measures"] = highdicom.PixelMeasuresSequence(spacing[1:], spacing[0])
    return highdicom.seg.Segmentation(
        source_images=source.images,
        pixel_array=pixels_for_highdicom(labels, form, source.slices),
        segmentation_type=form.upper(),
        segment_descriptions=[
            highdicom.seg.SegmentDescription.from_dataset(item)
            for item in ours.SegmentSequence
            if item.SegmentNumber  # that of the background is highdicom's own
        ],
        series_instance_uid=ours.SeriesInstanceUID,
        series_number=ours.SeriesNumber,
        sop_instance_uid=ours.SOPInstanceUID,
        instance_number=ours.InstanceNumber,
        manufacturer=ours.Manufacturer,
        manufacturer_model_name=ours.ManufacturerModelName,
        software_versions=ours.SoftwareVersions,
        device_serial_number=ours.DeviceSerialNumber,
        content_label=ours.ContentLabel,
        content_description=ours.ContentDescription,
        content_creator_name="",
        series_description=ours.SeriesDescription,
        **places,
    )


def told(ds: Dataset) -> dict[str, Any]:
    """All elements by keyword with their VR, sequences as lists; of the pixels those that frames have."""
    found: dict[str, Any] = {}
    for element in ds:
        if element.keyword in (*OURS, *OF_THE_MOMENT):
            continue
        value = [told(item) for item in element.value] if element.VR == "SQ" else str(element.value)
        if element.keyword == "PixelData":  # highdicom pads with a character
            bits = int(ds.NumberOfFrames) * ds.Rows * ds.Columns * ds.BitsAllocated
            value = element.value[: (bits + 7) // 8]
        found[element.keyword] = (element.VR, value)
    return found


def through_bytes(ds: Dataset, folder: Path) -> Dataset:
    ds.save_as(folder / "highdicom.dcm")
    return pydicom.dcmread(folder / "highdicom.dcm")


def assert_same(ours: Dataset, theirs: Dataset) -> None:
    mine, their = told(ours), told(theirs)
    assert mine.keys() == their.keys()
    for keyword in mine:
        assert mine[keyword] == their[keyword], keyword


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SOURCES)
def test_every_element_is_as_highdicom_writes_it(tmp_path, name, form):
    source = SOURCES[name](tmp_path / "source")
    labels = label_map(source.series, "sparse")
    ours = pydicom.dcmread(written(source.series, labels, tmp_path / "out", form).file)
    assert_same(ours, through_bytes(by_highdicom(source, labels, form, ours), tmp_path))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["nothing", "one label", "many labels"])
def test_segments_without_voxels_alone_and_by_the_hundreds_are_as_highdicom_writes_them(tmp_path, kind, form):
    source = slices(tmp_path / "source")
    labels = label_map(source.series, kind)
    ours = pydicom.dcmread(written(source.series, labels, tmp_path / "out", form).file)
    assert_same(ours, through_bytes(by_highdicom(source, labels, form, ours), tmp_path))


@pytest.mark.parametrize("kind", ["sparse", "nothing", "one label"])
def test_how_surely_is_as_highdicom_writes_it(tmp_path, kind):
    source = slices(tmp_path / "source")
    labels = fractions_of(label_map(source.series, kind))
    ours = pydicom.dcmread(written(source.series, labels, tmp_path / "out", "fractional").file)
    assert_same(ours, through_bytes(by_highdicom(source, labels, "fractional", ours), tmp_path))


def test_bits_that_fill_no_byte_and_an_odd_number_of_bytes_are_padded_with_zeros(tmp_path):
    source = slices(tmp_path / "source")
    ours = pydicom.dcmread(written(source.series, labels_on(source.series.geometry), tmp_path / "out").file)
    bits = np.unpackbits(np.frombuffer(ours.PixelData, np.uint8), bitorder="little")
    size = ours.NumberOfFrames * ours.Rows * ours.Columns
    assert (size % 8, len(bits) - size) == (4, 12)
    assert not bits[size:].any()


def test_positions_longer_than_dicom_allows_are_told_by_as_many_digits_as_there_is_room_for(tmp_path, recwarn):
    source = slices(tmp_path / "source", edit=with_long_digits)
    made = written(source.series, labels_on(source.series.geometry), tmp_path / "out")
    for groups in pydicom.dcmread(made.file).PerFrameFunctionalGroupsSequence:
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert all(len(str(mm)) <= 16 for mm in position)
        assert (
            min(np.abs(np.subtract(position, header.position_lps_mm)).max() for header in source.series.headers) < 1e-9
        )


def test_the_file_of_frames_is_named_once_and_by_its_class(tmp_path):
    source = enhanced(tmp_path / "source")
    ours = pydicom.dcmread(written(source.series, labels_on(source.series.geometry), tmp_path / "out").file)
    (image,) = ours.SourceImageSequence
    first = source.series.headers[0]
    assert (image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID) == (
        first.sop_class_uid,
        first.sop_instance_uid,
    )


def test_planes_match_the_nearest_slice_and_all_or_none_do():
    normal = np.array([0.0, 0.6, 0.8])
    sources = np.outer([3.0, 1.0, 2.0], normal) + np.array([5.0, 0.0, 0.0])
    shifted = sources + np.array([2.0, -0.8, 0.6])  # within the plane
    assert matching_slices(sources[::-1], sources, normal, in_place=True) == [[2], [1], [0]]
    assert matching_slices(shifted, sources, normal, in_place=True) is None
    assert matching_slices(shifted, sources, normal, in_place=False) == [[0], [1], [2]]
    between = np.vstack([shifted, sources[0] + 0.5 * normal])
    assert matching_slices(between, sources, normal, in_place=False) is None


def test_more_than_a_file_can_hold_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    source = slices(tmp_path / "source")
    monkeypatch.setattr(frame_groups, "LARGEST_ELEMENT_BYTES", 50)
    with pytest.raises(TooLarge, match="segment fewer slices"):
        written(source.series, labels_on(source.series.geometry), tmp_path / "out", "labelmap")
    assert list((tmp_path / "out").iterdir()) == []


def test_groups_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    source = slices(tmp_path / "source")
    monkeypatch.setattr(write_segmentation, "LARGEST_ELEMENT_BYTES", 50)
    with pytest.raises(TooLarge, match="what is said of each frame"):
        written(source.series, labels_on(source.series.geometry), tmp_path / "out", "labelmap")


def test_no_more_than_some_frames_are_in_memory_while_they_are_written(tmp_path):
    most, size = {}, 200
    for number, count in enumerate((10, 10, 60)):  # the first loads what all need
        source = slices(tmp_path / f"source{number}", shape=(count, size, size))
        labels = labels_on(source.series.geometry)
        tracemalloc.start()
        written(source.series, labels, tmp_path / f"out{number}", "labelmap")
        most[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most[60] - most[10] < 0.2 * (60 - 10) * size * size
