"""What becomes of series with a quirk: `python -m tools.quirks` prints the table."""

from __future__ import annotations

import numpy as np
import pytest

from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_image import Derivation, write_derived_series
from dlp_lab.errors import DlpError
from tests.dicom.quirks import QUIRKS
from tests.dicom.quirks.verdict import Accepted, Refused


@pytest.mark.parametrize("name", QUIRKS)
def test_every_quirk_has_its_verdict_and_what_is_read_can_be_written(tmp_path, name):
    quirk = QUIRKS[name]
    phantom = quirk.build(tmp_path / "in")
    if isinstance(quirk.verdict, Refused):
        with pytest.raises(DlpError) as caught:
            read_volume(one_series(tmp_path / "in"))
        assert (caught.value.code, str(caught.value)) == (quirk.verdict.code, str(caught.value))
        return
    series = one_series(tmp_path / "in")
    volume = read_volume(series)
    assert isinstance(quirk.verdict, Accepted)
    if quirk.verdict.warning is not None:
        assert any(quirk.verdict.warning in warning for warning in volume.warnings)
    if phantom is not None:
        np.testing.assert_allclose(volume.voxels, phantom.values, atol=1e-4)
    (tmp_path / "out").mkdir()
    write_derived_series(series, volume, tmp_path / "out", Derivation("seed", "copy", "nothing changed"))
    np.testing.assert_allclose(read_volume(one_series(tmp_path / "out")).voxels, volume.voxels, atol=0.01)


def test_there_are_quirks_of_all_kinds():
    assert len(QUIRKS) >= 60
    codes = {quirk.verdict.code for quirk in QUIRKS.values() if isinstance(quirk.verdict, Refused)}
    assert len(codes) > 15
