"""What `keep_hdf5` asks for, of volumes that pass slab by slab.

Headers are read by the caller's thread while those of the files hash and write, which need no interpreter: on a thread
of their own they would hold up whatever the caller does with Python, and all of it took as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dlp_lab.dicom.derived_slices import slice_uids
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.series import Series
from dlp_lab.jobs.stored_headers import header_reading
from dlp_lab.store.hdf5_slabs import SlabFile, slab_file
from dlp_lab.volume import Volume


class KeptSlabs:
    """Writes `source.h5` and `result.h5`; see `kept_slabs`."""

    def __init__(self, series: Series, folder: Path, files: ExitStack) -> None:
        self._series = series
        self._folder = folder
        self._files = files
        self._kept: dict[str, SlabFile] = {}
        self._headers = files.enter_context(header_reading(series, folder))
        self._headers_due = 0

    def see_source(self, first: int, slices: NDArray[Any]) -> None:
        """Keep slices of the source; they come in order, and may come again."""
        if "source" not in self._kept:
            header = self._series.first
            geometry = self._series.geometry.slab(first, first + len(slices))
            uid = header.series_instance_uid or None
            self._begin("source", Volume(slices, geometry, header.unit, header.modality, uid))
        self._kept["source"].add(first, slices)
        self._headers_due = max(self._headers_due, first + len(slices))

    def begin_result(self, part: Volume) -> None:
        """Tell, by a part of it, what the result is."""
        self._begin("result", part)

    def restart_result(self) -> None:
        """The result's slices will come from the first on."""
        self._kept["result"].restart()

    def see_result(self, first: int, slices: NDArray[Any]) -> None:
        """Keep slices of the result, which come in order."""
        self._kept["result"].add(first, slices)

    def settle(self) -> None:
        """Wait until the memory of the slices that came may be used again; their headers are read meanwhile."""
        self._headers.read(self._headers_due)
        for file in self._kept.values():
            file.settle()

    def finish(self, options: ReadOptions, source: dict[str, Any], result: dict[str, Any]) -> None:
        """Write the headers, and what is told of source and result beside them.

        Args:
            options: How the series was read.
            source, result: Of `described`.
        """
        headers, uids = self._headers.finish(options), slice_uids(self._series)
        self._kept["source"].finish(uids, headers.stored("source"))
        self._kept["result"].finish(uids, headers.stored("template"))
        headers.write_metadata(self._folder, source, result)

    def _begin(self, name: str, part: Volume) -> None:
        has_frames = self._series.first.frame is not None
        file = slab_file(self._folder / f"{name}.h5", part, self._series.geometry, has_frames=has_frames)
        self._kept[name] = self._files.enter_context(file)


@contextmanager
def kept_slabs(series: Series, folder: Path) -> Iterator[KeptSlabs]:
    """Files for the volumes of a job, which are whole after `KeptSlabs.finish`, when the context is left.

    Args:
        series: The source, each of its slices one of the volume.
        folder: Gets the files.
    """
    with ExitStack() as files:
        yield KeptSlabs(series, folder, files)
