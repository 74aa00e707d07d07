"""Pieces of HTML for notebooks. Every text is escaped; tables have no style but what the notebook gives them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    head = "".join(f"<th>{escape(text)}</th>" for text in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts_html(facts: Mapping[str, str]) -> str:
    """A table of names and values, without those that are empty."""
    rows = (
        f'<tr><th style="text-align: left">{escape(name)}</th><td style="text-align: left">{escape(value)}</td></tr>'
        for name, value in facts.items()
        if value
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def picture_html(png: bytes, caption: str) -> str:
    """A picture with its caption below."""
    source = base64.b64encode(png).decode()
    return (
        f'<figure style="display: inline-block; margin: 0 8px 4px 0"><img alt="{escape(caption)}" '
        f'src="data:image/png;base64,{source}"><figcaption>{escape(caption)}</figcaption></figure>'
    )
