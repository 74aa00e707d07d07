"""`dlp-lab check`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dlp_lab.cli.series_command import add_read_options, read_options_of
from dlp_lab.errors import printable_lines

CHECK = "Check a derived series against its source: validity, our rules, place and values."


def add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source_dir", metavar="SOURCE_DIR", type=Path, help="folder of the series it was derived from")
    parser.add_argument("derived_dir", metavar="DERIVED_DIR", type=Path, help="folder of the derived series")
    parser.add_argument(
        "--also",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="folder of another series that it was made from too; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="all findings as JSON")
    add_read_options(parser)
    parser.set_defaults(command=_check)


def _check(arguments: argparse.Namespace) -> int:
    from dlp_lab.conformance.check import check_derived
    from dlp_lab.conformance.findings import as_json, as_text
    from dlp_lab.dicom.options import read_options

    options = read_options(read_options_of(arguments))
    report = check_derived(arguments.source_dir, arguments.derived_dir, options, arguments.also)
    print(json.dumps(as_json(report), indent=2) if arguments.json else printable_lines(as_text(report)))
    return 0 if report.holds else 1
