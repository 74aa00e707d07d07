"""Which frames a segmentation has, and their pixels, one after the other (PS3.3 A.51, A.87, C.8.20.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.label_map import LabelMap, SegmentationForm

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        plane: Which of the written planes it lies in, in their order.
        place: Of that plane among those that have a frame, counted from 1 along the normal.
        segment: Its number, from 1; None where the frame has all of them.
    """

    plane: int
    place: int
    segment: int | None


class SegmentationFrames:
    """The frames of a label map, segment by segment, along the normal.

    What is empty has no frame; where nothing was found, all have one, for there is no image without.

    Args:
        label_map: The labels.
        form: "binary" and "fractional" have a frame for each segment and plane where it occurs, "labelmap" one for each
            plane that is not empty.
        ks: Slice index of each plane that is written.
        order: The planes along the normal.

    Attributes:
        planes: Those that have a frame, along the normal.
    """

    def __init__(self, label_map: LabelMap, form: SegmentationForm, ks: Sequence[int], order: Sequence[int]) -> None:
        self._label_map, self._form, self._ks = label_map, form, ks
        self._fractions = label_map.fractions if form == "fractional" else None
        occurs = self._occurrences()
        if form == "labelmap":
            occurs = np.asarray(occurs.any(axis=1, keepdims=True))
        if not occurs.any():
            occurs[...] = True
        self._occurs = occurs
        self.planes: list[int] = [plane for plane in order if occurs[plane].any()]

    def __len__(self) -> int:
        return int(self._occurs.sum())

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._occurs.shape[1]):
            segment = None if self._form == "labelmap" else index + 1
            for place, plane in enumerate(self.planes, start=1):
                if self._occurs[plane, index]:
                    yield Frame(plane, place, segment)

    def encoded_pixels(self, bits_allocated: int) -> Iterator[bytes]:
        """The pixels of all frames, to be written one after the other.

        Args:
            bits_allocated: 1, where frames follow each other without a gap between their bits (PS3.5 8.1.1), 8 or 16.
        """
        if bits_allocated == 1:
            return _packed(self._pixels(frame, np.dtype(np.bool_)) for frame in self)
        dtype = np.dtype(f"<u{bits_allocated // 8}")
        return (self._pixels(frame, dtype).tobytes() for frame in self)

    def _occurrences(self) -> Mask:
        """Whether each segment occurs in each plane, `(plane, segment)`."""
        if self._fractions is None:
            return np.asarray(self._label_map.slice_counts[list(self._ks)] > 0)
        return np.array([[of_label[k].any() for of_label in self._fractions] for k in self._ks])

    def _pixels(self, frame: Frame, dtype: np.dtype[Any]) -> NDArray[Any]:
        k = self._ks[frame.plane]
        voxels = self._label_map.voxels[k]
        if frame.segment is None:
            found = self._segment_numbers(dtype)[voxels]
        elif self._fractions is not None:
            found = self._fractions[frame.segment - 1, k]
        else:
            found = voxels == self._label_map.labels[frame.segment - 1].number
            if self._form == "fractional":
                found = found * dtype.type(255)
        return np.asarray(found)

    def _segment_numbers(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """For each label its segment's number: these go from 1 without gaps."""
        labels = self._label_map.labels
        numbers = np.zeros(labels[-1].number + 1, dtype)
        numbers[[label.number for label in labels]] = np.arange(1, len(labels) + 1)
        return numbers


def _packed(frames: Iterable[Mask]) -> Iterator[bytes]:
    """Eight pixels a byte, the first one in the lowest bit."""
    left = np.empty(0, bool)
    for frame in frames:
        bits = np.concatenate([left, frame.ravel()]) if len(left) else frame.ravel()
        whole = len(bits) // 8 * 8
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
        left = bits[whole:]
    yield np.packbits(left, bitorder="little").tobytes()
