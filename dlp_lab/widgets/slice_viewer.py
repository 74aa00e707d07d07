"""The slice viewer in a notebook. Planes travel as messages when they are looked at, never as state of the widget.

So a saved notebook holds no voxel of a patient, unless a still picture is asked for.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from dlp_lab.errors import DlpError, VolumeError
from dlp_lab.viewing.resampled_plane import check_same_frame
from dlp_lab.viewing.shown_values import resampled_info, shown_plane, volume_info
from dlp_lab.volume import Volume, refuse_other_than_volumes
from dlp_lab.widgets.planes import plane_along, planes_png

try:
    import anywidget
    import traitlets
except ImportError:
    raise ImportError("the slice viewer needs anywidget: pip install 'dlp-lab[notebook]'") from None

_MOST_PLANES = 6
"""As many as a message may ask for; the viewer asks for no more."""
_STATIC = Path(__file__).parent / "static"


class SliceViewer(anywidget.AnyWidget):
    """Looks at a volume, or compares two; as a cell's last line it is shown below the cell.

    Voxels stay in the kernel: a volume of `dlp.open_hdf5` may be larger than the memory, and a kernel far away will do.

    Args:
        before: A volume.
        after: Another in the same frame of reference, to compare with; where it lies on another grid, it is shown
            interpolated along the planes of the first one.
        labels: Whole numbers on the same grid, drawn over it; 0 is clear.
        names: What the two volumes are called.
        label_names: Names of labels by their numbers.
        window: Least and greatest value shown; by default what suits the middle slice.
        height_px: Height of the viewer.
        still: Whether the notebook also keeps a picture of the middle planes, which is shown where the viewer is not:
            in a notebook that was saved, exported or opened without its kernel.

    Raises:
        VolumeError: Something else than a volume is given; the labels do not lie on the grid of the volume, or the two
            volumes in one frame of reference.
    """

    _esm = (_STATIC / "slice_viewer.js").read_text(encoding="utf-8")
    _css = (_STATIC / "slice_viewer.css").read_text(encoding="utf-8")
    volumes = traitlets.Dict().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    label_names = traitlets.Dict().tag(sync=True)
    height_px = traitlets.Int().tag(sync=True)
    still_class = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        before: Volume,
        after: Volume | None = None,
        *,
        labels: Volume | None = None,
        names: tuple[str, str] = ("before", "after"),
        label_names: Mapping[int, str] | None = None,
        window: tuple[float, float] | None = None,
        height_px: int = 480,
        still: bool = False,
    ) -> None:
        given = {"before": before, "after": after, "labels": labels}
        refuse_other_than_volumes(given)
        self._volumes = {role: volume for role, volume in given.items() if volume is not None}
        self._grid = before.geometry
        if labels is not None and not labels.geometry.matches(before.geometry):
            raise VolumeError("the labels do not lie on the grid of the volume they are shown over")
        infos = {role: volume_info(volume) for role, volume in self._volumes.items()}
        if after is not None and not after.geometry.matches(before.geometry):
            check_same_frame(before.geometry, after.geometry)
            infos["after"] = resampled_info(infos["after"], before.geometry)
        infos["before"] = msgspec.structs.replace(infos["before"], window=window)
        self._dtypes = {role: info.dtype for role, info in infos.items()}
        self._still = planes_png(before, after, labels=names, window=window) if still else None
        super().__init__(
            volumes=msgspec.to_builtins(infos),
            names=list(names),
            label_names={str(label): name for label, name in (label_names or {}).items()},
            height_px=height_px,
            still_class=f"dlp-Viewer-still-{secrets.token_hex(8)}",
        )
        self.on_msg(self._answer)

    def _answer(self, _: object, content: dict[str, Any], buffers: object) -> None:
        """Send the planes that a browser asks for; anything else that comes is no message of ours."""
        match content:
            case {"type": "planes", "id": int(number), "volume": str(role), "at": list(places)}:
                try:
                    planes = [self._plane(role, place) for place in places[:_MOST_PLANES]]
                except DlpError as error:
                    self.send({"type": "refused", "id": number, "message": str(error)})
                else:
                    self.send({"type": "planes", "id": number}, planes)

    def _plane(self, role: str, place: object) -> memoryview:
        volume = self._volumes.get(role)
        match place:
            case [int(axis), int(index)] if volume is not None and axis in (0, 1, 2):
                if 0 <= index < self._grid.shape[axis]:
                    # int(), for True is one, too
                    return shown_plane(plane_along(volume, self._grid, int(axis), int(index)), self._dtypes[role])
        raise VolumeError(f"there is no plane {str(place)[:20]} of {role[:20]!r}")

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        bundle = self._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        if self._still is not None:
            # the live viewer hides it
            picture = base64.b64encode(self._still).decode()
            image = f'<img class="{self.still_class}" alt="middle planes" src="data:image/png;base64,{picture}">'
            display(HTML(image))  # type: ignore[no-untyped-call]
