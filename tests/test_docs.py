"""What the documents show, works."""

from __future__ import annotations

import argparse
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlp_lab import cli, errors
from dlp_lab.dicom import bounded_file, codestream, encoded_groups, frames, functional_groups, slice_checks
from dlp_lab.store import hdf5_guard
from dlp_lab.tasks.task import Task, no_report
from dlp_lab.volume import Volume
from tests.test_geometry import oblique_geometry
from tools import transcript

ROOT = Path(__file__).parent.parent


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)


def test_the_task_in_the_documents_is_a_task():
    names: dict[str, type[Task]] = {}
    exec(compile(blocks("docs/tasks.md", "python")[0], "docs/tasks.md", "exec", dont_inherit=True), names)
    volume = Volume(np.arange(-100, 110, dtype=np.int16).reshape(7, 5, 6), oblique_geometry())
    result = names["Clip"].from_params({"least": 0}).run(volume, no_report)
    assert (result.volume.voxels.min(), result.volume.voxels.max()) == (0, 109)
    entry_points = tomllib.loads(blocks("docs/tasks.md", "toml")[0])["project"]["entry-points"]
    assert list(entry_points) == ["dlp_lab.tasks"]


def test_the_programs_that_read_the_format_read_it(tmp_path, monkeypatch, capsys):
    shutil.copy(ROOT / "tests/golden/format-2.h5", tmp_path / "brain.h5")
    monkeypatch.chdir(tmp_path)
    image, headers = blocks("docs/format.md", "python")
    names: dict[str, Any] = {}
    exec(compile(image, "docs/format.md", "exec", dont_inherit=True), names)
    assert names["middle"].shape == (5, 6)
    exec(compile(headers, "docs/format.md", "exec", dont_inherit=True), {})
    assert "PHANTOM-1" in capsys.readouterr().out


def test_every_link_between_the_documents_leads_somewhere():
    for document in ("README.md", "CONTRIBUTING.md", *(path.name for path in ROOT.glob("docs/*.md"))):
        path = ROOT / document if (ROOT / document).exists() else ROOT / "docs" / document
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert target.startswith("https://") or (path.parent / target).exists(), (document, target)


def test_every_command_of_make_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        for command in re.findall(r"`make ([a-z-]+)", (ROOT / document).read_text()):
            assert command in targets


def test_the_page_on_input_has_every_code_and_every_limit():
    page = (ROOT / "docs/input.md").read_text()
    raised = {error.code for error in vars(errors).values() if _is_refusal(error)}
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", page, flags=re.MULTILINE)) == raised
    for limit, factor, unit in (
        (slice_checks.MAX_SLICE_BYTES, 2**20, " MiB"),
        (slice_checks.MAX_SERIES_BYTES, 2**30, " GiB"),
        (bounded_file.MAX_HEADER_BYTES, 2**20, " MiB"),
        (codestream.MAX_TILES, 1, " tiles"),
        (codestream.MAX_SCANS, 1, " scans"),
        (functional_groups.MAX_UNFAMILIAR_BYTES, 2**20, " MiB"),
        (hdf5_guard.MAX_BYTES, 2**30, " GiB"),
        (hdf5_guard.MAX_EXPANSION, 1, " times"),
    ):
        assert f"{limit // factor}{unit}" in page
    for count, unit in (
        (bounded_file.MAX_HEADER_READS // 2, "elements"),
        (encoded_groups.MAX_STEPS, "elements"),
        (frames.MAX_FRAMES, "frames"),
    ):
        assert f"{count:,} {unit}".replace(",", " ") in page


def test_the_page_on_the_command_line_has_every_command_and_every_code():
    page = (ROOT / "docs/cli.md").read_text()
    (commands,) = (action for action in cli._parser([])._actions if isinstance(action, argparse._SubParsersAction))
    listed = re.findall(r"^\| (`.*?) \| ", page, flags=re.MULTILINE)
    named = {name for row in listed for name in re.findall(r"`([a-z0-9-]+)", row)}
    assert named - {"list", "show", "remove"} == set(commands.choices)  # these are of `model`
    of_input = "any of the refusals of DICOM input; [input.md](input.md) has their codes"
    expected = {
        f"| `{error.code}` | {error.http_status} | {error.exit_status} |"
        f" {of_input if error is errors.DicomError else (error.__doc__ or '').splitlines()[0]} |"
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.DlpError)
        if error not in (errors.DlpError, errors.RequestRefused) and not _is_refusal(error)
    }
    assert set(re.findall(r"^\| `[A-Z0-9_]+` \|.*$", page, flags=re.MULTILINE)) == expected


def _is_refusal(error: object) -> bool:
    return isinstance(error, type) and issubclass(error, errors.DicomError) and error is not errors.DicomError


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_transcript_of_every_status_code_gets_the_codes_it_expects(capsys: pytest.CaptureFixture[str]) -> None:
    assert transcript.main() == 0, capsys.readouterr().out
