"""Pictures are drawn in processes that may crash, hang or want too much, to no harm of this one."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from dlp_lab.dicom.one_image import read_image
from dlp_lab.errors import DecoderCrashed, DlpError, NoPicture
from dlp_lab.jobs import drawing
from dlp_lab.jobs.drawing import Subject, draw
from tests.enhanced_phantom import write_enhanced_phantom
from tests.jobs.waiting import child_processes
from tests.phantom import write_phantom_series, write_undecodable_series


def crash(connection: Connection, path: str, frame: int | None) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(connection: Connection, path: str, frame: int | None) -> None:
    time.sleep(60)


def flood(connection: Connection, path: str, frame: int | None) -> None:
    connection.send_bytes(bytes(2**21))


@pytest.mark.parametrize("harm", [crash, hang, flood])
def test_a_process_that_does_harm_is_ended_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: object
) -> None:
    file = write_phantom_series(tmp_path).files[0]
    draw(Subject(file))  # from here on there is a fork server
    monkeypatch.setattr(drawing, "drawing_main", harm)
    monkeypatch.setattr(drawing, "_SECONDS", 2)
    before = child_processes()
    with pytest.raises(DecoderCrashed, match=rf"no picture of {file.name}: the decoder"):
        draw(Subject(file))
    assert child_processes() <= before
    monkeypatch.undo()
    assert draw(Subject(file)).startswith(b"\x89PNG")


def test_what_is_refused_is_refused_by_its_name(tmp_path: Path) -> None:
    write_undecodable_series(tmp_path / "odd")
    refused = []
    for file in (tmp_path / "odd").iterdir():
        try:
            assert draw(Subject(file)).startswith(b"\x89PNG")
        except DlpError as error:
            refused.append(error)
            assert file.name in str(error)
    assert [error.code for error in refused] == ["MALFORMED"]
    (tmp_path / "text").write_text("no image")
    with pytest.raises(NoPicture, match="text is no image"):
        draw(Subject(tmp_path / "text"))


def test_one_image_of_a_series_and_of_a_file_with_frames_has_the_values_of_its_slice(tmp_path: Path) -> None:
    phantom = write_phantom_series(tmp_path / "series")
    assert np.array_equal(read_image(phantom.files[2], None).voxels[0], phantom.values[2])
    enhanced = write_enhanced_phantom(tmp_path / "enhanced.dcm")
    for k, frame in enumerate(enhanced.frame_of_slice):
        assert np.array_equal(read_image(enhanced.file, frame).voxels[0], enhanced.values[k])
    middle = enhanced.frame_of_slice.index(len(enhanced.values) // 2)
    assert np.array_equal(read_image(enhanced.file, None).voxels[0], enhanced.values[middle])
    with pytest.raises(NoPicture, match="there is no image 8"):
        read_image(enhanced.file, 7)
