"""The JSON beside an HDF5 volume: what other programs need to know of it.

It holds numbers, UIDs and terms of lists that are known here, so that nothing about the patient can slip in, wherever a
scanner or a person may have written it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlp_lab.errors import OutputExists
from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import FORMAT_VERSION, Normalization
from dlp_lab.store.workspace import make_private_folder
from dlp_lab.volume import Volume

MODALITIES = ("CT", "MR", "PT")
UNITS = (
    *("HU", "OD", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"),  # RescaleType, PS3.3 C.11.1.1.2
    *("CNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG", "1CM"),
    *("UMOLML", "PROPCNTS", "PROPCPS", "MLMINML", "MLML", "GML", "STDDEV"),  # Units, PS3.3 C.8.9.1.1.3
    *("mm", "mm2/s", "ms", "s", "%", "1"),
)


def shareable(volume: Volume) -> Volume:
    """The volume without a modality or unit that is not in `MODALITIES` or `UNITS`.

    RescaleType (0028,1054), from which the unit of a CT comes, can hold any text.
    """
    return replace(
        volume,
        modality=volume.modality if volume.modality in MODALITIES else None,
        unit=volume.unit if volume.unit in UNITS else None,
    )


def volume_metadata(volume: Volume, normalize: Normalization = "none") -> dict[str, Any]:
    """Describe a volume; `docs/format.md` lists the keys.

    `spacing` is in the order of the volume's axes (slice, row, column), in mm, as are all spacings.
    """
    dtype = "float32" if normalize == "minmax" else str(volume.voxels.dtype)
    return described(volume, volume.geometry, dtype, volume.value_range(), normalize)


def described(
    volume: Volume,
    geometry: Geometry,
    dtype: str,
    value_range: tuple[float, float],
    normalize: Normalization = "none",
) -> dict[str, Any]:
    """`volume_metadata` of a volume of which `volume` is a part, or all.

    Args:
        volume: Tells what is the same in all parts.
        geometry, dtype, value_range: Of the whole.
        normalize: As there.
    """
    return {
        "format_version": FORMAT_VERSION,
        "modality": shareable(volume).modality,
        "unit": shareable(volume).unit,
        "shape": list(geometry.shape),
        "dtype": dtype,
        "spacing": list(geometry.spacing_kji_mm),
        "spacing_slices": geometry.spacing_kji_mm[0],
        "spacing_pixel": list(geometry.spacing_kji_mm[1:]),
        "affine_kji_to_lps": geometry.affine_kji_to_lps.tolist(),
        "frame_of_reference_uid": geometry.frame_of_reference_uid,
        "source_series_uid": volume.source_series_uid,
        "value_range": list(value_range),
        "normalization": normalize,
        "warnings": list(volume.warnings),
    }


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write `content` as readable JSON to the new file `path`, for its owner alone to read.

    Raises:
        OutputExists: `path` exists; nothing is overwritten.
    """
    make_private_folder(path.parent)
    # piece by piece, for a record of many slices is long
    pieces = json.JSONEncoder(indent=2, allow_nan=False).iterencode(content)
    try:
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for piece in pieces:
                file.write(piece)
            file.write("\n")
    except FileExistsError:
        raise OutputExists(f"{path.name} already exists; choose another name, nothing is overwritten") from None
