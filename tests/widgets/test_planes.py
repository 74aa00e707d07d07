from __future__ import annotations

import io

import matplotlib.image
import numpy as np

from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume
from dlp_lab.widgets.planes import planes_png


def brightest_box(png: bytes) -> tuple[int, int]:
    """Height and width in pixels of the white area in the left plane."""
    picture = matplotlib.image.imread(io.BytesIO(png))[..., 0]
    white = picture[:, : picture.shape[1] // 3] > 0.99
    return int(white.any(axis=1).sum()), int(white.any(axis=0).sum())


def test_a_cube_in_millimetres_is_shown_as_a_square_whatever_the_voxels():
    """40 mm of a volume with voxels of 5 x 1 x 2 mm, coronal slices."""
    voxels = np.zeros((20, 100, 50), np.float32)
    voxels[6:14, 30:70, 15:35] = 1
    affine = np.array([[0, 0, 2.0, 0], [0, 1.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])
    png = planes_png(Volume(voxels, Geometry(voxels.shape, affine)), window=(0, 1))
    height, width = brightest_box(png)
    assert abs(height / width - 1) < 0.05


def test_before_and_after_are_two_rows_of_one_scale():
    voxels = np.zeros((20, 100, 50), np.float32)
    affine = np.array([[0, 0, 2.0, 0], [0, 1.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])
    volume = Volume(voxels, Geometry(voxels.shape, affine))
    one, two = (matplotlib.image.imread(io.BytesIO(planes_png(volume, *after))) for after in ((), (volume,)))
    assert one.shape[1] == two.shape[1]
    assert 1.7 < two.shape[0] / one.shape[0] < 2
