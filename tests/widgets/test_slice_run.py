"""A slice of a result, computed on few slices, is that of the result of all of them."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import numpy as np
import pytest

import dlp_lab as dlp
from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.kernels.edges import EdgeMode, plain_mode
from dlp_lab.tasks import task_named
from dlp_lab.tasks.task import ImageResult, Report, Task, no_report
from dlp_lab.volume import Volume
from dlp_lab.widgets.slice_run import run_on_slice, slab_of
from tests.test_geometry import oblique_geometry

SHAPE = (23, 9, 11)


def volume() -> Volume:
    values = np.random.default_rng(5).normal(size=SHAPE) * 300
    return Volume(values.astype(np.int16), Geometry(SHAPE, oblique_geometry().affine_kji_to_lps), "HU", "CT")


@pytest.mark.parametrize("mode", get_args(EdgeMode))
@pytest.mark.parametrize("index_k", [0, 1, 11, 22])
def test_a_blurred_slice_is_that_of_the_blurred_volume(mode: str, index_k: int) -> None:
    shown = volume()
    params = {"sigma_mm": 1.7 * shown.geometry.spacing_kji_mm[0], "mode": mode, "truncate": 2.0}
    found = run_on_slice(task_named("3dblur").from_params(params), shown, index_k, no_report)
    assert np.array_equal(found.values, dlp.run("3dblur", shown, **params).voxels[index_k])
    reached = 4 if index_k in (0, 22) else 5 if index_k == 1 else 7
    assert found.slices == (SHAPE[0] if plain_mode(mode) == "wrap" else reached)


def test_a_slab_lies_where_its_slices_lie() -> None:
    shown = volume()
    slab = slab_of(shown, 4, 9)
    assert np.allclose(slab.geometry.positions_lps_mm((0, 2, 3)), shown.geometry.positions_lps_mm((4, 2, 3)))
    assert np.shares_memory(slab.voxels, shown.voxels)
    assert (slab.unit, slab.modality, slab.geometry.shape) == ("HU", "CT", (5, 9, 11))


class Whole(Task, frozen=True):
    """Takes no fewer than all slices."""

    name: ClassVar[str] = "whole"
    title: ClassVar[str] = "Whole"
    seen: ClassVar[list[int]] = []

    def run(self, volume: Volume, report: Report) -> ImageResult:
        self.seen.append(len(volume.voxels))
        if len(volume.voxels) < 3:
            raise VolumeError("three slices are needed")
        centred: Any = volume.voxels - volume.voxels.mean()
        return ImageResult(volume.with_voxels(centred), "centred")


def test_a_task_that_refuses_few_slices_gets_all_of_them() -> None:
    shown = volume()
    found = run_on_slice(Whole(), shown, 7, no_report)
    assert np.array_equal(found.values, (shown.voxels - shown.voxels.mean())[7])
    assert Whole.seen == [1, 23]
