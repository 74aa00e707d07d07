"""What the viewer of notebooks sends, and what it keeps to itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import dlp_lab as dlp
from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume
from tests.test_geometry import oblique_geometry

SECRET = 12345


def volume(dtype: Any = np.int16) -> Volume:
    return Volume(np.full((7, 5, 6), SECRET, dtype), oblique_geometry())


class Sent(list[tuple[dict[str, Any], list[bytes]]]):
    """What a viewer sends to the browser."""

    def __init__(self, viewer: dlp.SliceViewer, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(viewer, "send", lambda content, buffers=(): self.append((content, list(buffers))))


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float64])
def test_planes_travel_as_one_message_in_the_type_that_was_told(monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    shown = Volume(np.arange(210).reshape(7, 5, 6).astype(dtype), oblique_geometry())
    viewer = dlp.SliceViewer(shown)
    sent = Sent(viewer, monkeypatch)
    viewer._answer(viewer, {"type": "planes", "id": 3, "volume": "before", "at": [[0, 1], [2, 4]]}, [])
    ((content, (slice_, plane)),) = sent
    assert content == {"type": "planes", "id": 3}
    told = viewer.volumes["before"]["dtype"]
    assert np.array_equal(np.frombuffer(slice_, told).reshape(5, 6), shown.voxels[1])
    assert np.array_equal(np.frombuffer(plane, told).reshape(7, 5), shown.voxels[:, :, 4])


def test_no_voxel_is_in_the_state_that_a_notebook_saves() -> None:
    state = dlp.SliceViewer(volume(), volume(), still=False).get_state()
    text = json.dumps(state, default=repr)
    assert str(SECRET) not in text
    assert "png" not in json.dumps({name: value for name, value in state.items() if name not in ("_esm", "_css")})
    assert len(text) < 60_000


@pytest.mark.parametrize(
    "wrong",
    [
        *({"volume": "after"}, {"volume": "__class__"}),
        *({"at": [place]} for place in ([3, 0], [-1, 0], [0, 7], [0, -1], [0], [0, 1.5], "00", None)),
    ],
)
def test_a_plane_that_is_not_there_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    viewer = dlp.SliceViewer(volume())
    sent = Sent(viewer, monkeypatch)
    viewer._answer(viewer, {"type": "planes", "id": 1, "volume": "before", "at": [[0, 0]], **wrong}, [])
    ((content, buffers),) = sent
    assert (content["type"], content["id"], buffers) == ("refused", 1, [])
    assert "no plane" in content["message"]


@pytest.mark.parametrize("place", [[True, 0], [1, True]])
def test_yes_is_taken_for_one(monkeypatch: pytest.MonkeyPatch, place: Any) -> None:
    viewer = dlp.SliceViewer(volume())
    sent = Sent(viewer, monkeypatch)
    viewer._answer(viewer, {"type": "planes", "id": 1, "volume": "before", "at": [place]}, [])
    assert sent[0][0] == {"type": "planes", "id": 1}


@pytest.mark.parametrize("message", [{}, {"type": "planes"}, {"type": "planes", "id": "1", "at": []}, {"type": "x"}])
def test_what_is_no_question_gets_no_answer(monkeypatch: pytest.MonkeyPatch, message: Any) -> None:
    viewer = dlp.SliceViewer(volume())
    sent = Sent(viewer, monkeypatch)
    viewer._answer(viewer, message, [])
    assert sent == []


def moved(frame_of_reference_uid: str | None = "1.2.3") -> Volume:
    """On a grid that lies half a slice further."""
    affine = oblique_geometry().affine_kji_to_lps.copy()
    affine[:3, 3] += affine[:3, 0] / 2
    voxels = np.repeat(np.arange(0, 70, 10, np.int16), 30).reshape(7, 5, 6)
    return Volume(voxels, Geometry((7, 5, 6), affine, frame_of_reference_uid))


def test_that_a_volume_is_wanted_is_said_where_a_folder_is_given() -> None:
    for given in (["study/series"], [volume(), "study/series"]):
        for door in (dlp.SliceViewer, dlp.Compare, dlp.show_planes):
            with pytest.raises(VolumeError, match=r"is of type str; give a volume, such as dlp\.read_series"):
                door(*given)
    with pytest.raises(VolumeError, match=r"^volume is of type str"):
        dlp.TaskForm("3dblur", "study/series")


def test_labels_on_another_grid_are_refused() -> None:
    with pytest.raises(VolumeError, match="labels do not lie on the grid"):
        dlp.SliceViewer(volume(), labels=moved())


def test_a_second_volume_on_another_grid_is_sent_along_the_planes_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = dlp.SliceViewer(volume(), moved(), still=True)
    assert viewer.volumes["after"]["resampled"] and not viewer.volumes["before"]["resampled"]
    sent = Sent(viewer, monkeypatch)
    viewer._answer(viewer, {"type": "planes", "id": 1, "volume": "after", "at": [[0, 3], [1, 2]]}, [])
    ((_, (slice_, plane)),) = sent
    assert np.frombuffer(slice_, np.float32) == pytest.approx(25)
    assert np.frombuffer(plane, np.float32).reshape(7, 6)[1:, 0] == pytest.approx([5, 15, 25, 35, 45, 55])


def test_a_second_volume_in_another_frame_of_reference_is_refused() -> None:
    with pytest.raises(VolumeError, match="frames of reference"):
        dlp.SliceViewer(volume(), moved("1.2.4"))
