"""`3dblur` is scipy's Gaussian on float32, with sigma in millimetres."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dlp_lab import run
from dlp_lab.errors import BadParameters, UnknownTask
from dlp_lab.geometry import Geometry
from dlp_lab.kernels.edges import EdgeMode
from dlp_lab.tasks.gaussian import Gaussian3D
from dlp_lab.volume import Volume
from tests.test_geometry import oblique_geometry


def volume_of(dtype: type = np.int16) -> Volume:
    voxels = np.random.default_rng(1).integers(-500, 2000, (7, 5, 6)).astype(dtype)
    return Volume(voxels, oblique_geometry(), "HU", "CT")


@settings(max_examples=60, deadline=None)
@given(
    sigma_mm=st.one_of(st.floats(0, 6), st.lists(st.floats(0, 6), min_size=3, max_size=3)),
    mode=st.sampled_from(get_args(EdgeMode)),
    truncate=st.floats(0.5, 6),
    dtype=st.sampled_from([np.int16, np.uint16, np.int32, np.float32]),
    cval=st.floats(-1000, 2000),
)
def test_it_equals_scipy_for_any_parameters(sigma_mm, mode, truncate, dtype, cval):
    volume = volume_of(dtype)
    result = run("3dblur", volume, sigma_mm=sigma_mm, mode=mode, truncate=truncate, cval=cval)
    per_axis = sigma_mm if isinstance(sigma_mm, list) else [sigma_mm] * 3
    sigma = [mm / spacing for mm, spacing in zip(per_axis, (2.5, 0.8, 0.5), strict=True)]
    source = volume.voxels.astype(np.float32)
    expected = ndimage.gaussian_filter(source, sigma, mode=mode, truncate=truncate, cval=cval)
    np.testing.assert_allclose(result.voxels, expected, rtol=0, atol=1e-6 * float(np.ptp(volume.voxels.astype(float))))
    assert result.voxels.dtype == np.float32


def test_without_parameters_sigma_is_1_mm_cut_at_4_with_the_edge_repeated():
    volume = volume_of()
    expected = ndimage.gaussian_filter(
        volume.voxels.astype(np.float32), [1 / 2.5, 1 / 0.8, 1 / 0.5], mode="nearest", truncate=4
    )
    result = run("3dblur", volume)
    np.testing.assert_allclose(result.voxels, expected, atol=1e-3)


def test_place_unit_and_input_stay_as_they_are():
    volume = volume_of()
    before = volume.voxels.copy()
    result = run("3dblur", volume)
    np.testing.assert_array_equal(volume.voxels, before)
    assert result.geometry is volume.geometry
    assert result.unit == "HU"


def test_a_sigma_of_0_leaves_the_values():
    volume = volume_of()
    np.testing.assert_array_equal(run("3dblur", volume, sigma_mm=0).voxels, volume.voxels)


def test_the_reach_is_what_one_voxel_can_change():
    voxels = np.zeros((41, 3, 3), np.float32)
    voxels[20] = 1
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [2.5, 0, 0, 0], [0, 0, 0, 1.0]])
    task = Gaussian3D(sigma_mm=5.0, truncate=3.0)
    result = task.run(Volume(voxels, Geometry((41, 3, 3), affine)), lambda fraction, message: None)
    touched = np.flatnonzero(result.volume.voxels[:, 0, 0])
    assert (touched[0], touched[-1]) == (20 - result.reach_slices, 20 + result.reach_slices)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"sigma_mm": -1}, "sigma_mm"),
        ({"sigma_mm": [1, 2]}, "sigma_mm"),
        ({"sigma_mm": "wide"}, "sigma_mm"),
        ({"mode": "zero"}, "mode"),
        ({"truncate": 0}, "truncate"),
        ({"cval": 1e31}, "cval"),
        ({"sigma": 1}, "sigma"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(params, named):
    with pytest.raises(BadParameters, match=named):
        Gaussian3D.from_params(params)


def test_an_unknown_task_is_refused_with_those_there_are():
    with pytest.raises(UnknownTask, match="no task named 'gausian'; there are: 3dblur"):
        run("gausian", volume_of())


def test_the_schema_gives_every_parameter_a_title_a_help_and_a_default():
    schema = Gaussian3D.json_schema()
    assert schema["title"] == "3-D Gaussian blur"
    assert set(schema["properties"]) == {"sigma_mm", "truncate", "mode", "cval"}
    for parameter in schema["properties"].values():
        assert {"title", "description", "default"} <= set(parameter)
    assert schema["properties"]["sigma_mm"]["unit"] == "mm"
    assert schema["additionalProperties"] is False
