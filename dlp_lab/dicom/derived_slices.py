"""Which slices a derived series has, and which of the source's each is made from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from dlp_lab.dicom.series import HeaderSource, Series


@dataclass(frozen=True, slots=True)
class WrittenSlice:
    """One slice of the derived series.

    Attributes:
        k: Slice index in the volume.
        header: Index of the source slice whose header it takes.
        contributing: Indices of the source slices its values come from, the one that viewers should compare with first.
    """

    k: int
    header: int
    contributing: tuple[int, ...]


def written_slices(source: HeaderSource, reach_slices: int | None) -> list[WrittenSlice]:
    """The slices to write. Padded slices are left out: nothing was measured there.

    Args:
        source: The series.
        reach_slices: How many slices of the volume to either side contribute to a slice; None for all.
    """
    if source.resampling is None:
        return _own_slices(source.indices, reach_slices)
    own = [
        (k, source.resampling.nearest(k), source.resampling.neighbours(k)[:2]) for k in range(source.geometry.shape[0])
    ]
    reach = source.geometry.shape[0] if reach_slices is None else reach_slices
    written = []
    for k, header, _ in own:
        within = own[max(0, k - reach) : k + reach + 1]
        # a dict keeps the order and drops repetitions
        contributing = dict.fromkeys([header, *sorted(h for _, _, near in within for h in near)])
        written.append(WrittenSlice(k, header, tuple(contributing)))
    return written


def _own_slices(ks: Sequence[int], reach_slices: int | None) -> list[WrittenSlice]:
    """Of a series whose images are slices of the volume: `ks`, in growing order."""
    written = []
    for header, k in enumerate(ks):
        first = 0 if reach_slices is None else bisect_left(ks, k - reach_slices)
        end = len(ks) if reach_slices is None else bisect_right(ks, k + reach_slices)
        written.append(WrittenSlice(k, header, (header, *range(first, header), *range(header + 1, end))))
    return written


def slice_uids(series: Series) -> list[str]:
    """For each slice of the volume the SOPInstanceUID of its image, empty where there is none; no list if resampled."""
    if series.resampling is not None:
        return []
    uids = [""] * series.geometry.shape[0]
    for k, header in zip(series.indices, series.headers, strict=True):
        uids[k] = str(header.sop_instance_uid)
    return uids
