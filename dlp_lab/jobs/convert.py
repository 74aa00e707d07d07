"""DICOM to HDF5 + JSON and back, without a queue."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

from dlp_lab.dicom.header_archive import series_from_headers
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import HeaderSource, Series, one_series
from dlp_lab.dicom.template import place_on_template
from dlp_lab.dicom.write_image import Derivation, DerivedSeries, write_derived_series
from dlp_lab.errors import Hdf5Error, OutputExists, PathRefused
from dlp_lab.jobs.stored_headers import SeriesHeaders
from dlp_lab.store.hdf5 import Normalization, read_hdf5, read_hdf5_headers, write_hdf5
from dlp_lab.store.metadata import shareable, volume_metadata, write_json
from dlp_lab.store.workspace import published_folder
from dlp_lab.volume import Volume

Headers = Literal["full", "none"]


def read_series(folder: Path | str) -> Volume:
    """Read the one image series in a folder as a volume, in real-world values and patient millimetres.

    Raises:
        DlpError: The folder does not exist, or its content is refused; the message tells why.
    """
    return read_volume(_series_in(folder))


def dicom_to_hdf5(
    folder: Path | str,
    hdf5: Path | str,
    json: Path | str,
    normalize: Normalization = "none",
    headers: Headers = "full",
    keep_phi: bool = False,
) -> Volume:
    """Read the series in `folder` and write it as HDF5 and JSON, both or neither.

    Args:
        folder: Holds the DICOM files of one series.
        hdf5, json: New files; nothing is overwritten.
        normalize: "minmax" stores values in [0, 1]; the range is kept in the file.
        headers: "full" stores the DICOM headers in the HDF5 file, with all they tell of the patient, so that
            `hdf5_to_dicom` needs no template; "none" leaves out all but UIDs.
        keep_phi: Whether the JSON also gets the headers. Otherwise it tells nothing of the patient.

    Raises:
        DlpError: The series is refused, or a file to be written already exists.
    """
    for path in (Path(hdf5), Path(json)):
        if path.exists():
            raise OutputExists(f"{path.name} already exists; choose another name, nothing is overwritten")
    series = _series_in(folder)
    volume = read_volume(series)
    found = SeriesHeaders.of(series)
    metadata = {**volume_metadata(volume, normalize), "acquisition": found.acquisition(), "headers": headers}
    if keep_phi:
        metadata["dicom"] = {"common": found.common, "slices": found.slices}
    uids = [header.sop_instance_uid for header in series.headers]
    if headers == "full":
        write_hdf5(volume, Path(hdf5), normalize, uids, found.stored())
    else:
        write_hdf5(shareable(volume), Path(hdf5), normalize, uids)
    try:
        write_json(metadata, Path(json))
    except BaseException:
        Path(hdf5).unlink()
        raise
    return volume


def hdf5_to_dicom(hdf5: Path | str, output: Path | str, template: Path | str | None = None) -> DerivedSeries:
    """Write the volume of an HDF5 file as a series derived from the one it came from, or from a template series.

    Args:
        hdf5: A file of `dicom_to_hdf5`, or any other with exactly one 3-D dataset `(slice, row, column)`.
        output: New folder.
        template: Folder of the series that gives patient, study and place; the headers in the HDF5 file if omitted. A
            volume that knows its place must lie on the template's grid; a bare array must have its shape, its slices
            in order along the normal.

    Raises:
        DlpError: A file is refused, the two do not fit, there is neither template nor header, or the output exists.
    """
    values = read_hdf5(Path(hdf5))
    source, reach_slices = _headers_in(Path(hdf5)) if template is None else (_series_in(template), None)
    volume = place_on_template(values, source)
    with published_folder(Path(output)) as folder:
        derivation = Derivation(
            uid_seed=secrets.token_hex(16),
            label="from HDF5",
            description="Values taken from an HDF5 file",
            reach_slices=reach_slices,
        )
        written = write_derived_series(source, volume, folder, derivation)
    return DerivedSeries(
        written.series_instance_uid,
        tuple(Path(output) / path.name for path in written.files),
        written.rescale,
    )


def _series_in(folder: Path | str) -> Series:
    if not Path(folder).is_dir():
        raise PathRefused(f"{folder} is not a folder; give the folder that holds the DICOM files of a series")
    return one_series(Path(folder))


def _headers_in(hdf5: Path) -> tuple[HeaderSource, int | None]:
    """The series that is archived in a file, and how many slices to either side its values can come from."""
    headers = read_hdf5_headers(hdf5)
    if headers is None:
        raise Hdf5Error(
            f"{hdf5.name} holds no DICOM headers, so patient, study and place are not known; give the folder of the "
            "series it belongs to as the template (-d), or make the file again with its headers (--headers full)"
        )
    return series_from_headers(headers.slices, hdf5.name), 0 if headers.origin == "source" else None
