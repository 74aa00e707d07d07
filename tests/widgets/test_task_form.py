"""The form of a task in a notebook."""

from __future__ import annotations

import json
import time
from typing import Any, ClassVar

import numpy as np
import pytest

import dlp_lab as dlp
from dlp_lab.errors import BadParameters, Sheared
from dlp_lab.geometry import Geometry
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks.task import ImageResult, Report, Task
from dlp_lab.volume import Volume
from dlp_lab.widgets import slice_preview
from tests.patience import ENDLESS_S, wait_until
from tests.test_geometry import oblique_geometry
from tests.widgets.held import Held


def volume() -> Volume:
    values = np.random.default_rng(3).normal(size=(9, 20, 24)) * 300
    return Volume(values.astype(np.int16), Geometry(values.shape, oblique_geometry().affine_kji_to_lps), "HU", "CT")


def preview_of(form: dlp.TaskForm) -> tuple[dict[str, Any], list[bytes]]:
    """What the preview last showed."""
    content, pictures = wait_until(lambda: form._preview._told.get("preview"))
    return dict(content), list(pictures)


def test_what_the_task_refuses_is_said_below_its_control_and_nothing_else_is_passed_on() -> None:
    form = dlp.TaskForm("3dblur")
    seen: list[Any] = []
    form.observe(lambda change: seen.append(change.new), "params")
    form.set(sigma_mm=2000.0)
    assert form.errors() == {"sigma_mm": "It must be at least 0 and at most 1000."}
    form.set(sigma_mm=[1.0, 2.0, -3.0], truncate=4.0)
    assert list(form.errors()) == ["sigma_mm"]
    assert seen == []
    form.set(sigma_mm=[1.0, 2.0, 3.0])
    assert form.errors() == {}
    assert seen == [{"sigma_mm": [1.0, 2.0, 3.0], "truncate": 4.0, "mode": "nearest", "cval": 0.0}]
    with pytest.raises(BadParameters, match="no parameter 'sigma'; it has: sigma_mm, truncate, mode"):
        form.set(sigma=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("sigma_mm", value) for value in ("abc", None, True, {"a": 1}, float("nan"), 10**400)),
        *(("sigma_mm", value) for value in ([1.0, 2.0], [], [1.0, "a", 2.0], [1.0, float("nan"), 2.0], [[1.0] * 3])),
        *(("mode", value) for value in ("bogus", 3, [])),
        *(("truncate", value) for value in ("abc", float("nan"), [1.0, 2.0, 3.0])),
    ],
)
def test_what_a_control_cannot_show_is_refused_and_the_form_is_as_it_was(name: str, value: object) -> None:
    form = dlp.TaskForm("3dblur")
    form.set(sigma_mm=[1.0, 2.0, 3.0], truncate=5.0, mode="mirror")
    before = dict(form.params)
    with pytest.raises(BadParameters, match=f"control of {name} cannot show .*; its default is like"):
        form.set(**{"truncate": 6.0, name: value})
    assert form.entered() == form.params == before
    assert form.errors() == {}
    form._rows["sigma_mm"].control._each[1].value = 7.0  # as a hand does
    assert form.params["sigma_mm"] == [1.0, 7.0, 3.0]
    form.close()


def test_a_volume_that_the_task_refuses_is_said_for_the_whole_form() -> None:
    affine = volume().geometry.affine_kji_to_lps.copy()
    affine[:3, 0] += 0.2 * affine[:3, 1]
    sheared = Volume(volume().voxels, Geometry((9, 20, 24), affine))
    with pytest.raises(Sheared):
        dlp.run("3dblur", sheared)
    assert "sheared" in dlp.TaskForm("3dblur", sheared).errors()[""]


def test_the_preview_follows_the_controls_and_the_slice() -> None:
    form = dlp.TaskForm("3dblur", volume())
    told, (before, after) = preview_of(form)
    assert told["type"] == "pictures"
    assert "slice 5 of 9" in told["caption"]
    assert before.startswith(b"\x89PNG")
    assert before != after
    form.set(sigma_mm=0.0)
    wait_until(lambda: preview_of(form)[1][1] == before)
    form._slice.value = 1
    wait_until(lambda: "slice 1 of 9" in preview_of(form)[0]["caption"])
    assert preview_of(form)[1][0] != before
    form.close()


def test_a_form_that_is_not_live_computes_nothing() -> None:
    form = dlp.TaskForm("3dblur", volume(), live=False)
    form.set(sigma_mm=3.0)
    time.sleep(0.2)
    assert form._preview._told == {}
    form._live.value = True
    assert preview_of(form)[0]["type"] == "pictures"
    form.close()


def test_no_pixel_and_no_value_of_the_preview_is_in_the_state_that_a_notebook_saves() -> None:
    form = dlp.TaskForm("3dblur", volume())
    preview_of(form)
    state = {name: value for name, value in form._preview.get_state().items() if name not in ("_esm", "_css")}
    text = json.dumps(state, default=repr)
    assert len(text) < 1000
    assert "PNG" not in text
    form.close()


class Mine(Task, frozen=True):
    """Does what its one <b>parameter</b> says."""

    name: ClassVar[str] = "mine"
    title: ClassVar[str] = "Mine <script>"

    act: str = ""

    def run(self, volume: Volume, report: Report) -> ImageResult:
        if self.act == "slow":
            while True:
                time.sleep(0.01)
                report(0.5, "waiting")
        if self.act == "broken":
            raise ZeroDivisionError("a mistake of mine")
        return ImageResult(volume, "as it was", reach_slices=0)


def test_a_class_of_the_readers_own_can_be_tried_before_it_is_installed(workspace: Workspace) -> None:
    form = dlp.TaskForm(Mine, volume(), folder="dicom_data", root=workspace.root)
    assert preview_of(form)[0]["type"] == "pictures"
    assert form.control is None
    form.set(act="broken")
    wait_until(lambda: preview_of(form)[0].get("text") == "ZeroDivisionError: a mistake of mine")
    assert "<script>" not in form.children[0].value
    form.close()


def test_a_newer_wish_stops_a_slow_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slice_preview, "_MOST_SECONDS", ENDLESS_S)
    form = dlp.TaskForm(Mine, volume())
    preview_of(form)
    form.set(act="slow")
    time.sleep(0.5)
    form.set(act="broken")
    wait_until(lambda: "mistake" in preview_of(form)[0].get("text", ""))
    form.close()


def test_a_preview_that_takes_too_long_says_so() -> None:
    form = dlp.TaskForm(Mine, volume())
    form.set(act="slow")
    wait_until(lambda: "longer than 3 s" in preview_of(form)[0].get("text", ""))
    form.close()


def test_the_button_runs_a_job_of_the_queue_and_the_form_follows_it(workspace: Workspace) -> None:
    form = dlp.TaskForm("3dblur", folder=workspace.root / "dicom_data", root=workspace.root)
    form.set(sigma_mm=1.5)
    form.control._start.click()
    result = wait_until(lambda: form.control.result)
    assert result.job.params["sigma_mm"] == 1.5
    assert form.control.said.startswith("done in")
    assert form.control._bar.value == 1
    assert form.control._cancel.disabled
    form.close()


def test_a_folder_that_is_refused_is_said_beside_the_button(workspace: Workspace) -> None:
    (workspace.root / "empty").mkdir()
    form = dlp.TaskForm("3dblur", folder=workspace.root / "empty", root=workspace.root)
    form.control.run()
    wait_until(lambda: "no DICOM" in form.control.said or "empty" in form.control.said)
    form.close()


def test_no_job_can_be_run_with_values_that_are_refused(workspace: Workspace) -> None:
    form = dlp.TaskForm("3dblur", folder=workspace.root / "dicom_data", root=workspace.root)
    form.set(truncate=0.0)
    assert form.control._start.disabled
    form.control.run()
    time.sleep(0.1)
    assert form.control.job is None
    form.set(truncate=1.0)
    assert not form.control._start.disabled
    form.close()


def test_cancel_cancels_the_job(workspace: Workspace, probe_package: object) -> None:
    form = dlp.TaskForm("probe", folder=workspace.root / "dicom_data", root=workspace.root)
    form.set(seconds=ENDLESS_S)
    form.control.run()
    wait_until(lambda: form.control.job and form.control.job.job.state == "running")
    form.control._cancel.click()
    wait_until(lambda: form.control.said == "cancelled")
    form.close()


def test_a_form_that_is_closed_holds_nothing(workspace: Workspace) -> None:
    before = Held.now(workspace.root)
    form = dlp.TaskForm("3dblur", volume(), folder=workspace.root / "dicom_data", root=workspace.root)
    preview_of(form)
    assert Held.now(workspace.root).comms > before.comms + 30
    form.close()
    form.close()
    wait_until(lambda: Held.now(workspace.root) == before)
