"""Where voxels lie in the patient.

Conventions, for the whole package:

* A volume is indexed `[k, j, i]`: slice, row, column. C order, so a slice is contiguous.
* Positions are millimetres in the DICOM patient system, LPS: x grows to the patient's Left, y to the Posterior, z to
  the Superior (PS3.3 C.7.6.2.1.1).
* `affine_kji_to_lps` maps a voxel's index to the position of its *centre*: `position = affine @ (k, j, i, 1)`.

This is the only module that reorders axes or flips signs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlp_lab.errors import VolumeError

FloatArray = NDArray[np.float64]

POSITION_TOLERANCE_MM = 1e-3
"""Two grids are the same when no corner of theirs differs by more. DICOM decimal strings carry about 1e-6."""

TILT_TOLERANCE_DEGREES = 0.1
"""A stack that is sheared by more is not rectangular: distances along its axes are not distances in the patient."""

_PATIENT_AXES = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""The axis of LPS that a letter names, and its sign."""

_LEAST_DIFFERENCE = 1e-3
_PATIENT_LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid of a volume in the patient.

    Attributes:
        shape: Number of slices, rows and columns, `(k, j, i)`.
        affine_kji_to_lps: `(4, 4)` float64, index to millimetres. Its columns are the steps from one slice, row and
            column to the next.
        frame_of_reference_uid: FrameOfReferenceUID, or None where the source has none. Positions of two grids can be
            compared only within one frame of reference (PS3.3 C.7.4.1).

    Raises:
        VolumeError: The affine is not a finite, invertible `(4, 4)` matrix, or a length is below 1.
    """

    shape: tuple[int, int, int]
    affine_kji_to_lps: FloatArray
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        affine = np.array(self.affine_kji_to_lps, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], (0, 0, 0, 1)):
            raise VolumeError(
                "an affine of finite numbers in 4 rows and 4 columns is needed, its last row 0 0 0 1; "
                f"got {affine.tolist()}"
            )
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise VolumeError(f"a volume has three lengths of at least 1; got {self.shape}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise VolumeError(f"the affine is flat, two axes are parallel or one has no length: {affine.tolist()}")
        affine.setflags(write=False)
        object.__setattr__(self, "affine_kji_to_lps", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @cached_property
    def spacing_kji_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along slice, row and column index, in mm."""
        k, j, i = np.linalg.norm(self.affine_kji_to_lps[:3, :3], axis=0)
        return float(k), float(j), float(i)

    @cached_property
    def tilt_degrees(self) -> float:
        """Angle between the slice step and the normal of the slices; 0 for a stack that is not sheared."""
        step, down_rows, along_columns = self.affine_kji_to_lps[:3, :3].T
        normal = np.cross(along_columns, down_rows)
        across = np.linalg.norm(np.cross(step, normal))
        return float(np.degrees(np.arctan2(across, abs(step @ normal))))

    def positions_lps_mm(self, index_kji: ArrayLike) -> FloatArray:
        """Positions of voxel centres.

        Args:
            index_kji: `(..., 3)` indices; they need not be whole numbers.

        Returns:
            `(..., 3)` float64 LPS positions in mm.
        """
        index = np.asarray(index_kji, dtype=np.float64)
        return np.asarray(index @ self.affine_kji_to_lps[:3, :3].T + self.affine_kji_to_lps[:3, 3])

    @cached_property
    def _corners_lps_mm(self) -> FloatArray:
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1).T
        return self.positions_lps_mm(corners)

    def matches(self, other: Geometry) -> bool:
        """Whether both grids have the same voxels at the same places in the same frame of reference.

        Every corner must agree within `POSITION_TOLERANCE_MM`. A frame of reference that one side does not know
        contradicts nothing.
        """
        if self.shape != other.shape:
            return False
        frames = {self.frame_of_reference_uid, other.frame_of_reference_uid} - {None}
        if len(frames) > 1:
            return False
        return float(np.abs(self._corners_lps_mm - other._corners_lps_mm).max()) <= POSITION_TOLERANCE_MM

    def with_slices_reversed(self) -> Geometry:
        """The same voxels counted from the other end of the stack: slice k becomes slice n - 1 - k."""
        affine = self.affine_kji_to_lps.copy()
        affine[:3, 3] += (self.shape[0] - 1) * affine[:3, 0]
        affine[:3, 0] *= -1
        return Geometry(self.shape, affine, self.frame_of_reference_uid)

    def slab(self, first: int, stop: int) -> Geometry:
        """The grid of the slices from `first` to before `stop`, counted from 0 again."""
        affine = self.affine_kji_to_lps.copy()
        affine[:3, 3] += first * affine[:3, 0]
        return Geometry((stop - first, *self.shape[1:]), affine, self.frame_of_reference_uid)

    @cached_property
    def axis_letters(self) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
        """Per index axis, the patient directions of its start and its end, such as `("F", "H")`.

        An oblique axis gets the letters of the patient axis nearest to it.
        """
        letters = []
        for step in self.affine_kji_to_lps[:3, :3].T:
            axis = int(np.argmax(np.abs(step)))
            low, high = _PATIENT_LETTERS[axis]
            letters.append((low, high) if step[axis] > 0 else (high, low))
        return letters[0], letters[1], letters[2]


@dataclass(frozen=True)
class Reorientation:
    """The same voxels with their axes in another order and direction: axis `a` is the grid's axis `permutation[a]`,
    from its end if `flipped[a]`.
    """

    permutation: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def towards(cls, geometry: Geometry, letters: str) -> Reorientation:
        """The one after which the axes of `geometry` grow to the patient directions of `letters`, as near as they can.

        Args:
            geometry: A grid.
            letters: Three of L R, P A, S I, such as "LIA": the first axis grows to the Left, the next to the Inferior,
                the last to the Anterior.

        Raises:
            VolumeError: The axes are too oblique to be told apart.
        """
        steps = geometry.affine_kji_to_lps[:3, :3] / np.asarray(geometry.spacing_kji_mm)
        axes, signs = zip(*(_PATIENT_AXES[letter] for letter in letters), strict=True)
        orders = list(itertools.permutations(range(3)))
        fits = [sum(abs(steps[axis, own]) for axis, own in zip(axes, order, strict=True)) for order in orders]
        best = int(np.argmax(fits))
        if fits[best] - sorted(fits)[-2] < _LEAST_DIFFERENCE:
            raise VolumeError("the axes of the volume are too oblique to say which is which in the patient")
        order = orders[best]
        flips = [bool(steps[axis, own] * sign < 0) for axis, own, sign in zip(axes, order, signs, strict=True)]
        return cls((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))

    def view(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """The voxels in the new order, a view."""
        steps = tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)
        return voxels.transpose(self.permutation)[steps]

    def grid(self, geometry: Geometry) -> Geometry:
        """The grid of `view`."""
        affine = geometry.affine_kji_to_lps.copy()
        shape = [geometry.shape[axis] for axis in self.permutation]
        affine[:3, :3] = affine[:3, list(self.permutation)]
        for axis, flip in enumerate(self.flipped):
            if flip:
                affine[:3, 3] += (shape[axis] - 1) * affine[:3, axis]
                affine[:3, axis] *= -1
        return Geometry((shape[0], shape[1], shape[2]), affine, geometry.frame_of_reference_uid)


def patient_axes(letters: str) -> FloatArray:
    """Unit vectors in LPS of the directions that `letters` name, `(3, 3)`, one a column."""
    directions = np.zeros((3, 3))
    for column, letter in enumerate(letters):
        axis, sign = _PATIENT_AXES[letter]
        directions[axis, column] = sign
    return directions


def affine_from_slices(
    first_position_lps_mm: Sequence[float],
    last_position_lps_mm: Sequence[float],
    image_orientation_patient: Sequence[float],
    pixel_spacing_mm: Sequence[float],
    slices: int,
    slice_thickness_mm: float | None = None,
) -> FloatArray:
    """Affine of a stack of parallel slices, from DICOM attributes (PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1).

    Args:
        first_position_lps_mm: ImagePositionPatient of slice 0.
        last_position_lps_mm: ImagePositionPatient of the last slice; the slice step is the mean step between the two.
        image_orientation_patient: Six direction cosines: of a row (towards growing column index), then of a column
            (towards growing row index).
        pixel_spacing_mm: PixelSpacing: distance between rows, then between columns.
        slices: Number of slices.
        slice_thickness_mm: Used as the step of a stack of one slice, along the normal.

    Returns:
        `(4, 4)` float64 affine from `(k, j, i)` to LPS mm.
    """
    towards_column, towards_row = _unit_directions(image_orientation_patient)
    first, last = np.asarray(first_position_lps_mm, float), np.asarray(last_position_lps_mm, float)
    affine = np.eye(4)
    if slices > 1:
        affine[:3, 0] = (last - first) / (slices - 1)
    else:
        if slice_thickness_mm is None:
            raise VolumeError("a single slice needs its thickness")
        affine[:3, 0] = slice_normal(image_orientation_patient) * slice_thickness_mm
    affine[:3, 1] = towards_row * pixel_spacing_mm[0]
    affine[:3, 2] = towards_column * pixel_spacing_mm[1]
    affine[:3, 3] = first
    return affine


def slice_normal(image_orientation_patient: Sequence[float]) -> FloatArray:
    """Unit normal of a slice: row direction x column direction, `(3,)`, in LPS."""
    return np.asarray(np.cross(*_unit_directions(image_orientation_patient)))


def _unit_directions(image_orientation_patient: Sequence[float]) -> FloatArray:
    """Row and column direction, `(2, 3)`, made exactly perpendicular and of length 1.

    Files hold rounded cosines; distances are PixelSpacing's alone, so the rounding must not scale them.
    """
    row, column = np.reshape(np.asarray(image_orientation_patient, dtype=np.float64), (2, 3))
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    return np.array([row, column / np.linalg.norm(column)])


@dataclass(frozen=True)
class PlaneView:
    """How one plane of a volume is shown to a reader of images.

    Attributes:
        title: "axial", "coronal" or "sagittal" (for an oblique volume, the nearest).
        axis: The index axis that stands still, 0, 1 or 2 for k, j, i.
        transpose: Whether the two remaining axes change places, to have the vertical one first.
        flip_rows, flip_columns: Whether they are then reversed.
        pixel_size_mm: Height and width of a shown pixel.
        letters: Patient direction at the top, right, bottom and left edge.
    """

    title: str
    axis: int
    transpose: bool
    flip_rows: bool
    flip_columns: bool
    pixel_size_mm: tuple[float, float]
    letters: tuple[str, str, str, str]

    def of(self, voxels: NDArray[Any], index: int) -> NDArray[Any]:
        """The plane at `index`, as a `(rows, columns)` view that can be shown from top left."""
        return self.turned(np.take(voxels, index, axis=self.axis))

    def turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        """A plane whose two axes are in their order, as a `(rows, columns)` view that can be shown from top left."""
        if self.transpose:
            plane = plane.T
        return plane[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


def plane_views(geometry: Geometry) -> tuple[PlaneView, PlaneView, PlaneView]:
    """The axial, coronal and sagittal view in radiological display convention.

    The patient's right is on the left of the image, anterior at the top of an axial plane, the head at the top of the
    others; anterior is on the left of a sagittal plane.
    """
    letters = geometry.axis_letters
    # index axis nearest to each patient axis x, y, z: greedily, so that each is taken once
    axis_of: dict[str, int] = {}
    for axis, (start, _) in enumerate(letters):
        axis_of[next(pair[0] for pair in _PATIENT_LETTERS if start in pair)] = axis
    if len(axis_of) < 3:
        raise VolumeError("the axes of the volume are too oblique to name its planes")

    def view(title: str, still: str, vertical: str, top: str, horizontal: str, left: str) -> PlaneView:
        rows, columns = axis_of[vertical], axis_of[horizontal]
        spacing = geometry.spacing_kji_mm
        flip_rows, flip_columns = letters[rows][0] != top, letters[columns][0] != left
        bottom = letters[rows][0 if flip_rows else 1]
        right = letters[columns][0 if flip_columns else 1]
        return PlaneView(
            title=title,
            axis=axis_of[still],
            transpose=rows > columns,
            flip_rows=flip_rows,
            flip_columns=flip_columns,
            pixel_size_mm=(spacing[rows], spacing[columns]),
            letters=(top, right, bottom, left),
        )

    return (
        view("axial", still="F", vertical="A", top="A", horizontal="R", left="R"),
        view("coronal", still="A", vertical="F", top="H", horizontal="R", left="R"),
        view("sagittal", still="R", vertical="F", top="H", horizontal="A", left="A"),
    )
