from __future__ import annotations

import msgspec
import numpy as np
import pytest

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry, Reorientation
from dlp_lab.models.description import ModelDescription
from dlp_lab.models.grid import NetworkGrid, network_grid, oriented_grid
from tests.models.networks import description
from tests.phantom import ORIENTATIONS


def source(orientation: str) -> Geometry:
    row, column = np.reshape(ORIENTATIONS[orientation], (2, 3))
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], axis=1) * (2.5, 0.8, 1.1)
    affine[:3, 3] = (-61.5, 38.25, -40.125)
    return Geometry((9, 14, 17), affine)


def grid_of(geometry: Geometry, **changes: object) -> NetworkGrid:
    described = msgspec.convert({**description(), "sha256": {}, **changes}, ModelDescription)
    return network_grid(described, geometry, oriented_grid(described, geometry))


def lps_mm(geometry: Geometry, grid: NetworkGrid, index: np.ndarray) -> np.ndarray:
    """Where places of the network's volume lie in the patient."""
    return grid.reorientation.grid(geometry).positions_lps_mm(grid.matrix @ index + grid.offset)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_outer_edges_of_other_voxels_are_those_of_the_source(orientation):
    geometry = source(orientation)
    grid = grid_of(geometry, orientation="RAS", grid={"kind": "spacing", "spacing_mm": [1.0, 0.7, 1.9]})
    oriented = grid.reorientation.grid(geometry)
    for corner, of_source in (
        (np.full(3, -0.5), np.full(3, -0.5)),
        (np.array(grid.shape) - 0.5, np.array(oriented.shape) - 0.5),
    ):
        np.testing.assert_allclose(lps_mm(geometry, grid, corner), oriented.positions_lps_mm(of_source), atol=1e-9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_centred_grid_lies_along_the_patient_around_the_centre_of_the_source(orientation):
    geometry = source(orientation)
    wanted = {"kind": "centred", "spacing_mm": [1.0, 0.9, 1.1], "size": [48, 45, 46]}
    grid = grid_of(geometry, orientation="LIA", grid=wanted)
    centre = geometry.positions_lps_mm((np.array(geometry.shape) - 1) / 2)
    middle = (np.array(grid.shape) - 1) / 2
    np.testing.assert_allclose(lps_mm(geometry, grid, middle), centre, atol=1e-9)
    steps = [lps_mm(geometry, grid, middle + step) - centre for step in np.eye(3)]
    # to the left, to the feet, to the front; LPS grows to the left, the back and the head
    np.testing.assert_allclose(steps, [[1.0, 0, 0], [0, 0, -0.9], [0, -1.1, 0]], atol=1e-9)


@pytest.mark.parametrize("letters", ["RAS", "LPS", "LIA", "SPR"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_voxel_keeps_its_place_when_axes_are_reordered(orientation, letters):
    geometry = source(orientation)
    turn = Reorientation.towards(geometry, letters)
    places = geometry.positions_lps_mm(np.moveaxis(np.indices(geometry.shape), 0, -1))
    turned = turn.grid(geometry)
    found = turned.positions_lps_mm(np.moveaxis(np.indices(turned.shape), 0, -1))
    for axis in range(3):
        np.testing.assert_allclose(turn.view(places[..., axis]), found[..., axis], atol=1e-9)
    grows_to = [{"R": (0, -1), "L": (0, 1), "A": (1, -1), "P": (1, 1), "S": (2, 1), "I": (2, -1)}[c] for c in letters]
    for axis, (patient_axis, sign) in enumerate(grows_to):
        assert turned.affine_kji_to_lps[patient_axis, axis] * sign > 0


def test_axes_that_lie_half_way_between_two_directions_are_refused():
    affine = np.eye(4)
    affine[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    with pytest.raises(VolumeError, match="too oblique"):
        Reorientation.towards(Geometry((4, 5, 6), affine), "LPS")
