"""The series of a folder in a notebook, each with its picture and the verdict on it, to choose one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import traitlets

from dlp_lab.errors import DicomError, DlpError, JobCancelled
from dlp_lab.jobs.convert import read_series
from dlp_lab.jobs.drawing import draw
from dlp_lab.jobs.replies import SeriesList, SeriesSummary
from dlp_lab.jobs.series_catalog import SeriesCatalog
from dlp_lab.store.workspace import Workspace
from dlp_lab.volume import Volume
from dlp_lab.widgets.message_widget import MessageWidget, script
from dlp_lab.widgets.newest_request import NewestRequest, Turn

_MOST_PICTURES = 100


class SeriesPicker(MessageWidget):
    """Lists the series of a folder, and chooses the first that is usable; a click chooses another one.

    The folder is looked through in a thread. Descriptions and pictures are shown, and not kept in the notebook.

    Args:
        folder: Holds DICOM files in any depth; absolute, or relative to the current folder.
        root: Holds the folder; `$DLP_LAB_ROOT` or the current folder by default.

    Attributes:
        value: The `SeriesSummary` of the series chosen, or None; observers are told of changes.
        series: All of them; None until the folder was looked through.

    Raises:
        PathRefused: The folder does not exist, or leaves the root.
    """

    _esm = script("series_picker")
    value = traitlets.Any()
    series = traitlets.Any()

    def __init__(self, folder: Path | str, *, root: Path | str | None = None) -> None:
        workspace = Workspace.from_environment(root)
        self.input_dir = workspace.relative(folder)
        self.folder = workspace.input_folder(self.input_dir)
        self._catalog = SeriesCatalog(workspace, self._refuse_when_closed)
        self._is_closed = False
        super().__init__()
        self._looks = NewestRequest(self._look, "dlp-series")
        self.look()

    def look(self) -> None:
        """Look through the folder again; returns at once."""
        self._looks.ask(self.input_dir)

    def read(self, **options: Any) -> Volume:
        """The volume of the chosen series; the options are those of `dlp.read_series`.

        Raises:
            DlpError: None is chosen, or it is refused.
        """
        if self.value is None:
            raise DicomError("no series is chosen; choose one that is usable")
        return read_series(self.folder, series=self.value.series_instance_uid, **options)

    def choose(self, index: int) -> None:
        """Choose a series by its place in the list; one that is refused, or not there, is not chosen."""
        if self.series is not None and 0 <= index < len(self.series) and self.series[index].verdict == "usable":
            self.value = self.series[index]
            self.tell("chosen", {"type": "chosen", "index": index})

    def heard(self, content: dict[str, Any]) -> None:
        match content:
            case {"type": "choose", "index": int(index)}:
                self.choose(index)

    def release(self) -> None:
        self._is_closed = True
        self._looks.close()

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise JobCancelled("the widget was closed")

    def _look(self, input_dir: str, turn: Turn) -> None:
        self.forget("picture")
        try:
            found = self._catalog.series(input_dir)
        except JobCancelled:
            return
        except DlpError as error:
            self.tell("series", {"type": "series", "series": [], "note": str(error)})
            return
        self.series = found.series
        self.tell("series", {"type": "series", "series": msgspec.to_builtins(found.series), "note": _note(found)})
        usable = [n for n, one in enumerate(found.series) if one.verdict == "usable"]
        if usable:
            self.choose(usable[0])
        for index in usable[:_MOST_PICTURES]:
            if turn.is_stale():
                return
            self._draw(index, found.series[index])

    def _draw(self, index: int, series: SeriesSummary) -> None:
        try:
            picture = draw(self._catalog.subject(self.input_dir, series.series_instance_uid))
        except DlpError as error:
            self.tell(f"picture {index}", {"type": "no-picture", "index": index, "reason": str(error)})
        else:
            self.tell(f"picture {index}", {"type": "picture", "index": index}, [picture])


def _note(found: SeriesList) -> str:
    """What else is in the folder."""
    said = [f"{count} files left out: {reason}" for reason, count in found.ignored.items()]
    said += [f"{one.file}: {one.reason}" for one in found.refused]
    if more := found.refused_files - len(found.refused):
        said.append(f"and {more} more files that are refused")
    if not found.series:
        said.insert(0, "There is no series of DICOM images in this folder.")
    return "\n".join(said)
