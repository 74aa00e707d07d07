"""Headers that wait to be stored with a volume."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dlp_lab import waiting_bytes
from dlp_lab.dicom.header_archive import encode_header
from dlp_lab.dicom.header_json import dicom_json
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.stored_headers import header_reading
from tests.phantom import write_phantom_series


def scanned(k: int, ds: Dataset) -> None:
    ds.add_new(0x00290010, "LO", "A VENDOR")
    ds.add_new(0x00291010, "OB", bytes([k % 251, k // 251]) * 20_000)
    if k == 500:
        ds.PatientComments = "late"


def test_headers_read_in_parts_through_files_are_those_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_phantom_series(tmp_path / "in", shape=(9, 4, 5), edit=scanned)
    series = one_series(tmp_path / "in")
    cut = [encode_header(header) for header in series.headers]
    monkeypatch.setattr(waiting_bytes, "_MOST_IN_MEMORY", 10)
    with header_reading(series, tmp_path) as reading:
        reading.read(2)
        reading.read(1)
        reading.read(7)
        headers = reading.finish(ReadOptions())
        assert (headers.common, headers.slices()) == dicom_json(cut)
        assert list(headers.slice_json) == [json.dumps(own).encode() for own in headers.slices()]
        pieces = list(headers.folded.pieces)
        numbers = [memoryview(row).cast("i") for row in headers.folded.numbers]
    assert [b"".join(pieces[number] for number in row) for row in numbers] == [one.encoded for one in cut]


def test_of_headers_that_wait_the_memory_holds_no_more_than_a_part(tmp_path: Path):
    write_phantom_series(tmp_path / "in", shape=(800, 4, 5), edit=scanned)
    series = one_series(tmp_path / "in")
    with header_reading(series, tmp_path) as reading:
        reading.read(400)
        tracemalloc.start()
        reading.read(800)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 8 * 2**20 < 400 * 40_000
