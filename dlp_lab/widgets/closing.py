"""Widgets that give back all that they hold: each part of one has a connection to the browser of its own."""

from __future__ import annotations

from sys import is_finalizing
from typing import Any

import ipywidgets


class ClosingBox(ipywidgets.VBox):  # type: ignore[misc]
    """A column of widgets that is closed with all its parts, their layouts and styles."""

    def close(self) -> None:
        """Stop what is under way, and take the widget and its parts out of all notebooks. It may be called twice."""
        if is_finalizing():  # the interpreter ends, and there is nobody who could be told
            return
        if self.comm is None:  # it is closed, or was refused before it was anything
            return
        self.release()
        close_parts(self)
        super().close()

    def release(self) -> None:
        """Stop what is under way; for subclasses."""


def close_with_parts(widget: Any) -> None:
    """Close a widget, and all that it is made of."""
    close_parts(widget)
    widget.close()


def close_parts(widget: Any) -> None:
    """Close all that a widget is made of, but not itself."""
    seen = {id(widget)}
    to_visit = _own_parts(widget)
    found = []
    while to_visit:
        part = to_visit.pop()
        if id(part) not in seen:
            seen.add(id(part))
            found.append(part)
            to_visit += _own_parts(part)
    for part in found:
        part.close()


def _own_parts(widget: Any) -> list[Any]:
    parts = []
    for value in widget.trait_values().values():
        several = value if isinstance(value, list | tuple) else (value,)
        parts += [one for one in several if isinstance(one, ipywidgets.Widget)]
    return parts
