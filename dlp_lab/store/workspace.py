"""Where things lie. The only module that joins or checks paths.

Everything dlp-lab reads or writes for a job is inside one *root* folder. Doors speak of folders by their path relative
to the root; no absolute path leaves the server. Results go to `<root>/<output>/<job uid>/`; the queue's own files
are in `<root>/<output>/.dlp-lab/`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dlp_lab.errors import NoSuchFile, OutputExists, PathRefused, QueueUnusable

DEFAULT_OUTPUT = "dlp-lab-output"
ROOT_VARIABLE = "DLP_LAB_ROOT"
OUTPUT_VARIABLE = "DLP_LAB_OUTPUT"
LABELS = "labels.h5"
"""Of the labels in a result's folder."""

_STATE, _LOGS = ".dlp-lab", "logs"
_FLUSHED_AT_ONCE = 8
_JOB_UID = re.compile(r"[0-9a-f]{32}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Workspace:
    """A root folder and the name of the output folder in it.

    Attributes:
        root: Absolute path without symbolic links.
        output: Output folder relative to the root.

    Raises:
        PathRefused: The root is not a folder, or the output folder leaves it.
    """

    root: Path
    output: str = DEFAULT_OUTPUT

    def __post_init__(self) -> None:
        real = Path(os.path.realpath(self.root))
        if not real.is_dir():
            raise PathRefused(f"the root {self.root} is not a folder; name an existing one")
        object.__setattr__(self, "root", real)
        output = self._real_output()
        if not output.is_relative_to(real) or output == real:
            raise PathRefused(f"the output folder {self.output!r} must be a folder inside the root, such as 'results'")

    @classmethod
    def from_environment(cls, root: Path | str | None = None) -> Workspace:
        """The workspace of a notebook or a shell: `root`, else `$DLP_LAB_ROOT`, else the current folder.

        A Jupyter server with the extension sets the variable for its kernels, so that their jobs are the server's jobs.

        Raises:
            PathRefused: As the class; also where the current folder is meant, and was removed.
        """
        chosen = os.environ.get(ROOT_VARIABLE) if root is None else root
        if chosen is None:
            try:
                chosen = os.getcwd()
            except FileNotFoundError:
                raise PathRefused("the current folder was removed; go to another one, or name the root") from None
        return cls(Path(chosen), os.environ.get(OUTPUT_VARIABLE, DEFAULT_OUTPUT))

    @property
    def output_folder(self) -> Path:
        """Where it really is now, for it may be moved or replaced while it is used.

        Raises:
            QueueUnusable: It has become a link that leaves the root.
        """
        real = self._real_output()
        if not real.is_relative_to(self.root):
            raise QueueUnusable(f"the output folder {self.output!r} has become a link that leaves the root; remove it")
        return real

    def _real_output(self) -> Path:
        return Path(os.path.realpath(self.root / self.output))

    @property
    def state_folder(self) -> Path:
        """Folder of the queue's database and logs."""
        return self.output_folder / _STATE

    @property
    def queue_database(self) -> Path:
        return self.state_folder / "jobs.sqlite"

    @property
    def queue_limits(self) -> Path:
        """File with the limits of the server that was started last."""
        return self.state_folder / "limits.json"

    @property
    def dispatcher_lock(self) -> Path:
        """File whose lock is held by the one process that starts this workspace's jobs."""
        return self.state_folder / "dispatcher.lock"

    @property
    def sharing_token(self) -> Path:
        """File by whose content another machine shows that it sees this very folder."""
        return self.state_folder / "sharing-token"

    @property
    def logs_folder(self) -> Path:
        """Folder of what the workers of jobs print."""
        return self.state_folder / _LOGS

    def job_log(self, uid: str) -> Path:
        """What the worker of a job prints. Its lock is held as long as the worker lives."""
        return self.logs_folder / f"{_checked_uid(uid)}.log"

    def job_log_name(self, uid: str) -> str:
        """Path of a job's log relative to the root, to tell the user, whatever has become of the log."""
        state = os.path.join(self.root, self.output, _STATE, _LOGS)
        return Path(os.path.relpath(state, self.root), f"{_checked_uid(uid)}.log").as_posix()

    def create(self) -> None:
        """Make the output and the state folder, readable by their owner alone.

        Raises:
            QueueUnusable: They cannot be made, or are links: who brought the data may have planted one.
        """
        try:
            make_private_folder(self.output_folder)
            for folder in (self.state_folder, self.logs_folder):
                make_private_folder(folder)
                if folder.is_symlink():
                    raise QueueUnusable(f"{folder.name} in the output folder is a link; remove it, or choose another")
        except OSError as error:
            raise QueueUnusable(
                f"the output folder {self.output!r} cannot be made in the root: {error.strerror}; "
                "choose another one, or a root that can be written to"
            ) from error

    def input_folder(self, relative: str) -> Path:
        """The folder inside the root that a request names.

        Raises:
            PathRefused: It is empty, absolute, does not exist, is no folder, or leaves the root (also by a link).
        """
        if not relative:
            raise PathRefused("in_dir is empty; give a folder relative to the root, or '.' for the root itself")
        if "\0" in relative or os.path.isabs(relative):
            raise PathRefused(f"in_dir {relative!r}: give a folder relative to the root, such as 'study1/series2'")
        real = Path(os.path.realpath(self.root / relative))
        # what goes out and comes back in would work or not by the name of the root, which is not the client's to know
        if os.path.normpath(relative).split(os.sep)[0] == ".." or not real.is_relative_to(self.root):
            raise PathRefused(f"in_dir {relative!r} leaves the root; give a folder inside it")
        try:
            is_folder, exists = real.is_dir(), real.exists()
        except OSError as error:
            raise PathRefused(f"in_dir cannot be looked at ({error.strerror}); give an existing folder") from None
        if not exists and "://" in relative:
            raise PathRefused(f"in_dir {relative!r} is an address; only folders inside the root are read")
        if not exists:
            raise PathRefused(f"in_dir {relative!r} does not exist; give an existing folder relative to the root")
        if not is_folder:
            raise PathRefused(f"in_dir {relative!r} is a file; give the folder that holds the DICOM files")
        return real

    def file_or_folder(self, relative: str) -> Path:
        """The file or folder inside the root that a request names.

        Raises:
            PathRefused: It is empty, absolute, does not exist, is neither, or leaves the root (also by a link).
        """
        if not relative or "\0" in relative or os.path.isabs(relative):
            raise PathRefused(f"path {relative!r}: give a file or folder relative to the root, such as 'study1/a.h5'")
        real = Path(os.path.realpath(self.root / relative))
        if os.path.normpath(relative).split(os.sep)[0] == ".." or not real.is_relative_to(self.root):
            raise PathRefused(f"path {relative!r} leaves the root; give a file or folder inside it")
        try:
            is_either = real.is_dir() or real.is_file()
        except OSError as error:
            raise PathRefused(f"path cannot be looked at ({error.strerror}); give an existing file or folder") from None
        if not is_either:
            raise PathRefused(f"path {relative!r} does not exist; give an existing file or folder")
        return real

    def unnamed_file(self) -> int:
        """Descriptor of a new, empty file in the state folder that no one can open, and that ends with its descriptors.

        Raises:
            QueueUnusable: It cannot be made.
        """
        self.create()
        try:
            with tempfile.TemporaryFile(dir=self.state_folder) as file:
                # below 3, where a program without standard input has room, a new process has its pipes
                return fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError as error:
            raise QueueUnusable(
                f"the output folder {self.output!r} cannot hold a working file: {error.strerror}; choose another one"
            ) from error

    def relative(self, path: Path | str) -> str:
        """`path` relative to the root, with "/" between names.

        Raises:
            PathRefused: It is not inside the root.
        """
        if "\0" in str(path):
            raise PathRefused(f"{str(path)!r}: no name holds a NUL character; give an existing folder")
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self.root):
            raise PathRefused(f"{path} is not inside the root {self.root}; choose another root or another folder")
        relative = real.relative_to(self.root).as_posix()
        try:
            relative.encode()
        except UnicodeEncodeError:
            raise PathRefused(f"{path}: the name is not valid UTF-8, so it cannot be recorded; rename it") from None
        return relative

    def job_folder(self, uid: str) -> Path:
        """Where the result of a job is, once it succeeded."""
        return self.output_folder / _checked_uid(uid)

    def result_files(self, uid: str) -> list[tuple[str, int]]:
        """Names and sizes of the files of a result, in order; empty where there is no result."""
        try:
            with os.scandir(self.job_folder(uid)) as entries:
                return sorted(
                    (entry.name, entry.stat(follow_symlinks=False).st_size)
                    for entry in entries
                    if _FILE_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
                )
        except (FileNotFoundError, NotADirectoryError):
            return []

    def open_result_file(self, uid: str, name: str) -> BinaryIO:
        """A file of a result, for reading.

        Neither a link nor a folder nor a device is opened, also if it takes the place of the file this very moment.

        Raises:
            NoSuchFile: The result has no file of that name, or there is no result.
        """
        refusal = NoSuchFile("the result has no file of that name; `files` of the job lists them")
        if not _FILE_NAME.fullmatch(name):
            raise refusal
        try:
            folder = os.open(self.job_folder(uid), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError:
            raise refusal from None
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise refusal
        return open(opened, "rb", buffering=0)

    def remove_result(self, uid: str) -> bool:
        """Remove a job's result, or what an attempt left behind of one. Returns whether nothing is left of it."""
        target = self.job_folder(uid)
        for leftover in [target, *target.parent.glob(f".{uid}.partial-*")]:
            shutil.rmtree(leftover, ignore_errors=True)
        return not os.path.lexists(target)


def _checked_uid(uid: str) -> str:
    if not _JOB_UID.fullmatch(uid):
        raise PathRefused("a job uid is 32 lower-case hexadecimal digits")
    return uid


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are absent, for their owner alone, whatever the umask allows.

    A folder that exists is left as it is.
    """
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def published_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that appears as `target` only when all went well.

    Yields a new hidden folder beside `target`. When the block ends, its files are flushed to disk and it is renamed to
    `target` in one step; when the block raises, it is removed. So `target` is whole or absent.

    Raises:
        OutputExists: `target` already exists and is not an empty folder.
    """
    target = Path(os.path.abspath(target))
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir() or any(target.iterdir())):
        raise OutputExists(f"{target.name} already exists; choose another output, nothing is overwritten")
    make_private_folder(target.parent)
    partial = target.parent / f".{target.name}.partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        yield partial
        _flush_all_to_disk(partial)
        os.replace(partial, target)
        _flush_to_disk(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _flush_all_to_disk(top: Path) -> None:
    """Flush the files below a folder, then the folders that name them.

    Each file waits for the disk, which takes many at once in little more time than one.
    """
    folders, files = [], []
    for folder, _, names in os.walk(top):
        folders.append(folder)
        files += [os.path.join(folder, name) for name in names]
    waiting = iter(files)

    def flush_some(_: int) -> None:
        for file in waiting:  # each is taken by one thread
            _flush_to_disk(file)

    count = min(_FLUSHED_AT_ONCE, len(files) + 1)
    with ThreadPoolExecutor(count) as threads:
        for _ in threads.map(flush_some, range(count)):
            pass
    for folder in folders:
        _flush_to_disk(folder)


def _flush_to_disk(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
