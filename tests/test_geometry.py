import numpy as np
import pytest

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry, affine_from_slices, plane_views
from tests.phantom import ORIENTATIONS

OBLIQUE = ORIENTATIONS["oblique"]


def oblique_geometry(frame: str | None = "1.2.3") -> Geometry:
    row, column = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    first = np.array([-61.5, 38.25, -90.125])
    last = first + 6 * 2.5 * np.cross(row, column)
    return Geometry((7, 5, 6), affine_from_slices(first, last, OBLIQUE, (0.8, 0.5), 7), frame)


def test_a_voxel_lies_where_the_dicom_equation_puts_it():
    row, column = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    expected = np.array([-61.5, 38.25, -90.125]) + 4 * 2.5 * np.cross(row, column) + 3 * 0.8 * column + 5 * 0.5 * row
    np.testing.assert_allclose(oblique_geometry().positions_lps_mm((4, 3, 5)), expected, atol=1e-12)


def test_rounded_direction_cosines_do_not_change_the_spacing():
    rounded = [0.71, 0.71, 0, -0.71, 0.71, 0]
    affine = affine_from_slices((0, 0, 0), (0, 0, 6), rounded, (0.8, 0.5), 4)
    np.testing.assert_allclose(Geometry((4, 5, 6), affine).spacing_kji_mm, (2, 0.8, 0.5), atol=1e-12)


def test_spacing_is_in_slice_row_column_order():
    np.testing.assert_allclose(oblique_geometry().spacing_kji_mm, (2.5, 0.8, 0.5))


def test_a_single_slice_is_as_deep_as_it_is_thick():
    affine = affine_from_slices((1, 2, 3), (1, 2, 3), OBLIQUE, (0.8, 0.5), 1, slice_thickness_mm=4)
    np.testing.assert_allclose(affine[:3, 0], 4 * np.cross(OBLIQUE[:3], OBLIQUE[3:]), atol=1e-12)


def test_tilt_is_the_angle_between_slice_step_and_normal():
    affine = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1.0]])  # k -> z, j -> y, i -> x
    affine[1, 0] = 2.0 * np.tan(np.radians(12))
    assert Geometry((3, 4, 5), affine).tilt_degrees == pytest.approx(12)
    assert oblique_geometry().tilt_degrees == pytest.approx(0, abs=1e-6)


def test_geometries_match_only_at_the_same_place_in_the_same_frame():
    geometry = oblique_geometry()
    shifted = geometry.affine_kji_to_lps.copy()
    shifted[2, 3] += 0.01
    assert geometry.matches(oblique_geometry())
    assert geometry.matches(oblique_geometry(frame=None))
    assert not geometry.matches(oblique_geometry(frame="1.2.4"))
    assert not geometry.matches(Geometry((7, 5, 6), shifted, "1.2.3"))
    assert not geometry.matches(Geometry((7, 6, 5), geometry.affine_kji_to_lps, "1.2.3"))


def test_reversed_slices_keep_their_places():
    geometry = oblique_geometry()
    there = geometry.with_slices_reversed().positions_lps_mm((6 - 2, 3, 4))
    np.testing.assert_allclose(there, geometry.positions_lps_mm((2, 3, 4)), atol=1e-12)


@pytest.mark.parametrize(
    "affine",
    [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan), np.diag([1.0, 1.0, 0.0, 1.0])],
    ids=["zero", "3x3", "nan", "flat"],
)
def test_an_affine_that_is_no_grid_is_refused(affine):
    with pytest.raises(VolumeError):
        Geometry((2, 2, 2), affine)


def test_the_affine_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="read-only"):
        oblique_geometry().affine_kji_to_lps[0, 0] = 1


@pytest.mark.parametrize("name", sorted(ORIENTATIONS))
def test_planes_are_shown_with_the_head_up_and_the_right_side_on_the_left(name):
    """Every view of a volume of positions grows to the side that its letters say."""
    iop = ORIENTATIONS[name]
    step = np.cross(iop[:3], iop[3:]) * 2
    geometry = Geometry((4, 5, 6), affine_from_slices((0, 0, 0), 3 * step, iop, (1, 1), 4))
    positions = geometry.positions_lps_mm(np.moveaxis(np.indices((4, 5, 6)), 0, -1))
    axis_of_letter = {"R": (0, -1), "L": (0, 1), "A": (1, -1), "P": (1, 1), "F": (2, -1), "H": (2, 1)}
    for view, (top_letter, left_letter) in zip(plane_views(geometry), ("AR", "HR", "HA"), strict=True):
        assert (view.letters[0], view.letters[3]) == (top_letter, left_letter)
        for letter, end, other in ((view.letters[0], (0, 0), (-1, 0)), (view.letters[1], (0, -1), (0, 0))):
            axis, sign = axis_of_letter[letter]
            plane = view.of(positions[..., axis], 1)
            assert sign * (plane[end] - plane[other]) > 0, (view, letter)
