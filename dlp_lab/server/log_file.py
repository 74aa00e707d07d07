"""The log as a file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from dlp_lab.errors import PathRefused


class _OneLineFormatter(logging.Formatter):
    """Control characters are escaped, so that what a client sends cannot look like a line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).split("\n")
        return "\n    ".join(
            "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)
            for line in lines
        )


class _LogFile(logging.FileHandler):
    """A disk that is full ends the log, not the server, and a traceback of it for each line would help nobody."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def write_log_to(path: Path, loggers: Iterable[logging.Logger], level: int | str) -> None:
    """Append what the loggers say to a file that its owner alone can read.

    Raises:
        PathRefused: The file cannot be opened.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600))
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise PathRefused(
            f"the log file {path} cannot be written ({error.strerror}); name another one with --log-file "
            "(DlpLabApp.log_file)"
        ) from error
    handler.setLevel(level)
    handler.setFormatter(_OneLineFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for logger in loggers:
        if not any(getattr(other, "baseFilename", None) == handler.baseFilename for other in logger.handlers):
            logger.addHandler(handler)
