"""`dlp-lab cohort run`: a task on many cases, each a job, and one table of them all."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from dlp_lab.cli.jobs_command import add_root
from dlp_lab.cli.series_command import add_output_form, add_read_options, read_options_of
from dlp_lab.errors import BadParameters, printable

COHORT = "run a task on many cases, and make one table of them all"


def add_cohort(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    run = commands.add_parser("run", help="run the cases that are new, changed or not done", description=COHORT)
    run.add_argument("cases", metavar="TABLE_OR_FOLDER", help="a CSV table, or a tree of folders with series")
    run.add_argument("--task", required=True, help="name of the task")
    run.add_argument("--params", nargs="*", default=[], metavar="NAME=VALUE", help="parameters for all cases")
    run.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder of the cohort, inside the root: a new one, or that of a run to go on with",
    )
    run.add_argument("--notebook", metavar="FILE", help="executed for each case as its report; see docs/cohort.md")
    run.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    run.add_argument("--retry-failed", action="store_true", help="also run cases that failed and have not changed")
    run.add_argument("--executor", choices=("local", "dask"), help="where jobs run (default: $DLP_LAB_EXECUTOR)")
    run.add_argument("--in-flight", type=int, metavar="N", help="jobs in the queue at once (default: 64)")
    run.add_argument("--report-slots", type=int, metavar="N", help="notebooks at once (default: half the processors)")
    run.add_argument("--keep-hdf5", action="store_true", help="also keep source and result as HDF5 + JSON")
    run.add_argument("--priority", type=int, default=0, help="-100 to 100; jobs of a higher one start first")
    add_root(run)
    add_read_options(run)
    add_output_form(run)
    run.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from dlp_lab.cohort.door import run_cohort

    if arguments.dry_run:
        return _tell_plan(arguments)
    cohort = run_cohort(
        arguments.cases,
        arguments.task,
        out=arguments.out,
        params=_params(arguments),
        notebook=arguments.notebook,
        retry_failed=arguments.retry_failed,
        executor=arguments.executor,
        in_flight=arguments.in_flight,
        report_slots=arguments.report_slots,
        progress=sys.stderr.isatty(),
        root=arguments.root,
        **_options(arguments),
    )
    for record in cohort.failed:
        why = record.report_error or f"{record.error_code or record.state}: {record.message}"
        print(printable(f"{record.case_id}: {why}"), file=sys.stderr)
    print(cohort, file=sys.stderr)
    print(cohort.summary)
    return 1 if cohort.failed else 0


def _tell_plan(arguments: argparse.Namespace) -> int:
    from dlp_lab.cohort.door import cohort_request, plan_cohort
    from dlp_lab.store.workspace import Workspace

    workspace = Workspace.from_environment(arguments.root)
    request = cohort_request(workspace, arguments.task, _params(arguments), **_options(arguments))
    words = {"job": "run", "report": "report only", "nothing": "as before"}
    counts = dict.fromkeys((*words, "refused"), 0)
    for plan, refusal in plan_cohort(
        *(arguments.cases, request, workspace, arguments.out, arguments.notebook), retry_failed=arguments.retry_failed
    ):
        counts["refused" if refusal else plan.work] += 1
        series = f"  series {plan.case.series}" if plan.case.series else ""
        what = "refused" if refusal else words[plan.work]
        print(printable(f"{plan.case.case_id}  {what:<11}  {plan.case.input_dir}{series}"))
        if refusal:
            print(printable(f"    {refusal}"))
    print(
        f"would run {counts['job']}, make {counts['report']} reports alone, leave {counts['nothing']} as before; "
        f"{counts['refused']} would be refused",
        file=sys.stderr,
    )
    return 0


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "read": read_options_of(arguments),
        "keep_hdf5": arguments.keep_hdf5,
        "priority": arguments.priority,
        "output_form": arguments.output_form,
    }


def _params(arguments: argparse.Namespace) -> dict[str, Any]:
    from dlp_lab.cohort.case_table import parameter_value
    from dlp_lab.tasks import task_named

    task = task_named(arguments.task)
    params = {}
    for pair in arguments.params:
        name, sign, value = pair.partition("=")
        if not sign:
            raise BadParameters(f"a parameter is given as NAME=VALUE, such as sigma_mm=2; got {pair[:100]!r}")
        name = name.replace("-", "_")
        params[name] = parameter_value(value, task, name)
    return params
