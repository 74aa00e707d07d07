"""DICOM to HDF5 + JSON and back, without a queue."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.derived_slices import slice_uids
from dlp_lab.dicom.folder import find_series
from dlp_lab.dicom.header_archive import series_from_headers
from dlp_lab.dicom.options import OutputForm, ReadOptions, checked_form, read_options
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.report import FolderReport, report_folder
from dlp_lab.dicom.series import HeaderSource, attribute_values, choose_series, one_series
from dlp_lab.dicom.template import place_on_template
from dlp_lab.dicom.write_derived import write_derived
from dlp_lab.dicom.write_image import DerivedSeries
from dlp_lab.errors import Hdf5Error, MixedGrid, OutputExists, PathRefused
from dlp_lab.jobs.isolated_decoder import decoded_apart
from dlp_lab.jobs.stored_headers import header_reading
from dlp_lab.store.hdf5 import Compression, Normalization, read_hdf5, read_hdf5_headers, write_hdf5
from dlp_lab.store.metadata import shareable, volume_metadata, write_json
from dlp_lab.store.workspace import make_private_folder, published_folder
from dlp_lab.volume import Volume

Headers = Literal["full", "none"]


def read_series(folder: Path | str, **options: Any) -> Volume:
    """Read an image series in a folder as a volume, in real-world values and patient millimetres.

    Compressed images are decoded in a process of its own, so that a damaged file cannot end this one.

    Args:
        folder: Holds the DICOM files, below it in any depth.
        **options: Fields of `ReadOptions`: `series="1.2.3"` where there are several, `select={"EchoTime": "12"}` where
            several images lie at one place, and the repairs `gaps="pad"`, `irregular="resample"`, `tilt="resample"`.

    Raises:
        DlpError: The folder does not exist, or its content is refused; the message tells why.
    """
    return read_volume(one_series(_folder(folder), read_options(options)), decode=decoded_apart)


def read_stack(folder: Path | str, by: str, **options: Any) -> dict[str, Volume]:
    """Read a series with several images at each place, such as echoes, phases or time points, as one volume for each.

    Args:
        folder: As in `read_series`.
        by: Keyword of the DICOM attribute that tells the images at one place apart, such as "EchoTime".
        **options: As in `read_series`.

    Returns:
        Volumes by the attribute's value, in growing order; all on one grid.

    Raises:
        DlpError: As `read_series`; also when the volumes do not lie on one grid.
    """
    chosen = read_options(options)
    scan = find_series(_folder(folder))
    volumes: dict[str, Volume] = {}
    for value in attribute_values(scan, by, chosen):
        selection = msgspec.structs.replace(chosen, select={**chosen.select, by: value})
        volumes[value] = read_volume(choose_series(scan, selection), decode=decoded_apart)
    first, *others = volumes.values()
    if not all(other.geometry.matches(first.geometry) for other in others):
        raise MixedGrid(f"the images do not lie on one grid for every {by}; choose one with --select {by}=VALUE")
    return volumes


def list_series(folder: Path | str, **options: Any) -> FolderReport:
    """Every series in a folder with its verdict, and every file with its part; the options are those of `read_series`.

    Raises:
        DlpError: The folder does not exist.
    """
    return report_folder(find_series(_folder(folder)), read_options(options))


def _folder(folder: Path | str) -> Path:
    path = Path(folder)
    if not path.is_dir():
        raise PathRefused(f"{folder} is not a folder; give the folder that holds the DICOM files of a series")
    return path


def dicom_to_hdf5(
    folder: Path | str,
    hdf5: Path | str,
    json: Path | str,
    normalize: Normalization = "none",
    headers: Headers = "full",
    keep_phi: bool = False,
    compress: Compression = "none",
    **options: Any,
) -> Volume:
    """Read the series in `folder` and write it as HDF5 and JSON, both or neither.

    Args:
        folder: Holds the DICOM files of one series.
        hdf5, json: New files; nothing is overwritten.
        normalize: "minmax" stores values in [0, 1]; the range is kept in the file.
        headers: "full" stores the DICOM headers in the HDF5 file, with all they tell of the patient, so that
            `hdf5_to_dicom` needs no template; "none" leaves out all but UIDs.
        keep_phi: Whether the JSON also gets the headers. Otherwise it tells nothing of the patient.
        compress: "gzip" makes the HDF5 file an archive of about half the size; slices of it cannot be looked at
            through a memory map. "zstd" takes less time, and other programs need a plug-in (`import hdf5plugin`).
        **options: See `read_series`.

    Raises:
        DlpError: The series is refused, or a file to be written already exists.
    """
    for path in (Path(hdf5), Path(json)):
        if os.path.lexists(path):
            raise OutputExists(f"{path.name} already exists; choose another name, nothing is overwritten")
    if os.path.abspath(hdf5) == os.path.abspath(json):
        raise OutputExists(f"{Path(hdf5).name} cannot be both the HDF5 and the JSON file; choose two names")
    chosen = read_options(options)
    series = one_series(_folder(folder), chosen)
    volume = read_volume(series, decode=decoded_apart)
    make_private_folder(Path(hdf5).parent)
    with header_reading(series, Path(hdf5).parent) as reading:
        found = reading.finish(chosen)
        metadata = {**volume_metadata(volume, normalize), "acquisition": found.acquisition(), "headers": headers}
        if keep_phi:
            metadata["dicom"] = {"common": found.common, "slices": found.slices()}
        if headers == "full":
            write_hdf5(volume, Path(hdf5), normalize, slice_uids(series), found.stored(), compress)
        else:
            write_hdf5(shareable(volume), Path(hdf5), normalize, slice_uids(series), compress=compress)
    try:
        write_json(metadata, Path(json))
    except BaseException:
        Path(hdf5).unlink()
        raise
    return volume


def hdf5_to_dicom(
    hdf5: Path | str,
    output: Path | str,
    template: Path | str | None = None,
    output_form: OutputForm = "series",
    **options: Any,
) -> DerivedSeries:
    """Write the volume of an HDF5 file as a series derived from the one it came from, or from a template series.

    Args:
        hdf5: A file of `dicom_to_hdf5`, or any other with exactly one 3-D dataset `(slice, row, column)`.
        output: New folder.
        template: Folder of the series that gives patient, study and place; the headers in the HDF5 file if omitted. A
            volume that knows its place must lie on the template's grid; a bare array must have its shape, its slices
            in order along the normal.
        output_form: "series", "multiframe" or "parametric_map"; see `submit`.
        **options: How the template is to be read; see `read_series`.

    Raises:
        DlpError: A file is refused, the two do not fit, there is neither template nor header, or the output exists.
    """
    form = checked_form(output_form)
    values = read_hdf5(Path(hdf5))
    source: HeaderSource
    if template is None:
        source, reach_slices = _headers_in(Path(hdf5))
    else:
        source, reach_slices = one_series(_folder(template), read_options(options)), None
    volume = place_on_template(values, source)
    with published_folder(Path(output)) as folder:
        derivation = Derivation(
            uid_seed=secrets.token_hex(16),
            label="hdf5-to-dicom",
            description="Values taken from an HDF5 file",
            reach_slices=reach_slices,
        )
        written = write_derived(form, source, volume, folder, derivation)
    return replace(written, files=tuple(Path(output) / path.name for path in written.files))


def _headers_in(hdf5: Path) -> tuple[HeaderSource, int | None]:
    """The series that is archived in a file, and how many slices to either side its values can come from."""
    headers = read_hdf5_headers(hdf5)
    if headers is None:
        raise Hdf5Error(
            f"{hdf5.name} holds no DICOM headers, so patient, study and place are not known; give the folder of the "
            "series it belongs to as the template (-d), or make the file again with its headers (--headers full)"
        )
    options = msgspec.json.decode(headers.read_options_json, type=ReadOptions)
    series = series_from_headers(headers.encoded, hdf5.name, options, headers.frames)
    return series, 0 if headers.origin == "source" else None
