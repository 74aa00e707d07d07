"""A volume that is open for viewers: planes on demand, never the whole of it in memory."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import lies_contiguous, open_hdf5
from dlp_lab.store.workspace import Workspace
from dlp_lab.viewing.resampled_plane import ResampledPlane, check_same_frame
from dlp_lab.viewing.series_client import SeriesClient, open_series
from dlp_lab.viewing.series_messages import Described, Source
from dlp_lab.viewing.shown_values import resampled_info, volume_info
from dlp_lab.viewing.slice_location import read_slice
from dlp_lab.viewing.volume_info import HeaderElement, VolumeInfo
from dlp_lab.viewing.voxel_file import VoxelFile
from dlp_lab.volume import Volume


class OpenedVolume(Protocol):
    """A volume whose planes are read when they are asked for.

    * `plane` returns the voxels whose index along `axis` is `index`, the other two axes in their order.
    * `slices` returns slices one after the other, `(count, rows, columns)`.
    * Both are as they travel: the real values are those x slope + intercept.
    * `elements` is the header of a slice.
    * `working_bytes` is how much of the disk it takes.
    * `close` ends its process and gives back its files.
    """

    @property
    def info(self) -> VolumeInfo: ...

    @property
    def grid(self) -> Geometry: ...

    @property
    def working_bytes(self) -> int: ...

    async def plane(self, axis: int, index: int) -> NDArray[Any]: ...

    async def slices(self, first: int, count: int) -> NDArray[Any]: ...

    async def elements(self, k: int) -> list[HeaderElement]: ...

    async def close(self) -> None: ...


class ContiguousVolume:
    """A volume in HDF5 whose voxels lie in the file as they are. Another process reads its headers, when asked.

    Args:
        workspace: It lies in.
        path: Of the file, which `lies_contiguous`.
        volume: As `open_hdf5` returns it.
        source: The same for the other process.
    """

    working_bytes = 0

    def __init__(self, workspace: Workspace, path: Path, volume: Volume, source: Source) -> None:
        assert isinstance(volume.voxels, np.memmap)
        self._workspace = workspace
        self._source = source
        self._voxels = VoxelFile(
            os.open(path, os.O_RDONLY | os.O_CLOEXEC), volume.voxels.dtype, volume.geometry.shape, volume.voxels.offset
        )
        self._opening = asyncio.Lock()
        self._headers: SeriesClient | None = None
        self.info = msgspec.structs.replace(volume_info(volume), has_headers=True)
        self.grid = volume.geometry

    async def plane(self, axis: int, index: int) -> NDArray[Any]:
        return await self._voxels.plane_in_thread(axis, index)

    async def slices(self, first: int, count: int) -> NDArray[Any]:
        return await asyncio.to_thread(self._voxels.slices, first, count)

    async def elements(self, k: int) -> list[HeaderElement]:
        async with self._opening:
            if self._headers is None:
                working_file = self._workspace.unnamed_file()
                try:
                    self._headers, _ = await open_series(self._source, working_file)
                finally:
                    os.close(working_file)
        return await self._headers.elements(k)

    async def close(self) -> None:
        if self._headers is not None:
            await self._headers.close()


class AssembledVolume:
    """A volume that another process puts together from DICOM, or unpacks.

    Slices that lie in their files as they are come from there. All else goes into a working file, which the process
    fills when it is first needed, and which is served while it fills.

    Args:
        client: The other process.
        described: What it said.
        working_file: Descriptor, which becomes this object's.
        reserve: Called with the size of the working file before it grows; may raise.
    """

    def __init__(
        self, client: SeriesClient, described: Described, working_file: int, reserve: Callable[[int], None]
    ) -> None:
        self._client = client
        self._locations = described.locations
        self._reserve = reserve
        self.info = described.info
        affine = np.array(described.info.affine_kji_to_lps)
        self.grid = Geometry(described.info.shape, affine, described.frame_of_reference_uid)
        self.working_bytes = 0
        self._voxels = VoxelFile(working_file, np.dtype(self.info.dtype).newbyteorder("<"), self.info.shape)

    async def plane(self, axis: int, index: int) -> NDArray[Any]:
        slices, rows, columns = self.info.shape
        if axis == 0 and self._locations:
            return await asyncio.to_thread(read_slice, self._locations[index], rows, columns, self.info.dtype)
        await self._in_working_file({index} if axis == 0 else set(range(slices)))
        return await self._voxels.plane_in_thread(axis, index)

    async def slices(self, first: int, count: int) -> NDArray[Any]:
        if self._locations:
            return np.stack([await self.plane(0, k) for k in range(first, first + count)])
        await self._in_working_file(set(range(first, first + count)))
        return await asyncio.to_thread(self._voxels.slices, first, count)

    async def _in_working_file(self, slices: set[int]) -> None:
        if not self.working_bytes:
            needed = math.prod(self.info.shape) * np.dtype(self.info.dtype).itemsize
            self._reserve(needed)
            self.working_bytes = needed
        await self._client.wait_until_filled(slices)

    async def elements(self, k: int) -> list[HeaderElement]:
        return await self._client.elements(k)

    async def close(self) -> None:
        await self._client.close()


class VolumeOnOtherGrid:
    """A volume that is looked at along the planes of another one, with which it is compared.

    Args:
        source: The volume, which becomes this object's.
        grid: Of the other one, in the same frame of reference.
    """

    def __init__(self, source: OpenedVolume, grid: Geometry) -> None:
        self._source = source
        self.grid = grid
        self.info = resampled_info(source.info, grid)

    @property
    def working_bytes(self) -> int:
        return self._source.working_bytes

    async def plane(self, axis: int, index: int) -> NDArray[Any]:
        plane = await asyncio.to_thread(ResampledPlane, self.grid, axis, index, self._source.grid)
        for block in plane.blocks:
            slices = await self._source.slices(block.start, len(block))
            await asyncio.to_thread(plane.add, block, slices)
        slope, intercept = self._source.info.slope, self._source.info.intercept
        return plane.values * np.float32(slope) + np.float32(intercept)

    async def slices(self, first: int, count: int) -> NDArray[Any]:
        return np.stack([await self.plane(0, k) for k in range(first, first + count)])

    async def elements(self, k: int) -> list[HeaderElement]:
        return []  # no slice of the source lies here

    async def close(self) -> None:
        await self._source.close()


async def open_source(workspace: Workspace, source: Source, reserve: Callable[[int], None]) -> OpenedVolume:
    """Open a file or a folder.

    Args:
        workspace: It lies in.
        source: What to open, without a working file.
        reserve: See `AssembledVolume`.

    Raises:
        DlpError: It is refused.
    """
    path = Path(os.fsdecode(source.path))
    if source.kind == "hdf5" and await asyncio.to_thread(lies_contiguous, path):
        volume = await asyncio.to_thread(open_hdf5, path)
        return ContiguousVolume(workspace, path, volume, source)
    working_file = workspace.unnamed_file()
    try:
        client, described = await open_series(source, working_file)
    except BaseException:
        os.close(working_file)
        raise
    return AssembledVolume(client, described, working_file, reserve)


async def along_planes_of(grid: Geometry, volume: OpenedVolume) -> OpenedVolume:
    """A volume as it is compared with another: itself where it lies on that one's grid, else resampled.

    Raises:
        VolumeError: It lies in another frame of reference. It is closed then.
    """
    if volume.grid.matches(grid):
        return volume
    try:
        check_same_frame(grid, volume.grid)
    except VolumeError:
        await volume.close()
        raise
    return VolumeOnOtherGrid(volume, grid)
