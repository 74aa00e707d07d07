from __future__ import annotations

import os
from pathlib import Path

import pytest

from dlp_lab.errors import OutputExists, PathRefused
from dlp_lab.store.workspace import Workspace, published_folder


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    (tmp_path / "root" / "study" / "series").mkdir(parents=True)
    (tmp_path / "root" / "file").touch()
    (tmp_path / "root-sibling").mkdir()
    (tmp_path / "root" / "way out").symlink_to(tmp_path / "root-sibling")
    (tmp_path / "root" / "to series").symlink_to(tmp_path / "root" / "study" / "series")
    return Workspace(tmp_path / "root")


@pytest.mark.parametrize("relative", ["study/series", "study//series/", "./study/series", "to series", "."])
def test_a_folder_inside_the_root_is_found(workspace, relative):
    assert workspace.input_folder(relative).is_relative_to(workspace.root)


@pytest.mark.parametrize(
    "relative",
    [
        *("..", "../root-sibling", "study/../../root-sibling", "../root/study", "study/../../root/study", "/etc"),
        *("way out", "way out/..", "absent", "file", "a\0b", "", "x" * 5000, "x/" * 3000),
    ],
)
def test_what_leaves_the_root_or_is_no_folder_is_refused_without_telling_the_root(workspace, relative):
    with pytest.raises(PathRefused) as caught:
        workspace.input_folder(relative)
    assert str(workspace.root) not in str(caught.value)


def test_the_output_folder_must_be_inside_the_root(tmp_path):
    for output in ("..", "../elsewhere", "/tmp", "", "."):
        with pytest.raises(PathRefused):
            Workspace(tmp_path, output)


def test_a_job_folder_is_named_by_a_uid_and_nothing_else(workspace):
    assert workspace.job_folder("0" * 32) == workspace.output_folder / ("0" * 32)
    for uid in ("../x", "0" * 31, "A" * 32, "0" * 32 + "/.."):
        with pytest.raises(PathRefused):
            workspace.job_folder(uid)


def test_a_path_is_told_relative_to_the_root(workspace):
    assert workspace.relative(workspace.root / "study" / "series") == "study/series"
    with pytest.raises(PathRefused):
        workspace.relative(workspace.root.parent / "root-sibling")


def test_the_root_comes_from_the_environment_of_a_kernel(workspace, monkeypatch):
    monkeypatch.setenv("DLP_LAB_ROOT", str(workspace.root))
    monkeypatch.setenv("DLP_LAB_OUTPUT", "results")
    assert Workspace.from_environment() == Workspace(workspace.root, "results")


def test_folders_are_for_their_owner_alone(workspace):
    workspace.create()
    for folder in (workspace.output_folder, workspace.state_folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_published_folder_is_whole_or_absent(tmp_path):
    with published_folder(tmp_path / "out") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("a")
        assert folder.name.startswith(".")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "sub" / "a").read_text() == "a"
    with pytest.raises(RuntimeError), published_folder(tmp_path / "other") as folder:
        (folder / "a").write_text("a")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["out"]


def test_a_published_folder_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_is_told(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda file: (done.append(Path(os.readlink(f"/proc/self/fd/{file}"))), fsync(file))
    )
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("renamed"), replace(old, new)))
    with published_folder(tmp_path / "out") as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "a").write_text("a")
        (partial / "b").write_text("b")
    before, after = done[: done.index("renamed")], done[done.index("renamed") + 1 :]
    assert set(before) == {partial, partial / "b", partial / "sub", partial / "sub" / "a"}
    assert after == [tmp_path]


def test_a_folder_with_something_in_it_is_never_replaced(tmp_path):
    target: Path = tmp_path / "out"
    target.mkdir()
    (target / "precious").touch()
    with pytest.raises(OutputExists), published_folder(target):
        pytest.fail("nothing is written")
    assert [path.name for path in target.iterdir()] == ["precious"]
