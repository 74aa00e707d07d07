"""What every `HeaderSource` must do. Inherit the class and give the fixture `open_source`."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from dlp_lab.dicom.header_archive import decode_header
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import HeaderSource, Series, one_series
from dlp_lab.dicom.write_image import Derivation, write_derived_series
from tests.phantom import Phantom, write_phantom_series

OpenSource = Callable[[Series], HeaderSource]
MADE_AT = datetime.datetime(2025, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


def burdened(k: int, ds: Dataset) -> None:
    """What is easily lost: odd decimals, foreign characters, private elements, sequences, binary and broken values."""
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=山田^太郎"
    ds.StudyID = "   "
    ds.add_new(0x00181060, "DS", "0.000000")  # TriggerTime
    ds.add_new(0x00180080, "DS", "1.50E+03" if k % 2 else "1500.0")  # RepetitionTime
    ds.add_new(0x00280107, "SS", k)  # LargestImagePixelValue
    ds.add_new(0x00101010, "AS", "70")  # PatientAge without its unit
    block = ds.private_block(0x0029, "PHANTOM CSA", create=True)
    block.add_new(0x10, "OB", bytes(range(256)) + bytes([k, 0]))
    block.add_new(0x20, "UN", b"\0\1\2\3")
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", "頭"
    item.add_new(0x00291010, "LO", "private inside")
    ds.ProcedureCodeSequence = [item, Dataset()]
    icon = Dataset()
    icon.Rows, icon.Columns, icon.PixelData = 1, 2, b"\1\2"
    icon["PixelData"].VR = "OB"
    ds.IconImageSequence = [icon]


class HeaderSourceContract:
    @pytest.fixture
    def open_source(self) -> OpenSource:
        raise NotImplementedError

    @pytest.fixture(
        params=[
            ExplicitVRLittleEndian,
            ImplicitVRLittleEndian,
            ExplicitVRBigEndian,
            DeflatedExplicitVRLittleEndian,
            RLELossless,
        ],
        ids=lambda uid: uid.keyword,
    )
    def phantom(self, tmp_path: Path, request: pytest.FixtureRequest) -> Phantom:
        syntax: UID = request.param
        with pytest.warns(UserWarning, match="Invalid value"):
            return write_phantom_series(tmp_path / "case", edit=burdened, transfer_syntax=syntax)

    def test_the_headers_are_in_slice_order_and_the_geometry_is_their_grid(
        self, phantom: Phantom, open_source: OpenSource
    ) -> None:
        source = open_source(one_series(phantom.folder))
        expected = [str(pydicom.dcmread(path).SOPInstanceUID) for path in phantom.files]
        assert [str(header.sop_instance_uid) for header in source.headers] == expected
        np.testing.assert_allclose(source.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-6)

    def test_a_data_set_holds_every_element_as_its_bytes_are_in_the_file(
        self, phantom: Phantom, open_source: OpenSource
    ) -> None:
        source = open_source(one_series(phantom.folder))
        for k, path in enumerate(phantom.files):
            before, after = pydicom.dcmread(path), source.dataset(k)
            assert after.original_encoding == before.original_encoding
            assert [*after.keys()] == [tag for tag in before.keys() if tag != 0x7FE00010]  # noqa: SIM118 - keys() is raw
            for tag in [*after.keys()]:
                one, other = after.get_item(tag), before.get_item(tag)
                if one.is_raw and other.is_raw:
                    # what comes behind the value tells where in a file it was
                    assert one[:4] == other[:4], tag
                else:
                    assert after[tag] == before[tag], tag
            assert after.file_meta == before.file_meta

    def test_an_encoded_header_is_the_file_up_to_its_pixels_at_least(
        self, phantom: Phantom, open_source: OpenSource
    ) -> None:
        source = open_source(one_series(phantom.folder))
        for k, path in enumerate(phantom.files):
            encoded = source.encoded_header(k)
            if source.headers[k].transfer_syntax_uid != DeflatedExplicitVRLittleEndian:
                assert path.read_bytes().startswith(encoded)
                assert decode_header(encoded).keys() == source.dataset(k).keys()

    def test_a_data_set_is_the_callers_own(self, phantom: Phantom, open_source: OpenSource) -> None:
        source = open_source(one_series(phantom.folder))
        source.dataset(2).PatientID = "changed"
        assert source.dataset(2).PatientID == "PHANTOM-1"

    def test_the_derived_series_is_that_of_the_files_to_the_last_byte(
        self, tmp_path: Path, phantom: Phantom, open_source: OpenSource
    ) -> None:
        series = one_series(phantom.folder)
        derivation = Derivation("seed", "copy", "nothing done", made_at=MADE_AT)
        for name, source in (("files", series), ("source", open_source(series))):
            (tmp_path / name).mkdir()
            write_derived_series(source, read_volume(series), tmp_path / name, derivation)
        for k in range(7):
            name = f"{k + 1:04d}.dcm"
            assert (tmp_path / "source" / name).read_bytes() == (tmp_path / "files" / name).read_bytes()
