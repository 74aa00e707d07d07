"""From DICOM to HDF5 and back."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest

import dlp_lab as dlp
from tests.cli.program import cli


@pytest.mark.parametrize("form", ["multiframe", "parametric_map"])
def test_the_result_is_one_file_when_asked_for_by_a_job_and_from_hdf5(root, form):
    done = cli("run", "3dblur", "case", "--output-form", form, "--keep-hdf5", cwd=root)
    assert done.returncode == 0, done.stderr
    output = Path(done.stdout.strip())
    assert [path.name for path in output.glob("*.dcm")] == ["0001.dcm"]
    checked = cli("check", "case", output, cwd=root)
    assert checked.returncode == 0, checked.stdout
    back = cli("hdf5-to-dicom", "-h", output / "result.h5", "-o", "out", "--output-form", form, cwd=root)
    assert back.returncode == 0, back.stderr
    assert "out: 7 slices" in back.stdout
    first, again = (pydicom.dcmread(folder / "0001.dcm") for folder in (output, root / "out"))
    np.testing.assert_array_equal(first.pixel_array, again.pixel_array)
    assert cli("check", "case", "out", cwd=root).returncode == 0


@pytest.mark.parametrize("as_scripts", [True, False], ids=["scripts", "subcommands"])
@pytest.mark.parametrize("long", [True, False], ids=["long flags", "short flags"])
def test_dicom_goes_to_hdf5_and_back(root, as_scripts, long):
    flags = ["--input-dicom", "--output-hdf5", "--output-json"] if long else ["-i", "-h", "-j"]
    to = zip(flags, ["case", "v.h5", "v.json"], strict=True)
    flags = ["--input-hdf5", "--input-dicom", "--output-dicom"] if long else ["-h", "-d", "-o"]
    back = zip(flags, ["v.h5", "case", "out"], strict=True)
    for subcommand, program, pairs in (("dicom-to-hdf5", "dicom_to_hd5", to), ("hdf5-to-dicom", "hd5_to_dicom", back)):
        arguments = [word for pair in pairs for word in pair]
        done = cli(*arguments, cwd=root, program=program) if as_scripts else cli(subcommand, *arguments, cwd=root)
        assert done.returncode == 0, done.stderr
    metadata = json.loads((root / "v.json").read_text())
    assert metadata["modality"] == "CT"
    assert metadata["spacing"] == pytest.approx([2.5, 0.8, 0.5])
    assert metadata["spacing_slices"] == pytest.approx(2.5)
    assert metadata["spacing_pixel"] == pytest.approx([0.8, 0.5])
    source, again = dlp.read_series(root / "case"), dlp.read_series(root / "out")
    np.testing.assert_array_equal(again.voxels, source.voxels)
    assert again.geometry.matches(source.geometry)
    assert {stat.S_IMODE((root / name).stat().st_mode) for name in ("v.h5", "v.json")} == {0o600}


def test_an_hdf5_file_with_its_headers_needs_no_template(root):
    assert cli("dicom-to-hdf5", "-i", "case", "-h", "v.h5", "-j", "v.json", cwd=root).returncode == 0
    done = cli("-h", "v.h5", "-o", "out", cwd=root, program="hd5_to_dicom")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(dlp.read_series(root / "out").voxels, dlp.read_series(root / "case").voxels)
    assert "Phantom^" not in (root / "v.json").read_text()


def test_a_compressed_hdf5_file_becomes_the_same_series(root):
    flags = ["-i", "case", "-h", "v.h5", "-j", "v.json", "--compress", "gzip"]
    assert cli("dicom-to-hdf5", *flags, cwd=root).returncode == 0
    with h5py.File(root / "v.h5") as file:
        assert file["entry/volume/image"].compression == "gzip"
    assert cli("hdf5-to-dicom", "-h", "v.h5", "-o", "out", cwd=root).returncode == 0
    np.testing.assert_array_equal(dlp.read_series(root / "out").voxels, dlp.read_series(root / "case").voxels)


def test_without_headers_and_template_the_refusal_names_the_flags(root):
    flags = ["--headers", "none", "--keep-phi"]
    assert cli("dicom-to-hdf5", "-i", "case", "-h", "v.h5", "-j", "v.json", *flags, cwd=root).returncode == 0
    done = cli("hdf5-to-dicom", "-h", "v.h5", "-o", "out", cwd=root)
    assert done.returncode == 2
    assert "(-d)" in done.stderr
    assert "(--headers full)" in done.stderr
    assert "Phantom^" in (root / "v.json").read_text()


@pytest.mark.parametrize("program", ["dicom_to_hd5", "hd5_to_dicom"])
def test_help_is_the_long_flag_alone(root, program):
    done = cli("--help", cwd=root, program=program)
    assert done.returncode == 0
    assert "-h FILE" in done.stdout


def test_minmax_is_stored_as_0_to_1_and_undone_on_the_way_back(root):
    cli("dicom-to-hdf5", "-i", "case", "-h", "v.h5", "-j", "v.json", "--normalize", "minmax", cwd=root)
    with h5py.File(root / "v.h5") as file:
        stored = file["entry/volume/image"][()]
    assert (stored.dtype, stored.min(), stored.max()) == (np.float32, 0, 1)
    assert cli("hdf5-to-dicom", "-h", "v.h5", "-d", "case", "-o", "out", cwd=root).returncode == 0
    np.testing.assert_array_equal(dlp.read_series(root / "out").voxels, dlp.read_series(root / "case").voxels)
