"""Repairs are made only when asked for, are named in the warnings, and keep every voxel at its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

import dlp_lab as dlp
from dlp_lab import errors
from dlp_lab.conformance.programs import dciodvfy_errors
from dlp_lab.dicom import report
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.folder import find_series
from dlp_lab.dicom.options import read_options
from dlp_lab.dicom.report import report_folder
from dlp_lab.dicom.series import choose_series, one_series
from dlp_lab.dicom.write_image import write_derived_series
from dlp_lab.volume import Volume
from tests.phantom import Phantom, value_at, write_phantom_series

TILT_15_DEGREES = 2.5 * np.tan(np.radians(15))


def error_of(volume: Volume, inside: np.ndarray | None = None) -> float:
    """Greatest difference between the voxels and the phantom's values at their places."""
    positions = volume.geometry.positions_lps_mm(np.moveaxis(np.indices(volume.geometry.shape), 0, -1))
    difference = np.abs(volume.voxels - value_at(positions))
    return float((difference if inside is None else difference[inside]).max())


def derived(folder: Path, target: Path, **options: str) -> tuple[list[Dataset], Volume]:
    """Write the volume of `folder`, read with the options, as a derived series."""
    series = one_series(folder, read_options(options))
    volume = dlp.read_series(folder, **options)
    target.mkdir()
    written = write_derived_series(series, volume, target, Derivation("job", "copy", "copied", reach_slices=0))
    return [pydicom.dcmread(path) for path in written.files], volume


# --- missing slices ---------------------------------------------------------------------------------------------------


@pytest.fixture
def gappy(tmp_path) -> Phantom:
    phantom = write_phantom_series(tmp_path / "case")
    phantom.files[2].unlink()
    phantom.files[3].unlink()
    return phantom


def test_a_gap_is_padded_with_the_least_value_and_all_others_stay_in_place(gappy):
    volume = dlp.read_series(gappy.folder, gaps="pad")
    assert volume.geometry.shape == (7, 5, 6)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps, gappy.affine_kji_to_lps, atol=1e-6)
    present = np.array([True, True, False, False, True, True, True])
    np.testing.assert_array_equal(volume.voxels[present], gappy.values[present])
    assert (volume.voxels[~present] == gappy.values[present].min()).all()
    assert volume.warnings[0].startswith("missing slices were padded with the least value")
    assert f"2 between slice 1 ({gappy.files[1].name}) and slice 2 ({gappy.files[4].name})" in volume.warnings[0]


def test_padded_slices_are_not_written(gappy, tmp_path):
    slices, _ = derived(gappy.folder, tmp_path / "out", gaps="pad")
    written = [[float(v) for v in ds.ImagePositionPatient] for ds in slices]
    np.testing.assert_allclose(written, gappy.positions[[0, 1, 4, 5, 6], 0, 0], atol=1e-6)
    again = dlp.read_series(tmp_path / "out", gaps="pad")
    np.testing.assert_array_equal(again.voxels[4], gappy.values[4])


# --- uneven spacing ---------------------------------------------------------------------------------------------------

UNEVEN = [0, 2.5, 5, 8.5, 11, 13.5, 16]


@pytest.mark.parametrize("orientation", ["axial", "oblique"])
def test_uneven_slices_are_interpolated_to_even_ones_at_their_places(tmp_path, orientation):
    write_phantom_series(tmp_path / "case", slice_offsets_mm=UNEVEN, orientation=orientation)
    volume = dlp.read_series(tmp_path / "case", irregular="resample")
    assert volume.geometry.shape == (7, 5, 6)
    assert volume.geometry.spacing_kji_mm[0] == pytest.approx(2.5)
    assert error_of(volume) <= 0.5 + 1e-3  # the phantom is linear, so only its rounding is left
    assert "resampled to slices 2.5000 mm apart, over gaps of up to 3.5000 mm" in volume.warnings[0]


def test_a_resampled_series_is_written_with_its_own_geometry_and_says_so(tmp_path):
    phantom = write_phantom_series(tmp_path / "case", slice_offsets_mm=UNEVEN)
    slices, volume = derived(phantom.folder, tmp_path / "out", irregular="resample")
    again = dlp.read_series(tmp_path / "out")
    assert again.geometry.matches(volume.geometry)
    assert np.abs(again.voxels - volume.voxels).max() <= 0.5 + 1e-3
    moved = slices[4]
    assert [code.CodeValue for code in moved.DerivationCodeSequence] == ["113085"]
    assert moved.SourceImageSequence[0].SpatialLocationsPreserved == "NO"
    sources = {pydicom.dcmread(path).SOPInstanceUID: k for k, path in enumerate(phantom.files)}
    assert {sources[item.ReferencedSOPInstanceUID] for item in moved.SourceImageSequence} == {3, 4}
    assert float(moved.SliceThickness) == pytest.approx(2.5)
    assert dciodvfy_errors(tmp_path / "out" / "0005.dcm") == set()


# --- gantry tilt ------------------------------------------------------------------------------------------------------


def test_a_tilted_stack_is_kept_as_a_sheared_volume_with_exact_places(tmp_path):
    phantom = write_phantom_series(tmp_path / "case", shear_mm_per_slice=TILT_15_DEGREES)
    volume = dlp.read_series(tmp_path / "case", tilt="keep")
    np.testing.assert_array_equal(volume.voxels, phantom.values)
    assert error_of(volume) <= 0.5 + 1e-3
    assert volume.warnings == ("the volume is sheared by 15.00 degrees (gantry tilt)",)


def test_the_blur_refuses_a_sheared_volume_and_names_the_remedy(tmp_path):
    write_phantom_series(tmp_path / "case", shear_mm_per_slice=TILT_15_DEGREES)
    with pytest.raises(errors.Sheared, match="--tilt resample"):
        dlp.run("3dblur", dlp.read_series(tmp_path / "case", tilt="keep"))


@pytest.mark.parametrize("shear", [TILT_15_DEGREES, -TILT_15_DEGREES])
@pytest.mark.parametrize("orientation", ["axial", "oblique"])
def test_a_tilted_stack_is_shifted_back_to_a_rectangular_one(tmp_path, orientation, shear):
    phantom = write_phantom_series(
        tmp_path / "case", shape=(7, 24, 16), orientation=orientation, shear_mm_per_slice=shear
    )
    volume = dlp.read_series(tmp_path / "case", tilt="resample")
    assert volume.geometry.tilt_degrees == pytest.approx(0, abs=1e-6)
    assert volume.geometry.shape[0] == 7
    assert volume.geometry.shape[1] > 24
    positions = volume.geometry.positions_lps_mm(np.moveaxis(np.indices(volume.geometry.shape), 0, -1))
    covered = np.zeros(volume.geometry.shape, bool)
    down = np.array([float(v) for v in pydicom.dcmread(phantom.files[0]).ImageOrientationPatient[3:]])
    for k in range(7):
        along = (positions[k] - phantom.positions[k, 0, 0]) @ down
        covered[k] = (along >= 0) & (along <= 23 * 0.8)
    assert error_of(volume, covered) <= 0.5 + 1e-3
    assert (volume.voxels[~covered] >= phantom.values.min() - 1e-3).all()
    assert "gantry tilt undone by shifting slices" in volume.warnings[0]


def test_tilted_and_uneven_slices_need_both_repairs(tmp_path):
    def tilt(k: int, ds: Dataset) -> None:
        column = np.array([float(v) for v in ds.ImageOrientationPatient[3:]])
        position = np.array([float(v) for v in ds.ImagePositionPatient]) + column * UNEVEN[k] * np.tan(np.radians(15))
        ds.ImagePositionPatient = [f"{v:.8f}" for v in position]

    write_phantom_series(tmp_path / "case", slice_offsets_mm=UNEVEN, edit=tilt)
    with pytest.raises(errors.IrregularSpacing):
        dlp.read_series(tmp_path / "case", tilt="resample")
    with pytest.raises(errors.Sheared):
        dlp.read_series(tmp_path / "case", irregular="resample")
    volume = dlp.read_series(tmp_path / "case", irregular="resample", tilt="resample")
    assert volume.geometry.shape[0] == 7


# --- which images -----------------------------------------------------------------------------------------------------


def test_one_of_several_series_is_chosen_by_its_uid(tmp_path):
    write_phantom_series(tmp_path / "a", seed=1)
    write_phantom_series(tmp_path / "b", modality="MR", seed=2, shape=(4, 5, 6))
    uid = str(pydicom.dcmread(next((tmp_path / "b").iterdir())).SeriesInstanceUID)
    volume = dlp.read_series(tmp_path, series=uid)
    assert (volume.modality, volume.geometry.shape) == ("MR", (4, 5, 6))
    assert volume.warnings == ("7 images of other series were left out",)
    with pytest.raises(errors.NoSuchSeries, match=r"no series 1\.2\.3 is in the folder; there are: "):
        dlp.read_series(tmp_path, series="1.2.3")


@pytest.fixture
def two_echoes(tmp_path) -> Path:
    write_phantom_series(tmp_path / "a", modality="MR")
    first = pydicom.dcmread(next((tmp_path / "a").iterdir()))

    def second_echo(k: int, ds: Dataset) -> None:
        for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, keyword, first[keyword].value)
        ds.EchoTime, ds.ImageType = "80.0", ["ORIGINAL", "PRIMARY", "OTHER"]

    write_phantom_series(tmp_path / "b", modality="MR", edit=second_echo)
    return tmp_path


@pytest.mark.parametrize(("asked", "echo"), [("12", "a"), ("80", "b"), ("80.00", "b")])
def test_images_at_one_place_are_chosen_by_an_attribute(two_echoes, asked, echo):
    with pytest.raises(errors.DuplicatePosition, match=r"--select EchoTime=(12|80)"):
        dlp.read_series(two_echoes)
    series = one_series(two_echoes, read_options({"select": {"EchoTime": asked}}))
    assert {header.path.parent.name for header in series.headers} == {echo}
    assert len(series.dropped) == 7


def test_several_images_at_one_place_are_read_as_one_volume_for_each_value(two_echoes):
    stack = dlp.read_stack(two_echoes, by="EchoTime")
    assert list(stack) == ["12", "80.0"]
    assert stack["12"].geometry.matches(stack["80.0"].geometry)
    np.testing.assert_array_equal(stack["12"].voxels, stack["80.0"].voxels)
    with pytest.raises(errors.NoSuchSeries, match="has no TriggerTime"):
        dlp.read_stack(two_echoes, by="TriggerTime")


def test_a_selection_of_nothing_or_by_no_keyword_is_refused(two_echoes):
    with pytest.raises(errors.NoSuchSeries, match="no image of the series has EchoTime=5"):
        dlp.read_series(two_echoes, select={"EchoTime": "5"})
    with pytest.raises(errors.NoSuchSeries, match="'Ecotime' is no DICOM keyword"):
        dlp.read_series(two_echoes, select={"Ecotime": "5"})


def test_an_unknown_option_is_refused_by_its_name(tmp_path):
    with pytest.raises(errors.BadParameters, match="gaps"):
        dlp.read_series(tmp_path, gaps="fill")
    with pytest.raises(errors.BadParameters, match="repair"):
        dlp.read_series(tmp_path, repair="all")


def test_copies_of_images_are_left_out_and_said_so(tmp_path):
    phantom = write_phantom_series(tmp_path / "case")
    shutil.copy(phantom.files[3], tmp_path / "case" / "copy of a slice")
    volume = dlp.read_series(tmp_path / "case")
    np.testing.assert_array_equal(volume.voxels, phantom.values)
    assert volume.warnings == ("1 copies of images were left out",)


def test_a_localizer_in_the_series_is_left_out_and_said_so(tmp_path):
    def localizer(k: int, ds: Dataset) -> None:
        if k == 6:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    phantom = write_phantom_series(tmp_path, edit=localizer)
    volume = dlp.read_series(tmp_path)
    np.testing.assert_array_equal(volume.voxels, phantom.values[:6])
    assert volume.warnings == ("1 localizer images were left out",)


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_accounts_for_every_file_once(two_echoes):
    gappy = write_phantom_series(two_echoes / "gappy", seed=5)
    gappy.files[3].unlink()
    good = write_phantom_series(two_echoes / "good", seed=6)
    (two_echoes / "notes.txt").write_text("hello")
    (two_echoes / "broken").write_bytes(good.files[0].read_bytes()[:300])
    report = dlp.list_series(two_echoes, select={})
    verdicts = sorted(series.verdict for series in report.series)
    assert verdicts == ["DUPLICATE_POSITION", "MISSING_SLICES", "usable"]
    usable = next(series for series in report.series if series.verdict == "usable")
    assert usable.shape == (7, 5, 6)
    assert usable.spacing_kji_mm == pytest.approx((2.5, 0.8, 0.5))
    files = [path.relative_to(two_echoes).as_posix() for path in two_echoes.rglob("*") if path.is_file()]
    assert [file.file for file in report.files] == sorted(files)
    parts = {file.file: (file.part, file.slice) for file in report.files}
    assert parts["notes.txt"] == ("ignored", None)
    assert parts["broken"] == ("refused", None)
    assert parts[f"good/{good.files[2].name}"] == ("slice", 2)
    assert parts[f"gappy/{gappy.files[0].name}"] == ("refused", None)


@pytest.mark.parametrize("chosen", ["echo", "gappy"])
def test_the_report_is_the_same_of_a_series_that_was_chosen_before(two_echoes, monkeypatch, chosen):
    gappy = write_phantom_series(two_echoes / "gappy", seed=5)
    gappy.files[3].unlink()
    (two_echoes / "notes.txt").write_text("hello")
    scan = find_series(two_echoes)
    uids = {path.parent.name: pydicom.dcmread(path).SeriesInstanceUID for path in sorted(two_echoes.glob("*/*"))}
    options = (
        read_options({"series": uids["a"], "select": {"EchoTime": "12"}})
        if chosen == "echo"
        else read_options({"series": uids["gappy"], "gaps": "pad"})
    )
    series = choose_series(scan, options)
    assert len(series.warnings) == (2 if chosen == "echo" else 3)
    expected = report_folder(scan, options)
    assembled = []
    assemble = report.assemble
    monkeypatch.setattr(report, "assemble", lambda headers, of: assembled.append(headers) or assemble(headers, of))
    assert report_folder(scan, options, series) == expected
    assert len(assembled) == 1  # the other one
