"""Widgets whose content travels as messages and is no state, so that a saved notebook holds none of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

try:
    import anywidget
except ImportError:
    raise ImportError("the notebook's widgets need anywidget: pip install 'dlp-lab[notebook]'") from None

_STATIC = Path(__file__).parent / "static"

STYLE = (_STATIC / "notebook_widgets.css").read_text(encoding="utf-8")
"""Of all widgets of the kit, those of ipywidgets too."""


def script(name: str) -> str:
    """A bundle of labextension/src/widget."""
    return (_STATIC / f"{name}.js").read_text(encoding="utf-8")


class MessageWidget(anywidget.AnyWidget):
    """Remembers the newest message of each topic, for views that open later.

    A view says `{"type": "ready"}` when it is there, and gets them all. What else it says, `heard` gets.
    """

    _css = STYLE

    def __init__(self) -> None:
        self._told: dict[str, tuple[Mapping[str, Any], Sequence[bytes]]] = {}
        super().__init__()
        self.on_msg(self._hear)

    def tell(self, topic: str, content: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Send a message to all views; it takes the place of an earlier one of the same topic. From any thread."""
        self._told[topic] = content, buffers
        self.send(dict(content), list(buffers))

    def forget(self, topics: str) -> None:
        """Do not tell later views of topics that begin so."""
        self._told = {topic: told for topic, told in self._told.items() if not topic.startswith(topics)}

    def close(self) -> None:
        """Stop what is under way, and take the widget out of all notebooks. It may be called twice."""
        if self.comm is not None:  # else it is closed, or was refused before it was anything
            self.release()
        super().close()

    def release(self) -> None:
        """Stop what is under way; for subclasses."""

    def heard(self, content: dict[str, Any]) -> None:
        """For subclasses: a view said something. It comes from a browser and may be anything."""

    def _hear(self, _: object, content: object, buffers: object) -> None:
        if not isinstance(content, dict):
            return
        if content.get("type") == "ready":
            for told, told_buffers in list(self._told.values()):
                self.send(dict(told), list(told_buffers))
        self.heard(content)
