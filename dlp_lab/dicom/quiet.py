"""Keep pydicom quiet: its warnings and log lines quote values of the file, which may be a patient's data, and paths.

What they say is said again where it matters, in the warnings of a volume and in the messages of errors, without them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator

_MODULES = r"(pydicom|highdicom)(\.|$)"

_lock = threading.Lock()
_readers = 0


def _nobody_reads(record: logging.LogRecord) -> bool:
    return _readers == 0


logging.getLogger("pydicom").addFilter(_nobody_reads)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what pydicom warns of and logs, as long as any thread is in here.

    `warnings.catch_warnings` would not do: threads that leave it in another order than they entered restore each
    other's filters. Who uses pydicom outside of here hears it as before.
    """
    global _readers
    with _lock:
        _readers += 1
        warnings.filterwarnings("ignore", module=_MODULES)
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                _remove_filter()


def _remove_filter() -> None:
    # there are none where the filters were replaced meanwhile, as by a test's or a notebook's catch_warnings
    for entry in [entry for entry in warnings.filters if getattr(entry[3], "pattern", None) == _MODULES]:
        warnings.filters.remove(entry)  # type: ignore[attr-defined]
