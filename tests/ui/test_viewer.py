"""The slice viewer in a real JupyterLab and a real browser, on files of the phantom."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pydicom
import pytest
from playwright.sync_api import Locator, Page, Request, expect

import dlp_lab as dlp
from dlp_lab.conformance.independent_reading import read_with_dcm2niix
from dlp_lab.store.hdf5 import write_hdf5
from tests.patience import wait_until
from tests.phantom import ORIENTATIONS, Phantom, value_at, write_phantom_series
from tests.ui.lab_server import Lab, running_lab
from tests.ui.notebook_page import saved_text
from tests.ui.panel_page import folder_item
from tests.ui.viewer_page import (
    choose,
    open_document,
    open_viewer,
    plane,
    run_all_cells,
    shown_viewer,
    status,
    wait_until_drawn,
)

PLANES = ("axial", "coronal", "sagittal")


@pytest.fixture(scope="module")
def lab(browser_type_launch_args: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A Lab without the other viewer of HDF5 files, which takes all of them for itself."""
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    page_config = home / "config/labconfig/page_config.json"
    page_config.parent.mkdir(parents=True)
    page_config.write_text('{"disabledExtensions": {"jupyterlab-h5web": true}}')
    with running_lab(root, home) as running:
        yield running


def write_dcm_series(folder: Path, **options: Any) -> Phantom:
    """A phantom whose files have the extension that Lab knows."""
    phantom = write_phantom_series(folder, **options)
    files = [path.rename(path.with_suffix(".dcm")) for path in phantom.files]
    return Phantom(**{**vars(phantom), "files": files})


def path_in(lab: Lab, file: Path) -> str:
    return file.relative_to(lab.root).as_posix()


def copies_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".ipynb_checkpoints/*") if path.is_file()]


def test_a_double_click_on_one_file_opens_its_series_and_neither_downloads_nor_copies_it(page: Page, lab: Lab) -> None:
    phantom = write_dcm_series(lab.root / "double-click", shape=(9, 40, 50))
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    lab.open(page)
    folder_item(page, "double-click").dblclick()
    folder_item(page, phantom.files[0].name).dblclick()
    viewer = shown_viewer(page)
    expect(plane(viewer, "axial")).to_have_attribute("aria-valuemax", "9")
    assert phantom.files[4].name in status(viewer, "slice")
    contents = [
        request.url for request in asked if f"api/contents/double-click/{phantom.files[0].name}?" in request.url
    ]
    assert contents
    assert all("content=0" in url for url in contents)
    assert copies_in(lab.root / "double-click") == []


def test_an_hdf5_file_opens_without_its_content_too(page: Page, lab: Lab) -> None:
    phantom = write_phantom_series(lab.root / "to-hdf5", shape=(9, 40, 50))
    dlp.dicom_to_hdf5(phantom.folder, lab.root / "volume.h5", lab.root / "volume.json")
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    lab.open(page)
    folder_item(page, "volume.h5").dblclick()
    viewer = shown_viewer(page)
    expect(viewer.locator("canvas")).to_have_count(3)
    assert all("content=0" in request.url for request in asked if "api/contents/volume.h5?" in request.url)
    assert copies_in(lab.root) == []


def test_the_value_under_the_crosshair_is_that_of_the_place_it_names(page: Page, lab: Lab) -> None:
    phantom = write_dcm_series(lab.root / "values")
    lab.open(page)
    viewer = open_document(page, path_in(lab, phantom.files[0]))
    for title in PLANES:
        plane(viewer, title).press("ArrowDown")
    plane(viewer, "axial").press("End")
    expect(plane(viewer, "axial")).to_have_attribute("data-index", str(len(phantom.files) - 1))
    place = status(viewer, "position").removesuffix(" mm").split()
    x, y, z = (float(mm) * (-1 if side in "RAF" else 1) for side, mm in zip(place[::2], place[1::2], strict=True))
    value, unit = status(viewer, "value").split()
    assert unit == "HU"
    assert float(value) == pytest.approx(float(value_at(np.array([x, y, z]))), abs=1)
    k, j, i = json.loads(status(viewer, "slice").split("] ")[0] + "]")
    assert float(value) == phantom.values[k, j, i]


@pytest.mark.parametrize("orientation", ["axial-feet-first", "coronal", "oblique", "oblique-sagittal", "transposed"])
def test_letters_say_where_dcm2niix_finds_the_voxels_at_the_edges(page: Page, lab: Lab, orientation: str) -> None:
    def number_voxels(k: int, ds: pydicom.Dataset) -> None:
        ds.PixelData = (np.arange(30) + 30 * k).astype("<i2").tobytes()

    # almost a cube, so that a step of a third of the canvas is within every plane
    phantom = write_dcm_series(
        lab.root / f"letters-{orientation}",
        modality="MR",
        spacing_kji_mm=(1.0, 1.3, 1.1),
        orientation=orientation,
        edit=number_voxels,
    )
    reading = read_with_dcm2niix(phantom.files)

    def place_ras_mm(value: float) -> np.ndarray:
        index = np.argwhere(reading.values_ijk == value)
        assert len(index) == 1
        return np.asarray(reading.affine_ijk_to_ras @ [*index[0], 1])[:3]

    lab.open(page)
    viewer = open_document(page, path_in(lab, phantom.files[0]))
    for title in PLANES:
        canvas = plane(viewer, title)
        box = canvas.bounding_box()
        assert box
        step = 0.3 * min(box["width"], box["height"])
        top, right, bottom, left = (canvas.get_attribute("data-letters") or "").split(" ")
        for edge, opposite, (dx, dy) in ((right, left, (step, 0)), (bottom, top, (0, step))):
            ends = []
            for sign in (-1, 1):
                position = {"x": box["width"] / 2 + sign * dx, "y": box["height"] / 2 + sign * dy}
                canvas.hover(position=position)
                wait_until_drawn(page)
                ends.append(place_ras_mm(float(status(viewer, "value"))))
            direction = ends[1] - ends[0]
            assert edge == letters_of(direction), (title, direction)
            assert opposite == letters_of(-direction)


def letters_of(direction_ras: np.ndarray) -> str:
    cosines = direction_ras / math.hypot(*direction_ras)
    order = sorted(range(3), key=lambda axis: -abs(cosines[axis]))
    named = [axis for axis in order if abs(cosines[axis]) >= 0.25]
    return "".join(("LR", "PA", "FH")[axis][int(cosines[axis] > 0)] for axis in named)


def test_all_orientations_of_the_phantom_show_the_head_up_and_the_right_on_the_left(page: Page, lab: Lab) -> None:
    lab.open(page)
    for orientation in ORIENTATIONS:
        phantom = write_dcm_series(lab.root / f"standard-{orientation}", orientation=orientation)
        viewer = open_document(page, path_in(lab, phantom.files[0]))
        first = [
            "".join(letters[0] for letters in (canvas.get_attribute("data-letters") or "").split())
            for canvas in viewer.locator("canvas").all()
        ]
        assert first == ["ALPR", "HLFR", "HPFA"], orientation


def test_wheel_keys_window_and_zoom_change_what_is_seen(page: Page, lab: Lab) -> None:
    phantom = write_dcm_series(lab.root / "controls", shape=(9, 40, 50), orientation="axial")
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    lab.open(page)
    viewer = open_document(page, path_in(lab, phantom.files[0]))
    axial = plane(viewer, "axial")
    axial.hover()
    page.mouse.wheel(0, 120)
    expect(axial).to_have_attribute("data-index", "7")
    axial.press("PageUp")
    expect(axial).to_have_attribute("data-index", "0")
    assert status(viewer, "window") == "L 40 W 400"

    choose(viewer, "Window", "Lung")
    expect(viewer.locator("[data-part=window]")).to_have_text("L -600 W 1500")
    wait_until_quiet(page, asked)  # neighbours are still on their way
    asked.clear()
    drag(page, axial, (0, 0), (60, 0), button="right")
    expect(viewer.locator("[data-part=window]")).not_to_have_text("L -600 W 1500")
    expect(viewer.get_by_label("Window", exact=True)).to_have_value("")
    assert [request.url for request in asked if "/planes" in request.url] == []

    before = axial.screenshot()
    axial.press("+")
    wait_until(lambda: axial.screenshot() != before)
    axial.press("0")
    wait_until(lambda: axial.screenshot() == before)

    choose(viewer, "Planes", "coronal")
    expect(viewer.locator("canvas")).to_have_count(1)
    expect(plane(viewer, "coronal")).to_have_attribute("data-index", "20")


def wait_until_quiet(page: Page, asked: list[Request]) -> None:
    """Until nothing was asked of the server for a second."""
    before = -1
    while before != len(asked):
        before = len(asked)
        page.wait_for_timeout(1000)


def drag(page: Page, canvas: Locator, start: tuple[int, int], by: tuple[int, int], **options: Any) -> None:
    box = canvas.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2 + start[0], box["y"] + box["height"] / 2 + start[1]
    page.mouse.move(x, y)
    page.mouse.down(**options)
    page.mouse.move(x + by[0], y + by[1], steps=4)
    page.mouse.up(**options)


def test_cine_runs_through_all_slices_and_stops(page: Page, lab: Lab) -> None:
    phantom = write_dcm_series(lab.root / "cine")
    lab.open(page)
    viewer = open_document(page, path_in(lab, phantom.files[0]))
    axial = plane(viewer, "axial")
    axial.press("End")
    axial.press(" ")
    expect(axial).to_have_attribute("data-index", "1")  # past the end, from the start again
    axial.press(" ")
    expect(viewer.get_by_role("button", name="Cine")).to_have_attribute("aria-pressed", "false")
    wait_until_drawn(page)
    stopped = axial.get_attribute("data-index")
    page.wait_for_timeout(400)
    assert axial.get_attribute("data-index") == stopped


def test_the_header_is_shown_as_text_and_can_be_searched(page: Page, lab: Lab) -> None:
    hostile = "<img src=x onerror=alert(1)>^<script>alert(2)</script>"

    def rename(k: int, ds: pydicom.Dataset) -> None:
        ds.PatientName = hostile
        ds.SeriesDescription = "<b>bold</b>"

    phantom = write_dcm_series(lab.root / "header", edit=rename)
    lab.open(page)
    open_document(page, path_in(lab, phantom.files[0]))
    page.get_by_role("tab", name="Header").click()
    rows = page.locator(".dlp-Header tbody tr:visible")
    expect(rows.filter(has_text="(0010,0010)")).to_contain_text(hostile)
    page.get_by_label("Search the header").fill("series desc")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("<b>bold</b>")
    expect(page.locator(".dlp-Header img, .dlp-Header script, .dlp-Header b")).to_have_count(0)


def test_a_series_that_is_refused_says_why(page: Page, lab: Lab) -> None:
    phantom = write_dcm_series(lab.root / "incomplete")
    phantom.files[3].unlink()
    lab.open(page)
    page.evaluate(
        "path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)",
        path_in(lab, phantom.files[0]),
    )
    expect(page.locator(".dlp-VolumeView-message[role=alert]")).to_contain_text("missing")


def write_pair(lab: Lab, name: str) -> tuple[dlp.Volume, dlp.Volume]:
    """Two volumes on one grid and a volume of labels, as HDF5."""
    write_phantom_series(lab.root / name, shape=(9, 40, 50), spacing_kji_mm=(2.0, 1.0, 1.0), orientation="axial")
    before = dlp.read_series(lab.root / name)
    after = before.with_voxels(before.voxels + np.int16(7))
    labels = np.zeros(before.voxels.shape, np.uint8)
    labels[:, 10:30, 10:25], labels[:, 10:30, 25:40] = 1, 2
    for volume, kind in ((before, "before"), (after, "after"), (before.with_voxels(labels), "labels")):
        write_hdf5(volume, lab.root / f"{name}-{kind}.h5")
    return before, after


def test_two_volumes_are_compared_side_by_side_by_swiping_and_by_difference(page: Page, lab: Lab) -> None:
    write_pair(lab, "compared")
    lab.open(page)
    before, after = ({"path": f"compared-{kind}.h5"} for kind in ("before", "after"))
    viewer = open_viewer(page, before=before, after=after, names=["source", "blurred"])
    expect(viewer.locator("canvas")).to_have_count(6)
    plane(viewer, "axial", "before").press("ArrowDown")
    expect(plane(viewer, "axial", "after")).to_have_attribute("data-index", "5")

    choose(viewer, "Compare", "difference")
    expect(viewer.locator("canvas")).to_have_count(3)
    expect(viewer.locator("[data-part=value]")).to_have_text("7 HU")

    choose(viewer, "Compare", "swipe")
    axial = plane(viewer, "axial", "swipe")
    first = axial.screenshot()
    drag(page, axial, (0, 0), (-80, 0))
    wait_until(lambda: axial.screenshot() != first)


def test_labels_have_a_legend_and_can_be_hidden_one_by_one(page: Page, lab: Lab) -> None:
    write_pair(lab, "labelled")
    lab.open(page)
    volumes = {kind: {"path": f"labelled-{name}.h5"} for kind, name in (("before", "before"), ("labels", "labels"))}
    viewer = open_viewer(page, **volumes)
    legend = viewer.get_by_role("group", name="Labels")
    expect(legend.get_by_role("checkbox")).to_have_count(2)
    axial = plane(viewer, "axial")
    both = axial.screenshot()
    legend.get_by_label("label 1").uncheck()
    wait_until(lambda: axial.screenshot() != both)
    one = axial.screenshot()
    legend.get_by_label("Opacity").fill("0")
    wait_until(lambda: axial.screenshot() not in (both, one))


def in_frame(frame_of_reference_uid: str) -> Any:
    def edit(k: int, ds: pydicom.Dataset) -> None:
        ds.FrameOfReferenceUID = frame_of_reference_uid

    return edit


def test_a_second_volume_on_another_grid_is_shown_along_the_planes_of_the_first(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "grid-a", shape=(12, 30, 40), edit=in_frame("1.2.3"))
    write_phantom_series(lab.root / "grid-b", shape=(40, 60, 70), spacing_kji_mm=(1, 0.5, 0.3), edit=in_frame("1.2.3"))
    lab.open(page)
    viewer = open_viewer(page, before={"path": "grid-a"}, after={"path": "grid-b"}, names=["A", "B"])
    choose(viewer, "Compare", "difference")
    # the phantom's values follow from the place, but for a little noise
    value = viewer.locator("[data-part=value]")
    expect(value).to_contain_text("HU")
    assert abs(float(value.inner_text().split()[0])) < 6
    expect(viewer.get_by_label("Compare", exact=True)).to_contain_text("B, resampled")


def test_volumes_in_different_frames_of_reference_are_not_shown_together(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "frame-a", edit=in_frame("1.2.3"))
    write_phantom_series(lab.root / "frame-b", edit=in_frame("1.2.4"))
    lab.open(page)
    args = {"before": {"path": "frame-a"}, "after": {"path": "frame-b"}}
    page.evaluate("args => window.jupyterapp.commands.execute('dlp-lab:open-viewer', args).then(() => null)", args)
    message = page.locator(".dlp-VolumeView-message[role=alert]")
    expect(message).to_contain_text("different frames of reference")


def test_a_volume_that_the_server_closed_is_opened_again(page: Page, lab: Lab) -> None:
    phantom = write_dcm_series(lab.root / "closed", shape=(60, 40, 50))
    ids: list[str] = []
    page.on("request", lambda request: ids.append(request.url.split("volumes/")[-1].split("/")[0]))
    lab.open(page)
    viewer = open_document(page, path_in(lab, phantom.files[0]))
    uid = next(uid for uid in ids if len(uid) == 32)
    page.evaluate(
        """uid => fetch(`dlp-lab/api/v1/volumes/${uid}`.replace(/^/, document.baseURI.replace(/lab\\/.*/, '')), {
            method: 'DELETE',
            headers: { 'X-XSRFToken': document.cookie.match(/_xsrf=([^;]*)/)[1] }
        }).then(answer => { if (answer.status !== 204) { throw new Error(answer.status); } })""",
        uid,
    )
    plane(viewer, "axial").press("Home")
    expect(plane(viewer, "axial")).to_have_attribute("data-index", "0")


NOTEBOOK = """
import dlp_lab as dlp
volume = dlp.read_series("for-notebook")
dlp.SliceViewer(volume, volume.with_voxels(volume.voxels + 7), still={still})
"""


@pytest.mark.parametrize("still", [False, True])
def test_the_viewer_works_in_a_notebook_which_keeps_no_pixel_unless_asked(page: Page, lab: Lab, still: bool) -> None:
    write_phantom_series(lab.root / "for-notebook", shape=(9, 40, 50))
    path = lab.root / f"viewer-{still}.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK.format(still=still))])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    lab.open(page)
    page.evaluate("path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)", path.name)
    run_all_cells(page)
    viewer = shown_viewer(page)
    choose(viewer, "Compare", "difference")
    expect(viewer.locator("[data-part=value]")).to_have_text("7 HU")
    axial = plane(viewer, "axial")
    axial.press("End")
    expect(axial).to_have_attribute("data-index", "8")
    expect(page.locator(".jp-OutputArea img:visible")).to_have_count(0)

    if still:
        wait_until(lambda: "image/png" in saved_text(page, path))
    else:
        saved = saved_text(page, path)
        assert "image/png" not in saved
        assert len(saved) < 5000


def test_monochrome1_is_shown_inverted_and_what_is_shown_can_be_saved(page: Page, lab: Lab, tmp_path: Path) -> None:
    def invert(k: int, ds: pydicom.Dataset) -> None:
        ds.PhotometricInterpretation = "MONOCHROME1"

    phantom = write_dcm_series(lab.root / "inverted", edit=invert)
    lab.open(page)
    viewer = open_document(page, path_in(lab, phantom.files[0]))
    expect(viewer.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as download:
        viewer.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "slices.png"
    download.value.save_as(tmp_path / "slices.png")
    assert (tmp_path / "slices.png").read_bytes().startswith(b"\x89PNG")
