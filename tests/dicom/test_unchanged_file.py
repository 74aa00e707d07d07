"""What is read of a file later is of the file whose header was read, or the file is refused by its name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from dlp_lab.dicom import series as series_module
from dlp_lab.dicom.duplicates import without_copies
from dlp_lab.dicom.frame_pixels import with_own_pixels
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.header_archive import encode_header
from dlp_lab.dicom.one_image import read_image
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.similar_headers import read_headers
from dlp_lab.dicom.unchanged_file import opened_unchanged
from dlp_lab.errors import FileChanged, Malformed
from dlp_lab.jobs.isolated_decoder import decoded_apart
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import write_phantom_series

K = 3
"""The slice whose file changes."""


def grow(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(bytes(2))


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 40)


def overwrite(path: Path) -> None:
    """In place, with as many bytes. A moment later, as the clock of some file systems ticks slowly."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\x11\x22" * 4)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**6))


def replace(path: Path) -> None:
    """By another file of the same size and times."""
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[:-2] + b"\x11\x22")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


CHANGES = {
    grow: r"it had \d+ bytes and has",
    shrink: r"it had \d+ bytes and has",
    overwrite: "it was written to",
    replace: "another file is in its place",
}
READERS: dict[str, Callable[[Series], object]] = {
    "pixels": read_volume,
    "data set": lambda series: series.dataset(K),
    "header": lambda series: series.encoded_header(K),
    "pieces of the header": lambda series: encode_header(series.headers[K]),
    "an attribute": lambda series: series_module._values(series.headers, "EchoTime"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_after_its_header_was_read_is_refused_by_name(tmp_path, change, reader):
    phantom = write_phantom_series(tmp_path)
    series = one_series(tmp_path)
    change(phantom.files[K])
    with pytest.raises(FileChanged, match=rf"^{phantom.files[K].name} changed while it was read .{CHANGES[change]}"):
        READERS[reader](series)


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
    ],
)
@pytest.mark.parametrize("change", CHANGES)
def test_so_it_is_in_whatever_way_its_pixels_are_stored(tmp_path, change, transfer_syntax):
    phantom = write_phantom_series(tmp_path, modality="MR", shape=(5, 40, 48), transfer_syntax=transfer_syntax)
    series = one_series(tmp_path)
    change(phantom.files[K])
    with pytest.raises(FileChanged, match=f"^{phantom.files[K].name} changed"):
        read_volume(series)


def test_a_process_that_only_decodes_tells_it_too(tmp_path):
    phantom = write_phantom_series(tmp_path, modality="MR", shape=(5, 40, 48), transfer_syntax=RLELossless)
    series = one_series(tmp_path)
    overwrite(phantom.files[K])
    with pytest.raises(FileChanged, match=f"^{phantom.files[K].name} changed"):
        read_volume(series, decode=decoded_apart)


def test_a_file_is_not_changed_by_who_reads_it_or_by_another_name_or_other_rights(tmp_path):
    phantom = write_phantom_series(tmp_path / "in")
    series = one_series(tmp_path / "in")
    path = phantom.files[K]
    path.read_bytes()
    os.link(path, tmp_path / "link")
    path.chmod(0o400)
    for read in READERS.values():
        read(series)


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_its_functional_groups_or_fragments_are_looked_for_is_refused(tmp_path, change):
    phantom = write_enhanced_phantom(tmp_path / "a.dcm", transfer_syntax=RLELossless, shape=(4, 16, 16))
    headers = one_series(tmp_path).headers
    change(phantom.file)
    with pytest.raises(FileChanged, match=r"^a\.dcm, frame \d changed"):
        with_own_pixels(headers)
    with pytest.raises(FileChanged, match=r"^a\.dcm, frame \d changed"):
        series_module._values(headers, "EchoTime")


def test_a_copy_that_changed_is_not_compared(tmp_path):
    phantom = write_phantom_series(tmp_path)
    shutil.copy(phantom.files[K], tmp_path / "copy")
    headers = [found for found in read_headers([*phantom.files, tmp_path / "copy"]) if isinstance(found, Header)]
    overwrite(tmp_path / "copy")
    with pytest.raises(FileChanged, match=r"^copy changed"):
        without_copies(headers)


def test_that_a_file_changed_is_told_rather_than_what_it_looked_like_meanwhile(tmp_path):
    phantom = write_phantom_series(tmp_path)
    header = one_series(tmp_path).headers[K]
    with pytest.raises(FileChanged), opened_unchanged(header):
        shrink(phantom.files[K])
        raise Malformed("half a file looks broken")


def test_the_picture_of_one_image_is_of_the_file_as_it_is_now(tmp_path):
    phantom = write_phantom_series(tmp_path)
    before = read_image(phantom.files[K], None)
    overwrite(phantom.files[K])
    assert (read_image(phantom.files[K], None).voxels != before.voxels).any()
