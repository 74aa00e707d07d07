"""Open volumes are bounded: in number, in time, in what they take of the disk, and they leave nothing behind."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest
from pydicom.uid import RLELossless

import dlp_lab as dlp
from dlp_lab.errors import DlpError, NoSuchVolume, TooLarge
from dlp_lab.store.workspace import Workspace
from dlp_lab.viewing import opened_volumes
from dlp_lab.viewing.opened_volumes import OpenedVolumes
from tests.jobs.waiting import child_processes, opened_by
from tests.patience import until
from tests.phantom import write_phantom_series, write_undecodable_series

VOLUME_BYTES = 7 * 5 * 6 * 2
"""Of the phantom: 16 bits with an intercept may need 32."""


def test_closing_ends_the_process_and_gives_the_disk_back(workspace: Workspace) -> None:
    async def look() -> None:
        volumes = OpenedVolumes(workspace, 2**20)
        before = child_processes()
        uid, volume = await volumes.open("dicom_data")
        await volume.plane(1, 0)
        (process,) = child_processes() - before
        held = opened_by(process).values()
        assert any("(deleted)" in target and str(workspace.state_folder) in target for target in held)
        await volumes.close(uid)
        assert child_processes() <= before
        with pytest.raises(NoSuchVolume):
            volumes.get(uid)

    asyncio.run(look())
    assert {path.name for path in workspace.state_folder.iterdir()} == {"logs"}


def test_slices_that_lie_plain_in_their_files_need_no_working_file(workspace: Workspace) -> None:
    async def look() -> None:
        volumes = OpenedVolumes(workspace, VOLUME_BYTES - 1)
        _, volume = await volumes.open("dicom_data")
        expected = dlp.read_series(workspace.root / "dicom_data").voxels
        assert np.array_equal(await volume.plane(0, 3) + volume.info.intercept, expected[3])
        assert volume.working_bytes == 0
        with pytest.raises(TooLarge, match="max_viewer_gib"):
            await volume.plane(1, 0)
        await volumes.close_all()

    asyncio.run(look())


def test_the_volume_looked_at_longest_ago_makes_room_for_another(workspace: Workspace) -> None:
    async def look() -> None:
        volumes = OpenedVolumes(workspace, 2 * VOLUME_BYTES)
        opened = [await volumes.open("dicom_data") for _ in range(3)]
        for _, volume in opened[:2]:
            await volume.plane(1, 0)
        volumes.get(opened[0][0])
        await opened[2][1].plane(1, 0)
        volumes.get(opened[0][0])
        with pytest.raises(NoSuchVolume):
            volumes.get(opened[1][0])
        await volumes.close_all()

    asyncio.run(look())


def test_volumes_are_bounded_in_number_and_closed_when_nobody_looks(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_volumes, "MAX_OPEN", 2)
    monkeypatch.setattr(opened_volumes, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(opened_volumes, "_SECONDS_BETWEEN_LOOKS", 0.05)

    async def look() -> None:
        volumes = OpenedVolumes(workspace, 2**20)
        before = child_processes()
        uids = [(await volumes.open("dicom_data"))[0] for _ in range(3)]
        with pytest.raises(NoSuchVolume):
            volumes.get(uids[0])
        await until(lambda: child_processes() <= before)
        await volumes.close_all()

    asyncio.run(look())


def test_a_slice_that_cannot_be_decoded_is_told_with_its_file(workspace: Workspace) -> None:
    write_undecodable_series(workspace.root / "damaged")

    async def look() -> None:
        volumes = OpenedVolumes(workspace, 2**20)
        _, volume = await volumes.open("damaged")
        with pytest.raises(DlpError, match="an RLE segment is cut off"):
            await volume.plane(1, 0)
        await volumes.close_all()

    asyncio.run(look())


def test_a_process_that_is_killed_is_an_answer_and_no_hang(workspace: Workspace) -> None:
    write_phantom_series(workspace.root / "compressed", transfer_syntax=RLELossless)

    async def look() -> None:
        volumes = OpenedVolumes(workspace, 2**20)
        before = child_processes()
        _, volume = await volumes.open("compressed")
        for pid in child_processes() - before:
            os.kill(pid, 9)
        with pytest.raises(DlpError, match="ended without an answer"):
            await volume.plane(0, 0)
        with pytest.raises(DlpError, match="ended without an answer"):
            await volume.elements(0)
        await volumes.close_all()

    asyncio.run(look())


def test_a_file_that_was_cut_off_is_an_error_and_no_crash(workspace: Workspace) -> None:
    dlp.dicom_to_hdf5(workspace.root / "dicom_data", workspace.root / "v.h5", workspace.root / "v.json")

    async def look() -> None:
        volumes = OpenedVolumes(workspace, 2**20)
        _, volume = await volumes.open("v.h5")
        os.truncate(workspace.root / "v.h5", 64)
        with pytest.raises(DlpError, match="ends before its voxels do"):
            await volume.plane(2, 0)
        await volumes.close_all()

    asyncio.run(look())
