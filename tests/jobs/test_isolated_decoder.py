"""A decoder that crashes, hangs or takes too much must not take this process with it."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

import dlp_lab as dlp
from dlp_lab.dicom.compressed import FrameDecoder, decoded_here
from dlp_lab.dicom.encoded_frame import EncodedFrame
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.errors import DecoderCrashed, DlpError, JobCancelled
from dlp_lab.jobs.isolated_decoder import decoded_apart
from tests.contracts.frame_decoder_contract import FrameDecoderContract
from tests.dicom.quirks.pixels import compressed as in_file
from tests.encoded_images import SYNTAXES, noisy_image, stored_frame
from tests.jobs.waiting import child_processes, opened_by, process_is_gone
from tests.patience import PATIENCE_S, wait_until
from tests.phantom import Phantom, write_phantom_series

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

SYNTAX = SYNTAXES["JPEG 2000 lossless"]


class TestDecodedApart(FrameDecoderContract):
    @pytest.fixture
    def decode(self) -> FrameDecoder:
        return decoded_apart


@pytest.fixture
def frames(tmp_path: Path) -> list[EncodedFrame]:
    values = noisy_image(12)
    return [stored_frame(tmp_path / "frame", SYNTAX.uid, SYNTAX.encode(values, 12), values, 12)] * 500


@pytest.fixture
def compressed(tmp_path: Path) -> Phantom:
    return write_phantom_series(tmp_path / "in", modality="MR", shape=(60, 40, 48), transfer_syntax=JPEG2000Lossless)


def places(frames: list[EncodedFrame]) -> list[np.ndarray]:
    return [np.empty((frame.rows, frame.columns), frame.dtype) for frame in frames]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_while_it_decodes_is_an_error_that_names_the_files(frames, number):
    before = child_processes()
    decoded = decoded_apart(frames, places(frames))
    next(decoded)
    (process,) = child_processes() - before
    os.kill(process, number)
    with pytest.raises(
        DecoderCrashed, match=rf"frame or one of the next \d+ failed: .* ended by {number.name}"
    ) as caught:
        list(decoded)
    assert caught.value.code == "DECODER_CRASHED"
    assert child_processes() <= before


def test_a_crash_ends_the_reading_of_a_series_and_not_this_process(compressed):
    before = child_processes()

    def crash(fraction: float, message: str) -> None:
        for process in child_processes() - before:
            os.kill(process, signal.SIGSEGV)

    with pytest.raises(DecoderCrashed, match="the decoder was ended by SIGSEGV"):
        read_volume(one_series(compressed.folder), crash, decoded_apart)


def test_a_process_that_cannot_be_started_is_an_error(compressed, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DecoderCrashed, match="exit status 1 and no answer"):
        dlp.read_series(compressed.folder)


def test_uncompressed_series_are_read_without_another_process(tmp_path, monkeypatch):
    phantom = write_phantom_series(tmp_path / "in")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    np.testing.assert_array_equal(dlp.read_series(phantom.folder).voxels, phantom.values)


def test_its_memory_is_limited(frames):
    before = child_processes()
    decoded = decoded_apart(frames, places(frames))
    next(decoded)
    (process,) = child_processes() - before
    limits = Path(f"/proc/{process}/limits").read_text()
    decoded.close()
    limit = re.search(r"Max data size +(\d+)", limits)
    assert limit and int(limit[1]) == 4 * 2**30


def test_cancelled_it_is_gone_at_once(compressed):
    before = child_processes()

    def cancel(fraction: float, message: str) -> None:
        if fraction > 0.1:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        read_volume(one_series(compressed.folder), cancel, decoded_apart)
    assert child_processes() <= before


def test_one_that_hangs_is_gone_when_it_is_closed(frames):
    before = child_processes()
    decoded = decoded_apart(frames, places(frames))
    next(decoded)
    (process,) = child_processes() - before
    os.kill(process, signal.SIGSTOP)
    decoded.close()
    assert child_processes() <= before


def test_it_writes_no_core_file_with_the_images_in_it(frames):
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("no process may write one here")
    resource.setrlimit(resource.RLIMIT_CORE, (4096, hard))
    try:
        before = child_processes()
        decoded = decoded_apart(frames, places(frames))
        next(decoded)
        (process,) = child_processes() - before
        limits = Path(f"/proc/{process}/limits").read_text()
        decoded.close()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert re.search("Max core file size +0 ", limits)


def test_no_descriptor_is_left_open(frames):
    list(decoded_apart(frames[:3], places(frames[:3])))
    before = opened_by()
    for _ in range(3):
        list(decoded_apart(frames[:3], places(frames[:3])))
    assert opened_by().keys() <= before.keys()


SCRIPT = """
import sys, numpy as np, dlp_lab as dlp
np.save(sys.argv[2], dlp.read_series(sys.argv[1]).voxels)
"""


def test_a_script_that_comes_through_a_pipe_and_has_no_guard_reads_compressed_series(compressed, tmp_path):
    subprocess.run(
        [sys.executable, "-", compressed.folder, tmp_path / "voxels.npy"],
        input=SCRIPT.encode(),
        check=True,
        timeout=PATIENCE_S,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "voxels.npy"), compressed.values)


def test_a_program_without_standard_input_reads_compressed_series(compressed, tmp_path):
    subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", SCRIPT, compressed.folder, tmp_path / "voxels.npy"],
        check=True,
        timeout=PATIENCE_S,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "voxels.npy"), compressed.values)


def test_modules_in_the_working_directory_are_not_imported(compressed, tmp_path, monkeypatch):
    (tmp_path / "struct.py").write_text("raise RuntimeError")
    (tmp_path / "imagecodecs.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(dlp.read_series(compressed.folder).voxels, compressed.values)


def test_nor_are_they_where_it_is_on_the_import_path_as_in_a_notebook(compressed, tmp_path, monkeypatch):
    (tmp_path / "imagecodecs.py").write_text("raise RuntimeError")
    (tmp_path / "queue.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    np.testing.assert_array_equal(dlp.read_series(compressed.folder).voxels, compressed.values)


def test_the_working_directory_may_be_gone(compressed, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    monkeypatch.syspath_prepend("")
    (tmp_path / "gone").rmdir()
    np.testing.assert_array_equal(dlp.read_series(compressed.folder).voxels, compressed.values)


HANGING = """
import sys, time
from pathlib import Path
from dlp_lab.dicom.pixel_data import encoded_frame
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.isolated_decoder import decoded_apart
from tests.jobs.waiting import child_processes

frames = [encoded_frame(header) for header in one_series(Path(sys.argv[1])).headers]
decoded = decoded_apart(frames, frames)
next(decoded)
print(*child_processes(), flush=True)
time.sleep(10000)
"""


def test_it_ends_with_the_process_that_started_it(compressed):
    with subprocess.Popen([sys.executable, "-c", HANGING, compressed.folder], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        decoder = int(parent.stdout.readline())
        assert not process_is_gone(decoder)
        parent.kill()
    wait_until(lambda: process_is_gone(decoder))


def test_a_file_whose_name_is_no_text_is_read_and_named(compressed):
    strange = os.fsencode(compressed.files[0].parent) + b"/\xff\n"
    os.rename(compressed.files[0], strange)
    np.testing.assert_array_equal(dlp.read_series(compressed.folder).voxels, compressed.values)
    content = Path(os.fsdecode(strange)).read_bytes()
    Path(os.fsdecode(strange)).write_bytes(content.replace(b"\xff\x4f\xff\x51", bytes(4)))
    with pytest.raises(DlpError, match=r"\\udcff\\n: no JPEG 2000 codestream") as caught:
        dlp.read_series(compressed.folder)
    assert caught.value.code == "MALFORMED"


@pytest.mark.parametrize("decode", [decoded_here, decoded_apart])
def test_a_volume_that_becomes_wider_while_frames_are_decoded_ahead_keeps_all_values(tmp_path, decode):
    phantom = write_phantom_series(tmp_path / "in", modality="MR", shape=(20, 40, 48))
    for k, path in enumerate(phantom.files):
        values = (phantom.values[k] + (40_000 if k == 7 else 1000)).astype("u2")
        phantom.values[k] = values
        bits = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0}
        in_file(path, SYNTAX.encode(values, 16), JPEG2000Lossless, **bits)
    volume = read_volume(one_series(phantom.folder), decode=decode)
    assert volume.voxels.dtype == np.int32
    np.testing.assert_array_equal(volume.voxels, phantom.values)


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_conversions_and_stacks_read_apart_what_is_read_here(tmp_path, modality):
    phantom = write_phantom_series(
        tmp_path / "in", modality=modality, shape=(5, 40, 48), transfer_syntax=JPEG2000Lossless
    )
    here = read_volume(one_series(phantom.folder))
    apart = dlp.dicom_to_hdf5(phantom.folder, tmp_path / "volume.h5", tmp_path / "volume.json")
    (stacked,) = dlp.read_stack(phantom.folder, by="SliceThickness").values()
    for volume in (apart, stacked):
        assert volume.voxels.dtype == here.voxels.dtype
        np.testing.assert_array_equal(volume.voxels, here.voxels)
        assert volume.warnings == here.warnings
