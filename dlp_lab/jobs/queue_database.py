"""The queue's SQLite file: opened, shared by threads and processes, and never lost sight of."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dlp_lab.errors import DiskFull, QueueUnusable
from dlp_lab.jobs.filesystem import is_on_network
from dlp_lab.jobs.job_store_schema import MISCOUNTED, SCHEMA_VERSION, STEPS

_LEAST_ROOM_BYTES = 64 * 2**10
_SECONDS_TO_WAIT = 30
_SECONDS_BETWEEN_TRIES = 0.02

FileIdentity = tuple[int, int]


def file_identity(path: Path) -> FileIdentity | None:
    """Device and inode of the file at `path`; None when there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


class QueueDatabase:
    """An open connection that threads share.

    Attributes:
        identity: Of the file that is open. The path may come to name another one, or none, when the folder is moved.

    Raises:
        DiskFull: There is no room for it.
        QueueUnusable: It cannot be opened or written, is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection, self.identity = self._opened()

    def _opened(self) -> tuple[sqlite3.Connection, FileIdentity | None]:
        if self._path.is_symlink():  # SQLite follows one; those of the files beside it, it does not
            raise QueueUnusable(_cannot_be_opened(self._path, "it is a symbolic link"))
        try:
            # not touched when it exists: to close a file gives up all locks that this process has on it
            if not os.path.lexists(self._path):
                self._make()
            identity = file_identity(self._path)
            connection = sqlite3.connect(
                self._path, timeout=_SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
            )
        except OSError as error:
            raise cannot_be_written(self._path, error) from error
        except sqlite3.Error as error:
            raise QueueUnusable(_cannot_be_opened(self._path, str(error))) from error
        connection.row_factory = sqlite3.Row
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection, identity

    def _make(self) -> None:
        """Make a new queue, whole before it has its name: a file of that name that holds none is a damaged one."""
        partial = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            # made before SQLite opens it, so that it and the files SQLite puts beside it are their owner's alone
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with (
                contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as connection,
                self._full_disk_named(),
            ):
                with _transaction(connection, durable=True):
                    _take_steps(connection, 0)
                # now, while nobody else has it open
                _set_journal_mode(connection, self._path)
            with contextlib.suppress(FileExistsError):  # another process was quicker
                os.link(partial, self._path)
        finally:
            partial.unlink(missing_ok=True)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        try:
            if _version(connection) == 0:
                raise sqlite3.DatabaseError("it holds no queue")
            with self._full_disk_named():
                _set_journal_mode(connection, self._path)
                _back_up_older(connection, self._path)
                with _transaction(connection, durable=True):
                    _bring_up_to_date(connection)
        except sqlite3.OperationalError as error:
            raise QueueUnusable(_cannot_be_opened(self._path, str(error))) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # a damaged table's name may be no text
            raise QueueUnusable(_damaged(self._path, str(error))) from error

    def is_in_place(self) -> bool:
        """Whether the open file is the one at the path. What is written to another is lost, without an error."""
        return file_identity(self._path) == self.identity

    def reopen(self) -> None:
        """Go on with the file that is at the path now, made anew if there is none.

        Raises:
            DiskFull, QueueUnusable: As at first; what was open stays open.
        """
        with self._lock:
            if not self.is_in_place():
                before = self._connection
                self._connection, self.identity = self._opened()
                before.close()

    def close(self) -> None:
        """Close the file. No method may be called afterwards."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self, durable: bool = True) -> Iterator[None]:
        """What is done inside is done whole or not at all, and if `durable` on the disk at the end.

        Raises:
            DiskFull: There is no room.
        """
        with self._lock, self._full_disk_named(), _transaction(self._connection, durable):
            yield

    def rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Run one statement.

        Raises:
            DiskFull: There is no room.
        """
        with self._lock, self._full_disk_named():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _full_disk_named(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # what SQLite says of a damaged table may be no text
            raise QueueUnusable(_damaged(self._path, str(error))) from error
        except sqlite3.OperationalError as error:
            kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
            # where the file of the shared memory cannot grow, SQLite speaks of an I/O error
            no_room = kind == sqlite3.SQLITE_IOERR and shutil.disk_usage(self._path.parent).free < _LEAST_ROOM_BYTES
            if no_room or kind == sqlite3.SQLITE_FULL:
                raise _disk_full() from error
            if not hasattr(error, "sqlite_errorcode"):  # text that is none, which Python finds, not SQLite
                raise QueueUnusable(_damaged(self._path, "a record is damaged")) from error
            raise


def _set_journal_mode(connection: sqlite3.Connection, path: Path) -> None:
    # WAL needs memory that its users share, which a network filesystem does not give them.
    mode = "DELETE" if is_on_network(path) else "WAL"
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            return
        except sqlite3.OperationalError as error:
            # for a change of the mode SQLite does not wait by itself until others have done with the file
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_SECONDS_BETWEEN_TRIES)


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise QueueUnusable(
            f"a newer dlp-lab wrote the queue (its version {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade, or choose another output folder"
        )
    if version < SCHEMA_VERSION:
        _take_steps(connection, version)
    if not _plan_of_new_queue() <= _plan(connection):
        raise sqlite3.DatabaseError("its tables are not those of a queue")
    if connection.execute(MISCOUNTED).fetchone() is not None:
        raise sqlite3.DatabaseError("there are not as many jobs in it as it says")


@cache
def _plan_of_new_queue() -> frozenset[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _take_steps(connection, 0)
        return _plan(connection)


def _plan(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    """Columns, indexes and triggers: SQLite takes a damaged name, or rule, for another one."""
    rows = connection.execute(
        "SELECT type, name, ifnull(sql, '') FROM sqlite_schema WHERE type <> 'table' UNION ALL"
        " SELECT tables.name, columns.name, columns.type"
        " FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
    )
    return frozenset(tuple(row) for row in rows)


def _take_steps(connection: sqlite3.Connection, version: int) -> None:
    for step in STEPS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _back_up_older(connection: sqlite3.Connection, path: Path) -> None:
    """Keep a copy of a queue of an older version beside it, so that who goes back to that version can.

    Who went back, and now comes again, gets a copy of what the queue has become: the one before is replaced.
    """
    version = _version(connection)
    if not 0 < version < SCHEMA_VERSION:
        return
    copy = path.with_name(f"{path.name}.version-{version}")
    partial = path.with_name(f".{copy.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        target = sqlite3.connect(partial)
        try:
            connection.backup(target)
            is_older = _version(target) == version  # else another process has brought the queue up to date meanwhile
        finally:
            target.close()
        if is_older:
            os.replace(partial, copy)
    finally:
        partial.unlink(missing_ok=True)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _transaction(connection: sqlite3.Connection, durable: bool) -> Iterator[None]:
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # On a full disk SQLite has rolled back by itself; a second time would hide the reason.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def cannot_be_written(path: Path, error: OSError) -> DiskFull | QueueUnusable:
    """What is said of a file of the queue that was not made or opened."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full()
    return QueueUnusable(_cannot_be_opened(path, error.strerror or ""))


def _disk_full() -> DiskFull:
    return DiskFull("there is no room for the queue; free space on the disk of the output folder and try again")


def _damaged(path: Path, reason: str) -> str:
    return f"the queue {path.name} cannot be read ({reason}); move it elsewhere to start with an empty queue"


def _cannot_be_opened(path: Path, reason: str) -> str:
    return (
        f"the queue's file {path.name} in the output folder cannot be opened or written ({reason}); "
        "choose another folder"
    )
