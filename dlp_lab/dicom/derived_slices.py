"""Which slices a derived series has, and which of the source's each is made from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
    own: list[tuple[int, int, tuple[int, ...]]]
    if source.resampling is not None:
        own = [
            (k, source.resampling.nearest(k), source.resampling.neighbours(k)[:2])
            for k in range(source.geometry.shape[0])
        ]
    else:
        own = [(k, header, (header,)) for header, k in enumerate(source.indices)]
    reach = source.geometry.shape[0] if reach_slices is None else reach_slices
    ks = [k for k, _, _ in own]
    written = []
    for k, header, _ in own:
        within = own[bisect_left(ks, k - reach) : bisect_right(ks, k + reach)]
        # a dict keeps the order and drops repetitions
        contributing = dict.fromkeys([header, *sorted(h for _, _, near in within for h in near)])
        written.append(WrittenSlice(k, header, tuple(contributing)))
    return written


def slice_uids(series: Series) -> list[str]:
    """For each slice of the volume the SOPInstanceUID of its image, empty where there is none; no list if resampled."""
    if series.resampling is not None:
        return []
    uids = [""] * series.geometry.shape[0]
    for k, header in zip(series.indices, series.headers, strict=True):
        uids[k] = str(header.sop_instance_uid)
    return uids
