"""The limits of a queue, kept beside it: what its server refuses, a command line or a notebook refuses too."""

from __future__ import annotations

import logging
import os
import secrets

import msgspec

from dlp_lab.jobs.queue_database import cannot_be_written
from dlp_lab.jobs.queue_limits import DEFAULT_LIMITS, QueueLimits
from dlp_lab.store.workspace import Workspace

_log = logging.getLogger(__name__)


def store_limits(workspace: Workspace, limits: QueueLimits) -> None:
    """Keep the limits, in place of those that were kept before.

    Raises:
        DiskFull, QueueUnusable: They cannot be written.
    """
    path = workspace.queue_limits
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(msgspec.json.encode(limits))
        os.replace(partial, path)
    except OSError as error:
        raise cannot_be_written(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def stored_limits(workspace: Workspace) -> QueueLimits:
    """The limits of the server that was started last on this queue; the usual ones where there was none."""
    try:
        return msgspec.json.decode(workspace.queue_limits.read_bytes(), type=QueueLimits)
    except FileNotFoundError:
        return DEFAULT_LIMITS
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("the limits of the queue cannot be read (%s); the usual ones hold", type(error).__name__)
        return DEFAULT_LIMITS
