"""The log as a file."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path

from dlp_lab.errors import PathRefused, printable_lines


class _OneLineFormatter(logging.Formatter):
    """Control characters are escaped, so that what a client sends cannot look like a line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record)).replace("\n", "\n    ")


class _LogFile(logging.FileHandler):
    """A disk that is full ends the log, not the server, and a traceback of it for each line would help nobody.

    A link is not followed: the log is by default in the folder of the data, and who brought them may have planted one.
    """

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=_open_private)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def write_log_to(path: Path, loggers: Iterable[logging.Logger], level: int | str) -> None:
    """Append what the loggers say to a file that its owner alone can read.

    Raises:
        PathRefused: The file cannot be opened.
    """
    try:
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise PathRefused(
            f"the log file {path} cannot be written ({reason}); name another one with --log-file (DlpLabApp.log_file)"
        ) from error
    handler.setLevel(level)
    handler.setFormatter(_OneLineFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for logger in loggers:
        if not any(getattr(other, "baseFilename", None) == handler.baseFilename for other in logger.handlers):
            logger.addHandler(handler)
