"""`dlp-lab series`, and the flags with which every command chooses images and repairs."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from dlp_lab.errors import printable

_READ_OPTIONS = ("series", "select", "gaps", "irregular", "tilt")


def add_read_options(parser: argparse.ArgumentParser) -> None:
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


def add_output_form(parser: argparse.ArgumentParser) -> None:
    # named here, for what is asked of the command line alone should not load pydicom; a test compares the lists
    parser.add_argument(
        "--output-form",
        choices=("series", "multiframe", "parametric_map"),
        default="series",
        help="files like the source's, one enhanced multi-frame file, or one Parametric Map of floating point values "
        "(default: series)",
    )


def read_options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    options = {name: value for name in _READ_OPTIONS if (value := getattr(arguments, name)) is not None}
    if "select" in options:
        options["select"] = dict(text.partition("=")[::2] for text in options["select"])
    return options


def list_series_of(arguments: argparse.Namespace) -> int:
    import msgspec

    from dlp_lab.dicom.quick_start import load_pydicom

    load_pydicom()
    from dlp_lab.jobs.convert import list_series

    report = list_series(arguments.input_dir, **read_options_of(arguments))
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(report), indent=2))
        return 0
    for series in report.series:
        amount = f"{series.files} files" + (f" with {series.frames} frames" if series.frames is not None else "")
        size = " x ".join(map(str, series.shape or ())) or amount
        spacing = " x ".join(f"{mm:.4g}" for mm in series.spacing_kji_mm or ())
        _say(f"{series.series_instance_uid or '(no UID)'}  {series.modality}  {series.description or '-'}")
        _say(
            f"    {series.verdict}: {size}{f', {spacing} mm' if spacing else ''}{series.reason and '; '}{series.reason}"
        )
        for warning in series.warnings:
            _say(f"    note: {warning}")
    parts = Counter((file.part, file.reason if file.part in ("ignored", "dropped") else "") for file in report.files)
    for (part, reason), count in sorted(parts.items()):
        _say(f"{count} files {part}{reason and ': '}{reason}")
    for file in report.files:
        if file.part == "slice" and file.frames is not None:
            _say(f"{file.file}: {file.frames} frames{file.reason and '; '}{file.reason}")
    for file in report.files:
        if file.part == "refused" and not file.series_instance_uid:
            _say(f"refused: {file.file}: {file.reason}")
    return 0


def _say(line: str) -> None:
    """What scanners and file names say is no command to the terminal."""
    print(printable(line))
