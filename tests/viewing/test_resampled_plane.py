"""A volume is shown along the planes of another grid where its values are."""

from __future__ import annotations

import numpy as np
import pytest

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.viewing import resampled_plane
from dlp_lab.viewing.resampled_plane import ResampledPlane, check_same_frame
from tests.test_geometry import oblique_geometry

FIELD = np.array([1.5, -2.0, 0.75, 12.0])
"""Value = FIELD . (x, y, z, 1), x, y, z in mm: what is interpolated linearly must be exactly that."""


def field_on(grid: Geometry) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return grid.positions_lps_mm(index) @ FIELD[:3] + FIELD[3]


def resampled(grid: Geometry, axis: int, index: int, source: Geometry, voxels: np.ndarray) -> np.ndarray:
    plane = ResampledPlane(grid, axis, index, source)
    for block in plane.blocks:
        plane.add(block, voxels[block.start : block.stop])
    return plane.values


def axial_grid_around(grid: Geometry, spacing_mm: float = 1.7) -> Geometry:
    """A grid along the patient's axes, upside down, which holds the middle of another one and reaches beyond it."""
    centre = grid.positions_lps_mm(np.array(grid.shape) / 2 - 0.5)
    affine = np.array([[0, 0, spacing_mm, 0], [0, spacing_mm, 0, 0], [-spacing_mm, 0, 0, 0], [0, 0, 0, 1.0]])
    shape = (12, 9, 11)
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(shape) / 2 - 0.5) + 0.3
    return Geometry(shape, affine, grid.frame_of_reference_uid)


@pytest.mark.parametrize("block_voxels", [1, 2**22])
@pytest.mark.parametrize("oblique_is_source", [True, False])
def test_a_linear_field_is_the_same_in_every_plane_and_nothing_lies_outside(
    monkeypatch: pytest.MonkeyPatch, block_voxels: int, oblique_is_source: bool
) -> None:
    monkeypatch.setattr(resampled_plane, "_BLOCK_VOXELS", block_voxels)
    oblique = oblique_geometry()
    other = axial_grid_around(oblique)
    grid, source = (other, oblique) if oblique_is_source else (oblique, other)
    expected, voxels = field_on(grid), field_on(source)
    to_source = np.linalg.inv(source.affine_kji_to_lps) @ grid.affine_kji_to_lps
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    places = index @ to_source[:3, :3].T + to_source[:3, 3]
    last = np.array(source.shape) - 1
    between_centres = ((places >= 0) & (places <= last)).all(axis=-1)
    outside = ((places < -0.51) | (places > last + 0.51)).any(axis=-1)
    assert between_centres.sum() > 20 and (outside.sum() > 20 or not oblique_is_source)
    for axis, length in enumerate(grid.shape):
        for k in range(length):
            plane = resampled(grid, axis, k, source, voxels)
            assert plane.dtype == np.float32
            here = np.take(between_centres, k, axis)
            np.testing.assert_allclose(plane[here], np.take(expected, k, axis)[here], rtol=1e-5)
            assert np.isnan(plane[np.take(outside, k, axis)]).all()


def test_the_same_grid_gives_the_same_values() -> None:
    grid = oblique_geometry()
    voxels = np.random.default_rng(0).integers(-3000, 3000, grid.shape).astype(np.int16)
    for axis, length in enumerate(grid.shape):
        for index in range(length):
            np.testing.assert_allclose(
                resampled(grid, axis, index, grid, voxels), np.take(voxels, index, axis), rtol=1e-4, atol=0.01
            )


def test_a_plane_along_the_slices_needs_two_of_them() -> None:
    grid = oblique_geometry()
    moved = grid.affine_kji_to_lps.copy()
    moved[:3, 3] += 0.4 * moved[:3, 0]
    plane = ResampledPlane(Geometry(grid.shape, moved), 0, 3, grid)
    assert plane.blocks == [range(3, 5)]


def test_a_plane_that_misses_the_volume_needs_none_of_its_slices() -> None:
    grid = oblique_geometry()
    moved = grid.affine_kji_to_lps.copy()
    moved[0, 3] += 1000
    plane = ResampledPlane(Geometry(grid.shape, moved), 0, 3, grid)
    assert plane.blocks == []
    assert np.isnan(plane.values).all()


@pytest.mark.parametrize(("other", "refused"), [("1.2.3", False), (None, False), ("1.2.4", True)])
def test_another_frame_of_reference_is_refused_with_what_to_do(other: str | None, refused: bool) -> None:
    if not refused:
        check_same_frame(oblique_geometry(), oblique_geometry(other))
        return
    with pytest.raises(VolumeError, match="register them"):
        check_same_frame(oblique_geometry(), oblique_geometry(other))
