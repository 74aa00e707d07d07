"""The command line: `dlp-lab`, and the two scripts `dicom_to_hd5` and `hd5_to_dicom`.

Exit status: 0 done; 1 failed, or `check` found something; 2 refused, the message says why; 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence

from dlp_lab import __version__
from dlp_lab.cli.check_command import CHECK, add_check
from dlp_lab.cli.cohort_command import COHORT, add_cohort
from dlp_lab.cli.convert_command import TO_DICOM, TO_HDF5, add_dicom_to_hdf5, add_hdf5_to_dicom
from dlp_lab.cli.jobs_command import add_cancel, add_jobs, add_log, add_retry
from dlp_lab.cli.model_command import MODEL, add_model_commands
from dlp_lab.cli.run_command import add_tasks, list_tasks, run_and_wait, submit_only
from dlp_lab.cli.series_command import add_read_options, list_series_of
from dlp_lab.errors import DlpError, printable
from dlp_lab.left_out import left_out

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `dlp-lab`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        return _serve(arguments[1:])
    return _run(_parser(arguments), arguments)


def dicom_to_hd5() -> int:
    """Entry point of the script `dicom_to_hd5`."""
    parser = argparse.ArgumentParser(prog="dicom_to_hd5", add_help=False, description=TO_HDF5)
    add_dicom_to_hdf5(parser)
    return _run(parser, sys.argv[1:])


def hd5_to_dicom() -> int:
    """Entry point of the script `hd5_to_dicom`."""
    parser = argparse.ArgumentParser(prog="hd5_to_dicom", add_help=False, description=TO_DICOM)
    add_hdf5_to_dicom(parser)
    return _run(parser, sys.argv[1:])


def _serve(options: Sequence[str]) -> int:
    try:
        # its options are traitlets of the server, which parse themselves
        # It checks internationalised addresses, of which there are none here, and takes a second to make its grammar.
        with left_out("rfc3987_syntax"):
            from dlp_lab.server.standalone import serve

        return serve(list(options))
    except KeyboardInterrupt:  # before the server was there to take it
        print("dlp-lab serve: interrupted", file=sys.stderr)
        return 130


def _run(parser: argparse.ArgumentParser, argv: Sequence[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of folders are in any script, and terminals are not
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = parser.parse_args(argv)
    command: Callable[[Arguments], int] = arguments.command
    try:
        return command(arguments)
    except DlpError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # whoever read the output has had enough, as `head` does; nothing may be flushed to it at the end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UnicodeEncodeError as error:
        print(f"{parser.prog}: {error.object[:100]!a} is no text in UTF-8; write it otherwise", file=sys.stderr)
        return 2
    except OSError as error:
        print(printable(f"{parser.prog}: {error.filename or 'a file'}: {error.strerror or error}"), file=sys.stderr)
        return 1
    except sqlite3.Error as error:
        print(f"{parser.prog}: the queue: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlp-lab", description="Medical-image processing: a folder of DICOM in, derived DICOM out."
    )
    parser.add_argument("--version", action="version", version=f"dlp-lab {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    for name, command, about in (
        ("run", run_and_wait, "run a task on a folder of DICOM, and wait for the result"),
        ("submit", submit_only, "put such a job in the queue, for the server of the root to run"),
    ):
        door = commands.add_parser(name, help=about)
        # the tasks are looked up, and plug-ins loaded, only when one is to be run
        if argv[:1] == [name]:
            add_tasks(door, command, "".join(argv[1:2]))
    add_cohort(commands.add_parser("cohort", help=COHORT))
    add_jobs(commands.add_parser("jobs", help="list the jobs of a root; `jobs prune` forgets old ones"))
    add_log(commands.add_parser("log", help="print what a job printed"))
    add_cancel(commands.add_parser("cancel", help="cancel a job"))
    add_retry(commands.add_parser("retry", help="put a job that failed or was cancelled in the queue again"))

    tasks = commands.add_parser("tasks", help="list the tasks and their parameters")
    tasks.add_argument("--json", action="store_true", help="as JSON, with the JSON Schema of the parameters")
    tasks.set_defaults(command=list_tasks)

    series = commands.add_parser("series", help="list the series in a folder, with a verdict for each")
    series.add_argument("input_dir", metavar="DIR", help="folder with DICOM files")
    add_read_options(series)
    series.add_argument("--json", action="store_true", help="as JSON, with the part of every file")
    series.set_defaults(command=list_series_of)

    commands.add_parser("serve", help="start the stand-alone web backend (dlp-lab serve --help)", add_help=False)
    add_dicom_to_hdf5(commands.add_parser("dicom-to-hdf5", add_help=False, help=TO_HDF5, description=TO_HDF5))
    add_hdf5_to_dicom(commands.add_parser("hdf5-to-dicom", add_help=False, help=TO_DICOM, description=TO_DICOM))
    add_model_commands(commands.add_parser("model", help=MODEL, description=MODEL))
    add_check(commands.add_parser("check", help=CHECK, description=CHECK))
    return parser
