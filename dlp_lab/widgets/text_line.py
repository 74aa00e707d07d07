"""A line of text among widgets, which is never taken for HTML."""

from __future__ import annotations

from html import escape

import ipywidgets


class TextLine(ipywidgets.HTML):  # type: ignore[misc]
    """Says something, or is not there while there is nothing to say.

    Args:
        css_class: How it looks, in notebook_widgets.css.
        text: What it says first.
    """

    def __init__(self, css_class: str, text: str = "") -> None:
        super().__init__()
        self.add_class(css_class)
        self.say(text)

    def say(self, text: str) -> None:
        """Say this instead; "" to be gone."""
        self.text = text
        self.value = escape(text)
        self.layout.display = "" if text else "none"
