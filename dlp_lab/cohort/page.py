"""Static pages that load nothing: style and script are part of them, and a policy forbids anything else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2530; --soft: #5b6875; --line: #dfe5ea; --tint: #f4f7f9;
  --good: #1d7f4e; --bad: #b3261e; --busy: #2563a8; }
@media (prefers-color-scheme: dark) { :root { --paper: #14191f; --ink: #e3e9ee; --soft: #93a1ae; --line: #2b343d;
  --tint: #1b2229; --good: #5fc48f; --bad: #f2867e; --busy: #7db4f0; } }
body { margin: 2rem auto; max-width: 82rem; padding: 0 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); } a { color: var(--busy); }
.counts { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
.count { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; min-width: 5rem; font: inherit;
  text-align: left; background: none; color: inherit; cursor: pointer; }
.count:hover { background: var(--tint); } .count[aria-pressed=true] { border-color: var(--busy); }
.count:focus-visible { outline: 2px solid var(--busy); }
.count b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .7rem; text-align: left; vertical-align: middle; border-bottom: 1px solid var(--line); }
thead th { position: sticky; top: 0; background: var(--tint); white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--busy); }
th[aria-sort=ascending] button::after { content: " \\25B4"; }
th[aria-sort=descending] button::after { content: " \\25BE"; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tbody tr:hover { background: var(--tint); }
.what { overflow-wrap: anywhere; min-width: 14rem; }
.case, .links { white-space: nowrap; }
td img { display: block; border-radius: 3px; background: #000; }
.nothing { width: 56px; height: 40px; border-radius: 3px; background: var(--tint); }
.state { font-weight: 600; white-space: nowrap; }
.succeeded { color: var(--good); } .failed, .cancelled { color: var(--bad); }
.queued, .running, .waiting { color: var(--busy); }
input { font: inherit; padding: .35rem .6rem; border-radius: .4rem; width: 18rem; max-width: 100%;
  border: 1px solid var(--line); background: var(--paper); color: var(--ink); }
.message { border-left: 4px solid var(--bad); background: var(--tint); padding: .75rem 1rem; margin: 1rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; }
dt { color: var(--soft); } dd { margin: 0; }
code { font: 13px ui-monospace, monospace; background: var(--tint); padding: .1rem .35rem; border-radius: 3px;
  overflow-wrap: anywhere; }
"""


_REPORT_STYLE = """
.report { max-width: 60rem; } .report img { max-width: 100%; height: auto; } .anchor-link { display: none; }
.report table { width: auto; }
.report pre { white-space: pre-wrap; font: 13px/1.45 ui-monospace, monospace; margin: .5rem 0; }
"""


def page(
    title: str, body: str, *, script: str = "", again_seconds: int | None = None, has_own_styles: bool = False
) -> bytes:
    """A whole page.

    Args:
        title: Plain text.
        body: HTML; whoever makes it has escaped what it holds.
        script: Run when the page is there.
        again_seconds: After which the browser looks again; None for a page that has come to its end.
        has_own_styles: Whether parts of the body, which others made, come with styles of their own.
    """
    style = _STYLE + (_REPORT_STYLE if has_own_styles else "")
    styles = "'unsafe-inline'" if has_own_styles else f"'sha256-{_digest(style)}'"
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {styles}"
    if script:
        policy += f"; script-src 'sha256-{_digest(script)}'"
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        *([f'<meta http-equiv="refresh" content="{again_seconds}">'] if again_seconds else []),
        f"<title>{escape(title)}</title><style>{style}</style></head>",
        f"<body>{body}",
        *([f"<script>{script}</script>"] if script else []),
        "</body></html>\n",
    ]
    return "\n".join(lines).encode()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def facts(pairs: dict[str, str]) -> str:
    """A list of names and values, both plain text; empty values are left out."""
    items = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items() if value)
    return f"<dl>{''.join(items)}</dl>"


def params_text(params: Mapping[str, object]) -> str:
    """Such as "sigma_mm = 2, mode = nearest"."""
    return ", ".join(f"{name} = {_value_text(value)}" for name, value in params.items() if value != "")


def _value_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
