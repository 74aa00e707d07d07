"""The command line: `dlp-lab`, and the two scripts `dicom_to_hd5` and `hd5_to_dicom`.

Exit status: 0 done; 1 failed, or `check` found something; 2 refused, the message says why; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlp_lab import __version__
from dlp_lab.errors import DlpError

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `dlp-lab`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        return _serve(arguments[1:])
    return _run(_parser(arguments), arguments)


def dicom_to_hd5() -> int:
    """Entry point of the script `dicom_to_hd5`."""
    parser = argparse.ArgumentParser(prog="dicom_to_hd5", add_help=False, description=_TO_HDF5)
    _add_dicom_to_hdf5(parser)
    return _run(parser, sys.argv[1:])


def hd5_to_dicom() -> int:
    """Entry point of the script `hd5_to_dicom`."""
    parser = argparse.ArgumentParser(prog="hd5_to_dicom", add_help=False, description=_TO_DICOM)
    _add_hdf5_to_dicom(parser)
    return _run(parser, sys.argv[1:])


def _serve(options: Sequence[str]) -> int:
    try:
        # its options are traitlets of the server, which parse themselves
        from dlp_lab.server.standalone import serve

        return serve(list(options))
    except KeyboardInterrupt:  # before the server was there to take it
        print("dlp-lab serve: interrupted", file=sys.stderr)
        return 130


def _run(parser: argparse.ArgumentParser, argv: Sequence[str]) -> int:
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
    except OSError as error:
        print(f"{parser.prog}: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
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

    run = commands.add_parser("run", help="run a task on a folder of DICOM, and wait for the result")
    # the tasks are looked up, and plug-ins loaded, only when one is to be run
    if argv[:1] == ["run"]:
        _add_tasks(run)

    tasks = commands.add_parser("tasks", help="list the tasks and their parameters")
    tasks.add_argument("--json", action="store_true", help="as JSON, with the JSON Schema of the parameters")
    tasks.set_defaults(command=_tasks)

    series = commands.add_parser("series", help="list the series in a folder, with a verdict for each")
    series.add_argument("input_dir", metavar="DIR", help="folder with DICOM files")
    _add_read_options(series)
    series.add_argument("--json", action="store_true", help="as JSON, with the part of every file")
    series.set_defaults(command=_series)

    commands.add_parser("serve", help="start the stand-alone web backend (dlp-lab serve --help)", add_help=False)
    _add_dicom_to_hdf5(commands.add_parser("dicom-to-hdf5", add_help=False, help=_TO_HDF5, description=_TO_HDF5))
    _add_hdf5_to_dicom(commands.add_parser("hdf5-to-dicom", add_help=False, help=_TO_DICOM, description=_TO_DICOM))
    _add_check(commands.add_parser("check", help=_CHECK, description=_CHECK))
    return parser


# --- run, tasks -------------------------------------------------------------------------------------------------------


def _add_tasks(run: argparse.ArgumentParser) -> None:
    """One subcommand for each task, with a flag for each parameter, made from the task's JSON Schema."""
    from dlp_lab.tasks import all_tasks

    tasks = run.add_subparsers(metavar="TASK", required=True)
    for task in all_tasks().values():
        parser = tasks.add_parser(task.name, help=task.title, description=task.title)
        parser.add_argument("input_dir", metavar="DIR", help="folder with the DICOM files of one series")
        parser.add_argument(
            "--root", help="folder that holds input and output (default: $DLP_LAB_ROOT, or the current folder)"
        )
        _add_read_options(parser)
        parser.add_argument("--keep-hdf5", action="store_true", help="also keep source and result as HDF5 + JSON")
        parameters = parser.add_argument_group("parameters of the task")
        for name, schema in task.json_schema()["properties"].items():
            parameters.add_argument(
                f"--{name.replace('_', '-')}",
                dest=f"param_{name}",
                metavar=_metavar(schema),
                type=_json_value,
                default=argparse.SUPPRESS,
                help=f"{schema.get('description', '')} (default: {schema.get('default')})".replace("%", "%%"),
            )
        parser.set_defaults(command=_run_task, task=task.name)


def _metavar(schema: dict[str, Any]) -> str:
    choices = schema.get("enum")
    return "{" + ",".join(map(str, choices)) + "}" if choices else str(schema.get("unit", "VALUE")).upper()


def _json_value(text: str) -> Any:
    """A flag's value as JSON; `1,2,3` is a list, and what is no JSON is text."""
    for candidate in (text, f"[{text}]"):
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    return text


def _run_task(arguments: Arguments) -> int:
    from dlp_lab.jobs.handle import submit

    prefix = "param_"
    params = {name.removeprefix(prefix): value for name, value in vars(arguments).items() if name.startswith(prefix)}
    job = submit(
        arguments.task,
        arguments.input_dir,
        keep_hdf5=arguments.keep_hdf5,
        root=arguments.root,
        read=_read_options(arguments),
        **params,
    )
    try:
        job.wait(progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        job.cancel()
        raise
    for warning in job.job.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(job.output_path)
    return 0


def _tasks(arguments: Arguments) -> int:
    from dlp_lab.tasks import all_tasks

    if arguments.json:
        print(json.dumps({name: task.json_schema() for name, task in all_tasks().items()}, indent=2))
        return 0
    for name, task in all_tasks().items():
        print(f"{name}: {task.title}")
        for parameter, schema in task.json_schema()["properties"].items():
            print(f"  {parameter} = {schema.get('default')}: {schema.get('description', '')}")
    return 0


# --- series -----------------------------------------------------------------------------------------------------------

_READ_OPTIONS = ("series", "select", "gaps", "irregular", "tilt")


def _add_read_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which images to read, and repairs (by default none)")
    group.add_argument("--series", metavar="UID", help="SeriesInstanceUID, where there are several series")
    group.add_argument(
        "--select",
        metavar="KEYWORD=VALUE",
        action="append",
        help="only images with this value of a DICOM attribute, such as EchoTime=12; may be repeated",
    )
    group.add_argument("--gaps", choices=("refuse", "pad"), help="missing slices: pad fills them with the least value")
    group.add_argument("--irregular", choices=("refuse", "resample"), help="uneven spacing: interpolate to even")
    group.add_argument("--tilt", choices=("refuse", "keep", "resample"), help="gantry tilt: keep it, or shift it back")


def _read_options(arguments: Arguments) -> dict[str, Any]:
    options = {name: value for name in _READ_OPTIONS if (value := getattr(arguments, name)) is not None}
    if "select" in options:
        options["select"] = dict(text.partition("=")[::2] for text in options["select"])
    return options


def _series(arguments: Arguments) -> int:
    import msgspec

    from dlp_lab.jobs.convert import list_series

    report = list_series(arguments.input_dir, **_read_options(arguments))
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(report), indent=2))
        return 0
    for series in report.series:
        size = " x ".join(map(str, series.shape or ())) or f"{series.files} files"
        spacing = " x ".join(f"{mm:.4g}" for mm in series.spacing_kji_mm or ())
        print(f"{series.series_instance_uid or '(no UID)'}  {series.modality}  {series.description or '-'}")
        print(
            f"    {series.verdict}: {size}{f', {spacing} mm' if spacing else ''}{series.reason and '; '}{series.reason}"
        )
        for warning in series.warnings:
            print(f"    note: {warning}")
    parts = Counter((file.part, file.reason if file.part in ("ignored", "dropped") else "") for file in report.files)
    for (part, reason), count in sorted(parts.items()):
        print(f"{count} files {part}{reason and ': '}{reason}")
    for file in report.files:
        if file.part == "refused" and not file.series_instance_uid:
            print(f"refused: {file.file}: {file.reason}")
    return 0


# --- DICOM to HDF5 and back -------------------------------------------------------------------------------------------

_TO_HDF5 = "Convert a folder of DICOM to HDF5 + JSON."
_TO_DICOM = "Convert an HDF5 volume to DICOM, by its own headers or with a folder of DICOM as the template."


def _add_dicom_to_hdf5(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--help", action="help", help="show this and exit")
    parser.add_argument("-i", "--input-dicom", metavar="DIR", required=True, type=Path, help="folder of one series")
    parser.add_argument("-h", "--output-hdf5", metavar="FILE", required=True, type=Path, help="HDF5 file to write")
    parser.add_argument("-j", "--output-json", metavar="FILE", required=True, type=Path, help="JSON file to write")
    parser.add_argument(
        "--normalize",
        choices=("none", "minmax"),
        default="none",
        help="minmax stores values scaled to [0, 1]; the range is kept in the file (default: none)",
    )
    _add_read_options(parser)
    parser.add_argument(
        "--headers",
        choices=("full", "none"),
        default="full",
        help="full keeps the DICOM headers in the HDF5 file, patient included, so that hdf5-to-dicom needs no "
        "template; none keeps nothing of the patient (default: full)",
    )
    parser.add_argument(
        "--keep-phi",
        action="store_true",
        help="write the headers into the JSON file too; without it the JSON file tells nothing of the patient",
    )
    parser.set_defaults(command=_dicom_to_hdf5)


def _add_hdf5_to_dicom(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--help", action="help", help="show this and exit")
    parser.add_argument("-h", "--input-hdf5", metavar="FILE", required=True, type=Path, help="HDF5 file with a volume")
    parser.add_argument(
        "-d",
        "--input-dicom",
        metavar="DIR",
        type=Path,
        help="template: folder of the series it belongs to (default: the headers in the HDF5 file)",
    )
    parser.add_argument("-o", "--output-dicom", metavar="DIR", required=True, type=Path, help="new folder to write")
    _add_read_options(parser)
    parser.set_defaults(command=_hdf5_to_dicom)


def _dicom_to_hdf5(arguments: Arguments) -> int:
    from dlp_lab.jobs.convert import dicom_to_hdf5

    volume = dicom_to_hdf5(
        arguments.input_dicom,
        arguments.output_hdf5,
        arguments.output_json,
        arguments.normalize,
        arguments.headers,
        arguments.keep_phi,
        **_read_options(arguments),
    )
    for warning in volume.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{arguments.output_hdf5}: {volume!r}")
    return 0


def _hdf5_to_dicom(arguments: Arguments) -> int:
    from dlp_lab.jobs.convert import hdf5_to_dicom

    written = hdf5_to_dicom(
        arguments.input_hdf5, arguments.output_dicom, arguments.input_dicom, **_read_options(arguments)
    )
    print(f"{arguments.output_dicom}: {len(written.files)} slices, SeriesInstanceUID {written.series_instance_uid}")
    return 0


# --- check ------------------------------------------------------------------------------------------------------------

_CHECK = "Check a derived series against its source: validity, our rules, place and values."


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source_dir", metavar="SOURCE_DIR", type=Path, help="folder of the series it was derived from")
    parser.add_argument("derived_dir", metavar="DERIVED_DIR", type=Path, help="folder of the derived series")
    parser.add_argument("--json", action="store_true", help="all findings as JSON")
    _add_read_options(parser)
    parser.set_defaults(command=_check)


def _check(arguments: Arguments) -> int:
    from dlp_lab.conformance.check import check_derived
    from dlp_lab.conformance.findings import as_json, as_text
    from dlp_lab.jobs.convert import read_options

    report = check_derived(arguments.source_dir, arguments.derived_dir, read_options(_read_options(arguments)))
    print(json.dumps(as_json(report), indent=2) if arguments.json else as_text(report))
    return 0 if report.holds else 1
