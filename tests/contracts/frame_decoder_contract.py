"""What every `FrameDecoder` must do. Inherit the class and give the fixture `decode`."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dlp_lab.dicom.compressed import FrameDecoder
from dlp_lab.dicom.encoded_frame import EncodedFrame
from dlp_lab.dicom.unchanged_file import FileState
from dlp_lab.errors import Malformed, Unreadable
from tests.encoded_images import SYNTAXES, noisy_image, stored_frame
from tests.jobs.waiting import child_processes

NAMES = ["JPEG 2000 lossless", "RLE", "JPEG-LS", "HTJ2K lossless"]


class FrameDecoderContract:
    @pytest.fixture
    def decode(self) -> FrameDecoder:
        raise NotImplementedError

    @staticmethod
    def frames(folder: Path, count: int) -> tuple[list[EncodedFrame], list[np.ndarray]]:
        """Frames that all differ, of several syntaxes, types and sizes."""
        frames, values = [], []
        for n in range(count):
            image = np.roll(noisy_image(12, signed=n % 3 == 0, rows=61 + n % 2), n)
            syntax = SYNTAXES[NAMES[n % len(NAMES)]]
            frames.append(stored_frame(folder / f"frame {n}", syntax.uid, syntax.encode(image, 12), image, 12))
            values.append(image)
        return frames, values

    @staticmethod
    def places(frames: Sequence[EncodedFrame], dtype: str = "i2") -> list[np.ndarray]:
        return [np.empty((frame.rows, frame.columns), dtype) for frame in frames]

    @pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
    def test_the_values_of_all_frames_come_in_order_in_their_own_type(
        self, decode: FrameDecoder, tmp_path: Path, dtype: str
    ) -> None:
        frames, expected = self.frames(tmp_path, 20)
        for frame, values, known in zip(frames, decode(frames, self.places(frames, dtype)), expected, strict=True):
            assert values.dtype == frame.dtype
            np.testing.assert_array_equal(values, known)

    def test_of_no_frame_there_is_nothing(self, decode: FrameDecoder) -> None:
        assert list(decode([], [])) == []

    def test_values_stay_until_the_next_are_asked_for(self, decode: FrameDecoder, tmp_path: Path) -> None:
        frames, expected = self.frames(tmp_path, 20)
        for values, known in zip(decode(frames, self.places(frames)), expected, strict=True):
            time.sleep(0.02)
            np.testing.assert_array_equal(values, known)

    def test_the_first_frame_that_is_broken_is_named_after_those_before_it(
        self, decode: FrameDecoder, tmp_path: Path
    ) -> None:
        frames, expected = self.frames(tmp_path, 20)
        for n in (4, 5, 6, 19):
            path = tmp_path / f"frame {n}"
            path.write_bytes(b"\0" * frames[n].state.file_bytes)
            frames[n] = replace(frames[n], state=FileState.from_status(path.stat()))
        seen = []
        with pytest.raises(Malformed, match=r"^frame 4: "):
            for values in decode(frames, self.places(frames)):
                seen.append(values.copy())
        assert len(seen) == 4
        np.testing.assert_array_equal(seen[3], expected[3])

    def test_only_a_few_frames_are_decoded_ahead(self, decode: FrameDecoder, tmp_path: Path) -> None:
        frames, _ = self.frames(tmp_path, 8)
        many = frames * 30
        decoded = decode(many, self.places(many))
        next(decoded)
        time.sleep(0.5)
        for n in range(8):
            (tmp_path / f"frame {n}").unlink()
        with pytest.raises(Unreadable, match=r"^frame .* could not be read"):
            list(decoded)

    def test_closed_early_it_leaves_no_thread_and_no_process(self, decode: FrameDecoder, tmp_path: Path) -> None:
        frames, _ = self.frames(tmp_path, 8)
        threads, processes = set(threading.enumerate()), child_processes()
        decoded = decode(frames * 30, self.places(frames * 30))
        next(decoded)
        decoded.close()
        # what earlier tests have left may end meanwhile
        assert (set(threading.enumerate()) - threads, child_processes() - processes) == (set(), set())
