"""The files of a model as its makers hand it out: a folder, or a zip of it. Read into memory, never unpacked."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Protocol

from dlp_lab.errors import ModelRefused
from dlp_lab.models.zip_errors import ZIP_ERRORS

MAX_DEPTH = 3
"""How many folders may lie above the files that are looked for."""

MAX_MEMBERS = 10_000


class ModelSource(Protocol):
    """Files by their paths within the source, with "/" between folders."""

    @property
    def name(self) -> str:
        """Of the folder or the zip, for messages."""

    def folders_with(self, file: str) -> list[str]:
        """Folders, at most `MAX_DEPTH` deep and sorted, below which `file` lies; "" is the source itself."""

    def has(self, path: str) -> bool:
        """Whether there is a file of that path."""

    def read(self, path: str, limit: int) -> bytes:
        """The whole of a file.

        Raises:
            ModelRefused: It is absent, a link, or has more than `limit` bytes.
        """


def open_source(path: Path) -> ModelSource:
    """The source at `path`.

    Raises:
        ModelRefused: There is neither a folder nor a zip, or the zip is one that leads out of itself.
    """
    if path.is_dir():
        return _Folder(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return _Zip(path)
    raise ModelRefused(f"{path.name} is neither a folder nor a zip file; give that of a MONAI bundle or of nnU-Net")


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        return self._folder.resolve().name

    def folders_with(self, file: str) -> list[str]:
        found = set()
        for depth in range(MAX_DEPTH + 1):
            for path in self._folder.glob("/".join(["*"] * depth + [file])):
                folder = path.relative_to(self._folder).as_posix().removesuffix(file).rstrip("/")
                found.add(folder)
        return sorted(found)

    def has(self, path: str) -> bool:
        return self._within(path).is_file()

    def read(self, path: str, limit: int) -> bytes:
        file = self._within(path)
        try:
            if not file.is_file() or file.resolve() != self._folder.resolve().joinpath(*PurePosixPath(path).parts):
                raise ModelRefused(f"{self.name} has no file {path}, or a link in its place")
            if file.stat().st_size > limit:
                raise ModelRefused(_too_large(path, limit))
            return file.read_bytes()
        except OSError as error:
            raise ModelRefused(f"{path} cannot be read: {error.strerror}") from None

    def _within(self, path: str) -> Path:
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts:
            raise ModelRefused(f"{self.name} names {path[:100]!r}, which leads out of it")
        return self._folder.joinpath(*parts)


class _Zip:
    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
        except ZIP_ERRORS as error:
            raise ModelRefused(f"{self.name} cannot be unpacked: {error}") from None
        if len(members) > MAX_MEMBERS:
            raise ModelRefused(f"{self.name} holds {len(members)} files; {MAX_MEMBERS} are the most")
        for member in members:
            parts = member.filename.replace("\\", "/").split("/")
            if ".." in parts or member.filename.startswith(("/", "\\")) or ":" in parts[0]:
                raise ModelRefused(f"{self.name} holds {member.filename[:100]!r}, which leads out of it; pack it again")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ModelRefused(f"{self.name} holds {member.filename[:100]!r}, which is a link; pack it without")
        self._members = {member.filename: member for member in members}

    def folders_with(self, file: str) -> list[str]:
        found = {path.removesuffix(file).rstrip("/") for path in self._members if f"/{path}".endswith(f"/{file}")}
        return sorted(folder for folder in found if len(PurePosixPath(folder).parts) <= MAX_DEPTH)

    def has(self, path: str) -> bool:
        return path in self._members

    def read(self, path: str, limit: int) -> bytes:
        member = self._members.get(path)
        if member is None:
            raise ModelRefused(f"{self.name} has no file {path}")
        if member.file_size > limit:
            raise ModelRefused(_too_large(path, limit))
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(member) as packed:
                content = packed.read(limit + 1)
        except ZIP_ERRORS as error:
            raise ModelRefused(f"{path} in {self.name} cannot be unpacked: {error}") from None
        if len(content) > member.file_size:
            raise ModelRefused(f"{path} unpacks to more than the {member.file_size} bytes that the zip declares")
        return content


def _too_large(path: str, limit: int) -> str:
    return f"{path} has more than {limit} bytes, which are not read"
