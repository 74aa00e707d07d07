"""Names of files and folders are names to the programs that are called, never options, commands or lines."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import RLELossless

import dlp_lab as dlp
from dlp_lab.cli import main
from tests.phantom import write_phantom_series
from tests.security.test_source import PACKAGE

HOSTILE = ("-o", "--help", "$(touch pwned)", "`touch pwned`", "; touch pwned", "line\nbreak", "| touch pwned", "%s%n")
CALLERS = {"cohort/forked_kernel.py", "conformance/programs.py", "jobs/isolated_decoder.py"}


def test_three_modules_alone_start_programs() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if "subprocess" in names or (isinstance(node, ast.ImportFrom) and node.module in ("subprocess", "asyncio")):
                found.add(path.relative_to(PACKAGE).as_posix())
            if isinstance(node, ast.Attribute) and node.attr.startswith(("spawn", "execv", "posix_spawn")):
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == CALLERS


def test_the_checkers_get_lists_of_absolute_paths_and_do_nothing_that_a_name_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[Sequence[object]] = []
    run = subprocess.run

    def recording(command: Any, **options: Any) -> Any:
        commands.append(command)
        assert not options.get("shell")
        return run(command, **options)

    source = write_phantom_series(tmp_path / "-v", shape=(len(HOSTILE), 5, 6))
    for path, name in zip(source.files, HOSTILE, strict=True):
        path.rename(path.with_name(name))
    monkeypatch.chdir(tmp_path / "-v")
    assert main(["run", "3dblur", ".", "--root", ".."]) == 0
    result = capsys.readouterr().out.strip()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(subprocess, "run", recording)
    main(["check", ".", result])
    printed = capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    assert {Path(str(command[0])).name for command in commands} >= {"dciodvfy", "dcentvfy", "dcm2niix"}
    own_options = {"-b", "-z", "-m", "-f", "-o"}
    for command in commands:
        arguments = [str(part) for part in command[1:]]
        starts_dash = {part for part in arguments if part.startswith("-")}
        assert starts_dash <= (own_options if Path(str(command[0])).name == "dcm2niix" else set())
        assert any(part.startswith("/") for part in arguments)
    assert "line\\nbreak" in printed or "line\nbreak" not in printed


def test_the_decoder_reads_files_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_phantom_series(tmp_path / "--help", shape=(len(HOSTILE), 5, 6), transfer_syntax=RLELossless)
    for path, name in zip(source.files, HOSTILE, strict=True):
        path.rename(path.with_name(name))
    monkeypatch.chdir(tmp_path)
    assert (dlp.read_series("--help").voxels == source.values).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["--help"]
