from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dlp_lab.errors import UnknownTask
from dlp_lab.jobs.task_catalog import task_info, task_infos
from dlp_lab.tasks import all_tasks, task_named
from dlp_lab.tasks.gaussian import Gaussian3D


def test_an_installed_package_adds_its_task(probe_package: Path) -> None:
    assert list(all_tasks()) == ["3dblur", "probe"]
    assert task_named("probe").title == "Probe"


def test_a_task_of_a_package_is_shown_with_its_schema(probe_package: Path) -> None:
    assert [info.name for info in task_infos()] == ["3dblur", "probe"]
    info = task_info("probe")
    assert info.description == "Notes in a journal when it starts and ends, and meanwhile does what `act` says."
    assert info.params_schema["properties"]["seconds"] == {"type": "number", "default": 0.0}


def test_no_package_replaces_a_built_in_task(probe_package: Path, caplog: pytest.LogCaptureFixture) -> None:
    all_tasks.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert task_named("3dblur") is Gaussian3D
    assert "task '3dblur' of package dlp-lab-probe is left out: the name is taken" in caplog.text


def test_a_broken_plug_in_is_left_out_with_a_warning_that_names_its_package(
    probe_package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    all_tasks.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert "broken" not in all_tasks()
    assert "task 'broken' of package dlp-lab-probe is left out: AttributeError" in caplog.text


def test_an_unknown_name_is_answered_with_the_known_ones(probe_package: Path) -> None:
    with pytest.raises(UnknownTask, match="no task named 'gausian'; there are: 3dblur, probe"):
        task_named("gausian")
