"""Volumes to look at, over REST: what a viewer gets is what a notebook reads."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    RLELossless,
)

import dlp_lab as dlp
from dlp_lab.store.hdf5 import write_hdf5
from dlp_lab.viewing.opened_volume import AssembledVolume
from dlp_lab.widgets.planes import plane_along
from tests.patience import ENDLESS_S, PATIENCE_S, until
from tests.phantom import write_phantom_series
from tests.server.conftest import Fetch


async def opened(fetch: Fetch, body: object) -> dict[str, Any]:
    answer = await fetch("api/v1/volumes", body)
    assert answer.code == 201, answer.body
    reply: dict[str, Any] = json.loads(answer.body)
    assert answer.headers["Location"].endswith(reply["id"])
    return reply


async def plane(fetch: Fetch, reply: dict[str, Any], axis: int, index: int) -> np.ndarray:
    """Real values of a plane, made of what travels as a viewer does it."""
    answer = await fetch(f"api/v1/volumes/{reply['id']}/planes?at={axis}.{index}")
    assert answer.code == 200, answer.body
    assert answer.headers["Content-Type"] == "application/octet-stream"
    shape = [n for other, n in enumerate(reply["info"]["shape"]) if other != axis]
    values = np.frombuffer(answer.body, np.dtype(reply["info"]["dtype"]).newbyteorder("<")).reshape(shape)
    slope, intercept = reply["info"]["slope"], reply["info"]["intercept"]
    return values if (slope, intercept) == (1, 0) else (values * slope + intercept).astype(np.float32)


async def assert_shows(fetch: Fetch, reply: dict[str, Any], volume: dlp.Volume) -> None:
    info = reply["info"]
    assert tuple(info["shape"]) == volume.geometry.shape
    assert np.allclose(info["affine_kji_to_lps"], volume.geometry.affine_kji_to_lps)
    assert (info["unit"], info["modality"]) == (volume.unit, volume.modality)
    for axis in range(3):
        for index in (0, info["shape"][axis] - 1):
            assert np.array_equal(await plane(fetch, reply, axis, index), np.take(volume.voxels, index, axis)), axis


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
)
async def test_every_plane_of_a_series_is_that_of_read_series(
    fetch: Fetch, jp_root_dir: Path, modality: str, syntax: UID
) -> None:
    write_phantom_series(jp_root_dir / "series", modality=modality, transfer_syntax=syntax)
    volume = dlp.read_series(jp_root_dir / "series")
    await assert_shows(fetch, await opened(fetch, {"path": "series"}), volume)


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
async def test_every_plane_of_an_hdf5_file_is_that_of_read_hdf5(
    fetch: Fetch, dicom_data: Path, jp_root_dir: Path, compress: Any, dtype: Any
) -> None:
    volume = dlp.read_series(dicom_data)
    volume = volume.with_voxels((volume.voxels - volume.voxels.min()).astype(dtype))
    write_hdf5(volume, jp_root_dir / "volume.h5", compress=compress)
    await assert_shows(fetch, await opened(fetch, {"path": "volume.h5"}), volume)


async def test_a_file_opens_the_series_it_belongs_to_and_nothing_below_its_folder(
    fetch: Fetch, jp_root_dir: Path
) -> None:
    ours = write_phantom_series(jp_root_dir / "mixed/ours")
    others = write_phantom_series(jp_root_dir / "mixed/others", modality="MR", seed=1)
    for number, path in enumerate(others.files):
        os.rename(path, ours.folder / f"other{number}")
    shutil.copytree(ours.folder, jp_root_dir / "copies")
    shutil.move(jp_root_dir / "copies", ours.folder / "below")
    reply = await opened(fetch, {"path": "mixed/ours/" + ours.files[2].name})
    assert reply["info"]["slice_files"] == [path.name for path in ours.files]
    assert (reply["info"]["modality"], reply["info"]["warnings"]) == ("CT", [])


@pytest.mark.parametrize(
    ("signed", "slope", "intercept", "dtype"),
    [(1, 1, -1024, "int16"), (0, 1, -1024, "uint16"), (0, 0.25, 3.5, "uint16"), (1, 2.5, 0, "int16")],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
async def test_values_beyond_16_bits_travel_as_they_are_stored(
    fetch: Fetch, jp_root_dir: Path, signed: int, slope: float, intercept: float, dtype: str, syntax: UID
) -> None:
    stored = np.linspace(-32768, 32767, 30).astype("<i2").view("<i2" if signed else "<u2")

    def edit(k: int, dataset: pydicom.Dataset) -> None:
        dataset.PixelRepresentation = signed
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.PixelData = np.roll(stored, k).tobytes()

    write_phantom_series(jp_root_dir / "series", edit=edit, transfer_syntax=ExplicitVRLittleEndian)
    for path in (jp_root_dir / "series").iterdir():
        if syntax != ExplicitVRLittleEndian:
            dataset = pydicom.dcmread(path)
            dataset.compress(syntax)
            dataset.save_as(path)
    reply = await opened(fetch, {"path": "series"})
    assert (reply["info"]["dtype"], reply["info"]["slope"], reply["info"]["intercept"]) == (dtype, slope, intercept)
    await assert_shows(fetch, reply, dlp.read_series(jp_root_dir / "series"))


async def test_monochrome1_and_the_recommended_window_are_told(fetch: Fetch, jp_root_dir: Path) -> None:
    def edit(k: int, ds: pydicom.Dataset) -> None:
        ds.PhotometricInterpretation = "MONOCHROME1"
        ds.WindowCenter, ds.WindowWidth = "50", "300"

    write_phantom_series(jp_root_dir / "inverted", edit=edit)
    info = (await opened(fetch, {"path": "inverted"}))["info"]
    assert info["inverted"] is True
    assert info["window"] == [-100, 200]


async def test_the_header_of_a_slice_is_told_as_text(fetch: Fetch, jp_root_dir: Path) -> None:
    written = write_phantom_series(jp_root_dir / "series")
    reply = await opened(fetch, {"path": "series"})
    answer = await fetch(f"api/v1/volumes/{reply['id']}/headers/2")
    assert answer.headers["Cache-Control"] == "no-store"
    elements = {element["tag"]: element for element in json.loads(answer.body)["elements"]}
    assert elements["(0010,0010)"] == {
        "depth": 0,
        "tag": "(0010,0010)",
        "vr": "PN",
        "name": "Patient's Name",
        "value": "Phantom^Änne",
    }
    assert elements["(0008,0018)"]["value"] == pydicom.dcmread(written.files[2]).SOPInstanceUID
    assert "(7FE0,0010)" not in elements


async def test_the_headers_in_an_hdf5_file_are_told_too(fetch: Fetch, dicom_data: Path, jp_root_dir: Path) -> None:
    dlp.dicom_to_hdf5(dicom_data, jp_root_dir / "v.h5", jp_root_dir / "v.json")
    reply = await opened(fetch, {"path": "v.h5"})
    answer = await fetch(f"api/v1/volumes/{reply['id']}/headers/0")
    assert "Phantom^Änne" in answer.body.decode()


async def test_planes_are_known_by_their_tag_and_packed_when_asked(fetch: Fetch) -> None:
    reply = await opened(fetch, {"path": "dicom_data"})
    address = f"api/v1/volumes/{reply['id']}/planes?at=0.1"
    plain = await fetch(address)
    again = await fetch(address, headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.code, again.body) == (304, b"")
    packed = await fetch(address + "&encoding=gzip", decompress_response=False)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "REFUSED"),
        ({"path": "dicom_data", "job": "0" * 32}, 422, "REFUSED"),
        ({"path": ""}, 422, "PATH_REFUSED"),
        ({"path": "/etc/passwd"}, 422, "PATH_REFUSED"),
        ({"path": "../secret.h5"}, 422, "PATH_REFUSED"),
        ({"path": "link/secret.h5"}, 422, "PATH_REFUSED"),
        ({"path": "absent.h5"}, 422, "PATH_REFUSED"),
        ({"path": "notes.dcm"}, 422, "NO_DICOM"),
        ({"path": "foreign.h5"}, 422, "HDF5_REFUSED"),
        ({"job": "0" * 32}, 404, "NO_SUCH_JOB"),
    ],
)
async def test_what_cannot_be_opened_is_refused_by_a_named_error(
    fetch: Fetch, jp_root_dir: Path, body: object, status: int, code: str
) -> None:
    import h5py

    (jp_root_dir.parent / "secret.h5").write_bytes(b"secret")
    (jp_root_dir / "link").symlink_to(jp_root_dir.parent)
    (jp_root_dir / "notes.dcm").write_text("no image")
    with h5py.File(jp_root_dir / "foreign.h5", "w") as file:
        file["a"] = np.zeros((2, 3, 4))
    answer = await fetch("api/v1/volumes", body)
    assert (answer.code, json.loads(answer.body)["code"]) == (status, code)


@pytest.mark.parametrize("at", ["3.0", "0.7", "0.-1", "0.1.5", "0", "", "0.0,", ",".join(["0.0"] * 7)])
async def test_planes_that_are_not_there_are_malformed(fetch: Fetch, at: str) -> None:
    reply = await opened(fetch, {"path": "dicom_data"})
    assert (await fetch(f"api/v1/volumes/{reply['id']}/planes?at={at}")).code == 400


async def test_a_header_that_is_not_there_is_malformed(fetch: Fetch) -> None:
    reply = await opened(fetch, {"path": "dicom_data"})
    assert (await fetch(f"api/v1/volumes/{reply['id']}/headers/7")).code == 400


async def test_planes_that_are_asked_for_together_come_one_behind_the_other(fetch: Fetch) -> None:
    reply = await opened(fetch, {"path": "dicom_data"})
    address = f"api/v1/volumes/{reply['id']}/planes?at="
    alone = [(await fetch(address + place)).body for place in ("2.5", "0.3", "1.4", "0.2")]
    assert (await fetch(address + "2.5,0.3,1.4,0.2")).body == b"".join(alone)


async def test_a_request_that_is_given_up_is_not_worked_on(
    fetch: Fetch,
    jp_http_port: int,
    jp_base_url: str,
    jp_auth_header: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reply = await opened(fetch, {"path": "dicom_data"})
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def endless(*_: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.set()
            raise

    monkeypatch.setattr(AssembledVolume, "plane", endless)
    _, writer = await asyncio.open_connection("127.0.0.1", jp_http_port)
    token = jp_auth_header["Authorization"]
    path = f"{jp_base_url}dlp-lab/api/v1/volumes/{reply['id']}/planes?at=0.0"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n\r\n".encode())
    await asyncio.wait_for(begun.wait(), PATIENCE_S)
    assert not given_up.is_set()
    writer.close()
    await asyncio.wait_for(given_up.wait(), PATIENCE_S)


async def test_a_closed_volume_is_gone_and_its_file_and_process_with_it(fetch: Fetch, jp_root_dir: Path) -> None:
    reply = await opened(fetch, {"path": "dicom_data"})
    await plane(fetch, reply, 1, 0)
    state = jp_root_dir / "dlp-lab-output/.dlp-lab"
    assert [path.name for path in state.iterdir() if path.name.startswith("tmp")] == []
    assert (await fetch(f"api/v1/volumes/{reply['id']}", method="DELETE")).code == 204
    assert (await fetch(f"api/v1/volumes/{reply['id']}")).code == 404
    assert (await fetch(f"api/v1/volumes/{reply['id']}/planes?at=0.0")).code == 404


async def shown_along(fetch: Fetch, path: str, first: dict[str, Any]) -> dict[str, Any]:
    return await opened(fetch, {"path": path, "compared_with": first["id"]})


@pytest.mark.parametrize("form", ["plain", "rle", "hdf5", "packed"])
async def test_a_second_volume_on_another_grid_comes_along_the_planes_of_the_first(
    fetch: Fetch, jp_root_dir: Path, form: str
) -> None:
    first = await opened(fetch, {"path": "dicom_data"})
    frame = pydicom.dcmread(next((jp_root_dir / "dicom_data").iterdir())).FrameOfReferenceUID

    def in_that_frame(k: int, dataset: pydicom.Dataset) -> None:
        dataset.FrameOfReferenceUID = frame

    syntax = RLELossless if form == "rle" else ExplicitVRLittleEndian
    folder = jp_root_dir / "second"
    write_phantom_series(
        folder, shape=(20, 15, 16), spacing_kji_mm=(1, 0.4, 0.3), edit=in_that_frame, transfer_syntax=syntax
    )
    volume = dlp.read_series(folder)
    if form in ("hdf5", "packed"):
        write_hdf5(volume, jp_root_dir / "second.h5", compress="gzip" if form == "packed" else "none")
    second = await shown_along(fetch, "second.h5" if form in ("hdf5", "packed") else "second", first)
    info = second["info"]
    assert info["resampled"] and info["shape"] == first["info"]["shape"]
    assert info["affine_kji_to_lps"] == first["info"]["affine_kji_to_lps"]
    same = dlp.read_series(jp_root_dir / "dicom_data")
    for axis, index in ((0, 1), (0, 6), (1, 2), (2, 3)):
        values = await plane(fetch, second, axis, index)
        expected = plane_along(volume, same.geometry, axis, index)
        assert np.isfinite(expected).any()
        np.testing.assert_allclose(values, expected, rtol=1e-5)
    # the phantom's values follow from the place, so both series have nearly the same ones
    inside = np.isfinite(values)
    assert np.abs(values[inside] - same.voxels[:, :, 3][inside]).max() < 6


async def test_a_second_volume_on_the_same_grid_comes_as_it_is(fetch: Fetch) -> None:
    first = await opened(fetch, {"path": "dicom_data"})
    second = await shown_along(fetch, "dicom_data", first)
    assert second["info"] == first["info"]


async def test_a_second_volume_in_another_frame_of_reference_is_refused(fetch: Fetch, jp_root_dir: Path) -> None:
    first = await opened(fetch, {"path": "dicom_data"})

    def move(k: int, dataset: pydicom.Dataset) -> None:
        dataset.FrameOfReferenceUID = "1.2.3.4"

    write_phantom_series(jp_root_dir / "second", edit=move, shape=(8, 9, 10))
    answer = await fetch("api/v1/volumes", {"path": "second", "compared_with": first["id"]})
    assert answer.code == 422
    assert "different frames of reference" in json.loads(answer.body)["message"]
    gone = await fetch("api/v1/volumes", {"path": "second", "compared_with": "0" * 32})
    assert (gone.code, json.loads(gone.body)["code"]) == (404, "NO_SUCH_VOLUME")


async def test_the_source_and_the_result_of_a_job_open_by_its_uid(fetch: Fetch, dicom_data: Path) -> None:
    busy = await fetch("api/v1/jobs", {"task": "probe", "input_dir": "dicom_data", "params": {"seconds": ENDLESS_S}})
    submitted = await fetch("api/v1/jobs", {"task": "3dblur", "input_dir": "dicom_data", "params": {"sigma_mm": 1}})
    uid = json.loads(submitted.body)["uid"]
    early = await fetch("api/v1/volumes", {"job": uid})
    await fetch(f"api/v1/jobs/{json.loads(busy.body)['uid']}/cancel", {})

    async def job_if_ended() -> dict[str, Any] | None:
        job = json.loads((await fetch(f"api/v1/jobs/{uid}")).body)
        return None if job["state"] in ("queued", "running") else job

    job = await until(job_if_ended)
    assert job["state"] == "succeeded", job
    assert json.loads(early.body)["code"] == "JOB_NOT_ENDED"
    await assert_shows(fetch, await opened(fetch, {"job": uid, "which": "source"}), dlp.read_series(dicom_data))
    result = dlp.read_series(dicom_data.parent / job["output_dir"])
    await assert_shows(fetch, await opened(fetch, {"job": uid}), result)
