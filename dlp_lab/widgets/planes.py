"""Three orthogonal planes of a volume as a still picture, alone or before and after."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import Geometry, PlaneView, plane_views
from dlp_lab.viewing.resampled_plane import ResampledPlane, check_same_frame
from dlp_lab.volume import Volume, refuse_other_than_volumes

if TYPE_CHECKING:
    from IPython.display import Image
    from matplotlib.axes import Axes

_INCHES_WIDE = 11.0
_MARGIN_INCHES = 0.3
_BACKGROUND, _FOREGROUND = "#101418", "#d8dee4"


def show_planes(
    before: Volume,
    after: Volume | None = None,
    *,
    labels: tuple[str, str] = ("before", "after"),
    window: tuple[float, float] | None = None,
) -> Image:
    """The middle axial, coronal and sagittal plane, for display in a notebook.

    See `planes_png` for the arguments. The picture becomes part of the notebook's output.
    """
    from IPython.display import Image

    picture: Image = Image(data=planes_png(before, after, labels=labels, window=window))  # type: ignore[no-untyped-call]
    return picture


def planes_png(
    before: Volume,
    after: Volume | None = None,
    *,
    labels: tuple[str, str] = ("before", "after"),
    window: tuple[float, float] | None = None,
) -> bytes:
    """Draw the middle planes, one row for each volume, all at one scale in mm and with one window.

    Args:
        before: A volume.
        after: Another in the same frame of reference, drawn below; interpolated where it lies on another grid.
        labels: Written at the rows.
        window: Least and greatest value shown; by default 1st and 99.5th percentile of the planes of `before`.

    Returns:
        A PNG file.

    Raises:
        VolumeError: Something else than a volume is given, or `after` lies in another frame of reference.
        ImportError: matplotlib is absent; it comes with `pip install dlp-lab[notebook]`.
    """
    refuse_other_than_volumes({"before": before, "after": after})
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'dlp-lab[notebook]'") from None

    views = plane_views(before.geometry)
    volumes = [before] if after is None else [before, after]
    pictures = [[_middle(volume, view, before.geometry) for view in views] for volume in volumes]
    if window is None:
        low, high = np.percentile(np.concatenate([picture.ravel() for picture in pictures[0]]), (1, 99.5))
        window = float(low), float(high) if high > low else float(low) + 1
    sizes_mm = [
        (picture.shape[1] * view.pixel_size_mm[1], picture.shape[0] * view.pixel_size_mm[0])
        for picture, view in zip(pictures[0], views, strict=True)
    ]
    tallest_mm = max(height for _, height in sizes_mm)
    inches_per_mm = (_INCHES_WIDE - 4 * _MARGIN_INCHES) / sum(width for width, _ in sizes_mm)
    row_inches = tallest_mm * inches_per_mm + _MARGIN_INCHES
    height = len(volumes) * row_inches + _MARGIN_INCHES
    figure = Figure(figsize=(_INCHES_WIDE, height), dpi=110, facecolor=_BACKGROUND)
    for row, (label, row_pictures) in enumerate(zip(labels, pictures, strict=False)):
        left = _MARGIN_INCHES
        for column, (picture, view) in enumerate(zip(row_pictures, views, strict=True)):
            width_mm, height_mm = sizes_mm[column]
            bottom = height - (row + 1) * row_inches + (tallest_mm - height_mm) / 2 * inches_per_mm
            axes = figure.add_axes(
                (
                    left / _INCHES_WIDE,
                    bottom / height,
                    width_mm * inches_per_mm / _INCHES_WIDE,
                    height_mm * inches_per_mm / height,
                )
            )
            axes.imshow(picture, cmap="gray", vmin=window[0], vmax=window[1], aspect="auto", interpolation="nearest")
            _annotate(axes, view, f"{view.title}, {label}" if after is not None else view.title)
            left += width_mm * inches_per_mm + _MARGIN_INCHES
    _scale_bar(figure, inches_per_mm, height, before.unit, window)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=_BACKGROUND)
    return buffer.getvalue()


def _middle(volume: Volume, view: PlaneView, grid: Geometry) -> NDArray[Any]:
    """The middle plane of `grid` as the volume has it."""
    return view.turned(plane_along(volume, grid, view.axis, grid.shape[view.axis] // 2))


def plane_along(volume: Volume, grid: Geometry, axis: int, index: int) -> NDArray[Any]:
    """A plane of `grid` as a volume has it: its own voxels, or values between them where it lies on another grid.

    Raises:
        VolumeError: The volume lies in another frame of reference.
    """
    if volume.geometry.matches(grid):
        plane: NDArray[Any] = np.take(volume.voxels, index, axis)
        return plane
    check_same_frame(grid, volume.geometry)
    resampled = ResampledPlane(grid, axis, index, volume.geometry)
    for block in resampled.blocks:
        resampled.add(block, volume.voxels[block.start : block.stop])
    return resampled.values


def _annotate(axes: Axes, view: PlaneView, title: str) -> None:
    axes.set_axis_off()
    axes.set_title(title, color=_FOREGROUND, fontsize=9, pad=4)
    top, right, bottom, left = view.letters
    for letter, x, y in ((top, 0.5, 0.97), (right, 0.98, 0.5), (bottom, 0.5, 0.03), (left, 0.02, 0.5)):
        axes.text(
            x,
            y,
            letter,
            transform=axes.transAxes,
            color="#ffd166",
            fontsize=9,
            ha="center",
            va="center",
            bbox={"facecolor": _BACKGROUND, "alpha": 0.5, "edgecolor": "none", "pad": 1},
        )


def _scale_bar(figure: Any, inches_per_mm: float, height: float, unit: str | None, window: tuple[float, float]) -> None:
    """A bar of a round length at the bottom, and the values that are black and white."""
    longest_mm = 2.5 / inches_per_mm
    length_mm = max((n for n in (1, 2, 5, 10, 20, 50, 100, 200) if n <= longest_mm), default=1)
    axes = figure.add_axes((_MARGIN_INCHES / _INCHES_WIDE, 0.0, 0.9, _MARGIN_INCHES / height))
    axes.set_axis_off()
    axes.set_xlim(0, 0.9 * _INCHES_WIDE)
    axes.set_ylim(0, 1)
    bar = length_mm * inches_per_mm
    axes.plot((0, bar), (0.5, 0.5), color=_FOREGROUND, linewidth=2)
    shown = f"{length_mm} mm     black {window[0]:.4g}, white {window[1]:.4g} {unit or ''}"
    axes.text(bar + 0.1, 0.5, shown, color=_FOREGROUND, fontsize=8, va="center")
