"""Series of a folder with pictures of them, and the files of a result."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.jobs.waiting import child_processes
from tests.phantom import write_phantom_series, write_undecodable_series
from tests.server.conftest import Fetch
from tests.server.test_v1 import ended, submit


def pixels_of(png: bytes) -> np.ndarray:
    """The gray values of a picture, read by the letter of the standard."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, content = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length)[0] == zlib.crc32(kind + content)
        chunks[kind] = content
        place += 12 + length
    width, height, *form = struct.unpack(">II5B", chunks[b"IHDR"])
    assert form == [8, 0, 0, 0, 0]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width)
    assert not lines[:, 0].any()
    return lines[:, 1:]


async def listed(fetch: Fetch, folder: str) -> dict[str, Any]:
    answer = await fetch(f"api/v1/series?dir={folder}")
    assert answer.code == 200, answer.body
    return json.loads(answer.body)


async def test_the_series_of_a_folder_are_told_with_verdict_and_size_and_nothing_of_the_patient(
    fetch: Fetch, jp_root_dir: Path
) -> None:
    write_phantom_series(jp_root_dir / "study/gap", modality="MR").files[3].unlink()
    good = write_phantom_series(jp_root_dir / "study/good")
    (jp_root_dir / "study/notes.txt").write_text("no image")
    good.files[0].with_name("cut").write_bytes(good.files[0].read_bytes()[:-20])
    found = await listed(fetch, "study")
    assert found["input_dir"] == "study"
    verdicts = {series["modality"]: series for series in found["series"]}
    assert verdicts["MR"]["verdict"] == "MISSING_SLICES"
    assert "gap" in verdicts["MR"]["reason"] or "missing" in verdicts["MR"]["reason"]
    usable = (await listed(fetch, "dicom_data"))["series"][0]
    assert (usable["verdict"], usable["files"], usable["shape"]) == ("usable", 7, [7, 5, 6])
    assert usable["spacing_kji_mm"] == pytest.approx([2.5, 0.8, 0.5])
    assert usable["file_bytes"] == sum(file.stat().st_size for file in (jp_root_dir / "dicom_data").iterdir())
    assert sum(found["ignored"].values()) == 1
    text = json.dumps(found) + json.dumps(usable)
    for word in ("Phantom^", "PatientName", "patient_id", "birth", str(jp_root_dir)):
        assert word not in text


@pytest.mark.parametrize("harm", ["none", "gap", "patients"])
async def test_no_attribute_of_the_patient_is_in_a_listing_or_a_refusal(
    fetch: Fetch, jp_root_dir: Path, harm: str
) -> None:
    def mark(k: int, image: Dataset) -> None:
        for element in list(image):
            if element.VR in ("PN", "LO", "SH", "LT", "ST") and element.keyword != "SeriesDescription":
                element.value = "ZZPHI"
        image.PatientName, image.PatientBirthDate, image.AccessionNumber = "ZZPHI^ZZPHI", "19010203", "ZZPHI"
        image.PatientID = f"ZZPHI{k if harm == 'patients' else ''}"

    files = write_phantom_series(jp_root_dir / "marked", edit=mark).files
    if harm == "gap":
        files[3].unlink()
    found = await listed(fetch, "marked")
    assert [series["verdict"] for series in found["series"]] == [
        {"none": "usable", "gap": "MISSING_SLICES", "patients": "MIXED_GRID"}[harm]
    ]
    uid = found["series"][0]["series_instance_uid"]
    thumbnail = await fetch(f"api/v1/series/thumbnail?dir=marked&series={uid}")
    refused = await fetch("api/v1/jobs", {"task": "3dblur", "input_dir": "marked"})
    for text in (json.dumps(found), thumbnail.body.decode("latin-1"), refused.body.decode()):
        assert "ZZPHI" not in text
        assert "19010203" not in text


async def test_a_thumbnail_is_the_middle_slice_in_its_true_proportions(fetch: Fetch, jp_root_dir: Path) -> None:
    phantom = write_phantom_series(jp_root_dir / "mr", modality="MR", shape=(5, 40, 60), spacing_kji_mm=(2, 1, 1.5))
    uid = (await listed(fetch, "mr"))["series"][0]["series_instance_uid"]
    answer = await fetch(f"api/v1/series/thumbnail?dir=mr&series={uid}")
    assert (answer.code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    picture = pixels_of(answer.body)
    assert picture.shape == (round(256 * 40 / 90), 256)
    middle = phantom.values[2]
    low, high = np.percentile(middle, (1, 99.5))
    rows, columns = (np.arange(size) * count // size for size, count in zip(picture.shape, middle.shape, strict=True))
    expected = np.clip((middle[np.ix_(rows, columns)] - low) / (high - low), 0, 1) * 255
    assert np.abs(picture - expected).max() <= 1
    again = await fetch(
        f"api/v1/series/thumbnail?dir=mr&series={uid}", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.code, again.body) == (304, b"")


async def test_a_thumbnail_is_another_when_the_file_is_another(fetch: Fetch, jp_root_dir: Path) -> None:
    phantom = write_phantom_series(jp_root_dir / "mr", modality="MR", shape=(5, 8, 8))
    uid = (await listed(fetch, "mr"))["series"][0]["series_instance_uid"]
    address = f"api/v1/series/thumbnail?dir=mr&series={uid}"
    before = await fetch(address)
    content = bytearray(phantom.files[2].read_bytes())
    content[-64:] = bytes(64)
    phantom.files[2].write_bytes(content)
    after = await fetch(address)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.body != before.body


async def test_slices_that_do_not_say_how_thick_they_are_have_a_thumbnail(fetch: Fetch, jp_root_dir: Path) -> None:
    def without_thickness(_: int, data_set: Dataset) -> None:
        del data_set.SliceThickness

    write_phantom_series(jp_root_dir / "thin", edit=without_thickness)
    (series,) = (await listed(fetch, "thin"))["series"]
    answer = await fetch(f"api/v1/series/thumbnail?dir=thin&series={series['series_instance_uid']}")
    assert (series["verdict"], answer.code) == ("usable", 200)


@pytest.mark.parametrize("why", ["gap", "undecodable", "gone", "unknown"])
async def test_what_cannot_be_shown_is_422_with_the_reason(fetch: Fetch, jp_root_dir: Path, why: str) -> None:
    if why == "undecodable":
        write_undecodable_series(jp_root_dir / "odd")
    else:
        phantom = write_phantom_series(jp_root_dir / "odd")
        if why == "gap":
            phantom.files[3].unlink()
    uid = (await listed(fetch, "odd"))["series"][0]["series_instance_uid"]
    if why == "gone":
        for file in (jp_root_dir / "odd").iterdir():
            file.unlink()
    answer = await fetch(f"api/v1/series/thumbnail?dir=odd&series={'1.2.3' if why == 'unknown' else uid}")
    assert answer.code == 422
    refusal = json.loads(answer.body)
    expected = {"gap": "MISSING_SLICES", "gone": "NO_PICTURE", "unknown": "NO_SUCH_SERIES"}
    assert refusal["code"] == expected.get(why, refusal["code"])
    assert refusal["message"]
    assert str(jp_root_dir) not in answer.body.decode()


async def test_no_process_that_draws_stays(fetch: Fetch) -> None:
    uid = (await listed(fetch, "dicom_data"))["series"][0]["series_instance_uid"]
    await fetch(f"api/v1/series/thumbnail?dir=dicom_data&series={uid}")
    before = child_processes()
    for number in range(3):
        os.utime(sorted(Path(os.environ["DLP_LAB_ROOT"], "dicom_data").iterdir())[3], (number, number))
        assert (await fetch(f"api/v1/series/thumbnail?dir=dicom_data&series={uid}")).code == 200
    assert child_processes() <= before


async def test_a_result_is_listed_downloaded_whole_and_in_part_and_shown(fetch: Fetch, jp_root_dir: Path) -> None:
    job = await ended(fetch, (await submit(fetch)).uid)
    address = f"api/v1/jobs/{job.uid}/files"
    folder = jp_root_dir / f"dlp-lab-output/{job.uid}"
    files = json.loads((await fetch(address)).body)["files"]
    assert {file["name"]: file["file_bytes"] for file in files} == {
        path.name: path.stat().st_size for path in folder.iterdir()
    }
    content = (folder / "0004.dcm").read_bytes()
    whole = await fetch(f"{address}/0004.dcm")
    assert (whole.code, whole.body) == (200, content)
    assert whole.headers["Content-Type"] == "application/dicom"
    assert whole.headers["Content-Disposition"] == 'attachment; filename="0004.dcm"'
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    size = len(content)
    for asked, part in (
        ("bytes=0-9", content[:10]),
        ("bytes=100-", content[100:]),
        ("bytes=-7", content[-7:]),
        (f"bytes=5-{size + 99}", content[5:]),
    ):
        answer = await fetch(f"{address}/0004.dcm", headers={"Range": asked})
        assert (answer.code, answer.body) == (206, part)
        first = size - len(part) if asked != "bytes=0-9" else 0
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(part) - 1}/{size}"
    beyond = await fetch(f"{address}/0004.dcm", headers={"Range": f"bytes={size}-"})
    assert (beyond.code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    for ignored in ("bytes=5-2", "lines=1-2", "bytes=1-2,4-5", "bytes=-", "x"):
        assert (await fetch(f"{address}/0004.dcm", headers={"Range": ignored})).body == content
    changed = await fetch(f"{address}/0004.dcm", headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (changed.code, changed.body) == (200, content)
    same = await fetch(f"{address}/0004.dcm", headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.code, same.body) == (304, b"")
    assert json.loads((await fetch(f"{address}/job.json")).body)["uid"] == job.uid
    picture = await fetch(f"api/v1/jobs/{job.uid}/preview")
    assert (picture.code, picture.headers["Content-Type"]) == (200, "image/png")
    assert max(pixels_of(picture.body).shape) == 256


async def test_a_large_result_is_sent_piece_by_piece(fetch: Fetch, jp_root_dir: Path) -> None:
    job = await ended(fetch, (await submit(fetch)).uid)
    content = os.urandom(3 * 2**20 + 5)
    (jp_root_dir / f"dlp-lab-output/{job.uid}/large.bin").write_bytes(content)
    answer = await fetch(f"api/v1/jobs/{job.uid}/files/large.bin")
    assert (answer.code, answer.body, answer.headers["Content-Type"]) == (200, content, "application/octet-stream")


@pytest.mark.parametrize(
    "name",
    [
        *("absent.dcm", "link.dcm", "folder", "pipe", ".hidden"),
        *("%2e%2e%2fx", "..%2f..%2fdicom_data%2f00000", "a%00b", "-rf*"),
    ],
)
async def test_only_the_files_of_a_result_are_given_out(fetch: Fetch, jp_root_dir: Path, name: str) -> None:
    job = await ended(fetch, (await submit(fetch)).uid)
    folder = jp_root_dir / f"dlp-lab-output/{job.uid}"
    (folder / "link.dcm").symlink_to("/etc/passwd")
    (folder / "folder").mkdir()
    (folder / ".hidden").write_text("x")
    os.mkfifo(folder / "pipe")
    answer = await fetch(f"api/v1/jobs/{job.uid}/files/{name}")
    assert (answer.code, json.loads(answer.body)["code"]) == (404, "NO_SUCH_FILE")
    named = [file["name"] for file in json.loads((await fetch(f"api/v1/jobs/{job.uid}/files")).body)["files"]]
    assert named == [f"000{n}.dcm" for n in range(1, 8)] + ["job.json"]


async def test_every_form_of_a_result_is_shown_alike(fetch: Fetch, jp_root_dir: Path) -> None:
    write_phantom_series(jp_root_dir / "mr", modality="MR", shape=(5, 40, 60), spacing_kji_mm=(2, 1, 1.5))
    pictures = []
    for form in ("series", "multiframe", "parametric_map"):
        body = {"task": "3dblur", "input_dir": "mr", "output_form": form}
        uid = json.loads((await fetch("api/v1/jobs", body)).body)["uid"]
        await ended(fetch, uid)
        answer = await fetch(f"api/v1/jobs/{uid}/preview")
        assert answer.code == 200, answer.body
        pictures.append(pixels_of(answer.body).astype(int))
    assert {picture.shape for picture in pictures} == {(114, 256)}
    assert max(np.abs(picture - pictures[0]).max() for picture in pictures) <= 2
