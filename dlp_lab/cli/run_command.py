"""`dlp-lab run TASK`, `dlp-lab submit TASK` and `dlp-lab tasks`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from dlp_lab.cli.jobs_command import add_root, tell_if_nobody_works
from dlp_lab.cli.series_command import add_output_form, add_read_options, read_options_of
from dlp_lab.errors import UnknownTask, printable
from dlp_lab.typed_value import typed_value

Command = Callable[[argparse.Namespace], int]


def add_tasks(run: argparse.ArgumentParser, command: Command, asked: str) -> None:
    """One subcommand for each task, with a flag for each parameter, made from the task's JSON Schema.

    Args:
        run: Gets them.
        command: What is done.
        asked: What stands in the place of the task; where it is one that is there, the others are not looked up.
    """
    from dlp_lab.tasks import all_tasks, task_named

    tasks = run.add_subparsers(metavar="TASK", required=True)
    try:
        offered = [task_named(asked)]
    except UnknownTask:
        offered = list(all_tasks().values())
    for task in offered:
        parser = tasks.add_parser(task.name, help=task.title, description=task.title)
        parser.add_argument("input_dir", metavar="DIR", help="folder with the DICOM files of one series")
        add_root(parser)
        add_read_options(parser)
        parser.add_argument("--keep-hdf5", action="store_true", help="also keep source and result as HDF5 + JSON")
        parser.add_argument(
            "--priority", type=int, default=0, help="-100 to 100; jobs of a higher one start first (default: 0)"
        )
        add_output_form(parser)
        parameters = parser.add_argument_group("parameters of the task")
        for name, schema in task.json_schema()["properties"].items():
            is_object = schema.get("type") == "object"
            parameters.add_argument(
                f"--{name.replace('_', '-')}",
                dest=f"param_{name}",
                metavar="NAME=VALUE" if is_object else _metavar(schema),
                type=_pairs if is_object else typed_value,
                action=_Together if is_object else "store",
                default=argparse.SUPPRESS,
                help=f"{schema.get('description', '')} (default: {schema.get('default')})".replace("%", "%%"),
            )
        parser.set_defaults(command=command, task=task.name)


def _metavar(schema: dict[str, Any]) -> str:
    choices = schema.get("enum")
    return "{" + ",".join(map(str, choices)) + "}" if choices else str(schema.get("unit", "VALUE")).upper()


class _Together(argparse.Action):
    """Pairs of a flag that is repeated, in one object."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, {**getattr(namespace, self.dest, {}), **values})


def _pairs(text: str) -> dict[str, Any]:
    """A flag's value as an object: JSON, or NAME=VALUE."""
    value = typed_value(text)
    if isinstance(value, dict):
        return value
    name, separator, part = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"give NAME=VALUE, or an object of JSON; got {text!r}")
    return {name: part}


def run_and_wait(arguments: argparse.Namespace) -> int:
    from dlp_lab.dicom.quick_start import load_pydicom
    from dlp_lab.jobs.handle import submit

    load_pydicom()
    job = submit(root=arguments.root, **_asked(arguments))
    try:
        job.wait(progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        job.cancel()
        raise
    for warning in job.job.warnings:
        print(printable(f"warning: {warning}"), file=sys.stderr)
    print(job.output_path)
    return 0


def submit_only(arguments: argparse.Namespace) -> int:
    from dlp_lab.dicom.quick_start import load_pydicom
    from dlp_lab.jobs.handle import job_request
    from dlp_lab.jobs.service import JobService
    from dlp_lab.store.workspace import Workspace

    load_pydicom()
    workspace = Workspace.from_environment(arguments.root)
    jobs = JobService(workspace, dispatch=False)
    job = jobs.submit(job_request(workspace, **_asked(arguments)))
    print(job.uid)
    tell_if_nobody_works(jobs)
    return 0


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    prefix = "param_"
    params = {name.removeprefix(prefix): value for name, value in vars(arguments).items() if name.startswith(prefix)}
    return {
        "task": arguments.task,
        "input_dir": arguments.input_dir,
        "keep_hdf5": arguments.keep_hdf5,
        "read": read_options_of(arguments),
        "priority": arguments.priority,
        "output_form": arguments.output_form,
        **params,
    }


def list_tasks(arguments: argparse.Namespace) -> int:
    from dlp_lab.tasks import all_tasks

    if arguments.json:
        print(json.dumps({name: task.json_schema() for name, task in all_tasks().items()}, indent=2))
        return 0
    for name, task in all_tasks().items():
        print(f"{name}: {task.title}")
        for parameter, schema in task.json_schema()["properties"].items():
            print(f"  {parameter} = {schema.get('default')}: {schema.get('description', '')}")
    return 0
