"""A folder that was looked through is not looked through again, unless anything of it has changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dlp_lab.errors import DlpError
from dlp_lab.jobs import submission
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.known_folders import KnownFolders
from dlp_lab.store.workspace import Workspace

Submit = Callable[..., JobRequest]


@pytest.fixture
def looked_through(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose headers were read, in order."""
    folders: list[Path] = []
    find_series = submission.find_series

    def noting(folder: Path, *arguments: object) -> object:
        folders.append(folder)
        return find_series(folder, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(submission, "find_series", noting)
    return folders


@pytest.fixture
def submit(workspace: Workspace) -> Submit:
    known = KnownFolders()

    def check(**fields: object) -> JobRequest:
        request = {"task": "3dblur", "input_dir": "dicom_data", **fields}
        return submission.checked_request(workspace, JobRequest(**request), known)  # type: ignore[arg-type]

    return check


def slices(workspace: Workspace) -> list[Path]:
    return sorted((workspace.root / "dicom_data").iterdir())


def test_other_parameters_of_the_same_folder_are_taken_without_reading_it(
    submit: Submit, looked_through: list[Path]
) -> None:
    first = submit(params={"sigma_mm": 1})
    second = submit(params={"sigma_mm": 2})
    assert len(looked_through) == 1
    assert (first.params["sigma_mm"], second.params["sigma_mm"]) == (1, 2)


def test_parameters_are_checked_against_the_grid_of_a_known_folder(submit: Submit, looked_through: list[Path]) -> None:
    submit()
    with pytest.raises(DlpError, match="sigma_mm"):
        submit(params={"sigma_mm": -1})
    assert len(looked_through) == 1


def test_another_way_of_reading_or_writing_is_looked_through_by_itself(
    submit: Submit, looked_through: list[Path]
) -> None:
    submit()
    submit(output_form="multiframe")
    assert len(looked_through) == 2


@pytest.mark.parametrize("change", ["less", "more", "other", "renamed"])
def test_a_folder_that_has_changed_is_looked_through_again(
    submit: Submit, workspace: Workspace, looked_through: list[Path], change: str
) -> None:
    note = workspace.root / "dicom_data" / "a note.txt"
    note.write_text("no slice")
    submit()
    first = slices(workspace)[1]
    if change == "less":
        note.unlink()
    elif change == "more":
        (first.parent / "another note.txt").write_text("no slice")
    elif change == "other":
        copy = first.with_name("copy")
        shutil.copyfile(first, copy)
        os.replace(copy, first)
    else:
        first.rename(first.with_name("zzz"))
    submit()
    assert len(looked_through) == 2


def test_a_slice_damaged_in_its_place_is_refused_though_its_size_and_time_are_as_before(
    submit: Submit, workspace: Workspace
) -> None:
    submit()
    middle = slices(workspace)[3]
    before = middle.stat()
    middle.write_bytes(b"x" * before.st_size)
    os.utime(middle, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DlpError):
        submit()


def test_what_was_refused_is_looked_through_again(
    submit: Submit, workspace: Workspace, looked_through: list[Path]
) -> None:
    middle = slices(workspace)[3]
    kept = middle.with_name(".kept")
    middle.rename(kept)
    for _ in range(2):
        with pytest.raises(DlpError, match="missing"):
            submit()
    kept.rename(middle)
    submit()
    assert len(looked_through) == 3
