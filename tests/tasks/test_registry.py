from __future__ import annotations

import argparse
import inspect
import json
import logging
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from dlp_lab.cli import _parser
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.errors import BadParameters, UnknownTask
from dlp_lab.jobs.handle import submit
from dlp_lab.jobs.task_catalog import task_info, task_infos
from dlp_lab.tasks import all_tasks, run, task_named
from dlp_lab.tasks.gaussian import Gaussian3D
from dlp_lab.tasks.task import RESERVED_PARAMETERS, Task


class Box(msgspec.Struct):
    size: int = 1


def test_an_installed_package_adds_its_task(probe_package: Path) -> None:
    assert list(all_tasks()) == ["3dblur", "segment", "enhance", "probe"]
    assert task_named("probe").title == "Probe"


def test_a_task_of_a_package_is_shown_with_its_schema(probe_package: Path) -> None:
    assert [info.name for info in task_infos()] == ["3dblur", "segment", "enhance", "probe"]
    info = task_info("probe")
    assert info.description == "Notes in a journal when it starts and ends, and meanwhile does what `act` says."
    assert info.params_schema["properties"]["seconds"] == {"type": "number", "default": 0.0}


def test_no_package_replaces_a_built_in_task(probe_package: Path, caplog: pytest.LogCaptureFixture) -> None:
    all_tasks.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert all_tasks()["3dblur"] is Gaussian3D
    assert "task '3dblur' of package dlp-lab-probe is left out: the name is taken" in caplog.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "AttributeError"),
        ("grabby", "TypeError: dlp_lab_probe:Grabby has a parameter with a reserved name: gaps, root"),
        ("recursive", "TypeError: the type Tree of a parameter contains itself"),
    ],
)
def test_a_plug_in_that_cannot_be_offered_is_left_out_with_a_warning_that_names_its_package(
    probe_package: Path, caplog: pytest.LogCaptureFixture, name: str, reason: str
) -> None:
    all_tasks.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert name not in all_tasks()
    assert f"task {name!r} of package dlp-lab-probe is left out: {reason}" in caplog.text


def test_every_flag_and_argument_of_the_doors_is_a_reserved_name() -> None:
    parser = _parser(["run"])
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    (tasks,) = (action for action in commands.choices["run"]._actions if action.choices)
    actions = tasks.choices["3dblur"]._actions
    flags = {action.dest for action in actions if not action.dest.startswith("param_")}
    arguments = {name for function in (submit, run) for name in inspect.signature(function).parameters} - {"params"}
    assert flags | arguments | set(ReadOptions.__struct_fields__) == RESERVED_PARAMETERS


def test_the_schema_of_a_parameter_made_of_parts_has_no_references() -> None:
    class Boxes(Task, frozen=True):
        name: ClassVar[str] = "boxes"
        title: ClassVar[str] = "Boxes"

        first: Box = msgspec.field(default_factory=Box)
        others: tuple[Box, ...] = ()

    schema = Boxes.json_schema()
    box = {"title": "Box", "type": "object", "properties": {"size": {"type": "integer", "default": 1}}, "required": []}
    assert schema["properties"]["others"]["items"] == box
    assert "$" not in json.dumps(schema)


def test_an_unknown_name_is_answered_with_the_known_ones(probe_package: Path) -> None:
    with pytest.raises(UnknownTask, match="no task named 'gausian'; there are: 3dblur, segment, enhance, probe"):
        task_named("gausian")


def test_a_built_in_task_is_found_without_a_look_at_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_may_be_loaded() -> dict[str, type[Task]]:
        raise AssertionError("plug-ins were loaded")

    monkeypatch.setattr("dlp_lab.tasks.all_tasks", none_may_be_loaded)
    assert task_named("3dblur").name == "3dblur"


@pytest.mark.parametrize("given", ["study/series", Path("study/series"), np.zeros((3, 4, 5)), ["a", "b"], None])
@pytest.mark.parametrize("task", ["3dblur", "segment"])
def test_that_a_task_is_run_here_on_volumes_is_said_where_something_else_is_given(task: str, given: Any) -> None:
    with pytest.raises(BadParameters, match=r"on a volume, such as dlp\.read_series\(folder\); dlp\.submit takes"):
        run(task, given)
