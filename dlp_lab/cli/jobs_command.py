"""`dlp-lab jobs`, `log`, `cancel`, `retry`: the queue of a root, from the command line.

None of them starts a job: that is for the process that serves the queue, or for `dlp-lab run`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from dlp_lab.duration import duration_text
from dlp_lab.errors import JobNotEnded, MalformedRequest, NoSuchJob, QueueUnusable, printable, printable_lines

if TYPE_CHECKING:
    from dlp_lab.jobs.service import JobService  # loads numpy

_LISTED = 50
_MOST_LISTED = 1_000_000
_POLL_SECONDS = 0.3
_LONGEST_AGE = 9
_OF_THE_LISTING = ("state", "task", "group", "about", "after", "before", "json")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_root(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    parser.add_argument(
        "--root",
        default=default,
        help="folder that holds input and output (default: $DLP_LAB_ROOT, or the current folder)",
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """`dlp-lab jobs` and `dlp-lab jobs prune`."""
    add_root(parser)
    parser.add_argument("--state", action="append", default=[], help="only jobs in this state; may be repeated")
    parser.add_argument("--task", help="only jobs of this task")
    parser.add_argument("--group", help="only jobs of this group, such as a cohort")
    parser.add_argument(
        "--about", metavar="WORDS", help="only jobs with each word in the name of the folder, the task or the group"
    )
    parser.add_argument("--after", metavar="WHEN", help="only jobs submitted later, such as 2026-11-28T14:30:00Z")
    parser.add_argument("--before", metavar="WHEN", help="only jobs submitted earlier")
    parser.add_argument("--limit", type=int, help=f"how many at most (default: {_LISTED})")
    parser.add_argument("--json", action="store_true", help="as JSON, with all that is known of each")
    parser.set_defaults(command=_list_jobs)
    prune = parser.add_subparsers(metavar="").add_parser(
        "prune", help="forget jobs that ended long ago", description="Forget jobs that ended long ago."
    )
    add_root(prune, argparse.SUPPRESS)  # a default would win over the root that is named before the word
    prune.add_argument(
        "--older-than", required=True, metavar="AGE", help="how long ago they ended at least, such as 90m, 12h, 30d, 8w"
    )
    prune.add_argument("--results", action="store_true", help="also delete their results")
    prune.add_argument("--dry-run", action="store_true", help="only say which")
    prune.set_defaults(command=_prune)


def add_log(parser: argparse.ArgumentParser) -> None:
    _add_uid(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    parser.set_defaults(command=_print_log)


def add_cancel(parser: argparse.ArgumentParser) -> None:
    _add_uid(parser)
    parser.set_defaults(command=_cancel)


def add_retry(parser: argparse.ArgumentParser) -> None:
    _add_uid(parser)
    parser.set_defaults(command=_retry)


def _add_uid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uid", metavar="UID", help="the job's uid; `dlp-lab jobs` lists them")
    add_root(parser)


def _queue(arguments: argparse.Namespace) -> JobService:
    from dlp_lab.jobs.service import JobService
    from dlp_lab.store.workspace import Workspace

    workspace = Workspace.from_environment(arguments.root)
    if not workspace.queue_database.exists():
        raise QueueUnusable(
            f"there is no queue in {workspace.output!r} of this root; give the root of the jobs (--root), or submit one"
        )
    return JobService(workspace, dispatch=False)


def tell_if_nobody_works(jobs: JobService) -> None:
    """A job that is put in the queue waits for ever where nobody serves it."""
    if not jobs.has_dispatcher():
        print("no server works on this queue now; the job starts when one does (dlp-lab serve)", file=sys.stderr)


def _cancel(arguments: argparse.Namespace) -> int:
    print(_queue(arguments).cancel(arguments.uid).message)
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    jobs = _queue(arguments)
    print(jobs.retry(arguments.uid).message)
    tell_if_nobody_works(jobs)
    return 0


def _list_jobs(arguments: argparse.Namespace) -> int:
    from dlp_lab.jobs.job_filter import job_filter

    wanted = job_filter(
        states=arguments.state,
        task=arguments.task,
        group=arguments.group,
        about=arguments.about,
        submitted_after=arguments.after,
        submitted_before=arguments.before,
    )
    limit = _LISTED if arguments.limit is None else arguments.limit
    if not 1 <= limit <= _MOST_LISTED:
        raise MalformedRequest(f"--limit is a number from 1 to {_MOST_LISTED}; got {limit}")
    listed = _queue(arguments).newest(limit, wanted)
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(listed), indent=2))  # which escapes what a terminal would obey
        return 0
    for job in listed.jobs:
        place = f"{round(100 * job.progress)} %" if job.position is None else f"next {job.position}"
        took = "" if job.elapsed_seconds is None else duration_text(job.elapsed_seconds)
        print(
            f"{job.uid}  {job.submitted_at[:19]}  {job.state:<9}  {place:>8}  {took:>12}  "
            f"{job.task}  {printable(job.input_dir)}"
        )
        if job.seconds_left is not None:
            print(f"    {printable(job.message)}, about {duration_text(job.seconds_left)} left")
        elif job.state in ("failed", "running"):
            print(f"    {printable(job.message)}")
    if listed.older:
        print(f"and {listed.older} older ones; --limit lists more")
    return 0


def _print_log(arguments: argparse.Namespace) -> int:
    jobs = _queue(arguments)
    offset = 0
    while True:
        ended = jobs.get(arguments.uid).ended  # asked before the log is read, which is then all there
        part = jobs.log_part(arguments.uid, offset)
        sys.stdout.write(printable_lines(part.text))
        sys.stdout.flush()
        if part.next_offset == offset:
            if ended or not arguments.follow:
                return 0
            time.sleep(_POLL_SECONDS)
        offset = part.next_offset


def _prune(arguments: argparse.Namespace) -> int:
    if arguments.limit is not None or any(getattr(arguments, name) for name in _OF_THE_LISTING):
        # not passed over in silence: who asks for the failed ones must not lose the others
        raise MalformedRequest(
            "the filters, --limit and --json are of the listing; prune takes all jobs that are old enough"
        )
    jobs = _queue(arguments)
    removed = 0
    for job in jobs.ended_before(_moment(arguments.older_than)):
        if not arguments.dry_run:
            try:
                jobs.remove(job.uid, with_result=arguments.results)
            except (NoSuchJob, JobNotEnded):
                continue  # meanwhile someone else removed it, or tries it again
        removed += 1
        print(f"{job.uid}  {job.ended_at}  {job.state}")
    what = "and results " if arguments.results else ""
    print(f"{removed} jobs {what}{'would be ' if arguments.dry_run else ''}removed", file=sys.stderr)
    return 0


def _moment(age: str) -> datetime:
    """So long ago."""
    number, unit = age[:-1], age[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdecimal()) or len(number) > _LONGEST_AGE:
        raise MalformedRequest(f"an age is a number and m, h, d or w, such as 30d; got {age[:20]!r}")
    try:
        return datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(number)})
    except OverflowError:
        raise MalformedRequest(f"no job is {age} old; an age is such as 30d") from None
