"""A length of time as every door tells it."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Such as "0.04 s", "7.3 s", "42 s", "3 min 07 s", "1 h 05 min"; the panel in JupyterLab says it alike."""
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
