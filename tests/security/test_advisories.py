"""The page on security says what is true: floors are asked for and installed, and every guard has its test."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import h5py
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
FLOORS = re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \| (CVE[^|]+) \|", PAGE, flags=re.MULTILINE)


def asked() -> dict[str, SpecifierSet]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(text) for text in project["dependencies"]]
    return {
        "python": SpecifierSet(project["requires-python"]),
        **{requirement.name: requirement.specifier for requirement in requirements},
    }


def least(specifiers: SpecifierSet) -> Version:
    return max(Version(part.version) for part in specifiers if part.operator in (">=", "==", "~="))


def test_the_table_has_all_rows() -> None:
    assert [name for name, _, _ in FLOORS] == ["jupyter_server", "tornado", "pydicom", "h5py", "python"]


@pytest.mark.parametrize(("name", "floor", "advisories"), FLOORS)
def test_no_version_with_a_known_fault_can_be_installed_or_is(name: str, floor: str, advisories: str) -> None:
    assert least(asked()[name]) >= Version(floor), advisories
    installed = ".".join(map(str, sys.version_info[:3])) if name == "python" else version(name)
    assert Version(installed) >= Version(floor), advisories


def test_the_hdf5_library_is_one_without_the_overflow() -> None:
    assert h5py.version.hdf5_version_tuple > (1, 14, 4)


def test_every_guard_on_the_page_names_a_test_that_exists_and_every_security_test_is_named() -> None:
    guards = PAGE.partition("## What is guarded")[2].partition("## What is not guarded")[0]
    rows = [line for line in guards.splitlines() if line.startswith("| ") and not line.startswith("| risk")]
    named = [re.findall(r"`(tests/[\w/]+\.py)` \|$", row) for row in rows]
    assert len(rows) > 15
    assert all(len(tests) == 1 for tests in named)
    files = {tests[0] for tests in named}
    assert all((ROOT / file).is_file() for file in files)
    own = {path.relative_to(ROOT).as_posix() for path in Path(__file__).parent.glob("test_*.py")}
    assert own <= files
