from __future__ import annotations

import tracemalloc

import highdicom
import numpy as np
import pytest

from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_measurements import write_measurements
from dlp_lab.label_map import Label, LabelMap
from tests.dicom.test_write_segmentation import ALGORITHM, ANATOMY, LABELS, labels_on, written
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import write_phantom_series

DERIVATION = Derivation("seed", "segment", "Parts of the phantom")


@pytest.mark.parametrize("form", ["binary", "labelmap"])
def test_the_report_tells_the_volume_of_each_segment_and_refers_to_it(tmp_path, form):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    label_map = labels_on(series.geometry)
    segmentation = written(series, label_map, tmp_path / "out", form)
    path = write_measurements(segmentation, label_map, ALGORITHM, DERIVATION)
    assert path is not None
    report = highdicom.sr.srread(path)
    groups = report.content.get_volumetric_roi_measurement_groups()
    for group, label, number in zip(groups, LABELS, (1, 2), strict=True):
        (volume,) = group.get_measurements()
        expected = (label_map.voxels == label.number).sum() * 2.5 * 0.8 * 0.5 / 1000
        assert (volume.value, volume.unit.value) == (pytest.approx(expected, rel=1e-5), "ml")
        assert group.finding_type.value == label.type.value
        reference = group.referenced_segment[0].ReferencedSOPSequence[0]
        assert int(reference.ReferencedSegmentNumber) == number
    # dciodvfy of 2026-09 takes a label map for no segmentation, and the number of a segment in it for a mistake
    errors = {error for error in dciodvfy_errors(path) if form == "binary" or "ReferencedSegmentNumber" not in error}
    assert errors == set()
    sources = [header.path for header in series.headers]
    assert dcentvfy_errors([*sources, segmentation.file, path]) == set()


def test_only_what_was_found_is_reported(tmp_path):
    write_enhanced_phantom(tmp_path / "source" / "image")
    series = one_series(tmp_path / "source")
    voxels = np.where(labels_on(series.geometry).voxels == 5, 5, 0).astype(np.uint8)
    label_map = LabelMap(voxels, series.geometry, LABELS)
    path = write_measurements(written(series, label_map, tmp_path / "out"), label_map, ALGORITHM, DERIVATION)
    assert path is not None
    (group,) = highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    assert group.finding_type.value == "64033007"
    assert dciodvfy_errors(path) == set()


def test_nothing_found_is_no_report(tmp_path):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    label_map = LabelMap(np.zeros(series.geometry.shape, np.uint8), series.geometry, LABELS)
    segmentation = written(series, label_map, tmp_path / "out")
    assert write_measurements(segmentation, label_map, ALGORITHM, DERIVATION) is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["segmentation.dcm"]


def test_what_the_segmentation_says_of_its_frames_is_not_read_for_the_report(tmp_path):
    most, size = {}, {}
    labels = tuple(Label(number, f"part {number}", ANATOMY, ANATOMY) for number in range(1, 31))
    for number, count in enumerate((10, 10, 600)):  # the first loads what all need
        write_phantom_series(tmp_path / f"source{number}", shape=(count, 5, 6))
        series = one_series(tmp_path / f"source{number}")
        voxels = np.tile(np.arange(1, 31, dtype=np.uint8).reshape(5, 6), (count, 1, 1))
        label_map = LabelMap(voxels, series.geometry, labels)
        segmentation = written(series, label_map, tmp_path / f"out{number}")
        size[count] = segmentation.file.stat().st_size
        tracemalloc.start()
        path = write_measurements(segmentation, label_map, ALGORITHM, DERIVATION)
        most[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert path is not None
        assert highdicom.sr.srread(path).CurrentRequestedProcedureEvidenceSequence
    assert most[600] - most[10] < 0.3 * (size[600] - size[10])
