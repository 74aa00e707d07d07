"""Which label wins where, from a network's values: by comparing channel with channel, and nothing but that.

No channel is copied, and what is compared is as small as a plane, so that it stays in a processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import ModelRefused
from dlp_lab.large_arrays import volume_array
from dlp_lab.models.description import Output
from dlp_lab.processors import in_parts

FloatVolume = NDArray[np.float32]
Mask = NDArray[np.bool_]
Winners = NDArray[Any]


class WinnerChoice:
    """Chooses among the channels of a network.

    What wins is a channel's number where channels are compared ("softmax"), else the number of a label.

    Attributes:
        dtype: Of winners, and of labels: uint8, or uint16 where a number needs it.
    """

    def __init__(self, output: Output) -> None:
        self._kind = output.kind
        self._numbers = [label.number for label in output.labels]
        self.dtype = np.dtype(np.uint8 if self._numbers[-1] < 256 else np.uint16)
        self._of_channel = output.regions_order or tuple(self._numbers)
        self._label_of: Winners | None = None
        if self._numbers != list(range(1, len(self._numbers) + 1)):
            # a channel without a label is as good as background
            self._label_of = np.zeros(self._numbers[-1] + 1, self.dtype)
            self._label_of[self._numbers] = self._numbers

    def labels(self, winners: Winners) -> Winners:
        """The numbers of the labels that the winners stand for."""
        return winners if self._label_of is None else np.take(self._label_of, winners)

    def of_block(self, scores: FloatVolume) -> Winners:
        """What wins at each voxel of `(channels, a, b, c)`."""
        made: Winners = volume_array(scores.shape[1:], self.dtype)

        def choose(first: int, end: int) -> None:
            for plane in range(first, end):
                made[plane] = self.of_channels(scores[:, plane])

        in_parts(choose, len(made))
        return made

    def of_channels(self, channels: Iterable[FloatVolume]) -> Winners:
        """What wins at each place, from values that come channel by channel.

        Raises:
            ModelRefused: At some place there is no number in any channel.
        """
        if self._kind == "labels":
            (values,) = channels
            _refuse_no_number(values)
            found = np.rint(values)
            return np.where((found > 0) & (found <= self._numbers[-1]), found, 0).astype(self.dtype)
        if self._kind == "softmax":
            return self._greatest(channels)
        return self._regions(channels)

    def _greatest(self, channels: Iterable[FloatVolume]) -> Winners:
        others = iter(channels)
        best = np.array(next(others))
        winner, is_better = np.zeros(best.shape, self.dtype), np.empty(best.shape, bool)
        for channel, values in enumerate(others, 1):
            np.greater(values, best, out=is_better)
            np.fmax(best, values, out=best)
            # channels come in growing order, so the greater number is the later one; faster than writing where it is so
            np.maximum(winner, is_better * winner.dtype.type(channel), out=winner)
        _refuse_no_number(best)
        return winner

    def _regions(self, channels: Iterable[FloatVolume]) -> Winners:
        winner: Winners | None = None
        for number, values in zip(self._of_channel, channels, strict=True):
            _refuse_no_number(values)
            if winner is None:
                winner = np.zeros(values.shape, self.dtype)
            np.copyto(winner, number, where=values > 0)
        assert winner is not None
        return winner


def _refuse_no_number(values: FloatVolume) -> None:
    if values.size and np.isnan(values.max()):
        raise ModelRefused(
            "the network makes values that are no numbers; its weights are damaged, or the image has values far beyond "
            "those that it was trained on"
        )


def mixed_cells(winners: Winners) -> Mask:
    """Whether different ones win at the eight voxels around the places from a voxel to the next ones.

    Args:
        winners: `(a, b, c)`.

    Returns:
        `(a, b, c)`; behind the last voxel of an axis there is no other.
    """
    is_mixed: Mask = volume_array(winners.shape, bool)
    last = len(winners) - 1

    def compare(first: int, end: int) -> None:
        above = _mixed_squares(winners[first])
        for plane in range(first, end):
            below = above
            is_mixed[plane] = below
            if plane < last:
                above = _mixed_squares(winners[plane + 1])
                is_mixed[plane] |= above
                is_mixed[plane] |= winners[plane] != winners[plane + 1]

    in_parts(compare, len(winners))
    return is_mixed


def _mixed_squares(winners: Winners) -> Mask:
    """As `mixed_cells` for the four voxels of one plane."""
    is_mixed = np.zeros(winners.shape, bool)
    beside = winners[:, 1:] != winners[:, :-1]
    is_mixed[:, :-1] = beside
    is_mixed[:-1, :-1] |= beside[1:]
    is_mixed[:-1] |= winners[1:] != winners[:-1]
    return is_mixed
