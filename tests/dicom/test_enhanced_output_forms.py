"""Every form of the result of a multi-frame source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from dlp_lab import errors
from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.independent_reading import read_with_dcm2niix
from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.options import OUTPUT_FORMS
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_derived import refuse_form, write_derived
from tests.dicom.deriving import BLUR, blurred
from tests.dicom.one_file_forms import frames_of
from tests.enhanced_phantom import write_enhanced_phantom


@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_so_is_a_multi_frame_result_of_a_multi_frame_source_whatever_its_form_is_called(tmp_path, form):
    write_enhanced_phantom(tmp_path / "file.dcm")
    series = one_series(tmp_path)
    large = replace(series, geometry=replace(series.geometry, shape=(8192, 512, 512)))
    with pytest.raises(errors.TooLarge, match=r"4 GiB.*--select"):
        refuse_form(form, large)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_an_enhanced_source_is_written_in_every_form(tmp_path, form, modality):
    source = write_enhanced_phantom(tmp_path / "source/all.dcm", modality=modality, shape=(7, 24, 32))
    series = one_series(tmp_path / "source")
    values = blurred(read_volume(series))
    (tmp_path / "derived").mkdir()
    written = write_derived(form, series, values, tmp_path / "derived", replace(BLUR, reach_slices=1))
    (path,) = written.files
    ds = pydicom.dcmread(path)
    if form == "parametric_map":
        assert np.array_equal(ds.pixel_array, values.voxels.astype(np.float32))
    else:
        assert ds.SOPClassUID == series.first.sop_class_uid
        again = read_volume(one_series(tmp_path / "derived"))
        assert np.abs(again.voxels - values.voxels).max() <= written.greatest_rounding_error + 1e-3
    assert [group.ImagePositionPatient for group in frames_of(ds, "PlanePositionSequence")] == [
        list(header.position_lps_mm) for header in series.headers
    ]
    images = frames_of(ds, "DerivationImageSequence")[2].SourceImageSequence
    assert {image.ReferencedSOPInstanceUID for image in images} == {series.first.sop_instance_uid}
    assert [number for image in images for number in image.ReferencedFrameNumber] == [
        1 + source.frame_of_slice[k] for k in (2, 1, 3)
    ]
    assert dciodvfy_errors(path) <= dciodvfy_errors(source.file)
    assert not dcentvfy_errors([source.file, path])


def test_a_parametric_map_of_an_enhanced_source_keeps_the_anatomy_of_its_frames(tmp_path):
    def differ(ds: Dataset) -> None:
        for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
            frame.FrameAnatomySequence[0].FrameLaterality = "RL"[number % 2]

    source = write_enhanced_phantom(tmp_path / "source/all.dcm", shape=(7, 24, 32), edit=differ)
    series = one_series(tmp_path / "source")
    (tmp_path / "derived").mkdir()
    (path,) = write_derived("parametric_map", series, blurred(read_volume(series)), tmp_path / "derived", BLUR).files
    found = frames_of(pydicom.dcmread(path), "FrameAnatomySequence")
    assert [anatomy.FrameLaterality for anatomy in found] == ["RL"[frame % 2] for frame in source.frame_of_slice]
    assert {anatomy.AnatomicRegionSequence[0].CodeMeaning for anatomy in found} == {"Head"}
    assert dciodvfy_errors(path) <= dciodvfy_errors(source.file)


@pytest.mark.parametrize("legacy", [False, True], ids=["enhanced", "legacy converted"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_a_multi_frame_source_has_every_form_and_the_checker_holds_it_right(tmp_path, form, modality, legacy):
    (tmp_path / "source").mkdir()
    write_enhanced_phantom(tmp_path / "source" / "file", modality=modality, shape=(7, 24, 32), legacy=legacy)
    series = one_series(tmp_path / "source")
    values = blurred(read_volume(series))
    (tmp_path / "derived").mkdir()
    written = write_derived(form, series, values, tmp_path / "derived", BLUR)
    (path,) = written.files
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == (ParametricMapStorage if form == "parametric_map" else series.first.sop_class_uid)
    first = frames_of(ds, "DerivationImageSequence")[0].SourceImageSequence[0]
    numbers = (
        [first.ReferencedFrameNumber] if isinstance(first.ReferencedFrameNumber, int) else first.ReferencedFrameNumber
    )
    assert numbers[0] == series.first.frame + 1
    report = check_derived(tmp_path / "source", tmp_path / "derived")
    assert report.findings == ()
    assert [layer.layer for layer in report.layers if layer.skipped] == ["values"]  # no job made a record
    read = read_with_dcm2niix(written.files).on_grid(series.geometry.affine_kji_to_lps, values.voxels.shape)
    assert np.abs(read - values.voxels).max() <= written.greatest_rounding_error * (1 + 1e-3)
