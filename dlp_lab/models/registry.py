"""The models of this machine: a folder with a package for each, named as the model.

The folder is `$DLP_LAB_MODELS`, else `dlp-lab/models` in the user's data folder. It holds no patient data, so it lies
outside every root. Names are checked before they become paths.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import IO

from dlp_lab.errors import ModelRefused, NoSuchModel, OutputExists
from dlp_lab.models.package import (
    DESCRIPTION,
    MAX_FILE_BYTES,
    ModelPackage,
    read_description,
    read_package,
)
from dlp_lab.models.zip_errors import ZIP_ERRORS

MODELS_VARIABLE = "DLP_LAB_MODELS"
MAX_FILES = 64

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def models_folder() -> Path:
    """Where the packages are; it need not exist."""
    chosen = os.environ.get(MODELS_VARIABLE)
    if chosen:
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return Path(data) / "dlp-lab" / "models"


def model_names() -> list[str]:
    """Names of all registered models, whether they can be read or not."""
    folder = models_folder()
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def registered_model(name: str) -> ModelPackage:
    """The description of a registered model.

    Raises:
        NoSuchModel: There is none of that name.
        ModelRefused: Its description was damaged since.
    """
    known = model_names()
    if name not in known:
        there = f"there are: {', '.join(known)}" if known else "there is none; add one by dlp-lab model add"
        raise NoSuchModel(f"no model named {name[:63]!r}; {there}")
    package = read_description(models_folder() / name)
    if package.description.name != name:
        raise ModelRefused(f"the folder {name} holds a model named {package.description.name}; add it again")
    return package


def add_model(source: Path) -> ModelPackage:
    """Copy a package, a folder or a zip, into the registry, once all of it is checked.

    Raises:
        ModelRefused: It is not what it must be.
        OutputExists: A model of that name is there already.
    """
    models_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=models_folder()) as temporary:
        folder = Path(temporary) / "package"
        folder.mkdir()
        if source.is_dir():
            _copy(source, folder)
        elif source.is_file() and zipfile.is_zipfile(source):
            try:
                _unpack(source, folder)
            except ModelRefused:
                raise
            except ZIP_ERRORS as error:
                raise ModelRefused(f"{source.name} cannot be unpacked: {error}") from None
        else:
            raise ModelRefused(f"{source.name} is neither a folder nor a zip file; give a package with {DESCRIPTION}")
        name = read_package(folder).description.name
        target = models_folder() / name
        if target.exists():
            raise OutputExists(f"a model named {name} is registered; remove it first by dlp-lab model remove {name}")
        os.replace(folder, target)
    return registered_model(name)


def remove_model(name: str) -> None:
    """Remove a registered model, also one that cannot be read.

    Raises:
        NoSuchModel: There is none of that name.
    """
    if name not in model_names():
        registered_model(name)
    shutil.rmtree(models_folder() / name)


def _copy(source: Path, folder: Path) -> None:
    """Copy the files that the description names, and its text."""
    package = read_package(source)
    shutil.copyfile(source / DESCRIPTION, folder / DESCRIPTION)
    for name in package.description.sha256:
        (folder / name).write_bytes(package.content(name))


def _unpack(source: Path, folder: Path) -> None:
    """Unpack the files of a zip, which may lie in one folder of it. No name of it ever becomes a path as it is."""
    with zipfile.ZipFile(source) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MAX_FILES:
            raise ModelRefused(f"{source.name} holds {len(members)} files; a package has at most {MAX_FILES}")
        tops = {member.filename.rpartition("/")[0] for member in members}
        if len(tops) != 1:
            raise ModelRefused(f"{source.name} must hold {DESCRIPTION} and what it names, all in one folder")
        for member in members:
            top, _, name = member.filename.rpartition("/")
            if ".." in top.split("/") or top.startswith("/") or not _FILE.fullmatch(name) or _is_link(member):
                raise ModelRefused(f"{source.name} holds {member.filename[:100]!r}, which is no plain name of a file")
            if member.file_size > MAX_FILE_BYTES:
                raise ModelRefused(f"{name} in {source.name} has more than {MAX_FILE_BYTES} bytes, which are not read")
            with archive.open(member) as packed, open(folder / name, "xb") as file:
                _copy_at_most(packed, file, member.file_size, name)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _copy_at_most(packed: IO[bytes], file: IO[bytes], size: int, name: str) -> None:
    left = size
    while chunk := packed.read(2**20):
        left -= len(chunk)
        if left < 0:
            raise ModelRefused(f"{name} unpacks to more than the {size} bytes that the zip declares")
        file.write(chunk)
