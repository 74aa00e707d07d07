"""A file cannot take more time or memory than its image, whatever it declares."""

from __future__ import annotations

import multiprocessing
import resource
import struct
import threading
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, RLELossless

from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import find_series, one_series
from dlp_lab.errors import DlpError, Malformed, MultipleSeries
from tests.dicom.quirks import QUIRKS
from tests.dicom.quirks.pixels import frame_of, reframed
from tests.phantom import write_phantom_series

SECONDS = 2.0
MIB = 200

BOMBS = [
    "150 000 elements before the pixels",
    "sequences 3000 deep",
    "sequences 3000 deep, of defined length",
    "an element longer than the file",
    "Rows of 4 GiB",
    "40000 x 40000 pixels",
    "500 MiB after the pixels",
    "deflated zeros before the pixels",
    "deflated zeros in the pixels",
    "deflated zeros after the pixels",
    "RLE that decodes to too much",
    "JPEG 2000 of 30000 x 30000",
    "JPEG 2000 of 4 billion x 4 billion",
    "JPEG-LS of 60000 x 60000",
    "JPEG lossless of 60000 x 60000",
    "JPEG of 60 000 scans",
    "100 000 frames",
    "a million items for frames",
    "a million items of a defined length",
    "functional groups 3000 deep",
    "a functional group beyond the file",
]


def cost(folder: Path) -> tuple[float, float, str]:
    """Seconds of a processor and MiB that reading a folder takes, in a process of its own, and what became of it."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_read_and_tell, args=(folder, writer))
    process.start()
    told: tuple[float, float, str] = reader.recv()
    process.join()
    return told


def _read_and_tell(folder: Path, writer: Connection) -> None:
    before, began = _resident_mib(), time.process_time()
    try:
        read_volume(one_series(folder))
        outcome = "read"
    except DlpError as error:
        outcome = error.code
    seconds = time.process_time() - began
    # the greatest size that the process had; at the fork it was that of the parent
    writer.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before, outcome))


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_neither_time_nor_memory(tmp_path, name):
    QUIRKS[name].build(tmp_path / "in")
    seconds, mib, outcome = cost(tmp_path / "in")
    assert seconds < SECONDS, outcome
    assert mib < MIB, outcome


def test_the_cost_of_reading_is_seen(tmp_path):
    def large(k: int, ds: Dataset) -> None:
        ds.Rows = ds.Columns = 8000
        ds.PixelData = bytes(2 * 8000 * 8000)

    write_phantom_series(tmp_path / "in", modality="MR", shape=(1, 5, 6), edit=large)
    assert cost(tmp_path / "in")[1] > 100


@pytest.mark.parametrize(
    ("transfer_syntax", "change"),
    [
        (RLELossless, lambda frame: frame[:64] + b"\x80" * 30_000_000),
        (JPEG2000Lossless, lambda frame: frame[:45] + b"\0" * 30_000_000 + b"\xff\xd9"),
        (JPEG2000Lossless, lambda frame: b"\0" * 30_000_000),
    ],
    ids=["RLE that does nothing", "J2K markers of length 0", "more than the image"],
)
def test_a_long_compressed_image_is_not_walked(tmp_path, transfer_syntax, change):
    phantom = write_phantom_series(tmp_path / "in", modality="MR", shape=(3, 40, 48), transfer_syntax=transfer_syntax)
    reframed(phantom.files[0], change)
    began = time.process_time()
    with pytest.raises(Malformed):
        read_volume(one_series(tmp_path / "in"))
    assert time.process_time() - began < 1


def test_a_million_empty_fragments_are_not_walked(tmp_path):
    phantom = write_phantom_series(tmp_path, modality="MR", shape=(3, 40, 48), transfer_syntax=RLELossless)
    content = phantom.files[0].read_bytes()
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(frame_of(phantom.files[0])))
    place = content.rindex(item)
    phantom.files[0].write_bytes(content[:place] + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 1_000_000 + content[place:])
    with pytest.raises(Malformed, match="twice as large as the image"):
        read_volume(one_series(tmp_path))


def test_a_thousand_series_are_listed_in_short(tmp_path):
    content = write_phantom_series(tmp_path / "in", shape=(1, 5, 6)).files[0].read_bytes()
    uid = str(pydicom.dcmread(next((tmp_path / "in").iterdir())).SeriesInstanceUID).encode()
    for number in range(1000):
        other = uid[:-4] + f"{number:04d}".encode()
        (tmp_path / "in" / f"of {number}").write_bytes(content.replace(uid, other))
    began = time.process_time()
    with pytest.raises(MultipleSeries) as caught:
        one_series(tmp_path / "in")
    assert time.process_time() - began < 5
    assert len(str(caught.value)) < 2000


def test_what_pydicom_says_reaches_nobody(tmp_path, caplog, capfd):
    phantom = write_phantom_series(tmp_path / "in")
    for path in phantom.files:
        # an unknown character set, which pydicom quotes when it warns of it
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"Jane Doe\0\0"))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        one_series(tmp_path / "in")
    assert not heard and not caplog.records
    assert capfd.readouterr() == ("", "")


def test_pydicom_is_heard_again_after_readers_of_several_threads(tmp_path, caplog):
    write_phantom_series(tmp_path, shape=(40, 5, 6))
    threads = [threading.Thread(target=find_series, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.warns(UserWarning, match="Invalid value for VR UI"):
        pydicom.dataset.Dataset().StudyInstanceUID = "not a UID"
    assert caplog.records
