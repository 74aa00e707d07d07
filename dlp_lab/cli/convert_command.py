"""`dlp-lab dicom-to-hdf5` and `hdf5-to-dicom`, which are programs of their own as well."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dlp_lab.cli.series_command import add_output_form, add_read_options, read_options_of

TO_HDF5 = "Convert a folder of DICOM to HDF5 + JSON."
TO_DICOM = "Convert an HDF5 volume to DICOM, by its own headers or with a folder of DICOM as the template."


def add_dicom_to_hdf5(parser: argparse.ArgumentParser) -> None:
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
    add_read_options(parser)
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
    parser.add_argument(
        "--compress",
        choices=("none", "gzip", "zstd"),
        default="none",
        help="gzip makes an archive, which every HDF5 library reads; zstd makes one in less time, which others read "
        "with a plug-in (hdf5plugin); none leaves slices at hand (default: none)",
    )
    parser.set_defaults(command=_dicom_to_hdf5)


def add_hdf5_to_dicom(parser: argparse.ArgumentParser) -> None:
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
    add_output_form(parser)
    add_read_options(parser)
    parser.set_defaults(command=_hdf5_to_dicom)


def _dicom_to_hdf5(arguments: argparse.Namespace) -> int:
    from dlp_lab.jobs.convert import dicom_to_hdf5

    volume = dicom_to_hdf5(
        arguments.input_dicom,
        arguments.output_hdf5,
        arguments.output_json,
        arguments.normalize,
        arguments.headers,
        arguments.keep_phi,
        arguments.compress,
        **read_options_of(arguments),
    )
    for warning in volume.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{arguments.output_hdf5}: {volume!r}")
    return 0


def _hdf5_to_dicom(arguments: argparse.Namespace) -> int:
    from dlp_lab.jobs.convert import hdf5_to_dicom

    written = hdf5_to_dicom(
        arguments.input_hdf5,
        arguments.output_dicom,
        arguments.input_dicom,
        arguments.output_form,
        **read_options_of(arguments),
    )
    print(f"{arguments.output_dicom}: {len(written.indices)} slices, SeriesInstanceUID {written.series_instance_uid}")
    return 0
