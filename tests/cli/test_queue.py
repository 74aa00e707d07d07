"""The queue, looked after without a server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace
from tests.cli.program import cli
from tests.phantom import write_phantom_series


def test_a_queue_that_cannot_be_worked_with_is_one_sentence(root):
    (root / "dlp-lab-output" / ".dlp-lab" / "jobs.sqlite").mkdir(parents=True)
    done = cli("run", "3dblur", "case", cwd=root)
    assert done.returncode == 2
    assert "\ndlp-lab: the queue's file jobs.sqlite in the output folder cannot be opened" in f"\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_a_queue_is_filled_looked_at_and_emptied_without_a_server(root, probe_package):
    packages = [probe_package]
    submitted = cli("submit", "3dblur", "case", "--sigma-mm", "2", "--priority", "-3", cwd=root)
    assert submitted.returncode == 0, submitted.stderr
    assert "no server works on this queue" in submitted.stderr
    low = submitted.stdout.strip()
    high = cli("submit", "probe", "case", "--act", "bug", cwd=root, packages=packages).stdout.strip()
    listed = json.loads(cli("jobs", "--state", "queued", "--json", cwd=root).stdout)["jobs"]
    assert {job["uid"]: job["position"] for job in listed} == {high: 1, low: 2}
    assert f"{low}  " in cli("jobs", cwd=root).stdout
    for filters, uid in (
        (("--task", "probe", "--about", "CAS", "--after", "2020-01-01"), high),
        (("--task", "3dblur", "--before", "2999-01-01T00:00:00Z"), low),
    ):
        assert [line.split()[0] for line in cli("jobs", *filters, cwd=root).stdout.splitlines()] == [uid]
    assert cli("jobs", "--after", "soon", cwd=root).returncode == 2

    assert cli("cancel", low, cwd=root).stdout == "cancelled before it started\n"
    refused = cli("cancel", low, cwd=root)
    assert (refused.returncode, refused.stderr) == (1, "dlp-lab: the job has already been cancelled\n")
    ran = cli("run", "3dblur", "case", "--priority", "-100", cwd=root, packages=packages)
    assert ran.returncode == 0, ran.stderr  # meanwhile it did what was waiting
    assert "ValueError" in cli("log", "-f", high, cwd=root).stdout
    assert re.search(rf"{high} .*  failed .*\d s  probe  case\n", cli("jobs", cwd=root).stdout)
    retried = cli("retry", high, cwd=root)
    assert retried.stdout == "waiting\n"
    assert "no server works on this queue" in retried.stderr
    assert cli("retry", high, cwd=root).returncode == 1

    result = Path(ran.stdout.strip())
    assert cli("jobs", "prune", "--older-than", "1d", cwd=root).stdout == ""
    would = cli("jobs", "prune", "--older-than", "0m", "--results", "--dry-run", cwd=root)
    assert result.is_dir()
    pruned = cli("jobs", "prune", "--older-than", "0m", "--results", cwd=root)
    assert would.stdout == pruned.stdout != ""
    assert "2 jobs and results removed" in pruned.stderr
    assert not result.exists()
    assert [job["uid"] for job in json.loads(cli("jobs", "--json", cwd=root).stdout)["jobs"]] == [high]


def test_prune_removes_nothing_but_what_was_named(root):
    other = root / "other"
    write_phantom_series(other / "case")
    named, here = (
        cli("submit", "3dblur", folder / "case", "--root", folder, cwd=folder).stdout.strip()
        for folder in (other, root)
    )
    for uid, folder in ((named, other), (here, root)):
        assert cli("cancel", uid, "--root", folder, cwd=root).returncode == 0
    # the root before the word, from a folder that is a root too
    assert cli("jobs", "--root", other, "prune", "--older-than", "0m", cwd=root).stdout.startswith(named)
    refused = cli("jobs", "--state", "failed", "prune", "--older-than", "0m", cwd=root)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    left = {job["uid"] for job in json.loads(cli("jobs", "--json", cwd=root).stdout)["jobs"]}
    assert here in left and named not in left


def test_the_listing_says_nothing_to_the_terminal_but_text(root):
    workspace = Workspace(root)
    workspace.create()
    JobStore(workspace.queue_database).add(JobRequest(task="3dblur", input_dir="a\x1b[2Jb\nc"))
    line, *more = cli("jobs", cwd=root).stdout.splitlines()
    assert line.endswith("  a\\x1b[2Jb\\nc")
    assert not more


@pytest.mark.parametrize(
    "arguments",
    [
        ("--limit", "0"),
        ("--limit", "9" * 30),
        ("prune", "--older-than", "99999999d"),
        ("prune", "--older-than", "9" * 30 + "w"),
        ("prune", "--older-than", "9" * 5000 + "w"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(root, arguments):
    assert cli("submit", "3dblur", "case", cwd=root).returncode == 0
    refused = cli("jobs", *arguments, cwd=root)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jobs",), "there is no queue"),
        (("log", "x"), "there is no queue"),
        (("submit", "3dblur", "case", "--priority", "101"), "priority"),
        (("submit", "3dblur", "nowhere"), "does not exist"),
    ],
)
def test_what_the_queue_cannot_do_is_one_sentence(root, arguments, said):
    refused = cli(*arguments, cwd=root)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
