"""What the distributions are made from fits together."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import dlp_lab

ROOT = Path(__file__).resolve().parent.parent
LOCK_FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("labextension/**/yarn.lock"))


def test_the_python_package_and_the_front_end_have_one_version() -> None:
    package = json.loads((ROOT / "labextension/package.json").read_text(encoding="utf-8"))
    assert package["version"] == dlp_lab.__version__


@pytest.mark.parametrize("lock_file", [path for path in LOCK_FILES if "node_modules" not in path])
def test_a_lock_file_names_no_host(lock_file: str) -> None:
    assert not re.findall(r"https?://\S+", (ROOT / lock_file).read_text(encoding="utf-8"))


def test_every_package_of_jupyterlab_is_pinned_to_an_exact_release() -> None:
    package = json.loads((ROOT / "labextension/package.json").read_text(encoding="utf-8"))
    lock = (ROOT / "labextension/yarn.lock").read_text(encoding="utf-8")
    used = set(re.findall(r'^"(@jupyterlab/[^@]+)@', lock, flags=re.MULTILINE))
    assert used <= set(package["resolutions"])
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["resolutions"].values())


def test_the_server_extension_is_switched_on_by_installing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    source = next(key for key, place in shared.items() if place.startswith("etc/jupyter/jupyter_server_config.d"))
    config = json.loads((ROOT / source).read_text(encoding="utf-8"))
    assert config == {"ServerApp": {"jpserver_extensions": {"dlp_lab": True}}}
